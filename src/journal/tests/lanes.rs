//! What a lane hands out, and when.

use std::time::Duration;

use bytes::Bytes;

use super::rig::{START, fresh, number_of, open, plans, record, small, target};
use crate::journal::{HandOver, Memory, Settlement, Taken, Tenants};

#[test]
fn stored_waits_for_the_sync_and_verified_does_not() {
    let mut plans = plans();
    plans[1].hand_over = HandOver::Verified;
    let mut rig = open(&Memory::new(), small(), &plans, START);
    drop(rig.append(1, 100).unwrap());
    let (stored, verified) = (rig.journal.lane(0).unwrap(), rig.journal.lane(1).unwrap());
    assert!(rig.take(&stored).is_none());
    let early = rig.take(&verified).unwrap();
    verified.settle(early, Settlement::Delivered);
    rig.settle();
    assert!(rig.take(&verified).is_none());
    assert_eq!(rig.deliver_all(&stored), [1]);
    drop((stored, verified));
    rig.rest();
    let rig = rig.reopen_with(small(), &plans);
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), [0_u64; 0]);
}

#[test]
fn a_backlog_beyond_the_ring_is_read_back_in_order() {
    let mut rig = fresh();
    for number in 1..=200 {
        drop(rig.append(number, 1000).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    assert_eq!(rig.deliver_all(&lane), (1..=200).collect::<Vec<u64>>());
    assert_eq!(lane.backlog().owed, 0);
}

#[test]
fn a_failed_event_comes_back_at_its_time_and_others_do_not_wait() {
    let mut rig = fresh();
    for number in 1..=3 {
        drop(rig.append(number, 10).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let at = rig.clock.now().plus(Duration::from_secs(10));
    let first = rig.take(&lane).unwrap();
    lane.settle(first, Settlement::Again { at, attempt: 1, status: 500, answer: Bytes::from_static(b"no") });
    assert_eq!(rig.deliver_all(&lane), [2, 3]);
    assert!(matches!(lane.next(rig.clock.now()), Taken::Idle { until: Some(until) } if until == at));
    drop(lane);
    rig.rest();
    let rig = rig.reopen();
    let lane = rig.journal.lane(0).unwrap();
    assert!(rig.take(&lane).is_none(), "the slot outlives a crash");
    rig.hand.advance(Duration::from_secs(10));
    let again = rig.take(&lane).unwrap();
    assert_eq!((number_of(&again), again.attempt, again.slotless), (1, 1, None));
}

#[test]
fn without_a_slot_an_event_waits_with_its_group() {
    let mut rig = fresh();
    for number in 1..=12 {
        let mut record = record(number, 10, rig.clock.now());
        record.tenants = Tenants::One(number % 2);
        drop(rig.journal.append_one(record).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let at = rig.clock.now().plus(Duration::from_secs(5));
    while let Some(delivery) = rig.take(&lane) {
        lane.settle(delivery, Settlement::Again { at, attempt: 1, status: 500, answer: Bytes::new() });
    }
    assert_eq!(rig.journal.health().destinations[0].slots, 4);
    rig.hand.advance(Duration::from_secs(5));
    let mut slotless = 0;
    let mut numbers = Vec::new();
    while let Some(delivery) = rig.take(&lane) {
        slotless += u32::from(delivery.slotless.is_some());
        numbers.push(number_of(&delivery));
        lane.settle(delivery, Settlement::Delivered);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<u64>>());
    assert_eq!(slotless, 8);
}

#[test]
fn without_a_slot_an_event_is_told_when_its_group_was_handed_out_before() {
    let mut rig = fresh();
    for number in 1..=6 {
        drop(rig.append(number, 10).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let mut swept = Vec::new();
    for round in 0..3 {
        let at = rig.clock.now().plus(Duration::from_secs(5));
        while let Some(delivery) = rig.take(&lane) {
            swept.extend(delivery.slotless);
            lane.settle(delivery, Settlement::Again { at, attempt: 1, status: 500, answer: Bytes::new() });
        }
        assert_eq!(swept.len(), 4 * round, "two have slots");
        rig.hand.set(at);
    }
    let first = START.plus(Duration::from_secs(5));
    assert_eq!(swept[..4], [crate::clock::Timestamp::ZERO; 4]);
    assert_eq!(swept[4..], [first; 4]);
    let mut given_back = rig.take(&lane).unwrap();
    while given_back.slotless.is_none() {
        lane.settle(given_back, Settlement::Delivered);
        given_back = rig.take(&lane).unwrap();
    }
    let (number, slotless) = (number_of(&given_back), given_back.slotless);
    lane.settle(given_back, Settlement::Return);
    let again = rig.take(&lane).unwrap();
    assert_eq!((number_of(&again), again.slotless), (number, slotless), "it is still of the same round");
}

#[test]
fn a_probe_takes_nothing_that_waits_for_its_time() {
    let mut rig = fresh();
    for number in 1..=2 {
        drop(rig.append(number, 10).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let at = rig.clock.now().plus(Duration::from_secs(60));
    let first = rig.take(&lane).unwrap();
    lane.settle(first, Settlement::Again { at, attempt: 3, status: 500, answer: Bytes::new() });
    let Taken::Delivery(probe) = lane.probe(0, rig.clock.now()) else { panic!("there is another") };
    assert_eq!(number_of(&probe), 2);
    lane.settle(probe, Settlement::Delivered);
    assert!(matches!(lane.probe(0, rig.clock.now()), Taken::Idle { until: Some(until) } if until == at));
    rig.hand.set(at);
    let Taken::Delivery(probe) = lane.probe(0, at) else { panic!("its time has come") };
    assert_eq!((number_of(&probe), probe.attempt), (1, 3));
}

#[test]
fn an_event_is_not_handed_over_before_its_time() {
    let mut rig = fresh();
    let at = rig.clock.now().plus(Duration::from_secs(60));
    let mut late = record(1, 10, rig.clock.now());
    late.targets = std::sync::Arc::new([crate::journal::Target { destination: 0, not_before: at }, target(1)]);
    drop(rig.journal.append_one(late).unwrap());
    drop(rig.append(2, 10).unwrap());
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    assert_eq!(rig.deliver_all(&lane), [2]);
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), [1, 2]);
    rig.hand.set(at);
    assert_eq!(rig.deliver_all(&lane), [1]);
}

#[test]
fn what_is_given_back_comes_first_and_a_probe_takes_the_oldest() {
    let mut rig = fresh();
    for number in 1..=4 {
        drop(rig.append(number, 10).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let first = rig.take(&lane).unwrap();
    let second = rig.take(&lane).unwrap();
    lane.settle(second, Settlement::Return);
    lane.settle(first, Settlement::Return);
    let Taken::Delivery(probe) = lane.probe(1, rig.clock.now()) else { panic!("there is a second oldest") };
    assert_eq!(number_of(&probe), 2);
    lane.settle(probe, Settlement::Return);
    let mut numbers = rig.deliver_all(&lane);
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(rig.journal.lane(0).is_none(), "one owner at a time");
    drop(lane);
    assert!(rig.journal.lane(0).is_some());
}

#[test]
fn a_dead_letter_is_listed_and_outlives_a_crash() {
    let mut rig = fresh();
    drop(rig.append(1, 3000).unwrap());
    drop(rig.append(2, 30).unwrap());
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let poison = rig.take(&lane).unwrap();
    let answer = Bytes::from_static(b"never");
    lane.settle(poison, Settlement::Dead { reason: 7, attempt: 12, status: 422, answer: answer.clone() });
    assert_eq!(rig.deliver_all(&lane), [2]);
    drop(lane);
    rig.rest();
    for _ in 0..2 {
        rig = rig.reopen();
        let letters = rig.journal.dead(0, 0, 10).unwrap();
        assert_eq!(letters.len(), 1);
        let letter = &letters[0];
        assert_eq!((letter.reason, letter.attempts, letter.status, &letter.answer), (7, 12, 422, &answer));
        assert_eq!(letter.content.as_ref().unwrap().1, super::rig::body(1, 3000));
        assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()), [0_u64; 0]);
        assert_eq!(rig.journal.health().destinations[0].dead, 1);
        rig.rest();
    }
}

#[test]
fn an_erased_event_is_gone_everywhere_and_is_no_damage() {
    let mut rig = fresh();
    drop(rig.append(1, 5000).unwrap());
    drop(rig.append(2, 50).unwrap());
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let delivery = rig.take(&lane).unwrap();
    let at = rig.clock.now().plus(Duration::from_secs(3));
    let answer = Bytes::from_static(b"SECRET-ANSWER");
    lane.settle(delivery, Settlement::Again { at, attempt: 1, status: 500, answer });
    rig.rest();
    let id = record(1, 0, START).event_id;
    let needle = super::rig::body(1, 64);
    assert!(holds(&rig.storage, &needle) && holds(&rig.storage, b"SECRET-ANSWER"));
    rig.journal.erase(id);
    rig.rest();
    assert!(!holds(&rig.storage, &needle) && !holds(&rig.storage, b"SECRET-ANSWER"));
    rig.hand.advance(Duration::from_secs(5));
    assert_eq!(rig.deliver_all(&lane), [2]);
    drop(lane);
    rig.rest();
    let storage = rig.crash();
    for name in crate::journal::Storage::list(&storage, "state").unwrap() {
        crate::journal::Storage::remove(&storage, &format!("state/{name}")).unwrap();
    }
    let rig = open(&storage, small(), &plans(), START);
    assert_eq!(rig.report.damage, []);
    assert_eq!(rig.journal.dead(0, 0, 10).unwrap()[0].reason, crate::journal::dead_reason::ERASED);
}

fn holds(storage: &Memory, needle: &[u8]) -> bool {
    ["log", "dead"].iter().any(|directory| {
        crate::journal::Storage::list(storage, directory).unwrap().iter().any(|name| {
            let file = crate::journal::Storage::open(storage, &format!("{directory}/{name}")).unwrap();
            let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
            file.read_at(&mut bytes, 0).unwrap();
            memchr::memmem::find(&bytes, needle).is_some()
        })
    })
}

#[test]
fn after_a_read_that_failed_or_was_lost_the_lane_waits_a_moment_and_reads_again() {
    for probe in [false, true] {
        let mut rig = fresh();
        for number in 1..=200 {
            drop(rig.append(number, 1000).unwrap());
        }
        rig.settle();
        let lane = rig.journal.lane(0).unwrap();
        let ask = |now| if probe { lane.probe(0, now) } else { lane.next(now) };
        for _ in 0..3 {
            let now = rig.clock.now();
            let Taken::Read(job) = ask(now) else { panic!("the oldest is in memory no more") };
            lane.accept(job.lost());
            let again = now.plus(Duration::from_secs(1));
            assert!(matches!(ask(now), Taken::Idle { until: Some(until) } if until == again));
            rig.hand.set(again);
        }
        assert_eq!(rig.deliver_all(&lane).len(), 200);
    }
}

#[test]
fn failures_that_are_not_on_disk_yet_are_bounded_and_hold_the_lane() {
    let mut rig = fresh();
    for number in 1..=400 {
        drop(rig.append(number, 10).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(1).unwrap();
    let at = rig.clock.now().plus(Duration::from_secs(3600));
    let again = || Settlement::Again { at, attempt: 1, status: 500, answer: Bytes::from_static(&[b'x'; 1024]) };
    let mut failed = 0;
    while let Some(delivery) = rig.take(&lane) {
        lane.settle(delivery, again());
        failed += 1;
    }
    assert_eq!(failed, 256, "at the bound nothing more is handed out");
    assert!(matches!(lane.next(rig.clock.now()), Taken::Idle { until: Some(_) }), "and the lane is asked again soon");
    rig.rest();
    while let Some(delivery) = rig.take(&lane) {
        lane.settle(delivery, again());
        failed += 1;
    }
    assert_eq!(failed, 400, "once they are on disk the rest follows");
    drop(lane);
    rig.rest();
    assert_eq!(rig.reopen().journal.health().destinations[1].owed, 400);
}

#[test]
fn what_is_shaped_comes_at_its_time_in_its_order_and_as_never_tried_with_a_slot_or_without() {
    for restart in [false, true] {
        let mut rig = fresh();
        let release = |number: u64| START.plus(Duration::from_secs(10 * number));
        for number in 1..=8 {
            let mut record = record(number, 3000, rig.clock.now());
            record.tenants = Tenants::One(1);
            let target = crate::journal::Target { destination: 0, not_before: release(number) };
            record.targets = std::sync::Arc::new([target]);
            drop(rig.journal.append_one(record).unwrap());
        }
        rig.settle();
        let mut lane = rig.journal.lane(0).unwrap();
        for number in 1..=8 {
            assert!(rig.take(&lane).is_none(), "nothing comes before its time");
            assert!(matches!(lane.next(rig.clock.now()), Taken::Idle { until: Some(at) } if at == release(number)));
            if restart && number == 5 {
                drop(lane);
                rig.rest();
                rig = rig.reopen();
                lane = rig.journal.lane(0).unwrap();
                assert!(rig.take(&lane).is_none(), "nor after a restart");
            }
            assert!(rig.journal.health().destinations[0].slots <= 2, "the others wait with their group");
            rig.hand.set(release(number));
            let delivery = rig.take(&lane).unwrap();
            assert_eq!((number_of(&delivery), delivery.attempt, delivery.slotless), (number, 0, None));
            lane.settle(delivery, Settlement::Delivered);
            rig.settle();
        }
        assert_eq!(lane.backlog().owed, 0);
    }
}
