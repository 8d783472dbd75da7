//! May anything be sent to this destination now?
//!
//! Closed, it lets everything pass. It opens at five faults in a row, at half of at least twenty outcomes within 30 s,
//! when nothing was reached for half a second, or when the destination asks to be left alone; then it lets one probe pass
//! after 1 s, doubling to 60 s with full jitter, but never later than half of the time it has been away: what lasted a
//! few seconds costs no more than a few. A probe that is answered closes it, whatever the answer says about the event.
//!
//! Promises: a state machine over `now` and numbers passed in; no answer about one event opens it, nor do the faults of
//! one tenant while all others are answered (those are counted against its events: [`Blame::Event`]), except where no
//! connection came about or the destination asked to be left alone.
//!
//! Must not know: connections or events.

use std::time::Duration;

use crate::clock::Timestamp;

use super::{Fault, Outcome, RETRY_AFTER_MAX, scaled};

/// The state of one destination.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    state: State,
    /// Faults since the last answer, and when the first of them was.
    run: u32,
    since: Timestamp,
    /// Of these, those where it was not reached, and when the first of them was.
    unreached: u32,
    unreached_since: Timestamp,
    counts: [Count; COUNTS],
    /// The tenants heard of last, the latest first; 0 where there is none.
    tenants: [Tenant; TENANTS],
    /// Probes that failed since it opened.
    failed: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// Not before then.
    Open(Timestamp),
    /// A probe is under way.
    Probing,
}

/// Outcomes of one slice of the span.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    slice: u64,
    all: u32,
    faults: u32,
}

/// A tenant, and how its last attempt ended.
#[derive(Clone, Copy, Debug, Default)]
struct Tenant {
    name: u64,
    answered: bool,
    at: Timestamp,
}

/// Slices of the span within which outcomes are counted.
const COUNTS: usize = 6;
/// Tenants remembered.
const TENANTS: usize = 8;

/// Whether something may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Go,
    /// One attempt may be made, of the oldest owed event but [`Breaker::probe_skip`]; nothing else until its outcome.
    Probe,
    /// Not before then.
    Wait(Timestamp),
    /// Not before the outcome of the probe that is under way.
    Probing,
}

/// As what an attempt was let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// As any attempt.
    Go,
    /// As the probe.
    Probe,
}

/// Against whom an outcome was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody.
    Nobody,
    /// The destination.
    Destination,
    /// The event: an answer about it, or a fault that only its tenant sees. Pass the latter to
    /// [`Outcome::against_event`] before asking the policy.
    Event,
}

impl Breaker {
    /// The first pause after opening.
    pub const PAUSE_MIN: Duration = Duration::from_secs(1);
    /// The longest pause, unless the destination asks for more.
    pub const PAUSE_MAX: Duration = Duration::from_secs(60);
    /// Faults in a row that open it.
    pub const RUN: u32 = 5;
    /// Not reached at least twice, this long apart, and not once answered in between, it is away: a quiet destination has
    /// no five attempts that could fail.
    pub const UNREACHED: Duration = Duration::from_millis(500);
    /// Outcomes within [`Breaker::SPAN`] from which on half of them open it.
    pub const SHARE_OF: u32 = 20;
    /// The span within which outcomes are counted.
    pub const SPAN: Duration = Duration::from_secs(30);
    /// From this number on, a probe takes the oldest event again.
    pub const PROBE_SKIPS: u32 = 64;

    /// May anything be sent? [`Gate::Probe`] hands out the probe: its outcome must be recorded, or
    /// [`Breaker::probe_unused`] called.
    #[must_use]
    pub fn may_send(&mut self, now: Timestamp) -> Gate {
        match self.state {
            State::Closed => Gate::Go,
            State::Probing => Gate::Probing,
            State::Open(until) if until <= now => {
                self.state = State::Probing;
                Gate::Probe
            }
            State::Open(until) => {
                // No pause is longer than this, unless the clock was set back.
                let until = until.min(now.plus(RETRY_AFTER_MAX));
                self.state = State::Open(until);
                Gate::Wait(until)
            }
        }
    }

    /// Takes note of an outcome, and says against whom it was counted. `tenant` is a hash of the event's tenant, 0
    /// where there is none. What was sent before it opened and ends while it is open changes nothing.
    pub fn record(&mut self, pass: Pass, outcome: &Outcome, tenant: u64, now: Timestamp, random: u64) -> Blame {
        let probe = pass == Pass::Probe && self.state == State::Probing;
        match outcome {
            Outcome::Delivered { .. } | Outcome::Event { .. } => {
                if probe || self.state == State::Closed {
                    self.answered(probe, tenant, now);
                }
                if matches!(outcome, Outcome::Event { .. }) { Blame::Event } else { Blame::Nobody }
            }
            Outcome::Destination { fault, retry_after } => {
                let asked = retry_after.is_some();
                if self.state == State::Closed && self.spared(*fault, tenant, now) && !asked {
                    return Blame::Event;
                }
                if probe || self.state == State::Closed {
                    self.failed(probe, outcome.unreached(), *retry_after, now, random);
                }
                Blame::Destination
            }
        }
    }

    /// The probe was not sent after all.
    pub fn probe_unused(&mut self) {
        if self.state == State::Probing {
            self.state = State::Open(Timestamp::ZERO);
        }
    }

    /// How many of the oldest owed events a probe passes over: one more after every two probes that failed, from
    /// [`Breaker::PROBE_SKIPS`] on none again.
    #[must_use]
    pub const fn probe_skip(&self) -> u32 {
        self.failed / 2 % Self::PROBE_SKIPS
    }

    /// Whether it is closed.
    #[must_use]
    pub const fn closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn answered(&mut self, probe: bool, tenant: u64, now: Timestamp) {
        if probe {
            *self = Self { tenants: self.tenants, ..Self::default() };
        }
        self.run = 0;
        self.unreached = 0;
        self.count(0, now);
        self.note_tenant(Tenant { name: tenant, answered: true, at: now });
    }

    fn failed(&mut self, probe: bool, unreached: bool, retry_after: Option<Duration>, now: Timestamp, random: u64) {
        // A clock that was set back begins the row anew.
        if self.run == 0 || now < self.since {
            self.since = now;
        }
        self.run = self.run.saturating_add(1);
        let away = now.since(self.since);
        let (all, faults) = self.count(1, now);
        let many = all >= Self::SHARE_OF && faults.saturating_mul(2) >= all;
        let gone = unreached && self.unreached_again(now);
        if probe {
            self.failed = self.failed.saturating_add(1);
        } else if self.run < Self::RUN && !many && !gone && retry_after.is_none() {
            return;
        }
        let doubled = Self::PAUSE_MIN.saturating_mul(1 << self.failed.min(6)).min(Self::PAUSE_MAX);
        let pause = doubled.min((away / 2).max(Self::PAUSE_MIN));
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.state = State::Open(now.plus(scaled(pause, random).max(asked)));
    }

    /// It was not reached; whether it was not for long enough. What hung or broke off in between was no answer, but may have
    /// been an event's doing, and does not count.
    fn unreached_again(&mut self, now: Timestamp) -> bool {
        if self.unreached == 0 || now < self.unreached_since {
            self.unreached_since = now;
        }
        self.unreached = self.unreached.saturating_add(1);
        self.unreached > 1 && now.since(self.unreached_since) >= Self::UNREACHED
    }

    /// Adds an outcome; says how many there were within the span, and how many of them faults.
    fn count(&mut self, faults: u32, now: Timestamp) -> (u32, u32) {
        let length = Self::SPAN / u32::try_from(COUNTS).unwrap_or(1);
        let slice = now.as_micros() / u64::try_from(length.as_micros()).unwrap_or(u64::MAX).max(1);
        let oldest = slice.saturating_sub(COUNTS as u64 - 1);
        let at = usize::try_from(slice % COUNTS as u64).unwrap_or(0);
        if self.counts[at].slice != slice {
            self.counts[at] = Count { slice, ..Count::default() };
        }
        self.counts[at].all = self.counts[at].all.saturating_add(1);
        self.counts[at].faults = self.counts[at].faults.saturating_add(faults);
        let within = self.counts.iter().filter(|count| (oldest..=slice).contains(&count.slice));
        within.fold((0, 0), |(all, faults), count| (all.saturating_add(count.all), faults.saturating_add(count.faults)))
    }

    /// Whether a fault is this tenant's alone: it was connected to, and of the other tenants heard of lately there is
    /// one at least, and the last outcome of each was an answer.
    fn spared(&mut self, fault: Fault, tenant: u64, now: Timestamp) -> bool {
        self.note_tenant(Tenant { name: tenant, answered: false, at: now });
        let reached = !fault.unconnected();
        let other = |known: &&Tenant| known.name != 0 && known.name != tenant && now.since(known.at) < Self::SPAN;
        let mut others = self.tenants.iter().filter(other).peekable();
        reached && tenant != 0 && others.peek().is_some() && others.all(|other| other.answered)
    }

    /// Puts a tenant first; the one heard of longest ago is forgotten.
    fn note_tenant(&mut self, tenant: Tenant) {
        if tenant.name == 0 {
            return;
        }
        let at = self.tenants.iter().position(|known| known.name == tenant.name).unwrap_or(TENANTS - 1);
        self.tenants[..=at].rotate_right(1);
        self.tenants[0] = tenant;
    }
}

#[cfg(test)]
mod tests;
