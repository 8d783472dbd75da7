//! Files in memory, on a disk that ails: for the tests of every room that stands on a journal.
//!
//! Which syncs fail, which stretch cannot be read, whether there is space: that is said from outside, while the journal runs; all else is [`Memory`]'s.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::{File, Guard, Memory, Storage};

/// What a read of a stretch of some files says.
#[derive(Clone, Copy, Debug)]
struct Worn {
    /// How the names of these files begin.
    which: &'static str,
    from: u64,
    to: u64,
    number: i32,
}

/// Files in memory of which a stretch cannot be read, whose next syncs fail, or that is full.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ailing {
    pub(crate) files: Memory,
    /// So many syncs fail from now on.
    pub(crate) syncs: Arc<AtomicU32>,
    /// Whether there is no space for another file.
    pub(crate) full: Arc<AtomicBool>,
    /// So many reads failed.
    pub(crate) unread: Arc<AtomicU64>,
    /// No dead letter can be written: their files cannot be made.
    pub(crate) graveless: Arc<AtomicBool>,
    worn: Arc<Mutex<Option<Worn>>>,
}

#[derive(Debug)]
struct AilingFile {
    file: Arc<dyn File>,
    disk: Ailing,
    name: String,
}

impl Ailing {
    fn file(&self, name: &str, file: io::Result<Arc<dyn File>>) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(AilingFile { file: file?, disk: self.clone(), name: name.to_owned() }))
    }

    /// From now on a read that touches this stretch of a segment fails with this number of the system's.
    pub(crate) fn breaks(&self, from: u64, to: u64, number: i32) {
        self.breaks_in("log/", from, to, number);
    }

    /// The same, of every file whose name begins like this.
    pub(crate) fn breaks_in(&self, which: &'static str, from: u64, to: u64, number: i32) {
        *self.worn.lock().unwrap() = Some(Worn { which, from, to, number });
    }

    /// From now on everything can be read.
    pub(crate) fn heals(&self) {
        *self.worn.lock().unwrap() = None;
    }
}

impl Storage for Ailing {
    fn lock(&self) -> io::Result<Box<dyn Guard>> {
        self.files.lock()
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.files.create_directory(directory)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.files.list(directory)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.file(name, self.files.open(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if self.full.load(SeqCst) || (name.starts_with("dead/") && self.graveless.load(SeqCst)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file(name, self.files.create(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.files.sync_directory(directory)
    }

    fn free_space(&self) -> io::Result<u64> {
        self.files.free_space()
    }

    fn entropy(&self, out: &mut [u8]) -> io::Result<()> {
        self.files.entropy(out)
    }
}

impl File for AilingFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = offset + into.len() as u64;
        match *self.disk.worn.lock().unwrap() {
            Some(worn) if self.name.starts_with(worn.which) && offset < worn.to && worn.from < end => {
                self.disk.unread.fetch_add(1, SeqCst);
                Err(io::Error::from_raw_os_error(worn.number))
            }
            _ => self.file.read_at(into, offset),
        }
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_at(pieces, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.disk.syncs.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(io::Error::other("the disk says no"));
        }
        self.file.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }
}
