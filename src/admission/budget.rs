//! How many bytes are in flight, and how many of them are one caller's who has proven nothing yet?
//!
//! Promises: the sum of all permits never exceeds the limit; what one caller has in flight unproven never exceeds its
//! share, except that one body alone is always let in; a dropped permit gives back exactly what it took; no lock, and
//! memory is set aside at start.
//!
//! Must not know: who holds a permit, and what was proven.
//!
//! Callers are not remembered one by one: each has two places in a fixed table of counters, chosen by a keyed hash, and
//! is held up only where both are full. A share that is full takes its part of the limit, so there are never more than a
//! few, and whoever is not in the way of two of them at once does not notice.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{AHEAD, Refusal};

/// Counters in each of the two rows of the table of shares.
const PLACES: usize = 4096;

/// What the table of shares takes, in bytes.
pub(super) const SHARES: u64 = 2 * 8 * PLACES as u64;

/// The bytes that all permits share.
#[derive(Debug)]
pub(super) struct Budget {
    taken: AtomicU64,
    max: u64,
    unproven: Box<[[AtomicU64; 2]]>,
    share: u64,
    hash: RandomState,
}

impl Budget {
    /// At most `max` bytes in all, and `share` of one caller's who has proven nothing yet.
    pub(super) fn new(max: u64, share: u64) -> Self {
        let unproven = (0..PLACES).map(|_| Default::default()).collect();
        Self { taken: AtomicU64::new(0), max, unproven, share, hash: RandomState::new() }
    }

    /// The most bytes in all, and one caller's share of them.
    pub(super) const fn limits(&self) -> (u64, u64) {
        (self.max, self.share)
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The permit for a body of at most `body_max` bytes, of which `declared` were announced.
    pub(super) fn permit(
        self: &Arc<Self>,
        caller: u128,
        declared: Option<u64>,
        body_max: u64,
    ) -> Result<Permit, Refusal> {
        let declared = declared.unwrap_or(0);
        if self.taken().saturating_add(declared.min(AHEAD)) > self.max {
            return Err(Refusal::Busy);
        }
        let hash = self.hash.hash_one(caller);
        let place = |bits: u64| usize::try_from(bits % PLACES as u64).unwrap_or(0);
        let unproven = Unproven { places: [place(hash), place(hash >> 32)], bytes: 0 };
        Ok(Permit { budget: Arc::clone(self), bytes: 0, declared, body_max, unproven: Some(unproven) })
    }

    fn take(&self, bytes: u64) -> Result<(), Refusal> {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop).map_err(|_| Refusal::Busy)
    }

    /// Counts so many bytes more of a permit as unproven. All permits of a caller pass by the same two counters, so what
    /// fits by either of them is within the share; and nobody is in the way of a body by itself.
    fn owe(&self, unproven: &mut Unproven, more: u64) -> Result<(), Refusal> {
        let fits = self.places(unproven.places).map(|place| {
            let before = place.fetch_add(more, Ordering::Relaxed);
            before == unproven.bytes || before.saturating_add(more) <= self.share
        });
        if fits.contains(&true) {
            unproven.bytes += more;
            return Ok(());
        }
        self.prove(unproven.places, more);
        Err(Refusal::Crowded)
    }

    fn prove(&self, places: [usize; 2], bytes: u64) {
        for place in self.places(places) {
            place.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn places(&self, [one, other]: [usize; 2]) -> [&AtomicU64; 2] {
        [&self.unproven[one][0], &self.unproven[other][1]]
    }
}

/// What a permit's caller is counted for as long as nothing is proven, and where.
#[derive(Debug)]
struct Unproven {
    places: [usize; 2],
    bytes: u64,
}

/// The right to be in flight with a number of body bytes; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
    declared: u64,
    body_max: u64,
    unproven: Option<Unproven>,
}

impl Permit {
    /// Makes room for a body that has come this far, and for more of it: for what was announced as far as [`AHEAD`], and
    /// later for twice what has come, where that can be had. Among the bytes of its caller a body that was announced counts
    /// whole from its first byte on, so that those which are let in do not wait for each other's rest.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] if the body would exceed the source's limit, [`Refusal::Busy`] if too many bytes are in
    /// flight, [`Refusal::Crowded`] if too many unproven ones are this caller's; the permit is as it was.
    pub fn reach(&mut self, length: u64) -> Result<(), Refusal> {
        if length <= self.bytes {
            return Ok(());
        }
        let max = self.body_max;
        if length > max {
            return Err(Refusal::TooLarge { max });
        }
        let most = if self.declared == 0 { max } else { self.declared.max(length) };
        let generous = self.declared.min(AHEAD).max(self.bytes.saturating_mul(2)).clamp(length, most);
        match self.extend(generous) {
            Err(_) if generous > length => self.extend(length),
            result => result,
        }
    }

    /// The body has come to its end, and is so long.
    pub fn settle(&mut self, length: u64) {
        let less = self.bytes.saturating_sub(length);
        self.budget.taken.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }

    /// What was sent is proven: it does not count against its caller any more.
    pub fn proven(&mut self) {
        if let Some(unproven) = self.unproven.take() {
            self.budget.prove(unproven.places, unproven.bytes);
        }
    }

    /// The bytes this permit stands for.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts so many bytes of others in both of its places: what takes the chance of two collisions.
    #[cfg(test)]
    pub(super) fn crowd_its_places(&self, bytes: u64) {
        if let Some(unproven) = &self.unproven {
            for place in self.budget.places(unproven.places) {
                place.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    fn extend(&mut self, to: u64) -> Result<(), Refusal> {
        let more = to.saturating_sub(self.bytes);
        self.budget.take(more)?;
        if let Some(unproven) = &mut self.unproven {
            let owes = to.max(self.declared).saturating_sub(unproven.bytes);
            // What was let in whole is owed already, whoever has come to its places since.
            if owes > 0 {
                self.budget.owe(unproven, owes).inspect_err(|_| {
                    self.budget.taken.fetch_sub(more, Ordering::Relaxed);
                })?;
            }
        }
        self.bytes = to;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.proven();
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
