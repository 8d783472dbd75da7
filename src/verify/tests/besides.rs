//! What the operator asks of every request, besides what the provider signs.

use std::net::IpAddr;

use super::*;
use crate::admission::Ranges;

const HOME: &str = "192.0.2.7";

fn token(at: &str, text: &str) -> Proof {
    let at = match crate::select::Place::parse(at).expect("a place") {
        crate::select::Place::Header(name) => SignatureAt::Headers { names: vec![name], lines: false },
        place => SignatureAt::Place(place.into()),
    };
    Proof::shown(at, vec![Key::for_token(&secret(text)).expect("a token")])
}

fn addresses() -> Option<Ranges> {
    Some(Ranges::build(&["192.0.2.7/32".parse().expect("a prefix"), "2001:db8::/64".parse().expect("a prefix")]))
}

fn built(proofs: Vec<Proof>, besides: Besides, challenges: Vec<Rule>) -> Result<Verifier, Vec<PlanError>> {
    Verifier::new(Plan { methods: vec![Method::POST], proofs, besides, challenges, ..Plan::default() })
}

fn caller(call: Call, text: &str) -> Call {
    Call { caller: Some(text.parse::<IpAddr>().expect("an address")), ..call }
}

#[test]
fn all_that_is_asked_must_hold_beside_the_signature() {
    let besides = Besides { proofs: vec![token("header:x-a", "one"), token("query:b", "two")], addresses: addresses() };
    let verifier = built(vec![simple()], besides, Vec::new()).expect("a plan");
    let whole = caller(Call::new("{}").signed(&verifier), HOME);
    assert_eq!(proven(whole.to(&verifier)), Ok(()));
    assert!(verifier.binds_body(), "what is shown besides takes nothing away");
    let drop_header = |name: &'static str| {
        let mut call = whole.clone();
        call.headers.remove(name);
        call
    };
    for (name, call, expected) in [
        ("no signature", drop_header("x-sig"), VerifyError::MissingSignature),
        ("no header token", drop_header("x-a"), VerifyError::MissingSignature),
        ("another header token", drop_header("x-a").header("x-a", "two"), VerifyError::WrongSignature),
        ("two header tokens", whole.clone().header("x-a", "one"), VerifyError::RepeatedSignature),
        ("no query token", whole.clone().query(""), VerifyError::MissingSignature),
        ("another query token", whole.clone().query("b=one"), VerifyError::WrongSignature),
        ("nobody known", Call { caller: None, ..whole.clone() }, VerifyError::Caller),
        ("somebody else", caller(whole.clone(), "192.0.2.8"), VerifyError::Caller),
        ("another network", caller(whole.clone(), "2001:db8:0:1::1"), VerifyError::Caller),
        ("another body", Call { body: b"{ }".to_vec(), ..whole.clone() }, VerifyError::WrongSignature),
    ] {
        assert_eq!(proven(call.to(&verifier)), Err(expected), "{name}");
    }
    for same in ["::ffff:192.0.2.7", "2001:db8::ffff"] {
        assert_eq!(proven(caller(whole.clone(), same).to(&verifier)), Ok(()), "{same}");
    }
    let credential = verifier.credential();
    assert!(credential.has_header(&HeaderName::from_static("x-a")) && credential.has_query("b"));
    assert!(!credential.has_header(&HeaderName::from_static("x-sig")), "a signature may be checked again");
}

#[test]
fn what_holds_only_for_the_whole_body_is_named_apart_from_what_must_never_be_shown() {
    let has = |whole: &Credential, names: &[&'static str]| {
        names.iter().map(|name| whole.has_header(&HeaderName::from_static(name))).collect::<Vec<_>>()
    };
    let beside = Besides { proofs: vec![token("header:x-a", "one")], addresses: None };
    let verifier = built(vec![simple()], beside, Vec::new()).expect("it is sound");
    assert_eq!(has(&verifier.of_the_whole(), &["x-sig", "x-a", "x-other", "date"]), [true, true, false, false]);
    assert_eq!(
        has(verifier.credential(), &["x-sig", "x-a"]),
        [false, true],
        "of what is whole it may be checked again"
    );

    let at = place;
    let digests = ["header:x-body-digest", "query:digest"].map(|place| BodyDigest {
        at: at(place),
        hash: Hash::Sha256,
        encoding: Encoding::Hex,
    });
    let family = Proof { at: SignatureAt::HeadersWith("x-sign-".into()), digests: digests.into(), ..simple() };
    let query = Proof { at: SignatureAt::Place(at("query:sig")), ..simple() };
    let path = Proof { at: SignatureAt::Place(at("path:sig")), ..simple() };
    let verifier = built(vec![family, query, path], Besides::default(), Vec::new()).expect("it is sound");
    let whole = verifier.of_the_whole();
    assert_eq!(
        has(&whole, &["x-sign-v2", "x-sign-", "x-body-digest", "x-sign", "x"]),
        [true, true, true, false, false]
    );
    assert!(whole.has_query("sig") && whole.has_query("digest") && !whole.has_query("id"));
    assert!(verifier.credential().is_none() && !whole.is_none());
    let mut only = Credential::NONE;
    only.add_family("x-sign-");
    only.add_family("x-sign-");
    assert!(!only.is_none() && only.headers().is_empty());
}

#[test]
fn where_nothing_is_signed_what_is_asked_is_all_there_is() {
    let listed = Besides { proofs: Vec::new(), addresses: addresses() };
    let by_address = built(Vec::new(), listed, Vec::new()).expect("an address is a proof");
    assert_eq!(proven(caller(Call::new("x"), HOME).to(&by_address)), Ok(()));
    assert_eq!(proven(caller(Call::new("x"), "192.0.2.6").to(&by_address)), Err(VerifyError::Caller));
    assert!(!by_address.binds_body() && !by_address.proves_nothing() && by_address.credential().is_none());
    let keys = vec![Key::for_token(&secret("new")).expect("a token"), Key::for_token(&secret("old")).expect("a token")];
    let at = SignatureAt::Headers { names: vec![HeaderName::from_static("x-a")], lines: false };
    let shown = Besides { proofs: vec![Proof::shown(at, keys)], addresses: None };
    let by_token = built(Vec::new(), shown, Vec::new()).expect("a token is a proof");
    match Call::new("x").header("x-a", "old").to(&by_token) {
        Ok(Verdict::Proven(verified)) => assert_eq!((verified.proof(), verified.key()), (0, 1)),
        other => panic!("{other:?}"),
    }
    assert_eq!(proven(Call::new("x").to(&by_token)), Err(VerifyError::MissingSignature));
    assert_eq!(proven(Call::get("").header("x-a", "old").to(&by_token)), Err(VerifyError::Method));
    assert_eq!(built(Vec::new(), Besides::default(), Vec::new()).map(drop), Err(vec![PlanError::NoProof]));
    let nothing = Proof { algorithm: Algorithm::Nothing, keys: Vec::new(), ..token("header:x-a", "a") };
    let empty = Besides { proofs: vec![nothing], addresses: None };
    let refused = built(vec![simple()], empty, Vec::new()).map(drop).expect_err("nothing is no proof");
    assert!(refused.contains(&PlanError::NothingBeside(1)), "{refused:?}");
}

#[test]
fn a_handshake_must_show_it_too() {
    let rule = Rule {
        methods: vec![Method::GET],
        when: vec![Condition { at: place("query:c"), is: Is::Present }],
        must: Vec::new(),
        proven: false,
        guard: Guard { characters: Characters::Token, min: 1, max: 64 },
        computed: None,
        status: 200,
        format: Format::Text,
        body: template("{query:c}"),
        headers: Vec::new(),
    };
    let besides = Besides { proofs: vec![token("query:key", "one")], addresses: addresses() };
    let verifier = built(vec![simple()], besides, vec![rule]).expect("a plan");
    assert!(matches!(caller(Call::get("c=1&key=one"), HOME).to(&verifier), Ok(Verdict::Challenge(_))));
    for (call, expected) in [
        (caller(Call::get("c=1"), HOME), VerifyError::MissingSignature),
        (caller(Call::get("c=1&key=two"), HOME), VerifyError::WrongSignature),
        (caller(Call::get("c=1&key=one"), "192.0.2.8"), VerifyError::Caller),
        (Call::get("c=1&key=one"), VerifyError::Caller),
    ] {
        assert_eq!(call.to(&verifier).map(|_| ()), Err(expected), "{call:?}");
    }
}

#[test]
fn a_token_of_the_path_stands_in_it_before_anything_is_signed() {
    let besides = Besides { proofs: vec![token("path:token", "one")], addresses: None };
    let verifier = built(vec![simple()], besides, Vec::new()).expect("a plan");
    let tokens = verifier.path_tokens();
    assert_eq!(
        tokens.iter().map(|(name, token)| (*name, token.expose())).collect::<Vec<_>>(),
        [("token", &b"one"[..])]
    );
    let refused = Call::new("{}").by(|request, now| verifier.sign(request, now));
    assert_eq!(refused, Err(CannotSign::Place));
    assert!(verifier.credential().captures().iter().any(|name| &**name == "token"));
}

/// Whether a request with this body is the challenge `{"a":"b-c"}`.
fn is_asked(body: &str) -> bool {
    let condition = |at: &str, text: &str| Condition { at: place(at), is: Is::Text(text.into()) };
    let rule = Rule {
        methods: vec![Method::POST],
        when: vec![condition("json:/a", "b-c"), Condition { at: place("json:/x"), is: Is::Absent }],
        must: Vec::new(),
        proven: true,
        guard: Guard { characters: Characters::Token, min: 1, max: 64 },
        computed: None,
        status: 200,
        format: Format::Empty,
        body: template(""),
        headers: Vec::new(),
    };
    let verifier = challenging(simple(), vec![rule]);
    matches!(Call::new(body).signed(&verifier).to(&verifier), Ok(Verdict::Challenge(_)))
}

#[test]
fn a_look_at_the_bytes_decides_nothing_that_reading_them_would_not() {
    for asked in [r#"{"a":"b-c"}"#, r#"{"a":"b\u002dc"}"#, r#"{"a":"\u0062-c"}"#, r#"{ "a" : "x", "a":"b-c" }"#] {
        assert!(is_asked(asked), "{asked}");
    }
    for not in [
        r#"{"a":"b-d"}"#,
        r#"{"a":"b-c","x":1}"#,
        r#"{"b":"b-c"}"#,
        r#"{"a":"b-c","a":"x"}"#,
        r#"{"a":["b-c"]}"#,
        r#"["a","b-c"]"#,
        r#"{"a":"b-c""#,
        r#"{"a":"b\\u002dc"}"#,
        "b-c",
        "",
    ] {
        assert!(!is_asked(not), "{not}");
    }
}
