//! How fast may a destination be sent to?
//!
//! Promises: pure, over `now` and numbers passed in; after a destination was left in peace it is approached with one
//! attempt at a time, doubling with every second in which nothing spoke against it.
//!
//! Must not know: connections, tasks, the journal.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::retry::{Blame, Breaker, Gate, Outcome, Pass, Schedule};

/// A second without a fault lets the concurrency double.
const CLEAN: Duration = Duration::from_secs(1);

/// The state of one destination, as far as it concerns how fast it is sent to.
#[derive(Debug)]
pub(super) struct Pace {
    breaker: Breaker,
    max: u16,
    limit: u16,
    clean_since: Timestamp,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    None,
    /// From now on it is left in peace.
    Away,
    /// It is back.
    Back,
}

impl Pace {
    pub(super) fn new(max: u16) -> Self {
        Self { breaker: Breaker::default(), max, limit: max, clean_since: Timestamp::ZERO }
    }

    /// How many attempts may run at the same time.
    pub(super) fn limit(&mut self, now: Timestamp) -> u16 {
        if now < self.clean_since {
            // The wall clock was set back.
            self.clean_since = now;
        }
        while self.limit < self.max && now.since(self.clean_since) >= CLEAN {
            self.limit = self.limit.saturating_mul(2).min(self.max);
            self.clean_since = self.clean_since.plus(CLEAN);
        }
        self.limit
    }

    /// When the limit will be higher, if nothing speaks against it.
    pub(super) fn rises(&self) -> Option<Timestamp> {
        (self.limit < self.max).then(|| self.clean_since.plus(CLEAN))
    }

    /// May anything be sent?
    pub(super) fn gate(&mut self, now: Timestamp) -> Gate {
        self.breaker.may_send(now)
    }

    /// How many of the oldest owed events a probe passes over.
    pub(super) fn probe_skip(&self) -> usize {
        self.breaker.probe_skip() as usize
    }

    /// What was let pass did not become an attempt.
    pub(super) fn unused(&mut self, pass: Pass) {
        if pass == Pass::Probe {
            self.breaker.probe_unused();
        }
    }

    /// Whether it is left in peace.
    pub(super) const fn is_away(&self) -> bool {
        !self.breaker.closed()
    }

    /// Takes note of an outcome, and tells against whom it speaks.
    pub(super) fn record(
        &mut self,
        pass: Pass,
        outcome: &Outcome,
        tenant: u64,
        now: Timestamp,
        random: u64,
    ) -> (Turn, Blame) {
        let was_away = self.is_away();
        let blame = self.breaker.record(pass, outcome, tenant, now, random);
        let turn = match (was_away, self.is_away()) {
            (false, true) => Turn::Away,
            (true, false) => {
                self.limit = 1;
                self.clean_since = now;
                Turn::Back
            }
            _ => {
                if matches!(outcome, Outcome::Destination { .. }) {
                    self.clean_since = now;
                }
                Turn::None
            }
        };
        (turn, blame)
    }
}

/// Which attempt it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The attempt of this number; the first is 1.
    Attempt(u32),
    /// None before then; this attempt was the last whose time had come.
    Hold(Timestamp, u32),
}

/// Which attempt follows on `attempts` that were made.
///
/// Where the count was lost (more events wait for their next attempt than the journal has slots for), the step in the
/// schedule follows from the event's age. It is attempted if that step began since it was handed out before (`lost`), so
/// that it is attempted once in each; where that is not known (zero), within the first quarter of the pause.
pub(super) fn step(
    schedule: &Schedule,
    attempts: u32,
    lost: Option<Timestamp>,
    accepted: Timestamp,
    now: Timestamp,
) -> Step {
    let Some(before) = lost else {
        return Step::Attempt(attempts.saturating_add(1));
    };
    let mut due = accepted;
    let mut number = 1;
    for pause in schedule.pauses() {
        let next = due.plus(*pause);
        if now < next {
            let known = before > Timestamp::ZERO && before <= now;
            let fresh = if known { due > before } else { now.since(due) <= *pause / 4 };
            return if fresh { Step::Attempt(number) } else { Step::Hold(next, number) };
        }
        due = next;
        number += 1;
    }
    Step::Attempt(number)
}

/// How often each of a few events was put back because of a fault while the destination was well with others.
///
/// It may be the event that makes the destination hang. No attempt is burned for it, but the pause before the next one
/// doubles, so that a few of its kind do not take all the workers for ever.
#[derive(Debug, Default)]
pub(super) struct Patience {
    events: BTreeMap<u64, Tried>,
    /// Answers there were, whatever they said.
    answers: u64,
}

/// How often an event was put back, and how many answers there had been when it was last.
#[derive(Clone, Copy, Debug)]
struct Tried {
    times: u32,
    answers: u64,
}

impl Patience {
    /// The most events that are remembered; the oldest are forgotten first.
    const MAX: usize = 256;
    /// A pause is doubled at most so many times.
    const DOUBLINGS: u32 = 9;

    /// The pause before this event is tried again, from what the policy says of the first time. Where the fault may be that
    /// of what stands in front (`unreached`), it is the event's only if another one was answered since the last time.
    pub(super) fn again(&mut self, seq: u64, pause: Duration, unreached: bool) -> Duration {
        if self.events.len() >= Self::MAX && !self.events.contains_key(&seq) {
            self.events.pop_first();
        }
        let answers = self.answers;
        let Some(tried) = self.events.get_mut(&seq) else {
            self.events.insert(seq, Tried { times: 1, answers });
            return pause;
        };
        if unreached && tried.answers == answers {
            return pause;
        }
        let pause = pause * (1 << tried.times);
        *tried = Tried { times: (tried.times + 1).min(Self::DOUBLINGS), answers };
        pause
    }

    /// Some event was answered.
    pub(super) fn heard(&mut self) {
        self.answers = self.answers.wrapping_add(1);
    }

    /// This event was answered.
    pub(super) fn forget(&mut self, seq: u64) {
        if !self.events.is_empty() {
            self.events.remove(&seq);
        }
    }
}

/// Random numbers for jitter and span ids, where nobody gains by guessing them (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A pause between zero and `most`.
    pub(super) fn pause(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.roll() % most.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests;
