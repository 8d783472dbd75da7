//! In which order were keys settled?
//!
//! A queue in pieces: it grows and shrinks a piece at a time, so that it never copies what it holds nor holds twice the room
//! it needs, and what stands in it is found by a number that stays the same.
//!
//! Must not know: which of its entries still count.

use std::collections::VecDeque;

use crate::clock::Timestamp;

/// Entries of a piece.
const PIECE: usize = 256;

/// A key as it is remembered: 96 bits of a digest are as good as 128 to tell a million of them apart.
pub(super) type Short = [u8; 12];

pub(super) fn short(key: u128) -> Short {
    key.to_be_bytes().last_chunk().copied().unwrap_or_default()
}

/// A settled key, in 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) key: Short,
    pub(super) digest: [u8; 8],
    /// Milliseconds.
    accepted: [u8; 6],
    seq: [u8; 6],
}

impl Settled {
    pub(super) fn new(key: Short, digest: [u8; 8], accepted: Timestamp, seq: u64) -> Self {
        Self { key, digest, accepted: low(accepted.as_micros() / 1000), seq: low(seq) }
    }

    /// When it was accepted, rounded down to milliseconds.
    pub(super) const fn accepted(&self) -> Timestamp {
        Timestamp::from_micros(number(self.accepted).saturating_mul(1000))
    }

    pub(super) const fn seq(&self) -> u64 {
        number(self.seq)
    }
}

/// As many milliseconds as until the year 10889, and more sequences than any store gives.
fn low(number: u64) -> [u8; 6] {
    number.min((1 << 48) - 1).to_le_bytes().first_chunk().copied().unwrap_or_default()
}

const fn number(low: [u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = low;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// Settled keys, oldest first. There are never as many as numbers.
#[derive(Debug, Default)]
pub(super) struct Ring {
    pieces: VecDeque<Vec<Settled>>,
    /// How many of the first piece are gone.
    gone: usize,
    /// The number of the oldest.
    first: u32,
    len: usize,
}

impl Ring {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<&Settled> {
        self.pieces.front().and_then(|piece| piece.get(self.gone))
    }

    pub(super) fn get(&self, id: u32) -> Option<&Settled> {
        let place = id.wrapping_sub(self.first) as usize + self.gone;
        self.pieces.get(place / PIECE).and_then(|piece| piece.get(place % PIECE))
    }

    /// Whether this key stands under that number.
    pub(super) fn has(&self, id: u32, key: Short) -> bool {
        self.get(id).is_some_and(|settled| settled.key == key)
    }

    /// Takes it in; returns its number.
    pub(super) fn push(&mut self, settled: Settled) -> u32 {
        match self.pieces.back_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push(settled),
            None => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(settled);
                self.pieces.push_back(piece);
            }
        }
        self.len += 1;
        let place = u32::try_from(self.len - 1).unwrap_or(u32::MAX);
        self.first.wrapping_add(place)
    }

    /// Gives the oldest away, with its number.
    pub(super) fn pop(&mut self) -> Option<(u32, Settled)> {
        let oldest = (self.first, *self.first()?);
        self.gone += 1;
        self.len -= 1;
        self.first = self.first.wrapping_add(1);
        if self.gone == PIECE {
            self.gone = 0;
            drop(self.pieces.pop_front());
        }
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain queue, past the last number.
    #[test]
    fn is_a_queue_whose_entries_keep_their_number() {
        let key = |seq: u64| short(u128::from(seq));
        let settled = |seq: u64| Settled::new(key(seq), [0; 8], Timestamp::ZERO, seq);
        let mut ring = Ring { first: u32::MAX - 500, ..Ring::default() };
        let mut plain = VecDeque::new();
        for seq in 0..4000 {
            plain.push_back((ring.push(settled(seq)), seq));
            // Grows, then shrinks, over the edges of pieces.
            let pops = if seq < 1000 { seq % 2 } else { 1 + seq % 2 };
            for _ in 0..pops {
                assert_eq!(ring.pop().map(|(id, settled)| (id, settled.seq())), plain.pop_front());
            }
            assert_eq!(ring.len(), plain.len());
            assert_eq!(ring.first().map(Settled::seq), plain.front().map(|(_, seq)| *seq));
            for (id, seq) in &plain {
                assert!(ring.has(*id, key(*seq)) && !ring.has(*id, key(*seq + 1)));
            }
            assert!(ring.get(plain.back().map_or(ring.first, |(id, _)| id.wrapping_add(1))).is_none());
        }
        assert!(ring.first().is_some() || ring.pop().is_none());
    }

    #[test]
    fn a_settled_key_takes_32_bytes_and_keeps_what_it_was_given() {
        assert_eq!(size_of::<Settled>(), 32);
        let rows = [(0, 0), (1_795_000_000_123, 1), (u64::MAX / 1000 - 1, u64::MAX >> 16)];
        for (millis, seq) in rows {
            let settled = Settled::new([1; 12], [2; 8], Timestamp::from_micros(millis * 1000 + 999), seq);
            let kept = millis.min((1 << 48) - 1);
            assert_eq!((settled.accepted(), settled.seq()), (Timestamp::from_micros(kept * 1000), seq));
        }
    }
}
