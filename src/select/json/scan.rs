//! Where does a JSON value end?
//!
//! Promises: no recursion, no allocation; the grammar of RFC 8259 and nothing beside it.
//!
//! Must not know: which values are wanted.

use std::borrow::Cow;

use super::{DEPTH_MAX, Unreadable};

/// A place in a JSON text that moves forward only.
#[derive(Debug)]
pub(super) struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

/// A string of the text: its range without the quotes, and whether it has escapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks, from the first on, the bytes of a word that may end a plain run of string: a quote, a backslash, a control.
const fn stops(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & HIGHS
}

impl<'t> Scan<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'t [u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no white space, not taken.
    pub(super) fn peek(&mut self) -> Result<u8, Unreadable> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Unreadable)
    }

    /// Takes the byte that was peeked at.
    pub(super) const fn step(&mut self) {
        self.at += 1;
    }

    /// Takes this byte after white space.
    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), Unreadable> {
        if self.peek()? != wanted {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    /// Only white space may follow.
    pub(super) fn finish(&mut self) -> Result<(), Unreadable> {
        match self.peek() {
            Ok(_) => Err(Unreadable),
            Err(Unreadable) => Ok(()),
        }
    }

    /// Takes a string; its opening quote is next.
    pub(super) fn string(&mut self) -> Result<Quoted, Unreadable> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            while let Some(word) = self.text.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
                let stops = stops(u64::from_le_bytes(*word));
                if stops != 0 {
                    self.at += (stops.trailing_zeros() / 8) as usize;
                    break;
                }
                self.at += 8;
            }
            match self.byte().ok_or(Unreadable)? {
                b'"' => {
                    self.at += 1;
                    return Ok(Quoted { start, end: self.at - 1, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                0..0x20 => return Err(Unreadable),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unreadable> {
        match self.text.get(self.at + 1).ok_or(Unreadable)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.text.get(self.at + 2..self.at + 6).ok_or(Unreadable)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Unreadable);
                }
                self.at += 6;
            }
            _ => return Err(Unreadable),
        }
        Ok(())
    }

    /// Takes a key and its colon; the opening quote comes after white space.
    pub(super) fn key(&mut self) -> Result<Quoted, Unreadable> {
        if self.peek()? != b'"' {
            return Err(Unreadable);
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Takes a number, `true`, `false` or `null`; its first byte is next.
    pub(super) fn bare(&mut self, first: u8) -> Result<(), Unreadable> {
        match first {
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.number(first),
            _ => Err(Unreadable),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Unreadable> {
        if self.text.get(self.at..).is_none_or(|rest| !rest.starts_with(word)) {
            return Err(Unreadable);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), Unreadable> {
        if first == b'-' {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Unreadable) } else { Ok(()) }
    }

    /// Takes any value inside `nest` containers, counting how deep it goes, without recursion: a bit per open container
    /// says whether it is an object.
    pub(super) fn skip(&mut self, nest: u32) -> Result<(), Unreadable> {
        let (mut objects, mut open) = (0_u64, 0_u32);
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                bracket @ (b'{' | b'[') => {
                    if nest + open >= DEPTH_MAX {
                        return Err(Unreadable);
                    }
                    self.at += 1;
                    let object = bracket == b'{';
                    if self.peek()? != if object { b'}' } else { b']' } {
                        objects = (objects << 1) | u64::from(object);
                        open += 1;
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                    self.at += 1;
                }
                first => self.bare(first)?,
            }
            // A value has ended, and with it perhaps what holds it.
            loop {
                if open == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return Err(Unreadable),
                }
                self.at += 1;
                objects >>= 1;
                open -= 1;
            }
        }
    }
}

/// The text of a string's inside whose escapes were scanned. Half a surrogate pair becomes U+FFFD; [`is_text`] tells.
pub(super) fn unescape(inside: &str) -> Cow<'_, str> {
    let Some(first) = inside.find('\\') else { return Cow::Borrowed(inside) };
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    let mut next = Some(first);
    while let Some(at) = next {
        text.push_str(&rest[..at]);
        let (char, taken) = unescape_one(&rest[at..]);
        text.push(char.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = rest.get(at + taken..).unwrap_or_default();
        next = rest.find('\\');
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Whether a string's inside has no half of a surrogate pair.
pub(super) fn is_text(inside: &str) -> bool {
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        let (char, taken) = unescape_one(&rest[at..]);
        if char.is_none() {
            return false;
        }
        rest = rest.get(at + taken..).unwrap_or_default();
    }
    true
}

/// The character of the escape that a text begins with (`None`: half a surrogate pair), and the escape's length.
fn unescape_one(text: &str) -> (Option<char>, usize) {
    let char = match text.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(text),
        Some(other) => char::from(*other),
        None => return (None, 1),
    };
    (Some(char), 2)
}

fn unescape_unicode(text: &str) -> (Option<char>, usize) {
    let unit = |from: usize| text.get(from..from + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match unit(2) {
        Some(high @ 0xD800..=0xDBFF) => match unit(8) {
            Some(low @ 0xDC00..=0xDFFF) if text.get(6..8) == Some("\\u") => {
                (char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 12)
            }
            _ => (None, 6),
        },
        Some(unit) => (char::from_u32(unit), 6),
        None => (None, 6),
    }
}
