//! Are the vectors of every provider accepted, and is everything that is made of them by one change refused?

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value as Json;

use super::super::{Built, NAMES, Operator, Provider, Value, built_in};
use super::negatives;
use super::sent::Sent;
use crate::admission::Ranges;
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::select::Place;
use crate::verify::{Besides, CannotSign, Key, Proof, SignatureAt, Verdict, VerifyError};

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

pub(super) fn read(case: &Json) -> Sent {
    let mut headers = HeaderMap::new();
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a vector has header names");
        headers.append(name, HeaderValue::from_str(value.as_str().expect("text")).expect("a header value"));
    }
    let encoded = case["body-base64"].as_str();
    let body = encoded.map(|body| base64::engine::general_purpose::STANDARD.decode(body).expect("base64"));
    let plain = Sent::default();
    let pattern = case["pattern"].as_str().map_or(plain.pattern, str::to_owned);
    Sent {
        method: case["method"].as_str().unwrap_or("POST").parse().expect("a method"),
        path: case["path"].as_str().map_or_else(|| pattern.clone(), str::to_owned),
        pattern,
        query: text(case, "query").to_owned(),
        headers,
        body: body.unwrap_or_else(|| text(case, "body").as_bytes().to_vec()),
        public_url: case["public-url"].as_str().map_or(plain.public_url, |url| Some(url.to_owned())),
        caller: case["caller"].as_str().map(|address| address.parse().expect("an address")),
        now: case["now"].as_u64().map_or(plain.now, Timestamp::from_secs),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn vectors(name: &str) -> Json {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("every provider has vectors");
    serde_json::from_str(&text).expect("vectors are JSON")
}

fn secrets(json: &Json) -> Vec<Secret> {
    let all = json.as_array().into_iter().flatten();
    all.map(|secret| Secret::new(secret.as_str().expect("text").as_bytes().to_vec())).collect()
}

/// What the vectors ask of every request.
fn besides(json: &Json) -> Besides {
    let keys = |json: &Json| secrets(json).iter().map(|secret| Key::for_token(secret).expect("a token")).collect();
    let mut proofs = Vec::new();
    if json["token"].is_array() {
        let at = SignatureAt::Place(Place::Path("token".into()).into());
        proofs.push(Proof::shown(at, keys(&json["token"])));
    }
    if let Some(name) = json["header"].as_str() {
        let names = vec![HeaderName::from_bytes(name.as_bytes()).expect("a header name")];
        proofs.push(Proof::shown(SignatureAt::Headers { names, lines: false }, keys(&json["header-token"])));
    }
    let prefixes = json["addresses"].as_array();
    let prefix = |prefix: &Json| prefix.as_str().expect("text").parse().expect("a prefix");
    let addresses = prefixes.map(|list| Ranges::build(&list.iter().map(prefix).collect::<Vec<_>>()));
    Besides { proofs, addresses }
}

/// The provider as the vectors configure it; with other keys where asked for.
pub(super) fn build(provider: &Provider, json: &Json, others: bool) -> Built {
    let (given, proof) = if others { ("other-secrets", "other-proof") } else { ("secrets", "proof") };
    let other = || vec![Secret::new(b"a-key-that-signed-nothing".to_vec())];
    let secrets = match secrets(&json[given]) {
        none if none.is_empty() && others && provider.uses_secrets() => other(),
        secrets => secrets,
    };
    let mut operator = Operator { secrets, public_url: true, besides: besides(&json[proof]), ..Operator::default() };
    for (name, value) in json["values"].as_object().into_iter().flatten() {
        let text = value.as_str().expect("text").to_owned();
        let secret = provider.asks().iter().any(|ask| ask.name == *name && ask.kind == super::super::Kind::Secret);
        let value = if secret { Value::Secret(Secret::new(text.into_bytes())) } else { Value::Text(text) };
        operator.values.insert(name.clone(), value);
    }
    provider.build(&operator).expect("the vectors configure the provider well")
}

fn provider(name: &str) -> Provider {
    Provider::parse(name, built_in(name).expect("it is built in")).expect("built-in files are right")
}

#[test]
fn every_vector_is_accepted_and_every_change_of_it_refused_for_its_reason() {
    let mut counts = (0, 0, 0);
    for name in NAMES.iter().filter(|name| **name != "dangerous-unsigned") {
        let (provider, json) = (provider(name), vectors(name));
        assert_eq!(text(&json, "provider"), *name);
        let (built, others) = (build(&provider, &json, false), build(&provider, &json, true));
        let cases = json["cases"].as_array().expect("there are cases");
        assert!(cases.len() >= 2, "{name}: too few vectors");
        for case in cases {
            let told = format!("{name}: {}", text(case, "name"));
            assert!(text(case, "provenance").len() > 10, "{told}: where does it come from?");
            let sent = read(case);
            let verified = sent.proven(&built).unwrap_or_else(|error| panic!("{told}: {error:?}"));
            assert_eq!(u64::from(verified.key()), case["key"].as_u64().expect("a key"), "{told}");
            assert_eq!(sent.proven(&others), Err(VerifyError::WrongSignature), "{told}: another key");
            counts.0 += 1;
            for (change, changed, expected) in negatives::of(&sent, &built, verified) {
                let found = changed.proven(&built).map(|_| ());
                assert!(expected.fits(found), "{told}: {change}: {found:?}, not {expected:?}\n{changed:?}");
                if expected.accepts() { counts.1 += 1 } else { counts.2 += 1 }
            }
        }
    }
    println!("{} vectors, {} accepted variants, {} refused ones", counts.0, counts.1, counts.2);
    assert!(counts.2 > 20 * counts.0, "negatives outnumber positives: {counts:?}");
}

#[test]
fn every_challenge_is_answered_or_refused_for_its_reason() {
    let mut count = 0;
    for name in NAMES {
        let path = folder().join(format!("{name}.json"));
        let json = if path.exists() { vectors(name) } else { continue };
        let built = build(&provider(name), &json, false);
        let asked = json["challenges"].as_array().into_iter().chain(json["refused"].as_array());
        for case in asked.flatten() {
            let told = format!("{name}: {}", text(case, "name"));
            // An answer is told where an event has its body.
            let sent = match case["asks"].as_str() {
                Some(body) => Sent { body: body.as_bytes().to_vec(), ..read(case) },
                None => read(case),
            };
            match (sent.verdict(&built), case["error"].as_str()) {
                (Ok(Verdict::Challenge(answer)), None) => {
                    assert_eq!(u64::from(answer.status()), case["status"].as_u64().expect("a status"), "{told}");
                    assert_eq!(answer.content_type(), case["content-type"].as_str(), "{told}");
                    assert_eq!(&answer.body()[..], text(case, "body").as_bytes(), "{told}");
                }
                (Err(error), Some(expected)) => assert_eq!(error.reason(), expected, "{told}"),
                (found, _) => panic!("{told}: {found:?}"),
            }
            count += 1;
        }
    }
    assert!(count >= 15, "{count} challenges");
}

#[test]
fn what_a_verifier_signs_it_proves() {
    let mut count = 0;
    for name in NAMES.iter().filter(|name| **name != "dangerous-unsigned") {
        let json = vectors(name);
        let built = build(&provider(name), &json, false);
        for case in json["cases"].as_array().expect("there are cases") {
            let told = format!("{name}: {}", text(case, "name"));
            let mut bare = read(case);
            let kept = bare.headers.remove(http::header::CONTENT_TYPE);
            bare.headers.clear();
            bare.headers.extend(kept.map(|kind| (http::header::CONTENT_TYPE, kind)));
            bare.query = bare.query.split('&').filter(|field| !field.starts_with("bodySHA256=")).collect();
            let signed = bare.signed(&built).unwrap_or_else(|error| panic!("{told}: {error}"));
            assert_eq!(signed.proven(&built).map(|verified| verified.key()), Ok(0), "{told}");
            count += 1;
        }
    }
    assert!(count > 30, "{count} requests");
    let json = vectors("standard-webhooks");
    let mut operator = Operator::default();
    operator.secrets.extend(secrets(&json["secrets"]).into_iter().filter(|key| key.expose().starts_with(b"whpk_")));
    let public = provider("standard-webhooks").build(&operator).expect("a public key is enough");
    assert_eq!(Sent::default().signed(&public).map(drop), Err(CannotSign::Asymmetric));
}

#[test]
fn an_unsigned_source_accepts_everything_and_says_so() {
    let built = build(&provider("dangerous-unsigned"), &Json::Null, false);
    let sent = read(&Json::Null);
    assert!(sent.proven(&built).is_ok());
    assert!(built.verifier.proves_nothing());
    assert!(built.facts.danger.is_some());
    assert_eq!(Sent { method: Method::GET, ..sent }.proven(&built), Err(VerifyError::Method));
}

#[test]
fn the_files_of_the_folder_are_the_files_of_the_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/providers");
    let mut found: Vec<String> = fs::read_dir(root)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("a name"))
        .map(|name| name.trim_end_matches(".toml").to_owned())
        .collect();
    found.sort();
    assert_eq!(found, NAMES);
    for name in NAMES.iter().filter(|name| **name != "dangerous-unsigned") {
        assert!(folder().join(format!("{name}.json")).exists(), "{name} has no vectors");
    }
    assert_eq!(built_in("no-such-provider"), None);
}
