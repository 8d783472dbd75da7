use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;

use super::super::{Captures, PlaceError, PointerError, Unreadable};
use super::*;

const BODY: &str = r#"{"object":"page","entry":[
    {"id":"a","changes":[{"value":{"phone":"1"}},{"value":{"phone":"2"}},{"value":{}}]},
    {"id":"b","changes":[]},
    {"changes":[{"value":{"phone":"\u0033"}}]}],"n":[1,[2,[3]]]}"#;

fn selector(take: Take, places: &[&str]) -> Selector {
    Selector::new(places.iter().map(|text| Place::parse(text).expect("the test's own place")).collect(), take)
}

/// Calls `f` with a request that has something at every kind of place.
fn with_request<T>(body: &str, f: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    headers.append("x-id", HeaderValue::from_static("h1"));
    headers.append("x-id", HeaderValue::from_static("h2"));
    headers.append("x-bad", HeaderValue::from_bytes(b"\xff").expect("a header value may be any visible bytes"));
    let path = "/in/t%2Fk+n/rest";
    let mut captures = Captures::new(&["token".into(), "other".into()].into());
    assert!(captures.push(4..11));
    f(&Request {
        method: &Method::POST,
        path,
        query: "id=q1&id=q%202&bad=%ff&empty",
        headers: &headers,
        body: body.as_bytes(),
        captures: &captures,
        public_url: None,
    })
}

/// What a plan gives for a selector, `None` for an element without a value.
fn planned(body: &str, selector: &Selector) -> (Vec<Option<String>>, bool) {
    with_request(body, |request| {
        let plan = Plan::compile(&[selector]).expect("few places");
        let values = plan.read(request);
        let mut found = Vec::new();
        values.each(0, &mut |value| found.push(value.map(str::to_owned)));
        let first = found.iter().flatten().next().cloned();
        if selector.take() != Take::Each {
            assert_eq!(values.first(0).map(Cow::into_owned), first);
        }
        (found, values.readable())
    })
}

#[track_caller]
fn check(body: &str, take: Take, places: &[&str], expected: &[&str]) {
    let (found, _) = planned(body, &selector(take, places));
    let found: Vec<&str> = found.iter().map(|value| value.as_deref().unwrap_or("-")).collect();
    assert_eq!(found, expected, "{places:?}");
}

#[test]
fn every_kind_of_place_is_read() {
    let form = "id=f%201&id=f2&payload=%7B%22id%22%3A%5B%22j1%22%2C%22j2%22%5D%7D";
    for (body, place, all) in [
        (BODY, "header:X-Id", &["h1", "h2"][..]),
        (BODY, "query:id", &["q1", "q 2"]),
        (BODY, "query:empty", &[""]),
        (BODY, "path:token", &["t/k+n"]),
        (BODY, "json:/object", &["page"]),
        (BODY, "json:/n/1/1/0", &["3"]),
        (form, "form:id", &["f 1", "f2"]),
        (form, "form-json:payload/id/*", &["j1", "j2"]),
        (form, "form-json:payload/id/1", &["j2"]),
        (BODY, "header:x-absent", &[]),
        (BODY, "header:x-bad", &[]),
        (BODY, "query:ID", &[]),
        (BODY, "query:bad", &[]),
        (BODY, "path:other", &[]),
        (BODY, "path:unknown", &[]),
        (BODY, "form:id", &[]),
        (BODY, "form-json:payload/id", &[]),
        (form, "json:/id", &[]),
        (form, "form-json:id/x", &[]),
        ("", "json:", &[]),
    ] {
        check(body, Take::All, &[place], all);
        check(body, Take::First, &[place], &all[..all.len().min(1)]);
    }
}

#[test]
fn the_first_place_with_a_value_wins() {
    check(BODY, Take::First, &["json:/absent", "header:x-id", "json:/object"], &["h1"]);
    check(BODY, Take::First, &["json:/object", "header:x-id"], &["page"]);
    check(BODY, Take::First, &["json:/entry/*/changes/*/value/phone"], &["1"]);
    check("no json", Take::First, &["json:/object", "query:id"], &["q1"]);
    check(BODY, Take::First, &["json:/entry", "json:/entry/0"], &[]);
    check(BODY, Take::First, &[], &[]);
}

#[test]
fn all_values_come_place_by_place() {
    check(BODY, Take::All, &["query:id", "json:/entry/*/id", "header:x-id"], &["q1", "q 2", "a", "b", "h1", "h2"]);
    check(BODY, Take::All, &["json:/absent"], &[]);
}

#[test]
fn for_each_element_the_first_place_with_a_value_there_wins() {
    let phone = "json:/entry/*/changes/*/value/phone";
    check(BODY, Take::Each, &[phone], &["1", "2", "-", "3"]);
    check(BODY, Take::Each, &[phone, "json:/entry/*/id"], &["1", "2", "b", "3"]);
    check(BODY, Take::Each, &["json:/entry/*/id"], &["a", "b", "-"]);
    check(BODY, Take::Each, &["json:/entry/*/id", "header:x-id"], &["a", "b", "h1", "h2"]);
    check(BODY, Take::Each, &["json:/n/*"], &["1", "-"]);
    check("[[],1,null,2]", Take::Each, &["json:/*"], &["-", "1", "-", "2"]);
    check(r#"[{},{"id":1},2,{"id":3},{}]"#, Take::Each, &["json:/*/id"], &["-", "1", "-", "3", "-"]);
    let form = "payload=%5B%7B%22id%22%3A1%7D%2C2%5D";
    check(form, Take::Each, &["form-json:payload/*/id"], &["1", "-"]);
}

#[test]
fn a_request_without_elements_counts_as_one() {
    for (body, places, expected) in [
        (BODY, &["json:/object"][..], &["page"][..]),
        (BODY, &["header:x-id"], &["h1", "h2"]),
        (BODY, &["json:/absent/*/id", "query:id"], &["q1", "q 2"]),
        (BODY, &["json:/absent/*/id"], &["-"]),
        (BODY, &[], &["-"]),
        ("no json", &["json:/entry/*/id"], &["-"]),
        ("[]", &["json:/*/id"], &["-"]),
        (BODY, &["json:/entry/*/id", "form-json:f/*/id"], &["a", "b"]),
    ] {
        check(body, Take::Each, places, expected);
    }
}

#[test]
fn a_body_that_cannot_be_read_is_said_to_be_so_where_it_is_asked() {
    for (body, place, readable) in [
        (BODY, "json:/x", true),
        ("{", "json:/x", false),
        ("", "json:/x", false),
        ("{", "header:x-id", true),
        ("{", "form:x", true),
        ("f=%7B", "form-json:f/x", false),
        ("f=%ff", "form-json:f/x", false),
        ("f=%7B%7D", "form-json:f/x", true),
        ("g=1", "form-json:f/x", true),
    ] {
        assert_eq!(planned(body, &selector(Take::First, &[place])).1, readable, "{body} {place}");
    }
}

#[test]
fn a_selector_alone_gives_what_a_plan_gives_and_says_what_could_not_be_read() {
    let first = |body: &str, places: &[&str]| {
        with_request(body, |request| {
            selector(Take::First, places).first(request).map(|found| found.map(Cow::into_owned))
        })
    };
    assert_eq!(first(BODY, &["json:/object"]), Ok(Some("page".to_owned())));
    assert_eq!(first(BODY, &["json:/absent", "query:id"]), Ok(Some("q1".to_owned())));
    assert_eq!(first("{", &["json:/object", "query:id"]), Ok(Some("q1".to_owned())));
    assert_eq!(first("{", &["json:/object", "query:absent"]), Err(Unreadable));
    assert_eq!(first(BODY, &["header:x-bad"]), Err(Unreadable));
    assert_eq!(first(BODY, &["query:bad"]), Err(Unreadable));
    assert_eq!(first(BODY, &[]), Ok(None));
    let all = |body: &str, places: &[&str]| {
        with_request(body, |request| selector(Take::All, places).all(request).map(|found| found.join(" ")))
    };
    assert_eq!(all(BODY, &["json:/entry/*/id", "path:token"]), Ok("a b t/k+n".to_owned()));
    assert_eq!(all("{", &["header:x-id", "json:/entry/*/id"]), Err(Unreadable));
    assert!(!Unreadable.to_string().is_empty());
}

#[test]
fn places_are_read_back_as_they_are_written() {
    for text in
        ["header:x-id", "query:id", "path:token", "form:MessageSid", "json:/entry/*/id", "json:", "form-json:payload/a"]
    {
        assert_eq!(Place::parse(text).map(|place| place.to_string()).as_deref(), Ok(text));
    }
    for (text, error) in [
        ("", PlaceError::NoKind),
        ("x-id", PlaceError::NoKind),
        ("Header:x-id", PlaceError::UnknownKind),
        ("cookie:x", PlaceError::UnknownKind),
        (":x", PlaceError::UnknownKind),
        ("header:", PlaceError::NoName),
        ("query:", PlaceError::NoName),
        ("form-json:", PlaceError::NoName),
        ("form-json:/a", PlaceError::NoName),
        ("header:x id", PlaceError::HeaderName),
        ("json:a", PlaceError::Pointer(PointerError::NoSlash)),
        ("form-json:f/~", PlaceError::Pointer(PointerError::Tilde)),
    ] {
        assert_eq!(Place::parse(text), Err(error), "{text}");
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(Place::parse("header:X-ID"), Ok(Place::Header(HeaderName::from_static("x-id"))));
}

#[test]
fn pointers_are_followed_up_to_their_bound() {
    let list =
        |count: usize| (0..count).map(|at| Selector::one(Place::parse(&format!("json:/k{at}")).expect("a place")));
    let compile = |count: usize| {
        let selectors: Vec<Selector> = list(count).collect();
        Plan::compile(&selectors.iter().collect::<Vec<_>>())
    };
    assert_eq!(compile(Plan::POINTERS_MAX + 1).map(drop), Err(PlanError::Pointers));
    assert!(!PlanError::Pointers.to_string().is_empty());
    let plan = compile(Plan::POINTERS_MAX).expect("at the bound");
    with_request(r#"{"k0":"first","k63":"last","k64":"beyond"}"#, |request| {
        let values = plan.read(request);
        assert_eq!(values.first(0).as_deref(), Some("first"));
        assert_eq!(values.first(63).as_deref(), Some("last"));
        assert_eq!(values.first(62), None);
        assert_eq!(values.first(64), None);
        values.each(64, &mut |_| panic!("there is no such selector"));
    });
}

#[test]
fn captures_are_cut_out_of_the_path_up_to_their_bound() {
    let names: Arc<[Box<str>]> = ["a", "b", "c", "d", "e", "f", "g"].map(Into::into).into();
    let mut captures = Captures::new(&names);
    for at in 0..Captures::MAX {
        assert!(captures.push(at..at + 1));
    }
    assert!(!captures.push(0..1));
    assert_eq!(captures.value("f", "012345"), Some("5"));
    assert_eq!(captures.value("f", "01234"), None);
    assert_eq!(captures.value("g", "0123456"), None);
    assert_eq!(captures.ranges().count(), Captures::MAX);
    assert!(!Captures::default().push(0..1));
    assert_eq!(Captures::default().value("a", "x"), None);
    let mut one = Captures::new(&["a".into()].into());
    assert!(one.push(0..1) && !one.push(0..1));
    assert_eq!(one.value("a", "é"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_makes_it_panic(body in "[\\[\\]{}\":,a-c0-9\\\\ *]{0,60}", form in "[a-c=&%0-9+\\[\\]{}\"]{0,60}") {
        for take in [Take::First, Take::Each, Take::All] {
            let places = ["json:/*/a", "json:/a/*", "json:/a/*/b", "form:a", "form-json:b/*/a", "query:a"];
            planned(&body, &selector(take, &places));
            planned(&form, &selector(take, &places));
        }
    }
}
