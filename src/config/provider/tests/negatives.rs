//! Which requests follow from an accepted one by one change, and what is each refused for?
//!
//! Everything is read off the definition: where the signature stands, in which grammar and encoding, whether a time
//! stands beside it, what it covers. A flip changes the decoded bytes, never only the case of a digit.

use http::Method;

use super::super::Built;
use super::sent::Sent;
use crate::verify::{Algorithm, Encoding, Grammar, Proof, Verified, VerifyError};

mod besides;
mod bound;
mod grammar;
mod signature;
mod time;
mod wherever;

use wherever::Where;

/// What becomes of a changed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Exactly this.
    Is(Result<(), VerifyError>),
    /// It is refused; which reason comes first depends on what the change hit.
    Refused,
}

impl Expected {
    pub(super) fn fits(self, found: Result<(), VerifyError>) -> bool {
        match self {
            Self::Is(expected) => found == expected,
            Self::Refused => found.is_err(),
        }
    }

    pub(super) const fn accepts(self) -> bool {
        matches!(self, Self::Is(Ok(())))
    }
}

impl From<Result<(), VerifyError>> for Expected {
    fn from(result: Result<(), VerifyError>) -> Self {
        Self::Is(result)
    }
}

const WRONG: Result<(), VerifyError> = Err(VerifyError::WrongSignature);
const MALFORMED: Result<(), VerifyError> = Err(VerifyError::MalformedSignature);

type Cases = Vec<(String, Sent, Expected)>;

/// Everything that follows from `sent`, which `built` accepts by one of its proofs.
pub(super) fn of(sent: &Sent, built: &Built, verified: Verified) -> Cases {
    let mut cases = besides::of(sent, built);
    let Some(proof) = built.verifier.proofs().get(usize::from(verified.proof())) else {
        assert!(built.verifier.proofs().is_empty() && !cases.is_empty(), "something was proven");
        return cases;
    };
    let mut maker =
        Maker { sent, proof, at: Where::of(proof, sent), url: built.verifier.needs_public_url(), cases: Vec::new() };
    maker.presence();
    maker.signature();
    maker.grammar();
    maker.body();
    maker.time();
    maker.covered();
    maker.url();
    maker.kind();
    maker.method(built);
    cases.append(&mut maker.cases);
    cases
}

struct Maker<'a> {
    sent: &'a Sent,
    proof: &'a Proof,
    at: Where,
    /// Whether the public URL is covered.
    url: bool,
    cases: Cases,
}

impl Maker<'_> {
    fn add(&mut self, change: impl Into<String>, expected: impl Into<Expected>, edit: impl FnOnce(&mut Sent)) {
        let mut sent = self.sent.clone();
        edit(&mut sent);
        self.cases.push((change.into(), sent, expected.into()));
    }

    /// The text of the signature replaced.
    fn with(&mut self, change: impl Into<String>, expected: impl Into<Expected>, text: &str) {
        let at = self.at.clone();
        self.add(change, expected, |sent| at.write(sent, text));
    }

    fn whole(&self) -> String {
        self.at.read(self.sent).expect("a vector has a signature")
    }

    /// The signatures in the text that count.
    fn signatures(&self) -> Vec<String> {
        let whole = self.whole();
        let after = |parts: &mut dyn Iterator<Item = &str>, wanted: &str| {
            parts.filter_map(|part| part.strip_prefix(wanted)).map(str::to_owned).collect()
        };
        match &self.proof.grammar {
            Grammar::Whole { prefix, .. } => vec![whole[prefix.len()..].to_owned()],
            Grammar::Pairs { separator, equals, key, group, .. } => {
                let ends = [char::from(*separator), char::from(group.unwrap_or(*separator))];
                after(&mut whole.split(ends), &format!("{key}{}", char::from(*equals)))
            }
            Grammar::Items { tag, .. } => after(&mut whole.split(' '), &format!("{tag},")),
            Grammar::List { separator, prefix } => after(&mut whole.split(char::from(*separator)), prefix),
            Grammar::Columns { separator } => whole.split(char::from(*separator)).skip(1).map(str::to_owned).collect(),
            Grammar::Named { separator, equals, name } => {
                after(&mut whole.split(char::from(*separator)), &format!("{name}{}", char::from(*equals)))
            }
        }
    }

    /// The text with every signature in it changed.
    fn edited(&self, edit: &dyn Fn(&str) -> String) -> String {
        self.signatures().iter().fold(self.whole(), |text, signature| text.replace(signature, &edit(signature)))
    }

    /// A signature of the right form that is not right.
    fn zeros(&self) -> String {
        let length = decoded(self.proof.encoding, &self.signatures()[0]).len();
        self.proof.encoding.encode(&vec![0; length])
    }

    fn shows_token(&self) -> bool {
        self.proof.algorithm == Algorithm::Equal
    }

    /// Whether the body must be taken apart to find the signature, the time, or what is covered.
    fn reads_body(&self) -> bool {
        self.at.in_body() || self.time_in_body() || self.proof.signs.places().any(wherever::in_body)
    }

    fn body(&mut self) {
        if self.proof.each.is_some() || (self.reads_body() && !self.proof.binds_body()) {
            return self.fields();
        }
        for at in 0..self.sent.body.len() {
            let bit = at % 8;
            self.bound(format!("bit {bit} of byte {at} of the body is flipped"), |body| body[at] ^= 1 << bit);
        }
        // A body that is the signature itself ends where its text does.
        let (before, after) = if matches!(self.at, Where::Body) { (b'x', b'x') } else { (b' ', b'\n') };
        self.bound("a byte follows the body", |body| body.push(after));
        self.bound("a byte stands before the body", |body| body.insert(0, before));
        if !self.sent.body.is_empty() {
            self.bound("the body is a byte short", |body| body.truncate(body.len() - 1));
            self.bound("the body is empty", Vec::clear);
        }
    }

    fn method(&mut self, built: &Built) {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            if !built.methods.contains(&method) {
                self.add(format!("by {method}"), Err(VerifyError::Method), |sent| sent.method = method.clone());
            }
        }
    }
}

fn decoded(encoding: Encoding, text: &str) -> Vec<u8> {
    let mut space = [0; 1024];
    encoding.decode(text.as_bytes(), &mut space).expect("a vector is well-formed").to_vec()
}

fn flip(bytes: &[u8], at: usize, bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << bit;
    bytes
}

fn flip_text(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).expect("ASCII for ASCII")
}
