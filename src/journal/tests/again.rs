//! What is stored is put in once more, as it was, and only that.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{Rig, START, body, fresh, number_of, open, plans, ready, record, small, target};
use crate::journal::again;
use crate::journal::{
    Debt, Delivery, DestinationPlan, Memory, NotReplayed, Options, Original, Refused, Search, Settlement, Storage,
};

fn id(number: u64) -> [u8; 16] {
    record(number, 0, START).event_id
}

impl Rig {
    /// The sequence of the replay.
    pub(super) fn replay(&mut self, original: Original) -> u64 {
        let mut pending = self.journal.replay(original, None).expect("it is stored");
        assert_eq!(ready(&mut pending), None, "nothing is promised before the sync");
        self.settle();
        assert_eq!(ready(&mut pending), Some(true));
        pending.seq()
    }

    pub(super) fn refusal(&self, original: Original) -> String {
        let Err(not) = self.journal.replay(original, None) else { panic!("{original:?} is refused") };
        format!("{not:?}")
    }

    /// What a destination gets: number, first sequence, whether it is a replay.
    pub(super) fn come(&self, destination: u32) -> Vec<(u64, u64, bool)> {
        let lane = self.journal.lane(destination).unwrap();
        let mut all = Vec::new();
        while let Some(delivery) = self.take(&lane) {
            all.push((number_of(&delivery), delivery.origin_seq, delivery.replayed().is_some()));
            assert_eq!(delivery.body.joined(), body(number_of(&delivery), delivery.body.len()));
            lane.settle(delivery, Settlement::Delivered);
        }
        all
    }

    pub(super) fn dead(&self, destination: u32) -> Vec<u64> {
        self.journal.dead(destination, 0, 100).unwrap().iter().map(|letter| letter.seq).collect()
    }
}

fn full_record(rig: &Rig) -> crate::journal::Record {
    crate::journal::Record {
        request_id: [9; 16],
        part: 3,
        tenants: crate::journal::Tenants::Mixed(Arc::new([4, 5])),
        order_key: 6,
        body_digest: [7; 32],
        flags: 8,
        ..record(1, 3000, rig.clock.now())
    }
}

#[test]
fn a_replay_is_the_same_event_under_another_sequence() {
    for by_id in [true, false] {
        let mut rig = fresh();
        drop(rig.journal.append_one(full_record(&rig)).unwrap());
        rig.settle();
        let first = rig.journal.find(&Search { after: 0, event_id: None, most: 9, content: true }).unwrap().events;
        rig.hand.advance(Duration::from_secs(50));
        let original = if by_id { Original::Event(id(1)) } else { Original::Record(first[0].seq) };
        let again = rig.replay(original);
        rig.hand.advance(Duration::from_secs(50));
        let last = rig.replay(Original::Record(again));
        for round in 0..2 {
            let found = rig.journal.find(&Search { after: 0, event_id: None, most: 9, content: true }).unwrap().events;
            assert_eq!(found.len(), 3);
            for (place, (copy, seq)) in found.iter().zip([first[0].seq, again, last]).enumerate() {
                let mut same = first[0].clone();
                let seconds = 50 * place as u64;
                same.seq = seq;
                same.replayed = (place > 0).then(|| START.plus(Duration::from_secs(seconds)));
                assert_eq!(*copy, same, "round {round}");
            }
            let origin = first[0].seq;
            if round == 0 {
                rig.journal.close();
                rig.settle();
                rig = rig.reopen();
                assert_eq!(rig.report.dedup.len(), 1, "only the first one claims its key");
                continue;
            }
            let lane = rig.journal.lane(0).unwrap();
            let check = |delivery: &Delivery, since| {
                assert_eq!((delivery.accepted, delivery.since()), (START, since));
                assert_eq!((delivery.request_id, delivery.part, delivery.flags), ([9; 16], 3, 8));
            };
            let delivery = rig.take(&lane).unwrap();
            check(&delivery, START);
            lane.settle(delivery, Settlement::Delivered);
            check(&rig.take(&lane).unwrap(), START.plus(Duration::from_secs(50)));
            assert_eq!(rig.come(1), [(1, origin, false), (1, origin, true), (1, origin, true)]);
        }
    }
}

#[test]
fn a_crash_before_the_sync_leaves_no_replay_and_one_after_it_leaves_one() {
    for synced in [false, true] {
        let mut rig = fresh();
        drop(rig.append(1, 100).unwrap());
        rig.settle();
        drop(rig.journal.replay(Original::Event(id(1)), None).unwrap());
        if synced {
            rig.settle();
        }
        for name in rig.storage.list("state").unwrap() {
            rig.storage.remove(&format!("state/{name}")).unwrap();
        }
        let rig = rig.reopen();
        assert_eq!(rig.report.dedup.len(), 1);
        assert_eq!(rig.come(0).len(), if synced { 2 } else { 1 });
    }
}

#[test]
fn its_targets_are_its_own_or_others_and_the_original_is_owed_as_before() {
    let mut rig = fresh();
    let mut only = record(1, 100, START);
    only.targets = Arc::new([target(1)]);
    drop(rig.journal.append_one(only).unwrap());
    rig.settle();
    let lane = rig.journal.lane(1).unwrap();
    let held = rig.take(&lane).unwrap();
    let origin = held.seq;
    drop(rig.journal.replay(Original::Event(id(1)), Some(&[target(0)])).unwrap());
    drop(rig.journal.replay(Original::Event(id(1)), Some(&[])).unwrap());
    rig.replay(Original::Event(id(1)));
    let unknown = rig.journal.replay(Original::Event(id(1)), Some(&[target(0), target(2)]));
    assert!(matches!(unknown, Err(NotReplayed::Destination(2))), "{unknown:?}");
    assert_eq!(rig.come(0), [(1, origin, true)]);
    lane.settle(held, Settlement::Delivered);
    rig.rest();
    drop(lane);
    assert_eq!(rig.come(1), [(1, origin, true)]);
    let not_before = rig.clock.now().plus(Duration::from_secs(9));
    let later = [crate::journal::Target { destination: 1, not_before }];
    drop(rig.journal.replay(Original::Event(id(1)), Some(&later)).unwrap());
    rig.settle();
    assert_eq!(rig.come(1), []);
    rig.hand.set(not_before);
    assert_eq!(rig.come(1), [(1, origin, true)]);
}

#[test]
fn what_cannot_be_replayed_is_refused_and_says_why() {
    let mut rig = fresh();
    for number in 1..=4 {
        drop(rig.append(number, 100).unwrap());
    }
    rig.settle();
    drop(rig.append(5, 100).unwrap());
    let canary = body(3, 100);
    for name in rig.storage.list("log").unwrap() {
        let file = rig.storage.open(&format!("log/{name}")).unwrap();
        let mut bytes = vec![0; 64 << 10];
        let read = file.read_at(&mut bytes, 0).unwrap();
        if let Some(at) = memchr::memmem::find(&bytes[..read], &canary) {
            file.write_at(&[std::io::IoSlice::new(b"?")], at as u64).unwrap();
        }
    }
    rig.journal.erase(id(1));
    rig.journal.erase(id(99));
    let seqs: Vec<u64> = (1..=4).map(|number| rig.found(number)[0].seq).collect();
    for pass in 0..2 {
        let cases = [
            (Original::Event(id(1)), "Erased"),
            (Original::Record(seqs[0]), "Erased"),
            (Original::Event(id(3)), "Damaged"),
            (Original::Record(seqs[2]), "Damaged"),
            (Original::Event(id(77)), "Unknown"),
            (Original::Record(0), "Unknown"),
            (Original::Record(seqs[3] + 100), "Unknown"),
            (Original::Record(u64::MAX), "Unknown"),
            (Original::Letter { destination: 0, seq: seqs[1] }, "Unknown"),
            (Original::Letter { destination: 9, seq: seqs[1] }, "Unknown"),
        ];
        for (original, said) in cases {
            assert_eq!(rig.refusal(original), said, "{original:?} in pass {pass}");
        }
        if pass == 0 {
            assert_eq!(rig.refusal(Original::Event(id(5))), "Unknown", "it is not durable yet");
        }
        rig.rest();
    }
    rig.journal.close();
    assert_eq!(rig.refusal(Original::Event(id(2))), "Refused(Closed)");
}

#[test]
fn an_erasure_between_reading_and_queueing_wins() {
    let mut rig = fresh();
    drop(rig.append(1, 100).unwrap());
    rig.settle();
    let (shared, original) = (Arc::clone(&rig.journal.0), Original::Event(id(1)));
    let read = || (again::whole(&shared, original).unwrap(), shared.inbox().erasures);
    let queue = |(stored, erasures)| again::queue(&shared, original, stored, erasures);
    assert!(matches!(queue(read()), Ok(Some(_))));
    rig.settle();
    let (before, meanwhile) = (read(), read());
    rig.journal.erase(id(1));
    assert!(matches!(queue(before), Err(NotReplayed::Erased)), "it is asked for");
    rig.rest();
    assert!(matches!(queue(meanwhile), Ok(None)), "it was carried out");
    assert_eq!(rig.refusal(original), "Erased");
    assert!(rig.found(1).iter().all(|found| found.content.is_none()), "the replay was erased with it");
}

#[test]
fn a_full_journal_takes_no_replay() {
    let essential = [plans().remove(0), DestinationPlan { essential: true, ..plans().remove(1) }];
    let options = Options { size: 1 << 20, ..small() };
    let mut rig = open(&Memory::new(), options, &essential, START);
    let mut number = 0;
    loop {
        number += 1;
        let taken = rig.append(number, 5000);
        rig.settle();
        if let Err(refused) = taken {
            assert_eq!(refused, Refused::Full);
            break;
        }
        assert!(number < 1000);
    }
    assert_eq!(rig.refusal(Original::Event(id(2))), "Refused(Full)");
    assert_eq!(rig.come(0).len() as u64, number - 1, "what is owed is owed");
}

#[test]
fn a_replay_that_is_carried_forward_or_dies_keeps_its_mark_and_its_origin() {
    let mut rig = fresh();
    let lanes = [rig.journal.lane(0).unwrap(), rig.journal.lane(1).unwrap()];
    let mut origin = 0;
    for number in 1..=3000 {
        drop(rig.append(number, 1000).unwrap());
        if number == 5 {
            rig.settle();
            origin = rig.found(5)[0].seq;
            drop(rig.journal.replay(Original::Event(id(5)), Some(&[target(0)])).unwrap());
        }
        if number % 10 == 0 {
            rig.settle();
            while let Some(delivery) = rig.take(&lanes[0]) {
                let held = Settlement::Hold { at: START.plus(Duration::from_secs(100_000)) };
                let replay = delivery.replayed().is_some();
                lanes[0].settle(delivery, if replay { held } else { Settlement::Delivered });
            }
            rig.deliver_all(&lanes[1]);
            rig.hand.advance(Duration::from_millis(60));
        }
    }
    drop(lanes);
    rig.rest();
    let found = rig.found(5);
    assert!(found.len() == 1 && found[0].carried_from.is_some() && found[0].seq > 1000, "{found:?}");
    assert_eq!((found[0].origin_seq, found[0].replayed), (origin, Some(START)));
    for kept in [true, false] {
        if !kept {
            for name in rig.storage.list("state").unwrap() {
                rig.storage.remove(&format!("state/{name}")).unwrap();
            }
        }
        rig = rig.reopen();
        let found = rig.found(5);
        assert_eq!((found[0].origin_seq, found[0].replayed), (origin, Some(START)));
        assert_eq!(found[0].targets[0].debt, Debt::Owed);
        assert!(!rig.report.dedup.iter().any(|entry| entry.seq == found[0].seq), "it claims nothing");
    }
    rig.hand.set(START.plus(Duration::from_secs(100_001)));
    let lane = rig.journal.lane(0).unwrap();
    let delivery = rig.take(&lane).unwrap();
    lane.settle(delivery, Settlement::Dead { reason: 1, attempt: 1, status: 0, answer: "why".into() });
    rig.rest();
    let letter = rig.journal.dead(0, 0, 9).unwrap().remove(0);
    assert_eq!((letter.origin_seq, letter.replayed), (origin, Some(START)));
}
