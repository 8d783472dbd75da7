//! How are outcomes written?
//!
//! They ride at the head of the next batch. What a batch could not write goes back to its lane.

use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Writer;
use crate::clock::Timestamp;
use crate::journal::frame::{Builder, Kind, Lengths, field};
use crate::journal::lane::{DYING_BYTES_MAX, Dead, Failed, Outcomes};

/// With more than this at hand no further lane's outcomes are added to a batch.
const ENOUGH: usize = 8 << 10;
/// Events that the writer keeps on their way to become dead letters, beyond what one lane may hold.
const DYING_MAX: usize = 64;
/// Intents to erase in one batch.
const ERASURES: usize = 32;
/// Stretches of delivered sequences in one field.
const STRETCHES: usize = 256;

/// Records of one batch that are no events, and what they say.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) out: Vec<u8>,
    /// Where each record lies in `out`, and how long its envelope is.
    pub(super) frames: Vec<(Range<usize>, u16)>,
    lanes: Vec<(u32, Outcomes)>,
    erasing: Vec<[u8; 16]>,
}

impl Written {
    /// Adds a record; `build` gets the buffer and finishes the envelope, and may not add anything else.
    pub(super) fn frame(&mut self, build: impl FnOnce(&mut Vec<u8>) -> Option<Lengths>) {
        self.frame_with(&[], build);
    }

    /// Adds a record with a body.
    pub(super) fn frame_with(&mut self, body: &[u8], build: impl FnOnce(&mut Vec<u8>) -> Option<Lengths>) {
        let start = self.out.len();
        if let Some(lengths) = build(&mut self.out) {
            self.out.extend_from_slice(body);
            self.out.resize(start + lengths.record as usize, 0);
            self.frames.push((start..self.out.len(), lengths.envelope));
        }
    }
}

impl Writer {
    /// Takes what the lanes have to say of durable events, as much as fits a batch.
    pub(super) fn gather_outcomes(&mut self) -> Written {
        let mut written = Written::default();
        for erasing in self.house.erasing.iter().filter(|erasing| !erasing.stated).take(ERASURES) {
            written.erasing.push(erasing.event_id);
            written.frame(|out| {
                let mut builder = Builder::new(out, Kind::Erase, 0);
                builder.field(field::EVENT_ID, &erasing.event_id);
                builder.finish((0, 0), (0, 0))
            });
        }
        if !self.shared.take_outcomes_flag() {
            return written;
        }
        self.house.outcome_due = None;
        let durable = self.shared.durable.load(Ordering::Acquire);
        let (mut more, mut letters) = (false, false);
        for cell in &self.shared.known().lanes {
            if written.out.len() > ENOUGH {
                more = true;
                break;
            }
            let mut state = cell.state();
            // Letters that cannot be written wait where the lane counts them.
            let dying = &self.house.dying;
            let bytes: u64 = dying.iter().map(|dying| dying.stored.weight()).sum();
            if dying.len() < DYING_MAX && bytes < DYING_BYTES_MAX {
                self.house.dying.append(&mut state.outcomes.dying);
            }
            let mut taken = state.outcomes.take(durable);
            for failed in taken.failed.iter_mut().filter(|failed| self.house.erased.contains(&failed.event_id)) {
                failed.answer = Bytes::new();
            }
            more |= state.outcomes.has_records(durable);
            letters |= !state.outcomes.dying.is_empty();
            self.house.outcomes_left |= !state.outcomes.is_empty();
            drop(state);
            if !taken.is_empty() {
                encode(&mut written, cell.id, &taken);
                written.lanes.push((cell.id, taken));
            }
        }
        if more {
            // What is left rides on the next batch, which does not wait for it to grow.
            self.house.outcome_due = Some(Timestamp::ZERO);
        }
        if more || letters {
            self.shared.outcome_noted();
        }
        written
    }

    /// The batch was not written.
    pub(super) fn put_back(&mut self, written: Written) {
        for (lane, outcomes) in written.lanes {
            if let Some(cell) = self.shared.known().lane(lane) {
                cell.state().outcomes.put_back(outcomes);
            }
        }
        self.house.outcome_due = None;
        self.shared.outcome_noted();
    }

    /// The batch is durable.
    pub(super) fn written(&mut self, written: &Written) {
        for erasing in &mut self.house.erasing {
            erasing.stated |= written.erasing.contains(&erasing.event_id);
        }
    }
}

fn encode(written: &mut Written, lane: u32, outcomes: &Outcomes) {
    let destination = lane.to_le_bytes();
    if outcomes.dropped {
        written.frame(|out| {
            let mut builder = Builder::new(out, Kind::Drop, 0);
            builder.field(field::DESTINATION, &destination);
            builder.finish((0, 0), (0, 0))
        });
    }
    list(written, Kind::Delivered, destination, &outcomes.delivered);
    for failed in &outcomes.failed {
        attempt(written, destination, failed);
    }
    for one in &outcomes.dead {
        dead(written, one);
    }
    list(written, Kind::Unlisted, destination, &outcomes.unlisted);
}

/// Sequences of one destination.
fn list(written: &mut Written, kind: Kind, destination: [u8; 4], sequences: &[u64]) {
    for some in stretches(sequences).chunks(STRETCHES) {
        written.frame(|out| {
            let mut builder = Builder::new(out, kind, 0);
            let entries = some.iter().map(|(first, count)| {
                let mut entry = [0; 12];
                entry[..8].copy_from_slice(&first.to_le_bytes());
                entry[8..].copy_from_slice(&count.to_le_bytes());
                entry
            });
            let pieces = std::iter::once(destination.to_vec()).chain(entries.map(|entry| entry.to_vec()));
            builder.field_of(field::DELIVERED, pieces);
            builder.finish((0, 0), (0, 0))
        });
    }
}

fn attempt(written: &mut Written, destination: [u8; 4], failed: &Failed) {
    let mut fixed = [0; 18];
    fixed[..4].copy_from_slice(&destination);
    fixed[4..8].copy_from_slice(&failed.attempts.to_le_bytes());
    fixed[8..16].copy_from_slice(&failed.at.as_micros().to_le_bytes());
    fixed[16..].copy_from_slice(&failed.status.to_le_bytes());
    written.frame_with(&failed.answer, |out| {
        let mut builder = Builder::new(out, Kind::Attempt, failed.seq);
        builder.field(field::ATTEMPT, &fixed);
        builder.field(field::EVENT_ID, &failed.event_id);
        builder.finish((0, 0), (failed.answer.len(), crc32c::crc32c(&failed.answer)))
    });
}

fn dead(written: &mut Written, dead: &Dead) {
    written.frame(|out| {
        let mut builder = Builder::new(out, Kind::Dead, dead.seq);
        builder.field(field::DEATH, &dead.death.bytes());
        if dead.letter != dead.seq {
            builder.field(field::CARRIED_FROM, &dead.letter.to_le_bytes());
        }
        builder.finish((0, 0), (0, 0))
    });
}

/// Runs of sequences: the first and how many.
fn stretches(sequences: &[u64]) -> Vec<(u64, u32)> {
    let mut sorted = sequences.to_vec();
    sorted.sort_unstable();
    let mut stretches: Vec<(u64, u32)> = Vec::new();
    for seq in sorted {
        match stretches.last_mut() {
            Some((first, count)) if *first + u64::from(*count) == seq => *count += 1,
            Some((first, count)) if seq < *first + u64::from(*count) => {}
            _ => stretches.push((seq, 1)),
        }
    }
    stretches
}
