use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

use crate::select::{Captures, Place, Plan, Question, Questions, Selector, Shape, Spot, Take};
use crate::verify::Unit;

use super::*;

mod parts;

const BODY: &str = r#"{"id":"evt_1","type":"paid","account":"acme","created":1700000000,
    "entry":[{"id":"a"},{"id":"b"},{"id":"a"}]}"#;
const RANDOM: [u8; 16] = [7; 16];

/// One request, to be varied.
#[derive(Clone)]
struct Case {
    source: &'static str,
    method: Method,
    rest: &'static str,
    query: &'static str,
    delivery: Option<&'static str>,
    body: String,
    dedup: Dedup,
    credential: Credential,
    proven: Option<Timestamp>,
}

fn case() -> Case {
    Case {
        source: "shop",
        method: Method::POST,
        rest: "/a",
        query: "x=1",
        delivery: Some("d1"),
        body: BODY.to_owned(),
        dedup: Dedup::On,
        credential: Credential::NONE,
        proven: None,
    }
}

fn read(case: &Case, wanted: &Wanted) -> Event {
    let mut headers = HeaderMap::new();
    if let Some(delivery) = case.delivery {
        headers.append("x-delivery", HeaderValue::from_static(delivery));
    }
    let body = Bytes::from(case.body.clone());
    let request = Request {
        method: &case.method,
        path: "/in/a",
        query: case.query,
        headers: &headers,
        body: &body,
        captures: &Captures::default(),
        public_url: None,
    };
    let source = SourceFacts { name: case.source, rest: case.rest, credential: &case.credential, dedup: case.dedup };
    let selectors = Selectors::compile(wanted.clone()).expect("few places");
    let events = Event::read(&source, case.proven, &selectors, &request, body.clone(), RANDOM);
    assert_eq!((events.len(), events.is_empty(), events.iter().count()), (1, false, 1));
    let event = events.first().clone();
    assert_eq!(event.body.as_whole(), Some(&body));
    assert_eq!(event.body.as_whole().map(|bytes| bytes.as_ptr()), Some(body.as_ptr()));
    assert!(events.into_iter().eq(std::iter::once(event.clone())));
    event
}

fn at(place: &str) -> Selector {
    Selector::one(Place::parse(place).expect("the test's own place"))
}

fn by_id() -> Wanted {
    Wanted { id: vec![at("header:x-delivery"), at("json:/id")], ..Wanted::default() }
}

#[test]
fn the_key_covers_what_makes_an_event_and_nothing_else() {
    let key = read(&case(), &by_id()).key;
    assert!(key.is_some());
    let same = [
        Case { body: BODY.replace("paid", "other"), ..case() },
        Case { proven: Some(Timestamp::from_secs(1)), ..case() },
    ];
    for case in same {
        assert_eq!(read(&case, &by_id()).key, key);
    }
    let others = [
        Case { source: "shop2", ..case() },
        Case { method: Method::PUT, ..case() },
        Case { rest: "/b", ..case() },
        Case { rest: "", ..case() },
        Case { query: "x=2", ..case() },
        Case { query: "", ..case() },
        Case { delivery: Some("d2"), ..case() },
        Case { body: BODY.replace("evt_1", "evt_2"), ..case() },
        // The same bytes, cut elsewhere.
        Case { delivery: Some("d1evt_"), body: BODY.replace("evt_1", "1"), ..case() },
        Case { rest: "/ax", query: "=1", ..case() },
    ];
    for case in &others {
        assert_ne!(read(case, &by_id()).key, key);
    }
    let all = Wanted {
        id: vec![Selector::new(by_id().id.iter().flat_map(Selector::places).cloned().collect(), Take::All)],
        ..by_id()
    };
    assert_ne!(read(&case(), &all).key, key);
}

#[test]
fn a_query_that_says_the_same_in_another_way_has_the_same_key() {
    let key = |query: &str| read(&Case { query: Box::leak(query.into()), ..case() }, &by_id()).key.expect("an id");
    let many = "a=1&".repeat(65);
    for (query, same, others) in [
        ("x=1", &["x=%31", "%78=1", "x=1&", "&&x=1&&"][..], &["x=1&x=1", "x=11", "x%3D1", "=x1", "x1", "x=1&="][..]),
        ("", &["&", "&&"], &["=", "x"]),
        (
            "a=1&b=2&a=3",
            &["a=1&a=3&b=2", "a=1&b=%32&a=3"],
            &["a=3&b=2&a=1", "b=2&a=1&a=3", "a=1&b=2", "a=1&b=2&a=3&c="],
        ),
        ("a=+b", &["a=%20b", "a=+%62"], &["a=%2Bb", "a=b+"]),
        // So many are taken as they are written.
        (&many, &[], &[&many[1..], &many.replace('1', "%31"), &many[4..]]),
    ] {
        assert!(same.iter().all(|same| key(same) == key(query)), "{query}");
        assert!(others.iter().all(|other| key(other) != key(query)), "{query}");
    }
}

#[test]
fn what_the_pattern_cuts_out_of_the_path_is_a_part_of_the_key_and_a_credential_there_is_not() {
    let names = Arc::from([Box::from("shop"), Box::from("token")]);
    let mut credential = Credential::NONE;
    credential.add_capture("token");
    let key = |path: &str, cut: [std::ops::Range<usize>; 2]| {
        let mut captures = Captures::new(&names);
        assert!(cut.into_iter().all(|range| captures.push(range)));
        let (case, body) = (case(), Bytes::from_static(BODY.as_bytes()));
        let headers: HeaderMap =
            [("x-delivery".parse().expect("a name"), HeaderValue::from_static("d1"))].into_iter().collect();
        let request = Request {
            method: &case.method,
            path,
            query: case.query,
            headers: &headers,
            body: &body,
            captures: &captures,
            public_url: None,
        };
        let source = SourceFacts { name: "shop", rest: case.rest, credential: &credential, dedup: Dedup::On };
        let selectors = Selectors::compile(by_id()).expect("few places");
        Event::read(&source, None, &selectors, &request, body.clone(), RANDOM).first().key.expect("an id")
    };
    let first = key("/in/a/old", [4..5, 6..9]);
    assert_eq!(key("/in/a/new", [4..5, 6..9]), first);
    assert_ne!(key("/in/b/old", [4..5, 6..9]), first);
    assert_ne!(key("/in/ab/old", [4..6, 7..10]), first);
}

#[test]
fn a_credential_in_the_query_is_no_part_of_the_key() {
    let mut credential = Credential::NONE;
    credential.add_query("token");
    let key = |query| read(&Case { query, credential: credential.clone(), ..case() }, &by_id()).key;
    assert_eq!(key("x=1&token=old"), key("x=1&token=new"));
    assert_eq!(key("x=1&token=old"), key("x=1"));
    assert_ne!(key("x=1&token=old"), key("x=2&token=old"));
}

#[test]
fn without_all_parts_of_the_id_there_is_no_key_and_the_id_is_random() {
    let none = Wanted::default();
    let absent = [
        (Case { delivery: None, ..case() }, by_id()),
        (Case { body: "{}".to_owned(), ..case() }, by_id()),
        (Case { body: r#"{"id":null}"#.to_owned(), ..case() }, by_id()),
        (Case { body: r#"{"id":{}}"#.to_owned(), ..case() }, by_id()),
        (Case { body: "no json".to_owned(), ..case() }, by_id()),
        (Case { dedup: Dedup::Off, ..case() }, by_id()),
        (case(), none),
        (Case { dedup: Dedup::Off, ..case() }, Wanted { equal_bodies: EqualBodies::SameEvent, ..by_id() }),
    ];
    for (case, wanted) in absent {
        let event = read(&case, &wanted);
        assert_eq!((event.key, event.id), (None, EventId::from_bytes(RANDOM)), "{}", case.body);
    }
    assert!(!Selectors::default().keyed());
}

#[test]
fn where_equal_bodies_are_the_same_event_the_body_is_a_part_of_the_id() {
    for id in [vec![], vec![at("header:x-absent")], vec![at("header:x-delivery")]] {
        let wanted = Wanted { id, equal_bodies: EqualBodies::SameEvent, ..Wanted::default() };
        let key = read(&case(), &wanted).key;
        assert!(key.is_some());
        assert_eq!(read(&case(), &wanted).key, key);
        assert_ne!(read(&Case { body: format!("{BODY} "), ..case() }, &wanted).key, key);
        assert_ne!(read(&Case { body: "no json".to_owned(), ..case() }, &wanted).key, key);
    }
    let absent = Wanted { id: vec![at("query:absent")], equal_bodies: EqualBodies::SameEvent, ..Wanted::default() };
    let empty = Wanted { id: vec![at("query:empty")], ..absent.clone() };
    let case = Case { query: "empty=", ..case() };
    assert_ne!(read(&case, &absent).key, read(&case, &empty).key);
}

#[test]
fn the_id_follows_from_the_key_and_changes_with_it() {
    let mut event = read(&case(), &by_id());
    let key = event.key.expect("all parts are there");
    assert_eq!(event.id, EventId::from_key(key));
    assert_eq!(event.digest, verify::digest(&[BODY.as_bytes()]));
    let other = conflict_key(key, &event.digest);
    event.rekey(other);
    assert_eq!((event.key, event.id), (Some(other), EventId::from_key(other)));
}

#[test]
fn kind_time_and_order_are_read_where_they_stand() {
    let wanted = Wanted {
        kind: Some(at("json:/type")),
        time: Some((at("json:/created"), Unit::Seconds)),
        order: Some(at("json:/account")),
        ..by_id()
    };
    let event = read(&case(), &wanted);
    assert_eq!((&*event.kind, event.time), ("paid", Some(Timestamp::from_secs(1_700_000_000))));
    assert_ne!(event.order, 0);
    assert_eq!(event.order, read(&Case { rest: "/other", ..case() }, &wanted).order);
    assert_ne!(event.order, read(&Case { body: BODY.replace("acme", "acmf"), ..case() }, &wanted).order);
    assert_ne!(event.order, read(&Case { source: "shop2", ..case() }, &wanted).order);

    let proven = Some(Timestamp::from_secs(5));
    let nothing = read(&Case { body: "{}".to_owned(), proven, ..case() }, &wanted);
    assert_eq!((&*nothing.kind, nothing.time, nothing.order, nothing.readable), ("", proven, 0, true));
    let wrong = read(&Case { body: BODY.replace("1700000000", "\"soon\""), ..case() }, &wanted);
    assert_eq!(wrong.time, None);
    assert_eq!(read(&Case { proven, ..case() }, &by_id()).time, proven);
}

#[test]
fn a_kind_is_cut_at_a_character() {
    let wanted = Wanted { kind: Some(at("json:")), ..Wanted::default() };
    let kind = |text: &str| read(&Case { body: format!("\"{text}\""), ..case() }, &wanted).kind.len();
    assert_eq!(kind(&"k".repeat(Event::KIND_MAX)), Event::KIND_MAX);
    assert_eq!(kind(&"k".repeat(Event::KIND_MAX + 1)), Event::KIND_MAX);
    assert_eq!(kind(&format!("{}é", "k".repeat(Event::KIND_MAX - 1))), Event::KIND_MAX - 1);
    assert_eq!(kind(&"é".repeat(1000)), Event::KIND_MAX);
}

#[test]
fn an_unreadable_body_is_an_event_all_the_same() {
    let wanted = Wanted { kind: Some(at("json:/type")), ..by_id() };
    for body in ["", "{", "a=b", "\u{feff}{}", &"[".repeat(1000)] {
        let event = read(&Case { body: body.to_owned(), ..case() }, &wanted);
        assert_eq!((event.readable, &*event.kind), (false, ""), "{body}");
    }
    let not_asked = Wanted { id: vec![at("header:x-delivery")], ..Wanted::default() };
    assert!(read(&Case { body: "{".to_owned(), ..case() }, &not_asked).readable);
}

#[test]
fn tenants_are_the_distinct_keys_of_all_elements() {
    let each = |place: &str| Some(Selector::new(vec![Place::parse(place).expect("a place")], Take::Each));
    let tenants = |body: &str, place| {
        read(&Case { body: body.to_owned(), ..case() }, &Wanted { tenant: each(place), ..Wanted::default() }).tenants
    };
    let list = |keys: &[&str]| keys.iter().map(|key| Box::from(*key)).collect::<Vec<Box<str>>>();
    for (body, keys, others, mixed) in [
        (BODY, &["a", "b"][..], false, true),
        (r#"{"entry":[{"id":1},{"id":1}]}"#, &["1"], false, false),
        (r#"{"entry":[{"id":1},{}]}"#, &["1"], true, true),
        (r#"{"entry":[{},{}]}"#, &[], true, false),
        (r#"{"entry":[]}"#, &[], true, false),
        ("no json", &[], true, false),
    ] {
        let found = tenants(body, "json:/entry/*/id");
        assert_eq!((&found.keys, found.others, found.mixed()), (&list(keys), others, mixed), "{body}");
    }
    let many = |count: usize| format!("[{}]", (0..count).map(|at| at.to_string()).collect::<Vec<_>>().join(","));
    assert!(!tenants(&many(Tenants::MAX), "json:/*").others);
    let beyond = tenants(&many(Tenants::MAX + 1), "json:/*");
    assert_eq!((beyond.keys.len(), beyond.others), (Tenants::MAX, true));
    let long = |length| tenants(&format!("[\"{}\"]", "k".repeat(length)), "json:/*");
    assert_eq!((long(Tenants::KEY_MAX).keys.len(), long(Tenants::KEY_MAX + 1).keys.len()), (1, 0));
    assert_eq!(read(&case(), &Wanted::default()).tenants, Tenants::default());
}

#[test]
fn too_many_places_are_refused_when_they_are_compiled() {
    let id = |count: usize| (0..count).map(|number| at(&format!("json:/{number}"))).collect();
    let wanted = |count| Wanted { id: id(count), ..Wanted::default() };
    assert!(Selectors::compile(wanted(Plan::POINTERS_MAX + 1)).is_err());
    let most = Selectors::compile(wanted(Plan::POINTERS_MAX)).expect("at the bound");
    let ask = |place| {
        let at = Spot::Place(Place::parse(place).expect("a place"));
        most.asking(Questions::compile(&[Question { at, shape: Shape::Exists }]).expect("one question"))
    };
    assert!(ask("json:/0").is_ok() && ask("query:a").is_ok() && ask("json:/other").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_it_panic(body in "[\\[\\]{}\":,a-z0-9\\\\ ]{0,80}") {
        let wanted = Wanted {
            kind: Some(at("json:/a")),
            tenant: Some(at("json:/*/a")),
            time: Some((at("json:/b"), Unit::Auto)),
            order: Some(at("form:a")),
            equal_bodies: EqualBodies::SameEvent,
            ..by_id()
        };
        let event = read(&Case { body, ..case() }, &wanted);
        prop_assert!(event.key.is_some());
    }
}
