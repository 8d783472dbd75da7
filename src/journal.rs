//! How is it never forgotten?
//!
//! An append-only log of recycled segments. [`Journal::append`] takes a sequence and queues a [`Record`]; the [`Writer`],
//! alone on its thread, writes what is queued, syncs once, and releases the whole batch as [`Receipt`]s; a [`Lane`] gives
//! each destination what it is owed and takes back how it went.
//!
//! Promises:
//! * A receipt means that a sync that covers the record returned. After any crash every record that got one is there,
//!   whole, and owed to every target that has not been settled. What could not be synced is [`Void`], and said so.
//! * A destination's cursor is its oldest owed sequence; destinations do not know each other. Memory is bounded: bits per
//!   owed event, a ring of recent records, a fixed number of retry slots. Disk is bounded by [`Options::size`].
//! * A name that is new has its id once a segment that opens with it is durable, also while it runs; ids are never reused.
//! * Torn tails are cut, damage is named and kept apart, and neither takes a whole record with it.
//!
//! ```text
//! LOCK                 held while the journal is open
//! FORMAT               format, store id, key of the tags; can be rebuilt from any segment
//! log/<n>.seg          a segment: header (see `segment.rs`), then records (see `frame.rs`) up to where its successor says
//! log/spare-<k>        zeros, ready to become a segment; log/unclean-<k> is still being zeroed
//! dead/<n>.seg         dead letters, in the same form
//! state/<n>.ckpt       what was owed at a place of the log (see `checkpoint.rs`); the youngest two
//! dedup/<n>.tab        keys of events (see `repeats.rs`)
//! ```
//! `<n>` is a number of 16 hexadecimal digits that only rises.
//!
//! Must not know: what is in a head or a body, what a source or a destination is beyond its id and name, HTTP, the runtime
//! (it offers futures with plain wakers).

#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod again;
mod checkpoint;
mod configure;
pub mod cost;
mod dead;
mod event;
mod find;
mod frame;
mod health;
mod inbox;
mod index;
mod lane;
mod open;
mod options;
mod record;
mod recovery;
mod release;
mod repeats;
mod replay;
mod ring;
mod scan;
mod segment;
mod shared;
#[cfg(test)]
mod simulation;
mod storage;
mod writer;

pub use again::{NotReplayed, Original};
pub use dead::DeadLetter;
pub use find::{Debt, Found, Kept, Page, Search, Standing};
pub use lane::dead_reason;
pub use lane::{Backlog, Delivery, Lane, ReadDone, ReadJob, Settlement, Taken};
#[cfg(test)]
pub(crate) use options::Faults;
pub use options::{ConfigureError, DestinationPlan, HandOver, OpenError, Options};
pub use record::{Chunks, Pending, Receipt, Record, Refused, StoreId, Target, Tenants, Then, Void};
#[cfg(test)]
pub(crate) use storage::Ailing;
pub use storage::{Disk, File, Guard, Memory, Storage};
pub use writer::{Step, Writer};

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, MutexGuard};

use self::shared::Shared;
use crate::clock::{Clock, Timestamp};

/// The journal as everybody but its writer sees it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

impl Journal {
    /// Opens the journal in this storage, or makes it: takes the lock, reads what is there, syncs what the last opening
    /// may have left unsynced, and begins a new epoch in a fresh segment. `sources` and `destinations` are names; each
    /// gets an id that is never given to another name. A destination the journal knows and the list does not is parked.
    ///
    /// # Errors
    /// [`OpenError`]; nothing that was stored is lost by a failed opening.
    pub fn open(
        storage: Arc<dyn Storage>,
        options: Options,
        clock: Clock,
        sources: &[&str],
        destinations: &[DestinationPlan],
    ) -> Result<(Self, Writer, Report), OpenError> {
        open::open(storage, options, clock, sources, destinations)
    }

    /// The name of this store.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.0.store
    }

    /// The id of a source by its name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<u32> {
        place(&self.0.known().names.sources, name)
    }

    /// The id of a destination by its name.
    #[must_use]
    pub fn destination(&self, name: &str) -> Option<u32> {
        place(&self.0.known().names.destinations, name)
    }

    /// Takes in another list of sources and destinations while it runs. A new name gets an id that was never another
    /// name's; a destination that is not in the list any more is parked, one that is again goes on where it was; what is
    /// said of the others (backlog, hand-over) holds from now on.
    ///
    /// `tell` hears, from the writer's thread, when that is done, or why it was not; it must not block. Ids of new names
    /// are to be asked for after that. It is dropped unheard only if the writer is.
    pub fn configure(
        &self,
        sources: &[&str],
        destinations: &[DestinationPlan],
        tell: impl FnOnce(Result<(), ConfigureError>) + Send + 'static,
    ) {
        self.0.configure(sources, destinations, Box::new(tell));
    }

    /// Gives sequences to the records and queues them, all or none. The future tells when all of them are durable (at
    /// once if all are `buffered`); dropping it changes nothing for the records.
    ///
    /// # Errors
    /// [`Refused`]; then no `then` of the records is called, all are dropped.
    pub fn append(&self, records: Vec<Record>) -> Result<Pending, Refused> {
        self.counted(self.0.append(records))
    }

    /// [`Journal::append`] for one record, without a list.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn append_one(&self, record: Record) -> Result<Pending, Refused> {
        self.counted(self.0.append_one(record))
    }

    /// Whether the queue has room for records of so many bytes. An eighth of it is kept back, so that several who ask at
    /// the same time all find it; only who does not ask, or comes in great numbers at once, hears [`Refused::Busy`].
    /// The same holds for the segment that is written when the disk bound is reached and there is something that can be
    /// given up for the next one: that takes a moment, and meanwhile there is no room. Costs three loads.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.0.has_room(bytes)
    }

    fn counted(&self, appended: Result<Pending, Refused>) -> Result<Pending, Refused> {
        if appended.is_err() {
            self.count_refusal();
        }
        appended
    }

    fn count_refusal(&self) {
        if let Some(metrics) = &self.0.options.metrics {
            metrics.refused.inc();
        }
    }

    /// Calls each `then` of what was synced or voided since the last call, wakes who waits for it, and the lanes. Returns
    /// whether there was anything. For those who drive [`Writer::step`] by hand; the house runs [`Journal::releases`].
    pub fn release(&self) -> bool {
        self.0.release()
    }

    /// [`Journal::release`] whenever the writer has something; ends when the journal is closed and all is released.
    /// To be run once, on the runtime that waits for receipts: the writer then wakes one task per batch.
    pub async fn releases(&self) {
        while poll_fn(|context| self.0.releases().poll(context)).await {
            self.0.release();
        }
    }

    /// The lane of a destination, to be owned by one task; `None` for an unknown id or if it was taken already.
    #[must_use]
    pub fn lane(&self, destination: u32) -> Option<Lane> {
        Lane::take(&self.0, destination)
    }

    /// A page of what is stored and durable, oldest first. Blocks: it reads about a segment (two at most) beside the writer,
    /// whose locks it takes for moments only; memory is bounded by the page. There is no index by event id: to look for
    /// one, page by page, reads the whole log.
    ///
    /// # Errors
    /// What the storage says of the segment that could not be read.
    pub fn find(&self, search: &Search) -> io::Result<Page> {
        find::page(&self.0, search)
    }

    /// Puts a stored event in once more, as a record of its own: same event id, request and part, source, tenants, kind,
    /// order key, digest, flags, times, head and body, and the sequence it had first; another sequence, a mark that it is a
    /// replay and since when, and these targets, or those it had (at once, and as far as the record says that was read:
    /// one that was carried forward has only those it was still owed to). What the original is owed to does not change, so
    /// that a destination may get both. It claims no dedup key. It is taken, made durable and refused as by
    /// [`Journal::append`]. Blocks: the original is read from the files.
    ///
    /// # Errors
    /// [`NotReplayed`].
    pub fn replay(&self, original: Original, targets: Option<&[Target]>) -> Result<Pending, NotReplayed> {
        let replayed = again::replay(&self.0, original, targets);
        if matches!(replayed, Err(NotReplayed::Refused(_))) {
            self.count_refusal();
        }
        replayed
    }

    /// Takes a dead letter from its list, for good; its bytes go with their segment, or when the event is erased. Done by
    /// the writer, soon; nothing happens if there is no such letter.
    pub fn drop_dead(&self, destination: u32, seq: u64) {
        self.command(inbox::Command::Unlist(inbox::Letter { destination, seq }));
    }

    /// A page of a destination's dead letters, oldest first: at most `most` of those after sequence `after`. Blocks.
    ///
    /// # Errors
    /// What the storage says.
    pub fn dead(&self, destination: u32, after: u64, most: usize) -> io::Result<Vec<DeadLetter>> {
        dead::list(&self.0, destination, after, most)
    }

    /// Erases head, body and answers of an event wherever they lie, in place; its envelope stays. Done by the writer, soon.
    pub fn erase(&self, event_id: [u8; 16]) {
        let mut inbox = self.0.inbox();
        inbox.erasing.push(event_id);
        self.hand_over(inbox, inbox::Command::Erase(event_id));
    }

    /// Releases all that is owed to a destination, for good. Done by the writer, soon.
    pub fn drop_backlog(&self, destination: u32) {
        self.command(inbox::Command::Drop(destination));
    }

    fn command(&self, command: inbox::Command) {
        self.hand_over(self.0.inbox(), command);
    }

    fn hand_over(&self, mut inbox: MutexGuard<'_, inbox::Inbox>, command: inbox::Command) {
        inbox.commands.push(command);
        inbox.asleep = false;
        drop(inbox);
        self.0.wake.notify_one();
    }

    /// Refuses new records from now on; the writer writes what is queued, syncs, checkpoints and ends.
    pub fn close(&self) {
        self.0.inbox().closed = true;
        self.0.wake.notify_one();
    }

    /// How it stands. Cheap enough for every scrape.
    #[must_use]
    pub fn health(&self) -> Health {
        health::read(&self.0)
    }
}

fn place(table: &[String], name: &str) -> Option<u32> {
    table.iter().position(|known| known == name).and_then(|place| u32::try_from(place).ok())
}

/// Feeds bytes to every parser of this room that reads what lies on disk: for fuzzing.
#[cfg(any(test, fuzzing))]
pub fn parse_anything(bytes: &[u8]) {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    drop(segment::Header::decode(&bytes));
    drop(checkpoint::decode(&bytes));
    let _: Result<Option<segment::Identity>, u32> = segment::Identity::decode(&bytes);
    let (Some(place), Some(rest)) = (bytes.first().map(|byte| u64::from(*byte) * 8), bytes.get(1..)) else { return };
    let seal = frame::Seal::new(StoreId([7; 16]), [9; 16], 3);
    let mut sealed = rest.to_vec();
    if sealed.len() > frame::FIXED {
        // Bytes that pass the checks are what a parser must survive.
        let envelope = usize::from(frame::u16_at(&sealed, 20)).clamp(frame::FIXED, sealed.len());
        seal.close(&mut sealed[..envelope], place, 0, 1);
    }
    for bytes in [rest, &sealed] {
        let Ok(envelope) = seal.open(bytes, place) else { continue };
        let record = bytes::Bytes::copy_from_slice(bytes);
        let whole = record.len() >= envelope.length();
        if whole {
            let _: frame::Content = envelope.content(&record, &seal, place);
        }
        drop(event::Stored::decode(&envelope, whole.then_some(&record)));
        if whole {
            drop(dead::letter_of(&envelope, &record, &seal, place));
        }
        replay::Replay::default().apply(&envelope, 4);
    }
}

/// What an opening found and did.
#[derive(Debug, Default)]
pub struct Report {
    /// This opening's number, from 1 on.
    pub epoch: u32,
    /// Records of events read back (since the last checkpoint).
    pub events: u64,
    /// Bytes of the last, never acknowledged batch that were torn and cut.
    pub torn_bytes: u64,
    /// What was damaged below the durable mark; each also counted in [`Health::damage`].
    pub damage: Vec<Damage>,
    /// Destinations that owe nothing new but are still owed something: removed from the configuration.
    pub parked: Vec<Parked>,
    /// What the dedup files remember, oldest first.
    pub dedup: Vec<DedupEntry>,
    /// Whether files had to be rebuilt or ignored (checkpoint, FORMAT): sentences for the operator.
    pub notes: Vec<String>,
}

/// A stretch of bytes that should hold records and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// In which segment; those of dead letters have the highest bit set.
    pub segment: u64,
    /// From which byte of it.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// The sequences it may have held; empty if unknown.
    pub sequences: std::ops::Range<u64>,
    /// The event's id, where only its head or body is damaged.
    pub event_id: Option<[u8; 16]>,
}

/// A destination that left the configuration with events still owed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its name.
    pub name: String,
    /// Its id.
    pub destination: u32,
    /// How many events it is owed.
    pub owed: u64,
}

/// What lets a repeat be recognised after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupEntry {
    /// The key it was claimed by.
    pub key: u128,
    /// The digest of its body.
    pub body_digest: [u8; 32],
    /// The event it became.
    pub event_id: [u8; 16],
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Its sequence.
    pub seq: u64,
}

/// How the journal stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether an append of a small record would be taken now.
    pub accepting: bool,
    /// Whether there is no room on disk for a small record, nor anything that could be given up for it.
    pub full: bool,
    /// Whether the writer gave up: the process should end non-zero.
    pub failed: bool,
    /// Bytes of segments, spares, dead letters and dedup files on disk.
    pub bytes: u64,
    /// The bound on that.
    pub bytes_max: u64,
    /// Bytes queued for the writer.
    pub queued_bytes: u64,
    /// Free bytes of the file system, as last asked.
    pub free_bytes: u64,
    /// Stretches of damage since this opening began.
    pub damage: u64,
    /// Syncs that failed.
    pub sync_failures: u64,
    /// Everything up to here is durable.
    pub durable_seq: u64,
    /// Dead letters that lost head and body to the space bound.
    pub dead_stripped: u64,
    /// Dead letters dropped for age or space.
    pub dead_dropped: u64,
    /// Dedup entries kept on disk.
    pub dedup_entries: u64,
    /// Per destination, parked ones too.
    pub destinations: Vec<DestinationHealth>,
}

/// How one destination stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationHealth {
    /// Its id.
    pub destination: u32,
    /// Its name.
    pub name: Arc<str>,
    /// Removed from the configuration.
    pub parked: bool,
    /// Events owed.
    pub owed: u64,
    /// When the oldest of them was accepted (by its segment: not later than that); zero if none.
    pub oldest: Timestamp,
    /// Retry slots in use.
    pub slots: u32,
    /// Dead letters kept.
    pub dead: u64,
    /// Events that became dead letters since this opening.
    pub died: u64,
    /// Of these, those that age or space took.
    pub expired: u64,
}

#[cfg(test)]
mod tests;
