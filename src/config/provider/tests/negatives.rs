//! Which requests follow from an accepted one by one change, and what is each refused for?
//!
//! Everything is read off the definition: which header carries the signature, in which grammar and encoding, whether a
//! time stands beside it, what it covers. A flip changes the decoded bytes, never only the case of a digit.

use std::time::Duration;

use http::{HeaderName, Method};

use super::super::Built;
use super::sent::Sent;
use crate::select::Place;
use crate::verify::{Algorithm, Encoding, Grammar, Proof, SignatureAt, TimeAt, Verified, VerifyError};

mod besides;
mod bound;

type Cases = Vec<(String, Sent, Result<(), VerifyError>)>;

/// Everything that follows from `sent`, which `built` accepts by one of its proofs.
pub(super) fn of(sent: &Sent, built: &Built, verified: Verified) -> Cases {
    let mut cases = besides::of(sent, built);
    let Some(proof) = built.verifier.proofs().get(usize::from(verified.proof())) else {
        assert!(built.verifier.proofs().is_empty() && !cases.is_empty(), "something was proven");
        return cases;
    };
    let SignatureAt::Headers { names, lines: false } = &proof.at else { panic!("the generator knows single headers") };
    let [name] = names.as_slice() else { panic!("the generator knows single headers") };
    let mut maker = Maker { sent, proof, name, cases: Vec::new() };
    maker.header();
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
    name: &'a HeaderName,
    cases: Cases,
}

impl Maker<'_> {
    fn add(&mut self, change: impl Into<String>, expected: Result<(), VerifyError>, edit: impl FnOnce(&mut Sent)) {
        let mut sent = self.sent.clone();
        edit(&mut sent);
        self.cases.push((change.into(), sent, expected));
    }

    /// The header with its text replaced.
    fn with(&mut self, change: impl Into<String>, expected: Result<(), VerifyError>, text: &str) {
        let name = self.name.clone();
        self.add(change, expected, |sent| sent.set(&name, text));
    }

    fn whole(&self) -> String {
        self.sent.header(self.name).to_owned()
    }

    /// The signatures in the header that count, as text.
    fn signatures(&self) -> Vec<String> {
        let whole = self.whole();
        match &self.proof.grammar {
            Grammar::Whole { prefix, .. } => vec![whole[prefix.len()..].to_owned()],
            Grammar::Pairs { key, .. } => {
                let wanted = format!("{key}=");
                whole.split(',').filter_map(|pair| pair.strip_prefix(&wanted)).map(str::to_owned).collect()
            }
            Grammar::Items { tag, .. } => {
                let wanted = format!("{tag},");
                whole.split(' ').filter_map(|item| item.strip_prefix(&wanted)).map(str::to_owned).collect()
            }
            other => panic!("the generator does not know {other:?} yet"),
        }
    }

    /// The header with every signature in it changed.
    fn edited(&self, edit: &dyn Fn(&str) -> String) -> String {
        self.signatures().iter().fold(self.whole(), |text, signature| text.replace(signature, &edit(signature)))
    }

    fn header(&mut self) {
        let (name, whole) = (self.name.clone(), self.whole());
        self.add("the header is dropped", Err(VerifyError::MissingSignature), |sent| {
            sent.headers.remove(&name);
        });
        self.add("the header stands twice", Err(VerifyError::RepeatedSignature), |sent| {
            sent.headers.append(&name, whole.parse().expect("it was one"));
        });
        self.add("another one stands before it", Err(VerifyError::RepeatedSignature), |sent| {
            sent.set(&name, "x");
            sent.headers.append(&name, whole.parse().expect("it was one"));
        });
        self.with("the header is empty", Err(VerifyError::EmptySignature), "");
        self.with(
            "the header is too long",
            Err(VerifyError::OversizedSignature),
            &whole.repeat(8192 / whole.len() + 1),
        );
        let bytes = "\u{e9}".repeat(20);
        let expected = match self.proof.grammar {
            Grammar::Pairs { .. } => VerifyError::MissingSignature,
            Grammar::Items { .. } => VerifyError::MalformedSignature,
            _ if self.unprefixed() => VerifyError::WrongSignature,
            _ => VerifyError::MalformedSignature,
        };
        self.add("the header is no ASCII", Err(expected), |sent| {
            sent.headers.insert(&name, http::HeaderValue::from_bytes(bytes.as_bytes()).expect("opaque bytes"));
        });
    }

    fn shows_token(&self) -> bool {
        self.proof.algorithm == Algorithm::Equal
    }

    fn unprefixed(&self) -> bool {
        matches!(&self.proof.grammar, Grammar::Whole { prefix, .. } if prefix.is_empty()) && self.shows_token()
    }

    /// What a text of the wrong form is refused for.
    fn misshapen(&self) -> Result<(), VerifyError> {
        Err(if self.shows_token() { VerifyError::WrongSignature } else { VerifyError::MalformedSignature })
    }

    fn signature(&mut self) {
        let encoding = self.proof.encoding;
        let first = self.signatures().first().cloned().expect("a vector has a signature");
        if self.shows_token() {
            for at in 0..first.len() {
                let flipped = self.edited(&|token| flip_text(token, at));
                self.with(
                    format!("character {at} of the token is another"),
                    Err(VerifyError::WrongSignature),
                    &flipped,
                );
            }
            let longer = self.edited(&|token| format!("{token}x"));
            self.with("the token is longer", Err(VerifyError::WrongSignature), &longer);
        } else {
            let length = decoded(encoding, &first).len();
            for at in 0..length {
                for bit in [0, 7] {
                    let flipped = self.edited(&|text| encoding.encode(&flip(&decoded(encoding, text), at, bit)));
                    let change = format!("bit {bit} of byte {at} of the signature is flipped");
                    self.with(change, Err(VerifyError::WrongSignature), &flipped);
                }
            }
            let zeros = self.edited(&|_| encoding.encode(&vec![0; length]));
            self.with("the signature is all zeros", Err(VerifyError::WrongSignature), &zeros);
            let short = self.edited(&|text| encoding.encode(&decoded(encoding, text)[..length - 1]));
            self.with("the signature is a byte short", Err(VerifyError::MalformedSignature), &short);
            let long = self.edited(&|text| encoding.encode(&[decoded(encoding, text), vec![0]].concat()));
            self.with("the signature is a byte long", Err(VerifyError::MalformedSignature), &long);
            let odd = self.edited(&|text| text[..text.len() - 1].to_owned());
            self.with("the last digit is missing", Err(VerifyError::MalformedSignature), &odd);
            let foreign = self.edited(&|text| format!("!{}", &text[1..]));
            self.with("a digit is none", Err(VerifyError::MalformedSignature), &foreign);
        }
        if encoding == Encoding::Hex && !self.shows_token() {
            let upper = self.edited(&str::to_ascii_uppercase);
            self.with("digits of the other case stand for the same bytes", Ok(()), &upper);
        }
        let spaced = self.edited(&|text| format!("{} {}", &text[..3], &text[3..]));
        let expected = self.misshapen();
        self.with("a blank in the signature", expected, &spaced);
    }

    fn grammar(&mut self) {
        let whole = self.whole();
        match self.proof.grammar.clone() {
            Grammar::Whole { prefix, any_case } => {
                let rest = whole[prefix.len()..].to_owned();
                if !prefix.is_empty() {
                    self.with("the prefix is missing", Err(VerifyError::MalformedSignature), &rest);
                    self.with("another prefix", Err(VerifyError::MalformedSignature), &format!("x{}", &whole[1..]));
                    self.with("the prefix and nothing", Err(VerifyError::EmptySignature), &prefix);
                    let upper = format!("{}{rest}", prefix.to_ascii_uppercase());
                    let expected = if any_case { Ok(()) } else { Err(VerifyError::MalformedSignature) };
                    self.with("the prefix in the other case", expected, &upper);
                    let expected = self.misshapen();
                    self.with("the prefix twice", expected, &format!("{prefix}{whole}"));
                }
            }
            Grammar::Pairs { key, time, .. } => {
                let other = whole.replace(&format!("{key}="), "v9=");
                self.with("only another version", Err(VerifyError::MissingSignature), &other);
                let before = format!("{key}={},", "0".repeat(64));
                self.with("a wrong signature before the right one", Ok(()), &format!("{before}{whole}"));
                self.with("a malformed one before the right one", Ok(()), &format!("{key}=zz,{whole}"));
                self.with("an empty one before the right one", Ok(()), &format!("{key}=,{whole}"));
                self.with(
                    "seventeen signatures",
                    Err(VerifyError::TooManySignatures),
                    &format!("{}{whole}", before.repeat(16)),
                );
                let time = time.expect("pairs of these providers carry a time");
                let pair = whole
                    .split(',')
                    .find(|pair| pair.starts_with(&format!("{time}=")))
                    .expect("it is there")
                    .to_owned();
                let without = whole.replace(&format!("{pair},"), "");
                self.with("the time is missing", Err(VerifyError::MissingTimestamp), &without);
                self.with("the time stands twice", Err(VerifyError::RepeatedTimestamp), &format!("{pair},{whole}"));
                let later = pair.replace("1790", "1791");
                self.with("another time", Err(VerifyError::WrongSignature), &whole.replace(&pair, &later));
                let zero = pair.replace("=1", "=01");
                self.with(
                    "the same time in other words",
                    Err(VerifyError::WrongSignature),
                    &whole.replace(&pair, &zero),
                );
                let bad = format!("{time}=soon");
                self.with("no time at all", Err(VerifyError::WrongSignature), &whole.replace(&pair, &bad));
                let blank = whole.replace(',', ", ");
                self.with("blanks between the pairs", Ok(()), &blank);
            }
            Grammar::Items { tag, bare: false } => {
                let other = whole.replace(&format!("{tag},"), "v9,");
                self.with("only another version", Err(VerifyError::MissingSignature), &other);
                let upper = whole.replace(&format!("{tag},"), &format!("{},", tag.to_ascii_uppercase()));
                self.with("the version in the other case", Err(VerifyError::MissingSignature), &upper);
                let bare = self.signatures().concat();
                self.with("no version", Err(VerifyError::MalformedSignature), &bare);
                let before = format!("{tag},{} ", self.proof.encoding.encode(&[0; 32]));
                self.with("a wrong signature before the right one", Ok(()), &format!("{before}{whole}"));
                self.with("a wrong signature behind the right one", Ok(()), &format!("{whole} {before}"));
                self.with("a malformed one before the right one", Ok(()), &format!("{tag},zz {whole}"));
                self.with("an empty one before the right one", Ok(()), &format!("{tag}, {whole}"));
                self.with("one of another version before the right one", Ok(()), &format!("v9,AAAA {whole}"));
                let many = format!("{}{whole}", before.repeat(16));
                self.with("seventeen signatures", Err(VerifyError::TooManySignatures), &many);
            }
            other => panic!("the generator does not know {other:?} yet"),
        }
    }

    fn body(&mut self) {
        for at in 0..self.sent.body.len() {
            let bit = at % 8;
            self.bound(format!("bit {bit} of byte {at} of the body is flipped"), |body| body[at] ^= 1 << bit);
        }
        self.bound("a byte follows the body", |body| body.push(b'\n'));
        self.bound("a byte stands before the body", |body| body.insert(0, b' '));
        if !self.sent.body.is_empty() {
            self.bound("the body is a byte short", |body| body.truncate(body.len() - 1));
            self.bound("the body is empty", Vec::clear);
        }
    }

    fn time(&mut self) {
        let Some(rule) = &self.proof.time else {
            let year = Duration::from_secs(365 * 86_400);
            self.add("a year later: no time is part of it", Ok(()), |sent| sent.now = sent.now.plus(year));
            return;
        };
        let window = rule.window.expect("these providers judge the time");
        let verified = self.sent.clone();
        let text = match &rule.at {
            TimeAt::Beside => self.whole().split(',').find_map(|pair| pair.strip_prefix("t=")).map(str::to_owned),
            TimeAt::Place(at) => match at.place() {
                Some(Place::Header(name)) => Some(verified.header(name).to_owned()),
                other => panic!("the generator does not know {other:?} yet"),
            },
        };
        let at = rule.unit.read(text.expect("there is a time").as_bytes()).expect("in its unit");
        let second = Duration::from_secs(1);
        self.add("at the old edge", Ok(()), |sent| sent.now = at.plus(window.within));
        self.add("past the old edge", Err(VerifyError::Stale), |sent| sent.now = at.plus(window.within + second));
        self.add("at the new edge", Ok(()), |sent| sent.now = at.minus(window.within));
        let future = if window.both { Err(VerifyError::Future) } else { Ok(()) };
        self.add("past the new edge", future, |sent| sent.now = at.minus(window.within + second));
        let name = self.name.clone();
        let wrong = self.edited(&|text| self.proof.encoding.encode(&flip(&decoded(self.proof.encoding, text), 0, 0)));
        self.add("stale and forged: the signature is judged first", Err(VerifyError::WrongSignature), |sent| {
            sent.set(&name, &wrong);
            sent.now = at.plus(window.within * 2);
        });
        if let TimeAt::Place(place) = &rule.at
            && let Some(Place::Header(name)) = place.place()
        {
            let text = self.sent.header(name).to_owned();
            self.add("the time is missing", Err(VerifyError::MissingTimestamp), |sent| drop(sent.headers.remove(name)));
            self.add("the time stands twice", Err(VerifyError::RepeatedTimestamp), |sent| {
                sent.headers.append(name, text.parse().expect("it was one"));
            });
            self.add("another time", Err(VerifyError::WrongSignature), |sent| sent.set(name, "1790000001"));
        }
    }

    fn covered(&mut self) {
        let names: Vec<HeaderName> = self.proof.signs.headers().cloned().collect();
        for name in names {
            let text = self.sent.header(&name).to_owned();
            self.add(format!("{name} is missing"), Err(VerifyError::MissingPart), |sent| {
                drop(sent.headers.remove(&name));
            });
            self.add(format!("{name} stands twice"), Err(VerifyError::RepeatedPart), |sent| {
                sent.headers.append(&name, text.parse().expect("it was one"));
            });
            self.add(format!("{name} is another"), Err(VerifyError::WrongSignature), |sent| {
                sent.set(&name, &format!("{text}x"));
            });
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
    let mut space = [0; 128];
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
