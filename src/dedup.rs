//! Have we heard it before?
//!
//! Promises: of several requests with one key, exactly one holds the [`Claim`] at any time; a claim that is dropped
//! frees the key, one that is settled keeps it for the window; twins of a request in flight wait for its outcome. The
//! number of keys is bounded: the oldest settled one makes room, and [`Window::effective_window`] says what that
//! means; where all keys are in flight, a claim is given that nobody else can see.
//!
//! Must not know: the journal, what an event says, or where time comes from.

mod flight;
mod ring;
mod shard;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::event::{Authority, EventId, conflict_key};

pub use flight::{Flight, Flown};
use shard::{Known, Limits, Shard};

/// The keys heard lately, shared by all sources. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Window(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shards: Box<[Mutex<Shard>]>,
    limits: Limits,
    evicted: Mutex<Option<Evicted>>,
}

/// The last time that a key had to go before its time.
#[derive(Clone, Copy, Debug)]
struct Evicted {
    at: Timestamp,
    age: Duration,
}

impl Window {
    /// Below this number of keys the order of eviction is exact; above it, it is kept for each of sixteen shares of
    /// them.
    pub const EXACT_MAX: usize = 4096;

    /// Most memory a settled key takes, in bytes: two places in the order of eviction, and one in a table that is just
    /// being doubled.
    pub const ENTRY_BYTES: usize = 84;

    /// No keys yet; at most `max_entries`, each kept for `window`.
    #[must_use]
    pub fn new(max_entries: usize, window: Duration) -> Self {
        let shards = if max_entries < Self::EXACT_MAX { 1 } else { 16 };
        Self(Arc::new(Inner {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            limits: Limits { entries: max_entries / shards, window },
            evicted: Mutex::new(None),
        }))
    }

    /// Have we heard this key before? `digest` is the body's.
    #[must_use]
    pub fn claim(&self, key: u128, digest: &[u8; 32], authority: Authority, now: Timestamp) -> Heard {
        let short = short(digest);
        match self.0.claim(key, Some(short).filter(|_| authority == Authority::Body), short, now) {
            Known::New(tracked) => Heard::New(self.make(key, short, tracked)),
            Known::Before(earlier) => Heard::Before(earlier),
            Known::Twin(flight) => Heard::Twin(flight),
            Known::Other => {
                // The other body has a key of its own, so that its repeats are recognised, too.
                let key = conflict_key(key, digest);
                match self.0.claim(key, None, short, now) {
                    Known::New(tracked) => Heard::Conflict(self.make(key, short, tracked)),
                    Known::Before(earlier) => Heard::Before(earlier),
                    Known::Twin(flight) => Heard::Twin(flight),
                    // Cannot be: no body was named to compare.
                    Known::Other => Heard::Conflict(self.make(key, short, false)),
                }
            }
        }
    }

    fn make(&self, key: u128, digest: [u8; 8], tracked: bool) -> Claim {
        Claim { window: Arc::clone(&self.0), key, digest, tracked, settled: false }
    }

    /// Takes over what was settled before a restart, oldest first.
    pub fn restore(&self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.0.settle(entry.key, short(&entry.digest), entry.accepted, entry.seq);
        }
    }

    /// How long keys are in fact kept: the window, or less where their number is at its bound.
    #[must_use]
    pub fn effective_window(&self, now: Timestamp) -> Duration {
        let window = self.0.limits.window;
        match *lock(&self.0.evicted) {
            Some(evicted) if now.since(evicted.at) <= window => evicted.age.min(window),
            Some(_) | None => window,
        }
    }

    /// How many keys are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether no key is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        let count = u128::try_from(self.shards.len()).unwrap_or(1);
        let at = usize::try_from(key % count).unwrap_or(0);
        lock(&self.shards[at])
    }

    /// Claims a key; `compared` is the body to tell apart from the one it was heard with.
    fn claim(&self, key: u128, compared: Option<[u8; 8]>, digest: [u8; 8], now: Timestamp) -> Known {
        let (known, evicted) = {
            let mut shard = self.shard(key);
            let known = shard.claim(key, compared, digest, now, &self.limits);
            (known, shard.evicted())
        };
        self.note(evicted, now);
        known
    }

    fn settle(&self, key: u128, digest: [u8; 8], accepted: Timestamp, seq: u64) {
        let (twins, evicted) = {
            let mut shard = self.shard(key);
            let twins = shard.settle(key, digest, accepted, seq, &self.limits);
            (twins, shard.evicted())
        };
        self.note(evicted, accepted);
        if let Some(twins) = twins {
            twins.land(Flown::Stored(Earlier { event_id: EventId::from_key(key), accepted, seq }));
        }
    }

    fn free(&self, key: u128) {
        let twins = self.shard(key).free(key);
        if let Some(twins) = twins {
            twins.land(Flown::Void);
        }
    }

    fn note(&self, evicted: Option<Timestamp>, now: Timestamp) {
        if let Some(accepted) = evicted {
            *lock(&self.evicted) = Some(Evicted { at: now, age: now.since(accepted) });
        }
    }
}

/// What is known of a key.
#[derive(Debug)]
pub enum Heard {
    /// Nothing: the caller has the claim.
    New(Claim),
    /// It was heard with another body: a new event under [`Claim::key`], which its event must take
    /// ([`crate::event::Event::rekey`]).
    Conflict(Claim),
    /// It was stored before.
    Before(Earlier),
    /// It is being stored just now.
    Twin(Flight),
}

/// Where an earlier event of the key was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its id.
    pub event_id: EventId,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Its sequence in the store.
    pub seq: u64,
}

/// A settled key, as it survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: u128,
    /// The body's digest; only its first eight bytes are compared.
    pub digest: [u8; 32],
    /// When its event was accepted.
    pub accepted: Timestamp,
    /// Its event's sequence in the store; 0 where that is no longer known.
    pub seq: u64,
}

/// The right to store the event of a key. Dropped, it frees the key and wakes twins with [`Flown::Void`].
#[derive(Debug)]
pub struct Claim {
    window: Arc<Inner>,
    key: u128,
    digest: [u8; 8],
    /// Whether others can see it.
    tracked: bool,
    settled: bool,
}

impl Claim {
    /// The key to store with the event; in a conflict another one than was asked for.
    #[must_use]
    pub const fn key(&self) -> u128 {
        self.key
    }

    /// The event is stored: the key is kept for the window, twins are woken.
    pub fn settle(mut self, accepted: Timestamp, seq: u64) {
        self.settled = true;
        self.window.settle(self.key, self.digest, accepted, seq);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.tracked && !self.settled {
            self.window.free(self.key);
        }
    }
}

fn short(digest: &[u8; 32]) -> [u8; 8] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// Nothing that can panic runs under these locks, so a poisoned one holds what it should.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
