//! Which route decided about how many events?
//!
//! Promises: a label is the name or number of a route of the configuration, or `none`; counting takes no look-up.
//!
//! Must not know: what routes are made of.

use prometheus::IntCounter;

use super::Metrics;

/// One counter for each route of a source, and one for the events that none of them matched.
#[derive(Debug)]
pub struct Routed {
    routes: Box<[IntCounter]>,
    none: IntCounter,
}

impl Routed {
    /// Counts an event by the place of its route; `None` where no route matched.
    pub fn count(&self, route: Option<usize>) {
        self.of(route).inc();
    }

    /// The figure of a route.
    #[must_use]
    pub fn total(&self, route: Option<usize>) -> u64 {
        self.of(route).get()
    }

    fn of(&self, route: Option<usize>) -> &IntCounter {
        route.and_then(|route| self.routes.get(route)).unwrap_or(&self.none)
    }
}

impl Metrics {
    /// What counts the events of a source by the route that decided. `routes` are the names of the source's own routes in
    /// their order, each with whether it discards.
    #[must_use]
    pub fn routed(&self, source: &str, routes: &[(&str, bool)]) -> Routed {
        self.routed_as(source, routes, ["owed", "discard", "none"])
    }

    /// The same of a source that only observes.
    #[must_use]
    pub fn routed_aside(&self, source: &str, routes: &[(&str, bool)]) -> Routed {
        self.routed_as(source, routes, ["would_owe", "would_discard", "would_keep"])
    }

    fn routed_as(&self, source: &str, routes: &[(&str, bool)], [owed, discard, none]: [&str; 3]) -> Routed {
        let counter = |route, then| self.sources.routed.with_label_values(&[source, route, then]);
        let own = routes.iter().map(|(route, discards)| counter(route, if *discards { discard } else { owed }));
        Routed { routes: own.collect(), none: counter("none", none) }
    }
}
