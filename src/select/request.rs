//! What do the rooms see of one request?
//!
//! Promises: everything is borrowed and raw, as received.
//!
//! Must not know: sockets, connections, or which source the request is for.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use http::{HeaderMap, Method};

/// One request, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole path, raw as received.
    pub path: &'a str,
    /// The query, raw as received, without the question mark; empty where there is none.
    pub query: &'a str,
    /// The header, in the order received.
    pub headers: &'a HeaderMap,
    /// The body, whole.
    pub body: &'a [u8],
    /// What the source's path pattern cut out of `path`.
    pub captures: &'a Captures,
    /// `scheme://host[:port]` as the provider was given it, for schemes that sign the URL.
    pub public_url: Option<&'a str>,
}

/// The values that a path pattern such as `/hook/{token}/*` cuts out of a path. Holds no text: names are shared with
/// the pattern, values are ranges of the path.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    names: Option<Arc<[Box<str>]>>,
    ranges: [(u32, u32); Self::MAX],
    len: u8,
}

impl Captures {
    /// Most captures one pattern can have.
    pub const MAX: usize = 6;

    /// No captures yet; `names` are those of the pattern, in its order.
    #[must_use]
    pub fn new(names: &Arc<[Box<str>]>) -> Self {
        Self { names: Some(Arc::clone(names)), ..Self::default() }
    }

    /// Adds the value of the next name: a byte range of the path. Returns whether there was room and a name for it.
    #[must_use]
    pub fn push(&mut self, range: Range<usize>) -> bool {
        let named = self.names.as_ref().is_some_and(|names| names.len() > usize::from(self.len));
        let (Ok(start), Ok(end)) = (u32::try_from(range.start), u32::try_from(range.end)) else { return false };
        match self.ranges.get_mut(usize::from(self.len)) {
            Some(slot) if named => {
                *slot = (start, end);
                self.len += 1;
                true
            }
            _ => false,
        }
    }

    /// The raw value of a capture, cut out of the path that was matched.
    #[must_use]
    pub fn value<'a>(&self, name: &str, path: &'a str) -> Option<&'a str> {
        let at = self.names.as_ref()?.iter().position(|known| **known == *name)?;
        let (start, end) = self.ranges.get(..usize::from(self.len))?.get(at)?;
        path.get(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
    }

    /// Names and raw values, in the order of the pattern.
    pub fn iter<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let names = self.names.as_deref().unwrap_or_default();
        names.iter().zip(self.ranges()).filter_map(|(name, range)| Some((&**name, path.get(range)?)))
    }

    /// The byte ranges of the path, in the order of the pattern.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let taken = self.ranges.get(..usize::from(self.len)).unwrap_or_default();
        taken.iter().map(|(start, end)| *start as usize..*end as usize)
    }
}

/// The body is not what the selector needs it to be: no JSON, nested too deeply, or the value there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("read the request where a value was expected")
    }
}

impl Error for Unreadable {}
