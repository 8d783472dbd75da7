//! Where a name may lead, with the names that every machine knows by itself.

use super::{attempts, configuration, reload, send};
use crate::support::eventually;
use crate::support::house::{Estate, House};
use crate::support::sink::{Manner, Sink};

#[test]
fn a_name_that_leads_elsewhere_is_refused_says_what_to_declare_and_stays_owed() {
    let sink = Sink::start(Manner::Well);
    let sections = |declared: &str| {
        let url = format!("http://localhost:{}/hook", sink.address().port());
        format!("[destination.crm]\nurl = \"{url}\"\naddresses = [{declared}]\n")
    };
    let estate = Estate::new(&configuration(&sections("\"10.0.0.0/8\""), &["crm"]));
    let house = House::start(&estate);
    send(&house, "", &[], 1);
    eventually("the refusal", || attempts(&house, "crm", "denied") >= 1.0);
    eventually("the reason in the log", || {
        let log = house.log();
        log.contains("localhost leads to ") && log.contains("declare it: addresses = [")
    });
    assert_eq!(sink.count(), 0);
    assert_eq!(house.metrics().value("porteiro_backlog_events", &[("destination", "crm")]), 1.0, "it stays owed");
    estate.write("porteiro.toml", configuration(&sections("\"127.0.0.0/8\", \"::1\""), &["crm"]).as_bytes());
    reload(&house, 2.0);
    eventually("the delivery", || sink.count() == 1);
    house.metrics().no_panics();
}

#[test]
fn nothing_leads_to_a_listener_of_the_house() {
    let sink = Sink::start(Manner::Well);
    let sections = |url: &str| format!("[destination.crm]\nurl = \"{url}\"\n");
    let estate = Estate::new(&configuration(&sections(&sink.url()), &["crm"]));
    let house = House::start(&estate);
    let port = house.address("plain").port();
    // The configuration says port 0, so only the house itself knows.
    for (host, generation) in [("localhost", 2.0), ("127.0.0.1", 3.0)] {
        let url = format!("http://{host}:{port}/shop/round");
        estate.write("porteiro.toml", configuration(&sections(&url), &["crm"]).as_bytes());
        reload(&house, generation);
        let before = attempts(&house, "crm", "denied");
        send(&house, "", &[], 7 + u32::from(host == "localhost"));
        eventually("the refusal", || attempts(&house, "crm", "denied") > before);
    }
    eventually("the reason in the log", || house.log().contains("a listener of this house"));
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_journal_events_total", &[]), 2.0, "nothing came in again");
    metrics.no_panics();
}

/// Every name and address of this machine that its loopback knows leads to a listener that is bound to this.
#[track_caller]
fn check_wildcard(bound: &str, hosts: &[&str]) {
    let sink = Sink::start(Manner::Well);
    let there = format!("[destination.there]\nurl = \"{}\"\n", sink.url());
    let names: Vec<String> = (0..hosts.len()).map(|number| format!("self-{number}")).collect();
    let to: Vec<&str> = names.iter().map(String::as_str).chain(["there"]).collect();
    let text = |sections: &str, to: &[&str]| {
        configuration(sections, to).replacen("\"127.0.0.1:0\"", &format!("\"{bound}\""), 1)
    };
    let estate = Estate::new(&text(&there, &["there"]));
    let house = House::start(&estate);
    let address = house.address("plain");
    assert!(address.ip().is_unspecified(), "{address}");
    // Only the house itself knows its port. That its address is declared changes nothing.
    let sections = names.iter().zip(hosts).fold(there, |text, (name, host)| {
        let url = format!("http://{host}:{}/shop/round", address.port());
        let declared = if *host == "localhost" { "addresses = [\"127.0.0.0/8\", \"::1\"]\n" } else { "" };
        format!("{text}[destination.{name}]\nurl = \"{url}\"\n{declared}")
    });
    estate.write("porteiro.toml", text(&sections, &to).as_bytes());
    reload(&house, 2.0);
    send(&house, "", &[], 1);
    for (name, host) in names.iter().zip(hosts) {
        eventually("the refusal", || attempts(&house, name, "denied") >= 1.0);
        for other in ["delivered", "refused", "connect", "busy", "broken"] {
            assert_eq!(attempts(&house, name, other), 0.0, "{host}: {other}");
        }
        assert_eq!(house.metrics().value("porteiro_backlog_events", &[("destination", name)]), 1.0, "{host}");
    }
    eventually("the delivery", || sink.count() == 1);
    eventually("the reasons in the log", || {
        let log = house.log();
        let told = |name: &String| {
            let of = format!("\"destination\":\"{name}\"");
            log.lines().any(|line| line.contains(&of) && line.contains("a listener of this house"))
        };
        names.iter().all(told)
    });
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_journal_events_total", &[]), 1.0, "nothing came in again");
    metrics.no_panics();
}

#[test]
fn a_listener_on_every_address_is_no_destination_by_any_of_them() {
    check_wildcard("0.0.0.0:0", &["localhost", "127.0.0.1", "127.0.0.2", "0.0.0.0"]);
    // A machine without IPv6 has no such listener.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let hosts = ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "[::]", "[::ffff:127.0.0.1]", "0.0.0.0"];
        check_wildcard("[::]:0", &hosts);
    }
}
