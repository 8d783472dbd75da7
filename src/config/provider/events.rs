//! What does `[event]` mean, and what do `[answer]` and `[delivery]`?
//!
//! Promises: a selector whose only places are the operator's and not given is absent.
//!
//! Must not know: how events are read.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use toml::Spanned;

use super::challenges::format;
use super::raw;
use super::reader::Reader;
use super::{Answer, Answers, At, Retries, Survival};
use crate::event::{Authority, EqualBodies, Parts, Repeat, Selectors, Wanted};
use crate::select::{Elements, Selector, Take};
use crate::verify::Unit;

const SURVIVALS: &[&str] = &["retried", "lost", "counted", "unknown"];

/// What a file says about events, compiled.
pub(super) fn read(reader: &mut Reader<'_>, raw: &raw::Event) -> Selectors {
    let id: Vec<Selector> = raw.id.iter().filter_map(|part| selector(reader, part, Take::First)).collect();
    let time = raw.time.as_ref().and_then(|time| {
        let unit = reader.word(time.unit.as_ref(), Unit::Auto, Unit::NAMES, Unit::named);
        let places = places(reader, &time.from);
        (!places.is_empty()).then(|| (Selector::new(places, Take::First), unit))
    });
    let wanted = Wanted {
        id,
        kind: raw.kind.as_ref().and_then(|said| selector(reader, said, Take::First)),
        tenant: raw.tenant.as_ref().and_then(|said| selector(reader, said, Take::Each)),
        time,
        order: raw.order.as_ref().and_then(|said| selector(reader, said, Take::First)),
        equal_bodies: reader.word(
            raw.equal_bodies.as_ref(),
            EqualBodies::Nothing,
            &["nothing", "same-event"],
            |name| match name {
                "nothing" => Some(EqualBodies::Nothing),
                "same-event" => Some(EqualBodies::SameEvent),
                _ => None,
            },
        ),
        authority: reader.word(raw.authority.as_ref(), Authority::Body, &["body", "id"], |name| match name {
            "body" => Some(Authority::Body),
            "id" => Some(Authority::Id),
            _ => None,
        }),
        repeat: reader.word(raw.repeat.as_ref(), Repeat::Answer, &["answer", "deliver"], |name| match name {
            "answer" => Some(Repeat::Answer),
            "deliver" => Some(Repeat::Deliver),
            _ => None,
        }),
        parts: raw.parts.as_ref().and_then(|said| parts(reader, said)),
    };
    Selectors::compile(wanted).unwrap_or_else(|error| {
        reader.wrong(At::Source, error.to_string(), "");
        Selectors::default()
    })
}

fn parts(reader: &mut Reader<'_>, raw: &raw::Parts) -> Option<Parts> {
    let mut without = Vec::new();
    for text in reader.texts(&raw.without) {
        match HeaderName::from_bytes(text.text.as_bytes()) {
            Ok(name) => without.push(name),
            Err(_) => reader.wrong(text.at, format!("`{}` is no header name", text.text), ""),
        }
    }
    let pointer = reader.pointer(&raw.elements)?;
    match Elements::new(pointer) {
        Ok(elements) => Some(Parts { elements, without }),
        Err(error) => {
            reader.wrong_in_file(&raw.elements, error.to_string(), "such as \"/entry/*/changes/*\"");
            None
        }
    }
}

fn selector(reader: &mut Reader<'_>, raw: &raw::Selector, otherwise: Take) -> Option<Selector> {
    let take = reader.word(raw.take.as_ref(), otherwise, &["first", "each", "all"], |name| match name {
        "first" => Some(Take::First),
        "each" => Some(Take::Each),
        "all" => Some(Take::All),
        _ => None,
    });
    let places = places(reader, &raw.from);
    (!places.is_empty()).then(|| Selector::new(places, take))
}

fn places(reader: &mut Reader<'_>, said: &[raw::Said]) -> Vec<crate::select::Place> {
    let texts = reader.texts(said);
    texts.iter().filter_map(|text| reader.place(text)).collect()
}

/// What the provider hears.
pub(super) fn answers(reader: &mut Reader<'_>, raw: &raw::Answers) -> Answers {
    let success = answer(reader, raw.success.as_ref(), 200, 200..300);
    let reject = answer(reader, raw.reject.as_ref(), 401, 400..500);
    let late = match &raw.late {
        Some(said) => answer(reader, Some(said), 200, 200..600),
        None => success.clone(),
    };
    Answers { success, reject, late }
}

fn answer(
    reader: &mut Reader<'_>,
    said: Option<&Spanned<raw::Reply>>,
    otherwise: u16,
    allowed: std::ops::Range<u16>,
) -> Answer {
    let Some(said) = said else { return Answer { status: otherwise, content_type: None, body: Bytes::new() } };
    let raw = said.get_ref();
    let status = raw.status.as_ref().map_or(otherwise, |status| *status.get_ref());
    if !allowed.contains(&status) {
        let what = format!("this answer has a status from {} to {}", allowed.start, allowed.end - 1);
        reader.wrong(At::File(said.span()), what, "");
    }
    if let Some(name) = raw.headers.keys().next() {
        reader.wrong_in_file(name, "only answers to challenges have headers of their own", "");
    }
    let body = raw.body.as_ref().and_then(|body| reader.text(body)).map(|text| text.text).unwrap_or_default();
    if let Some(said) = raw.body.as_ref().filter(|_| status == 204 && !body.is_empty()) {
        reader.wrong_in_file(said, "an answer of status 204 has no body", "");
    }
    let content_type = format(reader, raw).content_type();
    Answer { status, content_type: content_type.filter(|_| !body.is_empty()), body: body.into() }
}

/// How long the provider waits for an answer, and what it does when it is refused.
pub(super) fn delivery(reader: &mut Reader<'_>, raw: &raw::Delivery) -> (Option<Duration>, Retries) {
    let within = raw.answer_within.as_ref().and_then(|said| reader.time(said));
    let lasting = raw.lasting.as_ref().and_then(|said| reader.time(said));
    if let Some(said) = raw.lasting.as_ref().filter(|_| !raw.retries) {
        reader.wrong_in_file(said, "a provider that does not retry does so for no time", "set `retries = true`");
    }
    let otherwise = if raw.retries { Survival::Unknown } else { Survival::Lost };
    let mut survival = |said: &Option<raw::Said>| {
        reader.word(said.as_ref(), otherwise, SURVIVALS, |name| {
            Some(match name {
                "retried" => Survival::Retried,
                "lost" => Survival::Lost,
                "counted" => Survival::Counted,
                "unknown" => Survival::Unknown,
                _ => return None,
            })
        })
    };
    let (on_429, on_503) = (survival(&raw.on_429), survival(&raw.on_503));
    (within, Retries { any: raw.retries, lasting, on_429, on_503 })
}
