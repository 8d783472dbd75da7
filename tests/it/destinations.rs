//! Destinations of the real world: what a CRM asks of whoever calls it, and what stands in between.

mod certified;
mod named;
mod paced;
mod proxied;
mod signed;
mod woven;

use crate::support::house::{House, SECRET};
use crate::support::{eventually, hmac_hex};

/// A plain listener, a journal, a source that is proven by an HMAC of its body, and these sections; events of that source
/// go to these destinations.
fn configuration(sections: &str, to: &[&str]) -> String {
    format!(
        r#"
format = 1

[listen.plain]
address = "127.0.0.1:0"

[metrics]
address = "127.0.0.1:0"

[journal]
directory = "journal"
size = "64MiB"
segment = "4MiB"

[journal.keep.dead]
size = "8MiB"

[source.shop]
on = ["plain"]
path = "/shop/*"
provider = "github"
secrets = [{{ file = "secret" }}]

{sections}

[[route]]
from = ["shop"]
to = {to:?}
"#
    )
}

/// Sends an event with these headers below the path of the source; it is taken in.
fn send(house: &House, rest: &str, headers: &[(&str, &str)], number: u32) -> Vec<u8> {
    let body = format!("{{\"number\": {number}, \"organization\":{{\"login\":\"acme-org\"}}, \"text\":\"ol\u{e1}\"}}")
        .into_bytes();
    let signature = format!("sha256={}", hmac_hex(SECRET, &body));
    let id = format!("delivery-{number}");
    let mut all = vec![("X-Hub-Signature-256", &*signature), ("X-GitHub-Delivery", &*id), ("X-GitHub-Event", "push")];
    all.extend_from_slice(headers);
    let answer = house.plain().post(&format!("/shop{rest}"), &all, &body).unwrap();
    assert!(matches!(answer.status, 200..300), "{}", answer.text());
    body
}

/// How many attempts for a destination ended like this.
fn attempts(house: &House, destination: &str, outcome: &str) -> f64 {
    house.metrics().value("porteiro_attempts_total", &[("destination", destination), ("outcome", outcome)])
}

/// Has the configuration read again; returns when it is in force as the one of this number.
fn reload(house: &House, generation: f64) {
    house.signal(rustix::process::Signal::HUP);
    eventually("the reload", || house.metrics().value("porteiro_config_generation", &[]) >= generation);
}
