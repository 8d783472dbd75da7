//! How is an event erased in place?
//!
//! The intent is durable before the first byte goes, so that a crash in between is finished by the next opening. Then every
//! segment and every grave is read, and where the event's id stands, head and body (or the answer) are overwritten.

use std::io;
use std::time::Duration;

use super::Writer;
use crate::clock::Timestamp;
use crate::journal::event::{EVENT_FIXED, Stored};
use crate::journal::frame::{Envelope, Kind, Seal, array_at, field};
use crate::journal::index::Segment;
use crate::journal::lane::Missing;
use crate::journal::scan::{Scanner, Seen, envelope};
use crate::journal::storage::{File, write_all};

/// Erased ids remembered for what is in flight.
const ERASED_MAX: usize = 1024;
/// After an erasure that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes read at once.
const PIECE: usize = 1 << 20;

impl Writer {
    /// Whether there is something to erase, and all that was queued when it was asked for is written.
    pub(super) fn erase_due(&self, now: Timestamp) -> bool {
        let paused = self.house.erase_pause.is_some_and(|until| now < until && until.since(now) <= PAUSE);
        if paused || !self.house.erasing.iter().any(|erasing| erasing.stated) {
            return false;
        }
        let next = self.next_unwritten();
        self.house.erasing.iter().any(|erasing| erasing.stated && erasing.later <= next)
    }

    /// Every sequence below is written or void.
    pub(super) fn next_unwritten(&self) -> u64 {
        let next = self.taken.items.get(self.taken.next).map(|item| item.seq);
        next.unwrap_or_else(|| {
            let inbox = self.shared.inbox();
            inbox.items.first().map_or(inbox.next_seq, |item| item.seq)
        })
    }

    /// Carries out the erasures whose intents are durable. One that fails stays and is tried again.
    pub(super) fn erase_now(&mut self, now: Timestamp) {
        let next = self.next_unwritten();
        let due = |erasing: &mut super::Erasing| erasing.stated && erasing.later <= next;
        let mut erasing: Vec<super::Erasing> = self.house.erasing.extract_if(.., due).collect();
        let ids: Vec<[u8; 16]> = erasing.iter().map(|erasing| erasing.event_id).collect();
        self.shared.ring().retain(|stored| !ids.contains(&stored.event_id));
        for cell in &self.shared.known().lanes {
            cell.state().erase(&ids);
        }
        let segments: Vec<Segment> = self.shared.index().segments.iter().cloned().collect();
        let mut failed = false;
        for segment in &segments {
            match erase_in_segment(segment, &ids) {
                Ok(events) => self.release_erased(events, now),
                Err(_) => failed = true,
            }
        }
        for grave in self.graves.readable() {
            failed |= erase_in_grave(&grave, &ids).is_err();
        }
        for id in ids {
            if self.house.erased.len() >= ERASED_MAX {
                self.house.erased.pop_front();
            }
            self.house.erased.push_back(id);
        }
        if failed {
            self.house.erasing.append(&mut erasing);
            self.house.erase_pause = Some(now.plus(PAUSE));
        } else {
            let mut inbox = self.shared.inbox();
            for done in erasing {
                let place = inbox.erasing.iter().position(|asked| *asked == done.event_id);
                place.map(|place| inbox.erasing.swap_remove(place));
            }
            inbox.erasures += 1;
        }
        self.house.dirty = true;
    }

    /// What was erased is owed to nobody any more: bare letters say so.
    fn release_erased(&self, events: Vec<Stored>, now: Timestamp) {
        for stored in events {
            for cell in &self.shared.known().lanes {
                cell.state().mark_erased(stored.seq);
            }
            let missing = Missing { seq: stored.seq, erased: true, known: Some(stored) };
            self.lose(&missing, now);
        }
    }
}

/// Erases what it finds of these events; what is known of them besides.
fn erase_in_segment(segment: &Segment, ids: &[[u8; 16]]) -> io::Result<Vec<Stored>> {
    let mut events = Vec::new();
    let mut scanner = Scanner::new(&*segment.file, &segment.seal, segment.start, segment.end, PIECE);
    let mut any = false;
    while let Some(seen) = scanner.next()? {
        let Seen::Record { at, bytes } = seen else { continue };
        let envelope = envelope(&segment.seal, at, &bytes);
        let id = match envelope.kind() {
            Some(Kind::Event | Kind::Letter) => Stored::decode(&envelope, None).map(|stored| stored.event_id),
            Some(Kind::Attempt) => {
                envelope.field(field::EVENT_ID, 0).filter(|bytes| bytes.len() == 16).map(|bytes| array_at(bytes, 0))
            }
            Some(Kind::Delivered | Kind::Dead | Kind::Mark | Kind::Erase | Kind::Drop | Kind::Unlisted) | None => None,
        };
        if id.is_some_and(|id| ids.contains(&id)) {
            blank(&*segment.file, &segment.seal, at, &envelope)?;
            any = true;
            if envelope.kind() == Some(Kind::Event) {
                events.extend(Stored::decode(&envelope, None));
            }
        }
    }
    if any {
        segment.file.sync_data()?;
    }
    Ok(events)
}

fn erase_in_grave(grave: &crate::journal::dead::Grave, ids: &[[u8; 16]]) -> io::Result<()> {
    let mut result = Ok(());
    let mut any = false;
    grave.letters(|envelope, _, at| {
        let id: Option<[u8; 16]> = envelope.rest().get(..EVENT_FIXED).map(|fixed| array_at(fixed, 0));
        if result.is_ok() && id.is_some_and(|id| ids.contains(&id)) {
            result = blank(grave.file(), grave.seal(), at, envelope);
            any = true;
        }
    })?;
    result?;
    if any { grave.file().sync_data() } else { Ok(()) }
}

/// Overwrites from the end of the envelope to the end of the record.
fn blank(file: &dyn File, seal: &Seal, at: u64, envelope: &Envelope<'_>) -> io::Result<()> {
    let start = envelope.head().start;
    let pattern: Vec<u8> = seal.erasure(at).into_iter().cycle().take(envelope.length() - start).collect();
    write_all(file, &pattern, at + start as u64).map(drop)
}
