//! How would the provider have signed this request?
//!
//! For trying out: `porteiro demo` and `porteiro send` make requests that a source accepts.
//!
//! Promises: what is signed here is proven by the same verifier, where the caller's address is no part of the proof;
//! nothing is signed that only the provider could sign.
//!
//! Must not know: how the request is sent.

use std::error::Error;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Verifier;
use super::bodies::BodyForms;
use super::key::Key;
use super::proof::{Proof, SignatureAt, TimeAt, TimeRule};
use super::scheme::Algorithm;
use super::signature::{Sought, make};
use super::template::{Scope, Token};
use super::url::{form_sorted, is_form};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::select::{Place, Request};

/// Why a request cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotSign {
    /// Only the provider has the private key.
    Asymmetric,
    /// The signature, or a value that it covers, stands where it cannot be put: in the body, or in a path without it.
    Place,
    /// The scheme is one whose signatures are only checked.
    Scheme,
}

impl fmt::Display for CannotSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asymmetric => "only the provider has the private key",
            Self::Place => "the signature, or a value that it covers, stands where it cannot be put",
            Self::Scheme => "signatures of this scheme are only checked, not made",
        })
    }
}

impl Error for CannotSign {}

/// What makes a request one of the provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Headers to be added.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The whole query: that of the request, and what the scheme adds to it.
    pub query: String,
}

impl Verifier {
    /// What makes this request one of the provider's, as of `now`, signed with the first key. Headers that are covered
    /// and absent are made up; tokens of the path must stand in it already ([`Verifier::path_tokens`]).
    ///
    /// # Errors
    ///
    /// When only the provider can sign, or the signature stands where it cannot be put.
    pub fn sign(&self, request: &Request<'_>, now: Timestamp) -> Result<Signed, CannotSign> {
        let mut signed = Signed { headers: Vec::new(), query: request.query.to_owned() };
        // What is shown goes first: it may stand in the query, which a signature covers.
        for proof in &self.asks_besides().proofs {
            proof.sign(request, now, &mut signed)?;
        }
        let mut refused = None;
        for proof in self.proofs() {
            let before = signed.clone();
            match proof.sign(request, now, &mut signed) {
                Ok(()) if self.any() => return Ok(signed),
                Ok(()) => {}
                Err(error) if !self.any() => return Err(error),
                Err(error) => {
                    refused = Some(error);
                    signed = before;
                }
            }
        }
        refused.map_or(Ok(signed), Err)
    }

    /// The tokens that stand in the path, by the name of their capture, so that a path can be made to be signed.
    #[must_use]
    pub fn path_tokens(&self) -> Vec<(&str, &Secret)> {
        let proofs = self.proofs().iter().chain(&self.asks_besides().proofs);
        let shown = proofs.filter(|proof| proof.algorithm == Algorithm::Equal);
        let in_path = shown.filter_map(|proof| match &proof.at {
            SignatureAt::Place(at) => match at.place() {
                Some(Place::Path(name)) => Some((&**name, proof.keys.first()?.shown()?)),
                _ => None,
            },
            _ => None,
        });
        in_path.collect()
    }
}

impl Proof {
    fn sign(&self, request: &Request<'_>, now: Timestamp, to: &mut Signed) -> Result<(), CannotSign> {
        if self.algorithm == Algorithm::Nothing {
            return Ok(());
        }
        if self.algorithm.is_asymmetric() {
            return Err(CannotSign::Asymmetric);
        }
        if self.algorithm.is_token() || self.each.is_some() || self.bodies != BodyForms::AsIs {
            return Err(CannotSign::Scheme);
        }
        let name = match &self.at {
            SignatureAt::Headers { names, .. } => names.first().ok_or(CannotSign::Place)?.clone(),
            SignatureAt::Place(at) => match at.place() {
                Some(Place::Header(name)) => name.clone(),
                Some(Place::Query(name)) if self.algorithm.shows_key() => return self.show(name, to),
                // It stands there, or another path must be made.
                Some(Place::Path(_)) => {
                    return self.prove(request, now, None).map(drop).map_err(|_| CannotSign::Place);
                }
                _ => return Err(CannotSign::Place),
            },
            SignatureAt::HeadersWith(_) | SignatureAt::Body => return Err(CannotSign::Place),
        };
        self.digest(request, &mut to.query);
        let mut made = Vec::new();
        let time = self.time.as_ref().map(|rule| rule.unit.write(now)).unwrap_or_default();
        if let Some(TimeRule { at: TimeAt::Place(at), .. }) = &self.time {
            match at.place() {
                Some(Place::Header(name)) => push(&mut made, name, &time)?,
                _ => return Err(CannotSign::Place),
            }
        }
        for requirement in &self.requires {
            if let (Some(Place::Header(name)), Some(text)) = (requirement.at.place(), requirement.one_of.first()) {
                push(&mut made, name, text)?;
            }
        }
        for name in self.covered_headers() {
            if !request.headers.contains_key(name) && !made.iter().any(|(known, _)| known == name) {
                let mut noise = [0; 12];
                super::random(&mut noise);
                push(&mut made, name, &super::decode::to_hex(&noise))?;
            }
        }
        let mut headers: HeaderMap = request.headers.clone();
        headers.extend(made.iter().cloned());
        let complete = Request { headers: &headers, query: &to.query, ..*request };
        let signature = self.signature(&complete, time.as_bytes())?;
        push(&mut made, &name, &self.grammar.write(&signature, &time))?;
        to.headers.append(&mut made);
        Ok(())
    }

    /// Adds the token to the query.
    fn show(&self, name: &str, to: &mut Signed) -> Result<(), CannotSign> {
        let shown = self.keys.first().and_then(Key::shown).ok_or(CannotSign::Scheme)?;
        let text = str::from_utf8(shown.expose()).map_err(|_| CannotSign::Place)?;
        add(&mut to.query, name, &self.grammar.write(text, ""));
        Ok(())
    }

    /// Adds the digests of a body that the signature covers through the query.
    fn digest(&self, request: &Request<'_>, query: &mut String) {
        if !self.must_bind || request.body.is_empty() || is_form(request) {
            return;
        }
        for digest in &self.digests {
            let absent = matches!(digest.at.read(request), Ok(None));
            if let (Some(Place::Query(name)), true) = (digest.at.place(), absent) {
                let sum = ring::digest::digest(digest.hash.plain(), request.body);
                add(query, name, &digest.encoding.encode(sum.as_ref()));
            }
        }
    }

    fn signature(&self, request: &Request<'_>, time: &[u8]) -> Result<String, CannotSign> {
        let urls = self.urls.of(request);
        let key = self.keys.first().ok_or(CannotSign::Scheme)?;
        let sought = Sought {
            algorithm: self.algorithm,
            encoding: self.encoding,
            keys: &self.keys,
            signs: &self.signs,
            prehash: self.prehash,
            beside: false,
        };
        if self.signs.names(&Token::Url) && urls.is_empty() {
            return Err(CannotSign::Place);
        }
        let url = urls.first().map_or("", |url| url);
        let form = form_sorted(request).map_err(|_| CannotSign::Place)?;
        let scope = Scope { url, time: Some(time), form: &form, ..Scope::new(request) };
        make(&sought, key, &scope).ok_or(CannotSign::Asymmetric)?.map_err(|_| CannotSign::Place)
    }
}

/// Adds a field to a query.
fn add(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    for (text, sign) in [(name, "="), (value, "")] {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                query.push(char::from(byte));
            } else {
                query.push_str(&format!("%{byte:02X}"));
            }
        }
        query.push_str(sign);
    }
}

fn push(to: &mut Vec<(HeaderName, HeaderValue)>, name: &HeaderName, text: &str) -> Result<(), CannotSign> {
    to.push((name.clone(), HeaderValue::from_str(text).map_err(|_| CannotSign::Place)?));
    Ok(())
}
