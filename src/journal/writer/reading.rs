//! What if the writer cannot read what it is to carry forward or to give up?
//!
//! Promises: it is tried again as a lane does, and after as many failures what the medium has lost is left out, so that it
//! costs its own events and holds up no other.
//!
//! Must not know: what the events are read for.

use super::Writer;
use crate::clock::Timestamp;
use crate::journal::index::Segment;
use crate::journal::lane::{Found, Sparing, events, events_in};

impl Writer {
    /// What can be found of these sequences (rising, all in this segment), about `piece` bytes at once; `None` if nothing can
    /// be read now.
    pub(super) fn find(&mut self, segment: &Segment, wants: &[u64], piece: u32, now: Timestamp) -> Option<Found> {
        if self.house.failing.waits(segment.number, now) {
            return None;
        }
        let found = match self.house.failing.is_worn(segment.number) {
            true => events_in(&Sparing::new(&*segment.file), segment, wants, piece),
            false => events(segment, wants, piece),
        };
        match found {
            Ok(found) => {
                self.house.failing.succeeded(segment.number);
                Some(found)
            }
            Err(_) => {
                let oldest = self.shared.index().segments.front().map_or(0, |oldest| oldest.number);
                self.house.failing.failed(segment.number, oldest, now);
                None
            }
        }
    }
}
