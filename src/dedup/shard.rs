//! What is known of each key?
//!
//! Promises: never more keys than the limit; work per call bounded but for making room, which costs what was added
//! before.
//!
//! Must not know: locks, wakers, or that there are other shards.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use crate::clock::Timestamp;
use crate::event::EventId;

use super::Earlier;
use super::flight::{Flight, Twins};
use super::ring::{Ring, Settled, Short, short};

/// Most expired keys forgotten in one call.
const FORGET_MAX: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) window: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    flying: HashTable<Flying>,
    /// Where in the ring each settled key stands.
    settled: HashTable<u32>,
    /// Settled keys, oldest first. One that was heard anew since stands here twice; only the later one is in the table.
    ring: Ring,
    hash: RandomState,
    evicted: Option<Timestamp>,
}

#[derive(Debug)]
struct Flying {
    key: u128,
    digest: [u8; 8],
    twins: Option<Arc<Twins>>,
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
        self.flying.len() + self.settled.len()
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
        let other = |known: [u8; 8]| compared.is_some_and(|compared| compared != known);
        let (short, hash) = self.place(key);
        if let Some(flying) = self.flying.find_mut(hash, |flying| flying.key == key) {
            return if other(flying.digest) {
                Known::Other
            } else {
                Known::Twin(flying.twins.get_or_insert_default().join())
            };
        }
        if let Some(settled) = self.find(hash, short) {
            let (accepted, seq) = (settled.accepted(), settled.seq());
            if now.since(accepted) < limits.window {
                let earlier = Earlier { event_id: EventId::from_key(key), accepted, seq };
                return if other(settled.digest) { Known::Other } else { Known::Before(earlier) };
            }
            // An expired one is heard anew, in its place.
            self.unsettle(hash, short);
        } else if !self.make_room(now, limits) {
            return Known::New(false);
        }
        self.fly(hash, Flying { key, digest, twins: None });
        Known::New(true)
    }

    /// How a key is remembered, and where.
    fn place(&self, key: u128) -> (Short, u64) {
        let short = short(key);
        (short, self.hash.hash_one(short))
    }

    fn find(&self, hash: u64, key: Short) -> Option<&Settled> {
        let id = self.settled.find(hash, |id| self.ring.has(*id, key))?;
        self.ring.get(*id)
    }

    fn fly(&mut self, hash: u64, flying: Flying) {
        let state = &self.hash;
        self.flying.insert_unique(hash, flying, |flying| state.hash_one(short(flying.key)));
    }

    /// Takes a key out of the table, not out of the ring. Whether it was there.
    fn unsettle(&mut self, hash: u64, key: Short) -> bool {
        let ring = &self.ring;
        self.settled.find_entry(hash, |id| ring.has(*id, key)).map(|entry| entry.remove()).is_ok()
    }

    fn land(&mut self, hash: u64, key: u128) -> Option<Flying> {
        let entry = self.flying.find_entry(hash, |flying| flying.key == key).ok()?;
        Some(entry.remove().0)
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
        let (short, hash) = self.place(key);
        let flying = self.land(hash, key);
        let known = flying.is_some() || self.unsettle(hash, short);
        if !known && !self.make_room(accepted, limits) {
            return None;
        }
        let id = self.ring.push(Settled::new(short, digest, accepted, seq));
        let (state, ring) = (&self.hash, &self.ring);
        self.settled.insert_unique(hash, id, |id| ring.get(*id).map_or(0, |settled| state.hash_one(settled.key)));
        // Passed-over ones cannot pile up, whatever the clock does.
        while self.ring.len() > limits.entries.saturating_mul(2) {
            self.evict(accepted, limits);
        }
        flying.and_then(|flying| flying.twins)
    }

    /// Forgets a key that was not settled; returns who waits for it.
    pub(super) fn free(&mut self, key: u128) -> Option<Arc<Twins>> {
        self.land(self.place(key).1, key).and_then(|flying| flying.twins)
    }

    fn forget(&mut self, now: Timestamp, limits: &Limits) {
        for _ in 0..FORGET_MAX {
            match self.ring.first() {
                Some(oldest) if now.since(oldest.accepted()) >= limits.window => self.evict(now, limits),
                Some(_) | None => return,
            }
        }
    }

    /// Makes room for one more key; says whether there is any.
    fn make_room(&mut self, now: Timestamp, limits: &Limits) -> bool {
        while self.len() >= limits.entries {
            if self.ring.first().is_none() {
                return false;
            }
            self.evict(now, limits);
        }
        true
    }

    /// Forgets the oldest settled key.
    fn evict(&mut self, now: Timestamp, limits: &Limits) {
        let Some((id, oldest)) = self.ring.pop() else { return };
        let hash = self.hash.hash_one(oldest.key);
        if let Ok(entry) = self.settled.find_entry(hash, |known| *known == id) {
            entry.remove();
            if now.since(oldest.accepted()) < limits.window {
                self.evicted = Some(oldest.accepted());
            }
        }
    }
}
