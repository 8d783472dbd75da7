//! Who was refused too often?
//!
//! One number per address says it all (GCRA): the instant at which everything it did is forgiven. The table is a fixed
//! number of sets of eight places; an address has its places in one set, chosen by a keyed hash, and where all eight
//! are taken the one closest to being forgiven makes room.
//!
//! Promises: memory is set aside at start and never grows; all questions cost the same; while nobody is being held
//! back, the question costs one atomic load.
//!
//! Must not know: why somebody was refused.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;

const PLACES: usize = 8;

/// An address and the instant at which it is forgiven; `Timestamp::ZERO` where the place is free.
#[derive(Clone, Copy, Debug)]
struct Place {
    caller: u128,
    forgiven: Timestamp,
}

const FREE: Place = Place { caller: 0, forgiven: Timestamp::ZERO };

/// What a place takes, in bytes, with its part of the set.
pub(super) const ADDRESS: u64 = size_of::<Mutex<[Place; PLACES]>>().div_ceil(PLACES) as u64;

/// What addresses collected.
#[derive(Debug)]
pub(super) struct Refusals {
    sets: Box<[Mutex<[Place; PLACES]>]>,
    hash: RandomState,
    /// The latest instant at which anybody is forgiven, in microseconds.
    latest: AtomicU64,
    burst: u32,
    every: Duration,
}

impl Refusals {
    /// A table for at least `addresses_max` addresses.
    pub(super) fn new(burst: u32, every: Duration, addresses_max: usize) -> Self {
        let sets = addresses_max.div_ceil(PLACES).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::new([FREE; PLACES])).collect(),
            hash: RandomState::new(),
            latest: AtomicU64::new(0),
            burst,
            every,
        }
    }

    /// How long the caller must wait until another refusal would be forgiven in time; `None` if it need not.
    pub(super) fn wait(&self, caller: u128, now: Timestamp) -> Option<Duration> {
        if self.latest.load(Ordering::Relaxed) <= now.as_micros() {
            return None;
        }
        let set = self.set(caller);
        let place = set.iter().find(|place| place.caller == caller && place.forgiven > now)?;
        if place.forgiven > now.plus(self.span()) {
            // Nobody owes so much: the clock was set back since. The next charge puts it right.
            return None;
        }
        let owed = place.forgiven.since(now) + self.every;
        owed.checked_sub(self.span()).filter(|wait| !wait.is_zero())
    }

    /// Charges a refusal. What is owed never exceeds the burst, so nobody is held back longer than it takes to be
    /// forgiven all of it.
    pub(super) fn charge(&self, caller: u128, now: Timestamp) {
        let mut set = self.set(caller);
        let most = now.plus(self.span());
        let known = set.iter().position(|place| place.caller == caller && place.forgiven > now);
        let at = known.or_else(|| (0..PLACES).min_by_key(|at| set.get(*at).map(|place| place.forgiven)));
        let Some(place) = at.and_then(|at| set.get_mut(at)) else { return };
        // What was charged before the clock was set back is no longer owed.
        let from = if known.is_some() && place.forgiven <= most { place.forgiven } else { now };
        let forgiven = from.plus(self.every).min(most);
        *place = Place { caller, forgiven };
        self.latest.fetch_max(forgiven.as_micros(), Ordering::Relaxed);
    }

    fn span(&self) -> Duration {
        self.every.saturating_mul(self.burst)
    }

    fn set(&self, caller: u128) -> MutexGuard<'_, [Place; PLACES]> {
        let count = u64::try_from(self.sets.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(self.hash.hash_one(caller) % count).unwrap_or(0);
        // A set is written in one assignment, so a panic elsewhere cannot have left half of one.
        self.sets[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
