//! Whoever sends too much is shaped or refused, and nobody is charged for what others forge: with the real binary.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::{Answer, Client};
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{PATIENCE, eventually, hmac_hex};

/// A house with these tenants, and its first destination; the second one goes to the same place.
fn house(tenants: &str) -> (Estate, House, Sink) {
    let sink = Sink::start(Manner::Well);
    let base = two_destinations(&sink.url(), &sink.url()).replace(r#"to = ["one", "two"]"#, r#"to = ["one"]"#);
    // All callers have one address here: what is forged from it must not keep out what is signed.
    let estate = Estate::new(&format!("{base}\n[limits]\nrefusals-burst = 1000000\n{tenants}"));
    let house = House::start(&estate);
    (estate, house, sink)
}

/// An event of Meta about the number with this id; `mark` makes it another one.
fn body(number: &str, mark: u64) -> String {
    let metadata = format!(r#"{{"phone_number_id":"{number}"}}"#);
    format!(r#"{{"entry":[{{"id":"waba","changes":[{{"value":{{"metadata":{metadata},"mark":{mark}}}}}]}}]}}"#)
}

fn send(client: &mut Client, body: &str) -> Answer {
    let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
    client.post("/meta", &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap()
}

fn events(house: &House, tenant: &str, outcome: &str) -> f64 {
    house.metrics().value("porteiro_tenant_events_total", &[("tenant", tenant), ("outcome", outcome)])
}

#[test]
fn what_is_forged_at_line_rate_leaves_every_bucket_untouched_and_signed_counts_exact() {
    const BURST: u64 = 300;
    const FORGERS: usize = 3;
    // It fills again in 10 hours: one forged event that was charged would be one signed event refused.
    let (_estate, house, sink) = house(&format!(
        "[tenant.acme]\nkeys = {{ whatsapp = [\"1\"] }}\nrate = \"30/h\"\nburst = {BURST}\nover = \"refuse\"\n"
    ));
    let (over, forged) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = house.address("plain");
    std::thread::scope(|scope| {
        for forger in 0..FORGERS {
            let (over, forged) = (&over, &forged);
            scope.spawn(move || {
                let began = Instant::now();
                while !over.load(Ordering::Acquire) && began.elapsed() < PATIENCE {
                    let wrong = format!("sha256={}", "0".repeat(64));
                    let mark = forged.fetch_add(1, Ordering::Relaxed) * 10 + forger as u64;
                    let body = body("1", mark);
                    let answer = Client::plain(address).and_then(|mut client| {
                        client.post("/meta", &[("X-Hub-Signature-256", &wrong)], body.as_bytes())
                    });
                    assert_eq!(answer.unwrap().status, 401);
                }
            });
        }
        let mut client = house.plain();
        for mark in 0..BURST {
            let answer = send(&mut client, &body("1", mark));
            assert_eq!(answer.status, 200, "{mark}: {}", answer.text());
        }
        eventually("a flood", || forged.load(Ordering::Relaxed) > 2 * BURST);
        over.store(true, Ordering::Release);
        let answer = send(&mut client, &body("1", BURST));
        assert_eq!(answer.status, 429, "and not one event more than the burst");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((60..=120).contains(&wait), "{wait}");
    });
    let metrics = house.metrics();
    let tenant = |outcome| metrics.value("porteiro_tenant_events_total", &[("tenant", "acme"), ("outcome", outcome)]);
    let all = ["passed", "shaped", "unshaped", "refused"].map(tenant);
    assert_eq!(all, [BURST as f64, 0.0, 0.0, 1.0]);
    let requests = |outcome| metrics.value("porteiro_requests_total", &[("source", "whatsapp"), ("outcome", outcome)]);
    assert_eq!((requests("stored"), requests("over_rate")), (BURST as f64, 1.0));
    assert_eq!(requests("wrong_signature"), forged.load(Ordering::Relaxed) as f64);
    assert_eq!(metrics.value("porteiro_journal_events_total", &[]), BURST as f64);
    eventually("the deliveries", || sink.count() == usize::try_from(BURST).unwrap());
    assert!(house.log().len() < 20_000, "{} bytes of log", house.log().len());
    house.metrics().no_panics();
}

#[test]
fn what_is_shaped_is_answered_at_once_and_arrives_at_the_rate_in_its_order() {
    let (estate, house, sink) = house(
        "[tenant.acme]\nkeys = { whatsapp = [\"1\", \"2\"] }\nrate = \"20/s\"\nburst = 2\nquota = { events = 30 }\n",
    );
    let mut client = house.plain();
    let began = Instant::now();
    for mark in 0..22_u64 {
        let answer = send(&mut client, &body(if mark % 2 == 0 { "1" } else { "2" }, mark));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let answered = began.elapsed();
    let (passed, shaped) = (events(&house, "acme", "passed"), events(&house, "acme", "shaped"));
    assert_eq!(passed + shaped, 22.0);
    assert!(shaped >= 10.0, "{shaped} shaped; the answers took {answered:?}");
    eventually("all of them", || sink.count() == 22);
    let arrivals = sink.arrivals();
    let whole = arrivals.iter().map(|arrival| arrival.at).max().unwrap() - began;
    // Twenty wait for their turn, the last one for a second: burst and rate allow no less.
    assert!(whole >= Duration::from_millis(990), "{whole:?}");
    let marks: Vec<u64> = arrivals.iter().map(|arrival| mark(&arrival.body)).collect();
    let shaped: usize = shaped.to_string().parse().unwrap();
    let late = &marks[marks.len() - shaped..];
    assert!(late.windows(2).all(|pair| pair[0] < pair[1]), "{marks:?}");
    house.metrics().no_panics();
    // What waits is in the journal: it is handed over in its time even if the house fell in between.
    for mark in 100..110 {
        assert_eq!(send(&mut client, &body("1", mark)).status, 200);
    }
    house.kill();
    let house = House::start(&estate);
    eventually("what was shaped before the fall", || {
        (100..110).all(|wanted| sink.arrivals().iter().any(|arrival| mark(&arrival.body) == wanted))
    });
    house.metrics().no_panics();
}

fn mark(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body).into_owned();
    let (_, mark) = text.split_once("\"mark\":").unwrap();
    mark.trim_end_matches(['}', ']']).parse().unwrap()
}

#[test]
fn the_unknown_share_a_label_and_no_key_of_theirs_is_shown() {
    let (estate, house, sink) = house("[tenants]\nrate = \"1/h\"\nburst = 1\nquota = { events = 0 }\n");
    let mut client = house.plain();
    for number in 0..40_u64 {
        let key = format!("5511960{number:06}");
        assert_eq!(send(&mut client, &body(&key, 0)).status, 200);
        let answer = send(&mut client, &body(&key, 1));
        assert_eq!(answer.status, 429, "each has a bucket of their own");
        assert_eq!(answer.header("connection"), None, "the connection goes on");
    }
    eventually("the deliveries", || sink.count() == 40);
    assert_eq!((events(&house, "unknown", "passed"), events(&house, "unknown", "refused")), (40.0, 40.0));
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_tenants_unknown", &[]), 40.0);
    assert_eq!(events(&house, "other", "passed"), 0.0, "every label set is there from the start");
    let shown = metrics.0.clone() + &house.log();
    assert!(!shown.contains("5511960"), "a key of a tenant is shown");
    assert_eq!(metrics.0.lines().filter(|line| line.starts_with("porteiro_tenant_events_total{")).count(), 8);
    metrics.no_panics();
    drop(estate);
}
