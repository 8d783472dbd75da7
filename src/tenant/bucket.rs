//! Is it this tenant's turn?
//!
//! GCRA (ITU-T I.371 calls it the generic cell rate algorithm): one number says it all, the theoretical arrival time.
//! Each event moves it on by the interval of the rate; it may run ahead of the clock by the burst. What runs further
//! ahead is early by exactly that much: shaped, that is its delay.
//!
//! So the delay is also the measure of what waits: whoever is early by `k` intervals has `k` events before them, and the
//! quota of events is a quota of delay. Both drain by themselves as time passes, and nothing is to be given back when a
//! shaped event is released. Only bytes need figures of their own, see `waiting`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::waiting::Waiting;
use super::{Beyond, Limits, Over};
use crate::clock::Timestamp;

/// The clock counts as set back if the theoretical arrival time is further ahead than it can be, and by this much more,
/// in nanoseconds: of two threads that asked the clock, the later may be charged first.
const SET_BACK: u64 = 60_000_000_000;
/// A batch costs at most what a bucket can owe otherwise, and so many events more.
const BATCH: u64 = 256;
/// Releases fall on a grid of so many steps per longest delay, so that those who wake for them do so that often at most.
const GRID: u64 = 1_000;

/// [`Limits`], computed. All times are nanoseconds, which are those since the epoch until the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Between two events; rounded up, so that no more pass than the rate says. 0: nobody is held up.
    interval: u64,
    /// How far ahead of the clock what passes at once may be.
    burst: u64,
    /// How long the longest delay is: of the quotas of delay and of events the smaller.
    delay: u64,
    /// The most bytes that wait.
    bytes: u64,
}

impl Pace {
    /// No limits.
    pub const NONE: Self = Self { interval: 0, burst: 0, delay: 0, bytes: 0 };

    /// Computes limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let whole = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let interval = whole(limits.per).div_ceil(u64::from(limits.count.max(1))).max(1);
        let events = interval.saturating_mul(u64::from(limits.quota.events));
        // A quarter of all time for each of the two keeps every sum below within its number.
        let most = u64::MAX / 4;
        Self {
            interval,
            burst: interval.saturating_mul(u64::from(limits.burst.max(1))).min(most),
            delay: whole(limits.quota.delay).min(events).min(most),
            bytes: limits.quota.bytes,
        }
    }

    /// Whether anybody is ever held up.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.interval > 0
    }

    /// How far away the latest release can be, in nanoseconds: the longest delay, and what rounding adds.
    pub(super) const fn latest(&self) -> u64 {
        self.delay.saturating_add(self.grid()).saturating_add(1_000)
    }

    /// The most bytes that wait.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    const fn grid(&self) -> u64 {
        if self.delay < GRID { 1 } else { self.delay / GRID }
    }

    /// How far ahead of the clock a bucket can be.
    const fn ceiling(&self) -> u64 {
        self.burst.saturating_add(self.delay).saturating_add(self.interval.saturating_mul(BATCH))
    }

    /// What so many events cost together.
    fn cost(&self, events: u32) -> u64 {
        self.interval.saturating_mul(u64::from(events)).min(self.ceiling())
    }

    /// What becomes of a charge at `now` where the theoretical arrival time is `tat`, and what it is then.
    fn judge(&self, tat: u64, now: u64, cost: u64, over: Over) -> (u64, Verdict) {
        let lost = tat > now.saturating_add(self.ceiling()).saturating_add(SET_BACK);
        let from = if lost { now } else { tat.max(now) };
        let next = from.saturating_add(cost);
        let ahead = next - now;
        let early = ahead.saturating_sub(self.burst);
        match over {
            _ if early == 0 => (next, Verdict::Pass),
            Over::Shape(_) if early <= self.delay => {
                let release = (now + early).div_ceil(self.grid()).saturating_mul(self.grid());
                (next, Verdict::At(Timestamp::from_micros(release.div_ceil(1000))))
            }
            // A batch that is larger than all of this would never fit: a full bucket lets it pass, and it is paid for
            // before anything else does.
            _ if from == now => (next, Verdict::Pass),
            Over::Refuse => (tat, refuse(early.min(from - now))),
            Over::Shape(Beyond::Refuse) => (tat, refuse((early - self.delay).min(from - now))),
            Over::Shape(Beyond::Release) => (tat, Verdict::Unshaped),
        }
    }
}

const fn refuse(nanos: u64) -> Verdict {
    Verdict::Refuse { retry_after: Duration::from_nanos(nanos) }
}

/// What becomes of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They go on at once.
    Pass,
    /// They are stored, and released then.
    At(Timestamp),
    /// They go on at once, and are not charged: too much waits already, and refused they would be lost.
    Unshaped,
    /// They are refused, and were not charged.
    Refuse {
        /// When they would be heard.
        retry_after: Duration,
    },
}

/// A verdict, and what is needed to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What becomes of the events.
    pub verdict: Verdict,
    /// The theoretical arrival time behind them; 0 where nothing was charged.
    after: u64,
    cost: u64,
    bytes: u64,
    /// Whether it was charged to the bucket that those share who have none.
    shared: bool,
}

impl Charge {
    /// Nobody is limited.
    pub(super) const PASS: Self = Self { verdict: Verdict::Pass, after: 0, cost: 0, bytes: 0, shared: false };

    /// The same, of the bucket that those share who have none.
    pub(super) const fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    pub(super) const fn is_shared(&self) -> bool {
        self.shared
    }
}

/// How far a tenant is ahead. 24 bytes, and 64 more once something was shaped.
#[derive(Debug, Default)]
pub struct Bucket {
    /// The theoretical arrival time. Nothing else is published by it, so its order to other memory is of no concern.
    tat: AtomicU64,
    waiting: Waiting,
}

impl Bucket {
    /// Charges so many events with so many bytes together: all of them, or none.
    pub fn charge(&self, pace: &Pace, now: Timestamp, events: u32, bytes: u64, over: Over) -> Charge {
        if !pace.is_limited() || events == 0 {
            return Charge::PASS;
        }
        let (clock, cost) = (nanos(now), pace.cost(events));
        let (after, verdict) = self.swap(|tat| pace.judge(tat, clock, cost, over));
        let charge = Charge { verdict, after, cost, bytes, shared: false };
        match verdict {
            Verdict::Pass => charge,
            Verdict::Refuse { .. } | Verdict::Unshaped => Charge { after: 0, ..charge },
            Verdict::At(release) => match self.waiting.add(pace, clock, nanos(release), bytes) {
                Ok(()) => charge,
                Err(freed) => {
                    // The place in time is free for an event with fewer bytes.
                    self.swap(|tat| (tat.saturating_sub(cost), ()));
                    let verdict = match over {
                        Over::Shape(Beyond::Release) => Verdict::Unshaped,
                        Over::Shape(Beyond::Refuse) | Over::Refuse => refuse(freed - clock),
                    };
                    Charge { verdict, after: 0, ..charge }
                }
            },
        }
    }

    /// Takes a charge back whose events went no further. What time has forgiven since is not forgiven twice.
    pub fn give_back(&self, pace: &Pace, charge: &Charge, now: Timestamp) {
        if charge.after > nanos(now) {
            self.swap(|tat| (tat.saturating_sub(charge.cost), ()));
            if let Verdict::At(release) = charge.verdict {
                self.waiting.take(pace, nanos(release), charge.bytes);
            }
        }
    }

    /// Whether it is as good as a new one.
    #[must_use]
    pub fn is_full(&self, now: Timestamp) -> bool {
        self.tat.load(Ordering::Relaxed) <= nanos(now)
    }

    /// A bucket that is as many events ahead under these limits as this one is under those. What waits of it is not
    /// known to the new one, so the quota of bytes begins anew.
    #[must_use]
    pub fn converted(&self, from: &Pace, to: &Pace, now: Timestamp) -> Self {
        let (clock, tat) = (nanos(now), self.tat.load(Ordering::Relaxed));
        if !from.is_limited() || !to.is_limited() || tat <= clock {
            return Self::default();
        }
        let ahead = u128::from(tat - clock) * u128::from(to.interval) / u128::from(from.interval);
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX).min(to.ceiling());
        Self { tat: AtomicU64::new(clock.saturating_add(ahead)), waiting: Waiting::default() }
    }

    /// Replaces the theoretical arrival time by what `next` makes of it; answers with that, and with what else it says.
    fn swap<T>(&self, next: impl Fn(u64) -> (u64, T)) -> (u64, T) {
        let mut tat = self.tat.load(Ordering::Relaxed);
        loop {
            let (then, said) = next(tat);
            match self.tat.compare_exchange_weak(tat, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return (then, said),
                Err(other) => tat = other,
            }
        }
    }
}

const fn nanos(time: Timestamp) -> u64 {
    time.as_micros().saturating_mul(1000)
}

#[cfg(test)]
mod tests;
