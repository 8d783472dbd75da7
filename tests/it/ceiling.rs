//! What `check` prints as the memory ceiling is one: the real binary stays below it with everything full that can be.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use crate::support::client::Client;
use crate::support::house::{Estate, House, SECRET};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

/// Connections of each listener.
const CONNECTIONS: usize = 150;
/// Events that are stored and owed, and those who send them.
const EVENTS: usize = 6_000;
const SENDERS: usize = 6;

/// Small limits, so that all of them are met.
fn configuration(failing: &str, hanging: &str) -> String {
    format!(
        r#"
format = 1

[limits]
in-flight = "2MiB"
in-flight-share = "2MiB"
refusals-addresses = 64

[dedup]
events = 4096

[listen.public]
address = "127.0.0.1:0"
tls = [{{ certificate = "certificate.pem", key = "key.pem" }}]

[listen.public.limits]
connections = {CONNECTIONS}
head = "60s"

[listen.plain]
address = "127.0.0.1:0"

[listen.plain.limits]
connections = {CONNECTIONS}
head = "60s"

[metrics]
address = "127.0.0.1:0"

[journal]
directory = "journal"
size = "64MiB"
segment = "1MiB"
queue = "256KiB"
recent = "512KiB"
retry-slots = 1000

[journal.keep.dead]
age = "1h"
size = "4MiB"

[source.whatsapp]
on = ["public", "plain"]
path = "/meta"
provider = "meta"
secrets = [{{ file = "secret" }}]
values = {{ verify-token = {{ file = "verify-token" }} }}
limits = {{ body = "256KiB", grace = "30s" }}

[destination.failing]
url = "{failing}"
deadline = "5s"
in-flight = "256KiB"

[destination.hanging]
url = "{hanging}"
deadline = "5s"
in-flight = "256KiB"

[[route]]
from = ["whatsapp"]
to = ["failing", "hanging"]
"#
    )
}

/// The ceiling as `check` prints it for machines.
fn ceiling(estate: &Estate) -> (u64, String) {
    let checked = Command::new(env!("CARGO_BIN_EXE_porteiro"))
        .args(["check", "--output", "json", "-c"])
        .arg(estate.path("porteiro.toml"))
        .output()
        .unwrap();
    let told: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    (told["memory_ceiling"]["bytes"].as_u64().unwrap(), format!("{:#}", told["memory_ceiling"]))
}

/// Stores this sender's part of the events; every twentieth is as large as may be.
fn send(address: SocketAddr, sender: usize) {
    let mut client = Client::plain(address).unwrap();
    for number in 0..EVENTS / SENDERS {
        let padding = if number % 20 == 0 { 60_000 } else { 10 };
        let body = format!(r#"{{"entry":[{{"id":"{sender}-{number}"}}],"p":"{}"}}"#, "p".repeat(padding));
        let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
        let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature)], body.as_bytes()).unwrap();
        // At the bound of the disk it hears 503; that is full as well.
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    }
}

/// A request that never comes to its end: a large head, and a part of its body.
fn begin(client: &mut Client, number: usize) {
    let fields: String = (0..40).map(|field| format!("x-{field}: {}\r\n", "v".repeat(340))).collect();
    let head = format!("POST /meta HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n{fields}");
    // Some stay in their head, the others within their body.
    let said = if number.is_multiple_of(3) { client.write(head.as_bytes()) } else { more(client, head) };
    // One that is turned away takes no room.
    drop(said);
}

fn more(client: &mut Client, mut head: String) -> std::io::Result<()> {
    head.push_str("\r\n");
    client.write(head.as_bytes())?;
    client.write(&[b'b'; 30_000])
}

#[test]
fn memory_stays_below_the_ceiling_with_everything_full() {
    let (failing, hanging) = (Sink::start(Manner::Status(400)), Sink::start(Manner::Hang));
    let estate = Estate::new(&configuration(&failing.url(), &hanging.url()));
    let (ceiling, terms) = ceiling(&estate);
    let house = House::start(&estate);
    let idle = house.peak_kib() << 10;
    let (plain, public) = (house.address("plain"), house.address("public"));
    let senders: Vec<_> = (0..SENDERS).map(|sender| thread::spawn(move || send(plain, sender))).collect();
    for sender in senders {
        sender.join().unwrap();
    }
    let backlog = |house: &House| house.metrics().value("porteiro_backlog_events", &[("destination", "hanging")]);
    eventually("a backlog", || backlog(&house) >= 3_000.0);
    let mut held = Vec::new();
    for number in 0..CONNECTIONS {
        let mut client = Client::plain(plain).unwrap();
        begin(&mut client, number);
        held.push(client);
        let mut client = Client::tls(public, &estate.root, "localhost").unwrap();
        begin(&mut client, number);
        held.push(client);
    }
    let open = |name| house.metrics().value("porteiro_connections", &[("listener", name)]);
    eventually("all connections", || open("plain") + open("public") >= 2.0 * CONNECTIONS as f64);
    let metrics = house.metrics();
    let peak = house.peak_kib() << 10;
    println!("idle {idle}, peak {peak}, ceiling {ceiling}");
    assert!(peak <= ceiling, "{peak} bytes were taken, {ceiling} is the ceiling, the sum of {terms}");
    assert!(peak > 2 * idle && peak >= ceiling / 8, "{peak} bytes were taken of {ceiling}: nothing was full");
    metrics.no_panics();
}

#[test]
fn as_many_files_as_the_system_allows_may_be_open_and_too_few_are_said() {
    let sink = Sink::start(Manner::Well);
    let estate = Estate::new(&configuration(&sink.url(), &sink.url()));
    let house = House::start_after("ulimit -Sn 100; ulimit -Hn 1000", &estate);
    let limits = house.proc("limits", "Max open files");
    let figures: Vec<&str> = limits.split_ascii_whitespace().skip(3).take(2).collect();
    assert_eq!(figures, ["1000", "1000"]);
    assert!(!house.log().contains("LimitNOFILE"), "{}", house.log());
    drop(house);
    let house = House::start_after("ulimit -Sn 100; ulimit -Hn 200", &estate);
    let log = house.log();
    assert!(log.contains("open files, and the system allows 200"), "{log}");
    assert!(log.contains("set LimitNOFILE= or lower them"), "{log}");
}
