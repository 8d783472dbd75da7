//! Where do events go out, and how?
//!
//! Promises: a destination that is built can be tried: its URL, names, credentials, roots and schedule were read.
//!
//! Must not know: which events it will get.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::deliver::{self, Pin, Plan, PlanError, Roots, Trust, TrustError, WeaveError};
use crate::journal::{DestinationPlan, HandOver};
use crate::retry::{Policy, Schedule, ScheduleError, Success};
use crate::snapshot::Role;

use super::build::Building;
use super::problem::Span;
use super::said::{At, Said};
use super::{names, raw};

mod auth;
mod headers;
mod proxy;
mod reach;
mod sign;
mod tls;

/// A destination as it is to be started.
#[derive(Clone, Debug)]
pub struct Destination {
    /// What was said of it.
    pub plan: Plan,
    /// What that became; to be started.
    pub built: Arc<deliver::Destination>,
    /// What the journal keeps for it.
    pub journal: DestinationPlan,
    /// Whether anything is sent to it.
    pub role: Role,
}

impl Destination {
    /// Whether anything is sent to it, or becomes owed to it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.role == Role::Live
    }
}

/// A built destination and where it stands in the text.
pub(crate) struct Placed {
    pub(crate) destination: Destination,
    pub(crate) url: Span,
    pub(crate) hand_over: Option<Span>,
}

/// Longest schedule, age or deadline that makes sense.
const AGE_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Builds the destinations, in the order of their names.
pub(crate) fn build(building: &mut Building<'_>, file: &raw::File, disk: u64) -> Vec<Placed> {
    let mut given = Given { disk, roots: Roots::default(), proxy: proxy::shared(building, file) };
    let mut built = Vec::new();
    for (name, destination) in &file.destination {
        building.name(name);
        built.extend(one(building, name, destination, &mut given));
    }
    built
}

/// What all destinations share.
struct Given {
    /// As much as the journal may take.
    disk: u64,
    roots: Roots,
    proxy: proxy::Shared,
}

fn one(
    building: &mut Building<'_>,
    name: &toml::Spanned<String>,
    said: &At<raw::Destination>,
    given: &mut Given,
) -> Option<Placed> {
    let raw = &said.value;
    let problems = building.problems.count();
    let trust = tls::trust(building, raw.tls.as_ref());
    let shown = tls::shown(building, name.get_ref(), raw.tls.as_ref());
    let auth = raw.auth.as_ref().and_then(|said| auth::build(building, &["destination", name.get_ref(), "auth"], said));
    let headers = headers::build(building, raw);
    let addresses = reach::addresses(building, raw);
    let proxy = proxy::of(building, name.get_ref(), raw, &given.proxy);
    let sign = sign::build(building, raw.sign.as_ref());
    let journal = journal(building, name.get_ref(), raw, given.disk);
    let Some(url) = &raw.url else {
        let path = ["destination", name.get_ref(), "url"];
        building.missing(&name.span(), &path, "say where events go, such as url = \"https://crm.example.com/hooks/*\"");
        return None;
    };
    let default = Plan::new(name.get_ref(), &url.value);
    let times = Duration::from_millis(10)..=Duration::from_secs(3600);
    let plan = Plan {
        host: raw.host.as_ref().map(|host| host.value.as_str().into()),
        trust,
        shown,
        proxy: proxy.as_ref().map(|(proxy, _)| proxy.clone()),
        addresses,
        auth,
        headers: headers.set,
        woven: headers.woven,
        remove: headers.removed,
        sign,
        deadline: building.time(raw.deadline.as_ref(), default.deadline, times.clone()),
        connect: building.time(raw.connect.as_ref(), default.connect, times),
        concurrency: u16::try_from(building.number(raw.concurrency.as_ref(), u32::from(default.concurrency), 1..=1024))
            .unwrap_or(default.concurrency),
        bytes: building.size(raw.in_flight.as_ref(), default.bytes, 1..=16 << 30),
        every: raw.rate.as_ref().map(|said| (said.value.per / said.value.count).max(Duration::from_nanos(1))),
        success: success(building, raw.success.as_ref()).unwrap_or(default.success),
        policy: retry(building, &raw.retry),
        ..default
    };
    exposed(building, raw, url);
    if let Some(said) = raw.mode.as_ref().filter(|said| said.value == Role::Observe) {
        building
            .danger(&said.span, format!("destination `{}` only observes: nothing is sent to it", name.get_ref()))
            .note("nothing becomes owed to it either; what it was owed before waits until it is live");
    }
    // Where `tls` could not be read, public roots stand in, and what is wrong with those is not the operator's affair.
    let stands_in = building.problems.count() > problems;
    let built = match build_one(building, raw, &plan, given) {
        Ok(built) => Arc::new(built),
        Err(PlanError::Trust(_)) if stands_in => return None,
        Err(error) => {
            refused(building, raw, url, proxy.as_ref().map(|(_, span)| span), &error);
            return None;
        }
    };
    let hand_over = raw.hand_over.as_ref().map(|said| said.span.clone());
    let role = raw.mode.as_ref().map_or_else(Role::default, |said| said.value);
    let destination = Destination { plan, built, journal, role };
    Some(Placed { destination, url: url.span.clone(), hand_over })
}

/// The destination; where Porteiro will run on another machine and this one has no public roots, all of it but whom it is
/// believed by.
fn build_one(
    building: &Building<'_>,
    raw: &raw::Destination,
    plan: &Plan,
    given: &mut Given,
) -> Result<deliver::Destination, PlanError> {
    let built = deliver::Destination::build(plan.clone(), &mut given.roots);
    let rootless = matches!(built, Err(PlanError::Trust(TrustError::NoRoots)));
    if !rootless || !building.outside.environment.is_elsewhere() {
        return built;
    }
    // An authority that is not here is told by its file.
    if raw.tls.as_ref().is_none_or(|tls| tls.value.ca.is_none()) {
        let why = "this machine has no public roots to believe it by, and whether its own has is not known";
        building.outside.asked.unchecked(format!("destination {}", plan.name), why);
    }
    let trust = Trust::Pinned(Pin::parse(&"00".repeat(32)).into_iter().collect());
    deliver::Destination::build(Plan { trust, ..plan.clone() }, &mut given.roots)
}

/// Names the dangers of a destination's address.
fn exposed(building: &mut Building<'_>, raw: &raw::Destination, url: &Said<String>) {
    let Ok(uri) = url.value.parse::<Uri>() else { return };
    if uri.scheme_str() != Some("http") {
        if let Some(tls) = &raw.tls
            && uri.scheme_str() == Some("https")
            && tls.value.ca.is_none()
            && tls.value.pin.is_none()
            && tls.value.certificate.is_none()
            && tls.value.key.is_none()
        {
            building
                .problem(&tls.span, "`tls` says nothing")
                .help("add `ca`, `pin`, or `certificate` and `key`, or leave `tls` out for public roots");
        }
        return;
    }
    if let Some(tls) = &raw.tls {
        let also = url.span.clone();
        building
            .problem(&tls.span, "`tls` has no meaning for a plain http URL")
            .also(also, "this is not encrypted")
            .help("write https, or leave `tls` out");
    }
    if let Some(auth) = &raw.auth {
        building
            .danger(&auth.span, "credentials cross the network in clear text")
            .also(url.span.clone(), "this is not encrypted");
    }
}

/// Puts what `deliver` refuses where it stands.
fn refused(
    building: &mut Building<'_>,
    raw: &raw::Destination,
    url: &Said<String>,
    proxy: Option<&Span>,
    error: &PlanError,
) {
    let span = match error {
        PlanError::Url | PlanError::Star | PlanError::Weave(_) => url.span.clone(),
        PlanError::Host | PlanError::ProxyHost => {
            raw.host.as_ref().map_or_else(|| url.span.clone(), |host| host.span.clone())
        }
        PlanError::Auth => raw.auth.as_ref().map_or_else(|| url.span.clone(), |auth| auth.span.clone()),
        PlanError::HeaderName(name) | PlanError::HeaderValue(name) => {
            headers::span(raw, name).unwrap_or_else(|| url.span.clone())
        }
        PlanError::Trust(_) => raw.tls.as_ref().map_or_else(|| url.span.clone(), |tls| tls.span.clone()),
        PlanError::ProxyAddresses => raw.addresses.as_ref().map_or_else(|| url.span.clone(), |said| said.span.clone()),
        PlanError::Zero | PlanError::Sign | PlanError::Proxy | PlanError::ProxyAuth => url.span.clone(),
    };
    let title = match error {
        PlanError::Url | PlanError::Star | PlanError::Weave(_) => "this URL cannot be used",
        PlanError::Host => "this host cannot be used",
        PlanError::Auth => "these credentials cannot be used",
        PlanError::HeaderName(_) | PlanError::HeaderValue(_) => "this header cannot be set or removed",
        PlanError::Trust(_) => "this destination cannot be believed",
        PlanError::ProxyHost => "a host of its own does not go through a proxy for http",
        PlanError::ProxyAddresses => "no address is looked at where a proxy is in between",
        PlanError::Zero | PlanError::Sign | PlanError::Proxy | PlanError::ProxyAuth => {
            "this destination cannot be built"
        }
    };
    building.hide_user(url);
    let problem = building.problem(&span, title);
    problem.label(error.to_string());
    match error {
        PlanError::Url => {
            problem
                .help("such as \"https://crm.example.com/hooks\"; a last segment `*` stands for the rest of the path");
        }
        PlanError::Weave(WeaveError::Unknown(word)) => headers::near(problem, word),
        PlanError::Host => {
            problem.help("such as \"crm.example.com\" or \"crm.example.com:8443\"");
        }
        PlanError::ProxyHost | PlanError::ProxyAddresses => {
            if let Some(span) = proxy {
                problem.also(span.clone(), "this proxy");
            }
            problem.help("reach this destination without it, by proxy = \"off\", or leave the key out");
        }
        _ => {}
    }
}

fn retry(building: &mut Building<'_>, said: &raw::Retry) -> Policy {
    let default = Policy::default();
    let ages = Duration::from_secs(1)..=AGE_MAX;
    let age_max = said.give_up.as_ref().map(|age| building.time(Some(age), AGE_MAX, ages));
    let Some(pauses) = &said.pauses else { return Policy { age_max, ..default } };
    let read: Vec<Duration> = pauses.value.iter().map(|pause| pause.value).collect();
    let schedule = match Schedule::new(&read) {
        Ok(schedule) => schedule,
        Err(error) => {
            let (span, label) = match error {
                ScheduleError::TooLong(at) => {
                    (pauses.value.get(at).map_or(&pauses.span, |pause| &pause.span), "longer than a week".to_owned())
                }
                ScheduleError::TooMany => (&pauses.span, error.to_string()),
            };
            building.problem(span, "this is no schedule").label(label);
            default.schedule
        }
    };
    Policy { schedule, age_max }
}

/// What the journal keeps for it; without a word, as much as the journal may take on disk.
fn journal(building: &mut Building<'_>, name: &str, raw: &raw::Destination, disk: u64) -> DestinationPlan {
    let default = DestinationPlan::new(name);
    DestinationPlan {
        backlog_age: building.time(raw.backlog.age.as_ref(), default.backlog_age, Duration::from_secs(60)..=AGE_MAX),
        backlog_size: building.size(raw.backlog.size.as_ref(), disk, 64 << 10..=u64::MAX),
        essential: raw.essential.as_ref().map_or(default.essential, |said| said.value),
        hand_over: raw.hand_over.as_ref().map_or(HandOver::Stored, |said| said.value),
        ..default
    }
}

fn success(building: &mut Building<'_>, said: Option<&At<Vec<Said<String>>>>) -> Option<Success> {
    let said = said?;
    let words: Vec<&str> = said.value.iter().map(|word| word.value.as_str()).collect();
    if let Ok(success) = Success::parse(&words) {
        return Some(success);
    }
    let form = "the words are codes from \"200\" to \"599\" and classes from \"2xx\" to \"5xx\"";
    match said.value.iter().find(|word| Success::parse(&[word.value.as_str()]).is_err()) {
        Some(word) => {
            let near = names::nearest(&word.value, ["2xx", "3xx", "4xx", "5xx"]);
            let problem = building.problem(&word.span, "this is no status");
            problem.note(form);
            if let Some(near) = near {
                problem.label(format!("did you mean \"{near}\"?"));
            }
        }
        None => {
            building.problem(&said.span, "no answer would be a success").note(form);
        }
    }
    None
}
