//! An answer against the event is followed by its schedule, with the same event id and a new attempt number.

use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

#[test]
fn an_event_that_was_refused_comes_again_under_the_same_id() {
    let (one, two) = (Sink::start(Manner::Status(500)), Sink::start(Manner::Well));
    let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
    let house = House::start(&estate);
    let body = br#"{"entry":[{"id":"8"}],"try":"again"}"#;
    let signature = format!("sha256={}", hmac_hex(SECRET, body));
    let answer = house.plain().post("/meta", &[("X-Hub-Signature-256", &signature)], body).unwrap();
    assert_eq!(answer.status, 200, "what a destination answers does not move the acknowledgement");
    eventually("the first attempt", || one.count() == 1);
    one.behave(Manner::Well);
    eventually("the second attempt", || one.count() == 2);
    let arrivals = one.arrivals();
    let numbers: Vec<_> = arrivals.iter().map(|arrival| arrival.header("x-porteiro-attempt").unwrap()).collect();
    assert_eq!(numbers, ["1", "2"]);
    assert_eq!(arrivals[0].event_id(), arrivals[1].event_id());
    assert_eq!(arrivals[0].event_id(), two.arrivals()[0].event_id());
    assert_eq!(arrivals[1].body, body);
    let metrics = house.metrics();
    eventually("nothing owed", || house.metrics().value("porteiro_backlog_events", &[("destination", "one")]) == 0.0);
    assert_eq!(metrics.value("porteiro_dead_letters_total", &[("destination", "one")]), 0.0);
    metrics.no_panics();
}
