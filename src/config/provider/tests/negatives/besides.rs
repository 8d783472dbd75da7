//! What does the operator ask of every request besides, and what follows from one change of it?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderName;

use super::super::super::Built;
use super::super::sent::Sent;
use super::{Cases, flip_text};
use crate::select::Place;
use crate::verify::{SignatureAt, VerifyError};

/// Everything that follows from `sent`, as far as the provider has no say in it.
pub(super) fn of(sent: &Sent, built: &Built) -> Cases {
    let mut maker = Maker { sent, cases: Vec::new() };
    let beside = built.verifier.asks_besides();
    if beside.is_empty() {
        return maker.cases;
    }
    for proof in &beside.proofs {
        match &proof.at {
            SignatureAt::Headers { names, .. } => maker.header(&names[0]),
            SignatureAt::Place(at) if matches!(at.place(), Some(Place::Path(_))) => maker.path(),
            other => panic!("nobody is asked to show anything at {other:?}"),
        }
    }
    if beside.addresses.is_some() {
        maker.addresses();
    }
    if built.verifier.proofs().is_empty() {
        maker.unbound();
    }
    maker.cases
}

struct Maker<'a> {
    sent: &'a Sent,
    cases: Cases,
}

impl Maker<'_> {
    fn add(&mut self, change: &str, expected: Result<(), VerifyError>, edit: impl FnOnce(&mut Sent)) {
        let mut sent = self.sent.clone();
        edit(&mut sent);
        self.cases.push((change.to_owned(), sent, expected.into()));
    }

    fn header(&mut self, name: &HeaderName) {
        let token = self.sent.header(name).to_owned();
        self.add("no header token", Err(VerifyError::MissingSignature), |sent| drop(sent.headers.remove(name)));
        self.add("an empty header token", Err(VerifyError::EmptySignature), |sent| sent.set(name, ""));
        self.add("two header tokens", Err(VerifyError::RepeatedSignature), |sent| {
            sent.headers.append(name, token.parse().expect("it was one"));
        });
        for at in 0..token.len() {
            let other = flip_text(&token, at);
            self.add("another header token", Err(VerifyError::WrongSignature), |sent| sent.set(name, &other));
        }
        for other in [format!("{token}x"), token[1..].to_owned(), token.to_ascii_uppercase(), format!("Bearer {token}")]
        {
            self.add("a header token like it", Err(VerifyError::WrongSignature), |sent| sent.set(name, &other));
        }
    }

    fn path(&mut self) {
        let before = self.sent.pattern.find("{token}").expect("the token stands in the path");
        let rest = self.sent.path[before..].to_owned();
        let token = rest.split('/').next().expect("it is there");
        let tail = rest[token.len()..].to_owned();
        let mut to = |change: &str, expected: Result<(), VerifyError>, token: &str| {
            let path = format!("{}{token}{tail}", &self.sent.path[..before]);
            let sent = Sent { path, ..self.sent.clone() };
            self.cases.push((change.to_owned(), sent, expected.into()));
        };
        for at in 0..token.len() {
            to("another path token", Err(VerifyError::WrongSignature), &flip_text(token, at));
        }
        let upper = token.to_ascii_uppercase();
        for other in [&format!("{token}x"), &token[1..], &format!("{token}%00"), &format!("{token}%2f"), &upper] {
            to("a path token like it", Err(VerifyError::WrongSignature), other);
        }
        to("a path token that is no text", Err(VerifyError::Unreadable), &format!("{token}%ff"));
        let escaped = format!("%{:02x}{}", token.as_bytes()[0], &token[1..]);
        to("the same path token, escaped", Ok(()), &escaped);
        let query = format!("token={token}");
        let elsewhere = Sent { query, path: self.sent.path.replace(token, "x"), ..self.sent.clone() };
        self.cases.push(("the token in the query".to_owned(), elsewhere, Err(VerifyError::WrongSignature).into()));
    }

    fn addresses(&mut self) {
        let Some(IpAddr::V4(caller)) = self.sent.caller else { panic!("a vector calls from an IPv4 address") };
        let mapped = IpAddr::V6(caller.to_ipv6_mapped());
        self.add("the same caller, mapped", Ok(()), |sent| sent.caller = Some(mapped));
        self.add("nobody is known to call", Err(VerifyError::Caller), |sent| sent.caller = None);
        let mut others: Vec<IpAddr> =
            (0..32).map(|bit| Ipv4Addr::from_bits(caller.to_bits() ^ 1 << bit).into()).collect();
        others.extend([Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST].map(IpAddr::V4));
        let bits = u128::from(caller.to_bits());
        others.extend([bits, bits << 96, 0xffff << 32 | bits << 64].map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
        for other in others {
            self.add("another caller", Err(VerifyError::Caller), |sent| sent.caller = Some(other));
        }
        for name in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"] {
            let name = HeaderName::from_static(name);
            self.add("another caller who claims to be this one", Err(VerifyError::Caller), |sent| {
                sent.caller = Some(Ipv4Addr::new(203, 0, 113, 66).into());
                let text = if name == "forwarded" { format!("for={caller}") } else { caller.to_string() };
                sent.set(&name, &text);
            });
        }
    }

    /// Where nothing is signed, nothing binds the body, and only the method is the provider's.
    fn unbound(&mut self) {
        self.add("another body", Ok(()), |sent| sent.body = b"{}".to_vec());
        self.add("no body", Ok(()), |sent| sent.body.clear());
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            let method = method.parse().expect("a method");
            self.add("another method", Err(VerifyError::Method), |sent| sent.method = method);
        }
    }
}
