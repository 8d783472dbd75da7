//! One reload after the other under load: not one request fails, and every event arrives once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::{command, signed_with};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::house::{Estate, House, SECRET, controlled};
use crate::support::sink::{Manner, Sink};

const WORKERS: usize = 4;

/// How many reloads: `PORTEIRO_RELOADS`, or few enough for every run of the tests.
#[expect(clippy::disallowed_methods, reason = "how much is tried is no part of the configuration")]
fn reloads() -> usize {
    std::env::var("PORTEIRO_RELOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// The configurations that follow each other: another URL, one destination less, one more, another path beside.
fn turns(one: &Sink, two: &Sink, three: &Sink) -> Vec<String> {
    let first = controlled(&one.url(), &two.url());
    let moved = controlled(&one.url(), &three.url());
    let four = format!("[destination.four]\nurl = \"{}\"\n\n[[route]]", one.url());
    let more = moved.replace("[[route]]", &four);
    let source = "[source.other]\non = [\"plain\"]\npath = \"/other\"\nprovider = \"meta\"\nsecrets = [{ file = \"secret\" }]\n\
                  values = { verify-token = { file = \"verify-token\" } }\n\n[[route]]";
    let beside = first.replace("[[route]]", source).replace("deadline = \"5s\"", "deadline = \"6s\"");
    vec![first, moved, more, beside]
}

/// Sends until it is told to stop; the bodies that were acknowledged.
fn worker(
    number: usize,
    house: &House,
    ending: &Arc<AtomicBool>,
    sent: &Arc<AtomicUsize>,
) -> std::thread::JoinHandle<Vec<String>> {
    let address = house.address("plain");
    let (ending, sent) = (Arc::clone(ending), Arc::clone(sent));
    std::thread::spawn(move || {
        let mut client = Client::plain(address).unwrap();
        let mut bodies = Vec::new();
        while !ending.load(Ordering::Acquire) {
            let body = format!(r#"{{"entry":[{{"id":"77"}}],"mark":"{number}-{}"}}"#, bodies.len());
            let signature = signed_with(SECRET, body.as_bytes());
            let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            bodies.push(body);
            sent.fetch_add(1, Ordering::AcqRel);
        }
        bodies
    })
}

#[test]
fn reloads_under_load_fail_no_request_and_every_event_arrives_once() {
    let (one, two, three) = (Sink::start(Manner::Well), Sink::start(Manner::Well), Sink::start(Manner::Well));
    let turns = turns(&one, &two, &three);
    let estate = Estate::new(&turns[0]);
    let house = House::start(&estate);
    let (ending, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..WORKERS).map(|number| worker(number, &house, &ending, &sent)).collect();
    eventually("some load", || sent.load(Ordering::Acquire) > 100);
    let (began, before) = (Instant::now(), sent.load(Ordering::Acquire));
    for number in 1..=reloads() {
        estate.write("porteiro.toml", turns[number % turns.len()].as_bytes());
        let answer = command(&estate, "/-/reload");
        assert!(answer.starts_with("HTTP/1.1 200"), "reload {number}: {answer}");
        // Each sees requests, however fast reloads are.
        let seen = sent.load(Ordering::Acquire);
        eventually("a request between two reloads", || sent.load(Ordering::Acquire) > seen);
    }
    let (took, during) = (began.elapsed().as_secs_f64(), sent.load(Ordering::Acquire) - before);
    ending.store(true, Ordering::Release);
    let bodies: Vec<String> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    println!("{} reloads in {took:.1} s, {during} requests meanwhile", reloads());
    eventually("all deliveries", || one.count() >= bodies.len() && two.count() + three.count() >= bodies.len());
    for sinks in [&[&one][..], &[&two, &three]] {
        let mut came: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for arrival in sinks.iter().flat_map(|sink| sink.arrivals()) {
            *came.entry(arrival.body).or_default() += 1;
        }
        assert_eq!(came.len(), bodies.len());
        assert!(bodies.iter().all(|body| came.get(body.as_bytes()) == Some(&1)), "each once");
    }
    let metrics = house.metrics();
    let reloads = f64::from(u32::try_from(reloads()).unwrap());
    assert_eq!(metrics.value("porteiro_config_reloads_total", &[("result", "applied")]), reloads);
    assert_eq!(metrics.value("porteiro_config_generation", &[]), reloads + 1.0);
    metrics.no_panics();
}
