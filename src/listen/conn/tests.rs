use std::sync::Mutex;

use http_body_util::BodyExt;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::*;

mod smuggling;

/// One connection under test, on a paused clock: waiting costs no time.
struct Peer {
    stream: DuplexStream,
    served: JoinHandle<Option<Closing>>,
    seen: Arc<Mutex<Vec<String>>>,
    drain: Drain,
}

/// Answers with the path; what stands in it decides how much of the body is read first.
async fn answer(request: Request<Inflow>, seen: Arc<Mutex<Vec<String>>>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let both = request.headers().contains_key(CONTENT_LENGTH) && request.headers().contains_key(TRANSFER_ENCODING);
    seen.lock().unwrap().push(if both { format!("{path} both") } else { path.clone() });
    if path.starts_with("/early") {
        return Response::builder().status(403).body(Full::new(Bytes::from(path))).unwrap();
    }
    if path.starts_with("/never") {
        drop(request.into_body().collect().await);
        let gone = Gone(seen);
        std::future::pending::<()>().await;
        drop(gone);
        return Response::default();
    }
    if path.starts_with("/later") {
        drop(request.into_body().collect().await);
        sleep_until(Instant::now() + SHUT / 2).await;
        return Response::new(Full::new(Bytes::from(path)));
    }
    let body = request.into_body().collect().await;
    let length = body.map_or(0, |body| body.to_bytes().len());
    Response::new(Full::new(Bytes::from(format!("{path} {length}"))))
}

/// Tells that an answer is not worked at any more.
struct Gone(Arc<Mutex<Vec<String>>>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.lock().unwrap().push("gone".to_owned());
    }
}

impl Peer {
    fn connect() -> Self {
        Self::with_room(64 * 1024)
    }

    fn with_room(room: usize) -> Self {
        let (stream, ours) = tokio::io::duplex(room);
        let (drain, seen) = (Drain::new(), Arc::default());
        let served = drain.spawn({
            let (drain, seen) = (drain.clone(), Arc::clone(&seen));
            async move {
                let limits = Limits::default();
                serve(ours, &http(&limits), &limits, &drain, |request| answer(request, Arc::clone(&seen))).await
            }
        });
        Self { stream, served, seen, drain }
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    /// Reads until the text has come.
    async fn hears(&mut self, text: &str) -> String {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&heard).ends_with(text) {
            let read = self.stream.read(&mut byte).await.unwrap();
            assert_eq!(read, 1, "the end, after {:?}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&byte);
        }
        String::from_utf8(heard).unwrap()
    }

    /// Reads until the end, and tells why it came.
    async fn ends(mut self) -> (String, Option<Closing>) {
        let mut heard = Vec::new();
        drop(self.stream.read_to_end(&mut heard).await);
        (String::from_utf8(heard).unwrap(), self.served.await.unwrap())
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn answers_one_request_after_the_other() {
    let mut peer = Peer::connect();
    for _ in 0..3 {
        peer.send(GET).await;
        let heard = peer.hears("/a 0").await;
        assert!(heard.starts_with("HTTP/1.1 200 OK\r\n") && !heard.contains("connection"), "{heard}");
    }
    peer.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").await;
    peer.hears("/b 5").await;
    peer.stream.shutdown().await.unwrap();
    assert_eq!(peer.ends().await, (String::new(), None));
}

#[tokio::test(start_paused = true)]
async fn answers_pipelined_requests_in_their_order() {
    let mut peer = Peer::connect();
    let post = "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    peer.send(format!("{GET}{post}\r\n{GET}{post}GET /c HTTP/1.1\r\nHost")).await;
    for text in ["/a 0", "/b 5", "/a 0", "/b 5"] {
        peer.hears(text).await;
    }
    peer.send(": x\r\n\r\n").await;
    peer.hears("/c 0").await;
}

const NEVER: &str = "POST /never HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_worked_at_for_a_peer_that_is_gone() {
    for request in [
        NEVER,
        "GET /never HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /never HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut peer = Peer::connect();
        let began = Instant::now();
        peer.send(request).await;
        let Peer { stream, served, seen, .. } = peer;
        drop(stream);
        assert_eq!(served.await.unwrap(), None, "{request}");
        assert_eq!(*seen.lock().unwrap(), ["/never", "gone"], "{request}");
        assert!(began.elapsed() < 2 * SHUT, "{request}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_sending_still_hears_an_answer_that_comes_soon() {
    for (request, heard) in [("/later", "/later"), ("/never", "")] {
        let mut peer = Peer::connect();
        peer.send(format!("POST {request} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")).await;
        peer.stream.shutdown().await.unwrap();
        let (text, why) = peer.ends().await;
        assert!(text.ends_with(heard) && text.is_empty() == heard.is_empty() && why.is_none(), "{request}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_an_answer_is_due_is_read_after_it() {
    let mut peer = Peer::connect();
    peer.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep_until(Instant::now() + SHUT / 4).await;
    for byte in GET.as_bytes() {
        peer.send([*byte]).await;
        sleep_until(Instant::now() + SHUT / 1000).await;
    }
    peer.hears("/later").await;
    peer.hears("/a 0").await;
    peer.send(GET).await;
    peer.hears("/a 0").await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_gives_back_its_buffers_and_answers_again() {
    let mut peer = Peer::connect();
    for _ in 0..3 {
        peer.send(GET).await;
        peer.hears("/a 0").await;
        tokio::time::advance(PARK_AFTER * 3).await;
        // The end of a body that an old client puts an empty line behind.
        peer.send("\r\n").await;
        tokio::time::advance(PARK_AFTER * 3).await;
    }
    assert_eq!(peer.seen.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn every_silence_ends_by_its_deadline() {
    let limits = Limits::default();
    let cases: [(&str, Duration, Closing, usize); 5] = [
        ("", limits.head, Closing::Silent, 0),
        ("G", limits.head, Closing::Head, 0),
        ("GET /a HTTP/1.1\r\nHost: x\r\n", limits.head, Closing::Head, 0),
        (GET, limits.idle, Closing::Idle, 1),
        ("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n", limits.head, Closing::Head, 1),
    ];
    for (text, patience, expected, answers) in cases {
        let mut peer = Peer::connect();
        let start = Instant::now();
        peer.send(text).await;
        let (heard, why) = peer.ends().await;
        assert_eq!(why, Some(expected), "{text:?}");
        assert_eq!(heard.matches("HTTP/1.1 200").count(), answers, "{text:?}");
        let waited = start.elapsed();
        assert!(waited >= patience && waited < patience + Duration::from_secs(1), "{text:?} {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_not_waited_for() {
    let mut peer = Peer::connect();
    let start = Instant::now();
    let mut sent = 0;
    for byte in format!("GET / HTTP/1.1\r\nHost: {}", "x".repeat(200)).bytes() {
        if peer.stream.write_all(&[byte]).await.is_err() {
            break;
        }
        sent += 1;
        tokio::time::advance(Duration::from_millis(500)).await;
    }
    assert!(start.elapsed() < Limits::default().head * 2, "{sent} bytes in {:?}", start.elapsed());
    assert_eq!(peer.ends().await.1, Some(Closing::Head));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_their_answers_is_let_go() {
    let mut peer = Peer::with_room(256);
    let start = Instant::now();
    for _ in 0..64 {
        if timeout(Duration::from_secs(60), peer.stream.write_all(GET.as_bytes())).await.is_err() {
            break;
        }
    }
    assert_eq!(peer.ends().await.1, Some(Closing::Flush));
    assert!(start.elapsed() <= Duration::from_secs(61));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_http_is_refused_and_closed() {
    let cases: [(String, &str); 8] = [
        ("\u{16}\u{3}\u{1}\r\n\r\n".into(), "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), ""),
        ("GET /a\r\n\r\n".into(), "400"),
        ("GET /a HTTP/1.1\r\nHost : x\r\n\r\n".into(), "400"),
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n".into(), "400"),
        ("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n".into(), "400"),
        (format!("GET /a HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(17_000)), "431"),
        (format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65)), "431"),
    ];
    for (text, status) in cases {
        let mut peer = Peer::connect();
        peer.send(&text).await;
        let seen = Arc::clone(&peer.seen);
        let (heard, why) = peer.ends().await;
        let line = text.lines().next().unwrap_or_default();
        assert!(
            heard.is_empty() == status.is_empty() && heard.starts_with("HTTP/1.1 ") | heard.is_empty(),
            "{line} {heard}"
        );
        assert!(heard.contains(status), "{line} {heard}");
        assert_eq!(why, Some(Closing::BadHead), "{line}");
        assert!(seen.lock().unwrap().is_empty(), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn length_with_coding_is_shown_to_the_answer_and_ends_the_connection() {
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: 4\r\nContent-Length: 4",
    ] {
        let mut peer = Peer::connect();
        peer.send(format!("POST /b HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n0\r\n\r\n{GET}")).await;
        let seen = Arc::clone(&peer.seen);
        let (heard, _) = peer.ends().await;
        assert_eq!(*seen.lock().unwrap(), ["/b both"], "{fields}");
        assert!(heard.contains("connection: close\r\n"), "{heard}");
        assert_eq!(heard.matches("HTTP/1.1").count(), 1, "{heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunked_request_is_read_and_is_the_last() {
    let mut peer = Peer::connect();
    peer.send(format!("POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{GET}"))
        .await;
    let seen = Arc::clone(&peer.seen);
    let (heard, why) = peer.ends().await;
    assert!(heard.ends_with("/b 5") && heard.contains("connection: close\r\n"), "{heard}");
    assert_eq!((seen.lock().unwrap().as_slice(), why), (&["/b".to_owned()][..], None));
}

#[tokio::test(start_paused = true)]
async fn an_old_client_gets_one_answer() {
    for fields in ["", "Connection: keep-alive\r\n"] {
        let mut peer = Peer::connect();
        peer.send(format!("GET /a HTTP/1.0\r\n{fields}\r\nGET /b HTTP/1.0\r\n\r\n")).await;
        let (heard, why) = peer.ends().await;
        assert!(heard.ends_with("/a 0") && !heard.contains("keep-alive"), "{heard}");
        assert_eq!(why, None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_is_heard_while_the_rest_is_thrown_away() {
    let mut peer = Peer::with_room(4 * 1024);
    peer.send("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n").await;
    let heard = peer.hears("/early").await;
    assert!(heard.starts_with("HTTP/1.1 403") && heard.contains("connection: close\r\n"), "{heard}");
    // The client goes on sending all the same, and is not cut off.
    peer.send(vec![b'x'; 500_000]).await;
    assert_eq!(peer.ends().await, (String::new(), None));
}

#[tokio::test(start_paused = true)]
async fn throwing_away_is_bounded_in_time_and_size() {
    let limits = Limits::default();
    let start = Instant::now();
    let mut silent = Peer::connect();
    silent.send("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nxyz").await;
    assert!(silent.ends().await.0.starts_with("HTTP/1.1 403"));
    assert!(start.elapsed() >= limits.linger && start.elapsed() < limits.linger * 2, "{:?}", start.elapsed());

    let mut endless = Peer::connect();
    endless.send("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 500000000\r\n\r\n").await;
    let mut sent = 0;
    let piece = [b'x'; 16 * 1024];
    while endless.stream.write_all(&piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 4 * limits.linger_size);
    }
    assert!(sent >= limits.linger_size, "{sent}");
}

#[tokio::test(start_paused = true)]
async fn continue_is_said_only_when_the_body_is_wanted() {
    let head = "HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut wanted = Peer::connect();
    wanted.send(format!("POST /b {head}")).await;
    assert_eq!(wanted.hears("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    wanted.send("hello").await;
    wanted.hears("/b 5").await;

    let mut unwanted = Peer::connect();
    let start = Instant::now();
    unwanted.send(format!("POST /early {head}")).await;
    let (heard, why) = unwanted.ends().await;
    assert!(heard.starts_with("HTTP/1.1 403") && heard.contains("connection: close\r\n"), "{heard}");
    assert_eq!((why, start.elapsed()), (None, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn who_stops_sending_still_gets_the_answer() {
    let mut peer = Peer::connect();
    peer.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").await;
    peer.stream.shutdown().await.unwrap();
    let (heard, why) = peer.ends().await;
    assert!(heard.ends_with("/b 5"), "{heard}");
    assert_eq!(why, None);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_within_a_body_ends_it() {
    let mut peer = Peer::connect();
    peer.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhello").await;
    let Peer { stream, served, .. } = peer;
    drop(stream);
    assert_eq!(served.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn when_the_house_closes_the_idle_go_and_the_busy_finish() {
    let (mut fresh, mut idle, mut parked, mut busy) =
        (Peer::connect(), Peer::connect(), Peer::connect(), Peer::connect());
    parked.send(GET).await;
    parked.hears("/a 0").await;
    tokio::time::advance(PARK_AFTER * 2).await;
    idle.send(GET).await;
    idle.hears("/a 0").await;
    busy.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").await;
    fresh.send("").await;
    while busy.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    for peer in [&fresh, &idle, &parked, &busy] {
        peer.drain.close();
    }
    assert_eq!(fresh.ends().await, (String::new(), None));
    assert_eq!(idle.ends().await, (String::new(), None));
    assert_eq!(parked.ends().await, (String::new(), None));
    busy.send("hello").await;
    let (heard, why) = busy.ends().await;
    assert!(heard.ends_with("/b 5") && heard.contains("connection: close\r\n"), "{heard}");
    assert_eq!((why, start.elapsed()), (None, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_head_under_way_when_the_house_closes_is_still_answered() {
    let mut peer = Peer::connect();
    peer.send("GET /a HTTP/1.1\r\n").await;
    tokio::time::advance(Duration::from_millis(1)).await;
    peer.drain.close();
    tokio::time::advance(Duration::from_millis(1)).await;
    peer.send("Host: x\r\n\r\n").await;
    let (heard, why) = peer.ends().await;
    assert!(heard.ends_with("/a 0") && heard.contains("connection: close\r\n"), "{heard}");
    assert_eq!(why, None);
}

#[tokio::test]
async fn the_state_of_a_connection_is_small() {
    let limits = Limits::default();
    let drain = Drain::new();
    let (stream, _far) = tokio::io::duplex(8);
    let http = http(&limits);
    let future = serve(stream, &http, &limits, &drain, |request| answer(request, Arc::default()));
    let size = size_of_val(&future);
    assert!(size <= 2048, "{size} bytes");
}
