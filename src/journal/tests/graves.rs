//! The dead letters keep to their bounds, however these change and whatever of them can be read.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::rig::{Rig, START, on, small};
use crate::journal::{Ailing, NotReplayed, Options, Original, Settlement, Storage};

/// Bytes of the graves, one after the other.
fn graves(rig: &Rig) -> Vec<u64> {
    let mut names = rig.storage.list("dead").unwrap();
    names.sort_unstable();
    names.iter().map(|name| rig.storage.open(&format!("dead/{name}")).unwrap().length().unwrap()).collect()
}

/// So many events of so many bytes die at the first destination, one after the other; the second one gets them.
fn die(rig: &mut Rig, count: u64, bytes: usize) {
    let lanes = [0, 1].map(|id| rig.journal.lane(id).unwrap());
    for number in 1..=count {
        drop(rig.append(number, bytes).unwrap());
        rig.settle();
        let delivery = rig.take(&lanes[0]).expect("it is owed");
        lanes[0].settle(delivery, Settlement::Dead { reason: 1, attempt: 1, status: 500, answer: "no".into() });
        rig.deliver_all(&lanes[1]);
        rig.rest();
    }
    assert_eq!(lanes[0].backlog().owed, 0);
}

/// Letters that are listed, and how many of them are whole.
fn listed(rig: &Rig) -> (u64, u64) {
    let letters = rig.journal.dead(0, 0, 100_000).unwrap();
    (letters.len() as u64, letters.iter().filter(|letter| letter.content.is_some()).count() as u64)
}

fn of(segment_size: u64, keep_dead_size: u64) -> Options {
    Options { segment_size, keep_dead_size, size: 16 << 20, ..small() }
}

#[test]
fn a_grave_that_is_fuller_than_a_segment_may_be_now_is_followed_by_another() {
    let disk = Ailing::default();
    let mut rig = on(&disk, of(256 << 10, 1 << 20), START);
    die(&mut rig, 100, 1000);
    assert_eq!(graves(&rig), [256 << 10]);
    for (size, letters) in [(64 << 10, 250), (128 << 10, 400)] {
        drop(rig);
        rig = on(&disk, of(size, 1 << 20), START);
        let before = listed(&rig).0;
        die(&mut rig, letters - before, 1000);
        assert_eq!(listed(&rig), (letters, letters));
        assert_eq!(rig.journal.health().dead_dropped, 0);
        let graves = graves(&rig);
        assert_eq!(graves[0], 256 << 10, "nothing is written beyond its end");
        assert!(graves.len() > 1 && graves[1..].iter().all(|bytes| *bytes <= size), "{graves:?}");
    }
}

#[test]
fn a_bound_that_is_lowered_is_kept_and_costs_the_oldest_letters_head_and_body_only() {
    let disk = Ailing::default();
    let mut rig = on(&disk, of(64 << 10, 2 << 20), START);
    die(&mut rig, 1000, 1400);
    assert_eq!((listed(&rig), rig.journal.health().dead_dropped), ((1000, 1000), 0));
    assert!(graves(&rig).len() > 24, "{:?}", graves(&rig));
    drop(rig);
    rig = on(&disk, of(64 << 10, 1 << 20), START);
    die(&mut rig, 10, 1400);
    rig.rest();
    let graves = graves(&rig);
    assert!(graves.len() <= 16 && graves.iter().all(|bytes| *bytes == 64 << 10), "{graves:?}");
    let (all, whole) = listed(&rig);
    assert_eq!((all, rig.journal.health().dead_dropped), (1010, 0));
    assert!((300..700).contains(&whole), "{whole}");
    // Far below what the stripped ones take, the oldest go.
    drop(rig);
    rig = on(&disk, of(64 << 10, 128 << 10), START);
    rig.rest();
    let dropped = rig.journal.health().dead_dropped;
    assert_eq!(rig.storage.list("dead").unwrap().len(), 2);
    assert!(dropped > 0 && listed(&rig).0 == 1010 - dropped, "{dropped} of {:?}", listed(&rig));
    assert_eq!(rig.journal.health().destinations[0].dead, 1010 - dropped);
}

#[test]
fn a_grave_that_cannot_be_read_does_not_keep_its_place() {
    // A block of each, and all of each.
    for (from, to) in [(20_480, 24_576), (0, u64::MAX)] {
        let disk = Ailing::default();
        let mut rig = on(&disk, of(64 << 10, 256 << 10), START);
        die(&mut rig, 170, 1000);
        assert_eq!(graves(&rig).len(), 4);
        disk.breaks_in("dead/", from, to, 5);
        die(&mut rig, 1, 50_000);
        assert_eq!(graves(&rig).len(), 5, "a failure may pass");
        assert_eq!(rig.journal.health().dead_dropped, 0);
        // What cannot be read hides nothing but itself.
        let unknown = rig.journal.replay(Original::Event([0xEE; 16]), None);
        assert!(matches!(unknown, Err(NotReplayed::Unknown)), "{unknown:?}");
        for _ in 0..20 {
            rig.hand.advance(Duration::from_secs(1));
            rig.settle();
        }
        assert_eq!(graves(&rig).len(), 4);
        let health = rig.journal.health();
        assert!((1..60).contains(&health.dead_dropped) && health.damage > 0, "{health:?}");
        disk.heals();
        assert_eq!(listed(&rig).0, 171 - health.dead_dropped);
    }
}

#[test]
fn while_no_letter_can_be_written_only_so_many_bytes_of_them_are_kept_in_memory() {
    let disk = Ailing::default();
    let mut rig = on(&disk, of(1 << 20, 2 << 20), START);
    disk.graveless.store(true, SeqCst);
    let lane = rig.journal.lane(0).unwrap();
    let mut dying = 0;
    for number in 1..=30 {
        drop(rig.append(number, 200_000).unwrap());
        rig.rest();
        if let Some(delivery) = rig.take(&lane) {
            lane.settle(delivery, Settlement::Dead { reason: 1, attempt: 1, status: 500, answer: "no".into() });
            dying += 1;
        }
        rig.rest();
    }
    // A mebibyte at the writer and one in the lane, and the one that goes beyond it.
    assert!((6..=13).contains(&dying), "{dying}");
    disk.graveless.store(false, SeqCst);
    for _ in 0..30 {
        rig.hand.advance(Duration::from_secs(1));
        rig.settle();
    }
    assert_eq!((listed(&rig).0, lane.backlog().owed), (dying, 30 - dying));
}
