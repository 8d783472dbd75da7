//! Which pairs stand in a query or in a form-encoded body?
//!
//! Promises: pairs come in their order, duplicates too; what needs no decoding is borrowed; an escape that is none
//! stands for itself, as browsers have it.
//!
//! Must not know: what the fields mean.

use std::borrow::Cow;

/// Most pairs that are put in another order, or compared with each other.
pub(crate) const FIELDS_MAX: usize = 64;

/// The pairs of a query string or form-encoded body, raw: name and value as received. A pair without `=` has the empty
/// value.
pub fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        }
    })
}

/// The raw values of the pairs of this decoded name, in order.
pub fn values<'a>(text: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    pairs(text).filter(move |(raw, _)| named(raw, name)).map(|(_, value)| value)
}

/// Whether a raw name decodes to this one.
#[must_use]
pub fn named(raw: &[u8], name: &str) -> bool {
    // Decoding never lengthens, so a shorter raw name cannot be it.
    raw == name.as_bytes() && !raw.iter().any(|byte| matches!(byte, b'%' | b'+'))
        || raw.len() >= name.len() && *decode(raw) == *name.as_bytes()
}

/// Decodes a raw name or value of a form or query: `+` is a space, `%41` is `A`.
#[must_use]
pub fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    match raw.iter().position(|byte| matches!(byte, b'%' | b'+')) {
        Some(plain) => Cow::Owned(decode_from(raw, plain, Plus::Space)),
        None => Cow::Borrowed(raw),
    }
}

/// Decodes a piece of a path: `%41` is `A`, `+` is itself.
#[must_use]
pub fn decode_path(raw: &[u8]) -> Cow<'_, [u8]> {
    match raw.iter().position(|byte| *byte == b'%') {
        Some(plain) => Cow::Owned(decode_from(raw, plain, Plus::Itself)),
        None => Cow::Borrowed(raw),
    }
}

/// Decoded bytes as text; `None` if they are not UTF-8.
#[must_use]
pub fn text(decoded: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match decoded {
        Cow::Borrowed(bytes) => str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

#[derive(Clone, Copy)]
enum Plus {
    Space,
    Itself,
}

/// Decodes what stands after a plain beginning of this length.
fn decode_from(raw: &[u8], plain: usize, plus: Plus) -> Vec<u8> {
    let (plain, mut rest) = raw.split_at(plain);
    let mut decoded = Vec::with_capacity(raw.len());
    decoded.extend_from_slice(plain);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match (byte, plus) {
            (b'+', Plus::Space) => b' ',
            (b'%', _) => {
                match after.split_first_chunk::<2>().and_then(|(digits, after)| Some((hex(*digits)?, after))) {
                    Some((value, after)) => {
                        rest = after;
                        value
                    }
                    None => b'%',
                }
            }
            (byte, _) => *byte,
        });
    }
    decoded
}

fn hex(digits: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    Some(digit(digits[0])? * 16 + digit(digits[1])?)
}

/// Panics, for a fuzzer or a property test to see, where any bytes break a promise.
#[cfg(any(test, fuzzing))]
pub fn holds(text: &[u8]) {
    for (name, value) in pairs(text) {
        for decoded in [decode(name), decode(value), decode_path(value)] {
            assert!(decoded.len() <= text.len(), "decoding lengthens");
        }
        if let Some(name) = self::text(decode(name)) {
            assert!(values(text, &name).any(|other| other == value), "a pair is not found by its name");
        }
    }
}

#[cfg(test)]
mod tests;
