//! Every reason for which a request is refused, each produced here.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

fn headers(names: &[&'static str], lines: bool) -> SignatureAt {
    SignatureAt::Headers { names: names.iter().map(|name| HeaderName::from_static(name)).collect(), lines }
}

/// Signed over time and body, the time in a header of its own, five minutes both ways.
fn timed() -> Proof {
    Proof {
        signs: template("{time}.{body}"),
        time: Some(TimeRule {
            at: TimeAt::Place(place("header:x-time")),
            unit: Unit::Seconds,
            window: Some(Window { within: Duration::from_secs(300), both: true }),
        }),
        ..simple()
    }
}

/// Signed over the URL, a digest of the body in its query, as Twilio does for JSON.
fn bound() -> Proof {
    Proof {
        signs: template("{url}{form-sorted}"),
        urls: UrlForms::Twilio,
        must_bind: true,
        digests: vec![BodyDigest { at: place("query:bodySHA256"), hash: Hash::Sha256, encoding: Encoding::Hex }],
        ..simple()
    }
}

fn of_query() -> Proof {
    Proof { at: SignatureAt::Place(place("query:sig")), ..simple() }
}

/// The signature of a text by the key `k`.
fn mac(text: &str) -> String {
    Call::new(text).signed(&verifier(simple())).headers["x-sig"].to_str().expect("hex").to_owned()
}

/// Signs each element of `/items` by itself.
fn each() -> Proof {
    Proof {
        at: SignatureAt::Place(place("json:/sig")),
        signs: template("{json:/id}"),
        each: Some(crate::select::Pointer::parse("/items/*").expect("a pointer")),
        ..simple()
    }
}

fn items(list: &[(&str, &str)]) -> Call {
    let items: Vec<String> = list.iter().map(|(id, sig)| format!(r#"{{"id":"{id}","sig":"{sig}"}}"#)).collect();
    Call::new(&format!(r#"{{"items":[{}]}}"#, items.join(",")))
}

fn with_sum(body: &str, sum: [u8; 32]) -> Call {
    Call::new(body).query(&format!("bodySHA256={}", decode::to_hex(&sum))).signed(&verifier(bound()))
}

/// Requests, each with what comes of it.
#[derive(Default)]
struct Cases(BTreeSet<VerifyError>);

impl Cases {
    fn add(&mut self, told: &str, proof: Proof, call: Call, expected: Result<(), VerifyError>) {
        assert_eq!(proven(call.to(&verifier(proof))), expected, "{told}");
        self.0.extend(expected.err());
    }
}

fn where_a_signature_stands(cases: &mut Cases) {
    use VerifyError as E;
    let sig = mac("b");
    cases.add("signed", simple(), Call::new("b").header("x-sig", &sig), Ok(()));
    cases.add("by GET", simple(), Call { method: Method::GET, ..Call::new("b").header("x-sig", &sig) }, Err(E::Method));
    cases.add("no header", simple(), Call::new("b"), Err(E::MissingSignature));
    cases.add("no query", of_query(), Call::new("b"), Err(E::MissingSignature));
    cases.add("in the query", of_query(), Call::new("b").query(&format!("sig={sig}")), Ok(()));
    cases.add("an empty header", simple(), Call::new("b").header("x-sig", ""), Err(E::EmptySignature));
    cases.add("an empty query", of_query(), Call::new("b").query("sig="), Err(E::EmptySignature));
    let twice = Call::new("b").header("x-sig", &sig).header("x-sig", &sig);
    cases.add("twice", simple(), twice.clone(), Err(E::RepeatedSignature));
    cases.add("twice, and lists are read", Proof { at: headers(&["x-sig"], true), ..simple() }, twice, Ok(()));
    let lines = Call::new("b").header("x-sig", "").header("x-sig", "zz").header("x-sig", &sig);
    cases.add("a bad line ends nothing", Proof { at: headers(&["x-sig"], true), ..simple() }, lines, Ok(()));
    let second = Call::new("b").header("x-b", &sig);
    cases.add(
        "the second of two headers",
        Proof { at: headers(&["x-a", "x-b"], false), ..simple() },
        second.clone(),
        Ok(()),
    );
    cases.add("a family of headers", Proof { at: SignatureAt::HeadersWith("x-".into()), ..simple() }, second, Ok(()));
    let far = Call::new("b").header("x-sig", &"0".repeat(8193));
    cases.add("8193 bytes", simple(), far, Err(E::OversizedSignature));
    let edge = Call::new("b").header("x-sig", &"0".repeat(8192));
    cases.add("8192 bytes", simple(), edge, Err(E::MalformedSignature));
    let list = || Proof { grammar: Grammar::List { separator: b',', prefix: "".into() }, ..simple() };
    let sixteen = format!("{}{sig}", "00,".repeat(15));
    cases.add("16 candidates", list(), Call::new("b").header("x-sig", &sixteen), Ok(()));
    let more = Call::new("b").header("x-sig", &format!("00,{sixteen}"));
    cases.add("17 candidates", list(), more, Err(E::TooManySignatures));
}

fn what_else_must_be_there(cases: &mut Cases) {
    use VerifyError as E;
    let sig = mac("b");
    let required = || Proof {
        requires: vec![Requirement { at: place("header:x-version"), one_of: vec!["1".to_owned()] }],
        ..simple()
    };
    cases.add("a version that is absent", required(), Call::new("b").header("x-sig", &sig), Err(E::Requirement));
    let version = |text| Call::new("b").header("x-sig", &sig).header("x-version", text);
    cases.add("another version", required(), version("2"), Err(E::Requirement));
    cases.add("the version", required(), version("1"), Ok(()));
    let in_body = || Proof { at: SignatureAt::Place(place("json:/sig")), signs: template("{json:/id}"), ..simple() };
    cases.add("no JSON", in_body(), Call::new("{"), Err(E::Unreadable));
    cases.add("JSON", in_body(), Call::new(&format!(r#"{{"id":"b","sig":"{sig}"}}"#)), Ok(()));
    cases.add("JSON without it", in_body(), Call::new("{}"), Err(E::MissingSignature));
    cases.add("JSON without a part", in_body(), Call::new(&format!(r#"{{"sig":"{sig}"}}"#)), Err(E::MissingPart));
    let part = || Proof { signs: template("{header:x-id}{body}"), ..simple() };
    cases.add("a part is absent", part(), Call::new("").header("x-sig", &sig), Err(E::MissingPart));
    cases.add("a part", part(), Call::new("").header("x-sig", &sig).header("x-id", "b"), Ok(()));
    let doubled = Call::new("").header("x-sig", &sig).header("x-id", "b").header("x-id", "b");
    cases.add("a part twice", part(), doubled, Err(E::RepeatedPart));
}

fn what_signed_bytes_say(cases: &mut Cases) {
    use VerifyError as E;
    let sig = mac("b");
    let at = |time: &str| Call::new("b").header("x-time", time).header("x-sig", &mac(&format!("{time}.b")));
    let lost = Call { url: None, ..with_sum("{}", digest(&[b"{}"])) };
    cases.add("no public URL", bound(), lost, Err(E::NoPublicUrl));
    let form = |pairs: usize| {
        let call = Call::new(&"a&".repeat(pairs)).header("content-type", "application/x-www-form-urlencoded");
        call.header("x-sig", &mac("https://hooks.example.com/ina"))
    };
    cases.add("a form of 4096 pairs", bound(), form(4096), Ok(()));
    cases.add("a form of 4097 pairs", bound(), form(4097), Err(E::Unreadable));
    cases.add("no items", each(), items(&[]), Err(E::Items));
    cases.add("no list", each(), Call::new("{}"), Err(E::Items));
    cases.add("no JSON of items", each(), Call::new("["), Err(E::Unreadable));
    cases.add("1001 items", each(), items(&[("b", &*sig); 1001]), Err(E::Items));
    cases.add("every item", each(), items(&[("b", &sig), ("c", &mac("c"))]), Ok(()));
    cases.add("a forged second item", each(), items(&[("b", &sig), ("c", &sig)]), Err(E::WrongSignature));
    cases.add("no time", timed(), Call::new("b").header("x-sig", &sig), Err(E::MissingTimestamp));
    let clocks = at("1790000000").header("x-time", "1790000000");
    cases.add("two times", timed(), clocks, Err(E::RepeatedTimestamp));
    cases.add("odd digits", simple(), Call::new("b").header("x-sig", &sig[1..]), Err(E::MalformedSignature));
    cases.add("other bytes", simple(), Call::new("c").header("x-sig", &sig), Err(E::WrongSignature));
    cases.add("in time", timed(), at("1790000000"), Ok(()));
    cases.add("signed words", timed(), at("soon"), Err(E::MalformedTimestamp));
    cases.add("twenty digits", timed(), at("99999999999999999999"), Err(E::MalformedTimestamp));
    cases.add("too late", timed(), at("1789999699"), Err(E::Stale));
    cases.add("too early", timed(), at("1790000301"), Err(E::Future));
    cases.add("late and forged", timed(), Call { body: b"c".to_vec(), ..at("1") }, Err(E::WrongSignature));
    cases.add("the digest of the body", bound(), with_sum("{}", digest(&[b"{}"])), Ok(()));
    cases.add("of another body", bound(), with_sum("{}", digest(&[b"[]"])), Err(E::BodyDigest));
    let bare = Call::new("").signed(&verifier(bound()));
    cases.add("a body that nothing covers", bound(), Call { body: b"{}".to_vec(), ..bare }, Err(E::BodyNotBound));
    cases.add("a body by its digest", bound(), Call::new("{}").signed(&verifier(bound())), Ok(()));
    cases.add("no body at all", bound(), Call::new("").signed(&verifier(bound())), Ok(()));
}

#[test]
fn each_refusal_has_its_reason() {
    use VerifyError as E;
    let mut cases = Cases::default();
    where_a_signature_stands(&mut cases);
    what_else_must_be_there(&mut cases);
    what_signed_bytes_say(&mut cases);
    // Callers, challenges and web tokens have tests of their own, which produce what is missing here.
    let elsewhere = [E::Caller, E::Claim, E::Askable, E::ChallengeToken, E::ChallengeText];
    let missing: Vec<_> = E::ALL.into_iter().filter(|error| !cases.0.contains(error)).collect();
    assert_eq!(missing, elsewhere);
}

#[test]
fn a_time_in_the_signed_body_is_judged_and_one_that_is_not_signed_is_no_plan() {
    let rule = |text: &str| TimeRule {
        at: TimeAt::Place(place(text)),
        unit: Unit::Milliseconds,
        window: Some(Window { within: Duration::from_secs(60), both: true }),
    };
    let linear = verifier(Proof { time: Some(rule("json:/webhookTimestamp")), ..simple() });
    let call = |body: &str| proven(Call::new(body).signed(&verifier(simple())).to(&linear));
    assert_eq!(call(r#"{"webhookTimestamp":1790000000000}"#), Ok(()));
    assert_eq!(call(r#"{"webhookTimestamp":1789999939000}"#), Err(VerifyError::Stale));
    assert_eq!(call(r#"{"webhookTimestamp":"x"}"#), Err(VerifyError::MalformedTimestamp));
    assert_eq!(call("{}"), Err(VerifyError::MissingTimestamp));
    let loose = Proof { time: Some(rule("header:x-time")), ..simple() };
    let plan = Plan { methods: vec![Method::POST], proofs: vec![loose], ..Plan::default() };
    assert_eq!(Verifier::new(plan).map(|_| ()), Err(vec![PlanError::TimeNotSigned(0)]));
}

#[test]
fn a_token_is_a_credential_and_a_signature_is_not() {
    let token = |text: &str| {
        let proof = with("equal", "hex", "utf8", "t");
        verifier(Proof { at: SignatureAt::Place(place(text)), ..proof })
    };
    assert!(verifier(simple()).credential().is_none());
    assert!(verifier(simple()).binds_body());
    assert_eq!(token("header:x-token").credential().headers(), [HeaderName::from_static("x-token")]);
    assert!(token("query:token").credential().has_query("token"));
    assert_eq!(token("path:token").credential().captures(), [Box::from("token")]);
    assert!(token("json:/token").credential().in_body());
    assert!(!token("json:/token").binds_body());
    let basic = with("basic", "hex", "utf8", "user:pass");
    let basic = Proof { grammar: Grammar::Whole { prefix: "Basic ".into(), any_case: true }, ..basic };
    let basic = verifier(Proof { at: headers(&["authorization"], false), ..basic });
    assert!(basic.credential().has_header(&http::header::AUTHORIZATION));
    let call = |text: &str| proven(Call::new("").header("authorization", text).to(&basic));
    assert_eq!(call("Basic dXNlcjpwYXNz"), Ok(()));
    assert_eq!(call("basic dXNlcjpwYXNz"), Ok(()));
    assert_eq!(call("Basic dXNlcjpwYXNT"), Err(VerifyError::WrongSignature));
    assert_eq!(call("Basic dXNlcjpwYXN"), Err(VerifyError::MalformedSignature));
    assert_eq!(call("Bearer dXNlcjpwYXNz"), Err(VerifyError::MalformedSignature));
    let signed = Call::new("").signed(&basic);
    assert_eq!(signed.headers["authorization"], "Basic dXNlcjpwYXNz");
}

#[test]
fn every_key_is_tried_and_told() {
    let keys = (0..8).map(|n| key(Algorithm::Hmac(Hash::Sha256), "utf8", &format!("key-{n}"))).collect::<Vec<_>>();
    let many = verifier(Proof { keys: keys.clone(), ..simple() });
    for (number, one) in keys.iter().enumerate() {
        let signed = Call::new("b").signed(&verifier(Proof { keys: vec![one.clone()], ..simple() }));
        let Ok(Verdict::Proven(verified)) = signed.to(&many) else { panic!("key {number} is one of them") };
        assert_eq!(usize::from(verified.key()), number);
        assert_eq!((verified.proof(), verified.timestamp()), (0, None));
    }
    let plan = |count: usize| {
        let keys = keys.iter().cycle().take(count).cloned().collect();
        let proofs = vec![Proof { keys, ..simple() }];
        Verifier::new(Plan { methods: vec![Method::POST], proofs, ..Plan::default() }).map(|_| ())
    };
    assert_eq!(plan(8), Ok(()));
    assert_eq!(plan(9), Err(vec![PlanError::TooManyKeys(0)]));
    assert_eq!(plan(0), Err(vec![PlanError::NoKey(0)]));
}

#[test]
fn every_reason_is_another_word() {
    let reasons: BTreeSet<_> = VerifyError::ALL.iter().map(|error| error.reason()).collect();
    assert_eq!(reasons.len(), VerifyError::ALL.len());
    let words = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(reasons.iter().all(|reason| words(reason)));
    assert!(VerifyError::ALL.is_sorted(), "the list is in the order of the variants");
    assert!(VerifyError::ALL.iter().all(|error| !error.to_string().is_empty()));
}

#[test]
fn a_digest_that_nobody_signed_binds_no_body() {
    let digest = |at: &str| BodyDigest { at: place(at), hash: Hash::Sha256, encoding: Encoding::Hex };
    let cases = [
        ("{url}", "query:sum", true),
        ("{header:sum}", "header:sum", true),
        ("{method}{header:sum}{query:x}", "query:x", true),
        ("{url}", "header:sum", false),
        ("{header:other}", "header:sum", false),
        ("{path}", "query:sum", false),
        ("{form-sorted}", "header:sum", false),
        ("{body}", "header:sum", true),
    ];
    for (signs, at, fits) in cases {
        let proof = Proof { signs: template(signs), must_bind: true, digests: vec![digest(at)], ..simple() };
        let plan = Plan { methods: vec![Method::POST], proofs: vec![proof], ..Plan::default() };
        let wrong = Verifier::new(plan).err().unwrap_or_default();
        assert_eq!(wrong, if fits { vec![] } else { vec![PlanError::CannotBind(0)] }, "{signs} {at}");
    }
}
