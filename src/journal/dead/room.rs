//! Where is room for the next letters?
//!
//! In a grave that is dug for them; beyond the bound the oldest graves go, one at a time, and what they hold goes on without
//! head and body.
//!
//! Promises: nothing is written beyond the end of a grave; what cannot be read of a grave is tried some times, and then
//! neither keeps the grave nor takes more with it than its own letters.
//!
//! Must not know: why somebody died.

use std::io;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{BURIED, Grave, Graves, PIECE, death_of};
use crate::clock::Timestamp;
use crate::journal::event::{EVENT_FIXED, Stored};
use crate::journal::frame::{Seal, field};
use crate::journal::lane::{Dying, READ_AGAIN, Sparing};
use crate::journal::segment::{DEAD, DEAD_BIT, End, Header, dead_name};
use crate::journal::shared::Shared;
use crate::journal::storage::{File, Storage, write_all};

/// Letters on their way into the youngest grave.
#[derive(Debug, Default)]
struct Stripped {
    out: Vec<u8>,
    count: u64,
    last: Timestamp,
}

impl Graves {
    /// Bytes that the youngest grave still takes.
    pub(super) fn room(&self) -> u64 {
        let open = self.segments.back().filter(|grave| !grave.closed);
        open.map_or(0, |grave| grave.size.saturating_sub(grave.end))
    }

    /// Begins a new grave.
    pub(super) fn dig(&mut self, storage: &dyn Storage, now: Timestamp) -> io::Result<()> {
        let number = self.next | DEAD_BIT;
        let header = Header {
            identity: self.identity,
            number,
            epoch: self.epoch,
            opening: [0; 16],
            first_seq: 0,
            made: now,
            before: End::default(),
            oldest: 0,
            segment_size: self.size,
            names: self.names.clone(),
            cuts: Vec::new(),
        };
        let bytes = header.encode();
        let file = storage.create(&dead_name(number))?;
        let zeros = vec![0; PIECE];
        let mut at = 0;
        let filled = (|| {
            while at < self.size {
                let piece = usize::try_from(self.size - at).unwrap_or(PIECE).min(PIECE);
                at += write_all(&*file, &zeros[..piece], at)?;
            }
            write_all(&*file, &bytes, 0)?;
            file.sync_data()?;
            storage.sync_directory(DEAD)
        })();
        if let Err(error) = filled {
            drop(storage.remove(&dead_name(number)));
            return Err(error);
        }
        let seal = Seal::new(self.identity.store, self.identity.key, number);
        let (start, size) = (bytes.len() as u64, self.size);
        self.next += 1;
        let grave = Grave { number, file, seal, start, end: start, size, letters: 0, last_death: now, closed: false };
        self.segments.push_back(grave);
        Ok(())
    }

    /// One step towards the bound; whether one was made.
    pub(super) fn make_room(&mut self, storage: &dyn Storage, shared: &Shared, now: Timestamp) -> bool {
        let paused = self.pause.is_some_and(|until| now < until && until.since(now) <= READ_AGAIN);
        if self.bytes() <= self.space || self.segments.len() < 2 || paused {
            return false;
        }
        let made = self.strip_oldest(storage, shared, now).is_ok();
        self.pause = (!made).then(|| now.plus(READ_AGAIN));
        // Also when it failed half way: what was copied may have begun a new grave.
        shared.graves_changed(self.readable());
        made
    }

    /// What the oldest grave holds goes on without head and body, as far as half a segment holds it; its file goes.
    fn strip_oldest(&mut self, storage: &dyn Storage, shared: &Shared, now: Timestamp) -> io::Result<()> {
        let Some(oldest) = self.segments.front().cloned() else { return Ok(()) };
        let sparing = Sparing::new(&*oldest.file);
        let worn = self.failing.is_worn(oldest.number);
        let file: &dyn File = if worn { &sparing } else { &*oldest.file };
        if self.failing.has_failed(oldest.number) {
            // Nothing is copied twice for a grave that breaks off again.
            self.heed(&oldest, oldest.letters_in(file, |_, _, _| {}), now)?;
        }
        let (mut dropped, mut heard, mut stripped, mut weight) = (Vec::new(), 0, 0, 0);
        let (mut letters, mut written) = (Stripped::default(), Ok(()));
        let read = oldest.letters_in(file, |envelope, _, _| {
            let (Some(death), Some(stored)) = (death_of(envelope), Stored::decode(envelope, None)) else { return };
            heard += 1;
            let already = envelope.field(field::STRIPPED, EVENT_FIXED).is_some();
            weight += envelope.head().start as u64;
            let most = if already { oldest.size / 2 } else { oldest.size / 4 * 3 };
            let dying = Dying { stored, death, answer: Bytes::new(), bare: true };
            if now.since(death.at) > self.keep || weight > most || written.is_err() {
                dropped.push((envelope.seq(), death.destination));
                return;
            }
            match self.strip(&mut letters, &dying, storage, now) {
                Ok(true) => stripped += u64::from(!already),
                Ok(false) => dropped.push((envelope.seq(), death.destination)),
                Err(error) => written = Err(error),
            }
        });
        // Should it end in between, or fail, some letters are there twice for a while.
        self.heed(&oldest, read, now)?;
        written?;
        self.put_stripped(&mut letters, storage, now)?;
        self.remove_oldest(storage, shared, &dropped, heard)?;
        shared.figures.dead_stripped.fetch_add(stripped, Ordering::Relaxed);
        Ok(())
    }

    /// A grave that failed often enough is taken as far as it can be read; one of which nothing can be read is lost.
    fn heed(&mut self, grave: &Grave, read: io::Result<()>, now: Timestamp) -> io::Result<()> {
        match read {
            Err(error) if !self.failing.is_worn(grave.number) => {
                self.failing.failed(grave.number, grave.number, now);
                Err(error)
            }
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// Adds a letter without head and body to those that go into the youngest grave; whether it ever fits one.
    fn strip(&mut self, to: &mut Stripped, dying: &Dying, storage: &dyn Storage, now: Timestamp) -> io::Result<bool> {
        let before = to.out.len();
        if !self.letter(&mut to.out, dying, true) {
            return Ok(false);
        }
        if before > 0 && (to.out.len() > BURIED || to.out.len() as u64 > self.room()) {
            let this = to.out.split_off(before);
            self.put_stripped(to, storage, now)?;
            to.out = this;
        }
        to.count += 1;
        to.last = to.last.max(dying.death.at);
        Ok(true)
    }

    /// Writes what was gathered, into a new grave if it does not fit the youngest.
    fn put_stripped(&mut self, letters: &mut Stripped, storage: &dyn Storage, now: Timestamp) -> io::Result<()> {
        let Stripped { mut out, count, last } = std::mem::take(letters);
        if out.is_empty() {
            return Ok(());
        }
        if out.len() as u64 > self.room() {
            self.dig(storage, now)?;
        }
        self.write(&mut out, last, count)
    }

    /// The oldest grave goes; `heard` of its letters could be read.
    fn remove_oldest(
        &mut self,
        storage: &dyn Storage,
        shared: &Shared,
        dropped: &[(u64, u32)],
        heard: u64,
    ) -> io::Result<()> {
        let Some(oldest) = self.segments.front() else { return Ok(()) };
        storage.remove(&dead_name(oldest.number))?;
        storage.sync_directory(DEAD)?;
        // Whose they were is not known; the next opening counts anew.
        let lost = oldest.letters.saturating_sub(heard);
        if lost > 0 {
            shared.damaged();
        }
        self.segments.pop_front();
        for (seq, destination) in dropped {
            if let Some(cell) = shared.known().lane(*destination) {
                cell.state().dead.remove(*seq);
            }
        }
        shared.figures.dead_dropped.fetch_add(dropped.len() as u64 + lost, Ordering::Relaxed);
        shared.graves_changed(self.readable());
        Ok(())
    }

    /// Drops the oldest grave if all in it are older than letters are kept, or makes room if there are too many.
    pub(crate) fn age(&mut self, storage: &dyn Storage, shared: &Shared, now: Timestamp) -> bool {
        if self.make_room(storage, shared, now) {
            return true;
        }
        let Some(oldest) = self.segments.front().cloned() else { return false };
        if now.since(oldest.last_death) <= self.keep
            || oldest.last_death == Timestamp::ZERO && oldest.end > oldest.start
        {
            return false;
        }
        let paused = self.pause.is_some_and(|until| now < until && until.since(now) <= READ_AGAIN);
        if paused {
            return false;
        }
        let (mut dropped, mut heard) = (Vec::new(), 0);
        let sparing = Sparing::new(&*oldest.file);
        let file: &dyn File = if self.failing.is_worn(oldest.number) { &sparing } else { &*oldest.file };
        let read = oldest.letters_in(file, |envelope, _, _| {
            heard += 1;
            if let Some(death) = death_of(envelope) {
                dropped.push((envelope.seq(), death.destination));
            }
        });
        let gone = self.heed(&oldest, read, now).and_then(|()| self.remove_oldest(storage, shared, &dropped, heard));
        self.pause = gone.is_err().then(|| now.plus(READ_AGAIN));
        gone.is_ok()
    }
}
