//! Tenants are charged for what is proven and new, all of a request's or none, and get back what came to nothing.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};
use std::time::Duration;

use http::header::RETRY_AFTER;

use super::rooms::{PEER, Rooms, bare, event};
use super::trouble;
use crate::journal::{self, Memory, Options};
use crate::snapshot::ListenerId;

/// A body whose entries have these keys.
fn body(keys: &[&str]) -> Vec<u8> {
    let entries: Vec<String> = keys.iter().map(|key| format!(r#"{{"id":"{key}"}}"#)).collect();
    format!(r#"{{"entry":[{}]}}"#, entries.join(",")).into_bytes()
}

/// One event to a source: the status, and when to come back.
fn send(rooms: &Rooms, source: &str, id: &str, keys: &[&str]) -> (u16, Option<String>) {
    let response = rooms.answer(event(&format!("/{source}"), id, &body(keys)));
    let again = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), again)
}

#[track_caller]
fn check(rooms: &Rooms, source: &str, id: &str, keys: &[&str], status: u16) {
    let (got, again) = send(rooms, source, id, keys);
    assert_eq!((got, again.is_some()), (status, status != 200), "{id} of {keys:?} to {source}: {:?}", rooms.outcomes());
}

fn seconds(rooms: &Rooms, seconds: u64) {
    rooms.hand.advance(Duration::from_secs(seconds));
}

#[test]
fn who_sends_too_much_is_refused_told_when_to_come_back_and_heard_then() {
    let rooms = Rooms::new();
    check(&rooms, "refusing", "a", &["1"], 200);
    check(&rooms, "refusing", "b", &["11"], 200);
    assert_eq!(send(&rooms, "refusing", "c", &["1"]), (429, Some("10".into())));
    assert_eq!((rooms.charged("acme"), rooms.counted("refusing", "over_rate")), ([2, 0, 0, 1], 1));
    assert_eq!((rooms.kept().len(), rooms.window.len()), (2, 2), "what was refused left nothing behind");
    // It is not held against the caller's address, nor against anybody else.
    check(&rooms, "refusing", "d", &["2"], 200);
    seconds(&rooms, 10);
    check(&rooms, "refusing", "c", &["1"], 200);
    assert_eq!(rooms.counted("refusing", "repeat"), 0, "the provider's retry is new");
    assert_eq!((rooms.charged("acme"), rooms.charged("bolt")), ([3, 0, 0, 1], [1, 0, 0, 0]));
}

#[test]
fn what_is_forged_repeated_or_unread_is_not_charged() {
    let rooms = Rooms::new();
    for n in 0..50 {
        let forged = bare("POST", "/refusing", &[("x-signature", "sha256=00"), ("x-id", "a")], &body(&["1"]));
        assert_eq!(rooms.answer_to([198, 51, 100, n], forged).status(), 401);
    }
    assert_eq!(rooms.charged("acme"), [0; 4]);
    for _ in 0..20 {
        check(&rooms, "refusing", "a", &["1"], 200);
    }
    assert_eq!((rooms.charged("acme"), rooms.counted("refusing", "repeat")), ([1, 0, 0, 0], 19));
    check(&rooms, "refusing", "b", &["1"], 200);
    check(&rooms, "refusing", "c", &["1"], 429);
    // Where no tenants are known, nobody is charged.
    for n in 0..20 {
        check(&rooms, "plain", &n.to_string(), &["1"], 200);
    }
    assert_eq!((rooms.charged("acme"), rooms.charged("unknown")), ([2, 0, 0, 1], [0; 4]));
}

#[test]
fn of_a_batch_everybody_is_charged_or_nobody() {
    let rooms = Rooms::new();
    check(&rooms, "refusing", "a", &["1", "2", "11", "1"], 200);
    assert_eq!((rooms.charged("acme"), rooms.charged("bolt")), ([1, 0, 0, 0], [1, 0, 0, 0]));
    for id in ["b", "c", "d"] {
        check(&rooms, "refusing", id, &["1", "2"], 429);
    }
    assert_eq!((rooms.charged("acme"), rooms.charged("bolt")), ([1, 0, 0, 0], [1, 0, 0, 3]));
    check(&rooms, "refusing", "e", &["1"], 200);
    check(&rooms, "refusing", "f", &["1"], 429);
    assert_eq!(rooms.charged("acme"), [2, 0, 0, 1], "what the batches were charged was given back");
}

#[test]
fn the_unknown_have_a_bucket_each_and_one_label() {
    let rooms = Rooms::new();
    for (id, keys) in [("a", &["x"] as &[&str]), ("b", &["y"]), ("c", &[])] {
        check(&rooms, "refusing", id, keys, 200);
        check(&rooms, "refusing", &format!("{id}{id}"), keys, 429);
    }
    assert_eq!(rooms.answer(event("/refusing", "d", b"no json")).status(), 429, "it has no key either");
    assert_eq!((rooms.charged("unknown"), rooms.ingress.unknown_tenants(super::rooms::START)), ([3, 0, 0, 4], 3));
    assert!(!rooms.metrics.render().contains("\"x\""), "a key is no label");
}

/// The bodies that a destination has been handed so far, in their order.
fn handed(rooms: &Rooms) -> Vec<String> {
    rooms.kept().into_iter().map(|(.., body)| body).collect()
}

fn text(keys: &[&str]) -> String {
    String::from_utf8(body(keys)).unwrap()
}

#[test]
fn what_is_shaped_is_stored_at_once_and_handed_over_in_its_time() {
    let rooms = Rooms::new();
    for (id, key) in [("a", "1"), ("b", "1"), ("c", "11"), ("d", "1")] {
        check(&rooms, "shaping", id, &[key], 200);
    }
    assert_eq!(send(&rooms, "shaping", "e", &["1"]), (429, Some("10".into())), "beyond the quota");
    assert_eq!(rooms.charged("acme"), [2, 2, 0, 1]);
    check(&rooms, "shaping", "f", &["2"], 200);
    assert_eq!(handed(&rooms), [text(&["1"]), text(&["1"]), text(&["2"])], "nobody waits for another tenant");
    seconds(&rooms, 9);
    assert!(handed(&rooms).is_empty());
    seconds(&rooms, 1);
    assert_eq!(handed(&rooms), [text(&["11"])]);
    check(&rooms, "shaping", "c", &["11"], 200);
    assert_eq!(rooms.counted("shaping", "repeat"), 1);
    seconds(&rooms, 10);
    assert_eq!(handed(&rooms), [text(&["1"])]);
    seconds(&rooms, 100);
    assert!(handed(&rooms).is_empty());
}

#[test]
fn beyond_the_quota_what_would_be_lost_is_released_and_counted() {
    let rooms = Rooms::new();
    for id in ["a", "b", "c", "d", "e", "f"] {
        check(&rooms, "releasing", id, &["1"], 200);
    }
    assert_eq!((rooms.charged("acme"), handed(&rooms).len()), ([2, 2, 2, 0], 4));
    seconds(&rooms, 20);
    assert_eq!(handed(&rooms).len(), 2);
}

#[test]
fn a_batch_waits_for_the_last_of_its_tenants() {
    let rooms = Rooms::new();
    check(&rooms, "shaping", "a", &["2"], 200);
    check(&rooms, "shaping", "b", &["2", "1"], 200);
    check(&rooms, "shaping", "c", &["1"], 200);
    assert_eq!(handed(&rooms), [text(&["2"]), text(&["1"])]);
    assert_eq!((rooms.charged("acme"), rooms.charged("bolt")), ([2, 0, 0, 0], [1, 1, 0, 0]));
    seconds(&rooms, 10);
    assert_eq!(handed(&rooms), [text(&["2", "1"])]);
}

#[test]
fn a_discarded_event_was_proven_and_new_and_is_charged() {
    let rooms = Rooms::new();
    check(&rooms, "dropping", "a", &["2"], 200);
    check(&rooms, "dropping", "b", &["2"], 429);
    assert_eq!((rooms.charged("bolt"), rooms.kept().len()), ([1, 0, 0, 1], 0));
}

#[test]
fn what_the_journal_does_not_take_or_loses_is_given_back() {
    let (rooms, failures) = trouble::rooms(Options::default());
    failures.store(1, SeqCst);
    check(&rooms, "refusing", "a", &["2"], 503);
    check(&rooms, "refusing", "a", &["2"], 200);
    check(&rooms, "refusing", "b", &["2"], 429);

    let rooms =
        Rooms::with(Arc::new(Memory::new()), Options { queue_records: 1, ..Options::default() }, Default::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut first = pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"one")));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let ask = |id| rooms.ingress.answer(ListenerId(0), PEER.into(), event("/refusing", id, &body(&["2"])));
    assert_eq!(runtime.block_on(ask("a")).status(), 503);
    // Who hangs up before the journal has it has not sent it.
    let inside = runtime.enter();
    {
        let mut gone = pin!(ask("b"));
        assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    drop(inside);
    rooms.work();
    assert_eq!(rooms.charged("bolt"), [0; 4]);
    check(&rooms, "refusing", "c", &["2"], 200);
    check(&rooms, "refusing", "d", &["2"], 429);
    assert_eq!(rooms.charged("bolt"), [1, 0, 0, 1]);
}

#[test]
fn who_hangs_up_once_the_journal_has_it_has_sent_it() {
    let rooms = Rooms::new();
    {
        let mut gone = pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/refusing", "a", &body(&["2"]))));
        assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    check(&rooms, "refusing", "b", &["2"], 429);
    check(&rooms, "refusing", "a", &["2"], 200);
    assert_eq!((rooms.charged("bolt"), rooms.kept().len()), ([1, 0, 0, 1], 1));
}

#[test]
fn the_journal_knows_tenants_by_their_names_and_the_unknown_apart() {
    let rooms = Rooms::new();
    let whom = |source: &str, id: &str, keys: &[&str]| {
        check(&rooms, source, id, keys, 200);
        rooms.next().tenants
    };
    let acme = whom("refusing", "a", &["1"]);
    assert!(matches!(acme, journal::Tenants::One(number) if number > 0));
    assert_eq!(whom("shaping", "b", &["11"]), acme, "by whatever key, at whatever source");
    let unknown = whom("refusing", "c", &["x"]);
    assert!(matches!(unknown, journal::Tenants::One(_)) && unknown != acme);
    assert_ne!(whom("shaping", "d", &["x"]), unknown, "a key means something at its source only");
    assert_eq!(whom("plain", "e", &[]), journal::Tenants::None);
    assert_eq!(whom("refusing", "f", &[]), journal::Tenants::None);
    seconds(&rooms, 100);
    let journal::Tenants::Mixed(mixed) = whom("releasing", "g", &["1", "x", "2", "11", "y"]) else { panic!("four") };
    assert_eq!(mixed.len(), 4);
}
