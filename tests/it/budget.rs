//! What an accepted event may allocate. Allocations are counted, not timed, so the figure is the same on every machine.
//! The number is a ratchet: it goes down, never up.

use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Poll, Waker};

use porteiro::journal::Step;
use porteiro::snapshot::ListenerId;

#[path = "../../benches/support/rooms.rs"]
mod rooms;

/// Allocations from the request to the reply: the writer's round and the release of the batch included, sockets not.
const ALLOCATIONS_MAX: u64 = 13;
/// Bytes of these allocations: the body itself is none of them.
const BYTES_MAX: u64 = 1_400;

#[test]
fn an_accepted_event_stays_within_its_budget() {
    let directory = tempfile::tempdir().unwrap();
    let (assembly, mut writer) = rooms::rooms(directory.path());
    let mut once = |number: u64, text: usize| {
        let request = rooms::request(rooms::body(number, text));
        let info = allocation_counter::measure(|| {
            let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let mut answer = std::pin::pin!(assembly.ingress.answer(ListenerId(0), peer, request));
            let mut context = Context::from_waker(Waker::noop());
            let status = loop {
                if let Poll::Ready(response) = answer.as_mut().poll(&mut context) {
                    break response.status().as_u16();
                }
                assert!(!matches!(writer.step(), Step::Fatal(_)));
                assembly.journal.release();
            };
            assert_eq!(status, 200);
        });
        (info.count_total, info.bytes_total)
    };
    // Tables grow and segments are made at first.
    for number in 0..200 {
        once(number, 150);
    }
    let mut figures: Vec<(u64, u64)> = (200..300).map(|number| once(number, 150)).collect();
    figures.sort_unstable();
    let (count, bytes) = figures[figures.len() / 2];
    println!("median of 100 events: {count} allocations of {bytes} bytes");
    assert!(count <= ALLOCATIONS_MAX, "{count} allocations an event, {ALLOCATIONS_MAX} are allowed");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes an event, {BYTES_MAX} are allowed");

    let mut large: Vec<u64> = (300..400).map(|number| once(number, 20_000).1).collect();
    large.sort_unstable();
    let grown = large[50].saturating_sub(bytes);
    assert!(grown < 1024, "a body of 20 KB costs {grown} bytes more than a small one: it is copied somewhere");
}
