//! Are the parts of a batch what their definition says?
//!
//! Promises: panics, for a fuzzer or a property test to see, where a part is not the document of the whole batch without the
//! other elements, or where a selector finds something else in it than in the same bytes alone.
//!
//! Must not know: how parts are found.

use std::ops::Range;

use http::{HeaderMap, Method};
use serde_json::Value;

use super::super::{Captures, Place, Plan, Pointer, Request, Selector, Take, Values};
use super::{Elements, Part};

/// Where the parts of Meta's batches stand.
pub(super) const META: &str = "/entry/*/changes/*";

pub(super) fn elements(text: &str) -> Elements {
    Elements::new(Pointer::parse(text).expect("the test's own pointer")).expect("the test's own elements")
}

pub(super) fn with_request<T>(body: &[u8], f: impl FnOnce(&Request<'_>) -> T) -> T {
    f(&Request {
        method: &Method::POST,
        path: "/",
        query: "",
        headers: &HeaderMap::new(),
        body,
        captures: &Captures::default(),
        public_url: None,
    })
}

/// Takes batches apart for a fuzzer: one after the other, as each of these says.
pub fn hold(data: &[u8]) {
    for at in [META, "/*", "/entry/*", "/*/*", "/*/id/*"] {
        drop(parts(data, at));
    }
}

/// What is asked of every part: plain pointers, several at once, numbers of elements, values of the frame.
fn selectors() -> Vec<Selector> {
    let one = |take, places: &[&str]| {
        Selector::new(places.iter().map(|text| Place::parse(text).expect("the test's own place")).collect(), take)
    };
    vec![
        one(Take::First, &["json:/object"]),
        one(Take::First, &["json:/entry/*/changes/*/field", "json:/entry/*/id"]),
        one(Take::Each, &["json:/entry/*/changes/*/value/id", "json:/entry/*/id"]),
        one(Take::All, &["json:/entry/*/changes/*/value/list/*", "json:/entry/0/changes/0/value/id"]),
        one(Take::All, &["json:/entry/1/id", "json:/entry/0/changes/1/field", "json:/entry/0/list/1"]),
        one(Take::All, &["json:/*/id", "json:/0/id", "json:/entry/*"]),
    ]
}

fn read(values: &Values<'_>, count: usize) -> Vec<Vec<Option<String>>> {
    let all = |at| {
        let mut found = Vec::new();
        values.each(at, &mut |value| found.push(value.map(str::to_owned)));
        found.push(values.first(at).map(|value| value.into_owned()));
        found
    };
    (0..count).map(all).collect()
}

/// The parts of a text, each proven to be what its definition says: a document like the whole one without the other
/// elements, in which every selector finds what it finds in the part.
#[track_caller]
pub(super) fn parts(text: &[u8], at: &str) -> Option<Vec<String>> {
    let selectors = selectors();
    let list: Vec<&Selector> = selectors.iter().collect();
    let (plan, plain) = (Plan::compile_parted(&list, &elements(at)), Plan::compile(&list));
    let (plan, plain) = (plan.expect("the test's own places"), plain.expect("the test's own places"));
    with_request(text, |request| {
        let (mut values, parts) = plan.read_parts(request, usize::MAX);
        if !values.body_readable() {
            assert!(parts.is_empty());
            return None;
        }
        // The document refuses more: numbers out of range, and halves of surrogate pairs anywhere.
        let whole: Value = serde_json::from_slice(text).ok()?;
        let pointer = elements(at);
        let expected = fall_apart(&whole, &tokens(&pointer)).unwrap_or_default();
        assert_eq!(parts.len(), expected.len(), "{}", String::from_utf8_lossy(text));
        let one = |(part, expected): (&Part, &Value)| {
            let bytes: Vec<u8> = part.ranges().iter().flat_map(|range| &text[inside(range)]).copied().collect();
            assert_eq!(part.bytes(), bytes.len() as u64);
            assert_eq!(&serde_json::from_slice::<Value>(&bytes).expect("a part is a document"), expected);
            assert!(part.ranges().windows(2).all(|pair| pair[0].end < pair[1].start), "side by side, and in order");
            assert!(part.ranges().iter().all(|range| range.start < range.end));
            let element = &text[inside(part.element())];
            assert!(serde_json::from_slice::<Value>(element).is_ok(), "an element is one value");
            values.narrow(part);
            let alone = with_request(&bytes, |request| read(&plain.read(request), selectors.len()));
            assert_eq!(read(&values, selectors.len()), alone, "{}", String::from_utf8_lossy(&bytes));
            String::from_utf8(bytes).expect("a part of a text is one")
        };
        Some(parts.iter().zip(&expected).map(one).collect())
    })
}

fn inside(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn tokens(elements: &Elements) -> Vec<String> {
    elements.to_string().split('/').skip(1).map(str::to_owned).collect()
}

/// The definition, said in another way: `None` where no element stands.
fn fall_apart(value: &Value, tokens: &[String]) -> Option<Vec<Value>> {
    let Some((token, rest)) = tokens.split_first() else { return Some(vec![value.clone()]) };
    match value {
        Value::Array(all) if token == "*" && !all.is_empty() => {
            let parts = all.iter().flat_map(|one| fall_apart(one, rest).unwrap_or_else(|| vec![one.clone()]));
            Some(parts.map(|part| Value::Array(vec![part])).collect())
        }
        Value::Object(fields) if token != "*" => {
            let parts = fall_apart(fields.get(token)?, rest)?;
            let with = |part| {
                let mut fields = fields.clone();
                fields.insert(token.clone(), part);
                Value::Object(fields)
            };
            Some(parts.into_iter().map(with).collect())
        }
        _ => None,
    }
}
