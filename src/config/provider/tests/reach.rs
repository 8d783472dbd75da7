//! How far does the form of provider files reach?
//!
//! Definitions in the shape of providers that are not shipped yet, so that the form stays able to say them without
//! Rust. They are no provider files: nothing here was compared with anybody's documentation.

use http::{HeaderName, HeaderValue};

use super::super::{Built, Operator, Provider, Value};
use super::sent::Sent;
use crate::secret::Secret;
use crate::verify::{Algorithm, CannotSign, Verdict, VerifyError};

const HEAD: &str =
    "format = 1\ntitle = \"T\"\ndocs = [\"https://t.example\"]\nchecked = \"2026-11-20\"\nconfidence = \"C\"\n";

/// Name, definition, body; each can be signed, is proven then, and covers the body.
const SIGNED: &[(&str, &str, &str)] = &[
    (
        "a version, a time and the body, as Slack and Zoom",
        r#"[[proof]]
signature = { from = ["header:x-signature"], prefix = "v0=" }
algorithm = "hmac-sha256"
encoding = "hex"
signs = "v0:{time}:{body}"
time = { from = "header:x-request-timestamp", unit = "s", within = "300s" }"#,
        r#"{"type":"event_callback"}"#,
    ),
    (
        "base64 of the body's HMAC, as Shopify",
        r#"[[proof]]
signature = { from = ["header:x-hmac-sha256"] }
algorithm = "hmac-sha256"
encoding = "base64""#,
        "{}",
    ),
    (
        "id, time and body in a list of versions, as Standard Webhooks",
        r#"[[proof]]
signature = { from = ["header:webhook-signature"], parse = "items", tag = "v1" }
algorithm = "hmac-sha256"
encoding = "base64"
key-form = "whsec-or-utf8"
signs = "{header:webhook-id}.{time}.{body}"
time = { from = "header:webhook-timestamp", unit = "s", within = "300s" }
[[proof]]
signature = { from = ["header:webhook-signature"], parse = "items", tag = "v1a" }
algorithm = "ed25519"
encoding = "base64"
key-form = "whpk"
signs = "{header:webhook-id}.{time}.{body}"
time = { from = "header:webhook-timestamp", unit = "s", within = "300s" }"#,
        "{}",
    ),
    (
        "method, URL, body and time, as HubSpot",
        r#"[[proof]]
signature = { from = ["header:x-signature-v3"] }
algorithm = "hmac-sha256"
encoding = "base64"
signs = "{method}{url}{body}{time}"
urls = "hubspot"
time = { from = "header:x-request-timestamp", unit = "ms", within = "300s", direction = "past" }"#,
        "[{}]",
    ),
    (
        "pairs with other signs, as Paddle",
        r#"[[proof]]
signature = { from = ["header:x-signature"], parse = "pairs", separator = ";", key = "h1", time = "ts" }
algorithm = "hmac-sha256"
signs = "{time}:{body}"
time = { from = "beside", unit = "s", within = "5s" }"#,
        "{}",
    ),
    (
        "groups of pairs, as Persona",
        r#"[[proof]]
signature = { from = ["header:x-signature"], parse = "pairs", key = "v1", time = "t", group = " " }
algorithm = "hmac-sha256"
signs = "{time}.{body}"
time = { from = "beside", unit = "s", within = "300s" }"#,
        "{}",
    ),
    (
        "columns and a time that may be either, as Recurly",
        r#"[[proof]]
signature = { from = ["header:x-signature"], parse = "columns" }
algorithm = "hmac-sha256"
signs = "{time}.{body}"
time = { from = "beside", unit = "auto", within = "300s" }"#,
        "{}",
    ),
    (
        "an HTTP date, as Klaviyo",
        r#"[[proof]]
signature = { from = ["header:x-signature"] }
algorithm = "hmac-sha256"
signs = "{body}{time}"
time = { from = "header:x-timestamp", unit = "http-date", within = "300s" }"#,
        "{}",
    ),
    (
        "parts that may be absent, in groups, as Mercado Pago, but with the body",
        r#"[[proof]]
signature = { from = ["header:x-signature"], parse = "pairs", key = "v1", time = "ts" }
algorithm = "hmac-sha256"
signs = "[id:{query:data.id|lower};][request-id:{header:x-absent};]ts:{time};{body}"
time = { from = "beside", unit = "auto" }"#,
        "{}",
    ),
    (
        "a plain hash over key and body, as PagBank",
        r#"[[proof]]
signature = { from = ["header:x-authenticity-token"] }
algorithm = "digest-sha256"
signs = "{secret}-{body}""#,
        "{}",
    ),
    (
        "the hash of the body among lines, as Walmart",
        r#"[[proof]]
signature = { from = ["header:x-signature"] }
algorithm = "hmac-sha512"
encoding = "base64-of-hex"
signs = "{method}\n{path}\n{time}\n{body|sha256-hex}"
time = { from = "header:x-timestamp", unit = "rfc3339", within = "300s" }"#,
        "{}",
    ),
    (
        "headers that must have one value, as Box",
        r#"[[proof]]
signature = { from = ["header:x-primary", "header:x-secondary"] }
algorithm = "hmac-sha256"
encoding = "base64"
requires = [{ at = "header:x-version", one-of = ["1"] }]
signs = "{body}""#,
        "{}",
    ),
];

fn build(definition: &str, secrets: &[&str], values: &[(&str, &str)]) -> Built {
    let provider =
        Provider::parse("reach", &format!("{HEAD}{definition}")).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let hidden = |text: &str| Secret::new(text.as_bytes().to_vec());
    let operator = Operator {
        secrets: secrets.iter().map(|text| hidden(text)).collect(),
        values: values.iter().map(|(name, text)| ((*name).to_owned(), Value::Secret(hidden(text)))).collect(),
        public_url: true,
        ..Operator::default()
    };
    provider.build(&operator).unwrap_or_else(|wrong| panic!("{wrong:#?}"))
}

fn sent(body: &str) -> Sent {
    Sent { query: "data.id=Ab1".to_owned(), body: body.as_bytes().to_vec(), ..Sent::default() }
}

fn signed(built: &Built, sent: &Sent) -> Result<Sent, CannotSign> {
    sent.signed(built)
}

fn header(sent: &Sent, name: &'static str, text: &'static str) -> Sent {
    let mut sent = sent.clone();
    sent.headers.append(HeaderName::from_static(name), HeaderValue::from_static(text));
    sent
}

#[test]
fn schemes_of_many_shapes_are_said_without_rust() {
    for (name, definition, body) in SIGNED {
        let built = build(definition, &["a-key", "another"], &[]);
        let good = signed(&built, &sent(body)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(good.proven(&built).map(|verified| verified.key()), Ok(0), "{name}");
        let other = build(definition, &["some-other-key"], &[]);
        assert_eq!(good.proven(&other), Err(VerifyError::WrongSignature), "{name}: another key");
        let mut changed = good;
        changed.body.push(b' ');
        assert_eq!(changed.proven(&built), Err(VerifyError::WrongSignature), "{name}: another body");
        assert!(built.facts.binds_body, "{name}");
        assert!(built.verifier.credential().is_none(), "{name}");
    }
}

#[test]
fn secrets_go_to_the_proofs_that_they_fit() {
    let definition = SIGNED[2].1;
    let key = "whpk_fAM69/N9dVLFUSZGAUKvP7IRMLvpQ0pnbDtpZhUeZY0=";
    let both = build(definition, &["whsec_a2V5", key], &[]);
    assert_eq!(both.verifier.proofs().len(), 2);
    // A public key as the key of an HMAC would let everybody sign.
    assert_eq!(both.verifier.proofs().iter().map(|proof| proof.keys.len()).collect::<Vec<_>>(), [1, 1]);
    let alone = build(definition, &[key], &[]);
    assert!(alone.verifier.proofs().iter().all(|proof| proof.algorithm == Algorithm::Ed25519));
    let one = build(definition, &["whsec_a2V5"], &[]);
    assert_eq!(one.verifier.proofs().len(), 1, "a proof without a key is left out");
}

#[test]
fn a_form_is_signed_with_its_url_and_other_bodies_by_their_digest() {
    let twilio = build(
        r#"[[proof]]
signature = { from = ["header:x-signature"] }
algorithm = "hmac-sha1"
encoding = "base64"
signs = "{url}{form-sorted}"
urls = "twilio"
must-bind = true
digests = [{ at = "query:bodySHA256", hash = "sha256", encoding = "hex" }]"#,
        &["12345"],
        &[],
    );
    let form = header(&sent("b=2&a=1"), "content-type", "application/x-www-form-urlencoded");
    let good = signed(&twilio, &form).expect("it can be signed");
    assert!(good.proven(&twilio).is_ok());
    let mut other = good;
    other.body = b"b=2&a=2".to_vec();
    assert_eq!(other.proven(&twilio), Err(VerifyError::WrongSignature));
    other.body = b"a=1&b=2".to_vec();
    assert!(other.proven(&twilio).is_ok(), "the order is not covered");
    let json = signed(&twilio, &header(&sent("{}"), "content-type", "application/json")).expect("it can be signed");
    assert!(json.query.contains("&bodySHA256=44136fa3"), "{}", json.query);
    assert!(json.proven(&twilio).is_ok());
    assert_eq!(Sent { body: b"{ }".to_vec(), ..json }.proven(&twilio), Err(VerifyError::BodyDigest));
    let bare = signed(&twilio, &sent("")).expect("it can be signed");
    let json = header(&Sent { body: b"{}".to_vec(), ..bare }, "content-type", "application/json");
    assert_eq!(json.proven(&twilio), Err(VerifyError::BodyNotBound), "a signature of the bare URL, and any body");
}

#[test]
fn all_tokens_that_are_configured_must_hold() {
    let definition = r#"proofs = "all"
[values.header-token]
kind = "secret"
about = "a token in a header"
[values.query-token]
kind = "secret"
about = "a token in the query"
[[proof]]
signature = { from = ["header:x-token"] }
algorithm = "equal"
keys = "header-token"
[[proof]]
signature = { from = ["query:token"] }
algorithm = "equal"
keys = "query-token""#;
    let both = build(definition, &[], &[("header-token", "h"), ("query-token", "q")]);
    let one = build(definition, &[], &[("header-token", "h")]);
    let bare = header(&sent("{}"), "x-token", "h");
    let full = Sent { query: "token=q".to_owned(), ..bare.clone() };
    assert!(full.proven(&both).is_ok());
    assert_eq!(bare.proven(&both), Err(VerifyError::MissingSignature));
    assert!(bare.proven(&one).is_ok());
    assert!(both.verifier.credential().has_query("token"));
    assert!(!one.verifier.credential().has_query("token"));
    assert!(!both.warnings.is_empty(), "nothing binds the body");
    let provider = Provider::parse("reach", &format!("{HEAD}{definition}")).expect("it is right");
    let none = provider.build(&Operator::default()).expect_err("nothing is proven");
    assert!(none.iter().any(|problem| problem.what.contains("there is no proof")), "{none:?}");
}

#[test]
fn challenges_of_many_shapes_are_said_without_rust() {
    let proof = "[[proof]]\nsignature = { from = [\"header:x-sig\"] }\nalgorithm = \"hmac-sha256\"\n[[challenge]]\n";
    // HMAC-SHA256 of `abc` by the key `a-key`, from Python's hmac.
    let mac = "b0581cf08c4d0f9c12a341924c79aa1eff6075c0082472f4d6dbc007cf77e70f";
    let cases: &[(&str, &str, &str, &str, String)] = &[
        (
            "a keyed answer, as X and LinkedIn",
            "methods = [\"GET\"]\nwhen = [{ at = \"query:crc\" }]\n\
             computed = { signs = \"{query:crc}\", algorithm = \"hmac-sha256\", encoding = \"hex\" }\n\
             answer = { format = \"json\", body = '{{\"token\":\"sha256={computed}\"}}' }",
            "GET",
            "crc=abc",
            format!("{{\"token\":\"sha256={mac}\"}}"),
        ),
        (
            "an echo of a query by POST, as Microsoft Graph",
            "methods = [\"POST\"]\nwhen = [{ at = \"query:validationToken\" }]\n\
             echo = { characters = \"text\", max = 512 }\nanswer = { body = \"{query:validationToken}\" }",
            "POST",
            "validationToken=Validation%3A%20Testing",
            "Validation: Testing".to_owned(),
        ),
        ("a probe, as Trello", "methods = [\"HEAD\"]\nanswer = { status = 200 }", "HEAD", "", String::new()),
    ];
    for (name, challenge, method, query, expected) in cases {
        let built = build(&format!("{proof}{challenge}"), &["a-key"], &[]);
        let asked = Sent { method: method.parse().expect("a method"), query: (*query).to_owned(), ..sent("") };
        match asked.verdict(&built) {
            Ok(Verdict::Challenge(answer)) => assert_eq!(&answer.body()[..], expected.as_bytes(), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        assert!(built.methods.contains(&asked.method), "{name}");
    }
}
