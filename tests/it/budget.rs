//! What an accepted event may allocate. Allocations are counted, not timed, so the figure is the same on every machine.
//! The number is a ratchet: it goes down, never up.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use porteiro::app::Assembly;
use porteiro::clock::Clock;
use porteiro::config;
use porteiro::journal::{Memory, Step, Writer};
use porteiro::snapshot::ListenerId;

#[path = "../../benches/support/rooms.rs"]
mod rooms;

/// Allocations from the request to the reply: the writer's round and the release of the batch included, sockets not.
const ALLOCATIONS_MAX: u64 = 13;
/// Bytes of these allocations: the body itself is none of them.
const BYTES_MAX: u64 = 1_400;

/// Routes that ask for everything that can be asked, of which the last one matches.
const ROUTES: &str = r#"
[[route]]
when = { any = [{ kind = { prefix = "account" } }, { header = "X-Absent", exists = true }] }
to = ["one"]

[[route]]
when = { pointer = "/entry/*/changes/*/value/metadata/phone_number_id", in = ["1", "2", "3"] }
to = ["one"]

[[route]]
when = { all = [
    { source = "whatsapp" },
    { not = { query = "dry", exists = true } },
    { path = { glob = "/m?ta*" } },
    { header = "User-Agent", glob = "facebook*" },
    { pointer = "/entry/*/changes/*/value/messages/*/type", equals = "text" },
    { pointer = "/entry/*/changes/*/value/metadata/phone_number_id", in = ["1", "660077008800"] },
    { not = { tenant = "nobody" } },
] }
to = ["one", "two"]
"#;

/// The rooms of a configuration with other routes.
fn rooms_with(directory: &Path, routes: &str) -> (Assembly, Writer) {
    drop(rooms::config(directory));
    let path = directory.join("porteiro.toml");
    let text = fs::read_to_string(&path).unwrap();
    let without = &text[..text.find("[[route]]").unwrap()];
    fs::write(&path, format!("{without}{routes}")).unwrap();
    let config = config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    Assembly::over(Arc::new(Memory::new()), &config, &Clock::system()).unwrap()
}

#[test]
fn an_accepted_event_stays_within_its_budget() {
    let directory = tempfile::tempdir().unwrap();
    println!("{}", stays_within(rooms::rooms(directory.path())));
}

#[test]
fn routes_that_ask_cost_no_allocation() {
    let directory = tempfile::tempdir().unwrap();
    let (assembly, writer) = rooms_with(directory.path(), ROUTES);
    let metrics = Arc::clone(&assembly.metrics);
    println!("{}", stays_within((assembly, writer)));
    let matched = "porteiro_routed_events_total{route=\"3\",source=\"whatsapp\",then=\"owed\"} 400";
    assert!(metrics.render().contains(matched), "{}", metrics.render());
}

/// Fails where an event costs more; answers with what it cost.
fn stays_within((assembly, mut writer): (Assembly, Writer)) -> String {
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
    assert!(count <= ALLOCATIONS_MAX, "{count} allocations an event, {ALLOCATIONS_MAX} are allowed");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes an event, {BYTES_MAX} are allowed");

    let mut large: Vec<u64> = (300..400).map(|number| once(number, 20_000).1).collect();
    large.sort_unstable();
    let grown = large[50].saturating_sub(bytes);
    assert!(grown < 1024, "a body of 20 KB costs {grown} bytes more than a small one: it is copied somewhere");
    format!("median of 100 events: {count} allocations of {bytes} bytes")
}
