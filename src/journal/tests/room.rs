//! What happens at each bound.

use std::time::Duration;

use super::rig::{START, fresh, number_of, open, plans, ready, record, small};
use crate::journal::{DestinationPlan, Memory, Options, Refused, Settlement, Storage, dead_reason};

#[test]
fn a_record_that_fits_no_segment_is_refused() {
    let rig = fresh();
    let Err(Refused::TooLarge { max }) = rig.append(1, 64 << 10) else { panic!("it does not fit") };
    assert!(rig.append(1, usize::try_from(max).unwrap() - 4).is_ok());
    assert!(matches!(rig.append(2, usize::try_from(max).unwrap() + 700), Err(Refused::TooLarge { .. })));
}

#[test]
fn the_queue_is_bounded_and_all_or_none() {
    let options = Options { queue_records: 10, ..small() };
    let mut rig = open(&Memory::new(), options, &plans(), START);
    for number in 1..=9 {
        drop(rig.append(number, 10).unwrap());
    }
    let two = vec![record(10, 10, START), record(11, 10, START)];
    assert!(matches!(rig.journal.append(two), Err(Refused::Busy)));
    assert!(rig.append(10, 10).is_ok());
    assert!(matches!(rig.append(11, 10), Err(Refused::Busy)));
    rig.settle();
    assert!(rig.append(11, 10).is_ok());
    rig.settle();
    assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()).len(), 11);
}

#[test]
fn records_gather_after_a_crowd_but_never_while_some_are_left_of_it() {
    let mut rig = open(
        &Memory::new(),
        Options { segment_size: 1 << 20, size: 64 << 20, keep_dead_size: 4 << 20, ..small() },
        &plans(),
        START,
    );
    // One batch takes 1,024.
    for number in 1..=1_500 {
        drop(rig.append(number, 10).unwrap());
    }
    let lane = rig.journal.lane(0).unwrap();
    let (mut written, mut waits) = (vec![0], Vec::new());
    for _ in 0..100 {
        rig.writer.step();
        let (pause, owed) = (rig.writer.pause(), lane.backlog().owed);
        if written.last() != Some(&owed) {
            written.push(owed);
            waits.push(pause.is_some());
        }
    }
    assert_eq!((&written[..], &waits[..]), (&[0, 1_024, 1_500][..], &[false, true][..]));
}

#[test]
fn segments_turn_over_as_long_as_everybody_takes_what_is_owed() {
    let mut rig = fresh();
    let lanes = [rig.journal.lane(0).unwrap(), rig.journal.lane(1).unwrap()];
    for number in 1..=3000 {
        let mut pending = rig.append(number, 1000).unwrap();
        if number % 10 == 0 {
            rig.settle();
            assert_eq!(ready(&mut pending), Some(true));
            for lane in &lanes {
                assert_eq!(rig.deliver_all(lane).len(), 10);
            }
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    let log = rig.storage.list("log").unwrap();
    assert!(log.len() <= 30, "{} files", log.len());
    assert_eq!(rig.journal.health().damage, 0);
    drop(lanes);
    let rig = rig.reopen();
    assert_eq!(rig.report.damage, []);
}

#[test]
fn one_poison_event_pins_nothing() {
    let mut rig = fresh();
    let lanes = [rig.journal.lane(0).unwrap(), rig.journal.lane(1).unwrap()];
    let mut at = rig.clock.now().plus(Duration::from_secs(100_000));
    for number in 1..=3000 {
        drop(rig.append(number, 1000).unwrap());
        if number % 10 == 0 {
            rig.settle();
            while let Some(delivery) = rig.take(&lanes[0]) {
                let poison = number_of(&delivery) == 5;
                let again = Settlement::Again { at, attempt: delivery.attempt + 1, status: 500, answer: "x".into() };
                lanes[0].settle(delivery, if poison { again } else { Settlement::Delivered });
            }
            rig.deliver_all(&lanes[1]);
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    at = at.plus(Duration::from_secs(1));
    assert_eq!(lanes[0].backlog().owed, 1);
    assert!(lanes[0].backlog().oldest_seq.unwrap() > 1000, "it was carried forward");
    drop(lanes);
    rig.rest();
    let rig = rig.reopen();
    rig.hand.set(at);
    let lane = rig.journal.lane(0).unwrap();
    let delivery = rig.take(&lane).unwrap();
    assert_eq!((number_of(&delivery), delivery.origin_seq, delivery.attempt), (5, 5, 1));
    assert_eq!(delivery.body.joined(), super::rig::body(5, 1000));
}

#[test]
fn at_the_disk_bound_the_backlog_of_a_non_essential_destination_goes_before_new_events() {
    let mut rig = fresh();
    let lane = rig.journal.lane(0).unwrap();
    for number in 1..=3000 {
        let taken = rig.append(number, 1000);
        assert!(taken.is_ok(), "{number}: {:?} {:?}", rig.journal.health(), rig.writer.house);
        if number % 10 == 0 {
            rig.settle();
            rig.deliver_all(&lane);
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    let two = rig.journal.health().destinations[1].clone();
    assert!(two.expired > 500, "{two:?}");
    assert_eq!(two.owed + two.expired, 3000);
    let letters = rig.journal.dead(1, 0, 5000).unwrap();
    assert!(letters.iter().all(|letter| letter.reason == dead_reason::SPACE));
    assert!(letters.first().unwrap().content.is_none(), "the oldest lost head and body");
    assert!(letters.last().unwrap().content.is_some());
}

/// Records come as fast as they are taken, while the writer does one step for every few of them.
#[test]
fn at_the_disk_bound_who_waits_for_room_is_never_refused_as_long_as_something_can_be_given_up() {
    let mut rig = fresh();
    let lane = rig.journal.lane(0).unwrap();
    let mut waited = 0;
    for number in 1..=3000 {
        let mut steps = 0;
        while !rig.journal.has_room(1000) {
            drop(rig.writer.step());
            rig.journal.release();
            rig.deliver_all(&lane);
            rig.hand.advance(Duration::from_millis(1));
            steps += 1;
            assert!(steps < 1000, "{number}: no room is made: {:?}", rig.writer.house);
        }
        waited += steps;
        let taken = rig.append(number, 1000);
        assert!(taken.is_ok(), "{number}: {:?}", taken.err());
        if number % 7 == 0 {
            drop(rig.writer.step());
        }
    }
    assert!(waited > 100, "the bound was never met: {waited}");
    rig.rest();
    let two = rig.journal.health().destinations[1].clone();
    assert_eq!(two.owed + two.expired, 3000, "nothing went unnoticed");
}

/// Who does not wait is refused now and then, and yet the disk is not full: the writer is making room.
#[test]
fn a_disk_on_which_room_can_be_made_is_not_full() {
    let mut rig = fresh();
    let lane = rig.journal.lane(0).unwrap();
    let (mut making, mut full) = (0, 0);
    for number in 1..=3000 {
        let mut steps = 0;
        while rig.append(number, 3500).is_err() {
            let health = rig.journal.health();
            assert!(!health.full || !health.accepting, "{health:?}");
            making += u32::from(!health.accepting && !health.full);
            // The writer looks again at once; longer than a moment this is never said.
            full = if health.full { full + 1 } else { 0 };
            assert!(full < 100, "{number}: {:?}", rig.writer.house);
            drop(rig.writer.step());
            rig.journal.release();
            rig.deliver_all(&lane);
            rig.hand.advance(Duration::from_millis(1));
            steps += 1;
            assert!(steps < 1000, "{number}: no room is made: {:?}", rig.writer.house);
        }
        if number % 7 == 0 {
            drop(rig.writer.step());
        }
    }
    assert!(making > 20, "room was hardly ever made: {making}");
}

#[test]
fn at_the_disk_bound_an_essential_destination_is_not_robbed() {
    let mut rig = fresh();
    let lane = rig.journal.lane(1).unwrap();
    let mut taken = 0;
    let mut full = 0;
    for number in 1..=3000 {
        match rig.append(number, 1000) {
            Ok(pending) => {
                drop(pending);
                taken += 1;
            }
            Err(refused) => {
                assert_eq!(refused, Refused::Full);
                full += 1;
            }
        }
        rig.settle();
        rig.deliver_all(&lane);
        rig.hand.advance(Duration::from_millis(60));
        assert!(number < 3000 || rig.journal.has_room(1000), "waiting would not help");
    }
    assert!(full > 500 && taken > 800, "{taken} taken, {full} refused");
    assert!(rig.journal.health().full, "a small record would fit no better");
    drop(lane);
    let mut rig = rig.reopen();
    let lane = rig.journal.lane(0).unwrap();
    assert_eq!(rig.deliver_all(&lane).len(), taken, "everything with a receipt is there");
    drop(lane);
    rig.rest();
    assert!(rig.append(1, 1000).is_ok() && !rig.journal.health().full, "and there is room again");
}

#[test]
fn a_backlog_older_than_allowed_becomes_dead_letters() {
    let mut plans = plans();
    plans[1].backlog_age = Duration::from_secs(60);
    let mut rig = open(&Memory::new(), small(), &plans, START);
    drop(rig.append(1, 100).unwrap());
    rig.settle();
    rig.hand.advance(Duration::from_secs(30));
    drop(rig.append(2, 100).unwrap());
    rig.settle();
    rig.hand.advance(Duration::from_secs(31));
    rig.rest();
    assert_eq!(rig.journal.dead(1, 0, 10).unwrap().len(), 1);
    assert_eq!(rig.deliver_all(&rig.journal.lane(1).unwrap()), [2]);
    assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()), [1, 2], "the essential one keeps all");
}

#[test]
fn a_backlog_larger_than_allowed_becomes_dead_letters() {
    let plan = DestinationPlan { backlog_size: 50_000, ..DestinationPlan::new("one") };
    let mut rig = open(&Memory::new(), small(), &[plan], START);
    for number in 1..=200 {
        drop(rig.append(number, 1000).unwrap());
    }
    rig.rest();
    let health = rig.journal.health().destinations[0].clone();
    assert!((30..=50).contains(&health.owed), "{health:?}");
    assert_eq!(rig.journal.dead(0, 0, 1000).unwrap().len() as u64 + health.owed, 200);
    assert_eq!(rig.deliver_all(&rig.journal.lane(0).unwrap()).last(), Some(&200));
}

#[test]
fn bounds_that_cannot_hold_are_named() {
    use std::sync::Arc;

    use crate::clock::Clock;
    use crate::journal::{Journal, OpenError};

    let rows = [
        (Options { segment_size: 100_000, ..small() }, "the segment size must be a power of two from 64 KiB to 1 GiB"),
        (Options { segment_size: 32 << 10, ..small() }, "the segment size must be a power of two from 64 KiB to 1 GiB"),
        (Options { keep_dead_size: 64 << 10, ..small() }, "the space for dead letters must hold two segments"),
        (
            Options { size: 512 << 10, ..small() },
            "the size must hold six segments beside dead letters and dedup entries",
        ),
    ];
    for (options, said) in rows {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let Err(error) = Journal::open(storage, options, Clock::system(), &[], &[]) else { panic!("{said}") };
        assert!(matches!(error, OpenError::Options(_)));
        assert_eq!(error.to_string(), said);
    }
    let storage = Memory::new();
    let foreign = storage.create("FORMAT").unwrap();
    let mut bytes = b"PORTEIRO\x09".to_vec();
    bytes.resize(48, 0);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[8..12]), &bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    foreign.write_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
    let opened = Journal::open(Arc::new(storage), small(), Clock::system(), &[], &[]);
    assert!(matches!(opened, Err(OpenError::Version(9))));
}
