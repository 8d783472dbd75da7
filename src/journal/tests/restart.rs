//! What is there after the process went away.

use super::rig::{START, fresh, open, plans, ready, small};
use crate::journal::{DestinationPlan, Settlement, Storage};

#[test]
fn what_has_a_receipt_is_owed_after_a_crash() {
    let mut rig = fresh();
    let mut pending = rig.append(1, 100).unwrap();
    assert_eq!(ready(&mut pending), None);
    rig.settle();
    assert_eq!(ready(&mut pending), Some(true));
    let rig = rig.reopen();
    assert_eq!((rig.report.epoch, rig.report.damage.len(), rig.report.torn_bytes), (2, 0, 0));
    for destination in 0..2 {
        let lane = rig.journal.lane(destination).unwrap();
        assert_eq!(rig.deliver_all(&lane), [1]);
    }
}

#[test]
fn what_was_delivered_and_written_is_not_delivered_again() {
    let mut rig = fresh();
    for number in 1..=10 {
        drop(rig.append(number, 100).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    for _ in 0..4 {
        let delivery = rig.take(&lane).unwrap();
        lane.settle(delivery, Settlement::Delivered);
    }
    drop(lane);
    rig.rest();
    let mut rig = rig.reopen();
    let lane = rig.journal.lane(0).unwrap();
    assert_eq!(rig.deliver_all(&lane), [5, 6, 7, 8, 9, 10]);
    drop(lane);
    rig.rest();
    let rig = rig.reopen();
    assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()), [0_u64; 0]);
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()).len(), 10);
}

#[test]
fn a_crash_before_any_checkpoint_or_without_them_loses_nothing() {
    let mut rig = fresh();
    for number in 1..=300 {
        drop(rig.append(number, 1500).unwrap());
        if number % 7 == 0 {
            rig.settle();
        }
    }
    rig.rest();
    let storage = rig.crash();
    for name in storage.list("state").unwrap() {
        storage.remove(&format!("state/{name}")).unwrap();
    }
    let rig = open(&storage, small(), &plans(), START);
    assert_eq!(rig.report.damage, []);
    assert_eq!(rig.report.events, 300);
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), (1..=300).collect::<Vec<u64>>());
}

#[test]
fn a_flipped_bit_costs_one_event_and_is_named() {
    for flip in (0..16_000).step_by(411) {
        let mut rig = fresh();
        for number in 1..=10 {
            drop(rig.append(number, 1500).unwrap());
            rig.settle();
        }
        rig.rest();
        let storage = rig.crash();
        for name in storage.list("state").unwrap() {
            storage.remove(&format!("state/{name}")).unwrap();
        }
        let file = storage.open("log/0000000000000001.seg").unwrap();
        let mut byte = [0];
        let place = 4096 + flip;
        file.read_at(&mut byte, place).unwrap();
        file.write_at(&[std::io::IoSlice::new(&[byte[0] ^ 4])], place).unwrap();
        let rig = open(&storage, small(), &plans(), START);
        let lane = rig.journal.lane(0).unwrap();
        let numbers = rig.deliver_all(&lane);
        assert!(numbers.len() >= 9, "flip at {place}: {numbers:?}");
        if numbers.len() == 9 {
            assert_eq!(rig.report.damage.len(), 1, "flip at {place}");
            let lost = (1..=10).find(|number| !numbers.contains(number)).unwrap();
            assert!(rig.report.damage[0].sequences.contains(&lost), "flip at {place}: {:?}", rig.report.damage);
        }
    }
}

#[test]
fn a_torn_batch_is_cut_and_is_no_damage() {
    let mut rig = fresh();
    drop(rig.append(1, 1500).unwrap());
    rig.settle();
    drop(rig.append(2, 1500).unwrap());
    drop(rig.append(3, 1500).unwrap());
    rig.settle();
    let storage = rig.crash();
    for name in storage.list("state").unwrap() {
        storage.remove(&format!("state/{name}")).unwrap();
    }
    // The first record of the last batch never reached the disk; its neighbour did.
    let file = storage.open("log/0000000000000001.seg").unwrap();
    let length = 1500 + 56 + 96 + 36 + 8 + 20 + 4;
    file.write_at(&[std::io::IoSlice::new(&[0; 900])], 4096 + length + 200).unwrap();
    let rig = open(&storage, small(), &plans(), START);
    assert_eq!(rig.report.damage, []);
    assert!(rig.report.torn_bytes > 0);
    assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()), [1, 3]);
    let storage = rig.crash();
    for name in storage.list("state").unwrap() {
        storage.remove(&format!("state/{name}")).unwrap();
    }
    let rig = open(&storage, small(), &plans(), START);
    assert_eq!(rig.report.damage, [], "what was cut once is no damage later");
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), [1, 3]);
}

#[test]
fn a_removed_destination_is_parked_and_resumes() {
    let mut rig = fresh();
    drop(rig.append(1, 100).unwrap());
    rig.settle();
    let one = [DestinationPlan::new("one")];
    let rig = rig.reopen_with(small(), &one);
    assert_eq!(rig.report.parked.len(), 1);
    assert_eq!((rig.report.parked[0].name.as_str(), rig.report.parked[0].owed), ("two", 1));
    let mut rig = rig.reopen();
    assert_eq!(rig.report.parked, []);
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), [1]);
    drop(rig.append(2, 100).unwrap());
    rig.settle();
    rig.journal.drop_backlog(0);
    rig.rest();
    let rig = rig.reopen();
    assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()), [0_u64; 0]);
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), [2]);
}

#[test]
fn keys_are_remembered() {
    let mut rig = fresh();
    for number in 1..=20 {
        drop(rig.append(number, 10).unwrap());
    }
    rig.rest();
    let mut rig = rig.reopen();
    let keys: Vec<u128> = rig.report.dedup.iter().map(|entry| entry.key).collect();
    assert_eq!(keys, (1..=20).collect::<Vec<u128>>());
    for number in 21..=1200 {
        drop(rig.append(number, 10).unwrap());
        if number % 50 == 0 {
            rig.settle();
        }
    }
    rig.rest();
    let rig = rig.reopen();
    let youngest: Vec<u128> = rig.report.dedup.iter().map(|entry| entry.key).collect();
    assert!(youngest.len() >= 1000, "the bound is kept: {}", youngest.len());
    assert_eq!(youngest.last(), Some(&1200));
}

#[test]
fn format_is_found_again_and_a_stranger_is_refused() {
    let mut rig = fresh();
    drop(rig.append(1, 10).unwrap());
    rig.settle();
    let store = rig.journal.store();
    let storage = rig.crash();
    storage.remove("FORMAT").unwrap();
    let rig = open(&storage, small(), &plans(), START);
    assert_eq!(rig.journal.store(), store);
    assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()), [1]);
    let second = crate::journal::Journal::open(std::sync::Arc::new(rig.storage.clone()), small(), rig.clock, &[], &[]);
    assert!(matches!(second, Err(crate::journal::OpenError::Locked)));
}

#[test]
fn closing_writes_all_that_was_queued() {
    let mut rig = fresh();
    let mut pending = rig.append(1, 100).unwrap();
    rig.journal.close();
    assert!(rig.append(2, 100).is_err());
    rig.settle();
    assert_eq!(ready(&mut pending), Some(true));
    assert!(matches!(rig.writer.step(), crate::journal::Step::Closed));
    let rig = rig.reopen();
    assert_eq!(rig.report.events, 0, "the checkpoint covers everything");
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), [1]);
}
