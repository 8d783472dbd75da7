//! Is one of these signatures a signature of this text by one of these keys?
//!
//! Promises: all candidates are tried with all keys and compared as bytes in constant time; a hash over the text is
//! computed once per key and time; a text that has not the form of a signature costs no hash at all.
//!
//! Must not know: where candidates came from, what the text means.

use md5::{Digest as _, Md5};
use ring::digest as hash;
use ring::{hmac, signature as public};
use subtle::ConstantTimeEq;

use super::decode::DECODED_MAX;
use super::header::{Candidate, Candidates};
use super::key::{Key, Kind};
use super::scheme::{Algorithm, Hash};
use super::template::{Scope, Template, Token};
use super::{Encoding, VerifyError};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought<'p> {
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) keys: &'p [Key],
    pub(super) signs: &'p Template,
    pub(super) prehash: Option<Hash>,
    /// Whether the time stands beside each signature.
    pub(super) beside: bool,
}

/// The key and the candidate that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) key: u8,
    pub(super) candidate: usize,
}

/// A search under way, over all forms of URL and body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    hit: Option<Hit>,
    shaped: bool,
    timeless: bool,
}

/// A hash that signatures are compared with: at most 64 bytes, on the stack.
#[derive(Clone, Copy)]
enum Sum {
    Mac(hmac::Tag),
    Plain(hash::Digest),
    Md5([u8; 16]),
}

/// The hash made last by a key, and the time that was part of its text.
type Last<'a> = Option<(Option<&'a [u8]>, Sum)>;

impl AsRef<[u8]> for Sum {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mac(tag) => tag.as_ref(),
            Self::Plain(digest) => digest.as_ref(),
            Self::Md5(digest) => digest,
        }
    }
}

impl Search {
    /// Tries all candidates with all keys for one form of the request.
    pub(super) fn run(
        &mut self,
        sought: &Sought<'_>,
        scope: &Scope<'_>,
        found: &Candidates<'_>,
    ) -> Result<(), VerifyError> {
        let mut made = Made::default();
        for (key, number) in sought.keys.iter().zip(0_u8..) {
            let mut last: Last<'_> = None;
            for (candidate, at) in found.as_slice().iter().zip(0..) {
                let time = if sought.beside { candidate.time } else { scope.time };
                if time.is_none() && sought.beside && sought.signs.names(&Token::Time) {
                    self.timeless = true;
                    continue;
                }
                let scope = Scope { time, ..*scope };
                if self.holds(sought, key, candidate, &scope, (&mut last, &mut made))? && self.hit.is_none() {
                    self.hit = Some(Hit { key: number, candidate: at });
                }
            }
        }
        Ok(())
    }

    /// What came of it.
    pub(super) fn result(self) -> Result<Hit, VerifyError> {
        match self {
            Self { hit: Some(hit), .. } => Ok(hit),
            Self { shaped: true, .. } => Err(VerifyError::WrongSignature),
            Self { timeless: true, .. } => Err(VerifyError::MissingTimestamp),
            _ => Err(VerifyError::MalformedSignature),
        }
    }

    fn holds<'a>(
        &mut self,
        sought: &Sought<'_>,
        key: &Key,
        candidate: &Candidate<'_>,
        scope: &Scope<'a>,
        (last, made): (&mut Last<'a>, &mut Made<'a>),
    ) -> Result<bool, VerifyError> {
        match &key.0 {
            Kind::Token { .. } => {
                let mut space = [0; DECODED_MAX];
                let shown = match sought.algorithm {
                    Algorithm::Basic => Encoding::Base64.decode(candidate.text, &mut space),
                    _ => Some(candidate.text),
                };
                self.shaped |= shown.is_some();
                Ok(shown.is_some_and(|shown| key.is_token(shown)))
            }
            Kind::Mac(_) | Kind::Text(_) => {
                let mut space = [0; 64 + 3];
                let Some(length) = sought.algorithm.sum_length() else { return Ok(false) };
                let signature = sought.encoding.decode(candidate.text, &mut space);
                let Some(signature) = signature.filter(|bytes| bytes.len() == length) else { return Ok(false) };
                self.shaped = true;
                let sum = match *last {
                    Some((time, sum)) if time == scope.time => sum,
                    _ => made.sum(sought, key, scope)?,
                };
                *last = Some((scope.time, sum));
                Ok(signature.ct_eq(sum.as_ref()).into())
            }
            Kind::Public { algorithm, bytes } => {
                let mut space = [0; DECODED_MAX];
                let signature = sought.encoding.decode(candidate.text, &mut space);
                let Some(signature) = signature.filter(|bytes| fits(sought.algorithm, bytes.len())) else {
                    return Ok(false);
                };
                self.shaped = true;
                let text = made.text(sought, scope)?;
                Ok(public::UnparsedPublicKey::new(*algorithm, bytes).verify(text, signature).is_ok())
            }
        }
    }
}

/// Whether a signature of this algorithm may have this many bytes.
const fn fits(algorithm: Algorithm, length: usize) -> bool {
    match algorithm {
        Algorithm::Ed25519 | Algorithm::EcdsaP256Fixed => length == 64,
        Algorithm::EcdsaP256 => length >= 8 && length <= 72,
        _ => length >= 256,
    }
}

/// The signed text of one form of the request, made once for all keys where making it is not just feeding the body.
#[derive(Default)]
struct Made<'a>(Option<(Option<&'a [u8]>, Vec<u8>)>);

impl<'a> Made<'a> {
    /// The text for the time of this scope, hashed first where the scheme says so.
    fn text(&mut self, sought: &Sought<'_>, scope: &Scope<'a>) -> Result<&[u8], VerifyError> {
        if self.0.as_ref().is_none_or(|(time, _)| *time != scope.time) {
            let text = sought.signs.render(scope)?;
            let text = match sought.prehash {
                Some(first) => hash::digest(first.plain(), &text).as_ref().to_vec(),
                None => text,
            };
            self.0 = Some((scope.time, text));
        }
        Ok(self.0.as_ref().map(|(_, text)| text.as_slice()).unwrap_or_default())
    }

    fn sum(&mut self, sought: &Sought<'_>, key: &Key, scope: &Scope<'a>) -> Result<Sum, VerifyError> {
        if let Kind::Text(secret) = &key.0 {
            let scope = Scope { secret: secret.expose(), ..*scope };
            return keyed(sought.algorithm, key, |sink| sought.signs.feed(&scope, sink));
        }
        if sought.prehash.is_none() && !sought.signs.reads_body() {
            return keyed(sought.algorithm, key, |sink| sought.signs.feed(scope, sink));
        }
        let text = self.text(sought, scope)?;
        keyed(sought.algorithm, key, |sink| {
            sink(text);
            Ok(())
        })
    }
}

fn keyed(
    algorithm: Algorithm,
    key: &Key,
    feed: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), VerifyError>,
) -> Result<Sum, VerifyError> {
    if let Kind::Mac(key) = &key.0 {
        let mut running = hmac::Context::with_key(key);
        feed(&mut |bytes| running.update(bytes))?;
        return Ok(Sum::Mac(running.sign()));
    }
    let plain = match algorithm {
        Algorithm::DigestMd5 => {
            let mut running = Md5::new();
            feed(&mut |bytes| running.update(bytes))?;
            return Ok(Sum::Md5(running.finalize().into()));
        }
        Algorithm::Digest(hash) => hash.plain(),
        _ => &hash::SHA256,
    };
    let mut running = hash::Context::new(plain);
    feed(&mut |bytes| running.update(bytes))?;
    Ok(Sum::Plain(running.finish()))
}

/// The signature of a text as a provider would make it; `None` where only the provider can.
pub(super) fn make(sought: &Sought<'_>, key: &Key, scope: &Scope<'_>) -> Option<Result<String, VerifyError>> {
    match &key.0 {
        Kind::Token { shown, .. } => Some(Ok(match sought.algorithm {
            Algorithm::Basic => Encoding::Base64.encode(shown.expose()),
            _ => String::from_utf8_lossy(shown.expose()).into_owned(),
        })),
        Kind::Mac(_) | Kind::Text(_) => {
            Some(Made::default().sum(sought, key, scope).map(|sum| sought.encoding.encode(sum.as_ref())))
        }
        Kind::Public { .. } => None,
    }
}
