use std::net::Ipv4Addr;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::metrics::Metrics;

mod memory;

/// A listener on a free port of the loopback.
struct House {
    address: SocketAddr,
    metrics: Arc<ListenerMetrics>,
    drain: Drain,
    open: JoinHandle<io::Result<()>>,
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn house(tls: Option<Tls>, limits: Limits) -> House {
    let metrics = Metrics::new();
    let door = Door {
        name: "test".into(),
        tls,
        limits,
        metrics: metrics.listener("test", CLOSINGS),
        house: metrics.house(),
        clock: Clock::system(),
        drain: Drain::new(),
    };
    let bound = Bound::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 64).unwrap();
    let (address, drain, metrics) = (bound.address().unwrap(), door.drain.clone(), Arc::clone(&door.metrics));
    let answer = |peer: IpAddr, request: Request<Inflow>| async move {
        Response::new(Full::new(Bytes::from(format!("{peer} {}", request.uri().path()))))
    };
    let open = tokio::task::spawn_local(door.open(bound, answer));
    House { address, metrics, drain, open }
}

impl House {
    fn closed(&self, why: Closing) -> u64 {
        self.metrics.closings.total(why.place())
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Lets the listener work until a figure has come.
    async fn until(&self, mut seen: impl FnMut(&Self) -> bool) {
        for _ in 0..1_000_000 {
            if seen(self) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it never came: {:?}", self.metrics);
    }
}

async fn hears<S: tokio::io::AsyncRead + Unpin>(stream: &mut S, end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        let byte = stream.read_u8().await.unwrap_or_else(|_| panic!("the end: {}", String::from_utf8_lossy(&heard)));
        heard.push(byte);
    }
    String::from_utf8(heard).unwrap()
}

/// Runs on one thread: a test waits for events, not for time.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(test));
}

fn run_paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(test));
}

#[test]
fn answers_over_plain_tcp_and_tells_who_asked() {
    run(async {
        let house = house(None, Limits::default());
        let mut stream = house.connect().await;
        for _ in 0..3 {
            stream.write_all(GET).await.unwrap();
            hears(&mut stream, "127.0.0.1 /a").await;
        }
        assert_eq!((house.metrics.open.get(), house.metrics.accepted.get()), (1, 1));
        drop(stream);
        house.until(|house| house.metrics.open.get() == 0).await;
    });
}

#[test]
fn answers_over_tls() {
    run(async {
        let house = house(Some(tls::tests::localhost()), Limits::default());
        let connector = TlsConnector::from(Arc::new(tls::tests::client()));
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, house.connect().await).await.unwrap();
        for _ in 0..3 {
            stream.write_all(GET).await.unwrap();
            hears(&mut stream, "127.0.0.1 /a").await;
        }
        house.drain.close();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("TLS is ended by its own word");
        assert!(rest.is_empty());
        house.drain.finished().await;
    });
}

#[test]
fn one_connection_too_many_is_closed_and_counted_and_the_others_stay() {
    run(async {
        let house = house(None, Limits { connections: 2, ..Limits::default() });
        let (mut one, two) = (house.connect().await, house.connect().await);
        house.until(|house| house.metrics.open.get() == 2).await;
        let mut three = house.connect().await;
        assert_eq!(three.read(&mut [0]).await.unwrap_or(0), 0);
        assert_eq!(house.closed(Closing::Capacity), 1);
        one.write_all(GET).await.unwrap();
        hears(&mut one, "127.0.0.1 /a").await;
        drop(two);
        house.until(|house| house.metrics.open.get() == 1).await;
        let mut four = house.connect().await;
        four.write_all(GET).await.unwrap();
        hears(&mut four, "127.0.0.1 /a").await;
        assert_eq!((house.metrics.accepted.get(), house.closed(Closing::Capacity)), (4, 1));
    });
}

#[test]
fn what_is_no_handshake_is_closed_and_counted() {
    run(async {
        let house = house(Some(tls::tests::localhost()), Limits::default());
        for garbage in [GET, b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02", &[0xff; 512]] {
            let failed = house.closed(Closing::HandshakeFailed);
            let mut stream = house.connect().await;
            stream.write_all(garbage).await.unwrap();
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
            house.until(|house| house.closed(Closing::HandshakeFailed) == failed + 1).await;
            assert!(rest.len() < 16, "an alert at most, not {rest:?}");
        }
        assert_eq!(house.metrics.open.get(), 0);
    });
}

#[test]
fn who_hangs_up_within_the_handshake_is_not_complained_about() {
    run(async {
        let house = house(Some(tls::tests::localhost()), Limits::default());
        let mut stream = house.connect().await;
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        house.until(|house| house.metrics.open.get() == 1).await;
        drop(stream);
        house.until(|house| house.metrics.open.get() == 0).await;
        assert_eq!(CLOSINGS.iter().enumerate().map(|(at, _)| house.metrics.closings.total(at)).sum::<u64>(), 0);
    });
}

#[test]
fn silent_and_slow_handshakes_end_and_are_counted() {
    // The clock stands still and jumps when nobody has anything to do: what waits for it, waits for nothing else.
    run_paused(async {
        let limits = Limits { handshakes: 1, ..Limits::default() };
        let house = house(Some(tls::tests::localhost()), limits);
        let start = tokio::time::Instant::now();
        let mut silent = Vec::new();
        for _ in 0..5 {
            silent.push(house.connect().await);
        }
        let mut slow = house.connect().await;
        slow.write_all(b"\x16").await.unwrap();
        for stream in silent.iter_mut().chain([&mut slow]) {
            drop(stream.read(&mut [0]).await);
        }
        house.until(|house| house.closed(Closing::HandshakeLate) == 6).await;
        let waited = start.elapsed();
        assert!(waited >= limits.handshake && waited < limits.handshake * 2, "{waited:?}");
    });
}

/// The first message of a client that never says more.
fn first_message() -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(tls::tests::client()), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Whether a client is served while 300 others began a handshake with these bytes, for which there are four places.
async fn serves_beside(begun: &[u8]) {
    let house = house(Some(tls::tests::localhost()), Limits { handshakes: 4, ..Limits::default() });
    let mut others = Vec::new();
    for _ in 0..300 {
        let mut other = house.connect().await;
        other.write_all(begun).await.unwrap();
        others.push(other);
    }
    house.until(|house| house.metrics.open.get() == 300).await;
    let connector = TlsConnector::from(Arc::new(tls::tests::client()));
    let name = ServerName::try_from("localhost").unwrap();
    let start = tokio::time::Instant::now();
    let mut stream = connector.connect(name, house.connect().await).await.expect("the honest one");
    stream.write_all(GET).await.unwrap();
    hears(&mut stream, "127.0.0.1 /a").await;
    assert_eq!(house.closed(Closing::HandshakeLate), 0, "nobody was waited for: {:?}", start.elapsed());
}

#[test]
fn who_is_silent_or_slow_in_a_handshake_keeps_nobody_out() {
    let hello = first_message();
    run(async {
        serves_beside(b"").await;
        serves_beside(&hello[..1]).await;
        serves_beside(&hello[..hello.len() - 1]).await;
    });
}

#[test]
fn who_never_answers_in_a_handshake_lends_a_place_for_a_moment_only() {
    run(async {
        let house = house(Some(tls::tests::localhost()), Limits { handshakes: 4, ..Limits::default() });
        let hello = first_message();
        let mut others = Vec::new();
        for _ in 0..8 {
            let mut other = house.connect().await;
            other.write_all(&hello).await.unwrap();
            others.push(other);
        }
        // All eight are answered, though none of the first four ever says a word more.
        for other in &mut others {
            assert_eq!(other.read_u8().await.unwrap(), 0x16);
        }
        assert_eq!(house.closed(Closing::HandshakeLate), 0);
    });
}

#[test]
fn a_first_message_without_an_end_is_not_read_to_it() {
    run(async {
        let house = house(Some(tls::tests::localhost()), Limits::default());
        let mut stream = house.connect().await;
        // Records of a handshake message that is said to be sixty thousand bytes long.
        let mut record = vec![0x16, 3, 1, 0x10, 0];
        record.extend([1, 0, 0xea, 0x60]);
        record.resize(5 + 4096, 0);
        for _ in 0..8 {
            if stream.write_all(&record).await.is_err() {
                break;
            }
            record[5..9].fill(0);
        }
        house.until(|house| house.closed(Closing::HandshakeFailed) == 1).await;
    });
}

#[test]
fn when_the_house_closes_nobody_is_let_in() {
    run(async {
        let house = house(None, Limits::default());
        let mut stream = house.connect().await;
        stream.write_all(GET).await.unwrap();
        hears(&mut stream, "127.0.0.1 /a").await;
        house.drain.close();
        let House { address, drain, open, .. } = house;
        open.await.unwrap().unwrap();
        drain.finished().await;
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    });
}

#[test]
fn an_address_in_use_is_refused_and_one_of_ipv6_takes_ipv4() {
    let first = Bound::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap();
    let again = Bound::new(first.address().unwrap(), 1).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    let both = Bound::new("[::]:0".parse().unwrap(), 1).unwrap();
    let port = both.address().unwrap().port();
    assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
}

#[test]
fn every_closing_has_a_word_of_its_own() {
    let all = [
        Closing::Capacity,
        Closing::HandshakeLate,
        Closing::HandshakeFailed,
        Closing::Silent,
        Closing::Head,
        Closing::BadHead,
        Closing::Idle,
        Closing::Flush,
    ];
    let words: Vec<_> = all.iter().map(|why| why.word()).collect();
    assert_eq!(words, CLOSINGS);
    assert_eq!(Closing::Idle.to_string(), "idle");
}

#[test]
fn trouble_of_the_peer_does_not_pause_the_listener_and_trouble_of_ours_does() {
    use io::ErrorKind;
    for kind in [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::Interrupted] {
        assert!(is_of_the_peer(&kind.into()));
    }
    for errno in [24, 23, 12, 105] {
        assert!(!is_of_the_peer(&io::Error::from_raw_os_error(errno)), "{errno}");
    }
}

#[test]
fn the_task_of_a_connection_is_small() {
    run(async {
        let metrics = Metrics::new();
        let door = Door {
            name: "test".into(),
            tls: Some(tls::tests::localhost()),
            limits: Limits::default(),
            metrics: metrics.listener("test", CLOSINGS),
            house: metrics.house(),
            clock: Clock::system(),
            drain: Drain::new(),
        };
        let bound = Bound::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1).unwrap();
        let stream = TcpStream::connect(bound.address().unwrap()).await.unwrap();
        let inside = Inside::new(door, |_: IpAddr, _: Request<Inflow>| async { Response::new(Full::default()) });
        let size = size_of_val(&inside.connection(stream, Ipv4Addr::LOCALHOST.into()));
        assert!(size <= 2048, "{size} bytes, of which the TLS stream takes {}", size_of::<TlsStream<TcpStream>>());
    });
}
