//! How does a lane choose, and what does it keep at hand?
//!
//! Promises: the live and the late cursor each have at most one read out; neither starves the other.
//!
//! Must not know: who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use roaring::RoaringTreemap;

use super::failing::Failing;
use super::outcome::{Dead, Dying, Outcomes};
use super::owed::{Candidate, Owed, Slot};
use super::read::{Missing, ReadDone, ReadJob};
use super::{Taken, dead_reason};
use crate::clock::Timestamp;
use crate::journal::DestinationPlan;
use crate::journal::event::{Death, Stored, share};
use crate::journal::index::Segment;
use crate::journal::replay::adopt;
use crate::journal::shared::Shared;

/// One destination's lane, shared by its owner and the writer.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) id: u32,
    pub(crate) name: Arc<str>,
    plan: ArcSwapOption<DestinationPlan>,
    /// It is shown the sequences from here on, and below there, before they are durable.
    shown_from: AtomicU64,
    shown_until: AtomicU64,
    pub(crate) taken: AtomicBool,
    state: Mutex<State>,
}

impl Cell {
    pub(crate) fn new(id: u32, name: Arc<str>, plan: Option<DestinationPlan>, state: State) -> Self {
        let until = if plan.as_ref().is_some_and(DestinationPlan::is_early) { u64::MAX } else { 0 };
        Self {
            id,
            name,
            plan: ArcSwapOption::new(plan.map(Arc::new)),
            shown_from: AtomicU64::new(0),
            shown_until: AtomicU64::new(until),
            taken: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// What the configuration says of it; `None`: parked.
    pub(crate) fn plan(&self) -> Option<Arc<DestinationPlan>> {
        self.plan.load_full()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it sees events before they are durable: what is appended from now on.
    pub(crate) fn is_early(&self) -> bool {
        self.shown_until.load(Ordering::Relaxed) == u64::MAX
    }

    /// Whether it was shown this sequence when that was appended. For the writer, of what is not durable yet.
    pub(crate) fn was_shown(&self, seq: u64) -> bool {
        (self.shown_from.load(Ordering::Relaxed)..self.shown_until.load(Ordering::Relaxed)).contains(&seq)
    }

    /// Goes by another plan from now on. The inbox is locked; `unwritten` is the first sequence that is not durable yet,
    /// `next` the first that is not given out. Whether it is to be shown what lies between.
    pub(crate) fn replan(&self, plan: Option<DestinationPlan>, unwritten: u64, next: u64) -> bool {
        let (was, will) = (self.is_early(), plan.as_ref().is_some_and(DestinationPlan::is_early));
        self.plan.store(plan.map(Arc::new));
        if will && !was {
            self.shown_from.store(unwritten, Ordering::Relaxed);
            self.shown_until.store(u64::MAX, Ordering::Relaxed);
        } else if was && !will {
            self.shown_until.store(next, Ordering::Relaxed);
        }
        will && !was
    }
}

/// When a lane whose failures are not on disk yet is asked again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How many owed sequences one read asks for.
const WANTS: usize = 256;

/// What came of a late candidate.
#[expect(clippy::large_enum_variant, reason = "it lives for one return; a box would cost an allocation per delivery")]
enum Fetched {
    /// It, or a read for it.
    Taken(Taken),
    /// It is held until its own time.
    Early,
    /// It cannot be had now.
    Nothing,
}

/// Reads whose results may lie here before they make room for the next one.
const FETCHED_MAX: u64 = 2;

/// What a lane knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) owed: Owed,
    pub(crate) outcomes: Outcomes,
    pub(crate) changed: bool,
    pub(crate) waker: Option<Waker>,
    /// Sequences of its dead letters.
    pub(crate) dead: RoaringTreemap,
    /// Of these, those whose replays are on their way to the disk.
    pub(crate) retrying: BTreeSet<u64>,
    /// Those whose backlogs it took over.
    pub(crate) adopted: Vec<u32>,
    pub(crate) died: u64,
    pub(crate) expired: u64,
    /// In flight, because their letters are being written, by the sequence they were taken under.
    dying: BTreeSet<u64>,
    /// In flight, and erased meanwhile.
    erased: BTreeSet<u64>,
    fetched: BTreeMap<u64, Stored>,
    reading_live: bool,
    reading_late: bool,
    failing: Failing,
    turn: u32,
}

impl State {
    pub(crate) fn restored(owed: Owed, dead: RoaringTreemap, adopted: Vec<u32>) -> Self {
        Self { owed, dead, adopted, ..Self::default() }
    }

    pub(super) fn next(&mut self, shared: &Shared, destination: u32, now: Timestamp) -> Taken {
        if self.outcomes.are_many() {
            // What went wrong is to be on disk before more is tried, or memory would grow with it.
            return Taken::Idle { until: Some(now.plus(LOOK_AGAIN)) };
        }
        self.turn = self.turn.wrapping_add(1);
        let late_first = self.turn.is_multiple_of(4);
        let taken = if late_first {
            self.late(shared, destination, now).or_else(|| self.live(shared, destination, now))
        } else {
            self.live(shared, destination, now).or_else(|| self.late(shared, destination, now))
        };
        taken.unwrap_or_else(|| self.idle(now))
    }

    /// Nothing now; when the next one is due, or what could not be read is tried again.
    fn idle(&mut self, now: Timestamp) -> Taken {
        self.changed = false;
        Taken::Idle { until: self.owed.next_due().into_iter().chain(self.failing.again(now)).min() }
    }

    fn live(&mut self, shared: &Shared, destination: u32, now: Timestamp) -> Option<Taken> {
        while let Some(seq) = self.owed.next_live() {
            if let Some(stored) = self.at_hand(shared, seq) {
                self.owed.pass(seq);
                let not_before = stored.not_before(destination, &self.adopted);
                if not_before > now {
                    let slot = Slot { at: not_before, attempts: 0, share: share(&stored.tenants) };
                    self.owed.hold(seq, slot, shared.slot_bounds());
                    continue;
                }
                self.owed.take(seq);
                return Some(Taken::Delivery(stored.delivery(0, None)));
            }
            if self.reading_live || seq > shared.durable.load(Ordering::Acquire) {
                return None;
            }
            let segment = shared.segment_of(seq);
            let Some(segment) = segment else {
                self.lose(shared, Missing { seq, erased: false, known: None }, destination, now);
                self.owed.pass(seq);
                shared.outcome_noted();
                continue;
            };
            if self.failing.waits(segment.number, now) {
                return None;
            }
            let wants = self.owed.upcoming(segment.last_seq, WANTS);
            self.reading_live = true;
            return Some(Taken::Read(self.job(shared, false, segment, wants)));
        }
        None
    }

    fn late(&mut self, shared: &Shared, destination: u32, now: Timestamp) -> Option<Taken> {
        while let Some(candidate) = self.owed.next_late(now) {
            match self.fetch(shared, destination, candidate, now) {
                Fetched::Taken(taken) => return Some(taken),
                Fetched::Nothing => return None,
                Fetched::Early => {}
            }
        }
        None
    }

    pub(super) fn probe(&mut self, shared: &Shared, destination: u32, skip: usize, now: Timestamp) -> Taken {
        let fetched = self.owed.probe(skip, now).map(|candidate| self.fetch(shared, destination, candidate, now));
        if let Some(Fetched::Taken(taken)) = fetched {
            return taken;
        }
        self.idle(now)
    }

    /// Takes this one, or asks for it to be read.
    fn fetch(&mut self, shared: &Shared, destination: u32, candidate: Candidate, now: Timestamp) -> Fetched {
        let seq = candidate.seq;
        if let Some(stored) = self.at_hand(shared, seq) {
            self.owed.swept(seq);
            let not_before = stored.not_before(destination, &self.adopted);
            if not_before > now {
                let slot = Slot { at: not_before, attempts: candidate.attempts, share: share(&stored.tenants) };
                self.owed.put_off(seq, slot, shared.slot_bounds());
                return Fetched::Early;
            }
            self.owed.take(seq);
            // When its group was looked at before its own time, it was put off and not handed out.
            let slotless = candidate.slotless.filter(|before| *before >= not_before);
            return Fetched::Taken(Taken::Delivery(stored.delivery(candidate.attempts, slotless)));
        }
        if self.reading_late || seq > shared.durable.load(Ordering::Acquire) {
            return Fetched::Nothing;
        }
        let Some(segment) = shared.segment_of(seq) else {
            self.lose(shared, Missing { seq, erased: false, known: None }, destination, now);
            shared.outcome_noted();
            return Fetched::Nothing;
        };
        if self.failing.waits(segment.number, now) {
            return Fetched::Nothing;
        }
        // The read ends when it has enough, so that the one whose turn it is comes first.
        let range = seq..=segment.last_seq.max(seq);
        let mut wants = self.owed.companions(candidate, range, now);
        wants.retain(|want| *want > seq && !self.fetched.contains_key(want));
        wants.insert(0, seq);
        self.reading_late = true;
        Fetched::Taken(Taken::Read(self.job(shared, true, segment, wants)))
    }

    fn job(&self, shared: &Shared, late: bool, segment: Segment, wants: Vec<u64>) -> ReadJob {
        let sparing = self.failing.is_worn(segment.number);
        ReadJob { late, segment, wants, piece: shared.options.read_bytes, sparing }
    }

    fn at_hand(&mut self, shared: &Shared, seq: u64) -> Option<Stored> {
        if !self.fetched.is_empty()
            && let Some(stored) = self.fetched.remove(&seq)
        {
            return Some(stored);
        }
        shared.ring().get(seq).cloned()
    }

    pub(super) fn accept(&mut self, shared: &Shared, destination: u32, done: ReadDone) -> bool {
        if done.late {
            self.reading_late = false;
        } else {
            self.reading_live = false;
        }
        self.changed = true;
        let now = shared.clock.now();
        let Ok(found) = done.found else {
            let oldest = shared.index().segments.front().map_or(0, |oldest| oldest.number);
            self.failing.failed(done.segment, oldest, now);
            if let Some(metrics) = &shared.options.metrics {
                metrics.read_failures.inc();
            }
            return false;
        };
        self.failing.succeeded(done.segment);
        if let Some(segment) = shared.index().by_number(done.segment) {
            for (seq, at) in found.places {
                segment.learn(seq, at);
            }
        }
        self.fetched.retain(|seq, _| self.owed.contains(*seq));
        let weight: u64 = self.fetched.values().map(Stored::weight).sum();
        if weight > FETCHED_MAX * u64::from(shared.options.read_bytes) {
            self.fetched.clear();
        }
        for stored in found.events {
            if self.owed.contains(stored.seq) && !self.owed.is_aloft(stored.seq) {
                self.fetched.insert(stored.seq, stored);
            }
        }
        let mut noted = false;
        for missing in found.missing {
            noted |= self.lose(shared, missing, destination, now);
        }
        noted
    }

    /// An owed event that cannot be had any more: named and counted, and a dead letter as far as anything is known of it.
    pub(crate) fn lose(&mut self, shared: &Shared, missing: Missing, destination: u32, now: Timestamp) -> bool {
        let seq = missing.seq;
        if !self.owed.contains(seq) || self.owed.is_aloft(seq) {
            return false;
        }
        let reason = if missing.erased { dead_reason::ERASED } else { dead_reason::DAMAGED };
        if !missing.erased {
            shared.damaged();
        }
        let (_, attempts) = self.owed.waits(seq);
        let death = Death { destination, attempts, at: now, status: 0, reason, answer: 0 };
        match missing.known {
            Some(stored) => self.bury(Dying { stored, death, answer: Bytes::new(), bare: true }),
            None => {
                self.owed.release(seq);
                self.died += 1;
                self.outcomes.dead.push(Dead { seq, letter: seq, death });
            }
        }
        true
    }

    /// Hands an event to the writer to become a dead letter; it stays owed, and in flight, until its letter is durable.
    pub(crate) fn bury(&mut self, dying: Dying) {
        self.set_aside(dying.stored.seq);
        self.outcomes.dying.push(dying);
    }

    /// It stays owed, and in flight, until its letter is durable, whoever owns the lane meanwhile.
    pub(crate) fn set_aside(&mut self, seq: u64) {
        self.owed.take(seq);
        self.dying.insert(seq);
    }

    /// Its letter is durable.
    pub(crate) fn buried(&mut self, seq: u64, death: Death) {
        self.dying.remove(&seq);
        if let Some(now) = self.owed.land(seq) {
            self.owed.release(now);
            self.outcomes.dead.push(Dead { seq: now, letter: seq, death });
            self.dead.insert(seq);
            self.died += 1;
            if death.reason == dead_reason::AGE || death.reason == dead_reason::SPACE {
                self.expired += 1;
            }
        }
    }

    /// This one is no dead letter any more.
    pub(crate) fn unlist(&mut self, seq: u64) {
        if self.dead.remove(seq) {
            self.outcomes.unlisted.push(seq);
        }
    }

    /// Nothing is owed any more.
    pub(crate) fn drop_all(&mut self) {
        let live = self.owed.live();
        self.owed = Owed::restored(RoaringTreemap::new(), live);
        self.fetched.clear();
        self.dying.clear();
        let unlisted = std::mem::take(&mut self.outcomes.unlisted);
        self.outcomes = Outcomes { dropped: true, unlisted, ..Outcomes::default() };
    }

    /// Whether some of it is on its way to become dead letters.
    pub(crate) fn is_dying(&self) -> bool {
        !self.dying.is_empty()
    }

    /// All that is owed goes to another destination, with the list of those whose it was before.
    pub(crate) fn give_over(&mut self) -> (RoaringTreemap, Vec<u32>) {
        let live = self.owed.live();
        let owed = std::mem::replace(&mut self.owed, Owed::restored(RoaringTreemap::new(), live));
        self.fetched.clear();
        (owed.into_bits(), self.adopted.clone())
    }

    /// Owes what another destination gave over; how many events more that are.
    pub(crate) fn take_over(&mut self, id: u32, from: u32, (owed, before): (RoaringTreemap, Vec<u32>)) -> u64 {
        adopt(&mut self.adopted, id, from, &before);
        self.owed.adopt(owed)
    }

    /// What is in flight of an erased event is not to be attempted again.
    pub(crate) fn mark_erased(&mut self, seq: u64) {
        if let Some(taken) = self.owed.taken_as(seq) {
            self.erased.insert(taken);
        }
    }

    /// Whether what was taken under this sequence has been erased since.
    pub(super) fn take_erased(&mut self, taken: u64) -> bool {
        self.erased.remove(&taken)
    }

    /// Forgets what it has at hand of these events.
    pub(crate) fn erase(&mut self, ids: &[[u8; 16]]) {
        self.fetched.retain(|_, stored| !ids.contains(&stored.event_id));
    }

    /// The owner of the lane is gone.
    pub(super) fn leave(&mut self) {
        self.owed.give_all_back(|taken| self.dying.contains(&taken));
        self.fetched.clear();
        self.reading_live = false;
        self.reading_late = false;
        self.waker = None;
    }

    /// Something is there for the lane's owner; who is to be woken.
    pub(crate) fn wake(&mut self) -> Option<Waker> {
        self.changed = true;
        self.waker.take()
    }
}
