//! At the disk bound the backlog of a destination that is gone is given up, not the events that come in.

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::hmac_hex;
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};

const WORKERS: usize = 32;
const EACH: usize = 200;
/// All of them together are more than three times what the disk holds.
const BODY: usize = 16_000;

#[test]
fn at_the_disk_bound_no_event_is_refused_and_the_other_destination_gets_each() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let gone = two.url();
    drop(two);
    let configuration = two_destinations(&one.url(), &gone)
        .replace("size = \"1GiB\"", "size = \"36MiB\"")
        .replace("segment = \"4MiB\"", "segment = \"2MiB\"");
    let aside = "\n[dedup]\nevents = 10000\n\n[journal.keep.dead]\nsize = \"4MiB\"\n";
    let estate = Estate::new(&(configuration + aside));
    let house = House::start(&estate);
    let address = house.address("plain");
    let padding = "p".repeat(BODY);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let padding = &padding;
            scope.spawn(move || {
                let mut client = Client::plain(address).unwrap();
                for number in 0..EACH {
                    let body = format!(r#"{{"mark":"{worker}-{number}","padding":"{padding}"}}"#);
                    let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
                    let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap();
                    assert_eq!(answer.status, 200, "{worker}-{number}: {}", answer.text());
                }
            });
        }
    });
    let all = WORKERS * EACH;
    eventually("the whole load at the destination that is there", || one.count() >= all);
    assert_eq!(one.count(), all);
    let of_two = [("destination", "two")];
    let metrics = house.metrics();
    let gone = metrics.value("porteiro_dead_letters_total", &of_two);
    assert!(gone > all as f64 / 2.0, "the bound was hardly met: {gone} given up");
    // Those that are on their way to the dead letters are counted by neither for a moment.
    eventually("every other event is owed or a dead letter", || {
        let metrics = house.metrics();
        let of = |name: &str| metrics.value(name, &of_two);
        of("porteiro_dead_letters_total") + of("porteiro_backlog_events") == all as f64
    });
    assert_eq!(metrics.value("porteiro_dead_letters_total", &[("destination", "one")]), 0.0);
    metrics.no_panics();
}
