//! What is stored is read back as it was, page by page, and nothing else is.

use std::io::IoSlice;
use std::ops::ControlFlow;
use std::time::Duration;

use super::rig::{Rig, START, body, fresh, number_of, record};
use crate::journal::find;
use crate::journal::{Debt, Found, Kept, Search, Settlement, Step, Storage};

const ALL: Search = Search { after: 0, event_id: None, most: 1000, content: true };

fn id(number: u64) -> [u8; 16] {
    record(number, 0, START).event_id
}

impl Rig {
    /// All pages of a search, each no larger than it may be.
    pub(super) fn find(&self, search: Search) -> Vec<Found> {
        let mut all: Vec<Found> = Vec::new();
        let mut search = search;
        for _ in 0..1000 {
            let page = self.journal.find(&search).expect("it can be read");
            assert!(page.events.len() <= search.most.max(1), "{} of {}", page.events.len(), search.most);
            all.extend(page.events);
            let Some(next) = page.next else { return all };
            assert!(next >= search.after && all.last().is_none_or(|last| last.seq <= next), "no page leads back");
            search.after = next;
        }
        panic!("the pages never end");
    }

    pub(super) fn found(&self, number: u64) -> Vec<Found> {
        self.find(Search { event_id: Some(id(number)), ..ALL })
    }
}

fn numbers(found: &[Found]) -> Vec<u64> {
    found.iter().map(|found| u64::from_le_bytes(found.event_id[..8].try_into().unwrap())).collect()
}

fn debts(found: &Found) -> Vec<(u32, Debt)> {
    found.targets.iter().map(|target| (target.destination, target.debt)).collect()
}

#[test]
fn pages_hold_what_was_asked_for_and_lead_to_the_end() {
    let mut rig = fresh();
    for number in 1..=300 {
        drop(rig.append(number, 700).unwrap());
        if number % 7 == 0 {
            rig.settle();
        }
    }
    rig.settle();
    assert!(rig.journal.0.index().segments.len() > 3);
    let all: Vec<u64> = (1..=300).collect();
    for rig in [rig, fresh_again(300)] {
        let first = rig.find(ALL)[0].seq;
        let cases = [
            (ALL, 0..300),
            (Search { most: 1, ..ALL }, 0..300),
            (Search { most: 0, ..ALL }, 0..300),
            (Search { most: 7, content: false, ..ALL }, 0..300),
            (Search { after: first + 99, most: 100, ..ALL }, 100..300),
            (Search { after: first + 299, ..ALL }, 300..300),
            (Search { after: u64::MAX, ..ALL }, 300..300),
            (Search { event_id: Some(id(150)), ..ALL }, 149..150),
            (Search { event_id: Some(id(301)), ..ALL }, 300..300),
        ];
        for (search, range) in cases {
            let found = rig.find(search);
            assert_eq!(numbers(&found), all[range], "{search:?}");
            for found in found {
                let number = numbers(std::slice::from_ref(&found))[0];
                let expected = search.content.then(|| (b"head"[..].into(), body(number, 700)));
                assert_eq!((found.kept, found.content), (Kept::Whole, expected));
                assert_eq!((found.origin_seq, found.carried_from), (found.seq, None));
                assert_eq!((&*found.kind, found.accepted), ("kind", START));
            }
        }
        let page = rig.journal.find(&Search { after: first - 1, most: 300, ..ALL }).unwrap();
        assert!(page.events.len() < 300 || page.next.is_none(), "where there is no more none is promised");
    }
}

/// As many events in a journal that was opened anew: nothing is known of places, nothing is in memory.
fn fresh_again(events: u64) -> Rig {
    let mut rig = fresh();
    for number in 1..=events {
        drop(rig.append(number, 700).unwrap());
        if number % 7 == 0 {
            rig.settle();
        }
    }
    rig.journal.close();
    rig.settle();
    rig.reopen()
}

#[test]
fn only_what_is_durable_is_found() {
    let mut rig = fresh();
    drop(rig.append(1, 10).unwrap());
    assert_eq!(rig.find(ALL), []);
    rig.settle();
    drop(rig.append(2, 10).unwrap());
    assert_eq!(numbers(&rig.find(ALL)), [1]);
}

#[test]
fn a_page_is_full_when_its_heads_and_bodies_are_many_bytes() {
    let options = crate::journal::Options { segment_size: 16 << 20, size: 512 << 20, ..super::rig::small() };
    let options = crate::journal::Options { keep_dead_size: 64 << 20, queue_bytes: 64 << 20, ..options };
    let mut rig = super::rig::open(&crate::journal::Memory::new(), options, &super::rig::plans(), START);
    for number in 1..=12 {
        drop(rig.append(number, 1 << 20).unwrap());
    }
    rig.settle();
    let page = rig.journal.find(&ALL).unwrap();
    assert_eq!((numbers(&page.events), page.next), (vec![1, 2, 3, 4], Some(page.events[3].seq)));
    assert_eq!(rig.journal.find(&Search { content: false, ..ALL }).unwrap().events.len(), 12);
    assert_eq!(numbers(&rig.find(ALL)).len(), 12);
}

#[test]
fn each_target_stands_as_the_lanes_know() {
    let mut rig = fresh();
    for number in 1..=3 {
        drop(rig.append(number, 10).unwrap());
    }
    rig.settle();
    let lane = rig.journal.lane(1).unwrap();
    let first = rig.take(&lane).unwrap();
    let second = rig.take(&lane).unwrap();
    lane.settle(first, Settlement::Delivered);
    lane.settle(second, Settlement::Dead { reason: 7, attempt: 1, status: 410, answer: "no".into() });
    rig.rest();
    use Debt::{Dead, Owed, Settled};
    for _ in 0..2 {
        let found = rig.find(ALL);
        assert_eq!(debts(&found[0]), [(0, Owed), (1, Settled)]);
        assert_eq!(debts(&found[1]), [(0, Owed), (1, Dead)]);
        assert_eq!(debts(&found[2]), [(0, Owed), (1, Owed)]);
    }
    drop(lane);
    let rig = rig.reopen();
    assert_eq!(rig.find(ALL).iter().map(|found| debts(found)[1].1).collect::<Vec<_>>(), [Settled, Dead, Owed]);
}

#[test]
fn what_was_carried_forward_says_from_where() {
    let mut rig = fresh();
    let lanes = [rig.journal.lane(0).unwrap(), rig.journal.lane(1).unwrap()];
    let at = rig.clock.now().plus(Duration::from_secs(100_000));
    let mut both = Vec::new();
    for number in 1..=3000 {
        drop(rig.append(number, 1000).unwrap());
        if number % 10 == 0 {
            for _ in 0..1000 {
                let carrying = !rig.writer.house.carrying.is_empty();
                let worked = matches!(rig.writer.step(), Step::Worked);
                if carrying && rig.writer.house.carrying.is_empty() && both.is_empty() {
                    both = rig.found(5);
                }
                if !worked {
                    break;
                }
            }
            rig.settle();
            while let Some(delivery) = rig.take(&lanes[0]) {
                let held = Settlement::Hold { at };
                let poison = number_of(&delivery) == 5;
                lanes[0].settle(delivery, if poison { held } else { Settlement::Delivered });
            }
            rig.deliver_all(&lanes[1]);
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    let [old, new] = &both[..] else { panic!("for a while both records lie there: {both:?}") };
    assert_eq!((old.carried_from, old.origin_seq), (None, old.seq));
    assert_eq!((new.carried_from, new.origin_seq), (Some(old.seq), old.seq));
    assert_eq!(debts(old), [(0, Debt::Settled), (1, Debt::Settled)]);
    assert_eq!(debts(new), [(0, Debt::Owed)]);
    let now = rig.found(5);
    assert!(now.len() == 1 && now[0].seq >= new.seq && now[0].origin_seq == old.seq, "{now:?}");
    assert!(numbers(&rig.find(ALL)).len() < 3000, "what was recycled is not stored any more");
}

#[test]
fn what_was_erased_or_damaged_is_found_and_said_to_be() {
    let mut rig = fresh();
    for number in 1..=3 {
        drop(rig.append(number, 100).unwrap());
    }
    rig.settle();
    rig.journal.erase(id(2));
    rig.rest();
    let canary = body(3, 100);
    for name in rig.storage.list("log").unwrap() {
        let file = rig.storage.open(&format!("log/{name}")).unwrap();
        let mut bytes = vec![0; 64 << 10];
        let read = file.read_at(&mut bytes, 0).unwrap();
        if let Some(at) = memchr::memmem::find(&bytes[..read], &canary) {
            file.write_at(&[IoSlice::new(b"?")], at as u64).unwrap();
        }
    }
    let found = rig.find(ALL);
    let kept: Vec<Kept> = found.iter().map(|found| found.kept).collect();
    assert_eq!(kept, [Kept::Whole, Kept::Erased, Kept::Damaged]);
    assert!(found[0].content.is_some() && found[1].content.is_none() && found[2].content.is_none());
}

/// A segment is read while it becomes another one: what is whole counts, what is not is no damage.
#[test]
fn a_segment_that_goes_while_it_is_read_is_noticed() {
    let mut rig = fresh();
    let lanes = [rig.journal.lane(0).unwrap(), rig.journal.lane(1).unwrap()];
    drop(rig.append(1, 1000).unwrap());
    rig.settle();
    let held = find::next_segment(&rig.journal.0, 0, 0).unwrap();
    let read = |rig: &Rig| {
        let mut seen = Vec::new();
        let there = find::read(&rig.journal.0, &held, 0, |event| {
            seen.push(event.content);
            ControlFlow::Continue(())
        });
        (there.unwrap(), seen.len())
    };
    assert_eq!(read(&rig), (true, 1));
    for number in 2..=3000 {
        drop(rig.append(number, 1000).unwrap());
        if number % 10 == 0 {
            rig.settle();
            lanes.iter().for_each(|lane| drop(rig.deliver_all(lane)));
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    assert_eq!(read(&rig), (false, 0), "its file serves another segment now, whose records it does not believe");
}
