//! Where do the bytes lie?
//!
//! The seam between the journal and the machine: a [`Storage`] is one directory tree that nobody else writes, a [`File`]
//! is one file in it. [`Disk`] is the real one, [`Memory`] serves tests and benches, and the simulator brings its own.
//!
//! Promises: a name is a relative path with at most one `/`; nothing here knows what the bytes mean.
//!
//! Durability, as every implementation is taken to offer it and no more: bytes of a file are durable once `sync_data` of
//! that file returned after they were written; a name (created, renamed, removed) is durable once `sync_directory` of its
//! directory returned after the change. Between the two, anything may be lost, in any order and in part.

#[cfg(test)]
mod ailing;
mod disk;
mod memory;

#[cfg(test)]
pub(crate) use ailing::Ailing;
pub use disk::Disk;
pub use memory::Memory;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// One directory tree of files.
pub trait Storage: Send + Sync + Debug {
    /// Takes the whole tree for this process until the guard is dropped.
    ///
    /// # Errors
    /// `WouldBlock` if another process has it.
    fn lock(&self) -> io::Result<Box<dyn Guard>>;

    /// Makes a directory, and durably so if it can; it is no error if it exists. `""` is the root.
    ///
    /// # Errors
    /// What the system says.
    fn create_directory(&self, directory: &str) -> io::Result<()>;

    /// The names of the files in a directory, without the directory, in any order.
    ///
    /// # Errors
    /// What the system says; a directory that is not there is `NotFound`.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;

    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// What the system says; `NotFound` if there is no such file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Creates a file for reading and writing; one that exists is emptied.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Renames a file, replacing what had the new name. Open files follow.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says; `NotFound` if there is no such file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_directory(&self, directory: &str) -> io::Result<()>;

    /// Bytes that can still be written to this tree.
    ///
    /// # Errors
    /// What the system says.
    fn free_space(&self) -> io::Result<u64>;

    /// Fills `out` with bytes that nobody can guess. A test storage may be predictable.
    ///
    /// # Errors
    /// What the system says.
    fn entropy(&self, out: &mut [u8]) -> io::Result<()>;
}

/// Holds the lock of a [`Storage`] while it lives.
pub trait Guard: Send + Debug {}

/// One file, read and written at stated places only.
pub trait File: Send + Sync + Debug {
    /// Reads at most `into.len()` bytes from `offset` on; fewer is possible anywhere, 0 means the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the pieces one after the other from `offset` on; may write fewer bytes than there are.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, pieces: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Makes the file's bytes (and its length) durable.
    ///
    /// # Errors
    /// What the system says. The caller takes every byte written since the last success for lost.
    fn sync_data(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;

    /// Cuts or extends (with zeros) to this length.
    ///
    /// # Errors
    /// What the system says.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Says that a range will not be read again soon. A hint: the default does nothing.
    fn forget(&self, offset: u64, length: u64) {
        let _: (u64, u64) = (offset, length);
    }
}

/// Fills `into` from `offset` on, or as far as the file goes; returns how many bytes that were.
///
/// # Errors
/// What the file says; an interrupted call is repeated.
pub(crate) fn read_full(file: &dyn File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// How many pieces one call may take; Linux's `IOV_MAX`.
const PIECES_MAX: usize = 1024;

/// Writes all of the pieces from `offset` on; returns how many bytes that were.
///
/// # Errors
/// What the file says; `WriteZero` if it takes nothing more.
pub(crate) fn write_full(file: &dyn File, mut pieces: &mut [io::IoSlice<'_>], offset: u64) -> io::Result<u64> {
    let mut written = 0_u64;
    while pieces.first().is_some_and(|piece| piece.is_empty()) {
        pieces = &mut pieces[1..];
    }
    while !pieces.is_empty() {
        let some = &pieces[..pieces.len().min(PIECES_MAX)];
        match file.write_at(some, offset + written) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                written += count as u64;
                io::IoSlice::advance_slices(&mut pieces, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// Writes one piece whole.
///
/// # Errors
/// As [`write_full`].
pub(crate) fn write_all(file: &dyn File, bytes: &[u8], offset: u64) -> io::Result<u64> {
    write_full(file, &mut [io::IoSlice::new(bytes)], offset)
}
