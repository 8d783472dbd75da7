//! What is kept of a request beside its body?
//!
//! Promises: method, rest of the path, query and end-to-end headers go on as received, in their order, duplicates too;
//! what belongs to one hop, the length and the host, what served as proof, and what only Porteiro may say do not.
//! Decoding reads in place, is bounded, never panics, and gives only text that may be written to a wire.
//!
//! The bytes: a version (1), then method, rest, query, the number of headers, and name and value of each. Every text
//! follows its length; lengths and the number are LEB128, at most five bytes each.
//!
//! Must not know: destinations; the journal stores it as opaque bytes.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, Method};

use crate::select::form;
use crate::verify::Credential;

const VERSION: u8 = 1;

/// A stored head, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// The path below the source, raw; empty or with its leading slash, as the source's pattern leaves it.
    pub rest: &'a str,
    /// The query, raw, without question mark and credential; empty where there is none.
    pub query: &'a str,
    headers: &'a [u8],
}

impl<'a> Head<'a> {
    /// Encodes what goes on. `without` is what served as proof: the headers and query fields it names are left out.
    #[must_use]
    pub fn encode(method: &Method, rest: &str, query: &str, headers: &HeaderMap, without: &Credential) -> Bytes {
        let query = Self::query_without(query, without);
        let (mut count, mut size) = (0, 24 + method.as_str().len() + rest.len() + query.len());
        for (name, value) in kept(headers, without) {
            count += 1;
            size += 6 + name.as_str().len() + value.len();
        }
        let mut bytes = Vec::with_capacity(size);
        bytes.push(VERSION);
        for text in [method.as_str(), rest, &*query] {
            put(&mut bytes, text.as_bytes());
        }
        put_number(&mut bytes, count);
        for (name, value) in kept(headers, without) {
            put(&mut bytes, name.as_str().as_bytes());
            put(&mut bytes, value);
        }
        bytes.into()
    }

    /// Reads what [`Head::encode`] wrote.
    ///
    /// # Errors
    /// [`HeadError`] for anything else.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, HeadError> {
        let (version, mut rest) = bytes.split_first().ok_or(HeadError::Length)?;
        if *version != VERSION {
            return Err(HeadError::Version(*version));
        }
        let method = take(&mut rest)?;
        let path = take(&mut rest)?;
        let query = take(&mut rest)?;
        let count = take_number(&mut rest)?;
        let headers = rest;
        if method.is_empty() || !all(method, TOKEN) || !all(path, TARGET) || !all(query, TARGET) {
            return Err(HeadError::Text);
        }
        for _ in 0..count {
            let (name, value) = (take(&mut rest)?, take(&mut rest)?);
            if name.is_empty() || !all(name, NAME) || !is_value(value) {
                return Err(HeadError::Text);
            }
        }
        if !rest.is_empty() {
            return Err(HeadError::Length);
        }
        let text = |bytes| str::from_utf8(bytes).map_err(|_| HeadError::Text);
        Ok(Self { method: text(method)?, rest: text(path)?, query: text(query)?, headers })
    }

    /// The headers in their order: lower-case names, and values.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        Headers { rest: self.headers }
    }

    /// The query without the fields that served as proof; borrowed where there are none.
    #[must_use]
    pub fn query_without<'q>(query: &'q str, without: &Credential) -> Cow<'q, str> {
        let hidden = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default();
            without.query().iter().any(|hidden| form::named(name.as_bytes(), hidden))
        };
        if without.query().is_empty() || !query.split('&').any(hidden) {
            return Cow::Borrowed(query);
        }
        let mut left = String::with_capacity(query.len());
        for pair in query.split('&').filter(|pair| !hidden(pair)) {
            if !left.is_empty() {
                left.push('&');
            }
            left.push_str(pair);
        }
        Cow::Owned(left)
    }
}

/// Iterates over the headers of a [`Head`] without allocating.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Both were found whole, and the name found legal, when the head was decoded.
        let name = take(&mut self.rest).ok()?;
        let value = take(&mut self.rest).ok()?;
        Some((str::from_utf8(name).ok()?, value))
    }
}

/// The headers that go on.
fn kept<'h>(headers: &'h HeaderMap, without: &Credential) -> impl Iterator<Item = (&'h HeaderName, &'h [u8])> {
    let connection = headers.contains_key(header::CONNECTION);
    let hop = move |name: &HeaderName| ours(name) || (connection && named_by_connection(headers, name));
    let kept = headers.iter().filter(move |(name, _)| !hop(name) && !without.has_header(name));
    kept.map(|(name, value)| (name, value.as_bytes()))
}

/// Whether a header belongs to one hop, is written anew for the next one, or may be said by Porteiro only.
fn ours(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 8] = [
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::HOST,
        header::CONTENT_LENGTH,
        header::EXPECT,
    ];
    let text = name.as_str();
    OURS.contains(name) || text == "keep-alive" || text.starts_with("proxy-") || text.starts_with("x-porteiro-")
}

/// Whether the connection header says that another header is for this hop only.
fn named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    let tokens =
        headers.get_all(header::CONNECTION).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.into_iter().any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    put_number(bytes, text.len());
    bytes.extend_from_slice(text);
}

fn put_number(bytes: &mut Vec<u8>, number: usize) {
    // What does not fit is beyond every limit of a head, and cannot be decoded.
    let mut left = u32::try_from(number).unwrap_or(u32::MAX);
    loop {
        let low = left.to_le_bytes()[0] & 0x7f;
        left >>= 7;
        if left == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], HeadError> {
    let length = take_number(bytes)? as usize;
    let (text, rest) = bytes.split_at_checked(length).ok_or(HeadError::Length)?;
    *bytes = rest;
    Ok(text)
}

fn take_number(bytes: &mut &[u8]) -> Result<u32, HeadError> {
    if let Some((byte @ 0..=0x7f, rest)) = bytes.split_first() {
        // Almost all lengths are one byte.
        *bytes = rest;
        return Ok(u32::from(*byte));
    }
    let mut number = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first().ok_or(HeadError::Length)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(number).map_err(|_| HeadError::Length);
        }
    }
    Err(HeadError::Length)
}

/// Bytes of a method.
const TOKEN: u8 = 1;
/// Bytes of a header's name, in lower case.
const NAME: u8 = 2;
/// Bytes of a path or a query.
const TARGET: u8 = 4;

/// What each byte may be part of.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let token = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        let mut class = 0;
        if token {
            class |= TOKEN;
        }
        if token && !byte.is_ascii_uppercase() {
            class |= NAME;
        }
        if byte > b' ' && byte != 0x7f {
            class |= TARGET;
        }
        classes[byte as usize] = class;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    classes
};

/// Whether every byte is of this class.
fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |left, byte| left & CLASSES[usize::from(*byte)]) == class
}

/// Whether these bytes may be a header's value. Without a way out in the middle, so that many are looked at at once.
fn is_value(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |wrong, byte| wrong | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f))
}

/// Why bytes are no stored head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The first byte names a version that this build does not know.
    Version(u8),
    /// It ends too early, or goes on after its end.
    Length,
    /// A method, path, query or header could not be written to a wire.
    Text,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "the stored head has the unknown version {version}"),
            Self::Length => f.write_str("the stored head does not have its stated length"),
            Self::Text => f.write_str("the stored head holds what no head may hold"),
        }
    }
}

impl Error for HeadError {}

/// Panics, for a fuzzer or a property test to see, where any bytes break a promise of [`Head::decode`].
#[cfg(any(test, fuzzing))]
pub fn holds(bytes: &[u8]) {
    let Ok(head) = Head::decode(bytes) else { return };
    let method = Method::from_bytes(head.method.as_bytes()).expect("a decoded method is one");
    let mut headers = HeaderMap::new();
    for (name, value) in head.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a decoded header name is one");
        assert_eq!(
            name.as_str().len(),
            head.headers().find(|(known, _)| *known == name).map_or(0, |(known, _)| known.len())
        );
        headers.append(name, http::HeaderValue::from_bytes(value).expect("a decoded header value is one"));
    }
    let again = Head::encode(&method, head.rest, head.query, &headers, &Credential::NONE);
    let again = Head::decode(&again).expect("what was decoded can be encoded");
    assert_eq!((again.method, again.rest, again.query), (head.method, head.rest, head.query));
}

#[cfg(test)]
mod tests;
