//! Which segments are there, and which one holds a sequence?
//!
//! Promises: segments stand oldest first, and their first sequences rise.
//!
//! Must not know: who is owed what.

use std::collections::VecDeque;
use std::sync::Arc;

use super::frame::Seal;
use super::storage::File;
use crate::clock::Timestamp;

/// One segment of the log that holds records.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
    pub(crate) seal: Seal,
    /// Where records start.
    pub(crate) start: u64,
    /// Where they end; in the active segment, where the durable ones end.
    pub(crate) end: u64,
    /// The first sequence it may hold.
    pub(crate) first_seq: u64,
    /// The last sequence it holds; below `first_seq` if it holds none.
    pub(crate) last_seq: u64,
    /// Bytes of the events in it.
    pub(crate) event_bytes: u64,
    /// When the first and the last event in it were accepted, as far as is known.
    pub(crate) first_accepted: Timestamp,
    pub(crate) last_accepted: Timestamp,
    /// Some sequences and where their records start, rising.
    pub(crate) places: Vec<(u64, u32)>,
}

/// A place to start reading from is remembered about every so many bytes.
pub(crate) const STRIDE: u64 = 256 << 10;

impl Segment {
    /// Remembers where a sequence lies, if nothing near is known.
    pub(crate) fn learn(&mut self, seq: u64, at: u64) {
        let Ok(at) = u32::try_from(at) else { return };
        if self.places.last().is_some_and(|(known, last)| seq > *known && u64::from(at.saturating_sub(*last)) < STRIDE)
        {
            return;
        }
        let next = self.places.partition_point(|(known, _)| *known < seq);
        let near = |place: Option<&(u64, u32)>| place.is_some_and(|(_, known)| u64::from(known.abs_diff(at)) < STRIDE);
        if !near(next.checked_sub(1).and_then(|last| self.places.get(last))) && !near(self.places.get(next)) {
            self.places.insert(next, (seq, at));
        }
    }

    /// A place at or before the record of this sequence.
    pub(crate) fn place(&self, seq: u64) -> u64 {
        let next = self.places.partition_point(|(known, _)| *known <= seq);
        next.checked_sub(1).and_then(|last| self.places.get(last)).map_or(self.start, |(_, at)| u64::from(*at))
    }

    /// About how many bytes one event of it takes.
    pub(crate) const fn each(&self) -> u64 {
        match self.event_bytes.checked_div(self.events()) {
            Some(bytes) => bytes,
            None => 0,
        }
    }

    /// How many events it may hold.
    pub(crate) const fn events(&self) -> u64 {
        (self.last_seq + 1).saturating_sub(self.first_seq)
    }
}

/// All segments that hold records.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) segments: VecDeque<Segment>,
}

impl Index {
    /// The segment that holds this sequence, if any does.
    pub(crate) fn of_seq(&self, seq: u64) -> Option<&Segment> {
        let next = self.segments.partition_point(|segment| segment.first_seq <= seq);
        // Segments without events share their first sequence with the next one.
        self.segments.iter().take(next).rev().find(|segment| segment.last_seq >= seq && segment.first_seq <= seq)
    }

    pub(crate) fn by_number(&mut self, number: u64) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|segment| segment.number == number)
    }

    pub(crate) fn active(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut()
    }
}
