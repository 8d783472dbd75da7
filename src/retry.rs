//! How did an attempt go, and what then?
//!
//! Connect, TLS, DNS, timeouts, broken answers and the statuses 408, 429, 502, 503 and 504 speak against the
//! destination: they never burn an event's attempts, they pace or open the destination's [`Breaker`]. Any other answer
//! that is no success (redirects too) counts against the event, which goes to its [`Schedule`] and then to the dead
//! letters.
//!
//! Promises: pure; jitter comes from a random number passed in; every pause is bounded.
//!
//! Must not know: connections, queues, or the journal.

mod breaker;
mod policy;
mod schedule;

pub use breaker::{Blame, Breaker, Gate, Pass};
pub use policy::{Next, Policy, Reason};
pub use schedule::{Schedule, ScheduleError};

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::verify::Unit;

/// The longest pause that a destination may ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination answered with success.
    Delivered {
        /// The status.
        status: u16,
    },
    /// It speaks against the destination.
    Destination {
        /// What went wrong.
        fault: Fault,
        /// How long it asked to be left alone, at most [`RETRY_AFTER_MAX`].
        retry_after: Option<Duration>,
    },
    /// It speaks against the event.
    Event {
        /// The status; 0 where there was none.
        status: u16,
        /// When it asked to be tried again, at most [`RETRY_AFTER_MAX`].
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// What an answer means.
    #[must_use]
    pub fn of_answer(status: u16, success: &Success, retry_after: Option<Duration>) -> Self {
        let retry_after = retry_after.map(|pause| pause.min(RETRY_AFTER_MAX));
        match status {
            _ if success.contains(status) => Self::Delivered { status },
            408 | 429 | 502 | 503 | 504 => Self::Destination { fault: Fault::Answer(status), retry_after },
            _ => Self::Event { status, retry_after },
        }
    }

    /// The same where a fault is one tenant's alone ([`Blame::Event`]): it counts against the event, so that it is
    /// tried by schedule.
    #[must_use]
    pub const fn against_event(self) -> Self {
        match self {
            Self::Destination { fault: Fault::Answer(status), retry_after } => Self::Event { status, retry_after },
            Self::Destination { retry_after, .. } => Self::Event { status: 0, retry_after },
            Self::Delivered { .. } | Self::Event { .. } => self,
        }
    }

    /// Whether the destination was not even spoken to: no event can bring that about.
    #[must_use]
    pub const fn unconnected(&self) -> bool {
        match self {
            Self::Destination { fault, .. } => fault.unconnected(),
            Self::Delivered { .. } | Self::Event { .. } => false,
        }
    }

    /// Whether the destination was not reached, or what stands in front of it said so: no event brings that about, unless
    /// it brings down what stands behind.
    #[must_use]
    pub const fn unreached(&self) -> bool {
        match self {
            Self::Destination { fault, .. } => fault.unreached(),
            Self::Delivered { .. } | Self::Event { .. } => false,
        }
    }

    /// What it means that there was no answer.
    #[must_use]
    pub const fn of_fault(fault: Fault) -> Self {
        Self::Destination { fault, retry_after: None }
    }
}

/// What went wrong with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Its name could not be resolved.
    Dns,
    /// Its name leads only to addresses that are denied to it.
    Denied,
    /// The proxy before it does not answer, or does not let through.
    Proxy,
    /// No connection.
    Connect,
    /// No TLS, or not its certificate.
    Tls,
    /// No answer before the deadline.
    Timeout,
    /// The connection broke, or what came was no answer.
    Broken,
    /// It said that it cannot now: 408, 429, 502, 503 or 504.
    Answer(u16),
}

impl Fault {
    /// Whether the destination was not even spoken to.
    #[must_use]
    pub const fn unconnected(self) -> bool {
        match self {
            Self::Dns | Self::Denied | Self::Proxy | Self::Connect | Self::Tls => true,
            Self::Timeout | Self::Broken | Self::Answer(_) => false,
        }
    }

    /// Whether the destination was not reached, or what stands in front of it said so.
    #[must_use]
    pub const fn unreached(self) -> bool {
        self.unconnected() || matches!(self, Self::Answer(502..=504))
    }

    /// A word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Denied => "denied",
            Self::Proxy => "proxy",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Answer(_) => "busy",
        }
    }
}

/// Which statuses are success: `2xx` by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success([u64; 7]);

impl Success {
    const FIRST: u16 = 200;
    const LAST: u16 = 599;

    /// Reads a list such as `["2xx"]` or `["200", "204", "409"]`.
    ///
    /// # Errors
    /// [`SuccessError`] with the index of the entry that is wrong.
    pub fn parse<T: AsRef<str>>(list: &[T]) -> Result<Self, SuccessError> {
        let mut found = Self([0; 7]);
        for (at, entry) in list.iter().enumerate() {
            let (first, last) = match *entry.as_ref().as_bytes() {
                [class @ b'2'..=b'5', b'x', b'x'] => {
                    let first = u16::from(class - b'0') * 100;
                    (first, first + 99)
                }
                [class @ b'2'..=b'5', ten @ b'0'..=b'9', one @ b'0'..=b'9'] => {
                    let status = u16::from(class - b'0') * 100 + u16::from(ten - b'0') * 10 + u16::from(one - b'0');
                    (status, status)
                }
                _ => return Err(SuccessError::Entry(at)),
            };
            for status in first..=last {
                let bit = usize::from(status - Self::FIRST);
                found.0[bit / 64] |= 1 << (bit % 64);
            }
        }
        if list.is_empty() { Err(SuccessError::Empty) } else { Ok(found) }
    }

    /// Whether a status is success.
    #[must_use]
    pub const fn contains(&self, status: u16) -> bool {
        if status < Self::FIRST || status > Self::LAST {
            return false;
        }
        let bit = (status - Self::FIRST) as usize;
        self.0[bit / 64] & (1 << (bit % 64)) != 0
    }
}

/// Why a list names no statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessError {
    /// It is empty: nothing would ever be delivered.
    Empty,
    /// The entry at this index is neither a status from 200 to 599 nor a class from `2xx` to `5xx`.
    Entry(usize),
}

impl fmt::Display for SuccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("without a status nothing would ever be delivered"),
            Self::Entry(at) => write!(f, "entry {at} is neither a status such as 204 nor a class such as 2xx"),
        }
    }
}

impl Error for SuccessError {}

/// Reads a `Retry-After` header: seconds or an HTTP date, at most [`RETRY_AFTER_MAX`]; `None` if it says neither.
#[must_use]
pub fn retry_after(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = value.trim_ascii();
    if !text.is_empty() && text.iter().all(u8::is_ascii_digit) {
        let secs = str::from_utf8(text).ok()?.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(secs).min(RETRY_AFTER_MAX));
    }
    Unit::HttpDate.read(text).map(|at| at.since(now).min(RETRY_AFTER_MAX))
}

/// A pause between nothing and `most`, as a random number has it.
fn scaled(most: Duration, random: u64) -> Duration {
    let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    let drawn = (u128::from(random) * (u128::from(most) + 1)) >> 64;
    Duration::from_micros(u64::try_from(drawn).unwrap_or(most))
}

#[cfg(test)]
mod tests;
