//! The same on real files, with the writer on its own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rig::{body, number_of, plans, record, small};
use crate::clock::Clock;
use crate::journal::{Disk, Journal, Lane, Settlement, Storage, Taken};

fn drain(lane: &Lane, clock: &Clock) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match lane.next(clock.now()) {
            Taken::Delivery(delivery) => {
                let length = delivery.body.len();
                assert_eq!(delivery.body.joined(), body(number_of(&delivery), length));
                numbers.push(number_of(&delivery));
                lane.settle(delivery, Settlement::Delivered);
            }
            Taken::Read(job) => lane.accept(job.run()),
            Taken::Idle { .. } => return numbers,
        }
    }
}

#[tokio::test]
async fn events_go_through_real_files() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let open = || {
        let storage: Arc<dyn Storage> = Arc::new(Disk::new(directory.path()).unwrap());
        Journal::open(storage, small(), clock.clone(), &["source"], &plans()).unwrap()
    };
    let told = Arc::new(AtomicU64::new(0));
    for round in 0..3_u64 {
        let (journal, writer, report) = open();
        assert_eq!(report.damage, []);
        let thread = std::thread::spawn(move || writer.run());
        let teller = journal.clone();
        let releases = async move { teller.releases().await };
        let appends = async {
            for number in 1..=50 {
                let told = Arc::clone(&told);
                let mut record = record(round * 1000 + number, 1500, clock.now());
                record.then = Some(Box::new(move |fate| {
                    told.fetch_add(u64::from(fate.is_ok()), Ordering::Relaxed);
                }));
                let receipt = journal.append_one(record).unwrap().await.unwrap();
                assert_eq!(receipt.store(), journal.store());
            }
            journal.close();
        };
        tokio::join!(releases, appends);
        thread.join().unwrap().unwrap();
        let lane = journal.lane(0).unwrap();
        assert_eq!(
            drain(&lane, &clock).len(),
            50 * (usize::try_from(round).unwrap() + 1),
            "settled after closing: not kept"
        );
    }
    assert_eq!(told.load(Ordering::Relaxed), 150);
}
