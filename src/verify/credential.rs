//! What proved this request by being shown, and so must not be shown to anybody else?
//!
//! Promises: a token that was compared, wherever it stood in the head, is named here; a signature over the body is not,
//! because it opens nothing else and a destination may want to check it again.
//!
//! Must not know: who removes it (the head that is stored and forwarded leaves it out).

use http::HeaderName;

/// The places of the head whose values must be neither stored nor forwarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    headers: Vec<HeaderName>,
    /// Beginnings of names of headers, in lower case.
    families: Vec<Box<str>>,
    query: Vec<Box<str>>,
    captures: Vec<Box<str>>,
    in_body: bool,
}

impl Credential {
    /// Nothing has to be removed.
    pub const NONE: Self =
        Self { headers: Vec::new(), families: Vec::new(), query: Vec::new(), captures: Vec::new(), in_body: false };

    /// The headers to leave out, in the order of the definition.
    #[must_use]
    pub fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// The decoded names of the query parameters to leave out.
    #[must_use]
    pub fn query(&self) -> &[Box<str>] {
        &self.query
    }

    /// The names of the path captures to leave out.
    #[must_use]
    pub fn captures(&self) -> &[Box<str>] {
        &self.captures
    }

    /// Whether a token stands in the body, where it cannot be removed: bytes in are bytes out.
    #[must_use]
    pub const fn in_body(&self) -> bool {
        self.in_body
    }

    /// Whether this header is left out.
    #[must_use]
    pub fn has_header(&self, name: &HeaderName) -> bool {
        self.headers.contains(name) || self.families.iter().any(|family| name.as_str().starts_with(&**family))
    }

    /// Whether the query parameter of this decoded name is left out.
    #[must_use]
    pub fn has_query(&self, name: &str) -> bool {
        self.query.iter().any(|hidden| &**hidden == name)
    }

    /// Whether nothing at all is left out of the head.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.headers.is_empty() && self.families.is_empty() && self.query.is_empty() && self.captures.is_empty()
    }

    /// Leaves this header out, too.
    pub fn add_header(&mut self, name: HeaderName) {
        if !self.headers.contains(&name) {
            self.headers.push(name);
        }
    }

    /// Leaves every header out whose name begins so, too.
    pub fn add_family(&mut self, beginning: &str) {
        if !self.families.iter().any(|known| **known == *beginning) {
            self.families.push(beginning.into());
        }
    }

    /// Leaves the query parameter of this decoded name out, too.
    pub fn add_query(&mut self, name: &str) {
        if !self.has_query(name) {
            self.query.push(name.into());
        }
    }

    /// Leaves the path capture of this name out, too.
    pub fn add_capture(&mut self, name: &str) {
        if !self.captures.iter().any(|hidden| &**hidden == name) {
            self.captures.push(name.into());
        }
    }

    /// Remembers that a token stands in the body.
    pub(super) fn note_body(&mut self) {
        self.in_body = true;
    }
}
