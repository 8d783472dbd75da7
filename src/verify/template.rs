//! Which bytes does a signature cover?
//!
//! A template is text with tokens: `{time}.{body}`. Tokens are `{body} {time} {secret} {method} {url} {path}
//! {form-sorted} {computed}`, `{value:NAME}` (given by the operator) and any place (`{header:x-id}`, `{json:/a/b}`).
//! After a bar stand modifiers: `{body|sha256-hex}`, `{query:id|lower}`. What stands in `[ ]` is left out as a whole
//! where a value in it is absent. `{{ }} [[ ]]` are the signs themselves.
//!
//! Promises: bytes in, bytes out; every value goes in as it was received; a template that is the body alone is fed in
//! one piece without a copy.
//!
//! Must not know: which algorithm the bytes are for.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::VerifyError;
use super::at::At;
use super::decode::{BASE64_URL, to_hex};
use crate::select::{Place, PlaceError, Request};
use base64::Engine;

/// Text with tokens, read once. Its `Debug` does not show the text, of which the operator's values are part.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Box<[Piece]>);

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} pieces)", self.0.len())
    }
}

/// Calls back with each value that was taken out of a request, if it is there.
type Look<'l> = dyn FnMut(Option<&[u8]>) -> Result<(), VerifyError> + 'l;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    Value(Token, Box<[Modifier]>),
    Group(Box<[Self]>),
}

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Body,
    Time,
    Secret,
    Method,
    Url,
    Path,
    FormSorted,
    Computed,
    At(At),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modifier {
    Lower,
    Sha256,
    Sha256Hex,
    Crc32,
    Base64Url,
    Optional,
}

const TOKENS: &[(&str, Token)] = &[
    ("body", Token::Body),
    ("time", Token::Time),
    ("secret", Token::Secret),
    ("method", Token::Method),
    ("url", Token::Url),
    ("path", Token::Path),
    ("form-sorted", Token::FormSorted),
    ("computed", Token::Computed),
];

const MODIFIERS: &[(&str, Modifier)] = &[
    ("lower", Modifier::Lower),
    ("sha256", Modifier::Sha256),
    ("sha256-hex", Modifier::Sha256Hex),
    ("crc32", Modifier::Crc32),
    ("base64url", Modifier::Base64Url),
    ("optional", Modifier::Optional),
];

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A bracket is not closed, or closes nothing.
    Bracket,
    /// A group stands in a group.
    Nested,
    /// No such token; not a place either.
    Token(PlaceError),
    /// The operator gives no value of this name.
    Value,
    /// No such modifier.
    Modifier,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bracket => {
                f.write_str("a bracket is not closed, or closes nothing (`{{` stands for the sign itself)")
            }
            Self::Nested => f.write_str("a group `[ ]` must not stand in another"),
            Self::Token(PlaceError::NoKind) => f.write_str(
                "no such token; tokens are body, time, secret, method, url, path, form-sorted, value:NAME, or a place",
            ),
            Self::Token(error) => error.fmt(f),
            Self::Value => f.write_str("the file asks for no value of this name"),
            Self::Modifier => {
                f.write_str("no such modifier; modifiers are lower, sha256, sha256-hex, crc32, base64url, optional")
            }
        }
    }
}

impl Error for TemplateError {}

/// What tokens stand for in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) body: &'a [u8],
    pub(super) url: &'a str,
    /// Names and values of a form body in order; made once, because a stranger decides how long that takes.
    pub(super) form: &'a [u8],
    pub(super) time: Option<&'a [u8]>,
    pub(super) secret: &'a [u8],
    pub(super) computed: &'a str,
    /// Whether values are escaped as parts of a JSON string.
    pub(super) json: bool,
}

impl<'a> Scope<'a> {
    pub(super) fn new(request: &'a Request<'a>) -> Self {
        Self { request, body: request.body, url: "", form: b"", time: None, secret: b"", computed: "", json: false }
    }
}

impl Template {
    /// Reads a template; `value` gives what the operator gave by name.
    ///
    /// # Errors
    ///
    /// What is wrong, and at which byte.
    pub fn parse(text: &str, value: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Self, (usize, TemplateError)> {
        let mut reader = Reader { text, at: 0, value };
        let pieces = reader.pieces(false)?;
        Ok(Self(pieces.into()))
    }

    /// The body, and nothing else.
    #[must_use]
    pub fn body() -> Self {
        Self(Box::new([Piece::Value(Token::Body, Box::default())]))
    }

    /// No bytes at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self(Box::default())
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn tokens(&self) -> impl Iterator<Item = &Token> {
        let flat = self.0.iter().flat_map(|piece| match piece {
            Piece::Group(inner) => &**inner,
            Piece::Text(_) | Piece::Value(..) => std::slice::from_ref(piece),
        });
        flat.filter_map(|piece| match piece {
            Piece::Value(token, _) => Some(token),
            Piece::Text(_) | Piece::Group(_) => None,
        })
    }

    pub(super) fn names(&self, wanted: &Token) -> bool {
        self.tokens().any(|token| token == wanted)
    }

    /// Whether the body must be read to make the text, so that it is made once and not for every key.
    pub(super) fn reads_body(&self) -> bool {
        self.tokens().any(|token| matches!(token, Token::At(at) if at.in_body()))
    }

    /// The places whose values are covered.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.tokens().filter_map(|token| if let Token::At(at) = token { at.place() } else { None })
    }

    /// The headers whose values are covered.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &http::HeaderName> {
        self.places().filter_map(|place| if let Place::Header(name) = place { Some(name) } else { None })
    }

    /// Whether the token of this name is in it.
    #[cfg(test)]
    pub(crate) fn covers(&self, name: &str) -> bool {
        TOKENS.iter().any(|(known, token)| *known == name && self.names(token))
    }

    /// Whether the only thing in it is one place of the request.
    pub(super) fn is_one_place(&self) -> bool {
        matches!(&*self.0, [Piece::Value(Token::At(_), modifiers)] if modifiers.is_empty())
    }

    /// Calls `look` with each value that was taken out of the request.
    pub(super) fn each_place(&self, scope: &Scope<'_>, look: &mut Look<'_>) -> Result<(), VerifyError> {
        for token in self.tokens() {
            if let Token::At(at) = token {
                look(at.read(scope.request)?.as_deref())?;
            }
        }
        Ok(())
    }

    /// Gives the bytes to `sink`, piece by piece.
    pub(super) fn feed(&self, scope: &Scope<'_>, sink: &mut dyn FnMut(&[u8])) -> Result<(), VerifyError> {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => sink(text),
                Piece::Value(Token::Body, modifiers) if modifiers.is_empty() => sink(scope.body),
                Piece::Value(token, modifiers) => match value(token, scope)? {
                    Some(value) => emit(value, modifiers, scope.json, sink),
                    None if modifiers.contains(&Modifier::Optional) => {}
                    None => return Err(absent(token)),
                },
                Piece::Group(pieces) => {
                    if let Some(bytes) = group(pieces, scope)? {
                        sink(&bytes);
                    }
                }
            }
        }
        Ok(())
    }

    /// The bytes in one piece.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<Vec<u8>, VerifyError> {
        let mut out = Vec::with_capacity(scope.body.len() + 64);
        self.feed(scope, &mut |bytes| out.extend_from_slice(bytes))?;
        Ok(out)
    }
}

const fn absent(token: &Token) -> VerifyError {
    match token {
        Token::Time => VerifyError::MissingTimestamp,
        Token::Url => VerifyError::NoPublicUrl,
        _ => VerifyError::MissingPart,
    }
}

fn group(pieces: &[Piece], scope: &Scope<'_>) -> Result<Option<Vec<u8>>, VerifyError> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => bytes.extend_from_slice(text),
            Piece::Value(token, modifiers) => match value(token, scope)? {
                Some(value) => emit(value, modifiers, scope.json, &mut |part| bytes.extend_from_slice(part)),
                None => return Ok(None),
            },
            Piece::Group(_) => return Ok(None), // the reader lets none stand in a group
        }
    }
    Ok(Some(bytes))
}

fn value<'a>(token: &Token, scope: &Scope<'a>) -> Result<Option<Cow<'a, [u8]>>, VerifyError> {
    let text = |text: &'a str| Some(Cow::Borrowed(text.as_bytes()));
    Ok(match token {
        Token::Body => Some(Cow::Borrowed(scope.body)),
        Token::Time => scope.time.map(Cow::Borrowed),
        Token::Secret => Some(Cow::Borrowed(scope.secret)),
        Token::Method => text(scope.request.method.as_str()),
        Token::Url if scope.url.is_empty() => None,
        Token::Url => text(scope.url),
        Token::Path => text(scope.request.path),
        Token::FormSorted => Some(Cow::Borrowed(scope.form)),
        Token::Computed => text(scope.computed),
        Token::At(at) => at.read(scope.request)?,
    })
}

fn emit(value: Cow<'_, [u8]>, modifiers: &[Modifier], json: bool, sink: &mut dyn FnMut(&[u8])) {
    let mut value = value;
    for modifier in modifiers {
        value = match modifier {
            Modifier::Optional => value,
            Modifier::Lower => Cow::Owned(value.to_ascii_lowercase()),
            Modifier::Sha256 => Cow::Owned(super::digest(&[&value]).to_vec()),
            Modifier::Sha256Hex => Cow::Owned(to_hex(&super::digest(&[&value])).into_bytes()),
            Modifier::Crc32 => Cow::Owned(crc32(&value).to_string().into_bytes()),
            Modifier::Base64Url => Cow::Owned(BASE64_URL.encode(&value).into_bytes()),
        };
    }
    if !json {
        return sink(&value);
    }
    for byte in value.iter() {
        match byte {
            b'"' | b'\\' => sink(&[b'\\', *byte]),
            0..0x20 => sink(format!("\\u{byte:04x}").as_bytes()),
            _ => sink(&[*byte]),
        }
    }
}

/// The CRC-32 of IEEE 802.3, bit by bit: for a few rare schemes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

/// Reads the text of a template.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    value: &'t dyn Fn(&str) -> Option<Vec<u8>>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn pieces(&mut self, inside: bool) -> Result<Vec<Piece>, (usize, TemplateError)> {
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        let flush = |text: &mut Vec<u8>, pieces: &mut Vec<Piece>| {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(text).into()));
            }
        };
        while let Some(sign) = self.rest().bytes().next() {
            let from = self.at;
            let doubled = self.rest().as_bytes().get(1) == Some(&sign);
            match sign {
                b'{' | b'}' | b'[' | b']' if doubled => {
                    text.push(sign);
                    self.at += 2;
                }
                b'{' => match self.token()? {
                    Read::Text(value) => text.extend_from_slice(&value),
                    Read::Piece(piece) => {
                        flush(&mut text, &mut pieces);
                        pieces.push(piece);
                    }
                },
                b'[' if inside => return Err((from, TemplateError::Nested)),
                b'[' => {
                    flush(&mut text, &mut pieces);
                    self.at += 1;
                    let inner = self.pieces(true)?;
                    if !self.rest().starts_with(']') {
                        return Err((from, TemplateError::Bracket));
                    }
                    self.at += 1;
                    pieces.push(Piece::Group(inner.into()));
                }
                b']' if inside => break,
                b'}' | b']' => return Err((from, TemplateError::Bracket)),
                _ => {
                    text.push(sign);
                    self.at += 1;
                }
            }
        }
        flush(&mut text, &mut pieces);
        Ok(pieces)
    }

    fn token(&mut self) -> Result<Read, (usize, TemplateError)> {
        let from = self.at;
        let end = self.rest().find('}').ok_or((from, TemplateError::Bracket))?;
        let inner = self.rest().get(1..end).unwrap_or_default().to_owned();
        self.at += end + 1;
        let mut words = inner.split('|');
        let name = words.next().unwrap_or_default();
        let modifiers = words
            .map(|word| MODIFIERS.iter().find(|(known, _)| *known == word).map(|(_, modifier)| *modifier))
            .collect::<Option<Box<[_]>>>()
            .ok_or((from, TemplateError::Modifier))?;
        if let Some(name) = name.strip_prefix("value:") {
            let value = (self.value)(name).ok_or((from, TemplateError::Value))?;
            let mut text = Vec::new();
            emit(Cow::Owned(value), &modifiers, false, &mut |bytes| text.extend_from_slice(bytes));
            return Ok(Read::Text(text));
        }
        let token = match TOKENS.iter().find(|(known, _)| *known == name) {
            Some((_, token)) => token.clone(),
            None => Token::At(At::from(Place::parse(name).map_err(|error| (from, TemplateError::Token(error)))?)),
        };
        Ok(Read::Piece(Piece::Value(token, modifiers)))
    }
}

enum Read {
    Text(Vec<u8>),
    Piece(Piece),
}

#[cfg(test)]
mod tests;
