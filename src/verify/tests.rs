//! The room as a whole: schemes, refusals, challenges, tokens.

mod besides;
mod challenges;
mod refusals;
mod schemes;
mod tokens;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::secret::Secret;
use crate::select::Captures;

/// The arrival of every request here, in seconds.
const NOW: u64 = 1_790_000_000;

/// A request, owned.
#[derive(Clone, Debug)]
struct Call {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
    url: Option<&'static str>,
    caller: Option<IpAddr>,
    now: u64,
}

impl Call {
    fn new(body: &str) -> Self {
        Self {
            method: Method::POST,
            path: "/in".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            url: Some("https://hooks.example.com"),
            caller: None,
            now: NOW,
        }
    }

    fn get(query: &str) -> Self {
        Self { method: Method::GET, query: query.to_owned(), ..Self::new("") }
    }

    fn header(mut self, name: &'static str, text: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(text.as_bytes()).expect("a value"));
        self
    }

    fn query(self, query: &str) -> Self {
        Self { query: query.to_owned(), ..self }
    }

    fn by<T>(&self, with: impl FnOnce(&Request<'_>, Timestamp) -> T) -> T {
        let captures = Captures::default();
        let request = Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            captures: &captures,
            public_url: self.url,
        };
        with(&request, Timestamp::from_secs(self.now))
    }

    fn to(&self, verifier: &Verifier) -> Result<Verdict, VerifyError> {
        self.by(|request, now| verifier.verify(request, self.caller, now))
    }

    fn signed(&self, verifier: &Verifier) -> Self {
        let made = self.by(|request, now| verifier.sign(request, now)).expect("it can be signed");
        let mut call = Self { query: made.query, ..self.clone() };
        call.headers.extend(made.headers);
        call
    }
}

/// Whether it was proven, or why not.
fn proven(verdict: Result<Verdict, VerifyError>) -> Result<(), VerifyError> {
    match verdict? {
        Verdict::Proven(_) => Ok(()),
        Verdict::Challenge(challenge) => panic!("answered as a challenge: {challenge:?}"),
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn key(algorithm: Algorithm, form: &str, text: &str) -> Key {
    Key::new(algorithm, Form::named(form).expect("a form"), &secret(text)).expect("a key")
}

fn template(text: &str) -> Template {
    Template::parse(text, &|_| None).expect("a template")
}

fn place(text: &str) -> At {
    crate::select::Place::parse(text).expect("a place").into()
}

/// An HMAC-SHA-256 in hex in `x-sig` with the key `k`.
fn simple() -> Proof {
    let keys = vec![key(Algorithm::Hmac(Hash::Sha256), "utf8", "k")];
    Proof::simple(HeaderName::from_static("x-sig"), "", keys)
}

/// The same for another algorithm, with a key of this form.
fn with(algorithm: &str, encoding: &str, form: &str, text: &str) -> Proof {
    let algorithm = Algorithm::named(algorithm).expect("an algorithm");
    let signs = if algorithm.signs_text() { Template::body() } else { template("") };
    let encoding = Encoding::named(encoding).expect("an encoding");
    Proof { algorithm, encoding, signs, keys: vec![key(algorithm, form, text)], ..simple() }
}

fn verifier(proof: Proof) -> Verifier {
    several(vec![proof], false)
}

fn several(proofs: Vec<Proof>, all: bool) -> Verifier {
    let methods = vec![Method::POST];
    Verifier::new(Plan { methods, proofs, all, ..Plan::default() }).expect("a plan that makes sense")
}

fn challenging(proof: Proof, challenges: Vec<Rule>) -> Verifier {
    let plan = Plan { methods: vec![Method::POST], proofs: vec![proof], challenges, ..Plan::default() };
    Verifier::new(plan).expect("a plan that makes sense")
}
