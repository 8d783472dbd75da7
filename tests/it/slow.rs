//! A stranger who is slow costs a connection for a bounded time and nothing else.

use std::time::Instant;

use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{PATIENCE, hmac_hex};

fn hurried(one: &Sink, two: &Sink) -> Estate {
    let configuration = two_destinations(&one.url(), &two.url())
        + r#"
[listen.plain.limits]
head = "300ms"
idle = "300ms"

[source.whatsapp.limits]
deadline = "300ms"
"#;
    Estate::new(&configuration)
}

#[test]
fn slow_heads_bodies_and_idlers_are_let_go() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let house = House::start(&hurried(&one, &two));
    let body = br#"{"slow":1}"#;
    let head = format!(
        "POST /meta HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: sha256={}\r\nContent-Length: {}\r\n\r\n",
        hmac_hex(SECRET, body),
        body.len()
    );
    let started = Instant::now();

    let mut silent = house.plain();
    assert!(silent.closed(), "who says nothing is let go");

    let mut half_a_head = house.plain();
    half_a_head.write(&head.as_bytes()[..30]).unwrap();
    // A 408 may come first, or nothing.
    assert!(half_a_head.closed(), "who stops in the head is let go");

    let mut half_a_body = house.plain();
    half_a_body.write(head.as_bytes()).unwrap();
    half_a_body.write(&body[..4]).unwrap();
    assert_eq!(half_a_body.answer().unwrap().status, 408);
    assert!(half_a_body.closed(), "who stops in the body is told and let go");

    let mut idle = house.plain();
    assert_eq!(idle.post("/meta", &[], b"").unwrap().status, 401);
    assert!(idle.closed(), "who stays without a word is let go");

    assert!(started.elapsed() < PATIENCE);
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_journal_events_total", &[]), 0.0);
    assert_eq!(metrics.value("porteiro_connections", &[("listener", "plain")]), 0.0);
    assert_eq!(metrics.value("porteiro_in_flight_bytes", &[]), 0.0);
    metrics.no_panics();
}
