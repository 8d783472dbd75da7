//! What was acknowledged while it was queued and then cannot be written: each such event is counted, and no other.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::rig::{START, number_of, plans, record, small};
use crate::clock::Clock;
use crate::journal::{Ailing, Journal, Options, Settlement, Step, Storage, Taken, Writer};
use crate::metrics::Metrics;

/// Steps until there is nothing to do at this instant; whether the writer gave up.
fn settle(journal: &Journal, writer: &mut Writer) -> bool {
    for _ in 0..20_000 {
        match writer.step() {
            Step::Worked => {}
            Step::Idle { .. } | Step::Closed => {
                journal.release();
                return false;
            }
            Step::Fatal(_) => return true,
        }
    }
    panic!("the writer never comes to rest");
}

/// All that the first destination is owed, by number.
fn deliver_all(journal: &Journal, clock: &Clock) -> Vec<u64> {
    let lane = journal.lane(0).unwrap();
    let mut numbers = Vec::new();
    for _ in 0..1000 {
        match lane.next(clock.now()) {
            Taken::Delivery(delivery) => {
                numbers.push(number_of(&delivery));
                lane.settle(delivery, Settlement::Delivered);
            }
            Taken::Read(job) => lane.accept(job.run()),
            Taken::Idle { .. } => break,
        }
    }
    numbers
}

/// Ten events of 20 KB, of which those that `is_buffered` names are buffered, in a journal of 64 KiB segments, when this
/// goes wrong: those that are delivered all the same, whether the writer gave up, and how many buffered ones are counted
/// as lost. Afterwards everything is well again.
#[track_caller]
fn check(syncing: bool, full: bool, is_buffered: fn(u64) -> bool, expected: (&[u64], bool, u64)) {
    let (disk, metrics) = (Ailing::default(), Metrics::new());
    let (clock, hand) = Clock::manual(START);
    let options = Options { metrics: Some(metrics.journal()), ..small() };
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (journal, mut writer, _) = Journal::open(storage, options, clock.clone(), &["source"], &plans()).unwrap();
    disk.full.store(full, SeqCst);
    disk.syncs.store(if syncing { u32::MAX } else { 0 }, SeqCst);
    for number in 1..=10 {
        let mut record = record(number, 20_000, clock.now());
        record.buffered = is_buffered(number);
        drop(journal.append_one(record).unwrap());
    }
    let given_up = settle(&journal, &mut writer);
    disk.full.store(false, SeqCst);
    disk.syncs.store(0, SeqCst);
    let counted = metrics.journal().buffered_lost.get();
    let delivered = deliver_all(&journal, &clock);
    assert_eq!((&*delivered, given_up, counted), expected);
    if !given_up {
        // What comes later is lost no more.
        hand.advance(Duration::from_secs(2));
        assert!(!settle(&journal, &mut writer));
        let mut late = record(11, 20_000, clock.now());
        late.buffered = true;
        drop(journal.append_one(late).unwrap());
        assert!(!settle(&journal, &mut writer));
        assert_eq!((deliver_all(&journal, &clock), metrics.journal().buffered_lost.get()), (vec![11], counted));
    }
}

const ALL: fn(u64) -> bool = |_| true;
const NONE: fn(u64) -> bool = |_| false;
const EVEN: fn(u64) -> bool = |number| number.is_multiple_of(2);

#[test]
fn without_a_next_segment_what_does_not_fit_this_one_is_lost_and_counted() {
    check(false, false, ALL, (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false, 0));
    check(false, true, ALL, (&[1, 2, 3], false, 7));
    check(false, true, EVEN, (&[1, 2, 3], false, 4));
    check(false, true, NONE, (&[1, 2, 3], false, 0));
}

#[test]
fn where_no_sync_succeeds_every_buffered_event_is_lost_and_counted_once() {
    // The first batch is queued again, and finds no place either.
    for full in [false, true] {
        check(true, full, ALL, (&[], true, 10));
        check(true, full, EVEN, (&[], true, 5));
        check(true, full, NONE, (&[], true, 0));
    }
}
