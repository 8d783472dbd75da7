//! Which figures are computed when somebody looks?
//!
//! Promises: a scrape costs a look at the journal's health and nothing on the way of an event.
//!
//! Must not know: how the figures are shown.

use std::sync::Arc;

use super::assembly::Assembly;
use super::readiness::Readiness;
use crate::drain;
use crate::journal::Health;
use crate::metrics::{JournalMetrics, Metrics, seconds};

/// Has the gauges set before every scrape.
pub(super) fn refresh(metrics: &Metrics, assembly: &Assembly, readiness: &Arc<Readiness>) {
    let (journal, ingress, clock) = (assembly.journal.clone(), Arc::clone(&assembly.ingress), assembly.clock.clone());
    let (figures, house) = (metrics.journal(), metrics.house());
    let unknown_tenants = metrics.unknown_tenants();
    let (destinations, readiness) = (assembly.destinations.clone(), Arc::clone(readiness));
    metrics.before_scrape(move || {
        let (health, now) = (journal.health(), clock.now());
        of_the_journal(&figures, &health);
        figures.dedup_window.set(signed(ingress.dedup_window(now).as_secs()));
        house.in_flight_bytes.set(signed(ingress.in_flight_bytes()));
        unknown_tenants.set(signed(ingress.unknown_tenants(now) as u64));
        house.waiting_callers.set(signed(ingress.waiting_callers()));
        house.panics.set(signed(drain::panics()));
        house.ready.set(i64::from(readiness.objections().is_empty()));
        for of in &health.destinations {
            let Some(destination) = destinations.lock().get(&of.name).cloned() else { continue };
            destination.parked.set(i64::from(of.parked));
            destination.backlog_events.set(signed(of.owed));
            destination.backlog_age.set(if of.owed == 0 { 0.0 } else { seconds(now.since(of.oldest)) });
            destination.dead_kept.set(signed(of.dead));
            destination.dead_letters.inc_by(of.died.saturating_sub(destination.dead_letters.get()));
        }
    });
}

fn of_the_journal(figures: &JournalMetrics, health: &Health) {
    figures.queued_bytes.set(signed(health.queued_bytes));
    figures.size_bytes.set(signed(health.bytes));
    figures.size_limit_bytes.set(signed(health.bytes_max));
    figures.free_bytes.set(signed(health.free_bytes));
    figures.dedup_entries.set(signed(health.dedup_entries));
    figures.damage.inc_by(health.damage.saturating_sub(figures.damage.get()));
    figures.sync_failures.inc_by(health.sync_failures.saturating_sub(figures.sync_failures.get()));
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}
