//! At the disk bound the backlog of a destination that is gone is given up, not the events that come in.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client::Client;
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{hmac_hex, while_it_moves};

const WORKERS: usize = 32;
const EACH: usize = 200;
/// All of them together are more than three times what the disk holds.
const BODY: usize = 16_000;
/// So many may be on their way to the destination that is there: less than half of what the disk holds. One that falls behind
/// by all of it loses its backlog, too, as it should, and how fast deliveries are beside what comes in is the machine's affair.
const AHEAD: usize = 600;

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
    let (padding, sent) = ("p".repeat(BODY), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (padding, sent, one) = (&padding, &sent, &one);
            scope.spawn(move || {
                let mut client = Client::plain(address).unwrap();
                for number in 0..EACH {
                    let ahead = sent.fetch_add(1, Ordering::Relaxed).saturating_sub(AHEAD);
                    while_it_moves("the delivery of what came before", || (one.count() >= ahead, one.count()));
                    let body = format!(r#"{{"mark":"{worker}-{number}","padding":"{padding}"}}"#);
                    let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
                    let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap();
                    assert_eq!(answer.status, 200, "{worker}-{number}: {}", answer.text());
                }
            });
        }
    });
    let all = WORKERS * EACH;
    while_it_moves("the whole load at the destination that is there", || (one.count() >= all, one.count()));
    assert_eq!(one.count(), all);
    let of_two = [("destination", "two")];
    let metrics = house.metrics();
    let gone = metrics.value("porteiro_dead_letters_total", &of_two);
    assert!(gone > all as f64 / 2.0, "the bound was hardly met: {gone} given up");
    // Those that are on their way to the dead letters are counted by neither for a moment.
    while_it_moves("every other event is owed or a dead letter", || {
        let metrics = house.metrics();
        let of = |name: &str| metrics.value(name, &of_two);
        let (dead, owed) = (of("porteiro_dead_letters_total"), of("porteiro_backlog_events"));
        (dead + owed == all as f64, (dead, owed))
    });
    assert_eq!(metrics.value("porteiro_dead_letters_total", &[("destination", "one")]), 0.0);
    metrics.no_panics();
}
