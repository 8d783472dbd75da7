//! Rules that no event can match are found, and no others.

use super::*;

const SHOP: SourceSense<'static> = SourceSense { name: "shop", kinds: true };

fn one(place: &str, text: &str) -> When {
    asks(place, Shape::equals(text))
}

#[track_caller]
fn check(condition: When, expected: bool) {
    assert_eq!(condition.is_possible(&SHOP), expected, "{condition}");
    assert_eq!(not(not(condition.clone())).is_possible(&SHOP), expected, "twice not {condition}");
}

#[test]
fn what_contradicts_itself_is_impossible() {
    let all = When::All;
    for condition in [
        When::Kind(Shape::one_of(&[])),
        When::Any(vec![]),
        not(all(vec![])),
        all(vec![kind("a"), kind("b")]),
        all(vec![kind("a"), not(kind("a"))]),
        all(vec![kind("a"), not(When::Kind(Shape::one_of(&["b", "a"])))]),
        all(vec![kind("a"), not(When::Kind(Shape::Exists))]),
        all(vec![kind("a"), When::Kind(Shape::Prefix("b".into()))]),
        all(vec![When::Kind(Shape::Prefix("b".into())), not(When::Kind(Shape::Prefix("b".into())))]),
        all(vec![tenant("a"), tenant("b")]),
        all(vec![pointer(), not(pointer())]),
        all(vec![one("json:/a", "1"), not(pointer())]),
        all(vec![asks("json:/a", Shape::Prefix("1".into())), not(pointer())]),
        all(vec![one("json:/a", "1"), one("json:/a", "2")]),
        all(vec![one("path:a", "1"), one("path:a", "2")]),
        all(vec![one("header:x-a", "1"), not(one("header:x-a", "1"))]),
        all(vec![one("json:/a/*", "1"), not(asks("json:/a/*", Shape::Prefix("1".into())))]),
        all(vec![one("json:/a", "1"), When::Any(vec![one("json:/a", "2"), one("json:/a", "3")])]),
        When::Any(vec![all(vec![kind("a"), kind("b")]), When::Any(vec![])]),
        not(When::Any(vec![kind("a"), not(kind("a"))])),
        When::Source(Shape::equals("other")),
        not(When::Source(Shape::Prefix("sh".into()))),
        not(When::Asks(Question { at: Spot::Path, shape: Shape::Exists })),
    ] {
        check(condition, false);
    }
}

#[test]
fn what_some_event_could_match_is_possible() {
    let all = When::All;
    for condition in [
        kind("a"),
        not(kind("a")),
        all(vec![]),
        all(vec![kind("a"), not(kind("b"))]),
        all(vec![not(kind("a")), not(kind("b")), not(When::Kind(Shape::Exists))]),
        When::Any(vec![all(vec![kind("a"), kind("b")]), kind("c")]),
        all(vec![one("header:x-a", "1"), one("header:x-a", "2")]),
        all(vec![one("query:a", "1"), not(one("query:a", "2"))]),
        all(vec![one("json:/a/*", "1"), one("json:/a/*", "2")]),
        all(vec![one("json:/a", "1"), one("json:/b", "2"), not(one("json:/c", "3"))]),
        all(vec![kind("a"), tenant("b"), When::Source(Shape::equals("shop"))]),
    ] {
        check(condition, true);
    }
}

#[test]
fn where_events_have_no_kind_none_can_be_asked_for() {
    let silent = SourceSense { kinds: false, ..SHOP };
    for (condition, expected) in [
        (kind("a"), false),
        (When::Kind(Shape::Exists), false),
        (When::All(vec![header(), kind("a")]), false),
        (not(kind("a")), true),
        (When::Any(vec![kind("a"), header()]), true),
    ] {
        assert_eq!(condition.is_possible(&silent), expected, "{condition}");
    }
}

#[test]
fn a_search_that_would_take_too_long_says_that_it_is_possible() {
    let choice = |at: usize| When::Any((0..8).map(|text| one(&format!("json:/{at}"), &text.to_string())).collect());
    let many: Vec<When> = (0..20).map(choice).collect();
    let both = When::All(vec![kind("a"), kind("b")]);
    // The contradiction stands where the search comes last.
    let condition = When::All([vec![When::Any(vec![both.clone(), both])], many].concat());
    assert!(condition.is_possible(&SHOP));
}
