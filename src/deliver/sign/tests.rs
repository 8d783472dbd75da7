use std::hint::black_box;

use super::*;
use crate::secret::Secret;
use crate::verify::Form;

const ID: &str = "0102030405060708090a0b0c0d0e0f10";
const NOW: Timestamp = Timestamp::from_secs(1_790_000_002);
const BODY: &str = "{\"ol\u{e1}\":true}";
/// A key, and what it makes of this id, time and body by the `hmac` module of Python.
const KEYS: [(&str, &str); 2] = [
    ("whsec_b25lIGtleSBvZiB0d2VudHktZm91ciBi", "v1,K7BNRE9NGR/SZz10It4zYM9Z1SsA947rH2pMZfJ82Vs="),
    ("YW5vdGhlciBrZXkgb2Ygc29tZSBzaXplIQ==", "v1,FQ/tMNw9YVMJ+IPwwiUbGSWyWCPfA6XEaC3mJDjVqbs="),
];

fn key(text: &str) -> Signer {
    Signer::read(Form::Whsec, &Secret::new(text.as_bytes().to_vec())).unwrap()
}

fn written(keys: &[&str], body: &[&'static str]) -> String {
    let keys: Vec<_> = keys.iter().map(|text| key(text)).collect();
    let body: Vec<_> = body.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
    let mut out = Vec::new();
    write(&keys, ID.as_bytes(), NOW, &body, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn signs_what_anybody_else_would() {
    let [(one, by_one), (other, by_other)] = KEYS;
    let (first, rest) = BODY.split_at(4);
    let cases: [(&[&str], &[&'static str], String); 5] = [
        (&[one], &[BODY], by_one.to_owned()),
        (&[other], &[BODY], by_other.to_owned()),
        (&[one], &["", first, rest, ""], by_one.to_owned()),
        (&[one, other], &[first, rest], format!("{by_one} {by_other}")),
        (&[other, one], &[BODY], format!("{by_other} {by_one}")),
    ];
    for (keys, body, signatures) in cases {
        let lines = format!("webhook-timestamp: 1790000002\r\nwebhook-signature: {signatures}\r\n");
        assert_eq!(written(keys, body), lines, "{keys:?} {body:?}");
    }
}

#[test]
fn another_body_time_or_id_has_another_signature() {
    let [(one, by_one), _] = KEYS;
    assert!(!written(&[one], &["{}"]).contains(by_one));
    let body = [Bytes::from_static(BODY.as_bytes())];
    for (id, now) in [("0102030405060708090a0b0c0d0e0f11", NOW), (ID, Timestamp::from_secs(1_790_000_003))] {
        let mut out = Vec::new();
        write(&[key(one)], id.as_bytes(), now, &body, &mut out);
        assert!(!String::from_utf8(out).unwrap().contains(by_one), "{id} {now}");
    }
}

#[test]
fn a_secret_that_is_no_key_is_none() {
    for text in ["", "whsec_", "whsec_*", "open sesame", "whpk_YbAG/K7xvcEWUaj5nJAu5o5fKHC0Yf/69IKr440zdSQ=", " YW5v"] {
        assert!(Signer::read(Form::Whsec, &Secret::new(text.as_bytes().to_vec())).is_err(), "{text:?}");
    }
}

#[test]
fn a_signature_allocates_nothing_and_copies_no_body() {
    let keys = KEYS.map(|(text, _)| key(text));
    let body = [Bytes::from(vec![b'x'; 100_000])];
    let mut out = Vec::with_capacity(1024);
    let info = allocation_counter::measure(|| write(&keys, ID.as_bytes(), NOW, black_box(&body), &mut out));
    assert_eq!(info.count_total, 0);
}
