//! What must a request show besides what its provider signs?
//!
//! Promises: all that a source asks for under `proof` becomes a proof, or a problem; nothing that everybody could show
//! is taken for one.
//!
//! Must not know: what the provider signs.

use http::HeaderName;

use crate::secret::Secret;
use crate::select::Place;
use crate::verify::{Besides, Key, Plan, Proof, SignatureAt};

use super::addresses::{self, Addresses};
use super::build::Building;
use super::problem::Span;
use super::raw;
use super::said::{At, SecretRefs};

/// The capture of the path in which the token stands.
pub(crate) const TOKEN: &str = "token";

/// What a source asks every request to show, as far as it may be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Whether a token in the path, as the capture `{token}`.
    pub token: bool,
    /// The header whose whole value is a token.
    pub header: Option<HeaderName>,
    /// The addresses one of which the caller has.
    pub addresses: Option<Addresses>,
}

/// Builds what a source asks for under `proof`.
pub(crate) fn build(building: &mut Building<'_>, name: &toml::Spanned<String>, raw: &raw::Source) -> (Besides, Shown) {
    let (mut besides, mut shown) = (Besides::default(), Shown::default());
    let Some(At { value: said, span }) = &raw.proof else { return (besides, shown) };
    let raw::Proof { token, header, addresses } = said;
    if token.is_none() && header.is_none() && addresses.is_none() {
        let help = "name a `token` of the path, a `header` with a token, or `addresses`; all that are named must hold";
        building.says_nothing(span, "`proof` asks for nothing", help);
    }
    if let Some(said) = token {
        let at = SignatureAt::Place(Place::Path(TOKEN.into()).into());
        besides.proofs.extend(tokens(building, said).map(|keys| Proof::shown(at, keys)));
        shown.token = true;
    }
    if let Some(At { value: said, span }) = header {
        let path = |key| ["source", name.get_ref(), "proof", "header", key];
        let header = said.name.as_ref().and_then(|said| header_name(building, &said.value, &said.span));
        let keys = said.token.as_ref().and_then(|said| tokens(building, said));
        let help = "a header is { name = \"X-Token\", token = { file = \"PATH\" } }";
        if said.name.is_none() {
            building.missing(span, &path("name"), help);
        }
        if said.token.is_none() {
            building.missing(span, &path("token"), help);
        }
        if let (Some(name), Some(keys)) = (header, keys) {
            shown.header = Some(name.clone());
            besides.proofs.push(Proof::shown(SignatureAt::Headers { names: vec![name], lines: false }, keys));
        }
    }
    if let Some(said) = addresses {
        let list = addresses::build(building, said);
        if list.prefixes == 0 {
            building.says_nothing(&said.span, "no address is a proof", "name ranges, or leave `addresses` out");
        } else if addresses::everybody(&list.ranges) {
            building.problem(&said.span, "every address is on this list, so it proves nothing");
        }
        besides.addresses = Some(list.ranges.clone());
        shown.addresses = Some(list);
    }
    (besides, shown)
}

/// The keys of a token; `None` where one cannot be used.
fn tokens(building: &mut Building<'_>, said: &At<SecretRefs>) -> Option<Vec<Key>> {
    let secrets: Vec<Option<Secret>> = match &said.value {
        SecretRefs::One(one) => vec![building.outside.secret_at(one, &said.span, &mut building.problems)],
        SecretRefs::Several(several) => {
            several.iter().map(|said| building.outside.secret(said, &mut building.problems)).collect()
        }
    };
    if secrets.is_empty() {
        building.says_nothing(
            &said.span,
            "a token without a secret",
            "write { file = \"PATH\" } or { env = \"NAME\" }",
        );
        return None;
    }
    if secrets.len() > Plan::KEYS_MAX {
        building.problem(&said.span, "there are more than 8 tokens").help("two are enough for a rotation");
        return None;
    }
    let key = |secret: Option<Secret>| match Key::for_token(&secret?) {
        Ok(key) => Some(key),
        Err(error) => {
            building.problem(&said.span, format!("the token {error}"));
            None
        }
    };
    secrets.into_iter().map(key).collect()
}

fn header_name(building: &mut Building<'_>, text: &str, span: &Span) -> Option<HeaderName> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) => Some(name),
        Err(_) => {
            building.problem(span, "this is no header name").label("such as \"X-Token\" or \"Authorization\"");
            None
        }
    }
}
