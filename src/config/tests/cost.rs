//! The memory ceiling is the sum of its terms, and an outage is bounded by what bounds it.

use std::sync::Arc;
use std::time::Duration;

use super::stage::{Stage, WELL};
use crate::admission;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::config::ceiling::{self, Load};
use crate::dedup::Window;
use crate::journal::{Journal, Memory};
use crate::listen::Limits;

fn build(text: &str) -> Config {
    Stage::set().build("porteiro.toml", text).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn every_limit_that_grows_makes_the_ceiling_grow_by_as_much() {
    // What stands in a sum is rounded up by an eighth at the end.
    let rounded = |bytes: u64| bytes + bytes / 8;
    let least = ceiling::total(&ceiling::memory(&build(WELL)));
    let (tls, plain) = (Limits::default().connection_bytes(true), Limits::default().connection_bytes(false));
    let each = if WELL.contains("tls =") { tls } else { plain };
    for (from, to, grown) in [
        ("format = 1", "format = 1\n[limits]\nin-flight = \"65MiB\"", 1 << 20),
        ("format = 1", "format = 1\n[dedup]\nevents = 1049576", 1000 * Window::ENTRY_BYTES as u64),
        ("format = 1", "format = 1\n[limits]\nrefusals-addresses = 17384", 1000 * admission::ADDRESS),
        ("[journal]", "[journal]\nqueue = \"9MiB\"", 4 << 20),
        ("[journal]", "[journal]\nrecent = \"5MiB\"", 1 << 20),
        ("[journal]", "[listen.public.limits]\nconnections = 10001\n[journal]", each),
        (
            "[journal]",
            "[control]\nsocket = \"control.sock\"\n[journal]",
            64 * Limits::private().connection_bytes(false),
        ),
        ("url = ", "concurrency = 9\nurl = ", 192 << 10),
        ("url = ", "in-flight = \"9MiB\"\nurl = ", 2 << 20),
        ("provider = ", "proof = { addresses = \"gupshup\" }\nprovider = ", 14 * 96),
        ("provider = ", "addresses = [\"192.0.2.7\", \"2001:db8::/32\"]\nprovider = ", 2 * 96),
        ("[journal]", "trusted-hops = [\"10.0.0.7\"]\n[journal]", 96),
        ("format = 1", "format = 1\n[tenants]\nrate = \"1/s\"\nunknown = 7000", 7000 * 160),
        // Keys, refusals and buckets of what is observed are kept once more.
        (
            "provider = ",
            "mode = \"observe\"\nprovider = ",
            65_600 * 84 + 16_392 * admission::ADDRESS + (16 << 20) + admission::SHARES,
        ),
        ("format = 1", "format = 1\n[tenant.a]\nkeys = { github = [\"1\", \"2\", \"3\"] }", 640 + 2 * 192),
        (
            "path =",
            "ack = { delivered = { destination = \"crm\", callers = 100 } }\npath =",
            (100 + 3 * 8) * (65 << 10),
        ),
    ] {
        let terms = ceiling::memory(&build(&WELL.replace(from, to)));
        let (total, said) = (ceiling::total(&terms), least + rounded(grown));
        // A worker brings along the failure that it may have to tell.
        assert!((said..said + 2048).contains(&total), "{to}: {total}, and not {said}");
        assert!(terms.iter().all(|term| !term.what.is_empty() && !term.how.is_empty()));
    }
    for (from, to) in [
        ("[journal]", "[journal]\nretry-slots = 20000"),
        ("[journal]", "[journal]\nsize = \"200GiB\""),
        ("[journal]", "[journal]\nsegment = \"2MiB\""),
        ("path =", "limits = { body = \"2MiB\" }\npath ="),
        ("[journal]", "[listen.public.limits]\nhead-size = \"64KiB\"\n[journal]"),
        ("[journal]", "[listen.public.limits]\nheaders = 500\n[journal]"),
    ] {
        let total = ceiling::total(&ceiling::memory(&build(&WELL.replace(from, to))));
        assert!(total > least + 1024, "{to}: {total} after {least}");
    }
}

#[test]
fn what_an_opening_takes_is_named_where_it_is_the_most() {
    let terms = |text: &str| ceiling::memory(&build(text));
    let starts = |text: &str| terms(text).iter().any(|term| term.what == "start");
    assert!(!starts(WELL));
    let few = "[listen.public.limits]\nconnections = 10\n[journal]\nkeep = { dead = { size = \"8GiB\" } }";
    assert!(starts(&WELL.replace("[journal]", few)));
}

#[test]
fn an_outage_is_bound_by_age_size_or_disk() {
    let load = Load { per_second: 100.0, body: 1024 };
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
