//! What do the writer, the lanes and those who append have in common?
//!
//! Locks are taken in this order, each held for a moment and never across a system call: inbox, lane, ring, index; releases
//! alone.
//!
//! Must not know: anything beyond its parts.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::dead::Grave;
use super::event::{Stored, Sums};
use super::inbox::{Beside, Inbox};
use super::index::{Index, Segment};
use super::lane::{Cell, SlotBounds};
use super::options::Options;
use super::record::{Pending, Record, Refused, StoreId};
use super::release::{Releases, tell};
use super::ring::Ring;
use super::segment::Names;
use crate::clock::{Clock, Timestamp};

/// What [`super::Journal`] shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) store: StoreId,
    known: ArcSwap<Known>,
    /// The highest sequence that is durable.
    pub(crate) durable: AtomicU64,
    pub(crate) figures: Figures,
    pub(crate) wake: Condvar,
    inbox: Mutex<Inbox>,
    ring: Mutex<Ring>,
    index: Mutex<Index>,
    releases: Mutex<Releases>,
    graves: Mutex<Vec<Grave>>,
    /// Lanes have outcomes for the writer.
    outcomes: AtomicBool,
    /// The writer sleeps so long that outcomes must wake it.
    pub(crate) dozing: AtomicBool,
}

/// Who has an id: replaced as a whole by the writer, and only ever by a longer table.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) names: Names,
    /// By the destination's id.
    pub(crate) lanes: Box<[Arc<Cell>]>,
}

impl Known {
    /// The lane of a destination.
    pub(crate) fn lane(&self, destination: u32) -> Option<&Arc<Cell>> {
        self.lanes.get(destination as usize)
    }
}

/// Counters and gauges that no lock protects.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) damage: AtomicU64,
    pub(crate) sync_failures: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) free: AtomicU64,
    pub(crate) dead_stripped: AtomicU64,
    pub(crate) dead_dropped: AtomicU64,
    pub(crate) dedup_entries: AtomicU64,
    /// What the inbox last said of itself, for those who do not want to lock it.
    pub(crate) queued_bytes: AtomicU64,
    pub(crate) queued_records: AtomicU32,
    /// What it last said of the disk: [`super::inbox::Plan::certain`].
    pub(crate) certain: AtomicU64,
}

/// What an opening hands over.
pub(crate) struct Parts {
    pub(crate) store: StoreId,
    pub(crate) known: Known,
    pub(crate) inbox: Inbox,
    pub(crate) index: Index,
    pub(crate) durable: u64,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(options: Options, clock: Clock, parts: Parts) -> Self {
        let ring = Ring::new(options.ring_bytes);
        let last = parts.inbox.next_seq.saturating_sub(1);
        Self {
            options,
            clock,
            store: parts.store,
            known: ArcSwap::from_pointee(parts.known),
            durable: AtomicU64::new(parts.durable),
            figures: Figures { certain: AtomicU64::new(u64::MAX), ..Figures::default() },
            wake: Condvar::new(),
            inbox: Mutex::new(parts.inbox),
            ring: Mutex::new(ring),
            index: Mutex::new(parts.index),
            releases: Mutex::new(Releases::starting_at(last)),
            graves: Mutex::new(Vec::new()),
            outcomes: AtomicBool::new(true),
            dozing: AtomicBool::new(false),
        }
    }

    /// Who has an id now. To be kept for a moment only.
    pub(crate) fn known(&self) -> Guard<Arc<Known>> {
        self.known.load()
    }

    /// The writer made a longer table durable.
    pub(crate) fn knows(&self, known: Known) {
        self.known.store(Arc::new(known));
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        hold(&self.inbox)
    }

    pub(crate) fn ring(&self) -> MutexGuard<'_, Ring> {
        hold(&self.ring)
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        hold(&self.index)
    }

    pub(crate) fn releases(&self) -> MutexGuard<'_, Releases> {
        hold(&self.releases)
    }

    /// Where the dead letters lie now.
    pub(crate) fn graves(&self) -> Vec<Grave> {
        hold(&self.graves).clone()
    }

    pub(crate) fn graves_changed(&self, graves: Vec<Grave>) {
        *hold(&self.graves) = graves;
    }

    pub(crate) fn segment_of(&self, seq: u64) -> Option<Segment> {
        self.index().of_seq(seq).cloned()
    }

    pub(crate) const fn slot_bounds(&self) -> SlotBounds {
        SlotBounds { slots: self.options.retry_slots, per_share: self.options.retry_slots_per_tenant }
    }

    /// A stretch of damage came to light.
    pub(crate) fn damaged(&self) {
        self.figures.damage.fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = &self.options.metrics {
            metrics.damage.inc();
        }
    }

    /// Lanes have outcomes; wakes the writer only if it would sleep on for long.
    pub(crate) fn outcome_noted(&self) {
        if !self.outcomes.swap(true, Ordering::SeqCst) && self.dozing.load(Ordering::SeqCst) {
            drop(self.inbox());
            self.wake.notify_one();
        }
    }

    /// Whether there are outcomes; they are the caller's to write.
    pub(crate) fn take_outcomes_flag(&self) -> bool {
        self.outcomes.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn has_outcomes(&self) -> bool {
        self.outcomes.load(Ordering::SeqCst)
    }

    pub(crate) fn append_one(self: &Arc<Self>, record: Record) -> Result<Pending, Refused> {
        let now = self.clock.now();
        let sums = Sums::of(&record.head, &record.body);
        let (stored, beside) = split(record);
        self.queue_one(self.inbox(), stored, &sums, beside, now)
    }

    /// Puts one record into the queue, which is locked.
    pub(crate) fn queue_one(
        self: &Arc<Self>,
        mut inbox: MutexGuard<'_, Inbox>,
        mut stored: Stored,
        sums: &Sums,
        beside: Beside,
        now: Timestamp,
    ) -> Result<Pending, Refused> {
        if let Some(refused) = inbox.refuses() {
            return Err(refused);
        }
        let buffered = beside.buffered;
        inbox.put(&mut stored, sums, beside, now, &self.options)?;
        let seq = stored.seq;
        let woken = std::mem::take(&mut inbox.asleep);
        self.queue_changed(&inbox);
        self.show(stored);
        drop(inbox);
        if woken {
            self.wake.notify_one();
        }
        Ok(Pending::new(Arc::clone(self), seq, seq, buffered))
    }

    pub(crate) fn append(self: &Arc<Self>, records: Vec<Record>) -> Result<Pending, Refused> {
        let now = self.clock.now();
        let buffered = records.iter().all(|record| record.buffered);
        let mut prepared = Vec::with_capacity(records.len());
        for record in records {
            let sums = Sums::of(&record.head, &record.body);
            prepared.push((sums, split(record)));
        }
        let mut shown = Vec::with_capacity(prepared.len());
        let mut inbox = self.inbox();
        if let Some(refused) = inbox.refuses() {
            return Err(refused);
        }
        let before = inbox.before();
        let first = inbox.next_seq;
        for (sums, (mut stored, beside)) in prepared {
            if let Err(refused) = inbox.put(&mut stored, &sums, beside, now, &self.options) {
                let taken_back = inbox.back_to(&before);
                drop(inbox);
                drop(taken_back);
                return Err(refused);
            }
            shown.push(stored);
        }
        let last = inbox.next_seq.saturating_sub(1);
        let woken = std::mem::take(&mut inbox.asleep);
        self.queue_changed(&inbox);
        for stored in shown {
            self.show(stored);
        }
        drop(inbox);
        if woken {
            self.wake.notify_one();
        }
        Ok(Pending::new(Arc::clone(self), first, last, buffered))
    }

    /// The queue grew or shrank, or the plan changed; the inbox is locked.
    pub(crate) fn queue_changed(&self, inbox: &Inbox) {
        self.figures.queued_bytes.store(inbox.bytes, Ordering::Relaxed);
        self.figures.queued_records.store(inbox.records, Ordering::Relaxed);
        self.figures.certain.store(inbox.plan.certain(), Ordering::Relaxed);
    }

    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let queued = self.figures.queued_bytes.load(Ordering::Relaxed);
        let records = self.figures.queued_records.load(Ordering::Relaxed);
        let (bytes_max, records_max) = (self.options.queue_bytes, self.options.queue_records);
        let fits = queued.saturating_add(bytes) <= bytes_max - bytes_max / 8 && records < records_max - records_max / 8;
        // At the disk bound the writer makes room: what comes in faster than it can do that is to wait.
        let kept_back = self.options.segment_size / 8;
        let certain = self.figures.certain.load(Ordering::Relaxed);
        (fits || records == 0) && bytes.saturating_add(kept_back) <= certain
    }

    /// Puts a queued record where lanes find it. The inbox is locked, so that the ring keeps its order.
    pub(crate) fn show(&self, stored: Stored) {
        let seq = stored.seq;
        let targets = Arc::clone(&stored.targets);
        self.ring().push(stored);
        let known = self.known();
        for target in &*targets {
            let Some(cell) = known.lane(target.destination).filter(|cell| cell.is_early()) else { continue };
            let waker = {
                let mut state = cell.state();
                state.owed.owe(seq);
                state.wake()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Tells everybody what the writer reported; whether there was anything.
    pub(crate) fn release(&self) -> bool {
        let (upto, done) = self.releases().take_done();
        let mut any = !done.is_empty();
        for done in done {
            tell(done, self.store);
        }
        let (wakers, touched) = self.releases().resolve(upto);
        any |= !wakers.is_empty() || !touched.is_empty();
        for waker in wakers {
            waker.wake();
        }
        let known = self.known();
        for lane in touched {
            let waker = known.lane(lane).and_then(|cell| cell.state().wake());
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        any
    }
}

fn split(record: Record) -> (Stored, Beside) {
    let mut record = record;
    let beside = Beside { then: record.then.take(), buffered: record.buffered, letter: None };
    (Stored::of(record), beside)
}
