//! What is printed of requests and their answers?
//!
//! Promises: nothing secret; a refusal is explained as far as the configuration can.
//!
//! Must not know: how they were sent.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::{Value, json};

use super::line::{Answer, Place};
use super::shown::Mask;
use crate::config::rehearsal::{Asked, End, Story, Told as Heard, rehearse};
use crate::config::{Ack, Config, Destination, Source};
use crate::route::Tenant;

/// How much of an answer's body is printed.
const BODY_SHOWN: usize = 4 << 10;
/// What is left where the configuration knows of no reason.
const OTHERWISE: &str = "by this configuration it should have been taken; is another one running, or other secrets?";

/// What is known before anything is sent.
pub(super) struct Told<'a> {
    config: &'a Config,
    source: &'a Source,
    url: String,
    own: bool,
    mask: &'a Mask,
}

impl<'a> Told<'a> {
    pub(super) fn new(config: &'a Config, source: &'a Source, place: &Place, mask: &'a Mask) -> Self {
        Self { config, source, url: place.url(), own: place.own, mask }
    }

    pub(super) fn begin(&self, asked: &Asked, out: &mut impl Write) -> io::Result<()> {
        let target = self.mask.plain(asked.target.as_str());
        let (source, title) = (&self.source.name, &self.source.built.facts.title);
        writeln!(out, "{} {}{target}", asked.method, self.url)?;
        writeln!(out, "  source {source} ({title}), {} bytes", asked.body.len())?;
        out.flush()
    }

    pub(super) fn text(&self, all: &[(Asked, Answer)], out: &mut impl Write) -> io::Result<()> {
        let Some((asked, last)) = all.last() else { return Ok(()) };
        if all.len() > 1 {
            let (median, slowest) = (millis(percentile(all, 50)), millis(percentile(all, 100)));
            let well = all.iter().filter(|(_, answer)| answer.status.is_success()).count();
            writeln!(out, "{} sent, {well} answered 2xx; median {median}, slowest {slowest}; the last:", all.len())?;
        }
        let reason = last.status.canonical_reason().unwrap_or_default();
        writeln!(out, "{} {reason} after {}", last.status.as_u16(), millis(last.took))?;
        if !last.body.is_empty() {
            let shown = String::from_utf8_lossy(&last.body[..last.body.len().min(BODY_SHOWN)]).into_owned();
            let kind = last.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("a body");
            writeln!(out, "  {kind}, {} bytes: {}", last.body.len(), self.mask.plain(shown.trim_end()))?;
        }
        match self.why(asked, last) {
            Some(why) => writeln!(out, "  {why}"),
            None => self.next(asked, out),
        }
    }

    /// What became of it, and where to look.
    fn next(&self, asked: &Asked, out: &mut impl Write) -> io::Result<()> {
        let story = rehearse(self.config, asked);
        let observed = story.as_ref().is_some_and(Story::is_observed);
        if observed {
            writeln!(out, "  the source only observes: nothing is stored or sent, and what would be is counted")?;
        } else if let Some(End::Heard(all)) = story.map(|story| story.end) {
            Self::whither(&all, out)?;
        }
        if let (Some(metrics), true) = (self.config.metrics.filter(|address| address.port() != 0), self.own) {
            let (what, counted) = match observed {
                true => ("What would have been sent", "would_send_events_total{"),
                false => ("Whether it arrived", "attempts_total.*delivered"),
            };
            writeln!(out, "\n{what}\n  curl -s http://{metrics}/metrics | grep '{counted}'")?;
        }
        let tried = self.config.listeners.get(asked.listener).filter(|listener| {
            listener.files.is_empty() && listener.address.ip().is_loopback() && listener.trusted_hops.is_none()
        });
        if let (Some(listener), true) = (tried, self.own) {
            let (path, title) = (self.config.path.display(), &self.source.built.facts.title);
            writeln!(out, "\nTo go live")?;
            if observed {
                writeln!(out, "  remove mode = \"observe\" from source {}, porteiro reload;", self.source.name)?;
            }
            writeln!(out, "  listener {} takes calls of this machine only: give it in {path}", listener.name)?;
            writeln!(out, "  the world's address and a certificate, or name the proxy in front of it; start again,")?;
            writeln!(out, "  and paste the URL at {title}")?;
        }
        Ok(())
    }

    /// Where each event of it goes.
    fn whither(all: &[Heard<'_>], out: &mut impl Write) -> io::Result<()> {
        let list = |all: &[&Destination]| all.iter().map(|to| &*to.plan.name).collect::<Vec<_>>().join(", ");
        let several = all.len() > 1;
        if several {
            writeln!(out, "  the batch is split into {} events", all.len())?;
        }
        for (told, number) in all.iter().zip(1..) {
            let what = if several { format!("event {number}{}: ", of_whom(told)) } else { String::new() };
            let (live, aside): (Vec<_>, Vec<_>) = told.to.iter().map(|(to, _)| *to).partition(|to| to.is_live());
            match told.route {
                Some(route) if route.to.is_none() => writeln!(out, "  {what}discarded by route {}", route.label)?,
                Some(route) if !live.is_empty() => {
                    writeln!(out, "  {what}by route {} it goes to {}", route.label, list(&live))?;
                }
                _ => writeln!(out, "  {what}no route takes it anywhere: it is stored, and owed to nobody")?,
            }
            if !aside.is_empty() {
                writeln!(out, "  {what}{} would be sent it, and only observes", list(&aside))?;
            }
        }
        Ok(())
    }

    /// Why it was refused, as far as this configuration tells.
    fn why(&self, asked: &Asked, answer: &Answer) -> Option<String> {
        if answer.status.is_success() {
            return None;
        }
        let client = self.own.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let asked = Asked { client, ..asked.clone() };
        let why = match rehearse(self.config, &asked)?.end {
            End::Refused(rejection) => format!("by this configuration: {rejection}"),
            End::Heard(_) => self.taken(answer.status.as_u16()),
            End::Challenged { .. } => OTHERWISE.to_owned(),
        };
        Some(why)
    }

    /// Why an event that is right is answered so.
    fn taken(&self, status: u16) -> String {
        let late = self.source.built.answers.late.status;
        match (status, &self.source.ack) {
            (_, Ack::Delivered(said)) if said.pass.contains(&status) => {
                format!("it was taken, and this is what destination {} answered, passed back", said.destination)
            }
            (_, Ack::Delivered(said)) if status == late => {
                format!("it was taken, and destination {} gave no answer in time that is passed back", said.destination)
            }
            (429, _) => {
                "it was proven, and is over its tenant's rate, or this address was refused too often; try later".into()
            }
            (503, _) => {
                "it was proven, and there is no room for it now: a full disk, too many at once, a tenant over its \
                         rate, or an end that is near; the log tells, or /-/ready"
                    .into()
            }
            _ => OTHERWISE.to_owned(),
        }
    }

    pub(super) fn json(&self, all: &[(Asked, Answer)], out: &mut impl Write) -> io::Result<()> {
        let Some((asked, last)) = all.last() else { return Ok(()) };
        let headers = last.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), Value::from(self.mask.plain(&value)))
        });
        let well = all.iter().filter(|(_, answer)| answer.status.is_success()).count();
        let told = json!({
            "ok": well == all.len(),
            "source": &*self.source.name,
            "method": asked.method.as_str(),
            "url": format!("{}{}", self.url, self.mask.plain(asked.target.as_str())),
            "sent": all.len(),
            "answered_2xx": well,
            "median_seconds": percentile(all, 50).as_secs_f64(),
            "slowest_seconds": percentile(all, 100).as_secs_f64(),
            "last": {
                "status": last.status.as_u16(),
                "seconds": last.took.as_secs_f64(),
                "headers": headers.collect::<serde_json::Map<_, _>>(),
                "body": self.mask.plain(&String::from_utf8_lossy(&last.body)),
                "refused": self.why(asked, last),
            },
        });
        writeln!(out, "{told:#}")
    }
}

/// Whose an event of several is, and of what kind.
fn of_whom(told: &Heard<'_>) -> String {
    let kind = if told.glimpse.kind.is_empty() { String::new() } else { format!(", {}", told.glimpse.kind) };
    match told.tenant() {
        Tenant::One(name) => format!("{kind}, of tenant {name}"),
        Tenant::Mixed => format!("{kind}, of several tenants"),
        Tenant::Unknown => format!("{kind}, of an unknown tenant"),
        Tenant::None => kind,
    }
}

/// How long so many of a hundred took at most.
fn percentile(all: &[(Asked, Answer)], of_hundred: usize) -> Duration {
    let mut took: Vec<Duration> = all.iter().map(|(_, answer)| answer.took).collect();
    took.sort_unstable();
    let at = (took.len() * of_hundred / 100).min(took.len().saturating_sub(1));
    took.get(at).copied().unwrap_or_default()
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}
