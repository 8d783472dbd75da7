//! What an accepted event may allocate. Allocations are counted, not timed, so the figure is the same on every machine.
//! The number is a ratchet: it goes down, never up.

use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use porteiro::app::Assembly;
use porteiro::clock::{Clock, Timestamp};
use porteiro::config;
use porteiro::event::Tenants;
use porteiro::journal::{Memory, Step, Writer};
use porteiro::snapshot::ListenerId;
use porteiro::tenant::{Configured, Limits, Manner, Party, Quota, Spec, Table, Unknown, Verdict};

#[path = "../../benches/support/rooms.rs"]
mod rooms;

/// Allocations from the request to the reply: the writer's round and the release of the batch included, sockets not.
const ALLOCATIONS_MAX: u64 = 13;
/// Bytes of these allocations: the body itself is none of them.
const BYTES_MAX: u64 = 1_400;

/// Routes that ask for everything that can be asked, of which the last one matches.
const ROUTES: &str = r#"
[tenant.acme]
keys = { whatsapp = ["nobody"] }

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
    { not = { tenant = "acme" } },
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

/// Builds what `count` tenants with this many keys each need, and says how many bytes stay, and what it is.
fn tenants(count: usize, keys: usize) -> (u64, Spec, Table) {
    let source: Arc<str> = "whatsapp".into();
    let limits = Limits { count: 100, per: Duration::from_secs(1), burst: 500, quota: Quota::default() };
    let mut built = None;
    let info = allocation_counter::measure(|| {
        let key = |number: usize, key: usize| (Arc::clone(&source), Arc::from(format!("10654{number:06}{key:04}")));
        let one = |number| Configured {
            name: format!("tenant-{number:06}").into(),
            keys: (0..keys).map(|place| key(number, place)).collect(),
            limits: Some(limits),
            over: None,
        };
        let spec = Spec { tenants: (0..count).map(one).collect(), ..Spec::default() };
        let table = Table::build(&spec, None, START);
        built = Some((spec, table));
    });
    let (spec, table) = built.unwrap();
    (u64::try_from(info.bytes_current).unwrap(), spec, table)
}

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

#[test]
fn a_hundred_thousand_tenants_take_what_check_says_of_them() {
    for count in [100_000, 115_000] {
        let (bytes, spec, table) = tenants(count, 1);
        let each = bytes / count as u64;
        println!("{count} tenants: {each} bytes each");
        assert!(each <= Table::TENANT_BYTES as u64, "{each} bytes a tenant");
        let (more, ..) = tenants(count / 5, 5);
        let further = (more - bytes / 5) / (count as u64 / 5 * 4);
        println!("{further} bytes for each further key");
        assert!(further <= Table::KEY_BYTES as u64, "{further} bytes a key");
        drop((spec, table));
    }
    // Those without a section take no more than is said of them either, with all that waits of theirs.
    let limits = Limits { count: 1, per: Duration::from_secs(1), burst: 1, quota: Quota::default() };
    for count in [10_000_usize, 30_000] {
        let table = Table::build(&Spec { unknown: Some(limits), unknown_max: count, ..Spec::default() }, None, START);
        let door = table.door(&"whatsapp".into(), true, Manner::default());
        let info = allocation_counter::measure(|| {
            for number in 0..2 * count as u64 {
                for _ in 0..2 {
                    black_box(door.charge(Party::Unknown(number), 1, 100, START));
                }
            }
        });
        let each = u64::try_from(info.bytes_current).unwrap() / count as u64;
        println!("{count} unknown: {each} bytes each");
        assert!(each <= Unknown::ENTRY_BYTES as u64, "{each} bytes an unknown tenant");
    }
}

#[test]
fn a_charge_allocates_nothing() {
    let (_, _spec, table) = tenants(1_000, 1);
    let door = table.door(&"whatsapp".into(), true, Manner::default());
    let found = Tenants { keys: vec!["106540000770000".into()], others: false };
    let info = allocation_counter::measure(|| {
        for _ in 0..400 {
            let parties = door.parties(black_box(&found));
            assert!(parties.iter().all(|party| door.charge(*party, 1, 100, START).verdict == Verdict::Pass));
        }
    });
    assert_eq!(info.count_total, 0);
}
