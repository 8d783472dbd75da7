//! Web tokens: the algorithm is ours, the claims are read after the signature.

use std::time::Duration;

use super::*;

fn part(text: &str) -> String {
    Encoding::Base64Url.encode(text.as_bytes())
}

/// A token with this head and these claims, signed with the key `k`.
fn token(head: &str, claims: &str) -> String {
    let signed = format!("{}.{}", part(head), part(claims));
    let sum = Signer::new(b"k").sign(&[signed.as_bytes()]);
    format!("{signed}.{}", Encoding::Base64Url.encode(&sum))
}

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn claim(name: &str, says: Says) -> Claim {
    Claim { name: name.to_owned(), says, optional: false }
}

fn proof(claims: Vec<Claim>) -> Proof {
    Proof {
        at: SignatureAt::Headers { names: vec![http::header::AUTHORIZATION], lines: false },
        grammar: Grammar::Whole { prefix: "Bearer ".into(), any_case: true },
        claims: Claims { each: claims, leeway: Duration::from_secs(5) },
        ..with("jwt-hs256", "hex", "utf8", "k")
    }
}

fn judge(proof: Proof, body: &str, token: &str) -> Result<(), VerifyError> {
    proven(Call::new(body).header("authorization", &format!("Bearer {token}")).to(&verifier(proof)))
}

#[test]
fn a_token_is_believed_only_as_far_as_it_is_signed_by_the_algorithm_of_the_definition() {
    use VerifyError::{MalformedSignature, MissingSignature, WrongSignature};
    let good = token(HS256, "{}");
    let (signed, _) = good.rsplit_once('.').expect("three parts");
    let none = format!("{}.{}.", part(r#"{"alg":"none"}"#), part("{}"));
    let cases = [
        ("signed", good.clone(), Ok(())),
        ("without a signature", format!("{signed}."), Err(WrongSignature)),
        ("two parts", signed.to_owned(), Err(MalformedSignature)),
        ("four parts", format!("{good}.x"), Err(MalformedSignature)),
        ("no algorithm", none, Err(MalformedSignature)),
        ("another algorithm", token(r#"{"alg":"HS512"}"#, "{}"), Err(MalformedSignature)),
        ("the algorithm in another case", token(r#"{"alg":"hs256"}"#, "{}"), Err(MalformedSignature)),
        ("no head", token("", "{}"), Err(MalformedSignature)),
        ("a head that is a list", token("[]", "{}"), Err(MalformedSignature)),
        ("other claims under the same signature", good.replace(&part("{}"), &part("{ }")), Err(WrongSignature)),
        ("no base64", "a.!.c".to_owned(), Err(MalformedSignature)),
    ];
    for (told, token, expected) in cases {
        assert_eq!(judge(proof(Vec::new()), "", &token), expected, "{told}");
    }
    assert_eq!(proven(Call::new("").to(&verifier(proof(Vec::new())))), Err(MissingSignature));
    assert_eq!(judge(proof(Vec::new()), "", ""), Err(VerifyError::EmptySignature));
    let rsa = Proof { keys: vec![key(Algorithm::Hmac(Hash::Sha256), "utf8", "k")], ..proof(Vec::new()) };
    assert_eq!(judge(Proof { algorithm: Algorithm::JwtRsa(Hash::Sha256), ..rsa }, "", &good), Err(MalformedSignature));
}

#[test]
fn claims_must_fit_the_request() {
    let hex = decode::to_hex(&digest(&[b"{}"]));
    let base64 = Encoding::Base64.encode(&digest(&[b"{}"]));
    let url = decode::to_hex(&digest(&[b"https://hooks.example.com/in"]));
    let optional = Claim { optional: true, ..claim("sum", Says::BodyHex) };
    let body = || vec![claim("sum", Says::BodyHex)];
    let issuer = || vec![claim("iss", Says::Text("acme".to_owned()))];
    let cases = [
        ("the hash of the body", body(), format!(r#"{{"sum":"{hex}"}}"#), Ok(())),
        ("of another body", body(), format!(r#"{{"sum":"{}"}}"#, hex.replace('4', "5")), Err(VerifyError::Claim)),
        ("of none", body(), "{}".to_owned(), Err(VerifyError::Claim)),
        ("of none, though it may be absent", vec![optional.clone()], "{}".to_owned(), Err(VerifyError::Claim)),
        ("in base64", vec![claim("sum", Says::BodyBase64)], format!(r#"{{"sum":"{base64}"}}"#), Ok(())),
        (
            "in url-safe base64, padded",
            vec![claim("sum", Says::BodyBase64Url)],
            format!(r#"{{"sum":"{}"}}"#, base64.replace('+', "-").replace('/', "_")),
            Ok(()),
        ),
        ("of the URL", vec![claim("url", Says::UrlHex)], format!(r#"{{"url":"{url}"}}"#), Ok(())),
        ("of another URL", vec![claim("url", Says::UrlHex)], format!(r#"{{"url":"{hex}"}}"#), Err(VerifyError::Claim)),
        ("the issuer", issuer(), r#"{"iss":"acme"}"#.to_owned(), Ok(())),
        ("another issuer", issuer(), r#"{"iss":"acme2"}"#.to_owned(), Err(VerifyError::Claim)),
        ("claims that are no JSON", issuer(), "iss".to_owned(), Err(VerifyError::Claim)),
        ("in time", Vec::new(), r#"{"nbf":1790000000,"exp":1790000001}"#.to_owned(), Ok(())),
        ("within the leeway", Vec::new(), r#"{"nbf":1790000005,"exp":1790000010}"#.to_owned(), Ok(())),
        ("expired within the leeway", Vec::new(), r#"{"exp":1789999995}"#.to_owned(), Ok(())),
        ("expired", Vec::new(), r#"{"exp":1789999994}"#.to_owned(), Err(VerifyError::Stale)),
        ("not yet", Vec::new(), r#"{"nbf":1790000006}"#.to_owned(), Err(VerifyError::Future)),
        ("a fraction", Vec::new(), r#"{"exp":1790000000.5}"#.to_owned(), Ok(())),
        ("a word for a time", Vec::new(), r#"{"exp":"soon"}"#.to_owned(), Err(VerifyError::MalformedTimestamp)),
    ];
    for (told, claims, text, expected) in cases {
        assert_eq!(judge(proof(claims), "{}", &token(HS256, &text)), expected, "{told}");
    }
    assert_eq!(judge(proof(vec![optional]), "", &token(HS256, "{}")), Ok(()), "no body needs no hash");
    assert!(verifier(proof(body())).credential().is_none(), "bound to its body, it opens nothing else");
    assert!(verifier(proof(issuer())).credential().has_header(&http::header::AUTHORIZATION), "it opens every body");
}

#[test]
fn a_token_signed_with_a_private_key_is_proven_with_the_public_one() {
    let text = include_str!("../../../tests/vectors/schemes/public-keys.json");
    let json: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
    let (pem, signed) = (&json["rsa"]["pem"], json["rsa"]["jwt"].as_str().expect("text"));
    let rsa = |claims| Proof {
        algorithm: Algorithm::JwtRsa(Hash::Sha256),
        keys: vec![key(Algorithm::JwtRsa(Hash::Sha256), "pem", pem.as_str().expect("text"))],
        ..proof(claims)
    };
    assert_eq!(judge(rsa(vec![claim("iss", Says::Text("acme".to_owned()))]), "", signed), Ok(()));
    assert_eq!(judge(rsa(vec![claim("iss", Says::Text("else".to_owned()))]), "", signed), Err(VerifyError::Claim));
    // The public key as the key of an HMAC: the oldest trick on web tokens.
    let head = format!("{}.{}", part(HS256), part("{}"));
    let sum = Signer::new(pem.as_str().expect("text").as_bytes()).sign(&[head.as_bytes()]);
    let forged = format!("{head}.{}", Encoding::Base64Url.encode(&sum));
    assert_eq!(judge(rsa(Vec::new()), "", &forged), Err(VerifyError::MalformedSignature));
    let body = Proof {
        at: SignatureAt::Body,
        grammar: Grammar::Whole { prefix: "".into(), any_case: false },
        ..rsa(Vec::new())
    };
    assert_eq!(proven(Call::new(&format!("{signed}\n")).to(&verifier(body))), Ok(()), "the body is the token");
}
