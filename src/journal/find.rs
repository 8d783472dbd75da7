//! What is stored, and what has become of it?
//!
//! Segments are read one after the other, each from its place in the index on, while the writer goes on: what is read is
//! only what it called durable, and no lock is held meanwhile. A segment that was recycled while it was read is noticed by
//! its absence from the index afterwards, which its bytes outlive; what looked damaged in it is then left out.
//!
//! Promises: an event that stays stored is found, as it was written; a page holds no more than was asked for, and no more
//! of heads and bodies than [`CONTENT_MAX`] and one event; a page reads about one segment and no more than two.
//!
//! Must not know: who asks, or why.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::event::Stored;
use super::frame::{Content, Envelope, Kind};
use super::index::Segment;
use super::record::Tenants;
use super::replay::carried_from;
use super::scan::{Scanner, Seen, envelope};
use super::shared::Shared;
use crate::clock::Timestamp;

/// Bytes of heads and bodies after which a page is full.
pub(crate) const CONTENT_MAX: u64 = 4 << 20;
/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Only what has a greater sequence; 0 = from the oldest on.
    pub after: u64,
    /// Only the records of this event: itself, and as it was carried forward or replayed.
    pub event_id: Option<[u8; 16]>,
    /// How many events a page may hold; none is taken for one.
    pub most: usize,
    /// Whether heads and bodies are wanted, too.
    pub content: bool,
}

/// Some of what was looked for, rising by sequence.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The events; perhaps none, even if there are more further on.
    pub events: Vec<Found>,
    /// What to put into [`Search::after`] for the next page; `None`: that was all.
    pub next: Option<u64>,
}

/// One record of an event, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its sequence here.
    pub seq: u64,
    /// The sequence that the event had first: carried and replayed records keep it.
    pub origin_seq: u64,
    /// The sequence of the record that this one took over from when that was carried forward.
    pub carried_from: Option<u64>,
    /// The event's id.
    pub event_id: [u8; 16],
    /// The request it came in.
    pub request_id: [u8; 16],
    /// Which part of it.
    pub part: u16,
    /// Where it came from, by its id.
    pub source: u32,
    /// Whom it concerns.
    pub tenants: Tenants,
    /// What kind of event.
    pub kind: Arc<str>,
    /// As given at the append.
    pub order_key: u64,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it was replayed, if this record is a replay.
    pub replayed: Option<Timestamp>,
    /// As given at the append.
    pub flags: u16,
    /// The digest of its body, as given at the append.
    pub body_digest: [u8; 32],
    /// Its targets, and who else owes it under this sequence.
    pub targets: Vec<Standing>,
    /// Whether head and body are as they were written.
    pub kept: Kept,
    /// Head and body, if they were asked for and are whole.
    pub content: Option<(Bytes, Bytes)>,
}

/// How an event stands with one destination, under one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The destination, by its id.
    pub destination: u32,
    /// It is not handed over before; zero = at once.
    pub not_before: Timestamp,
    /// What has become of it.
    pub debt: Debt,
}

/// What has become of what was owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debt {
    /// It is owed still.
    Owed,
    /// It is among the dead letters of the destination.
    Dead,
    /// It is owed no more under this sequence: delivered, or released, or its dead letter is gone, or a later record of
    /// the event took it over and names this one in [`Found::carried_from`].
    Settled,
}

/// What has become of head and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// As they were written.
    Whole,
    /// Erased on purpose.
    Erased,
    /// Neither; while an event is being erased it may look so for a moment.
    Damaged,
}

impl From<Content> for Kept {
    fn from(content: Content) -> Self {
        match content {
            Content::Whole => Self::Whole,
            Content::Erased => Self::Erased,
            Content::Damaged => Self::Damaged,
        }
    }
}

/// An event that was read.
pub(crate) struct Read<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) record: &'a Bytes,
    pub(crate) content: Content,
}

/// The oldest segment that begins behind segment `number` and holds something behind sequence `after`.
pub(crate) fn next_segment(shared: &Shared, number: u64, after: u64) -> Option<Segment> {
    let index = shared.index();
    let holds = |segment: &&Segment| segment.number > number && segment.last_seq > after && segment.events() > 0;
    index.segments.iter().find(holds).cloned()
}

/// Calls `each` with the events of a segment behind sequence `after`, in order, until it has enough. Whether the segment
/// was there all the time: if not, what looked damaged was perhaps being overwritten.
pub(crate) fn read(
    shared: &Shared,
    segment: &Segment,
    after: u64,
    mut each: impl FnMut(Read<'_>) -> ControlFlow<()>,
) -> io::Result<bool> {
    let mut scanner = Scanner::new(&*segment.file, &segment.seal, segment.place(after), segment.end, PIECE);
    let mut places = Vec::new();
    let mut learnt = 0;
    while let Some(seen) = scanner.next()? {
        let Seen::Record { at, bytes } = seen else { continue };
        let envelope = envelope(&segment.seal, at, &bytes);
        if envelope.kind() != Some(Kind::Event) {
            continue;
        }
        if places.is_empty() || at - learnt >= super::index::STRIDE {
            places.push((envelope.seq(), at));
            learnt = at;
        }
        if envelope.seq() <= after {
            continue;
        }
        let content = envelope.content(&bytes, &segment.seal, at);
        if each(Read { envelope, record: &bytes, content }).is_break() {
            break;
        }
    }
    let mut index = shared.index();
    let Some(known) = index.by_number(segment.number) else { return Ok(false) };
    for (seq, at) in places {
        known.learn(seq, at);
    }
    Ok(true)
}

/// A page of what is stored.
pub(crate) fn page(shared: &Shared, search: &Search) -> io::Result<Page> {
    let mut page = Page::default();
    let (mut number, mut after, mut bytes, mut weight) = (0, search.after, 0, 0);
    while let Some(segment) = next_segment(shared, number, after) {
        if bytes >= shared.options.segment_size {
            page.next = Some(after);
            break;
        }
        let mut found = Vec::new();
        let mut full = false;
        let there = read(shared, &segment, after, |event| {
            if page.events.len() + found.len() >= search.most.max(1) || weight >= CONTENT_MAX {
                full = true;
                return ControlFlow::Break(());
            }
            after = event.envelope.seq();
            if let Some(one) = one(&event, search) {
                weight += one.content.as_ref().map_or(0, |(head, body)| (head.len() + body.len()) as u64);
                found.push(one);
            }
            ControlFlow::Continue(())
        })?;
        found.retain(|one| there || one.kept != Kept::Damaged);
        page.events.append(&mut found);
        if full {
            page.next = Some(after);
            break;
        }
        number = segment.number;
        after = after.max(segment.last_seq);
        bytes += segment.end - segment.start;
    }
    stand(shared, &mut page.events);
    Ok(page)
}

/// This event, if it is looked for.
fn one(event: &Read<'_>, search: &Search) -> Option<Found> {
    let whole = search.content && event.content == Content::Whole;
    let stored = Stored::decode(&event.envelope, None)?;
    if search.event_id.is_some_and(|wanted| wanted != stored.event_id) {
        return None;
    }
    // On bytes of their own: the piece they were read in is larger.
    let copy = |range| Bytes::copy_from_slice(&event.record[range]);
    let standing = |target: &super::Target| Standing {
        destination: target.destination,
        not_before: target.not_before,
        debt: Debt::Settled,
    };
    Some(Found {
        seq: stored.seq,
        origin_seq: stored.origin_seq,
        carried_from: carried_from(&event.envelope),
        event_id: stored.event_id,
        request_id: stored.request_id,
        part: stored.part,
        source: stored.source,
        targets: stored.targets.iter().map(standing).collect(),
        tenants: stored.tenants,
        kind: stored.kind,
        order_key: stored.order_key,
        accepted: stored.accepted,
        replayed: stored.replayed.map(|replayed| replayed.at),
        flags: stored.flags,
        body_digest: stored.body_digest,
        kept: event.content.into(),
        content: whole.then(|| (copy(event.envelope.head()), copy(event.envelope.body()))),
    })
}

/// Adds what the lanes know now.
fn stand(shared: &Shared, events: &mut [Found]) {
    for cell in &shared.known().lanes {
        let state = cell.state();
        for event in events.iter_mut() {
            let debt = if state.owed.contains(event.seq) {
                Debt::Owed
            } else if state.dead.contains(event.seq) {
                Debt::Dead
            } else {
                continue;
            };
            match event.targets.iter_mut().find(|target| target.destination == cell.id) {
                Some(target) => target.debt = debt,
                None => {
                    let not_before = Timestamp::ZERO;
                    event.targets.push(Standing { destination: cell.id, not_before, debt });
                }
            }
        }
    }
}
