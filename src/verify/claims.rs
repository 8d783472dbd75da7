//! What does a signed web token claim, and is it true of this request?
//!
//! Promises: the algorithm is the definition's, and a token that names another one is refused; claims are read only
//! after the signature held; `exp` and `nbf` are judged where they stand, with the leeway of the definition.
//!
//! Must not know: JWKS, issuers' key lists, or any network.

use std::time::Duration;

use base64::Engine;
use ring::{hmac, signature as public};
use subtle::ConstantTimeEq;

use super::VerifyError;
use super::at::At;
use super::decode::{BASE64, BASE64_URL, to_hex};
use super::key::{Key, Kind};
use super::scheme::{Algorithm, Hash};
use super::window::{Unit, Window};
use crate::clock::Timestamp;
use crate::select::{Place, Pointer, Request};

/// What a claim must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// This text.
    Text(String),
    /// The SHA-256 of the body in hex.
    BodyHex,
    /// The SHA-256 of the body in base64.
    BodyBase64,
    /// The SHA-256 of the body in url-safe base64.
    BodyBase64Url,
    /// The SHA-256 of the public URL in hex.
    UrlHex,
}

impl Says {
    const fn hashes_body(&self) -> bool {
        matches!(self, Self::BodyHex | Self::BodyBase64 | Self::BodyBase64Url)
    }
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// What it must say.
    pub says: Says,
    /// Whether it may be absent; a hash of the body only where the body is empty.
    pub optional: bool,
}

/// What a token must claim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Each claim.
    pub each: Vec<Claim>,
    /// How far clocks may differ.
    pub leeway: Duration,
}

/// A token, taken apart and not yet believed.
#[derive(Debug)]
pub(super) struct Token<'a> {
    signed: &'a [u8],
    head: Vec<u8>,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(super) fn open(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b'.');
        let (head, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let decode = |part: &[u8]| BASE64_URL.decode(part).ok();
        Some(Self {
            signed: text.get(..head.len() + 1 + claims.len())?,
            head: decode(head)?,
            claims: decode(claims)?,
            signature: decode(signature)?,
        })
    }

    /// Which key signed it by this algorithm.
    pub(super) fn held_by(&self, algorithm: Algorithm, keys: &[Key]) -> Result<u8, VerifyError> {
        let name = match algorithm {
            Algorithm::JwtHmac(Hash::Sha256) => "HS256",
            Algorithm::JwtHmac(Hash::Sha384) => "HS384",
            Algorithm::JwtHmac(Hash::Sha512) => "HS512",
            Algorithm::JwtRsa(Hash::Sha256) => "RS256",
            Algorithm::JwtRsa(Hash::Sha384) => "RS384",
            Algorithm::JwtRsa(Hash::Sha512) => "RS512",
            _ => return Err(VerifyError::MalformedSignature),
        };
        if field(&self.head, "alg").ok().flatten().as_deref() != Some(name.as_bytes()) {
            return Err(VerifyError::MalformedSignature);
        }
        let mut hit = None;
        for (key, number) in keys.iter().zip(0_u8..) {
            let same = match &key.0 {
                Kind::Mac(key) => hmac::sign(key, self.signed).as_ref().ct_eq(&self.signature).into(),
                Kind::Public { algorithm, bytes } => {
                    public::UnparsedPublicKey::new(*algorithm, bytes).verify(self.signed, &self.signature).is_ok()
                }
                Kind::Text(_) | Kind::Token { .. } => false,
            };
            if same && hit.is_none() {
                hit = Some(number);
            }
        }
        hit.ok_or(VerifyError::WrongSignature)
    }
}

fn field(document: &[u8], name: &str) -> Result<Option<Vec<u8>>, VerifyError> {
    let pointer = Pointer::parse(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
    let Ok(pointer) = pointer else { return Ok(None) };
    let (headers, captures) = (http::HeaderMap::new(), crate::select::Captures::default());
    let request = Request {
        method: &http::Method::POST,
        path: "",
        query: "",
        headers: &headers,
        body: document,
        captures: &captures,
        public_url: None,
    };
    let value = At::from(Place::Json(pointer)).read(&request)?;
    Ok(value.map(std::borrow::Cow::into_owned))
}

impl Claims {
    pub(super) fn bind_body(&self) -> bool {
        self.each.iter().any(|claim| claim.says.hashes_body())
    }

    pub(super) fn name_url(&self) -> bool {
        self.each.iter().any(|claim| claim.says == Says::UrlHex)
    }

    /// Whether a token whose signature held speaks of this request; gives when it was issued.
    pub(super) fn judge(
        &self,
        token: &Token<'_>,
        request: &Request<'_>,
        urls: &[String],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, VerifyError> {
        for claim in &self.each {
            let Some(told) = field(&token.claims, &claim.name).map_err(|_| VerifyError::Claim)? else {
                if claim.optional && (request.body.is_empty() || !claim.says.hashes_body()) {
                    continue;
                }
                return Err(VerifyError::Claim);
            };
            let sum = || super::digest(&[request.body]);
            let is = |text: String| text.as_bytes() == told;
            let fits = match &claim.says {
                Says::Text(text) => text.as_bytes() == told,
                Says::BodyHex => is(to_hex(&sum())),
                Says::BodyBase64 => is(BASE64.encode(sum())),
                Says::BodyBase64Url => is(BASE64_URL.encode(sum())) || told == url_padded(&sum()),
                Says::UrlHex => urls.iter().any(|url| is(to_hex(&super::digest(&[url.as_bytes()])))),
            };
            if !fits {
                return Err(VerifyError::Claim);
            }
        }
        let time = |name| match field(&token.claims, name).map_err(|_| VerifyError::Claim)? {
            None => Ok(None),
            Some(text) => {
                let whole = text.split(|byte| *byte == b'.').next().unwrap_or_default();
                Unit::Seconds.read(whole).map(Some).ok_or(VerifyError::MalformedTimestamp)
            }
        };
        let edge = Window { within: self.leeway, both: true };
        if let Some(end) = time("exp")?
            && end <= now
        {
            edge.judge(end, now)?;
        }
        if let Some(start) = time("nbf")?
            && start > now
        {
            edge.judge(start, now)?;
        }
        time("iat")
    }
}

fn url_padded(sum: &[u8]) -> Vec<u8> {
    let mut text = BASE64_URL.encode(sum).into_bytes();
    while !text.len().is_multiple_of(4) {
        text.push(b'=');
    }
    text
}
