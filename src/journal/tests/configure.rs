//! What changes while the journal runs, and what does not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::rig::{Rig, START, fresh, number_of, open, plans, record, small, target};
use crate::journal::segment::Header;
use crate::journal::{
    ConfigureError, DestinationPlan, HandOver, Memory, Options, Settlement, Step, Storage, dead_reason,
};

type Told = Arc<Mutex<Option<Result<(), ConfigureError>>>>;

impl Rig {
    fn ask(&self, sources: &[&str], plans: &[DestinationPlan]) -> Told {
        let told: Told = Arc::default();
        let tell = Arc::clone(&told);
        self.journal.configure(sources, plans, move |result| *tell.lock().unwrap() = Some(result));
        told
    }

    fn configure(&mut self, plans: &[DestinationPlan]) {
        let told = self.ask(&["source"], plans);
        self.settle();
        assert_eq!(*told.lock().unwrap(), Some(Ok(())));
    }

    /// The tables of names that the segments open with, the youngest last.
    fn tables(&self) -> Vec<Vec<String>> {
        let mut names = self.storage.list("log").unwrap();
        names.retain(|name| name.ends_with(".seg"));
        names.sort_unstable();
        let table = |name: &String| {
            let mut bytes = vec![0; 16 << 10];
            let file = self.storage.open(&format!("log/{name}")).unwrap();
            let read = file.read_at(&mut bytes, 0).unwrap();
            Header::decode(&bytes[..read]).unwrap().0.names.destinations
        };
        names.iter().map(table).collect()
    }
}

fn with(name: &str) -> Vec<DestinationPlan> {
    let mut all = plans();
    all.push(DestinationPlan::new(name));
    all
}

#[test]
fn a_new_name_is_on_disk_before_anybody_learns_its_id() {
    let mut rig = fresh();
    drop(rig.append(1, 100).unwrap());
    let told = rig.ask(&["source", "another"], &with("three"));
    while told.lock().unwrap().is_none() {
        assert_eq!((rig.journal.destination("three"), rig.journal.source("another")), (None, None));
        assert!(matches!(rig.writer.step(), Step::Worked), "it is told before the writer rests");
    }
    assert_eq!(rig.tables().last().unwrap(), &["one", "two", "three"]);
    assert_eq!((rig.journal.destination("three"), rig.journal.source("another")), (Some(2), Some(1)));
    let mut third = record(2, 100, START);
    third.targets = Arc::new([target(2)]);
    drop(rig.journal.append_one(third).unwrap());
    rig.settle();
    // Who comes later comes behind it, whatever order the configuration has by then.
    let plans = [DestinationPlan::new("zero"), DestinationPlan::new("three")];
    let rig = rig.reopen_with(small(), &plans);
    assert_eq!((rig.journal.destination("three"), rig.journal.destination("zero")), (Some(2), Some(3)));
    assert_eq!(rig.deliver_all(&rig.journal.lane(2).unwrap()), [2]);
    assert_eq!(rig.deliver_all(&rig.journal.lane(3).unwrap()), [0_u64; 0]);
}

#[test]
fn known_names_take_no_segment() {
    let mut rig = fresh();
    let before = rig.tables().len();
    for _ in 0..50 {
        rig.configure(&plans()[..1]);
        rig.configure(&plans());
    }
    assert_eq!(rig.tables().len(), before);
}

#[test]
fn a_removed_destination_is_parked_and_goes_on_where_it_was() {
    let two = DestinationPlan { backlog_age: Duration::from_secs(60), ..DestinationPlan::new("two") };
    let all = [plans().remove(0), two];
    let mut rig = open(&Memory::new(), small(), &all, START);
    for number in 1..=20 {
        drop(rig.append(number, 500).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(1).unwrap();
    let first = rig.take(&lane).unwrap();
    lane.settle(first, Settlement::Delivered);
    let abandoned = rig.take(&lane).unwrap();
    assert_eq!(number_of(&abandoned), 2);
    drop(lane);
    rig.configure(&all[..1]);
    // An event that was routed before is owed to it all the same.
    drop(rig.append(21, 500).unwrap());
    rig.hand.advance(Duration::from_secs(3600));
    rig.rest();
    let health = rig.journal.health().destinations[1].clone();
    assert_eq!((health.parked, health.owed, health.dead), (true, 20, 0), "it ages only where it is configured");
    rig.configure(&[all[0].clone(), DestinationPlan::new("two")]);
    assert!(!rig.journal.health().destinations[1].parked);
    let mut came = rig.deliver_all(&rig.journal.lane(1).unwrap());
    came.sort_unstable();
    assert_eq!(came, (2..=21).collect::<Vec<u64>>());
}

#[test]
fn a_shorter_backlog_holds_from_now_on() {
    let mut rig = fresh();
    drop(rig.append(1, 100).unwrap());
    rig.settle();
    rig.hand.advance(Duration::from_secs(120));
    rig.rest();
    assert_eq!(rig.journal.health().destinations[1].dead, 0);
    let mut shorter = plans();
    shorter[1].backlog_age = Duration::from_secs(60);
    rig.configure(&shorter);
    rig.rest();
    let letters = rig.journal.dead(1, 0, 9).unwrap();
    assert_eq!((letters.len(), letters[0].reason), (1, dead_reason::AGE));
    assert_eq!(rig.journal.health().destinations[0].owed, 1, "the other one is essential");
}

#[test]
fn a_hand_over_changes_between_two_events_and_loses_and_doubles_none() {
    use HandOver::{Stored, Verified};
    let turns = [
        vec![Stored, Verified],
        vec![Verified, Stored],
        vec![Stored, Verified, Stored],
        vec![Verified, Stored, Verified],
        vec![Verified, Stored, Verified, Stored, Verified],
    ];
    for (case, turns) in turns.iter().enumerate() {
        for steps in 0..6 {
            let plan = |hand_over| [plans().remove(0), DestinationPlan { hand_over, ..plans().remove(1) }];
            let mut rig = open(&Memory::new(), small(), &plan(turns[0]), START);
            let lane = rig.journal.lane(1).unwrap();
            let (mut number, mut came) = (0, Vec::new());
            for turn in &turns[1..] {
                for _ in 0..3 {
                    number += 1;
                    drop(rig.append(number, 2000).unwrap());
                }
                let told = rig.ask(&["source"], &plan(*turn));
                number += 1;
                drop(rig.append(number, 2000).unwrap());
                for _ in 0..steps {
                    drop(rig.writer.step());
                }
                came.extend(rig.deliver_all(&lane));
                while told.lock().unwrap().is_none() {
                    drop(rig.writer.step());
                }
                number += 1;
                drop(rig.append(number, 2000).unwrap());
                came.extend(rig.deliver_all(&lane));
                assert!(*turn == Stored || came.contains(&number), "case {case}: shown before it is durable");
            }
            rig.settle();
            came.extend(rig.deliver_all(&lane));
            came.sort_unstable();
            assert_eq!(came, (1..=number).collect::<Vec<u64>>(), "case {case}, {steps} steps");
            assert_eq!(lane.backlog().owed, 0);
        }
    }
}

#[test]
fn what_cannot_be_done_is_told_and_changes_nothing() {
    let mut rig = fresh();
    let first = rig.ask(&["source"], &with("three"));
    assert_eq!(*rig.ask(&["source"], &plans()).lock().unwrap(), Some(Err(ConfigureError::Busy)));
    rig.settle();
    assert_eq!(*first.lock().unwrap(), Some(Ok(())));
    let many: Vec<_> = (0..2000).map(|number| DestinationPlan::new(&format!("destination-{number}"))).collect();
    assert_eq!(*rig.ask(&["source"], &many).lock().unwrap(), Some(Err(ConfigureError::Names)));
    rig.configure(&plans());
    assert_eq!(rig.journal.destination("destination-0"), None);
    rig.journal.close();
    assert_eq!(*rig.ask(&["source"], &with("four")).lock().unwrap(), Some(Err(ConfigureError::Ended)));
}

#[test]
fn a_full_journal_takes_no_new_name_and_keeps_what_it_needs_to_empty_itself() {
    let all = [plans().remove(0), DestinationPlan { essential: true, ..plans().remove(1) }];
    let options = Options { size: 1 << 20, ..small() };
    let mut rig = open(&Memory::new(), options, &all, START);
    let mut taken = 0;
    for number in 1..=1000 {
        let Ok(pending) = rig.append(number, 20_000) else { break };
        drop(pending);
        rig.settle();
        taken = number;
    }
    assert!(taken < 1000, "it is full");
    for try_again in 0..5 {
        let told = rig.ask(&["source"], &[all[0].clone(), all[1].clone(), DestinationPlan::new("three")]);
        rig.rest();
        assert_eq!(*told.lock().unwrap(), Some(Err(ConfigureError::Full)), "{try_again}");
    }
    // A plan takes no room.
    rig.configure(&all[..1]);
    rig.configure(&all);
    for destination in 0..2 {
        let lane = rig.journal.lane(destination).unwrap();
        assert_eq!(rig.deliver_all(&lane), (1..=taken).collect::<Vec<u64>>());
        rig.rest();
    }
    rig.rest();
    drop(rig.append(1001, 20_000).unwrap());
    rig.configure(&[all[0].clone(), all[1].clone(), DestinationPlan::new("three")]);
    assert_eq!(rig.journal.destination("three"), Some(2));
}
