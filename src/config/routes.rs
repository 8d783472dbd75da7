//! Who hears what?
//!
//! Promises: every name in a route is known, every route can be reached by some event, and what nobody hears, nobody
//! sends and no route takes is named.
//!
//! Must not know: how routes are resolved.

mod compare;
mod when;
mod whose;

pub(crate) use self::whose::check as check_tenants;
use super::build::Building;
use super::names;
use super::problem::Span;
use super::raw;
use super::said::{At, Said};
use super::sources::Source;
use crate::route::{Rule, SourceId, SourceSense, Table, Then, When};

/// The label of the route that takes what no other one does.
const DEFAULT: &str = "default";
/// The label of events that no route took.
pub const NONE: &str = "none";

/// A rule: from which sources (by their place), for which events, to which destinations (by theirs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it is called in metrics and by tests: its name, or its number in the text, counted from 1.
    pub label: Box<str>,
    /// The line of the text in which it begins.
    pub line: usize,
    /// Places in [`super::Config::sources`].
    pub from: Vec<usize>,
    /// For which events; `None` is for all.
    pub when: Option<When>,
    /// Whether it is for batches of several tenants, and for nothing else.
    pub mixed: bool,
    /// Places in [`super::Config::destinations`]; `None` discards.
    pub to: Option<Vec<usize>>,
}

/// The routes as rules whose sources are places in [`super::Config::sources`], and which hand out their own place.
#[must_use]
pub fn rules(routes: &[Route]) -> Vec<Rule<usize>> {
    let rule = |(place, route): (usize, &Route)| Rule {
        from: route.from.iter().map(|source| source_id(*source)).collect(),
        when: route.when.clone(),
        mixed: route.mixed,
        then: if route.to.is_some() { Then::To(place) } else { Then::Discard },
    };
    routes.iter().enumerate().map(rule).collect()
}

/// The id of a source for [`rules`].
#[must_use]
pub fn source_id(place: usize) -> SourceId {
    SourceId(u32::try_from(place).unwrap_or(u32::MAX))
}

/// A name that routes may use, and where it stands.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) span: Span,
    /// Whether it only observes.
    pub(crate) observes: bool,
}

/// What the names in routes mean.
pub(crate) struct House<'a> {
    /// Every source that is said.
    pub(crate) sources: &'a [Known],
    /// Those that could be built.
    pub(crate) built: &'a [Source],
    /// Every destination that is said.
    pub(crate) destinations: &'a [Known],
}

/// Builds the routes, in their order, the default one last.
pub(crate) fn build(building: &mut Building<'_>, file: &raw::File, house: &House<'_>) -> Vec<Route> {
    let (mut built, mut unsound): (Vec<Route>, Vec<Route>) = (Vec::new(), Vec::new());
    let mut spans: Vec<Span> = Vec::new();
    // Of a route that could not be read whole nobody knows what it takes.
    let whole = !building.cut.touches(&["route"]);
    for (place, said) in file.route.iter().enumerate() {
        let problems = building.problems.count();
        let label = name(building, said, &file.route[..place], place);
        let from = from(building, &said.value, house.sources);
        let scope = when::Scope { known: house.sources, from: sources(&from, house) };
        let when = said.value.when.as_ref().map(|when| when::build(building, when, &scope, 0));
        let (mixed, to) = (mixed(building, said, when.as_ref()), to(building, said, house.destinations));
        let line = building.line(&said.span);
        let route = Route { label, line, from, when: when.unwrap_or_default(), mixed, to };
        if building.problems.count() == problems && whole {
            possible(building, said, &route, &scope.from);
            reached(building, &said.span, &route, &built, &spans);
            unheard(building, said.value.to.as_ref(), &route, house);
            built.push(route);
            spans.push(said.span.clone());
        } else {
            unsound.push(route);
        }
    }
    if let Some(said) = &file.route_default {
        let problems = building.problems.count();
        let to = target(building, &said.span, &said.value.to, &said.value.discard, "route-default", house.destinations);
        let (from, line) = ((0..house.sources.len()).collect(), building.line(&said.span));
        let route = Route { label: DEFAULT.into(), line, from, when: None, mixed: false, to };
        if building.problems.count() == problems {
            reached(building, &said.span, &route, &built, &spans);
            unheard(building, said.value.to.as_ref(), &route, house);
        }
        built.push(route);
    }
    compile(building, &built, house, &spans);
    built.extend(unsound);
    unused(building, &built, house);
    built
}

/// The sources of a route, if all of them could be built.
fn sources<'a>(from: &[usize], house: &House<'a>) -> Vec<&'a Source> {
    let named = |place: &usize| house.built.iter().find(|source| *source.name == *house.sources[*place].name);
    from.iter().map(named).collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn name(building: &mut Building<'_>, said: &At<raw::Route>, earlier: &[At<raw::Route>], place: usize) -> Box<str> {
    let number = || (place + 1).to_string().into();
    let Some(name) = &said.value.name else { return number() };
    if let Some(fault) = names::fault(&name.value) {
        building.problem(&name.span, "this name cannot be used").label(fault);
    } else if name.value == NONE || name.value == DEFAULT || name.value.bytes().all(|byte| byte.is_ascii_digit()) {
        building.problem(&name.span, format!("no route can be called `{}`", name.value)).note(
            "`none`, `default` and numbers stand in metrics for what no route took and for routes without a name",
        );
    }
    let same = earlier.iter().filter_map(|route| route.value.name.as_ref()).find(|known| known.value == name.value);
    if let Some(first) = same {
        let also = first.span.clone();
        building.problem(&name.span, format!("two routes are called `{}`", name.value)).also(also, "first here");
    }
    name.value.as_str().into()
}

fn from(building: &mut Building<'_>, said: &raw::Route, sources: &[Known]) -> Vec<usize> {
    let Some(names) = &said.from else { return (0..sources.len()).collect() };
    if names.value.is_empty() {
        building.says_nothing(&names.span, "a route from nowhere", "name sources, or leave `from` out for all of them");
    }
    places(building, &names.value, "source", sources)
}

/// Whether it is a route for batches of several tenants, which cannot ask for one.
fn mixed(building: &mut Building<'_>, said: &At<raw::Route>, when: Option<&Option<When>>) -> bool {
    let Some(mixed) = said.value.mixed.as_ref().filter(|mixed| mixed.value) else { return false };
    if let (Some(Some(when)), Some(condition)) = (when, &said.value.when)
        && when.asks_tenant()
    {
        let also = condition.span.clone();
        building
            .problem(&mixed.span, "a route for several tenants cannot ask for one")
            .also(also, "the tenant is asked for here")
            .note("an event of several tenants matches no condition on the tenant, however it is put");
    }
    true
}

fn to(building: &mut Building<'_>, said: &At<raw::Route>, known: &[Known]) -> Option<Vec<usize>> {
    target(building, &said.span, &said.value.to, &said.value.discard, "route", known)
}

fn target(
    building: &mut Building<'_>,
    span: &Span,
    to: &Option<At<Vec<Said<String>>>>,
    discard: &Option<At<bool>>,
    section: &str,
    known: &[Known],
) -> Option<Vec<usize>> {
    let discard = discard.as_ref().filter(|said| said.value);
    match (to, discard) {
        (Some(to), None) => {
            if to.value.is_empty() {
                building.says_nothing(&to.span, "a route to nowhere", "name destinations, or write discard = true");
            }
            Some(places(building, &to.value, "destination", known))
        }
        (None, Some(_)) => None,
        (Some(to), Some(discard)) => {
            let also = discard.span.clone();
            building.problem(&to.span, "`to` and `discard` exclude each other").also(also, "nothing is stored");
            None
        }
        (None, None) => {
            let help = "name destinations with to = [\"NAME\"], or write discard = true";
            building.missing(span, &[section, "to"], help);
            Some(Vec::new())
        }
    }
}

fn places(building: &mut Building<'_>, said: &[Said<String>], kind: &str, known: &[Known]) -> Vec<usize> {
    let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    let mut places = Vec::new();
    for (index, name) in said.iter().enumerate() {
        match names.iter().position(|known| *known == name.value) {
            None => building.unknown(name, kind, &names),
            Some(place) if places.contains(&place) => {
                let first = said[..index].iter().find(|earlier| earlier.value == name.value);
                let also = first.map_or_else(|| name.span.clone(), |first| first.span.clone());
                building
                    .problem(&name.span, format!("{kind} `{}` is named twice", name.value))
                    .also(also, "first here");
            }
            Some(place) => places.push(place),
        }
    }
    places
}

/// Names a route whose condition no event can fulfil.
fn possible(building: &mut Building<'_>, said: &At<raw::Route>, route: &Route, from: &[&Source]) {
    let (Some(when), Some(condition)) = (&route.when, &said.value.when) else { return };
    let kinds = |source: &Source| source.built.selectors.wanted().kind.is_some();
    let possible = |source: &Source, kinds| when.is_possible(&SourceSense { name: &source.name, kinds });
    if from.is_empty() || from.iter().any(|source| possible(source, kinds(source))) {
        return;
    }
    let silent = from.iter().any(|source| !kinds(source) && possible(source, true));
    let problem = building.problem(&condition.span, "no event can match this");
    if silent {
        problem.note("the events of these sources have no kind");
    } else {
        problem.note("it asks for what excludes itself, or for a source that is not in `from`");
    }
}

/// Names a route before which other ones take all that it could.
fn reached(building: &mut Building<'_>, span: &Span, route: &Route, earlier: &[Route], spans: &[Span]) {
    let takes = |known: &Route, source: usize| {
        known.mixed == route.mixed && known.from.contains(&source) && (known.when.is_none() || known.when == route.when)
    };
    let by = |source: &usize| earlier.iter().position(|known| takes(known, *source));
    let taken: Option<Vec<usize>> = route.from.iter().map(by).collect();
    if let Some(first) = taken.and_then(|taken| taken.first().copied()) {
        building
            .problem(span, "no event reaches this route")
            .also(spans[first].clone(), "everything it would take is taken here")
            .note("the first route that matches an event decides");
    }
}

/// Names a route of which nobody hears, because all its destinations only observe.
fn unheard(building: &mut Building<'_>, said: Option<&At<Vec<Said<String>>>>, route: &Route, house: &House<'_>) {
    let (Some(said), Some(to)) = (said, &route.to) else { return };
    let observes = |known: &[Known], place: &usize| known.get(*place).is_some_and(|known| known.observes);
    let nobody = !to.is_empty() && to.iter().all(|place| observes(house.destinations, place));
    // What only observes itself is named as that.
    if nobody && !route.from.iter().all(|place| observes(house.sources, place)) {
        building
            .danger(
                &said.span,
                format!("nobody hears what takes route `{}`: its destinations only observe", route.label),
            )
            .note("such events are acknowledged and stored, and owed to nobody");
    }
}

/// Names what nobody hears, what nobody sends, and what no route takes.
fn unused(building: &mut Building<'_>, routes: &[Route], house: &House<'_>) {
    for (place, source) in house.sources.iter().enumerate() {
        let own = || routes.iter().filter(|route| route.from.contains(&place));
        if own().next().is_none() {
            building
                .danger(&source.span, format!("no route takes the events of source `{}`", source.name))
                .note("they are acknowledged and stored, and owed to nobody");
        } else if !own().any(|route| route.when.is_none() && !route.mixed) {
            building
                .danger(&source.span, format!("some events of source `{}` may match no route", source.name))
                .note("they are acknowledged and stored, and owed to nobody")
                .help("end with a route without `when`, or write [route-default]");
        }
        let asks = |route: &Route| route.when.as_ref().is_some_and(When::asks_tenant);
        if own().any(asks) && !own().any(|route| route.mixed && route.when.is_none()) {
            building
                .danger(&source.span, format!("batches of several tenants from source `{}` match no route", source.name))
                .note("where a route asks for the tenant they take a route with mixed = true or none, so that nothing leaks")
                .help("add a route with mixed = true to a destination that may see every tenant, or to discard them");
        }
    }
    for (place, destination) in house.destinations.iter().enumerate() {
        if !routes.iter().any(|route| route.to.as_ref().is_some_and(|to| to.contains(&place))) {
            building
                .danger(&destination.span, format!("no route leads to destination `{}`", destination.name))
                .note("what it is already owed is still delivered, and nothing new becomes owed to it");
        }
    }
}

/// Everything that the routes ask of a source is read in one pass, which has its limits.
fn compile(building: &mut Building<'_>, routes: &[Route], house: &House<'_>, spans: &[Span]) {
    if building.problems.count() > 0 {
        return;
    }
    let rules = rules(routes);
    for (place, source) in house.built.iter().enumerate() {
        let fault = match Table::build(source_id(place), &source.name, &rules) {
            Err(error) => error.to_string(),
            Ok(table) => match source.built.selectors.asking(table.questions().clone()) {
                Err(error) => error.to_string(),
                Ok(_) => continue,
            },
        };
        let last = routes.iter().rposition(|route| route.from.contains(&place) && route.when.is_some());
        let span = last.and_then(|last| spans.get(last)).cloned().unwrap_or_default();
        building
            .problem(&span, format!("the routes ask too much of the events of source `{}`", source.name))
            .label("this is the last one that asks something")
            .note(fault)
            .help("ask for several texts of one place with `in`, or give sources routes of their own");
    }
}
