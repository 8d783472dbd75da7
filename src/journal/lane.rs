//! What is a destination owed next?
//!
//! A lane holds cursors, not a queue: a live one that goes through what is owed in order, and a late one for what was given
//! back, held or failed. Both take records from the ring, or else from the files by a [`ReadJob`] that the caller runs where
//! blocking is allowed.
//!
//! Promises: the live cursor never waits for a retry; what is taken is in flight until it is settled; what a lane keeps in
//! memory is bounded, however much it owes; an outcome is known at once, and on disk with the next sync.
//!
//! Must not know: how a delivery is made, what its schedule is.

mod failing;
mod outcome;
mod owed;
mod read;
mod spare;
mod state;

#[cfg(test)]
pub(crate) use failing::READ_TRIES;
pub(crate) use failing::{Failing, READ_AGAIN};
pub(crate) use outcome::{DELIVERED_WAITING_MAX, DYING_BYTES_MAX, Dead, Dying, FAILED_WAITING_MAX, Failed, Outcomes};
pub(crate) use owed::{Owed, Slot, SlotBounds};
pub(crate) use read::{Found, Missing, events, events_in};
pub use read::{ReadDone, ReadJob};
pub(crate) use spare::{BLOCK, Sparing, is_lost};
pub(crate) use state::{Cell, State};

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::event::{Death, Replayed, Stored, share};
use super::record::{Chunks, Tenants};
use super::shared::Shared;
use crate::clock::Timestamp;

/// Why the journal itself made a dead letter; reasons from above are smaller than these.
pub mod dead_reason {
    /// It was older than the destination's backlog may be.
    pub const AGE: u16 = 0xFF01;
    /// The destination's backlog was larger than it may be, or the disk bound was reached.
    pub const SPACE: u16 = 0xFF02;
    /// Its record is damaged.
    pub const DAMAGED: u16 = 0xFF03;
    /// It was erased.
    pub const ERASED: u16 = 0xFF04;
    /// The operator released all that was owed to the destination.
    pub const DROPPED: u16 = 0xFF05;
}

/// The most of an answer that is kept.
const ANSWER_MAX: usize = 1024;

/// What one destination is owed, in order, and how each delivery went. Owned by one task; shared by reference.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
    cell: Arc<Cell>,
}

impl Lane {
    pub(in crate::journal) fn take(shared: &Arc<Shared>, destination: u32) -> Option<Self> {
        let cell = Arc::clone(shared.known().lane(destination)?);
        if cell.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(Self { shared: Arc::clone(shared), cell })
    }

    /// The destination's id.
    #[must_use]
    pub fn destination(&self) -> u32 {
        self.cell.id
    }

    /// What a source is called that has this id.
    #[must_use]
    pub fn source(&self, id: u32) -> Option<Box<str>> {
        let known = self.shared.known();
        known.names.sources.get(usize::try_from(id).ok()?).map(|name| name.as_str().into())
    }

    /// The next event to attempt. What is taken is in flight until it is settled.
    pub fn next(&self, now: Timestamp) -> Taken {
        self.cell.state().next(&self.shared, self.cell.id, now)
    }

    /// The oldest owed event that is not in flight, after leaving out the `skip` oldest: for the probe of a breaker.
    pub fn probe(&self, skip: usize, now: Timestamp) -> Taken {
        self.cell.state().probe(&self.shared, self.cell.id, skip, now)
    }

    /// Takes what a [`ReadJob`] found; then [`Lane::next`] goes on. Every job is to be accepted, in any order.
    pub fn accept(&self, done: ReadDone) {
        let (noted, waker) = {
            let mut state = self.cell.state();
            (state.accept(&self.shared, self.cell.id, done), state.wake())
        };
        if noted {
            self.shared.outcome_noted();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How it went. May be called from any task.
    pub fn settle(&self, delivery: Delivery, settlement: Settlement) {
        let last = matches!(settlement, Settlement::Delivered | Settlement::Dead { .. });
        let (noted, waker) = {
            let mut state = self.cell.state();
            let erased = state.take_erased(delivery.seq);
            let Some(seq) = state.owed.land(delivery.seq) else { return };
            let settlement = if erased { without_bytes(settlement) } else { settlement };
            let noted = self.note(&mut state, seq, delivery, settlement, erased);
            // What comes again moves the time at which the owner has to ask next.
            (noted, if last { None } else { state.wake() })
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if noted {
            self.shared.outcome_noted();
        }
    }

    /// Writes a settlement into the state; whether the writer has something to do for it.
    fn note(&self, state: &mut State, seq: u64, delivery: Delivery, settlement: Settlement, bare: bool) -> bool {
        let slot = |at, attempts| Slot { at, attempts, share: share(&delivery.tenants) };
        match settlement {
            Settlement::Delivered => {
                state.owed.release(seq);
                state.outcomes.delivered.push(seq);
            }
            Settlement::Again { at, attempt, status, answer } => {
                state.owed.hold(seq, slot(at, attempt), self.shared.slot_bounds());
                let answer = answer.slice(..answer.len().min(ANSWER_MAX));
                state.outcomes.failed.push(Failed {
                    seq,
                    event_id: delivery.event_id,
                    attempts: attempt,
                    at,
                    status,
                    answer,
                });
            }
            Settlement::Hold { at } => {
                state.owed.hold(seq, slot(at, delivery.attempt), self.shared.slot_bounds());
                return false;
            }
            Settlement::Dead { reason, attempt, status, answer } => {
                let answer = answer.slice(..answer.len().min(ANSWER_MAX));
                let death = Death {
                    destination: self.cell.id,
                    attempts: attempt,
                    at: self.shared.clock.now(),
                    status,
                    reason,
                    answer: u32::try_from(answer.len()).unwrap_or(0),
                };
                let mut stored = Stored::returned(delivery, self.cell.id);
                stored.seq = seq;
                state.bury(Dying { stored, death, answer, bare });
            }
            Settlement::Return => {
                state.owed.give_back(seq, delivery.attempt, delivery.slotless);
                return false;
            }
        }
        true
    }

    /// Ready when something may have changed since [`Lane::next`] last said [`Taken::Idle`]. One waker at a time.
    pub fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.cell.state();
        if std::mem::take(&mut state.changed) {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// [`Lane::poll_changed`] as a future.
    pub async fn changed(&self) {
        std::future::poll_fn(|context| self.poll_changed(context)).await;
    }

    /// What it is owed.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        let state = self.cell.state();
        Backlog {
            owed: state.owed.bits().len(),
            in_flight: state.owed.in_flight() as u64,
            oldest_seq: state.owed.oldest(),
        }
    }
}

/// How a delivery ends whose event was erased while it was in flight: it is not attempted again, and its answer not kept.
fn without_bytes(settlement: Settlement) -> Settlement {
    let (reason, attempt, status) = match settlement {
        Settlement::Delivered => return Settlement::Delivered,
        Settlement::Again { attempt, status, .. } => (dead_reason::ERASED, attempt, status),
        Settlement::Dead { reason, attempt, status, .. } => (reason, attempt, status),
        Settlement::Hold { .. } | Settlement::Return => (dead_reason::ERASED, 0, 0),
    };
    Settlement::Dead { reason, attempt, status, answer: Bytes::new() }
}

/// Whoever takes the lane next finds everything as it was owed.
impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.cell.state();
        state.leave();
        drop(state);
        self.cell.taken.store(false, Ordering::Release);
    }
}

/// What [`Lane::next`] gives.
#[derive(Debug)]
pub enum Taken {
    /// Attempt this.
    Delivery(Delivery),
    /// Run this where blocking is allowed, give the result to [`Lane::accept`], ask again.
    Read(ReadJob),
    /// Nothing now; ask again at that time at the latest, or when [`Lane::changed`] returns. While a [`ReadJob`] runs,
    /// its acceptance is a change too.
    Idle {
        /// When the next held or retried event is due.
        until: Option<Timestamp>,
    },
}

/// One event for one destination.
#[derive(Debug)]
pub struct Delivery {
    /// Its sequence here.
    pub seq: u64,
    /// The sequence it had first: carried and replayed events keep it.
    pub origin_seq: u64,
    /// The event's id: the same in every attempt and every copy.
    pub event_id: [u8; 16],
    /// The request it came in.
    pub request_id: [u8; 16],
    /// Which part of it.
    pub part: u16,
    /// Attempts made before this one, as far as is known: an event without a retry slot starts at 0 again.
    pub attempt: u32,
    /// Set if it was attempted or held before and lost its slot: its step follows from its age, and if that says "not
    /// yet", [`Settlement::Hold`] puts it back. The time is when it was handed out before, if it was; zero: not known.
    pub slotless: Option<Timestamp>,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Where it came from.
    pub source: u32,
    /// Whom it concerns.
    pub tenants: Tenants,
    /// What kind of event.
    pub kind: Arc<str>,
    /// Events of one order key keep their order where that is asked for.
    pub order_key: u64,
    /// As given at the append.
    pub flags: u16,
    /// Method, path, query, headers, encoded.
    pub head: Bytes,
    /// The same bytes that were appended, or read back.
    pub body: Chunks,
    pub(in crate::journal) replayed: Option<Replayed>,
    pub(in crate::journal) dedup_key: Option<u128>,
    pub(in crate::journal) body_digest: [u8; 32],
}

impl Delivery {
    /// When it was replayed, if it is a replay.
    #[must_use]
    pub fn replayed(&self) -> Option<Timestamp> {
        self.replayed.map(|replayed| replayed.at)
    }

    /// From when on its age counts: when it was replayed, or else accepted.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.replayed().unwrap_or(self.accepted)
    }
}

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is owed no more.
    Delivered,
    /// It failed and counts against the event: again at that time.
    Again {
        /// When.
        at: Timestamp,
        /// Attempts made, this one included.
        attempt: u32,
        /// The answer's status; 0 = none.
        status: u16,
        /// The first bytes of the answer; at most 1 KiB is kept.
        answer: Bytes,
    },
    /// It was not attempted and is to wait: held, shaped, or not yet its time.
    Hold {
        /// Until when.
        at: Timestamp,
    },
    /// It becomes a dead letter.
    Dead {
        /// Why, in the words of those above: stored and listed, not read.
        reason: u16,
        /// Attempts made.
        attempt: u32,
        /// The last answer's status; 0 = none.
        status: u16,
        /// The first bytes of the answer; at most 1 KiB is kept.
        answer: Bytes,
    },
    /// It was not attempted, or the fault was the destination's: it is owed as before, at its old place.
    Return,
}

/// What a lane owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events.
    pub owed: u64,
    /// Of these, in flight.
    pub in_flight: u64,
    /// The oldest owed sequence: the cursor.
    pub oldest_seq: Option<u64>,
}
