//! How are records fetched back from a segment?
//!
//! Promises: a sequence that was asked for comes back as an event or with the reason why not; a read goes on only until it
//! has enough.
//!
//! Must not know: locks, lanes; it blocks.

use std::io;

use super::spare::Sparing;
use crate::journal::event::Stored;
use crate::journal::frame::{Content, Kind};
use crate::journal::index::Segment;
use crate::journal::scan::{Scanner, Seen, envelope};
use crate::journal::storage::File;

/// Events up to this size get bytes of their own, so that they do not keep the piece they were read in.
const DETACHED_MAX: u64 = 256 << 10;

/// A read of a piece of a segment.
#[derive(Debug)]
pub struct ReadJob {
    pub(super) late: bool,
    pub(super) segment: Segment,
    /// Rising; all in this segment.
    pub(super) wants: Vec<u64>,
    pub(super) piece: u32,
    /// It failed often enough: what the medium has lost is left out.
    pub(super) sparing: bool,
}

impl ReadJob {
    /// Reads; blocks. Failures travel in the result.
    #[must_use]
    pub fn run(self) -> ReadDone {
        let found = if self.sparing {
            events_in(&Sparing::new(&*self.segment.file), &self.segment, &self.wants, self.piece)
        } else {
            events(&self.segment, &self.wants, self.piece)
        };
        ReadDone { late: self.late, segment: self.segment.number, found }
    }

    /// What to accept should the job be lost: as of a read that failed.
    #[must_use]
    pub fn lost(&self) -> ReadDone {
        let found = Err(io::Error::other("the read ended without a result"));
        ReadDone { late: self.late, segment: self.segment.number, found }
    }

    /// Gives the job up; to be accepted all the same.
    #[must_use]
    pub fn cancel(self) -> ReadDone {
        ReadDone { late: self.late, segment: self.segment.number, found: Ok(Found::default()) }
    }
}

/// What a [`ReadJob`] found.
#[derive(Debug)]
pub struct ReadDone {
    pub(super) late: bool,
    pub(super) segment: u64,
    pub(super) found: io::Result<Found>,
}

impl ReadDone {
    /// Why nothing could be read, if so; the lane will ask again.
    #[must_use]
    pub fn error(&self) -> Option<&io::Error> {
        self.found.as_ref().err()
    }
}

/// The answer to a list of wanted sequences.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) events: Vec<Stored>,
    pub(crate) missing: Vec<Missing>,
    /// Some sequences and their places.
    pub(crate) places: Vec<(u64, u64)>,
}

/// A sequence that cannot be had.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) seq: u64,
    /// Whether it was erased on purpose.
    pub(crate) erased: bool,
    /// What is known of it: everything but head and body.
    pub(crate) known: Option<Stored>,
}

impl Missing {
    const fn lost(seq: u64) -> Self {
        Self { seq, erased: false, known: None }
    }
}

/// Looks for these sequences (rising, all in this segment) until about `piece` bytes are found or all are answered.
pub(crate) fn events(segment: &Segment, wants: &[u64], piece: u32) -> io::Result<Found> {
    events_in(&*segment.file, segment, wants, piece)
}

/// The same, with the segment's file seen in another way.
pub(crate) fn events_in(file: &dyn File, segment: &Segment, wants: &[u64], piece: u32) -> io::Result<Found> {
    let mut found = Found::default();
    let Some(first) = wants.first() else { return Ok(found) };
    let from = segment.place(*first);
    let mut scanner = Scanner::new(file, &segment.seal, from, segment.end, piece as usize);
    let mut wants = wants.iter().copied().peekable();
    let mut weight = 0;
    while let Some(seen) = scanner.next()? {
        let Seen::Record { at, bytes } = seen else { continue };
        let envelope = envelope(&segment.seal, at, &bytes);
        if envelope.kind() != Some(Kind::Event) {
            continue;
        }
        let seq = envelope.seq();
        found.places.push((seq, at));
        while let Some(lost) = wants.next_if(|want| *want < seq) {
            found.missing.push(Missing::lost(lost));
        }
        if wants.next_if(|want| *want == seq).is_some() {
            match (envelope.content(&bytes, &segment.seal, at), Stored::decode(&envelope, Some(&bytes))) {
                (Content::Whole, Some(stored)) => {
                    weight += stored.weight();
                    found.events.push(if stored.weight() <= DETACHED_MAX { stored.detached() } else { stored });
                }
                (content, _) => {
                    let known = Stored::decode(&envelope, None);
                    found.missing.push(Missing { seq, erased: content == Content::Erased, known });
                }
            }
        }
        if wants.peek().is_none() || weight >= u64::from(piece) {
            return Ok(found);
        }
    }
    found.missing.extend(wants.map(Missing::lost));
    Ok(found)
}
