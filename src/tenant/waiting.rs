//! How many bytes wait for their release?
//!
//! A ring of eight figures, each the bytes that are released within one stretch of time. The stretches that are past
//! need no one to clear them: a figure carries the number of its stretch, and counts for nothing once that is over. So
//! what waits is never taken for less than it is, and for more by at most one stretch, a seventh of the longest delay.
//!
//! The ring is made when the first event is shaped; a tenant who stays within its rate has none.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::Pace;

const SLOTS: u64 = 8;
/// Bits of a figure that hold bytes; the rest hold the number of its stretch.
const BYTES: u32 = 40;
const BYTES_MAX: u64 = (1 << BYTES) - 1;
const NUMBERS: u64 = u64::MAX >> BYTES;
/// Shortest stretch, in nanoseconds: the numbers come round after 4.6 hours at the earliest.
const WIDTH_MIN: u64 = 1_000_000;

type Ring = [AtomicU64; 8];

/// The bytes of one tenant that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting(OnceLock<Box<Ring>>);

impl Waiting {
    /// Adds bytes that are released then, unless more would wait than may; in that case says when it would be time to
    /// try again. Whoever is alone may wait.
    pub(super) fn add(&self, pace: &Pace, now: u64, release: u64, bytes: u64) -> Result<(), u64> {
        let ring = self.0.get_or_init(Box::default);
        let (width, bytes) = (width(pace), bytes.min(BYTES_MAX));
        let number = release / width;
        change(ring, number, |held| held.saturating_add(bytes).min(BYTES_MAX));
        let all = sum(ring, now / width);
        if all <= pace.bytes() || all <= bytes {
            return Ok(());
        }
        change(ring, number, |held| held.saturating_sub(bytes));
        Err((now / width + 1).saturating_mul(width))
    }

    /// Takes bytes back.
    pub(super) fn take(&self, pace: &Pace, release: u64, bytes: u64) {
        if let Some(ring) = self.0.get() {
            change(ring, release / width(pace), |held| held.saturating_sub(bytes.min(BYTES_MAX)));
        }
    }
}

/// How long one stretch is: the latest release is seven of them away, and so they touch eight.
fn width(pace: &Pace) -> u64 {
    pace.latest().div_ceil(SLOTS - 1).max(WIDTH_MIN)
}

fn slot(ring: &Ring, number: u64) -> &AtomicU64 {
    &ring[usize::try_from(number % SLOTS).unwrap_or(0)]
}

/// Changes the bytes of a stretch; those of another one that had the place before are forgotten.
fn change(ring: &Ring, number: u64, with: impl Fn(u64) -> u64) {
    let own = number & NUMBERS;
    let next = |figure: u64| {
        let held = if figure >> BYTES == own { figure & BYTES_MAX } else { 0 };
        Some(own << BYTES | with(held))
    };
    let (Ok(_) | Err(_)) = slot(ring, number).fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
}

/// The bytes of this stretch and those that follow.
fn sum(ring: &Ring, current: u64) -> u64 {
    let waits = |figure: u64| ((figure >> BYTES).wrapping_sub(current) & NUMBERS) < SLOTS;
    let figures = ring.iter().map(|figure| figure.load(Ordering::Relaxed));
    figures.filter(|figure| waits(*figure)).map(|figure| figure & BYTES_MAX).sum()
}
