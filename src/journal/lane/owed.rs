//! What is one destination owed, and where does each of it stand?
//!
//! Promises: an owed sequence is a bit and nothing more, except while it is in flight, given back, or has one of the bounded
//! retry slots; what has no slot is remembered by the earliest time of its group of sequences.
//!
//! Must not know: records, files, locks.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use roaring::RoaringTreemap;

use crate::clock::Timestamp;

/// Sequences of one group share one remembered time.
const GROUP_BITS: u32 = 12;
/// How many owed sequences are looked up at once.
const AHEAD: usize = 256;

/// A retry that is remembered by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) at: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) share: u64,
}

/// The bounds of the retry slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotBounds {
    pub(crate) slots: u32,
    pub(crate) per_share: u32,
}

/// The owed sequences of one destination.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    bits: RoaringTreemap,
    /// By the sequence it was taken under: the one it has now (carrying changes it).
    flying: HashMap<u64, u64>,
    aloft: BTreeSet<u64>,
    /// Given back: attempts made, and whether and since when it had lost its slot.
    returned: BTreeMap<u64, (u32, Option<Timestamp>)>,
    slots: HashMap<u64, Slot>,
    due: BTreeSet<(Timestamp, u64)>,
    shares: HashMap<u64, u32>,
    groups: BTreeMap<u64, Timestamp>,
    /// When the events of a group that have no slot were handed out last, while anything up to there is owed.
    swept: BTreeMap<u64, Timestamp>,
    sweep: Option<Sweep>,
    /// The live cursor: the first sequence it has not looked at.
    live: u64,
    /// Adopted, below the live cursor, and not looked at yet.
    fresh: RoaringTreemap,
    ahead: VecDeque<u64>,
    /// Whether `ahead` holds all that is owed from `live` on.
    complete: bool,
}

/// A group whose events without a slot are being handed out.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    from: u64,
    to: u64,
    /// When that happened the time before; zero: not since the start.
    before: Timestamp,
}

/// A sequence whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) seq: u64,
    pub(crate) attempts: u32,
    /// Whether it lost its slot, and when those of its group without one were handed out the time before (zero: not
    /// since the start).
    pub(crate) slotless: Option<Timestamp>,
}

impl Owed {
    pub(crate) fn restored(bits: RoaringTreemap, live: u64) -> Self {
        Self { bits, live, ..Self::default() }
    }

    pub(crate) const fn live(&self) -> u64 {
        self.live
    }

    pub(crate) const fn bits(&self) -> &RoaringTreemap {
        &self.bits
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.bits.contains(seq)
    }

    /// The cursor.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.bits.min()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flying.len()
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_aloft(&self, seq: u64) -> bool {
        self.aloft.contains(&seq)
    }

    /// Where the live cursor may begin after a restart: nothing below was left half done, except what has a slot or a group.
    pub(crate) fn live_floor(&self) -> u64 {
        let aloft = self.aloft.first().copied().unwrap_or(self.live);
        let returned = self.returned.first_key_value().map_or(self.live, |(seq, _)| *seq);
        let swept = self.sweep.map_or(self.live, |sweep| sweep.from);
        let fresh = self.fresh.min().unwrap_or(self.live);
        self.live.min(aloft).min(returned).min(swept).min(fresh)
    }

    pub(crate) fn all_slots(&self) -> impl Iterator<Item = (u64, &Slot)> {
        self.slots.iter().map(|(seq, slot)| (*seq, slot))
    }

    pub(crate) fn all_groups(&self) -> impl Iterator<Item = (u64, Timestamp)> {
        self.groups.iter().map(|(group, at)| (*group, *at))
    }

    pub(crate) fn restore_group(&mut self, group: u64, at: Timestamp) {
        self.groups.insert(group, at);
    }

    /// A new sequence.
    pub(crate) fn owe(&mut self, seq: u64) {
        self.bits.insert(seq);
        if self.ahead.back().is_some_and(|last| *last > seq) {
            // A lane that sees events early knows younger ones already.
            self.ahead.clear();
            self.complete = false;
        }
        if self.complete && self.ahead.len() < AHEAD {
            self.ahead.push_back(seq);
        } else {
            self.complete = false;
        }
    }

    /// What is owed, and nothing else of it.
    pub(crate) fn into_bits(self) -> RoaringTreemap {
        self.bits
    }

    /// These are owed, too, as if nobody had tried them yet; how many of them were not before.
    pub(crate) fn adopt(&mut self, mut bits: RoaringTreemap) -> u64 {
        bits -= &self.bits;
        let count = bits.len();
        self.bits |= &bits;
        bits.remove_range(self.live..);
        self.fresh |= bits;
        self.ahead.clear();
        self.complete = false;
        count
    }

    /// Not owed any more. Whether it was.
    pub(crate) fn release(&mut self, seq: u64) -> bool {
        self.fresh.remove(seq);
        self.drop_slot(seq);
        self.returned.remove(&seq);
        self.bits.remove(seq)
    }

    /// Takes a sequence into flight.
    pub(crate) fn take(&mut self, seq: u64) {
        self.fresh.remove(seq);
        self.drop_slot(seq);
        self.returned.remove(&seq);
        self.flying.insert(seq, seq);
        self.aloft.insert(seq);
    }

    /// What was taken under this sequence is back; the sequence it has now, or `None` if it is owed no more.
    pub(crate) fn land(&mut self, taken: u64) -> Option<u64> {
        let now = self.flying.remove(&taken)?;
        self.aloft.remove(&now);
        self.bits.contains(now).then_some(now)
    }

    /// The sequence under which this one was taken, if it is in flight.
    pub(crate) fn taken_as(&self, seq: u64) -> Option<u64> {
        self.aloft
            .contains(&seq)
            .then(|| self.flying.iter().find(|(_, now)| **now == seq).map(|(taken, _)| *taken))
            .flatten()
    }

    /// Keeps it where it was, first in line.
    pub(crate) fn give_back(&mut self, seq: u64, attempts: u32, slotless: Option<Timestamp>) {
        self.returned.insert(seq, (attempts, slotless));
    }

    /// Everything in flight is given back, except what `keep` says of the sequence it was taken under.
    pub(crate) fn give_all_back(&mut self, keep: impl Fn(u64) -> bool) {
        let flying: Vec<u64> = self.flying.keys().copied().collect();
        for taken in flying {
            if !keep(taken)
                && let Some(seq) = self.land(taken)
            {
                self.give_back(seq, 0, Some(Timestamp::ZERO));
            }
        }
    }

    /// Not before that time: in a slot if one is free and its share allows, else with its group.
    pub(crate) fn hold(&mut self, seq: u64, slot: Slot, bounds: SlotBounds) {
        self.fresh.remove(seq);
        self.returned.remove(&seq);
        let used = self.shares.get(&slot.share).copied().unwrap_or(0);
        if self.slots.len() < bounds.slots as usize && used < bounds.per_share {
            self.drop_slot(seq);
            self.slots.insert(seq, slot);
            self.due.insert((slot.at, seq));
            *self.shares.entry(slot.share).or_insert(0) += 1;
        } else {
            let at = self.groups.entry(seq >> GROUP_BITS).or_insert(slot.at);
            *at = slot.at.min(*at);
        }
    }

    /// Given back or due, and yet not to be had before that time.
    pub(crate) fn put_off(&mut self, seq: u64, slot: Slot, bounds: SlotBounds) {
        self.returned.remove(&seq);
        self.drop_slot(seq);
        self.hold(seq, slot, bounds);
    }

    fn drop_slot(&mut self, seq: u64) -> Option<Slot> {
        let slot = self.slots.remove(&seq)?;
        self.due.remove(&(slot.at, seq));
        if let Some(used) = self.shares.get_mut(&slot.share) {
            *used -= 1;
            if *used == 0 {
                self.shares.remove(&slot.share);
            }
        }
        Some(slot)
    }

    /// Carried forward: the same event has another sequence now. Whether it was still owed.
    pub(crate) fn carry(&mut self, from: u64, to: u64, bounds: SlotBounds) -> bool {
        if !self.bits.remove(from) {
            return false;
        }
        self.owe(to);
        if let Some(slot) = self.drop_slot(from) {
            self.hold(to, slot, bounds);
        } else if let Some(was) = self.returned.remove(&from) {
            self.returned.insert(to, was);
        } else if self.aloft.remove(&from) {
            self.aloft.insert(to);
            for now in self.flying.values_mut().filter(|now| **now == from) {
                *now = to;
            }
        } else if self.fresh.remove(from) {
            if to < self.live {
                self.fresh.insert(to);
            }
        } else if to < self.live {
            // The live cursor is past it already: it waits with its new group for what it waited for with the old one.
            let at = self.groups.get(&(from >> GROUP_BITS)).copied().unwrap_or(Timestamp::ZERO);
            let group = self.groups.entry(to >> GROUP_BITS).or_insert(at);
            *group = at.min(*group);
        }
        // Else it says so in its new record, where the live cursor will see it.
        true
    }

    /// The time that an owed sequence waits for, as far as is known, and the attempts made.
    pub(crate) fn waits(&self, seq: u64) -> (Timestamp, u32) {
        match self.slots.get(&seq) {
            Some(slot) => (slot.at, slot.attempts),
            None if seq < self.live && !self.fresh.contains(seq) => {
                (self.groups.get(&(seq >> GROUP_BITS)).copied().unwrap_or_default(), 0)
            }
            None => (Timestamp::ZERO, 0),
        }
    }

    /// The next of those that wait for nothing but their turn, without taking it.
    pub(crate) fn next_live(&mut self) -> Option<u64> {
        loop {
            while let Some(seq) = self.ahead.front().copied() {
                if seq >= self.live && self.bits.contains(seq) && !self.is_placed(seq) {
                    return Some(seq);
                }
                self.ahead.pop_front();
                self.live = self.live.max(seq + 1);
            }
            if self.complete || self.bits.max().is_none_or(|last| last < self.live) {
                self.complete = true;
                return None;
            }
            let mut owed = self.bits.iter();
            owed.advance_to(self.live);
            self.ahead.extend(owed.by_ref().take(AHEAD));
            self.complete = owed.next().is_none();
        }
    }

    /// The live cursor has looked at this one.
    pub(crate) fn pass(&mut self, seq: u64) {
        self.live = self.live.max(seq + 1);
        if self.ahead.front() == Some(&seq) {
            self.ahead.pop_front();
        }
    }

    /// Up to `most` sequences that the live cursor will look at next, up to `last`.
    pub(crate) fn upcoming(&self, last: u64, most: usize) -> Vec<u64> {
        self.ahead
            .iter()
            .copied()
            .filter(|seq| *seq >= self.live && *seq <= last && self.bits.contains(*seq) && !self.is_placed(*seq))
            .take(most)
            .collect()
    }

    /// Whether something else than the live cursor answers for it.
    fn is_placed(&self, seq: u64) -> bool {
        self.aloft.contains(&seq) || self.slots.contains_key(&seq) || self.returned.contains_key(&seq)
    }

    /// What the late cursor has next: given back, due by its slot, or of a group whose time has come.
    pub(crate) fn next_late(&mut self, now: Timestamp) -> Option<Candidate> {
        if let Some((seq, (attempts, slotless))) = self.returned.first_key_value() {
            return Some(Candidate { seq: *seq, attempts: *attempts, slotless: *slotless });
        }
        if let Some((at, seq)) = self.due.first().copied()
            && at <= now
        {
            let attempts = self.slots.get(&seq).map_or(0, |slot| slot.attempts);
            return Some(Candidate { seq, attempts, slotless: None });
        }
        while let Some(seq) = self.fresh.min() {
            if self.bits.contains(seq) && !self.is_placed(seq) {
                return Some(Candidate { seq, attempts: 0, slotless: None });
            }
            self.fresh.remove(seq);
        }
        loop {
            let sweep = match self.sweep {
                Some(sweep) => sweep,
                None => self.begin_sweep(now)?,
            };
            let mut owed = self.bits.iter();
            owed.advance_to(sweep.from);
            let found = owed.take_while(|seq| *seq < sweep.to.min(self.live)).find(|seq| !self.is_placed(*seq));
            self.sweep = found.map(|from| Sweep { from, ..sweep });
            if let Some(seq) = found {
                return Some(Candidate { seq, attempts: 0, slotless: Some(sweep.before) });
            }
        }
    }

    /// Begins with the first group whose time has come.
    fn begin_sweep(&mut self, now: Timestamp) -> Option<Sweep> {
        let group = *self.groups.iter().find(|(_, at)| **at <= now)?.0;
        self.groups.remove(&group);
        if let Some(oldest) = self.bits.min() {
            self.swept = self.swept.split_off(&(oldest >> GROUP_BITS));
        }
        let before = self.swept.insert(group, now).unwrap_or_default();
        Some(Sweep { from: group << GROUP_BITS, to: (group + 1) << GROUP_BITS, before })
    }

    /// The late cursor is done with this one for now.
    pub(crate) fn swept(&mut self, seq: u64) {
        if let Some(sweep) = self.sweep.as_mut().filter(|sweep| sweep.from == seq) {
            sweep.from += 1;
        }
    }

    /// Others like this candidate from the same range of sequences, to be read along with it.
    pub(crate) fn companions(&self, of: Candidate, range: std::ops::RangeInclusive<u64>, now: Timestamp) -> Vec<u64> {
        let mut all: Vec<u64> = if self.returned.contains_key(&of.seq) {
            self.returned.range(range).map(|(seq, _)| *seq).take(AHEAD).collect()
        } else if self.slots.contains_key(&of.seq) {
            let due = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, seq)| *seq);
            due.filter(|seq| range.contains(seq)).take(AHEAD).collect()
        } else if self.fresh.contains(of.seq) {
            let mut fresh = self.fresh.iter();
            fresh.advance_to(of.seq);
            fresh.take_while(|seq| seq <= range.end()).take(AHEAD).collect()
        } else {
            let to = self.sweep.map_or(of.seq + 1, |sweep| sweep.to);
            let mut owed = self.bits.iter();
            owed.advance_to(of.seq);
            let swept = owed.take_while(|seq| *seq < to.min(self.live) && *seq <= *range.end());
            swept.filter(|seq| !self.is_placed(*seq)).take(AHEAD).collect()
        };
        all.sort_unstable();
        all
    }

    /// The oldest that are not in flight and do not wait in a slot for their time, after `skip` of them.
    pub(crate) fn probe(&self, skip: usize, now: Timestamp) -> Option<Candidate> {
        let waits = |seq: &u64| self.slots.get(seq).is_some_and(|slot| slot.at > now);
        let seq = self.bits.iter().filter(|seq| !self.aloft.contains(seq) && !waits(seq)).nth(skip)?;
        let slot = self.slots.get(&seq).map(|slot| (slot.attempts, None));
        let lost = || self.swept.get(&(seq >> GROUP_BITS)).copied().unwrap_or_default();
        let known = slot.or_else(|| self.returned.get(&seq).copied());
        let (attempts, slotless) =
            known.unwrap_or_else(|| (0, (seq < self.live && !self.fresh.contains(seq)).then(lost)));
        Some(Candidate { seq, attempts, slotless })
    }

    /// When the next slot or group is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let slot = self.due.first().map(|(at, _)| *at);
        let group = self.groups.values().min().copied();
        slot.into_iter().chain(group).min()
    }

    /// Up to `most` owed sequences that are not in flight, from the oldest on, up to `last`.
    pub(crate) fn oldest_until(&self, last: u64, most: usize) -> Vec<u64> {
        let owed = self.bits.iter().take_while(|seq| *seq <= last);
        owed.filter(|seq| !self.aloft.contains(seq)).take(most).collect()
    }
}
