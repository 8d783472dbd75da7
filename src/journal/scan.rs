//! Which records lie in a segment?
//!
//! Promises: every record that is whole is found, whatever lies between; bytes that are none come out as gaps; a read is
//! never larger than the piece asked for or one record.
//!
//! Must not know: which gaps matter.

use std::io;

use bytes::Bytes;

use super::frame::{ALIGN, Bad, Envelope, FIXED, Seal};
use super::storage::{File, read_full};

/// What lies at a place.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A record: where it starts and all of its bytes.
    Record {
        /// Its place.
        at: u64,
        /// The whole record.
        bytes: Bytes,
    },
    /// Bytes that are no record.
    Gap {
        /// Where they start.
        at: u64,
        /// How many there are.
        length: u64,
        /// How many of them, in steps of 8, are not zeros.
        solid: u64,
    },
}

/// Goes through one segment from a place to another.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a dyn File,
    seal: &'a Seal,
    at: u64,
    end: u64,
    piece: usize,
    base: u64,
    window: Bytes,
}

impl<'a> Scanner<'a> {
    /// From `at`, a multiple of 8, up to `end`, reading about `piece` bytes at a time.
    pub(crate) fn new(file: &'a dyn File, seal: &'a Seal, at: u64, end: u64, piece: usize) -> Self {
        Self { file, seal, at, end, piece: piece.max(4096), base: at, window: Bytes::new() }
    }

    /// The record or the gap that comes next; `None` at the end.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn next(&mut self) -> io::Result<Option<Seen>> {
        if self.at >= self.end {
            return Ok(None);
        }
        if let Some(bytes) = self.record_at(self.at)? {
            let at = self.at;
            self.at += bytes.len() as u64;
            return Ok(Some(Seen::Record { at, bytes }));
        }
        let start = self.at;
        let mut solid = 0;
        while self.at < self.end {
            let zeros = self.zeros()?;
            if zeros > 0 {
                self.at += zeros;
                continue;
            }
            if self.record_at(self.at)?.is_some() {
                break;
            }
            solid += ALIGN as u64;
            self.at += ALIGN as u64;
        }
        self.at = self.at.min(self.end);
        Ok(Some(Seen::Gap { at: start, length: self.at - start, solid }))
    }

    /// Bytes of zeros from here on, as far as the window goes, in whole steps.
    fn zeros(&mut self) -> io::Result<u64> {
        let bytes = self.bytes(self.at, ALIGN)?;
        let whole = bytes.len() - bytes.len() % ALIGN;
        let zeros = bytes[..whole].chunks_exact(ALIGN).take_while(|step| step.iter().all(|byte| *byte == 0)).count();
        if whole == 0 {
            // Less than a step is left of the file.
            return Ok(self.end - self.at);
        }
        Ok((zeros * ALIGN) as u64)
    }

    fn record_at(&mut self, at: u64) -> io::Result<Option<Bytes>> {
        let mut needs = FIXED;
        loop {
            let bytes = self.bytes(at, needs)?;
            match self.seal.open(&bytes, at) {
                Ok(envelope) => {
                    let length = envelope.length();
                    if length as u64 > self.end - at {
                        return Ok(None);
                    }
                    let whole = self.bytes(at, length)?;
                    return Ok((whole.len() >= length).then(|| whole.slice(..length)));
                }
                Err(Bad::Short { needs: more }) if bytes.len() < more && needs < more => needs = more,
                Err(Bad::Short { .. } | Bad::NotOne) => return Ok(None),
            }
        }
    }

    /// At least `needs` bytes from `at` on if the segment has them, and all that the window has.
    fn bytes(&mut self, at: u64, needs: usize) -> io::Result<Bytes> {
        let have = self.base + self.window.len() as u64;
        if at < self.base || at + needs as u64 > have {
            let room = usize::try_from(self.end - at).unwrap_or(usize::MAX);
            let mut window = vec![0; self.piece.max(needs).min(room)];
            let read = read_full(self.file, &mut window, at)?;
            window.truncate(read);
            self.window = window.into();
            self.base = at;
        }
        let skip = usize::try_from(at - self.base).unwrap_or(usize::MAX).min(self.window.len());
        Ok(self.window.slice(skip..))
    }
}

/// The envelope of a record that a [`Scanner`] found.
pub(crate) fn envelope<'a>(seal: &Seal, at: u64, bytes: &'a [u8]) -> Envelope<'a> {
    seal.open(bytes, at).expect("the scanner opened it already")
}
