//! A request that somebody sends to a source.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::super::Built;
use crate::clock::Timestamp;
use crate::select::Request;
use crate::snapshot::{Entry, Pattern, Router};
use crate::verify::{CannotSign, Verdict, Verified, VerifyError};

/// A request that somebody sends.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: Method,
    /// The path of the source, with captures.
    pub(super) pattern: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) public_url: Option<String>,
    pub(super) caller: Option<IpAddr>,
    pub(super) now: Timestamp,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            method: Method::POST,
            pattern: "/in".to_owned(),
            path: "/in".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            public_url: Some("https://hooks.example.com".to_owned()),
            caller: None,
            now: Timestamp::from_secs(1_790_000_000),
        }
    }
}

impl Sent {
    fn by<T>(&self, with: impl FnOnce(&Request<'_>) -> T) -> T {
        let pattern = Pattern::parse(&self.pattern).expect("the test's own pattern");
        let router = Router::build(&[Entry { host: None, pattern, to: () }]).expect("one source");
        let found = router.find("hooks.example.com", &self.path).expect("the path is the source's");
        with(&Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            captures: &found.captures,
            public_url: self.public_url.as_deref(),
        })
    }

    pub(super) fn verdict(&self, built: &Built) -> Result<Verdict, VerifyError> {
        self.by(|request| built.verifier.verify(request, self.caller, self.now))
    }

    pub(super) fn proven(&self, built: &Built) -> Result<Verified, VerifyError> {
        match self.verdict(built)? {
            Verdict::Proven(verified) => Ok(verified),
            Verdict::Challenge(challenge) => panic!("an event was answered as a challenge: {challenge:?}"),
        }
    }

    /// The same, signed by the definition.
    pub(super) fn signed(&self, built: &Built) -> Result<Self, CannotSign> {
        let mut sent = self.clone();
        for (name, token) in built.verifier.path_tokens() {
            let token = str::from_utf8(token.expose()).expect("the test's own token");
            sent.path = sent.pattern.replace(&format!("{{{name}}}"), token);
        }
        let made = sent.by(|request| built.verifier.sign(request, sent.now))?;
        sent.query = made.query;
        sent.headers.extend(made.headers.into_iter().map(|(name, value)| (Some(name), value)));
        Ok(sent)
    }

    pub(super) fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).expect("the vector has the header").to_str().expect("it is text")
    }

    pub(super) fn set(&mut self, name: &HeaderName, text: &str) {
        self.headers.insert(name, HeaderValue::from_str(text).expect("it is a header value"));
    }
}
