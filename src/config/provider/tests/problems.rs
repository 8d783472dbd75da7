//! Which provider files, and which values of operators, are refused, and in which words?

use super::super::{At, NAMES, Operator, Problem, Provider, Value, built_in};
use crate::admission::Ranges;
use crate::secret::Secret;
use crate::select::Place;
use crate::verify::{Besides, Key, Proof, SignatureAt};

const BASE: &str = r#"
format = 1
title = "Acme"
docs = ["https://docs.acme.example/hooks"]
checked = "2026-11-20"
confidence = "B"

[values.app]
kind = "text"
about = "the name of the app"
default = "one"
one-of = ["one", "two"]

[values.answer-token]
kind = "secret"
about = "the text that Acme asks for"

[[proof]]
signature = { from = ["header:x-acme"], parse = "pairs", key = "v1", time = "t" }
algorithm = "hmac-sha256"
encoding = "hex"
key-form = "utf8"
signs = "{value:app}:{time}.{body}"
time = { from = "beside", unit = "s", within = "300s", direction = "both" }

[[challenge]]
methods = ["GET"]
when = [{ at = "query:challenge" }]
must = [{ at = "query:token", value = "answer-token" }]
answer = { format = "json", body = '{{"challenge":"{query:challenge}"}}' }

[event]
id = [{ from = ["json:/id"] }]
kind = { from = ["header:x-acme-kind", "json:/kind"] }

[answer]
success = { status = 200, body = "[accepted]" }

[delivery]
answer-within = "10s"
retries = true
lasting = "3d"
"#;

/// The problems of the base file with one text replaced, each with the text it points at.
fn told(from: &str, to: &str) -> Vec<String> {
    assert!(BASE.contains(from), "the base file has no {from}");
    let text = BASE.replacen(from, to, 1);
    let show = |Problem { at, what, advice }: Problem| {
        let place = match at {
            At::File(span) => text.get(span).expect("a span of the file").lines().next().unwrap_or_default().to_owned(),
            other => format!("{other:?}"),
        };
        format!("{place} | {what} | {advice}")
    };
    match Provider::parse("acme", &text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(show).collect(),
    }
}

#[test]
fn a_file_that_is_wrong_says_where_and_what_would_be_right() {
    assert_eq!(told("Acme", "Acme"), [""; 0], "the base file is right");
    let cases = [
        ("format = 1", "format = 2", "2 | this is a file of another format"),
        ("title", "tittle", "tittle | unknown field `tittle`"),
        ("[\"https://docs.acme.example/hooks\"]", "[]", "[] | a provider file says where its facts come from"),
        ("https://docs", "http://docs", "\"http://docs.acme.example/hooks\" | documentation is named by its address"),
        ("2026-11-20", "2026-11-31", "\"2026-11-31\" | this is no date"),
        ("2026-11-20", "today", "\"today\" | this is no date"),
        ("confidence = \"B\"", "confidence = \"D\"", "\"D\" | `D` is not known here | It is one of A, A-, B, B-, C"),
        ("hmac-sha256", "hmac-sha257", "\"hmac-sha257\" | there is no algorithm `hmac-sha257`"),
        ("hmac-sha256", "digest-md5", "[[proof]] | a plain hash must cover `{secret}`"),
        ("hmac-sha256", "hmac-md5", "\"hmac-md5\" | algorithm `hmac-md5` is not offered: MD5 is offered as a plain"),
        ("hmac-sha256", "ecdsa-p256-sha1", "\"ecdsa-p256-sha1\" | algorithm `ecdsa-p256-sha1` is not offered"),
        ("hmac-sha256", "ed25519", "\"utf8\" | `ed25519` does not go with this form of key"),
        ("\"utf8\"", "\"pem\"", "\"pem\" | `hmac-sha256` does not go with this form of key"),
        ("\"utf8\"", "\"utf-8\"", "\"utf-8\" | `utf-8` is not known here | did you mean `utf8`?"),
        ("\"hex\"", "\"hexadecimal\"", "\"hexadecimal\" | `hexadecimal` is not known here"),
        ("\"pairs\"", "\"pears\"", "\"pears\" | there is no grammar `pears`"),
        ("\"pairs\"", "\"base64-json\"", "\"base64-json\" | `base64-json` is known and not built yet"),
        ("key = \"v1\", ", "", "\"pairs\" | `parse = \"pairs\"` needs `key`"),
        (
            "kind = { from",
            "parts = { elements = \"/list\" }\nkind = { from",
            "\"/list\" | the elements of a batch are those of an array: the pointer ends with `/*` | such as",
        ),
        (
            "kind = { from",
            "parts = { elements = \"/0/*\" }\nkind = { from",
            "\"/0/*\" | a pointer to the elements of a batch has no numbers",
        ),
        ("kind = { from", "parts = { elements = \"list\" }\nkind = { from", "\"list\" | `list` is no JSON pointer"),
        (
            "kind = { from",
            "parts = { elements = \"/*\", without = [\"x y\"] }\nkind = { from",
            "\"x y\" | `x y` is no header name",
        ),
        ("kind = { from", "parts = {}\nkind = { from", "{} | missing field `elements`"),
        ("header:x-acme\"", "head:x-acme\"", "\"head:x-acme\" | `head:x-acme` is no place"),
        ("header:x-acme\"", "header:x acme\"", "\"header:x acme\" | `header:x acme` is no place"),
        (
            "\"header:x-acme\"",
            "\"header:a\", \"query:b\"",
            "\"header:a\" | several places of a signature must all be headers",
        ),
        ("header:x-acme\"", "header:*\"", "every header is no place of a signature"),
        ("from = [\"header:x-acme\"]", "from = []", "nothing says where the signature stands"),
        (
            "{value:app}",
            "{value:ap}",
            "\"{value:ap}:{time}.{body}\" | the file asks for no value of this name (at character 1)",
        ),
        ("{body}", "{boddy}", "no such token"),
        ("{body}", "{body|rot13}", "no such modifier"),
        ("{body}", "{body", "a bracket is not closed"),
        ("{body}", "[a[b]]", "must not stand in another"),
        ("unit = \"s\"", "unit = \"m\"", "\"m\" | `m` is not known here"),
        ("300s", "300", "\"300\" | `300` is no time"),
        ("\"both\"", "\"future\"", "\"future\" | `future` is not known here"),
        ("unit = \"s\"", "unit = \"opaque\"", "\"300s\" | an opaque text is no time and has no window"),
        ("methods = [\"GET\"]", "methods = [\"get\"]", "\"get\" | `get` is no method"),
        ("value = \"answer-token\"", "value = \"token\"", "\"token\" | the file asks for no secret value `token`"),
        ("value = \"answer-token\"", "value = \"app\"", "\"app\" | the file asks for no secret value `app`"),
        ("{ format = \"json\"", "{ status = 404, format = \"json\"", "| a challenge is answered with 200 to 299"),
        ("json:/id", "json:id", "\"json:id\" | `json:id` is no place: a pointer begins with a slash"),
        ("status = 200", "status = 500", "this answer has a status from 200 to 299"),
        ("status = 200", "status = 204", "\"[accepted]\" | an answer of status 204 has no body"),
        ("retries = true", "retries = false", "\"3d\" | a provider that does not retry does so for no time"),
        ("kind = \"text\"", "kind = \"number\"", "\"number\" | a value is `text` or `secret`"),
        ("kind = \"text\"", "kind = \"secret\"", "\"one\" | a secret has no default"),
        ("default = \"one\"", "default = \"three\"", "\"three\" | the default is none of the allowed texts"),
        ("[values.app]", "[values.\"App!\"]", "App!"),
        ("signs =", "content = \"decompressed\"\nsigns =", "known and not built yet"),
        ("signs =", "must-bound = true\nsigns =", "unknown field `must-bound`"),
        ("key-form = \"utf8\"", "key-form = \"$forms\"", "\"$forms\" | the file asks for no text value `forms`"),
    ];
    for (from, to, expected) in cases {
        let found = told(from, to);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{to}: {expected}\n{found:#?}");
    }
}

#[test]
fn a_definition_that_would_be_unsafe_is_refused() {
    let head =
        "format = 1\ntitle = \"A\"\ndocs = [\"https://a.example\"]\nchecked = \"2026-11-20\"\nconfidence = \"C\"\n";
    let at = "signature = { from = [\"header:x\"] }\n";
    let challenge = "[[challenge]]\nmethods = [\"GET\"]\nwhen = [{ at = \"query:c\" }]\n";
    let hmac = format!("[[proof]]\n{at}algorithm = \"hmac-sha256\"\n");
    let computed = "computed = { signs = \"{query:c}\", algorithm = \"hmac-sha256\", encoding = \"hex\" }\n";
    let answer = "answer = { body = \"{computed}\" }\n";
    let cases = [
        (String::new(), "there is no proof"),
        ("[[proof]]\nalgorithm = \"nothing\"\n".to_owned(), "a name that begins with `dangerous-`"),
        (format!("[[proof]]\n{at}algorithm = \"digest-sha256\"\nsigns = \"{{body}}\"\n"), "must cover `{secret}`"),
        (format!("{hmac}signs = \"{{secret}}{{body}}\"\n"), "belongs into the text of plain hashes only"),
        (format!("{hmac}signs = \"\"\n"), "must cover something"),
        (format!("[[proof]]\n{at}algorithm = \"equal\"\nsigns = \"{{body}}\"\n"), "signs no text"),
        (format!("{hmac}signs = \"{{time}}{{body}}\"\n"), "nothing says where the time stands"),
        (format!("{hmac}time = {{ from = \"beside\", unit = \"s\" }}\n"), "no time stands beside"),
        (format!("{hmac}time = {{ from = \"header:t\", unit = \"s\", within = \"60s\" }}\n"), "judged and not covered"),
        (
            format!("{hmac}signs = \"{{url}}\"\nmust-bind = true\n"),
            "neither the signed text nor a digest that is signed covers it",
        ),
        (format!("{hmac}signs = \"{{computed}}\"\n"), "has no meaning here"),
        (
            "[[proof]]\nsignature = { from = [\"header:x-*\"] }\nalgorithm = \"equal\"\n".to_owned(),
            "it can be left out",
        ),
        ("[[proof]]\nsignature = { from = [\"body\"] }\nalgorithm = \"equal\"\n".to_owned(), "has no meaning here"),
        (format!("{hmac}{challenge}answer = {{ body = \"{{computed}}\" }}\n"), "has no meaning here"),
        (format!("{hmac}{challenge}answer = {{ body = \"{{body}}\" }}\n"), "has no meaning here"),
        (format!("{hmac}{challenge}{computed}{answer}echo = {{ characters = \"text\" }}\n"), "signed"),
        (
            format!("{hmac}{challenge}{}{answer}", computed.replace("{query:c}", "a{query:c}")),
            "a stranger could have events signed",
        ),
        (
            format!("{hmac}{challenge}{}{answer}", computed.replace("hmac-sha256", "digest-sha256")),
            "must cover `{secret}`",
        ),
        (format!("{hmac}{challenge}answer = {{ format = \"empty\", body = \"a\" }}\n"), "an empty answer has no body"),
        (format!("{hmac}{}answer = {{ body = \"a\" }}\n", challenge.replace("\"GET\"", "")), "comes with no method"),
        (format!("methods = []\n{hmac}"), "no method is accepted"),
        (format!("proofs = \"operator\"\n{hmac}"), "the operator says how requests are proven"),
        (format!("{hmac}[answer]\nsuccess = {{ format = \"html\", body = \"a\" }}\n"), "`html` is not known here"),
        (format!("{hmac}{challenge}answer = {{ format = \"xml\", body = \"a\" }}\n"), "answered with text or JSON"),
    ];
    for (rest, expected) in cases {
        let found = Provider::parse("acme", &format!("{head}{rest}")).err().unwrap_or_default();
        assert!(found.iter().any(|problem| problem.what.contains(expected)), "{rest}: {expected}\n{found:#?}");
    }
    let nine = hmac.repeat(9);
    let found = Provider::parse("acme", &format!("{head}{nine}")).expect_err("nine proofs");
    assert!(found.iter().any(|problem| problem.what.contains("more than 8 proofs")), "{found:?}");
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn built_with(name: &str, secrets: &[&str], values: &[(&str, Value)]) -> Vec<(At, String)> {
    let text = if name == "acme" { BASE } else { built_in(name).expect("it is built in") };
    let operator = Operator {
        secrets: secrets.iter().map(|text| secret(text)).collect(),
        values: values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Operator::default()
    };
    let built = Provider::parse(name, text).expect("the file is right").build(&operator);
    built.err().unwrap_or_default().into_iter().map(|problem| (problem.at, problem.what)).collect()
}

/// A provider, the secrets and values given to it, and the problems that follow.
type Given<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, Value)], &'a [(At, &'a str)]);

#[test]
fn what_an_operator_gives_is_checked_all_at_once() {
    let text = |text: &str| Value::Text(text.to_owned());
    let hidden = |text: &str| Value::Secret(secret(text));
    let value = |name: &str| At::Value(name.to_owned());
    let header = ("signature", text("header:x"));
    let many = ["k"; 9];
    let cases: &[Given<'_>] = &[
        ("github", &["key"], &[], &[]),
        ("github", &["key", "rotated"], &[], &[]),
        ("github", &[], &[], &[(At::Secrets, "needs `secrets`")]),
        ("github", &[""], &[], &[(At::Secret(0), "is empty")]),
        ("github", &["key", "key\n"], &[], &[(At::Secret(1), "begins or ends with a blank or a line end")]),
        ("github", &[" key"], &[], &[(At::Secret(0), "begins or ends with a blank")]),
        ("github", &many, &[], &[(At::Secrets, "more than 8 secrets")]),
        ("github", &["key"], &[("id", text("x"))], &[(value("id"), "asks for no value `id`")]),
        ("meta", &["key"], &[], &[(value("verify-token"), "value `verify-token` is missing")]),
        ("meta", &["key"], &[("verify-token", text("t"))], &[(value("verify-token"), "is a secret")]),
        (
            "meta",
            &["key"],
            &[("verify-token", hidden("t "))],
            &[(value("verify-token"), "begins or ends with a blank")],
        ),
        ("meta", &["key"], &[("verify-token", hidden(""))], &[(value("verify-token"), "is empty")]),
        (
            "meta",
            &[" "],
            &[("verifytoken", hidden("t"))],
            &[
                (value("verify-token"), "is missing"),
                (value("verifytoken"), "asks for no value"),
                (At::Secret(0), "begins or ends"),
            ],
        ),
        ("hmac", &["key"], &[], &[(value("signature"), "is missing")]),
        ("hmac", &["key"], &[("signature", text("x-sig"))], &[(value("signature"), "is no place")]),
        (
            "hmac",
            &["key"],
            &[header.clone(), ("algorithm", text("hmac-md5"))],
            &[(value("algorithm"), "`hmac-md5` is not allowed"), (value("algorithm"), "is not offered")],
        ),
        ("hmac", &["zz"], &[header.clone(), ("key-form", text("hex"))], &[(At::Secret(0), "must be hex digits")]),
        ("hmac", &["!!"], &[header.clone(), ("key-form", text("base64"))], &[(At::Secret(0), "must be base64")]),
        ("hmac", &["key"], &[header.clone(), ("signs", text("{nothing}"))], &[(value("signs"), "no such token")]),
        ("hmac", &["key"], &[header.clone(), ("signs", text("{time}{body}"))], &[(At::Source, "")]),
        ("hmac", &["key"], &[header.clone(), ("time", text("header:t"))], &[(At::Source, "")]),
        ("hmac", &["key"], &[header.clone(), ("signs", text("{url}{body}"))], &[(At::Source, "no `public-url`")]),
        ("hmac", &["key"], &[header, ("methods", text("POST get"))], &[(value("methods"), "`get` is no method")]),
        ("token", &["key"], &[("token", text("path:token"))], &[]),
        ("token", &[], &[("token", text("path:token"))], &[(At::Secrets, "needs `secrets`")]),
        ("token", &["key"], &[("token", hidden("query:hush"))], &[(value("token"), "a secret is given")]),
        ("hmac", &["key"], &[("signature", hidden("hush"))], &[(value("signature"), "a secret is given")]),
        ("dangerous-unsigned", &[], &[], &[]),
        ("dangerous-unsigned", &["key"], &[], &[(At::Secrets, "uses no `secrets`")]),
        ("acme", &["key"], &[], &[]),
        ("acme", &["key"], &[("app", text("three"))], &[(value("app"), "`three` is not allowed")]),
    ];
    for (name, secrets, values, expected) in cases {
        let found = built_with(name, secrets, values);
        let told = format!("{name} {values:?}\n{found:#?}");
        assert_eq!(found.is_empty(), expected.is_empty(), "{told}");
        for (at, what) in *expected {
            // Where a plan as a whole is refused, the place is the file's own proof.
            let anywhere = *at == At::Source;
            assert!(found.iter().any(|(where_, text)| (anywhere || where_ == at) && text.contains(what)), "{told}");
        }
        assert!(!told.contains("Secret(\"") && !told.contains("hush"), "no secret is shown");
    }
}

#[test]
fn where_all_proofs_must_hold_none_is_left_out() {
    let second = "[[proof]]\nsignature = { from = [\"header:x-own\"] }\nalgorithm = \"hmac-sha256\"\nkeys = \"own\"\n";
    let value = "[values.own]\nkind = \"secret\"\nabout = \"a key of its own\"\n";
    let text = |proofs: &str| {
        let text = BASE.replacen("confidence = \"B\"\n", &format!("confidence = \"B\"\nproofs = \"{proofs}\"\n"), 1);
        text.replacen("[[challenge]]", &format!("{second}{value}[[challenge]]"), 1)
    };
    let built = |proofs: &str, secrets: &[&str]| {
        let secrets = secrets.iter().map(|text| secret(text)).collect();
        let values = [("own".to_owned(), Value::Secret(secret("own")))].into();
        let provider = Provider::parse("acme", &text(proofs)).expect("the file is right");
        let built = provider.build(&Operator { secrets, values, ..Operator::default() });
        built.err().unwrap_or_default().into_iter().map(|problem| problem.at).collect::<Vec<_>>()
    };
    assert_eq!(built("any", &["key"]), []);
    assert_eq!(built("any", &[]), [], "one proof is enough, and it has its key");
    assert_eq!(built("all", &["key"]), []);
    assert_eq!(built("all", &[]), [At::Secrets]);
}

#[test]
fn an_answer_with_a_key_of_events_is_one_by_whatever_name() {
    let computed = "computed = { signs = \"x{query:challenge}\", algorithm = \"hmac-sha256\", encoding = \"hex\", \
                    key = \"answer-token\" }\n";
    let with = |text: &str| text.replacen("answer = { format", &format!("{computed}answer = {{ format"), 1);
    let oracle = "a stranger could have events signed";
    let told = |problems: Vec<Problem>| problems.iter().any(|problem| problem.what.contains(oracle));
    // Named by a proof, the file itself is wrong.
    let named = with(BASE).replacen("key-form = \"utf8\"", "key-form = \"utf8\"\nkeys = \"answer-token\"", 1);
    assert!(told(Provider::parse("acme", &named).err().unwrap_or_default()));
    // Else it depends on what the operator gives.
    let provider = Provider::parse("acme", &with(BASE)).expect("the file is right");
    let built = |token: &str| {
        let values = [("answer-token".to_owned(), Value::Secret(secret(token)))].into();
        let secrets = vec![secret("key"), secret("old")];
        let operator = Operator { secrets, values, ..Operator::default() };
        told(provider.build(&operator).err().unwrap_or_default())
    };
    assert!(!built("other"));
    assert!(built("key") && built("old"));
}

#[test]
fn a_built_in_file_tells_its_facts() {
    for name in NAMES {
        let provider = Provider::parse(name, built_in(name).expect("it is built in")).expect("it is right");
        let facts = provider.facts();
        assert!(!facts.title.is_empty() && !facts.docs.is_empty(), "{name}");
        assert_eq!(provider.name(), *name);
        assert_eq!(facts.danger.is_some(), name.starts_with("dangerous-"), "{name}");
        let keyless = name.starts_with("dangerous-") || *name == "gupshup";
        assert_eq!(provider.uses_secrets(), !keyless, "{name}");
        assert!(provider.asks().iter().all(|ask| ask.about.len() > 8), "{name}");
    }
}

#[test]
fn a_file_with_a_character_missing_never_panics() {
    for (at, sign) in BASE.char_indices() {
        let text = format!("{}{}", &BASE[..at], &BASE[at + sign.len_utf8()..]);
        for problem in Provider::parse("acme", &text).err().unwrap_or_default() {
            let At::File(span) = problem.at else { continue };
            assert!(text.get(span).is_some(), "a problem points into the text");
        }
    }
}

#[test]
fn who_signs_nothing_needs_a_proof_of_the_operators() {
    let gupshup = Provider::parse("gupshup", built_in("gupshup").expect("it is built in")).expect("it is right");
    let problems = gupshup.build(&Operator::default()).expect_err("nothing is proven");
    assert!(problems[0].what.contains("signs nothing"), "{problems:?}");
    assert!(problems[0].advice.contains("proof = "), "{problems:?}");
    let addresses = Some(Ranges::build(&["192.0.2.0/24".parse().expect("a prefix")]));
    let listed = Operator { besides: Besides { proofs: Vec::new(), addresses }, ..Operator::default() };
    let built = gupshup.build(&listed).expect("an address is a proof");
    assert!(!built.verifier.binds_body() && !built.facts.binds_body && !built.verifier.proves_nothing());
    assert!(built.warnings.iter().any(|warning| warning.contains("only an address")), "{:?}", built.warnings);
    let key = Key::for_token(&secret("open-sesame")).expect("a token");
    let at = SignatureAt::Headers { names: vec![http::HeaderName::from_static("x-token")], lines: false };
    assert_eq!(built.secrets, [] as [Vec<Box<str>>; 0], "no secret is used");
    let header = Proof::shown(at, vec![key]);
    let besides = Besides { proofs: vec![header.clone()], ..listed.besides };
    let built = gupshup.build(&Operator { besides, ..Operator::default() }).expect("a token is a proof");
    assert_eq!(built.secrets, [["header-1".into()]]);
    assert!(built.warnings.iter().any(|warning| warning.contains("shown, not computed")), "{:?}", built.warnings);
    assert!(built.verifier.credential().has_header(&http::HeaderName::from_static("x-token")));
    // A rotation: the figures are those of the proof that the verifier tells of.
    let keys = ["new", "old"].map(|text| Key::for_token(&secret(text)).expect("a token"));
    let token = Proof::shown(SignatureAt::Place(Place::Path("token".into()).into()), keys.into());
    let besides = Besides { proofs: vec![token, header], addresses: None };
    let built = gupshup.build(&Operator { besides, ..Operator::default() }).expect("two tokens are a rotation");
    assert_eq!(built.secrets, [["token-1".into(), "token-2".into()]]);
}
