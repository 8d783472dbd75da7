//! How does it stand?

use std::sync::atomic::Ordering;

use super::shared::Shared;
use super::{DestinationHealth, Health};
use crate::clock::Timestamp;

/// A record of this size stands for a small one.
const SMALL: u64 = 4096;

pub(crate) fn read(shared: &Shared) -> Health {
    let (accepting, full, failed, queued_bytes) = {
        let inbox = shared.inbox();
        let mut plan = inbox.plan;
        let placed = plan.place(SMALL);
        let room = inbox.bytes + SMALL <= shared.options.queue_bytes && placed;
        (inbox.refuses().is_none() && room, !placed && !plan.hope, inbox.failed, inbox.bytes)
    };
    let figures = &shared.figures;
    let get = |figure: &std::sync::atomic::AtomicU64| figure.load(Ordering::Relaxed);
    Health {
        accepting,
        full,
        failed,
        bytes: get(&figures.bytes),
        bytes_max: shared.options.size,
        queued_bytes,
        free_bytes: get(&figures.free),
        damage: get(&figures.damage),
        sync_failures: get(&figures.sync_failures),
        durable_seq: shared.durable.load(Ordering::Acquire),
        dead_stripped: get(&figures.dead_stripped),
        dead_dropped: get(&figures.dead_dropped),
        dedup_entries: get(&figures.dedup_entries),
        destinations: shared.known().lanes.iter().map(|cell| destination(shared, cell)).collect(),
    }
}

fn destination(shared: &Shared, cell: &super::lane::Cell) -> DestinationHealth {
    let state = cell.state();
    let oldest = state.owed.oldest();
    let mut health = DestinationHealth {
        destination: cell.id,
        name: std::sync::Arc::clone(&cell.name),
        parked: cell.plan().is_none(),
        owed: state.owed.bits().len(),
        oldest: Timestamp::ZERO,
        slots: u32::try_from(state.owed.slots()).unwrap_or(u32::MAX),
        dead: state.dead.len(),
        died: state.died,
        expired: state.expired,
    };
    drop(state);
    if let Some(seq) = oldest {
        let index = shared.index();
        health.oldest = index.of_seq(seq).map_or(Timestamp::ZERO, |segment| segment.first_accepted);
    }
    health
}
