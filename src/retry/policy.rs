//! What happens to an event after an attempt?
//!
//! Promises: an attempt is burned only by what speaks against the event; no event is tried for ever.
//!
//! Must not know: what else the destination owes.

use std::time::Duration;

use super::{Outcome, RETRY_AFTER_MAX, Schedule, scaled};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Delivered: nothing is owed any more.
    Done,
    /// The attempt is burned; try again after this long.
    At(Duration),
    /// The attempt is not burned: put the event back; it may be tried again after this long, as soon as the breaker
    /// lets anything pass.
    Return(Duration),
    /// Given up: a dead letter.
    Dead(Reason),
}

/// Why an event was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every attempt of the schedule was answered, none with success.
    Exhausted,
    /// It became older than the policy allows.
    Expired,
}

impl Reason {
    /// A word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
        }
    }
}

/// How a destination's events are retried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The pauses after attempts that count against the event.
    pub schedule: Schedule,
    /// The age at which an event that failed is given up; `None`: when its schedule ends.
    pub age_max: Option<Duration>,
}

impl Policy {
    /// The longest pause before an event is tried again that met a destination at fault whose breaker did not open.
    pub const RETURN_MAX: Duration = Duration::from_secs(1);

    /// What happens after attempt number `attempt` (the first is 1; attempts that were returned do not count) of an
    /// event of this age.
    #[must_use]
    pub fn next(&self, attempt: u32, age: Duration, outcome: &Outcome, random: u64) -> Next {
        let retry_after = match outcome {
            Outcome::Delivered { .. } => return Next::Done,
            Outcome::Destination { .. } => return Next::Return(scaled(Self::RETURN_MAX, random)),
            Outcome::Event { retry_after, .. } => retry_after.unwrap_or_default(),
        };
        let left = self.age_max.map_or(Duration::MAX, |max| max.saturating_sub(age));
        if left.is_zero() {
            return Next::Dead(Reason::Expired);
        }
        match self.schedule.pause(attempt, random) {
            // The last attempt falls on the last moment.
            Some(pause) => Next::At(pause.max(retry_after.min(RETRY_AFTER_MAX)).min(left)),
            None => Next::Dead(Reason::Exhausted),
        }
    }
}
