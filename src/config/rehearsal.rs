//! What would become of a request?
//!
//! Promises: the rooms that a request would visit are asked in the order of the way in, each by its own code: which
//! source, may it speak, is it proven, what does it say, who hears it. Nothing is stored, counted or sent, and what is
//! only told of the proof is told as that: a [`Told`] is no event.
//!
//! Must not know: what was heard before, how many refusals an address collected, or whether anything is running.

pub(crate) mod cases;
mod composed;

pub use composed::{CannotCompose, Wanted, compose, forged, percent};

use std::net::{IpAddr, Ipv4Addr};

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::routes::{rules, source_id};
use super::{Config, Destination, Listener, Route, Source};
use crate::admission::{Admission, Rules};
use crate::clock::Timestamp;
use crate::deliver::Values;
use crate::event::{Dedup, EventId, Glimpse, Head, SourceFacts};
use crate::ingress::Rejection;
use crate::route::{Facts, Table, Tenant};
use crate::select;
use crate::snapshot::{Entry, Pattern, Role, Router};
use crate::tenant;
use crate::verify::Challenge;

/// A request to be tried.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The place in [`Config::listeners`] of the listener it comes in by.
    pub listener: usize,
    /// The host that it names, as the Host field does.
    pub host: Box<str>,
    /// Its method.
    pub method: Method,
    /// Its path and query, raw.
    pub target: PathAndQuery,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Vec<u8>,
    /// Where it comes from; `None` is from where it may.
    pub client: Option<IpAddr>,
    /// When it has to be proven; `None` takes it for proven.
    pub proven_at: Option<Timestamp>,
}

/// What became of it.
#[derive(Debug)]
pub struct Story<'c> {
    /// The listener it came in by.
    pub listener: &'c Listener,
    /// The source it is for; `None` where there is none.
    pub source: Option<&'c Source>,
    /// How far it came.
    pub end: End<'c>,
}

/// How far a request came.
#[derive(Debug)]
pub enum End<'c> {
    /// It was refused before it said anything.
    Refused(Rejection),
    /// It is a handshake, answered at once, if what it has to be proven by holds.
    Challenged {
        /// The answer.
        answer: Challenge,
        /// Whether anything but the handshake itself has to be proven.
        owing: bool,
    },
    /// It is an event, if it is proven, or several, if it is a batch that is split; never none.
    Heard(Vec<Told<'c>>),
}

/// What an event of a request says, and who would hear it.
#[derive(Debug)]
pub struct Told<'c> {
    /// What it says.
    pub glimpse: Glimpse,
    /// Who finds whom it concerns.
    door: tenant::Door,
    /// The id that an event would have; `None` where it would be random.
    pub id: Option<EventId>,
    /// The routes of its source that come before the one that decides, and do not match.
    pub passed: Vec<&'c Route>,
    /// The route that decides; `None` where none matches.
    pub route: Option<&'c Route>,
    /// Who hears it, or would if they did not only observe, and at which URL at the first attempt; an id that is random
    /// stands there as `{id}`. `None` for one whose URL does not go with the event's path, or with what is woven in of it.
    pub to: Vec<(&'c Destination, Option<String>)>,
}

impl Told<'_> {
    /// Whose event it is.
    #[must_use]
    pub fn tenant(&self) -> Tenant<'_> {
        Tenant::of(&self.door.parties(&self.glimpse.tenants))
    }
}

impl Story<'_> {
    /// Whether it is for a source that only observes: nothing of it is stored or sent.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.source.is_some_and(|source| source.role == Role::Observe)
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match (&self.end, self.source) {
            (End::Refused(Rejection::Unproven(_)), Some(source)) => source.built.answers.reject.status,
            (End::Refused(rejection), _) => rejection.status().as_u16(),
            (End::Challenged { answer, .. }, _) => answer.status(),
            (End::Heard(_), Some(source)) => source.built.answers.success.status,
            (End::Heard(_), None) => StatusCode::OK.as_u16(),
        }
    }
}

/// Tries a request; `None` for a listener that there is not.
#[must_use]
pub fn rehearse<'c>(config: &'c Config, asked: &Asked) -> Option<Story<'c>> {
    let listener = config.listeners.get(asked.listener)?;
    let router = Router::build(&entries(config, asked.listener)).ok()?;
    let Some(found) = router.find(&asked.host, asked.target.path()) else {
        return Some(Story { listener, source: None, end: End::Refused(Rejection::Nowhere) });
    };
    let source = config.sources.get(*found.to)?;
    let request = select::Request {
        method: &asked.method,
        path: asked.target.path(),
        query: asked.target.query().unwrap_or_default(),
        headers: &asked.headers,
        body: &asked.body,
        captures: &found.captures,
        public_url: listener.public_url.as_deref(),
    };
    let end = match admitted(config, source, asked).and_then(|()| proven(source, &request, asked)) {
        Err(rejection) => End::Refused(rejection),
        Ok(Some((answer, owing))) => End::Challenged { answer, owing },
        Ok(None) => End::Heard(heard(config, *found.to, found.rest, &request)?),
    };
    Some(Story { listener, source: Some(source), end })
}

/// What the hosts and paths of a listener mean, by the place of the source.
fn entries(config: &Config, listener: usize) -> Vec<Entry<usize>> {
    let here = config.sources.iter().enumerate().filter(|(_, source)| source.on.contains(&listener));
    here.map(|(place, source)| Entry { host: source.host.clone(), pattern: source.path.clone(), to: place }).collect()
}

fn admitted(config: &Config, source: &Source, asked: &Asked) -> Result<(), Rejection> {
    let anywhere = Rules { addresses: None, ..source.rules.clone() };
    let rules = if asked.client.is_some() { &source.rules } else { &anywhere };
    let client = asked.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let length = Some(asked.body.len() as u64);
    drop(Admission::new(config.admission).admit(rules, client, &asked.method, length, Timestamp::ZERO)?);
    Ok(())
}

/// A handshake is one whether or not the proof is asked for, as is a method that no event comes with.
fn proven(
    source: &Source,
    request: &select::Request<'_>,
    asked: &Asked,
) -> Result<Option<(Challenge, bool)>, Rejection> {
    let verifier = &source.built.verifier;
    if let Some(at) = asked.proven_at {
        verifier.verify(request, asked.client, at)?;
    }
    Ok(verifier.suppose(request)?)
}

fn heard<'c>(config: &'c Config, place: usize, rest: &str, request: &select::Request<'_>) -> Option<Vec<Told<'c>>> {
    let source = config.sources.get(place)?;
    let table = Table::build(source_id(place), &source.name, &rules(&config.routes)).ok()?;
    let selectors = source.built.selectors.asking(table.questions().clone()).ok()?;
    let credential = source.built.verifier.credential();
    let facts = SourceFacts { name: &source.name, rest, credential, dedup: source.dedup };
    let tenants = tenant::Table::build(&config.tenants.spec, None, Timestamp::ZERO);
    let door = tenants.door(&source.name, source.tenancy.named, source.tenancy.manner);
    let query = Head::query_without(request.query, credential);
    let told = |glimpse: Glimpse| {
        let tenant = Tenant::of(&door.parties(&glimpse.tenants));
        let decided = table.resolve(&Facts::glimpsed(&glimpse, tenant)).rule();
        let mut own = table.origins().filter_map(|origin| config.routes.get(origin));
        let passed = own.by_ref().take(decided.unwrap_or(usize::MAX)).collect::<Vec<_>>();
        let route = decided.and_then(|rule| config.routes.get(table.origins().nth(rule)?));
        let id = glimpse.key.filter(|_| source.dedup == Dedup::On).map(EventId::from_key);
        let values = Values {
            source: &source.name,
            tenant: called(tenant),
            kind: &glimpse.kind,
            id: id.map(|id| *id.as_bytes()),
            attempt: 1,
            path: rest,
        };
        let places = route.and_then(|route| route.to.as_ref()).into_iter().flatten();
        let to = places.filter_map(|place| config.destinations.get(*place));
        let to = to.map(|to| (to, url(to, rest, &query, &values))).collect();
        Told { id, passed, route, to, glimpse, door: door.clone() }
    };
    Some(Glimpse::read(&facts, &selectors, request).into_iter().map(told).collect())
}

fn url(to: &Destination, rest: &str, query: &str, values: &Values<'_>) -> Option<String> {
    let target = to.built.target(rest, query, values)?;
    let base = to.plan.url.parse::<Uri>().ok()?;
    Some(format!("{}://{}{target}", base.scheme_str()?, base.authority()?))
}

/// What a tenant is called in words.
fn called(tenant: Tenant<'_>) -> &str {
    match tenant {
        Tenant::None => "none",
        Tenant::Unknown => "unknown",
        Tenant::Mixed => "mixed",
        Tenant::One(name) => name,
    }
}

/// A path that a pattern takes, in which every capture is its own name.
#[must_use]
pub fn sample(pattern: &Pattern) -> String {
    let text = pattern.as_str().replace(['{', '}'], "");
    text.strip_suffix('*').filter(|_| pattern.takes_below()).map_or_else(|| text.clone(), str::to_owned)
}

/// The host that a request names if it says nothing else.
#[must_use]
pub fn usual_host(listener: &Listener, source: Option<&Source>) -> Box<str> {
    let public = || listener.public_url.as_deref()?.parse::<Uri>().ok()?.host().map(Box::from);
    source.and_then(|source| source.host.clone()).or_else(public).unwrap_or_else(|| "localhost".into())
}
