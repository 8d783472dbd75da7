//! What time is it?
//!
//! Promises: a [`Timestamp`] is an instant of the wall clock in the unit the journal stores, and only [`Clock::now`]
//! reads that clock, so that every other room takes `now` as an argument and can be tested at any time of any day.
//!
//! Must not know: what the time is used for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant of the wall clock: whole microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch; also "no time" where a field is optional on disk.
    pub const ZERO: Self = Self(0);
    /// The last instant that can be told; used for "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The instant that many microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant that many seconds after the Unix epoch; saturates.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This instant moved into the future; saturates at [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// This instant moved into the past; saturates at [`Timestamp::ZERO`].
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with milliseconds, as in `2026-11-20T10:21:00.123Z`; `None` from the year 10000 on.
    #[must_use]
    pub fn rfc3339(self) -> Option<[u8; 24]> {
        const YEAR_10000: u64 = 253_402_300_800;
        let secs = self.as_secs();
        if secs >= YEAR_10000 {
            return None;
        }
        // Years that begin in March, so that the day that is sometimes there is the last one; 400 of them are an era.
        let (days, second) = (secs / 86_400 + 719_468, secs % 86_400);
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text[0..4], era * 400 + year + next);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], second / 3_600);
        put(&mut text[14..16], second / 60 % 60);
        put(&mut text[17..19], second % 60);
        put(&mut text[20..23], self.0 / 1_000 % 1_000);
        Some(text)
    }
}

/// Writes a number into all of these digits.
fn put(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
}

/// RFC 3339 in UTC with milliseconds, as in `2026-11-20T10:21:00.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rfc3339() {
            Some(text) => f.write_str(str::from_utf8(&text).expect("digits and signs")),
            None => write!(f, "{}us", self.0),
        }
    }
}

/// The source of `now`.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until its [`Hand`] is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, Hand) {
        let cell = Arc::new(AtomicU64::new(start.0));
        (Self(Source::Manual(Arc::clone(&cell))), Hand(cell))
    }

    /// The instant it is now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp(system_micros()),
            Source::Manual(cell) => Timestamp(cell.load(Ordering::Relaxed)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_micros() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

/// Moves a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::ZERO.minus(Duration::from_secs(1)), Timestamp::ZERO);
        assert_eq!(Timestamp::from_secs(5).since(Timestamp::from_secs(9)), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(u64::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved() {
        let (clock, hand) = Clock::manual(Timestamp::from_secs(10));
        assert_eq!(clock.now(), clock.now());
        hand.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().as_micros(), 11_500_000);
        hand.set(Timestamp::from_secs(3));
        assert_eq!(clock.now(), Timestamp::from_secs(3));
    }

    #[test]
    fn text_is_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_micros(1_700_000_000_123_456).to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::MAX.to_string(), "18446744073709551615us");
        assert_eq!(Timestamp::from_secs(253_402_300_799).to_string(), "9999-12-31T23:59:59.000Z");
        assert_eq!(Timestamp::from_secs(253_402_300_800).to_string(), "253402300800000000us");
    }

    #[test]
    fn the_calendar_is_that_of_others() {
        let others = |at: Timestamp| {
            let instant = jiff::Timestamp::from_microsecond(i64::try_from(at.as_micros()).unwrap()).unwrap();
            format!("{instant:.3}")
        };
        // The edges of every day of a few centuries, and of each year and February to the end.
        let days = (0..50_000).chain((0..8029).flat_map(|year| {
            let first = year * 146_097 / 400;
            (first - 1).max(0)..first + 62
        }));
        for day in days {
            for micros in [0, 86_399_999_999, 43_261_987_654] {
                let at = Timestamp::from_micros(u64::try_from(day).unwrap() * 86_400_000_000 + micros);
                assert_eq!(at.to_string(), others(at), "{}", at.as_micros());
            }
        }
    }
}
