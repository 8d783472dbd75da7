//! One signed webhook over TLS comes out at two URLs, unaltered; what is not proven stores nothing.

use std::collections::BTreeSet;

use crate::support::client::Client;
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

const BODY: &[u8] =
    br#"{"object":"whatsapp_business_account", "entry":[{"id":"90210","changes":[]}], "n": 1.0e2, "s":"\u00e9\/"}"#;

fn signed(body: &[u8]) -> String {
    format!("sha256={}", hmac_hex(SECRET, body))
}

struct Scene {
    one: Sink,
    two: Sink,
    estate: Estate,
    house: House,
}

impl Scene {
    fn new() -> Self {
        let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
        let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
        let house = House::start(&estate);
        Self { one, two, estate, house }
    }

    fn stored(&self) -> f64 {
        self.house.metrics().value("porteiro_journal_events_total", &[])
    }
}

#[test]
fn a_webhook_over_tls_reaches_both_destinations_unaltered() {
    let scene = Scene::new();
    let mut client = Client::tls(scene.house.address("public"), &scene.estate.root, "localhost").unwrap();
    let headers = [
        ("X-Hub-Signature-256", signed(BODY)),
        ("Content-Type", "application/json; charset=utf-8".to_owned()),
        ("Content-Encoding", "identity".to_owned()),
        ("X-Topic", "first".to_owned()),
        ("X-Topic", "second".to_owned()),
        ("Connection", "keep-alive, X-Private".to_owned()),
        ("X-Private", "for this hop alone".to_owned()),
        ("X-Porteiro-Event-Id", "forged".to_owned()),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = client.post("/meta?x=1&y=%20", &headers, BODY).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    eventually("both deliveries", || scene.one.count() == 1 && scene.two.count() == 1);
    let (first, second) = (&scene.one.arrivals()[0], &scene.two.arrivals()[0]);
    assert_eq!(first.event_id(), second.event_id());
    for (arrival, sink) in [(first, &scene.one), (second, &scene.two)] {
        assert_eq!(arrival.header("host"), Some(sink.address().to_string().as_str()));
        assert_eq!(arrival.body, BODY, "bytes in are bytes out");
        assert_eq!(arrival.target, "/hook?x=1&y=%20");
        assert!(arrival.head.starts_with("POST "));
        assert_eq!(arrival.header("x-hub-signature-256"), Some(signed(BODY).as_str()));
        assert_eq!(arrival.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(arrival.header("content-encoding"), Some("identity"));
        assert_eq!(arrival.header("webhook-id"), Some(arrival.event_id()));
        assert_eq!(arrival.header("x-porteiro-attempt"), Some("1"));
        assert!(arrival.header("x-porteiro-received-at").is_some_and(|time| time.ends_with('Z')));
        assert!(arrival.header("traceparent").is_some_and(|trace| trace.contains("4bf92f3577b34da6a3ce929d0e0e4736")));
        assert_ne!(arrival.event_id(), "forged");
        assert_eq!(arrival.header("x-private"), None, "a header for one hop stays there");
        let topics = arrival.head.lines().filter(|line| line.to_ascii_lowercase().starts_with("x-topic:")).count();
        assert_eq!(topics, 2, "both lines of a doubled header go on");
    }
    scene.house.metrics().no_panics();
}

#[test]
fn a_repeat_is_answered_alike_and_stored_once() {
    let scene = Scene::new();
    let mut client = scene.house.plain();
    for _ in 0..5 {
        let answer = client.post("/meta", &[("X-Hub-Signature-256", &signed(BODY))], BODY).unwrap();
        assert_eq!(answer.status, 200);
    }
    eventually("the deliveries", || scene.one.count() >= 1 && scene.two.count() >= 1);
    assert_eq!(scene.stored(), 1.0);
    let ids: BTreeSet<String> = scene.one.arrivals().iter().map(|arrival| arrival.event_id().to_owned()).collect();
    assert_eq!((scene.one.count(), ids.len()), (1, 1));
    scene.house.metrics().no_panics();
}

#[test]
fn the_handshake_of_meta_is_answered_only_for_the_right_token() {
    let scene = Scene::new();
    let mut client = scene.house.plain();
    let query = |token: &str, challenge: &str| {
        format!("/meta?hub.mode=subscribe&hub.verify_token={token}&hub.challenge={challenge}")
    };
    let right = client.request("GET", &query("the%20token%20of%20the%20tests", "1158201444"), &[], &[]).unwrap();
    assert_eq!((right.status, right.text().as_str()), (200, "1158201444"));
    assert!(right.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    assert_eq!(right.header("x-content-type-options"), Some("nosniff"));
    for (token, challenge) in [
        ("wrong", "1158201444"),
        ("", "1158201444"),
        ("the%20token%20of%20the%20tests", ""),
        ("the%20token%20of%20the%20tests", "%3Cscript%3Ealert(1)%3C/script%3E"),
        ("the%20token%20of%20the%20tests", "%7B%22object%22:1%7D"),
    ] {
        let answer = scene.house.plain().request("GET", &query(token, challenge), &[], &[]).unwrap();
        assert!((400..500).contains(&answer.status), "{token:?} {challenge:?}: {}", answer.status);
        assert!(!answer.text().contains("script"));
    }
    assert_eq!(scene.stored(), 0.0);
    scene.house.metrics().no_panics();
}

#[test]
fn what_is_not_proven_or_not_well_formed_is_refused_and_stores_nothing() {
    let scene = Scene::new();
    let good = signed(BODY);
    let flipped = good.replacen(&good[10..11], if &good[10..11] == "0" { "1" } else { "0" }, 1);
    let short = &good[..good.len() - 2];
    let (sha1, twice) = (good.replace("sha256", "sha1"), format!("{good}\r\nX-Hub-Signature-256: {good}"));
    let big = vec![b' '; 40 * 1024 * 1024];
    let length = BODY.len();
    let host = "Host: localhost\r\n";
    let sign = format!("X-Hub-Signature-256: {good}\r\n");
    let rows: Vec<(&str, String, &[u8], u16)> = vec![
        ("no signature", format!("POST /meta HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n"), BODY, 401),
        ("a flipped signature", post(host, &format!("X-Hub-Signature-256: {flipped}\r\n"), length), BODY, 401),
        ("a short signature", post(host, &format!("X-Hub-Signature-256: {short}\r\n"), length), BODY, 401),
        ("an empty signature", post(host, "X-Hub-Signature-256:\r\n", length), BODY, 401),
        ("another scheme", post(host, &format!("X-Hub-Signature-256: {sha1}\r\n"), length), BODY, 401),
        ("two signatures", post(host, &format!("X-Hub-Signature-256: {twice}\r\n"), length), BODY, 401),
        ("another body", post(host, &sign, 2), b"{}", 401),
        ("no such path", post(host, &sign, length).replace("/meta", "/other"), BODY, 404),
        ("a deeper path", post(host, &sign, length).replace("/meta", "/meta/x"), BODY, 404),
        ("a method that Meta never uses", post(host, &sign, length).replace("POST", "PUT"), BODY, 405),
        ("no Host", post("", &sign, length), BODY, 400),
        ("two Hosts", post("Host: localhost\r\nHost: other\r\n", &sign, length), BODY, 400),
        (
            "a length and chunks",
            post(host, &format!("{sign}Transfer-Encoding: chunked\r\n"), length),
            b"5\r\nhello\r\n0\r\n\r\n",
            400,
        ),
        ("two lengths", post(host, &format!("{sign}Content-Length: 3\r\n"), length), BODY, 400),
        ("a length that is no number", post(host, &sign, length).replace(&length.to_string(), "ten"), BODY, 400),
        ("chunks that are none", chunked(host, &sign), b"zz\r\nhello\r\n", 400),
        ("a declared body over the limit", post(host, &sign, big.len()), b"", 413),
        ("a head over the limit", post(host, &format!("X-Long: {}\r\n", "y".repeat(200_000)), length), b"", 431),
        ("no HTTP at all", "\u{16}\u{3}\u{1}nonsense\r\n\r\n".to_owned(), b"", 400),
    ];
    for (name, head, body, status) in rows {
        let mut client = scene.house.plain();
        // The other side may have closed while the rest was still being written.
        drop(client.write(&[head.as_bytes(), body].concat()));
        let answer = client.answer().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    assert_eq!(scene.stored(), 0.0);
    let canary = &BODY[..40];
    for (path, bytes) in scene.estate.journal_bytes() {
        assert!(!bytes.windows(canary.len()).any(|window| window == canary), "{} holds a body", path.display());
    }
    assert_eq!((scene.one.count(), scene.two.count()), (0, 0));
    scene.house.metrics().no_panics();
}

fn post(host: &str, headers: &str, length: usize) -> String {
    format!("POST /meta HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\n\r\n")
}

fn chunked(host: &str, headers: &str) -> String {
    format!("POST /meta HTTP/1.1\r\n{host}{headers}Transfer-Encoding: chunked\r\n\r\n")
}

#[test]
fn a_proven_body_that_is_no_json_is_stored_and_carried_whole() {
    let scene = Scene::new();
    let body = b"\xff\xfe not json at all \x00";
    let answer = scene.house.plain().post("/meta", &[("X-Hub-Signature-256", &signed(body))], body).unwrap();
    assert_eq!(answer.status, 200);
    eventually("both deliveries", || scene.one.count() == 1 && scene.two.count() == 1);
    assert_eq!(scene.one.arrivals()[0].body, body);
    let metrics = scene.house.metrics();
    assert_eq!(metrics.value("porteiro_unreadable_events_total", &[("source", "whatsapp")]), 1.0);
    metrics.no_panics();
}
