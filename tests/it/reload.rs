//! Another configuration while it runs: nothing is lost, nobody is refused, and if anything is wrong the old one stays.

mod certificates;
mod load;

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::support::eventually;
use crate::support::hmac_hex;
use crate::support::house::{Estate, House, SECRET, controlled, two_destinations};
use crate::support::sink::{Manner, Sink};

/// One POST on the control socket: what came back.
fn command(estate: &Estate, path: &str) -> String {
    let mut stream = UnixStream::connect(estate.path("control.sock")).unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: porteiro\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn signed_with(secret: &[u8], body: &[u8]) -> String {
    format!("sha256={}", hmac_hex(secret, body))
}

/// Sends these events, each of which is to be acknowledged.
fn send(house: &House, numbers: std::ops::Range<usize>) {
    let mut client = house.plain();
    for number in numbers {
        let body = format!(r#"{{"entry":[{{"id":"77"}}],"number":{number}}}"#).into_bytes();
        let answer = client.post("/meta", &[("X-Hub-Signature-256", &signed_with(SECRET, &body))], &body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn what_is_wrong_is_told_whole_and_the_old_configuration_stays() {
    let (one, two, three) = (Sink::start(Manner::Well), Sink::start(Manner::Well), Sink::start(Manner::Well));
    let well = controlled(&one.url(), &two.url());
    let estate = Estate::new(&well);
    let house = House::start(&estate);
    // The first two lines are right, and must not take effect either.
    let wrong = controlled(&three.url(), &two.url())
        .replace("path = \"/meta\"", "path = \"/elsewhere\"")
        .replace("to = [\"one\", \"two\"]", "to = [\"one\", \"too\"]")
        .replace("key = \"key.pem\"", "key = \"no-such-key.pem\"")
        .replace("provider = \"meta\"", "provider = \"mta\"");
    estate.write("porteiro.toml", wrong.as_bytes());
    let (code, text) = estate.reload();
    assert_eq!(code, 78, "{text}");
    for word in ["no-such-key.pem", "there is no provider `mta`", "did you mean `two`?", "porteiro.toml:", "stays"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    house.signal(rustix::process::Signal::HUP);
    eventually("the log to tell", || house.log().matches("configuration not reloaded").count() == 2);
    send(&house, 0..3);
    eventually("the deliveries", || one.count() == 3 && two.count() == 3);
    assert_eq!(three.count(), 0);
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_config_generation", &[]), 1.0);
    assert_eq!(metrics.value("porteiro_config_last_reload_successful", &[]), 0.0);
    assert_eq!(metrics.value("porteiro_config_reloads_total", &[("result", "refused")]), 2.0);
    // Text that is no TOML, and a file that is not there, are told as well.
    estate.write("porteiro.toml", b"format = \n");
    assert_eq!(estate.reload().0, 78);
    std::fs::remove_file(estate.path("porteiro.toml")).unwrap();
    assert!(command(&estate, "/-/reload").contains("cannot be read"));
    estate.write("porteiro.toml", well.replace(&one.url(), &three.url()).as_bytes());
    let (code, text) = estate.reload();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("configuration 2 is in force\n  destination one: changed (url)\n"), "{text}");
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_config_generation", &[]), 2.0);
    assert_eq!(metrics.value("porteiro_config_last_reload_successful", &[]), 1.0);
    send(&house, 3..4);
    eventually("the delivery to the new URL", || three.count() == 1);
    assert_eq!(three.numbers(), [3]);
    house.metrics().no_panics();
}

#[test]
fn a_destination_that_leaves_keeps_its_backlog_and_gets_it_when_it_is_back() {
    let (one, two, three) = (Sink::start(Manner::Well), Sink::start(Manner::Hang), Sink::start(Manner::Well));
    let estate = Estate::new(&controlled(&one.url(), &two.url()).replace("\"5s\"", "\"1s\""));
    let house = House::start(&estate);
    send(&house, 0..12);
    // More than may run at the same time: the rest waits for its turn.
    eventually("the attempts", || one.count() == 12 && two.count() == 8);
    let alone = controlled(&one.url(), &two.url()).replace("to = [\"one\", \"two\"]", "to = [\"one\"]");
    let from = alone.find("[destination.two]").unwrap();
    let to = alone.find("[[route]]").unwrap();
    estate.write("porteiro.toml", (alone[..from].to_owned() + &alone[to..]).as_bytes());
    let (code, text) = estate.reload();
    assert_eq!(code, 0, "{text}");
    two.behave(Manner::Well);
    assert!(text.contains("  destination two: removed\n  route: changed\n"), "{text}");
    eventually("the log to tell", || house.log().contains("is not in the configuration any more"));
    send(&house, 12..15);
    eventually("the deliveries to the other one", || one.count() == 15);
    let of_two = |house: &House, name: &str| house.metrics().value(name, &[("destination", "two")]);
    eventually("the end of its attempts", || of_two(&house, "porteiro_attempts_running") == 0.0);
    assert_eq!(two.count(), 8, "nothing is begun that was not under way");
    assert_eq!(of_two(&house, "porteiro_destination_parked"), 1.0);
    assert_eq!(of_two(&house, "porteiro_backlog_events"), 12.0);
    // It is still there after a restart without it, and goes to where the name points when it is back.
    let (status, log) = house.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let house = House::start(&estate);
    assert_eq!(of_two(&house, "porteiro_destination_parked"), 1.0);
    estate.write("porteiro.toml", controlled(&one.url(), &three.url()).as_bytes());
    let (code, text) = estate.reload();
    assert_eq!(code, 0, "{text}");
    eventually("its backlog", || three.count() == 12);
    send(&house, 15..16);
    eventually("what came since", || three.count() == 13 && one.count() == 16);
    let owed: Vec<usize> = (0..12).chain([15]).collect();
    assert_eq!(three.numbers(), owed, "what was routed without it is not owed to it");
    assert_eq!(two.count(), 8);
    assert_eq!(of_two(&house, "porteiro_destination_parked"), 0.0);
    eventually("an empty backlog", || of_two(&house, "porteiro_backlog_events") == 0.0);
    // And away and back while the lane is there.
    estate.write("porteiro.toml", (alone[..from].to_owned() + &alone[to..]).as_bytes());
    assert_eq!(estate.reload().0, 0);
    estate.write("porteiro.toml", controlled(&one.url(), &two.url()).as_bytes());
    assert_eq!(estate.reload().0, 0);
    send(&house, 16..17);
    eventually("the delivery after it was back", || two.count() == 9);
    house.metrics().no_panics();
}

#[test]
fn a_new_url_gets_the_backlog_of_the_old_one_and_a_new_destination_what_comes_from_now_on() {
    let (one, two, three) = (Sink::start(Manner::Well), Sink::start(Manner::Status(503)), Sink::start(Manner::Well));
    let four = Sink::start(Manner::Well);
    let estate = Estate::new(&controlled(&one.url(), &two.url()));
    let house = House::start(&estate);
    send(&house, 0..12);
    eventually("the attempts", || one.count() == 12 && two.count() > 0);
    let new = format!("[destination.four]\nurl = \"{}\"\n\n[[route]]", four.url());
    let changed = controlled(&one.url(), &three.url()).replace("[[route]]", &new);
    estate.write("porteiro.toml", changed.replace("\"two\"]", "\"two\", \"four\"]").replace("1GiB", "2GiB").as_bytes());
    let (code, text) = estate.reload();
    assert_eq!(code, 0, "{text}");
    let told = "  destination four: added\n  destination two: changed (url)\n  route: changed\n\
                these take effect after a restart:\n  journal: changed (size)\n";
    assert!(text.contains(told), "{text}");
    send(&house, 12..15);
    eventually("all deliveries", || three.count() == 15 && four.count() == 3);
    assert_eq!(three.numbers(), (0..15).collect::<Vec<_>>());
    assert_eq!(four.numbers(), [12, 13, 14]);
    // The new name has its id for good.
    house.kill();
    let house = House::start(&estate);
    send(&house, 15..16);
    eventually("the delivery after the crash", || four.numbers().contains(&15));
    house.metrics().no_panics();
}

#[test]
fn the_control_socket_is_its_owners_alone_and_outlives_a_crash() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let estate = Estate::new(&controlled(&one.url(), &two.url()));
    let socket = estate.path("control.sock");
    let house = House::start(&estate);
    let found = std::fs::symlink_metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.mode() & 0o777, 0o600);
    assert!(command(&estate, "/-/quit").starts_with("HTTP/1.1 404"));
    let nothing = "nothing changed (configuration 2 is in force)\n";
    // Dangers may follow: some are the machine's own.
    let (status, told) = estate.reload();
    assert!(status == 0 && told.starts_with(nothing), "{told}");
    let other = controlled(&one.url(), &two.url()).replace("\"journal\"", "\"another-journal\"");
    estate.write("other.toml", other.as_bytes());
    let serve = ["serve", "-c", estate.path("other.toml").to_str().unwrap()].map(str::to_owned);
    let output = Command::new(env!("CARGO_BIN_EXE_porteiro")).args(serve).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("another process answers there"), "{told}");
    house.kill();
    assert!(socket.exists(), "nobody was there to remove it");
    assert_eq!(estate.reload().0, 1);
    let house = House::start(&estate);
    assert!(estate.reload().1.starts_with(nothing));
    let (status, log) = house.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!socket.exists());
    assert_eq!(estate.reload().0, 1);
    estate.write("porteiro.toml", two_destinations(&one.url(), &two.url()).as_bytes());
    let (code, text) = estate.reload();
    assert!(code == 1 && text.contains("names no control socket"), "{text}");
}

#[test]
fn the_configuration_is_read_when_it_changes_where_it_wants_that() {
    let (one, two, three) = (Sink::start(Manner::Well), Sink::start(Manner::Well), Sink::start(Manner::Well));
    let watching = |one: &Sink| two_destinations(&one.url(), &two.url()) + "\n[reload]\nwatch = true\n";
    let estate = Estate::new(&watching(&one));
    let house = House::start(&estate);
    estate.write("porteiro.toml", b"format = 7\n");
    eventually("the refusal", || house.log().contains("configuration not reloaded"));
    send(&house, 0..1);
    eventually("the delivery", || one.count() == 1);
    estate.write("porteiro.toml", watching(&three).as_bytes());
    eventually("the reload", || house.log().contains("configuration reloaded"));
    send(&house, 1..2);
    eventually("the delivery to the new URL", || three.count() == 1);
    // Off again: it is told to look no more, and does not.
    estate.write("porteiro.toml", two_destinations(&three.url(), &two.url()).as_bytes());
    eventually("the last look", || house.metrics().value("porteiro_config_generation", &[]) == 3.0);
    house.metrics().no_panics();
}
