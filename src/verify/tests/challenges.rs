//! Handshakes that are answered, and those that would make a signing oracle of the answer.

use super::*;

fn guard(characters: Characters, max: usize) -> Guard {
    Guard { characters, min: 1, max }
}

/// A GET with the query parameter `c`, echoed as text.
fn echo() -> Rule {
    Rule {
        methods: vec![Method::GET],
        when: vec![Condition { at: place("query:c"), is: Is::Present }],
        must: Vec::new(),
        proven: false,
        guard: guard(Characters::Token, 256),
        computed: None,
        status: 200,
        format: Format::Text,
        body: template("{query:c}"),
        headers: Vec::new(),
    }
}

fn computed(signs: &str, encoding: Encoding, of_events: bool) -> Computed {
    Computed {
        signs: template(signs),
        algorithm: Algorithm::Hmac(Hash::Sha256),
        encoding,
        key: key(Algorithm::Hmac(Hash::Sha256), "utf8", "k"),
        key_of_events: of_events,
    }
}

fn answer(rule: &Rule, call: &Call) -> Result<(u16, String), VerifyError> {
    match call.to(&challenging(simple(), vec![rule.clone()]))? {
        Verdict::Challenge(answer) => Ok((answer.status(), String::from_utf8(answer.body().to_vec()).expect("text"))),
        Verdict::Proven(_) => panic!("a challenge is never an event"),
    }
}

#[test]
fn kinds_of_answers() {
    let text = |text: &str| Ok((200, text.to_owned()));
    let json = Rule { format: Format::Json, body: template(r#"{{"c":"{query:c}"}}"#), ..echo() };
    let words = Rule { guard: guard(Characters::Text, 256), ..echo() };
    let quoted = Rule { guard: guard(Characters::Text, 256), ..json.clone() };
    let digits = Rule { guard: guard(Characters::Digits, 20), ..echo() };
    let hex = Rule { guard: Guard { characters: Characters::Hex, min: 20, max: 32 }, ..echo() };
    let probe =
        Rule { methods: vec![Method::HEAD], when: Vec::new(), format: Format::Empty, body: template(""), ..echo() };
    let absent = Rule { when: vec![Condition { at: place("header:x-sig"), is: Is::Absent }], ..echo() };
    let is = Rule { when: vec![Condition { at: place("query:mode"), is: Is::Text("on".to_owned()) }], ..echo() };
    let cases = [
        ("an echo", &echo(), Call::get("c=abc"), text("abc")),
        ("a decoded echo", &echo(), Call::get("c=a%2Bb"), text("a+b")),
        ("an echo of nothing", &echo(), Call::get("c="), Err(VerifyError::ChallengeText)),
        ("another parameter is no challenge", &echo(), Call::get("d=1"), Err(VerifyError::Method)),
        ("markup", &echo(), Call::get("c=%3Cb%3E"), Err(VerifyError::ChallengeText)),
        ("markup as words", &words, Call::get("c=%3Cb%3E"), Err(VerifyError::ChallengeText)),
        ("a line end as words", &words, Call::get("c=a%0Ab"), Err(VerifyError::ChallengeText)),
        ("words", &words, Call::get("c=Validation%3A%20Testing"), text("Validation: Testing")),
        ("words where a token is due", &echo(), Call::get("c=a%20b"), Err(VerifyError::ChallengeText)),
        ("into JSON", &json, Call::get("c=abc"), text(r#"{"c":"abc"}"#)),
        ("a quote into JSON", &quoted, Call::get("c=a%22%5C"), text(r#"{"c":"a\"\\"}"#)),
        ("digits", &digits, Call::get("c=0123"), text("0123")),
        ("no digits", &digits, Call::get("c=a"), Err(VerifyError::ChallengeText)),
        ("too few", &hex, Call::get("c=abc"), Err(VerifyError::ChallengeText)),
        ("capitals", &hex, Call::get("c=ABCDEFABCDEFABCDEFABCDEF"), Err(VerifyError::ChallengeText)),
        ("enough", &hex, Call::get("c=abcdefabcdefabcdefabcdef"), text("abcdefabcdefabcdefabcdef")),
        ("a probe", &probe, Call { method: Method::HEAD, ..Call::get("") }, text("")),
        ("only without a signature", &absent, Call::get("c=1"), text("1")),
        ("with one", &absent, Call::get("c=1").header("x-sig", "0"), Err(VerifyError::Method)),
        ("a mode", &is, Call::get("mode=on&c=1"), text("1")),
        ("another mode", &is, Call::get("mode=off&c=1"), Err(VerifyError::Method)),
        ("a mode and no text", &is, Call::get("mode=on"), Err(VerifyError::ChallengeText)),
    ];
    for (told, rule, call, expected) in cases {
        assert_eq!(answer(rule, &call), expected, "{told}");
    }
}

#[test]
fn an_answer_may_echo_headers_and_be_asked_for_by_a_signed_event() {
    let header = Rule {
        methods: vec![Method::POST],
        when: vec![Condition { at: place("header:validation-token"), is: Is::Present }],
        format: Format::Empty,
        body: template(""),
        headers: vec![(HeaderName::from_static("validation-token"), template("{header:validation-token}"))],
        ..echo()
    };
    let verifier = challenging(simple(), vec![header]);
    let Ok(Verdict::Challenge(found)) = Call::new("").header("validation-token", "t-1").to(&verifier) else {
        panic!("it is a challenge")
    };
    assert_eq!(found.headers()[0].1, "t-1");
    assert_eq!(found.content_type(), None);
    let split = Call::new("").header("validation-token", "a\tb").to(&verifier);
    assert_eq!(split, Err(VerifyError::ChallengeText));

    let signed = Rule {
        methods: vec![Method::POST],
        when: vec![Condition { at: place("json:/type"), is: Is::Text("url_verification".to_owned()) }],
        proven: true,
        body: template("{json:/challenge}"),
        ..echo()
    };
    let verifier = challenging(simple(), vec![signed]);
    let call = Call::new(r#"{"type":"url_verification","challenge":"3eZ"}"#);
    assert_eq!(call.to(&verifier), Err(VerifyError::MissingSignature), "unsigned, it is no challenge");
    let Ok(Verdict::Challenge(found)) = call.signed(&verifier).to(&verifier) else { panic!("it is a challenge") };
    assert_eq!(&found.body()[..], b"3eZ");
    let event = Call::new(r#"{"type":"event_callback"}"#).signed(&verifier);
    assert_eq!(proven(event.to(&verifier)), Ok(()));
}

#[test]
fn a_token_must_be_right_and_is_compared_as_a_whole() {
    let rule =
        Rule { must: vec![(place("query:token"), vec![Key::for_token(&secret("right")).expect("a token")])], ..echo() };
    for (query, expected) in [
        ("c=1&token=right", Ok((200, "1".to_owned()))),
        ("c=1&token=righ", Err(VerifyError::ChallengeToken)),
        ("c=1&token=rightx", Err(VerifyError::ChallengeToken)),
        ("c=1&token=", Err(VerifyError::ChallengeToken)),
        ("c=1", Err(VerifyError::ChallengeToken)),
        ("c=%3C&token=wrong", Err(VerifyError::ChallengeToken)),
    ] {
        assert_eq!(answer(&rule, &Call::get(query)), expected, "{query}");
    }
}

#[test]
fn no_answer_can_serve_as_the_signature_of_an_event() {
    let crc = Rule {
        computed: Some(computed("{query:c}", Encoding::Hex, true)),
        format: Format::Json,
        body: template(r#"{{"response":"sha256={computed}"}}"#),
        ..echo()
    };
    let verifier = challenging(simple(), vec![crc.clone()]);
    let asked = |text: &str| match Call::get(&format!("c={text}")).to(&verifier) {
        Ok(Verdict::Challenge(answer)) => {
            let body = String::from_utf8(answer.body().to_vec()).expect("text");
            Ok(body.split_once('=').expect("a prefix").1.trim_end_matches(['"', '}']).to_owned())
        }
        Ok(Verdict::Proven(_)) => panic!("a challenge is never an event"),
        Err(error) => Err(error),
    };
    // What is answered is the signature that an event of these bytes would have, and such an event is refused.
    for text in ["abc", "hmacsha256=abc", "1", &"a".repeat(256)] {
        let stolen = asked(text).expect("it is answered");
        assert_eq!(Call::new(text).signed(&super::verifier(simple())).headers["x-sig"], *stolen, "{text}");
        let forged = Call::new(text).header("x-sig", &stolen);
        assert_eq!(forged.to(&verifier), Err(VerifyError::Askable), "{text}");
    }
    // What could be a body worth forging is not answered.
    for text in ["%7B%22forged%22%3Atrue%7D", "a%26b", "a%20b", "", "%22a%22", "%5B1%5D", &"a".repeat(257)] {
        assert_eq!(asked(text), Err(VerifyError::ChallengeText), "{text}");
    }
    // Every body that is JSON with more than a number in it is still an event.
    for body in [r#"{"a":1}"#, "[]", &"a".repeat(257), ""] {
        assert_eq!(proven(Call::new(body).signed(&verifier).to(&verifier)), Ok(()), "{body}");
    }
    // A plan whose answers would be more than that is none.
    let plan = |rule: Rule| {
        let plan =
            Plan { methods: vec![Method::POST], proofs: vec![simple()], challenges: vec![rule], ..Plan::default() };
        Verifier::new(plan).err().unwrap_or_default()
    };
    let with_text = Rule { guard: guard(Characters::Text, 256), ..crc.clone() };
    let with_prefix = Rule { computed: Some(computed("x{query:c}", Encoding::Hex, true)), ..crc };
    let own_key = Rule { computed: Some(computed("x{query:c}", Encoding::Hex, false)), ..with_text.clone() };
    let signed = Rule { proven: true, ..with_text.clone() };
    assert_eq!(plan(with_text), [PlanError::SigningOracle(0)]);
    assert_eq!(plan(with_prefix), [PlanError::SigningOracle(0)]);
    assert_eq!(plan(own_key), [], "a key that signs no events");
    assert_eq!(plan(signed), [], "asked for by a signed event");
}

#[test]
fn no_answer_can_serve_as_the_signature_of_a_web_token() {
    let rule = |characters, of_events| Rule {
        computed: Some(computed("{query:c}", Encoding::Base64Url, of_events)),
        guard: guard(characters, 256),
        body: template("{computed}"),
        ..echo()
    };
    let jwt = Algorithm::JwtHmac(Hash::Sha256);
    let web = Proof { algorithm: jwt, signs: template(""), keys: vec![key(jwt, "utf8", "k")], ..simple() };
    let plan = |rule: Rule| {
        let plan =
            Plan { methods: vec![Method::POST], proofs: vec![web.clone()], challenges: vec![rule], ..Plan::default() };
        Verifier::new(plan).err().unwrap_or_default()
    };
    assert_eq!(plan(rule(Characters::Token, true)), [PlanError::SigningOracle(0)]);
    assert_eq!(plan(rule(Characters::Token, false)), [], "a key that signs no events");
    assert_eq!(plan(Rule { proven: true, ..rule(Characters::Token, true) }), [], "asked for by a signed event");
    for characters in [Characters::Digits, Characters::Hex] {
        assert_eq!(plan(rule(characters, true)), [], "{characters:?}: no web token is without a dot");
    }
}

#[test]
fn an_answer_may_be_a_hash_over_a_key_of_its_own() {
    let rule = Rule {
        computed: Some(Computed {
            signs: template("{query:c}{secret}https://hooks.example.com/in"),
            algorithm: Algorithm::Digest(Hash::Sha256),
            encoding: Encoding::Hex,
            key: key(Algorithm::Digest(Hash::Sha256), "utf8", "verification-token"),
            key_of_events: false,
        }),
        body: template("{computed}"),
        ..echo()
    };
    // `printf 'abcverification-tokenhttps://hooks.example.com/in' | sha256sum`
    let expected = "b70092829175c0a7ef6fa88ba98777355d94dfba622eca9ea6b36775335ba3a5";
    assert_eq!(answer(&rule, &Call::get("c=abc")), Ok((200, expected.to_owned())));
}
