//! A dead letter is tried again or dropped, and leaves its list for good.

use std::time::Duration;

use super::rig::{Rig, START, body, fresh, open, plans, ready, record, small, target};
use crate::journal::{DestinationPlan, Memory, Original, Settlement, Storage, dead_reason};

/// Events from 1 on, all of them dead at destination 1.
fn dead(events: u64) -> Rig {
    let mut rig = fresh();
    for number in 1..=events {
        drop(rig.append(number, 100).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(1).unwrap();
    while lane.backlog().owed > 0 {
        // Only so many wait for their letters at once.
        while let Some(delivery) = rig.take(&lane) {
            lane.settle(delivery, Settlement::Dead { reason: 7, attempt: 3, status: 410, answer: "gone".into() });
        }
        rig.rest();
    }
    drop(lane);
    rig
}

fn forget_checkpoints(rig: &Rig) {
    for name in rig.storage.list("state").unwrap() {
        rig.storage.remove(&format!("state/{name}")).unwrap();
    }
}

#[test]
fn a_letter_that_is_replayed_leaves_its_list_once_that_is_durable() {
    for checkpoints in [true, false] {
        let mut rig = dead(3);
        let letters = rig.dead(1);
        let original = Original::Letter { destination: 1, seq: letters[1] };
        let mut pending = rig.journal.replay(original, None).unwrap();
        assert_eq!((ready(&mut pending), rig.dead(1)), (None, letters.clone()), "not before it is durable");
        assert_eq!(rig.refusal(original), "UnderWay");
        rig.settle();
        assert_eq!(ready(&mut pending), Some(true));
        for round in 0..2 {
            assert_eq!(rig.dead(1), [letters[0], letters[2]], "round {round}");
            assert_eq!(rig.refusal(original), "Unknown");
            rig.rest();
            if !checkpoints {
                forget_checkpoints(&rig);
            }
            rig = rig.reopen();
        }
        assert_eq!(rig.come(1), [(2, letters[1], true)], "without the answer in its body");
        rig.rest();
        assert_eq!(rig.come(0).len(), 3);
    }
}

#[test]
fn a_crash_before_the_replay_is_durable_leaves_the_letter() {
    let rig = dead(1);
    let letters = rig.dead(1);
    drop(rig.journal.replay(Original::Letter { destination: 1, seq: letters[0] }, None).unwrap());
    let mut rig = rig.reopen();
    assert_eq!((rig.dead(1), rig.come(1).len()), (letters.clone(), 0));
    rig.replay(Original::Letter { destination: 1, seq: letters[0] });
    assert_eq!(rig.come(1), [(1, letters[0], true)]);
}

#[test]
fn a_replay_of_a_letter_may_die_too_and_go_elsewhere() {
    let mut rig = dead(2);
    let letters = rig.dead(1);
    let elsewhere = [target(0)];
    drop(rig.journal.replay(Original::Letter { destination: 1, seq: letters[0] }, Some(&elsewhere)).unwrap());
    let again = rig.replay(Original::Letter { destination: 1, seq: letters[1] });
    let lane = rig.journal.lane(1).unwrap();
    let delivery = rig.take(&lane).unwrap();
    lane.settle(delivery, Settlement::Dead { reason: 8, attempt: 1, status: 500, answer: "no".into() });
    drop(lane);
    rig.rest();
    for checkpoints in [true, true, false] {
        let letter = &rig.journal.dead(1, 0, 9).unwrap()[..];
        let [letter] = letter else { panic!("only the second death counts: {letter:?}") };
        assert_eq!((letter.seq, letter.origin_seq, letter.reason), (again, letters[1], 8));
        assert_eq!(letter.content.as_ref().unwrap().1, body(2, 100));
        if !checkpoints {
            forget_checkpoints(&rig);
        }
        rig = rig.reopen();
    }
    assert_eq!(rig.dead(1), [again]);
    assert_eq!(rig.come(0).iter().filter(|(number, ..)| *number == 1).count(), 2);
}

#[test]
fn a_letter_that_is_dropped_is_gone() {
    for checkpoints in [true, false] {
        let mut rig = dead(40);
        let letters = rig.dead(1);
        for seq in &letters[..39] {
            rig.journal.drop_dead(1, *seq);
        }
        rig.journal.drop_dead(1, letters[39] + 1000);
        rig.journal.drop_dead(0, letters[39]);
        rig.journal.drop_dead(7, letters[39]);
        rig.rest();
        assert_eq!(rig.dead(1), letters[39..]);
        assert_eq!(rig.refusal(Original::Letter { destination: 1, seq: letters[0] }), "Unknown");
        if !checkpoints {
            forget_checkpoints(&rig);
        }
        rig = rig.reopen();
        assert_eq!(rig.dead(1), letters[39..]);
        assert_eq!(rig.come(1), []);
    }
}

/// Letters die in one batch more often than their deaths fit a batch of records.
#[test]
fn what_is_dropped_before_its_death_is_on_record_does_not_come_back() {
    let mut rig = fresh();
    for number in 1..=100 {
        drop(rig.append(number, 100).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(1).unwrap();
    let mut dropped = 0;
    for _ in 0..10_000 {
        while let Some(delivery) = rig.take(&lane) {
            lane.settle(delivery, Settlement::Dead { reason: 7, attempt: 3, status: 410, answer: "gone".into() });
        }
        drop(rig.writer.step());
        for seq in rig.dead(1) {
            rig.journal.drop_dead(1, seq);
            dropped += 1;
        }
        if dropped >= 100 && rig.dead(1).is_empty() {
            break;
        }
        rig.hand.advance(Duration::from_millis(10));
    }
    drop(lane);
    rig.rest();
    let rig = rig.reopen();
    assert_eq!((rig.dead(1).len(), rig.come(1).len()), (0, 0));
}

#[test]
fn a_letter_outlives_its_event_and_is_found_by_the_events_id() {
    let mut rig = dead(1);
    let letters = rig.dead(1);
    drop(rig.come(0));
    let lanes = [rig.journal.lane(0).unwrap(), rig.journal.lane(1).unwrap()];
    for number in 2..=3000 {
        drop(rig.append(number, 1000).unwrap());
        if number % 10 == 0 {
            rig.settle();
            lanes.iter().for_each(|lane| drop(rig.deliver_all(lane)));
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    drop(lanes);
    assert_eq!(rig.found(1), []);
    let event_id = record(1, 0, START).event_id;
    rig.replay(Original::Event(event_id));
    assert_eq!(rig.come(1), [(1, letters[0], true)], "owed to those among whose dead letters it is");
    assert_eq!((rig.come(0), rig.dead(1)), (vec![], letters.clone()), "only who names the letter takes it");
    rig.journal.erase(event_id);
    rig.rest();
    assert_eq!(rig.refusal(Original::Letter { destination: 1, seq: letters[0] }), "Erased");
}

#[test]
fn the_age_of_a_replay_begins_anew() {
    let mut plans = plans();
    plans[1] = DestinationPlan { backlog_age: Duration::from_secs(60), ..DestinationPlan::new("two") };
    let mut rig = open(&Memory::new(), small(), &plans, START);
    drop(rig.append(1, 100).unwrap());
    rig.settle();
    rig.hand.advance(Duration::from_secs(61));
    rig.rest();
    let letters = rig.journal.dead(1, 0, 9).unwrap();
    assert_eq!(letters[0].reason, dead_reason::AGE);
    let again = rig.replay(Original::Letter { destination: 1, seq: letters[0].seq });
    rig.hand.advance(Duration::from_secs(55));
    rig.rest();
    let mut rig = rig.reopen_with(small(), &plans);
    rig.rest();
    assert_eq!(rig.dead(1), [0_u64; 0], "it is not older than it may be");
    rig.hand.advance(Duration::from_secs(6));
    rig.rest();
    assert_eq!(rig.dead(1), [again]);
}
