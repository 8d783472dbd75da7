//! What was built of a configuration, and what is wrong with one, for machines?
//!
//! Promises: one object; nothing secret is shown; numbers are bytes and seconds.
//!
//! Must not know: how people are told.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::{confidence, names, proof, reached, secrets, tenants};
use crate::config::ceiling::{self, Load};
use crate::config::{
    Ack, AddressList, Addresses, Config, Delivered, Destination, Listener, LogFormat, LogLevel, Report, Route, Source,
};
use crate::event::Dedup;
use crate::journal::HandOver;
use crate::snapshot::Role;

/// Prints for machines what a configuration means.
pub(in crate::cli) fn json(config: &Config, (load, tests): (Load, usize), out: &mut impl Write) -> io::Result<()> {
    let terms = ceiling::memory(config);
    let term = |term: &ceiling::Term| json!({ "what": term.what, "how": term.how, "bytes": term.bytes });
    let told = json!({
        "ok": true,
        "configuration": config.path.display().to_string(),
        "log": { "format": format(config.log.format), "level": level(config.log.level) },
        "metrics": config.metrics.map(|address| address.to_string()),
        "listeners": config.listeners.iter().map(json_listener).collect::<Vec<_>>(),
        "sources": config.sources.iter().map(|source| json_source(config, source)).collect::<Vec<_>>(),
        "destinations": config.destinations.iter().map(json_destination).collect::<Vec<_>>(),
        "routes": config.routes.iter().map(|route| json_route(config, route)).collect::<Vec<_>>(),
        "tenants": tenants::json(config),
        "journal": {
            "directory": path(&config.store.directory),
            "size_bytes": config.store.options.size,
            "segment_bytes": config.store.options.segment_size,
            "room_bytes": ceiling::room(config),
            "retry_slots": config.store.options.retry_slots,
            "retry_slots_per_tenant": config.store.options.retry_slots_per_tenant,
            "dedup_window_seconds": config.store.options.dedup_window.as_secs_f64(),
            "dedup_events": config.store.options.dedup_entries,
        },
        "memory_ceiling": {
            "bytes": ceiling::total(&terms),
            "terms": terms.iter().map(term).collect::<Vec<_>>(),
        },
        "open_files": config.files().total(),
        "dedup_recognises": {
            "seconds": ceiling::dedup(config, load).0.as_secs(),
            "bound": ceiling::dedup(config, load).1,
        },
        "outage": {
            "events_per_second": load.per_second,
            "event_bytes": load.body,
            "destinations": ceiling::outage(config, load).iter().map(|outage| json!({
                "destination": outage.destination, "seconds": outage.holds.as_secs(), "bound": outage.bound,
            })).collect::<Vec<_>>(),
        },
        "tests": tests,
        "not_checked": config.unchecked.iter().map(|left| json!({ "what": left.what, "why": left.why })).collect::<Vec<_>>(),
        "dangers": config.dangers.as_ref().map_or_else(Vec::new, listed),
    });
    writeln!(out, "{told:#}")
}

/// Prints for machines what is wrong with a configuration.
pub(in crate::cli) fn problems(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:#}", json!({ "ok": false, "problems": listed(report) }))
}

fn listed(report: &Report) -> Vec<Value> {
    let one = |problem| {
        let place = report.place(problem);
        json!({
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "what": problem.title(),
            "here": problem.marked(),
            "advice": problem.advice().collect::<Vec<_>>(),
        })
    };
    report.problems().iter().map(one).collect()
}

const fn format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Auto => "auto",
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

const fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

const fn mode(role: Role) -> &'static str {
    match role {
        Role::Live => "live",
        Role::Observe => "observe",
    }
}

fn json_listener(listener: &Listener) -> Value {
    json!({
        "name": &*listener.name,
        "address": listener.address.to_string(),
        "public_url": listener.public_url.as_deref(),
        "certificates": listener.files.iter().map(|pair| path(&pair.certificate)).collect::<Vec<_>>(),
        "trusted_hops": listener.trusted_hops.as_ref().map(|_| json_addresses(&listener.hops)),
        "connections": listener.limits.connections,
    })
}

fn json_source(config: &Config, source: &Source) -> Value {
    let facts = &source.built.facts;
    let on = source.on.iter().filter_map(|place| config.listeners.get(*place));
    json!({
        "name": &*source.name,
        "on": on.map(|listener| &*listener.name).collect::<Vec<_>>(),
        "host": source.host.as_deref(),
        "path": source.path.as_str(),
        "provider": &*source.provider,
        "title": facts.title,
        "confidence": confidence(facts.confidence),
        "checked": facts.checked,
        "docs": facts.docs,
        "proof": proof(source),
        "proves_nothing": source.built.verifier.proves_nothing(),
        "secrets": secrets(source),
        "expect_every_seconds": source.expect_every.map(|every| every.as_secs_f64()),
        "recognises_repeats": source.dedup == Dedup::On && source.built.selectors.keyed(),
        "mode": mode(source.role),
        "ack": match source.ack {
            Ack::Durable => "durable",
            Ack::Buffered => "buffered",
            Ack::Delivered(_) => "delivered",
        },
        "answers": match &source.ack {
            Ack::Durable | Ack::Buffered => None,
            Ack::Delivered(delivered) => Some(json_delivered(source, delivered)),
        },
        "batch": source.batch.word(),
        "success_status": source.built.answers.success.status,
        "reject_status": source.built.answers.reject.status,
        "body_bytes": source.rules.body_max,
        "proven_addresses": source.shown.addresses.as_ref().map(json_addresses),
        "addresses": source.addresses.as_ref().map(json_addresses),
        "over_a_tenants_rate": source.tenancy.named.then(|| tenants::over(source)),
    })
}

fn json_delivered(source: &Source, delivered: &Delivered) -> Value {
    json!({
        "destination": &*delivered.destination,
        "deadline_seconds": delivered.deadline.as_secs_f64(),
        "pass": delivered.pass,
        "callers": delivered.callers,
        "late_status": source.built.answers.late.status,
    })
}

fn json_addresses(list: &Addresses) -> Value {
    let one = |list: &AddressList| {
        json!({
            "name": &*list.name,
            "file": list.file.as_deref().map(path),
            "ranges": list.prefixes,
            "date": list.date.as_deref(),
        })
    };
    json!({ "ranges": list.prefixes, "lists": list.lists.iter().map(one).collect::<Vec<_>>() })
}

fn json_destination(destination: &Destination) -> Value {
    let (plan, owed) = (&destination.plan, &destination.journal);
    json!({
        "name": &*plan.name,
        "url": &*plan.url,
        "host": plan.host.as_deref(),
        "mode": mode(destination.role),
        "concurrency": plan.concurrency,
        "reached": reached::json(destination),
        "deadline_seconds": plan.deadline.as_secs_f64(),
        "essential": owed.essential,
        "hand_over": match owed.hand_over { HandOver::Stored => "stored", HandOver::Verified => "verified" },
        "backlog_age_seconds": owed.backlog_age.as_secs_f64(),
        "backlog_bytes": owed.backlog_size,
    })
}

fn json_route(config: &Config, route: &Route) -> Value {
    let (from, to) = names(config, route);
    json!({
        "route": &*route.label,
        "line": route.line,
        "from": from,
        "when": route.when.as_ref().map(ToString::to_string),
        "mixed": route.mixed,
        "to": to,
        "discard": route.to.is_none(),
    })
}
