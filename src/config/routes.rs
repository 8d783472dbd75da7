//! Who hears what?
//!
//! Promises: every name in a route is known, every route can be reached by some event, and what nobody hears or nobody
//! sends is named.
//!
//! Must not know: how routes are resolved.

use super::build::Building;
use super::problem::Span;
use super::raw;
use super::said::At;

/// A rule: from which sources (by their place), to which destinations (by theirs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Places in [`super::Config::sources`].
    pub from: Vec<usize>,
    /// Places in [`super::Config::destinations`]; `None` discards.
    pub to: Option<Vec<usize>>,
}

/// A name that routes may use, and where it stands.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// Builds the routes, in their order.
pub(crate) fn build(
    building: &mut Building<'_>,
    said: &[At<raw::Route>],
    sources: &[Known],
    destinations: &[Known],
) -> Vec<Route> {
    let mut built: Vec<Route> = Vec::new();
    let mut spans: Vec<Span> = Vec::new();
    for route in said {
        let problems = building.problems.count();
        let from = from(building, &route.value, sources);
        let to = to(building, route, destinations);
        let taken: Vec<usize> = built.iter().flat_map(|earlier| earlier.from.iter().copied()).collect();
        if building.problems.count() == problems && !from.is_empty() && from.iter().all(|source| taken.contains(source))
        {
            let earlier = built.iter().position(|earlier| earlier.from.contains(&from[0])).unwrap_or_default();
            let also = spans[earlier].clone();
            building
                .problem(&route.span, "no event reaches this route")
                .also(also, "everything it would take is taken here")
                .note("the first route that matches an event decides");
        }
        built.push(Route { from, to });
        spans.push(route.span.clone());
    }
    unused(building, &built, sources, destinations);
    built
}

fn from(building: &mut Building<'_>, said: &raw::Route, sources: &[Known]) -> Vec<usize> {
    let Some(names) = &said.from else { return (0..sources.len()).collect() };
    if names.value.is_empty() {
        building.says_nothing(&names.span, "a route from nowhere", "name sources, or leave `from` out for all of them");
    }
    places(building, &names.value, "source", sources)
}

fn to(building: &mut Building<'_>, said: &At<raw::Route>, destinations: &[Known]) -> Option<Vec<usize>> {
    let discard = said.value.discard.as_ref().filter(|said| said.value);
    match (&said.value.to, discard) {
        (Some(to), None) => {
            if to.value.is_empty() {
                building.says_nothing(&to.span, "a route to nowhere", "name destinations, or write discard = true");
            }
            Some(places(building, &to.value, "destination", destinations))
        }
        (None, Some(_)) => None,
        (Some(to), Some(discard)) => {
            let also = discard.span.clone();
            building.problem(&to.span, "`to` and `discard` exclude each other").also(also, "nothing is stored");
            None
        }
        (None, None) => {
            building.missing(
                &said.span,
                &["route", "to"],
                "name destinations with to = [\"NAME\"], or write discard = true",
            );
            Some(Vec::new())
        }
    }
}

fn places(building: &mut Building<'_>, said: &[super::said::Said<String>], kind: &str, known: &[Known]) -> Vec<usize> {
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

/// Names what nobody hears and what nobody sends.
fn unused(building: &mut Building<'_>, routes: &[Route], sources: &[Known], destinations: &[Known]) {
    for (place, source) in sources.iter().enumerate() {
        if !routes.iter().any(|route| route.from.contains(&place)) {
            building
                .danger(&source.span, format!("no route takes the events of source `{}`", source.name))
                .note("they are acknowledged and stored, and owed to nobody");
        }
    }
    for (place, destination) in destinations.iter().enumerate() {
        if !routes.iter().any(|route| route.to.as_ref().is_some_and(|to| to.contains(&place))) {
            building
                .danger(&destination.span, format!("no route leads to destination `{}`", destination.name))
                .note("what it is already owed is still delivered, and nothing new becomes owed to it");
        }
    }
}
