//! What is tried beside what is in use: all of it is counted, none of it is stored or sent, and nobody who is live notices.

mod nginx;
mod switch;

use crate::support::client::{Answer, Client};
use crate::support::house::{CONTROL, Estate, House, SECRET, controlled};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

const LIVE: &str = "path = \"/meta\"\n";
const OBSERVE: &str = "path = \"/meta\"\nmode = \"observe\"\n";

/// The same with a destination that observes.
fn observing(configuration: &str, destination: &str) -> String {
    let section = format!("[destination.{destination}]\n");
    assert!(configuration.contains(&section));
    configuration.replace(&section, &format!("{section}mode = \"observe\"\n"))
}

/// Puts another configuration in force with `porteiro reload`; answers with what it printed.
fn reload(estate: &Estate, configuration: &str) -> String {
    estate.write("porteiro.toml", configuration.as_bytes());
    let (code, text) = estate.reload();
    assert_eq!(code, 0, "{text}");
    text
}

fn body(number: usize) -> String {
    format!(r#"{{"entry":[{{"id":"77"}}],"number":{number}}}"#)
}

fn post(house: &House, path: &str, secret: &[u8], body: &str) -> Answer {
    let signature = format!("sha256={}", hmac_hex(secret, body.as_bytes()));
    house.plain().post(path, &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap()
}

/// Sends these events, each of which is to hear a success, and whether it says that it was only observed.
#[track_caller]
fn send(house: &House, numbers: std::ops::Range<usize>, observed: bool) {
    for number in numbers {
        let answer = post(house, "/meta", SECRET, &body(number));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-porteiro-observed"), observed.then_some("not-stored"), "{number}");
    }
}

fn of_source(house: &House, name: &str, labels: &[(&str, &str)]) -> f64 {
    house.metrics().value(&format!("porteiro_{name}"), &[&[("source", "whatsapp")], labels].concat())
}

fn would_send(house: &House, destination: &str) -> f64 {
    of_source(house, "would_send_events_total", &[("destination", destination)])
}

fn would_refuse(house: &House, reason: &str) -> f64 {
    of_source(house, "would_refuse_requests_total", &[("reason", reason)])
}

fn stored(house: &House) -> f64 {
    house.metrics().value("porteiro_journal_events_total", &[])
}

/// Routes by the query, and a tenant who may send two events an hour.
const ROUTES: &str = r#"
[[route]]
from = ["whatsapp"]
when = { query = "only", equals = "one" }
to = ["one"]

[[route]]
from = ["whatsapp"]
when = { query = "drop", exists = true }
discard = true

[[route]]
from = ["whatsapp"]
when = { not = { query = "nobody", exists = true } }
to = ["one", "two"]

[tenant.acme]
keys = { whatsapp = ["88"] }
rate = "1/h"
burst = 2
over = "refuse"
"#;

#[test]
fn what_a_source_that_observes_would_do_is_counted_exactly_and_nothing_of_it_is_kept() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let live = controlled(&one.url(), &two.url());
    let at = live.find("[[route]]").unwrap();
    let live = live[..at].to_owned() + ROUTES + CONTROL;
    let observes = live.replace(LIVE, OBSERVE);
    let estate = Estate::new(&observes);
    let house = House::start(&estate);
    assert!(house.log().contains("source `whatsapp` only observes"), "{}", house.log());
    // Every figure is there before anything happened.
    assert_eq!((would_send(&house, "one"), would_refuse(&house, "wrong_signature")), (0.0, 0.0));
    send(&house, 0..7, true);
    for (query, number) in [("only=one", 7), ("drop=1", 8), ("drop=1", 9), ("nobody=1", 10)] {
        assert_eq!(post(&house, &format!("/meta?{query}"), SECRET, &body(number)).status, 200);
    }
    // Repeats, whether they would have been stored or owed to nobody.
    send(&house, 0..3, true);
    assert_eq!(post(&house, "/meta?nobody=1", SECRET, &body(10)).status, 200);
    for _ in 0..4 {
        assert_eq!(post(&house, "/meta", b"nobody's secret", &body(11)).status, 401);
    }
    assert_eq!(house.plain().request("PUT", "/meta", &[], b"").unwrap().status, 405);
    let of_acme = |mark: usize| body(mark).replace("77", "88");
    let answers = [20, 21, 22, 23, 20].map(|mark| post(&house, "/meta", SECRET, &of_acme(mark)).status);
    assert_eq!(answers, [200, 200, 429, 429, 200], "a repeat is no new event");

    assert_eq!((would_send(&house, "one"), would_send(&house, "two")), (7.0 + 1.0 + 2.0, 7.0 + 2.0));
    let refused = ["wrong_signature", "over_rate", "missing_signature"].map(|reason| would_refuse(&house, reason));
    assert_eq!(refused, [4.0, 2.0, 0.0]);
    let method = house.metrics().0;
    assert!(
        method.contains("porteiro_would_refuse_requests_total{reason=\"method\",source=\"whatsapp\"} 1"),
        "{method}"
    );
    assert!(!method.contains("reason=\"stored\"") && !method.contains("reason=\"observed\""));
    let routed = |route, then| of_source(&house, "routed_events_total", &[("route", route), ("then", then)]);
    let routed = [("1", "would_owe"), ("2", "would_discard"), ("3", "would_owe"), ("none", "would_keep")]
        .map(|(route, then)| routed(route, then));
    assert_eq!(routed, [1.0, 2.0, 9.0, 1.0]);
    let outcome = |outcome| of_source(&house, "requests_total", &[("outcome", outcome)]);
    let outcomes = ["observed", "stored", "repeat", "discarded", "over_rate"].map(outcome);
    assert_eq!(outcomes, [7.0 + 4.0 + 4.0 + 3.0, 0.0, 0.0, 0.0, 2.0]);
    assert_eq!(of_source(&house, "source_observing", &[]), 1.0);
    // What is counted by tenant is what became of live events.
    let charged =
        |outcome| house.metrics().value("porteiro_tenant_events_total", &[("tenant", "acme"), ("outcome", outcome)]);
    assert_eq!(["passed", "shaped", "unshaped", "refused"].map(charged), [0.0; 4]);

    // Nothing is in the journal, nor is it sent later: not when it is live, nor after a restart.
    assert_eq!(stored(&house), 0.0);
    let kept = estate.journal_bytes();
    let holds = |needle: &[u8]| kept.iter().any(|(_, bytes)| bytes.windows(needle.len()).any(|found| found == needle));
    assert!(!kept.is_empty() && !holds(b"\"entry\"") && !holds(b"\"number\""), "a body is in the journal");
    reload(&estate, &live);
    // The bucket of those who are live was not touched: it is full.
    assert_eq!([20, 21, 22].map(|mark| post(&house, "/meta", SECRET, &of_acme(mark)).status), [200, 200, 429]);
    eventually("what came since", || one.count() == 2 && two.count() == 2);
    assert_eq!((charged("passed"), charged("refused"), stored(&house)), (2.0, 1.0, 2.0));
    assert_eq!(of_source(&house, "source_observing", &[]), 0.0);
    assert_eq!(would_refuse(&house, "over_rate"), 2.0, "it is refused, and would not be");
    let (status, log) = house.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let house = House::start(&estate);
    send(&house, 30..31, false);
    eventually("what came after the restart", || one.numbers().contains(&30) && two.numbers().contains(&30));
    assert_eq!((one.numbers(), two.numbers()), (vec![20, 21, 30], vec![20, 21, 30]));
    house.metrics().no_panics();
}

#[test]
fn what_was_observed_never_answers_for_what_is_live_nor_the_other_way_round() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let live = controlled(&one.url(), &two.url());
    let observes = live.replace(LIVE, OBSERVE);
    let estate = Estate::new(&observes);
    let house = House::start(&estate);
    send(&house, 0..3, true);
    assert!(reload(&estate, &live).contains("source whatsapp: changed (mode)"));
    // Heard before, but only in passing: now it is stored, once.
    send(&house, 0..3, false);
    send(&house, 0..3, false);
    eventually("the deliveries", || one.count() == 3 && two.count() == 3);
    assert_eq!(of_source(&house, "requests_total", &[("outcome", "repeat")]), 3.0);
    // And back: what is stored does not keep it from being observed.
    assert!(reload(&estate, &observes).contains("only observes"), "the danger is told");
    send(&house, 0..4, true);
    send(&house, 0..4, true);
    assert_eq!((would_send(&house, "one"), stored(&house)), (3.0 + 4.0, 3.0));
    // A reload that leaves it observing does not forget what it heard.
    reload(&estate, &observes.replace("deadline = \"5s\"", "deadline = \"6s\""));
    send(&house, 0..4, true);
    assert_eq!(would_send(&house, "one"), 3.0 + 4.0);
    reload(&estate, &live);
    send(&house, 0..5, false);
    eventually("the deliveries of what is new", || one.count() == 5 && two.count() == 5);
    assert_eq!((one.numbers(), two.numbers()), (vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4]));
    house.metrics().no_panics();
}

#[test]
fn whoever_is_refused_where_it_is_only_observed_is_not_refused_elsewhere() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let live = controlled(&one.url(), &two.url())
        .replace("format = 1", "format = 1\n[limits]\nrefusals-burst = 3\nrefusals = \"1/h\"");
    let other = "[source.other]\non = [\"plain\"]\npath = \"/other\"\nprovider = \"meta\"\nmode = \"observe\"\n\
                 secrets = [{ file = \"other\" }]\nvalues = { verify-token = { file = \"verify-token\" } }\n\n[[route]]";
    let estate = Estate::new(&live.replace("[[route]]", other).replace("from = [\"whatsapp\"]\n", ""));
    estate.write("other", b"a secret that is wrong, as it may be when something is tried");
    let house = House::start(&estate);
    let other = |name: &str, labels: &[(&str, &str)]| {
        house.metrics().value(&format!("porteiro_{name}"), &[&[("source", "other")], labels].concat())
    };
    let statuses: Vec<u16> = (0..6).map(|number| post(&house, "/other", SECRET, &body(number)).status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429], "as it would be if it were live");
    let refused = |reason| other("would_refuse_requests_total", &[("reason", reason)]);
    assert_eq!((refused("wrong_signature"), refused("too_many_refusals")), (3.0, 3.0));
    send(&house, 0..4, false);
    eventually("the deliveries", || one.count() == 4);
    // The other way round, too: what is refused where it is live is not held against what is observed.
    let live: Vec<u16> = (0..4).map(|number| post(&house, "/meta", b"nobody's", &body(number)).status).collect();
    assert_eq!(live, [401, 401, 401, 429]);
    assert_eq!(other("requests_total", &[("outcome", "observed")]), 0.0);
    house.metrics().no_panics();
}

#[test]
fn a_destination_that_observes_is_sent_nothing_and_owed_nothing_not_later_either() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let live = controlled(&one.url(), &two.url());
    let estate = Estate::new(&observing(&live, "two"));
    let house = House::start(&estate);
    let of_two = |name: &str| house.metrics().value(name, &[("destination", "two"), ("source", "whatsapp")]);
    assert_eq!(of_two("porteiro_would_send_events_total"), 0.0);
    send(&house, 0..5, false);
    send(&house, 0..5, false);
    eventually("the deliveries to the other one", || one.count() == 5);
    assert_eq!(of_two("porteiro_would_send_events_total"), 5.0);
    let series = house.metrics().0;
    assert!(!series.contains("would_send_events_total{destination=\"one\""), "it is sent, and would not be");
    let observes =
        |destination: &str| house.metrics().value("porteiro_destination_observing", &[("destination", destination)]);
    assert_eq!((observes("one"), observes("two")), (0.0, 1.0));
    // Both: the events are stored, and owed to nobody.
    let text = reload(&estate, &observing(&observing(&live, "two"), "one"));
    assert!(text.contains("destination one: changed (mode)") && text.contains("nobody hears"), "{text}");
    send(&house, 5..8, false);
    assert_eq!((would_send(&house, "one"), would_send(&house, "two"), stored(&house)), (3.0, 8.0, 8.0));
    reload(&estate, &live);
    send(&house, 8..10, false);
    eventually("what came since", || one.count() == 7 && two.count() == 2);
    assert_eq!((one.numbers(), two.numbers()), (vec![0, 1, 2, 3, 4, 8, 9], vec![8, 9]));
    // Not after a crash either: what it was never owed is nowhere.
    house.kill();
    let house = House::start(&estate);
    send(&house, 10..11, false);
    eventually("what came after the crash", || two.numbers().contains(&10) && one.numbers().contains(&10));
    let mut heard = two.numbers();
    heard.dedup();
    assert_eq!(heard, [8, 9, 10]);
    house.metrics().no_panics();
}

#[test]
fn the_backlog_of_a_destination_waits_while_it_observes_and_goes_on_when_it_is_live() {
    let (one, two, three) = (Sink::start(Manner::Well), Sink::start(Manner::Hang), Sink::start(Manner::Well));
    let live = controlled(&one.url(), &two.url()).replace("\"5s\"", "\"1s\"");
    let estate = Estate::new(&live);
    let house = House::start(&estate);
    send(&house, 0..12, false);
    eventually("the attempts", || one.count() == 12 && two.count() == 8);
    reload(&estate, &observing(&live, "two"));
    two.behave(Manner::Well);
    eventually("the log to tell", || house.log().contains("destination only observes; its events are kept"));
    let of_two = |house: &House, name: &str| house.metrics().value(name, &[("destination", "two")]);
    send(&house, 12..15, false);
    eventually("the deliveries to the other one", || one.count() == 15);
    eventually("the end of its attempts", || of_two(&house, "porteiro_attempts_running") == 0.0);
    assert_eq!(two.count(), 8, "nothing is begun that was not under way");
    let figures =
        |house: &House| ["parked", "observing"].map(|name| of_two(house, &format!("porteiro_destination_{name}")));
    assert_eq!((figures(&house), of_two(&house, "porteiro_backlog_events")), ([1.0, 1.0], 12.0));
    assert_eq!(would_send(&house, "two"), 3.0);
    // A restart that finds it observing sends nothing either.
    let (status, log) = house.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let house = House::start(&estate);
    assert!(house.log().contains("destination only observes; its events are kept"), "{}", house.log());
    assert_eq!((figures(&house), of_two(&house, "porteiro_backlog_events")), ([1.0, 1.0], 12.0));
    send(&house, 15..16, false);
    eventually("the delivery to the other one", || one.count() == 16);
    assert_eq!(two.count(), 8);
    // Live, and elsewhere: it gets what it is owed, and nothing of what it observed.
    reload(&estate, &live.replace(&two.url(), &three.url()));
    send(&house, 16..17, false);
    eventually("its backlog, and what came since", || three.count() == 13);
    let owed: Vec<usize> = (0..12).chain([16]).collect();
    assert_eq!((three.numbers(), two.count()), (owed, 8));
    eventually("an empty backlog", || of_two(&house, "porteiro_backlog_events") == 0.0);
    assert_eq!(figures(&house), [0.0, 0.0]);
    // Away and back while its lane is there.
    reload(&estate, &observing(&live, "two"));
    send(&house, 17..18, false);
    reload(&estate, &live);
    send(&house, 18..19, false);
    eventually("the delivery after it was back", || two.count() == 9 && two.numbers().contains(&18));
    assert!(!two.numbers().contains(&17));
    house.metrics().no_panics();
}

/// A flood into a source that observes, of which nobody takes the end.
#[test]
fn what_is_observed_takes_no_room_from_what_is_live() {
    const SIZE: usize = 256 << 10;
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let limits = "limits = { body = \"256KiB\" }\n";
    let trial = format!(
        "[source.trial]\non = [\"plain\"]\npath = \"/trial\"\nmode = \"observe\"\nprovider = \"meta\"\n\
         secrets = [{{ file = \"secret\" }}]\nvalues = {{ verify-token = {{ file = \"verify-token\" }} }}\n{limits}\n"
    );
    let text = controlled(&one.url(), &two.url())
        .replace("format = 1\n", "format = 1\n\n[limits]\nin-flight = \"1MiB\"\nin-flight-share = \"1MiB\"\n")
        .replace(LIVE, &format!("{LIVE}{limits}"))
        .replace("[destination.one]", &format!("{trial}[destination.one]"));
    let house = House::start(&Estate::new(&text));
    let outcome = |outcome| {
        let labels = [("source", "trial"), ("outcome", outcome)];
        house.metrics().value("porteiro_requests_total", &labels)
    };
    // Each sends all but the end: one of them has its room, which is a quarter of all and no byte more.
    let mut flood: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = house.plain();
            let head = format!("POST /trial HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n");
            client.write(&[head.as_bytes(), &vec![b' '; SIZE - 1]].concat()).unwrap();
            client
        })
        .collect();
    eventually("all but one to be missed", || outcome("missed") >= 7.0);
    assert_eq!((outcome("missed"), outcome("busy"), outcome("observed")), (7.0, 0.0, 0.0));
    assert_eq!(house.metrics().value("porteiro_in_flight_bytes", &[]), 0.0, "none of it is in the way of what is live");
    // As much as all that live sources may have in flight.
    let held: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = house.plain();
            let head = format!("POST /meta HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n");
            client.write(&[head.as_bytes(), &vec![b' '; SIZE - 1]].concat()).unwrap();
            client
        })
        .collect();
    eventually("the bytes of those", || {
        house.metrics().value("porteiro_in_flight_bytes", &[]) >= (3 * (SIZE - 1)) as f64
    });
    let live = format!("{}{}", body(1), " ".repeat(SIZE - 64));
    assert_eq!(post(&house, "/meta", SECRET, &live).status, 200);
    drop(held);
    // Who is missed hears what a live source would have said.
    let answers = flood.iter_mut().map(|client| (client.write(b" "), client.answer()));
    let told: Vec<(u16, bool)> = answers
        .filter_map(|(_, answer)| answer.ok())
        .map(|answer| (answer.status, answer.header("x-porteiro-observed").is_some()))
        .collect();
    assert_eq!(told.iter().filter(|told| **told == (200, true)).count(), 7, "{told:?}");
    assert!(told.contains(&(401, false)), "the one that had room is not proven: {told:?}");
    assert_eq!(
        house.metrics().value("porteiro_would_refuse_requests_total", &[("source", "trial"), ("reason", "busy")]),
        0.0
    );
    eventually("the room to be free", || {
        post(&house, "/trial", SECRET, &body(2)).header("x-porteiro-observed").is_some() && outcome("observed") >= 1.0
    });
    eventually("the delivery", || one.count() == 1 && two.count() == 1);
    house.metrics().no_panics();
}
