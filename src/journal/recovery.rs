//! What is there after a crash?
//!
//! Segments are walked by what each header says of its predecessor: nothing beyond a stated end is read. In the last segment
//! the durable marks decide: a hole below the highest mark is damage, above it the torn rest of the last batch, which nobody
//! got a receipt for. Whole records of that batch are kept either way.
//!
//! Promises: what it gives was synced by it; damage is named and takes no whole record with it; reading changes nothing but
//! to write the last batch once more as it was read.
//!
//! Must not know: who will own what it finds.

mod files;
mod walk;

pub(crate) use files::{Files, Headers, files};

use std::io;

use self::files::{Found, ends, is_orphan};
use self::walk::Walk;
use super::checkpoint::{self, Checkpoint};
use super::frame::Seal;
use super::index::Index;
use super::lane::{BLOCK, is_lost};
use super::replay::Replay;
use super::segment::{End, Header, Identity, Names};
use super::storage::{File, Storage, read_full, write_all};
use super::{Damage, Report};

/// Bytes read at once.
const PIECE: usize = 1 << 20;
/// What was found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) index: Index,
    pub(crate) replay: Replay,
    pub(crate) names: Names,
    pub(crate) epoch: u32,
    pub(crate) end: End,
    /// The highest number that any file of the log has.
    pub(crate) number: u64,
    pub(crate) next_seq: u64,
    pub(crate) checkpoint_next: u64,
    /// Whether the dead letters' bits come from a checkpoint.
    pub(crate) dead_known: bool,
    /// Stretches cut as torn between whole records.
    pub(crate) cuts: Vec<(u64, u64)>,
}

/// Puts the log together again.
pub(crate) fn recover(
    storage: &dyn Storage,
    identity: Identity,
    files: Files,
    seal: impl Fn(u64) -> Seal,
    report: &mut Report,
) -> io::Result<Recovered> {
    let (checkpoint, highest, unusable) = checkpoint::latest(storage, identity.store)?;
    if unusable > 0 {
        report.notes.push(format!("{unusable} checkpoints could not be read and were passed over"));
    }
    let mut files = files.0;
    for found in &mut files {
        let ours = |(header, _): &(Header, u64)| header.identity == identity && header.number == found.number;
        found.header = found.header.take().filter(ours);
        if found.header.is_none() {
            report
                .notes
                .push(format!("the header of segment {} cannot be read; its records are looked for", found.number));
        }
    }
    let number = files.last().map_or(0, |found| found.number);
    let checkpoint = checkpoint.unwrap_or_default();
    let mut walk = Walk::new(&checkpoint, &files, highest > 0 && checkpoint.number > 0);
    let ends = ends(&files, &checkpoint);
    let last = files.iter().rev().find(|found| !is_orphan(found, &files)).map(|found| found.number);
    for found in &files {
        if is_orphan(found, &files) {
            report.notes.push(format!("segment {} was begun and given up; it is passed over", found.number));
            continue;
        }
        walk.segment(found, ends.get(&found.number).copied(), last == Some(found.number), &seal)?;
    }
    walk.missing(report);
    walk.finish(&checkpoint, &files, number, highest, report)
}

impl Walk {
    fn finish(
        mut self,
        checkpoint: &Checkpoint,
        files: &[Found],
        number: u64,
        highest: u64,
        report: &mut Report,
    ) -> io::Result<Recovered> {
        let headers = || files.iter().filter_map(|found| found.header.as_ref()).map(|(header, _)| header);
        let known_cuts = || headers().flat_map(|header| &header.cuts);
        let header_epoch = headers().map(|header| header.epoch).max();
        let header_seq = headers().map(|header| header.first_seq).max();
        // Whatever a hole held had a sequence; none of these is given again.
        let skipped: u64 = self.holes.iter().filter(|hole| hole.length > 0).map(|hole| 1 + hole.length / 64).sum();
        let next_seq = (self.replay.last_seq.max(self.end.seq) + 1 + skipped).max(header_seq.unwrap_or(0));
        let mut cuts = Vec::new();
        for hole in self.holes.iter().filter(|hole| hole.length > 0) {
            if hole.whose.is_some_and(|event_id| self.replay.erasing.contains(&event_id)) {
                // Half erased: the intent is durable, and the writer carries it out again.
                continue;
            }
            let cut_before = known_cuts().any(|cut| *cut == (hole.segment, hole.at));
            if hole.torn || cut_before {
                if let Some((_, seq)) = hole.event {
                    self.replay.forget(seq);
                }
                if hole.torn {
                    cuts.push((hole.segment, hole.at));
                }
                continue;
            }
            report.damage.push(Damage {
                segment: hole.segment,
                offset: hole.at,
                length: hole.length,
                sequences: match hole.event {
                    Some((_, seq)) => seq..seq + 1,
                    None if hole.between.1 == u64::MAX => hole.between.0 + 1..next_seq,
                    None => hole.between.0 + 1..hole.between.1,
                },
                event_id: hole.event.map(|(event_id, _)| event_id),
            });
        }
        report.torn_bytes += self.torn_bytes;
        report.events += self.replay.events;
        if let Some((file, from, to)) = &self.doubtful {
            settle_tail(&**file, *from, *to)?;
        }
        Ok(Recovered {
            index: self.index,
            replay: self.replay,
            names: self.names,
            epoch: header_epoch.unwrap_or(0).max(checkpoint.epoch),
            end: self.end,
            number,
            next_seq,
            checkpoint_next: highest,
            dead_known: self.from_checkpoint,
            cuts,
        })
    }
}

/// The last batch may be in the cache only, and marked clean there by a sync that failed: it is written once more, as it was
/// read, and synced.
fn settle_tail(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    let (mut at, mut most) = (from, PIECE);
    let mut piece = vec![0; PIECE];
    while at < to {
        let step = most - usize::try_from(at % most as u64).unwrap_or(0);
        let room = usize::try_from(to - at).unwrap_or(step).min(step);
        match read_full(file, &mut piece[..room], at) {
            Ok(0) => break,
            Ok(read) => at += write_all(file, &piece[..read], at)?,
            // What cannot be read is left as it is.
            Err(error) if is_lost(&error) && most == BLOCK => at += room as u64,
            Err(error) if is_lost(&error) => most = BLOCK,
            Err(error) => return Err(error),
        }
    }
    file.sync_data()
}
