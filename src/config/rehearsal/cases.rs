//! Does the configuration do what its own tests say?
//!
//! Promises: every name in a test is known before anything is tried; every expectation that does not hold is told where
//! it stands, with what is so instead. The proof is not asked for: a test has no secrets.
//!
//! Must not know: who asks.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::super::build::Building;
use super::super::problem::{Problem, Problems, Report, Span, TextFile};
use super::super::routes::{NONE, Route};
use super::super::said::{At, Said};
use super::super::secrets::cause;
use super::super::sources::BODY_MAX;
use super::super::{Config, Listener, Source, names, raw};
use super::{Asked, End, Story, Told, called, rehearse, sample, usual_host};

/// The tests of a configuration, and the text they stand in.
#[derive(Clone, Debug)]
pub(crate) struct Cases {
    list: Vec<Case>,
    text: TextFile,
}

#[derive(Clone, Debug)]
struct Case {
    name: String,
    span: Span,
    /// The source that must get it, by its name.
    source: Option<Said<String>>,
    asked: Asked,
    /// A file with the body, and where it is named.
    body: Option<(PathBuf, Span)>,
    expect: Expect,
}

#[derive(Clone, Debug, Default)]
struct Expect {
    tenant: Option<Said<String>>,
    kind: Option<Said<String>>,
    route: Option<Said<String>>,
    to: Option<At<BTreeSet<String>>>,
    discard: Option<At<bool>>,
    observed: Option<At<bool>>,
    status: Option<At<u32>>,
}

/// The sections that a test may name: those that could be built, and the names of all that are said.
pub(crate) struct House<'a> {
    pub(crate) listeners: &'a [Listener],
    pub(crate) sources: &'a [Source],
    pub(crate) routes: &'a [Route],
    pub(crate) said: Names<'a>,
}

/// The names that are said.
pub(crate) struct Names<'a> {
    pub(crate) listeners: Vec<&'a str>,
    pub(crate) sources: Vec<&'a str>,
    pub(crate) destinations: Vec<&'a str>,
}

/// Builds the tests, in their order; those that depend on what could not be built are left out.
pub(crate) fn build(building: &mut Building<'_>, said: &[At<raw::Test>], house: &House<'_>) -> Cases {
    let list = said.iter().filter_map(|test| one(building, test, house)).collect();
    Cases { list, text: TextFile { name: String::new(), text: String::new() } }
}

impl Cases {
    /// The text to point into when a test fails.
    pub(crate) fn standing_in(self, text: TextFile) -> Self {
        Self { text, ..self }
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.list.len()
    }

    /// Tries them all.
    pub(crate) fn run(&self, config: &Config) -> Result<(), Report> {
        let mut problems = Problems::default();
        for case in &self.list {
            case.run(config, &mut problems);
        }
        problems.into_report(vec![self.text.clone()]).map_or(Ok(()), Err)
    }
}

fn one(building: &mut Building<'_>, said: &At<raw::Test>, house: &House<'_>) -> Option<Case> {
    let At { value: test, span } = said;
    let Some(request) = &test.request else {
        building.missing(span, &["test", "request"], "say what comes in: request = { source = \"NAME\" }");
        return None;
    };
    let expect = expect(building, said, house);
    let (listener, source) = entrance(building, request, house)?;
    let listener_built = house.listeners.get(listener)?;
    let source_built = source.as_ref().and_then(|said| house.sources.iter().find(|known| *known.name == *said.value));
    let target = target(building, request, source_built);
    let method = method(building, request.value.method.as_ref());
    let headers = headers(building, &request.value);
    let host = match &request.value.host {
        Some(said) => said.value.as_str().into(),
        None => usual_host(listener_built, source_built),
    };
    let body = request.value.body.as_ref();
    if let (Some(body), Some(file)) = (body, &request.value.body_file) {
        building.problem(&file.span, "`body` and `body-file` exclude each other").also(body.span.clone(), "and here");
    }
    let body_file = request.value.body_file.as_ref();
    let name = test.name.as_ref().map_or_else(|| format!("in line {}", building.line(span)), |said| said.value.clone());
    let asked = Asked {
        listener,
        host,
        method: method?,
        target: target?,
        headers: headers?,
        body: body.map(|said| said.value.clone().into_bytes()).unwrap_or_default(),
        client: None,
        proven_at: None,
    };
    let body = body_file.map(|said| (building.outside.path(&said.value), said.span.clone()));
    Some(Case { name, span: span.clone(), source, asked, body, expect: expect? })
}

/// The listener it comes in by, and the source it names; `None` where one of them is wrong or could not be built.
fn entrance(
    building: &mut Building<'_>,
    said: &At<raw::TestRequest>,
    house: &House<'_>,
) -> Option<(usize, Option<Said<String>>)> {
    let (named_source, named_listener) = (said.value.source.as_ref(), said.value.listener.as_ref());
    let unknown = |building: &mut Building<'_>, name: Option<&Said<String>>, kind, known: &[&str]| {
        let stranger = name.filter(|name| !known.contains(&name.value.as_str()));
        stranger.map(|name| building.unknown(name, kind, known)).is_some()
    };
    let strangers = [
        unknown(building, named_source, "source", &house.said.sources),
        unknown(building, named_listener, "listener", &house.said.listeners),
    ];
    if strangers.contains(&true) {
        return None;
    }
    let source = match named_source {
        Some(name) => Some(house.sources.iter().find(|known| *known.name == *name.value)?),
        None => None,
    };
    let listener = match named_listener {
        Some(name) => Some(house.listeners.iter().position(|known| *known.name == *name.value)?),
        None => None,
    };
    match (source, listener) {
        (Some(known), Some(place)) if !known.on.contains(&place) => {
            let span = named_listener.map_or(&said.span, |said| &said.span);
            let listener = &house.listeners[place].name;
            building.problem(span, format!("source `{}` does not come in by listener `{listener}`", known.name));
            None
        }
        (_, Some(place)) => Some((place, named_source.cloned())),
        (Some(known), None) => Some((*known.on.first()?, named_source.cloned())),
        (None, None) if house.said.listeners.len() < 2 => (!house.listeners.is_empty()).then_some((0, None)),
        (None, None) => {
            let help = "name a source, or a listener and a path";
            building.says_nothing(&said.span, "a request that comes in nowhere", help);
            None
        }
    }
}

fn target(building: &mut Building<'_>, said: &At<raw::TestRequest>, source: Option<&Source>) -> Option<PathAndQuery> {
    let path = match (&said.value.path, source) {
        (Some(path), _) => path.value.clone(),
        (None, Some(source)) => sample(&source.path),
        (None, None) => {
            building.says_nothing(&said.span, "a request without a path", "write path = \"/PATH\", or name a source");
            return None;
        }
    };
    let query = said.value.query.as_ref().map(|said| format!("?{}", said.value)).unwrap_or_default();
    let whole = format!("{path}{query}");
    let read = PathAndQuery::try_from(whole.as_str()).ok();
    // What a fragment or a missing slash would change is refused instead.
    let sound = read.filter(|read| path.starts_with('/') && !path.contains('?') && read.as_str() == whole);
    if sound.is_none() {
        let span = said.value.path.as_ref().or(said.value.query.as_ref()).map_or(&said.span, |said| &said.span);
        building
            .problem(span, "no request has this path and query")
            .label("a path begins with `/`; what follows the `?` is written as `query`")
            .note("both are written as they are sent, with `%20` for a blank");
    }
    sound
}

fn method(building: &mut Building<'_>, said: Option<&Said<String>>) -> Option<Method> {
    let Some(said) = said else { return Some(Method::POST) };
    let method = Method::from_bytes(said.value.as_bytes()).ok();
    if method.is_none() {
        building.problem(&said.span, "this is no method").label("such as \"POST\" or \"GET\"");
    }
    method
}

fn headers(building: &mut Building<'_>, said: &raw::TestRequest) -> Option<HeaderMap> {
    let problems = building.problems.count();
    let mut headers = HeaderMap::new();
    for (name, value) in &said.headers {
        let read = (HeaderName::from_bytes(name.get_ref().as_bytes()), HeaderValue::from_str(&value.value));
        match read {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            (Err(_), _) => drop(building.problem(&name.span(), "this is no header name")),
            (_, Err(_)) => drop(building.problem(&value.span, "this is no header value")),
        }
    }
    (building.problems.count() == problems).then_some(headers)
}

fn expect(building: &mut Building<'_>, said: &At<raw::Test>, house: &House<'_>) -> Option<Expect> {
    let Some(At { value: expect, span }) = &said.value.expect else {
        building.missing(
            &said.span,
            &["test", "expect"],
            "say what should become of it: expect = { route = \"NAME\" }",
        );
        return None;
    };
    let problems = building.problems.count();
    let raw::TestExpect { tenant, kind, route, to, discard, observed, status } = expect;
    let texts = [tenant.is_some(), kind.is_some(), route.is_some(), to.is_some()];
    if texts == [false; 4] && [discard.is_some(), observed.is_some(), status.is_some()] == [false; 3] {
        let help = "expect one of `tenant`, `kind`, `route`, `to`, `discard`, `observed` and `status`";
        building.says_nothing(span, "a test that expects nothing", help);
    }
    let labels: Vec<&str> = house.routes.iter().map(|route| &*route.label).chain([NONE]).collect();
    let route = route.as_ref().map(|said| Said { value: said.value.0.clone(), span: said.span.clone() });
    if let Some(said) = route.as_ref().filter(|said| !labels.contains(&said.value.as_str())) {
        building.unknown(said, "route", &labels);
    }
    for said in to.iter().flat_map(|to| &to.value) {
        if !house.said.destinations.contains(&said.value.as_str()) {
            building.unknown(said, "destination", &house.said.destinations);
        }
    }
    let to = to
        .as_ref()
        .map(|to| At { value: to.value.iter().map(|said| said.value.clone()).collect(), span: to.span.clone() });
    let (tenant, kind) = (tenant.clone(), kind.clone());
    let number = building.number(status.as_ref(), 200, 100..=599);
    let status = status.as_ref().map(|said| At { value: number, span: said.span.clone() });
    let (discard, observed) = (discard.clone(), observed.clone());
    let expect = Expect { tenant, kind, route, to, discard, observed, status };
    (building.problems.count() == problems).then_some(expect)
}

impl Case {
    fn run(&self, config: &Config, problems: &mut Problems) {
        let mut asked = self.asked.clone();
        if let Some((path, span)) = &self.body {
            match read(path) {
                Ok(body) => asked.body = body,
                Err(fault) => {
                    problems.at(span.clone(), "the body of a test cannot be read").label(fault);
                    return;
                }
            }
        }
        let Some(story) = rehearse(config, &asked) else { return };
        let found = story.source.map(|source| &*source.name);
        if let Some(said) = self.source.as_ref().filter(|said| found != Some(said.value.as_str())) {
            let label = found.map_or_else(
                || "no source has this host and path".to_owned(),
                |found| format!("this host and path are those of source `{found}`"),
            );
            self.fails(problems, &said.span, &format!("source `{}`", said.value), label);
            return;
        }
        self.compare(&story, problems);
    }

    fn compare(&self, story: &Story<'_>, problems: &mut Problems) {
        let Expect { tenant, kind, route, to, discard, observed, status } = &self.expect;
        if let Some(said) = status.as_ref().filter(|said| said.value != u32::from(story.status())) {
            self.fails(problems, &said.span, &format!("status {}", said.value), why(story));
        }
        let all = match &story.end {
            End::Heard(all) => all,
            End::Refused(_) | End::Challenged { .. } => {
                let spans = [tenant, kind, route].map(|said| said.as_ref().map(|said| &said.span));
                let flags = [discard, observed].map(|said| said.as_ref().map(|said| &said.span));
                let spans = spans.into_iter().chain([to.as_ref().map(|to| &to.span)]).chain(flags);
                if let Some(span) = spans.flatten().next() {
                    self.fails(problems, span, "an event", why(story));
                }
                return;
            }
        };
        // Of a batch that is split each event is to be as expected; who hears of any of them is told together.
        let several = all.len() > 1;
        for (told, number) in all.iter().zip(1..) {
            let of = if several { format!("of event {number}, ") } else { String::new() };
            if !self.compare_one(told, story, &of, problems) {
                break;
            }
        }
        let names: BTreeSet<String> =
            all.iter().flat_map(|told| &told.to).map(|(to, _)| to.plan.name.to_string()).collect();
        if let Some(said) = to.as_ref().filter(|said| said.value != names) {
            let list = |names: &BTreeSet<String>| names::list(names.iter().map(String::as_str));
            let label = format!("they are {}", list(&names));
            self.fails(problems, &said.span, &format!("destinations {}", list(&said.value)), label);
        }
        if let Some(said) = observed.as_ref().filter(|said| said.value != story.is_observed()) {
            let label = if said.value { "its source is live" } else { "its source only observes" };
            self.fails(problems, &said.span, &format!("observed = {}", said.value), label.to_owned());
        }
    }

    /// Compares one event; says whether it is as expected.
    fn compare_one(&self, told: &Told<'_>, story: &Story<'_>, of: &str, problems: &mut Problems) -> bool {
        let Expect { tenant, kind, route, discard, .. } = &self.expect;
        let before = problems.count();
        let route_is = told.route.map_or(NONE, |route| &*route.label);
        let texts = [
            (tenant, "tenant", called(told.tenant())),
            (kind, "kind", &*told.glimpse.kind),
            (route, "route", route_is),
        ];
        for (said, what, is) in texts {
            if let Some(said) = said.as_ref().filter(|said| said.value != is) {
                self.fails(problems, &said.span, &format!("{what} `{}`", said.value), format!("{of}it is `{is}`"));
            }
        }
        let discarded = told.route.is_some_and(|route| route.to.is_none());
        if let Some(said) = discard.as_ref().filter(|said| said.value != discarded) {
            let label = match (discarded, story.is_observed()) {
                (true, _) => "it is discarded",
                (false, true) => "it is not discarded; its source only observes",
                (false, false) => "it is stored",
            };
            self.fails(problems, &said.span, &format!("discard = {}", said.value), format!("{of}{label}"));
        }
        problems.count() == before
    }

    fn fails(&self, problems: &mut Problems, at: &Span, expected: &str, label: String) {
        let mut problem = Problem::at(at.clone(), format!("test `{}` fails: it expects {expected}", self.name));
        problem.label(label).also(self.span.clone(), "this test");
        problems.add(problem);
    }
}

/// Why a request has the answer that it has.
fn why(story: &Story<'_>) -> String {
    let status = story.status();
    match &story.end {
        End::Refused(rejection) => format!("it is answered {status}: {rejection}"),
        End::Challenged { .. } => format!("it is a handshake, and answered {status}"),
        End::Heard(_) => format!("it is answered {status}"),
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    // More than any source takes need not be read.
    let most = BODY_MAX << 11;
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut body)).map_err(|error| cause(&error))?;
    Ok(body)
}

#[cfg(test)]
mod tests;
