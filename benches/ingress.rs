//! The way in without wire and disk: what does an accepted event cost, from its request to its reply? And what a repeat,
//! what a forged one?
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on says so by ending")]

#[path = "support/rooms.rs"]
mod rooms;

use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use http::Request;
use http_body_util::Full;
use porteiro::app::Assembly;
use porteiro::journal::{Step, Writer};
use porteiro::snapshot::ListenerId;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn main() {
    divan::main();
}

/// Answers one request, stepping the writer while it waits.
fn answer(assembly: &Assembly, writer: &mut Writer, request: Request<Full<bytes::Bytes>>) -> u16 {
    let mut answer = std::pin::pin!(assembly.ingress.answer(ListenerId(0), PEER, request));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(response) = answer.as_mut().poll(&mut context) {
            return response.status().as_u16();
        }
        assert!(!matches!(writer.step(), Step::Fatal(_)));
        assembly.journal.release();
    }
}

#[divan::bench(args = [150, 4_500, 58_000])]
fn accepted(bencher: Bencher<'_, '_>, text: usize) {
    let directory = tempfile::tempdir().unwrap();
    let (assembly, mut writer) = rooms::rooms(directory.path());
    let mut number = 0;
    let next = || {
        number += 1;
        rooms::request(rooms::body(number, text))
    };
    bencher.with_inputs(next).bench_local_values(|request| assert!(answer(&assembly, &mut writer, request) < 600));
}

#[divan::bench]
fn repeated(bencher: Bencher<'_, '_>) {
    let directory = tempfile::tempdir().unwrap();
    let (assembly, mut writer) = rooms::rooms(directory.path());
    let next = || rooms::request(rooms::body(1, 150));
    bencher.with_inputs(next).bench_local_values(|request| assert_eq!(answer(&assembly, &mut writer, request), 200));
}

#[divan::bench]
fn forged(bencher: Bencher<'_, '_>) {
    let directory = tempfile::tempdir().unwrap();
    let (assembly, mut writer) = rooms::rooms(directory.path());
    let next = || {
        let mut request = rooms::request(rooms::body(1, 150));
        *request.body_mut() = Full::new(rooms::body(2, 150));
        request
    };
    bencher
        .with_inputs(next)
        .bench_local_values(|request| assert!((400..500).contains(&answer(&assembly, &mut writer, request))));
}
