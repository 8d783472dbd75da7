//! From where on must the log be read?
//!
//! A checkpoint holds what is owed at a place of the log, so that an opening replays only what came after. It can always be
//! rebuilt by reading all segments.
//!
//! Promises: one that is not whole is not believed; a new one replaces an old one only after it is durable; two are kept.
//!
//! Must not know: how the log is read.
//!
//! ```text
//! "PORTCKPT", u32 format, u32 CRC32C of the rest, then in this order: store id, number, epoch, opening, end of the log
//! before this opening, place, next sequence, names, segments, lanes (live cursor, owed, dead, slots, groups), erasures
//! ```

use std::io;
use std::sync::atomic::Ordering;

use roaring::RoaringTreemap;

use super::frame::{array_at, u32_at, u64_at};
use super::lane::{Slot, is_lost};
use super::record::StoreId;
use super::segment::{End, Names, STATE, parse_name};
use super::storage::{Storage, read_full, write_all};
use super::writer::Writer;
use crate::clock::Timestamp;

const MAGIC: &[u8; 8] = b"PORTCKPT";
const FORMAT: u32 = 1;
/// Checkpoints kept.
const KEPT: usize = 2;

/// What was true at a place of the log.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) store: StoreId,
    pub(crate) number: u64,
    pub(crate) epoch: u32,
    /// Where the log ended before the opening that wrote this.
    pub(crate) opened_after: End,
    pub(crate) place: End,
    pub(crate) next_seq: u64,
    pub(crate) names: Names,
    pub(crate) segments: Vec<Sealed>,
    pub(crate) lanes: Vec<LaneState>,
    pub(crate) erasing: Vec<[u8; 16]>,
}

/// A segment as a checkpoint knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) event_bytes: u64,
    pub(crate) first_accepted: Timestamp,
    pub(crate) last_accepted: Timestamp,
}

/// One destination as a checkpoint knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneState {
    pub(crate) live: u64,
    pub(crate) owed: RoaringTreemap,
    pub(crate) dead: RoaringTreemap,
    pub(crate) slots: Vec<(u64, Slot)>,
    pub(crate) groups: Vec<(u64, Timestamp)>,
}

fn name(number: u64) -> String {
    format!("{STATE}/{number:016x}.ckpt")
}

struct Out(Vec<u8>);

impl Out {
    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn time(&mut self, value: Timestamp) {
        self.u64(value.as_micros());
    }

    fn end(&mut self, value: End) {
        self.u64(value.segment);
        self.u64(value.offset);
        self.u64(value.seq);
    }

    fn bits(&mut self, bits: &RoaringTreemap) {
        self.u64(bits.serialized_size() as u64);
        bits.serialize_into(&mut self.0).expect("writing to memory does not fail");
    }
}

/// The state of the journal at the end of what is durable.
pub(crate) fn encode(writer: &Writer) -> Vec<u8> {
    let shared = &writer.shared;
    let durable = shared.durable.load(Ordering::Acquire);
    let mut out = Out(Vec::with_capacity(4096));
    out.0.extend_from_slice(MAGIC);
    out.0.extend_from_slice(&FORMAT.to_le_bytes());
    out.0.extend_from_slice(&[0; 4]);
    out.0.extend_from_slice(&writer.identity.store.0);
    out.u64(writer.house.checkpoint_next);
    out.u64(u64::from(writer.epoch));
    out.0.extend_from_slice(&writer.opening);
    out.end(writer.opened_after);
    let active = &writer.active;
    out.end(End { segment: active.number, offset: active.end, seq: active.last_seq });
    out.u64(shared.inbox().next_seq);
    let known = shared.known();
    known.names.encode(&mut out.0);
    {
        let index = shared.index();
        out.u64(index.segments.len() as u64);
        for segment in &index.segments {
            out.u64(segment.number);
            out.u64(segment.start);
            out.u64(segment.end);
            out.u64(segment.first_seq);
            out.u64(segment.last_seq);
            out.u64(segment.event_bytes);
            out.time(segment.first_accepted);
            out.time(segment.last_accepted);
        }
    }
    out.u64(known.lanes.len() as u64);
    for cell in &known.lanes {
        let state = cell.state();
        // A lane that sees events early may be past some that this checkpoint does not know.
        out.u64(state.owed.live_floor().min(durable + 1));
        if state.owed.bits().max().is_some_and(|last| last > durable) {
            let mut bits = state.owed.bits().clone();
            bits.remove_range(durable + 1..);
            out.bits(&bits);
        } else {
            out.bits(state.owed.bits());
        }
        out.bits(&state.dead);
        out.u64(state.owed.slots() as u64);
        for (seq, slot) in state.owed.all_slots() {
            out.u64(seq);
            out.time(slot.at);
            out.u64(u64::from(slot.attempts));
            out.u64(slot.share);
        }
        let groups: Vec<(u64, Timestamp)> = state.owed.all_groups().collect();
        out.u64(groups.len() as u64);
        for (group, at) in groups {
            out.u64(group);
            out.time(at);
        }
    }
    out.u64(writer.house.erasing.len() as u64);
    for erasing in &writer.house.erasing {
        out.0.extend_from_slice(&erasing.event_id);
    }
    let crc = crc32c::crc32c(&out.0[16..]);
    out.0[12..16].copy_from_slice(&crc.to_le_bytes());
    out.0
}

struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8).map(|bytes| u64_at(bytes, 0))
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.u64().map(Timestamp::from_micros)
    }

    fn id(&mut self) -> Option<[u8; 16]> {
        self.take(16).map(|bytes| array_at(bytes, 0))
    }

    fn end(&mut self) -> Option<End> {
        Some(End { segment: self.u64()?, offset: self.u64()?, seq: self.u64()? })
    }

    fn bits(&mut self) -> Option<RoaringTreemap> {
        let length = usize::try_from(self.u64()?).ok()?;
        RoaringTreemap::deserialize_from(self.take(length)?).ok()
    }

    /// A count of things that take at least `least` bytes each.
    fn count(&mut self, least: usize) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count.checked_mul(least)? <= self.0.len()).then_some(count)
    }
}

/// Reads a checkpoint; `None` if it is not whole.
pub(crate) fn decode(bytes: &[u8]) -> Option<Checkpoint> {
    if bytes.len() < 16 || &bytes[..8] != MAGIC || u32_at(bytes, 8) != FORMAT {
        return None;
    }
    if crc32c::crc32c(&bytes[16..]) != u32_at(bytes, 12) {
        return None;
    }
    let mut from = In(&bytes[16..]);
    let mut checkpoint = Checkpoint { store: StoreId(from.id()?), ..Checkpoint::default() };
    checkpoint.number = from.u64()?;
    checkpoint.epoch = u32::try_from(from.u64()?).ok()?;
    // The opening's id is there for whoever looks at the bytes.
    from.id()?;
    checkpoint.opened_after = from.end()?;
    checkpoint.place = from.end()?;
    checkpoint.next_seq = from.u64()?;
    let (names, taken) = Names::decode(from.0)?;
    from.take(taken)?;
    checkpoint.names = names;
    for _ in 0..from.count(64)? {
        checkpoint.segments.push(Sealed {
            number: from.u64()?,
            start: from.u64()?,
            end: from.u64()?,
            first_seq: from.u64()?,
            last_seq: from.u64()?,
            event_bytes: from.u64()?,
            first_accepted: from.time()?,
            last_accepted: from.time()?,
        });
    }
    for _ in 0..from.count(40)? {
        checkpoint.lanes.push(lane(&mut from)?);
    }
    for _ in 0..from.count(16)? {
        checkpoint.erasing.push(from.id()?);
    }
    Some(checkpoint)
}

fn lane(from: &mut In<'_>) -> Option<LaneState> {
    let mut lane = LaneState { live: from.u64()?, owed: from.bits()?, dead: from.bits()?, ..LaneState::default() };
    for _ in 0..from.count(32)? {
        let seq = from.u64()?;
        let at = from.time()?;
        let attempts = u32::try_from(from.u64()?).ok()?;
        lane.slots.push((seq, Slot { at, attempts, share: from.u64()? }));
    }
    for _ in 0..from.count(16)? {
        lane.groups.push((from.u64()?, from.time()?));
    }
    Some(lane)
}

/// Makes a checkpoint durable, then removes all but the youngest two.
pub(crate) fn write(storage: &dyn Storage, number: u64, bytes: &[u8]) -> io::Result<()> {
    let unfinished = format!("{STATE}/unfinished");
    let file = storage.create(&unfinished)?;
    write_all(&*file, bytes, 0)?;
    file.sync_data()?;
    storage.rename(&unfinished, &name(number))?;
    storage.sync_directory(STATE)?;
    for old in numbers(storage)?.into_iter().rev().skip(KEPT) {
        storage.remove(&name(old))?;
    }
    Ok(())
}

/// The checkpoints that are there, oldest first.
fn numbers(storage: &dyn Storage) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = storage.list(STATE)?.iter().filter_map(|name| parse_name(name, ".ckpt")).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The youngest checkpoint of this store that is whole, the highest number in use, and how many were not whole.
pub(crate) fn latest(storage: &dyn Storage, store: StoreId) -> io::Result<(Option<Checkpoint>, u64, u32)> {
    let numbers = numbers(storage)?;
    let highest = numbers.last().copied().unwrap_or(0);
    let mut unusable = 0;
    for number in numbers.into_iter().rev() {
        let file = storage.open(&name(number))?;
        let length = usize::try_from(file.length()?).unwrap_or(0);
        let mut bytes = vec![0; length];
        let read = match read_full(&*file, &mut bytes, 0) {
            Err(error) if is_lost(&error) => 0,
            read => read?,
        };
        match decode(&bytes[..read]).filter(|checkpoint| checkpoint.store == store) {
            Some(checkpoint) => return Ok((Some(checkpoint), highest, unusable)),
            None => unusable += 1,
        }
    }
    Ok((None, highest, unusable))
}
