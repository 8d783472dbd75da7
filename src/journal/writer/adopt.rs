//! When is a parked backlog adopted?
//!
//! When the parked destination is at rest: see the head of [`crate::journal::adopt`] for why that suffices.

use std::io;
use std::sync::atomic::Ordering;

use super::Writer;
use super::outcomes::Written;
use crate::clock::Timestamp;
use crate::journal::AdoptError;
use crate::journal::frame::{Builder, Kind, field};

impl Writer {
    /// One step towards the adoption that was asked for.
    ///
    /// # Errors
    /// As [`Writer::roll`], and the second failure in a row.
    pub(super) fn adopt_chore(&mut self, now: Timestamp) -> io::Result<bool> {
        let Some(asked) = &self.house.adopting else { return Ok(false) };
        let (from, to, later) = (asked.from, asked.to, asked.later);
        if let Some(why) = self.cannot_adopt(from, to) {
            self.told(Err(why));
            return Ok(true);
        }
        if self.next_unwritten() < later || !self.house.carrying.is_empty() || !self.is_at_rest(from, now) {
            return Ok(false);
        }
        let mut written = Written::default();
        written.frame(|out| {
            let mut builder = Builder::new(out, Kind::Adopted, 0);
            builder.field_of(field::DESTINATION, [from.to_le_bytes(), to.to_le_bytes()]);
            builder.finish((0, 0), (0, 0))
        });
        if self.active.end + written.out.len() as u64 > self.shared.options.segment_size {
            if !self.roll()? {
                self.told(Err(AdoptError::Full));
            }
            return Ok(true);
        }
        #[cfg(test)]
        if self.shared.options.faults.adopts_in_memory {
            self.take_over(from, to);
            return Ok(true);
        }
        if self.write_alone(&mut written, now)? {
            self.take_over(from, to);
        }
        Ok(true)
    }

    fn cannot_adopt(&self, from: u32, to: u32) -> Option<AdoptError> {
        let known = self.shared.known();
        let Some(parked) = known.lane(from) else { return Some(AdoptError::Unknown(from)) };
        let Some(adopter) = known.lane(to) else { return Some(AdoptError::Unknown(to)) };
        let letters_wait = || {
            let dies = self.house.dying.iter().any(|dying| dying.death.destination == from);
            self.house.dying_pause.is_some() && (dies || parked.state().is_dying())
        };
        if parked.plan().is_some() {
            Some(AdoptError::Configured)
        } else if adopter.plan().is_none() {
            Some(AdoptError::NotConfigured)
        } else if self.house.stuck {
            Some(AdoptError::Full)
        } else if parked.taken.load(Ordering::Acquire) || letters_wait() {
            Some(AdoptError::Busy)
        } else {
            None
        }
    }

    /// Whether all that was said of the deliveries of a destination is on disk; if not, that goes ahead.
    fn is_at_rest(&mut self, destination: u32, now: Timestamp) -> bool {
        let durable = self.shared.durable.load(Ordering::Acquire);
        let known = self.shared.known();
        let Some(cell) = known.lane(destination) else { return true };
        let state = cell.state();
        // Letters that wait for others to be written go after those.
        let letters = self.house.dying.is_empty() && state.outcomes.has_durable(durable);
        if letters || state.outcomes.has_records(durable) {
            self.shared.outcome_noted();
            self.house.outcome_due = Some(now);
        }
        state.outcomes.is_empty() && !state.is_dying()
    }

    /// The record is durable: what the one was owed is the other's.
    fn take_over(&mut self, from: u32, to: u32) {
        let known = self.shared.known();
        let (Some(parked), Some(adopter)) = (known.lane(from), known.lane(to)) else { return };
        let given = parked.state().give_over();
        let (count, waker) = {
            let mut state = adopter.state();
            (state.take_over(to, from, given), state.wake())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(due) = self.house.age_due.get_mut(to as usize) {
            *due = Timestamp::ZERO;
        }
        self.house.dirty = true;
        drop(known);
        self.told(Ok(count));
    }

    /// Whoever asked for an adoption is told what came of it.
    fn told(&mut self, result: Result<u64, AdoptError>) {
        let Some(asked) = self.house.adopting.take() else { return };
        self.shared.inbox().adopting = false;
        (asked.tell)(result);
    }

    /// Nothing is adopted any more.
    pub(super) fn end_adoption(&mut self) {
        let waiting = self.shared.inbox().adopt.take();
        self.house.adopting = self.house.adopting.take().or(waiting);
        self.told(Err(AdoptError::Ended));
    }
}
