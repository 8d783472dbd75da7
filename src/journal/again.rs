//! How is a stored event put in once more?
//!
//! It is read back whole, as it was written, and queued like any other record, under a new sequence, with targets of its
//! own choice; what it was before is not touched. Everything else stays what it was, the sequence it had first included,
//! and a mark says when it was replayed: from then on its age counts anew. Where a dead letter is replayed, the letter is
//! taken from its list once the new record is durable, by a record that rides on the next sync: a crash between the two
//! leaves both.
//!
//! Promises: nothing that is erased comes back. An erasure that is asked for before the record is in the queue refuses it,
//! also if it is carried out between the reading and the queueing; one that is asked for later finds it there.
//!
//! Must not know: who wants it, how fast.

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::dead;
use super::event::{Replayed, Stored, Sums};
use super::find::{next_segment, read};
use super::frame::Content;
use super::inbox::{Beside, Letter};
use super::record::{Pending, Refused, Target};
use super::shared::Shared;
use crate::clock::Timestamp;

/// How often an event is read again because something was erased meanwhile.
const READS_MAX: u32 = 8;

/// What is to be put in once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    /// The event of this id: its oldest record that is whole, or, where the log has none any more, its dead letters. To
    /// find it the log is read from the oldest segment on.
    Event([u8; 16]),
    /// The record of this sequence.
    Record(u64),
    /// This dead letter; it leaves its list when what is made of it is durable.
    Letter {
        /// Among whose.
        destination: u32,
        /// The sequence under which it died.
        seq: u64,
    },
}

/// Why nothing was put in. Nothing changed.
#[derive(Debug)]
pub enum NotReplayed {
    /// It is not stored, not any more, or not yet durable.
    Unknown,
    /// Its head and body were erased, or are about to be.
    Erased,
    /// Its head or body is damaged, or was left out of a dead letter for want of space.
    Damaged,
    /// No destination has this id.
    Destination(u32),
    /// This dead letter is being replayed already.
    UnderWay,
    /// As for any other record.
    Refused(Refused),
    /// It could not be read.
    Io(io::Error),
}

impl fmt::Display for NotReplayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the event is not stored (any more)"),
            Self::Erased => f.write_str("the event was erased"),
            Self::Damaged => f.write_str("the event's head or body is damaged or was given up"),
            Self::Destination(id) => write!(f, "no destination has the id {id}"),
            Self::UnderWay => f.write_str("the dead letter is being replayed already"),
            Self::Refused(refused) => refused.fmt(f),
            Self::Io(error) => write!(f, "the event cannot be read: {error}"),
        }
    }
}

impl std::error::Error for NotReplayed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Io(error) => Some(error),
            Self::Unknown | Self::Erased | Self::Damaged | Self::Destination(_) | Self::UnderWay => None,
        }
    }
}

impl From<io::Error> for NotReplayed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Puts it in once more.
pub(crate) fn replay(
    shared: &Arc<Shared>,
    original: Original,
    targets: Option<&[Target]>,
) -> Result<Pending, NotReplayed> {
    let lanes = shared.known().lanes.len();
    for target in targets.unwrap_or_default() {
        if target.destination as usize >= lanes {
            return Err(NotReplayed::Destination(target.destination));
        }
    }
    for _ in 0..READS_MAX {
        let erasures = shared.inbox().erasures;
        let mut stored = whole(shared, original)?;
        if let Some(targets) = targets {
            stored.targets = targets.into();
        }
        if let Some(pending) = queue(shared, original, stored, erasures)? {
            return Ok(pending);
        }
    }
    Err(NotReplayed::Refused(Refused::Busy))
}

/// Queues what was read when so many erasures had been carried out. `None`: there were more since, and this may be one.
pub(super) fn queue(
    shared: &Arc<Shared>,
    original: Original,
    mut stored: Stored,
    erasures: u64,
) -> Result<Option<Pending>, NotReplayed> {
    let sums = Sums::of(&stored.head, &stored.body);
    let now = shared.clock.now();
    stored.replayed = Some(Replayed { first: 0, at: now });
    let inbox = shared.inbox();
    if inbox.erasing.contains(&stored.event_id) {
        return Err(NotReplayed::Erased);
    }
    if inbox.erasures != erasures {
        return Ok(None);
    }
    let Original::Letter { destination, seq } = original else {
        let queued = shared.queue_one(inbox, stored, &sums, Beside::default(), now);
        return queued.map(Some).map_err(NotReplayed::Refused);
    };
    let known = shared.known();
    let Some(cell) = known.lane(destination) else { return Err(NotReplayed::Destination(destination)) };
    {
        let mut state = cell.state();
        if !state.dead.contains(seq) {
            return Err(NotReplayed::Unknown);
        }
        if !state.retrying.insert(seq) {
            return Err(NotReplayed::UnderWay);
        }
    }
    let beside = Beside { letter: Some(Letter { destination, seq }), ..Beside::default() };
    shared.queue_one(inbox, stored, &sums, beside, now).map(Some).map_err(|refused| {
        cell.state().retrying.remove(&seq);
        NotReplayed::Refused(refused)
    })
}

const fn at_once(destination: u32) -> Target {
    Target { destination, not_before: Timestamp::ZERO }
}

/// Reads it back, whole, with its own targets.
pub(super) fn whole(shared: &Shared, original: Original) -> Result<Stored, NotReplayed> {
    let mut stored = found(shared, original)?;
    stored.targets = stored.targets.iter().map(|target| at_once(target.destination)).collect();
    Ok(stored)
}

fn found(shared: &Shared, original: Original) -> Result<Stored, NotReplayed> {
    match original {
        Original::Record(seq) => {
            let Some(before) = seq.checked_sub(1) else { return Err(NotReplayed::Unknown) };
            record(shared, (before, seq), |stored| stored.seq == seq)
        }
        Original::Event(event_id) => match record(shared, (0, u64::MAX), |stored| stored.event_id == event_id) {
            Err(not @ (NotReplayed::Unknown | NotReplayed::Damaged)) => {
                match letters(shared, None, |stored| stored.event_id == event_id) {
                    Err(NotReplayed::Unknown) => Err(not),
                    found => found,
                }
            }
            found => found,
        },
        Original::Letter { destination, seq } => letters(shared, Some(destination), |stored| stored.seq == seq),
    }
}

/// The first record between these sequences (from behind the one up to the other) that is wanted and whole; if there is
/// none that is whole, why not.
fn record(
    shared: &Shared,
    (mut after, last): (u64, u64),
    wanted: impl Fn(&Stored) -> bool,
) -> Result<Stored, NotReplayed> {
    let mut number = 0;
    let mut why = NotReplayed::Unknown;
    while after < last
        && let Some(segment) = next_segment(shared, number, after)
    {
        let mut found = None;
        let mut content = None;
        let there = read(shared, &segment, after, |event| {
            let its = Stored::decode(&event.envelope, None).filter(|stored| wanted(stored));
            if its.is_some() {
                content = Some(event.content);
                if event.content == Content::Whole {
                    found = Stored::decode(&event.envelope, Some(event.record)).map(Stored::detached);
                    return ControlFlow::Break(());
                }
            }
            if event.envelope.seq() < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        match (found, content) {
            (Some(found), _) => return Ok(found),
            (None, Some(Content::Erased)) => why = NotReplayed::Erased,
            (None, Some(_)) if there && matches!(why, NotReplayed::Unknown) => why = NotReplayed::Damaged,
            (None, _) => {}
        }
        number = segment.number;
        after = after.max(segment.last_seq);
    }
    Err(why)
}

/// The first dead letter that is wanted and whole, owed to every destination that has such a one; of one destination, or
/// of any.
fn letters(shared: &Shared, of: Option<u32>, wanted: impl Fn(&Stored) -> bool) -> Result<Stored, NotReplayed> {
    let mut found: Option<Stored> = None;
    let mut targets = Vec::new();
    let mut why = NotReplayed::Unknown;
    dead::each(shared, |content, stored, destination| {
        if of.is_some_and(|of| of != destination) || !wanted(&stored) {
            return;
        }
        match content {
            Content::Whole => {
                targets.push(at_once(destination));
                found.get_or_insert_with(|| stored.detached());
            }
            Content::Erased => why = NotReplayed::Erased,
            Content::Damaged => why = NotReplayed::Damaged,
        }
    })?;
    targets.dedup();
    match found {
        Some(found) => Ok(Stored { targets: targets.into(), ..found }),
        None => Err(why),
    }
}
