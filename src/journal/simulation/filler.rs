//! What are made-up events made of?
//!
//! Must not know: what becomes of them.

use bytes::Bytes;

use super::chance::Chance;
use super::model::Facts;
use crate::journal::Tenants;

/// What stands beside the bytes of an event.
pub(super) fn facts(chance: &mut Chance) -> Facts {
    let tenants = match chance.below(4) {
        0 => Tenants::None,
        1 => Tenants::Mixed(vec![chance.bits(), 0, 3].into()),
        _ => Tenants::One(chance.below(3)),
    };
    let bits = chance.bits().to_le_bytes();
    Facts {
        request_id: u128::from(chance.bits()).to_be_bytes(),
        part: u16::from(bits[0]),
        tenants,
        kind: ["", "push", "messages.statuses.delivered"][chance.index(3)].into(),
        order_key: chance.bits(),
        flags: u16::from(bits[1]),
    }
}

/// Bytes of an event.
pub(super) fn filler(chance: &mut Chance, len: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(len + 8);
    // Some bodies are what files are full of anyway.
    let pattern = chance.below(6);
    while bytes.len() < len {
        let word = match pattern {
            0 => 0,
            1 => u64::MAX,
            _ => chance.bits(),
        };
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}
