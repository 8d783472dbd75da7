//! What waits for the writer, and is there room for more?
//!
//! Promises: sequences are given in the order in which records are written; what was taken in has its place on disk
//! reserved, because [`Plan`] places records exactly as the writer does.
//!
//! Must not know: files.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::configure::Configure;
use super::event::{Extra, Owing, Stored, Sums};
use super::frame::{FIXED, Kind};
use super::record::{Chunks, Refused, Target, Then};
use super::{DedupEntry, Options};
use crate::clock::Timestamp;

/// Pieces up to this size are copied beside their envelope; larger ones are written from where they are.
const COPIED_MAX: usize = 1024;

/// A record on its way to disk.
pub(crate) struct Item {
    pub(crate) seq: u64,
    /// The envelope and what was copied behind it, in the scratch buffer.
    pub(crate) own: Range<usize>,
    pub(crate) envelope: u16,
    /// Bytes on disk.
    pub(crate) length: u32,
    pub(crate) head: Option<Bytes>,
    pub(crate) body: Option<Chunks>,
    /// Zeros behind what was not copied.
    pub(crate) padding: usize,
    pub(crate) targets: Arc<[Target]>,
    pub(crate) then: Option<Then>,
    pub(crate) buffered: bool,
    pub(crate) appended: Timestamp,
    /// [`Stored::since`].
    pub(crate) since: Timestamp,
    pub(crate) dedup: Option<DedupEntry>,
    /// The sequence it has been carried forward from.
    pub(crate) carried_from: Option<u64>,
    /// The dead letter that goes when this is durable.
    pub(crate) letter: Option<Letter>,
}

/// A dead letter, by its destination and the sequence in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) destination: u32,
    pub(crate) seq: u64,
}

/// What is to be done besides writing a record.
#[derive(Default)]
pub(crate) struct Beside {
    pub(crate) then: Option<Then>,
    pub(crate) buffered: bool,
    pub(crate) letter: Option<Letter>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Item({}, {} bytes)", self.seq, self.length)
    }
}

/// Where the next records will lie.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    /// The end of the last record placed.
    pub(crate) tail: u64,
    /// Segments that can still be begun.
    pub(crate) free: u64,
    /// Where records start in a segment.
    pub(crate) start: u64,
    /// Bytes of a segment.
    pub(crate) size: u64,
    /// No segment can be begun now, but the writer has something that it may give up for one.
    pub(crate) hope: bool,
}

impl Plan {
    /// Bytes of records that have their place for certain; `u64::MAX` where more will not come by waiting.
    pub(crate) const fn certain(&self) -> u64 {
        if self.free > 0 || !self.hope { u64::MAX } else { self.size.saturating_sub(self.tail) }
    }

    /// Places one more record; `false` if there is no room, and then nothing is changed.
    pub(crate) const fn place(&mut self, length: u64) -> bool {
        if self.tail + length > self.size {
            if self.free == 0 || self.start + length > self.size {
                return false;
            }
            self.free -= 1;
            self.tail = self.start;
        }
        self.tail += length;
        true
    }
}

/// A record leaves this much of a segment, so that it can be carried forward and become a letter with a longer envelope;
/// one that is replayed may use up a part of it.
const RESERVE: u64 = 128;
const REPLAYED_RESERVE: u64 = 64;

/// What the writer is asked besides writing records.
#[derive(Debug)]
pub(crate) enum Command {
    /// Erase head, body and answers of an event, everywhere.
    Erase([u8; 16]),
    /// Release all that is owed to a destination.
    Drop(u32),
    /// Take a dead letter from its list.
    Unlist(Letter),
}

/// The queue in front of the writer.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) next_seq: u64,
    pub(crate) items: Vec<Item>,
    pub(crate) scratch: Vec<u8>,
    /// Bytes and records queued or being written.
    pub(crate) bytes: u64,
    pub(crate) records: u32,
    pub(crate) plan: Plan,
    pub(crate) commands: Vec<Command>,
    /// The events that are to be erased, until that is done, and how often something was: for those who read what they are
    /// to append.
    pub(crate) erasing: Vec<[u8; 16]>,
    pub(crate) erasures: u64,
    /// Names and plans that are to change, for the writer to take.
    pub(crate) configure: Option<Configure>,
    /// Such a change is under way.
    pub(crate) configuring: bool,
    pub(crate) closed: bool,
    pub(crate) failed: bool,
    /// Somebody was refused for want of disk since the writer last looked.
    pub(crate) starved: bool,
    /// The writer waits to be woken.
    pub(crate) asleep: bool,
}

/// What an append that turns out not to fit is taken back to.
#[derive(Clone, Copy)]
pub(crate) struct Before {
    next_seq: u64,
    items: usize,
    scratch: usize,
    bytes: u64,
    records: u32,
    plan: Plan,
}

impl Inbox {
    pub(crate) const fn before(&self) -> Before {
        Before {
            next_seq: self.next_seq,
            items: self.items.len(),
            scratch: self.scratch.len(),
            bytes: self.bytes,
            records: self.records,
            plan: self.plan,
        }
    }

    /// Takes back all that was put in since; the caller drops what it gets without the lock.
    pub(crate) fn back_to(&mut self, before: &Before) -> Vec<Item> {
        self.next_seq = before.next_seq;
        self.scratch.truncate(before.scratch);
        self.bytes = before.bytes;
        self.records = before.records;
        self.plan = before.plan;
        self.items.split_off(before.items)
    }

    /// Why nothing can be put in at all, if so.
    pub(crate) const fn refuses(&self) -> Option<Refused> {
        if self.failed {
            Some(Refused::Failed)
        } else if self.closed {
            Some(Refused::Closed)
        } else {
            None
        }
    }

    /// Gives the record its sequence and queues it.
    pub(crate) fn put(
        &mut self,
        stored: &mut Stored,
        sums: &Sums,
        beside: Beside,
        now: Timestamp,
        options: &Options,
    ) -> Result<(), Refused> {
        stored.seq = self.next_seq;
        let reserve = match &mut stored.replayed {
            Some(replayed) => {
                replayed.first = self.next_seq;
                REPLAYED_RESERVE
            }
            None => {
                stored.origin_seq = self.next_seq;
                RESERVE
            }
        };
        let start = self.scratch.len();
        let owing = stored.targets.clone();
        let owing = owing.iter().map(Owing::from);
        let Some(lengths) = stored.encode(&mut self.scratch, Kind::Event, owing, sums, &Extra::default()) else {
            return Err(Refused::TooLarge { max: largest(options, &self.plan) });
        };
        let length = u64::from(lengths.record);
        let refused = if self.plan.start + length + reserve > self.plan.size {
            Some(Refused::TooLarge { max: largest(options, &self.plan) })
        } else if self.bytes + length > options.queue_bytes.max(length) || self.records >= options.queue_records {
            Some(Refused::Busy)
        } else if !self.plan.place(length) {
            self.starved = true;
            Some(Refused::Full)
        } else {
            None
        };
        if let Some(refused) = refused {
            self.scratch.truncate(start);
            return Err(refused);
        }
        let mut item = Item {
            seq: stored.seq,
            own: start..start,
            envelope: lengths.envelope,
            length: lengths.record,
            head: None,
            body: None,
            padding: lengths.padding,
            targets: Arc::clone(&stored.targets),
            then: beside.then,
            buffered: beside.buffered,
            appended: now,
            since: stored.since(),
            dedup: stored.dedup_key.filter(|_| stored.replayed.is_none()).map(|key| dedup_entry(key, stored)),
            carried_from: None,
            letter: beside.letter,
        };
        self.lay_out(&mut item, &stored.head, &stored.body);
        self.items.push(item);
        self.bytes += length;
        self.records += 1;
        self.next_seq += 1;
        Ok(())
    }

    /// Queues an event that is carried forward; its place may come from the ballast. `false` if it cannot be a record.
    pub(crate) fn put_carried(&mut self, mut stored: Stored, owing: &[Owing], sums: &Sums, from: u64) -> bool {
        stored.seq = self.next_seq;
        let extra = Extra { carried_from: Some(from), ..Extra::default() };
        let Some(lengths) = stored.encode(&mut self.scratch, Kind::Event, owing.iter().copied(), sums, &extra) else {
            return false;
        };
        let start = self.scratch.len() - usize::from(lengths.envelope);
        let length = u64::from(lengths.record);
        if self.plan.start + length > self.plan.size {
            self.scratch.truncate(start);
            return false;
        }
        let mut item = Item {
            seq: stored.seq,
            own: start..start,
            envelope: lengths.envelope,
            length: lengths.record,
            head: None,
            body: None,
            padding: lengths.padding,
            targets: Arc::clone(&stored.targets),
            then: None,
            buffered: false,
            appended: stored.accepted,
            since: stored.since(),
            dedup: None,
            carried_from: Some(from),
            letter: None,
        };
        self.lay_out(&mut item, &stored.head, &stored.body);
        let placed = self.plan.place(length);
        self.starved |= !placed;
        self.items.push(item);
        self.bytes += length;
        self.records += 1;
        self.next_seq += 1;
        true
    }

    /// Copies small pieces behind the envelope, keeps large ones as they are.
    fn lay_out(&mut self, item: &mut Item, head: &Bytes, body: &Chunks) {
        let copy_head = head.len() <= COPIED_MAX;
        let copy_body = copy_head && body.len() <= COPIED_MAX;
        if copy_head {
            self.scratch.extend_from_slice(head);
        } else {
            item.head = Some(head.clone());
        }
        if copy_body {
            for piece in body.pieces() {
                self.scratch.extend_from_slice(piece);
            }
            self.scratch.resize(self.scratch.len() + item.padding, 0);
            item.padding = 0;
        } else {
            item.body = Some(body.clone());
        }
        item.own.end = self.scratch.len();
    }

    /// Queues a voided record again under a new sequence; `own` is what it had in the old scratch buffer.
    pub(crate) fn put_again(&mut self, mut item: Item, own: &[u8]) -> u64 {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(own);
        item.own = start..self.scratch.len();
        item.seq = self.next_seq;
        let seq = self.next_seq.to_le_bytes();
        self.scratch[start + 24..start + 32].copy_from_slice(&seq);
        self.scratch[start + FIXED + 32..start + FIXED + 40].copy_from_slice(&seq);
        if let Some(entry) = &mut item.dedup {
            entry.seq = item.seq;
        }
        // Its bytes are still counted; its place on disk may come from the ballast.
        let placed = self.plan.place(u64::from(item.length));
        self.starved |= !placed;
        self.items.push(item);
        self.next_seq += 1;
        self.next_seq - 1
    }
}

fn dedup_entry(key: u128, stored: &Stored) -> DedupEntry {
    DedupEntry {
        key,
        body_digest: stored.body_digest,
        event_id: stored.event_id,
        accepted: stored.accepted,
        seq: stored.seq,
    }
}

/// The most that head and body of one record may have together.
pub(crate) fn largest(options: &Options, plan: &Plan) -> u64 {
    /// What an envelope with a few targets and a kind takes at most.
    const ENVELOPE: u64 = 512 + RESERVE;
    options.segment_size.saturating_sub(plan.start + ENVELOPE)
}
