//! How much memory can it take, and how long an outage does the disk hold?
//!
//! Promises: every figure is a sum of named terms, each a limit of the configuration times a stated cost; nothing that
//! grows with load is left out.
//!
//! Must not know: how much is in use now.

use std::time::Duration;

use super::{Ack, Batch, Config, Delivered};
use crate::admission;
use crate::callers;
use crate::dedup::Window;
use crate::ingress;
use crate::journal::cost;
use crate::listen::Limits;
use crate::snapshot::{Aside, Role};
use crate::tenant::{Table, Unknown};

/// The program itself and its threads: what an idle process takes.
const PROGRAM: u64 = 24 << 20;
/// A source: its figures, its plan of proof, its replies.
const SOURCE: u64 = 32 << 10;
/// A destination: its figures and its plan, and two threads that read for it.
const DESTINATION: u64 = (64 << 10) + 2 * (256 << 10);
/// A worker of a destination: its connection, TLS, and the part of an answer that is read.
const WORKER: u64 = 192 << 10;
/// An envelope that names many destinations and tenants.
const ENVELOPE: u64 = 4 << 10;
/// What a record takes on disk beside the body as a rule: envelope and checks, and a head of usual size.
const BESIDE: u64 = 1024;
/// Of what is asked for, so many parts more are taken: what the allocator rounds up, and keeps for the next to ask.
const ROUNDED: u64 = 8;
/// One range of a list of addresses: in the configuration, for admission and for proofs.
const RANGE: u64 = 3 * 32;

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

/// How many ranges stand in the lists of addresses.
fn ranges(config: &Config) -> u64 {
    let hops = config.listeners.iter().map(|listener| &listener.hops);
    let sources = config.sources.iter().flat_map(|source| source.addresses.iter().chain(&source.shown.addresses));
    let destinations = config.destinations.iter().filter_map(|destination| destination.plan.addresses.as_ref());
    let declared: u64 = destinations.map(|list| list.len() as u64).sum();
    hops.chain(sources).map(|list| list.prefixes as u64).sum::<u64>() + declared
}

/// The terms of the memory ceiling.
#[must_use]
pub fn memory(config: &Config) -> Vec<Term> {
    let mut sum = Sum::default();
    let (sources, destinations) = (config.sources.len() as u64, config.destinations.len() as u64);
    sum.add(
        "program",
        format!("itself, {sources} sources and {destinations} destinations"),
        PROGRAM + sources * SOURCE + destinations * DESTINATION,
    );
    listeners(config, &mut sum);
    let pins = pins(config);
    let bodies = "limits.in-flight: being read, or waiting for the disk";
    let bodies = if pins == 1 { bodies.to_owned() } else { format!("{bodies}; each may keep {pins} times its size") };
    sum.add("bodies", bodies, config.admission.in_flight_max.saturating_mul(pins));
    let options = &config.store.options;
    let record = record(config);
    let shared = cost::of_all(options, destinations, record);
    sum.add("journal queue", "journal.queue: four times, with its lists; heads and small bodies".into(), shared.queue);
    sum.add("recent events", "journal.recent: shared by all destinations".into(), shared.recent.saturating_mul(pins));
    sum.add("segments", "which there are, and what lies where in them".into(), shared.index);
    sum.add("journal work", "what is carried on, buried and stated in checkpoints".into(), shared.work);
    let (entries, each) = (u64::from(options.dedup_entries), Window::ENTRY_BYTES as u64);
    sum.add(
        "dedup window",
        format!("{entries} events of {}", super::show_size(each)),
        (entries + 64).saturating_mul(each),
    );
    let addresses = config.admission.addresses_max as u64;
    sum.add(
        "callers",
        format!("refusals of {addresses} addresses of {}, and shares", super::show_size(admission::ADDRESS)),
        (addresses + 8).saturating_mul(admission::ADDRESS) + admission::SHARES,
    );
    let ranges = ranges(config);
    if ranges > 0 {
        let how = format!("{ranges} ranges of {}", super::show_size(RANGE));
        sum.add("address lists", how, ranges.saturating_mul(RANGE));
    }
    tenants(config, &mut sum);
    observed(config, &mut sum);
    answers(config, &mut sum);
    batches(config, pins, &mut sum);
    for destination in &config.destinations {
        destination_terms(config, destination, record, &mut sum);
    }
    sum.add("dead letters", "which there are, within journal.keep.dead".into(), shared.dead);
    let taken = total(&sum.0);
    // The other terms are nothing yet while the journal is opened.
    let idle = PROGRAM + entries.saturating_mul(each) + shared.work;
    let opening = shared.opening.saturating_sub(taken.saturating_sub(idle));
    if opening > 0 {
        sum.add("start", "the journal is read back: more than all that is taken later".into(), opening);
    }
    sum.add("allocator", "what it rounds up and keeps: an eighth".into(), (taken + opening) / ROUNDED);
    sum.0
}

#[derive(Default)]
struct Sum(Vec<Term>);

impl Sum {
    fn add(&mut self, what: &str, how: String, bytes: u64) {
        self.0.push(Term { what: what.to_owned(), how, bytes });
    }
}

fn tenants(config: &Config, sum: &mut Sum) {
    let spec = &config.tenants.spec;
    let (named, keys) = (spec.tenants.len() as u64, config.tenants.keys() as u64);
    if named > 0 {
        let further = keys.saturating_sub(named) * Table::KEY_BYTES as u64;
        let bytes = (named * Table::TENANT_BYTES as u64).saturating_add(further);
        sum.add("tenants", format!("{named} with {keys} keys and their buckets"), bytes);
    }
    if spec.unknown.is_some() {
        let (most, each) = (spec.unknown_max as u64, Unknown::ENTRY_BYTES as u64);
        let how = format!("{most} buckets of {}", super::show_size(each));
        sum.add("unknown tenants", how, most.saturating_mul(each));
    }
}

/// What is observed is held against nobody who is live: keys, refusals and buckets are kept once more.
fn observed(config: &Config, sum: &mut Sum) {
    if !config.observes() {
        return;
    }
    let (events, each) = (observed_events(config), Window::ENTRY_BYTES as u64);
    let addresses = config.admission.addresses_max as u64;
    let window = (events + 64).saturating_mul(each);
    let refusals = (addresses + 8).saturating_mul(admission::ADDRESS);
    let how = format!("{events} events of {}, and refusals of {addresses} addresses", super::show_size(each));
    sum.add("observed", how, window.saturating_add(refusals));
    let how = "a quarter of limits.in-flight, or one body, beside those of live sources; and shares".to_owned();
    let bodies = observed_admission(config).in_flight_max.saturating_mul(pins(config));
    sum.add("observed bodies", how, bodies.saturating_add(admission::SHARES));
    let mut own = Sum::default();
    tenants(config, &mut own);
    let bytes = total(&own.0);
    if bytes > 0 {
        sum.add("observed tenants", "the same as tenants, once more".into(), bytes);
    }
}

/// How much of what is observed may be in flight: a quarter of what live sources may have, beside that and never of it; one
/// body of the largest size that is observed in any case.
#[must_use]
pub fn observed_admission(config: &Config) -> admission::Limits {
    let observing = config.sources.iter().filter(|source| source.role == Role::Observe);
    let largest = observing.map(|source| source.rules.body_max).max().unwrap_or(0);
    let in_flight_max = (config.admission.in_flight_max / 4).max(largest);
    let in_flight_share = config.admission.in_flight_share.min(in_flight_max);
    admission::Limits { in_flight_max, in_flight_share, ..config.admission }
}

/// How many events are remembered of what is observed.
#[must_use]
pub fn observed_events(config: &Config) -> u64 {
    u64::from(config.store.options.dedup_entries).min(Aside::EVENTS_MAX as u64)
}

/// What callers take who wait for a destination's answer, and whoever reads one for them.
fn answers(config: &Config, sum: &mut Sum) {
    let each = (callers::ANSWER_MAX + callers::SEAT_BYTES) as u64;
    for source in &config.sources {
        let Ack::Delivered(Delivered { destination, callers, .. }) = &source.ack else { continue };
        let known = config.destinations.iter().find(|known| *known.plan.name == **destination);
        let readers = known.map_or(0, |known| u64::from(known.plan.concurrency));
        let how = format!(
            "{callers} callers with answers of destination {destination} of {}, and {readers} that are being read",
            super::show_size(each)
        );
        // What is being read may be in a buffer that was just doubled.
        let bytes = (u64::from(*callers) + 3 * readers).saturating_mul(each);
        sum.add(&format!("answers to {}", source.name), how, bytes);
    }
}

/// What the parts of batches keep: each attempt at one keeps the whole body that it came in, and so does what is left of a
/// batch among the recent events.
fn batches(config: &Config, pins: u64, sum: &mut Sum) {
    let split = config.sources.iter().filter(|source| source.batch == Batch::Split);
    let Some(largest) = split.map(|source| source.rules.body_max).max() else { return };
    let attempts: u64 = config.destinations.iter().map(|destination| u64::from(destination.plan.concurrency)).sum();
    let how = format!("{attempts} attempts, each of which may keep a batch of {}", super::show_size(largest));
    sum.add("batches", how, (attempts + 1).saturating_mul(largest).saturating_mul(pins));
}

fn listeners(config: &Config, sum: &mut Sum) {
    let own = config.listeners.iter().map(|listener| (&*listener.name, listener.limits, listener.tls.is_some()));
    let metrics = config.metrics.map(|_| ("(metrics)", Limits::private(), false));
    let control = config.control.as_ref().map(|_| ("(control)", Limits::private(), false));
    for (name, limits, tls) in own.chain(metrics).chain(control) {
        let (connections, each) = (limits.connections as u64, limits.connection_bytes(tls));
        let how = format!("{connections} connections of {} with a full head and buffers", super::show_size(each));
        sum.add(&format!("listener {name}"), how, connections.saturating_mul(each));
    }
}

/// The largest record that an event can be.
fn record(config: &Config) -> u64 {
    let heads = config.listeners.iter().map(|listener| listener.limits.head_size as u64).max().unwrap_or(0);
    let bodies = config.sources.iter().map(|source| source.rules.body_max).max().unwrap_or(0);
    (bodies + heads + ENVELOPE).min(config.store.options.segment_size)
}

/// How many times its size a piece of a body may keep from others: it is kept in the buffer that it was read into.
fn pins(config: &Config) -> u64 {
    let buffers = config.listeners.iter().map(|listener| listener.limits.head_size.div_ceil(ingress::KEEP) as u64);
    buffers.max().unwrap_or(1).max(1)
}

fn destination_terms(config: &Config, destination: &super::Destination, record: u64, sum: &mut Sum) {
    let (plan, show) = (&destination.plan, super::show_size);
    let workers = u64::from(plan.concurrency);
    let cost::LaneCost { events, owed, slots, reads, outcomes } =
        cost::of_lane(&config.store.options, record, u64::from(plan.concurrency));
    let how = format!(
        "{} or one event in flight, {workers} workers of {}, reads {}, outcomes {}, {} retry slots {}, which of {events} \
         events are owed {}",
        show(plan.bytes),
        show(WORKER),
        show(reads),
        show(outcomes),
        config.store.options.retry_slots,
        show(slots),
        show(owed),
    );
    let in_flight = plan.bytes.max(record).saturating_mul(2);
    let bytes = in_flight + workers * WORKER + reads + outcomes + slots + owed;
    sum.add(&format!("destination {}", plan.name), how, bytes);
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
    config.destinations.iter().filter(|destination| destination.is_live()).map(one).collect()
}
