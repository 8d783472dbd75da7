//! What is an event called?
//!
//! Promises: an id is 16 bytes, shown as 32 lower-case hexadecimal digits; with dedup on it is the dedup key, so that a
//! retry after a crash, or on another box, carries the same one.
//!
//! Must not know: where ids are written.

use std::fmt;

use crate::verify;

/// The name of an event, here and at every destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id that these bytes are; random ones where dedup is off.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id of the event with this dedup key.
    #[must_use]
    pub const fn from_key(key: u128) -> Self {
        Self(key.to_be_bytes())
    }

    /// The bytes, as the journal stores them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| digits).map(Self::from_key)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The key of the event that has the key of another one and not its body.
#[must_use]
pub fn conflict_key(key: u128, digest: &[u8; 32]) -> u128 {
    let hash = verify::digest(&[b"conflict", &key.to_be_bytes(), digest]);
    first_half(&hash)
}

/// A random id of a part, made of that of its request's first event.
pub(super) fn another(random: [u8; 16], part: u16) -> [u8; 16] {
    first_half(&verify::digest(&[b"part", &random, &part.to_be_bytes()])).to_be_bytes()
}

/// The first sixteen bytes of a hash.
pub(super) fn first_half(hash: &[u8; 32]) -> u128 {
    hash.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_it_is_written() {
        let id = EventId::from_key(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "0123456789abcdef0123456789abcdef");
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        assert_eq!(EventId::default().to_string(), "0".repeat(32));
        assert_eq!(EventId::from_bytes(*id.as_bytes()), id);
        for text in ["", "0", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32), &format!("+{}", "0".repeat(31)), "é"]
        {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_conflict_has_a_key_of_its_own_for_each_body() {
        let keys = [7, conflict_key(7, &[0; 32]), conflict_key(7, &[1; 32]), conflict_key(8, &[0; 32])];
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
        assert_eq!(conflict_key(7, &[1; 32]), conflict_key(7, &[1; 32]));
    }
}
