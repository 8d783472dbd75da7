//! Who only observes?
//!
//! Promises: a destination that observes is to the journal as one that the configuration does not know: it is no target, and
//! what it is owed waits for its return. Figures tell who observes, from the start and after every reload.
//!
//! Must not know: what becomes of an event, or how a lane is paused.

use super::assembly::Told;
use crate::config::{Config, Destination};
use crate::journal::DestinationPlan;
use crate::metrics::Metrics;
use crate::snapshot::Role;

/// The destinations that something is sent to.
pub(super) fn live(config: &Config) -> impl Iterator<Item = &Destination> {
    config.destinations.iter().filter(|destination| destination.is_live())
}

/// What the journal keeps for whom.
pub(super) fn plans(config: &Config) -> Vec<DestinationPlan> {
    live(config).map(|destination| destination.journal.clone()).collect()
}

/// Sets the figures to this configuration; whoever left it observes nothing any more.
pub(super) fn tell(before: Option<&Config>, config: &Config, metrics: &Metrics, told: &Told) {
    if let Some(gone) = before {
        gone.sources.iter().for_each(|source| metrics.source_observing(&source.name).set(0));
        gone.destinations.iter().for_each(|to| metrics.destination_observing(&to.plan.name).set(0));
    }
    for source in &config.sources {
        metrics.source_observing(&source.name).set(i64::from(source.role == Role::Observe));
    }
    for to in &config.destinations {
        // Of one that is added as an observer there are figures before it is live.
        drop(told.of(&to.plan.name, metrics));
        metrics.destination_observing(&to.plan.name).set(i64::from(!to.is_live()));
    }
}

/// What is owed to a destination that nothing is sent to waits for its return, and somebody must know.
pub(super) fn tell_parked(config: &Config, destination: &str, owed: u64) {
    if config.destinations.iter().any(|to| *to.plan.name == *destination) {
        tracing::warn!(destination, owed, "destination only observes; its events are kept until it is live");
    } else {
        tracing::warn!(
            destination,
            owed,
            "destination is not in the configuration any more; its events are kept for its return"
        );
    }
}
