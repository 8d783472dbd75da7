//! Runs one thing a given number of times, so that an instruction counter can be held to it where wall time is noise:
//! `benches/instructions` runs this twice under callgrind and divides the difference.
//!
//! The environment says what (`WHAT`: nothing for accepted events, `store` for events put straight into the journal,
//! `deliver` for the same and their delivery, `pass` for reading a batch of 100 changes whole, `split` for reading it part
//! by part) and how often (`TIMES`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on says so by ending")]

#[path = "support/batches.rs"]
mod batches;
#[path = "support/deliveries.rs"]
mod deliveries;
#[path = "support/rooms.rs"]
mod rooms;

use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Waker};

use porteiro::journal::Step;
use porteiro::snapshot::ListenerId;

/// As often as the environment's `TIMES` says; once where it says nothing.
fn main() {
    let times: u64 = said("TIMES").and_then(|text| text.parse().ok()).unwrap_or(1);
    match said("WHAT").as_deref() {
        None => accept(times),
        Some("store") => deliveries::run(times, true),
        Some("deliver") => deliveries::run(times, false),
        Some("pass") => batches::run(times, false),
        Some("split") => batches::run(times, true),
        Some(other) => panic!("{other} is nothing that is counted here"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the amount of a bench, not a secret")]
fn said(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn accept(times: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (assembly, mut writer) = rooms::rooms(directory.path());
    for number in 0..times {
        let request = rooms::request(rooms::body(number, 150));
        let answer = assembly.ingress.answer(ListenerId(0), IpAddr::V4(Ipv4Addr::LOCALHOST), request);
        let mut answer = std::pin::pin!(answer);
        let mut context = Context::from_waker(Waker::noop());
        while answer.as_mut().poll(&mut context).is_pending() {
            assert!(!matches!(writer.step(), Step::Fatal(_)));
            assembly.journal.release();
        }
    }
}
