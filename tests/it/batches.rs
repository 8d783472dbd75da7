//! A batch of several tenants is split, and each hears what is theirs and nothing else: with the real binary.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

use crate::support::client::{Answer, Client};
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Arrival, Manner, Sink};
use crate::support::{eventually, hmac_hex};

/// A house that splits what Meta sends: `acme` hears of its numbers at the first destination, `bolt` at the second one.
struct Scene {
    estate: Estate,
    house: House,
    acme: Sink,
    bolt: Sink,
}

fn configuration(acme: &str, bolt: &str, more: &str) -> String {
    let routes = r#"
[[route]]
from = ["whatsapp"]
when = { tenant = "acme" }
to = ["one"]

[[route]]
from = ["whatsapp"]
when = { tenant = "bolt" }
to = ["two"]
"#;
    let tenants =
        "[tenant.acme]\nkeys = { whatsapp = [\"101\", \"102\"] }\n[tenant.bolt]\nkeys = { whatsapp = [\"202\"] }\n";
    let base =
        two_destinations(acme, bolt).replace("[[route]]\nfrom = [\"whatsapp\"]\nto = [\"one\", \"two\"]\n", routes);
    let base = base.replace("provider = \"meta\"", "provider = \"meta\"\nbatch = \"split\"");
    format!("{}\n{tenants}{more}", base.replace("deadline = \"5s\"", "deadline = \"5s\"\nconcurrency = 1"))
}

impl Scene {
    fn set(more: &str) -> Self {
        let (acme, bolt) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
        let estate = Estate::new(&configuration(&acme.url(), &bolt.url(), more));
        let house = House::start(&estate);
        Self { estate, house, acme, bolt }
    }

    fn porteiro(&self, command: &str, arguments: &[&str]) -> Output {
        let file = self.estate.path("porteiro.toml");
        let mut porteiro = Command::new(env!("CARGO_BIN_EXE_porteiro"));
        porteiro.args([command, "-c"]).arg(file).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Both have been sent so many, and nobody is sent more.
    fn settled(&self, acme: usize, bolt: usize) {
        eventually("the deliveries", || self.acme.count() >= acme && self.bolt.count() >= bolt);
        let (house, metrics) = (&self.house, self.house.metrics());
        assert_eq!((self.acme.count(), self.bolt.count()), (acme, bolt), "{}", house.log());
        metrics.no_panics();
    }
}

/// A change of a number; the escapes and the long number must arrive as they are.
fn change(number: &str, mark: u64) -> String {
    format!(
        r#"{{"field":"messages","value":{{"metadata":{{"phone_number_id":"{number}"}},"messages":[{{"id":"wamid.{mark}","from":"5511\u003900","text":"ol\u00e1 \/ {mark}"}}],"n":1.50e2,"big":12345678901234567890{mark}}}}}"#
    )
}

fn entry(waba: &str, changes: &[String]) -> String {
    format!(r#"{{"id":"{waba}","changes":[{}]}}"#, changes.join(","))
}

fn batch(entries: &[String]) -> String {
    format!(r#"{{"object":"whatsapp_business_account","entry":[{}]}}"#, entries.join(","))
}

/// What a part of one change is, byte for byte.
fn part(waba: &str, change: &str) -> String {
    batch(&[entry(waba, &[change.to_owned()])])
}

fn send(client: &mut Client, body: &str) -> Answer {
    let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
    let fields = [("X-Hub-Signature-256", &*signature), ("X-Hub-Signature", "sha1=00"), ("X-Trace", "t1")];
    client.post("/meta", &fields, body.as_bytes()).unwrap()
}

fn bodies(sink: &Sink) -> Vec<String> {
    sink.arrivals().into_iter().map(|arrival| String::from_utf8(arrival.body).unwrap()).collect()
}

fn ids(arrivals: &[Arrival]) -> Vec<String> {
    arrivals.iter().map(|arrival| arrival.event_id().to_owned()).collect()
}

#[test]
fn each_tenant_of_a_batch_hears_what_is_theirs_and_nobody_elses_bytes() {
    let scene = Scene::set("");
    let mut client = scene.house.plain();
    let (a, b, c) = (change("101", 1), change("202", 2), change("102", 3));
    let body = batch(&[entry("w1", &[a.clone(), b.clone()]), entry("w2", &[c.clone(), change("999", 4)])]);
    let answer = send(&mut client, &body);
    assert_eq!((answer.status, answer.body.len()), (200, 0), "one reply, and an empty one");
    scene.settled(2, 1);
    assert_eq!(bodies(&scene.acme), [part("w1", &a), part("w2", &c)]);
    assert_eq!(bodies(&scene.bolt), [part("w1", &b)]);
    for arrival in scene.acme.arrivals().iter().chain(&scene.bolt.arrivals()) {
        assert_eq!((arrival.header("x-hub-signature-256"), arrival.header("x-hub-signature")), (None, None));
        assert_eq!(arrival.header("x-trace"), Some("t1"));
        assert_eq!(arrival.header("content-length"), Some(arrival.body.len().to_string().as_str()));
    }
    let metrics = scene.house.metrics();
    let source = |name| metrics.value(name, &[("source", "whatsapp")]);
    assert_eq!((source("porteiro_batch_parts_total"), source("porteiro_unsplit_batches_total")), (4.0, 0.0));
    assert_eq!(metrics.value("porteiro_journal_events_total", &[]), 4.0, "the unknown number's is stored, too");
    // One that nobody signed is nobody's.
    let forged = format!("sha256={}", hmac_hex(b"another secret", body.as_bytes()));
    assert_eq!(client.post("/meta", &[("X-Hub-Signature-256", &forged)], body.as_bytes()).unwrap().status, 401);
    assert_eq!(scene.house.metrics().value("porteiro_journal_events_total", &[]), 4.0);
    // Of a single element nothing need be cut: its signature can be checked again.
    let single = part("w1", &change("202", 5));
    assert_eq!(send(&mut scene.house.plain(), &single).status, 200);
    scene.settled(2, 2);
    let last = scene.bolt.arrivals().pop().unwrap();
    assert_eq!(last.body, single.as_bytes());
    let signature = format!("sha256={}", hmac_hex(SECRET, single.as_bytes()));
    assert_eq!(last.header("x-hub-signature-256"), Some(&*signature));
}

#[test]
fn what_comes_again_in_other_company_is_delivered_once_by_the_same_id_even_after_a_fall() {
    let scene = Scene::set("");
    let mut client = scene.house.plain();
    let change = |mark| change(if mark % 2 == 0 { "101" } else { "202" }, mark);
    let of = |marks: &[u64]| batch(&[entry("w1", &marks.iter().map(|mark| change(*mark)).collect::<Vec<_>>())]);
    assert_eq!(send(&mut client, &of(&[1, 2, 3])).status, 200);
    scene.settled(1, 2);
    for marks in [&[1, 2, 3][..], &[3, 1], &[2], &[4, 1, 3, 2]] {
        assert_eq!(send(&mut client, &of(marks)).status, 200);
    }
    scene.settled(2, 2);
    let Scene { estate, house, acme, bolt } = scene;
    house.kill();
    let scene = Scene { house: House::start(&estate), estate, acme, bolt };
    let mut client = scene.house.plain();
    // What was delivered before the fall may come once more, by its id.
    let before: BTreeSet<String> = ids(&scene.acme.arrivals()).into_iter().chain(ids(&scene.bolt.arrivals())).collect();
    assert_eq!(before.len(), 4);
    assert_eq!(send(&mut client, &of(&[4, 3, 5, 2, 1])).status, 200);
    eventually("the new one", || bodies(&scene.bolt).contains(&part("w1", &change(5))));
    let after: BTreeSet<String> = ids(&scene.acme.arrivals()).into_iter().chain(ids(&scene.bolt.arrivals())).collect();
    assert_eq!(after.difference(&before).count(), 1, "one event is new, and no other has a new id");
    scene.house.metrics().no_panics();
}

#[test]
fn a_batch_of_a_thousand_arrives_complete_and_in_order_at_each_tenant() {
    const COUNT: u64 = 1_000;
    let scene = Scene::set("");
    let number = |mark: u64| ["101", "202", "102"][usize::try_from(mark % 3).unwrap()];
    let waba = |mark: u64| format!("w{}", mark / 20);
    let entries: Vec<String> = (0..COUNT / 20)
        .map(|at| {
            entry(&waba(at * 20), &(at * 20..at * 20 + 20).map(|mark| change(number(mark), mark)).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(send(&mut scene.house.plain(), &batch(&entries)).status, 200);
    let of = |own: &dyn Fn(u64) -> bool| -> Vec<String> {
        (0..COUNT).filter(|mark| own(*mark)).map(|mark| part(&waba(mark), &change(number(mark), mark))).collect()
    };
    let (acme, bolt) = (of(&|mark| mark % 3 != 1), of(&|mark| mark % 3 == 1));
    scene.settled(acme.len(), bolt.len());
    assert!(bodies(&scene.acme) == acme && bodies(&scene.bolt) == bolt, "complete, in order, and nobody else's");
}

#[test]
fn if_one_tenant_is_over_its_rate_and_refused_nobody_of_the_batch_is_sent_anything() {
    let scene = Scene::set("rate = \"1/h\"\nburst = 1\nover = \"refuse\"\n");
    let mut client = scene.house.plain();
    let of = |mark: u64| batch(&[entry("w1", &[change("101", mark), change("202", mark + 1)])]);
    assert_eq!(send(&mut client, &of(1)).status, 200);
    scene.settled(1, 1);
    for mark in [3, 5, 7] {
        assert_eq!(send(&mut client, &of(mark)).status, 429);
    }
    assert_eq!(send(&mut client, &part("w1", &change("101", 9))).status, 200);
    scene.settled(2, 1);
    assert_eq!(scene.house.metrics().value("porteiro_journal_events_total", &[]), 3.0);
}

#[test]
fn check_and_send_tell_of_each_event_of_a_batch() {
    let scene = Scene::set("");
    let file = scene.estate.path("batch.json");
    let body = batch(&[entry("w1", &[change("101", 1), change("202", 2)])]);
    scene.estate.write("batch.json", body.as_bytes());
    let told = scene.porteiro("check", &[]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success() && text.contains("batches: split into an event for each element of"), "{text}");
    assert!(text.contains("each of which may keep a batch of 1MiB"), "{text}");
    let told = scene.porteiro("check", &["--explain", "--source", "whatsapp", "--body", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{text}");
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in\n{text}"));
    assert!(at("2: the batch is split") < at("event 1") && at("event 1") < at("acme") && at("acme") < at("event 2"));
    assert!(at("event 2") < at("bolt") && at("one at") < at("event 2") && at("event 2") < at("two at"));
    let json = ["--explain", "--source", "whatsapp", "--body", file.to_str().unwrap(), "--output", "json"];
    let told: serde_json::Value = serde_json::from_slice(&scene.porteiro("check", &json).stdout).unwrap();
    assert_eq!(
        (told["events"][0]["tenant"].as_str(), told["events"][1]["tenant"].as_str()),
        (Some("acme"), Some("bolt"))
    );
    assert_eq!((told["event"].is_null(), told["events"].as_array().map(Vec::len)), (true, Some(2)));
    let to = format!("http://{}", scene.house.address("plain"));
    let sent = scene.porteiro("send", &["--source", "whatsapp", "--body", file.to_str().unwrap(), "--to", &to]);
    let text = String::from_utf8_lossy(&sent.stdout).into_owned() + &String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success(), "{text}");
    for line in [
        "the batch is split into 2 events",
        "event 1, messages, of tenant acme: by route 1 it goes to one",
        "event 2, messages, of tenant bolt: by route 2 it goes to two",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    scene.settled(1, 1);
}

#[test]
fn of_what_is_only_observed_each_part_is_counted_by_whom_it_would_be_sent_to() {
    let (acme, bolt) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let text = configuration(&acme.url(), &bolt.url(), "");
    let estate = Estate::new(&text.replace("batch = \"split\"", "batch = \"split\"\nmode = \"observe\""));
    let house = House::start(&estate);
    let mut client = house.plain();
    let of =
        |marks: std::ops::Range<u64>| batch(&[entry("w1", &marks.map(|mark| change("101", mark)).collect::<Vec<_>>())]);
    let both = batch(&[entry("w1", &[change("101", 1), change("202", 2)]), entry("w2", &[change("999", 3)])]);
    for body in [&both, &both, &of(4..7), &of(1..5)] {
        assert_eq!(send(&mut client, body).status, 200);
    }
    let metrics = house.metrics();
    let would = |to| metrics.value("porteiro_would_send_events_total", &[("source", "whatsapp"), ("destination", to)]);
    // Of the last one two are new: what was observed is remembered part by part, too.
    assert_eq!((would("one"), would("two")), (1.0 + 3.0 + 2.0, 1.0));
    assert_eq!((acme.count(), bolt.count(), metrics.value("porteiro_journal_events_total", &[])), (0, 0, 0.0));
    metrics.no_panics();
}
