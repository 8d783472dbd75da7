//! Would it help to send the traffic to another box?
//!
//! What `/-/ready` says, and with it `porteiro health`, by which keepalived and load balancers move an address.
//!
//! Promises: red only for what another box would do better: this one closes, its journal has failed, its disk has no room
//! left or does not answer. A destination that is dead, a backlog, dead letters, damage, a provider that fell silent: the
//! other box would suffer the same, or could not help, so they are figures and alarms, and never red. What lasts only a
//! moment (room being made at the disk's bound, a queue that is full because much comes in) is not red either, so that
//! an address does not wander back and forth.
//!
//! Must not know: who asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ingress;
use crate::journal::{Health, Journal};

/// As long as a proven event waits for room before its caller hears 503.
const FULL_AFTER: Duration = ingress::PATIENCE;
/// Nothing became durable for this long although something waits: no disk that still works takes that long.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Asks what must be asked, and remembers since when.
#[derive(Debug)]
pub(super) struct Readiness {
    journal: Journal,
    closing: Arc<AtomicBool>,
    seen: Mutex<Seen>,
}

impl Readiness {
    pub(super) fn new(journal: &Journal, closing: &Arc<AtomicBool>) -> Self {
        Self { journal: journal.clone(), closing: Arc::clone(closing), seen: Mutex::default() }
    }

    /// What speaks against being ready, in a few words each. To be asked at least once a second, also where nobody wants
    /// to know, so that it is known for how long something has lasted.
    pub(super) fn objections(&self) -> Vec<&'static str> {
        let facts = Facts::of(&self.journal.health(), self.closing.load(Ordering::Acquire));
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).judge(&facts, Instant::now())
    }
}

/// What the judgement rests on, and nothing else.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    closing: bool,
    failed: bool,
    full: bool,
    waiting: bool,
    durable: u64,
}

impl Facts {
    const fn of(health: &Health, closing: bool) -> Self {
        let Health { failed, full, queued_bytes, durable_seq, .. } = health;
        Self { closing, failed: *failed, full: *full, waiting: *queued_bytes > 0, durable: *durable_seq }
    }
}

/// Since when things are as they are.
#[derive(Debug, Default)]
struct Seen {
    full: Option<Instant>,
    /// Something waits, and this was the last thing to become durable.
    waiting: Option<(u64, Instant)>,
}

impl Seen {
    fn judge(&mut self, facts: &Facts, now: Instant) -> Vec<&'static str> {
        let Facts { closing, failed, full, waiting, durable } = *facts;
        self.full = full.then(|| self.full.unwrap_or(now));
        let same = self.waiting.filter(|(last, _)| *last == durable);
        self.waiting = waiting.then(|| same.unwrap_or((durable, now)));
        let lasts = |since: Option<Instant>, long| since.is_some_and(|since| now.duration_since(since) >= long);
        let stuck = lasts(self.waiting.map(|(_, since)| since), STUCK_AFTER);
        let reasons = [
            (closing, "shutting down"),
            (failed, "the journal can make nothing durable any more"),
            (!failed && lasts(self.full, FULL_AFTER), "the journal is full"),
            (!failed && stuck, "the disk does not answer"),
        ];
        reasons.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::DestinationHealth;

    const CLOSING: &str = "shutting down";
    const FAILED: &str = "the journal can make nothing durable any more";
    const FULL: &str = "the journal is full";
    const STUCK: &str = "the disk does not answer";

    /// A house in which all is well.
    fn well() -> Health {
        Health { accepting: true, bytes_max: 1 << 30, free_bytes: 1 << 30, durable_seq: 7, ..Health::default() }
    }

    fn judge(health: &Health, closing: bool, seen: &mut Seen, now: Instant) -> Vec<&'static str> {
        seen.judge(&Facts::of(health, closing), now)
    }

    /// What is said of a house that stands like this for ten seconds.
    #[track_caller]
    fn check(what: &str, change: fn(&mut Health), closing: bool, expected: &[&str]) {
        let (mut seen, start, mut health) = (Seen::default(), Instant::now(), well());
        change(&mut health);
        let mut said = Vec::new();
        for second in 0..=10 {
            said = judge(&health, closing, &mut seen, start + Duration::from_secs(second));
        }
        assert_eq!(said, expected, "{what}");
    }

    #[test]
    fn red_is_what_another_box_would_do_better() {
        check("closing", |_| {}, true, &[CLOSING]);
        check("failed", |health| health.failed = true, false, &[FAILED]);
        check("full", |health| health.full = true, false, &[FULL]);
        check("a disk that hangs", |health| health.queued_bytes = 1, false, &[STUCK]);
        let both = |health: &mut Health| (health.full, health.queued_bytes) = (true, 1);
        check("full and closing", both, true, &[CLOSING, FULL, STUCK]);
        // One word says it: the rest follows from it.
        let failed = |health: &mut Health| (health.failed, health.full, health.queued_bytes) = (true, true, 1);
        check("failed and full", failed, false, &[FAILED]);
    }

    #[test]
    fn green_is_what_another_box_could_not_help() {
        let dead = || DestinationHealth {
            name: "crm".into(),
            owed: 1_000_000,
            slots: 10_000,
            dead: 500,
            died: 700,
            expired: 700,
            ..DestinationHealth::default()
        };
        check("all is well", |_| {}, false, &[]);
        let gone = move |health: &mut Health| {
            health.destinations = vec![dead(), DestinationHealth { parked: true, ..dead() }];
        };
        let (mut seen, start, mut health) = (Seen::default(), Instant::now(), well());
        gone(&mut health);
        for second in 0..=600 {
            let said = judge(&health, false, &mut seen, start + Duration::from_secs(second));
            assert_eq!(said, [] as [&str; 0], "every destination dead");
        }
        check("damage was found", |health| health.damage = 9, false, &[]);
        check("a sync failed and the next one did not", |health| health.sync_failures = 3, false, &[]);
        check("dead letters were dropped", |health| health.dead_dropped = 9, false, &[]);
        check("nothing fits the queue now", |health| health.accepting = false, false, &[]);
        check("the disk is as full as it may be", |health| health.bytes = health.bytes_max, false, &[]);
    }

    #[test]
    fn what_lasts_a_moment_is_not_red_and_what_ends_is_over_at_once() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let (free, full) = (well(), Health { full: true, ..well() });
        let mut seen = Seen::default();
        let mut step = |health: &Health, when| judge(health, false, &mut seen, at(when)) == [FULL];
        let said = [
            step(&full, 0),
            step(&full, 1_999),
            step(&free, 2_000),
            step(&full, 2_001),
            step(&full, 4_000),
            step(&full, 4_001),
            step(&free, 4_002),
        ];
        assert_eq!(said, [false, false, false, false, false, true, false]);
        // A queue that is never empty is no hung disk while its head moves on.
        let mut seen = Seen::default();
        let mut step = |durable_seq, queued_bytes, when| {
            let health = Health { durable_seq, queued_bytes, accepting: false, ..well() };
            judge(&health, false, &mut seen, at(when)) == [STUCK]
        };
        let said = [
            step(1, 9, 0),
            step(1, 9, 4_999),
            step(2, 9, 5_000),
            step(2, 9, 9_999),
            step(2, 9, 10_000),
            step(2, 0, 10_001),
            step(2, 9, 10_002),
            step(2, 9, 15_001),
        ];
        assert_eq!(said, [false, false, false, false, true, false, false, false]);
    }
}
