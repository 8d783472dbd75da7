//! What a destination that is gone was owed comes to another one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::rig::{Rig, START, fresh, number_of, open, record, small, target};
use crate::journal::{AdoptError, DestinationPlan, Journal, Settlement, Storage, Target};

type Told = Arc<Mutex<Option<Result<u64, AdoptError>>>>;

fn plan(name: &str) -> DestinationPlan {
    DestinationPlan::new(name)
}

fn ask(journal: &Journal, parked: u32, by: u32) -> Told {
    let told: Told = Arc::default();
    let tell = Arc::clone(&told);
    journal.adopt(parked, by, move |result| *tell.lock().unwrap() = Some(result));
    told
}

impl Rig {
    fn adopt(&mut self, parked: u32, by: u32) -> Result<u64, AdoptError> {
        let told = ask(&self.journal, parked, by);
        self.settle();
        told.lock().unwrap().take().expect("it is told before the writer rests")
    }

    fn numbers(&self, destination: u32) -> Vec<u64> {
        let mut numbers = self.deliver_all(&self.journal.lane(destination).unwrap());
        numbers.sort_unstable();
        numbers
    }

    fn plans(&mut self, names: &[&str]) {
        let plans: Vec<DestinationPlan> = names.iter().map(|name| plan(name)).collect();
        self.journal.configure(&["source"], &plans, |told| assert_eq!(told, Ok(())));
        self.settle();
    }

    fn owed(&self) -> Vec<u64> {
        self.journal.health().destinations.iter().map(|health| health.owed).collect()
    }

    fn send(&self, number: u64, destinations: &[u32]) {
        let mut record = record(number, 500, self.clock.now());
        record.targets = destinations.iter().map(|destination| target(*destination)).collect();
        drop(self.journal.append_one(record).unwrap());
    }
}

fn forget_checkpoints(rig: &Rig) {
    for name in rig.storage.list("state").unwrap() {
        rig.storage.remove(&format!("state/{name}")).unwrap();
    }
}

#[test]
fn a_parked_backlog_comes_to_the_adopter_once_and_stays_its_own_through_crashes() {
    for (checkpoints, before) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut rig = fresh();
        (1..=100).for_each(|number| rig.send(number, &[1]));
        rig.settle();
        assert_eq!(rig.numbers(1).len(), 100);
        (101..=200).for_each(|number| rig.send(number, &[1]));
        (201..=210).for_each(|number| rig.send(number, &[0]));
        rig.rest();
        if !before {
            // The live cursor of the adopter is past what it adopts.
            assert_eq!(rig.numbers(0).len(), 10);
            rig.rest();
        }
        let others: Vec<u64> = if before { (201..=210).collect() } else { Vec::new() };
        rig.plans(&["one"]);
        assert_eq!(rig.adopt(1, 0), Ok(100));
        let names = [plan("one")];
        for _ in 0..2 {
            assert_eq!(rig.owed(), [100 + others.len() as u64, 0]);
            if !checkpoints {
                forget_checkpoints(&rig);
            }
            rig = rig.reopen_with(small(), &names);
            assert_eq!(rig.report.parked, []);
        }
        let lane = rig.journal.lane(0).unwrap();
        let some: Vec<u64> = (0..30)
            .map(|_| rig.take(&lane).unwrap())
            .map(|delivery| {
                let number = number_of(&delivery);
                assert_eq!((delivery.attempt, delivery.slotless), (0, None), "nobody has tried it here");
                lane.settle(delivery, Settlement::Delivered);
                number
            })
            .collect();
        drop(lane);
        rig.rest();
        rig = rig.reopen_with(small(), &names);
        let mut all = [some, rig.numbers(0)].concat();
        all.sort_unstable();
        assert_eq!(all, (101..=200).chain(others).collect::<Vec<u64>>());
        rig.rest();
        rig.plans(&["one", "two"]);
        assert_eq!(rig.numbers(1), [0_u64; 0], "the name begins with nothing");
        rig.send(300, &[1]);
        rig.settle();
        assert_eq!(rig.numbers(1), [300]);
    }
}

#[test]
fn a_live_adopter_is_handed_what_is_below_its_cursor_as_if_nobody_had_tried_it() {
    let mut rig = fresh();
    for number in 1..=200 {
        rig.send(number, if number % 2 == 0 { &[0] } else { &[1] });
    }
    rig.settle();
    let lane = rig.journal.lane(0).unwrap();
    let at = START.plus(Duration::from_secs(3600));
    while let Some(delivery) = rig.take(&lane) {
        // Few of them have slots.
        lane.settle(delivery, Settlement::Again { at, attempt: 1, status: 500, answer: "".into() });
    }
    rig.plans(&["one"]);
    assert_eq!(rig.adopt(1, 0), Ok(100));
    let mut came = Vec::new();
    while let Some(delivery) = rig.take(&lane) {
        assert_eq!((delivery.attempt, delivery.slotless), (0, None));
        came.push(number_of(&delivery));
        lane.settle(delivery, Settlement::Delivered);
    }
    assert_eq!(came, (1..=199).step_by(2).collect::<Vec<u64>>(), "those that wait for their time go on waiting");
    rig.hand.set(at);
    assert_eq!(rig.deliver_all(&lane).len(), 100);
}

#[test]
fn an_event_both_are_owed_comes_once() {
    for reopened in [false, true] {
        let mut rig = fresh();
        (1..=20).for_each(|number| rig.send(number, &[0, 1]));
        (21..=25).for_each(|number| rig.send(number, &[1]));
        rig.rest();
        rig.plans(&["one"]);
        let lane = rig.journal.lane(0).unwrap();
        let held = rig.take(&lane).unwrap();
        assert_eq!(rig.adopt(1, 0), Ok(5));
        lane.settle(held, Settlement::Delivered);
        drop(lane);
        rig.rest();
        if reopened {
            rig = rig.reopen_with(small(), &[plan("one")]);
        }
        assert_eq!(rig.numbers(0), (2..=25).collect::<Vec<u64>>());
    }
}

#[test]
fn it_is_not_handed_over_before_its_time_whoever_adopted_it() {
    for checkpoints in [true, false] {
        let mut rig = fresh();
        rig.plans(&["one", "two", "three"]);
        let at = START.plus(Duration::from_secs(500));
        let mut held = record(1, 500, START);
        let of_another = Target { destination: 2, not_before: at.plus(Duration::from_secs(9999)) };
        held.targets = Arc::new([of_another, Target { destination: 1, not_before: at }]);
        drop(rig.journal.append_one(held).unwrap());
        rig.rest();
        rig.plans(&["three"]);
        drop(rig.journal.lane(2).map(|lane| rig.take(&lane)));
        rig.plans(&["one"]);
        assert_eq!(rig.adopt(1, 0), Ok(1));
        rig.plans(&["four"]);
        assert_eq!(rig.adopt(0, 3), Ok(1), "what was adopted can be adopted");
        for _ in 0..2 {
            assert_eq!(rig.numbers(3), [0_u64; 0]);
            rig.rest();
            if !checkpoints {
                forget_checkpoints(&rig);
            }
            rig = rig.reopen_with(small(), &[plan("four")]);
        }
        rig.hand.set(at);
        assert_eq!(rig.numbers(3), [1]);
    }
}

#[test]
fn what_was_adopted_is_carried_forward_as_the_adopters() {
    let mut rig = fresh();
    rig.send(1, &[1]);
    rig.settle();
    rig.plans(&["one", "three"]);
    assert_eq!(rig.adopt(1, 0), Ok(1));
    for number in 2..=3000 {
        rig.send(number, &[2]);
        if number % 10 == 0 {
            rig.settle();
            drop(rig.numbers(2));
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    rig.rest();
    let found = rig.found(1);
    assert!(found.len() == 1 && found[0].carried_from.is_some(), "{found:?}");
    assert_eq!(found[0].targets.iter().map(|target| target.destination).collect::<Vec<_>>(), [0]);
    forget_checkpoints(&rig);
    let rig = rig.reopen_with(small(), &[plan("one"), plan("three")]);
    assert_eq!(rig.numbers(0), [1]);
}

#[test]
fn what_cannot_be_adopted_stays_parked_and_says_why() {
    let mut rig = fresh();
    rig.send(1, &[0, 1]);
    rig.settle();
    assert_eq!(rig.adopt(1, 0), Err(AdoptError::Configured));
    let lane = rig.journal.lane(1).unwrap();
    rig.plans(&["one"]);
    assert_eq!(rig.adopt(1, 0), Err(AdoptError::Busy), "somebody has its lane");
    drop(lane);
    let cases = [
        ((2, 0), AdoptError::Unknown(2)),
        ((1, 2), AdoptError::Unknown(2)),
        ((0, 0), AdoptError::Configured),
        ((0, 1), AdoptError::Configured),
        ((1, 1), AdoptError::NotConfigured),
    ];
    for ((parked, by), why) in cases {
        assert_eq!(rig.adopt(parked, by), Err(why), "{parked} by {by}");
    }
    let first = ask(&rig.journal, 1, 0);
    assert_eq!(*ask(&rig.journal, 1, 0).lock().unwrap(), Some(Err(AdoptError::Busy)));
    assert_eq!(rig.owed(), [1, 1], "nothing is done before it is durable");
    let storage = rig.crash();
    assert_eq!(*first.lock().unwrap(), None);
    let mut rig = open(&storage, small(), &[plan("one")], START);
    assert_eq!(rig.report.parked.len(), 1);
    rig.journal.close();
    assert_eq!(rig.adopt(1, 0), Err(AdoptError::Ended));
}

/// A letter, a failure and a delivery of the parked one wait for the disk when it is adopted.
#[test]
fn what_was_settled_before_is_not_adopted() {
    let mut rig = fresh();
    (1..=6).for_each(|number| rig.send(number, &[1]));
    rig.settle();
    let lane = rig.journal.lane(1).unwrap();
    let answer = || "x".into();
    for settlement in [
        Settlement::Delivered,
        Settlement::Dead { reason: 1, attempt: 1, status: 0, answer: answer() },
        Settlement::Again { at: START.plus(Duration::from_secs(900)), attempt: 1, status: 500, answer: answer() },
    ] {
        let delivery = rig.take(&lane).unwrap();
        lane.settle(delivery, settlement);
    }
    let _aloft = rig.take(&lane).unwrap();
    drop(lane);
    rig.plans(&["one"]);
    assert_eq!(rig.adopt(1, 0), Ok(4));
    forget_checkpoints(&rig);
    let rig = rig.reopen_with(small(), &[plan("one")]);
    assert_eq!((rig.owed(), rig.dead(1).len()), (vec![4, 0], 1));
    assert_eq!(rig.numbers(0), [3, 4, 5, 6]);
}
