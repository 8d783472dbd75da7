//! What is appended in a world, and who waits for it?
//!
//! Must not know: when anything is appended, or what is made of a fate.

use std::sync::{Arc, Mutex, PoisonError};

use super::house::House;
use super::model::{Model, Owed};
use super::program::Shape;
use crate::clock::Timestamp;
use crate::journal::{Chunks, Pending, Record, Target};

/// Somebody waits for this.
pub(super) struct Waiting {
    pub(super) pending: Pending,
    pub(super) events: Vec<usize>,
    /// Those of the same append that were buffered.
    pub(super) buffered: Vec<usize>,
    /// All buffered: the receipt came before the sync and proves nothing.
    pub(super) promised_early: bool,
    /// It is a replay.
    pub(super) replaying: Option<Replaying>,
}

/// An event that is put in once more, and whose letter goes then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replaying {
    pub(super) event: usize,
    pub(super) letter: Option<(usize, usize)>,
}

/// The record of an event, as it is appended for the first time or again.
pub(super) fn record(model: &Model, house: &House, event: usize, shape: Shape, now: Timestamp) -> Record {
    let known = &model.events[event];
    let owed = known.owed.iter().enumerate().filter(|(_, owed)| **owed != Owed::Never);
    let target = |(place, _)| Target { destination: house.ids[place], not_before: known.not_before };
    let body = if shape.split && known.body.len() > 2 {
        let (a, b) = (known.body.len() / 3, known.body.len() / 2);
        Chunks::from(vec![known.body.slice(..a), known.body.slice(a..b), known.body.slice(b..)])
    } else {
        Chunks::from(known.body.clone())
    };
    let fates = Arc::clone(&house.fates);
    Record {
        event_id: known.id,
        request_id: known.facts.request_id,
        part: known.facts.part,
        source: house.source,
        targets: owed.map(target).collect(),
        tenants: known.facts.tenants.clone(),
        kind: (*known.facts.kind).into(),
        order_key: known.facts.order_key,
        dedup_key: shape.dedup.then(|| u128::from_be_bytes(known.id)),
        body_digest: [0x5a; 32],
        accepted: now,
        flags: known.facts.flags,
        head: known.head.clone(),
        body,
        buffered: shape.buffered,
        then: Some(Box::new(move |fate| {
            let fate = fate.map(|receipt| receipt.seq()).map_err(|_| ());
            fates.lock().unwrap_or_else(PoisonError::into_inner).push((event, fate));
        })),
    }
}

/// The fates told by `then`, not yet taken in.
pub(super) type Fates = Arc<Mutex<Vec<(usize, Result<u64, ()>)>>>;
