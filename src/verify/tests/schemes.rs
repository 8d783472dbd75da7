//! Every algorithm, form of key and form of text against signatures that were made elsewhere.

use serde_json::Value as Json;

use super::*;

fn public_keys() -> Json {
    serde_json::from_str(include_str!("../../../tests/vectors/schemes/public-keys.json")).expect("it is JSON")
}

#[test]
fn public_keys_prove_what_openssl_signed_and_nothing_else() {
    let json = public_keys();
    let text = |group: &str, name: &str| json[group][name].as_str().expect("text").to_owned();
    let body = json["text"].as_str().expect("text");
    let cases = [
        ("ed25519", "pem", text("ed25519", "pem"), text("ed25519", "signature")),
        ("ed25519", "spki-base64", text("ed25519", "spki"), text("ed25519", "signature")),
        ("ed25519", "ed25519-hex", text("ed25519", "hex"), text("ed25519", "signature")),
        ("ed25519", "ed25519-base64", text("ed25519", "base64"), text("ed25519", "signature")),
        ("ed25519", "ed25519-base64url", text("ed25519", "base64url"), text("ed25519", "signature")),
        ("ed25519", "whpk", format!("whpk_{}", text("ed25519", "base64")), text("ed25519", "signature")),
        ("ecdsa-p256-sha256", "pem", text("p256", "pem"), text("p256", "signature")),
        ("ecdsa-p256-sha256-fixed", "pem", text("p256", "pem"), text("p256", "fixed")),
        ("rsa-pkcs1-sha1", "pem", text("rsa", "pem"), text("rsa", "pkcs1-sha1")),
        ("rsa-pkcs1-sha256", "pem", text("rsa", "pem"), text("rsa", "pkcs1-sha256")),
        ("rsa-pkcs1-sha256", "spki-base64", text("rsa", "spki"), text("rsa", "pkcs1-sha256")),
        ("rsa-pkcs1-sha384", "pem", text("rsa", "pem"), text("rsa", "pkcs1-sha384")),
        ("rsa-pkcs1-sha512", "pem", text("rsa", "pem"), text("rsa", "pkcs1-sha512")),
        ("rsa-pss-sha256", "pem", text("rsa", "pem"), text("rsa", "pss-sha256")),
        ("rsa-pss-sha384", "pem", text("rsa", "pem"), text("rsa", "pss-sha384")),
        ("rsa-pss-sha512", "pem", text("rsa", "pem"), text("rsa", "pss-sha512")),
    ];
    for (algorithm, form, key, signature) in &cases {
        let verifier = verifier(with(algorithm, "base64", form, key));
        let told = format!("{algorithm} {form}");
        let judge = |call: Call| proven(call.to(&verifier));
        assert_eq!(judge(Call::new(body).header("x-sig", signature)), Ok(()), "{told}");
        assert_eq!(judge(Call::new("other").header("x-sig", signature)), Err(VerifyError::WrongSignature), "{told}");
        let mut space = [0; 1024];
        let mut bytes = Encoding::Base64.decode(signature.as_bytes(), &mut space).expect("base64").to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let flipped = Encoding::Base64.encode(&bytes);
        assert_eq!(judge(Call::new(body).header("x-sig", &flipped)), Err(VerifyError::WrongSignature), "{told}");
        let short = Encoding::Base64.encode(&bytes[..5]);
        assert_eq!(judge(Call::new(body).header("x-sig", &short)), Err(VerifyError::MalformedSignature), "{told}");
        let cannot = Call::new(body).by(|request, now| verifier.sign(request, now));
        assert_eq!(cannot, Err(CannotSign::Asymmetric), "{told}");
    }
    let proof = Proof {
        prehash: Some(Hash::Sha256),
        ..with("rsa-pkcs1-sha256", "base64", "pem", json["rsa"]["pem"].as_str().expect("text"))
    };
    let call = Call::new(body).header("x-sig", json["rsa"]["prehashed"].as_str().expect("text"));
    assert_eq!(proven(call.to(&verifier(proof))), Ok(()), "a hash before the hash");
}

#[test]
fn keys_of_the_wrong_kind_are_refused_when_they_are_read() {
    let json = public_keys();
    let text = |group: &str, name: &str| json[group][name].as_str().expect("text").to_owned();
    let pem = |group| text(group, "pem");
    let cases = [
        ("ed25519", "pem", pem("rsa"), KeyError::OtherKind),
        ("ed25519", "pem", pem("p256"), KeyError::OtherKind),
        ("ecdsa-p256-sha256", "pem", pem("ed25519"), KeyError::OtherKind),
        ("ecdsa-p256-sha256", "pem", pem("p384"), KeyError::OtherKind),
        ("rsa-pkcs1-sha256", "pem", pem("ed25519"), KeyError::OtherKind),
        ("rsa-pkcs1-sha256", "pem", pem("rsa1024"), KeyError::RsaSize),
        ("rsa-pkcs1-sha256", "pem", pem("rsa").replace("PUBLIC", "PRIVATE"), KeyError::NotPem),
        ("rsa-pkcs1-sha256", "pem", "nonsense".to_owned(), KeyError::NotPem),
        ("rsa-pkcs1-sha256", "spki-base64", "AAAA".to_owned(), KeyError::OtherKind),
        ("rsa-pkcs1-sha256", "spki-base64", "!".to_owned(), KeyError::NotBase64),
        ("rsa-pkcs1-sha256", "utf8", "k".to_owned(), KeyError::Form),
        ("ecdsa-p256-sha256", "ed25519-hex", text("ed25519", "hex"), KeyError::Form),
        ("ed25519", "ed25519-hex", "00".to_owned(), KeyError::OtherKind),
        ("ed25519", "ed25519-hex", "0".to_owned(), KeyError::NotHex),
        ("ed25519", "whpk", text("ed25519", "base64"), KeyError::NotWhpk),
        ("ed25519", "ed25519-base64url", "!".to_owned(), KeyError::NotBase64),
        ("hmac-sha256", "pem", pem("rsa"), KeyError::Public),
        ("hmac-sha256", "utf8", pem("rsa").trim().to_owned(), KeyError::Public),
        ("hmac-sha256", "whsec-or-utf8", format!("whpk_{}", text("ed25519", "base64")), KeyError::Public),
        ("hmac-sha256", "ed25519-hex", text("ed25519", "hex"), KeyError::Form),
        ("hmac-sha256", "utf8", String::new(), KeyError::Empty),
        ("hmac-sha256", "whsec", "whsec_".to_owned(), KeyError::Empty),
        ("hmac-sha256", "utf8", "k\n".to_owned(), KeyError::Whitespace),
        ("hmac-sha256", "utf8", "\tk".to_owned(), KeyError::Whitespace),
        ("hmac-sha256", "hex", "abc".to_owned(), KeyError::NotHex),
        ("hmac-sha256", "base64", "abc".to_owned(), KeyError::NotBase64),
        ("hmac-sha256", "whsec", "whsec_?".to_owned(), KeyError::NotBase64),
        ("hmac-sha256", "whsec", "v2,whsec_SmVmZQ==".to_owned(), KeyError::NotBase64),
        ("hmac-sha256", "whsec", "v1,".to_owned(), KeyError::Empty),
        ("basic", "utf8", "user".to_owned(), KeyError::NotBasic),
        ("equal", "utf8", " ".to_owned(), KeyError::Whitespace),
        ("nothing", "utf8", "k".to_owned(), KeyError::Form),
    ];
    for (algorithm, form, text, expected) in cases {
        let (algorithm, form) = (Algorithm::named(algorithm).expect("known"), Form::named(form).expect("known"));
        let found = Key::new(algorithm, form, &secret(&text)).map(|_| ());
        assert_eq!(found, Err(expected), "{algorithm:?} {form:?}");
        assert!(!expected.to_string().is_empty());
    }
    let bytes = Secret::new(b"k\xff".to_vec());
    let form = Form::named("nfkd-utf8").expect("known");
    let found = Key::new(Algorithm::named("hmac-sha256").expect("known"), form, &bytes).map(|_| ());
    assert_eq!(found, Err(KeyError::NotText));
}

/// RFC 4231, case 2, by SHA-256.
const CASE_2: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

#[test]
fn shared_keys_prove_what_other_tools_signed() {
    // HMAC: RFC 2202 and RFC 4231, case 2. Plain hashes: FIPS 180 examples of `abc`, the key in front.
    let jefe = "what do ya want for nothing?";
    let by_sha384 = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649";
    let by_sha512 = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                     9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
    let cases = [
        ("hmac-sha1", "utf8", "Jefe", jefe, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("hmac-sha256", "utf8", "Jefe", jefe, CASE_2),
        ("hmac-sha384", "utf8", "Jefe", jefe, by_sha384),
        ("hmac-sha512", "utf8", "Jefe", jefe, by_sha512),
        ("hmac-sha256", "hex", "4a656665", jefe, CASE_2),
        ("hmac-sha256", "base64", "SmVmZQ==", jefe, CASE_2),
        ("hmac-sha256", "whsec", "whsec_SmVmZQ==", jefe, CASE_2),
        ("hmac-sha256", "whsec", "SmVmZQ==", jefe, CASE_2),
        ("hmac-sha256", "whsec-or-utf8", "whsec_SmVmZQ==", jefe, CASE_2),
        ("hmac-sha256", "whsec-or-utf8", "Jefe", jefe, CASE_2),
        ("hmac-sha256", "nfkd-utf8", "Jefe", jefe, CASE_2),
        ("hmac-sha256", "whsec", "v1,whsec_SmVmZQ==", jefe, CASE_2),
        ("digest-md5", "utf8", "a", "bc", "900150983cd24fb0d6963f7d28e17f72"),
        ("digest-sha1", "utf8", "a", "bc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("digest-sha256", "utf8", "a", "bc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ];
    for (algorithm, form, text, body, signature) in cases {
        let mut proof = with(algorithm, "hex", form, text);
        if algorithm.starts_with("digest") {
            proof.signs = template("{secret}{body}");
        }
        let verifier = verifier(proof);
        let call = Call::new(body).header("x-sig", signature);
        assert_eq!(proven(call.to(&verifier)), Ok(()), "{algorithm} {form}");
        let other = Call::new("other").header("x-sig", signature);
        assert_eq!(proven(other.to(&verifier)), Err(VerifyError::WrongSignature), "{algorithm} {form}");
        assert_eq!(Call::new(body).signed(&verifier).headers["x-sig"], signature, "{algorithm} {form}");
    }
    // The key is the text with its marks after its letters, computed by Python's hmac and unicodedata.
    let apart = verifier(with("hmac-sha256", "hex", "nfkd-utf8", "chav\u{e9}"));
    let call = Call::new("body").header("x-sig", "b90f24e9deec475f08530c637647ef42ccfdaed89ad704edb8340740280acac2");
    assert_eq!(proven(call.to(&apart)), Ok(()));
    // The key is the SHA-1 of the text, computed by Python's hmac and hashlib.
    let by_hash = verifier(with("hmac-sha1", "hex", "sha1-of-utf8", "k"));
    let call = Call::new("body").header("x-sig", "c4182e121104078446094a1ee966709c3549267b");
    assert_eq!(proven(call.to(&by_hash)), Ok(()));
}

#[test]
fn what_is_covered_may_stand_anywhere() {
    let url = "https://hooks.example.com/in?a=1";
    let form = |body| Call::new(body).header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
    let json = Call::new(r#"{"a":{"b":7},"t":"x"}"#);
    // Each template against the text it must stand for.
    let cases = [
        ("{body}", Call::new("b"), "b"),
        ("v0:{body}", Call::new("b"), "v0:b"),
        ("{method}{url}{body}", Call::new("b").query("a=1"), &*format!("POST{url}b")),
        ("{path}\n{body}", Call::new("b").query("a=1"), "/in\nb"),
        ("{header:x-id}.{body}", Call::new("b").header("x-id", "7"), "7.b"),
        ("{query:a|lower}{body}", Call::new("b").query("a=XyZ"), "xyzb"),
        ("{json:/a/b}{json:/t}", json.clone(), "7x"),
        ("{json:/none|optional}{json:/t}", json.clone(), "x"),
        ("[id:{query:id};][t:{json:/t};]end", json, "t:x;end"),
        ("{{{body}}}[[x]]", Call::new("b"), "{b}[x]"),
        ("{body|sha256-hex}", Call::new("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("{body|crc32}", Call::new("123456789"), "3421780262"),
        ("{body|base64url}", Call::new("\u{fb}"), "w7s"),
        ("{url}{form-sorted}", form("b=2&a=1&b=2&b=1").query("a=1"), &*format!("{url}a1b1b2")),
        ("{form:b}{form:a}", form("a=x%20y&b=%2B+"), "+ x y"),
        ("{form-json:p/k}", form("p=%7B%22k%22%3A%22v%22%7D"), "v"),
    ];
    let proof = |signs: &str| Proof { signs: template(signs), ..simple() };
    for (signs, call, expected) in cases {
        let plain = Call::new(expected).signed(&verifier(simple()));
        let mut call = call;
        call.headers.insert("x-sig", plain.headers["x-sig"].clone());
        assert_eq!(proven(call.to(&verifier(proof(signs)))), Ok(()), "{signs}");
    }
}

#[test]
fn several_proofs_are_alternatives_or_all_must_hold() {
    let token = |name: &'static str, text: &str| Proof {
        at: SignatureAt::Headers { names: vec![HeaderName::from_static(name)], lines: false },
        ..with("equal", "hex", "utf8", text)
    };
    let proofs = || vec![token("x-one", "1"), token("x-two", "2")];
    let one = Call::new("").header("x-one", "1");
    let both = one.clone().header("x-two", "2");
    let half = one.clone().header("x-two", "3");
    let any = several(proofs(), false);
    let all = several(proofs(), true);
    assert_eq!(proven(one.to(&any)), Ok(()));
    assert_eq!(proven(half.to(&any)), Ok(()));
    assert_eq!(proven(Call::new("").to(&any)), Err(VerifyError::MissingSignature));
    assert_eq!(proven(Call::new("").header("x-two", "3").to(&any)), Err(VerifyError::WrongSignature), "the furthest");
    assert_eq!(proven(both.to(&all)), Ok(()));
    assert_eq!(proven(one.to(&all)), Err(VerifyError::MissingSignature));
    assert_eq!(proven(half.to(&all)), Err(VerifyError::WrongSignature));
    let signed = Call::new("").signed(&all);
    assert_eq!(proven(signed.to(&all)), Ok(()), "both are made");
    assert_eq!(all.credential().headers(), ["x-one", "x-two"].map(HeaderName::from_static));
}
