//! With which keys are the attempts of a destination signed?
//!
//! Promises: a secret is read as the other side reads it to verify; one that cannot be a key is told by its place.
//!
//! Must not know: how a signature is made.

use crate::config::build::Building;
use crate::config::raw;
use crate::config::said::{At, SecretRefs};
use crate::deliver::SIGN_MAX;
use crate::secret::Secret;
use crate::verify::{Form, Signer};

/// The keys, in the order of the text.
pub(super) fn build(building: &mut Building<'_>, said: Option<&At<raw::Sign>>) -> Vec<Signer> {
    let Some(said) = said else { return Vec::new() };
    let Some(keys) = &said.value.standard_webhooks else {
        let help = "write sign = { standard-webhooks = { file = \"PATH\" } }";
        building.says_nothing(&said.span, "`sign` says nothing", help);
        return Vec::new();
    };
    let secrets: Vec<_> = match &keys.value {
        // Which key that is only elsewhere would be is not known here.
        SecretRefs::One(one) if building.outside.lacks_secret(one) => return Vec::new(),
        SecretRefs::One(one) => {
            vec![(building.outside.secret_at(one, &keys.span, &mut building.problems), &keys.span)]
        }
        SecretRefs::Several(several) => {
            let mut one = |said| building.outside.secret(said, &mut building.problems);
            let here = several.iter().filter(|said| !building.outside.lacks_secret(&said.value));
            here.map(|said| (one(said), &said.span)).collect()
        }
    };
    if matches!(&keys.value, SecretRefs::Several(several) if several.is_empty()) {
        building.says_nothing(
            &keys.span,
            "a signature without a key",
            "write { file = \"PATH\" } or { env = \"NAME\" }",
        );
    }
    if secrets.len() > SIGN_MAX {
        building
            .problem(&keys.span, format!("there are more than {SIGN_MAX} keys"))
            .label("each of them signs every attempt")
            .help("two are enough for a rotation");
        return Vec::new();
    }
    let mut known: Vec<Secret> = Vec::new();
    let mut built = Vec::new();
    for (secret, span) in secrets {
        let Some(secret) = secret else { continue };
        if known.contains(&secret) {
            building.problem(span, "this key stands here twice").label("one signature by it is enough");
        }
        match Signer::read(Form::Whsec, &secret) {
            Ok(key) => built.push(key),
            Err(error) => {
                let problem = building.problem(span, "this is no key to sign with");
                problem.label(format!("the secret {error}")).help(MAKE);
            }
        }
        known.push(secret);
    }
    built
}

/// How a key comes about.
const MAKE: &str = "a key is 24 to 64 random bytes in base64, perhaps after `whsec_`, such as `openssl rand -base64 32` \
                    prints; the destination gets the same text";
