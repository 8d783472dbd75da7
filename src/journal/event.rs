//! What does the journal keep of an event, in memory and in its envelope?
//!
//! Promises: what [`Stored::encode`] writes, [`Stored::decode`] gives back.
//!
//! Must not know: places, files, who is owed.

use std::sync::Arc;

use bytes::Bytes;

use super::frame::{Builder, Envelope, Kind, Lengths, array_at, field, u16_at, u32_at, u64_at};
use super::lane::Delivery;
use super::record::{Chunks, Record, Target, Tenants};
use crate::clock::Timestamp;

/// What head, body and kind cost beside their bytes: the counters by which they are shared.
const BESIDE: usize = 128;
/// Bytes that an event fixes after the first 56.
pub(crate) const EVENT_FIXED: usize = 96;

/// An event as it lies in the ring, or as it was read back.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) origin_seq: u64,
    pub(crate) event_id: [u8; 16],
    pub(crate) request_id: [u8; 16],
    pub(crate) part: u16,
    pub(crate) flags: u16,
    pub(crate) source: u32,
    pub(crate) order_key: u64,
    pub(crate) dedup_key: Option<u128>,
    pub(crate) body_digest: [u8; 32],
    pub(crate) accepted: Timestamp,
    pub(crate) replayed: Option<Replayed>,
    pub(crate) tenants: Tenants,
    pub(crate) kind: Arc<str>,
    pub(crate) targets: Arc<[Target]>,
    pub(crate) head: Bytes,
    pub(crate) body: Chunks,
}

/// What marks an event that was put in once more, however often that is carried forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The sequence it was replayed under first.
    pub(crate) first: u64,
    /// When.
    pub(crate) at: Timestamp,
}

impl Replayed {
    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.first.to_le_bytes());
        bytes[8..].copy_from_slice(&self.at.as_micros().to_le_bytes());
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= 16).then(|| Self { first: u64_at(bytes, 0), at: Timestamp::from_micros(u64_at(bytes, 8)) })
    }
}

/// A target as it stands in an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owing {
    pub(crate) destination: u32,
    pub(crate) attempts: u32,
    pub(crate) not_before: Timestamp,
}

impl From<&Target> for Owing {
    fn from(target: &Target) -> Self {
        Self { destination: target.destination, attempts: 0, not_before: target.not_before }
    }
}

impl Owing {
    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.destination.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.attempts.to_le_bytes());
        bytes[8..].copy_from_slice(&self.not_before.as_micros().to_le_bytes());
        bytes
    }

    fn of(bytes: &[u8]) -> Self {
        Self {
            destination: u32_at(bytes, 0),
            attempts: u32_at(bytes, 4),
            not_before: Timestamp::from_micros(u64_at(bytes, 8)),
        }
    }
}

/// What death adds to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) destination: u32,
    pub(crate) attempts: u32,
    pub(crate) at: Timestamp,
    pub(crate) status: u16,
    pub(crate) reason: u16,
    /// Bytes of the answer at the end of the body.
    pub(crate) answer: u32,
}

impl Death {
    pub(crate) fn bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&self.destination.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.attempts.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.at.as_micros().to_le_bytes());
        bytes[16..18].copy_from_slice(&self.status.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.reason.to_le_bytes());
        bytes[20..].copy_from_slice(&self.answer.to_le_bytes());
        bytes
    }

    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= 24).then(|| Self {
            destination: u32_at(bytes, 0),
            attempts: u32_at(bytes, 4),
            at: Timestamp::from_micros(u64_at(bytes, 8)),
            status: u16_at(bytes, 16),
            reason: u16_at(bytes, 18),
            answer: u32_at(bytes, 20),
        })
    }
}

/// What else stands in the envelope of an event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra {
    pub(crate) carried_from: Option<u64>,
    pub(crate) death: Option<Death>,
    pub(crate) stripped: bool,
}

/// Length and CRC32C of a head and a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    pub(crate) head: (usize, u32),
    pub(crate) body: (usize, u32),
}

impl Sums {
    pub(crate) const NONE: Self = Self { head: (0, 0), body: (0, 0) };

    pub(crate) fn of(head: &[u8], body: &Chunks) -> Self {
        let crc = body.pieces().iter().fold(0, |crc, piece| crc32c::crc32c_append(crc, piece));
        Self { head: (head.len(), crc32c::crc32c(head)), body: (body.len(), crc) }
    }
}

impl Stored {
    /// What the journal keeps of a record; `then` and `buffered` go elsewhere.
    pub(crate) fn of(record: Record) -> Self {
        Self {
            seq: 0,
            origin_seq: 0,
            event_id: record.event_id,
            request_id: record.request_id,
            part: record.part,
            flags: record.flags,
            source: record.source,
            order_key: record.order_key,
            dedup_key: record.dedup_key,
            body_digest: record.body_digest,
            accepted: record.accepted,
            replayed: None,
            tenants: record.tenants,
            kind: record.kind,
            targets: record.targets,
            head: record.head,
            body: record.body,
        }
    }

    /// Adds the envelope of this event to `out`; `None` if it is longer than one can be.
    pub(crate) fn encode(
        &self,
        out: &mut Vec<u8>,
        kind: Kind,
        owing: impl Iterator<Item = Owing>,
        sums: &Sums,
        extra: &Extra,
    ) -> Option<Lengths> {
        let mut fixed = [0; EVENT_FIXED];
        fixed[..16].copy_from_slice(&self.event_id);
        fixed[16..32].copy_from_slice(&self.request_id);
        fixed[32..40].copy_from_slice(&self.origin_seq.to_le_bytes());
        fixed[40..48].copy_from_slice(&self.accepted.as_micros().to_le_bytes());
        fixed[48..56].copy_from_slice(&self.order_key.to_le_bytes());
        fixed[56..88].copy_from_slice(&self.body_digest);
        fixed[88..92].copy_from_slice(&self.source.to_le_bytes());
        fixed[92..94].copy_from_slice(&self.part.to_le_bytes());
        fixed[94..].copy_from_slice(&self.flags.to_le_bytes());
        if !self.fits() {
            return None;
        }
        let mut builder = Builder::new(out, kind, self.seq);
        builder.fixed(&fixed);
        builder.field_of(field::TARGETS, owing.map(Owing::bytes));
        match &self.tenants {
            Tenants::None => {}
            Tenants::One(tenant) => {
                builder.field(field::TENANTS, &tenant.to_le_bytes());
            }
            Tenants::Mixed(all) => {
                builder.field_of(field::TENANTS, all.iter().map(|tenant| tenant.to_le_bytes()));
            }
        }
        if !self.kind.is_empty() {
            builder.field(field::KIND, self.kind.as_bytes());
        }
        if let Some(key) = self.dedup_key {
            builder.field(field::DEDUP_KEY, &key.to_le_bytes());
        }
        if let Some(replayed) = self.replayed {
            builder.field(field::REPLAYED, &replayed.bytes());
        }
        if let Some(from) = extra.carried_from {
            builder.field(field::CARRIED_FROM, &from.to_le_bytes());
        }
        if let Some(death) = &extra.death {
            builder.field(field::DEATH, &death.bytes());
        }
        if extra.stripped {
            builder.field(field::STRIPPED, &[]);
        }
        builder.finish(sums.head, sums.body)
    }

    /// Whether every list fits its field; the envelope as a whole is checked when it is finished.
    fn fits(&self) -> bool {
        let tenants = if let Tenants::Mixed(all) = &self.tenants { all.len() } else { 0 };
        self.targets.len() * 16 <= MOST && tenants * 8 <= MOST && self.kind.len() <= MOST
    }

    /// Reads an event back. `record` is the whole record, or `None` for its envelope only.
    pub(crate) fn decode(envelope: &Envelope<'_>, record: Option<&Bytes>) -> Option<Self> {
        let fixed = envelope.rest().get(..EVENT_FIXED)?;
        let targets =
            owing(envelope).map(|owing| Target { destination: owing.destination, not_before: owing.not_before });
        let tenants = envelope.field(field::TENANTS, EVENT_FIXED).unwrap_or_default();
        let tenants = match tenants.len() / 8 {
            0 => Tenants::None,
            1 => Tenants::One(u64_at(tenants, 0)),
            _ => Tenants::Mixed(tenants.chunks_exact(8).map(|bytes| u64_at(bytes, 0)).collect()),
        };
        let kind = envelope.field(field::KIND, EVENT_FIXED).unwrap_or_default();
        let dedup_key = envelope.field(field::DEDUP_KEY, EVENT_FIXED).filter(|bytes| bytes.len() == 16);
        Some(Self {
            seq: envelope.seq(),
            origin_seq: u64_at(fixed, 32),
            event_id: array_at(fixed, 0),
            request_id: array_at(fixed, 16),
            part: u16_at(fixed, 92),
            flags: u16_at(fixed, 94),
            source: u32_at(fixed, 88),
            order_key: u64_at(fixed, 48),
            dedup_key: dedup_key.map(|bytes| u128::from_le_bytes(array_at(bytes, 0))),
            body_digest: array_at(fixed, 56),
            accepted: Timestamp::from_micros(u64_at(fixed, 40)),
            replayed: replayed(envelope),
            tenants,
            kind: Arc::from(String::from_utf8_lossy(kind)),
            targets: targets.collect(),
            head: record.map(|record| record.slice(envelope.head())).unwrap_or_default(),
            body: record.map(|record| record.slice(envelope.body())).unwrap_or_default().into(),
        })
    }

    /// Bytes it keeps alive: head and body with what the allocator rounds them up by, and itself in a list that may be
    /// half empty.
    pub(crate) fn weight(&self) -> u64 {
        (self.head.len() + self.body.len() + self.kind.len() + 2 * size_of::<Self>() + BESIDE) as u64
    }

    /// The same event on bytes of its own, so that a large piece read from disk is not kept for a small event.
    pub(crate) fn detached(mut self) -> Self {
        self.head = Bytes::copy_from_slice(&self.head);
        self.body = Bytes::copy_from_slice(&self.body.joined()).into();
        self
    }

    /// From when on its age counts here: when it was replayed, or else accepted.
    pub(crate) fn since(&self) -> Timestamp {
        self.replayed.map_or(self.accepted, |replayed| replayed.at)
    }

    /// The sequence that it and what it was carried forward as have in common, and no replay of it.
    pub(crate) fn lineage(&self) -> u64 {
        self.replayed.map_or(self.origin_seq, |replayed| replayed.first)
    }

    pub(crate) fn not_before(&self, destination: u32) -> Timestamp {
        let target = self.targets.iter().find(|target| target.destination == destination);
        target.map_or(Timestamp::ZERO, |target| target.not_before)
    }

    pub(crate) fn delivery(self, attempt: u32, slotless: Option<Timestamp>) -> Delivery {
        Delivery {
            seq: self.seq,
            origin_seq: self.origin_seq,
            event_id: self.event_id,
            request_id: self.request_id,
            part: self.part,
            attempt,
            slotless,
            accepted: self.accepted,
            replayed: self.replayed,
            source: self.source,
            tenants: self.tenants,
            kind: self.kind,
            order_key: self.order_key,
            flags: self.flags,
            head: self.head,
            body: self.body,
            dedup_key: self.dedup_key,
            body_digest: self.body_digest,
        }
    }

    pub(crate) fn returned(delivery: Delivery, destination: u32) -> Self {
        Self {
            seq: delivery.seq,
            origin_seq: delivery.origin_seq,
            event_id: delivery.event_id,
            request_id: delivery.request_id,
            part: delivery.part,
            flags: delivery.flags,
            source: delivery.source,
            order_key: delivery.order_key,
            dedup_key: delivery.dedup_key,
            body_digest: delivery.body_digest,
            accepted: delivery.accepted,
            replayed: delivery.replayed,
            tenants: delivery.tenants,
            kind: delivery.kind,
            targets: Arc::new([Target { destination, not_before: Timestamp::ZERO }]),
            head: delivery.head,
            body: delivery.body,
        }
    }
}

/// The most bytes of one list in an envelope.
const MOST: usize = 60_000;

/// Whether this event was put in once more.
fn replayed(envelope: &Envelope<'_>) -> Option<Replayed> {
    envelope.field(field::REPLAYED, EVENT_FIXED).and_then(Replayed::of)
}

/// [`Stored::since`] of the event in this envelope.
pub(crate) fn since(envelope: &Envelope<'_>) -> Timestamp {
    let accepted = || envelope.rest().get(40..48).map_or(0, |bytes| u64_at(bytes, 0));
    replayed(envelope).map_or_else(|| Timestamp::from_micros(accepted()), |replayed| replayed.at)
}

/// The targets in an event's envelope.
pub(crate) fn owing<'a>(envelope: &Envelope<'a>) -> impl Iterator<Item = Owing> + use<'a> {
    envelope.field(field::TARGETS, EVENT_FIXED).unwrap_or_default().chunks_exact(16).map(Owing::of)
}

/// The one whose share of the retry slots an event takes.
pub(crate) fn share(tenants: &Tenants) -> u64 {
    match tenants {
        Tenants::None => 0,
        Tenants::One(tenant) => *tenant,
        Tenants::Mixed(all) => all.iter().fold(1, |mixed: u64, tenant| mixed.rotate_left(7) ^ tenant),
    }
}
