//! "A 2xx means stored", held against kill -9 at random moments under load.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Arrival, Manner, Sink};
use crate::support::{Dice, eventually, hmac_hex, random};

/// What was answered 2xx: the event's mark in the body, and the body.
type Acknowledged = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A body of the shape of a WhatsApp status, with a mark that occurs once and padding of varying length.
fn body(mark: &str, padding: usize) -> Vec<u8> {
    let padding = "x".repeat(padding);
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"5501","changes":[{{"field":"messages","value":{{"mark":"{mark}","padding":"{padding}"}}}}]}}]}}"#
    )
    .into_bytes()
}

fn mark(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).expect("bodies of this test are text");
    let from = text.find(r#""mark":""#).expect("every body has a mark") + 8;
    text[from..].split('"').next().unwrap().to_owned()
}

/// Posts until the connection breaks; bounded by `limit` events.
fn load(address: SocketAddr, worker: usize, seed: u64, numbers: &AtomicU64, acknowledged: &Acknowledged, limit: u64) {
    let mut dice = Dice::new(seed ^ worker as u64);
    let Ok(mut client) = Client::plain(address) else { return };
    for _ in 0..limit {
        let mark = format!("m{seed:x}-{}", numbers.fetch_add(1, Ordering::Relaxed));
        let body = body(&mark, usize::try_from(dice.between(0, 4_000)).unwrap());
        let signature = format!("sha256={}", hmac_hex(SECRET, &body));
        match client.post("/meta", &[("X-Hub-Signature-256", &signature)], &body) {
            Ok(answer) if answer.status == 200 => {
                acknowledged.lock().unwrap().insert(mark, body);
            }
            Ok(answer) => panic!("{} {}", answer.status, answer.text()),
            Err(_) => return,
        }
    }
}

/// Every acknowledged event is there unaltered, and what is there twice has one event id.
#[track_caller]
fn check(sink: &Sink, acknowledged: &HashMap<String, Vec<u8>>) -> usize {
    let mut seen: HashMap<String, Arrival> = HashMap::new();
    let mut doubled = 0;
    for arrival in sink.arrivals() {
        let mark = mark(&arrival.body);
        if let Some(sent) = acknowledged.get(&mark) {
            assert!(*sent == arrival.body, "{mark} was altered");
        }
        if let Some(earlier) = seen.get(&mark) {
            doubled += 1;
            assert_eq!(earlier.event_id(), arrival.event_id(), "{mark} came twice under two ids");
            assert_eq!(earlier.body, arrival.body);
        } else {
            seen.insert(mark, arrival);
        }
    }
    let lost: Vec<_> = acknowledged.keys().filter(|mark| !seen.contains_key(*mark)).collect();
    assert!(lost.is_empty(), "{} acknowledged events are lost: {:?}", lost.len(), &lost[..lost.len().min(5)]);
    doubled
}

/// Whether everything acknowledged has arrived.
fn complete(sink: &Sink, acknowledged: &HashMap<String, Vec<u8>>) -> bool {
    if sink.count() < acknowledged.len() {
        return false;
    }
    let seen: std::collections::HashSet<String> = sink.arrivals().iter().map(|arrival| mark(&arrival.body)).collect();
    acknowledged.keys().all(|mark| seen.contains(mark))
}

/// `PORTEIRO_KILLS` sets the rounds; ten by default, a hundred in `.ci/run`.
#[test]
fn no_kill_takes_an_acknowledged_event() {
    #[expect(clippy::disallowed_methods, reason = "the amount of a test, not a secret")]
    let rounds: u64 = std::env::var("PORTEIRO_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let seed = random();
    let mut dice = Dice::new(seed);
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
    let (acknowledged, numbers) = (Acknowledged::default(), Arc::new(AtomicU64::new(0)));
    for _ in 0..rounds {
        let house = House::start(&estate);
        let address = house.address("plain");
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let (numbers, acknowledged) = (Arc::clone(&numbers), Arc::clone(&acknowledged));
                std::thread::spawn(move || load(address, worker, seed, &numbers, &acknowledged, 5_000))
            })
            .collect();
        let until = Instant::now() + Duration::from_millis(dice.between(50, 600));
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        let log = house.log();
        house.kill();
        for worker in workers {
            assert!(worker.join().is_ok(), "nothing but 200 is answered:\n{log}");
        }
    }
    let house = House::start(&estate);
    let acknowledged = acknowledged.lock().unwrap();
    assert!(acknowledged.len() as u64 > rounds, "the load was too thin to prove anything: {}", acknowledged.len());
    eventually("the delivery of every acknowledged event", || {
        complete(&one, &acknowledged) && complete(&two, &acknowledged)
    });
    let doubled = (check(&one, &acknowledged), check(&two, &acknowledged));
    house.metrics().no_panics();
    println!("seed {seed:x}: {rounds} kills, {} acknowledged, doubled {doubled:?}, lost 0", acknowledged.len());
}
