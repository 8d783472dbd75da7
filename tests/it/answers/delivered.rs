//! A destination's answer is passed back: whole, in time, or not at all; and whatever becomes of it, the event is delivered.

use std::time::{Duration, Instant};

use super::{numbered, signature, with_lines};
use crate::support::PATIENCE;
use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::house::{Estate, House};
use crate::support::sink::{Manner, Sink};

/// Longer than any test waits for an answer that comes at once.
const LONG: &str = "20s";
/// Soon enough to be waited for.
const SHORT: &str = "400ms";

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 8\r\n\r\n<Hello/>";

/// A source that answers as the first destination does, for this long; what is late is a 202.
fn configuration(one: &Sink, two: &Sink, deadline: &str, more: &str) -> String {
    let lines = format!(
        "ack = {{ delivered = {{ destination = \"one\", deadline = \"{deadline}\", pass = [409]{more} }} }}\n\
         late = {{ status = 202, body = \"later\" }}"
    );
    let patient = "[destination.one]\nsuccess = [\"2xx\", \"409\"]\nretry = { pauses = [\"1m\"] }\n";
    with_lines(one, two, &lines).replace("[destination.one]\n", patient)
}

fn post(client: &mut Client, number: u64) -> Answer {
    let body = numbered(number);
    client.post("/meta", &[("X-Hub-Signature-256", &signature(&body))], &body).unwrap()
}

/// Sends a request and leaves its answer for later.
fn send(house: &House, number: u64) -> Client {
    let mut client = house.plain();
    ask(&mut client, number);
    client
}

fn ask(client: &mut Client, number: u64) {
    let body = numbered(number);
    let head = format!(
        "POST /meta HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: {}\r\nContent-Length: {}\r\n\r\n",
        signature(&body),
        body.len()
    );
    client.write(&[head.as_bytes(), &body].concat()).unwrap();
}

fn waited(house: &House, word: &str) -> f64 {
    house.metrics().value("porteiro_awaited_answers_total", &[("source", "whatsapp"), ("answer", word)])
}

#[track_caller]
fn is_late(answer: &Answer) {
    assert_eq!((answer.status, answer.text().as_str()), (202, "later"));
}

/// An answer of this head with a body of so many bytes.
fn long(head: &str, length: usize) -> &'static [u8] {
    let body = "x".repeat(length);
    format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").into_bytes().leak()
}

#[test]
fn what_the_destination_answers_is_passed_back_whole() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Hang));
    let estate = Estate::new(&configuration(&one, &two, LONG, ""));
    let house = House::start(&estate);
    let chunked = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let coded = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n\x1f\x8b";
    let xs = "x".repeat(64 << 10);
    let cases: Vec<(Manner, u16, Option<&str>, &str)> = vec![
        (Manner::Say(HELLO), 200, Some("text/xml"), "<Hello/>"),
        (Manner::Well, 200, None, ""),
        (Manner::Status(204), 204, None, ""),
        (Manner::Say(b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok"), 201, None, "ok"),
        (Manner::Say(chunked), 200, Some("text/plain"), "abcde"),
        (
            Manner::SayAndClose(b"HTTP/1.1 200 OK\r\nContent-Type: text/a\r\nConnection: close\r\n\r\nend"),
            200,
            Some("text/a"),
            "end",
        ),
        (
            Manner::Say(b"HTTP/1.1 409 No\r\nContent-Type: text/b\r\nContent-Length: 4\r\n\r\nbusy"),
            409,
            Some("text/b"),
            "busy",
        ),
        (Manner::Say(coded), 200, Some("text/plain"), "\u{1f}\u{fffd}"),
        (Manner::Say(long("Content-Length: 65536", 64 << 10)), 200, None, &xs),
    ];
    let mut client = house.plain();
    for (number, (manner, status, content_type, body)) in cases.iter().enumerate() {
        one.behave(*manner);
        let answer = post(&mut client, number as u64);
        assert_eq!((answer.status, answer.header("content-type")), (*status, *content_type), "{manner:?}");
        assert!(answer.text() == *body, "{number}: {}", answer.text().len());
        assert_eq!(answer.header("content-encoding"), (number == 7).then_some("gzip"), "{manner:?}");
        assert_eq!(answer.header("set-cookie"), None, "what is not the body's is the destination's own affair");
        assert_eq!(one.count(), number + 1);
    }
    assert_eq!(waited(&house, "passed"), cases.len() as f64);
    let metrics = house.metrics();
    let outcome = [("source", "whatsapp"), ("outcome", "passed")];
    assert_eq!(metrics.value("porteiro_requests_total", &outcome), cases.len() as f64);
    eventually("that nobody waits", || house.metrics().value("porteiro_waiting_callers", &[]) == 0.0);
    assert_eq!(metrics.value("porteiro_backlog_events", &[("destination", "one")]), 0.0);
    metrics.no_panics();
}

/// One answer that is not passed back: by which word, and whether the caller hears so before the deadline.
#[track_caller]
fn check(manner: Manner, word: &str, at_once: bool) {
    let (one, two) = (Sink::start(manner), Sink::start(Manner::Well));
    let estate = Estate::new(&configuration(&one, &two, if at_once { LONG } else { SHORT }, ""));
    let house = House::start(&estate);
    let began = Instant::now();
    is_late(&post(&mut house.plain(), 1));
    assert!(at_once || began.elapsed() >= Duration::from_millis(400), "{manner:?}");
    assert_eq!(waited(&house, word), 1.0, "{manner:?}\n{}", house.metrics().0);
    eventually("the other delivery", || two.count() == 1);
    assert_eq!(one.count(), 1, "{manner:?}");
    // The event is stored once: a repeat is one, and hears that it is late.
    one.behave(Manner::Say(HELLO));
    is_late(&post(&mut house.plain(), 1));
    let metrics = house.metrics();
    let repeat = [("source", "whatsapp"), ("outcome", "repeat")];
    assert_eq!(metrics.value("porteiro_requests_total", &repeat), 1.0);
    // The next one is none the worse for it.
    if at_once {
        assert_eq!(post(&mut house.plain(), 2).text(), "<Hello/>");
    }
    metrics.no_panics();
}

#[test]
fn what_cannot_be_passed_back_is_late_at_once() {
    let endless = long("Transfer-Encoding: chunked\r\n\r\n20000", 0x20000);
    check(Manner::Say(long("Content-Length: 65537", 65_537)), "too_large", true);
    check(Manner::Say(endless), "too_large", true);
    check(Manner::Say(long("Content-Length: 1000000000", 70_000)), "too_large", true);
    check(Manner::SayAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "broken", true);
    check(Manner::SayAndClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), "broken", true);
    check(Manner::Status(500), "failed", true);
    check(Manner::Status(404), "failed", true);
    check(Manner::Say(b"HTTP/1.1 302 There\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), "failed", true);
}

#[test]
fn what_does_not_come_in_time_is_late_at_the_deadline() {
    check(Manner::Hang, "deadline", false);
    check(Manner::Drip, "deadline", false);
    check(Manner::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "deadline", false);
    check(Manner::Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), "deadline", false);
}

#[test]
fn a_destination_that_is_down_is_waited_for_and_gets_the_event_when_it_is_back() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let (text, address) = (configuration(&one, &two, SHORT, ""), one.address());
    drop(one);
    let house = House::start(&Estate::new(&text));
    is_late(&post(&mut house.plain(), 1));
    assert_eq!(waited(&house, "deadline") + waited(&house, "failed"), 1.0);
    let one = Sink::start_on(address, Manner::Say(HELLO)).unwrap();
    eventually("the delivery", || one.count() == 1);
    house.metrics().no_panics();
}

#[test]
fn a_later_attempt_answers_too_if_it_comes_in_time() {
    let (one, two) = (Sink::start(Manner::Status(500)), Sink::start(Manner::Well));
    let text = configuration(&one, &two, LONG, "").replace("pauses = [\"1m\"]", "pauses = [\"1s\", \"1s\", \"1s\"]");
    let house = House::start(&Estate::new(&text));
    let mut client = send(&house, 1);
    eventually("the first attempt", || one.count() == 1);
    one.behave(Manner::Say(HELLO));
    assert_eq!(client.answer().unwrap().text(), "<Hello/>");
    assert!(one.count() == 2 && waited(&house, "passed") == 1.0);
    house.metrics().no_panics();
}

#[test]
fn repeats_hear_what_the_first_one_hears_as_long_as_that_waits() {
    let (one, two) = (Sink::start(Manner::SayLater(HELLO)), Sink::start(Manner::Well));
    let house = House::start(&Estate::new(&configuration(&one, &two, LONG, ", callers = 3")));
    let first = send(&house, 1);
    eventually("the attempt", || one.count() == 1);
    let mut clients = vec![first, send(&house, 1), send(&house, 1)];
    eventually("all who wait", || house.metrics().value("porteiro_waiting_callers", &[]) == 3.0);
    // One too many: an event of its own is stored, and a repeat is one; neither waits.
    is_late(&post(&mut house.plain(), 2));
    is_late(&post(&mut house.plain(), 1));
    assert_eq!(waited(&house, "crowded"), 1.0);
    one.go_on();
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().text(), "<Hello/>");
    }
    eventually("both deliveries", || one.count() == 2);
    assert_eq!(waited(&house, "passed"), 3.0);
    // The answer is not kept.
    is_late(&post(&mut clients[0], 1));
    assert_eq!(post(&mut clients[0], 3).text(), "<Hello/>", "the places are free again");
    assert_eq!(one.count(), 3);
    house.metrics().no_panics();
}

/// A caller that hangs up while its answer is due, by this connection: its place is free before there is an answer, and the
/// event is delivered all the same.
fn check_hang_up(connect: fn(&House, &Estate) -> Client) {
    let (one, two) = (Sink::start(Manner::SayLater(HELLO)), Sink::start(Manner::Well));
    let estate = Estate::new(&configuration(&one, &two, LONG, ", callers = 1"));
    let house = House::start(&estate);
    let mut gone = connect(&house, &estate);
    ask(&mut gone, 1);
    eventually("the attempt", || one.count() == 1);
    assert_eq!(house.metrics().value("porteiro_waiting_callers", &[]), 1.0);
    drop(gone);
    eventually("that nobody waits", || house.metrics().value("porteiro_waiting_callers", &[]) == 0.0);
    // The place is another one's, although the first answer is still due.
    let mut other = connect(&house, &estate);
    ask(&mut other, 2);
    eventually("the next attempt", || one.count() == 2);
    assert_eq!(waited(&house, "crowded") + waited(&house, "deadline"), 0.0);
    one.go_on();
    assert_eq!(other.answer().unwrap().text(), "<Hello/>");
    eventually("the deliveries", || {
        let delivered = [("destination", "one"), ("outcome", "delivered")];
        two.count() == 2 && house.metrics().value("porteiro_attempts_total", &delivered) == 2.0
    });
    assert_eq!(one.count(), 2, "and each of them once");
    house.metrics().no_panics();
}

#[test]
fn a_caller_that_hangs_up_gives_its_place_back_and_loses_nothing_but_its_reply() {
    check_hang_up(|house, _| house.plain());
    check_hang_up(|house, estate| Client::tls(house.address("public"), &estate.root, "localhost").unwrap());
}

#[test]
fn after_a_crash_the_event_is_delivered_and_a_retry_is_a_repeat() {
    let (one, two) = (Sink::start(Manner::Hang), Sink::start(Manner::Well));
    let estate = Estate::new(&configuration(&one, &two, LONG, ""));
    let house = House::start(&estate);
    let mut cut_off = send(&house, 1);
    eventually("the attempt", || one.count() == 1);
    house.kill();
    assert!(cut_off.answer().is_err(), "nobody answers for a destination");
    one.behave(Manner::Say(HELLO));
    let house = House::start(&estate);
    is_late(&post(&mut house.plain(), 1));
    eventually("the delivery", || one.count() == 2);
    let arrivals = one.arrivals();
    assert_eq!(arrivals[0].event_id(), arrivals[1].event_id());
    assert_eq!(waited(&house, "passed"), 0.0, "what is delivered now is answered to nobody");
    assert_eq!(post(&mut house.plain(), 2).text(), "<Hello/>");
    house.metrics().no_panics();
}

#[test]
fn who_waits_is_late_at_once_when_the_house_closes() {
    let (one, two) = (Sink::start(Manner::Hang), Sink::start(Manner::Well));
    let house = House::start(&Estate::new(&configuration(&one, &two, "60s", "").replace("\"5s\"", "\"1s\"")));
    let mut client = send(&house, 1);
    eventually("the attempt", || one.count() == 1);
    let began = Instant::now();
    house.signal(rustix::process::Signal::TERM);
    is_late(&client.answer().unwrap());
    let (status, log) = house.wait();
    assert!(status.code() == Some(0) && began.elapsed() < PATIENCE, "{log}");
}

#[test]
fn a_reload_changes_who_answers_from_the_next_request_on() {
    let (one, two, three) =
        (Sink::start(Manner::SayLater(HELLO)), Sink::start(Manner::Well), Sink::start(Manner::Status(201)));
    let control = "\n[control]\nsocket = \"control.sock\"\n";
    let text = configuration(&one, &two, LONG, "") + control;
    let estate = Estate::new(&text);
    let house = House::start(&estate);
    let mut waiting = send(&house, 1);
    eventually("the attempt", || one.count() == 1);
    estate.write("porteiro.toml", text.replace(&one.url(), &three.url()).as_bytes());
    assert_eq!(estate.reload().0, 0);
    assert_eq!(post(&mut house.plain(), 2).status, 201, "the new address answers");
    let durable = with_lines(&one, &two, "success = { status = 203 }") + control;
    estate.write("porteiro.toml", durable.as_bytes());
    assert_eq!(estate.reload().0, 0);
    assert_eq!(post(&mut house.plain(), 3).status, 203, "nobody waits any more");
    one.go_on();
    assert_eq!(waiting.answer().unwrap().text(), "<Hello/>", "who waited before hears what it waited for");
    eventually("the deliveries", || one.count() == 2 && three.count() == 1 && two.count() == 3);
    house.metrics().no_panics();
}

#[test]
fn what_goes_elsewhere_hears_the_usual_success() {
    let (one, two) = (Sink::start(Manner::Hang), Sink::start(Manner::Well));
    let elsewhere =
        "[[route]]\nfrom = [\"whatsapp\"]\nwhen = { query = \"to\", equals = \"two\" }\nto = [\"two\"]\n\n[[route]]";
    let text = configuration(&one, &two, LONG, "").replace("[[route]]", elsewhere);
    let house = House::start(&Estate::new(&text));
    let body = numbered(1);
    // Where the first one went is not kept, so that its repeat hears what all late repeats do.
    for status in [200, 202] {
        let answer = house.plain().post("/meta?to=two", &[("X-Hub-Signature-256", &signature(&body))], &body).unwrap();
        assert_eq!(answer.status, status);
    }
    assert_eq!(waited(&house, "elsewhere"), 1.0);
    eventually("the delivery", || two.count() == 1);
    assert_eq!(one.count(), 0);
    house.metrics().no_panics();
}
