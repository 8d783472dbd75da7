//! Which source, limits, route and destinations would a request meet?
//!
//! Promises: takes a request as a file or in pieces; says whether the proof was asked for; prints nothing secret: a body
//! is only counted, and what served as proof is not shown.
//!
//! Must not know: how the rooms decide; it asks [`rehearsal`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::rehearsal::{self, Asked, End, Story, Told};
use crate::config::{Ack, Batch, Config, Destination, NONE, Route, Source, show_size, show_time};
use crate::event::Dedup;
use crate::route::Tenant;

use super::check::{ack, line, met, more};

/// Largest request that is read, in bytes.
const REQUEST_MAX: u64 = 2 << 30;

/// A request to be explained.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Say what would become of one request, given as a file or by the flags below
    #[arg(long)]
    pub(super) explain: bool,
    /// A file with the request as HTTP/1.1 writes it: request line, headers, an empty line, the body
    #[arg(long, value_name = "FILE", requires = "explain", conflicts_with_all = ["path", "method", "header", "body"])]
    request: Option<PathBuf>,
    /// The source it is for; without --path its own path
    #[arg(long, value_name = "NAME", requires = "explain")]
    source: Option<String>,
    /// The listener it comes in by
    #[arg(long, value_name = "NAME", requires = "explain")]
    listener: Option<String>,
    /// Its path, with the query behind a `?`
    #[arg(long, value_name = "PATH", requires = "explain")]
    path: Option<String>,
    /// Its method
    #[arg(long, value_name = "METHOD", requires = "explain", default_value = "POST")]
    method: Method,
    /// One of its headers, such as 'X-GitHub-Event: push'; may be repeated
    #[arg(long, value_name = "NAME: VALUE", requires = "explain")]
    header: Vec<String>,
    /// A file with its body
    #[arg(long, value_name = "FILE", requires = "explain")]
    body: Option<PathBuf>,
    /// The address it comes from; without it, one from which it may come
    #[arg(long, value_name = "ADDRESS", requires = "explain")]
    from: Option<IpAddr>,
    /// Ask for the proof, too; without it the request is taken for proven
    #[arg(long, requires = "explain")]
    prove: bool,
}

/// A request that was read, and not yet put to a listener.
struct Parsed {
    method: Method,
    target: Option<PathAndQuery>,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Finds out what would become of the request.
///
/// # Errors
///
/// What of the arguments means nothing.
pub(super) fn story<'c>(config: &'c Config, explain: &Explain) -> Result<(Story<'c>, Asked), String> {
    let parsed = match &explain.request {
        Some(path) => parse(&read(path)?).map_err(|fault| format!("{}: {fault}", path.display()))?,
        None => pieces(explain)?,
    };
    let source = match &explain.source {
        None => None,
        Some(name) => {
            let known = config.sources.iter().find(|source| *source.name == **name);
            Some(known.ok_or_else(|| unknown("source", name, config.sources.iter().map(|source| &*source.name)))?)
        }
    };
    let listener = listener(config, explain, source, &parsed)?;
    let target = match (parsed.target, source) {
        (Some(target), _) => target,
        (None, Some(source)) => target(&rehearsal::sample(&source.path))?,
        (None, None) => return Err("say which request: --request FILE, --source NAME or --path PATH".to_owned()),
    };
    let named = parsed.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).map(Box::from);
    let host = named.unwrap_or_else(|| rehearsal::usual_host(&config.listeners[listener], source));
    let asked = Asked {
        listener,
        host,
        method: parsed.method,
        target,
        headers: parsed.headers,
        body: parsed.body,
        client: explain.from,
        proven_at: explain.prove.then(|| Clock::system().now()),
    };
    let story = rehearsal::rehearse(config, &asked).ok_or("this listener cannot be asked")?;
    match (source, story.source) {
        (Some(wanted), Some(found)) if wanted.name != found.name => {
            Err(format!("this host and path are those of source `{}`, not of `{}`", found.name, wanted.name))
        }
        (Some(wanted), None) => Err(format!("source `{}` does not have this host and path", wanted.name)),
        _ => Ok((story, asked)),
    }
}

pub(super) fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    format!("there is no {kind} `{name}`; there is {}", known.collect::<Vec<_>>().join(", "))
}

/// The listener that is named, or the first one that has the source or the path.
fn listener(config: &Config, explain: &Explain, source: Option<&Source>, parsed: &Parsed) -> Result<usize, String> {
    let names = || config.listeners.iter().map(|listener| &*listener.name);
    if let Some(name) = &explain.listener {
        return names().position(|known| known == name).ok_or_else(|| unknown("listener", name, names()));
    }
    if let Some(source) = source {
        return source.on.first().copied().ok_or_else(|| "the source comes in by no listener".to_owned());
    }
    let Some(target) = &parsed.target else { return Ok(0) };
    let has = |listener: &usize| {
        let host = parsed.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| rehearsal::usual_host(&config.listeners[*listener], None), Box::from);
        let asked = Asked {
            listener: *listener,
            host,
            method: parsed.method.clone(),
            target: target.clone(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            client: None,
            proven_at: None,
        };
        rehearsal::rehearse(config, &asked).is_some_and(|story| story.source.is_some())
    };
    Ok((0..config.listeners.len()).find(has).unwrap_or(0))
}

fn pieces(explain: &Explain) -> Result<Parsed, String> {
    let mut headers = HeaderMap::new();
    for header in &explain.header {
        let (name, value) = field(header).ok_or_else(|| format!("`{header}` is no header; write 'NAME: VALUE'"))?;
        headers.append(name, value);
    }
    Ok(Parsed {
        method: explain.method.clone(),
        target: explain.path.as_deref().map(target).transpose()?,
        headers,
        body: explain.body.as_deref().map(read).transpose()?.unwrap_or_default(),
    })
}

fn target(text: &str) -> Result<PathAndQuery, String> {
    let read = PathAndQuery::try_from(text).ok().filter(|read| read.as_str() == text && text.starts_with('/'));
    read.ok_or_else(|| format!("`{text}` is no path; it begins with `/` and is written as it is sent"))
}

pub(super) fn field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(REQUEST_MAX).read_to_end(&mut bytes));
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes)
}

/// Reads a request as it is sent, or as an editor keeps it: lines may end without a carriage return, and a line end behind
/// the body is none of it where the length says so.
fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let mut headers = HeaderMap::new();
    let mut rest = bytes;
    let mut request_line = None;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        rest = after;
        let line = std::str::from_utf8(line).map_err(|_| "the head is no text")?.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        if request_line.is_none() {
            request_line = Some(line);
        } else {
            let (name, value) = field(line).ok_or_else(|| format!("`{line}` is no header"))?;
            headers.append(name, value);
        }
    }
    let words: Vec<&str> = request_line.unwrap_or_default().split(' ').collect();
    let [method, path, "HTTP/1.1" | "HTTP/1.0"] = words.as_slice() else {
        return Err("a request begins with a line such as `POST /path HTTP/1.1`".to_owned());
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
    if headers.contains_key(http::header::TRANSFER_ENCODING) {
        return Err("a body in chunks is not read; write it whole, without Transfer-Encoding".to_owned());
    }
    let length = headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(length) if length > rest.len() => {
            Err(format!("the body has {} bytes, and the header says {length}", rest.len()))
        }
        Some(length) if !matches!(&rest[length..], b"" | b"\n" | b"\r\n") => {
            Err(format!("the body has {} bytes, and the header says {length}", rest.len()))
        }
        length => {
            let body = rest[..length.unwrap_or(rest.len())].to_vec();
            Ok(Parsed { method, target: Some(target(path)?), headers, body })
        }
    }
}

/// Prints for people what would become of the request.
pub(super) fn text(config: &Config, (story, asked): &(Story<'_>, Asked), out: &mut impl Write) -> io::Result<()> {
    // A path that holds what proves the request is not shown.
    let secret = story.source.filter(|source| !source.built.verifier.credential().captures().is_empty());
    let path = secret.map_or_else(|| asked.target.path(), |source| source.path.as_str());
    writeln!(out, "{} {path} to {} by listener {}", asked.method, asked.host, story.listener.name)?;
    writeln!(out)?;
    match story.source {
        Some(source) => {
            line(out, "source", &format!("{}, {} ({})", source.name, source.path, source.provider))?;
            if story.is_observed() {
                more(out, "it only observes: nothing of this is stored or sent, what would be is counted")?;
            }
            line(out, "limits", &limits(source, asked))?;
        }
        None => line(out, "source", "none has this host and path")?,
    }
    if let Some(source) = story.source {
        line(out, "proof", proof(source, story, asked))?;
    }
    if let (End::Heard(all), Some(source)) = (&story.end, story.source) {
        let several = all.len() > 1;
        if several {
            line(out, "events", &format!("{}: the batch is split, and all of them are stored or none is", all.len()))?;
        } else if source.batch == Batch::Split {
            line(out, "events", "one: it is no batch, or one of a single element or of too much, and goes on whole")?;
        }
        for (told, number) in all.iter().zip(1..) {
            if several {
                writeln!(out, "\nevent {number}")?;
            }
            said(config, source, told, out)?;
        }
        if several {
            writeln!(out)?;
        }
    }
    line(out, "answer", &answer(story))
}

/// What limits a request of this source meets, and how near it comes.
fn limits(source: &Source, asked: &Asked) -> String {
    let body = &source.body;
    let addresses = match (&source.rules.addresses, asked.client) {
        (None, _) => "from every address".to_owned(),
        (Some(_), None) => "only from the addresses that are listed, which was not asked (--from ADDRESS)".to_owned(),
        (Some(_), Some(client)) => format!("only from the addresses that are listed, asked for {client}"),
    };
    format!(
        "{}; bodies up to {} within {}, at least {}/s after {}, and this one has {} bytes; {addresses}",
        source.rules.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(" and "),
        show_size(source.rules.body_max),
        show_time(body.deadline),
        show_size(u64::from(body.min_rate)),
        show_time(body.grace),
        asked.body.len(),
    )
}

fn proof(source: &Source, story: &Story<'_>, asked: &Asked) -> &'static str {
    use crate::ingress::Rejection;
    match (&story.end, asked.proven_at) {
        (End::Challenged { owing: false, .. }, _) => "a handshake, which has a proof of its own",
        (End::Challenged { .. }, Some(_)) => "holds, and it is a handshake",
        (End::Challenged { .. }, None) => "was not asked for: the handshake is taken for proven (--prove asks)",
        (End::Refused(Rejection::Unproven(_)), _) => "does not hold",
        (End::Refused(_), _) => "was not asked for: the request is refused before",
        (End::Heard(_), _) if source.built.verifier.proves_nothing() => "none: everything is taken for an event",
        (End::Heard(_), Some(_)) => "holds",
        (End::Heard(_), None) => "was not asked for: the request is taken for proven (--prove asks)",
    }
}

fn said(config: &Config, source: &Source, told: &Told<'_>, out: &mut impl Write) -> io::Result<()> {
    line(out, "tenant", &tenant(told))?;
    more(out, &format!("its limits: {}", met(config, source, told.tenant())))?;
    line(out, "kind", if told.glimpse.kind.is_empty() { "none" } else { &told.glimpse.kind })?;
    line(out, "event id", &id(source, told))?;
    if !told.glimpse.readable {
        more(out, "the body cannot be read; what routes ask of it is answered neither with yes nor with no")?;
    }
    line(out, "ack", &acknowledged(source, told))?;
    line(out, "route", &told.route.map_or_else(|| "none matches".to_owned(), |route| named(config, route)))?;
    if let Some(when) = told.route.and_then(|route| route.when.as_ref()) {
        more(out, &format!("because {when}"))?;
    }
    for route in &told.passed {
        more(out, &format!("not {}", named(config, route)))?;
    }
    match told.route {
        Some(route) if route.to.is_none() => line(out, "destinations", "none: nothing is stored"),
        None => line(out, "destinations", "none: it is stored, and owed to nobody"),
        Some(_) => told.to.iter().enumerate().try_for_each(|(at, (to, url))| {
            let url = url
                .as_deref()
                .unwrap_or("none: its path, or what is woven in of the event, leads out of the destination's");
            let observes = if to.is_live() { "" } else { "; it only observes, and is not sent it" };
            line(out, if at == 0 { "destinations" } else { "" }, &format!("{} at {url}{observes}", to.plan.name))
        }),
    }
}

fn named(config: &Config, route: &Route) -> String {
    format!("{} ({}:{})", route.label, config.path.display(), route.line)
}

fn tenant(told: &Told<'_>) -> String {
    match told.tenant() {
        Tenant::None => "none: nobody's in particular".to_owned(),
        Tenant::Unknown => "unknown: nobody of the configuration has its key".to_owned(),
        Tenant::One(name) => name.to_owned(),
        Tenant::Mixed => format!("several together: {}", told.glimpse.tenants.keys.join(", ")),
    }
}

/// When its provider hears the answer, and whose.
fn acknowledged(source: &Source, told: &Told<'_>) -> String {
    let goes = |name: &str| told.to.iter().any(|(to, _)| *to.plan.name == *name);
    match &source.ack {
        _ if told.route.is_some_and(|route| route.to.is_none()) => "at once: nothing is stored".to_owned(),
        Ack::Delivered(delivered) if !goes(&delivered.destination) => {
            let (status, name) = (source.built.answers.success.status, &delivered.destination);
            format!("{status} once the event is on disk: it does not go to destination {name}")
        }
        _ => ack(source),
    }
}

fn id(source: &Source, told: &Told<'_>) -> String {
    match told.id {
        Some(id) => format!("{id}, which is its dedup key, too"),
        None if source.dedup == Dedup::Off => "random: dedup is off for this source".to_owned(),
        None if !source.built.selectors.keyed() => "random: the provider gives its events no id".to_owned(),
        None => "random: a part of the provider's id is not there, so a repeat is not recognised".to_owned(),
    }
}

fn answer(story: &Story<'_>) -> String {
    let status = story.status();
    match (&story.end, story.source) {
        (End::Refused(rejection), _) => format!("{status}: {rejection}"),
        (End::Challenged { answer, .. }, _) => format!("{status}: the handshake, {} bytes", answer.body().len()),
        (End::Heard(_), Some(source)) => {
            let success = &source.built.answers.success;
            let body = match success.content_type {
                Some(kind) => format!("{kind}, {} bytes", success.body.len()),
                None => "empty".to_owned(),
            };
            format!("{status}: {body}")
        }
        (End::Heard(_), None) => status.to_string(),
    }
}

/// Prints for machines what would become of the request.
pub(super) fn json(config: &Config, (story, asked): &(Story<'_>, Asked), out: &mut impl Write) -> io::Result<()> {
    let all = match &story.end {
        End::Heard(all) => &**all,
        End::Refused(_) | End::Challenged { .. } => &[],
    };
    let events: Vec<Value> = all.iter().map(|told| json_event(config, story.source, told)).collect();
    let told = json!({
        "ok": true,
        "configuration": config.path.display().to_string(),
        "listener": &*story.listener.name,
        "source": story.source.map(|source| &*source.name),
        "observed": story.is_observed(),
        "proof": if asked.proven_at.is_some() { "asked" } else { "skipped" },
        "status": story.status(),
        "handshake": matches!(story.end, End::Challenged { .. }),
        "refused": match &story.end { End::Refused(rejection) => Some(rejection.word()), _ => None },
        // The only one; of several there is none that stands for the others.
        "event": match &*events { [only] => Some(only), _ => None },
        "events": events,
    });
    writeln!(out, "{told:#}")
}

fn json_event(config: &Config, source: Option<&Source>, told: &Told<'_>) -> Value {
    let heard_by = |(to, url): &(&Destination, Option<String>)| json!({ "destination": &*to.plan.name, "url": url, "observes": !to.is_live() });
    let route = |route: &Route| json!({ "route": &*route.label, "line": route.line });
    json!({
        "tenant": match told.tenant() { Tenant::One(name) => Some(name), _ => None },
        "mixed": told.tenant() == Tenant::Mixed,
        "tenant_keys": told.glimpse.tenants.keys,
        "limits": source.map(|source| met(config, source, told.tenant())),
        "kind": &*told.glimpse.kind,
        "ack": source.map(|source| acknowledged(source, told)),
        "id": told.id.map(|id| id.to_string()),
        "readable": told.glimpse.readable,
        "route": told.route.map_or(NONE, |route| &*route.label),
        "line": told.route.map(|route| route.line),
        "passed": told.passed.iter().map(|passed| route(passed)).collect::<Vec<_>>(),
        "discard": told.route.is_some_and(|route| route.to.is_none()),
        "to": told.to.iter().map(heard_by).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests;
