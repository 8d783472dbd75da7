//! Where does the next segment come from?
//!
//! Spares are kept ready: a new file while the bound allows, else the oldest segment. What it still owes is carried forward
//! first. At the bound the order of giving up is: delivered history, then the backlog of non-essential destinations, then
//! new records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use roaring::RoaringTreemap;

use super::Writer;
use super::chores::Job;
use crate::clock::Timestamp;
use crate::journal::event::{Owing, Stored, Sums};
use crate::journal::index::Segment;
use crate::journal::lane::dead_reason;
use crate::journal::record::Target;
use crate::journal::segment::{LOG, log_name, unclean_name};

/// Spares that only the writer itself may begin: for outcomes and for carrying forward on a full disk.
const BALLAST: u64 = 2;
/// Spares kept ready.
const READY: u64 = BALLAST + 1;
/// How often the oldest segment is looked at while there are spares.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often it is while appends wait for it.
const LOOK_SOON: Duration = Duration::from_millis(10);
/// Events carried at once.
const CARRIED: usize = 64;
/// Bytes read at once for carrying.
const PIECE: u32 = 256 << 10;

impl Writer {
    fn files(&self) -> u64 {
        let segments = self.shared.index().segments.len() as u64;
        segments + self.house.spares.len() as u64 + self.house.making + self.house.unclean.len() as u64
    }

    /// The oldest sequence that anybody is owed, or of which something final is not on disk.
    fn floor(&self) -> u64 {
        let mut floor = u64::MAX;
        for cell in &self.shared.known().lanes {
            let state = cell.state();
            let oldest = state.owed.oldest().into_iter().chain(state.outcomes.oldest()).min();
            floor = floor.min(oldest.unwrap_or(u64::MAX));
        }
        floor
    }

    /// Looks how many more segments there can be, and lets the appends know.
    pub(super) fn survey(&mut self, now: Timestamp) {
        self.house.disk_free = self.storage.free_space().unwrap_or(0);
        let size = self.shared.options.segment_size;
        let floor = self.floor();
        let settled = {
            let index = self.shared.index();
            let sealed = index.segments.len().saturating_sub(1);
            index.segments.iter().take(sealed).take_while(|segment| is_settled(segment, floor)).count() as u64
        };
        let paused = self.house.spare_pause.is_some_and(|until| now < until);
        let room = if paused { 0 } else { self.house.disk_free / size };
        let creatable = self.house.files_max.saturating_sub(self.files()).min(room);
        let ready = self.house.spares.len() as u64 + self.house.making + self.house.unclean.len() as u64;
        let obtainable = ready + creatable + settled;
        self.house.free = obtainable.saturating_sub(BALLAST);
        self.house.hope = self.house.free == 0 && self.can_give_up();
        self.house.survey_due = now.plus(if self.house.hope { LOOK_SOON } else { LOOK_AGAIN });
        let figures = &self.shared.figures;
        figures.free.store(self.house.disk_free, Ordering::Relaxed);
        let bytes = self.files() * size + self.graves.bytes() + self.repeats.bytes();
        figures.bytes.store(bytes, Ordering::Relaxed);
        if !self.has_items() {
            let mut inbox = self.shared.inbox();
            if inbox.items.is_empty() {
                inbox.plan.tail = self.active.end;
                inbox.plan.free = self.house.free;
                inbox.plan.hope = self.house.hope;
                self.shared.queue_changed(&inbox);
            }
        }
    }

    /// Whether room can be made at the bound: something is under way that makes some, or there is delivered history, or
    /// backlog of a destination that is not essential.
    fn can_give_up(&self) -> bool {
        let house = &self.house;
        let under_way = house.making > 0 || !house.carrying.is_empty() || !house.dying.is_empty();
        let backlog = |cell: &Arc<crate::journal::lane::Cell>| {
            cell.plan().is_some_and(|plan| !plan.essential) && cell.state().owed.oldest().is_some()
        };
        // What counts all that anybody is owed comes last: at the bound this is asked every few milliseconds.
        under_way
            || self.shared.known().lanes.iter().any(backlog)
            || self.history() >= 2 * self.shared.options.segment_size
    }

    /// One step towards the spares that should be ready.
    pub(super) fn spare_chore(&mut self, now: Timestamp) -> bool {
        let ready = self.house.spares.len() as u64 + self.house.making;
        if ready >= READY {
            // Usual, and asked after every batch: whether a file can go is looked at now and then.
            let due = self.house.retire_due;
            if now < due && due.since(now) <= LOOK_AGAIN {
                return false;
            }
            self.house.retire_due = now.plus(LOOK_AGAIN);
        }
        let Some(oldest) = self.oldest_sealed() else {
            return ready < READY && (self.clean(now) || self.create(now));
        };
        let settled = is_settled(&oldest, self.floor());
        let old = now.since(oldest.last_accepted.max(Timestamp::ZERO)) > self.shared.options.keep_delivered;
        if ready >= READY {
            return settled && old && self.may_go(&oldest, now) && self.retire(&oldest);
        }
        if self.clean(now) {
            return true;
        }
        if old && settled {
            return self.may_go(&oldest, now) && self.recycle(&oldest, now);
        }
        if old && self.owed_share(&oldest) <= 4 && !self.busy(now) && self.carry(&oldest, now) == Some(true) {
            return true;
        }
        if self.create(now) {
            return true;
        }
        if settled {
            return self.may_go(&oldest, now) && self.recycle(&oldest, now);
        }
        if self.busy(now) {
            return false;
        }
        if self.history() >= 2 * self.shared.options.segment_size {
            match self.carry(&oldest, now) {
                Some(true) => return true,
                Some(false) => {}
                // Not done, but nothing else is to be given up for it.
                None => return false,
            }
        }
        self.give_up_backlog(now)
    }

    /// A segment goes only when a durable checkpoint stands behind it: else one is written first, if it can be.
    fn may_go(&mut self, oldest: &Segment, now: Timestamp) -> bool {
        let behind =
            |house: &super::House, active: u64| oldest.number < house.checkpointed || active <= house.checkpoint_failed;
        if !behind(&self.house, self.active.number) && !self.house.checkpointing {
            self.checkpoint(now);
        }
        behind(&self.house, self.active.number)
    }

    /// The same, at once and by the writer itself: the next segment cannot wait.
    pub(super) fn spare_now(&mut self, now: Timestamp) {
        let settled = self.oldest_sealed().filter(|oldest| is_settled(oldest, self.floor()));
        if !self.clean(now)
            && !self.create(now)
            && let Some(oldest) = settled
        {
            self.recycle(&oldest, now);
        }
        self.finish_chores();
    }

    /// Whether something is under way that may free a segment by itself, or must not be disturbed: events that are being
    /// carried, erased, buried or adopted, outcomes that are not written. Those wait no longer.
    fn busy(&mut self, now: Timestamp) -> bool {
        let house = &self.house;
        if !house.carrying.is_empty()
            || !house.erasing.is_empty()
            || !house.dying.is_empty()
            || house.adopting.is_some()
        {
            return true;
        }
        if !self.lanes_have_outcomes() {
            return false;
        }
        self.shared.outcome_noted();
        self.house.outcome_due = Some(now);
        true
    }

    fn oldest_sealed(&self) -> Option<Segment> {
        let index = self.shared.index();
        (index.segments.len() > 1).then(|| index.segments.front().cloned()).flatten()
    }

    /// A file that was left half zeroed, or not yet because its new name was not durable.
    fn clean(&mut self, now: Timestamp) -> bool {
        let Some(number) = self.house.unclean.pop() else { return false };
        if self.storage.sync_directory(LOG).is_err() {
            self.house.unclean.push(number);
            return false;
        }
        let Ok(file) = self.storage.open(&unclean_name(number)) else { return false };
        let size = self.shared.options.segment_size;
        self.delegate(Job::Spare { number, file: Some(file), size }, now);
        true
    }

    fn create(&mut self, now: Timestamp) -> bool {
        let size = self.shared.options.segment_size;
        if self.files() >= self.house.files_max || self.storage.free_space().unwrap_or(0) < size {
            return false;
        }
        self.house.spare_next += 1;
        self.delegate(Job::Spare { number: self.house.spare_next, file: None, size }, now);
        self.house.spare_pause.is_none()
    }

    /// The oldest segment becomes a spare: first its name, then its bytes.
    fn recycle(&mut self, oldest: &Segment, now: Timestamp) -> bool {
        self.house.spare_next += 1;
        let number = self.house.spare_next;
        if self.storage.rename(&log_name(oldest.number), &unclean_name(number)).is_err() {
            self.house.spare_pause = Some(now.plus(Duration::from_secs(1)));
            return false;
        }
        self.shared.index().segments.pop_front();
        self.house.survey_due = Timestamp::ZERO;
        if self.storage.sync_directory(LOG).is_err() {
            // Its old name may come back after a crash: then its old bytes must be there too.
            self.house.unclean.push(number);
            self.house.spare_pause = Some(now.plus(Duration::from_secs(1)));
            return true;
        }
        let size = self.shared.options.segment_size;
        self.delegate(Job::Spare { number, file: Some(Arc::clone(&oldest.file)), size }, now);
        true
    }

    /// There are spares enough: the oldest segment's file goes.
    fn retire(&mut self, oldest: &Segment) -> bool {
        if self.storage.remove(&log_name(oldest.number)).is_err() {
            return false;
        }
        self.shared.index().segments.pop_front();
        self.house.survey_due = Timestamp::ZERO;
        // Should the name come back, it is found settled again.
        drop(self.storage.sync_directory(LOG));
        true
    }

    /// How many sixteenths of a segment's events somebody is owed, rounded up.
    fn owed_share(&self, segment: &Segment) -> u64 {
        let owed = self.owed_by_any().range_cardinality(segment.first_seq..=segment.last_seq);
        (owed * 16).div_ceil(segment.events().max(1))
    }

    fn owed_by_any(&self) -> RoaringTreemap {
        let mut all = RoaringTreemap::new();
        for cell in &self.shared.known().lanes {
            all |= cell.state().owed.bits();
        }
        all
    }

    /// About how many bytes of the sealed segments nobody is owed.
    fn history(&self) -> u64 {
        let owed = self.owed_by_any();
        let index = self.shared.index();
        let sealed = index.segments.len().saturating_sub(1);
        let unowed = |segment: &Segment| {
            let owed = owed.range_cardinality(segment.first_seq..=segment.last_seq.max(segment.first_seq));
            // What events do not fill (outcomes, the cut end of a segment) is regained as well.
            (self.shared.options.segment_size - segment.start).saturating_sub(owed * segment.each())
        };
        index.segments.iter().take(sealed).map(unowed).sum()
    }

    /// Carries some of what the segment still owes to the end of the log: same event, only the targets that are owed.
    /// Whether there was any; `None` if it cannot be read now.
    fn carry(&mut self, segment: &Segment, now: Timestamp) -> Option<bool> {
        let mut wants = BTreeSet::new();
        for cell in &self.shared.known().lanes {
            let state = cell.state();
            let mut owed = state.owed.bits().iter();
            owed.advance_to(segment.first_seq);
            wants.extend(owed.take_while(|seq| *seq <= segment.last_seq).take(CARRIED));
        }
        let wants: Vec<u64> = wants.into_iter().take(CARRIED).collect();
        let found = self.find(segment, &wants, PIECE, now)?;
        let mut any = false;
        for missing in &found.missing {
            any |= self.lose(missing, now);
        }
        for stored in found.events {
            any |= self.carry_one(stored);
        }
        Some(any)
    }

    fn carry_one(&mut self, mut stored: Stored) -> bool {
        let from = stored.seq;
        let mut owing = Vec::new();
        for cell in &self.shared.known().lanes {
            let state = cell.state();
            if state.owed.contains(from) {
                let (at, attempts) = state.owed.waits(from);
                let not_before = at.max(stored.not_before(cell.id, &state.adopted));
                owing.push(Owing { destination: cell.id, attempts, not_before });
            }
        }
        if owing.is_empty() {
            return false;
        }
        let target = |owing: &Owing| Target { destination: owing.destination, not_before: owing.not_before };
        stored.targets = owing.iter().map(target).collect();
        let sums = Sums::of(&stored.head, &stored.body);
        let put = self.shared.inbox().put_carried(stored, &owing, &sums, from);
        if put {
            self.house.carrying.insert(from);
        }
        put
    }

    /// Tells every lane that is owed it; whether any is.
    pub(super) fn lose(&self, missing: &crate::journal::lane::Missing, now: Timestamp) -> bool {
        let mut any = false;
        for cell in &self.shared.known().lanes {
            let copy = crate::journal::lane::Missing {
                seq: missing.seq,
                erased: missing.erased,
                known: missing.known.clone(),
            };
            let noted = cell.state().lose(&self.shared, copy, cell.id, now);
            if noted {
                self.shared.outcome_noted();
            }
            any |= noted;
        }
        any
    }

    /// At the bound, with no history left: the oldest backlog of a non-essential destination becomes dead letters.
    fn give_up_backlog(&mut self, now: Timestamp) -> bool {
        let oldest = |cell: &Arc<crate::journal::lane::Cell>| {
            cell.plan().filter(|plan| !plan.essential)?;
            let seq = cell.state().owed.oldest_until(u64::MAX, 1).first().copied()?;
            Some((seq, cell.id))
        };
        let Some((seq, lane)) = self.shared.known().lanes.iter().filter_map(oldest).min() else { return false };
        let Some(segment) = self.shared.segment_of(seq) else { return false };
        self.expire(lane, &segment, now, dead_reason::SPACE, |_| true)
    }
}

pub(super) fn is_settled(segment: &Segment, floor: u64) -> bool {
    segment.last_seq < floor || segment.events() == 0
}
