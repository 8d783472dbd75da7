//! How does a batch reach the disk, and what follows from it?

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::outcomes::Written;
use super::{Writer, gather};
use crate::clock::Timestamp;
use crate::journal::frame::{self, Builder, Kind};
use crate::journal::inbox::{Item, Letter};
use crate::journal::release::Done;
use crate::journal::storage::write_full;

/// The most bytes of events in one batch; one record may exceed it alone.
const BATCH_BYTES: u64 = 1 << 20;
/// The most events in one batch.
const BATCH_EVENTS: usize = 1024;
/// What a disk loses at once.
const PAGE: u64 = 4096;
const ZEROS: [u8; 8] = [0; 8];

/// Which taken items go into a batch.
struct Chosen {
    items: Range<usize>,
    bytes: u64,
}

impl Writer {
    /// Writes outcomes and as many events as fit, syncs, publishes.
    pub(super) fn batch(&mut self, now: Timestamp) -> io::Result<()> {
        let mut written = self.gather_outcomes();
        let chosen = self.choose(written.out.len() as u64);
        let nothing = written.frames.is_empty() && chosen.items.is_empty();
        let no_room = self.active.end + written.out.len() as u64 > self.shared.options.segment_size;
        if no_room || (nothing && self.has_items()) {
            self.put_back(written);
            if self.roll()? {
                self.house.outcome_due = Some(Timestamp::ZERO);
            } else {
                self.no_segment();
            }
            return Ok(());
        }
        if nothing {
            return Ok(());
        }
        self.early(&chosen);
        let begun = Instant::now();
        match self.write(&mut written, &chosen) {
            Ok(bytes) => {
                self.house.failures = 0;
                self.house.gather = gather::wait(chosen.items.len(), begun.elapsed());
                self.count(&chosen, bytes, begun);
                self.publish(&chosen, bytes, now);
                self.written(&written);
                Ok(())
            }
            Err(error) => {
                self.put_back(written);
                self.failed(&chosen, error)
            }
        }
    }

    /// Only the durable mark, so that what was synced last is known to be.
    pub(super) fn mark(&mut self, now: Timestamp) -> io::Result<()> {
        let mut written = Written::default();
        let last = self.active.last_seq;
        // On a page of its own, so that no single lost page takes what was synced and the mark that says so.
        let over = self.active.end % PAGE;
        if over != 0 {
            let least = frame::FIXED as u64;
            let gap = if PAGE - over >= least { PAGE - over } else { 2 * PAGE - over };
            let zeros = vec![0; usize::try_from(gap - least).unwrap_or(0)];
            let sums = (zeros.len(), crc32c::crc32c(&zeros));
            written.frame_with(&zeros, |out| Builder::new(out, Kind::Mark, 0).finish((0, 0), sums));
        }
        written.frame(|out| Builder::new(out, Kind::Mark, last).finish((0, 0), (0, 0)));
        if self.active.end + written.out.len() as u64 > self.shared.options.segment_size {
            // The next segment's header says where this one ends; it is begun now, or a lost page at this end is silent.
            self.house.mark_due = None;
            return self.roll().map(drop);
        }
        let none = Chosen { items: 0..0, bytes: 0 };
        match self.write(&mut written, &none) {
            Ok(bytes) => {
                self.house.failures = 0;
                self.publish(&none, bytes, now);
                self.house.mark_due = None;
                Ok(())
            }
            Err(error) => self.failed(&none, error),
        }
    }

    /// The taken items that fit behind `used` bytes.
    fn choose(&self, used: u64) -> Chosen {
        let first = self.taken.next;
        let room = self.shared.options.segment_size.saturating_sub(self.active.end + used);
        let mut bytes = 0;
        let mut next = first;
        for item in &self.taken.items[first..] {
            let length = u64::from(item.length);
            if bytes + length > room || (bytes + length > BATCH_BYTES && bytes > 0) || next - first >= BATCH_EVENTS {
                break;
            }
            bytes += length;
            next += 1;
        }
        Chosen { items: first..next, bytes }
    }

    /// Completes the envelopes, writes everything in order, syncs.
    fn write(&mut self, written: &mut Written, chosen: &Chosen) -> io::Result<u64> {
        let mark = u32::try_from(self.active.end).unwrap_or(u32::MAX);
        #[cfg(test)]
        let mark = mark + self.shared.options.faults.mark_off_by;
        let seal = &self.active.seal;
        let mut place = self.active.end;
        for (frame, envelope) in &written.frames {
            let end = frame.start + usize::from(*envelope);
            seal.close(&mut written.out[frame.start..end], place, mark, self.epoch);
            place += frame.len() as u64;
        }
        let items = &self.taken.items[chosen.items.clone()];
        for item in items {
            let end = item.own.start + usize::from(item.envelope);
            seal.close(&mut self.taken.scratch[item.own.start..end], place, mark, self.epoch);
            place += u64::from(item.length);
        }
        let mut pieces = Vec::with_capacity(1 + items.len() * 2);
        pieces.push(IoSlice::new(&written.out));
        lay_out(items, &self.taken.scratch, &mut pieces);
        let bytes = write_full(&*self.active.file, &mut pieces, self.active.end)?;
        debug_assert_eq!(self.active.end + bytes, place, "what was written is what was laid out");
        self.sync()?;
        Ok(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        #[cfg(test)]
        {
            self.house.batches += 1;
            let every = self.shared.options.faults.skip_sync;
            if every != 0 && self.house.batches.is_multiple_of(every) {
                return Ok(());
            }
        }
        let begun = Instant::now();
        let synced = self.active.file.sync_data();
        if let Some(metrics) = &self.shared.options.metrics {
            metrics.sync.observe(begun.elapsed().as_secs_f64());
        }
        synced
    }

    fn count(&self, chosen: &Chosen, bytes: u64, _begun: Instant) {
        if let Some(metrics) = &self.shared.options.metrics {
            metrics.events.inc_by(chosen.items.len() as u64);
            metrics.bytes.inc_by(bytes);
            if !chosen.items.is_empty() {
                metrics.batch.observe(u32::try_from(chosen.items.len()).map_or(f64::MAX, f64::from));
            }
            let now = self.shared.clock.now();
            for item in &self.taken.items[chosen.items.clone()] {
                metrics.durable.observe(now.since(item.appended).as_secs_f64());
            }
        }
    }

    /// A planted fault: everybody hears of the batch before it is synced.
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "a fault of tests only")
    )]
    fn early(&mut self, chosen: &Chosen) {
        #[cfg(test)]
        if self.shared.options.faults.early_receipt {
            let items = chosen.items.clone();
            let last = self.taken.items[items.clone()].last().map_or(0, |item| item.seq);
            self.release(items, last, &[], true);
        }
        let _: &Chosen = chosen;
    }

    /// The batch is durable: tells the index, the lanes, and who waits.
    fn publish(&mut self, chosen: &Chosen, bytes: u64, now: Timestamp) {
        let first_place = self.active.end + bytes - chosen.bytes;
        self.active.end += bytes;
        self.house.last_batch = now;
        self.house.dirty = true;
        self.house.chore_turn = true;
        let items = &self.taken.items[chosen.items.clone()];
        let last = items.last().map(|item| item.seq);
        if last.is_some() || self.house.mark_due.is_none() {
            // Outcomes do not put off the mark that an event waits for.
            self.house.mark_due = Some(now.plus(self.shared.options.mark_delay));
        }
        {
            let mut index = self.shared.index();
            let segment = index.active().expect("there is always an active segment");
            segment.end = self.active.end;
            segment.event_bytes += chosen.bytes;
            let mut place = first_place;
            for item in items {
                segment.learn(item.seq, place);
                segment.last_accepted = segment.last_accepted.max(item.since);
                if segment.first_accepted == Timestamp::ZERO || item.since < segment.first_accepted {
                    segment.first_accepted = item.since;
                }
                place += u64::from(item.length);
            }
            segment.last_seq = last.unwrap_or(segment.last_seq);
        }
        let Some(last) = last else { return };
        self.active.last_seq = last;
        self.shared.durable.store(last, Ordering::Release);
        let mut touched = Vec::new();
        for item in items {
            self.owe(item, &mut touched);
            self.replaces(item.letter, true);
            if let Some(entry) = &item.dedup {
                self.repeats.note(entry);
            }
        }
        if std::mem::take(&mut self.house.outcomes_left) {
            self.shared.outcome_noted();
        }
        for item in &self.taken.items[chosen.items.clone()] {
            if let Some(from) = item.carried_from {
                self.house.carrying.remove(&from);
            }
        }
        self.release(chosen.items.clone(), last, &touched, true);
        self.settle_queue(chosen);
    }

    /// Each target owes it from now on.
    fn owe(&self, item: &Item, touched: &mut Vec<u32>) {
        let known = self.shared.known();
        for target in &*item.targets {
            let Some(cell) = known.lane(target.destination) else { continue };
            if let Some(from) = item.carried_from {
                let mut state = cell.state();
                if !state.owed.carry(from, item.seq, self.shared.slot_bounds()) {
                    // It was settled while it was carried.
                    state.outcomes.delivered.push(item.seq);
                    self.shared.outcome_noted();
                }
            } else if !cell.was_shown(item.seq) {
                cell.state().owed.owe(item.seq);
            }
            if !touched.contains(&target.destination) {
                touched.push(target.destination);
            }
        }
    }

    /// What stood in this letter was replayed: it goes, if that is durable.
    fn replaces(&self, letter: Option<Letter>, durable: bool) {
        let Some(letter) = letter else { return };
        if let Some(cell) = self.shared.known().lane(letter.destination) {
            let mut state = cell.state();
            state.retrying.remove(&letter.seq);
            if durable {
                state.unlist(letter.seq);
                self.shared.outcome_noted();
            }
        }
    }

    /// Reports fates up to `ready` and wakes the one who tells them.
    fn release(&mut self, items: Range<usize>, ready: u64, touched: &[u32], durable: bool) {
        for item in &mut self.taken.items[items] {
            if let Some(then) = item.then.take() {
                self.taken.done.push(Done { seq: item.seq, then, durable });
            }
        }
        let waker = self.shared.releases().report(ready, &mut self.taken.done, touched);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The chosen items leave the queue's account.
    fn settle_queue(&mut self, chosen: &Chosen) {
        self.taken.next = chosen.items.end;
        let mut inbox = self.shared.inbox();
        inbox.bytes = inbox.bytes.saturating_sub(chosen.bytes);
        let count = u32::try_from(chosen.items.len()).unwrap_or(u32::MAX);
        inbox.records = inbox.records.saturating_sub(count);
        self.shared.queue_changed(&inbox);
    }

    /// A write or a sync failed: the batch is void, the segment ends before it. The second failure in a row is the last.
    fn failed(&mut self, chosen: &Chosen, error: io::Error) -> io::Result<()> {
        self.shared.figures.sync_failures.fetch_add(1, Ordering::Relaxed);
        if let Some(metrics) = &self.shared.options.metrics {
            metrics.sync_failures.inc();
        }
        self.house.failures += 1;
        if self.house.failures > 1 {
            return Err(error);
        }
        self.house.must_roll = true;
        self.house.mark_due = None;
        self.void(chosen.items.clone());
        Ok(())
    }

    /// These items are void; the buffered ones are queued again from memory.
    pub(super) fn void(&mut self, range: Range<usize>) {
        let Some(mut last) = self.taken.items[range.clone()].first().map(|item| item.seq) else { return };
        let mut bytes = 0;
        let mut again = Vec::new();
        let mut voids = Vec::new();
        for place in range.clone() {
            let item = &mut self.taken.items[place];
            last = item.seq;
            if let Some(from) = item.carried_from {
                self.house.carrying.remove(&from);
            }
            if item.buffered {
                again.push(place);
            } else {
                voids.push(item.seq);
                bytes += u64::from(item.length);
                if let Some(then) = item.then.take() {
                    self.taken.done.push(Done { seq: item.seq, then, durable: false });
                }
                self.shared.ring().remove(item.seq);
                self.forget_early(place);
                self.replaces(self.taken.items[place].letter, false);
            }
        }
        let count = u32::try_from(range.len() - again.len()).unwrap_or(u32::MAX);
        for place in again {
            self.append_again(place);
        }
        let mut inbox = self.shared.inbox();
        inbox.bytes = inbox.bytes.saturating_sub(bytes);
        inbox.records = inbox.records.saturating_sub(count);
        self.shared.queue_changed(&inbox);
        drop(inbox);
        self.taken.next = range.end;
        let mut releases = self.shared.releases();
        releases.void(voids);
        let waker = releases.report(last, &mut self.taken.done, &[]);
        drop(releases);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Lanes that were shown the record before it was durable are owed it no more.
    fn forget_early(&self, place: usize) {
        let item = &self.taken.items[place];
        let known = self.shared.known();
        for target in &*item.targets {
            let Some(cell) = known.lane(target.destination).filter(|cell| cell.was_shown(item.seq)) else { continue };
            let mut state = cell.state();
            state.owed.release(item.seq);
            state.outcomes.forget(item.seq);
        }
    }

    /// Queues a buffered record again; early lanes carry what they know of it over to the new sequence.
    fn append_again(&mut self, place: usize) {
        let item = &mut self.taken.items[place];
        let moved = Item {
            seq: item.seq,
            own: item.own.clone(),
            envelope: item.envelope,
            length: item.length,
            head: item.head.take(),
            body: item.body.take(),
            padding: item.padding,
            targets: Arc::clone(&item.targets),
            then: item.then.take(),
            buffered: true,
            appended: item.appended,
            since: item.since,
            dedup: item.dedup.take(),
            carried_from: None,
            letter: None,
        };
        let old = moved.seq;
        let targets = Arc::clone(&moved.targets);
        let mut inbox = self.shared.inbox();
        let own = &self.taken.scratch[moved.own.clone()];
        let seq = inbox.put_again(moved, own);
        self.shared.releases().moved(old, seq);
        let stored = self.shared.ring().remove(old);
        if let Some(mut stored) = stored {
            stored.seq = seq;
            stored.origin_seq = seq;
            self.shared.ring().push(stored);
        }
        let known = self.shared.known();
        for target in &*targets {
            let Some(cell) = known.lane(target.destination).filter(|cell| cell.was_shown(old)) else { continue };
            let mut state = cell.state();
            state.outcomes.forget(old);
            if !cell.is_early() {
                // It waits for the sync by now, and becomes owed under its new sequence then.
                state.owed.release(old);
            } else if !state.owed.carry(old, seq, self.shared.slot_bounds()) {
                state.outcomes.delivered.push(seq);
                self.house.outcomes_left = true;
            }
        }
    }
}

/// The pieces of the items in order; what lies side by side in the scratch buffer is one piece.
fn lay_out<'a>(items: &'a [Item], scratch: &'a [u8], pieces: &mut Vec<IoSlice<'a>>) {
    let mut run: Range<usize> = 0..0;
    for item in items {
        if run.end == item.own.start {
            run.end = item.own.end;
        } else {
            pieces.push(IoSlice::new(&scratch[run]));
            run = item.own.clone();
        }
        if item.head.is_none() && item.body.is_none() {
            continue;
        }
        pieces.push(IoSlice::new(&scratch[run.clone()]));
        run = run.end..run.end;
        let head = item.head.iter();
        let body = item.body.iter().flat_map(|body| body.pieces());
        pieces.extend(head.chain(body).map(|piece| IoSlice::new(piece)));
        pieces.push(IoSlice::new(&ZEROS[..item.padding]));
    }
    pieces.push(IoSlice::new(&scratch[run]));
    pieces.retain(|piece| !piece.is_empty());
}
