//! For which events did the operator write a route?
//!
//! Promises: a condition asks one thing in one way, or it is a list; what no event can be is refused where it stands.
//!
//! Must not know: the other routes.

use http::HeaderName;

use super::super::build::Building;
use super::super::problem::Span;
use super::super::said::{At, Compared, Direct, Said};
use super::super::sources::Source;
use super::super::{names, raw};
use super::Known;
use super::compare::Comparing;
use crate::event::Event;
use crate::route::When;
use crate::select::{Place, Pointer, Question, Shape, Spot};

/// How deeply lists and `not` may stand in each other.
const DEPTH_MAX: usize = 16;
/// The things that can be asked.
const SUBJECTS: [&str; 9] = ["source", "tenant", "kind", "path", "header", "query", "capture", "form", "pointer"];

/// What a condition may name.
pub(super) struct Scope<'a> {
    /// All sources, by name.
    pub(super) known: &'a [Known],
    /// Those of the route; empty where not all of them could be built.
    pub(super) from: Vec<&'a Source>,
}

/// Builds a condition; `None` where something is wrong with it.
pub(super) fn build(
    building: &mut Building<'_>,
    said: &At<raw::When>,
    scope: &Scope<'_>,
    depth: usize,
) -> Option<When> {
    let At { value: when, span } = said;
    if depth == DEPTH_MAX {
        building
            .problem(span, "conditions stand too deeply in each other")
            .note(format!("at most {DEPTH_MAX} lists and `not` may stand in each other"));
        return None;
    }
    match asked(when).as_slice() {
        [] => {
            let subjects = names::list(SUBJECTS.into_iter().chain(["all", "any", "not"]));
            building.says_nothing(span, "a condition that asks nothing", &format!("ask one of {subjects}"));
            return None;
        }
        [_] | ["form", "pointer"] => {}
        several => {
            building
                .problem(span, format!("a condition asks one thing, and this one {}", names::list(several.to_vec())))
                .help("write all = [{ .. }, { .. }] or any = [{ .. }, { .. }]");
            return None;
        }
    }
    let beside = Comparing::beside(when);
    match when {
        raw::When { all: Some(list), .. } => {
            beside.is_nothing(building)?;
            several(building, list, scope, depth).map(When::All)
        }
        raw::When { any: Some(list), .. } => {
            beside.is_nothing(building)?;
            several(building, list, scope, depth).map(When::Any)
        }
        raw::When { not: Some(inner), .. } => {
            beside.is_nothing(building)?;
            build(building, inner, scope, depth + 1).map(not)
        }
        raw::When { source: Some(said), .. } => {
            beside.is_nothing(building)?;
            source(building, said, scope)
        }
        raw::When { tenant: Some(said), .. } => {
            beside.is_nothing(building)?;
            direct(building, said, "tenant").map(|(shape, holds)| signed(When::Tenant(shape), holds))
        }
        raw::When { kind: Some(said), .. } => {
            beside.is_nothing(building)?;
            kind(building, said)
        }
        raw::When { path: Some(said), .. } => {
            beside.is_nothing(building)?;
            path(building, said)
        }
        _ => place(building, said, &beside, scope),
    }
}

/// Which things a condition asks, in the order in which a person would name them.
fn asked(when: &raw::When) -> Vec<&'static str> {
    let raw::When { all, any, not, source, tenant, kind, path, header, query, capture, form, pointer, .. } = when;
    let asked = [
        ("all", all.is_some()),
        ("any", any.is_some()),
        ("not", not.is_some()),
        ("source", source.is_some()),
        ("tenant", tenant.is_some()),
        ("kind", kind.is_some()),
        ("path", path.is_some()),
        ("header", header.is_some()),
        ("query", query.is_some()),
        ("capture", capture.is_some()),
        ("form", form.is_some()),
        ("pointer", pointer.is_some()),
    ];
    asked.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect()
}

fn not(inner: When) -> When {
    When::Not(Box::new(inner))
}

fn signed(when: When, holds: bool) -> When {
    if holds { when } else { not(when) }
}

fn several(
    building: &mut Building<'_>,
    list: &At<Vec<At<raw::When>>>,
    scope: &Scope<'_>,
    depth: usize,
) -> Option<Vec<When>> {
    if list.value.is_empty() {
        building.says_nothing(&list.span, "an empty list of conditions", "leave it out, or put conditions in it");
        return None;
    }
    // Each is looked at, whatever is wrong with the others.
    let inner: Vec<_> = list.value.iter().map(|inner| build(building, inner, scope, depth + 1)).collect();
    inner.into_iter().collect()
}

/// What is asked of something that needs no further name.
fn direct(building: &mut Building<'_>, said: &At<Direct>, subject: &str) -> Option<(Shape, bool)> {
    match &said.value {
        Direct::Is(text) => Some((Shape::equals(text), true)),
        Direct::Compared(compared) => Comparing::inside(compared).shape(building, &said.span, subject),
    }
}

/// The texts that are asked for, with their places.
fn texts(said: &At<Direct>) -> Vec<Said<String>> {
    match &said.value {
        Direct::Is(text) => vec![Said { value: text.clone(), span: said.span.clone() }],
        Direct::Compared(Compared { equals, r#in, .. }) => {
            equals.iter().chain(r#in.iter().flat_map(|list| &list.value)).cloned().collect()
        }
    }
}

fn source(building: &mut Building<'_>, said: &At<Direct>, scope: &Scope<'_>) -> Option<When> {
    let names: Vec<&str> = scope.known.iter().map(|known| known.name.as_str()).collect();
    let problems = building.problems.count();
    for name in texts(said).iter().filter(|name| !names.contains(&name.value.as_str())) {
        building.unknown(name, "source", &names);
    }
    let (shape, holds) = direct(building, said, "source")?;
    if shape == Shape::Exists {
        always(building, &said.span, "every event has a source");
    }
    (building.problems.count() == problems).then(|| signed(When::Source(shape), holds))
}

fn kind(building: &mut Building<'_>, said: &At<Direct>) -> Option<When> {
    for text in texts(said) {
        if text.value.is_empty() {
            building
                .problem(&text.span, "no event has an empty kind")
                .help("an event without a kind is { kind = { exists = false } }");
        } else if text.value.len() > Event::KIND_MAX {
            let label = format!("a longer one is cut at {} bytes", Event::KIND_MAX);
            building.problem(&text.span, "no event has a kind as long as this").label(label);
        }
    }
    direct(building, said, "kind").map(|(shape, holds)| signed(When::Kind(shape), holds))
}

fn path(building: &mut Building<'_>, said: &At<Direct>) -> Option<When> {
    for text in texts(said).iter().filter(|text| !text.value.starts_with('/')) {
        let problem = building.problem(&text.span, "no path looks like this");
        problem.label("a path begins with `/`");
        problem.help("what a source's path captures is asked with { capture = \"NAME\", equals = \"A\" }");
    }
    let (shape, holds) = direct(building, said, "path")?;
    if shape == Shape::Exists {
        always(building, &said.span, "every request has a path");
    }
    Some(signed(When::Asks(Question { at: Spot::Path, shape }), holds))
}

fn always(building: &mut Building<'_>, span: &Span, title: &str) {
    building.problem(span, title).label("so this says nothing");
}

/// What is asked of a place that has a name.
fn place(building: &mut Building<'_>, said: &At<raw::When>, beside: &Comparing<'_>, scope: &Scope<'_>) -> Option<When> {
    let (place, name) = match &said.value {
        raw::When { header: Some(name), .. } => (header(building, name, scope, beside), name),
        raw::When { query: Some(name), .. } => (query(building, name, scope, beside), name),
        raw::When { capture: Some(name), .. } => (capture(building, name, scope, beside), name),
        raw::When { form: Some(name), pointer: Some(inside), .. } => {
            let field = field(building, name);
            let inside = pointer(building, inside);
            (field.and_then(|field| Some(Place::FormJson(field, inside?))), name)
        }
        raw::When { form: Some(name), .. } => (field(building, name).map(Place::Form), name),
        raw::When { pointer: Some(name), .. } => (pointer(building, name).map(Place::Json), name),
        _ => return None,
    };
    let shape = beside.shape(building, &said.span, &name.value);
    let (place, (shape, holds)) = (place?, shape?);
    Some(signed(When::Asks(Question { at: Spot::Place(place), shape }), holds))
}

fn header(
    building: &mut Building<'_>,
    name: &Said<String>,
    scope: &Scope<'_>,
    beside: &Comparing<'_>,
) -> Option<Place> {
    let Ok(header) = HeaderName::from_bytes(name.value.as_bytes()) else {
        building.problem(&name.span, "this is no header name");
        return None;
    };
    let proves = scope.from.iter().find(|source| source.built.verifier.credential().has_header(&header));
    credential(building, name, proves, beside)?;
    Some(Place::Header(header))
}

fn query(building: &mut Building<'_>, name: &Said<String>, scope: &Scope<'_>, beside: &Comparing<'_>) -> Option<Place> {
    named(building, name, "query parameter")?;
    let proves = scope.from.iter().find(|source| source.built.verifier.credential().has_query(&name.value));
    credential(building, name, proves, beside)?;
    Some(Place::Query(name.value.as_str().into()))
}

fn capture(
    building: &mut Building<'_>,
    name: &Said<String>,
    scope: &Scope<'_>,
    beside: &Comparing<'_>,
) -> Option<Place> {
    let captures: Vec<&str> = scope.from.iter().flat_map(|source| source.path.captures()).collect();
    if !scope.from.is_empty() && !captures.contains(&name.value.as_str()) {
        let near = names::nearest(&name.value, captures.iter().copied());
        let problem = building.problem(&name.span, format!("no path of these sources captures `{}`", name.value));
        if let Some(near) = near {
            problem.label(format!("did you mean `{near}`?"));
        }
        problem.help("a capture is a segment `{NAME}` in the `path` of a source");
        return None;
    }
    let shown =
        |source: &&&Source| source.built.verifier.credential().captures().iter().any(|hidden| **hidden == *name.value);
    credential(building, name, scope.from.iter().find(shown), beside)?;
    Some(Place::Path(name.value.as_str().into()))
}

/// What proves a request is a secret: it stands in no text, and no route can depend on it.
fn credential(
    building: &mut Building<'_>,
    name: &Said<String>,
    proves: Option<&&Source>,
    beside: &Comparing<'_>,
) -> Option<()> {
    let Some(source) = proves else { return Some(()) };
    beside.hide(building);
    building
        .problem(&name.span, format!("`{}` is what proves the requests of source `{}`", name.value, source.name))
        .note("it is a secret, and cut out before anything else looks at the event");
    None
}

fn field(building: &mut Building<'_>, name: &Said<String>) -> Option<Box<str>> {
    named(building, name, "form field")?;
    Some(name.value.as_str().into())
}

fn named(building: &mut Building<'_>, name: &Said<String>, what: &str) -> Option<()> {
    if name.value.is_empty() {
        building.problem(&name.span, format!("a {what} has a name"));
        return None;
    }
    Some(())
}

fn pointer(building: &mut Building<'_>, said: &Said<String>) -> Option<Pointer> {
    match Pointer::parse(&said.value) {
        Ok(pointer) => Some(pointer),
        Err(error) => {
            building
                .problem(&said.span, "this is no pointer")
                .label(error.to_string())
                .note("such as \"/entry/*/id\": keys and places in lists, and `*` for every element");
            None
        }
    }
}
