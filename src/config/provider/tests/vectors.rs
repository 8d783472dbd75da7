//! Are the vectors of every provider accepted, and is everything that is made of them by one change refused?

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value as Json;

use super::super::{Built, NAMES, Operator, Provider, Value, built_in};
use super::negatives;
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::select::{Captures, Request};
use crate::verify::{Verdict, Verified, VerifyError};

/// A request that somebody sends.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) method: Method,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) now: Timestamp,
}

impl Sent {
    pub(super) fn verdict(&self, built: &Built) -> Result<Verdict, VerifyError> {
        let captures = Captures::default();
        let request = Request {
            method: &self.method,
            path: "/in",
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
            captures: &captures,
            public_url: Some("https://hooks.example.com"),
        };
        built.verifier.verify(&request, self.now)
    }

    pub(super) fn proven(&self, built: &Built) -> Result<Verified, VerifyError> {
        match self.verdict(built)? {
            Verdict::Proven(verified) => Ok(verified),
            Verdict::Challenge(challenge) => panic!("an event was answered as a challenge: {challenge:?}"),
        }
    }

    pub(super) fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).expect("the vector has the header").to_str().expect("it is text")
    }

    pub(super) fn set(&mut self, name: &HeaderName, text: &str) {
        self.headers.insert(name, HeaderValue::from_str(text).expect("it is a header value"));
    }
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

fn read(case: &Json) -> Sent {
    let mut headers = HeaderMap::new();
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a vector has header names");
        headers.append(name, HeaderValue::from_str(value.as_str().expect("text")).expect("a header value"));
    }
    let encoded = case["body-base64"].as_str();
    let body = encoded.map(|body| base64::engine::general_purpose::STANDARD.decode(body).expect("base64"));
    Sent {
        method: case["method"].as_str().unwrap_or("POST").parse().expect("a method"),
        query: text(case, "query").to_owned(),
        headers,
        body: body.unwrap_or_else(|| text(case, "body").as_bytes().to_vec()),
        now: Timestamp::from_secs(case["now"].as_u64().unwrap_or(1_790_000_000)),
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
    let all = json["secrets"].as_array().into_iter().flatten();
    all.map(|secret| Secret::new(secret.as_str().expect("text").as_bytes().to_vec())).collect()
}

/// The provider as the vectors configure it; with other keys where asked for.
fn build(provider: &Provider, json: &Json, secrets: Vec<Secret>) -> Built {
    let mut operator = Operator { secrets, public_url: true, ..Operator::default() };
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
        let built = build(&provider, &json, secrets(&json));
        let others = build(&provider, &json, vec![Secret::new(b"a-key-that-signed-nothing".to_vec())]);
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
            for (change, changed, expected) in negatives::of(&sent, &built) {
                let found = changed.proven(&built).map(|_| ());
                assert_eq!(found, expected, "{told}: {change}\n{changed:?}");
                if expected.is_ok() { counts.1 += 1 } else { counts.2 += 1 }
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
        let built = build(&provider(name), &json, secrets(&json));
        for case in json["challenges"].as_array().into_iter().flatten() {
            let told = format!("{name}: {}", text(case, "name"));
            match (read(case).verdict(&built), case["error"].as_str()) {
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
    for name in ["github", "hmac", "meta", "stripe", "token"] {
        let json = vectors(name);
        let built = build(&provider(name), &json, secrets(&json));
        for case in json["cases"].as_array().expect("there are cases") {
            let mut sent = Sent { headers: HeaderMap::new(), ..read(case) };
            let captures = Captures::default();
            let request = Request {
                method: &sent.method,
                path: "/in",
                query: &sent.query,
                headers: &sent.headers,
                body: &sent.body,
                captures: &captures,
                public_url: None,
            };
            let made = built.verifier.sign(&request, sent.now).expect("it can be signed");
            sent.headers.extend(made.into_iter().map(|(name, value)| (Some(name), value)));
            assert_eq!(sent.proven(&built).map(|verified| verified.key()), Ok(0), "{name}: {}", text(case, "name"));
        }
    }
}

#[test]
fn an_unsigned_source_accepts_everything_and_says_so() {
    let built = build(&provider("dangerous-unsigned"), &Json::Null, Vec::new());
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
