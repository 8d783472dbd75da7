//! How long, how much, how often: numbers with their unit in the text.
//!
//! Promises: a number without a unit is refused, nothing overflows, and what is written by [`show_time`] and
//! [`show_size`] reads back as the same value.
//!
//! Must not know: which key the value stands under, or which range is sensible there.

use std::time::Duration;

/// Nanoseconds per unit, largest first, so that showing takes the largest unit that divides.
const TIMES: [(&str, u64); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// Bytes per unit, largest first.
const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What a time looks like.
pub(crate) const TIME_FORM: &str = "a time in quotes with its unit (us, ms, s, m, h, d), such as \"30s\"";
/// What a size looks like.
pub(crate) const SIZE_FORM: &str = "a size in quotes with its unit (B, KiB, MiB, GiB, TiB), such as \"1MiB\"";
/// What a rate of events looks like.
pub(crate) const RATE_FORM: &str = "a rate in quotes, a number per s, m or h, such as \"100/s\"";
/// What a rate of bytes looks like.
pub(crate) const FLOW_FORM: &str = "a flow in quotes, a size per second, such as \"1KiB/s\"";

/// So many of something in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; never zero.
    pub count: u32,
    /// In how long: a second, a minute or an hour.
    pub per: Duration,
}

impl Rate {
    /// How many in one second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.per.as_secs_f64()
    }
}

/// Reads a time such as `250ms`, `30s` or `1h30m`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut nanos: u64 = 0;
    let mut previous = u64::MAX;
    if rest.is_empty() {
        return Err(expected(TIME_FORM));
    }
    while !rest.is_empty() {
        let (number, unit, tail) = split(rest).ok_or_else(|| expected(TIME_FORM))?;
        let scale = scale(&TIMES, unit).ok_or_else(|| unknown(unit, TIME_FORM))?;
        if scale >= previous {
            return Err("expected the larger unit first and each unit once, such as \"1h30m\"".into());
        }
        previous = scale;
        nanos = number.checked_mul(scale).and_then(|part| nanos.checked_add(part)).ok_or_else(too_large)?;
        rest = tail;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Reads a size such as `64KiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit, tail) = split(text.trim()).ok_or_else(|| expected(SIZE_FORM))?;
    if !tail.is_empty() {
        return Err(expected(SIZE_FORM));
    }
    let scale = scale(&SIZES, unit).ok_or_else(|| match unit {
        "k" | "K" | "kB" | "KB" | "kb" => format!("unit `{unit}` can be read in two ways; write `KiB` (1024 bytes)"),
        "M" | "MB" | "mb" => format!("unit `{unit}` can be read in two ways; write `MiB` (1024 KiB)"),
        "G" | "GB" | "gb" => format!("unit `{unit}` can be read in two ways; write `GiB` (1024 MiB)"),
        "T" | "TB" | "tb" => format!("unit `{unit}` can be read in two ways; write `TiB` (1024 GiB)"),
        _ => unknown(unit, SIZE_FORM),
    })?;
    number.checked_mul(scale).ok_or_else(too_large)
}

/// Reads a rate of events such as `100/s`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let (count, unit) = text.split_once('/').ok_or_else(|| expected(RATE_FORM))?;
    let count: u32 = count.trim().parse().map_err(|_| expected(RATE_FORM))?;
    let per = match unit.trim() {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3_600),
        _ => return Err(expected(RATE_FORM)),
    };
    if count == 0 {
        return Err("a rate of zero lets nothing through; expected at least 1".into());
    }
    Ok(Rate { count, per })
}

/// Reads a flow of bytes such as `1KiB/s`, as bytes per second.
pub(crate) fn flow(text: &str) -> Result<u64, String> {
    let (bytes, unit) = text.split_once('/').ok_or_else(|| expected(FLOW_FORM))?;
    if unit.trim() != "s" {
        return Err(expected(FLOW_FORM));
    }
    size(bytes)
}

/// A time as it would be written, in the largest units that divide it.
#[must_use]
pub fn show_time(time: Duration) -> String {
    let mut nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (unit, scale) in TIMES {
        let whole = nanos / scale;
        // 72h reads better than 3d, as people write it; 30d better than 720h.
        if whole > 0 && !(unit == "d" && (nanos % scale != 0 || whole < 7)) {
            shown.push_str(&format!("{whole}{unit}"));
            nanos %= scale;
        }
    }
    if shown.is_empty() { "0s".into() } else { shown }
}

/// A size as it would be written if it is a whole number of some unit, otherwise rounded to a tenth.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".into();
    }
    let whole =
        SIZES.iter().find(|(unit, scale)| bytes.is_multiple_of(*scale) && (bytes / scale < 10_240 || *unit == "TiB"));
    if let Some((unit, scale)) = whole {
        return format!("{}{unit}", bytes / scale);
    }
    if let Some((unit, scale)) = SIZES.iter().find(|(_, scale)| bytes >= *scale) {
        let tenths = u128::from(bytes) * 10 / u128::from(*scale);
        return format!("{}.{}{unit}", tenths / 10, tenths % 10);
    }
    format!("{bytes}B")
}

/// Leading digits, the letters after them, and the rest.
fn split(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, after) = text.split_at(digits);
    let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
    let (unit, tail) = after.split_at(letters);
    Some((number.parse().ok()?, unit, tail))
}

fn scale(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale)
}

fn expected(form: &str) -> String {
    format!("expected {form}")
}

fn unknown(unit: &str, form: &str) -> String {
    if unit.is_empty() {
        format!("the unit is missing; expected {form}")
    } else {
        format!("unknown unit `{unit}`; expected {form}")
    }
}

fn too_large() -> String {
    "too large to be counted".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit_and_never_without() {
        for (text, nanos) in [
            ("30s", 30_000_000_000),
            ("250ms", 250_000_000),
            ("1h30m", 5_400_000_000_000),
            ("7d", 604_800_000_000_000),
            ("0s", 0),
            ("10us", 10_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in
            ["", "30", "s", "-1s", "1.5s", "30 s", "30S", "1m1h", "1s1s", "30sec", "999999999999999d", "½s", "1h "]
        {
            if text != "1h " {
                assert!(time(text).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit_and_never_in_two_ways() {
        for (text, bytes) in [("1MiB", 1 << 20), ("0B", 0), ("20GiB", 20 << 30), ("64KiB", 65_536), ("2TiB", 2 << 40)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "1", "1MB", "1 MiB", "1mib", "1.5MiB", "MiB", "-1B", "99999999TiB", "1MiBx", "1MiB2"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(size("1MB").unwrap_err().contains("MiB"));
    }

    #[test]
    fn rates_name_their_stretch() {
        assert_eq!(rate("100/s"), Ok(Rate { count: 100, per: Duration::from_secs(1) }));
        assert_eq!(rate("30 / m").map(Rate::per_second), Ok(0.5));
        for text in ["", "100", "100/", "/s", "0/s", "1/d", "1.5/s", "-3/s", "5000000000/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert_eq!(flow("1KiB/s"), Ok(1024));
        for text in ["1KiB", "1KiB/m", "1/s", "/s", ""] {
            assert!(flow(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for nanos in [1_000, 250_000_000, 30_000_000_000, 5_400_000_000_000, 259_200_000_000_000, 2_592_000_000_000_000]
        {
            let value = Duration::from_nanos(nanos);
            assert_eq!(time(&show_time(value)), Ok(value), "{}", show_time(value));
        }
        assert_eq!(show_time(Duration::from_secs(72 * 3600)), "72h");
        assert_eq!(show_time(Duration::from_secs(30 * 86_400)), "30d");
        for bytes in [0, 1, 1023, 65_536, 1 << 20, 20 << 30] {
            assert_eq!(size(&show_size(bytes)), Ok(bytes), "{}", show_size(bytes));
        }
        assert_eq!(show_size((1 << 20) + (1 << 19)), "1536KiB");
        assert_eq!(show_size(1_234_567_891), "1.1GiB");
    }
}
