use bytes::Bytes;
use roaring::RoaringTreemap;

use super::*;
use crate::clock::Timestamp;
use crate::journal::event::{Death, Extra, Owing, Stored, Sums};
use crate::journal::frame::Kind;
use crate::journal::lane::{Owed, Slot, SlotBounds};
use crate::journal::ring::Ring;
use crate::journal::{Chunks, Record, Target, Tenants};

fn stored(head: usize, body: usize) -> Stored {
    Stored::of(Record {
        event_id: [1; 16],
        request_id: [2; 16],
        part: 0,
        source: 0,
        targets: vec![Target { destination: 0, not_before: Timestamp::ZERO }].into(),
        tenants: Tenants::None,
        kind: "".into(),
        order_key: 0,
        dedup_key: None,
        body_digest: [0; 32],
        accepted: Timestamp::ZERO,
        flags: 0,
        head: Bytes::from(vec![b'h'; head]),
        body: Chunks::One(Bytes::from(vec![b'b'; body])),
        buffered: false,
        then: None,
    })
}

/// The most bytes that are taken at once while something is built, and what is left of them.
fn peak<T>(build: impl FnOnce() -> T) -> u64 {
    let mut built = None;
    let info = allocation_counter::measure(|| built = Some(build()));
    drop(built);
    info.bytes_max
}

#[test]
fn no_event_and_no_letter_is_smaller_than_the_smallest() {
    let (mut out, none) = (Vec::new(), Sums::NONE);
    let owing = Owing { destination: 0, attempts: 0, not_before: Timestamp::ZERO };
    let death = Death { destination: 0, attempts: 0, at: Timestamp::ZERO, status: 0, reason: 0, answer: 0 };
    let letter = Extra { death: Some(death), stripped: true, ..Extra::default() };
    for (kind, extra, least) in [(Kind::Event, Extra::default(), RECORD_MIN), (Kind::Letter, letter, RECORD_MIN + 1)] {
        let lengths = stored(0, 0).encode(&mut out, kind, std::iter::once(owing), &none, &extra).expect("it fits");
        assert!(u64::from(lengths.record) >= least, "{kind:?} {lengths:?}");
    }
}

#[test]
fn what_is_owed_takes_no_more_than_is_said_however_it_lies() {
    let options = Options { size: 20 * CONTAINER * RECORD_MIN, ..Options::default() };
    let said = of_lane(&options, 0, 0).owed;
    let last = options.size / RECORD_MIN;
    // Of every so many sequences as many are owed: none of a group, one of a container, arrays at their fullest, all.
    for (every, owed) in
        [(1, 1), (2, 1), (16, 1), (17, 1), (15, 1), (4096, 1), (65_536, 1), (1000, 999), (40_000, 4095)]
    {
        let taken = peak(|| {
            let mut all = Owed::restored(RoaringTreemap::new(), 0);
            for seq in (0..last).filter(|seq| seq % every < owed) {
                all.owe(seq);
                if seq % 4096 < every {
                    // No slot is free: it waits with its group.
                    let slot = Slot { at: Timestamp::from_secs(1), attempts: 1, share: 0 };
                    all.hold(seq, slot, SlotBounds { slots: 0, per_share: 0 });
                }
            }
            all.pass(last);
            for _ in 0..last / 4096 {
                let Some(next) = all.next_late(Timestamp::from_secs(2)) else { break };
                all.release(next.seq);
            }
            all
        });
        assert!(taken <= said + (16 << 10), "{owed} of {every}: {taken} bytes, and {said} are said");
    }
}

#[test]
fn a_retry_slot_takes_no_more_than_is_said() {
    // Just beyond what a table held before it was doubled is the worst.
    for slots in [3_600_u32, 7_169, 10_000, 14_337] {
        let said = u64::from(slots) * SLOT_BYTES;
        let taken = peak(|| {
            let mut all = Owed::restored(RoaringTreemap::new(), 0);
            for number in 0..u64::from(slots) {
                let (seq, at) = (number * 7, Timestamp::from_micros(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8));
                all.owe(seq);
                all.hold(seq, Slot { at, attempts: 1, share: number }, SlotBounds { slots, per_share: 1 });
            }
            assert_eq!(all.slots(), slots as usize);
            all
        });
        assert!(taken <= said + (32 << 10), "{slots}: {taken} bytes, and {said} are said");
        assert!(taken >= said / 4, "{slots}: {taken} bytes, where {said} are said");
    }
}

#[test]
fn dead_letters_take_no_more_than_is_said_however_far_apart() {
    for (letters, apart) in [(50_000_u64, 1), (50_000, 10), (20_000, 65_536), (20_000, 20_000)] {
        let said = letters * LETTER_BYTES + letters.min(letters * apart / CONTAINER + 1) * SPARSE_BYTES;
        let taken = peak(|| (0..letters).map(|number| number * apart).collect::<RoaringTreemap>());
        assert!(taken <= said + (16 << 10), "{letters} {apart}: {taken} bytes, and {said} are said");
    }
}

#[test]
fn recent_events_take_no_more_than_they_may() {
    for (head, body) in [(0, 0), (40, 100), (300, 1_000), (500, 60_000)] {
        let most = 1 << 20;
        let taken = peak(|| {
            let mut ring = Ring::new(most);
            for _ in 0..20_000_u64.min(40 * most / (head + body + 300) as u64) {
                ring.push(stored(head, body));
            }
            ring
        });
        let slack = (head + body + 1024) as u64;
        assert!(taken <= most + slack, "{head} {body}: {taken} bytes, and {most} are allowed");
    }
}

#[test]
fn a_larger_limit_costs_more() {
    let least = Options::default();
    let of = |options: &Options| {
        let (all, lane) = (of_all(options, 2, 1 << 20), of_lane(options, 1 << 20, 8));
        [all.queue, all.recent, all.index, all.work, all.opening, lane.owed, all.dead, lane.slots, lane.reads]
    };
    let (base, size) = (of(&least), least.size * 2);
    for (more, grows) in [
        (Options { queue_bytes: 9 << 20, ..least.clone() }, &[0][..]),
        (Options { ring_bytes: 5 << 20, ..least.clone() }, &[1]),
        (Options { size, ..least.clone() }, &[2, 3, 4, 5]),
        (Options { segment_size: 1 << 20, ..least.clone() }, &[2]),
        (Options { dedup_entries: 1 << 21, ..least.clone() }, &[4]),
        (Options { keep_dead_size: 4 << 30, ..least.clone() }, &[4, 6]),
        (Options { keep_dead_age: least.keep_dead_age * 2, ..least.clone() }, &[6]),
        (Options { retry_slots: 20_000, ..least.clone() }, &[3, 4, 7]),
        (Options { read_bytes: 1 << 20, ..least }, &[8]),
    ] {
        let grown = of(&more);
        let places: Vec<usize> = (0..grown.len()).filter(|at| grown[*at] != base[*at]).collect();
        assert_eq!(places, grows, "{more:?}");
        assert!(places.iter().all(|at| grown[*at] > base[*at]));
    }
}
