//! How long does the writer let records gather before the next batch?
//!
//! A sync costs the same for one record as for fifty, and about as much of the processor as six whole events. Where a batch
//! was a crowd the next records are already coming, so the writer leaves the disk alone for a few times as long as it was just
//! busy with it: batches double, syncs halve. Where records come singly nobody waits, ever: there it is not the processor that
//! is short.
//!
//! Promises: a record never waits here for longer than [`WAIT_MAX`], however slow the disk is, and not at all unless
//! [`CROWD`] others were in the batch before.
//!
//! Must not know: what is in a batch.

use std::time::Duration;

/// So many records in one batch are a crowd.
const CROWD: usize = 4;
/// So many times what the batch took. Measured on one core under TLS with two destinations, `taskset -c 0 benches/serve-fresh`
/// under a closed loop of 32 connections, two runs of each in turn: 41.2 and 36.3 us of the processor per event without a wait,
/// 40.2 and 39.1 with once as long, 38.4 and 37.2 with twice (at most 400 us both), 35.9 and 35.7 with three times (500 us),
/// 34.7 and 34.4 with four times (800 us); acknowledgement p50 was nowhere longer than without.
const TIMES: u32 = 3;
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_micros(500);

/// How long to wait after a batch of so many records that took so long to write and to sync; `None` for not at all.
pub(super) fn wait(records: usize, took: Duration) -> Option<Duration> {
    (records >= CROWD).then(|| took.saturating_mul(TIMES).min(WAIT_MAX))
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
            (4, 150, Some(450)),
            (1_024, 166, Some(498)),
            (1_024, 167, Some(500)),
            (4, 10_000_000, Some(500)),
            (usize::MAX, u64::MAX, Some(500)),
        ] {
            assert_eq!(wait(records, micros(took)), waits.map(micros), "{records} records in {took} us");
        }
    }
}
