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
use selectors::Found;
pub use selectors::{Authority, EqualBodies, Parts, Repeat, Selectors, Splitting, Wanted};

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::select::{Marks, Part, Request, Values, form};
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
    /// Its place among the events of its request.
    pub part: u16,
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
    /// Whether it is a batch of more than can be split.
    kept_whole: bool,
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

    /// Whether they are parts of a batch that was split.
    #[must_use]
    pub const fn are_parts(&self) -> bool {
        !self.more.is_empty()
    }

    /// Whether the request should have been split, and holds too much.
    #[must_use]
    pub const fn kept_whole(&self) -> bool {
        self.kept_whole
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
        let (mut values, found) = selectors.read(request);
        if let Found::Parts(parts) = &found
            && let [first, more @ ..] = &**parts
            && !more.is_empty()
        {
            let mut read = |part: &Part, at: u16, random| {
                let glimpse = Glimpse::of_part(source, selectors, request, &mut values, part);
                let body = Body::of(body.clone(), part.ranges()).expect("a part's few ranges lie in the body");
                glimpse.into_event(at, proven, body, random)
            };
            let first = read(first, 0, random);
            let more = more.iter().zip(1..).map(|(part, at)| read(part, at, id::another(random, at))).collect();
            return Events { first, more, kept_whole: false };
        }
        let kept_whole = matches!(found, Found::TooMuch);
        let glimpse = Glimpse::of_whole(source, selectors, request, &mut values, &found);
        Events { first: glimpse.into_event(0, proven, Body::whole(body), random), more: Vec::new(), kept_whole }
    }
}

impl Glimpse {
    /// Reads what is said, in one pass over the body, for each event that it would be; never none. Never fails.
    #[must_use]
    pub fn read(source: &SourceFacts<'_>, selectors: &Selectors, request: &Request<'_>) -> Vec<Self> {
        let (mut values, found) = selectors.read(request);
        match &found {
            Found::Parts(parts) if parts.len() > 1 => {
                parts.iter().map(|part| Self::of_part(source, selectors, request, &mut values, part)).collect()
            }
            found => vec![Self::of_whole(source, selectors, request, &mut values, found)],
        }
    }

    /// Of a request that is one event: no batch, one that is not split, or one of a single part, which is known by the same
    /// key as in a batch of several.
    fn of_whole(
        source: &SourceFacts<'_>,
        selectors: &Selectors,
        request: &Request<'_>,
        values: &mut Values<'_>,
        found: &Found,
    ) -> Self {
        let part = match found {
            Found::Parts(parts) => parts.first(),
            Found::Whole | Found::TooMuch => None,
        };
        if let Some(part) = part {
            values.narrow(part);
        }
        Self::of(source, selectors, request, values, verify::digest(&[request.body]), part.is_some())
    }

    fn of_part(
        source: &SourceFacts<'_>,
        selectors: &Selectors,
        request: &Request<'_>,
        values: &mut Values<'_>,
        part: &Part,
    ) -> Self {
        values.narrow(part);
        let mut digest = Digest::new();
        for range in part.ranges() {
            digest.update(request.body.get(range.start as usize..range.end as usize).unwrap_or_default());
        }
        Self::of(source, selectors, request, values, digest.finish(), true)
    }

    fn of(
        source: &SourceFacts<'_>,
        selectors: &Selectors,
        request: &Request<'_>,
        values: &Values<'_>,
        digest: [u8; 32],
        is_part: bool,
    ) -> Self {
        let key = match source.dedup {
            Dedup::On => key(source, selectors, request, values, &digest, is_part),
            Dedup::Off => None,
        };
        let kind = selectors.kind.and_then(|at| values.first(at));
        Self {
            key,
            digest,
            kind: kind.map(|kind| shortened(&kind).into()).unwrap_or_default(),
            order: selectors.order.map_or(0, |at| order(source, at, values)),
            time: selectors.time.and_then(|(at, unit)| unit.read(values.first(at)?.as_bytes())),
            tenants: selectors.tenant.map(|at| tenants(at, values)).unwrap_or_default(),
            marks: selectors.answer(values, request),
            readable: values.readable(),
        }
    }

    fn into_event(self, part: u16, proven: Option<Timestamp>, body: Body, random: [u8; 16]) -> Event {
        let Self { key, digest, kind, order, time, tenants, marks, readable } = self;
        let id = key.map_or_else(|| EventId::from_bytes(random), EventId::from_key);
        Event { id, key, digest, kind, order, time: time.or(proven), tenants, part, body, marks, readable }
    }
}

/// A query as what it says, not as it is written: its pairs decoded, those of one name together where the first of them
/// stands. Some providers sign what a library made of it; another way to write the same would pass for another event.
fn put_query(hash: &mut Digest, query: &[u8]) {
    let pairs = || form::pairs(query);
    let count = pairs().take(form::FIELDS_MAX + 1).count();
    put(hash, &count.to_le_bytes());
    if count > form::FIELDS_MAX {
        put(hash, query);
        return;
    }
    for (at, (name, _)) in pairs().enumerate() {
        let name = form::decode(name);
        if pairs().take(at).any(|(earlier, _)| form::decode(earlier) == name) {
            continue;
        }
        for (_, value) in pairs().filter(|(same, _)| form::decode(same) == name) {
            put(hash, &name);
            put(hash, &form::decode(value));
        }
    }
}

/// What dedup knows an event by; `None` where no id part is asked for or one is absent. Where equal bodies are the same
/// event, the body's digest is a part that is always there. So it is where the event is a part of a batch and none of the id
/// stands in its own element: what stands in the frame, or in the head, is the same for all of them.
fn key(
    source: &SourceFacts<'_>,
    selectors: &Selectors,
    request: &Request<'_>,
    values: &Values<'_>,
    digest: &[u8; 32],
    is_part: bool,
) -> Option<u128> {
    let wanted = selectors.wanted();
    if !selectors.keyed() {
        return None;
    }
    let query = Head::query_without(request.query, source.credential);
    let mut hash = Digest::new();
    for text in [source.name, request.method.as_str(), source.rest] {
        put(&mut hash, text.as_bytes());
    }
    put_query(&mut hash, query.as_bytes());
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
    let shared = || is_part && !(0..wanted.id.len()).any(|at| values.stands_in_element(at));
    if wanted.equal_bodies == EqualBodies::SameEvent || shared() {
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
