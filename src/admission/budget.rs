//! How many bytes are in flight?
//!
//! Promises: the sum of all permits never exceeds the limit; a dropped permit gives back exactly what it took.
//!
//! Must not know: who holds a permit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Refusal;

/// The bytes that all permits share.
#[derive(Debug)]
pub(super) struct Budget {
    taken: AtomicU64,
    max: u64,
}

impl Budget {
    pub(super) const fn new(max: u64) -> Self {
        Self { taken: AtomicU64::new(0), max }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The permit for a body of at most `body_max` bytes, with room for `bytes`.
    pub(super) fn permit(self: &Arc<Self>, bytes: u64, body_max: u64) -> Result<Permit, Refusal> {
        let mut permit = Permit { budget: Arc::clone(self), bytes: 0, body_max };
        permit.grow(bytes)?;
        Ok(permit)
    }

    fn take(&self, bytes: u64) -> Result<(), Refusal> {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop).map_err(|_| Refusal::Busy)
    }
}

/// The right to be in flight with a number of body bytes; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
    body_max: u64,
}

impl Permit {
    /// Makes room for more bytes of a body, beyond those set aside when it was admitted.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] if the body would exceed the source's limit, [`Refusal::Busy`] if too many bytes are in
    /// flight; the permit is as it was.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let max = self.body_max;
        let sum = self.bytes.checked_add(bytes).filter(|sum| *sum <= max).ok_or(Refusal::TooLarge { max })?;
        self.budget.take(bytes)?;
        self.bytes = sum;
        Ok(())
    }

    /// The bytes this permit stands for.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
