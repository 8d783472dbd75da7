//! Which headers does a destination get that the event did not bring, and which not that it did?
//!
//! Promises: a name is set or removed once; a text with fields is compiled here, and a field that there is not is told with
//! those there are; a secret has no fields.
//!
//! Must not know: which headers Porteiro sets itself.

use http::{HeaderName, HeaderValue};

use crate::config::build::Building;
use crate::config::names;
use crate::config::problem::{Problem, Span};
use crate::config::raw;
use crate::config::said::PlainOrSecret;
use crate::deliver::{Field, Weave, WeaveError};
use crate::secret::Secret;

/// What was said of headers.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) set: Vec<(HeaderName, Secret)>,
    pub(super) woven: Vec<(HeaderName, Weave)>,
    pub(super) removed: Vec<HeaderName>,
}

/// The headers of a destination.
pub(super) fn build(building: &mut Building<'_>, raw: &raw::Destination) -> Headers {
    let mut built = Headers::default();
    let mut known: Vec<HeaderName> = Vec::new();
    for (key, value) in &raw.headers {
        let Some(name) = name(building, key.get_ref(), &key.span()) else { continue };
        if known.contains(&name) {
            building.problem(&key.span(), "this header is set twice").label("upper and lower case are the same here");
        }
        known.push(name.clone());
        let secret = match &value.value {
            PlainOrSecret::Plain(text) => match woven(building, text, &value.span) {
                Some(weave) => match weave.plain() {
                    Some(plain) => Some(Secret::new(plain.as_bytes().to_vec())),
                    None => {
                        built.woven.push((name, weave));
                        continue;
                    }
                },
                None => None,
            },
            PlainOrSecret::Secret(secret) => building.outside.secret_at(secret, &value.span, &mut building.problems),
        };
        let Some(secret) = secret else { continue };
        if HeaderValue::from_bytes(secret.expose()).is_err() {
            building
                .problem(&value.span, "the value cannot stand in a header")
                .label("control characters are not allowed");
            continue;
        }
        built.set.push((name, secret));
    }
    for said in raw.remove_headers.iter().flat_map(|said| &said.value) {
        let Some(name) = name(building, &said.value, &said.span) else { continue };
        if known.contains(&name) {
            building
                .problem(&said.span, "this header is set or removed elsewhere")
                .label("what is set replaces what the event brought");
        }
        known.push(name.clone());
        built.removed.push(name);
    }
    built
}

fn name(building: &mut Building<'_>, text: &str, span: &Span) -> Option<HeaderName> {
    let name = text.parse::<HeaderName>().ok();
    if name.is_none() {
        building.problem(span, "this is no header name").label("letters, digits and `-` make one");
    }
    name
}

fn woven(building: &mut Building<'_>, text: &str, span: &Span) -> Option<Weave> {
    match Weave::parse(text) {
        Ok(weave) => Some(weave),
        Err(error) => {
            let problem = building.problem(span, "the value cannot be used");
            problem.label(error.to_string());
            if let WeaveError::Unknown(word) = &error {
                near(problem, word);
            }
            None
        }
    }
}

/// Says which fields there are, where this is none of them.
pub(super) fn near(problem: &mut Problem, word: &str) {
    let fields = || Field::ALL.iter().map(|(word, _)| *word);
    if let Some(near) = names::nearest(word, fields()) {
        problem.help(format!("did you mean `{{{near}}}`?"));
    }
    problem.note(format!("the fields are {}", names::list(fields())));
}

/// Where a header was set or removed.
pub(super) fn span(raw: &raw::Destination, name: &HeaderName) -> Option<Span> {
    let set = raw.headers.keys().find(|key| key.get_ref().eq_ignore_ascii_case(name.as_str())).map(toml::Spanned::span);
    let mut removed = raw.remove_headers.iter().flat_map(|said| &said.value);
    set.or_else(|| removed.find(|said| said.value.eq_ignore_ascii_case(name.as_str())).map(|said| said.span.clone()))
}
