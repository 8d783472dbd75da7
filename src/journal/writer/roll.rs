//! How does the log go on in the next segment?
//!
//! The header is written and synced while the file is still a spare; only then does it get its name, and that is synced
//! too, before the first record counts.

use std::io;
use std::sync::Arc;

use super::{Active, Writer};
use crate::clock::Timestamp;
use crate::journal::frame::Seal;
use crate::journal::index::Segment;
use crate::journal::segment::{End, Header, LOG, log_name, spare_name, unclean_name};
use crate::journal::storage::{File, Storage, write_all};

/// A file that is written with zeros from end to end and waits for its turn.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn File>,
}

/// Zeros are written in pieces of this size.
const PIECE: usize = 256 << 10;

/// Makes a spare: zeroes `file`, or a new one, so that later writes change no metadata. Until that is done the file has an
/// unclean name, so that whoever finds it after a crash knows.
pub(crate) fn prepare(storage: &dyn Storage, number: u64, file: Option<Arc<dyn File>>, size: u64) -> io::Result<Spare> {
    let (unclean, name) = (unclean_name(number), spare_name(number));
    let made = file.map_or_else(|| storage.create(&unclean), Ok).and_then(|file| {
        zero(&*file, size)?;
        file.sync_data()?;
        storage.rename(&unclean, &name)?;
        storage.sync_directory(LOG)?;
        Ok(file)
    });
    match made {
        Ok(file) => Ok(Spare { name, file }),
        Err(error) => {
            // Half a spare holds space that others need; if it cannot be removed, the next opening finds it.
            drop(storage.remove(&unclean));
            Err(error)
        }
    }
}

fn zero(file: &dyn File, size: u64) -> io::Result<()> {
    let zeros = vec![0; PIECE];
    if file.length()? > size {
        file.set_length(size)?;
    }
    let mut at = 0;
    while at < size {
        let piece = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
        at += write_all(file, &zeros[..piece], at)?;
    }
    Ok(())
}

impl Writer {
    /// After a failure: the log goes on in a spare, or not at all.
    pub(super) fn replace(&mut self) -> io::Result<()> {
        if self.roll()? {
            self.house.must_roll = false;
        } else {
            // Nothing can be written, and nothing may be written to the old segment.
            self.void_taken();
            let mut inbox = self.shared.inbox();
            inbox.plan.free = 0;
            inbox.plan.tail = inbox.plan.size;
            drop(inbox);
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Begins the next segment. `false`: there is no file for it.
    ///
    /// # Errors
    /// The second failure in a row.
    pub(super) fn roll(&mut self) -> io::Result<bool> {
        loop {
            let Some(spare) = self.next_spare() else { return Ok(false) };
            let name = spare.name.clone();
            match self.begin(spare) {
                Ok(()) => return Ok(true),
                Err(error) => {
                    drop(self.storage.remove(&name));
                    self.house.failures += 1;
                    if self.house.failures > 1 {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn next_spare(&mut self) -> Option<Spare> {
        if self.house.spares.is_empty() {
            self.finish_chores();
        }
        if self.house.spares.is_empty() {
            let now = self.shared.clock.now();
            self.house.spare_pause = None;
            self.spare_now(now);
        }
        (!self.house.spares.is_empty()).then(|| self.house.spares.remove(0))
    }

    fn begin(&mut self, spare: Spare) -> io::Result<()> {
        let now = self.shared.clock.now();
        let oldest = self.shared.index().segments.front().map_or(0, |segment| segment.number);
        let header = Header {
            identity: self.identity,
            number: self.active.number + 1,
            epoch: self.epoch,
            opening: self.opening,
            first_seq: self.active.last_seq + 1,
            made: now,
            before: End { segment: self.active.number, offset: self.active.end, seq: self.active.last_seq },
            oldest,
            segment_size: self.shared.options.segment_size,
            names: self.names(),
            cuts: Vec::new(),
        };
        let active = open_segment(&*self.storage, spare, &header, self.seal(header.number))?;
        self.shared.index().segments.push_back(segment_of(&active, &header));
        self.active = active;
        self.house.stuck = false;
        self.house.checkpoint_due = now;
        self.house.survey_due = Timestamp::ZERO;
        self.house.dirty = true;
        Ok(())
    }

    pub(super) fn seal(&self, number: u64) -> Seal {
        let seal = Seal::new(self.identity.store, self.identity.key, number);
        #[cfg(test)]
        if self.shared.options.faults.unbound_crc {
            return seal.unbind();
        }
        seal
    }

    /// The batch has no place to go: everything taken is void, nothing more is accepted for now.
    pub(super) fn no_segment(&mut self) {
        self.void_taken();
        self.house.stuck = true;
        self.house.free = 0;
        self.house.survey_due = Timestamp::ZERO;
        let mut inbox = self.shared.inbox();
        inbox.plan.free = 0;
        inbox.plan.tail = inbox.plan.size;
    }

    fn void_taken(&mut self) {
        // Buffered records would be queued for the same want of room again and again: they are void too, and counted.
        let mut lost = 0;
        for item in &mut self.taken.items[self.taken.next..] {
            lost += u64::from(std::mem::take(&mut item.buffered));
        }
        if let Some(metrics) = &self.shared.options.metrics {
            metrics.buffered_lost.inc_by(lost);
        }
        self.void(self.taken.next..self.taken.items.len());
    }
}

/// Turns a spare into the segment that this header opens.
pub(crate) fn open_segment(storage: &dyn Storage, spare: Spare, header: &Header, seal: Seal) -> io::Result<Active> {
    let bytes = header.encode();
    write_all(&*spare.file, &bytes, 0)?;
    spare.file.sync_data()?;
    storage.rename(&spare.name, &log_name(header.number))?;
    storage.sync_directory(LOG)?;
    let start = bytes.len() as u64;
    let last_seq = header.first_seq.saturating_sub(1);
    Ok(Active { number: header.number, file: spare.file, seal, start, end: start, last_seq })
}

/// What the index knows of a segment that was just begun.
pub(crate) fn segment_of(active: &Active, header: &Header) -> Segment {
    Segment {
        number: active.number,
        file: Arc::clone(&active.file),
        seal: active.seal.clone(),
        start: active.start,
        end: active.end,
        first_seq: header.first_seq,
        last_seq: header.first_seq.saturating_sub(1),
        event_bytes: 0,
        first_accepted: Timestamp::ZERO,
        last_accepted: Timestamp::ZERO,
        places: Vec::new(),
    }
}
