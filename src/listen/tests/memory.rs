//! What a connection costs at most is measured, whatever its peer does.

use std::io::{Read, Write};
use std::net::TcpStream as Plain;
use std::sync::mpsc;

use http_body_util::BodyExt;

use super::*;

const PEERS: usize = 24;

/// A head that is as large as may be but for its last two bytes, with as many fields as may be.
fn head(limits: &Limits) -> Vec<u8> {
    let mut head = b"POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000000\r\n".to_vec();
    let each = (limits.head_size - 512 - head.len()) / (limits.headers - 8);
    for number in 0..limits.headers - 8 {
        let name = format!("x-{number}: ");
        head.extend_from_slice(name.as_bytes());
        head.resize(head.len() + each - name.len() - 2, b'v');
        head.extend_from_slice(b"\r\n");
    }
    head
}

/// A peer's way: a handshake, a head in two pieces, and as much of a body as is taken from it.
fn peer(address: SocketAddr, tls: bool, limits: Limits) -> (Plain, Option<rustls::ClientConnection>) {
    let mut socket = Plain::connect(address).unwrap();
    let mut client = tls.then(|| {
        let name = ServerName::try_from("localhost").unwrap();
        rustls::ClientConnection::new(Arc::new(tls::tests::client()), name).unwrap()
    });
    let head = head(&limits);
    let mut say = |bytes: &[u8]| match &mut client {
        Some(client) => rustls::Stream::new(client, &mut socket).write_all(bytes),
        None => socket.write_all(bytes),
    };
    say(&head).unwrap();
    say(b"\r\n").unwrap();
    // Records as large as they may be, until the listener takes no more.
    socket.set_nonblocking(true).unwrap();
    let body = vec![b'b'; 64 << 10];
    for _ in 0..100 {
        let said = match &mut client {
            Some(client) => rustls::Stream::new(client, &mut socket).write_all(&body),
            None => socket.write_all(&body),
        };
        if said.is_err() {
            break;
        }
    }
    (socket, client)
}

/// Bytes that one connection takes at its worst.
fn measured(tls: bool, limits: Limits) -> u64 {
    let ready = tls.then(tls::tests::localhost);
    let (tell, told) = mpsc::channel::<SocketAddr>();
    let peers = std::thread::spawn(move || {
        let address = told.recv().unwrap();
        let held: Vec<_> = (0..PEERS).map(|_| peer(address, tls, limits)).collect();
        for (mut socket, _) in held {
            // The answer comes when all of them are there.
            socket.set_nonblocking(false).unwrap();
            drop(socket.read(&mut [0; 16]));
        }
    });
    let info = allocation_counter::measure(|| {
        run(async {
            let (metrics, drain) = (Metrics::new(), Drain::new());
            let door = Door {
                name: "test".into(),
                tls: ready,
                limits,
                metrics: metrics.listener("test", CLOSINGS),
                house: metrics.house(),
                clock: Clock::system(),
                drain: drain.clone(),
            };
            let bound = Bound::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 64).unwrap();
            tell.send(bound.address().unwrap()).unwrap();
            let held = Arc::new(tokio::sync::Barrier::new(PEERS));
            let answer = move |_: IpAddr, mut request: Request<Inflow>| {
                let held = Arc::clone(&held);
                async move {
                    // A piece is held, as by a body that may not go on, and the next ones come.
                    let piece = request.body_mut().frame().await;
                    held.wait().await;
                    drop((piece, request));
                    Response::new(Full::new(Bytes::new()))
                }
            };
            tokio::task::spawn_local(door.open(bound, answer));
            let listener = metrics.listener("test", CLOSINGS);
            let mut turns = 0_u64;
            while listener.accepted.get() < PEERS as u64 || listener.open.get() > 0 {
                turns += 1;
                assert!(turns < 50_000_000, "the peers never came to their end");
                tokio::task::yield_now().await;
            }
        });
    });
    peers.join().unwrap();
    info.bytes_max / PEERS as u64
}

#[test]
fn a_connection_costs_no_more_than_is_said() {
    let usual = Limits::default();
    let large = Limits { head_size: 64 << 10, headers: 512, ..usual };
    for limits in [usual, large] {
        for tls in [false, true] {
            let (measured, said) = (measured(tls, limits), limits.connection_bytes(tls));
            println!("{tls} {}: {measured} bytes, {said} are said", limits.head_size);
            assert!(measured <= said, "{tls} {limits:?}: {measured} bytes, and {said} are said");
            assert!(measured >= said / 3, "{tls} {limits:?}: {measured} bytes, where {said} are said");
        }
    }
}
