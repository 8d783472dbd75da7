//! What does a source of the configuration answer to a request that its provider could have sent?
//!
//! Promises: the request is signed with the configuration's own secrets, and none of them is printed: what shows one is
//! printed as where it stands; every wait ends.
//!
//! Must not know: how anything is signed; it asks [`rehearsal`].

mod line;
mod shown;
mod told;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use self::line::{Answer, Line, Place};
use self::shown::Mask;
use super::{Failure, Output, explain, runtime};
use crate::clock::Clock;
use crate::config::rehearsal::{self, Asked, Wanted};
use crate::config::{self, Config, Source};

/// Largest body that is read, in bytes: more than any source takes.
const BODY_MAX: u64 = 2 << 30;

/// A request to be made up and sent.
#[derive(Debug, Args)]
pub(super) struct Send {
    #[command(flatten)]
    file: super::File,
    /// The source it is for; without it the only one that there is
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The body: a file, `-` for what comes on stdin, or the text itself; without it a sample of the provider's shape
    #[arg(long, value_name = "FILE|-|TEXT")]
    body: Option<String>,
    /// One of its headers, such as 'X-GitHub-Event: push'; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// What stands for the `*` of the source's path
    #[arg(long, value_name = "REST", default_value = "")]
    path: String,
    /// A capture of the source's path; may be repeated. Tokens in the path are known without
    #[arg(long, value_name = "NAME=VALUE", value_parser = capture)]
    capture: Vec<(String, String)>,
    /// Its query, without the `?`
    #[arg(long, value_name = "QUERY", default_value = "")]
    query: String,
    /// Its method; without it one that the provider's events come with
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,
    /// The listener it goes to; without it the source's first
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Where to: scheme, host and port; without it the listener's address on this machine
    #[arg(long, value_name = "URL", value_parser = line::place)]
    to: Option<Uri>,
    /// Believe the authorities in this file, besides the configuration's own certificates
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Believe whoever answers; the configuration's own certificates are believed without
    #[arg(long)]
    insecure: bool,
    /// Change one character of what proves it, to see it refused
    #[arg(long)]
    forged: bool,
    /// How often, each made up anew
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    times: u32,
    /// How many in a second at most, such as 50/s
    #[arg(long, value_name = "N/s", value_parser = config::rate_of)]
    rate: Option<config::Rate>,
    /// How long connecting and each answer may take
    #[arg(long, value_name = "TIME", value_parser = config::time_of, default_value = "30s")]
    within: Duration,
    /// Print it as a line for a shell instead of sending it
    #[arg(long, conflicts_with = "times")]
    dry_run: bool,
    /// For people, or for machines
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    explain::field(text).ok_or_else(|| "expected a header, such as 'X-GitHub-Event: push'".to_owned())
}

fn capture(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Makes a request up, sends it, and prints what came back.
///
/// # Errors
///
/// What cannot be made up, sent or printed, and every answer that is no success.
pub(super) fn run(arguments: &Send, out: &mut impl Write) -> Result<(), Failure> {
    let config = super::load(&arguments.file.config)?;
    let source = source(&config, arguments.source.as_deref()).map_err(Failure::Run)?;
    let listener = listener(&config, arguments.listener.as_deref()).map_err(Failure::Run)?;
    let body = arguments.body.as_deref().map(body).transpose().map_err(Failure::Run)?;
    let headers: HeaderMap = arguments.header.iter().cloned().collect();
    let wanted = Wanted {
        source,
        listener,
        method: arguments.method.clone(),
        rest: &arguments.path,
        captures: &arguments.capture,
        query: &arguments.query,
        headers,
        body,
        forged: arguments.forged,
    };
    let make = || {
        let made = rehearsal::compose(&config, &wanted, Clock::system().now());
        made.map_err(|error| Failure::Run(format!("source `{}`: {error}", source.name)))
    };
    let asked = make()?;
    let place = Place::find(&config, &asked, arguments.to.as_ref()).map_err(Failure::Run)?;
    let mask = Mask::of(config.hidden(&source.name));
    if arguments.dry_run {
        let line = shown::curl(&place, &asked, &mask, arguments.insecure, arguments.ca.as_deref());
        let line = line.map_err(Failure::Run)?;
        match arguments.output {
            Output::Text => writeln!(out, "{line}")?,
            Output::Json => writeln!(out, "{:#}", serde_json::json!({ "ok": true, "curl": line }))?,
        }
        return Ok(());
    }
    let line = Line::new(&config, place, arguments.ca.as_deref(), arguments.insecure, arguments.within);
    let mut line = line.map_err(Failure::Run)?;
    let told = told::Told::new(&config, source, &line.place, &mask);
    if arguments.output == Output::Text {
        told.begin(&asked, out)?;
    }
    let all = runtime()?.block_on(async {
        let mut all = Vec::new();
        let begun = Instant::now();
        let mut next = Some(asked);
        for number in 0..arguments.times {
            let asked = match next.take() {
                Some(asked) => asked,
                None => make()?,
            };
            if let Some(rate) = arguments.rate {
                let due = Duration::from_secs_f64(f64::from(number) / rate.per_second());
                tokio::time::sleep_until((begun + due).into()).await;
            }
            let answer = line.send(&asked).await.map_err(Failure::Run)?;
            all.push((asked, answer));
            // Only the last one is looked at more closely, so the bodies of the others need not be kept.
            let before = all.len().saturating_sub(1);
            all[..before].last_mut().into_iter().for_each(forget);
        }
        Ok::<_, Failure>(all)
    })?;
    match arguments.output {
        Output::Text => told.text(&all, out)?,
        Output::Json => told.json(&all, out)?,
    }
    match all.iter().find(|(_, answer)| !answer.status.is_success()) {
        None => Ok(()),
        Some((_, answer)) => Err(Failure::Run(format!("answered {}", answer.status.as_u16()))),
    }
}

fn forget((asked, answer): &mut (Asked, Answer)) {
    asked.body = Vec::new();
    asked.headers = HeaderMap::new();
    answer.headers = HeaderMap::new();
    answer.body = Vec::new();
}

fn source<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c Source, String> {
    let names = || config.sources.iter().map(|source| &*source.name);
    match (name, config.sources.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("say for which source: --source {}", names().collect::<Vec<_>>().join(", or "))),
        (Some(name), sources) => {
            let found = sources.iter().find(|source| *source.name == *name);
            found.ok_or_else(|| explain::unknown("source", name, names()))
        }
    }
}

fn listener(config: &Config, name: Option<&str>) -> Result<Option<usize>, String> {
    let Some(name) = name else { return Ok(None) };
    let names = || config.listeners.iter().map(|listener| &*listener.name);
    let found = names().position(|known| known == name);
    found.map(Some).ok_or_else(|| explain::unknown("listener", name, names()))
}

/// A file, stdin, or the text itself.
fn body(said: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    if said == "-" {
        let read = io::stdin().lock().take(BODY_MAX).read_to_end(&mut bytes);
        read.map_err(|error| format!("the body cannot be read from stdin: {error}"))?;
        return Ok(bytes);
    }
    match File::open(said) {
        Ok(file) => {
            let read = file.take(BODY_MAX).read_to_end(&mut bytes);
            read.map_err(|error| format!("{said}: {error}"))?;
            Ok(bytes)
        }
        // A name that nobody would give to a body is a slip of the hand.
        Err(error) if !said.is_empty() && !said.contains(['{', '[', '=', ' ', '<']) => Err(format!("{said}: {error}")),
        Err(_) => Ok(said.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests;
