//! Which definitions make no sense, and which are unsafe?
//!
//! Promises: a definition that would accept what nobody signed (a hash without a key, a token without a secret, a time
//! that is not covered) never becomes a verifier.
//!
//! Must not know: how the definition was written down.

use std::error::Error;
use std::fmt;

use http::Method;

use super::at::At;
use super::challenge::{Format, Guard, Rule};
use super::proof::{Proof, SignatureAt, TimeAt};
use super::scheme::Algorithm;
use super::template::{Template, Token};
use crate::admission::Ranges;
use crate::select::Place;

/// All that makes a verifier.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The methods of events.
    pub methods: Vec<Method>,
    /// The ways to prove a request.
    pub proofs: Vec<Proof>,
    /// Whether all of them must hold; otherwise one is enough.
    pub all: bool,
    /// What every request must show besides.
    pub besides: Besides,
    /// The challenges that are answered.
    pub challenges: Vec<Rule>,
}

/// What the operator asks of every request, whatever the provider signs, and of handshakes too. All of it must hold.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// Proofs, each of which must hold.
    pub proofs: Vec<Proof>,
    /// Addresses, one of which the caller must have.
    pub addresses: Option<Ranges>,
}

impl Besides {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proofs.is_empty() && self.addresses.is_none()
    }
}

impl Plan {
    /// The most keys of one proof.
    pub const KEYS_MAX: usize = 8;
    /// The most proofs of one provider.
    pub const PROOFS_MAX: usize = 8;
}

/// What is wrong with a plan. The number says which proof or challenge, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// There is no method for events.
    NoMethod,
    /// There is no proof.
    NoProof,
    /// There are more than eight proofs.
    TooManyProofs,
    /// A proof has no key.
    NoKey(usize),
    /// A proof has more than eight keys.
    TooManyKeys(usize),
    /// A proof of nothing stands beside others, so that they prove nothing, too.
    NothingBeside(usize),
    /// A signature that covers no bytes.
    NoText(usize),
    /// A token is compared; it signs no text.
    TextForToken(usize),
    /// A token stands where it could not be left out of what is stored and forwarded.
    CannotHide(usize),
    /// A plain hash over a text without the key: anybody can compute it.
    HashWithoutKey(usize),
    /// The key is part of a text that is signed with it.
    KeyInText(usize),
    /// `{time}` is signed and there is no rule for it.
    TimeUnknown(usize),
    /// The time should stand beside the signature, and this grammar carries none.
    TimeNotBeside(usize),
    /// A time is judged that nobody signed.
    TimeNotSigned(usize),
    /// The body must be bound, and nothing could bind it.
    CannotBind(usize),
    /// `{computed}` or a token of answers in a signed text, or a token of signed texts in an answer.
    TokenOutOfPlace(usize),
    /// A challenge comes with no method.
    ChallengeMethod(usize),
    /// The answer is empty by its format and not by its body.
    ChallengeBody(usize),
    /// An answer made with the key of events must sign one echoed value and nothing else, of characters no JSON has.
    SigningOracle(usize),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMethod => "no method is accepted",
            Self::NoProof => "there is no proof, so nothing could ever be accepted",
            Self::TooManyProofs => "there are more than 8 proofs",
            Self::NoKey(_) => "there is no key for this proof",
            Self::TooManyKeys(_) => "there are more than 8 keys for this proof",
            Self::NothingBeside(_) => "`nothing` stands beside other proofs and would make them worthless",
            Self::NoText(_) => "a signature must cover something",
            Self::TextForToken(_) => "a token is compared as it is and signs no text",
            Self::CannotHide(_) => {
                "a token must stand at a place of its own, so that it can be left out of what is forwarded"
            }
            Self::HashWithoutKey(_) => "a plain hash must cover `{secret}`, otherwise anybody can compute it",
            Self::KeyInText(_) => "`{secret}` belongs into the text of plain hashes only",
            Self::TimeUnknown(_) => "the signed text names `{time}`, and nothing says where the time stands",
            Self::TimeNotBeside(_) => "no time stands beside the signature in this grammar",
            Self::TimeNotSigned(_) => "the time is judged and not covered by the signature, so anybody can change it",
            Self::CannotBind(_) => {
                "the body must be bound, and neither the signed text nor a digest that is signed covers it"
            }
            Self::TokenOutOfPlace(_) => "this token has no meaning here",
            Self::ChallengeMethod(_) => "the challenge comes with no method",
            Self::ChallengeBody(_) => "an empty answer has no body",
            Self::SigningOracle(_) => {
                "an answer made with the key of events must be made of one echoed value alone, and that value of \
                 digits, hex or token characters (of digits or hex beside web tokens), otherwise a stranger could have \
                 events signed"
            }
        })
    }
}

impl Error for PlanError {}

impl Plan {
    /// Everything that is wrong.
    pub(super) fn check(&self) -> Result<(), Vec<PlanError>> {
        let mut wrong = Vec::new();
        let mut claim = |bad: bool, error: PlanError| {
            if bad {
                wrong.push(error);
            }
        };
        claim(self.methods.is_empty(), PlanError::NoMethod);
        claim(self.proofs.is_empty() && self.besides.is_empty(), PlanError::NoProof);
        claim(self.proofs.len() > Self::PROOFS_MAX, PlanError::TooManyProofs);
        for (number, proof) in self.proofs.iter().chain(&self.besides.proofs).enumerate() {
            let nothing = proof.algorithm == Algorithm::Nothing;
            claim(nothing && self.proofs.len() > 1, PlanError::NothingBeside(number));
            claim(nothing && number >= self.proofs.len(), PlanError::NothingBeside(number));
            claim(proof.keys.is_empty() != nothing, PlanError::NoKey(number));
            claim(proof.keys.len() > Self::KEYS_MAX, PlanError::TooManyKeys(number));
            check_text(number, proof, &mut claim);
        }
        for (number, rule) in self.challenges.iter().enumerate() {
            check_rule(number, rule, &mut claim);
            // A web token signs its own text, of which every sign is a token character: no event could be told from
            // an answer.
            let web = |proof: &Proof| matches!(proof.algorithm, Algorithm::JwtHmac(_));
            let could_ask = rule.asked().is_some_and(Guard::allows_web_tokens);
            claim(could_ask && self.proofs.iter().any(web), PlanError::SigningOracle(number));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

fn check_text(number: usize, proof: &Proof, claim: &mut dyn FnMut(bool, PlanError)) {
    let Proof { algorithm, signs, .. } = proof;
    claim(algorithm.signs_text() && signs.is_empty(), PlanError::NoText(number));
    claim(!algorithm.signs_text() && !signs.is_empty(), PlanError::TextForToken(number));
    let anywhere = matches!(proof.at, SignatureAt::HeadersWith(_));
    claim(anywhere && (algorithm.shows_key() || algorithm.is_token()), PlanError::CannotHide(number));
    let plain = algorithm.is_plain();
    let keyed = signs.names(&Token::Secret);
    claim(plain && !keyed, PlanError::HashWithoutKey(number));
    claim(!plain && keyed, PlanError::KeyInText(number));
    claim(signs.names(&Token::Computed), PlanError::TokenOutOfPlace(number));
    let time_signed = signs.names(&Token::Time);
    claim(time_signed && proof.time.is_none(), PlanError::TimeUnknown(number));
    if let Some(rule) = &proof.time {
        let (beside, in_body) = match &rule.at {
            TimeAt::Beside => (true, false),
            TimeAt::Place(at) => (false, at.in_body()),
        };
        claim(beside && !proof.grammar.carries_time(), PlanError::TimeNotBeside(number));
        let covered = time_signed || (in_body && signs.names(&Token::Body));
        claim(rule.window.is_some() && !covered, PlanError::TimeNotSigned(number));
    }
    let through = signs.names(&Token::FormSorted) || !proof.digests.is_empty();
    let signed = proof.digests.iter().all(|digest| covers(signs, &digest.at));
    let bound = signs.names(&Token::Body) || (through && signed);
    claim(proof.must_bind && !bound, PlanError::CannotBind(number));
    let body_is_token = proof.at == SignatureAt::Body;
    claim(body_is_token && !algorithm.is_token(), PlanError::TokenOutOfPlace(number));
}

/// Whether the signed text covers this place, so that nobody else can write there.
fn covers(signs: &Template, at: &At) -> bool {
    let in_url = matches!(at.place(), Some(Place::Query(_))) && signs.names(&Token::Url);
    in_url || signs.names(&Token::At(at.clone()))
}

fn check_rule(number: usize, rule: &Rule, claim: &mut dyn FnMut(bool, PlanError)) {
    claim(rule.methods.is_empty(), PlanError::ChallengeMethod(number));
    claim(rule.format == Format::Empty && !rule.body.is_empty(), PlanError::ChallengeBody(number));
    let answers = rule.headers.iter().map(|(_, template)| template).chain([&rule.body]);
    for template in answers.clone() {
        let foreign = [Token::Body, Token::Time, Token::Secret, Token::FormSorted];
        claim(foreign.iter().any(|token| template.names(token)), PlanError::TokenOutOfPlace(number));
    }
    match &rule.computed {
        None => {
            let named = answers.clone().any(|template| template.names(&Token::Computed));
            claim(named, PlanError::TokenOutOfPlace(number));
        }
        Some(computed) => {
            let (hmac, plain) = match computed.algorithm {
                Algorithm::Hmac(_) => (true, false),
                Algorithm::Digest(_) | Algorithm::DigestMd5 => (false, true),
                _ => (false, false),
            };
            claim(!hmac && !plain, PlanError::TokenOutOfPlace(number));
            claim(plain && !computed.signs.names(&Token::Secret), PlanError::HashWithoutKey(number));
            let harmless = computed.signs.is_one_place() && rule.guard.harmless();
            claim(hmac && computed.key_of_events && !rule.proven && !harmless, PlanError::SigningOracle(number));
            claim(plain && computed.key_of_events && !rule.proven, PlanError::SigningOracle(number));
        }
    }
}

impl Guard {
    /// Whether values of these characters can be no JSON and no form of more than one field.
    const fn harmless(self) -> bool {
        !matches!(self.characters, super::Characters::Text)
    }

    /// Whether what a web token signs could be such a value.
    const fn allows_web_tokens(self) -> bool {
        matches!(self.characters, super::Characters::Token | super::Characters::Text)
    }

    /// A guard that allows at least what both do.
    pub(super) fn wider(self, other: Self) -> Self {
        let characters = if self.characters == other.characters { self.characters } else { super::Characters::Token };
        Self { characters, min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}
