//! What may bytes of strangers never do to this room?
//!
//! Bodies of fuzz targets; the same bodies run on seeds and on random bytes in the tests.
//!
//! Promises: panics on a broken promise, and on nothing else.
//!
//! Must not know: how the bytes were made.

use std::sync::OnceLock;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::header::{Candidates, TEXT_MAX};
use super::{
    Algorithm, At, BodyForms, Characters, Claim, Claims, Computed, Condition, Encoding, Form, Format, Grammar, Guard,
    Hash, Is, Key, Plan, Proof, Rule, Says, SignatureAt, Template, TimeAt, TimeRule, Unit, UrlForms, Verdict, Verifier,
    Window, random,
};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::select::{Captures, Place, Request};

/// The parser of signature texts, in every grammar: candidates lie in the text, and there are few.
pub fn fuzz_signature_text(data: &[u8]) {
    let text = |text: &str| Box::<str>::from(text);
    for grammar in [
        Grammar::Whole { prefix: text("sha256="), any_case: data.len().is_multiple_of(2) },
        Grammar::Pairs { separator: b',', equals: b'=', key: text("v1"), time: Some(text("t")), group: None },
        Grammar::Pairs { separator: b',', equals: b'=', key: text("v1"), time: Some(text("t")), group: Some(b' ') },
        Grammar::Items { tag: text("v1"), bare: data.len().is_multiple_of(2) },
        Grammar::List { separator: b',', prefix: text("") },
        Grammar::Columns { separator: b',' },
        Grammar::Named { separator: b'&', equals: b'|', name: text("k") },
    ] {
        let mut found = Candidates::new();
        let read = grammar.read(data, &mut found);
        assert!(read.is_err() || data.len() <= TEXT_MAX, "a long text is refused");
        let range = data.as_ptr_range();
        for candidate in found.as_slice() {
            for part in [Some(candidate.text), candidate.time].into_iter().flatten().filter(|part| !part.is_empty()) {
                let inside = part.as_ptr_range();
                assert!(range.start <= inside.start && inside.end <= range.end, "a candidate lies in the text");
            }
            for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64Url, Encoding::Base64OfHex] {
                let mut space = [0; 64 + 3];
                let length = encoding.decode(candidate.text, &mut space).map_or(0, <[u8]>::len);
                assert!(length <= candidate.text.len(), "decoding makes nothing longer");
            }
        }
    }
}

/// Verifiers with keys that nobody knows, so that nothing made of `data` can be signed.
fn verifiers() -> &'static [Verifier] {
    static ALL: OnceLock<Vec<Verifier>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut noise = [0; 32];
        random(&mut noise);
        let secret = Secret::new(super::decode::to_hex(&noise).into_bytes());
        proofs(&secret).into_iter().map(|proof| verifier(proof, &secret)).collect()
    })
}

fn at(text: &str) -> At {
    Place::parse(text).expect("a place").into()
}

fn template(text: &str) -> Template {
    Template::parse(text, &|_| None).expect("a template")
}

fn proofs(secret: &Secret) -> Vec<Proof> {
    let key = |algorithm| vec![Key::new(algorithm, Form::Utf8, secret).expect("a key")];
    let hmac = Algorithm::Hmac(Hash::Sha256);
    let header = HeaderName::from_static("x-sig");
    let simple = Proof::simple(header, "sha256=", key(hmac));
    let window = Some(Window { within: Duration::from_secs(300), both: true });
    let beside = TimeRule { at: TimeAt::Beside, unit: Unit::Auto, window };
    let apart = TimeRule { at: TimeAt::Place(at("header:x-time")), unit: Unit::Rfc3339, window };
    let pairs =
        |group| Grammar::Pairs { separator: b',', equals: b'=', key: "v1".into(), time: Some("t".into()), group };
    let whole = Grammar::Whole { prefix: "".into(), any_case: false };
    let claims = vec![Claim { name: "sum".to_owned(), says: Says::BodyHex, optional: true }];
    let jwt = Algorithm::JwtHmac(Hash::Sha256);
    vec![
        Proof { grammar: pairs(Some(b' ')), signs: template("{time}.{body}"), time: Some(beside), ..simple.clone() },
        Proof {
            grammar: Grammar::Items { tag: "v1".into(), bare: true },
            encoding: Encoding::Base64,
            signs: template("{header:x-id}.{time}.{body}"),
            time: Some(apart),
            bodies: BodyForms::EscapedUnicode,
            ..simple.clone()
        },
        Proof { signs: template("{url}{form-sorted}"), urls: UrlForms::Twilio, must_bind: true, ..simple.clone() },
        Proof {
            at: SignatureAt::Place(at("json:/sig")),
            grammar: whole.clone(),
            signs: template("[{json:/a|lower};]{json:/b}{form:c|optional}{query:d|optional}"),
            ..simple.clone()
        },
        Proof {
            at: SignatureAt::Body,
            grammar: whole.clone(),
            algorithm: jwt,
            signs: template(""),
            keys: key(jwt),
            claims: Claims { each: claims, leeway: Duration::from_secs(5) },
            ..simple.clone()
        },
        Proof {
            algorithm: Algorithm::Equal,
            grammar: whole,
            signs: template(""),
            keys: key(Algorithm::Equal),
            ..simple.clone()
        },
        simple,
    ]
}

fn verifier(proof: Proof, secret: &Secret) -> Verifier {
    let algorithm = Algorithm::Hmac(Hash::Sha256);
    let web = matches!(proof.algorithm, Algorithm::JwtHmac(_));
    let characters = if web { Characters::Hex } else { Characters::Token };
    let rule = Rule {
        methods: vec![Method::GET],
        when: vec![Condition { at: at("query:c"), is: Is::Present }],
        must: Vec::new(),
        proven: false,
        guard: Guard { characters, min: 1, max: 64 },
        computed: Some(Computed {
            signs: template("{query:c}"),
            algorithm,
            encoding: Encoding::Hex,
            key: Key::new(algorithm, Form::Utf8, secret).expect("a key"),
            key_of_events: true,
        }),
        status: 200,
        format: Format::Json,
        body: template(r#"{{"c":"{query:c}","r":"{computed}"}}"#),
        headers: Vec::new(),
    };
    let plan = Plan { methods: vec![Method::POST], proofs: vec![proof], challenges: vec![rule], ..Plan::default() };
    Verifier::new(plan).expect("a plan that makes sense")
}

/// A request made of `data` is never proven without a key; signed, it is.
pub fn fuzz_forgery(data: &[u8]) {
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (signature, time, id, query, body) = (part(), part(), part(), part(), part());
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-sig", signature), ("x-time", time), ("x-id", id)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers.append(http::header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let query = String::from_utf8_lossy(query);
    let captures = Captures::default();
    for method in [Method::POST, Method::GET] {
        let request = Request {
            method: &method,
            path: "/in",
            query: &query,
            headers: &headers,
            body,
            captures: &captures,
            public_url: Some("https://hooks.example.com:8443"),
        };
        let now = Timestamp::from_secs(1_790_000_000);
        for verifier in verifiers() {
            match verifier.verify(&request, None, now) {
                Ok(Verdict::Proven(_)) => unreachable!("nobody signed this"),
                Ok(Verdict::Challenge(answer)) => {
                    assert_eq!(method, Method::GET, "an answer goes to who asks");
                    assert!(answer.body().iter().all(|byte| byte.is_ascii_graphic()), "an answer is harmless");
                }
                Err(_) => {}
            }
            if method == Method::POST {
                signed(verifier, &request, now);
            }
        }
    }
}

fn signed(verifier: &Verifier, request: &Request<'_>, now: Timestamp) {
    let mut headers = HeaderMap::new();
    for name in [HeaderName::from_static("x-id"), http::header::CONTENT_TYPE] {
        headers.extend(request.headers.get(&name).map(|value| (name, value.clone())));
    }
    let bare = Request { headers: &headers, ..*request };
    let Ok(made) = verifier.sign(&bare, now) else { return };
    headers.extend(made.headers);
    let whole = Request { headers: &headers, query: &made.query, ..*request };
    match verifier.verify(&whole, None, now) {
        // A body that the answer to a challenge could cover is refused although the signature holds.
        Ok(_) | Err(super::VerifyError::Askable) => {}
        Err(error) => unreachable!("what is signed is proven: {error}"),
    }
}

/// No text makes the parser of templates, or the readers of keys, panic.
pub fn fuzz_definition(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err((at, error)) = Template::parse(&text, &|name| (name.len() < 4).then(|| name.into())) {
        assert!(at <= text.len(), "{error} lies in the text");
    }
    let secret = Secret::new(data.to_vec());
    for (form, algorithm) in Form::NAMES.iter().flat_map(|form| Algorithm::NAMES.iter().map(move |name| (form, name))) {
        let form = Form::named(form).expect("a listed form is known");
        let algorithm = Algorithm::named(algorithm).expect("a listed algorithm is known");
        let key = Key::new(algorithm, form, &secret);
        assert!(key.is_err() || !data.is_empty(), "nothing is no key");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: &[&[u8]] = &[
        b"",
        b"sha256=00",
        b"t=1,v1=00 t=2,v1=zz",
        b"v1,AAAA v1a,BBBB",
        b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n\n\nc=abc\n{\"a\":1}",
        b"v1,AAAA\n2026-11-20T10:00:00Z\nid\n\n{\"a\":\"\xc3\xa1\"}",
        b"x\n\n\nc=%7B&sig=1\n{\"sig\":\"00\",\"a\":\"A\",\"b\":[{}]}",
        b"e30.e30.e30\n\n\n\neyJhbGciOiJIUzI1NiJ9.e30.AAAA",
        b"{body}[{time}]{json:/a|lower}{{",
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----",
        &[0x30, 0x82, 0xff, 0xff, 0x30, 0x81],
    ];

    #[test]
    fn seeds_break_no_promise() {
        for seed in SEEDS {
            fuzz_signature_text(seed);
            fuzz_forgery(seed);
            fuzz_definition(seed);
        }
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_break_no_promise(data: Vec<u8>) {
            fuzz_signature_text(&data);
            fuzz_forgery(&data);
            fuzz_definition(&data);
        }

        #[test]
        fn lines_of_text_break_no_promise(data in "([ -~]{0,40}\n){4}[ -~\u{e1}]{0,60}") {
            fuzz_forgery(data.as_bytes());
        }
    }
}
