//! The memory ceiling is the sum of its terms, and an outage is bounded by what bounds it.

use std::sync::Arc;
use std::time::Duration;

use super::stage::{Stage, WELL};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::config::ceiling::{self, Load};
use crate::journal::{Journal, Memory};

fn build(text: &str) -> Config {
    Stage::set().build("porteiro.toml", text).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn every_limit_that_grows_makes_the_ceiling_grow_by_as_much() {
    let least = ceiling::total(&ceiling::memory(&build(WELL)));
    for (from, to, grown) in [
        ("format = 1", "format = 1\n[limits]\nin-flight = \"65MiB\"", 1 << 20),
        ("format = 1", "format = 1\n[dedup]\nevents = 1048577", 160),
        ("format = 1", "format = 1\n[limits]\nrefusals-addresses = 16385", 64),
        ("[journal]", "[journal]\nqueue = \"9MiB\"", 1 << 20),
        ("[journal]", "[journal]\nrecent = \"5MiB\"", 1 << 20),
        ("[journal]", "[journal]\nretry-slots = 10001", 64),
        ("[journal]", "[listen.public.limits]\nconnections = 10001\n[journal]", (15 << 10) + (32 << 10)),
        ("format = 1", "format = 1\n[tenants]\nrate = \"1/s\"\nunknown = 7", 7 * 160),
        ("format = 1", "format = 1\n[tenant.a]\nkeys = { github = [\"1\", \"2\", \"3\"] }", 640 + 2 * 192),
        ("url = ", "concurrency = 9\nurl = ", 96 << 10),
        ("url = ", "in-flight = \"9MiB\"\nurl = ", 1 << 20),
    ] {
        let terms = ceiling::memory(&build(&WELL.replace(from, to)));
        assert_eq!(ceiling::total(&terms), least + grown, "{to}");
        assert!(terms.iter().all(|term| !term.what.is_empty() && !term.how.is_empty()));
    }
}

#[test]
fn an_outage_is_bound_by_age_size_or_disk() {
    let load = Load { per_second: 100.0, body: 1536 };
    let bound = |text: &str, load| {
        let outage = ceiling::outage(&build(text), load).remove(0);
        (outage.bound, outage.holds)
    };
    assert_eq!(bound(WELL, load).0, "journal.size");
    let quiet = Load { per_second: 1.0, ..load };
    assert_eq!(bound(WELL, quiet), ("backlog.age", Duration::from_secs(72 * 3600)));
    let small = WELL.replace("url = ", "backlog = { size = \"100MiB\" }\nurl = ");
    assert_eq!(bound(&small, load), ("backlog.size", Duration::from_secs(512)));
    let essential = small.replace("url = ", "essential = true\nurl = ");
    assert_eq!(bound(&essential, load).0, "journal.size");
    assert_eq!(bound(WELL, Load { per_second: 0.0, body: 0 }).0, "backlog.age");
}

#[test]
fn the_smallest_journal_that_is_accepted_opens() {
    let stage = Stage::set();
    let text = |kib: u64| {
        WELL.replace("[journal]", &format!("[journal]\nsize = \"{kib}KiB\"\nsegment = \"64KiB\""))
            .replace("path =", "limits = { body = \"32KiB\" }\npath =")
    };
    let (mut refused, mut accepted) = (1, 4096);
    while accepted - refused > 1 {
        let middle = u64::midpoint(refused, accepted);
        match stage.build("porteiro.toml", &text(middle)) {
            Ok(_) => accepted = middle,
            Err(_) => refused = middle,
        }
    }
    let config = build(&text(accepted));
    let (clock, _hand) = Clock::manual(Timestamp::from_secs(1));
    let plans: Vec<_> = config.destinations.iter().map(|known| known.journal.clone()).collect();
    let storage = Arc::new(Memory::default());
    let opened = Journal::open(storage, config.store.options, clock, &["github"], &plans);
    assert!(opened.is_ok(), "{accepted}KiB: {:?}", opened.err());
}
