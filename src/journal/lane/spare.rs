//! What if a piece of a segment cannot be read?
//!
//! Promises: what the medium has lost reads as zeros, which no check takes for a record, and everything around it as it
//! is; where it was is said. A file of which nothing can be read, or that fails for another reason, fails as before.
//!
//! Must not know: records, lanes.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::journal::storage::File;

/// What a medium loses at once, as a rule.
pub(crate) const BLOCK: usize = 4096;
/// What the system says of a medium: EIO, ENODATA, EBADMSG, EUCLEAN.
const MEDIUM: [i32; 4] = [5, 61, 74, 117];

/// A file that is read around what the medium has lost.
#[derive(Debug)]
pub(crate) struct Sparing<'a> {
    file: &'a dyn File,
    lost: Mutex<Vec<Range<u64>>>,
}

/// Whether a read failed because the medium has lost what was to be read.
pub(crate) fn is_lost(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|number| MEDIUM.contains(&number))
}

impl<'a> Sparing<'a> {
    pub(crate) const fn new(file: &'a dyn File) -> Self {
        Self { file, lost: Mutex::new(Vec::new()) }
    }

    /// The stretches that could not be read so far, in the order in which they were met.
    pub(crate) fn lost(&self) -> Vec<Range<u64>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lose(&self, from: u64, to: u64) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.iter_mut().find(|known| known.start <= to && from <= known.end) {
            Some(known) => *known = known.start.min(from)..known.end.max(to),
            None => lost.push(from..to),
        }
    }

    /// Fails if neither the beginning nor the middle nor the end can be read: then it is no single block that is lost.
    fn is_there(&self) -> io::Result<()> {
        let (length, block) = (self.file.length()?, BLOCK as u64);
        let mut gone = Ok(());
        for at in [0, length / 2, length.saturating_sub(1)] {
            match self.file.read_at(&mut [0; BLOCK], at - at % block) {
                Err(error) if is_lost(&error) => gone = Err(error),
                read => return read.map(drop),
            }
        }
        gone
    }

    /// Reads block by block.
    fn around(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.is_there()?;
        let mut done = 0;
        while done < into.len() {
            let at = offset + done as u64;
            let left = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or(0);
            let end = into.len().min(done + left);
            match self.file.read_at(&mut into[done..end], at) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if is_lost(&error) => {
                    into[done..end].fill(0);
                    done = end;
                    self.lose(at, offset + end as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl File for Sparing<'_> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.file.read_at(into, offset) {
            Err(error) if is_lost(&error) => self.around(into, offset),
            read => read,
        }
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_at(pieces, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }
}
