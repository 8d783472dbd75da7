use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, Method};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::alarm::Alarm;
use super::super::plan::Plan;
use super::super::request::{Facts, Names};
use super::super::tls::Roots;
use super::super::upstream::{Act, OK, Upstream, answer, answers, nobody};
use super::*;
use crate::clock::Timestamp;
use crate::event::Head;
use crate::retry::Fault::{Answer, Broken, Connect, Dns, Timeout, Tls};
use crate::verify::Credential;

/// What one attempt came to, in short.
#[derive(Debug, PartialEq)]
enum Short {
    Delivered(u16),
    Event(u16),
    Fault(Fault),
    Stopped,
    Unsendable,
}

use Short::{Delivered, Event};

/// Whoever tries, with their connection.
struct Trier {
    to: Destination,
    network: Network,
    kit: Kit,
    alarm: Alarm,
    stop: OnceLock<Instant>,
    deadline: Duration,
    method: Method,
    body: Vec<Bytes>,
    kept: Bytes,
    /// Whether the last attempt ended before its deadline.
    in_time: bool,
}

impl Trier {
    fn new(plan: Plan) -> Self {
        let to = Destination::build(plan, &mut Roots::default()).unwrap();
        let alarm = Alarm::new(Instant::now());
        Self {
            to,
            network: Network::default(),
            kit: Kit::default(),
            alarm,
            stop: OnceLock::new(),
            deadline: Duration::from_secs(20),
            method: Method::POST,
            body: vec![Bytes::from_static(b"he"), Bytes::from_static(b"llo")],
            kept: Bytes::new(),
            in_time: false,
        }
    }

    fn of(upstream: &Upstream) -> Self {
        Self::new(Plan::new("crm", &upstream.url("/hook")))
    }

    async fn attempt(&mut self) -> Short {
        self.attempt_with(&Head::encode(&self.method, "", "", &HeaderMap::new(), &Credential::NONE)).await
    }

    async fn attempt_with(&mut self, head: &[u8]) -> Short {
        let facts = Facts { event_id: [7; 16], attempt: 1, accepted: Timestamp::ZERO, span: 1 };
        let parcel = Parcel { head, body: &self.body, facts, names: Names::default() };
        let deadline = Instant::now() + self.deadline;
        let mut limits = Limits { alarm: &mut self.alarm, deadline, stop: &self.stop };
        let ended = attempt(&self.to, &mut self.kit, &mut limits, (&Clock::system(), &self.network), &parcel).await;
        self.in_time = Instant::now() < deadline;
        match ended {
            Ended::Stopped => Short::Stopped,
            Ended::Unsendable(_) => Short::Unsendable,
            Ended::Heard(heard) => {
                self.kept = heard.answer;
                match heard.outcome {
                    Outcome::Delivered { status } => Delivered(status),
                    Outcome::Event { status, .. } => Event(status),
                    Outcome::Destination { fault, .. } => Short::Fault(fault),
                }
            }
        }
    }
}

/// One connection that is answered with this text, and then left open: what it comes to, and whether the connection is
/// kept.
async fn check(text: &str, expected: Short, kept: bool) {
    let upstream = Upstream::new(vec![vec![Act::Read, Act::Write(text.as_bytes().to_vec()), Act::Hang]]).await;
    let mut trier = Trier::of(&upstream);
    let shown = &text[..text.len().min(60)];
    assert_eq!(trier.attempt().await, expected, "{shown:?}");
    assert_eq!(trier.kit.line.is_some(), kept, "{shown:?}");
    assert_eq!(upstream.counts(), [1], "{shown:?}");
}

#[tokio::test]
async fn an_answer_is_judged_by_its_status_and_its_connection_kept_where_it_can_be() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Delivered(200), true),
        ("HTTP/1.1 204 No Content\r\n\r\n", Delivered(204), true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Delivered(200), true),
        (
            "HTTP/1.1 202 \r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n",
            Delivered(202),
            true,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 201 C\r\ncontent-length: 0\r\n\r\n",
            Delivered(201),
            true,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", Delivered(200), false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", Delivered(200), false),
        // More than was announced: whatever it is, it is no answer to the next request.
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Delivered(200), false),
        ("HTTP/1.1 301 Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", Event(301), true),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", Event(304), true),
        ("HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n", Event(400), true),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", Event(410), true),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", Event(500), true),
        ("HTTP/1.1 408 Slow\r\ncontent-length: 0\r\n\r\n", Short::Fault(Answer(408)), true),
        ("HTTP/1.1 429 Many\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", Short::Fault(Answer(429)), true),
        ("HTTP/1.1 502 Bad\r\ncontent-length: 0\r\n\r\n", Short::Fault(Answer(502)), true),
        ("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", Short::Fault(Answer(503)), true),
        ("HTTP/1.1 504 No\r\ncontent-length: 0\r\n\r\n", Short::Fault(Answer(504)), true),
    ];
    for (text, expected, kept) in cases {
        check(text, expected, kept).await;
    }
}

#[tokio::test]
async fn what_is_no_answer_is_the_destinations_fault() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(200));
    let long = format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "b".repeat(64 << 10));
    let cases = [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "<html>\r\n\r\n",
        "HTTP/1.1 two hundred\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header : 1\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        // Nobody asked for another protocol.
        "HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        &"HTTP/1.1 100 Continue\r\n\r\n".repeat(9),
        &many,
        &long,
    ];
    for text in cases {
        check(text, Short::Fault(Broken), false).await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_counts_once_its_head_is_there() {
    let broken = |text: &str, end: Act| vec![Act::Read, Act::Write(text.as_bytes().to_vec()), end];
    let cases = [
        (vec![Act::Read, Act::Reset], Short::Fault(Broken)),
        (vec![Act::Read], Short::Fault(Broken)),
        (broken("HTTP/1.1 200 OK\r\ncontent-le", Act::Reset), Short::Fault(Broken)),
        (vec![Act::Read, Act::Write(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())], Short::Fault(Broken)),
        (broken("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", Act::Reset), Delivered(200)),
        (answer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), Delivered(200)),
        (answer("HTTP/1.1 200 OK\r\n\r\nuntil the end"), Delivered(200)),
        (broken("HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Act::Hang), Event(500)),
    ];
    for (script, expected) in cases {
        let shown = format!("{script:?}");
        let upstream = Upstream::new(vec![script]).await;
        let mut trier = Trier::of(&upstream);
        assert_eq!(trier.attempt().await, expected, "{shown}");
        assert!(trier.kit.line.is_none(), "{shown}");
        assert_eq!(upstream.counts(), [1], "a fresh connection is not tried twice: {shown}");
    }
}

#[tokio::test]
async fn of_a_failed_answer_one_kibibyte_is_kept_and_of_a_success_nothing() {
    let body = "x".repeat(3000);
    let cases = [
        (format!("HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n{body}"), Delivered(200), 0, true),
        (format!("HTTP/1.1 500 Oh\r\ncontent-length: 3000\r\n\r\n{body}"), Event(500), 1024, true),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nwhy".to_owned(), Event(500), 3, true),
        (format!("HTTP/1.1 500 Oh\r\ncontent-length: 99999999\r\n\r\n{body}"), Event(500), 1024, false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_owned(), Delivered(200), 0, false),
    ];
    for (text, expected, kept, usable) in cases {
        let upstream = Upstream::new(vec![vec![Act::Read, Act::Write(text.clone().into_bytes()), Act::Hang]]).await;
        let mut trier = Trier::of(&upstream);
        assert_eq!(trier.attempt().await, expected, "{}", &text[..40]);
        assert_eq!((trier.kept.len(), trier.kit.line.is_some()), (kept, usable), "{}", &text[..40]);
        assert!(trier.in_time, "{}", &text[..40]);
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    for (head, expected) in [("200 OK", Delivered(200)), ("500 Oh", Event(500))] {
        let head = format!("HTTP/1.1 {head}\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("400\r\n{}\r\n", "x".repeat(1024)).into_bytes();
        let gone = Arc::new(Notify::new());
        let script = vec![Act::Read, Act::Write(head.into_bytes()), Act::Flood(chunk), Act::Tell(Arc::clone(&gone))];
        let upstream = Upstream::new(vec![script]).await;
        let mut trier = Trier::of(&upstream);
        assert_eq!(trier.attempt().await, expected);
        assert!(trier.kit.line.is_none() && trier.in_time);
        // The connection is closed, not left to fill.
        gone.notified().await;
    }
}

#[tokio::test]
async fn who_refuses_before_they_have_read_everything_does_not_get_the_rest() {
    let text = "HTTP/1.1 413 Too much\r\ncontent-length: 3\r\n\r\nno!";
    let never = Arc::new(Notify::new());
    let upstream = Upstream::new(vec![vec![Act::Write(text.into()), Act::Wait(never)]]).await;
    let mut trier = Trier::of(&upstream);
    trier.body = vec![vec![0; 16 << 20].into()];
    assert_eq!(trier.attempt().await, Event(413));
    assert!(trier.in_time && trier.kit.line.is_none() && &trier.kept[..] == b"no!");
}

#[tokio::test]
async fn the_answer_to_a_head_request_is_only_a_head() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let upstream = Upstream::new(vec![answers(text)]).await;
    let mut trier = Trier::of(&upstream);
    trier.method = Method::HEAD;
    for count in 1..=3 {
        assert_eq!(trier.attempt().await, Delivered(200));
        assert_eq!(upstream.counts(), [count], "on one connection");
    }
}

#[tokio::test]
async fn the_room_for_a_large_head_is_not_kept() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut trier = Trier::of(&upstream);
    for (length, kept) in [(1 << 10, true), (64 << 10, false), (1 << 10, true)] {
        let headers = HeaderMap::from_iter([(http::header::COOKIE, "c".repeat(length).parse().unwrap())]);
        let head = Head::encode(&Method::POST, "", "", &headers, &Credential::NONE);
        assert_eq!(trier.attempt_with(&head).await, Delivered(200));
        assert_eq!(trier.kit.head.capacity() > 0, kept, "{length}");
        assert!(trier.kit.head.capacity() <= HEAD_ROOM);
    }
}

#[tokio::test]
async fn a_used_connection_that_was_closed_is_replaced_once_and_is_no_fault() {
    let go = Arc::new(Notify::new());
    let closed = |after: Vec<Act>| {
        let mut script = answer(OK);
        script.extend(after);
        script
    };
    // Closed or reset after the first answer, before or after the second request was read.
    let firsts = [
        closed(vec![]),
        closed(vec![Act::Wait(Arc::clone(&go))]),
        closed(vec![Act::Read]),
        closed(vec![Act::Read, Act::Reset]),
    ];
    for first in firsts {
        let shown = format!("{first:?}");
        let upstream = Upstream::new(vec![first, [answer(OK), vec![Act::Hang]].concat()]).await;
        let mut trier = Trier::of(&upstream);
        assert_eq!(trier.attempt().await, Delivered(200), "{shown}");
        go.notify_one();
        assert_eq!(trier.attempt().await, Delivered(200), "{shown}");
        assert_eq!(upstream.counts().len(), 2, "{shown}");
        assert_eq!(upstream.counts()[1], 1, "{shown}");
    }
}

#[tokio::test]
async fn a_used_connection_that_began_to_answer_is_a_fault() {
    let first = [answer(OK), answer("HTTP/1.1 200"), vec![Act::Reset]].concat();
    let upstream = Upstream::new(vec![first, answer(OK)]).await;
    let mut trier = Trier::of(&upstream);
    assert_eq!(trier.attempt().await, Delivered(200));
    assert_eq!(trier.attempt().await, Short::Fault(Broken));
    assert_eq!(upstream.counts(), [2]);
    assert_eq!(trier.attempt().await, Delivered(200), "the next attempt gets a fresh one");
}

#[tokio::test]
async fn the_replacement_of_a_closed_connection_is_not_replaced_again() {
    let upstream = Upstream::new(vec![[answer(OK), vec![Act::Read]].concat(), vec![Act::Read]]).await;
    let mut trier = Trier::of(&upstream);
    assert_eq!(trier.attempt().await, Delivered(200));
    assert_eq!(trier.attempt().await, Short::Fault(Broken));
    assert_eq!(upstream.counts(), [2, 1]);
}

#[tokio::test]
async fn one_connection_serves_one_attempt_after_the_other() {
    let upstream = Upstream::new(vec![vec![answer(OK); 100].concat()]).await;
    let mut trier = Trier::of(&upstream);
    for _ in 0..100 {
        assert_eq!(trier.attempt().await, Delivered(200));
    }
    assert_eq!(upstream.counts(), [100]);
    assert!(upstream.requests()[99].ends_with("\r\n\r\nhello"));
}

/// One attempt at a destination that does this and then hangs. When it does, and all that it sent was read, time begins
/// to pass as fast as nothing happens.
async fn hanging(mut script: Vec<Act>, stop: Option<Duration>) -> (Short, Trier) {
    let hangs = Arc::new(Notify::new());
    script.extend([Act::Tell(Arc::clone(&hangs)), Act::Hang]);
    let upstream = Upstream::new(vec![script]).await;
    let mut trier = Trier::of(&upstream);
    if let Some(stop) = stop {
        trier.stop.set(Instant::now() + stop).unwrap();
    }
    let passing = async {
        hangs.notified().await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
    };
    let (short, ()) = tokio::join!(trier.attempt(), passing);
    tokio::time::resume();
    (short, trier)
}

#[tokio::test]
async fn an_attempt_ends_at_its_deadline_whatever_it_waits_for() {
    let head = b"HTTP/1.1 500 Oh\r\ncontent-length: 10\r\n\r\n1".to_vec();
    let cases = [
        (vec![], Short::Fault(Timeout)),
        (vec![Act::Read], Short::Fault(Timeout)),
        (vec![Act::Read, Act::Write(b"HTTP/1.1 2".to_vec())], Short::Fault(Timeout)),
        // The status is known; what is missing of the body changes nothing.
        (vec![Act::Read, Act::Write(head)], Event(500)),
    ];
    for (script, expected) in cases {
        let shown = format!("{script:?}");
        // The house closes, but would wait longer.
        for stop in [None, Some(Duration::from_secs(40))] {
            let began = Instant::now();
            let (short, trier) = hanging(script.clone(), stop).await;
            assert_eq!(short, expected, "{shown}");
            assert!(trier.kit.line.is_none(), "{shown}");
            assert!(began.elapsed() >= trier.deadline, "{shown}");
        }
    }
}

#[tokio::test]
async fn an_attempt_that_the_house_cannot_wait_for_is_nobodys_fault() {
    let stop = Some(Duration::from_secs(10));
    assert_eq!(hanging(vec![Act::Read], stop).await.0, Short::Stopped);
    assert_eq!(hanging(vec![], stop).await.0, Short::Stopped);
    // But an answer that was heard is not forgotten.
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n1";
    assert_eq!(hanging(vec![Act::Read, Act::Write(text.into())], stop).await.0, Delivered(200));
}

#[tokio::test]
async fn without_a_connection_it_is_known_why() {
    let (_kept, nobody) = nobody();
    let plain = Upstream::new(vec![vec![Act::Write(b"HTTP/1.1 400 no TLS here\r\n\r\n".to_vec()), Act::Hang]]).await;
    let pin = super::super::tls::Pin::parse(&"00".repeat(32)).unwrap();
    let cases = [(format!("http://{nobody}/"), Connect), (format!("https://{}/", plain.address), Tls)];
    for (url, fault) in cases {
        let trust = super::super::tls::Trust::Pinned(vec![pin]);
        let mut trier = Trier::new(Plan { trust, ..Plan::new("crm", &url) });
        assert_eq!(trier.attempt().await, Short::Fault(fault), "{url}");
        assert!(trier.kit.line.is_none());
    }
    let mut trier = Trier::new(Plan::new("crm", "http://crm.example/"));
    // Longer than a name may be: no resolver has to be asked.
    trier.to.door.host = "x".repeat(300).into();
    assert_eq!(trier.attempt().await, Short::Fault(Dns));
}

#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    // Accepts, and never speaks TLS.
    let mute = Upstream::new(vec![vec![Act::Hang]]).await;
    let trust = super::super::tls::Trust::Pinned(vec![super::super::tls::Pin::parse(&"00".repeat(32)).unwrap()]);
    let connect = Duration::from_millis(20);
    let url = format!("https://{}/", mute.address);
    let mut trier = Trier::new(Plan { trust: trust.clone(), connect, ..Plan::new("crm", &url) });
    assert_eq!(trier.attempt().await, Short::Fault(Connect), "nothing was sent that could have made it slow");
    let mut trier = Trier::new(Plan { trust, ..Plan::new("crm", &url) });
    trier.deadline = connect;
    assert_eq!(trier.attempt().await, Short::Fault(Connect), "nor within the attempt's own deadline");
}

#[tokio::test]
async fn what_cannot_be_put_into_a_request_reaches_nobody() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut trier = Trier::of(&upstream);
    assert_eq!(trier.attempt().await, Delivered(200));
    assert_eq!(trier.attempt_with(b"\xff").await, Short::Unsendable);
    assert_eq!(trier.attempt().await, Delivered(200));
    assert_eq!(upstream.counts(), [2], "and costs no connection");
}
