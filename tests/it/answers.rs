//! What the provider hears, and when: answers of the source's own, before the disk has it, and a destination's.

mod delivered;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{Dice, eventually, hmac_hex, random};

/// The configuration that most tests use, with these lines for its source.
fn with_lines(one: &Sink, two: &Sink, lines: &str) -> String {
    let secrets = "secrets = [{ file = \"secret\" }]\n";
    two_destinations(&one.url(), &two.url()).replace(secrets, &format!("{secrets}{lines}\n"))
}

fn signature(body: &[u8]) -> String {
    format!("sha256={}", hmac_hex(SECRET, body))
}

#[test]
fn a_source_answers_in_its_own_words() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let lines = "success = { status = 202, format = \"json\", body = '{\"taken\":true}' }\n\
                 reject = { status = 403, body = \"who are you?\" }";
    let estate = Estate::new(&with_lines(&one, &two, lines));
    let house = House::start(&estate);
    let body = br#"{"entry":[{"id":"77"}]}"#;
    let mut client = house.plain();
    // The second time it is a repeat, which hears the same.
    for _ in 0..2 {
        let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature(body))], body).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (202, "{\"taken\":true}"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    for (header, body) in [("x-nothing", &body[..]), ("X-Hub-Signature-256", b"{}")] {
        let answer = house.plain().post("/meta", &[(header, &signature(b"another"))], body).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (403, "who are you?"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    // What is refused before the proof is asked for is nothing that a source words.
    assert_eq!(house.plain().request("PUT", "/meta", &[], b"").unwrap().status, 405);
    eventually("the deliveries", || one.count() == 1 && two.count() == 1);
    house.metrics().no_panics();
}

/// A second way in, which answers before the disk has it.
fn with_buffered(one: &Sink, two: &Sink) -> String {
    let fast = "[source.fast]\non = [\"plain\"]\npath = \"/fast\"\nprovider = \"meta\"\nack = \"buffered\"\n\
                secrets = [{ file = \"secret\" }]\nvalues = { verify-token = { file = \"verify-token\" } }\n\n";
    let from = "from = [\"whatsapp\"]";
    let text = two_destinations(&one.url(), &two.url()).replace(from, "from = [\"whatsapp\", \"fast\"]");
    text.replace("[destination.one]", &format!("{fast}[destination.one]"))
}

fn numbered(number: u64) -> Vec<u8> {
    format!(r#"{{"entry":[{{"id":"77"}}],"padding":"{}","number":{number}}}"#, "x".repeat(700)).into_bytes()
}

/// How often each number arrived, all of them under one id.
fn arrived(sink: &Sink) -> BTreeMap<u64, usize> {
    let mut ids: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for arrival in sink.arrivals() {
        let text = String::from_utf8_lossy(&arrival.body).into_owned();
        let number = text.rsplit(':').next().unwrap().trim_end_matches('}').parse().unwrap();
        assert_eq!(arrival.body, numbered(number), "{number} was altered");
        ids.entry(number).or_default().push(arrival.event_id().to_owned());
    }
    let one = |(number, ids): (u64, Vec<String>)| {
        assert!(ids.iter().all(|id| *id == ids[0]), "{number} came under several ids");
        (number, ids.len())
    };
    ids.into_iter().map(one).collect()
}

/// Posts buffered events, and a durable one after every ninth, until the house is gone; answers with what was acknowledged.
fn post(house: &House, acknowledged: &Mutex<Vec<u64>>, numbers: &AtomicU64) {
    let mut client = house.plain();
    for _ in 0..20_000 {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let body = numbered(number);
        let path = if is_durable(number) { "/meta" } else { "/fast" };
        let Ok(answer) = client.post(path, &[("X-Hub-Signature-256", &signature(&body))], &body) else { return };
        assert_eq!(answer.status, 200, "{}", answer.text());
        acknowledged.lock().unwrap().push(number);
    }
}

const fn is_durable(number: u64) -> bool {
    number % 10 == 9
}

#[test]
fn a_kill_takes_of_what_is_buffered_only_what_came_after_the_last_sync() {
    let mut dice = Dice::new(random());
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let estate = Estate::new(&with_buffered(&one, &two));
    let numbers = AtomicU64::new(0);
    let (mut safe, mut all) = (Vec::new(), 0);
    for _ in 0..5 {
        let (house, acknowledged) = (House::start(&estate), Mutex::new(Vec::new()));
        let until = Instant::now() + Duration::from_millis(dice.between(50, 400));
        std::thread::scope(|scope| {
            let posting = scope.spawn(|| post(&house, &acknowledged, &numbers));
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
            house.signal(rustix::process::Signal::KILL);
            assert!(posting.join().is_ok(), "nothing but 200 is answered");
        });
        house.kill();
        let acknowledged = acknowledged.into_inner().unwrap();
        all += acknowledged.len();
        // A durable event that was acknowledged says that all before it are on disk, too.
        let last = acknowledged.iter().rposition(|number| is_durable(*number)).map_or(0, |place| place + 1);
        safe.extend_from_slice(&acknowledged[..last]);
    }
    let house = House::start(&estate);
    assert!(safe.len() > 50, "the load was too thin to prove anything: {}", safe.len());
    let complete = |sink: &Sink| {
        let arrived = arrived(sink);
        safe.iter().all(|number| arrived.contains_key(number))
    };
    eventually("the delivery of what was synced", || complete(&one) && complete(&two));
    // A life that ends well loses nothing at all, however soon it ends.
    let first = numbers.load(Ordering::Relaxed).next_multiple_of(10);
    let mut client = house.plain();
    for number in first..first + 9 {
        let body = numbered(number);
        assert_eq!(client.post("/fast", &[("X-Hub-Signature-256", &signature(&body))], &body).unwrap().status, 200);
    }
    house.metrics().no_panics();
    let (status, log) = house.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let house = House::start(&estate);
    eventually("the rest", || (first..first + 9).all(|number| arrived(&one).contains_key(&number)));
    assert_eq!(house.metrics().value("porteiro_journal_buffered_lost_events_total", &[]), 0.0);
    println!("{all} acknowledged, {} of them surely synced, none of these lost", safe.len());
}
