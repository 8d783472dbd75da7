//! Which source is meant by a host and a path?
//!
//! Promises: a literal segment wins over a capture and a capture over the rest; a source that names a host wins over
//! one that does not; two sources that would answer the same request are refused when the router is built. A path that
//! climbs (a segment `.` or `..`, percent-encoded or behind a backslash too) finds nothing, so that what stands below a
//! source can be put behind a destination's path without leaving it.
//!
//! Must not know: what a source is.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::select::Captures;

/// The name under which what the trailing `*` stands for is kept; no capture can be called that.
const REST: &str = ".";

/// A source's path: literal segments, whole-segment captures `{name}`, and at its end perhaps `/*` for everything
/// below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    captures: Arc<[Box<str>]>,
    below: bool,
}

impl Pattern {
    /// Reads a pattern as the configuration writes it, for example `/hooks/{token}/*`.
    ///
    /// # Errors
    /// [`PatternError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(segments) = text.strip_prefix('/') else { return Err(PatternError::NoSlash) };
        let mut captures: Vec<Box<str>> = Vec::new();
        let mut below = false;
        for segment in segments.split('/') {
            if below {
                return Err(PatternError::StarNotLast);
            }
            if segment == "*" {
                below = true;
            } else if let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                    return Err(PatternError::Name(name.into()));
                }
                if captures.iter().any(|known| **known == *name) {
                    return Err(PatternError::Twice(name.into()));
                }
                if captures.len() == Captures::MAX {
                    return Err(PatternError::TooMany);
                }
                captures.push(name.into());
            } else if segment.contains('*') {
                return Err(PatternError::StarNotLast);
            } else if let Some(odd) = segment.chars().find(|c| !c.is_ascii_graphic() || "{}?#\\\"<>`^|".contains(*c)) {
                return Err(PatternError::Character(odd));
            }
        }
        if climbs(text) {
            return Err(PatternError::Climbs);
        }
        Ok(Self { text: text.into(), captures: captures.into(), below })
    }

    /// The names of the captures, in the order of the path.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.captures.iter().map(|name| &**name)
    }

    /// Whether everything below is meant too (`/*` at the end).
    #[must_use]
    pub const fn takes_below(&self) -> bool {
        self.below
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is wrong with a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// It does not begin with `/`.
    NoSlash,
    /// A `*` stands elsewhere than alone in the last segment.
    StarNotLast,
    /// A capture's name is empty or holds more than letters, digits, `-` and `_`.
    Name(Box<str>),
    /// Two captures have the same name.
    Twice(Box<str>),
    /// There are more than [`Captures::MAX`] captures.
    TooMany,
    /// A character that no path can hold, or a brace that is no whole-segment capture.
    Character(char),
    /// A segment `.` or `..`, which no request can reach.
    Climbs,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash => f.write_str("a path begins with `/`"),
            Self::StarNotLast => f.write_str("`*` may only stand alone as the last segment"),
            Self::Name(name) => write!(f, "`{{{name}}}` is no capture: letters, digits, `-` and `_` make a name"),
            Self::Twice(name) => write!(f, "`{{{name}}}` is captured twice"),
            Self::TooMany => write!(f, "a path has at most {} captures", Captures::MAX),
            Self::Character(odd) => write!(f, "{odd:?} cannot stand here; a capture fills its whole segment"),
            Self::Climbs => f.write_str("a segment `.` or `..` matches no request"),
        }
    }
}

impl std::error::Error for PatternError {}

/// A pattern that means the same requests as one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The place of its [`Entry`] in the list.
    pub entry: usize,
    /// The pattern that was there before, as the router writes it.
    pub by: Box<str>,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the path means the same requests as `{}`", self.by)
    }
}

impl std::error::Error for Taken {}

/// One row of a [`Router`].
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Only for requests to this host; none = to any.
    pub host: Option<Box<str>>,
    /// Which paths.
    pub pattern: Pattern,
    /// What they mean.
    pub to: T,
}

/// What the hosts and paths of one listener mean.
#[derive(Debug)]
pub struct Router<T> {
    any: Paths<T>,
    hosts: HashMap<Box<str>, Paths<T>>,
}

type Paths<T> = matchit::Router<Place<T>>;

#[derive(Clone, Debug)]
struct Place<T> {
    to: T,
    names: Arc<[Box<str>]>,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self { any: Paths::new(), hosts: HashMap::new() }
    }
}

impl<T: Clone> Router<T> {
    /// Builds the table.
    ///
    /// # Errors
    /// Every [`Taken`] there is; the first of two entries keeps its place.
    pub fn build(entries: &[Entry<T>]) -> Result<Self, Vec<Taken>> {
        let mut router = Self::default();
        let mut taken = Vec::new();
        for (entry, Entry { host, pattern, to }) in entries.iter().enumerate() {
            let route = match pattern.text.strip_suffix('*') {
                Some(above) if pattern.below => format!("{above}{{*{REST}}}"),
                _ => pattern.text.to_string(),
            };
            let place = Place { to: to.clone(), names: Arc::clone(&pattern.captures) };
            if let Err(error) = router.paths_of(host.as_deref()).insert(route, place) {
                taken.push(Taken { entry, by: with(&error) });
            }
        }
        // `/a/*` means `/a/` and `/a` too, where no other entry says that this is its own path.
        for Entry { host, pattern, to } in entries.iter().filter(|entry| entry.pattern.below) {
            let place = Place { to: to.clone(), names: Arc::clone(&pattern.captures) };
            let above = pattern.text.strip_suffix('*').unwrap_or(&pattern.text);
            for alias in [above, above.strip_suffix('/').unwrap_or_default()] {
                if !alias.is_empty() {
                    drop(router.paths_of(host.as_deref()).insert(alias, place.clone()));
                }
            }
        }
        if taken.is_empty() { Ok(router) } else { Err(taken) }
    }

    fn paths_of(&mut self, host: Option<&str>) -> &mut Paths<T> {
        match host {
            Some(host) => self.hosts.entry(host.to_ascii_lowercase().into()).or_default(),
            None => &mut self.any,
        }
    }
}

impl<T> Router<T> {
    /// Finds what a host (any case, with or without port) and a raw path mean.
    #[must_use]
    pub fn find<'s, 'p>(&'s self, host: &str, path: &'p str) -> Option<Found<'s, 'p, T>> {
        if climbs(path) {
            return None;
        }
        let own = if self.hosts.is_empty() { None } else { self.paths(host) };
        let found = own.and_then(|paths| paths.at(path).ok()).or_else(|| self.any.at(path).ok())?;
        let mut captures = Captures::new(&found.value.names);
        let mut rest = "";
        for (name, value) in found.params.iter() {
            if name == REST {
                rest = value;
                continue;
            }
            let start = value.as_ptr().addr().wrapping_sub(path.as_ptr().addr());
            let room = captures.push(start..start + value.len());
            debug_assert!(room, "a pattern has no more captures than there is room for");
        }
        Some(Found { to: &found.value.to, rest, captures })
    }

    fn paths(&self, host: &str) -> Option<&Paths<T>> {
        let name = without_port(host);
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            return self.hosts.get(name.to_ascii_lowercase().as_str());
        }
        self.hosts.get(name)
    }
}

/// What a request is meant for, and what the pattern cut out of its path.
#[derive(Debug)]
pub struct Found<'s, 'p, T> {
    /// What the router was built with.
    pub to: &'s T,
    /// What stands where the pattern has its `*`, raw and without a leading slash; empty where it has none.
    pub rest: &'p str,
    /// The captures, as ranges of the path.
    pub captures: Captures,
}

/// The route that was there before. A pattern that was parsed gives no other error than a conflict.
fn with(error: &matchit::InsertError) -> Box<str> {
    match error {
        matchit::InsertError::Conflict { with } => with.as_str().into(),
        other => other.to_string().into(),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a path holds a segment `.` or `..`, in any way that a destination might read as one: encoded, encoded more
/// than once, or with parameters behind a `;`.
fn climbs(path: &str) -> bool {
    let mut rest = path.as_bytes();
    let (mut dots, mut other, mut parameters) = (0_u32, false, false);
    while let Some((byte, after)) = decoded(rest) {
        match byte {
            b'/' | b'\\' => {
                if !other && (dots == 1 || dots == 2) {
                    return true;
                }
                (dots, other, parameters) = (0, false, false);
            }
            b';' => parameters = true,
            _ if parameters => {}
            b'.' => dots += 1,
            _ => other = true,
        }
        rest = after;
    }
    !other && (dots == 1 || dots == 2)
}

/// The first character of a path, where it is one of those that matter here also if it is encoded, and what follows it.
fn decoded(path: &[u8]) -> Option<(u8, &[u8])> {
    let (first, tail) = path.split_first()?;
    if *first != b'%' {
        return Some((*first, tail));
    }
    let mut code = tail;
    while let Some(again) = code.strip_prefix(b"25") {
        code = again;
    }
    Some(match code {
        [high, low, after @ ..] => match [*high, low.to_ascii_lowercase()] {
            [b'2', b'e'] => (b'.', after),
            [b'2', b'f'] | [b'5', b'c'] => (b'/', after),
            [b'3', b'b'] => (b';', after),
            _ => (b'%', code),
        },
        _ => (b'%', code),
    })
}

/// Panics, for a fuzzer or a test to see, where a path breaks a promise of [`Router::find`].
#[cfg(any(test, fuzzing))]
pub fn holds(path: &str) {
    let entry = Entry { host: None, pattern: Pattern::parse("/a/{b}/*").expect("a pattern"), to: () };
    let router = Router::build(&[entry]).expect("one entry takes nobody's place");
    let Some(found) = router.find("host", path) else { return };
    let mut decoded = found.rest.to_ascii_lowercase();
    while decoded.contains("%25") {
        decoded = decoded.replace("%25", "%");
    }
    let decoded = decoded.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace("%3b", ";");
    let mut segments = decoded.split(['/', '\\']).map(|segment| segment.split(';').next().unwrap_or_default());
    assert!(!segments.any(|segment| segment == "." || segment == ".."), "{path:?} climbs");
    let b = found.captures.value("b", path).expect("the capture is there");
    assert!(!b.is_empty() && !b.contains('/') && path.contains(b), "{path:?} captures {b:?}");
    assert!(path.ends_with(found.rest), "{path:?} does not end with {:?}", found.rest);
}
