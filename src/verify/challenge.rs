//! What does a provider hear that asks whether somebody is at home?
//!
//! Promises: the answer is plain text or JSON that no browser runs; what is echoed is short and made of harmless
//! characters only; where the answer is made with the key of events, no answer can serve as the signature of an event,
//! because an event whose signed bytes could have been asked is refused ([`VerifyError::Askable`]).
//!
//! Must not know: how the answer is sent.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use memchr::memmem;

use super::at::At;
use super::key::Key;
use super::scheme::Algorithm;
use super::signature::{Sought, make};
use super::template::{Scope, Template};
use super::{Encoding, VerifyError};
use crate::select::{Place, Request};

/// The answer to a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    status: u16,
    content_type: Option<&'static str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Challenge {
    /// The status to answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The content type; `None` for an answer without a body. Goes with `X-Content-Type-Options: nosniff`.
    #[must_use]
    pub const fn content_type(&self) -> Option<&'static str> {
        self.content_type
    }

    /// Further headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The body of the answer.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Which characters an echoed value may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    /// Decimal digits.
    Digits,
    /// Lower-case hex digits.
    Hex,
    /// Letters, digits and `. _ ~ + / = -`: enough for every token, too little for JSON, markup or a header.
    Token,
    /// Printable ASCII without angle brackets.
    Text,
}

impl Characters {
    /// The names a provider file uses.
    pub const NAMES: &'static [&'static str] = &["digits", "hex", "token", "text"];

    /// The characters of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "digits" => Self::Digits,
            "hex" => Self::Hex,
            "token" => Self::Token,
            "text" => Self::Text,
            _ => return None,
        })
    }

    const fn allow(self, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
            Self::Token => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b'-')
            }
            Self::Text => (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'<' | b'>'),
        }
    }
}

/// What may be echoed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Of which characters.
    pub characters: Characters,
    /// How few bytes.
    pub min: usize,
    /// How many bytes.
    pub max: usize,
}

impl Guard {
    /// The longest value that is ever echoed.
    pub const MAX: usize = 1024;

    /// Whether these bytes may be echoed.
    pub(super) fn allows(self, value: &[u8]) -> bool {
        (self.min.max(1)..=self.max.min(Self::MAX)).contains(&value.len())
            && value.iter().all(|byte| self.characters.allow(*byte))
    }
}

/// What makes a request a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Where to look.
    pub at: At,
    /// What to find.
    pub is: Is,
}

/// What is found at the place of a [`Condition`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// Anything.
    Present,
    /// Nothing.
    Absent,
    /// This text.
    Text(String),
}

/// Something computed for the answer.
#[derive(Clone, Debug)]
pub struct Computed {
    /// From which bytes.
    pub signs: Template,
    /// How; an HMAC or a plain digest.
    pub algorithm: Algorithm,
    /// How it is written.
    pub encoding: Encoding,
    /// With which key; the first of the operator's where it is that of events.
    pub key: Key,
    /// Whether the key is one that proves events, too.
    pub key_of_events: bool,
}

/// What the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Nothing.
    Empty,
    /// `text/plain`.
    Text,
    /// `application/json`; values are escaped.
    Json,
    /// `text/xml`; only where nothing of a request stands in it.
    Xml,
}

impl Format {
    /// The content type; `None` for nothing.
    #[must_use]
    pub const fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Text => Some("text/plain; charset=utf-8"),
            Self::Json => Some("application/json"),
            Self::Xml => Some("text/xml; charset=utf-8"),
        }
    }
}

/// One kind of challenge.
#[derive(Clone, Debug)]
pub struct Rule {
    /// With which methods it comes.
    pub methods: Vec<Method>,
    /// What makes a request this challenge.
    pub when: Vec<Condition>,
    /// Tokens that must be right before it is answered: each place must show one of its keys.
    pub must: Vec<(At, Vec<Key>)>,
    /// Whether it is signed like an event, and answered only then.
    pub proven: bool,
    /// What may be echoed.
    pub guard: Guard,
    /// What is computed for the answer.
    pub computed: Option<Computed>,
    /// The status of the answer.
    pub status: u16,
    /// What the answer is.
    pub format: Format,
    /// The body of the answer.
    pub body: Template,
    /// Further headers of the answer.
    pub headers: Vec<(HeaderName, Template)>,
}

impl Rule {
    /// What a stranger could have had signed with the key of events.
    pub(super) fn asked(&self) -> Option<Guard> {
        let computed = self.computed.as_ref().filter(|computed| computed.key_of_events && !self.proven)?;
        matches!(computed.algorithm, Algorithm::Hmac(_)).then_some(self.guard)
    }

    /// Whether a request is this challenge.
    pub(super) fn is_asked(&self, request: &Request<'_>) -> bool {
        self.methods.contains(request.method) && self.when.iter().all(|condition| condition.holds(request))
    }

    /// The answer.
    pub(super) fn answer(&self, request: &Request<'_>) -> Result<Challenge, VerifyError> {
        for (at, keys) in &self.must {
            let shown = at.read(request).map_err(|_| VerifyError::ChallengeToken)?;
            let right = |shown: &[u8]| keys.iter().fold(false, |right, key| right | key.is_token(shown));
            if !shown.is_some_and(|shown| right(&shown)) {
                return Err(VerifyError::ChallengeToken);
            }
        }
        let scope = Scope { json: self.format == Format::Json, ..Scope::new(request) };
        let echoed = |template: &Template| {
            template.each_place(&scope, &mut |value| match value {
                Some(value) if self.guard.allows(value) => Ok(()),
                _ => Err(VerifyError::ChallengeText),
            })
        };
        let templates = self.headers.iter().map(|(_, template)| template).chain([&self.body]);
        for template in templates.chain(self.computed.as_ref().map(|computed| &computed.signs)) {
            echoed(template).map_err(|_| VerifyError::ChallengeText)?;
        }
        let computed = match &self.computed {
            Some(computed) => computed.make(request)?,
            None => String::new(),
        };
        let scope = Scope { computed: &computed, ..scope };
        let render = |template: &Template| template.render(&scope).map_err(|_| VerifyError::ChallengeText);
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, template) in &self.headers {
            let value = HeaderValue::from_bytes(&render(template)?).map_err(|_| VerifyError::ChallengeText)?;
            headers.push((name.clone(), value));
        }
        let content_type = self.format.content_type();
        Ok(Challenge { status: self.status, content_type, headers, body: render(&self.body)?.into() })
    }
}

impl Condition {
    fn holds(&self, request: &Request<'_>) -> bool {
        if self.cannot_hold(request.body) {
            return false;
        }
        match (&self.is, self.at.read(request)) {
            (Is::Present, found) => matches!(found, Ok(Some(_))),
            (Is::Absent, found) => matches!(found, Ok(None)),
            (Is::Text(text), found) => found.is_ok_and(|found| found.as_deref() == Some(text.as_bytes())),
        }
    }
}

impl Condition {
    /// Whether a look at the bytes is enough to say no, so that no event is walked for a challenge that it is not. Such
    /// a text stands in JSON as itself, or written as `\u` escapes.
    fn cannot_hold(&self, body: &[u8]) -> bool {
        let (Is::Text(text), Some(Place::Json(_))) = (&self.is, self.at.place()) else { return false };
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        plain && memmem::find(body, text.as_bytes()).is_none() && memmem::find(body, b"\\u").is_none()
    }
}

impl Computed {
    fn make(&self, request: &Request<'_>) -> Result<String, VerifyError> {
        let keys = std::slice::from_ref(&self.key);
        let sought = Sought {
            algorithm: self.algorithm,
            encoding: self.encoding,
            keys,
            signs: &self.signs,
            prehash: None,
            beside: false,
        };
        match make(&sought, &self.key, &Scope::new(request)) {
            Some(Ok(text)) => Ok(text),
            _ => Err(VerifyError::ChallengeText),
        }
    }
}
