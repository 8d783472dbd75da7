//! A piece of a segment that cannot be read costs the events in it, and no other.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::rig::{Rig, START, number_of, on, plans, record, small};
use crate::clock::Clock;
use crate::journal::lane::{READ_AGAIN, READ_TRIES};
use crate::journal::{Ailing, Journal, Lane, OpenError, Settlement, Storage, Taken, dead_reason};

const EVENTS: u64 = 200;

/// A journal that owes two hundred events of a kilobyte, most of them not at hand.
fn owing() -> (Ailing, Rig) {
    let disk = Ailing::default();
    let mut rig = on(&disk, small(), START);
    for number in 1..=EVENTS {
        drop(rig.journal.append_one(record(number, 1000, START)).unwrap());
    }
    rig.rest();
    (disk, rig)
}

/// Delivers what can be had, waiting as the lane says, for so many rounds; the numbers, and how many reads failed.
fn deliver(rig: &mut Rig, lane: &Lane, rounds: u32) -> (Vec<u64>, u32) {
    let (mut numbers, mut failed) = (Vec::new(), 0);
    for _ in 0..rounds {
        match lane.next(rig.clock.now()) {
            Taken::Delivery(delivery) => {
                numbers.push(number_of(&delivery));
                lane.settle(delivery, Settlement::Delivered);
            }
            Taken::Read(job) => {
                let done = job.run();
                failed += u32::from(done.error().is_some());
                lane.accept(done);
            }
            Taken::Idle { until: None } => return (numbers, failed),
            Taken::Idle { until: Some(until) } => {
                let wait = until.since(rig.clock.now());
                assert!(wait <= READ_AGAIN, "{wait:?}");
                rig.hand.advance(wait.max(Duration::from_millis(1)));
            }
        }
        rig.settle();
    }
    (numbers, failed)
}

#[test]
fn a_block_that_is_lost_costs_the_events_in_it_after_some_tries() {
    // In each segment of 64 KiB one block: EIO, ENODATA, EBADMSG, EUCLEAN. Or the first two, or the last.
    let blocks = [5, 61, 74, 117].map(|number| (20_480, 24_576, number));
    for (from, to, number) in blocks.into_iter().chain([(0, 8192, 5), (61_440, 65_536, 5)]) {
        let (disk, mut rig) = owing();
        disk.breaks(from, to, number);
        for id in [0, 1] {
            let lane = rig.journal.lane(id).unwrap();
            let (delivered, failed) = deliver(&mut rig, &lane, 10_000);
            let lost: Vec<u64> = (1..=EVENTS).filter(|number| !delivered.contains(number)).collect();
            let segments = EVENTS * 1_250 / (64 << 10) + 1;
            assert!((3..=5 * segments).contains(&(lost.len() as u64)), "{lost:?}");
            assert!(lost.chunk_by(|one, next| one + 1 == *next).all(|run| run.len() <= 5), "{lost:?}");
            assert!(
                delivered.is_sorted() && failed >= READ_TRIES && u64::from(failed) <= u64::from(READ_TRIES) * segments
            );
            // Each is named among the dead, or counted where not even its envelope can be read.
            rig.rest();
            assert_eq!(lane.backlog().owed, 0);
            let letters = rig.journal.dead(id, 0, 1000).unwrap();
            assert!(letters.iter().all(|letter| letter.reason == dead_reason::DAMAGED && letter.content.is_none()));
            assert!((!letters.is_empty() || from == 0) && letters.len() <= lost.len(), "{letters:?}");
        }
        assert!(rig.journal.health().damage >= 6, "{:?}", rig.journal.health());
        for heals in [false, true] {
            if heals {
                disk.heals();
            }
            rig = rig_again(rig, &disk);
            assert_eq!(rig.journal.lane(0).unwrap().backlog().owed, 0, "what was given up is not owed again");
        }
    }
}

fn rig_again(rig: Rig, disk: &Ailing) -> Rig {
    let now = rig.clock.now();
    drop(rig);
    on(disk, small(), now)
}

#[test]
fn what_fails_as_a_whole_or_for_another_reason_is_tried_for_ever_and_costs_nothing() {
    // A disk that is gone; no memory; no such file descriptor; a block, for a reason that may pass.
    for (from, to, number) in [(0, u64::MAX, 5), (0, u64::MAX, 12), (0, u64::MAX, 9), (20_480, 24_576, 12)] {
        let (disk, mut rig) = owing();
        disk.breaks(from, to, number);
        let lane = rig.journal.lane(0).unwrap();
        let (some, failed) = deliver(&mut rig, &lane, 400);
        assert!(failed > 10 * READ_TRIES, "{from} {number}: {failed}");
        assert_eq!(lane.backlog().owed + some.len() as u64, EVENTS);
        assert_eq!(rig.journal.health().damage, 0);
        disk.heals();
        let (rest, _) = deliver(&mut rig, &lane, 10_000);
        assert_eq!([some, rest].concat(), (1..=EVENTS).collect::<Vec<u64>>(), "{from} {number}");
        assert!(disk.unread.load(SeqCst) > 0);
    }
}

#[test]
fn a_failure_that_passes_costs_nothing() {
    let (disk, mut rig) = owing();
    let lane = rig.journal.lane(0).unwrap();
    let mut all = Vec::new();
    for _ in 0..20 {
        disk.breaks(0, u64::MAX, 5);
        let (none, failed) = deliver(&mut rig, &lane, READ_TRIES);
        all.extend(none);
        assert!(failed < READ_TRIES);
        disk.heals();
        all.extend(deliver(&mut rig, &lane, 20).0);
    }
    all.extend(deliver(&mut rig, &lane, 10_000).0);
    assert_eq!(all, (1..=EVENTS).collect::<Vec<u64>>());
}

/// A second goes by so many times.
fn idle(rig: &mut Rig, seconds: u32) {
    for _ in 0..seconds {
        rig.hand.advance(Duration::from_secs(1));
        rig.settle();
    }
}

/// What a stretch that is lost in each segment may have cost.
fn few(lost: u64) -> bool {
    (3..=5 * (EVENTS * 1_250 / (64 << 10) + 1)).contains(&lost)
}

#[test]
fn a_backlog_is_given_up_at_its_age_whatever_of_it_can_be_read() {
    let (disk, mut rig) = owing();
    disk.breaks(20_480, 24_576, 5);
    rig.hand.advance(Duration::from_secs(73 * 3600));
    idle(&mut rig, READ_TRIES);
    let two = rig.journal.lane(1).unwrap();
    assert!(two.backlog().owed > EVENTS / 2, "a failure may pass");
    idle(&mut rig, 40 * READ_TRIES);
    assert_eq!(two.backlog().owed, 0);
    let one = rig.journal.lane(0).unwrap().backlog().owed;
    assert!(few(EVENTS - one), "what is lost is lost to each, and what is not stays owed to the essential one: {one}");
    let letters = rig.journal.dead(1, 0, 1000).unwrap();
    assert_eq!(letters.iter().filter(|letter| letter.reason == dead_reason::AGE).count() as u64, one);
}

#[test]
fn what_a_worn_segment_still_owes_is_carried_forward_and_the_segment_goes() {
    for passes in [false, true] {
        let (disk, mut rig) = owing();
        let owed = |number: u64| number.is_multiple_of(8);
        let lanes = [0, 1].map(|id| rig.journal.lane(id).unwrap());
        for lane in &lanes {
            let until = rig.clock.now().plus(Duration::from_secs(30 * 3600));
            while let Some(delivery) = rig.take(lane) {
                let settlement = match owed(number_of(&delivery)) {
                    true => Settlement::Hold { at: until },
                    false => Settlement::Delivered,
                };
                lane.settle(delivery, settlement);
                rig.settle();
            }
        }
        rig.rest();
        let segments = |rig: &Rig| -> Vec<String> {
            let mut names = rig.storage.list("log").unwrap();
            names.retain(|name| name.ends_with(".seg"));
            names.sort_unstable();
            names
        };
        let before = segments(&rig);
        disk.breaks(20_480, 24_576, 5);
        rig.hand.advance(Duration::from_secs(25 * 3600));
        // Room is made where it is needed.
        let mut more = EVENTS;
        let mut fill = |rig: &mut Rig, seconds: u32| {
            for _ in 0..seconds {
                for _ in 0..40 {
                    more += 1;
                    drop(rig.append(more, 1000).unwrap());
                }
                idle(rig, 1);
            }
        };
        fill(&mut rig, READ_TRIES - 1);
        assert!(segments(&rig).contains(&before[0]), "a failure may pass");
        if passes {
            disk.heals();
        }
        fill(&mut rig, 2 * READ_TRIES);
        assert!(!segments(&rig).contains(&before[0]), "{before:?}");
        rig.hand.advance(Duration::from_secs(6 * 3600));
        for lane in &lanes {
            let mut numbers = deliver(&mut rig, lane, 10_000).0;
            numbers.retain(|number| *number <= EVENTS);
            let lost = (1..=EVENTS).filter(|number| owed(*number) && !numbers.contains(number)).count();
            assert!(if passes { lost == 0 } else { (1..=5).contains(&lost) }, "{lost} are lost: {numbers:?}");
            assert!(numbers.iter().all(|number| owed(*number)), "{numbers:?}");
        }
    }
}

#[test]
fn an_opening_goes_around_what_cannot_be_read_and_names_what_that_costs() {
    let blocks = [(0, 4096), (0, 12_288), (8192, 12_288), (20_480, 24_576), (57_344, 65_536)];
    let logs = blocks.iter().map(|(from, to)| ("log/", *from, *to, true));
    let graves = blocks.iter().map(|(from, to)| ("dead/", *from, *to, true));
    let others = [("dead/", 0, u64::MAX, true), ("state/", 0, u64::MAX, false), ("FORMAT", 0, u64::MAX, false)];
    for (which, from, to, named) in logs.chain(graves).chain(others) {
        for checkpoint in [true, false] {
            // The names stand in every header and in the checkpoints; one of these must be left.
            let checkpoint = checkpoint || (which, from) == ("log/", 0) || which == "state/";
            let (disk, mut rig) = owing();
            let lane = rig.journal.lane(1).unwrap();
            while let Some(delivery) = rig.take(&lane) {
                let died = Settlement::Dead { reason: 1, attempt: 1, status: 500, answer: "no".into() };
                lane.settle(delivery, if lane.backlog().owed % 2 == 0 { died } else { Settlement::Delivered });
                rig.rest();
            }
            drop(lane);
            for name in disk.files.list("state").unwrap().iter().filter(|_| !checkpoint) {
                disk.files.remove(&format!("state/{name}")).unwrap();
            }
            disk.breaks_in(which, from, to, 5);
            rig = rig_again(rig, &disk);
            let case = format!("{which} {from} {checkpoint}: {:?} {:?}", rig.report.damage, rig.report.notes);
            assert!(disk.unread.load(SeqCst) > 0, "{case}");
            if which != "log/" || !checkpoint {
                assert_eq!(!rig.report.damage.is_empty(), named, "{case}");
            }
            assert_eq!(rig.journal.health().damage, rig.report.damage.len() as u64, "{case}");
            let lane = rig.journal.lane(0).unwrap();
            let (delivered, _) = deliver(&mut rig, &lane, 10_000);
            rig.rest();
            let letters = rig.journal.dead(0, 0, 1000).unwrap();
            let told = |number: u64| {
                rig.report.damage.iter().any(|damage| damage.sequences.contains(&number))
                    || letters.iter().any(|letter| letter.seq == number && letter.reason == dead_reason::DAMAGED)
            };
            let lost: Vec<u64> = (1..=EVENTS).filter(|number| !delivered.contains(number)).collect();
            // Each is named, or counted by the lane where not even its envelope can be read.
            let counted = rig.journal.health().damage - rig.report.damage.len() as u64;
            let untold = lost.iter().filter(|number| !told(**number)).count() as u64;
            assert!(untold <= counted, "{lost:?} of {case}");
            assert!(lost.len() <= if which == "log/" { 50 } else { 0 }, "{lost:?} of {case}");
            let dead = rig.journal.dead(1, 0, 1000).unwrap().len();
            let least = if from == 0 && to == u64::MAX && which == "dead/" { 0 } else { 60 };
            assert!((least..=100).contains(&dead), "{dead} letters of {case}");
            // What comes now is kept, and what was given up does not come again.
            drop(rig.append(EVENTS + 1, 1000).unwrap());
            rig.rest();
            drop(lane);
            disk.heals();
            rig = rig_again(rig, &disk);
            let lane = rig.journal.lane(0).unwrap();
            assert_eq!(deliver(&mut rig, &lane, 100).0, [EVENTS + 1], "{case}");
        }
    }
}

#[test]
fn a_disk_that_is_gone_is_no_reason_to_open_without_what_lies_there() {
    for (which, to, number) in [("", u64::MAX, 5), ("log/", u64::MAX, 5), ("log/", 4096, 12), ("dead/", 4096, 12)] {
        let (disk, mut rig) = owing();
        let lane = rig.journal.lane(0).unwrap();
        let delivery = rig.take(&lane).expect("it is owed");
        lane.settle(delivery, Settlement::Dead { reason: 1, attempt: 1, status: 500, answer: "no".into() });
        rig.rest();
        drop((lane, rig));
        disk.breaks_in(which, 0, to, number);
        let seam: Arc<dyn Storage> = Arc::new(disk.clone());
        let clock = Clock::manual(START).0;
        let opened = Journal::open(seam, small(), clock, &["source"], &plans());
        assert!(matches!(opened, Err(OpenError::Io { .. })), "{which} {number}");
        disk.heals();
        assert_eq!(on(&disk, small(), START).journal.lane(0).unwrap().backlog().owed, EVENTS - 1);
    }
}

#[test]
fn what_is_new_does_not_wait_for_an_old_one_that_cannot_be_read() {
    let (disk, mut rig) = owing();
    let lane = rig.journal.lane(0).unwrap();
    let at = rig.clock.now().plus(Duration::from_secs(5));
    while let Some(delivery) = rig.take(&lane) {
        let again = Settlement::Again { at, attempt: 1, status: 500, answer: "no".into() };
        lane.settle(delivery, if lane.backlog().owed == EVENTS { again } else { Settlement::Delivered });
        rig.settle();
    }
    // No memory: this may pass, however often it fails.
    disk.breaks(0, u64::MAX, 12);
    rig.hand.set(at);
    let mut failed = 0;
    for number in EVENTS + 1..EVENTS + 20 {
        let now = rig.clock.now();
        loop {
            match lane.next(now) {
                Taken::Read(job) => {
                    failed += 1;
                    lane.accept(job.run());
                }
                Taken::Idle { until } => {
                    assert!(until.is_some_and(|until| until.since(now) <= READ_AGAIN), "{until:?}");
                    break;
                }
                Taken::Delivery(delivery) => panic!("{delivery:?}"),
            }
        }
        drop(rig.append(number, 100).unwrap());
        rig.settle();
        let Taken::Delivery(delivery) = lane.next(rig.clock.now()) else { panic!("{number} waits") };
        assert_eq!(number_of(&delivery), number);
        lane.settle(delivery, Settlement::Delivered);
        rig.hand.advance(READ_AGAIN);
        rig.settle();
    }
    assert!(failed > 10, "{failed}");
    disk.heals();
    deliver(&mut rig, &lane, 10_000);
    assert_eq!(lane.backlog().owed, 0);
}
