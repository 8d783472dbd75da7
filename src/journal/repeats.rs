//! What is remembered of keys, so that repeats are known after a restart?
//!
//! Files of entries, recycled oldest first. Entries are gathered in memory and written before each checkpoint: those of
//! younger records come back from the log itself. A lost entry costs a repeat, never an event, so that no failure here
//! counts.
//!
//! ```text
//! u128 key, 32 body digest, 16 event id, u64 accepted, u64 sequence, u32 CRC32C (of store, file, place, these), u32 zero
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use super::frame::{array_at, u32_at, u64_at};
use super::record::StoreId;
use super::segment::{DEDUP, parse_name};
use super::storage::{File, Storage, read_full, write_all};
use super::{DedupEntry, Options};
use crate::clock::Timestamp;

/// Bytes of one entry.
const ENTRY: usize = 88;
/// Bytes gathered before they are written.
const GATHERED: usize = 64 << 10;
/// Files in the ring.
const FILES: u32 = 8;

/// The dedup files.
#[derive(Debug)]
pub(crate) struct Repeats {
    storage: Arc<dyn Storage>,
    store: StoreId,
    per_file: u64,
    files: VecDeque<(u64, u64)>,
    active: Option<(u64, Arc<dyn File>, u64)>,
    gathered: Vec<u8>,
    next: u64,
}

impl Repeats {
    pub(crate) fn new(storage: Arc<dyn Storage>, store: StoreId, options: &Options) -> Self {
        let per_file = u64::from(options.dedup_entries.div_ceil(FILES)).max(16);
        Self { storage, store, per_file, files: VecDeque::new(), active: None, gathered: Vec::new(), next: 1 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.entries() * ENTRY as u64
    }

    pub(crate) fn entries(&self) -> u64 {
        self.files.iter().map(|(_, entries)| entries).sum::<u64>() + (self.gathered.len() / ENTRY) as u64
    }

    /// Reads all entries, oldest first.
    pub(crate) fn open(&mut self, since: Timestamp) -> Vec<DedupEntry> {
        let names = self.storage.list(DEDUP).unwrap_or_default();
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| parse_name(name, ".tab")).collect();
        numbers.sort_unstable();
        let length = |number: &u64| self.storage.open(&name(*number)).and_then(|file| file.length()).unwrap_or(0);
        let bytes: u64 = numbers.iter().map(length).sum();
        let most = usize::try_from(bytes / ENTRY as u64).unwrap_or(0);
        let mut entries = Vec::with_capacity(most);
        for number in numbers {
            self.next = self.next.max(number + 1);
            let before = entries.len();
            if let Ok(file) = self.storage.open(&name(number)) {
                self.read(&*file, number, since, &mut entries);
            }
            self.files.push_back((number, (entries.len() - before) as u64));
        }
        entries
    }

    fn read(&self, file: &dyn File, number: u64, since: Timestamp, entries: &mut Vec<DedupEntry>) {
        let mut piece = vec![0; ENTRY * 512];
        let mut at = 0;
        while let Ok(read) = read_full(file, &mut piece, at) {
            for (place, bytes) in piece[..read].chunks_exact(ENTRY).enumerate() {
                let place = at + (place * ENTRY) as u64;
                if self.crc(number, place, bytes) == u32_at(bytes, 80) && u32_at(bytes, 84) == 1 {
                    let entry = decode(bytes);
                    if entry.accepted >= since {
                        entries.push(entry);
                    }
                }
            }
            at += read as u64;
            if read < piece.len() {
                return;
            }
        }
    }

    fn crc(&self, number: u64, place: u64, bytes: &[u8]) -> u32 {
        let bound = crc32c::crc32c_append(crc32c::crc32c(&self.store.0), &number.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(bound, &place.to_le_bytes()), &bytes[..80])
    }

    /// Remembers an entry whose event is durable.
    pub(crate) fn note(&mut self, entry: &DedupEntry) {
        self.gathered.extend_from_slice(&entry.key.to_le_bytes());
        self.gathered.extend_from_slice(&entry.body_digest);
        self.gathered.extend_from_slice(&entry.event_id);
        self.gathered.extend_from_slice(&entry.accepted.as_micros().to_le_bytes());
        self.gathered.extend_from_slice(&entry.seq.to_le_bytes());
        self.gathered.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
        if self.gathered.len() >= GATHERED {
            self.flush();
        }
    }

    /// Writes what was gathered; the file that a checkpoint has to sync first.
    pub(crate) fn flush(&mut self) -> Option<Arc<dyn File>> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let mut rest = &mut gathered[..];
        while !rest.is_empty() {
            let (number, file, at) = self.file()?;
            let room = usize::try_from(self.per_file * ENTRY as u64 - at).unwrap_or(0).min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(room);
            for (place, bytes) in now.chunks_exact_mut(ENTRY).enumerate() {
                let crc = self.crc(number, at + (place * ENTRY) as u64, bytes);
                bytes[80..84].copy_from_slice(&crc.to_le_bytes());
            }
            // A failure loses entries, which is allowed; the place is used up all the same.
            drop(write_all(&*file, now, at));
            self.active = Some((number, file, at + room as u64));
            if let Some((_, entries)) = self.files.back_mut() {
                *entries += (room / ENTRY) as u64;
            }
            rest = later;
        }
        gathered.clear();
        self.gathered = gathered;
        self.active.as_ref().map(|(_, file, _)| Arc::clone(file))
    }

    /// The file that has room: the same, a new one, or the oldest under a new number, which voids what it held.
    fn file(&mut self) -> Option<(u64, Arc<dyn File>, u64)> {
        if let Some((number, file, at)) = self.active.take()
            && at < self.per_file * ENTRY as u64
        {
            return Some((number, file, at));
        }
        let number = self.next;
        self.next += 1;
        let mut oldest = None;
        while self.files.len() > FILES as usize {
            // More than there should be: the bound was lowered.
            if let Some((old, _)) = oldest.replace(self.files.pop_front()?) {
                drop(self.storage.remove(&name(old)));
            }
        }
        let file = match oldest {
            Some((old, _)) => {
                self.storage.rename(&name(old), &name(number)).and_then(|()| self.storage.open(&name(number)))
            }
            None => self.storage.create(&name(number)),
        };
        let file = file.ok()?;
        drop(self.storage.sync_directory(DEDUP));
        self.files.push_back((number, 0));
        Some((number, file, 0))
    }
}

fn decode(bytes: &[u8]) -> DedupEntry {
    DedupEntry {
        key: u128::from_le_bytes(array_at(bytes, 0)),
        body_digest: array_at(bytes, 16),
        event_id: array_at(bytes, 48),
        accepted: Timestamp::from_micros(u64_at(bytes, 64)),
        seq: u64_at(bytes, 72),
    }
}

fn name(number: u64) -> String {
    format!("{DEDUP}/{number:016x}.tab")
}
