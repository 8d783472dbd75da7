//! What do the segments say, one after the other?

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::PIECE;
use super::files::Found;
use crate::clock::Timestamp;
use crate::journal::checkpoint::{Checkpoint, Sealed};
use crate::journal::event::{Stored, since};
use crate::journal::frame::{Content, Envelope, Kind, Seal, array_at, field};
use crate::journal::index::{Index, Segment};
use crate::journal::lane::Sparing;
use crate::journal::replay::{Replay, carried_from};
use crate::journal::scan::{Scanner, Seen, envelope};
use crate::journal::segment::{End, Names};
use crate::journal::storage::File;
use crate::journal::{Damage, Report};

/// A place where records should be and are not.
pub(super) struct Hole {
    pub(super) segment: u64,
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) solid: u64,
    /// The event whose head or body it is, and its sequence.
    pub(super) event: Option<([u8; 16], u64)>,
    /// The event whose head, body or answer it is, as far as an erasure would take it.
    pub(super) whose: Option<[u8; 16]>,
    /// The sequences around it.
    pub(super) between: (u64, u64),
    /// Above every mark of the last segment.
    pub(super) torn: bool,
}

/// The log, as far as it has been read.
pub(super) struct Walk {
    pub(super) replay: Replay,
    pub(super) index: Index,
    pub(super) holes: Vec<Hole>,
    pub(super) known: u32,
    pub(super) names: Names,
    pub(super) place: End,
    pub(super) sealed: BTreeMap<u64, Sealed>,
    pub(super) from_checkpoint: bool,
    pub(super) end: End,
    pub(super) torn_bytes: u64,
    /// The size of each segment, as its own header says.
    pub(super) sizes: BTreeMap<u64, u64>,
    /// The last sequence of a segment, as its successor's header says.
    pub(super) last_seqs: BTreeMap<u64, u64>,
    /// For each segment in the index: its predecessor, as its header says.
    pub(super) before: Vec<u64>,
    /// The part of the last segment that may not be on disk.
    pub(super) doubtful: Option<(Arc<dyn File>, u64, u64)>,
}

/// How far the reading of one segment has come.
struct Reading {
    /// The highest durable mark.
    mark: u64,
    /// The end of the last whole envelope's record.
    end: u64,
    /// Where this segment's holes begin.
    first_hole: usize,
    epoch: Option<u32>,
}

impl Walk {
    pub(super) fn new(checkpoint: &Checkpoint, files: &[Found], usable: bool) -> Self {
        let headers = || files.iter().filter_map(|found| found.header.as_ref());
        let names = headers().fold(checkpoint.names.clone(), |names, (header, _)| names.or_longer(&header.names));
        let at_place = |found: &Found| found.number == checkpoint.place.segment;
        let from_checkpoint = usable && files.iter().any(at_place);
        let last_seq = checkpoint.next_seq.saturating_sub(1);
        let mut replay = Replay::starting(if usable { checkpoint.lanes.clone() } else { Vec::new() }, last_seq);
        replay.erasing.clone_from(&checkpoint.erasing);
        if !from_checkpoint {
            // All segments are read, so that what they say is all that is owed.
            for lane in &mut replay.lanes {
                lane.state.owed.clear();
            }
        }
        Self {
            replay,
            index: Index::default(),
            holes: Vec::new(),
            known: u32::try_from(names.destinations.len()).unwrap_or(u32::MAX),
            names,
            place: if from_checkpoint { checkpoint.place } else { End::default() },
            sealed: checkpoint.segments.iter().map(|sealed| (sealed.number, *sealed)).collect(),
            from_checkpoint,
            end: End::default(),
            torn_bytes: 0,
            last_seqs: headers().map(|(header, _)| (header.before.segment, header.before.seq)).collect(),
            sizes: headers().map(|(header, _)| (header.number, header.segment_size)).collect(),
            before: Vec::new(),
            doubtful: None,
        }
    }

    /// Reads one segment, or takes it from the checkpoint if all of it lies before.
    pub(super) fn segment(
        &mut self,
        found: &Found,
        end: Option<u64>,
        last: bool,
        seal: impl Fn(u64) -> Seal,
    ) -> io::Result<()> {
        let start = found.header.as_ref().map_or(0, |(_, start)| *start);
        let known = self.sealed.get(&found.number).copied().filter(|_| self.from_checkpoint);
        let mut segment = Segment {
            number: found.number,
            file: Arc::clone(&found.file),
            seal: seal(found.number),
            start,
            end: end.unwrap_or(start),
            first_seq: found.header.as_ref().map_or(0, |(header, _)| header.first_seq),
            last_seq: 0,
            event_bytes: 0,
            first_accepted: Timestamp::ZERO,
            last_accepted: Timestamp::ZERO,
            places: Vec::new(),
        };
        segment.last_seq = segment.first_seq.saturating_sub(1);
        let mut from = start;
        if let Some(known) = known {
            segment.start = known.start;
            segment.first_seq = known.first_seq;
            segment.last_seq = known.last_seq;
            segment.event_bytes = known.event_bytes;
            segment.first_accepted = known.first_accepted;
            segment.last_accepted = known.last_accepted;
            from = if found.number < self.place.segment { known.end } else { self.place.offset };
            segment.end = segment.end.max(from);
        }
        if !self.from_checkpoint || found.number >= self.place.segment {
            let epoch = found.header.as_ref().map(|(header, _)| header.epoch);
            self.read(&mut segment, from, end, last, epoch)?;
        }
        if last {
            self.end.segment = segment.number;
            self.end.offset = segment.end;
        }
        self.end.seq = self.end.seq.max(segment.last_seq);
        self.before.push(found.header.as_ref().map_or(0, |(header, _)| header.before.segment));
        self.index.segments.push_back(segment);
        Ok(())
    }

    fn read(
        &mut self,
        segment: &mut Segment,
        from: u64,
        stated: Option<u64>,
        last: bool,
        epoch: Option<u32>,
    ) -> io::Result<()> {
        let file = Arc::clone(&segment.file);
        let length = file.length()?;
        let limit = stated.unwrap_or(length).min(length);
        let seal = segment.seal.clone();
        let sparing = Sparing::new(&*file);
        let mut scanner = Scanner::new(&sparing, &seal, from, limit, PIECE);
        let mut reading = Reading { mark: from, end: from, first_hole: self.holes.len(), epoch };
        while let Some(seen) = scanner.next()? {
            match seen {
                Seen::Gap { at, length, solid } => self.hole(segment, at, length, solid),
                Seen::Record { at, bytes } => self.record(segment, &mut reading, at, &bytes),
            }
        }
        let Reading { mut mark, end, first_hole, .. } = reading;
        // Files are written from end to end before they are used: a shorter one lost its end.
        let whole = stated.unwrap_or_else(|| self.sizes.get(&segment.number).copied().unwrap_or(length));
        if length < whole {
            self.hole(segment, length, whole - length, whole - length);
            mark = whole;
        }
        if let Some(stated) = stated {
            segment.end = stated;
            // Its successor also says which sequence was the last.
            let last = self.last_seqs.get(&segment.number).copied().unwrap_or(segment.last_seq);
            self.bound(first_hole, last.max(segment.last_seq) + 1);
            return Ok(());
        }
        segment.end = end.max(mark);
        self.judge(first_hole, mark, segment.end, &sparing.lost());
        if last && length >= whole {
            self.doubtful = Some((file, mark.min(segment.end), segment.end));
        }
        Ok(())
    }

    fn hole(&mut self, segment: &Segment, at: u64, length: u64, solid: u64) {
        let between = (segment.last_seq, u64::MAX);
        let (event, whose) = (None, None);
        self.holes.push(Hole { segment: segment.number, at, length, solid, event, whose, between, torn: false });
    }

    fn record(&mut self, segment: &mut Segment, reading: &mut Reading, at: u64, bytes: &Bytes) {
        let envelope = envelope(&segment.seal, at, bytes);
        if *reading.epoch.get_or_insert_with(|| envelope.epoch()) != envelope.epoch() {
            return;
        }
        reading.mark = reading.mark.max(envelope.mark());
        reading.end = at + bytes.len() as u64;
        if envelope.kind() == Some(Kind::Event) {
            self.bound(reading.first_hole, envelope.seq());
            note_event(segment, envelope.seq(), at, &envelope);
        }
        if envelope.kind() == Some(Kind::Mark) && envelope.seq() > 0 {
            self.bound(reading.first_hole, envelope.seq() + 1);
        }
        if envelope.content(bytes, &segment.seal, at) == Content::Damaged {
            let event = Stored::decode(&envelope, None).map(|stored| (stored.event_id, stored.seq));
            let attempt = || envelope.field(field::EVENT_ID, 0).filter(|bytes| bytes.len() == 16);
            let whose = event.map(|(event_id, _)| event_id);
            let whose = whose.or_else(|| attempt().map(|bytes| array_at(bytes, 0)));
            let (segment, length) = (segment.number, bytes.len() as u64);
            self.holes.push(Hole { segment, at, length, solid: length, event, whose, between: (0, 1), torn: false });
            if carried_from(&envelope).is_some_and(|from| self.holds(from)) {
                // Carried forward, and not whole: its old place still owes it.
                return;
            }
        }
        self.replay.apply(&envelope, self.known);
    }

    /// Whether an older segment that is there holds this sequence.
    fn holds(&self, seq: u64) -> bool {
        self.index.segments.iter().any(|segment| (segment.first_seq..=segment.last_seq).contains(&seq))
    }

    /// The sequences of the holes since `first_hole` that nothing came after yet were below this one.
    fn bound(&mut self, first_hole: usize, seq: u64) {
        for hole in self.holes[first_hole..].iter_mut().rev().take_while(|hole| hole.between.1 == u64::MAX) {
            hole.between.1 = seq;
        }
    }

    /// Tells the torn holes of a segment without a stated end from damage. What the medium has `lost` may have held
    /// records that somebody got a receipt for, wherever it lies.
    fn judge(&mut self, first_hole: usize, mark: u64, end: u64, lost: &[Range<u64>]) {
        for hole in &mut self.holes[first_hole..] {
            let within = |lost: &&Range<u64>| lost.start < hole.at + hole.length && hole.at < lost.end;
            let last = lost.iter().filter(within).map(|lost| lost.end).max();
            if let Some(last) = last {
                hole.length = hole.length.min(last.max(end).saturating_sub(hole.at));
            } else if hole.at >= end && hole.event.is_none() {
                // Nothing whole behind it: the end of the log.
                self.torn_bytes += hole.solid;
                hole.length = 0;
            } else if hole.at >= mark {
                hole.torn = true;
                self.torn_bytes += hole.solid;
            } else if hole.at + hole.length > end {
                hole.length = end - hole.at;
            }
        }
    }

    /// Segments between others, or below what is owed, that are not there.
    pub(super) fn missing(&mut self, report: &mut Report) {
        let mut lost = Vec::new();
        for ((this, next), before) in
            self.index.segments.iter().zip(self.index.segments.iter().skip(1)).zip(self.before.iter().skip(1))
        {
            if *before > this.number {
                lost.push((*before, this.last_seq + 1..next.first_seq));
            }
        }
        let first = self.index.segments.iter().find(|segment| segment.first_seq > 0).map(|segment| segment.first_seq);
        if let Some(first) = first {
            for lane in &mut self.replay.lanes {
                let below = lane.state.owed.range_cardinality(..first);
                if below > 0 {
                    let oldest = lane.state.owed.min().unwrap_or(0);
                    lost.push((0, oldest..first));
                    lane.state.owed.remove_range(..first);
                }
            }
        }
        lost.dedup();
        for (segment, sequences) in lost {
            report.damage.push(Damage { segment, offset: 0, length: 0, sequences, event_id: None });
        }
    }
}

fn note_event(segment: &mut Segment, seq: u64, at: u64, envelope: &Envelope<'_>) {
    if segment.first_seq == 0 {
        // Its header is gone.
        segment.first_seq = seq;
    }
    segment.last_seq = segment.last_seq.max(seq);
    segment.learn(seq, at);
    segment.event_bytes += envelope.length() as u64;
    let accepted = since(envelope);
    segment.last_accepted = segment.last_accepted.max(accepted);
    if segment.first_accepted == Timestamp::ZERO || accepted < segment.first_accepted {
        segment.first_accepted = accepted;
    }
}
