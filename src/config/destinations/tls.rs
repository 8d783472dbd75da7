//! Whom is a destination believed by, and what is it shown?
//!
//! Promises: a certificate and its key are read and belong together, or are a problem where they stand; a private key that
//! everybody can read is refused.
//!
//! Must not know: how TLS is spoken.

use crate::config::build::Building;
use crate::config::said::At;
use crate::config::secrets::cause;
use crate::config::{listeners, raw};
use crate::deliver::{Pin, Shown, Trust};
use crate::listen::tls::Files;
use crate::secret::Secret;

/// Largest CA file that is read.
const CA_MAX: usize = 4 << 20;

/// What shows a destination who calls, where it was said.
pub(super) fn shown(building: &mut Building<'_>, name: &str, said: Option<&At<raw::Tls>>) -> Option<Shown> {
    let said = said?;
    let help = "a client certificate is certificate = \"PATH\" and key = \"PATH\"";
    let path = |key| ["destination", name, "tls", key];
    let (certificate, key) = match (&said.value.certificate, &said.value.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            building.missing(&said.span, &path("key"), help);
            return None;
        }
        (None, Some(_)) => {
            building.missing(&said.span, &path("certificate"), help);
            return None;
        }
        (None, None) => return None,
    };
    if building.outside.lacks_of_pair(&certificate.value, &key.value) {
        return None;
    }
    let pair = Files { certificate: building.outside.path(&certificate.value), key: building.outside.path(&key.value) };
    let problems = building.problems.count();
    listeners::readable(building, &pair, certificate, key);
    if building.problems.count() > problems {
        return None;
    }
    match (std::fs::read(&pair.certificate), std::fs::read(&pair.key)) {
        (Ok(certificate), Ok(key)) => Some(Shown { certificate, key: Secret::new(key) }),
        (Err(error), _) | (_, Err(error)) => {
            building.problem(&said.span, "certificate cannot be used").label(cause(&error));
            None
        }
    }
}

/// Whom to believe.
pub(super) fn trust(building: &mut Building<'_>, said: Option<&At<raw::Tls>>) -> Trust {
    let Some(said) = said else { return Trust::Public };
    match (&said.value.ca, &said.value.pin) {
        (Some(ca), Some(pin)) => {
            let also = pin.span.clone();
            building
                .problem(&ca.span, "`ca` and `pin` exclude each other")
                .also(also, "this key would be believed whoever signed it")
                .help("keep one of them");
            Trust::Public
        }
        (Some(ca), None) if building.outside.lacks(&ca.value) => Trust::Public,
        (Some(ca), None) => match std::fs::read(building.outside.path(&ca.value)) {
            Ok(pem) if pem.len() <= CA_MAX => Trust::Authority(pem),
            Ok(_) => {
                building.problem(&ca.span, "CA file cannot be used").label("it is larger than 4MiB");
                Trust::Public
            }
            Err(error) => {
                building.problem(&ca.span, "CA file cannot be used").label(cause(&error));
                Trust::Public
            }
        },
        (None, Some(pins)) => {
            if pins.value.is_empty() {
                building.says_nothing(&pins.span, "no key is pinned", "name one, such as \"sha256/...\"");
            }
            let mut read = Vec::new();
            for said in &pins.value {
                match Pin::parse(&said.value) {
                    Ok(pin) => read.push(pin),
                    Err(error) => {
                        building.problem(&said.span, "this is no pin").label(error.to_string());
                    }
                }
            }
            if read.len() == pins.value.len() && !read.is_empty() { Trust::Pinned(read) } else { Trust::Public }
        }
        (None, None) => Trust::Public,
    }
}
