//! What stands in for a secret that is only where Porteiro runs?
//!
//! Promises: a source whose provider file asks for a secret of any form is built, and so checked, without the secret; where
//! nothing can stand in for one, that is a problem, and the source is not left out in silence.
//!
//! Must not know: which forms there are for which algorithm; it tries them.

use std::collections::BTreeMap;

use crate::config::build::Building;
use crate::config::problem::Span;
use crate::config::provider::{self, Built};
use crate::config::raw;
use crate::config::said::{PlainOrSecret, SecretRef};

/// Which of the [`stand_ins`] each secret is taken for that is not here, by its place; one that is not named is taken for
/// what stands in for most.
#[derive(Default)]
pub(super) struct StandIns {
    all: Vec<String>,
    chosen: BTreeMap<String, usize>,
}

impl StandIns {
    /// What was chosen for this secret.
    pub(super) fn of(&self, said: &SecretRef) -> Option<&str> {
        self.chosen.get(&place(said)).and_then(|number| self.all.get(*number)).map(String::as_str)
    }

    /// Chooses the next one for this secret; `false` if there is none.
    fn advance(&mut self, said: &SecretRef) -> bool {
        if self.all.is_empty() {
            self.all = stand_ins();
        }
        let next = self.chosen.get(&place(said)).map_or(0, |number| number + 1);
        self.chosen.insert(place(said), next);
        next < self.all.len()
    }
}

/// What stands in for a secret that is not here where hex digits are no key of the form that is asked for, one after the
/// other: a user with a password, a public key of Standard Webhooks, a bare one, and those of Ed25519, of ECDSA on P-256 and
/// of RSA with 2048 bits, in base64 and in PEM. Nobody has a private key to them.
fn stand_ins() -> Vec<String> {
    let simple = [
        "user:password",
        "whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ];
    // SubjectPublicKeyInfo (RFC 5280, 4.1), up to a number of which every bit is set.
    let keys = [
        ("MCowBQYDK2VwAyEA", 40, "//8="),
        ("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", 84, "/w=="),
        ("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA", 340, "/wIDAQAB"),
    ];
    let keys = keys.map(|(kind, digits, end)| format!("{kind}{}{end}", "/".repeat(digits)));
    let pem = |key: &String| format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----");
    let pems: Vec<String> = keys.iter().map(pem).collect();
    simple.into_iter().map(str::to_owned).chain(keys).chain(pems).collect()
}

fn place(said: &SecretRef) -> String {
    let text = |place: Option<&str>| place.unwrap_or_default().to_owned();
    let [file, variable] = [&said.file, &said.env].map(|place| text(place.as_ref().map(|said| said.value.as_str())));
    format!("{file}\0{variable}")
}

/// The secret that a problem is about, and where it is named.
fn about<'a>(raw: &'a raw::Source, problem: &provider::Problem) -> Option<(&'a SecretRef, &'a Span)> {
    match &problem.at {
        provider::At::Secret(number) => {
            let said = raw.secrets.iter().flat_map(|list| &list.value).nth(*number)?;
            Some((&said.value, &said.span))
        }
        provider::At::Value(name) => {
            let (_, said) = raw.values.iter().find(|(key, _)| key.get_ref() == name)?;
            let PlainOrSecret::Secret(secret) = &said.value else { return None };
            Some((secret, &said.span))
        }
        _ => None,
    }
}

/// Builds it again, with other stand-ins for the secrets that are not here and that `problems` are about, until none of
/// those is one.
pub(super) fn build(
    building: &mut Building<'_>,
    raw: &raw::Source,
    mut problems: Vec<provider::Problem>,
    mut again: impl FnMut(&mut Building<'_>, &StandIns) -> Result<Built, Vec<provider::Problem>>,
) -> Result<Built, Vec<provider::Problem>> {
    let mut chosen = StandIns::default();
    // Each round takes a stand-in away from one secret at least, and there are as many rounds as there are of both.
    loop {
        let outside = building.outside;
        let lacking = |problem: &provider::Problem| about(raw, problem).filter(|(said, _)| outside.lacks_secret(said));
        let places: BTreeMap<String, (&SecretRef, &Span)> =
            problems.iter().filter_map(lacking).map(|found| (place(found.0), found)).collect();
        if places.is_empty() {
            return Err(problems);
        }
        for (said, span) in places.into_values() {
            if !chosen.advance(said) {
                building
                    .problem(span, "nothing can stand in for this secret")
                    .label("it is not here, and what the provider file asks for is not known well enough")
                    .help("check where it is, without --offline");
                return Err(problems.into_iter().filter(|problem| lacking(problem).is_none()).collect());
            }
        }
        problems = match again(building, &chosen) {
            Ok(built) => return Ok(built),
            Err(problems) => problems,
        };
    }
}
