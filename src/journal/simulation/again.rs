//! What does a journal make of what it is to replay, and of what is to be adopted?
//!
//! Promises: a replay is an event of its own in the model, told apart by its time; a dead letter that is replayed is owed
//! again; what is adopted is the adopter's from when the journal says so, and one's or the other's if it never did.
//!
//! Must not know: how an event is found, or an adoption recorded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::house::House;
use super::model::{DESTINATIONS, Erased, Fate, Model, Owed};
use super::wait::{Replaying, Waiting};
use super::world::{Ended, Finding, World};
use crate::clock::Timestamp;
use crate::journal::{AdoptError, NotReplayed, Original, Pending, Receipt, Refused, Target};

/// Rounds within which the writer has to have told.
const ROUNDS_MAX: u32 = 10_000;

/// What became of a replay.
pub(super) fn told(
    model: &mut Model,
    house: &mut House,
    replaying: Replaying,
    receipt: Option<Receipt>,
    sound: bool,
) -> Result<(), Finding> {
    let event = replaying.event;
    match receipt {
        Some(receipt) => {
            model.promise(event, receipt.seq())?;
            if let Some((letter, lane)) = replaying.letter {
                model.events[letter].owed[lane] = Owed::Retried;
            }
            Ok(())
        }
        None if sound => Err(format!("event {event}, a replay, was taken in and then void on a sound storage")),
        None => {
            model.void(event);
            house.void(event);
            // It is nobody's to offer it again.
            house.voided.retain(|voided| *voided != event);
            Ok(())
        }
    }
}

impl World {
    /// Puts one of the promised events in once more.
    pub(super) fn replay(&mut self, which: u16, targets: u8, by_id: bool) -> Result<Ended, Finding> {
        self.collect()?;
        let promised = |event: &usize| matches!(self.model.events[*event].fate, Fate::Promised { .. });
        let events: Vec<usize> = (0..self.model.events.len()).filter(promised).collect();
        let Some(event) = events.get(usize::from(which) % events.len().max(1)).copied() else {
            return Ok(Ended::Whole);
        };
        let known = &self.model.events[event];
        let Fate::Promised { seq } = known.fate else { return Ok(Ended::Whole) };
        let original = if by_id { Original::Event(known.id) } else { Original::Record(seq) };
        let places = (0..DESTINATIONS).filter(|place| targets >> place & 1 == 1 && self.named[*place]);
        let places: Vec<usize> = places.collect();
        let ids = &self.house.as_ref().expect("open").ids;
        let target = |place: &usize| Target { destination: ids[*place], not_before: Timestamp::ZERO };
        let targets: Vec<Target> = places.iter().map(target).collect();
        self.put_in(event, original, Some(&targets), &places, None)
    }

    /// Replays the oldest dead letter of a destination.
    pub(super) fn revive(&mut self, lane: usize) -> Result<Ended, Finding> {
        self.collect()?;
        let id = self.house().ids[lane];
        if id == u32::MAX {
            return Ok(Ended::Whole);
        }
        let Ok(letters) = self.house().journal.dead(id, 0, 1) else { return self.unread() };
        let Some(letter) = letters.first() else { return Ok(Ended::Whole) };
        let Some(event) = self.model.find(letter.event_id, letter.replayed.unwrap_or_default()) else {
            return Err(format!("a dead letter that was never offered: {letter:?}"));
        };
        let original = Original::Letter { destination: id, seq: letter.seq };
        self.put_in(event, original, None, &[lane], Some((event, lane)))
    }

    fn unread(&self) -> Result<Ended, Finding> {
        if self.failing || self.storage.stopped() { Ok(Ended::Whole) } else { Err("nothing can be read".to_owned()) }
    }

    fn put_in(
        &mut self,
        event: usize,
        original: Original,
        targets: Option<&[Target]>,
        places: &[usize],
        letter: Option<(usize, usize)>,
    ) -> Result<Ended, Finding> {
        // Its time tells it from every other replay.
        self.hand.advance(Duration::from_micros(1));
        let at = self.clock.now();
        match self.house().journal.replay(original, targets) {
            Ok(pending) => self.taken(event, pending, places, letter, at),
            Err(NotReplayed::Io(_)) => self.unread(),
            Err(NotReplayed::Refused(Refused::Failed)) if self.failing || self.storage.stopped() => Ok(Ended::GaveUp),
            Err(NotReplayed::Refused(Refused::Busy | Refused::Full)) => Ok(Ended::Whole),
            Err(why) if self.may_be(event, original, &why) => Ok(Ended::Whole),
            Err(why) => Err(format!("event {event} is not replayed as {original:?}: {why:?}")),
        }
    }

    fn taken(
        &mut self,
        event: usize,
        pending: Pending,
        places: &[usize],
        letter: Option<(usize, usize)>,
        at: Timestamp,
    ) -> Result<Ended, Finding> {
        if matches!(self.model.events[event].erased, Erased::Asked | Erased::Done) {
            return Err(format!("event {event} is replayed after it was to be erased"));
        }
        let owed = std::array::from_fn(|place| match (places.contains(&place), self.dropping[place]) {
            (false, _) => Owed::Never,
            (true, true) => Owed::Settled,
            (true, false) => Owed::Yes,
        });
        let replay = self.model.replay(event, at, owed);
        self.storage.note(format!("event {event} replayed as event {replay}, sequence {}", pending.seq()));
        let house = self.house();
        house.here.insert(replay);
        let (events, buffered, promised_early) = (Vec::new(), Vec::new(), false);
        let replaying = Some(Replaying { event: replay, letter });
        house.waiting.push(Waiting { pending, events, buffered, promised_early, replaying });
        Ok(Ended::Whole)
    }

    /// Whether that may be so of this event.
    fn may_be(&self, event: usize, original: Original, why: &NotReplayed) -> bool {
        let known = &self.model.events[event];
        let erased = known.erased != Erased::No;
        // Letters may go or lose their bytes for want of space.
        let crowded = self.model.forgiven.expiry || self.model.forgiven.dead_bounds || self.damaged;
        let owed = self
            .model
            .events
            .iter()
            .filter(|other| other.id == known.id && matches!(other.fate, Fate::Promised { .. }));
        let owed = owed.flat_map(|known| known.owed).any(|owed| owed == Owed::Yes);
        match (why, original) {
            (NotReplayed::Erased, _) => erased,
            (NotReplayed::Damaged, Original::Record(_)) => erased || self.damaged,
            (NotReplayed::Damaged, _) => erased || crowded || !owed,
            (NotReplayed::Unknown, Original::Event(_)) => erased || crowded || !owed,
            // It may have been carried forward, or nobody is owed it any more.
            (NotReplayed::Unknown, Original::Record(_)) | (NotReplayed::UnderWay, Original::Letter { .. }) => true,
            _ => false,
        }
    }

    /// One destination adopts what another is owed.
    pub(super) fn adopt(&mut self, from: usize, to: usize) -> Result<Ended, Finding> {
        let ids = self.house().ids.clone();
        if self.named[from] || !self.named[to] || ids[from] == u32::MAX {
            return Ok(Ended::Whole);
        }
        let told: Arc<Mutex<Option<Result<u64, AdoptError>>>> = Arc::default();
        let tell = Arc::clone(&told);
        self.house().journal.adopt(ids[from], ids[to], move |result| {
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        let told = || *told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Ok(Ended::Whole);
        for _ in 0..ROUNDS_MAX {
            if told().is_some() || !matches!(ended, Ok(Ended::Whole)) || self.storage.stopped() {
                break;
            }
            ended = self.write(1);
        }
        let ended = ended?;
        match told() {
            Some(Ok(count)) => {
                self.storage.note(format!("{to} adopted {count} events of {from}"));
                let house = self.house.as_mut().expect("open");
                let again = |event: &usize| self.model.events[*event].owed[from].may_come();
                house.settled.retain(|(lane, event)| *lane != to || !again(event));
                self.model.adopt(from, to, true);
            }
            Some(Err(AdoptError::Full)) => {}
            Some(Err(AdoptError::Busy)) if self.failing => {}
            // It was perhaps on its way to the disk.
            None if self.storage.stopped() || ended != Ended::Whole => self.model.adopt(from, to, false),
            Some(Err(AdoptError::Ended)) if self.failing || self.storage.stopped() => {
                self.model.adopt(from, to, false);
                return Ok(Ended::GaveUp);
            }
            other => {
                let house = self.house.as_ref().map(|house| &house.writer.house);
                return Err(format!("an adoption came to {other:?}: {house:?}"));
            }
        }
        Ok(ended)
    }
}
