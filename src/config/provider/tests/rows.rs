//! Can the form of provider files say every declarative scheme that is known?
//!
//! The tables under `tests/vectors/schemes/rows` stand for 254 schemes of providers, as a survey of November 2026 found
//! them (103 sign the body and at most headers, 77 a time, too), and for the handshakes of 30 of them. What differs only
//! in the name of a header is one scheme here. Each has a request that other tools signed; what follows from it by one
//! change is read off its definition, as for the files that are shipped. They are no provider files: nothing here was
//! compared with anybody's documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::super::{Built, Provider};
use super::negatives;
use super::sent::Sent;
use super::vectors::{build, read};
use crate::verify::{Verdict, VerifyError};

const HEAD: &str =
    "format = 1\ntitle = \"T\"\ndocs = [\"https://t.example\"]\nchecked = \"2026-11-20\"\nconfidence = \"C\"\n";
/// What is not said in a table.
const KEY: &str = "casa-porta-key-for-trying-it-out";
const OTHER: &str = "a-key-that-signed-nothing";
const BODY: &str = r#"{"id":"evt-1","type":"door.opened","note":"olá 😀"}"#;

/// The tables: their names, how many providers they stand for, and how many schemes they hold, where the second form
/// of a scheme counts, too.
const TABLES: &[(&str, usize, usize)] = &[
    ("body", 103, 27),
    ("timed", 53, 30),
    ("beside", 24, 17),
    ("elsewhere", 25, 27),
    ("public", 12, 9),
    ("shown", 37, 18),
];

/// How many providers use each algorithm.
const ALGORITHMS: &[(&str, usize)] = &[
    ("basic", 7),
    ("digest-md5", 1),
    ("digest-sha1", 2),
    ("digest-sha256", 5),
    ("ecdsa-p256-sha256", 1),
    ("ed25519", 5),
    ("equal", 23),
    ("hmac-sha1", 16),
    ("hmac-sha256", 171),
    ("hmac-sha512", 10),
    ("jwt-hs256", 6),
    ("jwt-rs256", 1),
    ("rsa-pkcs1-sha256", 4),
    ("rsa-pkcs1-sha512", 1),
    ("rsa-pss-sha512", 1),
];

fn table(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/schemes/rows").join(format!("{name}.toml"));
    toml::from_str(&fs::read_to_string(path).expect("the table is there")).expect("the table is TOML")
}

fn words<'a>(scheme: &'a Json, key: &str) -> impl Iterator<Item = &'a str> {
    scheme[key].as_str().unwrap_or_default().split_whitespace()
}

/// What a scheme asks of the operator, and what follows it in a file.
fn parsed(scheme: &Json, rest: &str) -> Provider {
    let values = scheme["values"].as_object().into_iter().flatten();
    let kind = if scheme["hidden"] == true { "secret" } else { "text" };
    let asks: String = values
        .map(|(name, _)| format!("[values.{name}]\nkind = \"{kind}\"\nrequired = true\nabout = \"asked\"\n"))
        .collect();
    let text = format!("{HEAD}{asks}[[proof]]\n{rest}");
    Provider::parse("rows", &text).unwrap_or_else(|wrong| panic!("{text}\n{wrong:#?}"))
}

/// The scheme as a provider with its key, or with another one.
fn provider(table: &Json, scheme: &Json, others: bool) -> Built {
    let read = parsed(scheme, scheme["proof"].as_str().expect("a definition"));
    let (name, otherwise) = if others { ("other", OTHER) } else { ("key", KEY) };
    let key = scheme[name].as_str().unwrap_or(otherwise);
    let key = table["keys"][key].as_str().unwrap_or(key);
    build(&read, &json!({ "secrets": [key], "values": scheme["values"] }), false)
}

#[test]
fn all_254_declarative_schemes_are_said_without_rust_and_proven_by_requests_that_other_tools_signed() {
    let (mut names, mut algorithms) = (BTreeSet::new(), BTreeMap::new());
    for (file, rows, schemes) in TABLES {
        let table = table(file);
        let all = table["scheme"].as_array().expect("there are schemes");
        for scheme in all {
            let built = provider(&table, scheme, false);
            for name in words(scheme, "rows") {
                assert!(names.insert(name.to_owned()), "{name} stands twice");
                *algorithms.entry(built.verifier.proofs()[0].algorithm.name()).or_insert(0) += 1;
            }
        }
        assert_eq!(
            (all.len(), all.iter().flat_map(|scheme| words(scheme, "rows")).count()),
            (*schemes, *rows),
            "{file}"
        );
    }
    assert_eq!(names.len(), 254);
    assert_eq!(algorithms.into_iter().collect::<Vec<_>>(), ALGORITHMS);
}

/// Every vector of the table and everything that follows from it by one change.
fn judge(file: &str) {
    let table = table(file);
    let (mut accepted, mut refused) = (0, 0);
    for scheme in table["scheme"].as_array().expect("there are schemes") {
        let told = format!("{} {}\n{}", scheme["rows"], scheme["also"], scheme["proof"].as_str().unwrap_or_default());
        let (built, others) = (provider(&table, scheme, false), provider(&table, scheme, true));
        let mut sent = read(scheme);
        if scheme["body"].is_null() {
            sent.body = BODY.into();
        }
        let verified = sent.proven(&built).unwrap_or_else(|error| panic!("{told}: {error:?}"));
        assert_eq!(sent.proven(&others), Err(VerifyError::WrongSignature), "{told}: another key");
        for (change, changed, expected) in negatives::of(&sent, &built, verified) {
            let found = changed.proven(&built).map(drop);
            assert!(expected.fits(found), "{told}: {change}: {found:?}, not {expected:?}\n{changed:?}");
            if expected.accepts() { accepted += 1 } else { refused += 1 }
        }
    }
    println!("{file}: {accepted} changes accepted, {refused} refused");
    assert!(refused > 20 * TABLES.iter().find(|table| table.0 == file).expect("a table").2, "{refused} negatives");
}

#[test]
fn an_hmac_over_the_body_holds_for_nothing_else() {
    judge("body");
}

#[test]
fn an_hmac_over_body_and_time_holds_for_nothing_else() {
    judge("timed");
}

#[test]
fn an_hmac_with_its_time_beside_it_holds_for_nothing_else() {
    judge("beside");
}

#[test]
fn what_stands_or_signs_elsewhere_holds_for_nothing_else() {
    judge("elsewhere");
}

#[test]
fn what_a_private_key_signed_holds_for_nothing_else() {
    judge("public");
}

#[test]
fn what_is_shown_holds_for_nothing_else() {
    judge("shown");
}

/// What is echoed in the table of handshakes.
const ECHOED: &[&str] = &["chal-lenge_1", "ab12ab12ab12ab12ab12ab12", "echo-2", "Validation%3A+Testing+1"];

#[test]
fn the_handshakes_of_30_of_them_are_answered_without_rust_and_echo_no_markup() {
    let (table, mut names, mut refused) = (table("replies"), 0, 0);
    for reply in table["reply"].as_array().expect("there are handshakes") {
        names += words(reply, "rows").count();
        let rule = reply["challenge"].as_str().expect("a definition");
        let told = format!("{}\n{rule}", reply["rows"]);
        let proof = "signature = { from = [\"header:x-signature\"] }\nalgorithm = \"hmac-sha256\"\n[[challenge]]\n";
        let provider = parsed(reply, &format!("{proof}{rule}"));
        let built = build(&provider, &json!({ "secrets": [KEY], "values": reply["values"] }), false);
        let asked = read(reply);
        let signed = reply["signed"] == true;
        if signed {
            assert_eq!(asked.verdict(&built), Err(VerifyError::MissingSignature), "{told}: not signed");
        }
        let sign = |sent: &Sent| if signed { sent.signed(&built).expect("it can be signed") } else { sent.clone() };
        let Ok(Verdict::Challenge(answer)) = sign(&asked).verdict(&built) else { panic!("{told}: {asked:?}") };
        assert_eq!(u64::from(answer.status()), reply["status"].as_u64().expect("a status"), "{told}");
        assert_eq!(&answer.body()[..], reply["answer"].as_str().expect("an answer").as_bytes(), "{told}");
        let headers =
            answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().expect("text").into()));
        let headers: serde_json::Map<String, Json> = headers.collect();
        assert_eq!(json!(headers), reply.get("answer-headers").cloned().unwrap_or_else(|| json!({})), "{told}");
        let told_back = format!("{:?} {}", answer.body(), json!(headers));
        for echoed in ECHOED {
            let plain = echoed.replace("%3A", ":").replace('+', " ");
            if !rule.contains("{computed}") && !told_back.contains(&plain) {
                continue;
            }
            let mut other = asked.clone();
            other.query = other.query.replace(echoed, "%3Cb%3E");
            other.body = String::from_utf8(other.body).expect("text").replace(echoed, "<b>").into_bytes();
            for value in other.headers.values_mut().filter(|value| value == echoed) {
                *value = "<b>".parse().expect("a value");
            }
            if (&other.query, &other.body, &other.headers) != (&asked.query, &asked.body, &asked.headers) {
                assert_eq!(sign(&other).verdict(&built), Err(VerifyError::ChallengeText), "{told}: markup");
                refused += 1;
            }
        }
    }
    assert_eq!((names, refused), (30, 20));
}
