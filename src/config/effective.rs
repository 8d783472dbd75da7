//! What holds where nothing is said?
//!
//! Promises: the text of a configuration with every key that has a default written out builds the same configuration;
//! what was said stays as it was said. Figures are read from what was built; the few words that are known here, too, are
//! held to it by a test. What cannot be written out is told, and never nothing.
//!
//! Must not know: why a default is what it is.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};

use super::provider::{Kind, Provider, built_in};
use super::units::{show_size, show_time, size};
use super::{Config, Destination, Listener, Source, base};
use crate::tenant::{Configured, Limits, Mode, Quota};

/// A key below a section, and its default in a section that was built.
type Key<T> = (&'static str, fn(&T) -> Option<Value>);

/// Keys of the file as a whole.
const FILE: &[Key<Config>] = &[
    ("log.format", |_| word("auto")),
    ("log.level", |_| word("info")),
    ("limits.in-flight", |config| bytes(config.admission.in_flight_max)),
    ("limits.in-flight-share", |config| bytes(config.admission.in_flight_share)),
    ("limits.refusals", |config| rate(config.admission.refusals_every)),
    ("limits.refusals-burst", |config| number(config.admission.refusals_burst)),
    ("limits.refusals-addresses", |config| count(config.admission.addresses_max)),
    ("limits.shutdown", |config| time(config.shutdown)),
    ("dedup.window", |config| time(config.store.options.dedup_window)),
    ("dedup.events", |config| number(config.store.options.dedup_entries)),
    ("metrics.address", |config| word(&config.metrics.map_or_else(|| "off".to_owned(), |address| address.to_string()))),
    ("reload.watch", |config| Some(config.watch.into())),
    ("journal.size", |config| bytes(config.store.options.size)),
    ("journal.segment", |config| bytes(config.store.options.segment_size)),
    ("journal.queue", |config| bytes(config.store.options.queue_bytes)),
    ("journal.recent", |config| bytes(config.store.options.ring_bytes)),
    ("journal.retry-slots", |config| number(config.store.options.retry_slots)),
    ("journal.retry-slots-per-tenant", |config| number(config.store.options.retry_slots_per_tenant)),
    ("journal.keep.delivered", |config| time(config.store.options.keep_delivered)),
    ("journal.keep.dead.age", |config| time(config.store.options.keep_dead_age)),
    ("journal.keep.dead.size", |config| bytes(config.store.options.keep_dead_size)),
    ("tenants.burst", |config| number(config.tenants.spec.unknown?.burst)),
    ("tenants.quota.events", |config| number(quota(config).events)),
    ("tenants.quota.size", |config| bytes(quota(config).bytes)),
    ("tenants.quota.delay", |config| time(quota(config).delay)),
    ("tenants.unknown", |config| count(config.tenants.spec.unknown_max)),
    ("tenants.labels", |config| count(config.tenants.spec.labels)),
];

/// Keys of a listener.
const LISTEN: &[Key<Listener>] = &[
    ("forwarded-in", |listener| listener.trusted_hops.as_ref().and_then(|_| word("x-forwarded-for"))),
    ("limits.connections", |listener| count(listener.limits.connections)),
    ("limits.handshakes", |listener| count(listener.limits.handshakes)),
    ("limits.handshake", |listener| time(listener.limits.handshake)),
    ("limits.head", |listener| time(listener.limits.head)),
    ("limits.head-size", |listener| bytes(listener.limits.head_size as u64)),
    ("limits.headers", |listener| count(listener.limits.headers)),
    ("limits.idle", |listener| time(listener.limits.idle)),
    ("limits.flush", |listener| time(listener.limits.flush)),
    ("limits.linger", |listener| time(listener.limits.linger)),
    ("limits.linger-size", |listener| bytes(listener.limits.linger_size as u64)),
];

/// Keys of a source.
const SOURCE: &[Key<Source>] = &[
    ("ack", |_| word("durable")),
    ("batch", |source| word(source.batch.word())),
    ("mode", |_| word("live")),
    ("dedup", |_| Some(true.into())),
    ("over", |source| mode(source.tenancy.manner.mode)),
    ("limits.body", |source| bytes(source.rules.body_max)),
    ("limits.deadline", |source| time(source.body.deadline)),
    ("limits.grace", |source| time(source.body.grace)),
    ("limits.minimum-rate", |source| flow(source.body.min_rate.into())),
];

/// Keys of a destination.
const DESTINATION: &[Key<Destination>] = &[
    ("mode", |_| word("live")),
    ("deadline", |destination| time(destination.plan.deadline)),
    ("connect", |destination| time(destination.plan.connect)),
    ("concurrency", |destination| number(destination.plan.concurrency.into())),
    ("in-flight", |destination| bytes(destination.plan.bytes)),
    ("essential", |destination| Some(destination.journal.essential.into())),
    ("success", |_| Some(vec!["2xx"].into())),
    ("hand-over", |_| word("stored")),
    ("backlog.age", |destination| time(destination.journal.backlog_age)),
    ("backlog.size", |destination| bytes(destination.journal.backlog_size)),
    ("retry.pauses", |destination| {
        let pauses = destination.plan.policy.schedule.pauses();
        Some(pauses.iter().map(|pause| show_time(*pause)).collect::<Vec<_>>().into())
    }),
];

/// Keys of a tenant; a rate that it has from all tenants stays there.
const TENANT: &[Key<Configured>] = &[
    ("burst", |tenant| number(tenant.limits?.burst)),
    ("quota.events", |tenant| number(limits(tenant)?.quota.events)),
    ("quota.size", |tenant| bytes(limits(tenant)?.quota.bytes)),
    ("quota.delay", |tenant| time(limits(tenant)?.quota.delay)),
];

/// Keys that have no default: what is not said there is not there, or follows from the section around it.
#[cfg(test)]
const WITHOUT: &[&str] = &[
    "control",
    "control.socket",
    "destination.*.addresses",
    "destination.*.auth",
    "destination.*.headers",
    "destination.*.host",
    "destination.*.proxy",
    "destination.*.rate",
    "destination.*.remove-headers",
    "destination.*.retry.give-up",
    "destination.*.sign",
    "destination.*.tls",
    "destination.*.url",
    "format",
    "journal.directory",
    "listen.*.address",
    "listen.*.public-url",
    "listen.*.tls",
    "listen.*.trusted-hops",
    "no-proxy",
    "proxy",
    "route",
    "route-default",
    "source.*.addresses",
    "source.*.expect-every",
    "source.*.host",
    "source.*.late",
    "source.*.on",
    "source.*.path",
    "source.*.proof",
    "source.*.provider",
    "source.*.reject",
    "source.*.secrets",
    "source.*.success",
    "source.*.values",
    "tenant.*.keys",
    "tenant.*.over",
    "tenant.*.rate",
    "tenants.directory",
    "tenants.rate",
    "test",
];

/// The text of a configuration with every default, as TOML that builds the same again beside the same files.
///
/// # Errors
///
/// If its own text is not at hand, as with one that was not read from a file, or cannot be written out.
pub fn text(config: &Config) -> io::Result<String> {
    toml::to_string(&table(config)?).map_err(io::Error::other)
}

/// The same for machines.
///
/// # Errors
///
/// As those of [`text`].
pub fn json(config: &Config) -> io::Result<serde_json::Value> {
    serde_json::to_value(table(config)?).map_err(io::Error::other)
}

fn table(config: &Config) -> io::Result<Table> {
    let unread = || io::Error::other(format!("the text of {} is not at hand", config.path.display()));
    let said = config.inventory.said(&config.path).ok_or_else(unread)?;
    let mut table: Table = said.parse().map_err(io::Error::other)?;
    fill(&mut table, FILE, config);
    sections(&mut table, "listen", LISTEN, &config.listeners, |listener| &listener.name);
    sections(&mut table, "source", SOURCE, &config.sources, |source| &source.name);
    sections(&mut table, "destination", DESTINATION, &config.destinations, |destination| &destination.plan.name);
    sections(&mut table, "tenant", TENANT, &config.tenants.spec.tenants, |tenant| &tenant.name);
    for source in &config.sources {
        values(&mut table, source, base(&config.path));
    }
    Ok(table)
}

/// Writes the defaults of every section of a kind that stands in the text.
fn sections<T>(table: &mut Table, kind: &str, keys: &[Key<T>], built: &[T], name: impl Fn(&T) -> &str) {
    let Some(Value::Table(all)) = table.get_mut(kind) else { return };
    for one in built {
        if let Some(Value::Table(section)) = all.get_mut(name(one)) {
            fill(section, keys, one);
        }
    }
}

/// Writes the keys that are not said.
fn fill<T>(table: &mut Table, keys: &[Key<T>], built: &T) {
    for (key, default) in keys {
        if let Some(value) = default(built) {
            put(table, key, value);
        }
    }
}

/// Writes one key, unless it, or something in place of a table on the way to it, is said.
fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.entry(key).or_insert(value);
        }
        Some((first, rest)) => {
            if let Value::Table(below) = table.entry(first).or_insert_with(|| Value::Table(Table::new())) {
                put(below, rest, value);
            }
        }
    }
}

/// Writes what a provider file takes where it asks by name and is told nothing.
fn values(table: &mut Table, source: &Source, base: &Path) {
    let Some(Value::Table(section)) = table.get_mut("source").and_then(|all| all.get_mut(&*source.name)) else {
        return;
    };
    let own = || fs::read_to_string(base.join(&*source.provider)).ok();
    let Some(text) = built_in(&source.provider).map(str::to_owned).or_else(own) else { return };
    let Ok(provider) = Provider::parse(&source.provider, &text) else { return };
    for ask in provider.asks().iter().filter(|ask| ask.kind == Kind::Text) {
        if let Some(default) = &ask.default {
            put(section, &format!("values.{}", ask.name), default.as_str().into());
        }
    }
}

fn quota(config: &Config) -> Quota {
    config.tenants.spec.unknown.map_or_else(Quota::default, |limits| limits.quota)
}

const fn limits(tenant: &Configured) -> Option<Limits> {
    tenant.limits
}

fn word(word: &str) -> Option<Value> {
    Some(word.into())
}

fn number(number: u32) -> Option<Value> {
    Some(i64::from(number).into())
}

fn count(number: usize) -> Option<Value> {
    Some(i64::try_from(number).unwrap_or(i64::MAX).into())
}

fn time(time: Duration) -> Option<Value> {
    word(&show_time(time))
}

/// A size that reads back as the same, whatever it is.
fn exact(bytes: u64) -> String {
    let shown = show_size(bytes);
    if size(&shown) == Ok(bytes) { shown } else { format!("{bytes}B") }
}

fn bytes(bytes: u64) -> Option<Value> {
    word(&exact(bytes))
}

fn flow(bytes: u64) -> Option<Value> {
    word(&format!("{}/s", exact(bytes)))
}

/// A rate of which this is the time between two.
fn rate(every: Duration) -> Option<Value> {
    let units = [("s", 1), ("m", 60), ("h", 3_600)].map(|(unit, seconds)| (unit, Duration::from_secs(seconds)));
    let found = units.iter().find_map(|(unit, per)| {
        let count = u32::try_from(per.as_nanos().checked_div(every.as_nanos())?).ok().filter(|count| *count > 0)?;
        (*per / count == every).then(|| format!("{count}/{unit}"))
    });
    found.map(Value::from)
}

fn mode(mode: Mode) -> Option<Value> {
    word(match mode {
        Mode::Shape => "shape",
        Mode::Refuse => "refuse",
    })
}

#[cfg(test)]
mod tests;
