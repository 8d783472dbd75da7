//! What does the journal take of an event?
//!
//! Promises: body and head are shared, never copied; the permit and each claim travel with the records, and are let go
//! when the journal has decided about them, whether or not the request's caller still waits.
//!
//! Must not know: what was proven, or how.

use std::sync::Arc;

use bytes::Bytes;

use super::charges::Due;
use super::claims::Fresh;
use super::few::Few;
use super::reply::{Discard, Observed};
use crate::admission::Permit;
use crate::clock::Timestamp;
use crate::dedup::Claim;
use crate::event::{Body, Event};
use crate::journal::{Chunks, Journal, Pending, Record, Refused, Target, Then};
use crate::route::{Facts, Resolved};
use crate::snapshot::{Ack, Source};

/// What all records of one request have in common.
pub(super) struct Frame<'a> {
    pub(super) source: &'a Source,
    pub(super) request_id: [u8; 16],
    pub(super) head: Bytes,
    pub(super) accepted: Timestamp,
    /// What the journal carries for those above it.
    pub(super) flags: u16,
}

/// An event and whom it is owed to.
#[derive(Debug)]
pub(super) struct Owed<'s> {
    due: Due<'s>,
    targets: Arc<[Target]>,
}

impl Owed<'_> {
    /// The event's id.
    pub(super) const fn id(&self) -> [u8; 16] {
        *self.due.fresh.event.id.as_bytes()
    }

    /// From when on this destination may be handed it; `None` where it is none of the targets.
    pub(super) fn not_before(&self, destination: u32) -> Option<Timestamp> {
        let target = self.targets.iter().find(|target| target.destination == destination)?;
        Some(target.not_before)
    }
}

/// Who must hear a request's events.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, which a box would put on the heap")]
pub(super) enum Routed<'s> {
    /// These events are stored.
    To(Few<Owed<'s>>),
    /// None of them is, by an explicit rule.
    Discarded(Discard),
    /// None of them is, because their source only observes.
    Observed(Observed),
}

/// Asks for every event who must hear it, and counts the rule that says so, and those who would hear it if they did not
/// only observe. What is discarded frees its key; the way of what is observed ends here.
pub(super) fn route<'s>(source: &Source, due: Few<Due<'s>>, accepted: Timestamp) -> Routed<'s> {
    let observed = Observed::by(source);
    let mut owed = Few::default();
    let mut discarded = None;
    for due in due {
        let resolved = source.table.resolve(&Facts::of(&due.fresh.event, due.tenant));
        source.routed.count(resolved.rule());
        let targets = match resolved {
            Resolved::To { targets: audience, .. } => {
                source.would.send(&audience.would);
                due.targets(&audience.targets)
            }
            Resolved::Nowhere => Arc::default(),
            discard @ Resolved::Discard { .. } => {
                discarded = Discard::of(&discard);
                continue;
            }
        };
        if observed.is_some() {
            observe(source, due.fresh, accepted);
            continue;
        }
        owed.push(Owed { due, targets });
    }
    match (observed, discarded) {
        (Some(observed), _) => Routed::Observed(observed),
        (None, Some(discard)) if owed.len() == 0 => Routed::Discarded(discard),
        (None, _) => Routed::To(owed),
    }
}

/// Of an event that is only observed its key is kept, and nothing else.
fn observe(source: &Source, Fresh { event, claim }: Fresh, accepted: Timestamp) {
    note(source, &event, accepted);
    if let Some(claim) = claim {
        // No sequence: it is in no store.
        claim.settle(accepted, 0);
    }
}

/// Counts what is to be known of a new event of which something becomes.
fn note(source: &Source, event: &Event, accepted: Timestamp) {
    if !event.readable {
        source.metrics.unreadable.inc();
    }
    if let Some(then) = event.time {
        source.metrics.freshness.event(accepted, then);
    }
}

/// The bytes of all bodies: what parts of a batch have in common stands in each.
pub(super) fn bytes(owed: &Few<Owed<'_>>) -> u64 {
    owed.iter().map(|owed| owed.due.fresh.event.body.len() as u64).sum()
}

/// Hands the events to the journal, all or none.
pub(super) fn append(
    journal: &Journal,
    frame: &Frame<'_>,
    owed: Few<Owed<'_>>,
    permit: Permit,
) -> Result<Pending, Refused> {
    let last = owed.len().saturating_sub(1);
    let mut permit = Some(permit);
    let mut records = owed.into_iter().enumerate().map(|(at, owed)| {
        // The bytes in flight are those of the whole request: they are free when its last record is.
        let permit = if at == last { permit.take() } else { None };
        frame.record(owed, permit)
    });
    match (records.next(), last) {
        (Some(only), 0) => journal.append_one(only),
        (first, _) => journal.append(first.into_iter().chain(records).collect()),
    }
}

impl Frame<'_> {
    fn record(&self, owed: Owed<'_>, permit: Option<Permit>) -> Record {
        let Self { source, request_id, head, accepted, flags } = self;
        let Owed { due: Due { fresh: Fresh { event, claim }, tenant: _, whom, not_before: _ }, targets } = owed;
        note(source, &event, *accepted);
        let Event { id, key, digest, kind, order, time: _, tenants: _, part, body, marks: _, readable: _ } = event;
        Record {
            event_id: *id.as_bytes(),
            request_id: *request_id,
            part,
            source: source.id.0,
            targets,
            tenants: whom,
            kind,
            order_key: order,
            dedup_key: key,
            body_digest: digest,
            accepted: *accepted,
            flags: *flags,
            head: head.clone(),
            body: chunks(&body),
            buffered: matches!(source.ack, Ack::Buffered),
            then: then(claim, permit, *accepted),
        }
    }
}

fn then(claim: Option<Claim>, permit: Option<Permit>, accepted: Timestamp) -> Option<Then> {
    if claim.is_none() && permit.is_none() {
        return None;
    }
    Some(Box::new(move |fate| {
        if let (Ok(receipt), Some(claim)) = (fate, claim) {
            claim.settle(accepted, receipt.seq());
        }
        drop(permit);
    }))
}

fn chunks(body: &Body) -> Chunks {
    let mut pieces = body.chunks();
    match (pieces.next(), pieces.next()) {
        (first, None) => Chunks::One(first.unwrap_or_default()),
        (first, second) => Chunks::Many(first.into_iter().chain(second).chain(pieces).collect()),
    }
}
