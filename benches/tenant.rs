//! CPU: what does it cost to find a tenant by its key and to charge it, by how many tenants there are?

use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use porteiro::clock::{Clock, Timestamp};
use porteiro::event::Tenants;
use porteiro::tenant::{Configured, Door, Limits, Manner, Quota, Spec, Table, Verdict};

fn main() {
    divan::main();
}

const SOURCE: &str = "whatsapp";

fn key(number: u64) -> Box<str> {
    format!("1065403{number:08}").into()
}

/// A table of so many tenants with a key each; a million events a second are allowed to each of them.
fn table(tenants: u64) -> Table {
    let limits = Limits { count: 1_000_000, per: Duration::from_secs(1), burst: 1_000_000, quota: Quota::default() };
    let source: Arc<str> = SOURCE.into();
    let one = |number| Configured {
        name: format!("tenant-{number:06}").into(),
        keys: vec![(Arc::clone(&source), key(number).into())],
        limits: Some(limits),
        over: None,
    };
    let tenants = (0..tenants).map(one).collect();
    Table::build(&Spec { tenants, unknown: Some(limits), ..Spec::default() }, None, Clock::system().now())
}

fn found(number: u64) -> Tenants {
    Tenants { keys: vec![key(number)], others: false }
}

fn charge(door: &Door, found: &Tenants, now: Timestamp) -> bool {
    let parties = door.parties(black_box(found));
    parties.iter().all(|party| door.charge(*party, 1, 500, now).verdict == Verdict::Pass)
}

#[divan::bench(args = [1, 1_000, 100_000])]
fn known(bencher: Bencher<'_, '_>, tenants: u64) {
    let table = table(tenants);
    let door = table.door(&SOURCE.into(), true, Manner::default());
    // As many different ones as a machine's caches do not hold.
    let events: Vec<Tenants> = (0..tenants.min(65_536)).map(|number| found(number * 40_503 % tenants)).collect();
    let mut at = 0;
    let mut now = Clock::system().now();
    bencher.bench_local(|| {
        at = (at + 1) % events.len();
        now = now.plus(Duration::from_micros(1));
        assert!(charge(&door, &events[at], now));
    });
}

#[divan::bench]
fn unknown(bencher: Bencher<'_, '_>) {
    let table = table(1);
    let door = table.door(&SOURCE.into(), true, Manner::default());
    let event = found(77);
    let mut now = Clock::system().now();
    bencher.bench_local(|| {
        now = now.plus(Duration::from_micros(1));
        charge(&door, &event, now)
    });
}

#[divan::bench]
fn nobody_is_limited(bencher: Bencher<'_, '_>) {
    let door = Table::default().door(&SOURCE.into(), true, Manner::default());
    let event = found(77);
    let now = Clock::system().now();
    bencher.bench_local(|| charge(&door, &event, now));
}
