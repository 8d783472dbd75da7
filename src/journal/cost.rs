//! What can the journal take in memory?
//!
//! Promises: each figure is a limit times what is measured or is held to the types by a test; nothing that grows with
//! events, failures or segments is left out.
//!
//! Must not know: how much is in use now.

use std::time::Duration;

use super::Options;
use super::dead::BURIED;
use super::inbox::Item;
use super::index::{STRIDE, Segment};
use super::lane::{DELIVERED_WAITING_MAX, DYING_BYTES_MAX, FAILED_WAITING_MAX};

/// The least that an event takes on disk, and so the most events a log can hold; a dead letter takes more.
pub(super) const RECORD_MIN: u64 = 176;
/// Sequences that share a container of a bitmap.
const CONTAINER: u64 = 1 << 16;
/// The most that a container takes, in a list that may be half empty, with the times of its sixteen groups.
const CONTAINER_BYTES: u64 = (8 << 10) + 256 + 16 * 96;
/// A dead letter's number in a container, and a container with next to nothing in it.
const LETTER_BYTES: u64 = 4;
const SPARSE_BYTES: u64 = 128;
/// As many events in a second, for as long as dead letters are kept, spread them over the containers.
const SPREAD_PER_SECOND: u64 = 10_000;
/// One retry slot: two tables that were just doubled, and a tree.
const SLOT_BYTES: u64 = 208;
/// A failed attempt that waits for the disk, with its answer.
const FAILED_BYTES: u64 = (1 << 10) + 256;
/// A record in the queue beside its bytes: its place in the two lists that take turns, whoever waits for it, and what is to
/// be done then.
const QUEUED_BYTES: u64 = 2 * size_of::<Item>() as u64 + 256;
/// What the queue's bytes may take: two buffers take turns, and each may be half empty.
const SCRATCH: u64 = 4;
/// A segment in the index and its open file, and a place in it that is remembered.
const SEGMENT_BYTES: u64 = 2 * size_of::<Segment>() as u64 + 256;
const PLACE_BYTES: u64 = 32;
/// Pieces read and written by the writer and its helper, of zeros, of what is carried, erased or buried.
const WORK: u64 = 6 << 20;
/// An entry of what repeats are recognised by, as it is read back: itself, and its number in a table.
const REMEMBERED: u64 = 96 + 40;
/// A letter as it is found again after damage.
const FOUND: u64 = 72;

/// What all destinations share, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What waits for the disk: envelopes, heads, small bodies; large ones are their senders'.
    pub queue: u64,
    /// Recent events.
    pub recent: u64,
    /// Which segments there are, and what lies where in them.
    pub index: u64,
    /// What the writer reads, carries, buries and states in checkpoints.
    pub work: u64,
    /// Which dead letters there are.
    pub dead: u64,
    /// What an opening takes until it is over, when nothing else is there yet.
    pub opening: u64,
}

/// What one destination takes, in bytes, beside the events it has in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneCost {
    /// How many events it can be owed at most.
    pub events: u64,
    /// Which they are.
    pub owed: u64,
    /// Retry slots.
    pub slots: u64,
    /// What is read from the files for it.
    pub reads: u64,
    /// What is still to be written of how its deliveries went.
    pub outcomes: u64,
}

/// What one of the destinations takes where no event takes more than `record` bytes and `flying` of them are attempted at
/// once.
#[must_use]
pub fn of_lane(options: &Options, record: u64, flying: u64) -> LaneCost {
    let events = options.size / RECORD_MIN;
    let piece = u64::from(options.read_bytes);
    LaneCost {
        events,
        owed: containers(options) * CONTAINER_BYTES,
        slots: u64::from(options.retry_slots) * SLOT_BYTES,
        // Two reads, each with the piece it looks at and what it found in it, and what the two before found.
        reads: (7 * piece).saturating_add(record.saturating_mul(3)),
        outcomes: (FAILED_WAITING_MAX as u64 + flying) * FAILED_BYTES
            + 2 * 8 * DELIVERED_WAITING_MAX as u64
            + DYING_BYTES_MAX
            + record,
    }
}

/// What all destinations share, where there are so many, and no event takes more than `record` bytes.
#[must_use]
pub fn of_all(options: &Options, lanes: u64, record: u64) -> Cost {
    let owed = containers(options).saturating_mul(CONTAINER_BYTES);
    let letters = options.keep_dead_size / RECORD_MIN;
    let spread = spread(options.keep_dead_age).saturating_mul(lanes).min(letters);
    let segments = options.size / options.segment_size;
    let stated = (owed + u64::from(options.retry_slots) * 32).saturating_mul(lanes);
    let entries = u64::from(options.dedup_entries);
    Cost {
        queue: options.queue_bytes.saturating_mul(SCRATCH)
            + u64::from(options.queue_records).next_power_of_two() * QUEUED_BYTES,
        recent: options.ring_bytes,
        index: segments * SEGMENT_BYTES + options.size / STRIDE * PLACE_BYTES,
        // A checkpoint is written into a buffer that is doubled, and all that anybody is owed is counted together.
        work: WORK + 2 * BURIED as u64 + record.saturating_mul(4) + stated.saturating_mul(2) + owed,
        dead: letters.saturating_mul(LETTER_BYTES).saturating_add(spread.saturating_mul(SPARSE_BYTES)),
        opening: entries * REMEMBERED + letters.saturating_mul(FOUND) + stated.saturating_mul(2),
    }
}

fn containers(options: &Options) -> u64 {
    (options.size / RECORD_MIN).div_ceil(CONTAINER) + 1
}

/// Over how many containers letters of that age can be spread.
const fn spread(age: Duration) -> u64 {
    age.as_secs().saturating_mul(SPREAD_PER_SECOND).div_ceil(CONTAINER)
}

#[cfg(test)]
mod tests;
