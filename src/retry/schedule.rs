//! How long is the pause after a failed attempt?
//!
//! Promises: pauses below one minute are drawn from the whole span up to them, longer ones within a fifth of them.
//!
//! Must not know: what failed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::scaled;

/// The pauses between attempts, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Box<[Duration]>);

impl Schedule {
    /// Most pauses of one schedule.
    pub const PAUSES_MAX: usize = 64;
    /// The longest pause: a week.
    pub const PAUSE_MAX: Duration = Duration::from_secs(7 * 86_400);
    /// Pauses shorter than this are drawn from nothing up to them.
    const FULL_BELOW: Duration = Duration::from_secs(60);

    /// A schedule of these pauses.
    ///
    /// # Errors
    /// [`ScheduleError`] says what is wrong with them.
    pub fn new(pauses: &[Duration]) -> Result<Self, ScheduleError> {
        if pauses.len() > Self::PAUSES_MAX {
            return Err(ScheduleError::TooMany);
        }
        match pauses.iter().position(|pause| *pause > Self::PAUSE_MAX) {
            Some(at) => Err(ScheduleError::TooLong(at)),
            None => Ok(Self(pauses.into())),
        }
    }

    /// The pauses before jitter.
    #[must_use]
    pub fn pauses(&self) -> &[Duration] {
        &self.0
    }

    /// The pause after attempt number `attempt` (the first is 1), with jitter; `None` after the last attempt.
    #[must_use]
    pub fn pause(&self, attempt: u32, random: u64) -> Option<Duration> {
        let at = usize::try_from(attempt.checked_sub(1)?).ok()?;
        let pause = *self.0.get(at)?;
        if pause < Self::FULL_BELOW {
            return Some(scaled(pause, random));
        }
        Some(pause - pause / 5 + scaled(pause / 5 * 2, random))
    }
}

impl Default for Schedule {
    /// 1 s, 5 s, 30 s, 2 m, 10 m, 30 m, 1 h, 2 h, 4 h, 8 h, 12 h, 24 h: about 52 hours.
    fn default() -> Self {
        const SECONDS: [u64; 12] = [1, 5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400];
        Self(SECONDS.iter().map(|secs| Duration::from_secs(*secs)).collect())
    }
}

/// Why pauses are no [`Schedule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleError {
    /// More than [`Schedule::PAUSES_MAX`].
    TooMany,
    /// The pause at this index is longer than a week.
    TooLong(usize),
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "a schedule has at most {} pauses", Schedule::PAUSES_MAX),
            Self::TooLong(at) => write!(f, "pause {at} is longer than a week"),
        }
    }
}

impl Error for ScheduleError {}
