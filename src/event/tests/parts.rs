//! A batch that is split is several events, each of them what it would be alone.

use http::HeaderName;

use super::*;
use crate::select::{Elements, Pointer};

const BATCH: &str = r#"{"object":"o","entry":[{"id":"w1","time":7,"changes":[{"field":"a","id":"1","phone":"p1","at":11},{"field":"b","id":"2","phone":"p2","at":12}]},{"id":"w2","changes":[{"field":"a","id":"3"}]},{"id":"w3"}]}"#;
const ROOM: u64 = 1 << 20;

fn each(places: &[&str]) -> Option<Selector> {
    Some(Selector::new(places.iter().map(|place| Place::parse(place).expect("a place")).collect(), Take::Each))
}

fn wanted() -> Wanted {
    Wanted {
        kind: Some(at("json:/entry/*/changes/*/field")),
        tenant: each(&["json:/entry/*/changes/*/phone", "json:/entry/*/id"]),
        time: Some((at("json:/entry/0/changes/0/at"), Unit::Seconds)),
        order: Some(at("json:/entry/*/id")),
        equal_bodies: EqualBodies::SameEvent,
        parts: Some(Parts {
            elements: Elements::new(Pointer::parse("/entry/*/changes/*").expect("a pointer")).expect("elements"),
            without: vec![HeaderName::from_static("x-of-all")],
        }),
        ..Wanted::default()
    }
}

fn by(id: &[&str]) -> Wanted {
    Wanted { id: id.iter().map(|place| at(place)).collect(), equal_bodies: EqualBodies::Nothing, ..wanted() }
}

/// What a body becomes where batches are split, and take so much room at most.
fn split(body: &str, wanted: &Wanted, room: u64, dedup: Dedup) -> Events {
    let mut headers = HeaderMap::new();
    headers.append("x-delivery", HeaderValue::from_static("d1"));
    let bytes = Bytes::from(body.to_owned());
    let request = Request {
        method: &Method::POST,
        path: "/in",
        query: "",
        headers: &headers,
        body: &bytes,
        captures: &Captures::default(),
        public_url: None,
    };
    let source = SourceFacts { name: "shop", rest: "", credential: &Credential::NONE, dedup };
    let selectors = Selectors::compile(wanted.clone()).expect("few places");
    let question = |place, text: &str| Question {
        at: Spot::Place(Place::parse(place).expect("a place")),
        shape: Shape::equals(text),
    };
    let asked = [question("json:/entry/0/changes/0/id", "2"), question("json:/object", "o")];
    let splitting = Splitting { room, without: Credential::NONE };
    let selectors = selectors.splitting(splitting).expect("few places");
    let selectors = selectors.asking(Questions::compile(&asked).expect("few")).expect("few places");
    let events = Event::read(&source, None, &selectors, &request, bytes.clone(), RANDOM);
    let glimpses = Glimpse::read(&source, &selectors, &request);
    let seen = glimpses.iter().map(|glimpse| (glimpse.key, glimpse.digest, &glimpse.kind, &glimpse.tenants));
    let told = events.iter().map(|event| (event.key, event.digest, &event.kind, &event.tenants));
    assert!(seen.eq(told), "a rehearsal tells of the same events");
    let within = bytes.as_ptr_range();
    for event in events.iter() {
        assert!(
            event.body.chunks().all(|chunk| chunk.is_empty() || within.contains(&chunk.as_ptr())),
            "nothing is copied"
        );
    }
    events
}

fn texts(events: &Events) -> Vec<String> {
    let text = |chunk: Bytes| String::from_utf8(chunk.into()).expect("text");
    events.iter().map(|event| event.body.chunks().map(text).collect()).collect()
}

fn whole(body: &str, wanted: &Wanted) -> Event {
    let events = split(body, wanted, ROOM, Dedup::On);
    assert_eq!((events.len(), events.are_parts()), (1, false), "{body}");
    assert_eq!(events.first().body.as_whole().map(|bytes| &**bytes), Some(body.as_bytes()));
    events.first().clone()
}

#[test]
fn each_element_is_an_event_with_a_kind_tenant_time_id_and_place_of_its_own() {
    let events = split(BATCH, &wanted(), ROOM, Dedup::On);
    assert!(events.are_parts() && !events.kept_whole());
    let bodies = texts(&events);
    assert_eq!(
        bodies,
        [
            r#"{"object":"o","entry":[{"id":"w1","time":7,"changes":[{"field":"a","id":"1","phone":"p1","at":11}]}]}"#,
            r#"{"object":"o","entry":[{"id":"w1","time":7,"changes":[{"field":"b","id":"2","phone":"p2","at":12}]}]}"#,
            r#"{"object":"o","entry":[{"id":"w2","changes":[{"field":"a","id":"3"}]}]}"#,
            r#"{"object":"o","entry":[{"id":"w3"}]}"#,
        ]
    );
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.part, &*event.kind, &*event.tenants.keys[0], event.time.map(Timestamp::as_secs)))
        .collect();
    assert_eq!(told, [(0, "a", "p1", Some(11)), (1, "b", "p2", Some(12)), (2, "a", "w2", None), (3, "", "w3", None)]);
    assert!(events.iter().all(|event| event.tenants.keys.len() == 1 && !event.tenants.others && event.readable));
    let marks: Vec<_> = events.iter().map(|event| (event.marks.has(0), event.marks.has(1))).collect();
    assert_eq!(marks, [(false, true), (true, true), (false, true), (false, true)], "what routes ask is of the part");
    let list: Vec<&Event> = events.iter().collect();
    assert_eq!(list[0].order, list[1].order);
    assert!(list[1].order != list[2].order && list[2].order != list[3].order && list[3].order != 0);
    for (at, (event, body)) in events.iter().zip(&bodies).enumerate() {
        assert_eq!(event.digest, verify::digest(&[body.as_bytes()]));
        assert_eq!(event.key.map(EventId::from_key), Some(event.id));
        assert!(list[..at].iter().all(|other| other.id != event.id));
        // Alone it is the same event: the provider may send it again in other company, or in none.
        let alone = Event { part: event.part, body: event.body.clone(), ..whole(body, &wanted()) };
        assert_eq!(&alone, event);
    }
}

#[test]
fn what_is_no_batch_or_one_of_a_single_element_goes_whole_and_unchanged() {
    for body in [
        r#"{"object":"o","entry":[ {"id":"w1","changes":[ {"field":"a"} ] } ]}"#,
        r#"{"object":"o","entry":[{"id":"w1"}]}"#,
        r#"{"object":"o","entry":[]}"#,
        r#"{"object":"o"}"#,
        "[1,2]",
    ] {
        let event = whole(body, &wanted());
        assert_eq!((event.digest, event.part), (verify::digest(&[body.as_bytes()]), 0));
        assert!(event.readable);
    }
    for body in ["", "no json", r#"{"entry":[1,2"#, r#"{"entry":[1,2],"entry":[3,4]}"#] {
        assert!(!whole(body, &wanted()).readable, "{body}");
    }
    // Where it was not asked for, nothing is split.
    let selectors = Selectors::compile(wanted()).expect("few places");
    assert!(selectors.split().is_none());
    let event = read(&Case { body: BATCH.to_owned(), ..case() }, &wanted());
    assert_eq!(event.tenants.keys.len(), 4);
}

#[test]
fn a_batch_of_too_much_goes_whole_and_says_so() {
    let many = |count: usize| {
        let changes: Vec<String> = (0..count).map(|at| format!(r#"{{"field":"{at}"}}"#)).collect();
        format!(r#"{{"entry":[{{"id":"w","changes":[{}]}}]}}"#, changes.join(","))
    };
    let most = split(&many(Parts::MAX), &wanted(), ROOM, Dedup::On);
    assert_eq!((most.len(), most.kept_whole()), (Parts::MAX, false));
    assert_eq!(most.iter().last().map(|event| (event.part, &*event.kind)), Some((999, "999")));
    let beyond = split(&many(Parts::MAX + 1), &wanted(), ROOM, Dedup::On);
    assert_eq!((beyond.len(), beyond.kept_whole(), &*beyond.first().kind), (1, true, "0"));
    assert!(beyond.first().readable && beyond.first().body.as_whole().is_some());
    // As a whole it is read as one: the tenants of all elements, and elements by their number.
    let two = split(BATCH, &wanted(), 100, Dedup::On);
    assert_eq!((two.len(), two.kept_whole(), two.first().tenants.keys.len()), (1, true, 4));
    assert_eq!(
        two.first(),
        &read(&Case { body: BATCH.to_owned(), rest: "", query: "", ..case() }, &wanted()).marked(&two)
    );

    let bytes: u64 = texts(&split(BATCH, &wanted(), ROOM, Dedup::On)).iter().map(|text| text.len() as u64).sum();
    let beside = 4 * ("/in".len() + "x-delivery".len() + "d1".len() + 4 + 512) as u64;
    for (room, count) in [(bytes + beside, 4), (bytes + beside - 1, 1), (0, 1)] {
        assert_eq!(split(BATCH, &wanted(), room, Dedup::On).len(), count, "{room}");
    }
    // What would be one event anyway needs no room.
    assert!(!split(r#"{"entry":[{"id":"w"}]}"#, &wanted(), 0, Dedup::On).kept_whole());
}

impl Event {
    /// The same with the answers to questions of another one, which was asked some.
    fn marked(self, other: &Events) -> Self {
        Self { marks: other.first().marks, ..self }
    }
}

#[test]
fn ids_of_elements_decide_and_those_of_the_batch_are_not_enough() {
    let keys = |body: &str, id: &[&str]| -> Vec<Option<u128>> {
        split(body, &by(id), ROOM, Dedup::On).iter().map(|event| event.key).collect()
    };
    let element = ["json:/entry/*/changes/*/id"];
    let known = keys(BATCH, &element);
    assert_eq!(known.iter().flatten().count(), 3, "where the id is absent nothing is recognised");
    assert_eq!(known[3], None);
    // An id of the element is enough, whatever else changes.
    assert_eq!(keys(&BATCH.replace("\"time\":7", "\"time\":8").replace("p1", "p3"), &element), known);
    assert_ne!(keys(&BATCH.replace(r#""id":"1""#, r#""id":"4""#), &element)[0], known[0]);
    // An id in the frame or the head is the same for all: no event must be taken for another one of the same batch.
    for shared in [["json:/object"], ["header:x-delivery"], ["json:/entry/*/id"]] {
        let known = keys(BATCH, &shared);
        let mut distinct = known.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((distinct.len(), known.iter().flatten().count()), (4, 4), "{shared:?}");
        assert_eq!(keys(BATCH, &shared), known);
        let other = keys(&BATCH.replace("p1", "p3"), &shared);
        assert!(other[0] != known[0] && other[1..] == known[1..], "{shared:?}");
        // Alone it is known by the same key.
        let alone = r#"{"object":"o","entry":[{"id":"w2","changes":[{"field":"a","id":"3"}]}]}"#;
        assert_eq!(keys(alone, &shared), [known[2]]);
    }
    // Where the element is known by its own id, what stands around it does not matter.
    let both = ["json:/object", "json:/entry/*/changes/*/id"];
    assert_eq!(keys(&BATCH.replace("p1", "p3"), &both), keys(BATCH, &both));
}

#[test]
fn without_dedup_every_part_has_a_random_id_of_its_own() {
    let events = split(BATCH, &wanted(), ROOM, Dedup::Off);
    let mut ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids[0], EventId::from_bytes(RANDOM));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), events.iter().filter(|event| event.key.is_some()).count()), (4, 0));
}

#[test]
fn a_twin_within_the_batch_is_the_same_event() {
    let twins = r#"{"entry":[{"id":"w","changes":[{"field":"a"},{"field":"b"},{"field":"a"}]}]}"#;
    let keys: Vec<_> = split(twins, &wanted(), ROOM, Dedup::On).iter().map(|event| event.key).collect();
    assert!(keys[0] == keys[2] && keys[0] != keys[1] && keys[0].is_some());
}
