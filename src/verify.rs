//! Did the provider say it?
//!
//! A [`Verifier`] is compiled once from a provider file and the operator's keys, and answers for each request with a
//! [`Verdict`] or with the reason why not. It is also the only door to ring: [`digest()`], [`Signer`] and [`random`]
//! serve the other rooms.
//!
//! Promises: a [`Verified`] comes only from here; every candidate is tried with every key, in constant time, and a bad
//! one ends nothing; time is judged after the signature, against the `now` of arrival; nothing is allocated on the way
//! to a yes where the signature covers the body; no input panics.
//!
//! Must not know: TOML, files, the runtime, which status a refusal becomes.

use std::fmt;
use std::net::IpAddr;

use http::Method;

use crate::clock::Timestamp;
use crate::select::Request;

mod at;
mod bodies;
mod challenge;
mod claims;
mod credential;
mod decode;
mod digest;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod header;
mod key;
mod plan;
mod proof;
mod scheme;
mod sign;
mod signature;
mod template;
mod url;
mod window;

pub use at::At;
pub use bodies::BodyForms;
pub use challenge::{Challenge, Characters, Computed, Condition, Format, Guard, Is, Rule};
pub use claims::{Claim, Claims, Says};
pub use credential::Credential;
pub use decode::Encoding;
pub use digest::{Digest, Signer, Signing, digest, random};
pub use error::VerifyError;
pub use header::Grammar;
pub use key::{Form, Key, KeyError};
pub use plan::{Besides, Plan, PlanError};
pub use proof::{BodyDigest, Proof, Requirement, SignatureAt, TimeAt, TimeRule};
pub use scheme::{Algorithm, Hash, NameError};
pub use sign::{CannotSign, Signed};
pub use template::{Template, TemplateError};
pub use url::UrlForms;
pub use window::{Unit, Window};

/// What a request turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An event of the provider.
    Proven(Verified),
    /// A handshake, to be answered at once; never an event.
    Challenge(Challenge),
}

/// Evidence that a request was proven; only a [`Verifier`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    proof: u8,
    key: u8,
    timestamp: Option<Timestamp>,
}

impl Verified {
    /// Which proof of the provider file held, counted from zero among those the operator gave keys for; where the file
    /// has none, the first of the operator's own that show a key.
    #[must_use]
    pub const fn proof(&self) -> u8 {
        self.proof
    }

    /// Which of that proof's keys held, counted from zero in the operator's order.
    #[must_use]
    pub const fn key(&self) -> u8 {
        self.key
    }

    /// The time that was part of the proof, if there was one.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }
}

/// Proves requests of one source.
#[derive(Clone)]
pub struct Verifier {
    plan: Plan,
    credential: Credential,
    /// What a stranger could have had signed with the key of events.
    asked: Option<Guard>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("proofs", &self.plan.proofs.len()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier that does what the plan says.
    ///
    /// # Errors
    ///
    /// Everything that makes the plan unsafe or meaningless.
    pub fn new(plan: Plan) -> Result<Self, Vec<PlanError>> {
        plan.check()?;
        let mut credential = Credential::NONE;
        let proofs = plan.proofs.iter().chain(&plan.besides.proofs);
        proofs.for_each(|proof| proof.tell_credential(&mut credential));
        let asked = plan.challenges.iter().filter_map(Rule::asked).reduce(Guard::wider);
        Ok(Self { plan, credential, asked })
    }

    /// Proves a request, or answers a challenge. `caller` is the address of who called, `None` where it is not known;
    /// `now` is the time of arrival.
    ///
    /// # Errors
    ///
    /// Why it was not proven; of several proofs, what the one that came furthest says.
    pub fn verify(
        &self,
        request: &Request<'_>,
        caller: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Verdict, VerifyError> {
        let shown = self.besides(request, caller, now)?;
        let asked =
            |proven: bool| self.plan.challenges.iter().find(|rule| rule.proven == proven && rule.is_asked(request));
        if let Some(rule) = asked(false) {
            return rule.answer(request).map(Verdict::Challenge);
        }
        if !self.plan.methods.contains(request.method) {
            return Err(VerifyError::Method);
        }
        let verified = if self.plan.proofs.is_empty() { shown } else { self.prove(request, now)? };
        match asked(true) {
            Some(rule) => rule.answer(request).map(Verdict::Challenge),
            None => Ok(Verdict::Proven(verified)),
        }
    }

    /// What a request would be answered if all that is to prove it held: nothing where it would be an event, a challenge
    /// otherwise, with whether anything but the challenge itself had to be proven. For rehearsals: no such answer may be
    /// sent.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Method`], [`VerifyError::ChallengeToken`] and [`VerifyError::ChallengeText`]: what no proof mends.
    pub(crate) fn suppose(&self, request: &Request<'_>) -> Result<Option<(Challenge, bool)>, VerifyError> {
        let asked =
            |proven: bool| self.plan.challenges.iter().find(|rule| rule.proven == proven && rule.is_asked(request));
        let open = asked(false);
        if open.is_none() && !self.plan.methods.contains(request.method) {
            return Err(VerifyError::Method);
        }
        let Some(rule) = open.or_else(|| asked(true)) else { return Ok(None) };
        let owing = rule.proven || !self.plan.besides.is_empty();
        rule.answer(request).map(|answer| Some((answer, owing)))
    }

    /// What the operator asks of every request. The plan has no proof of its own only where this asks for something.
    fn besides(&self, request: &Request<'_>, caller: Option<IpAddr>, now: Timestamp) -> Result<Verified, VerifyError> {
        let Besides { proofs, addresses } = &self.plan.besides;
        if addresses.as_ref().is_some_and(|list| !caller.is_some_and(|caller| list.contains(caller))) {
            return Err(VerifyError::Caller);
        }
        let mut first = None;
        for proof in proofs {
            let held = proof.prove(request, now, None)?;
            first.get_or_insert(Verified { proof: 0, key: held.key, timestamp: None });
        }
        Ok(first.unwrap_or(Verified { proof: 0, key: 0, timestamp: None }))
    }

    fn prove(&self, request: &Request<'_>, now: Timestamp) -> Result<Verified, VerifyError> {
        let mut first = None;
        let mut worst = VerifyError::Method;
        for (proof, number) in self.plan.proofs.iter().zip(0_u8..) {
            match proof.prove(request, now, self.asked) {
                Ok(held) => {
                    let verified = Verified { proof: number, key: held.key, timestamp: held.timestamp };
                    if !self.plan.all {
                        return Ok(verified);
                    }
                    let _ = first.get_or_insert(verified);
                }
                Err(error) if self.plan.all => return Err(error),
                Err(error) => worst = worst.max(error),
            }
        }
        first.ok_or(worst)
    }

    /// What proved the request by being shown, and must be neither stored nor forwarded.
    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// What must not go with a part of a body: what served as proof, the signature of the whole, and its digests.
    #[must_use]
    pub fn of_the_whole(&self) -> Credential {
        let mut whole = self.credential.clone();
        self.plan.proofs.iter().for_each(|proof| proof.tell_signature(&mut whole));
        whole
    }

    /// The methods that events and challenges of this provider use, each once.
    #[must_use]
    pub fn methods(&self) -> Vec<Method> {
        let mut methods = self.plan.methods.clone();
        for method in self.plan.challenges.iter().flat_map(|rule| &rule.methods) {
            if !methods.contains(method) {
                methods.push(method.clone());
            }
        }
        methods
    }

    /// Whether the signed text names the public URL, so that the listener must have one.
    #[must_use]
    pub fn needs_public_url(&self) -> bool {
        self.plan.proofs.iter().any(Proof::needs_public_url)
    }

    /// Whether every way to prove a request covers its body.
    #[must_use]
    pub fn binds_body(&self) -> bool {
        if self.plan.proofs.is_empty() {
            return false;
        }
        let mut proofs = self.plan.proofs.iter();
        if self.plan.all { proofs.any(Proof::binds_body) } else { proofs.all(Proof::binds_body) }
    }

    /// Whether nothing is proven at all.
    #[must_use]
    pub fn proves_nothing(&self) -> bool {
        self.plan.besides.is_empty() && self.plan.proofs.iter().any(|proof| proof.algorithm == Algorithm::Nothing)
    }

    /// The proofs, in the order of the definition.
    #[must_use]
    pub fn proofs(&self) -> &[Proof] {
        &self.plan.proofs
    }

    /// What the operator asks of every request besides.
    #[must_use]
    pub const fn asks_besides(&self) -> &Besides {
        &self.plan.besides
    }

    /// Whether one proof is enough.
    const fn any(&self) -> bool {
        !self.plan.all
    }
}

#[cfg(test)]
mod tests;
