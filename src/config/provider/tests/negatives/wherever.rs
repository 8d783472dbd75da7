//! Where does a signature stand, and what follows from its being there, elsewhere, twice or not at all?
//!
//! Bodies are taken apart and written anew here by code of its own, so that nothing is judged by what is judged.

use http::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use super::super::sent::Sent;
use super::{MALFORMED, Maker, WRONG};
use crate::select::Place;
use crate::verify::{Grammar, Proof, SignatureAt, VerifyError};

/// The place of a text, where a test can read and write it.
#[derive(Clone, Debug)]
pub(super) enum Where {
    /// A header, and whether it may stand several times.
    Header(HeaderName, bool),
    Query(String),
    Form(String),
    /// A pointer from the top of the body.
    Json(String),
    FormJson(String, String),
    Body,
}

impl Where {
    pub(super) fn of(proof: &Proof, sent: &Sent) -> Self {
        match &proof.at {
            SignatureAt::Headers { names, lines } => {
                let there = names.iter().find(|name| sent.headers.contains_key(*name));
                Self::Header(there.expect("a vector has a signature").clone(), *lines)
            }
            SignatureAt::HeadersWith(prefix) => {
                let there = sent.headers.keys().find(|name| name.as_str().starts_with(&**prefix));
                Self::Header(there.expect("a vector has a signature").clone(), true)
            }
            SignatureAt::Body => Self::Body,
            SignatureAt::Place(at) => Self::at(proof, at.place().expect("there is one")),
        }
    }

    /// A place of a proof; of a list, in its first element.
    pub(super) fn at(proof: &Proof, place: &Place) -> Self {
        let within = |pointer: String| match &proof.each {
            Some(each) => format!("{}{pointer}", each.to_string().replace('*', "0")),
            None => pointer,
        };
        match place {
            Place::Header(name) => Self::Header(name.clone(), false),
            Place::Query(name) => Self::Query(name.to_string()),
            Place::Form(name) => Self::Form(name.to_string()),
            Place::Json(pointer) => Self::Json(within(pointer.to_string())),
            Place::FormJson(name, pointer) => Self::FormJson(name.to_string(), pointer.to_string()),
            Place::Path(_) => panic!("nobody signs into a path"),
        }
    }

    pub(super) const fn in_body(&self) -> bool {
        matches!(self, Self::Form(_) | Self::Json(_) | Self::FormJson(..) | Self::Body)
    }

    pub(super) fn read(&self, sent: &Sent) -> Option<String> {
        let form =
            |text: &[u8], name: &str| fields(text).into_iter().find(|field| field.0 == name).map(|field| field.1);
        let json = |text: &[u8], pointer: &str| match serde_json::from_slice::<Json>(text).ok()?.pointer(pointer)? {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        match self {
            Self::Header(name, _) => Some(sent.headers.get(name)?.to_str().expect("it is text").to_owned()),
            Self::Query(name) => form(sent.query.as_bytes(), name),
            Self::Form(name) => form(&sent.body, name),
            Self::Json(pointer) => json(&sent.body, pointer),
            Self::FormJson(name, pointer) => json(form(&sent.body, name)?.as_bytes(), pointer),
            Self::Body => Some(String::from_utf8(sent.body.clone()).expect("it is text")),
        }
    }

    pub(super) fn write(&self, sent: &mut Sent, text: &str) {
        self.set(sent, Some(text));
    }

    pub(super) fn remove(&self, sent: &mut Sent) {
        self.set(sent, None);
    }

    fn set(&self, sent: &mut Sent, text: Option<&str>) {
        match (self, text) {
            (Self::Header(name, _), Some(text)) => sent.set(name, text),
            (Self::Header(name, _), None) => drop(sent.headers.remove(name)),
            (Self::Query(name), _) => {
                sent.query = String::from_utf8(replaced(sent.query.as_bytes(), name, text)).expect("ASCII");
            }
            (Self::Form(name), _) => sent.body = replaced(&sent.body, name, text),
            (Self::Json(pointer), _) => sent.body = pointed(&sent.body, pointer, text),
            (Self::FormJson(name, pointer), _) => {
                let inner = Self::Form(name.clone()).read(sent).expect("the field is there");
                let inner = String::from_utf8(pointed(inner.as_bytes(), pointer, text)).expect("text");
                sent.body = replaced(&sent.body, name, Some(&inner));
            }
            (Self::Body, text) => sent.body = text.unwrap_or_default().as_bytes().to_vec(),
        }
    }
}

pub(super) const fn in_body(place: &Place) -> bool {
    matches!(place, Place::Form(_) | Place::Json(_) | Place::FormJson(..))
}

fn fields(text: &[u8]) -> Vec<(String, String)> {
    let plain = |text: &[u8]| String::from_utf8(super::bound::plain(text)).expect("UTF-8");
    let halves = text.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        let mut halves = field.splitn(2, |byte| *byte == b'=');
        (plain(halves.next().unwrap_or_default()), plain(halves.next().unwrap_or_default()))
    });
    halves.collect()
}

fn replaced(text: &[u8], name: &str, value: Option<&str>) -> Vec<u8> {
    let mut all = fields(text);
    match (all.iter().position(|field| field.0 == name), value) {
        (Some(at), Some(value)) => all[at].1 = value.to_owned(),
        (Some(at), None) => drop(all.remove(at)),
        (None, Some(value)) => all.push((name.to_owned(), value.to_owned())),
        (None, None) => {}
    }
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let fields = all.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    fields.collect::<Vec<_>>().join("&").into_bytes()
}

fn pointed(text: &[u8], pointer: &str, value: Option<&str>) -> Vec<u8> {
    let mut json: Json = serde_json::from_slice(text).expect("a vector's body is JSON");
    let (above, name) = pointer.rsplit_once('/').expect("a pointer");
    let object = json.pointer_mut(above).and_then(Json::as_object_mut).expect("an object");
    match value {
        Some(value) => drop(object.insert(name.to_owned(), value.into())),
        None => drop(object.remove(name)),
    }
    json.to_string().into_bytes()
}

impl Maker<'_> {
    pub(super) fn presence(&mut self) {
        let (at, whole) = (self.at.clone(), self.whole());
        let body = matches!(at, Where::Body);
        let none = if body { VerifyError::EmptySignature } else { VerifyError::MissingSignature };
        self.add("the signature is dropped", Err(none), |sent| at.remove(sent));
        self.with("the signature is empty", Err(VerifyError::EmptySignature), "");
        let long = whole.repeat(8192 / whole.len() + 1);
        self.with("the signature is too long", Err(VerifyError::OversizedSignature), &long);
        let bytes = "\u{e9}".repeat(20);
        let expected = match &self.proof.grammar {
            Grammar::Pairs { .. } | Grammar::Columns { .. } | Grammar::Named { .. } => {
                Err(VerifyError::MissingSignature)
            }
            Grammar::List { prefix, .. } if !prefix.is_empty() => Err(VerifyError::MissingSignature),
            Grammar::Whole { prefix, .. } if prefix.is_empty() && self.shows_token() => WRONG,
            _ => MALFORMED,
        };
        match &at {
            Where::Header(name, lines) => {
                let line = |text: &[u8]| HeaderValue::from_bytes(text).expect("opaque bytes");
                let twice = if *lines { Ok(()) } else { Err(VerifyError::RepeatedSignature) };
                self.add("the signature is no ASCII", expected, |sent| {
                    sent.headers.insert(name, line(bytes.as_bytes()));
                });
                self.add("the header stands twice", twice, |sent| {
                    sent.headers.append(name, line(whole.as_bytes()));
                });
                self.add("another one stands before it", twice, |sent| {
                    sent.set(name, "x");
                    sent.headers.append(name, line(whole.as_bytes()));
                });
            }
            _ => self.with("the signature is no ASCII", expected, &bytes),
        }
    }
}
