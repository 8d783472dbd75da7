//! What does a `[[proof]]` mean?
//!
//! Promises: what is known and not built is refused in words; a secret that fits none of the proofs that take it is a
//! problem of that secret.
//!
//! Must not know: what a proof is good for.

use toml::Spanned;

use super::raw::{self, Said};
use super::reader::{Reader, Text};
use super::{At, Operator};
use crate::select::Place;
use crate::verify::{
    Algorithm, BodyDigest, BodyForms, Claim, Claims, Encoding, Form, Grammar, Hash, Key, KeyError, NameError, Plan,
    Proof, Requirement, Says, SignatureAt, Template, TimeAt, TimeRule, Unit, UrlForms, Window,
};

const HASHES: &[&str] = &["sha1", "sha256", "sha384", "sha512"];
const PARSES: &[&str] = &["whole", "pairs", "items", "list", "columns", "named"];
const SAYS: &[&str] = &["text", "body-sha256-hex", "body-sha256-base64", "body-sha256-base64url", "url-sha256-hex"];

fn hash(name: &str) -> Option<Hash> {
    Some(match name {
        "sha1" => Hash::Sha1,
        "sha256" => Hash::Sha256,
        "sha384" => Hash::Sha384,
        "sha512" => Hash::Sha512,
        _ => return None,
    })
}

/// Where a proof and its keys come from.
pub(super) struct Origin {
    /// The proof's number in the file.
    pub(super) number: usize,
    /// The name of each key: its place in `secrets` from 1, or its name in `values`.
    pub(super) keys: Vec<Box<str>>,
}

/// The proofs of a file that the operator gave keys for, each with its origin.
pub(super) fn read(reader: &mut Reader<'_>, file: &raw::File) -> Vec<(Origin, Proof)> {
    let mut proofs: Vec<(Origin, Proof, Form, bool)> = Vec::new();
    for (number, said) in file.proof.iter().enumerate() {
        if let Some((proof, form)) = one(reader, said) {
            let named = said.get_ref().keys.as_ref().map(|keys| keys.get_ref().as_str());
            let named = named.filter(|name| *name != "secrets");
            let keys = proof.keys.iter().filter_map(|_| named.map(Into::into)).collect();
            proofs.push((Origin { number, keys }, proof, form, named.is_none()));
        }
    }
    if let Some(operator) = reader.operator {
        share(reader, operator, &mut proofs);
    }
    let all = file.proofs.as_ref().and_then(|said| reader.text(said)).is_some_and(|text| text.text == "all");
    let told = reader.problems.iter().any(|problem| matches!(problem.at, At::Secrets | At::Secret(_)));
    let mut kept = Vec::with_capacity(proofs.len());
    for (origin, proof, _, from_secrets) in proofs {
        let idle = proof.keys.is_empty() && proof.algorithm != Algorithm::Nothing;
        if idle && all && from_secrets && reader.operator.is_some() && !told {
            let what = format!(
                "all proofs of this provider must hold, and no secret is a key of number {}",
                origin.number + 1
            );
            reader.wrong(At::Secrets, what, "give one for each of them");
        }
        if reader.operator.is_none() || !idle {
            kept.push((origin, proof));
        }
    }
    kept
}

/// Gives each of the source's secrets to every proof that it fits.
fn share(reader: &mut Reader<'_>, operator: &Operator, proofs: &mut [(Origin, Proof, Form, bool)]) {
    let takers =
        |(_, proof, _, secrets): &&mut (Origin, Proof, Form, bool)| *secrets && proof.algorithm != Algorithm::Nothing;
    let wanted = proofs.iter_mut().filter(takers).count() > 0;
    match (wanted, operator.secrets.len()) {
        (true, 0) => {
            let others = proofs.iter().any(|(_, proof, _, _)| !proof.keys.is_empty());
            if !others {
                reader.wrong(At::Secrets, "this provider needs `secrets`", "secrets = [{ file = \"secrets/key\" }]");
            }
        }
        (true, Plan::KEYS_MAX..) if operator.secrets.len() > Plan::KEYS_MAX => {
            reader.wrong(At::Secrets, "there are more than 8 secrets", "two are enough for a rotation");
        }
        (false, 1..) => reader.wrong(At::Secrets, "this provider uses no `secrets`", ""),
        _ => {}
    }
    for (at, secret) in operator.secrets.iter().enumerate() {
        let mut refused: Option<KeyError> = None;
        let mut taken = false;
        // What is a public key must never be a shared one: whoever knows it could sign. So those go first.
        for public in [true, false] {
            if taken {
                break;
            }
            for (origin, proof, form, _) in
                proofs.iter_mut().filter(takers).filter(|taker| taker.2.is_public() == public)
            {
                match Key::new(proof.algorithm, *form, secret) {
                    Ok(key) => {
                        proof.keys.push(key);
                        origin.keys.push((at + 1).to_string().into());
                        taken = true;
                    }
                    Err(error) => refused = Some(error),
                }
            }
        }
        if let (false, Some(error)) = (taken, refused) {
            reader.wrong_key(At::Secret(at), error);
        }
    }
}

fn one(reader: &mut Reader<'_>, said: &Spanned<raw::Proof>) -> Option<(Proof, Form)> {
    let raw = said.get_ref();
    let algorithm = algorithm(reader, &raw.algorithm)?;
    if let Some(content) = &raw.content {
        reader.wrong_in_file(content, "signatures over the decompressed body are known and not built yet", "");
    }
    let (at, grammar) = match &raw.signature {
        Some(signature) => place_and_grammar(reader, signature, raw, algorithm)?,
        None if algorithm == Algorithm::Nothing => {
            let names = Vec::new();
            let grammar = Grammar::Whole { prefix: "".into(), any_case: false };
            (SignatureAt::Headers { names, lines: false }, grammar)
        }
        None => {
            reader.wrong(
                At::File(said.span()),
                "the proof says not where the signature stands",
                "add `signature = { from = [..] }`",
            );
            return None;
        }
    };
    let form_known = raw.key_form.as_ref().or(raw.keys.as_ref());
    let form = reader.word(raw.key_form.as_ref(), Form::Utf8, Form::NAMES, Form::named);
    if algorithm.is_asymmetric() != form.is_public() && reader.operator.is_none() {
        let at = form_known.map_or_else(|| said.span(), Said::span);
        let dollar = raw.key_form.as_ref().is_some_and(|said| said.get_ref().starts_with('$'));
        if !dollar {
            reader.wrong(At::File(at), format!("`{}` does not go with this form of key", algorithm.name()), "");
        }
    }
    let signs = match &raw.signs {
        Some(said) => reader.template(said)?,
        None if algorithm.signs_text() => Template::body(),
        None => Template::parse("", &|_| None).ok()?,
    };
    let keys = match &raw.keys {
        Some(name) if name.get_ref() != "secrets" => own_key(reader, name, algorithm, form),
        _ => Vec::new(),
    };
    let each = raw.each.as_ref().map(|said| reader.pointer(said));
    let proof = Proof {
        at,
        grammar,
        algorithm,
        encoding: reader.word(raw.encoding.as_ref(), Encoding::Hex, Encoding::NAMES, Encoding::named),
        signs,
        prehash: raw.prehash.as_ref().map(|said| reader.word(Some(said), Hash::Sha256, HASHES, hash)),
        time: raw.time.as_ref().and_then(|time| time_rule(reader, time)),
        keys,
        requires: requires(reader, raw),
        digests: digests(reader, raw),
        must_bind: raw.must_bind,
        urls: reader.word(raw.urls.as_ref(), UrlForms::Exact, UrlForms::NAMES, UrlForms::named),
        bodies: reader.word(raw.bodies.as_ref(), BodyForms::AsIs, BodyForms::NAMES, BodyForms::named),
        each: each.flatten(),
        claims: claims(reader, raw),
    };
    Some((proof, form))
}

fn own_key(reader: &mut Reader<'_>, name: &Said, algorithm: Algorithm, form: Form) -> Vec<Key> {
    let Some(secret) = reader.secret_value(name) else { return Vec::new() };
    match Key::new(algorithm, form, &secret) {
        Ok(key) => vec![key],
        Err(error) => {
            reader.wrong_key(At::Value(name.get_ref().clone()), error);
            Vec::new()
        }
    }
}

/// The algorithm of that name; what is not offered is refused with the reason.
pub(super) fn algorithm(reader: &mut Reader<'_>, said: &Said) -> Option<Algorithm> {
    let Some(Text { text, at }) = reader.text(said) else {
        // Only the file is read, and the operator will say: any algorithm does for checking the rest.
        return reader.operator.is_none().then_some(Algorithm::Hmac(Hash::Sha256));
    };
    match Algorithm::named(&text) {
        Ok(algorithm) => Some(algorithm),
        Err(NameError::NotBuilt(why)) => {
            reader.wrong(at, format!("algorithm `{text}` is not offered: {why}"), "");
            None
        }
        Err(NameError::Unknown(known)) => {
            reader.wrong(at, format!("there is no algorithm `{text}`"), format!("it is one of {}", known.join(", ")));
            None
        }
    }
}

fn place_and_grammar(
    reader: &mut Reader<'_>,
    said: &Spanned<raw::Signature>,
    proof: &raw::Proof,
    algorithm: Algorithm,
) -> Option<(SignatureAt, Grammar)> {
    let raw = said.get_ref();
    let texts = reader.texts(&raw.from);
    let lines = reader.word(raw.lines.as_ref(), false, &["one", "many"], |text| match text {
        "one" => Some(false),
        "many" => Some(true),
        _ => None,
    });
    let at = match signature_at(reader, &texts, lines) {
        Some(at) => at,
        None if texts.is_empty() && reader.open => SignatureAt::Body,
        None => {
            if texts.is_empty() {
                reader.wrong(At::File(said.span()), "nothing says where the signature stands", "");
            }
            return None;
        }
    };
    Some((at, grammar(reader, raw, proof, algorithm)?))
}

fn signature_at(reader: &mut Reader<'_>, texts: &[Text], lines: bool) -> Option<SignatureAt> {
    if let [only] = texts {
        if only.text == "body" {
            return Some(SignatureAt::Body);
        }
        if let Some(prefix) = only.text.strip_prefix("header:").and_then(|name| name.strip_suffix('*')) {
            if prefix.is_empty() {
                reader.wrong(
                    only.at.clone(),
                    "every header is no place of a signature",
                    "such as \"header:x-signature-*\"",
                );
                return None;
            }
            return Some(SignatureAt::HeadersWith(prefix.to_ascii_lowercase().into()));
        }
    }
    let places: Vec<Place> = texts.iter().filter_map(|text| reader.place(text)).collect();
    if places.is_empty() || places.len() != texts.len() {
        return None;
    }
    let headers: Vec<_> = places
        .iter()
        .filter_map(|place| if let Place::Header(name) = place { Some(name.clone()) } else { None })
        .collect();
    if headers.len() == places.len() {
        return Some(SignatureAt::Headers { names: headers, lines });
    }
    let mut places = places.into_iter();
    match (places.next(), places.next(), texts.first()) {
        (Some(only), None, _) => Some(SignatureAt::Place(only.into())),
        (_, _, Some(text)) => {
            reader.wrong(
                text.at.clone(),
                "several places of a signature must all be headers",
                "write one `[[proof]]` for each",
            );
            None
        }
        _ => None,
    }
}

fn grammar(reader: &mut Reader<'_>, raw: &raw::Signature, proof: &raw::Proof, algorithm: Algorithm) -> Option<Grammar> {
    // Where only the file is read, what the operator will say is there, and nobody knows it yet.
    let unsaid = reader.operator.is_none().then(String::new);
    let mut text = |said: &Option<Said>| {
        said.as_ref().and_then(|said| reader.text(said).map(|text| text.text).or_else(|| unsaid.clone()))
    };
    let (prefix, key, tag, time) = (text(&raw.prefix), text(&raw.key), text(&raw.tag), text(&raw.time));
    let parse = raw.parse.as_ref().and_then(|said| reader.text(said));
    let kind = parse.as_ref().map_or("whole", |parse| parse.text.as_str());
    let separator = reader.sign(raw.separator.as_ref(), b',');
    let equals = reader.sign(raw.equals.as_ref(), if kind == "named" { b'|' } else { b'=' });
    let missing = |name: &str| format!("`parse = \"{kind}\"` needs `{name}`");
    let needed = |value: Option<String>, name: &str| value.map(Box::<str>::from).ok_or_else(|| missing(name));
    let read = match kind {
        "whole" => {
            let basic = algorithm == Algorithm::Basic;
            let prefix = prefix.unwrap_or_else(|| if basic { "Basic ".to_owned() } else { String::new() });
            Ok(Grammar::Whole { prefix: prefix.into(), any_case: raw.any_case || basic })
        }
        "pairs" => needed(key, "key").map(|key| Grammar::Pairs {
            separator,
            equals,
            key,
            time: time.map(Into::into),
            group: raw.group.as_ref().map(|said| reader.sign(Some(said), b' ')),
        }),
        "items" => needed(tag, "tag").map(|tag| Grammar::Items { tag, bare: raw.bare }),
        "list" => Ok(Grammar::List { separator, prefix: prefix.unwrap_or_default().into() }),
        "columns" => Ok(Grammar::Columns { separator }),
        "named" => needed(key, "key").map(|name| Grammar::Named { separator, equals, name }),
        "base64-json" => Err("`base64-json` is known and not built yet".to_owned()),
        other => Err(format!("there is no grammar `{other}`; it is one of {}", PARSES.join(", "))),
    };
    match read {
        Ok(grammar) => Some(grammar),
        Err(what) => {
            let at = parse.map_or_else(|| At::File(proof.algorithm.span()), |parse| parse.at);
            reader.wrong(at, what, "");
            None
        }
    }
}

fn time_rule(reader: &mut Reader<'_>, raw: &raw::Time) -> Option<TimeRule> {
    let from = reader.text(&raw.from)?;
    let at = if from.text == "beside" { TimeAt::Beside } else { TimeAt::Place(reader.place(&from)?.into()) };
    let unit = reader.word(Some(&raw.unit), Unit::Seconds, Unit::NAMES, Unit::named);
    let both = reader.word(raw.direction.as_ref(), true, &["past", "both"], |text| match text {
        "past" => Some(false),
        "both" => Some(true),
        _ => None,
    });
    let window = raw.within.as_ref().and_then(|said| reader.time(said)).map(|within| Window { within, both });
    if let (Unit::Opaque, Some(said)) = (unit, &raw.within) {
        reader.wrong_in_file(said, "an opaque text is no time and has no window", "leave `within` out");
    }
    Some(TimeRule { at, unit, window })
}

fn requires(reader: &mut Reader<'_>, raw: &raw::Proof) -> Vec<Requirement> {
    let mut requires = Vec::new();
    for requirement in &raw.requires {
        let one_of = reader.texts(&requirement.one_of).into_iter().map(|text| text.text).collect();
        if let Some(place) = reader.place_said(&requirement.at) {
            requires.push(Requirement { at: place.into(), one_of });
        }
    }
    requires
}

fn digests(reader: &mut Reader<'_>, raw: &raw::Proof) -> Vec<BodyDigest> {
    let mut digests = Vec::new();
    for digest in &raw.digests {
        let kind = reader.word(Some(&digest.hash), Hash::Sha256, HASHES, hash);
        let encoding = reader.word(Some(&digest.encoding), Encoding::Hex, Encoding::NAMES, Encoding::named);
        if let Some(place) = reader.place_said(&digest.at) {
            digests.push(BodyDigest { at: place.into(), hash: kind, encoding });
        }
    }
    digests
}

fn claims(reader: &mut Reader<'_>, raw: &raw::Proof) -> Claims {
    let mut each = Vec::new();
    for claim in &raw.claims {
        let text = claim.text.as_ref().and_then(|said| reader.text(said)).map(|text| text.text).unwrap_or_default();
        let says = reader.word(Some(&claim.says), Says::BodyHex, SAYS, |name| {
            Some(match name {
                "text" => Says::Text(text.clone()),
                "body-sha256-hex" => Says::BodyHex,
                "body-sha256-base64" => Says::BodyBase64,
                "body-sha256-base64url" => Says::BodyBase64Url,
                "url-sha256-hex" => Says::UrlHex,
                _ => return None,
            })
        });
        if claim.text.is_none() && claim.says.get_ref() == "text" {
            reader.wrong_in_file(&claim.says, "a claim that says a text needs `text`", "");
        }
        each.push(Claim { name: claim.name.get_ref().clone(), says, optional: claim.optional });
    }
    let leeway = raw.leeway.as_ref().and_then(|said| reader.time(said)).unwrap_or_default();
    Claims { each, leeway }
}
