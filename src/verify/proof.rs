//! Does one proof of a provider hold for one request?
//!
//! The order is fixed: what must always be there, the signature's form, the signature itself, and only then the time
//! and what else the signed bytes say. So a stranger without the key learns nothing of clocks and claims.
//!
//! Promises: every candidate is tried with every key, a bad one ends nothing; for an HMAC over the body nothing is
//! allocated.
//!
//! Must not know: what other proofs the provider has.

use std::borrow::Cow;

use http::{HeaderName, header};

use super::at::At;
use super::bodies::BodyForms;
use super::challenge::Guard;
use super::claims::{Claims, Token as WebToken};
use super::header::{Candidates, Grammar};
use super::key::Key;
use super::scheme::{Algorithm, Hash};
use super::signature::{Search, Sought};
use super::template::{Scope, Template, Token};
use super::url::{UrlForms, form_sorted, is_form};
use super::window::{Unit, Window};
use super::{Credential, Encoding, VerifyError};
use crate::clock::Timestamp;
use crate::select::{Place, Pointer, Request, json};

/// The most elements of a list that is proven element by element.
const ITEMS_MAX: usize = 1000;

/// Where signatures stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureAt {
    /// In these headers.
    Headers {
        /// Their names.
        names: Vec<HeaderName>,
        /// Whether one may stand several times.
        lines: bool,
    },
    /// In every header whose name begins so, in lower case.
    HeadersWith(Box<str>),
    /// At another place.
    Place(At),
    /// The body is the signature (a web token).
    Body,
}

/// Where the time stands that is part of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeAt {
    /// Beside the signature, by the grammar.
    Beside,
    /// At a place of its own.
    Place(At),
}

/// The time of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRule {
    /// Where it stands.
    pub at: TimeAt,
    /// How it is written.
    pub unit: Unit,
    /// Which times are accepted; `None` accepts any.
    pub window: Option<Window>,
}

/// A value that must be there and be one of a few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Where it stands.
    pub at: At,
    /// What it may be.
    pub one_of: Vec<String>,
}

/// A place that must hold the digest of the body, where it is there at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDigest {
    /// Where it stands.
    pub at: At,
    /// Which hash.
    pub hash: Hash,
    /// How it is written.
    pub encoding: Encoding,
}

/// One way to prove a request.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Where signatures stand.
    pub at: SignatureAt,
    /// How they stand in their text.
    pub grammar: Grammar,
    /// How they are made.
    pub algorithm: Algorithm,
    /// How they are written.
    pub encoding: Encoding,
    /// Which bytes they cover.
    pub signs: Template,
    /// A hash the signed bytes go through first.
    pub prehash: Option<Hash>,
    /// The time that is part of the proof.
    pub time: Option<TimeRule>,
    /// The keys, in the operator's order.
    pub keys: Vec<Key>,
    /// What must be there besides.
    pub requires: Vec<Requirement>,
    /// Digests of the body that the signature covers through the URL or a header.
    pub digests: Vec<BodyDigest>,
    /// Whether a body that nothing covers is refused.
    pub must_bind: bool,
    /// Which forms of the public URL are tried.
    pub urls: UrlForms,
    /// Which forms of the body are tried.
    pub bodies: BodyForms,
    /// The list whose every element is proven by itself, as if it were the body.
    pub each: Option<Pointer>,
    /// What a web token must claim.
    pub claims: Claims,
}

/// A proof that held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) key: u8,
    pub(super) timestamp: Option<Timestamp>,
}

impl Proof {
    /// An HMAC-SHA-256 in hex over the body, in a header of its own: what most providers do.
    #[must_use]
    pub fn simple(name: HeaderName, prefix: &str, keys: Vec<Key>) -> Self {
        Self {
            at: SignatureAt::Headers { names: vec![name], lines: false },
            grammar: Grammar::Whole { prefix: prefix.into(), any_case: false },
            algorithm: Algorithm::Hmac(Hash::Sha256),
            encoding: Encoding::Hex,
            signs: Template::body(),
            prehash: None,
            time: None,
            keys,
            requires: Vec::new(),
            digests: Vec::new(),
            must_bind: false,
            urls: UrlForms::Exact,
            bodies: BodyForms::AsIs,
            each: None,
            claims: Claims::default(),
        }
    }

    /// A token that is shown as all that stands there.
    #[must_use]
    pub fn shown(at: SignatureAt, keys: Vec<Key>) -> Self {
        let grammar = Grammar::Whole { prefix: "".into(), any_case: false };
        let algorithm = Algorithm::Equal;
        Self { at, grammar, algorithm, signs: Template::nothing(), keys, ..Self::simple(header::HOST, "", Vec::new()) }
    }

    /// Whether the signature covers the whole body as it is.
    #[must_use]
    pub fn binds_body(&self) -> bool {
        match self.algorithm {
            Algorithm::Equal | Algorithm::Basic | Algorithm::Nothing => false,
            Algorithm::JwtHmac(_) | Algorithm::JwtRsa(_) => self.at == SignatureAt::Body || self.claims.bind_body(),
            _ => self.each.is_none() && (self.signs.names(&Token::Body) || self.must_bind),
        }
    }

    /// Adds what this proof shows to `credential`.
    pub(super) fn tell_credential(&self, credential: &mut Credential) {
        let bearer = self.algorithm.is_token() && !self.binds_body();
        if !self.algorithm.shows_key() && !bearer {
            return;
        }
        match &self.at {
            SignatureAt::Headers { names, .. } => names.iter().for_each(|name| credential.add_header(name.clone())),
            SignatureAt::HeadersWith(_) => {}
            SignatureAt::Body => credential.note_body(),
            SignatureAt::Place(at) => match at.place() {
                Some(Place::Header(name)) => credential.add_header(name.clone()),
                Some(Place::Query(name)) => credential.add_query(name),
                Some(Place::Path(name)) => credential.add_capture(name),
                Some(Place::Form(_) | Place::Json(_) | Place::FormJson(..)) | None => credential.note_body(),
            },
        }
    }

    /// Adds where this proof's signature stands in the head, and the digests that it covers.
    pub(super) fn tell_signature(&self, whole: &mut Credential) {
        let mut add = |at: &At| match at.place() {
            Some(Place::Header(name)) => whole.add_header(name.clone()),
            Some(Place::Query(name)) => whole.add_query(name),
            // What is a piece of the path cannot be left out of it, and the body is the part's.
            Some(Place::Path(_) | Place::Form(_) | Place::Json(_) | Place::FormJson(..)) | None => {}
        };
        self.digests.iter().for_each(|digest| add(&digest.at));
        match &self.at {
            SignatureAt::Headers { names, .. } => names.iter().for_each(|name| whole.add_header(name.clone())),
            SignatureAt::HeadersWith(beginning) => whole.add_family(beginning),
            SignatureAt::Place(at) => add(at),
            SignatureAt::Body => {}
        }
    }

    /// Whether the public URL is part of the proof.
    pub(super) fn needs_public_url(&self) -> bool {
        self.signs.names(&Token::Url) || self.claims.name_url()
    }

    /// Proves the request, or each element of its list.
    /// `asked` is what could have been asked of us as an answer to a challenge.
    pub(super) fn prove(
        &self,
        request: &Request<'_>,
        now: Timestamp,
        asked: Option<Guard>,
    ) -> Result<Held, VerifyError> {
        let Some(pointer) = &self.each else { return self.prove_one(request, now, asked) };
        let spans = json::spans(request.body, pointer).map_err(|_| VerifyError::Unreadable)?;
        if spans.len() > ITEMS_MAX {
            return Err(VerifyError::Items);
        }
        let mut held = Err(VerifyError::Items);
        for span in spans {
            let body = request.body.get(span).ok_or(VerifyError::Unreadable)?;
            held = Ok(self.prove_one(&Request { body, ..*request }, now, asked)?);
        }
        held
    }

    fn prove_one(&self, request: &Request<'_>, now: Timestamp, asked: Option<Guard>) -> Result<Held, VerifyError> {
        if self.algorithm == Algorithm::Nothing {
            return Ok(Held { key: 0, timestamp: None });
        }
        for requirement in &self.requires {
            let value = requirement.at.read(request)?;
            if !value.is_some_and(|value| requirement.one_of.iter().any(|known| known.as_bytes() == &*value)) {
                return Err(VerifyError::Requirement);
            }
        }
        match &self.at {
            SignatureAt::Headers { names, lines } => {
                let mut found = Candidates::new();
                for name in names {
                    let mut values = request.headers.get_all(name).iter().peekable();
                    while let Some(value) = values.next() {
                        if !lines && values.peek().is_some() {
                            return Err(VerifyError::RepeatedSignature);
                        }
                        self.grammar.read(value.as_bytes(), &mut found)?;
                    }
                }
                self.judge(request, &found, now, asked)
            }
            SignatureAt::HeadersWith(prefix) => {
                let mut found = Candidates::new();
                for (_, value) in request.headers.iter().filter(|(name, _)| name.as_str().starts_with(&**prefix)) {
                    self.grammar.read(value.as_bytes(), &mut found)?;
                }
                self.judge(request, &found, now, asked)
            }
            SignatureAt::Body => self.judge_text(request, request.body.trim_ascii_end(), now, asked),
            SignatureAt::Place(at) => match at.read(request) {
                Ok(Some(text)) => self.judge_text(request, &text, now, asked),
                Ok(None) => Err(VerifyError::MissingSignature),
                Err(VerifyError::RepeatedPart) => Err(VerifyError::RepeatedSignature),
                Err(error) => Err(error),
            },
        }
    }

    fn judge_text(
        &self,
        request: &Request<'_>,
        text: &[u8],
        now: Timestamp,
        asked: Option<Guard>,
    ) -> Result<Held, VerifyError> {
        let mut found = Candidates::new();
        self.grammar.read(text, &mut found)?;
        self.judge(request, &found, now, asked)
    }

    fn judge(
        &self,
        request: &Request<'_>,
        found: &Candidates<'_>,
        now: Timestamp,
        asked: Option<Guard>,
    ) -> Result<Held, VerifyError> {
        found.check()?;
        if self.algorithm.is_token() {
            return self.judge_token(request, found, now);
        }
        let outside = match &self.time {
            Some(TimeRule { at: TimeAt::Place(at), .. }) => Self::outside_time(at, request)?,
            _ => None,
        };
        let time = outside.as_deref();
        let mut search = Search::default();
        let sought = Sought {
            algorithm: self.algorithm,
            encoding: self.encoding,
            keys: &self.keys,
            signs: &self.signs,
            prehash: self.prehash,
            beside: matches!(&self.time, Some(TimeRule { at: TimeAt::Beside, .. })),
        };
        let urls = if self.signs.names(&Token::Url) { self.urls.of(request) } else { Vec::new() };
        if self.signs.names(&Token::Url) && urls.is_empty() {
            return Err(VerifyError::NoPublicUrl);
        }
        let form = if self.signs.names(&Token::FormSorted) { form_sorted(request)? } else { Vec::new() };
        for number in 0..self.bodies.count() {
            let Some(body) = self.bodies.form(number, request.body) else { continue };
            let scope = Scope { body: &body, time, form: &form, ..Scope::new(request) };
            if urls.is_empty() {
                search.run(&sought, &scope, found)?;
            }
            for url in &urls {
                search.run(&sought, &Scope { url, ..scope }, found)?;
            }
        }
        let hit = search.result()?;
        let text = if sought.beside { found.as_slice().get(hit.candidate).and_then(|held| held.time) } else { time };
        let timestamp = self.judge_time(text, now)?;
        self.judge_body(request)?;
        if let Some(guard) = asked {
            let url = urls.first().map_or("", |url| url);
            let scope = Scope { time: text, url, form: &form, ..Scope::new(request) };
            if guard.allows(&self.signs.render(&scope)?) {
                return Err(VerifyError::Askable);
            }
        }
        Ok(Held { key: hit.key, timestamp })
    }

    /// The time at a place of its own; only where it is signed text must it be there already.
    fn outside_time<'a>(at: &At, request: &Request<'a>) -> Result<Option<Cow<'a, [u8]>>, VerifyError> {
        at.read(request).map_err(|error| match error {
            VerifyError::RepeatedPart => VerifyError::RepeatedTimestamp,
            other => other,
        })
    }

    fn judge_time(&self, text: Option<&[u8]>, now: Timestamp) -> Result<Option<Timestamp>, VerifyError> {
        let Some(rule) = &self.time else { return Ok(None) };
        let at = text.map(|text| rule.unit.read(text));
        match (rule.window, at) {
            (None, at) => Ok(at.flatten()),
            (Some(_), None) => Err(VerifyError::MissingTimestamp),
            (Some(_), Some(None)) => Err(VerifyError::MalformedTimestamp),
            (Some(window), Some(Some(at))) => window.judge(at, now).map(|()| Some(at)),
        }
    }

    /// Whether this very body is what was signed, for schemes that cover it through something else.
    fn judge_body(&self, request: &Request<'_>) -> Result<(), VerifyError> {
        let mut bound = request.body.is_empty() || self.signs.names(&Token::Body);
        bound |= self.signs.names(&Token::FormSorted) && is_form(request);
        for digest in &self.digests {
            let Some(text) = digest.at.read(request)? else { continue };
            let mut space = [0; 64 + 3];
            let told = digest.encoding.decode(&text, &mut space);
            if told != Some(ring::digest::digest(digest.hash.plain(), request.body).as_ref()) {
                return Err(VerifyError::BodyDigest);
            }
            bound = true;
        }
        if self.must_bind && !bound { Err(VerifyError::BodyNotBound) } else { Ok(()) }
    }

    fn judge_token(&self, request: &Request<'_>, found: &Candidates<'_>, now: Timestamp) -> Result<Held, VerifyError> {
        let urls = if self.claims.name_url() { self.urls.of(request) } else { Vec::new() };
        let mut worst = VerifyError::MalformedSignature;
        for candidate in found.as_slice() {
            let Some(token) = WebToken::open(candidate.text) else { continue };
            match token.held_by(self.algorithm, &self.keys) {
                Ok(key) => match self.claims.judge(&token, request, &urls, now) {
                    Ok(timestamp) => return Ok(Held { key, timestamp }),
                    Err(error) => worst = worst.max(error),
                },
                Err(error) => worst = worst.max(error),
            }
        }
        Err(worst)
    }

    /// The headers that a signed request must have besides the signature.
    pub(super) fn covered_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.signs.headers().filter(|name| **name != header::HOST)
    }
}
