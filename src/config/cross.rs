//! Do the sections fit each other?
//!
//! Promises: what would make events run in a circle is refused, and what loses a promise in a combination that looks
//! harmless is named.
//!
//! Must not know: what is right or wrong with one section alone.

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use http::uri::Authority;

use crate::event::Dedup;
use crate::journal::HandOver;

use super::build::Building;
use super::listeners::Listener;
use super::problem::Span;
use super::routes::Route;
use super::{destinations, sources::Source};

/// The sections side by side.
pub(crate) struct House<'a> {
    pub(crate) listeners: &'a [(Listener, Span)],
    pub(crate) sources: &'a [Source],
    pub(crate) destinations: &'a [destinations::Placed],
    pub(crate) routes: &'a [Route],
}

/// Checks the sections against each other.
pub(crate) fn check(building: &mut Building<'_>, house: &House<'_>) {
    circles(building, house);
    // The places that routes and sources hold are those of a house in which everything could be built.
    if building.problems.count() == 0 {
        early(building, house);
        idle(building, house);
    }
}

/// A destination that is one of the house's own listeners would send every event round and round.
fn circles(building: &mut Building<'_>, house: &House<'_>) {
    for placed in house.destinations {
        let Ok(uri) = placed.destination.plan.url.parse::<Uri>() else { continue };
        let Some(authority) = uri.authority() else { continue };
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = authority.port_u16().unwrap_or(usual);
        for (listener, span) in house.listeners {
            let public = listener.public_url.as_deref().and_then(|url| url.parse::<Uri>().ok());
            let public = public.as_ref().and_then(|url| Some((url.authority()?, url.scheme_str() == Some("http"))));
            let named = public.is_some_and(|(ours, plain)| {
                ours.host().eq_ignore_ascii_case(authority.host())
                    && ours.port_u16().unwrap_or(if plain { 80 } else { 443 }) == port
            });
            if named || reaches(authority, port, listener.address) {
                building
                    .problem(
                        &placed.url,
                        format!("destination `{}` is this Porteiro's own listener", placed.destination.plan.name),
                    )
                    .also(span.clone(), format!("listener `{}`", listener.name))
                    .note("every event would come in again, and go out again, without end");
                break;
            }
        }
    }
}

/// Whether an authority means an address of this machine that the listener is bound to.
fn reaches(authority: &Authority, port: u16, bound: SocketAddr) -> bool {
    if port != bound.port() || port == 0 {
        return false;
    }
    let host = authority.host().trim_matches(['[', ']']);
    if host.eq_ignore_ascii_case("localhost") {
        return bound.ip().is_loopback() || bound.ip().is_unspecified();
    }
    let Ok(address) = host.parse::<IpAddr>() else { return false };
    address == bound.ip() || (bound.ip().is_unspecified() && (address.is_loopback() || address.is_unspecified()))
}

/// A destination that hears of events before they are stored may hear of them again under another id.
fn early(building: &mut Building<'_>, house: &House<'_>) {
    for (place, destination) in house.destinations.iter().enumerate() {
        if destination.destination.journal.hand_over != HandOver::Verified {
            continue;
        }
        let Some(span) = &destination.hand_over else { continue };
        let name = &destination.destination.plan.name;
        let mut loose: Vec<&str> = Vec::new();
        for route in house.routes.iter().filter(|route| route.to.as_ref().is_some_and(|to| to.contains(&place))) {
            for source in route.from.iter().filter_map(|place| house.sources.get(*place)) {
                if source.dedup == Dedup::Off || !source.built.selectors.keyed() {
                    loose.push(&source.name);
                }
            }
        }
        loose.sort_unstable();
        loose.dedup();
        if !loose.is_empty() {
            let title = format!("destination `{name}` hears of events before they are stored, and dedup is off");
            let note = format!(
                "after a failed sync the retry of an event of {} carries another event id, and looks like a new one",
                super::names::list(loose)
            );
            building.danger(span, title).note(note);
        }
    }
}

/// A listener that no source uses answers 404 to everything.
fn idle(building: &mut Building<'_>, house: &House<'_>) {
    for (place, (listener, span)) in house.listeners.iter().enumerate() {
        if !house.sources.iter().any(|source| source.on.contains(&place)) {
            building
                .danger(span, format!("no source comes in by listener `{}`", listener.name))
                .note("it answers 404 to everything");
        }
    }
}
