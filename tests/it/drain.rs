//! SIGTERM: what was accepted is answered, what was acknowledged is kept, and the house ends with 0.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::client::Client;
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

fn signed(body: &[u8]) -> String {
    format!("sha256={}", hmac_hex(SECRET, body))
}

#[test]
fn sigterm_under_load_answers_everything_accepted_and_loses_nothing() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
    let house = House::start(&estate);
    let address = house.address("plain");
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let acknowledged = Arc::clone(&acknowledged);
            std::thread::spawn(move || {
                let mut client = Client::plain(address).unwrap();
                for number in 0..20_000 {
                    let body = format!(r#"{{"worker":{worker},"number":{number}}}"#);
                    match client.post("/meta", &[("X-Hub-Signature-256", &signed(body.as_bytes()))], body.as_bytes()) {
                        Ok(answer) => {
                            assert_eq!(answer.status, 200);
                            acknowledged.fetch_add(1, Ordering::AcqRel);
                            if answer.header("connection") == Some("close") {
                                return;
                            }
                        }
                        // The connection was idle when the house closed it: the request was never read, or it would
                        // have been answered.
                        Err(_) => return,
                    }
                }
            })
        })
        .collect();
    eventually("some load", || acknowledged.load(Ordering::Acquire) > 200);
    let (status, log) = house.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    for worker in workers {
        worker.join().unwrap();
    }
    let acknowledged = acknowledged.load(Ordering::Acquire);
    let house = House::start(&estate);
    eventually("the delivery of everything acknowledged", || {
        one.count() >= acknowledged && two.count() >= acknowledged
    });
    let metrics = house.metrics();
    metrics.no_panics();
    eventually("the delivery of everything stored", || {
        let metrics = house.metrics();
        ["one", "two"].iter().all(|name| metrics.value("porteiro_backlog_events", &[("destination", name)]) == 0.0)
    });
    for sink in [&one, &two] {
        // A clean end leaves nothing to repeat, and nothing is stored of which nobody was told.
        assert_eq!(sink.count(), acknowledged, "deliveries, and acknowledgements");
    }
}

#[test]
fn a_request_half_sent_at_sigterm_is_finished() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
    let house = House::start(&estate);
    let mut client = house.plain();
    let body = br#"{"half":"a body"}"#;
    let head = format!(
        "POST /meta HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: {}\r\nContent-Length: {}\r\n\r\n",
        signed(body),
        body.len()
    );
    client.write(head.as_bytes()).unwrap();
    client.write(&body[..5]).unwrap();
    // Once this shows, the request is being read.
    eventually("the request in flight", || house.metrics().value("porteiro_in_flight_bytes", &[]) > 0.0);
    house.signal(rustix::process::Signal::TERM);
    let refused = AtomicBool::new(false);
    let address = house.address("plain");
    eventually("the end of accepting", || {
        refused.store(Client::plain(address).is_err(), Ordering::Release);
        refused.load(Ordering::Acquire)
    });
    client.write(&body[5..]).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    let (status, log) = house.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let (one, two) = (Sink::start(Manner::Hang), Sink::start(Manner::Well));
    let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
    let mut house = House::start(&estate);
    let body = br#"{"kept":"busy"}"#;
    assert_eq!(house.plain().post("/meta", &[("X-Hub-Signature-256", &signed(body))], body).unwrap().status, 200);
    eventually("an attempt that hangs", || one.count() == 1);
    house.signal(rustix::process::Signal::TERM);
    eventually("the first signal", || house.log().contains("draining"));
    house.signal(rustix::process::Signal::TERM);
    let mut ended = None;
    eventually("the end", || {
        ended = house.ended();
        ended.is_some()
    });
    assert_ne!(ended.unwrap().code(), Some(0), "an end that gave up work does not look like a clean one");
}

#[test]
fn one_signal_ends_it_cleanly_although_a_destination_hangs() {
    let (one, two) = (Sink::start(Manner::Hang), Sink::start(Manner::Well));
    let limits = "\n[limits]\nshutdown = \"3s\"\n";
    let estate = Estate::new(&(two_destinations(&one.url(), &two.url()) + limits));
    let house = House::start(&estate);
    let body = br#"{"kept":"waiting"}"#;
    assert_eq!(house.plain().post("/meta", &[("X-Hub-Signature-256", &signed(body))], body).unwrap().status, 200);
    eventually("an attempt that hangs", || one.count() == 1);
    let mut watcher = Client::plain(house.address("metrics")).unwrap();
    house.signal(rustix::process::Signal::TERM);
    eventually("the signal", || house.log().contains("draining"));
    // While it waits for the attempt, it says that it is not to be sent to.
    let scrape = watcher.request("GET", "/metrics", &[], &[]).unwrap().text();
    assert!(scrape.contains("\nporteiro_ready 0\n"), "{scrape}");
    let (status, log) = house.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("\"ended\""), "{log}");
    one.behave(Manner::Well);
    let _house = House::start(&estate);
    eventually("the delivery after the restart", || one.count() == 2);
    assert_eq!(one.arrivals()[1].body, body);
    assert_eq!(one.arrivals()[0].event_id(), one.arrivals()[1].event_id());
}
