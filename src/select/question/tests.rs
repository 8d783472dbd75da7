use http::{HeaderMap, HeaderValue, Method};

use super::super::{Captures, Glob, Plan};
use super::*;

const BODY: &str = r#"{"kind":"paid","n":5,"f":1.0,"on":true,"no":null,"deep":{"a":[1]},
    "entry":[{"id":"1"},{"id":"2"},{"other":"3"},{"id":"\u0034"}]}"#;
const FORM: &str = "Body=hi+there&To=%2B55&To=b&payload=%7B%22type%22%3A%22block%22%7D";

fn place(text: &str) -> Spot {
    Spot::Place(Place::parse(text).expect("the test's own place"))
}

fn shape(operator: &str, texts: &[&str]) -> Shape {
    match operator {
        "in" => Shape::one_of(texts),
        "prefix" => Shape::Prefix(texts[0].into()),
        "glob" => Shape::Glob(Glob::parse(texts[0]).expect("a short pattern")),
        _ => Shape::Exists,
    }
}

fn with_request<T>(body: &str, f: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    headers.append("x-kind", HeaderValue::from_static("a"));
    headers.append("x-kind", HeaderValue::from_static("b"));
    headers.append("x-raw", HeaderValue::from_bytes(b"\xff").expect("a header value may be any visible bytes"));
    let path = "/in/acme%2Fbr/rest";
    let mut captures = Captures::new(&["shop".into()].into());
    assert!(captures.push(4..13));
    f(&Request {
        method: &Method::POST,
        path,
        query: "v=1&v=2&flag&raw=%ff",
        headers: &headers,
        body: body.as_bytes(),
        captures: &captures,
        public_url: None,
    })
}

/// Which questions are answered with yes.
fn answered(body: &str, list: &[Question]) -> Vec<bool> {
    with_request(body, |request| {
        let questions = Questions::compile(list).expect("few questions");
        // Another selector stands before them, as it does in a source's plan.
        let before = Selector::one(Place::parse("json:/kind").expect("a place"));
        let selectors: Vec<&Selector> = std::iter::once(&before).chain(questions.selectors()).collect();
        let plan = Plan::compile(&selectors).expect("few places");
        let marks = questions.answer(1, &plan.read(request), request);
        (0..list.len()).map(|at| marks.has(u8::try_from(at).expect("few questions"))).collect()
    })
}

#[track_caller]
fn check(body: &str, at: &Spot, operator: &str, texts: &[&str], expected: bool) {
    let question = Question { at: at.clone(), shape: shape(operator, texts) };
    assert_eq!(answered(body, &[question]), [expected], "{at} {operator} {texts:?}");
}

#[test]
fn every_kind_of_place_is_asked() {
    for (body, at, yes, no) in [
        (BODY, place("header:x-kind"), "b", "c"),
        (BODY, place("query:v"), "2", "3"),
        (BODY, place("query:flag"), "", "flag"),
        (BODY, place("path:shop"), "acme/br", "acme%2Fbr"),
        (BODY, place("json:/kind"), "paid", "Paid"),
        (BODY, place("json:/n"), "5", "5.0"),
        (BODY, place("json:/f"), "1.0", "1"),
        (BODY, place("json:/on"), "true", "1"),
        (BODY, place("json:/entry/*/id"), "2", "3"),
        (BODY, place("json:/entry/*/id"), "4", "\\u0034"),
        (FORM, place("form:Body"), "hi there", "hi+there"),
        (FORM, place("form:To"), "b", "%2B55"),
        (FORM, place("form-json:payload/type"), "block", "payload"),
        (BODY, Spot::Path, "/in/acme%2Fbr/rest", "/in/acme/br/rest"),
    ] {
        check(body, &at, "in", &[yes], true);
        check(body, &at, "in", &["zzz", yes, no], true);
        check(body, &at, "in", &[no], false);
        check(body, &at, "in", &[], false);
        check(body, &at, "exists", &[], true);
        check(body, &at, "glob", &[&format!("*{yes}*")], true);
        check(body, &at, "glob", &["*never*"], false);
        check(body, &at, "prefix", &[yes], true);
        check(body, &at, "prefix", &["never"], false);
    }
}

#[test]
fn what_is_not_there_answers_nothing_with_yes() {
    for (body, at) in [
        (BODY, "header:x-absent"),
        (BODY, "query:w"),
        (BODY, "path:other"),
        (BODY, "json:/absent"),
        (BODY, "json:/no"),
        (BODY, "json:/deep"),
        (BODY, "json:/entry/*"),
        (BODY, "form:Body"),
        (FORM, "form:From"),
        (FORM, "json:/kind"),
        (FORM, "form-json:payload/kind"),
        (FORM, "form-json:Body/kind"),
        ("", "json:"),
    ] {
        for (operator, texts) in [("exists", &[][..]), ("in", &["", "null", "{}"]), ("prefix", &[""]), ("glob", &["*"])]
        {
            check(body, &place(at), operator, texts, false);
        }
    }
}

#[test]
fn questions_of_one_place_are_told_apart() {
    let at = || place("json:/entry/*/id");
    let list: Vec<Question> = [
        ("in", &["1"][..]),
        ("in", &["9"]),
        ("in", &["9", "4"]),
        ("exists", &[]),
        ("prefix", &["1"]),
        ("prefix", &["3"]),
        ("glob", &["?"]),
        ("glob", &["??"]),
    ]
    .iter()
    .map(|(operator, texts)| Question { at: at(), shape: shape(operator, texts) })
    .chain([Question { at: place("query:v"), shape: Shape::equals("9") }])
    .chain([Question { at: Spot::Path, shape: Shape::Prefix("/in/".into()) }])
    .collect();
    let expected = [true, false, true, true, true, false, true, false, false, true];
    assert_eq!(answered(BODY, &list), expected);
    let questions = Questions::compile(&list).expect("few questions");
    assert_eq!(questions.selectors().count(), 1, "a place in the body is read once");
}

#[test]
fn what_is_no_text_is_there_and_looks_like_nothing() {
    for (text, garbled) in [("header:x-raw", true), ("query:raw", true), ("header:x-kind", false), ("query:v", false)] {
        check(BODY, &place(text), "exists", &[], true);
        let question = |shape| Question { at: place(text), shape };
        let list = [question(Shape::Exists), question(Shape::equals("b"))];
        let marks = with_request(BODY, |request| {
            let questions = Questions::compile(&list).expect("two questions");
            questions.answer(0, &Plan::default().read(request), request)
        });
        assert_eq!(marks.unread(Rest::Text), garbled, "{text}");
    }
    for (operator, texts) in [("in", &["", "\u{fffd}", "%ff"][..]), ("prefix", &[""]), ("glob", &["*"])] {
        check(BODY, &place("header:x-raw"), operator, texts, false);
        check(BODY, &place("query:raw"), operator, texts, false);
    }
}

#[test]
fn as_many_as_there_are_bits_can_be_asked() {
    let list = |count: usize| -> Vec<Question> {
        (0..count).map(|at| Question { at: place("json:/n"), shape: Shape::equals(&at.to_string()) }).collect()
    };
    let found = answered(r#"{"n":255}"#, &list(Questions::MAX));
    assert_eq!(found.iter().position(|yes| *yes), Some(255));
    assert_eq!(found.iter().filter(|yes| **yes).count(), 1);
    assert!(Questions::compile(&list(Questions::MAX + 1)).is_err_and(|error| error.to_string().contains("256")));
}

#[test]
fn where_several_values_and_unreadable_texts_may_be_is_known() {
    for (text, many, rest) in [
        ("header:a", true, Rest::Text),
        ("query:a", true, Rest::Text),
        ("form:a", true, Rest::Text),
        ("path:a", false, Rest::Text),
        ("json:/a", false, Rest::Body),
        ("json:/a/*", true, Rest::Body),
        ("form-json:a/b", false, Rest::Field),
        ("form-json:a/*", true, Rest::Field),
    ] {
        assert_eq!((place(text).many(), place(text).rests_on()), (many, rest), "{text}");
    }
    assert_eq!((Spot::Path.many(), Spot::Path.rests_on(), &*Spot::Path.to_string()), (false, Rest::Text, "path"));
}

#[test]
fn what_could_not_be_read_is_told_apart() {
    let field = place("form-json:payload/type");
    for (body, at, text, body_unread, field_unread) in [
        (BODY, place("json:/kind"), false, false, false),
        (FORM, place("json:/kind"), false, true, false),
        (FORM, place("form:Body"), false, false, false),
        (FORM, field.clone(), false, false, false),
        (BODY, field.clone(), false, false, false),
        ("payload=%7B", field, false, false, true),
        (BODY, place("header:x-raw"), true, false, false),
        (FORM, place("header:x-kind"), false, false, false),
    ] {
        let questions = Questions::compile(&[Question { at: at.clone(), shape: Shape::Exists }]).expect("one");
        let plan = Plan::compile(&questions.selectors().collect::<Vec<_>>()).expect("one place");
        let marks = with_request(body, |request| questions.answer(0, &plan.read(request), request));
        let unread = [Rest::Text, Rest::Body, Rest::Field].map(|rest| marks.unread(rest));
        assert_eq!(unread, [text, body_unread, field_unread], "{at} {body}");
    }
}
