//! Disk: how many events a second become durable, by how many are appended at the same time? The journal stands in the
//! system's directory for temporary files: name another with `TMPDIR`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot go on says so by ending")]

#[path = "support/rooms.rs"]
#[expect(dead_code, reason = "only the bodies are needed here")]
mod rooms;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use divan::counter::ItemsCount;
use porteiro::clock::Clock;
use porteiro::journal::{DestinationPlan, Disk, Journal, Options, Record, Step, Target, Writer};

fn main() {
    divan::main();
}

fn record(number: u64, targets: &Arc<[Target]>, clock: &Clock) -> Record {
    Record {
        event_id: u128::from(number).to_be_bytes(),
        targets: Arc::clone(targets),
        accepted: clock.now(),
        body: rooms::body(number, 150).into(),
        ..Record::default()
    }
}

fn open(directory: &std::path::Path, clock: &Clock) -> (Journal, Writer) {
    let options = Options { segment_size: 16 << 20, size: 1 << 30, keep_dead_size: 64 << 20, ..Options::default() };
    let storage = Arc::new(Disk::new(directory).unwrap());
    let (journal, writer, _) =
        Journal::open(storage, options, clock.clone(), &["bench"], &[DestinationPlan::new("one")]).unwrap();
    (journal, writer)
}

/// Appends, writes and syncs as many records as are given at once.
#[divan::bench(args = [1, 8, 64], sample_count = 50)]
fn durable(bencher: Bencher<'_, '_>, together: u64) {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let (journal, mut writer) = open(directory.path(), &clock);
    // Nobody is owed anything, so that what is measured is the way in.
    let targets: Arc<[Target]> = Arc::from([]);
    let mut number = 0;
    bencher.counter(ItemsCount::new(together)).bench_local(|| {
        let pending: Vec<_> = (0..together)
            .map(|_| {
                number += 1;
                journal.append_one(record(number, &targets, &clock)).unwrap()
            })
            .collect();
        for mut pending in pending {
            let mut context = Context::from_waker(Waker::noop());
            while std::pin::Pin::new(&mut pending).poll(&mut context) == Poll::Pending {
                assert!(!matches!(writer.step(), Step::Fatal(_)));
                journal.release();
            }
        }
    });
}
