//! Is it too early for the next attempt, by the rate that a destination was promised?
//!
//! GCRA: one number says it all, the time at which the next attempt would come if they came evenly. It may come a little
//! earlier, so that what timers are late is made good.
//!
//! Promises: pure; over any stretch no more attempts are let pass than the rate allows, and those of [`SLACK`]; a clock
//! that was set back costs no more than a pause.
//!
//! Must not know: what waits, or for how long.

use std::time::Duration;

use crate::clock::Timestamp;

/// How much earlier than evenly an attempt may come, in nanoseconds.
pub(super) const SLACK: u64 = 20_000_000;

/// The rate of one destination, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Throttle {
    /// Nanoseconds between two attempts that come evenly.
    every: u64,
    /// When the next would come evenly, in nanoseconds.
    due: u64,
}

impl Throttle {
    /// One attempt in this time, on average.
    pub(super) fn new(every: Duration) -> Self {
        Self { every: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX / 4).clamp(1, u64::MAX / 4), due: 0 }
    }

    /// The same rate or another one, for a destination that was sent to at `before`.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        Self { due: before.map_or(self.due, |before| before.due), ..self }
    }

    /// When an attempt may begin, if it may not now.
    pub(super) fn too_early(&mut self, now: Timestamp) -> Option<Timestamp> {
        let now = nanos(now);
        // So far off it cannot be unless the wall clock was set back, or the rate was another one.
        let most = now.saturating_add(self.every).saturating_add(SLACK);
        self.due = self.due.min(most);
        let may = self.due.saturating_sub(SLACK);
        (now < may).then(|| Timestamp::from_micros(may.div_ceil(1_000)))
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.due = self.due.max(nanos(now)).saturating_add(self.every);
    }
}

fn nanos(time: Timestamp) -> u64 {
    time.as_micros().saturating_mul(1_000)
}

#[cfg(test)]
mod tests;
