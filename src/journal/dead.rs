//! Where do dead letters lie?
//!
//! In segments of their own, within a space of their own: the event's envelope, head and body as they were, with how it
//! died. At the bound the oldest lose head and body and keep the rest, as long as that fills no more than half a segment.
//!
//! Promises: [`Graves::bury`] returns after the letters are synced.
//!
//! Must not know: the log.

mod room;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Damage;
use super::event::{Death, EVENT_FIXED, Extra, Owing, Stored, Sums};
use super::frame::{Content, Envelope, Kind, Seal, field};
use super::lane::{Dying, Failing, Sparing, is_lost};
use super::record::Chunks;
use super::scan::{Scanner, Seen, envelope};
use super::segment::{DEAD, DEAD_BIT, Header, Identity, Names, dead_name, parse_name};
use super::shared::Shared;
use super::storage::{File, Storage, read_full, write_all};
use crate::clock::Timestamp;

/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// Bytes of letters written at once; one that is larger is written alone.
pub(crate) const BURIED: usize = 1 << 20;

/// The dead-letter space.
#[derive(Debug)]
pub(crate) struct Graves {
    identity: Identity,
    names: Names,
    epoch: u32,
    size: u64,
    space: u64,
    keep: Duration,
    segments: VecDeque<Grave>,
    next: u64,
    failing: Failing,
    /// Room could not be made; not again before that time.
    pause: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct Grave {
    number: u64,
    file: Arc<dyn File>,
    seal: Seal,
    start: u64,
    end: u64,
    /// What its file takes: segments may have been larger, or smaller, when it was dug.
    size: u64,
    /// How many letters it holds.
    letters: u64,
    last_death: Timestamp,
    /// Nothing may be added: it ended badly, or was found at the opening.
    closed: bool,
}

/// A letter that an opening found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) seq: u64,
    /// [`Stored::lineage`] of its event.
    pub(crate) lineage: u64,
    pub(crate) destination: u32,
    /// Head and body are there, or were erased on purpose.
    pub(crate) whole: bool,
}

/// A dead letter as it is listed.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The sequence under which it died.
    pub seq: u64,
    /// The destination that did not get it.
    pub destination: u32,
    /// The event's id.
    pub event_id: [u8; 16],
    /// The sequence it had first.
    pub origin_seq: u64,
    /// Where it came from.
    pub source: u32,
    /// What kind of event.
    pub kind: Arc<str>,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it was replayed, if it is a replay that died.
    pub replayed: Option<Timestamp>,
    /// When it died.
    pub died: Timestamp,
    /// Why: a number of those above, or of [`super::dead_reason`].
    pub reason: u16,
    /// Attempts made.
    pub attempts: u32,
    /// The last answer's status; 0 = none.
    pub status: u16,
    /// The first bytes of the last answer.
    pub answer: Bytes,
    /// Head and body, unless they were erased or left out for want of space.
    pub content: Option<(Bytes, Bytes)>,
}

impl Graves {
    pub(crate) fn new(identity: Identity, names: Names, epoch: u32, size: u64, space: u64, keep: Duration) -> Self {
        let (space, failing) = (space.max(size), Failing::default());
        Self { identity, names, epoch, size, space, keep, segments: VecDeque::new(), next: 1, failing, pause: None }
    }

    /// Graves that are dug from now on open with this table of names.
    pub(crate) fn rename(&mut self, names: &Names) {
        self.names.clone_from(names);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|grave| grave.size).sum()
    }

    /// Finds what is there; `each` hears of every letter, of the same one twice if a crash came between its copies.
    /// What cannot be read is damage, and no more: the letters go on without it.
    pub(crate) fn open(
        &mut self,
        storage: &dyn Storage,
        damage: &mut Vec<Damage>,
        mut each: impl FnMut(&Heard),
    ) -> io::Result<()> {
        let mut numbers: Vec<u64> = storage.list(DEAD)?.iter().filter_map(|name| parse_name(name, ".seg")).collect();
        numbers.sort_unstable();
        let mut worn = false;
        for number in numbers {
            let number = number | DEAD_BIT;
            let file = storage.open(&dead_name(number))?;
            let mut head = vec![0; 64 << 10];
            let sparing = Sparing::new(&*file);
            let read = readable(read_full(&sparing, &mut head, 0))?.unwrap_or(0);
            let start = Header::decode(&head[..read]).map_or(0, |(_, start)| start);
            let seal = Seal::new(self.identity.store, self.identity.key, number);
            let (end, size, last_death) = (file.length()?, file.length()?, Timestamp::ZERO);
            let file = Arc::clone(&file);
            let mut grave = Grave { number, file, seal, start, end, size, letters: 0, last_death, closed: true };
            let (mut end, mut last_death, mut letters) = (start, Timestamp::ZERO, 0);
            let read = grave.letters_in(&sparing, |envelope, record, at| {
                end = at + envelope.length() as u64;
                letters += 1;
                if let Some(death) = death_of(envelope) {
                    last_death = last_death.max(death.at);
                    let lineage = Stored::decode(envelope, None).map_or(0, |stored| stored.lineage());
                    let whole = envelope.content(record, &grave.seal, at) != Content::Damaged;
                    each(&Heard { seq: envelope.seq(), lineage, destination: death.destination, whole });
                }
            });
            let all = if readable(read)?.is_some() { sparing.lost() } else { std::iter::once(0..size).collect() };
            worn = !all.is_empty();
            damage.extend(all.into_iter().map(|lost| lost_in(number, lost)));
            (grave.end, grave.letters) = if worn { (size, letters) } else { (end, letters) };
            grave.last_death = last_death;
            // What lies there may only be in the cache: as in the log, it is synced before it is believed.
            grave.file.sync_data()?;
            self.next = self.next.max((number & !DEAD_BIT) + 1);
            self.segments.push_back(grave);
        }
        if let Some(last) = self.segments.back_mut() {
            last.closed = last.start == 0 || worn;
            // So is its name.
            storage.sync_directory(DEAD)?;
        }
        Ok(())
    }

    /// Writes letters and syncs them; how many of them, in order. One that fits nowhere is written without head and body.
    pub(crate) fn bury(
        &mut self,
        storage: &dyn Storage,
        shared: &Shared,
        dying: &[Dying],
        now: Timestamp,
    ) -> io::Result<usize> {
        let mut out = Vec::new();
        let mut count = 0;
        if self.segments.back().is_none_or(|grave| grave.closed) {
            self.dig(storage, now)?;
            shared.graves_changed(self.readable());
            self.make_room(storage, shared, now);
        }
        for dying in dying {
            let room = self.room();
            let before = out.len();
            if !self.letter(&mut out, dying, dying.bare) {
                self.letter(&mut out, dying, true);
            }
            if out.len() as u64 > room || (count > 0 && out.len() > BURIED) {
                out.truncate(before);
                break;
            }
            count += 1;
        }
        if count == 0 {
            if let Some(grave) = self.segments.back_mut() {
                grave.closed = true;
            }
            return Ok(0);
        }
        let last = dying[..count].iter().map(|dying| dying.death.at).max().unwrap_or(now);
        self.write(&mut out, last, count as u64)?;
        self.refresh(shared);
        Ok(count)
    }

    /// Adds a letter to a buffer; `false` if it can never fit a segment.
    fn letter(&self, out: &mut Vec<u8>, dying: &Dying, strip: bool) -> bool {
        let start = out.len();
        let mut death = dying.death;
        let body: Vec<Bytes> = dying.stored.body.pieces().iter().chain([&dying.answer]).cloned().collect();
        let (head, body) =
            if strip { (Bytes::new(), Chunks::default()) } else { (dying.stored.head.clone(), body.into()) };
        if strip {
            death.answer = 0;
        }
        let owing = Owing { destination: death.destination, attempts: death.attempts, not_before: Timestamp::ZERO };
        let sums = if strip { Sums::NONE } else { Sums::of(&head, &body) };
        let extra = Extra { death: Some(death), stripped: strip, ..Extra::default() };
        let Some(lengths) = dying.stored.encode(out, Kind::Letter, std::iter::once(owing), &sums, &extra) else {
            return false;
        };
        let page = 4096;
        if u64::from(lengths.record) + Header::length(&self.names) + page > self.size {
            out.truncate(start);
            return false;
        }
        out.extend_from_slice(&head);
        for piece in body.pieces() {
            out.extend_from_slice(piece);
        }
        out.resize(start + lengths.record as usize, 0);
        true
    }

    /// Closes the envelopes in `out` for their places in the last grave, writes and syncs.
    fn write(&mut self, out: &mut [u8], last_death: Timestamp, letters: u64) -> io::Result<()> {
        let epoch = self.epoch;
        let Some(grave) = self.segments.back_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        let mark = u32::try_from(grave.end).unwrap_or(u32::MAX);
        let mut at = 0;
        while at < out.len() {
            let length = super::frame::u32_at(out, at + 16) as usize;
            let envelope = usize::from(super::frame::u16_at(out, at + 20));
            grave.seal.close(&mut out[at..at + envelope], grave.end + at as u64, mark, epoch);
            at += length;
        }
        let written = write_all(&*grave.file, out, grave.end).and_then(|_| grave.file.sync_data());
        if let Err(error) = written {
            // Nothing more is written behind bytes of which nobody knows whether they are there.
            grave.closed = true;
            return Err(error);
        }
        grave.end += out.len() as u64;
        grave.letters += letters;
        grave.last_death = grave.last_death.max(last_death);
        Ok(())
    }

    /// What readers may look at.
    pub(crate) fn readable(&self) -> Vec<Grave> {
        self.segments.iter().cloned().collect()
    }

    pub(crate) fn refresh(&self, shared: &Shared) {
        shared.graves_changed(self.readable());
    }
}

impl Grave {
    /// Calls `each` with the envelope, the whole record and the place of every letter.
    pub(crate) fn letters(&self, each: impl FnMut(&Envelope<'_>, &Bytes, u64)) -> io::Result<()> {
        self.letters_in(&*self.file, each)
    }

    /// The same, with its file seen in another way.
    pub(crate) fn letters_in(
        &self,
        file: &dyn File,
        mut each: impl FnMut(&Envelope<'_>, &Bytes, u64),
    ) -> io::Result<()> {
        let mut scanner = Scanner::new(file, &self.seal, self.start, self.end, PIECE);
        while let Some(seen) = scanner.next()? {
            if let Seen::Record { at, bytes } = seen {
                let envelope = envelope(&self.seal, at, &bytes);
                if envelope.kind() == Some(Kind::Letter) {
                    each(&envelope, &bytes, at);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn file(&self) -> &dyn File {
        &*self.file
    }

    pub(crate) const fn seal(&self) -> &Seal {
        &self.seal
    }
}

/// `None` if it is the medium that has lost all of a file.
fn readable<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Err(error) if is_lost(&error) => Ok(None),
        read => read.map(Some),
    }
}

fn lost_in(segment: u64, lost: Range<u64>) -> Damage {
    Damage { segment, offset: lost.start, length: lost.end - lost.start, sequences: 0..0, event_id: None }
}

pub(crate) fn death_of(envelope: &Envelope<'_>) -> Option<Death> {
    envelope.field(field::DEATH, EVENT_FIXED).and_then(Death::of)
}

/// A letter as those above see it.
pub(crate) fn letter_of(envelope: &Envelope<'_>, record: &Bytes, seal: &Seal, at: u64) -> Option<DeadLetter> {
    let death = death_of(envelope)?;
    let whole =
        envelope.content(record, seal, at) == Content::Whole && envelope.field(field::STRIPPED, EVENT_FIXED).is_none();
    let stored = Stored::decode(envelope, whole.then_some(record))?;
    let both = stored.body.joined();
    let body = both.len().saturating_sub(death.answer as usize);
    Some(DeadLetter {
        seq: stored.seq,
        destination: death.destination,
        event_id: stored.event_id,
        origin_seq: stored.origin_seq,
        source: stored.source,
        kind: stored.kind,
        accepted: stored.accepted,
        replayed: stored.replayed.map(|replayed| replayed.at),
        died: death.at,
        reason: death.reason,
        attempts: death.attempts,
        status: death.status,
        answer: both.slice(body..),
        content: whole.then(|| (stored.head, both.slice(..body))),
    })
}

/// Calls `each` with every letter that is listed, its body without the answer, and its destination. Letters that lost
/// theirs for want of space count as damaged.
pub(crate) fn each(shared: &Shared, mut each: impl FnMut(Content, Stored, u32)) -> io::Result<()> {
    let listed: Vec<_> = shared.known().lanes.iter().map(|cell| cell.state().dead.clone()).collect();
    for grave in shared.graves() {
        // What cannot be read is not told of, and hides no other letter.
        let told = grave.letters_in(&Sparing::new(&*grave.file), |envelope, record, at| {
            let Some(death) = death_of(envelope) else { return };
            if !listed.get(death.destination as usize).is_some_and(|dead| dead.contains(envelope.seq())) {
                return;
            }
            let content = match envelope.field(field::STRIPPED, EVENT_FIXED) {
                Some(_) => Content::Damaged,
                None => envelope.content(record, &grave.seal, at),
            };
            let Some(mut stored) = Stored::decode(envelope, (content == Content::Whole).then_some(record)) else {
                return;
            };
            let both = stored.body.joined();
            stored.body = both.slice(..both.len().saturating_sub(death.answer as usize)).into();
            each(content, stored, death.destination);
        });
        readable(told)?;
    }
    Ok(())
}

/// A page of letters of one destination.
pub(crate) fn list(shared: &Shared, destination: u32, after: u64, most: usize) -> io::Result<Vec<DeadLetter>> {
    let Some(dead) = shared.known().lane(destination).map(|cell| cell.state().dead.clone()) else {
        return Ok(Vec::new());
    };
    let mut page = std::collections::BTreeMap::new();
    for grave in shared.graves() {
        // What cannot be read is not listed, and hides no other letter.
        let listed = grave.letters_in(&Sparing::new(&*grave.file), |envelope, record, at| {
            let of = death_of(envelope).is_some_and(|death| death.destination == destination);
            if of
                && envelope.seq() > after
                && dead.contains(envelope.seq())
                && let Some(letter) = letter_of(envelope, record, &grave.seal, at)
            {
                page.insert(letter.seq, letter);
                if page.len() > most {
                    page.pop_last();
                }
            }
        });
        readable(listed)?;
    }
    Ok(page.into_values().collect())
}
