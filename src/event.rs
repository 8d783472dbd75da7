//! What did the provider say?
//!
//! Promises: an [`Event`] exists only of a request that was [`crate::verify::Verified`], and always exists then: a body
//! that cannot be read is an event with `readable: false`. The body's bytes are the request's bytes. With dedup on, the
//! id follows from what was said, so that a retry carries the same one.
//!
//! Must not know: destinations, the journal, or whether the event was heard before.

mod body;
mod head;
mod id;
mod selectors;

pub use body::{Body, BodyError};
#[cfg(any(test, fuzzing))]
pub use head::holds as head_holds;
pub use head::{Head, HeadError, Headers};
pub use id::{EventId, conflict_key};
pub use selectors::{Authority, EqualBodies, Parts, Repeat, Selectors, Wanted};

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::select::{Marks, Request, Values};
use crate::verify::{self, Credential, Digest, Verified};

/// What an event needs to know of its source.
#[derive(Clone, Copy, Debug)]
pub struct SourceFacts<'a> {
    /// The source's name, which is its identity.
    pub name: &'a str,
    /// The path below the source, raw as received.
    pub rest: &'a str,
    /// What served as proof: the query fields it names are no part of the key.
    pub credential: &'a Credential,
    /// Whether the operator has dedup on.
    pub dedup: Dedup,
}

/// Whether a source recognises what it has heard before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dedup {
    /// Events are keyed where the provider file says by what.
    #[default]
    On,
    /// No event has a key.
    Off,
}

/// What a provider said, once proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's name everywhere.
    pub id: EventId,
    /// What dedup knows it by; `None` where dedup is off for it.
    pub key: Option<u128>,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    /// What kind of event, at most [`Event::KIND_MAX`] bytes; empty where nothing says so.
    pub kind: Arc<str>,
    /// A hash of the order key; 0 where there is none.
    pub order: u64,
    /// When the provider says it happened.
    pub time: Option<Timestamp>,
    /// Whose event it is.
    pub tenants: Tenants,
    /// What of the request's body belongs to this event.
    pub body: Body,
    /// What it answers to the questions of the routes.
    pub marks: Marks,
    /// Whether all selectors could be read.
    pub readable: bool,
}

/// What a request says, whether or not anybody proved it: for rehearsals. It is no event, and cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// As [`Event::key`].
    pub key: Option<u128>,
    /// As [`Event::digest`].
    pub digest: [u8; 32],
    /// As [`Event::kind`].
    pub kind: Arc<str>,
    /// As [`Event::order`].
    pub order: u64,
    /// When the request itself says that it happened.
    pub time: Option<Timestamp>,
    /// As [`Event::tenants`].
    pub tenants: Tenants,
    /// As [`Event::marks`].
    pub marks: Marks,
    /// As [`Event::readable`].
    pub readable: bool,
}

impl Event {
    /// Longest kind kept, in bytes; a longer one is cut at a character.
    pub const KIND_MAX: usize = 64;

    /// Whether dedup calls this event another one of the same key: it takes the key that the conflict gives it.
    pub fn rekey(&mut self, key: u128) {
        self.key = Some(key);
        self.id = EventId::from_key(key);
    }
}

/// The tenant keys found in an event, as the provider writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// Distinct keys in the order found, at most [`Tenants::MAX`].
    pub keys: Vec<Box<str>>,
    /// Whether some element had no key, or one that is not kept: too long, or beyond their number.
    pub others: bool,
}

impl Tenants {
    /// Most distinct keys kept of one event.
    pub const MAX: usize = 64;
    /// Longest key kept, in bytes.
    pub const KEY_MAX: usize = 256;

    /// Whether the event belongs to more than one tenant by its keys alone.
    #[must_use]
    pub const fn mixed(&self) -> bool {
        self.keys.len() > 1 || (self.keys.len() == 1 && self.others)
    }
}

/// The events of one request: one, unless a batch is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    first: Event,
    more: Vec<Event>,
}

impl Events {
    /// How many; never zero.
    #[must_use]
    pub const fn len(&self) -> usize {
        1 + self.more.len()
    }

    /// Whether there is none: never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The first event.
    #[must_use]
    pub const fn first(&self) -> &Event {
        &self.first
    }

    /// All events in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

impl IntoIterator for Events {
    type Item = Event;
    type IntoIter = std::iter::Chain<std::iter::Once<Event>, std::vec::IntoIter<Event>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.more)
    }
}

impl Event {
    /// Reads what was said. `request.body` and `body` are the same bytes; `random` becomes the id where dedup is off.
    /// Never fails.
    #[must_use]
    pub fn parse(
        source: &SourceFacts<'_>,
        verified: &Verified,
        selectors: &Selectors,
        request: &Request<'_>,
        body: Bytes,
        random: [u8; 16],
    ) -> Events {
        Self::read(source, verified.timestamp(), selectors, request, body, random)
    }

    /// [`Event::parse`], given the time that was part of the proof.
    fn read(
        source: &SourceFacts<'_>,
        proven: Option<Timestamp>,
        selectors: &Selectors,
        request: &Request<'_>,
        body: Bytes,
        random: [u8; 16],
    ) -> Events {
        let Glimpse { key, digest, kind, order, time, tenants, marks, readable } =
            Glimpse::read(source, selectors, request);
        let id = key.map_or_else(|| EventId::from_bytes(random), EventId::from_key);
        let (time, body) = (time.or(proven), Body::whole(body));
        let first = Self { id, key, digest, kind, order, time, tenants, body, marks, readable };
        Events { first, more: Vec::new() }
    }
}

impl Glimpse {
    /// Reads what is said, in one pass over the body. Never fails.
    #[must_use]
    pub fn read(source: &SourceFacts<'_>, selectors: &Selectors, request: &Request<'_>) -> Self {
        let values = selectors.plan().read(request);
        let digest = verify::digest(&[request.body]);
        let key = match source.dedup {
            Dedup::On => key(source, selectors, request, &values, &digest),
            Dedup::Off => None,
        };
        let kind = selectors.kind.and_then(|at| values.first(at));
        Self {
            key,
            digest,
            kind: kind.map(|kind| shortened(&kind).into()).unwrap_or_default(),
            order: selectors.order.map_or(0, |at| order(source, at, &values)),
            time: selectors.time.and_then(|(at, unit)| unit.read(values.first(at)?.as_bytes())),
            tenants: selectors.tenant.map(|at| tenants(at, &values)).unwrap_or_default(),
            marks: selectors.answer(&values, request),
            readable: values.readable(),
        }
    }
}

/// What dedup knows an event by; `None` where no id part is asked for or one is absent. Where equal bodies are the same
/// event, the body's digest is a part that is always there.
fn key(
    source: &SourceFacts<'_>,
    selectors: &Selectors,
    request: &Request<'_>,
    values: &Values<'_>,
    digest: &[u8; 32],
) -> Option<u128> {
    let wanted = selectors.wanted();
    if !selectors.keyed() {
        return None;
    }
    let query = Head::query_without(request.query, source.credential);
    let mut hash = Digest::new();
    for text in [source.name, request.method.as_str(), source.rest, &*query] {
        put(&mut hash, text.as_bytes());
    }
    // Two paths of one source are two addresses, unless it is the credential that they differ by.
    for (name, value) in request.captures.iter(request.path) {
        if !source.credential.captures().iter().any(|hidden| **hidden == *name) {
            put(&mut hash, value.as_bytes());
        }
    }
    for at in 0..wanted.id.len() {
        let count = put_all(&mut hash, at, values);
        if count == 0 && wanted.equal_bodies == EqualBodies::Nothing {
            return None;
        }
    }
    if wanted.equal_bodies == EqualBodies::SameEvent {
        put(&mut hash, digest);
    }
    Some(id::first_half(&hash.finish()))
}

/// A hash of the order key; 0 where there is none.
fn order(source: &SourceFacts<'_>, selector: usize, values: &Values<'_>) -> u64 {
    let mut hash = Digest::new();
    put(&mut hash, source.name.as_bytes());
    if put_all(&mut hash, selector, values) == 0 {
        return 0;
    }
    let hash = hash.finish();
    hash.first_chunk().map_or(1, |first| u64::from_be_bytes(*first).max(1))
}

fn tenants(selector: usize, values: &Values<'_>) -> Tenants {
    let mut found = Tenants::default();
    values.each(selector, &mut |value| match value {
        Some(key) if found.keys.iter().any(|known| **known == *key) => {}
        Some(key) if found.keys.len() < Tenants::MAX && key.len() <= Tenants::KEY_MAX => found.keys.push(key.into()),
        Some(_) | None => found.others = true,
    });
    found
}

/// Hashes a text so that no two lists of texts have the same bytes.
fn put(hash: &mut Digest, text: &[u8]) {
    hash.update(&(text.len() as u64).to_be_bytes());
    hash.update(text);
}

/// Hashes the values of a selector, each marked, and an end mark; returns how many there were.
fn put_all(hash: &mut Digest, selector: usize, values: &Values<'_>) -> usize {
    let mut count = 0;
    values.each(selector, &mut |value| {
        if let Some(value) = value {
            count += 1;
            hash.update(&[1]);
            put(hash, value.as_bytes());
        }
    });
    hash.update(&[0]);
    count
}

/// A kind, cut at a character where it is too long.
fn shortened(kind: &str) -> &str {
    let end = (0..=Event::KIND_MAX).rev().find(|end| kind.is_char_boundary(*end));
    if kind.len() <= Event::KIND_MAX { kind } else { &kind[..end.unwrap_or(0)] }
}

#[cfg(test)]
mod tests;
