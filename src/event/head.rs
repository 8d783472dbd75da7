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
        let connection = headers.contains_key(header::CONNECTION);
        let stays = |name: &HeaderName| {
            ours(name.as_str()) || (connection && named_by_connection(headers, name)) || without.has_header(name)
        };
        let texts = [method.as_str(), rest, &*query];
        let mut size = 1 + texts.iter().map(|text| room(text.as_bytes())).sum::<usize>();
        // Which of the first headers go on, so that it is found out once.
        let (mut count, mut chosen) = (0, 0_u64);
        for (place, (name, value)) in headers.iter().enumerate() {
            if !stays(name) {
                count += 1;
                chosen |= 1_u64.checked_shl(u32::try_from(place).unwrap_or(u32::MAX)).unwrap_or(0);
                size += room(name.as_str().as_bytes()) + room(value.as_bytes());
            }
        }
        let mut bytes = Vec::with_capacity(size + number_room(count));
        bytes.push(VERSION);
        for text in texts {
            put(&mut bytes, text.as_bytes());
        }
        put_number(&mut bytes, count);
        for (place, (name, value)) in headers.iter().enumerate() {
            let goes_on = if place < 64 { chosen & (1 << place) != 0 } else { !stays(name) };
            if goes_on {
                put(&mut bytes, name.as_str().as_bytes());
                put(&mut bytes, value.as_bytes());
            }
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

    /// The headers in their order: lower-case names, which are ASCII, and values.
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
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Both were found whole when the head was decoded.
        Some((take(&mut self.rest).ok()?, take(&mut self.rest).ok()?))
    }
}

/// Whether a header belongs to one hop, is written anew for the next one, or may be said by Porteiro only.
fn ours(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "host"
            | "content-length"
            | "expect"
            | "keep-alive"
    ) || name.starts_with("proxy-")
        || name.starts_with("x-porteiro-")
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
    while left > 0x7f {
        bytes.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    bytes.push(left.to_le_bytes()[0]);
}

/// The bytes that [`put`] needs.
fn room(text: &[u8]) -> usize {
    number_room(text.len()) + text.len()
}

const fn number_room(number: usize) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], HeadError> {
    let length = take_number(bytes)? as usize;
    let (text, rest) = bytes.split_at_checked(length).ok_or(HeadError::Length)?;
    *bytes = rest;
    Ok(text)
}

#[inline]
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

/// Whether these bytes may be a header's value: no control characters but the tab. Eight at a time, because almost all
/// values are longer and hold none.
fn is_value(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x80 * ONES;
    let is_plain = |eight: &[u8; 8]| {
        let eight = u64::from_le_bytes(*eight);
        let below_space = eight.wrapping_sub(0x20 * ONES) & !eight;
        let without_delete = eight ^ (0x7f * ONES);
        let delete = without_delete.wrapping_sub(ONES) & !without_delete;
        (below_space | delete) & HIGHS == 0
    };
    let (eights, rest) = bytes.as_chunks();
    (eights.iter().all(is_plain) || eights.as_flattened().iter().all(|byte| in_value(*byte)))
        && rest.iter().all(|byte| in_value(*byte))
}

const fn in_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
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
        let parsed = HeaderName::from_bytes(name).expect("a decoded header name is one");
        assert_eq!(parsed.as_str().as_bytes(), name, "in lower case");
        headers.append(parsed, http::HeaderValue::from_bytes(value).expect("a decoded header value is one"));
    }
    let again = Head::encode(&method, head.rest, head.query, &headers, &Credential::NONE);
    let again = Head::decode(&again).expect("what was decoded can be encoded");
    assert_eq!((again.method, again.rest, again.query), (head.method, head.rest, head.query));
}

#[cfg(test)]
mod tests;
