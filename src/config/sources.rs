//! Who may speak, where, and how is it proven?
//!
//! Promises: a source that is built has listeners, a path no other source answers, and a provider that got everything
//! it asked for and nothing else.
//!
//! Must not know: who hears what a source says.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::Rules;
use crate::event::Dedup;
use crate::snapshot::{BodyLimits, Entry, Pattern, Role, Router};

use super::ack::{self, Ack};
use super::addresses::{self, Addresses};
use super::answers;
use super::batch::{self, Batch};
use super::besides::Shown;
use super::build::Building;
use super::listeners::Listener;
use super::problem::Span;
use super::proof::Proofs;
use super::provider::{Built, Retries, Survival};
use super::raw;
use super::said::{AddressesSaid, At, Said};
use super::tenants::{Tenancy, tenancy};

/// A source, but for what only the running house knows: the journal's ids and the metrics.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name; its identity.
    pub name: Arc<str>,
    /// Places in [`super::Config::listeners`].
    pub on: Vec<usize>,
    /// The host it answers to; `None` answers to every host.
    pub host: Option<Box<str>>,
    /// Its path.
    pub path: Pattern,
    /// Its provider, as it was named.
    pub provider: Box<str>,
    /// What the provider file became with this source's keys.
    pub built: Built,
    /// What it must show besides.
    pub shown: Shown,
    /// What admission asks.
    pub rules: Rules,
    /// How fast a body must come.
    pub body: BodyLimits,
    /// Where the addresses that may call were read; `None` where all may.
    pub addresses: Option<Addresses>,
    /// When the provider is answered.
    pub ack: Ack,
    /// What becomes of its batches.
    pub batch: Batch,
    /// Whether what it says takes effect.
    pub role: Role,
    /// Whether repeats are recognised.
    pub dedup: Dedup,
    /// Silence for longer than this is an alarm; `None` where nothing is expected.
    pub expect_every: Option<Duration>,
    /// What happens to events over their tenant's rate.
    pub tenancy: Tenancy,
}

/// Largest body if nothing is said, in bytes.
pub(crate) const BODY_MAX: u64 = 1 << 20;
/// How often something may be expected of a source.
const EXPECTED: RangeInclusive<Duration> = Duration::from_secs(1)..=LONGEST;
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// What a record needs beside body and head at most: envelope and the segment's own header.
const BESIDE_HEAD: u64 = 16 << 10;

/// Builds the sources, in the order of their names.
pub(crate) fn build(
    building: &mut Building<'_>,
    said: &raw::Named<raw::Source>,
    listeners: &[&toml::Spanned<String>],
    built: &[(Listener, Span)],
    segment: (u64, &Span),
    (in_flight, queue): ((u64, Option<&Span>), u64),
) -> Vec<Source> {
    let mut proofs = Proofs::default();
    let mut sources = Vec::new();
    let mut claims: Vec<Claim> = Vec::new();
    for (name, source) in said {
        building.name(name);
        let raw = &source.value;
        let on = on(building, name, raw, listeners, built);
        let host = raw.host.as_ref().and_then(|host| self::host(building, host));
        let path = path(building, name, raw);
        if let (Some(path), Some(said)) = (&path, &raw.path) {
            let (on, host, source) = (on.clone(), host.clone(), name.get_ref().clone());
            claims.push(Claim { on, host, path: path.clone(), source, span: said.span.clone() });
        }
        let head = on.iter().map(|place| built[*place].0.limits.head_size).max();
        let head = head.unwrap_or_else(|| crate::listen::Limits::default().head_size);
        let rules_and_body = limits(building, raw, segment, in_flight, BESIDE_HEAD + head as u64);
        let public_url = on.iter().all(|place| built[*place].0.public_url.is_some()) && !on.is_empty();
        let proof = proofs.build(building, name, raw, public_url, path.as_ref());
        let proof = proof.map(|(built, shown)| (answers::over(building, raw, built), shown));
        let proof = proof.map(|(built, shown)| (batch::over(building, name.get_ref(), raw, queue, built), shown));
        loud(building, name, raw);
        ack::loud(building, name.get_ref(), raw.ack.as_ref());
        let expect_every = raw.expect_every.as_ref().map(|said| building.time(Some(said), LONGEST, EXPECTED));
        let addresses = raw.addresses.as_ref().map(|said| addresses(building, said));
        let (Some(path), Some(((proof, batch), shown))) = (path, proof) else { continue };
        unreached(building, name, raw, on.iter().filter_map(|place| built.get(*place)), &shown);
        let (mut rules, body) = rules_and_body;
        rules.methods.clone_from(&proof.methods);
        rules.comes_again = comes_again(&proof.facts.retries);
        // Who is not on the list that proves callers is turned away before anything is read.
        let list = addresses.as_ref().or(shown.addresses.as_ref());
        rules.addresses = list.map(|list| list.ranges.clone());
        let ack = ack::build(building, raw.ack.as_ref(), &proof.facts);
        let tenancy = tenancy(building, name.get_ref(), raw.over.as_ref(), &proof);
        let source = Source {
            name: name.get_ref().as_str().into(),
            on,
            host,
            path,
            provider: raw.provider.as_ref().map_or("", |said| said.value.as_str()).into(),
            built: proof,
            shown,
            rules,
            addresses,
            body,
            ack,
            batch,
            role: raw.mode.as_ref().map_or_else(Role::default, |said| said.value),
            expect_every,
            dedup: if raw.dedup.as_ref().is_some_and(|said| !said.value) { Dedup::Off } else { Dedup::On },
            tenancy,
        };
        sources.push(source);
    }
    clashes(building, &claims, built.len());
    sources
}

fn on(
    building: &mut Building<'_>,
    name: &toml::Spanned<String>,
    raw: &raw::Source,
    listeners: &[&toml::Spanned<String>],
    built: &[(Listener, Span)],
) -> Vec<usize> {
    let Some(said) = &raw.on else {
        let example = listeners.first().map_or("public", |name| name.get_ref().as_str());
        let help = format!("name the listeners it comes in by, such as on = [\"{example}\"]");
        building.missing(&name.span(), &["source", name.get_ref(), "on"], &help);
        return Vec::new();
    };
    if said.value.is_empty() {
        building.says_nothing(&said.span, "a source on no listener", "name at least one");
    }
    let names: Vec<&str> = listeners.iter().map(|name| name.get_ref().as_str()).collect();
    let mut places = Vec::new();
    for listener in &said.value {
        if !names.contains(&listener.value.as_str()) {
            building.unknown(listener, "listener", &names);
            continue;
        }
        // A listener that is named and could not be built has problems of its own.
        let Some(place) = built.iter().position(|(built, _)| *built.name == *listener.value) else { continue };
        if places.contains(&place) {
            building.problem(&listener.span, format!("listener `{}` is named twice", listener.value));
        } else {
            places.push(place);
        }
    }
    places
}

fn host(building: &mut Building<'_>, said: &Said<String>) -> Option<Box<str>> {
    let host = said.value.as_str();
    let plain = !host.is_empty()
        && host.len() <= 253
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || byte == b'[' || byte == b']')
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if !plain {
        let problem = building.problem(&said.span, "this is no host");
        problem.label("a name without scheme, port and path, such as \"hooks.example.com\"");
        if host.contains('*') {
            problem.note("a source answers to one host, or without `host` to every one");
        }
        return None;
    }
    Some(host.to_ascii_lowercase().into())
}

fn path(building: &mut Building<'_>, name: &toml::Spanned<String>, raw: &raw::Source) -> Option<Pattern> {
    let Some(said) = &raw.path else {
        building.missing(
            &name.span(),
            &["source", name.get_ref(), "path"],
            "say which path the provider calls, such as path = \"/meta\"",
        );
        return None;
    };
    match Pattern::parse(&said.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            building.problem(&said.span, "this path cannot be used").label(error.to_string()).note(
                "a path is made of segments; a segment may be a capture `{name}`, and the last one `*` for all below",
            );
            None
        }
    }
}

/// Whether an event that was answered 429 is not lost.
fn comes_again(retries: &Retries) -> bool {
    retries.any && retries.on_429 == Survival::Retried
}

/// What a source answers.
struct Claim {
    on: Vec<usize>,
    host: Option<Box<str>>,
    path: Pattern,
    source: String,
    span: Span,
}

/// Notes where two sources would answer the same requests, once for each source.
fn clashes(building: &mut Building<'_>, claims: &[Claim], listeners: usize) {
    let mut told: Vec<usize> = Vec::new();
    for listener in 0..listeners {
        let here = claims.iter().enumerate().filter(|(_, claim)| claim.on.contains(&listener));
        let entries: Vec<Entry<usize>> = here
            .map(|(place, claim)| Entry { host: claim.host.clone(), pattern: claim.path.clone(), to: place })
            .collect();
        let Err(taken) = Router::build(&entries) else { continue };
        for clash in taken {
            let place = entries[clash.entry].to;
            if told.contains(&place) {
                continue;
            }
            told.push(place);
            let claim = &claims[place];
            let earlier = entries[..clash.entry].iter().map(|entry| &claims[entry.to]);
            let earlier = earlier.filter(|earlier| earlier.host == claim.host);
            let earlier = earlier.into_iter().find(|earlier| shape(&earlier.path) == shape(&claim.path));
            let title = match earlier {
                Some(earlier) => {
                    format!("sources `{}` and `{}` would answer the same requests", earlier.source, claim.source)
                }
                None => format!("source `{}` would answer the same requests as another one", claim.source),
            };
            let problem = building.problem(&claim.span, title);
            match earlier {
                Some(earlier) => problem.also(earlier.span.clone(), "taken here"),
                None => problem.label(clash.to_string()),
            };
            problem.help("give one of them another path, host or listener");
        }
    }
}

/// A path in which all captures are the same.
fn shape(path: &Pattern) -> String {
    let segments = path.as_str().split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn limits(
    building: &mut Building<'_>,
    raw: &raw::Source,
    segment: (u64, &Span),
    in_flight: (u64, Option<&Span>),
    beside: u64,
) -> (Rules, BodyLimits) {
    let default = BodyLimits::default();
    let times = Duration::from_millis(100)..=Duration::from_secs(3600);
    let said = &raw.limits;
    let body_max = building.size(said.body.as_ref(), BODY_MAX, 1..=1 << 30);
    let (segment, segment_span) = segment;
    if body_max.saturating_add(beside) > segment {
        let most = super::units::show_size(segment.saturating_sub(beside));
        let beside = super::units::show_size(beside);
        let note = format!("no record crosses a segment; head and envelope need up to {beside} beside the body");
        match &said.body {
            Some(said) => {
                let also = segment_span.clone();
                building
                    .problem(&said.span, "a body of this size does not fit a segment of the journal")
                    .label(format!("at most {most}"))
                    .also(also, "the segment is set here")
                    .note(note);
            }
            None => {
                building
                    .problem(segment_span, "bodies up to 1MiB do not fit a segment of the journal")
                    .note(note)
                    .help(format!("set `limits.body` of the sources to at most {most}, or make the segment larger"));
            }
        }
    }
    if body_max > in_flight.0 {
        let span = said.body.as_ref().map(|said| &said.span).or(in_flight.1).unwrap_or(segment_span);
        let most = super::units::show_size(in_flight.0);
        building.problem(span, "a body of this size is larger than all bodies in flight may be").note(format!(
            "`limits.in-flight` of the whole process is {most}; such a body would be answered 503, always"
        ));
    }
    let deadline = building.time(said.deadline.as_ref(), default.deadline, times);
    let body = BodyLimits {
        deadline,
        grace: building.time(said.grace.as_ref(), default.grace, Duration::ZERO..=Duration::from_secs(3600)),
        min_rate: u32::try_from(building.flow(said.minimum_rate.as_ref(), u64::from(default.min_rate), 0..=1 << 30))
            .unwrap_or(default.min_rate),
    };
    (Rules { body_max, ..Rules::default() }, body)
}

fn addresses(building: &mut Building<'_>, said: &At<AddressesSaid>) -> Addresses {
    let addresses = addresses::build(building, said);
    if matches!(&said.value, AddressesSaid::Several(parts) if parts.is_empty()) {
        let help = "name ranges, or leave `addresses` out for all of them";
        building.says_nothing(&said.span, "no address may speak", help);
    }
    addresses
}

/// A proof by address behind something that hides every address proves nothing, and refuses everything.
fn unreached<'a>(
    building: &mut Building<'_>,
    name: &toml::Spanned<String>,
    raw: &raw::Source,
    on: impl Iterator<Item = &'a (Listener, Span)>,
    shown: &Shown,
) {
    let (Some(list), Some(said)) = (&shown.addresses, &raw.proof) else { return };
    for (listener, _) in on {
        let ip = listener.address.ip();
        if ip.is_loopback() && listener.trusted_hops.is_none() && !list.ranges.contains(ip) {
            let title = format!(
                "nobody can prove to be a caller of source `{}` on listener `{}`",
                name.get_ref(),
                listener.name
            );
            building
                .danger(&said.span, title)
                .note("only this machine reaches that listener, and its address is not on the list")
                .help("if something on this machine forwards to it, name it: trusted-hops = [\"127.0.0.1\"]");
        }
    }
}

/// Names a source that has no effect.
fn loud(building: &mut Building<'_>, name: &toml::Spanned<String>, raw: &raw::Source) {
    if let Some(said) = raw.mode.as_ref().filter(|said| said.value == Role::Observe) {
        building
            .danger(
                &said.span,
                format!("source `{}` only observes: nothing that it says is stored or sent", name.get_ref()),
            )
            .note("whoever calls it hears the same success as if it were; send it copies, as nginx does with `mirror`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_tries_again_after_a_429_may_hear_one() {
        let retries = |any, on_429| Retries { any, lasting: None, on_429, on_503: Survival::Retried };
        assert!(comes_again(&retries(true, Survival::Retried)));
        for on_429 in [Survival::Lost, Survival::Counted, Survival::Unknown] {
            assert!(!comes_again(&retries(true, on_429)), "{on_429:?}");
        }
        assert!(!comes_again(&retries(false, Survival::Retried)));
        let github = super::super::provider::built_in("github").expect("it is built in");
        let github = super::super::provider::Provider::parse("github", github).expect("it is right");
        assert!(!comes_again(&github.facts().retries));
    }
}
