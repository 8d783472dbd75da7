//! What is written is read back, and nothing else is believed.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::journal::event::{Extra, Owing, Stored, Sums};
use crate::journal::frame::{Bad, Builder, Content, Kind, Seal, field};
use crate::journal::record::{Record, StoreId, Target, Tenants};
use crate::journal::segment::{End, Header, Identity, Names};

const STORE: StoreId = StoreId([3; 16]);
const KEY: [u8; 16] = [5; 16];

fn seal(segment: u64) -> Seal {
    Seal::new(STORE, KEY, segment)
}

fn event() -> Stored {
    let mut stored = Stored::of(Record {
        event_id: [1; 16],
        request_id: [2; 16],
        part: 3,
        source: 4,
        targets: Arc::new([Target { destination: 6, not_before: Timestamp::from_micros(7) }]),
        tenants: Tenants::Mixed(Arc::new([8, 9])),
        kind: Arc::from("invoice.paid"),
        order_key: 10,
        dedup_key: Some(11),
        body_digest: [12; 32],
        accepted: Timestamp::from_micros(13),
        flags: 14,
        head: Bytes::from_static(b"some head"),
        body: Bytes::from_static(b"some body, a little longer").into(),
        ..Record::default()
    });
    stored.seq = 15;
    stored.origin_seq = 16;
    stored
}

/// The whole record of [`event`], for this place of segment 1.
fn record(place: u64) -> Vec<u8> {
    let stored = event();
    let mut out = Vec::new();
    let sums = Sums::of(&stored.head, &stored.body);
    let owing = stored.targets.iter().map(Owing::from);
    let lengths = stored.encode(&mut out, Kind::Event, owing, &sums, &Extra::default()).unwrap();
    let envelope = usize::from(lengths.envelope);
    seal(1).close(&mut out[..envelope], place, 4096, 2);
    out.extend_from_slice(&stored.head);
    out.extend_from_slice(&stored.body.joined());
    out.resize(lengths.record as usize, 0);
    out
}

#[test]
fn an_event_comes_back_as_it_was() {
    let bytes = Bytes::from(record(8192));
    let envelope = seal(1).open(&bytes, 8192).unwrap();
    assert_eq!((envelope.kind(), envelope.length()), (Some(Kind::Event), bytes.len()));
    assert_eq!((envelope.seq(), envelope.mark(), envelope.epoch()), (15, 4096, 2));
    assert_eq!(envelope.content(&bytes, &seal(1), 8192), Content::Whole);
    let (read, was) = (Stored::decode(&envelope, Some(&bytes)).unwrap(), event());
    assert_eq!(format!("{read:?}"), format!("{was:?}"));
    assert_eq!((read.head, read.body.joined()), (was.head, was.body.joined()));
}

#[test]
fn a_record_is_believed_in_its_store_segment_and_place_only() {
    let bytes = record(8192);
    assert!(seal(1).open(&bytes, 8192).is_ok());
    assert_eq!(seal(1).open(&bytes, 8200).unwrap_err(), Bad::NotOne);
    assert_eq!(seal(2).open(&bytes, 8192).unwrap_err(), Bad::NotOne);
    assert_eq!(Seal::new(StoreId([4; 16]), KEY, 1).open(&bytes, 8192).unwrap_err(), Bad::NotOne);
    assert_eq!(Seal::new(STORE, [6; 16], 1).open(&bytes, 8192).unwrap_err(), Bad::NotOne);
    assert!(seal(2).unbind().open(&bytes, 8192).is_err(), "unbound is another way to write, not a way around");
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = record(0);
    let contents = seal(1).open(&bytes, 0).unwrap().head().start;
    let end = seal(1).open(&bytes, 0).unwrap().body().end;
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match seal(1).open(&bytes, 0) {
            Ok(envelope) => {
                assert!(bit / 8 >= contents, "bit {bit}");
                let expected = if bit / 8 < end { Content::Damaged } else { Content::Whole };
                assert_eq!(envelope.content(&bytes, &seal(1), 0), expected, "bit {bit}");
            }
            Err(_) => assert!(bit / 8 < contents, "bit {bit}"),
        }
    }
}

#[test]
fn erased_is_neither_whole_nor_damage_and_zeros_are_damage() {
    let mut bytes = record(64);
    let seal = seal(1);
    let contents = seal.open(&bytes, 64).unwrap().head().start;
    let whole = bytes.clone();
    bytes[contents..].fill(0);
    assert_eq!(seal.open(&whole, 64).unwrap().content(&bytes, &seal, 64), Content::Damaged);
    let pattern: Vec<u8> = seal.erasure(64).into_iter().cycle().take(bytes.len() - contents).collect();
    bytes[contents..].copy_from_slice(&pattern);
    assert_eq!(seal.open(&bytes, 64).unwrap().content(&bytes, &seal, 64), Content::Erased);
    assert_eq!(seal.open(&whole, 64).unwrap().content(&bytes, &seal, 72), Content::Damaged, "of another place");
}

#[test]
fn a_field_of_a_later_version_is_skipped() {
    let mut out = Vec::new();
    let mut builder = Builder::new(&mut out, Kind::Dead, 1);
    builder.field(200, b"what a later version says").field(field::DESTINATION, &7_u32.to_le_bytes());
    let lengths = builder.finish((0, 0), (0, 0)).unwrap();
    seal(1).close(&mut out[..usize::from(lengths.envelope)], 0, 0, 0);
    out.resize(lengths.record as usize, 0);
    let envelope = seal(1).open(&out, 0).unwrap();
    assert_eq!(envelope.field(field::DESTINATION, 0), Some(&7_u32.to_le_bytes()[..]));
}

#[test]
fn a_header_is_believed_whole_or_not_at_all() {
    let header = Header {
        identity: Identity { store: STORE, key: KEY },
        number: 7,
        epoch: 3,
        opening: [1; 16],
        first_seq: 99,
        made: Timestamp::from_micros(5),
        before: End { segment: 6, offset: 8192, seq: 98 },
        oldest: 2,
        segment_size: 65_536,
        names: Names { sources: vec!["meta".to_owned()], destinations: vec!["crm".to_owned(), "lake".to_owned()] },
        cuts: vec![(6, 4096), (6, 8000)],
    };
    let bytes = header.encode();
    assert_eq!(Header::decode(&bytes), Some((header.clone(), bytes.len() as u64)));
    assert_eq!(Header::length(&header.names), bytes.len() as u64);
    for place in 0..bytes.iter().rposition(|byte| *byte != 0).unwrap() {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0x10;
        // The room behind the names is no part of it.
        assert_ne!(Header::decode(&bytes).map(|(read, _)| read), Some(header.clone()), "byte {place}");
    }
    let identity = header.identity;
    assert_eq!(Identity::decode(&identity.encode()), Ok(Some(identity)));
    let mut foreign = identity.encode();
    foreign[8] = 9;
    assert_eq!(Identity::decode(&foreign), Ok(None), "a flipped bit is damage");
    let crc = crc32c::crc32c_append(crc32c::crc32c(&foreign[8..12]), &foreign[16..]);
    foreign[12..16].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Identity::decode(&foreign), Err(9), "a format that was meant is refused");
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        crate::journal::parse_anything(&bytes);
    }

    #[test]
    fn no_change_to_a_record_makes_a_parser_panic(place in 0_usize..400, byte: u8, cut in 0_usize..400) {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&record(0));
        let place = place % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len() - cut % bytes.len());
        crate::journal::parse_anything(&bytes);
    }
}
