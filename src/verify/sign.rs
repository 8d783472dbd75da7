//! How would the provider have signed this request?
//!
//! For trying out: `porteiro demo` and `porteiro send` make requests that a source accepts.
//!
//! Promises: what is signed here is proven by the same verifier; nothing is signed that only the provider could sign.
//!
//! Must not know: how the request is sent.

use std::error::Error;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Verifier;
use super::bodies::BodyForms;
use super::proof::{Proof, SignatureAt, TimeAt, TimeRule};
use super::scheme::Algorithm;
use super::signature::{Sought, make};
use super::template::{Scope, Token};
use super::url::form_sorted;
use crate::clock::Timestamp;
use crate::select::{Place, Request};

/// Why a request cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotSign {
    /// Only the provider has the private key.
    Asymmetric,
    /// The signature, or a value that it covers, stands elsewhere than in a header.
    Place,
    /// The scheme is one whose signatures are only checked.
    Scheme,
}

impl fmt::Display for CannotSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asymmetric => "only the provider has the private key",
            Self::Place => "the signature, or a value that it covers, stands elsewhere than in a header",
            Self::Scheme => "signatures of this scheme are only checked, not made",
        })
    }
}

impl Error for CannotSign {}

impl Verifier {
    /// The headers that make this request one of the provider's, as of `now`, signed with the first key. Headers that
    /// are covered and absent are made up.
    ///
    /// # Errors
    ///
    /// When only the provider can sign, or the signature stands elsewhere than in a header.
    pub fn sign(&self, request: &Request<'_>, now: Timestamp) -> Result<Vec<(HeaderName, HeaderValue)>, CannotSign> {
        let mut refused = CannotSign::Scheme;
        let mut all = Vec::new();
        for proof in self.proofs() {
            match proof.sign(request, now) {
                Ok(headers) if self.any() => return Ok(headers),
                Ok(headers) => all.extend(headers),
                Err(error) if !self.any() => return Err(error),
                Err(error) => refused = error,
            }
        }
        if self.any() { Err(refused) } else { Ok(all) }
    }
}

impl Proof {
    fn sign(&self, request: &Request<'_>, now: Timestamp) -> Result<Vec<(HeaderName, HeaderValue)>, CannotSign> {
        if self.algorithm == Algorithm::Nothing {
            return Ok(Vec::new());
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
                _ => return Err(CannotSign::Place),
            },
            SignatureAt::HeadersWith(_) | SignatureAt::Body => return Err(CannotSign::Place),
        };
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
        let complete = Request { headers: &headers, ..*request };
        let signature = self.signature(&complete, time.as_bytes())?;
        push(&mut made, &name, &self.grammar.write(&signature, &time))?;
        Ok(made)
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

fn push(to: &mut Vec<(HeaderName, HeaderValue)>, name: &HeaderName, text: &str) -> Result<(), CannotSign> {
    to.push((name.clone(), HeaderValue::from_str(text).map_err(|_| CannotSign::Place)?));
    Ok(())
}
