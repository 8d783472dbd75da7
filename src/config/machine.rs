//! Does the machine allow what is configured?
//!
//! Promises: how many files the process can have open is computed from the limits, and where that is more than the system
//! allows it is named as a danger, with the way out.
//!
//! Must not know: how many are open now.

use super::build::Building;
use super::cross::House;
use super::store::Store;
use crate::listen::Limits;

/// Files that are open whatever is configured: logs, signals, the lock, what is read now and then.
const BESIDE: u64 = 64;
/// Files of the journal beside its segments: spares, dedup entries, checkpoints.
const OF_JOURNAL: u64 = 32;
/// What a worker has open: its connection, and a question for the address of the next one.
const OF_WORKER: u64 = 2;

/// How many files can be open, and of what kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Connections of all listeners.
    pub connections: u64,
    /// What all workers of all destinations have open.
    pub workers: u64,
    /// The journal's.
    pub journal: u64,
    /// All others.
    pub beside: u64,
}

impl Files {
    /// What listeners, destinations and a journal with these limits can have open.
    pub(super) fn of<'a>(
        listeners: impl Iterator<Item = &'a Limits>,
        metrics: bool,
        workers: impl Iterator<Item = u16>,
        store: Option<&Store>,
    ) -> Self {
        // One that is too many is accepted before it is closed.
        let connections: u64 = listeners.map(|limits| limits.connections as u64 + 2).sum();
        let watched = if metrics { Limits::private().connections as u64 + 2 } else { 0 };
        let journal = store.map_or(0, |store| store.options.size / store.options.segment_size + OF_JOURNAL);
        let workers = workers.map(|workers| u64::from(workers) * OF_WORKER).sum();
        Self { connections: connections + watched, workers, journal, beside: BESIDE }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.connections + self.workers + self.journal + self.beside
    }
}

/// Names what the machine does not allow.
pub(super) fn check(building: &mut Building<'_>, house: &House<'_>, metrics: bool, store: Option<&Store>) {
    let listeners = house.listeners.iter().map(|(listener, _)| &listener.limits);
    let workers = house.destinations.iter().map(|placed| placed.destination.plan.concurrency);
    let files = Files::of(listeners, metrics, workers, store);
    let Some(most) = building.outside.environment.files_max().filter(|most| *most < files.total()) else { return };
    let widest = house.listeners.iter().max_by_key(|(listener, _)| listener.limits.connections);
    let span = widest.map_or(0..0, |(_, span)| span.clone());
    let Files { connections, workers, journal, beside } = files;
    building
        .danger(&span, format!("this may need {} open files, and the system allows {most}", files.total()))
        .note(format!(
            "{connections} for connections, {workers} for workers, {journal} for the journal, {beside} others"
        ))
        .note("beyond it connections are not accepted, and the journal may find no file for its next segment")
        .help(format!("set LimitNOFILE={} in the unit, or lower `connections`", files.total().next_power_of_two()));
}

#[cfg(test)]
mod tests {
    use crate::config::tests::stage::{Stage, WELL};

    #[track_caller]
    fn check(most: u64, text: &str, expected: Option<&str>) {
        let stage = Stage::set();
        let config = stage.build_where("porteiro.toml", text, most).unwrap_or_else(|report| panic!("{report}"));
        let told = config.dangers.map(|dangers| dangers.render(false));
        match (&told, expected) {
            (None, None) => {}
            (Some(told), Some(expected)) => assert!(told.contains(expected), "{told}"),
            _ => panic!("{most}: {told:?}, and not {expected:?}"),
        }
        assert!(told.is_none_or(|told| told.contains("LimitNOFILE=16384")));
    }

    #[test]
    fn more_files_than_the_system_allows_are_a_danger() {
        // 10000 connections and 64 of the metrics, 2 more each; 8 workers; 320 segments and 32 files; 64 others.
        let needs = 10_002 + 66 + 2 * 8 + 320 + 32 + 64;
        check(needs, WELL, None);
        check(u64::MAX, WELL, None);
        check(needs - 1, WELL, Some("this may need 10500 open files, and the system allows 10499"));
        check(1024, WELL, Some("10068 for connections, 16 for workers, 352 for the journal, 64 others"));
        let narrow = WELL.replace("[journal]", "[listen.public.limits]\nconnections = 500\n[journal]");
        check(1024, &narrow, None);
        let fine = narrow.replace("[journal]\n", "[journal]\nsegment = \"2MiB\"\n");
        check(10_919, &fine, Some("LimitNOFILE=16384"));
    }
}
