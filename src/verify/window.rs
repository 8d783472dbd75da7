//! When did the provider say it, and is that recent enough?
//!
//! Promises: the text is read strictly in the unit of the definition, twenty digits do not overflow, and both edges of
//! the window are inside. The text itself, never a rewritten time, is what a signature covers.
//!
//! Must not know: where the text stood, or whether it was signed.

use std::time::Duration;

use super::VerifyError;
use crate::clock::Timestamp;

/// How a provider writes a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Whole seconds since 1970.
    Seconds,
    /// Whole milliseconds since 1970.
    Milliseconds,
    /// Seconds or milliseconds, told apart by size.
    Auto,
    /// RFC 3339, any fraction.
    Rfc3339,
    /// As in an HTTP `Date` header.
    HttpDate,
    /// Text that is signed but is no time (a nonce).
    Opaque,
}

impl Unit {
    /// The names a provider file uses.
    pub const NAMES: &'static [&'static str] = &["s", "ms", "auto", "rfc3339", "http-date", "opaque"];

    /// The unit of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "s" => Self::Seconds,
            "ms" => Self::Milliseconds,
            "auto" => Self::Auto,
            "rfc3339" => Self::Rfc3339,
            "http-date" => Self::HttpDate,
            "opaque" => Self::Opaque,
            _ => return None,
        })
    }

    /// The instant a text stands for; `None` when it is none in this unit.
    pub(crate) fn read(self, text: &[u8]) -> Option<Timestamp> {
        match self {
            Self::Seconds => digits(text).map(Timestamp::from_secs),
            Self::Milliseconds => digits(text).map(from_millis),
            Self::Auto => digits(text).map(|count| match count {
                0..100_000_000_000 => Timestamp::from_secs(count),
                _ => from_millis(count),
            }),
            Self::Rfc3339 => {
                let text = str::from_utf8(text).ok()?;
                let shaped = text.len() >= 20 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'[');
                from_jiff(shaped.then(|| text.parse().ok())??)
            }
            Self::HttpDate => {
                let text = str::from_utf8(text).ok().filter(|text| text.ends_with(" GMT"))?;
                from_jiff(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
            }
            Self::Opaque => None,
        }
    }

    /// Writes an instant as a provider would.
    #[must_use]
    pub fn write(self, at: Timestamp) -> String {
        match self {
            Self::Seconds | Self::Auto | Self::Opaque => at.as_secs().to_string(),
            Self::Milliseconds => (at.as_micros() / 1000).to_string(),
            Self::Rfc3339 => at.to_string(),
            Self::HttpDate => {
                let secs = i64::try_from(at.as_secs()).unwrap_or(0);
                let instant = jiff::Timestamp::from_second(secs).unwrap_or_default();
                instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
            }
        }
    }
}

/// Up to twenty ASCII digits that fit 64 bits; no sign, no blanks.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

fn from_millis(millis: u64) -> Timestamp {
    Timestamp::from_micros(millis.saturating_mul(1000))
}

fn from_jiff(instant: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(instant.as_microsecond()).ok().map(Timestamp::from_micros)
}

/// Which times are recent enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How far a time may lie from the arrival.
    pub within: Duration,
    /// Whether a time ahead of the arrival is judged, too; where not, only the past is.
    pub both: bool,
}

impl Window {
    /// Whether a time is inside at `now`; both edges are, and parts of a second do not count.
    pub(crate) fn judge(self, at: Timestamp, now: Timestamp) -> Result<(), VerifyError> {
        if now.since(at).as_secs() > self.within.as_secs() {
            return Err(VerifyError::Stale);
        }
        if self.both && at.since(now).as_secs() > self.within.as_secs() {
            return Err(VerifyError::Future);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_strictly_in_its_unit() {
        use Unit::{Auto, HttpDate, Milliseconds, Opaque, Rfc3339, Seconds};
        let cases: &[(&str, Unit, &str, Option<u64>)] = &[
            ("seconds", Seconds, "1700000000", Some(1_700_000_000_000_000)),
            ("zero", Seconds, "0", Some(0)),
            ("twenty digits that fit", Seconds, "00000000000000000001", Some(1_000_000)),
            ("twenty digits that do not fit", Seconds, "99999999999999999999", None),
            ("more seconds than microseconds fit", Seconds, "18446744073709551615", Some(u64::MAX)),
            ("twenty-one digits", Seconds, "000000000000000000001", None),
            ("nothing", Seconds, "", None),
            ("a sign", Seconds, "+1700000000", None),
            ("a minus", Seconds, "-1", None),
            ("a blank", Seconds, " 1700000000", None),
            ("a fraction", Seconds, "1700000000.5", None),
            ("other digits", Seconds, "\u{0661}\u{0667}", None),
            ("milliseconds", Milliseconds, "1700000000123", Some(1_700_000_000_123_000)),
            ("auto reads seconds", Auto, "1700000000", Some(1_700_000_000_000_000)),
            ("auto reads milliseconds", Auto, "1700000000123", Some(1_700_000_000_123_000)),
            ("RFC 3339 with Z", Rfc3339, "2023-11-14T22:13:20Z", Some(1_700_000_000_000_000)),
            ("RFC 3339 with nanoseconds", Rfc3339, "2023-11-14T22:13:20.123456789Z", Some(1_700_000_000_123_456)),
            ("RFC 3339 with an offset", Rfc3339, "2023-11-14T14:13:20-08:00", Some(1_700_000_000_000_000)),
            ("RFC 3339 without a zone", Rfc3339, "2023-11-14T22:13:20", None),
            ("RFC 3339 with a blank", Rfc3339, "2023-11-14 22:13:20Z", None),
            ("RFC 3339 before 1970", Rfc3339, "1969-12-31T23:59:59Z", None),
            ("seconds where RFC 3339 is due", Rfc3339, "1700000000", None),
            ("an HTTP date", HttpDate, "Tue, 14 Nov 2023 22:13:20 GMT", Some(1_700_000_000_000_000)),
            ("an HTTP date of another zone", HttpDate, "Tue, 14 Nov 2023 22:13:20 +0000", None),
            ("no HTTP date", HttpDate, "yesterday GMT", None),
            ("a nonce is no time", Opaque, "1700000000", None),
        ];
        for (name, unit, text, expected) in cases {
            assert_eq!(unit.read(text.as_bytes()).map(Timestamp::as_micros), *expected, "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let at = Timestamp::from_secs(1_700_000_000);
        for name in Unit::NAMES.iter().filter(|name| **name != "opaque") {
            let unit = Unit::named(name).expect("a listed name is known");
            assert_eq!(unit.read(unit.write(at).as_bytes()), Some(at), "{name}");
        }
        assert_eq!(Unit::named("minutes"), None);
    }

    #[test]
    fn both_edges_of_the_window_are_inside() {
        let five = Duration::from_secs(300);
        let (past, both) = (Window { within: five, both: false }, Window { within: five, both: true });
        let now = Timestamp::from_secs(1_700_000_000);
        let at = |offset: i64| Timestamp::from_secs(1_700_000_000_u64.saturating_add_signed(offset));
        let cases = [
            ("the same second", 0, past, Ok(())),
            ("the old edge", -300, past, Ok(())),
            ("beyond the old edge", -301, past, Err(VerifyError::Stale)),
            ("beyond the old edge of both", -301, both, Err(VerifyError::Stale)),
            ("far ahead where only the past is judged", 100_000, past, Ok(())),
            ("the new edge", 300, both, Ok(())),
            ("beyond the new edge", 301, both, Err(VerifyError::Future)),
        ];
        for (name, offset, window, expected) in cases {
            assert_eq!(window.judge(at(offset), now), expected, "{name}");
        }
        assert_eq!(
            past.judge(at(-300), now.plus(Duration::from_millis(999))),
            Ok(()),
            "parts of a second do not count"
        );
        assert_eq!(both.judge(Timestamp::MAX, now), Err(VerifyError::Future));
        assert_eq!(both.judge(Timestamp::ZERO, now), Err(VerifyError::Stale));
    }
}
