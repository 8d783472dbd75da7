//! What was built of a configuration, what will it cost, and what is dangerous?
//!
//! Promises: says of each source how it is proven, how repeats are recognised and what the provider hears; of each
//! destination how it is reached and for how long it is owed; every figure of the memory ceiling with its terms.
//! Nothing secret is shown.
//!
//! Must not know: what is running.

mod asked;
mod json;

pub(super) use asked::{Check, run};
pub(super) use json::{json, problems};
pub(super) use tenants::met;

use std::io::{self, Write};

use crate::config::ceiling::{self, Load};
use crate::config::provider::{Answers, Confidence, Survival};
use crate::config::{
    Ack, AddressList, Addresses, Batch, Config, Delivered, Destination, Listener, Route, Shown, Source, show_size,
    show_time,
};
use crate::event::{Authority, Dedup, EqualBodies, Parts, Repeat};
use crate::journal::HandOver;
use crate::snapshot::{HopHeader, Hops, Role};
use crate::verify::Algorithm;

mod reached;
mod tenants;

/// Width of the column of names.
const NAMES: usize = 14;

/// Prints for people what a configuration means.
pub(super) fn text(
    config: &Config,
    (load, tests): (Load, usize),
    colour: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{} is a configuration that works.", config.path.display())?;
    match tests {
        0 => {}
        1 => writeln!(out, "Its test holds.")?,
        count => writeln!(out, "Its {count} tests hold.")?,
    }
    head(out, "Listeners")?;
    for listener in &config.listeners {
        line(out, &listener.name, &entrance(listener))?;
        more(out, &listener_limits(listener))?;
        if let Some(hops) = &listener.trusted_hops {
            more(out, &trusted(listener, hops))?;
        }
    }
    match config.metrics {
        Some(address) => line(out, "(metrics)", &format!("http://{address}/metrics, /-/healthy, /-/ready"))?,
        None => line(out, "(metrics)", "off; `porteiro health` cannot ask")?,
    }
    match &config.control {
        Some(socket) => line(out, "(control)", &format!("{}, for `porteiro reload`", socket.display()))?,
        None => line(out, "(control)", "off; a reload is asked for by SIGHUP")?,
    }
    more(
        out,
        if config.watch {
            "reloads when this file changes, too"
        } else {
            "reloads when certificates, secrets or lists change"
        },
    )?;
    head(out, "Sources")?;
    for source in &config.sources {
        sources(config, source, out)?;
    }
    tenants::text(config, out)?;
    head(out, "Destinations")?;
    for destination in &config.destinations {
        destinations(config, destination, out)?;
    }
    head(out, "Routes")?;
    for route in &config.routes {
        let (from, to) = names(config, route);
        let to = to.map_or_else(|| "discarded: nothing is stored".to_owned(), |to| to.join(", "));
        let mixed = if route.mixed { ", batches of several tenants" } else { "" };
        line(out, &route.label, &format!("{}{mixed} -> {to}", from.join(", ")))?;
        if let Some(when) = &route.when {
            more(out, &format!("when {when}"))?;
        }
    }
    journal(config, out)?;
    cost(config, load, out)?;
    head(out, "Dangers")?;
    match &config.dangers {
        Some(dangers) => write!(out, "\n{}", dangers.render(colour))?,
        None => writeln!(out, "  none that the text shows")?,
    }
    if !config.unchecked.is_empty() {
        head(out, "Not checked here")?;
        config.unchecked.iter().try_for_each(|left| writeln!(out, "  {}: {}", left.what, left.why))?;
    }
    next(config, out)
}

/// What to type next.
fn next(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let path = config.path.display();
    let source = config.sources.first().map_or("NAME", |source| &source.name);
    head(out, "Next")?;
    writeln!(out, "  porteiro serve -c {path}")?;
    writeln!(out, "  porteiro send -c {path} --source {source}    (in another terminal)")
}

fn head(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(out, "\n{title}")
}

pub(super) fn line(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {name:NAMES$} {text}")
}

pub(super) fn more(out: &mut impl Write, text: &str) -> io::Result<()> {
    line(out, "", text)
}

fn entrance(listener: &Listener) -> String {
    let mut text = listener.address.to_string();
    match listener.files.len() {
        0 => text.push_str(", plain"),
        1 => text.push_str(", TLS with 1 certificate"),
        count => text.push_str(&format!(", TLS with {count} certificates")),
    }
    if let Some(url) = &listener.public_url {
        text.push_str(&format!(", known to providers as {url}"));
    }
    text
}

fn trusted(listener: &Listener, hops: &Hops) -> String {
    let header = match hops.header {
        HopHeader::XForwardedFor => "X-Forwarded-For",
        HopHeader::Forwarded => "Forwarded",
    };
    format!("hops of {} say in {header} who calls", addresses(&listener.hops))
}

fn listener_limits(listener: &Listener) -> String {
    let limits = &listener.limits;
    format!(
        "at most {} connections; a head within {} and {}; idle for {}",
        limits.connections,
        show_time(limits.head),
        show_size(limits.head_size as u64),
        show_time(limits.idle)
    )
}

fn sources(config: &Config, source: &Source, out: &mut impl Write) -> io::Result<()> {
    let facts = &source.built.facts;
    let on = source.on.iter().filter_map(|place| config.listeners.get(*place)).map(|listener| &*listener.name);
    let host = source.host.as_deref().unwrap_or("any host");
    let on = on.collect::<Vec<_>>().join(", ");
    line(out, &source.name, &format!("{} on {on} ({host}), provider {}", source.path, source.provider))?;
    more(out, &format!("{}; confidence {}, checked {}", facts.title, confidence(facts.confidence), facts.checked))?;
    if source.role == Role::Observe {
        more(out, "mode: observe; all of this is done and counted, and nothing is stored or sent")?;
    }
    more(out, &format!("proof: {}", proof(source)))?;
    let secrets = secrets(source);
    if secrets > 1 {
        let figure = "porteiro_source_secret_last_used_timestamp_seconds tells which are still used";
        more(out, &format!("secrets: {secrets}, in rotation; {figure}"))?;
    }
    more(out, &format!("repeats: {}", repeats(config, source)))?;
    if let Some(parts) = source.built.selectors.wanted().parts.as_ref() {
        more(out, &format!("batches: {}", batches(source.batch, parts)))?;
    }
    if let Some(every) = source.expect_every {
        more(out, &format!("silence: an alarm after {} without an event", show_time(every)))?;
    }
    let answers = &source.built.answers;
    let within = facts.answer_within.map_or_else(String::new, |time| format!("; it waits {}", show_time(time)));
    more(out, &format!("hears: {}, {} if it is not proven{within}", ack(source), answers.reject.status))?;
    more(out, &format!("when refused: {}", refused(source)))?;
    if source.tenancy.named {
        more(out, &format!("over a tenant's rate: {}", tenants::over(source)))?;
    }
    let body = &source.body;
    let limits = format!(
        "takes: {}, bodies up to {} within {}, at least {}/s after {}",
        source.rules.methods.iter().map(http::Method::as_str).collect::<Vec<_>>().join(" and "),
        show_size(source.rules.body_max),
        show_time(body.deadline),
        show_size(u64::from(body.min_rate)),
        show_time(body.grace)
    );
    more(out, &limits)?;
    if let Some(list) = &source.addresses {
        more(out, &format!("only from {}", addresses(list)))?;
    }
    Ok(())
}

/// What a provider hears of an event, and when.
pub(super) fn ack(source: &Source) -> String {
    let Answers { success, late, .. } = &source.built.answers;
    match &source.ack {
        Ack::Durable => format!("{} once the event is on disk", success.status),
        Ack::Buffered => format!("{} once the event is queued: a crash may lose it", success.status),
        Ack::Delivered(Delivered { destination, deadline, pass, callers }) => {
            let pass: String = pass.iter().map(|status| format!(", {status}")).collect();
            format!(
                "what destination {destination} answers (2xx{pass}) once the event is on disk, {} after {}; \
                 at most {callers} callers wait",
                late.status,
                show_time(*deadline),
            )
        }
    }
}

/// What becomes of a source's batches.
fn batches(batch: Batch, Parts { elements, .. }: &Parts) -> String {
    match batch {
        Batch::Whole => "each is one event; batch = \"split\" makes an event of each element".to_owned(),
        Batch::Split => format!(
            "split into an event for each element of {elements}, up to {}, without the provider's signature; one of a \
             single element, of more, or of more than the journal's queue takes, goes on whole",
            Parts::MAX
        ),
    }
}

const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::A => "A",
        Confidence::AMinus => "A-",
        Confidence::B => "B",
        Confidence::BMinus => "B-",
        Confidence::C => "C",
    }
}

fn proof(source: &Source) -> String {
    let verifier = &source.built.verifier;
    if verifier.proves_nothing() {
        return "NONE: everything that comes in is taken for an event".into();
    }
    let signed = !verifier.proofs().is_empty() && verifier.proofs().iter().all(|proof| proof.algorithm.signs_text());
    let mut all: Vec<String> = Vec::new();
    if source.built.facts.binds_body {
        all.push("a signature that binds the body".into());
    } else if signed {
        all.push("a signature".into());
    } else if verifier.proofs().iter().any(|proof| proof.algorithm != Algorithm::Nothing) {
        all.push("a credential that is shown".into());
    }
    all.extend(shown(&source.shown));
    let mut text = all.join(", and ");
    if !source.built.facts.binds_body {
        text.push_str("; nothing binds the body");
    }
    if !verifier.credential().is_none() {
        let what = if all.len() > 1 { "what is shown" } else { "it" };
        text.push_str(&format!("; {what} is cut out before the event is stored"));
    }
    text
}

/// What a source asks every request to show.
fn shown(shown: &Shown) -> Vec<String> {
    let token = shown.token.then(|| "a token in the path".to_owned());
    let header = shown.header.as_ref().map(|name| format!("a token in header {name}"));
    let from = shown.addresses.as_ref().map(|list| format!("a caller from {}", addresses(list)));
    token.into_iter().chain(header).chain(from).collect()
}

/// A list of addresses in short: how long, from where, and how old.
fn addresses(list: &Addresses) -> String {
    let count = |count: usize| if count == 1 { "1 range".to_owned() } else { format!("{count} ranges") };
    let of = |known: &AddressList| {
        let date = known.date.as_ref().map_or_else(|| "undated".to_owned(), |date| format!("dated {date}"));
        format!("list {} ({}, {date})", known.name, count(known.prefixes))
    };
    let lists: Vec<String> = list.lists.iter().map(of).collect();
    let rest = list.prefixes.saturating_sub(list.lists.iter().map(|known| known.prefixes).sum());
    let rest = (rest > 0 || lists.is_empty()).then(|| count(rest));
    lists.into_iter().chain(rest).collect::<Vec<_>>().join(" and ")
}

/// How many of the source's `secrets` prove something.
fn secrets(source: &Source) -> usize {
    let keys = source.built.secrets.iter().flatten();
    keys.filter_map(|key| key.parse::<usize>().ok()).max().unwrap_or(0)
}

fn repeats(config: &Config, source: &Source) -> String {
    let wanted = source.built.selectors.wanted();
    if source.dedup == Dedup::Off {
        return "not recognised (dedup = false); every request is a new event with an id of its own".into();
    }
    if !source.built.selectors.keyed() {
        return "not recognised: the provider gives its events no id; every request is a new event".into();
    }
    let options = &config.store.options;
    let by = match (wanted.id.is_empty(), wanted.equal_bodies) {
        (true, _) => "by equal bodies",
        (false, EqualBodies::SameEvent) => "by the provider's id and equal bodies",
        (false, EqualBodies::Nothing) => "by the provider's id",
    };
    let other = match wanted.authority {
        Authority::Body => "another body is another event",
        Authority::Id => "whatever the body",
    };
    let then = match wanted.repeat {
        Repeat::Answer => "get the same answer",
        Repeat::Deliver => "are delivered again",
    };
    let (window, events) = (show_time(options.dedup_window), options.dedup_entries);
    format!("{by} within {window} or {events} events, and {then}; {other}")
}

fn refused(source: &Source) -> String {
    let retries = &source.built.facts.retries;
    let again = match (retries.any, retries.lasting) {
        (true, Some(time)) => format!("it tries again for {}", show_time(time)),
        (true, None) => "it tries again".to_owned(),
        (false, _) => "it does not try again by itself".to_owned(),
    };
    let word = |survival| match survival {
        Survival::Retried => "comes again",
        Survival::Lost => "is lost",
        Survival::Counted => "is lost and counted against the webhook",
        Survival::Unknown => "is anybody's guess",
    };
    format!("{again}; an event answered 429 {}, 503 {}", word(retries.on_429), word(retries.on_503))
}

fn destinations(config: &Config, destination: &Destination, out: &mut impl Write) -> io::Result<()> {
    let (plan, owed) = (&destination.plan, &destination.journal);
    let host = plan.host.as_ref().map_or_else(String::new, |host| format!(" as {host}"));
    line(out, &plan.name, &format!("{}{host}", plan.url))?;
    if !destination.is_live() {
        more(out, "mode: observe; what it would be sent is counted, and nothing is sent or becomes owed to it")?;
    }
    more(out, &format!("at most {} attempts at once, each within {}", plan.concurrency, show_time(plan.deadline)))?;
    reached::text(destination, out)?;
    let hand_over = match owed.hand_over {
        HandOver::Stored => "handed over once stored",
        HandOver::Verified => "handed over once proven, before it is stored",
    };
    let size = if owed.backlog_size >= config.store.options.size {
        "the journal's size".into()
    } else {
        show_size(owed.backlog_size)
    };
    let kept = if owed.essential {
        "essential: owed as long as the disk has room".to_owned()
    } else {
        format!("owed for {} within {size}, then a dead letter", show_time(owed.backlog_age))
    };
    more(out, &format!("{hand_over}; {kept}"))?;
    let pauses = plan.policy.schedule.pauses();
    let whole = pauses.iter().sum();
    let give_up =
        plan.policy.age_max.map_or_else(String::new, |age| format!(", given up at {} of age", show_time(age)));
    more(out, &format!("an event that fails is tried {} times over {}{give_up}", pauses.len() + 1, about(whole)))
}

fn journal(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let options = &config.store.options;
    head(out, "Journal")?;
    line(
        out,
        "(disk)",
        &format!(
            "{}: {} in segments of {}",
            config.store.directory.display(),
            show_size(options.size),
            show_size(options.segment_size)
        ),
    )?;
    more(
        out,
        &format!(
            "delivered events are kept {} while there is room, dead letters {} within {}",
            show_time(options.keep_delivered),
            show_time(options.keep_dead_age),
            show_size(options.keep_dead_size)
        ),
    )?;
    more(
        out,
        &format!(
            "of each destination {} events wait for their next attempt in memory, {} of one tenant's; more wait on disk",
            options.retry_slots, options.retry_slots_per_tenant
        ),
    )
}

fn cost(config: &Config, load: Load, out: &mut impl Write) -> io::Result<()> {
    let terms = ceiling::memory(config);
    head(out, "Most memory")?;
    writeln!(out, "  {:>10}  the memory ceiling, which is the sum of", rounded(ceiling::total(&terms)))?;
    for term in &terms {
        writeln!(out, "  {:>10}  {}: {}", rounded(term.bytes), term.what, term.how)?;
    }
    let files = config.files();
    head(out, "Most open files")?;
    writeln!(
        out,
        "  {:>10}  {} for connections, {} for workers, {} for the journal, {} others",
        files.total(),
        files.connections,
        files.workers,
        files.journal,
        files.beside
    )?;
    head(out, "Longest outage")?;
    let room = rounded(ceiling::room(config));
    writeln!(
        out,
        "  At {:.0} events/s of {} the disk has {room} for what is owed; a destination may be gone for",
        load.per_second,
        show_size(load.body)
    )?;
    for outage in ceiling::outage(config, load) {
        line(out, &outage.destination, &format!("{} (bound by {})", about(outage.holds), outage.bound))?;
    }
    let (window, bound) = ceiling::dedup(config, load);
    writeln!(out, "  and a repeat is recognised for {} (bound by {bound}).", about(window))
}

/// A size that need not be exact, rounded up.
fn rounded(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        1_048_576..10_737_418_240 => format!("{} MiB", bytes.div_ceil(1 << 20)),
        _ => format!("{} GiB", bytes.div_ceil(1 << 30)),
    }
}

/// A time in its two largest units.
fn about(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    let unit = match seconds {
        0..600 => 1,
        600..36_000 => 60,
        _ => 3600,
    };
    show_time(std::time::Duration::from_secs(seconds / unit * unit))
}

fn names<'a>(config: &'a Config, route: &Route) -> (Vec<&'a str>, Option<Vec<&'a str>>) {
    let from = route.from.iter().filter_map(|place| config.sources.get(*place)).map(|source| &*source.name).collect();
    let to = route.to.as_ref().map(|to| {
        to.iter().filter_map(|place| config.destinations.get(*place)).map(|known| &*known.plan.name).collect()
    });
    (from, to)
}

#[cfg(test)]
mod tests;
