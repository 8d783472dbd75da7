//! What is known of each key?
//!
//! Promises: never more keys than the limit; work per call bounded but for making room, which costs what was added
//! before.
//!
//! Must not know: locks, wakers, or that there are other shards.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::event::EventId;

use super::Earlier;
use super::flight::{Flight, Twins};

/// Most expired keys forgotten in one call.
const FORGET_MAX: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) window: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    known: HashMap<u128, State>,
    /// Settled keys, oldest first. One that was heard anew since stands here twice; the earlier one is passed over.
    settled: VecDeque<(Timestamp, Bytes)>,
    evicted: Option<Timestamp>,
}

/// A key without the alignment that would cost a word.
type Bytes = [u8; 16];

#[derive(Debug)]
enum State {
    Flying { digest: [u8; 8], twins: Option<Arc<Twins>> },
    Settled { digest: [u8; 8], accepted: Timestamp, seq: u64 },
}

/// What a shard says of a key.
#[derive(Debug)]
pub(super) enum Known {
    /// Nothing; whether the claim was entered.
    New(bool),
    Before(Earlier),
    Twin(Flight),
    /// It was heard with another body.
    Other,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// When the key was accepted that had to go before its time since this was last asked.
    pub(super) const fn evicted(&mut self) -> Option<Timestamp> {
        self.evicted.take()
    }

    pub(super) fn claim(
        &mut self,
        key: u128,
        compared: Option<[u8; 8]>,
        digest: [u8; 8],
        now: Timestamp,
        limits: &Limits,
    ) -> Known {
        self.forget(now, limits);
        let other = |known: &[u8; 8]| compared.is_some_and(|compared| compared != *known);
        match self.known.get_mut(&key) {
            // An expired one is heard anew, in its place.
            Some(State::Settled { accepted, .. }) if now.since(*accepted) >= limits.window => {
                self.known.insert(key, State::Flying { digest, twins: None });
                return Known::New(true);
            }
            Some(State::Settled { digest, .. } | State::Flying { digest, .. }) if other(digest) => return Known::Other,
            Some(State::Settled { accepted, seq, .. }) => {
                return Known::Before(Earlier { event_id: EventId::from_key(key), accepted: *accepted, seq: *seq });
            }
            Some(State::Flying { twins, .. }) => return Known::Twin(twins.get_or_insert_default().join()),
            None => {}
        }
        let room = self.make_room(now, limits);
        if room {
            self.known.insert(key, State::Flying { digest, twins: None });
        }
        Known::New(room)
    }

    /// Keeps a key; returns who waits for it.
    pub(super) fn settle(
        &mut self,
        key: u128,
        digest: [u8; 8],
        accepted: Timestamp,
        seq: u64,
        limits: &Limits,
    ) -> Option<Arc<Twins>> {
        if !self.known.contains_key(&key) && !self.make_room(accepted, limits) {
            return None;
        }
        let settled = State::Settled { digest, accepted, seq };
        let before = match self.known.entry(key) {
            Slot::Occupied(mut slot) => Some(slot.insert(settled)),
            Slot::Vacant(slot) => {
                slot.insert(settled);
                None
            }
        };
        self.settled.push_back((accepted, key.to_ne_bytes()));
        // Passed-over ones cannot pile up, whatever the clock does.
        while self.settled.len() > limits.entries.saturating_mul(2) {
            self.evict(accepted, limits);
        }
        match before {
            Some(State::Flying { twins, .. }) => twins,
            Some(State::Settled { .. }) | None => None,
        }
    }

    /// Forgets a key that was not settled; returns who waits for it.
    pub(super) fn free(&mut self, key: u128) -> Option<Arc<Twins>> {
        match self.known.entry(key) {
            Slot::Occupied(slot) if matches!(slot.get(), State::Flying { .. }) => match slot.remove() {
                State::Flying { twins, .. } => twins,
                State::Settled { .. } => None,
            },
            Slot::Occupied(_) | Slot::Vacant(_) => None,
        }
    }

    fn forget(&mut self, now: Timestamp, limits: &Limits) {
        for _ in 0..FORGET_MAX {
            match self.settled.front() {
                Some((accepted, _)) if now.since(*accepted) >= limits.window => self.evict(now, limits),
                Some(_) | None => return,
            }
        }
    }

    /// Makes room for one more key; says whether there is any.
    fn make_room(&mut self, now: Timestamp, limits: &Limits) -> bool {
        while self.known.len() >= limits.entries {
            if self.settled.is_empty() {
                return false;
            }
            self.evict(now, limits);
        }
        true
    }

    /// Forgets the oldest settled key.
    fn evict(&mut self, now: Timestamp, limits: &Limits) {
        let Some((accepted, key)) = self.settled.pop_front() else { return };
        if let Slot::Occupied(slot) = self.known.entry(u128::from_ne_bytes(key))
            && matches!(slot.get(), State::Settled { accepted: current, .. } if *current == accepted)
        {
            slot.remove();
            if now.since(accepted) < limits.window {
                self.evicted = Some(accepted);
            }
        }
    }
}
