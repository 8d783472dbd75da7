//! How much memory can it take, and how long an outage does the disk hold?
//!
//! Promises: every figure is a sum of named terms, each a limit of the configuration times a stated cost; nothing that
//! grows with load is left out.
//!
//! Must not know: how much is in use now.

use std::time::Duration;

use super::Config;
use crate::tenant;

/// The program itself, its threads and its tables of names: what an idle process without connections takes.
const PROGRAM: u64 = 8 << 20;
/// A connection at rest: socket, TLS state and the task.
const CONNECTION: u64 = 15 << 10;
/// What a TLS handshake under way needs beside the connection: keys, certificates, transcripts.
const HANDSHAKE: u64 = 40 << 10;
/// A worker of a destination: its connection, TLS, and the part of an answer that is read.
const WORKER: u64 = 96 << 10;
/// One retry slot.
const SLOT: u64 = 64;
/// One event in the dedup window: key, digest, id, times, and the table's own room.
const DEDUP: u64 = 160;
/// One address in the refusal table.
const ADDRESS: u64 = 64;
/// What the lane of a destination reads from a segment at once, for the live and the late cursor.
const READS: u64 = 2;
/// What a record takes on disk beside the body: envelope, head and checks.
const BESIDE: u64 = 512;

/// A part of a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// What takes it.
    pub what: String,
    /// How it comes about.
    pub how: String,
    /// Bytes.
    pub bytes: u64,
}

/// How long what is owed to a destination can wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The destination.
    pub destination: String,
    /// How long it may be gone before something is lost to it.
    pub holds: Duration,
    /// What sets that bound.
    pub bound: &'static str,
}

/// Events that come in, as they are assumed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Events in a second.
    pub per_second: f64,
    /// Bytes of a body.
    pub body: u64,
}

/// The terms of the memory ceiling.
#[must_use]
pub fn memory(config: &Config) -> Vec<Term> {
    let options = &config.store.options;
    let mut terms = vec![Term { what: "program".into(), how: "threads and tables of names".into(), bytes: PROGRAM }];
    for listener in &config.listeners {
        let limits = &listener.limits;
        let (connections, head) = (limits.connections as u64, limits.head_size as u64);
        let each = CONNECTION + 2 * head;
        terms.push(Term {
            what: format!("listener {}", listener.name),
            how: format!("{connections} connections of {} with a full head", super::show_size(each)),
            bytes: connections.saturating_mul(each),
        });
        if listener.tls.is_some() {
            let handshakes = limits.handshakes as u64;
            terms.push(Term {
                what: format!("listener {}", listener.name),
                how: format!("{handshakes} handshakes of {}", super::show_size(HANDSHAKE)),
                bytes: handshakes.saturating_mul(HANDSHAKE),
            });
        }
    }
    let mut term = |what: &str, how: String, bytes: u64| terms.push(Term { what: what.into(), how, bytes });
    term("bodies", "limits.in-flight: being read, or waiting for the disk".into(), config.admission.in_flight_max);
    term("journal queue", "journal.queue: heads and what is written together".into(), options.queue_bytes);
    term("recent events", "journal.recent: shared by all destinations".into(), options.ring_bytes);
    let entries = u64::from(options.dedup_entries);
    term("dedup window", format!("{entries} events of {}", super::show_size(DEDUP)), entries.saturating_mul(DEDUP));
    let addresses = config.admission.addresses_max as u64;
    term(
        "refusals",
        format!("{addresses} addresses of {}", super::show_size(ADDRESS)),
        addresses.saturating_mul(ADDRESS),
    );
    let spec = &config.tenants.spec;
    let (named, keys) = (spec.tenants.len() as u64, config.tenants.keys() as u64);
    if named > 0 {
        let bytes = (named * tenant::Table::TENANT_BYTES as u64)
            .saturating_add(keys.saturating_sub(named) * tenant::Table::KEY_BYTES as u64);
        term("tenants", format!("{named} with {keys} keys and their buckets"), bytes);
    }
    if spec.unknown.is_some() {
        let (most, each) = (spec.unknown_max as u64, tenant::Unknown::ENTRY_BYTES as u64);
        let how = format!("{most} buckets of {}", super::show_size(each));
        term("unknown tenants", how, most.saturating_mul(each));
    }
    let owed = (options.size / (BESIDE + 512)).div_ceil(8);
    for destination in &config.destinations {
        let workers = u64::from(destination.plan.concurrency);
        let reads = READS * u64::from(options.read_bytes);
        let slots = u64::from(options.retry_slots) * SLOT;
        let bytes = destination.plan.bytes + workers * WORKER + reads + slots + owed;
        let show = super::show_size;
        terms.push(Term {
            what: format!("destination {}", destination.plan.name),
            how: format!(
                "{} in flight, {workers} workers of {}, reads {}, {} retry slots, one bit for each of {} owed events",
                show(destination.plan.bytes),
                show(WORKER),
                show(reads),
                options.retry_slots,
                owed * 8
            ),
            bytes,
        });
    }
    terms
}

/// The sum of the terms.
#[must_use]
pub fn total(terms: &[Term]) -> u64 {
    terms.iter().fold(0, |sum, term| sum.saturating_add(term.bytes))
}

/// What the disk has for events that are owed: the size without what is set aside for dead letters, dedup and spares.
#[must_use]
pub fn room(config: &Config) -> u64 {
    let options = &config.store.options;
    let dedup = u64::from(options.dedup_entries).saturating_mul(100);
    let aside = options.keep_dead_size.saturating_add(dedup).saturating_add(options.segment_size.saturating_mul(3));
    options.size.saturating_sub(aside)
}

/// How long a repeat is recognised under that load, and what sets that bound.
#[must_use]
pub fn dedup(config: &Config, load: Load) -> (Duration, &'static str) {
    let options = &config.store.options;
    let seconds = f64::from(options.dedup_entries) / load.per_second.max(f64::MIN_POSITIVE);
    let held = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if held < options.dedup_window { (held, "dedup.events") } else { (options.dedup_window, "dedup.window") }
}

/// How long each destination may be gone under that load before something is lost to it.
#[must_use]
pub fn outage(config: &Config, load: Load) -> Vec<Outage> {
    let rate = load.per_second.max(f64::MIN_POSITIVE);
    let of = |bytes: u64| {
        let seconds = (bytes / (load.body + BESIDE)) as f64 / rate;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    };
    let one = |destination: &super::Destination| {
        let plan = &destination.journal;
        let mut holds = (of(room(config)), "journal.size");
        if !plan.essential {
            let bounds = [(plan.backlog_age, "backlog.age"), (of(plan.backlog_size), "backlog.size")];
            holds = bounds.into_iter().fold(holds, |least, bound| if bound.0 < least.0 { bound } else { least });
        }
        Outage { destination: plan.name.to_string(), holds: holds.0, bound: holds.1 }
    };
    config.destinations.iter().map(one).collect()
}
