//! What do the records of the log add up to?
//!
//! Promises: replaying a stretch twice, or from further back than needed, ends in the same state.
//!
//! Must not know: files.

use std::collections::BTreeMap;

use super::DedupEntry;
use super::checkpoint::LaneState;
use super::event::{Death, EVENT_FIXED, Stored, owing, share};
use super::frame::{Envelope, Kind, array_at, field, u16_at, u32_at, u64_at};
use super::lane::Slot;
use crate::clock::Timestamp;

/// What the log has said so far.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) lanes: Vec<LaneReplay>,
    pub(crate) last_seq: u64,
    pub(crate) events: u64,
    pub(crate) dedup: Vec<DedupEntry>,
    pub(crate) erasing: Vec<[u8; 16]>,
    /// Carried events: [`Stored::lineage`] of each.
    pub(crate) origins: BTreeMap<u64, u64>,
}

/// One destination as far as the log has been read.
#[derive(Debug, Default)]
pub(crate) struct LaneReplay {
    pub(crate) state: LaneState,
    pub(crate) slots: BTreeMap<u64, Slot>,
    /// Dead letters that are none any more, from the first sequence to the one before the last; as far as the log was read.
    pub(crate) unlisted: Vec<(u64, u64)>,
}

impl Replay {
    pub(crate) fn starting(lanes: Vec<LaneState>, last_seq: u64) -> Self {
        let lane = |mut state: LaneState| {
            let slots = std::mem::take(&mut state.slots).into_iter().collect();
            LaneReplay { state, slots, unlisted: Vec::new() }
        };
        Self { lanes: lanes.into_iter().map(lane).collect(), last_seq, ..Self::default() }
    }

    pub(crate) fn lane(&mut self, destination: u32) -> &mut LaneReplay {
        let place = destination as usize;
        if self.lanes.len() <= place {
            self.lanes.resize_with(place + 1, LaneReplay::default);
        }
        &mut self.lanes[place]
    }

    /// Nobody is owed this any more.
    pub(crate) fn forget(&mut self, seq: u64) {
        for lane in &mut self.lanes {
            lane.release(seq);
        }
    }

    /// One more record. Ids of destinations beyond `known` are not believed.
    pub(crate) fn apply(&mut self, envelope: &Envelope<'_>, known: u32) {
        match envelope.kind() {
            Some(Kind::Event) => self.event(envelope, known),
            Some(Kind::Delivered) => self.delivered(envelope, known),
            Some(Kind::Unlisted) => self.unlisted(envelope, known),
            Some(Kind::Attempt) => self.attempt(envelope, known),
            Some(Kind::Dead) => {
                if let Some(death) = envelope.field(field::DEATH, 0).and_then(Death::of)
                    && death.destination < known
                {
                    let lane = self.lane(death.destination);
                    lane.release(envelope.seq());
                    let letter = envelope.field(field::CARRIED_FROM, 0).filter(|bytes| bytes.len() == 8);
                    lane.state.dead.insert(letter.map_or_else(|| envelope.seq(), |bytes| u64_at(bytes, 0)));
                }
            }
            Some(Kind::Drop) => {
                if let Some(bytes) = envelope.field(field::DESTINATION, 0).filter(|bytes| bytes.len() == 4)
                    && u32_at(bytes, 0) < known
                {
                    let lane = self.lane(u32_at(bytes, 0));
                    lane.state.owed.clear();
                    lane.slots.clear();
                }
            }
            Some(Kind::Erase) => {
                if let Some(bytes) = envelope.field(field::EVENT_ID, 0).filter(|bytes| bytes.len() == 16) {
                    let event_id = array_at(bytes, 0);
                    if !self.erasing.contains(&event_id) {
                        self.erasing.push(event_id);
                    }
                }
            }
            Some(Kind::Mark | Kind::Letter) | None => {}
        }
    }

    fn event(&mut self, envelope: &Envelope<'_>, known: u32) {
        let Some(stored) = Stored::decode(envelope, None) else { return };
        let seq = stored.seq;
        self.last_seq = self.last_seq.max(seq);
        self.events += 1;
        let carried = carried_from(envelope);
        if carried.is_some() {
            self.origins.insert(seq, stored.lineage());
        }
        for owing in owing(envelope) {
            if owing.destination >= known {
                continue;
            }
            let lane = self.lane(owing.destination);
            if let Some(from) = carried {
                lane.release(from);
            }
            lane.state.owed.insert(seq);
            // An early lane may have looked at it before the checkpoint, which does not know it yet.
            lane.state.live = lane.state.live.min(seq);
            if owing.attempts > 0 {
                let slot = Slot { at: owing.not_before, attempts: owing.attempts, share: share(&stored.tenants) };
                lane.slots.insert(seq, slot);
            }
        }
        if carried.is_none()
            && stored.replayed.is_none()
            && let Some(key) = stored.dedup_key
        {
            let (body_digest, event_id, accepted) = (stored.body_digest, stored.event_id, stored.accepted);
            self.dedup.push(DedupEntry { key, body_digest, event_id, accepted, seq });
        }
    }

    fn delivered(&mut self, envelope: &Envelope<'_>, known: u32) {
        for (destination, first, last) in stretches(envelope).filter(|(destination, ..)| *destination < known) {
            let lane = self.lane(destination);
            lane.state.owed.remove_range(first..last);
            let gone: Vec<u64> = lane.slots.range(first..last).map(|(seq, _)| *seq).collect();
            for seq in gone {
                lane.slots.remove(&seq);
            }
        }
    }

    fn unlisted(&mut self, envelope: &Envelope<'_>, known: u32) {
        for (destination, first, last) in stretches(envelope).filter(|(destination, ..)| *destination < known) {
            let lane = self.lane(destination);
            lane.state.dead.remove_range(first..last);
            lane.unlisted.push((first, last));
        }
    }

    fn attempt(&mut self, envelope: &Envelope<'_>, known: u32) {
        let Some(bytes) = envelope.field(field::ATTEMPT, 0).filter(|bytes| bytes.len() >= 18) else { return };
        let (destination, attempts) = (u32_at(bytes, 0), u32_at(bytes, 4));
        let at = Timestamp::from_micros(u64_at(bytes, 8));
        let _: u16 = u16_at(bytes, 16);
        if destination < known {
            let lane = self.lane(destination);
            if lane.state.owed.contains(envelope.seq()) {
                lane.slots.insert(envelope.seq(), Slot { at, attempts, share: 0 });
            }
        }
    }
}

/// What a list of sequences says: the destination, the first sequence and the one behind the last.
fn stretches<'a>(envelope: &Envelope<'a>) -> impl Iterator<Item = (u32, u64, u64)> + use<'a> {
    let lists = envelope.fields(0).filter(|(number, bytes)| *number == field::DELIVERED && bytes.len() >= 4);
    lists.flat_map(|(_, bytes)| {
        bytes[4..].chunks_exact(12).map(|stretch| {
            let first = u64_at(stretch, 0);
            (u32_at(bytes, 0), first, first.saturating_add(u64::from(u32_at(stretch, 8))))
        })
    })
}

/// The sequence that an event was carried forward from.
pub(crate) fn carried_from(envelope: &Envelope<'_>) -> Option<u64> {
    envelope.field(field::CARRIED_FROM, EVENT_FIXED).filter(|bytes| bytes.len() == 8).map(|bytes| u64_at(bytes, 0))
}

impl LaneReplay {
    fn release(&mut self, seq: u64) {
        self.state.owed.remove(seq);
        self.slots.remove(&seq);
    }
}
