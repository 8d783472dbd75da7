//! Who is unknown, and lately heard of?
//!
//! Promises: whoever is known here is asked for under a read lock; a write lock is taken only for somebody new. A bucket
//! that is full again says nothing that a new one does not, so it is forgotten when room is needed, or when somebody
//! looks. Beyond the bound, newcomers share one bucket until there is room.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::bucket::{Bucket, Charge, Pace};
use super::{Limits, Over};
use crate::clock::Timestamp;

/// Between two searches for buckets to forget, so that a flood of newcomers does not search each time.
const SEARCH: Duration = Duration::from_millis(100);

/// The buckets of those who have no section.
#[derive(Debug)]
pub struct Unknown {
    buckets: DashMap<u64, Bucket>,
    pace: Pace,
    max: usize,
    count: AtomicUsize,
    shared: Bucket,
    /// Not before this instant, in microseconds.
    next_search: AtomicU64,
}

impl Unknown {
    /// Most memory that one of them takes, in bytes: its place in a table that was just doubled, and the figures of what
    /// waits.
    pub const ENTRY_BYTES: usize = 160;

    pub(super) fn new(limits: &Limits, max: usize) -> Self {
        Self {
            buckets: DashMap::new(),
            pace: Pace::new(limits),
            max,
            count: AtomicUsize::new(0),
            shared: Bucket::default(),
            next_search: AtomicU64::new(0),
        }
    }

    /// Whether a configuration with these limits can go on with it.
    pub(super) fn is_of(&self, limits: &Limits, max: usize) -> bool {
        self.pace == Pace::new(limits) && self.max == max
    }

    /// The same under other limits.
    pub(super) fn converted(&self, limits: &Limits, max: usize, now: Timestamp) -> Self {
        let next = Self::new(limits, max);
        // Counted here: asking the table takes every lock in it. No number comes twice.
        let mut count = 0;
        for entry in self.buckets.iter().take(max) {
            next.buckets.insert(*entry.key(), entry.value().converted(&self.pace, &next.pace, now));
            count += 1;
        }
        next.count.store(count, Ordering::Relaxed);
        next
    }

    pub(super) fn charge(&self, number: u64, now: Timestamp, events: u32, bytes: u64, over: Over) -> Charge {
        let charge = |bucket: &Bucket| bucket.charge(&self.pace, now, events, bytes, over);
        if let Some(bucket) = self.buckets.get(&number) {
            return charge(&bucket);
        }
        if self.is_crowded() && self.may_search(now) {
            self.tidy(now);
        }
        if !self.is_crowded() {
            match self.buckets.entry(number) {
                Entry::Occupied(known) => return charge(known.get()),
                Entry::Vacant(place) if self.count.fetch_add(1, Ordering::Relaxed) < self.max => {
                    return charge(&place.insert(Bucket::default()));
                }
                Entry::Vacant(_) => self.count.fetch_sub(1, Ordering::Relaxed),
            };
        }
        charge(&self.shared).shared()
    }

    fn is_crowded(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= self.max
    }

    pub(super) fn give_back(&self, number: u64, charge: &Charge, now: Timestamp) {
        if charge.is_shared() {
            self.shared.give_back(&self.pace, charge, now);
        } else if let Some(bucket) = self.buckets.get(&number) {
            bucket.give_back(&self.pace, charge, now);
        }
    }

    /// Forgets whose bucket is full again; says how many are left.
    pub(super) fn tidy(&self, now: Timestamp) -> usize {
        self.buckets.retain(|_, bucket| {
            let keep = !bucket.is_full(now);
            if !keep {
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
            keep
        });
        self.count.load(Ordering::Relaxed)
    }

    fn may_search(&self, now: Timestamp) -> bool {
        let next = self.next_search.load(Ordering::Relaxed);
        let until = now.plus(SEARCH).as_micros();
        // A clock that was set back must not put it off for longer than one pause.
        let may = now.as_micros() >= next || next > until;
        may && self.next_search.compare_exchange(next, until, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
