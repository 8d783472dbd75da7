//! CPU: what does the proof of a request cost, by the size of its body?
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on says so by ending")]

#[path = "support/rooms.rs"]
#[expect(dead_code, reason = "no journal is needed here")]
mod rooms;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use http_body_util::BodyExt;
use porteiro::clock::Clock;
use porteiro::select::{Captures, Request};

fn main() {
    divan::main();
}

#[divan::bench(args = [150, 4_500, 58_000])]
fn hub_signature(bencher: Bencher<'_, '_>, text: usize) {
    let directory = tempfile::tempdir().unwrap();
    let config = rooms::config(directory.path());
    let (head, body) = rooms::request(rooms::body(1, text)).into_parts();
    let body = futures_now(body.collect()).unwrap().to_bytes();
    let (captures, now) = (Captures::default(), Clock::system().now());
    let verifier = &config.sources[0].built.verifier;
    let request = Request {
        method: &head.method,
        path: "/meta",
        query: "",
        headers: &head.headers,
        body: &body,
        captures: &captures,
        public_url: None,
    };
    assert!(verifier.verify(&request, None, now).is_ok());
    bencher
        .counter(BytesCount::new(body.len()))
        .bench_local(|| verifier.verify(black_box(&request), None, now).is_ok());
}

/// The output of a future that does not wait.
fn futures_now<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it waits"),
    }
}
