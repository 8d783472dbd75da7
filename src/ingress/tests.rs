use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};

use super::*;

mod awaited;
mod buffered;
mod hangups;
mod parts;
mod rooms;
mod tenants;
mod trouble;

use rooms::{BODY_MAX, PEER, Rooms, SECRET, bare, event, signed, text};

const OTHER: &[u8] = b"{\"kind\":\"ping\",\"entry\":[{\"id\":\"1\"},{\"id\":\"2\"}]}";

fn kept(rest: &str, query: &str, body: &[u8]) -> rooms::Kept {
    ("POST".into(), rest.into(), query.into(), String::from_utf8(body.to_vec()).unwrap())
}

/// One request to rooms of its own: the source and the word it is counted by, the status, and what is stored of it.
#[track_caller]
fn check(request: Request<Full<Bytes>>, counted: (&'static str, &'static str), status: u16, stored: &[rooms::Kept]) {
    let rooms = Rooms::new();
    let asked = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
    let response = rooms.answer(request);
    assert_eq!(response.status().as_u16(), status, "{asked}");
    assert_eq!(rooms.outcomes(), [counted], "{asked}");
    assert_eq!(rooms.kept(), stored, "{asked}");
    assert_eq!(rooms.admission.in_flight(), 0, "{asked}");
}

#[test]
fn what_is_proven_is_stored_as_it_came_and_answered() {
    let one = b"{\"kind\": \"ping\", \"kind\": \"pong\"}  ";
    check(event("/plain/a/b%20c?x=1&y=%2F", "1", one), ("plain", "stored"), 200, &[kept("a/b%20c", "x=1&y=%2F", one)]);
    check(event("/plain", "1", b"no json"), ("plain", "stored"), 200, &[kept("", "", b"no json")]);
    check(event("/plain", "", b""), ("plain", "stored"), 200, &[kept("", "", b"")]);
    check(event("/plain", "1", OTHER), ("plain", "stored"), 200, &[kept("", "", OTHER)]);
    let large = vec![b'x'; usize::try_from(BODY_MAX).unwrap()];
    check(event("/plain", "1", &large), ("plain", "stored"), 200, &[kept("", "", &large)]);
    check(event("/buffered", "1", one), ("buffered", "queued"), 200, &[kept("", "", one)]);
    check(event("/nowhere", "1", one), ("nowhere", "stored"), 200, &[]);
    check(event("/discarding", "1", one), ("discarding", "discarded"), 200, &[]);
    check(event("/spoken", "1", one), ("spoken", "stored"), 202, &[kept("", "", one)]);
    let with_key = format!("/token/in?a=b&key={}", "correct%20horse%20battery%20staple");
    check(bare("POST", &with_key, &[], one), ("token", "stored"), 200, &[kept("in", "a=b", one)]);
}

#[test]
fn what_is_refused_is_not_stored() {
    let body: &[u8] = b"{}";
    let good = signed(body);
    let sign = ("x-signature", &*good);
    let torn = &good[..20];
    let (host, both) = (("host", "hooks.example"), ("transfer-encoding", "chunked"));
    let large = vec![b'x'; usize::try_from(BODY_MAX).unwrap() + 1];
    let vast = vec![b'x'; 70 << 10];
    let cases: Vec<(Request<Full<Bytes>>, &'static str, &'static str, u16)> = vec![
        (bare("POST", "/plain", &[sign, both, ("content-length", "2")], body), "none", "length_and_coding", 400),
        (bare("POST", "/plain", &[sign, host], body), "none", "several_hosts", 400),
        (bare("POST", "http://other.example/plain", &[sign], body), "none", "other_host", 400),
        (bare("POST", "/elsewhere", &[sign], body), "none", "nowhere", 404),
        (bare("POST", "/plain/../plain", &[sign], body), "none", "nowhere", 404),
        (bare("POST", "/plain/%2e%2E/x", &[sign], body), "none", "nowhere", 404),
        (bare("PUT", "/plain", &[sign], body), "plain", "method", 405),
        (bare("GET", "/plain", &[sign], body), "plain", "method", 401),
        (event("/plain", "1", &large), "plain", "too_large", 413),
        (event("/listed", "1", body), "listed", "address", 403),
        (bare("POST", "/plain", &[], body), "plain", "missing_signature", 401),
        (bare("POST", "/plain", &[("x-signature", "")], body), "plain", "empty_signature", 401),
        (bare("POST", "/plain", &[sign, sign], body), "plain", "repeated_signature", 401),
        (bare("POST", "/plain", &[("x-signature", torn)], body), "plain", "malformed_signature", 401),
        (bare("POST", "/plain", &[sign], b"{ }"), "plain", "wrong_signature", 401),
        (bare("POST", "/spoken", &[sign], b"{ }"), "spoken", "wrong_signature", 403),
        (bare("POST", "/token?key=wrong", &[], body), "token", "wrong_signature", 401),
        (bare("GET", "/plain?mode=subscribe&token=wrong&challenge=1", &[], b""), "plain", "challenge_token", 401),
        (event("/vast", "1", &vast), "vast", "journal_too_large", 413),
    ];
    for (request, source, word, status) in cases {
        check(request, (source, word), status, &[]);
    }
    let mut hostless = event("/plain", "1", body);
    hostless.headers_mut().remove("host");
    check(hostless, ("none", "no_host"), 400, &[]);
    let mut odd = event("/plain", "1", body);
    odd.headers_mut().insert("host", http::HeaderValue::from_static("a b"));
    check(odd, ("none", "bad_host"), 400, &[]);
}

#[test]
fn a_handshake_is_answered_and_nothing_is_stored() {
    let target = "/plain?mode=subscribe&token=correct%20horse%20battery%20staple&challenge=1234";
    check(bare("GET", target, &[], b""), ("plain", "challenge"), 200, &[]);
    let response = Rooms::new().answer(bare("GET", target, &[], b""));
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(text(response), "1234");
    assert_eq!(SECRET.len(), 28);
}

#[test]
fn answers_speak_as_the_provider_expects() {
    let rooms = Rooms::new();
    let response = rooms.answer(event("/spoken", "1", b"{}"));
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(text(response), "{\"ok\":true}");
    let response = rooms.answer(event("/plain", "1", b"{}"));
    assert!(response.headers().is_empty() && text(response).is_empty());
    let response = rooms.answer(bare("PUT", "/plain", &[], b""));
    assert_eq!(response.headers()[ALLOW], "GET, POST");
    assert_eq!(text(response), "Method Not Allowed");
    let response = rooms.answer(bare("POST", "http://other.example/plain", &[], b""));
    assert_eq!(response.headers()[CONNECTION], "close");
}

#[test]
fn all_failures_of_proof_look_the_same_from_outside() {
    let body: &[u8] = b"{}";
    let good = signed(body);
    let fields: [&[(&str, &str)]; 4] = [
        &[],
        &[("x-signature", "sha256=00")],
        &[("x-signature", "")],
        &[("x-signature", &good), ("x-signature", &good)],
    ];
    let rooms = Rooms::new();
    let shown = |response: Response<Full<Bytes>>| (response.status(), response.headers().clone(), text(response));
    let first = shown(rooms.answer(bare("POST", "/plain", &[("x-signature", &good)], b"x")));
    for fields in fields {
        assert_eq!(shown(rooms.answer(bare("POST", "/plain", fields, body))), first, "{fields:?}");
    }
}

#[test]
fn what_is_new_is_counted_by_the_route_that_decided() {
    let rooms = Rooms::new();
    for (target, id) in [("/plain", "1"), ("/plain", "1"), ("/plain", "2"), ("/nowhere", "1"), ("/discarding", "1")] {
        rooms.answer(event(target, id, b"{}"));
    }
    let routed = |source: &str| {
        let source = rooms.metrics.routed(source, &[("1", source == "discarding")]);
        (source.total(Some(0)), source.total(None))
    };
    assert_eq!((routed("plain"), routed("nowhere"), routed("discarding")), ((2, 0), (0, 1), (1, 0)));
}

#[test]
fn a_repeat_is_answered_alike_and_stored_once() {
    let rooms = Rooms::new();
    for _ in 0..3 {
        assert_eq!(rooms.answer(event("/plain", "1", b"one")).status(), 200);
    }
    assert_eq!(rooms.kept(), [kept("", "", b"one")]);
    assert_eq!((rooms.counted("plain", "stored"), rooms.counted("plain", "repeat")), (1, 2));
    // Another body under the same id is another event; another id, path or query too.
    for other in [
        event("/plain", "1", b"two"),
        event("/plain", "2", b"one"),
        event("/plain/x", "1", b"one"),
        event("/plain?x", "1", b"one"),
        event("/buffered", "1", b"one"),
    ] {
        let repeat = other.clone();
        assert_eq!(rooms.answer(other).status(), 200);
        assert_eq!(rooms.answer(repeat).status(), 200);
        assert_eq!(rooms.kept().len(), 1);
    }
    assert_eq!(rooms.metrics.source("plain", OUTCOMES).conflicts.get(), 1);
}

#[test]
fn a_repeat_is_delivered_again_where_only_people_repeat_or_nobody_remembers() {
    for source in ["/human", "/forgetful"] {
        let rooms = Rooms::new();
        for _ in 0..3 {
            assert_eq!(rooms.answer(event(source, "1", b"one")).status(), 200);
        }
        assert_eq!(rooms.kept(), [kept("", "", b"one"), kept("", "", b"one"), kept("", "", b"one")], "{source}");
    }
}

#[test]
fn an_address_that_is_refused_too_often_is_told_when_to_come_back_and_no_other() {
    let limits = crate::admission::Limits { refusals_burst: 3, ..Default::default() };
    let rooms = Rooms::with(Arc::new(crate::journal::Memory::new()), Default::default(), limits);
    for _ in 0..3 {
        assert_eq!(rooms.answer(bare("POST", "/plain", &[], b"x")).status(), 401);
    }
    let response = rooms.answer(event("/plain", "1", b"x"));
    assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (429, &"1".parse().unwrap()));
    assert_eq!(rooms.counted("plain", "too_many_refusals"), 1);
    // Who would not come again is heard all the same.
    assert_eq!(rooms.answer(event("/once", "1", b"x")).status(), 200);
    assert_eq!(rooms.answer_to([198, 51, 100, 1], event("/plain", "1", b"x")).status(), 200);
    // It is the caller that a trusted hop names who is refused, not the hop; who is no hop names nobody.
    let via = |hop, client: &'static str| {
        let mut request = event("/plain", "2", b"x");
        request.headers_mut().insert("x-forwarded-for", http::HeaderValue::from_static(client));
        rooms.answer_to(hop, request).status().as_u16()
    };
    assert_eq!(
        (via([10, 0, 0, 1], "192.0.2.1"), via([10, 0, 0, 1], "192.0.2.2"), via(PEER, "192.0.2.2")),
        (429, 200, 429)
    );
    rooms.hand.advance(Duration::from_secs(1));
    assert_eq!(rooms.answer(event("/plain", "3", b"x")).status(), 200);
}

#[test]
fn a_wrong_address_and_a_large_body_are_not_held_against_the_caller() {
    let limits = crate::admission::Limits { refusals_burst: 1, ..Default::default() };
    let rooms = Rooms::with(Arc::new(crate::journal::Memory::new()), Default::default(), limits);
    let large = vec![b'x'; usize::try_from(BODY_MAX).unwrap() + 1];
    for _ in 0..3 {
        assert_eq!(rooms.answer(event("/elsewhere", "1", b"x")).status(), 404);
        assert_eq!(rooms.answer(event("/plain", "1", &large)).status(), 413);
    }
    assert_eq!(rooms.answer(event("/plain", "1", b"x")).status(), 200);
}

#[test]
fn our_own_trouble_is_not_charged_to_the_caller_and_says_when_to_try_again() {
    let limits = crate::admission::Limits { in_flight_max: 10, ..Default::default() };
    let rooms = Rooms::with(Arc::new(crate::journal::Memory::new()), Default::default(), limits);
    for _ in 0..200 {
        let response = rooms.answer(event("/plain", "1", &[b'x'; 11]));
        assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (503, &"1".parse().unwrap()));
    }
    assert_eq!(rooms.counted("plain", "busy"), 200);
    rooms.journal.close();
    let response = rooms.answer(event("/plain", "1", b"x"));
    assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (503, &"5".parse().unwrap()));
    assert_eq!(rooms.counted("plain", "journal_closed"), 1);
    assert_eq!(rooms.admission.in_flight(), 0);
    assert!(rooms.window.is_empty(), "a claim of what was not stored is free again");
}

#[test]
fn figures_tell_what_was_read_and_proven() {
    let rooms = Rooms::new();
    rooms.answer(event("/plain", "1", b"no json"));
    rooms.answer(event("/plain", "2", OTHER));
    rooms.answer(bare("POST", "/plain", &[], b"unproven"));
    let metrics = rooms.metrics.source("plain", OUTCOMES);
    assert_eq!(metrics.body_bytes.get(), 7 + 8 + u64::try_from(OTHER.len()).unwrap());
    assert_eq!(metrics.unreadable.get(), 1);
    assert_eq!(metrics.verified.get_sample_count(), 2);
    assert_eq!(metrics.acknowledged.get_sample_count(), 2);
    assert_eq!(metrics.last_event.get(), 1_800_000_000);
    assert_eq!(rooms.snapshot.load().generation, 1);
}

#[test]
fn the_state_of_a_request_is_small() {
    let rooms = Rooms::new();
    let future = rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"x"));
    let size = size_of_val(&future);
    assert!(size <= 4096, "{size} bytes");
    drop(future);
    let pending = rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"x"));
    let mut pending = pin!(pending);
    assert!(matches!(pending.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
}
