//! What an operator sees of a source that is late, silent, or between two secrets.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

#[expect(clippy::disallowed_methods, reason = "the provider's clock is not the house's")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// One event of Stripe's shape that happened so many seconds ago, signed now; the status it is answered.
fn post(house: &House, number: u64, ago: u64, secret: &[u8]) -> u16 {
    let (now, created) = (now(), now() - ago);
    let body = format!(r#"{{"id":"evt_{number}","object":"event","type":"charge.succeeded","created":{created}}}"#);
    let signed = hmac_hex(secret, format!("{now}.{body}").as_bytes());
    house
        .plain()
        .post("/stripe", &[("Stripe-Signature", &format!("t={now},v1={signed}"))], body.as_bytes())
        .unwrap()
        .status
}

#[test]
fn lateness_silence_and_the_secret_in_use_are_figures() {
    let sink = Sink::start(Manner::Well);
    let configuration = two_destinations(&sink.url(), &sink.url())
        + r#"
[source.stripe]
on = ["plain"]
path = "/stripe"
provider = "stripe"
secrets = [{ file = "old" }, { file = "secret" }]
expect-every = "1s"

[[route]]
from = ["stripe"]
to = ["one"]
"#;
    let estate = Estate::new(&configuration);
    estate.write("old", b"the secret of yesterday");
    let house = House::start(&estate);
    let of = |name: &str, labels: &[(&str, &str)]| {
        house.metrics().value(&format!("porteiro_{name}"), &[&[("source", "stripe")], labels].concat())
    };
    let used = |secret: &str| of("source_secret_last_used_timestamp_seconds", &[("secret", secret)]);
    assert_eq!((used("1"), used("2"), of("source_silent", &[])), (0.0, 0.0, 0.0));
    let median = "porteiro_source_event_delay_median_seconds";
    assert!(!house.metrics().0.contains(&format!("{median}{{")), "no event has told its time");

    eventually("silence", || of("source_silent", &[]) == 1.0);
    assert_eq!(post(&house, 1, 3_600, b"nobody's secret"), 401);
    // What is forged is no sign of life, and no secret was used for it.
    assert_eq!((used("1"), used("2"), of("source_last_event_timestamp_seconds", &[])), (0.0, 0.0, 0.0));
    assert!(!house.log().contains("silent no longer"));
    assert_eq!(house.log().matches("silent: no event").count(), 1, "silence is told once");
    assert_eq!(post(&house, 1, 3_600, SECRET), 200);
    assert!(used("1") == 0.0 && used("2") > 1.7e9, "it was signed with the second one");
    let delay = of("source_event_delay_median_seconds", &[]);
    assert!((3_599.0..3_700.0).contains(&delay), "{delay}");
    let below = |bound| of("source_event_delay_seconds_bucket", &[("le", bound)]);
    assert_eq!((below("1800"), below("7200")), (0.0, 1.0));
    eventually("a line that says that it is over", || house.log().contains("silent no longer"));
    // The same event again is no new one, and yet the provider spoke.
    assert_eq!(post(&house, 1, 3_600, SECRET), 200);
    assert_eq!(below("+Inf"), 1.0);
    // The other source speaks seldom, and nobody minds.
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_source_silent", &[("source", "whatsapp")]), 0.0);
    metrics.no_panics();
}
