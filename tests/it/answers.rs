//! What the provider hears, and when: answers of the source's own, before the disk has it, and a destination's.

use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

/// The configuration that most tests use, with these lines for its source.
fn with_lines(one: &Sink, two: &Sink, lines: &str) -> String {
    let secrets = "secrets = [{ file = \"secret\" }]\n";
    two_destinations(&one.url(), &two.url()).replace(secrets, &format!("{secrets}{lines}\n"))
}

fn signature(body: &[u8]) -> String {
    format!("sha256={}", hmac_hex(SECRET, body))
}

#[test]
fn a_source_answers_in_its_own_words() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let lines = "success = { status = 202, format = \"json\", body = '{\"taken\":true}' }\n\
                 reject = { status = 403, body = \"who are you?\" }";
    let estate = Estate::new(&with_lines(&one, &two, lines));
    let house = House::start(&estate);
    let body = br#"{"entry":[{"id":"77"}]}"#;
    let mut client = house.plain();
    // The second time it is a repeat, which hears the same.
    for _ in 0..2 {
        let answer = client.post("/meta", &[("X-Hub-Signature-256", &signature(body))], body).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (202, "{\"taken\":true}"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    for (header, body) in [("x-nothing", &body[..]), ("X-Hub-Signature-256", b"{}")] {
        let answer = house.plain().post("/meta", &[(header, &signature(b"another"))], body).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (403, "who are you?"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    // What is refused before the proof is asked for is nothing that a source words.
    assert_eq!(house.plain().request("PUT", "/meta", &[], b"").unwrap().status, 405);
    eventually("the deliveries", || one.count() == 1 && two.count() == 1);
    house.metrics().no_panics();
}
