//! What may the bytes on a disk never do to this room?
//!
//! The body of a fuzz target: a small journal is made once, then its files are damaged as the fuzzer says, and it is
//! opened and read.
//!
//! Promises: panics on a broken promise and on nothing else: whatever the bytes are, opening ends, and every event that is
//! read is one that was written, byte for byte.
//!
//! Must not know: the layout.

use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{DestinationPlan, Journal, Memory, Options, Record, Settlement, Step, Storage, Taken, Target};
use crate::clock::{Clock, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
/// Rounds of the writer and of the lanes after which an opening counts as endless.
const TURNS_MAX: usize = 20_000;

/// The files of the small journal, and the bodies of its events.
struct Original {
    files: Vec<(String, Vec<u8>)>,
    bodies: HashMap<[u8; 16], Bytes>,
}

fn options() -> Options {
    Options {
        segment_size: 64 << 10,
        size: 2 << 20,
        keep_dead_size: 256 << 10,
        dedup_entries: 64,
        ..Options::default()
    }
}

fn plans() -> Vec<DestinationPlan> {
    vec![DestinationPlan::new("one"), DestinationPlan { essential: true, ..DestinationPlan::new("two") }]
}

fn original() -> &'static Original {
    static ORIGINAL: OnceLock<Original> = OnceLock::new();
    ORIGINAL.get_or_init(|| {
        let (storage, mut bodies) = (Memory::new(), HashMap::new());
        let (clock, _hand) = Clock::manual(NOW);
        let (journal, mut writer, _) =
            Journal::open(Arc::new(storage.clone()), options(), clock, &["source"], &plans()).expect("it opens");
        let target = |destination| Target { destination, not_before: Timestamp::ZERO };
        for number in 0..24_u8 {
            let (event_id, body) = ([number + 1; 16], Bytes::from(vec![number; 100 * usize::from(number % 5)]));
            bodies.insert(event_id, body.clone());
            let targets = Arc::from([target(0), target(1)]);
            let record = Record {
                event_id,
                targets,
                kind: Arc::from("kind"),
                dedup_key: Some(u128::from(number)),
                accepted: NOW,
                head: Bytes::from_static(b"head"),
                body: body.into(),
                ..Record::default()
            };
            drop(journal.append_one(record).expect("there is room"));
            if number % 4 == 3 {
                turn(&mut || matches!(writer.step(), Step::Idle { .. }) && !journal.release());
            }
        }
        journal.close();
        turn(&mut || matches!(writer.step(), Step::Closed));
        Original { files: files(&storage), bodies }
    })
}

fn turn(done: &mut dyn FnMut() -> bool) {
    for _ in 0..TURNS_MAX {
        if done() {
            return;
        }
    }
    unreachable!("it goes on for ever");
}

fn files(storage: &Memory) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for directory in ["", "log", "dead", "dedup", "state"] {
        for name in storage.list(directory).unwrap_or_default() {
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            let Ok(file) = storage.open(&path) else { continue };
            let mut bytes = vec![0; usize::try_from(file.length().unwrap_or(0)).unwrap_or(0)];
            let mut read = 0;
            while let Ok(more @ 1..) = file.read_at(&mut bytes[read..], read as u64) {
                read += more;
            }
            found.push((path, bytes));
        }
    }
    found
}

/// Damages the journal as `data` says, in steps of seven bytes (which file, how, where, with what), then opens and reads it.
pub fn fuzz_directory(data: &[u8]) {
    let original = original();
    let mut files = original.files.clone();
    for step in data.chunks_exact(7).take(64) {
        let count = files.len();
        let (_, bytes) = &mut files[usize::from(step[0]) % count];
        let at = usize::from(step[2]) << 16 | usize::from(step[3]) << 8 | usize::from(step[4]);
        let at = at.checked_rem(bytes.len()).unwrap_or(0);
        match step[1] % 5 {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(1 + usize::from(step[5])).for_each(|byte| *byte = step[6]),
            2 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (step[5] % 8)),
            3 => bytes.iter_mut().skip(at & !4095).take(4096).for_each(|byte| *byte = 0),
            _ => {
                let page = bytes.iter().skip(at & !4095).take(4096).copied().collect::<Vec<_>>();
                let to = (usize::from(step[5]) << 12).checked_rem(bytes.len()).unwrap_or(0);
                for (byte, copied) in bytes.iter_mut().skip(to).zip(page) {
                    *byte = copied;
                }
            }
        }
    }
    read(&files, &original.bodies);
}

fn read(files: &[(String, Vec<u8>)], bodies: &HashMap<[u8; 16], Bytes>) {
    let storage = Memory::new();
    for (path, bytes) in files {
        let file = storage.create(path).expect("a fresh tree");
        file.write_at(&[IoSlice::new(bytes)], 0).expect("memory takes it");
    }
    let (clock, _hand) = Clock::manual(NOW);
    let Ok((journal, mut writer, report)) = Journal::open(Arc::new(storage), options(), clock, &["source"], &plans())
    else {
        return;
    };
    assert!(report.events <= 24, "there are no more events than were written");
    for destination in 0..2 {
        let Some(lane) = journal.lane(destination) else { continue };
        turn(&mut || {
            match lane.next(NOW) {
                Taken::Delivery(delivery) => {
                    let body = bodies.get(&delivery.event_id).expect("no event is made up");
                    assert_eq!(delivery.body.joined(), *body, "no event is altered");
                    assert_eq!(&*delivery.head, b"head");
                    lane.settle(delivery, Settlement::Delivered);
                }
                Taken::Read(job) => lane.accept(job.run()),
                Taken::Idle { .. } => return true,
            }
            false
        });
    }
    journal.close();
    turn(&mut || matches!(writer.step(), Step::Closed | Step::Fatal(_)));
}
