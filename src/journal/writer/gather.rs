//! How long does the writer let records gather before the next batch?
//!
//! A sync costs the same for one record as for fifty, and about as much of the processor as six whole events. Where a batch
//! was a crowd the next records are already coming, so the writer leaves the disk alone for as long as it was just busy with
//! it: batches double, syncs halve. Where records come singly nobody waits, ever: there the writer is not the one in demand.
//!
//! Promises: a record never waits here for longer than [`WAIT_MAX`], however slow the disk is, and not at all unless
//! [`CROWD`] others were in the batch before.
//!
//! Must not know: what is in a batch.

use std::time::Duration;

/// So many records in one batch are a crowd.
const CROWD: usize = 4;
/// The longest wait. Measured on one core under TLS with two destinations, events as fast as they are taken, `taskset -c 0
/// benches/serve-fresh` under a closed loop of 32 connections: 46.7 us of the processor per event without a wait, 44.3 with
/// at most 100 us, 42.8 with 200, 40.2 with 400, 41.0 with 800; acknowledgement p50 1.55 ms without, 1.32 ms with 400 us.
const WAIT_MAX: Duration = Duration::from_micros(400);

/// How long to wait after a batch of so many records that took so long to write and to sync; `None` for not at all.
pub(super) fn wait(records: usize, took: Duration) -> Option<Duration> {
    (records >= CROWD).then(|| took.min(WAIT_MAX))
}

/// Lets that time pass.
#[expect(clippy::disallowed_methods, reason = "no event is waited for here: it is time that is wanted")]
pub(super) fn pass(wait: Option<Duration>) {
    if let Some(wait) = wait {
        std::thread::sleep(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_crowd_is_waited_for_and_never_for_long() {
        let micros = Duration::from_micros;
        for (records, took, waits) in [
            (0, 10_000_000, None),
            (1, 150, None),
            (3, 10_000_000, None),
            (4, 0, Some(0)),
            (4, 150, Some(150)),
            (1_024, 399, Some(399)),
            (1_024, 401, Some(400)),
            (4, 10_000_000, Some(400)),
            (usize::MAX, u64::MAX, Some(400)),
        ] {
            assert_eq!(wait(records, micros(took)), waits.map(micros), "{records} records in {took} us");
        }
    }
}
