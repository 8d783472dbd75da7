//! Where do events go out, and how?
//!
//! Promises: a destination that is built can be tried: its URL, names, credentials, roots and schedule were read.
//!
//! Must not know: which events it will get.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::deliver::{self, Auth, Pin, Plan, PlanError, Roots, Trust};
use crate::journal::{DestinationPlan, HandOver};
use crate::retry::{Policy, Schedule, ScheduleError, Success};
use crate::secret::Secret;
use crate::snapshot::Role;

use super::build::Building;
use super::problem::Span;
use super::said::{At, PlainOrSecret, Said};
use super::secrets::cause;
use super::{names, raw};

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
/// Largest CA file that is read.
const CA_MAX: usize = 4 << 20;

/// Builds the destinations, in the order of their names.
pub(crate) fn build(building: &mut Building<'_>, said: &raw::Named<raw::Destination>, disk: u64) -> Vec<Placed> {
    let mut roots = Roots::default();
    let mut built = Vec::new();
    for (name, destination) in said {
        building.name(name);
        built.extend(one(building, name, destination, disk, &mut roots));
    }
    built
}

fn one(
    building: &mut Building<'_>,
    name: &toml::Spanned<String>,
    said: &At<raw::Destination>,
    disk: u64,
    roots: &mut Roots,
) -> Option<Placed> {
    let raw = &said.value;
    let problems = building.problems.count();
    let trust = trust(building, raw.tls.as_ref());
    let auth = raw.auth.as_ref().and_then(|auth| self::auth(building, name.get_ref(), auth));
    let headers = headers(building, &raw.headers);
    let journal = journal(building, name.get_ref(), raw, disk);
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
        auth,
        headers,
        deadline: building.time(raw.deadline.as_ref(), default.deadline, times.clone()),
        connect: building.time(raw.connect.as_ref(), default.connect, times),
        concurrency: u16::try_from(building.number(raw.concurrency.as_ref(), u32::from(default.concurrency), 1..=1024))
            .unwrap_or(default.concurrency),
        bytes: building.size(raw.in_flight.as_ref(), default.bytes, 1..=16 << 30),
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
    let built = match deliver::Destination::build(plan.clone(), roots) {
        Ok(built) => Arc::new(built),
        Err(PlanError::Trust(_)) if stands_in => return None,
        Err(error) => {
            refused(building, raw, url, &error);
            return None;
        }
    };
    let hand_over = raw.hand_over.as_ref().map(|said| said.span.clone());
    let role = raw.mode.as_ref().map_or_else(Role::default, |said| said.value);
    let destination = Destination { plan, built, journal, role };
    Some(Placed { destination, url: url.span.clone(), hand_over })
}

/// Names the dangers of a destination's address.
fn exposed(building: &mut Building<'_>, raw: &raw::Destination, url: &Said<String>) {
    let Ok(uri) = url.value.parse::<Uri>() else { return };
    if uri.scheme_str() != Some("http") {
        if let Some(tls) = &raw.tls
            && uri.scheme_str() == Some("https")
            && tls.value.ca.is_none()
            && tls.value.pin.is_none()
        {
            building
                .problem(&tls.span, "`tls` says nothing")
                .help("add `ca` or `pin`, or leave `tls` out for public roots");
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
fn refused(building: &mut Building<'_>, raw: &raw::Destination, url: &Said<String>, error: &PlanError) {
    let span = match error {
        PlanError::Url | PlanError::Star => url.span.clone(),
        PlanError::Host => raw.host.as_ref().map_or_else(|| url.span.clone(), |host| host.span.clone()),
        PlanError::Auth => raw.auth.as_ref().map_or_else(|| url.span.clone(), |auth| auth.span.clone()),
        PlanError::HeaderName(name) | PlanError::HeaderValue(name) => {
            let found = raw.headers.keys().find(|key| key.get_ref().eq_ignore_ascii_case(name.as_str()));
            found.map_or_else(|| url.span.clone(), toml::Spanned::span)
        }
        PlanError::Trust(_) => raw.tls.as_ref().map_or_else(|| url.span.clone(), |tls| tls.span.clone()),
        PlanError::Zero => url.span.clone(),
    };
    let title = match error {
        PlanError::Url | PlanError::Star => "this URL cannot be used",
        PlanError::Host => "this host cannot be used",
        PlanError::Auth => "these credentials cannot be used",
        PlanError::HeaderName(_) | PlanError::HeaderValue(_) => "this header cannot be set",
        PlanError::Trust(_) => "this destination cannot be believed",
        PlanError::Zero => "this destination cannot be built",
    };
    building.hide_user(url);
    let problem = building.problem(&span, title);
    problem.label(error.to_string());
    match error {
        PlanError::Url => {
            problem
                .help("such as \"https://crm.example.com/hooks\"; a last segment `*` stands for the rest of the path");
        }
        PlanError::Host => {
            problem.help("such as \"crm.example.com\" or \"crm.example.com:8443\"");
        }
        _ => {}
    }
}

fn trust(building: &mut Building<'_>, said: Option<&At<raw::Tls>>) -> Trust {
    let Some(said) = said else { return Trust::Public };
    match (&said.value.ca, &said.value.pin) {
        (Some(ca), Some(pin)) => {
            let also = pin.span.clone();
            building
                .problem(&ca.span, "`ca` and `pin` exclude each other")
                .also(also, "this key would be believed whoever signed it")
                .help("keep one of them");
            Trust::Public
        }
        (Some(ca), None) => match std::fs::read(building.outside.path(&ca.value)) {
            Ok(pem) if pem.len() <= CA_MAX => Trust::Authority(pem),
            Ok(_) => {
                building.problem(&ca.span, "CA file cannot be used").label("it is larger than 4MiB");
                Trust::Public
            }
            Err(error) => {
                building.problem(&ca.span, "CA file cannot be used").label(cause(&error));
                Trust::Public
            }
        },
        (None, Some(pins)) => {
            if pins.value.is_empty() {
                building.says_nothing(&pins.span, "no key is pinned", "name one, such as \"sha256/...\"");
            }
            let mut read = Vec::new();
            for said in &pins.value {
                match Pin::parse(&said.value) {
                    Ok(pin) => read.push(pin),
                    Err(error) => {
                        building.problem(&said.span, "this is no pin").label(error.to_string());
                    }
                }
            }
            if read.len() == pins.value.len() && !read.is_empty() { Trust::Pinned(read) } else { Trust::Public }
        }
        (None, None) => Trust::Public,
    }
}

fn auth(building: &mut Building<'_>, name: &str, said: &At<raw::Auth>) -> Option<Auth> {
    match (&said.value.basic, &said.value.bearer) {
        (Some(basic), None) => {
            let password = basic.value.password.as_ref();
            let secret = password.and_then(|said| building.outside.secret(said, &mut building.problems));
            if password.is_none() {
                let path = ["destination", name, "auth", "basic", "password"];
                building.missing(&basic.span, &path, "add password = { file = \"PATH\" } or { env = \"NAME\" }");
            }
            let Some(user) = &basic.value.user else {
                building.missing(&basic.span, &["destination", name, "auth", "basic", "user"], "add user = \"NAME\"");
                return None;
            };
            Some(Auth::Basic { user: user.value.as_str().into(), password: secret? })
        }
        (None, Some(bearer)) => building.outside.secret(bearer, &mut building.problems).map(Auth::Bearer),
        (None, None) => {
            building.says_nothing(&said.span, "`auth` says nothing", "add `basic` or `bearer`");
            None
        }
        (Some(basic), Some(bearer)) => {
            let also = bearer.span.clone();
            building
                .problem(&basic.span, "`basic` and `bearer` exclude each other")
                .also(also, "and here")
                .help("a request has one Authorization; keep one of them");
            None
        }
    }
}

fn headers(
    building: &mut Building<'_>,
    said: &BTreeMap<toml::Spanned<String>, At<PlainOrSecret>>,
) -> Vec<(HeaderName, Secret)> {
    let mut built: Vec<(HeaderName, Secret)> = Vec::new();
    for (key, value) in said {
        let Ok(name) = key.get_ref().parse::<HeaderName>() else {
            building.problem(&key.span(), "this is no header name").label("letters, digits and `-` make one");
            continue;
        };
        if built.iter().any(|(known, _)| *known == name) {
            building.problem(&key.span(), "this header is set twice").label("upper and lower case are the same here");
        }
        let secret = match &value.value {
            PlainOrSecret::Plain(text) => Some(Secret::new(text.clone().into_bytes())),
            PlainOrSecret::Secret(secret) => building.outside.secret_at(secret, &value.span, &mut building.problems),
        };
        let Some(secret) = secret else { continue };
        if HeaderValue::from_bytes(secret.expose()).is_err() {
            building
                .problem(&value.span, "the value cannot stand in a header")
                .label("control characters are not allowed");
            continue;
        }
        built.push((name, secret));
    }
    built
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
