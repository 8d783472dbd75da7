//! What was acknowledged while it was queued and then cannot be written: each such event is counted, and no other.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::rig::{START, number_of, plans, record, small};
use crate::clock::Clock;
use crate::journal::storage::{File, Guard};
use crate::journal::{Journal, Memory, Options, Settlement, Step, Storage, Taken, Writer};
use crate::metrics::Metrics;

/// What goes wrong from now on.
#[derive(Debug, Default)]
struct Ills {
    /// No file can be created.
    creating: AtomicBool,
    /// No sync of a file succeeds.
    syncing: AtomicBool,
}

/// Files in memory on a machine that is ill.
#[derive(Clone, Debug, Default)]
struct Ill(Memory, Arc<Ills>);

#[derive(Debug)]
struct IllFile(Arc<dyn File>, Arc<Ills>);

impl Ill {
    fn file(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(IllFile(file, Arc::clone(&self.1)))
    }
}

impl Storage for Ill {
    fn lock(&self) -> io::Result<Box<dyn Guard>> {
        self.0.lock()
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.0.create_directory(directory)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.0.list(directory)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.open(name).map(|file| self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if self.1.creating.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.create(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.0.sync_directory(directory)
    }

    fn free_space(&self) -> io::Result<u64> {
        self.0.free_space()
    }

    fn entropy(&self, out: &mut [u8]) -> io::Result<()> {
        self.0.entropy(out)
    }
}

impl File for IllFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.0.write_at(pieces, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.1.syncing.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Other.into());
        }
        self.0.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }
}

/// Steps until there is nothing to do at this instant; whether the writer gave up.
fn settle(journal: &Journal, writer: &mut Writer) -> bool {
    for _ in 0..20_000 {
        match writer.step() {
            Step::Worked => {}
            Step::Idle { .. } | Step::Closed => {
                journal.release();
                return false;
            }
            Step::Fatal(_) => return true,
        }
    }
    panic!("the writer never comes to rest");
}

/// All that the first destination is owed, by number.
fn deliver_all(journal: &Journal, clock: &Clock) -> Vec<u64> {
    let lane = journal.lane(0).unwrap();
    let mut numbers = Vec::new();
    for _ in 0..1000 {
        match lane.next(clock.now()) {
            Taken::Delivery(delivery) => {
                numbers.push(number_of(&delivery));
                lane.settle(delivery, Settlement::Delivered);
            }
            Taken::Read(job) => lane.accept(job.run()),
            Taken::Idle { .. } => break,
        }
    }
    numbers
}

/// Ten events of 20 KB, of which those that `is_buffered` names are buffered, in a journal of 64 KiB segments, when this
/// goes wrong: those that are delivered all the same, whether the writer gave up, and how many buffered ones are counted
/// as lost. Afterwards everything is well again.
#[track_caller]
fn check(syncing: bool, creating: bool, is_buffered: fn(u64) -> bool, expected: (&[u64], bool, u64)) {
    let (ill, metrics) = (Ill::default(), Metrics::new());
    let (clock, hand) = Clock::manual(START);
    let options = Options { metrics: Some(metrics.journal()), ..small() };
    let storage: Arc<dyn Storage> = Arc::new(ill.clone());
    let (journal, mut writer, _) = Journal::open(storage, options, clock.clone(), &["source"], &plans()).unwrap();
    ill.1.creating.store(creating, Ordering::Relaxed);
    ill.1.syncing.store(syncing, Ordering::Relaxed);
    for number in 1..=10 {
        let mut record = record(number, 20_000, clock.now());
        record.buffered = is_buffered(number);
        drop(journal.append_one(record).unwrap());
    }
    let given_up = settle(&journal, &mut writer);
    ill.1.creating.store(false, Ordering::Relaxed);
    ill.1.syncing.store(false, Ordering::Relaxed);
    let counted = metrics.journal().buffered_lost.get();
    let delivered = deliver_all(&journal, &clock);
    assert_eq!((&*delivered, given_up, counted), expected);
    if !given_up {
        // What comes later is lost no more.
        hand.advance(Duration::from_secs(2));
        assert!(!settle(&journal, &mut writer));
        let mut late = record(11, 20_000, clock.now());
        late.buffered = true;
        drop(journal.append_one(late).unwrap());
        assert!(!settle(&journal, &mut writer));
        assert_eq!((deliver_all(&journal, &clock), metrics.journal().buffered_lost.get()), (vec![11], counted));
    }
}

const ALL: fn(u64) -> bool = |_| true;
const NONE: fn(u64) -> bool = |_| false;
const EVEN: fn(u64) -> bool = |number| number.is_multiple_of(2);

#[test]
fn without_a_next_segment_what_does_not_fit_this_one_is_lost_and_counted() {
    check(false, false, ALL, (&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false, 0));
    check(false, true, ALL, (&[1, 2, 3], false, 7));
    check(false, true, EVEN, (&[1, 2, 3], false, 4));
    check(false, true, NONE, (&[1, 2, 3], false, 0));
}

#[test]
fn where_no_sync_succeeds_every_buffered_event_is_lost_and_counted_once() {
    // The first batch is queued again, and finds no place either.
    for creating in [false, true] {
        check(true, creating, ALL, (&[], true, 10));
        check(true, creating, EVEN, (&[], true, 5));
        check(true, creating, NONE, (&[], true, 0));
    }
}
