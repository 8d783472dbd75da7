use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::client::Door;
use super::super::plan::{Destination, Plan};
use super::super::tls::{BUFFER, Pin, Roots, Trust};
use super::super::upstream::{Act, Identity, OK, Upstream, answer};
use super::*;
use crate::verify::digest;

const HEAD: &[u8] = b"POST /hook HTTP/1.1\r\nhost: crm\r\ncontent-length: ";

async fn connect(upstream: &Upstream) -> Line {
    let door =
        Door { host: "127.0.0.1".into(), port: upstream.address.port(), tls: None, limit: Duration::from_secs(20) };
    door.open().await.unwrap()
}

async fn connect_tls(upstream: &Upstream, identity: &Identity) -> Line {
    let trust = Trust::Pinned(vec![Pin::parse(&hex(&digest(&[&identity.public_key()]))).unwrap()]);
    let plan = Plan { trust, ..Plan::new("crm", &format!("https://{}/", upstream.address)) };
    Destination::build(plan, &mut Roots::default()).unwrap().door.open().await.unwrap()
}

fn appetite(send_on: bool) -> Appetite {
    Appetite { read: 1 << 16, keep: 1 << 10, send_on, whole: false }
}

/// One exchange, with a body of these pieces: the status, what is kept of the answer, and the line if it can be used again.
async fn exchange(line: Line, pieces: &[Bytes]) -> (u16, Vec<u8>, Option<Line>) {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let head = [HEAD, length.to_string().as_bytes(), b"\r\n\r\n"].concat();
    let mut exchange = Exchange::new(line, &head, pieces, Asked::Whole);
    let found = exchange.send().await.unwrap();
    let mut kept = Vec::new();
    let line = exchange.finish(&mut appetite(found.status == 200), &mut kept).await;
    (found.status, kept, line)
}

/// Ends by itself, whatever does not happen.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

fn pieces(lengths: &[usize]) -> Vec<Bytes> {
    let piece = |(number, length): (usize, &usize)| vec![b'a' + u8::try_from(number % 26).unwrap(); *length].into();
    lengths.iter().enumerate().map(piece).collect()
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn a_body_arrives_whatever_its_pieces_are() {
    let cases: [&[usize]; 9] = [
        &[],
        &[0],
        &[1],
        &[0, 1, 0, 0, 2, 0],
        &[0; 30],
        &[1; 30],
        &[3; PIECES - 1],
        // More than a socket takes at once.
        &[3 << 20],
        &[70_000, 0, 1, 2 << 20, 5, 70_000, 70_000, 70_000, 70_000, 70_000, 0, 9],
    ];
    let identity = Identity::new(|_| {});
    let plain = Upstream::new(vec![vec![answer(OK); 100].concat()]).await;
    let tls = Upstream::tls(vec![vec![answer(OK); 100].concat()], &identity).await;
    for (upstream, mut line) in [(&plain, connect(&plain).await), (&tls, connect_tls(&tls, &identity).await)] {
        for (number, lengths) in cases.into_iter().enumerate() {
            let pieces = pieces(lengths);
            let (status, kept, again) = soon(exchange(line, &pieces)).await;
            assert_eq!((status, kept.len()), (200, 0));
            line = again.expect("another one may follow");
            let request = upstream.requests().pop().unwrap();
            assert!(body(&request).as_bytes() == pieces.concat(), "case {number}");
        }
        assert_eq!(upstream.counts(), [cases.len()]);
    }
}

#[tokio::test]
async fn what_waits_for_the_socket_is_bounded() {
    use std::io::Write as _;
    let identity = Identity::new(|_| {});
    let upstream = Upstream::tls(vec![vec![Act::Hang]], &identity).await;
    let mut line = connect_tls(&upstream, &identity).await;
    let Stream::Tls(stream) = &mut line.stream else { panic!("plain") };
    let mut waiting = 0;
    for _ in 0..10 {
        waiting += stream.get_mut().1.writer().write(&[7; 100_000]).unwrap();
    }
    assert!(waiting <= BUFFER, "{waiting}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn who_refuses_before_they_have_read_everything_is_heard() {
    let no = "HTTP/1.1 413 Too much\r\ncontent-length: 3\r\n\r\nno!";
    let never = Arc::new(Notify::new());
    // Without reading a byte of it: left open, closed, reset.
    for end in [vec![Act::Wait(never)], vec![], vec![Act::Reset]] {
        let upstream = Upstream::new(vec![[vec![Act::Write(no.into())], end].concat()]).await;
        let pieces = pieces(&[16 << 20]);
        let (status, kept, line) = soon(exchange(connect(&upstream).await, &pieces)).await;
        assert_eq!((status, &kept[..]), (413, &b"no!"[..]));
        assert!(line.is_none(), "half a request stands on it");
    }
}

#[tokio::test]
async fn who_takes_it_before_they_have_read_everything_gets_the_rest() {
    let script = vec![Act::Write(OK.into()), Act::Read];
    let upstream = Upstream::new(vec![script]).await;
    let pieces = pieces(&[8 << 20, 1]);
    let (status, _, line) = soon(exchange(connect(&upstream).await, &pieces)).await;
    assert_eq!((status, line.is_some()), (200, true));
    upstream.arrived(1).await;
    assert!(body(&upstream.requests()[0]).len() == (8 << 20) + 1);
}

#[tokio::test]
async fn who_takes_it_and_then_goes_away_has_taken_it() {
    // The rest of the request breaks off on a connection that is gone.
    let upstream = Upstream::new(vec![vec![Act::Write(OK.into()), Act::Reset]]).await;
    let pieces = pieces(&[16 << 20]);
    let (status, _, line) = soon(exchange(connect(&upstream).await, &pieces)).await;
    assert_eq!((status, line.is_none()), (200, true));
}

#[tokio::test]
async fn who_has_no_time_for_anybody_may_say_so_first() {
    let told = Arc::new(Notify::new());
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::new(vec![vec![Act::Write(busy.into()), Act::Tell(Arc::clone(&told)), Act::Hang]]).await;
    let line = connect(&upstream).await;
    told.notified().await;
    assert_eq!(soon(exchange(line, &pieces(&[5]))).await.0, 503);
}

#[tokio::test]
async fn a_line_on_which_nobody_asked_anything_closes_with_the_first_word() {
    let (go, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    // Closed, or with an answer to a request that was not sent yet.
    for unasked in ["", OK, "HTTP/1.1 408 Slow\r\n\r\n", "\r\n"] {
        let after = vec![Act::Wait(Arc::clone(&go)), Act::Write(unasked.into()), Act::Tell(Arc::clone(&told))];
        let script = [answer(OK), after, if unasked.is_empty() { vec![] } else { vec![Act::Hang] }].concat();
        let upstream = Upstream::new(vec![script]).await;
        let line = connect(&upstream).await;
        let mut line = soon(exchange(line, &pieces(&[5]))).await.2.expect("nothing speaks against it yet");
        go.notify_one();
        told.notified().await;
        // The kernel and the runtime tell of it when they do.
        soon(std::future::poll_fn(|context| line.poll_closed(context))).await;
    }
}

#[tokio::test]
async fn a_request_is_not_written_to_a_line_that_was_closed() {
    let (go, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let unasked = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let after = vec![Act::Wait(Arc::clone(&go)), Act::Write(unasked.into()), Act::Tell(Arc::clone(&told)), Act::Hang];
    let upstream = Upstream::new(vec![[answer(OK), after].concat()]).await;
    let line = soon(exchange(connect(&upstream).await, &pieces(&[5]))).await.2.unwrap();
    go.notify_one();
    told.notified().await;
    let Stream::Plain(tcp) = &line.stream else { panic!("plain") };
    tcp.readable().await.unwrap();
    let mut exchange = Exchange::new(line, HEAD, &[], Asked::Whole);
    assert!(matches!(soon(exchange.send()).await, Err(Silence::Unsent)));
    assert!(exchange.is_stale());
    assert_eq!(upstream.counts(), [1]);
}

#[tokio::test]
async fn an_answer_may_come_in_any_number_of_pieces() {
    let text =
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n";
    let pieces_of = |size: usize| text.as_bytes().chunks(size).map(|piece| Act::Write(piece.to_vec()));
    for size in [1, 2, 5, 1000] {
        let script: Vec<_> = [Act::Read].into_iter().chain(pieces_of(size)).chain([Act::Hang]).collect();
        let upstream = Upstream::new(vec![script]).await;
        let (status, kept, line) = soon(exchange(connect(&upstream).await, &pieces(&[5]))).await;
        assert_eq!((status, &kept[..], line.is_some()), (500, &b"abc"[..], true), "{size}");
    }
}

#[tokio::test]
async fn the_room_for_an_answer_grows_to_its_bound_and_no_further() {
    let head = |length: usize| {
        let rest = "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\nx: \r\n\r\n".len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\nx: {}\r\n\r\n{}",
            "y".repeat(length - rest),
            "z".repeat(60_000)
        )
    };
    for (length, room) in [(100, HEAD_MAX), (HEAD_MAX, HEAD_MAX)] {
        let upstream = Upstream::new(vec![vec![Act::Read, Act::Write(head(length).into()), Act::Hang]]).await;
        let (status, kept, line) = soon(exchange(connect(&upstream).await, &pieces(&[5]))).await;
        assert_eq!((status, kept.len()), (200, 1 << 10));
        assert_eq!(line.unwrap().room.capacity(), room);
    }
    let upstream = Upstream::new(vec![answer(OK)]).await;
    assert_eq!(soon(exchange(connect(&upstream).await, &pieces(&[5]))).await.2.unwrap().room.capacity(), ROOM);
}

#[tokio::test]
async fn silence_says_why() {
    let cases = [
        (vec![Act::Read], "closed before the answer was there"),
        (vec![Act::Read, Act::Write(b"HTTP/1.1 200 OK\r\n".to_vec())], "closed before the answer was there"),
        (vec![Act::Read, Act::Write(b"SMTP".to_vec()), Act::Hang], "the answer is not HTTP/1"),
        (vec![Act::Read, Act::Reset], "reset"),
    ];
    for (script, expected) in cases {
        let upstream = Upstream::new(vec![script]).await;
        let head = [HEAD, b"0\r\n\r\n"].concat();
        let mut exchange = Exchange::new(connect(&upstream).await, &head, &[], Asked::Whole);
        let silence = soon(exchange.send()).await.unwrap_err();
        assert!(silence.to_string().contains(expected), "{silence} {expected}");
        assert!(!exchange.is_stale(), "a new line is not replaced");
    }
}
