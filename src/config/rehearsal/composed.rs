//! What would the provider send?
//!
//! Promises: what is composed is what [`rehearse`](super::rehearse) and the running house take for proven, as far as a
//! caller's address is no part of the proof; nothing is composed that only the provider could sign.
//!
//! Must not know: how the request is sent.

use std::fmt;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;

use super::{Asked, entries, usual_host};
use crate::clock::Timestamp;
use crate::config::{Config, Source};
use crate::select;
use crate::snapshot::Router;
use crate::verify::{CannotSign, Signed};

/// What to compose for a source. What is not said is taken from the source, and from its provider file's sample.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The source.
    pub source: &'a Source,
    /// The place in [`Config::listeners`] of the listener; `None` for the source's first.
    pub listener: Option<usize>,
    /// The method; `None` for one that events come with.
    pub method: Option<Method>,
    /// What stands for the `*` of the source's path, raw.
    pub rest: &'a str,
    /// Values of captures of the path, raw; those that prove the request are known without.
    pub captures: &'a [(String, String)],
    /// The query, raw, without what the scheme adds to it.
    pub query: &'a str,
    /// Headers; they win over those of the sample.
    pub headers: HeaderMap,
    /// The body; `None` for that of the sample.
    pub body: Option<Vec<u8>>,
    /// Whether what proves it is to be wrong in one character.
    pub forged: bool,
}

impl<'a> Wanted<'a> {
    /// A sample for this source.
    #[must_use]
    pub fn sample(source: &'a Source) -> Self {
        let (rest, query, captures, headers) = ("", "", &[][..], HeaderMap::new());
        Self { source, listener: None, method: None, rest, captures, query, headers, body: None, forged: false }
    }
}

/// Why a request cannot be composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotCompose {
    /// The source does not come in by that listener.
    Listener,
    /// Something follows the path, and the path takes nothing below.
    Below,
    /// There is no such capture.
    Capture(String),
    /// Path and query are none that a request can have.
    Target,
    /// Another source, or none, has this path.
    Elsewhere(Option<String>),
    /// Nothing of it proves it, so nothing can be forged.
    NothingToForge,
    /// The request cannot be signed.
    Sign(CannotSign),
}

impl fmt::Display for CannotCompose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener => f.write_str("the source does not come in by that listener"),
            Self::Below => f.write_str("the source's path does not end in `*`, so nothing can stand below it"),
            Self::Capture(name) => write!(f, "the source's path has no capture `{{{name}}}`"),
            Self::Target => f.write_str("no request has this path and query; write `%20` for a blank"),
            Self::Elsewhere(Some(other)) => write!(f, "this path is one of source `{other}`"),
            Self::Elsewhere(None) => f.write_str("no source has this path"),
            Self::NothingToForge => f.write_str("nothing proves the requests of this source, so none can be forged"),
            Self::Sign(CannotSign::Asymmetric) => f.write_str(
                "only the provider can sign for this source: the configuration has the public key, and what signs is the \
                 private one; to try it out, give the source a key pair of your own, or ask `check --explain`",
            ),
            Self::Sign(error) => write!(f, "this source's requests cannot be made up: {error}"),
        }
    }
}

impl std::error::Error for CannotCompose {}

/// Composes a request as of `now`, which asks to be proven then.
///
/// # Errors
///
/// What of it means nothing, or that only the provider could sign it.
pub fn compose(config: &Config, wanted: &Wanted<'_>, now: Timestamp) -> Result<Asked, CannotCompose> {
    let source = wanted.source;
    let listener = wanted.listener.or_else(|| source.on.first().copied()).ok_or(CannotCompose::Listener)?;
    let known = config.listeners.get(listener).filter(|_| source.on.contains(&listener));
    let known = known.ok_or(CannotCompose::Listener)?;
    let host = usual_host(known, Some(source));
    let mut path = path(wanted)?;
    let (headers, body) = said(wanted, now);
    let method = wanted.method.clone().unwrap_or_else(|| usual_method(source));
    let router = Router::build(&entries(config, listener)).map_err(|_| CannotCompose::Elsewhere(None))?;
    let found = router.find(&host, &path).ok_or(CannotCompose::Elsewhere(None))?;
    let other = config.sources.get(*found.to).filter(|other| other.name != source.name);
    if let Some(other) = other {
        return Err(CannotCompose::Elsewhere(Some(other.name.to_string())));
    }
    let request = select::Request {
        method: &method,
        path: &path,
        query: wanted.query,
        headers: &headers,
        body: &body,
        captures: &found.captures,
        public_url: known.public_url.as_deref(),
    };
    let mut signed = source.built.verifier.sign(&request, now).map_err(CannotCompose::Sign)?;
    if wanted.forged {
        forge(source, wanted.query, &mut signed, &mut path)?;
    }
    let whole = if signed.query.is_empty() { path.clone() } else { format!("{path}?{}", signed.query) };
    let target = PathAndQuery::try_from(whole.as_str()).ok().filter(|read| read.as_str() == whole);
    let target = target.ok_or(CannotCompose::Target)?;
    let mut all = headers;
    for (name, value) in signed.headers {
        all.insert(name, value);
    }
    Ok(Asked { listener, host, method, target, headers: all, body, client: None, proven_at: Some(now) })
}

/// The source's path with its tokens.
fn path(wanted: &Wanted<'_>) -> Result<String, CannotCompose> {
    let pattern = &wanted.source.path;
    if !wanted.rest.is_empty() && !pattern.takes_below() {
        return Err(CannotCompose::Below);
    }
    if let Some((name, _)) = wanted.captures.iter().find(|(name, _)| !pattern.captures().any(|known| known == name)) {
        return Err(CannotCompose::Capture(name.clone()));
    }
    let tokens = wanted.source.built.verifier.path_tokens();
    let mut path = String::new();
    let above = pattern.as_str().strip_suffix('*').filter(|_| pattern.takes_below()).unwrap_or(pattern.as_str());
    for (at, segment) in above.split('/').enumerate() {
        if at > 0 {
            path.push('/');
        }
        let Some(name) = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else {
            path.push_str(segment);
            continue;
        };
        let said = wanted.captures.iter().find(|(known, _)| known == name);
        let token = tokens.iter().find(|(known, _)| *known == name);
        match (said, token) {
            (Some((_, value)), _) => path.push_str(value),
            (None, Some((_, secret))) => path.push_str(&percent(secret.expose())),
            (None, None) => path.push_str(name),
        }
    }
    path.push_str(wanted.rest.strip_prefix('/').unwrap_or(wanted.rest));
    Ok(path)
}

/// Changes the last character of what proves a request: of the last header that was added, of the query, or of the token
/// in the path.
fn forge(source: &Source, query: &str, signed: &mut Signed, path: &mut String) -> Result<(), CannotCompose> {
    if let Some((_, value)) = signed.headers.last_mut() {
        let text = forged(value.to_str().unwrap_or_default());
        *value = HeaderValue::from_str(&text).map_err(|_| CannotCompose::Target)?;
        return Ok(());
    }
    if signed.query != query {
        signed.query = forged(&signed.query);
        return Ok(());
    }
    let tokens = source.built.verifier.path_tokens();
    let token = tokens.first().map(|(_, secret)| percent(secret.expose())).ok_or(CannotCompose::NothingToForge)?;
    *path = path.replacen(&token, &forged(&token), 1);
    Ok(())
}

/// What proves a request, with its last character changed.
#[must_use]
pub fn forged(text: &str) -> String {
    let mut text = text.to_owned();
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
    text
}

/// Bytes as they stand in a segment of a path.
#[must_use]
pub fn percent(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Headers and body: what was said, and of the sample what was not.
fn said(wanted: &Wanted<'_>, now: Timestamp) -> (HeaderMap, Vec<u8>) {
    let (mut headers, sample) = wanted.source.built.facts.sample.fill(now);
    let body = match &wanted.body {
        None => sample,
        Some(body) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(body)));
            body.clone()
        }
    };
    for name in wanted.headers.keys() {
        headers.remove(name);
    }
    headers.extend(wanted.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    (headers, body)
}

/// What a body looks like.
fn kind(body: &[u8]) -> &'static str {
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => "application/json",
        _ if body.contains(&b'=') && !body.iter().any(u8::is_ascii_whitespace) => "application/x-www-form-urlencoded",
        _ => "text/plain",
    }
}

/// POST, where events come so.
fn usual_method(source: &Source) -> Method {
    let methods = &source.rules.methods;
    match methods.first() {
        Some(first) if !methods.contains(&Method::POST) => first.clone(),
        _ => Method::POST,
    }
}

#[cfg(test)]
mod tests;
