//! Destinations do not know each other: one that is down, hangs, drips or answers 500 for the whole run moves neither
//! the acknowledgement, nor the other destination, nor memory.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

const EVENTS: usize = 600;
const WORKERS: usize = 4;
/// Bytes of a body: all of them together are more than memory may grow by.
const BODY: usize = 20_000;

struct Run {
    acknowledged: usize,
    ack_p99: Duration,
    delivered: usize,
    delivery_p99: Duration,
    peak_kib: u64,
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Sends the events while destination `two` behaves like this (`None`: nobody listens there).
fn run(manner: Option<Manner>) -> Run {
    let one = Sink::start(Manner::Well);
    let two = Sink::start(manner.unwrap_or(Manner::Well));
    // Short enough that attempts end, the breaker opens and probes are sent while the load runs.
    let mut configuration = two_destinations(&one.url(), &two.url());
    let of_two = configuration.rfind("deadline = \"5s\"").expect("the second destination has a deadline");
    configuration.replace_range(of_two..of_two + 15, "deadline = \"200ms\"");
    let estate = Estate::new(&configuration);
    let two = manner.map(|_| two);
    let house = House::start(&estate);
    let address = house.address("plain");
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            std::thread::spawn(move || {
                let mut client = Client::plain(address).unwrap();
                let mut sent = Vec::new();
                for number in 0..EVENTS / WORKERS {
                    let mark = worker * EVENTS + number;
                    let padding = "p".repeat(BODY);
                    let body = format!(r#"{{"entry":[{{"id":"77"}}],"mark":"{mark}","padding":"{padding}"}}"#);
                    let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
                    let start = Instant::now();
                    let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap();
                    assert_eq!(answer.status, 200);
                    sent.push((body.into_bytes(), start, start.elapsed()));
                    // A steady rate, not a flood: what is measured is the neighbour, not the queue.
                    std::thread::park_timeout(Duration::from_millis(2));
                }
                sent
            })
        })
        .collect();
    let sent: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    eventually("the healthy destination's share", || one.count() >= EVENTS);
    let arrivals = one.arrivals();
    let delivery = sent.iter().map(|(body, start, _)| {
        let arrival = arrivals.iter().find(|arrival| arrival.body == *body).expect("every event arrived");
        arrival.at.saturating_duration_since(*start)
    });
    let run = Run {
        acknowledged: sent.len(),
        ack_p99: p99(sent.iter().map(|(_, _, took)| *took).collect()),
        delivered: arrivals.len(),
        delivery_p99: p99(delivery.collect()),
        peak_kib: house.peak_kib(),
    };
    house.metrics().no_panics();
    drop(two);
    run
}

#[test]
fn a_destination_in_trouble_moves_nobody_else() {
    let healthy = run(Some(Manner::Well));
    let bound = |healthy: Duration| (healthy * 2).max(healthy + Duration::from_millis(50));
    let troubles = [
        ("down", None),
        ("hanging", Some(Manner::Hang)),
        ("dripping", Some(Manner::Drip)),
        ("500", Some(Manner::Status(500))),
    ];
    for (name, trouble) in troubles {
        let troubled = run(trouble);
        assert_eq!((troubled.acknowledged, troubled.delivered), (EVENTS, EVENTS), "{name}");
        assert!(
            troubled.ack_p99 <= bound(healthy.ack_p99),
            "{name}: acknowledged in {:?}, healthy {:?}",
            troubled.ack_p99,
            healthy.ack_p99
        );
        assert!(
            troubled.delivery_p99 <= bound(healthy.delivery_p99),
            "{name}: delivered in {:?}, healthy {:?}",
            troubled.delivery_p99,
            healthy.delivery_p99
        );
        assert!(
            troubled.peak_kib <= healthy.peak_kib + 10 * 1024,
            "{name}: {} KiB, healthy {} KiB",
            troubled.peak_kib,
            healthy.peak_kib
        );
        println!(
            "{name}: ack p99 {:?} (healthy {:?}), delivery p99 {:?} ({:?}), peak {} KiB ({})",
            troubled.ack_p99,
            healthy.ack_p99,
            troubled.delivery_p99,
            healthy.delivery_p99,
            troubled.peak_kib,
            healthy.peak_kib
        );
    }
}

#[test]
fn what_was_owed_arrives_when_the_destination_returns() {
    let one = Sink::start(Manner::Well);
    let two = Sink::start(Manner::Well);
    let (url, address) = (two.url(), two.address());
    let estate = Estate::new(&two_destinations(&one.url(), &url));
    drop(two);
    let house = House::start(&estate);
    let mut client = house.plain();
    for number in 0..50 {
        let body = format!(r#"{{"number":{number}}}"#);
        let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
        let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200);
    }
    eventually("the healthy destination's share", || one.count() == 50);
    assert!(house.metrics().value("porteiro_backlog_events", &[("destination", "two")]) >= 50.0);
    // The sink counts an event before its answer is settled.
    eventually("nothing owed to the healthy destination", || {
        house.metrics().value("porteiro_backlog_events", &[("destination", "one")]) == 0.0
    });
    let two = Sink::start_on(address, Manner::Well).unwrap();
    eventually("the backlog", || two.count() == 50);
    let mut bodies: Vec<_> = two.arrivals().into_iter().map(|arrival| arrival.body).collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!(bodies.len(), 50, "each event once");
    house.metrics().no_panics();
}
