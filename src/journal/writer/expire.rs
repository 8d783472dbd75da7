//! Which owed events are past their destination's backlog?

use std::time::Duration;

use super::Writer;
use crate::clock::Timestamp;
use crate::journal::event::{Death, Stored};
use crate::journal::index::Segment;
use crate::journal::lane::{Dying, dead_reason};

/// Events looked at in one piece.
const WANTS: usize = 64;
/// How often each destination's backlog is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Bytes read in one piece.
const PIECE: u32 = 256 << 10;

impl Writer {
    /// One piece of some destination's expired backlog.
    pub(super) fn expire_chore(&mut self, now: Timestamp) -> bool {
        if !self.house.dying.is_empty() {
            return false;
        }
        for lane in 0..self.house.age_due.len() {
            if self.expire_lane(lane, now) {
                return true;
            }
        }
        self.graves.age(&*self.storage, &self.shared, now)
    }

    fn expire_lane(&mut self, lane: usize, now: Timestamp) -> bool {
        let due = self.house.age_due[lane];
        if now < due && due.since(now) <= LOOK_AGAIN {
            return false;
        }
        let Some(cell) = self.shared.known().lanes.get(lane).cloned() else { return false };
        let Some(plan) = cell.plan().filter(|plan| !plan.essential) else { return false };
        let (age, size, id) = (plan.backlog_age, plan.backlog_size, cell.id);
        let expired = self.expire_oldest(id, age, size, now);
        if !expired {
            // What is in flight may come back, a younger event becomes the oldest.
            self.house.age_due[lane] = now.plus(LOOK_AGAIN);
        }
        expired
    }

    fn expire_oldest(&mut self, lane: u32, age: Duration, size: u64, now: Timestamp) -> bool {
        let Some(cell) = self.shared.known().lane(lane).cloned() else { return false };
        let Some(seq) = cell.state().owed.oldest_until(self.active.last_seq, 1).first().copied() else { return false };
        let Some(segment) = self.shared.segment_of(seq) else { return false };
        let backlog = if size == u64::MAX { 0 } else { self.backlog(lane) };
        if backlog > size {
            let mut excess = backlog - size;
            let each = segment.each();
            let past = |_: &Stored| {
                let past = excess > 0;
                excess = excess.saturating_sub(each);
                past
            };
            return self.expire(lane, &segment, now, dead_reason::SPACE, past);
        }
        now.since(segment.first_accepted) >= age
            && self.expire(lane, &segment, now, dead_reason::AGE, |stored| now.since(stored.since()) >= age)
    }

    /// About how many bytes the events take that a destination is owed.
    fn backlog(&self, lane: u32) -> u64 {
        let Some(cell) = self.shared.known().lane(lane).cloned() else { return 0 };
        let state = cell.state();
        let owed = state.owed.bits();
        let index = self.shared.index();
        let of = |segment: &Segment| {
            let last = segment.last_seq.max(segment.first_seq);
            owed.range_cardinality(segment.first_seq..=last) * segment.each()
        };
        index.segments.iter().map(of).sum()
    }

    /// Makes dead letters of the lane's oldest owed events in this segment, as long as `past` says so.
    pub(super) fn expire(
        &mut self,
        lane: u32,
        segment: &Segment,
        now: Timestamp,
        reason: u16,
        mut past: impl FnMut(&Stored) -> bool,
    ) -> bool {
        let Some(cell) = self.shared.known().lane(lane).cloned() else { return false };
        let wants = cell.state().owed.oldest_until(segment.last_seq, WANTS);
        let Some(found) = self.find(segment, &wants, PIECE, now) else { return false };
        let mut any = false;
        for missing in &found.missing {
            any |= self.lose(missing, now);
        }
        let mut state = cell.state();
        for stored in found.events {
            if !past(&stored) {
                break;
            }
            if !state.owed.contains(stored.seq) || state.owed.is_aloft(stored.seq) {
                continue;
            }
            let (_, attempts) = state.owed.waits(stored.seq);
            let death = Death { destination: lane, attempts, at: now, status: 0, reason, answer: 0 };
            state.set_aside(stored.seq);
            self.house.dying.push(Dying { stored, death, answer: bytes::Bytes::new(), bare: false });
            any = true;
        }
        any
    }
}
