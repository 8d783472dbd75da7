//! Files that last as long as their process: for tests and benches.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{File, Guard, Storage};

/// A tree of files in memory. Cloning shares it, so that a second journal can be opened on what a first one left.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Tree>);

#[derive(Debug, Default)]
struct Tree {
    files: Mutex<BTreeMap<String, Arc<MemoryFile>>>,
    locked: AtomicBool,
    drawn: AtomicU64,
}

impl Memory {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<MemoryFile>>> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Memory {
    fn lock(&self) -> io::Result<Box<dyn Guard>> {
        if self.0.locked.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Locked(Arc::clone(&self.0))))
    }

    fn create_directory(&self, _directory: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let below = |name: &String| match name.rsplit_once('/') {
            Some((parent, rest)) if parent == directory => Some(rest.to_owned()),
            None if directory.is_empty() => Some(name.clone()),
            Some(_) | None => None,
        };
        Ok(self.files().keys().filter_map(below).collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        match self.files().get(name) {
            Some(file) => Ok(Arc::<MemoryFile>::clone(file)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = Arc::new(MemoryFile::default());
        self.files().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let Some(file) = files.remove(from) else { return Err(io::ErrorKind::NotFound.into()) };
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self, _directory: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn entropy(&self, out: &mut [u8]) -> io::Result<()> {
        let drawn = self.0.drawn.fetch_add(1, Ordering::Relaxed);
        for (word, bytes) in (1..).zip(out.chunks_mut(8)) {
            let mixed = (drawn + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (word * 0x00C0_FFEE_0000_0001_u64);
            bytes.copy_from_slice(&mixed.to_le_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Locked(Arc<Tree>);

impl Guard for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

#[derive(Default)]
struct MemoryFile(Mutex<Vec<u8>>);

/// Never the bytes.
impl std::fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryFile({} bytes)", self.bytes().len())
    }
}

impl MemoryFile {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File for MemoryFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.bytes();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = into.len().min(bytes.len() - start);
        into[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut bytes = self.bytes();
        let start = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut at = start;
        for piece in pieces {
            let end = at + piece.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(piece);
            at = end;
        }
        Ok(at - start)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.bytes().resize(length, 0);
        Ok(())
    }
}
