//! What was promised?
//!
//! Promises: the model lives outside the machine that crashes. It knows every event that was ever offered, which of them
//! got a receipt, and what the destinations said; it judges what a recovered journal still owes.
//!
//! Must not know: how the journal keeps anything.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::chance::Chance;
use super::filler::{facts, filler};
use crate::clock::Timestamp;
use crate::journal::{Delivery, Tenants};

/// The destinations of every simulated house.
pub(super) const DESTINATIONS: usize = 4;
/// The destination that is handed events before they are durable, until the configuration says otherwise.
pub(super) const EAGER: usize = 1;
/// The destination whose backlog is never given up.
pub(super) const ESSENTIAL: usize = 2;
/// The destination that the first configuration does not know.
pub(super) const LATE: usize = 3;

/// With more bytes of dead letters than this, some may have lost theirs to space.
const DEAD_BYTES: usize = 100 << 10;

/// What was offered as one event.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: [u8; 16],
    pub(super) head: Bytes,
    pub(super) body: Bytes,
    pub(super) facts: Facts,
    pub(super) not_before: Timestamp,
    pub(super) fate: Fate,
    pub(super) owed: [Owed; DESTINATIONS],
    pub(super) erased: Erased,
    /// Its own bytes were hit by planted damage.
    pub(super) damaged: bool,
    /// The event it is a replay of, and since when.
    pub(super) replay: Option<(usize, Timestamp)>,
    /// Destinations that adopted it, or were to.
    pub(super) adopted: [bool; DESTINATIONS],
}

/// What else is stored of an event and must come back as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) request_id: [u8; 16],
    pub(super) part: u16,
    pub(super) tenants: Tenants,
    pub(super) kind: Box<str>,
    pub(super) order_key: u64,
    pub(super) flags: u16,
}

/// What is known of an event's way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Offered; nothing was promised.
    Offered,
    /// Promised: it has a receipt, or lies below what the journal called durable.
    Promised { seq: u64 },
    /// The journal said that it could not.
    Void,
}

/// What is known of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Erased {
    /// Nobody asked for it.
    No,
    /// Asked for; it may have happened or not.
    Asked,
    /// Asked for before the machine stopped: it may have been forgotten, or carried out in part.
    Perhaps,
    /// It was carried out: its bytes are nowhere any more.
    Done,
}

/// What is known of one event for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owed {
    /// It was never owed there.
    Never,
    /// It must come.
    Yes,
    /// It was settled; the settling may have been lost, so it may come again.
    Settled,
    /// It was settled and the journal was closed in peace: it must not come again.
    Done,
    /// It became a dead letter; that may have been lost, so it may come again instead.
    Dead,
    /// A dead letter for good.
    Buried,
    /// Its dead letter was replayed; it may be listed still.
    Retried,
    /// Another destination adopted it.
    Adopted(usize),
    /// That one was to adopt it when the machine stopped: it is owed here or there.
    Either(usize),
}

impl Owed {
    /// Whether the journal may owe it still.
    pub(super) const fn may_come(self) -> bool {
        !matches!(self, Self::Never | Self::Done | Self::Buried | Self::Adopted(_))
    }
}

/// One delivery seen when a recovered journal was drained.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) destination: usize,
    pub(super) seq: u64,
    pub(super) origin_seq: u64,
    pub(super) id: [u8; 16],
    pub(super) replayed: Timestamp,
    pub(super) head: Bytes,
    pub(super) body: Bytes,
    pub(super) facts: Facts,
}

impl Seen {
    /// What a delivery to that destination shows.
    pub(super) fn of(destination: usize, delivery: &Delivery) -> Self {
        Self {
            destination,
            seq: delivery.seq,
            origin_seq: delivery.origin_seq,
            id: delivery.event_id,
            replayed: delivery.replayed().unwrap_or_default(),
            head: delivery.head.clone(),
            body: delivery.body.joined(),
            facts: Facts {
                request_id: delivery.request_id,
                part: delivery.part,
                tenants: delivery.tenants.clone(),
                kind: (&*delivery.kind).into(),
                order_key: delivery.order_key,
                flags: delivery.flags,
            },
        }
    }
}

/// One dead letter seen in a recovered journal.
#[derive(Clone, Debug)]
pub(super) struct Buried {
    pub(super) destination: usize,
    pub(super) id: [u8; 16],
    pub(super) replayed: Timestamp,
    /// Head and body; `None` where the space bound took the bytes.
    pub(super) bytes: Option<(Bytes, Bytes)>,
    pub(super) reason: u16,
}

/// Everything a recovered journal shows.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) seen: Vec<Seen>,
    pub(super) buried: Vec<Buried>,
}

/// What is bent in this run, and so forgiven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forgiven {
    /// Age or size may turn what is owed into dead letters.
    pub(super) expiry: bool,
    /// Dead letters may have gone for age or space.
    pub(super) dead_bounds: bool,
    /// Settlings may be lost even though the journal was closed (its files were damaged).
    pub(super) settlings: bool,
}

/// The truth outside the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) events: Vec<Known>,
    /// By the id, and the time of a replay (zero: it is none).
    by_id: BTreeMap<([u8; 16], Timestamp), usize>,
    /// Which event each sequence was ever seen with.
    sequences: BTreeMap<u64, [u8; 16]>,
    pub(super) forgiven: Forgiven,
}

impl Model {
    /// Makes up the next event. Its bytes follow from its number and its lengths.
    pub(super) fn offer(&mut self, head: usize, body: usize, owed: [Owed; DESTINATIONS]) -> usize {
        let number = self.events.len();
        let mut chance = Chance::new(0xe7e7 + number as u64);
        let id = u128::from(chance.bits()) << 64 | number as u128;
        let known = Known {
            id: id.to_be_bytes(),
            head: filler(&mut chance, head),
            body: filler(&mut chance, body),
            facts: facts(&mut chance),
            not_before: Timestamp::ZERO,
            fate: Fate::Offered,
            owed,
            erased: Erased::No,
            damaged: false,
            replay: None,
            adopted: [false; DESTINATIONS],
        };
        self.by_id.insert((known.id, Timestamp::ZERO), number);
        self.events.push(known);
        number
    }

    /// An event is replayed at a time at which nothing else is.
    pub(super) fn replay(&mut self, event: usize, at: Timestamp, owed: [Owed; DESTINATIONS]) -> usize {
        let number = self.events.len();
        let mut known = self.events[event].clone();
        known.replay = Some((known.replay.map_or(event, |(first, _)| first), at));
        (known.not_before, known.fate) = (Timestamp::ZERO, Fate::Offered);
        (known.owed, known.adopted) = (owed, [false; DESTINATIONS]);
        self.by_id.insert((known.id, at), number);
        self.events.push(known);
        number
    }

    /// An event by its id, or a replay of it.
    pub(super) fn find(&self, id: [u8; 16], replayed: Timestamp) -> Option<usize> {
        self.by_id.get(&(id, replayed)).copied()
    }

    /// What one destination is owed becomes another's; `promised`: the journal said so.
    pub(super) fn adopt(&mut self, from: usize, to: usize, promised: bool) {
        for known in &mut self.events {
            let (was, had) = (known.owed[from], known.owed[to]);
            if !was.may_come() {
                continue;
            }
            known.adopted[to] = true;
            // What the journal gave up by itself, or what a stop made of a death, is not told.
            let told = was == Owed::Yes && promised && known.erased == Erased::No && !self.forgiven.expiry;
            known.owed[to] = match had {
                Owed::Never if told => Owed::Yes,
                // The adopter may have had it already, or have its letter.
                Owed::Buried | Owed::Dead | Owed::Retried => Owed::Retried,
                Owed::Never | Owed::Done | Owed::Adopted(_) | Owed::Settled | Owed::Either(_) => Owed::Settled,
                Owed::Yes => Owed::Yes,
            };
            known.owed[from] = match was {
                Owed::Yes if told => Owed::Adopted(to),
                Owed::Yes | Owed::Dead if had == Owed::Never && !promised => Owed::Either(to),
                _ => Owed::Settled,
            };
        }
    }

    /// The record of an adoption may be hit: then its events are parked again.
    pub(super) fn doubt_adoptions(&mut self) {
        for known in &mut self.events {
            for from in 0..DESTINATIONS {
                let Owed::Adopted(to) = known.owed[from] else { continue };
                if known.owed[to] == Owed::Yes {
                    (known.owed[from], known.owed[to]) = (Owed::Either(to), Owed::Settled);
                }
            }
        }
    }

    /// Life goes on, and who settles which is not told apart.
    pub(super) fn go_on(&mut self) {
        for owed in self.events.iter_mut().flat_map(|known| &mut known.owed) {
            *owed = if matches!(owed, Owed::Either(_)) { Owed::Settled } else { *owed };
        }
    }

    /// The journal promised to keep an event.
    pub(super) fn promise(&mut self, event: usize, seq: u64) -> Result<(), String> {
        let known = &mut self.events[event];
        known.fate = Fate::Promised { seq };
        let id = known.id;
        self.name(seq, id)
    }

    /// The journal could not keep an event, and said so.
    pub(super) fn void(&mut self, event: usize) {
        let known = &mut self.events[event];
        known.fate = Fate::Void;
        for owed in &mut known.owed {
            if *owed != Owed::Never {
                *owed = Owed::Yes;
            }
        }
    }

    /// The journal was closed in peace on a sound machine: what it heard to be settled (destination, event) stays so.
    pub(super) fn close(&mut self, settled: &BTreeSet<(usize, usize)>) {
        for (destination, event) in settled {
            let owed = &mut self.events[*event].owed[*destination];
            match owed {
                Owed::Settled => *owed = Owed::Done,
                Owed::Dead => *owed = Owed::Buried,
                Owed::Never
                | Owed::Yes
                | Owed::Done
                | Owed::Buried
                | Owed::Retried
                | Owed::Adopted(_)
                | Owed::Either(_) => {}
            }
        }
    }

    /// A sequence names one event for ever.
    pub(super) fn name(&mut self, seq: u64, id: [u8; 16]) -> Result<(), String> {
        match self.sequences.insert(seq, id) {
            Some(before) if before != id => {
                Err(format!("sequence {seq} named {} and now {}", self.tell(before), self.tell(id)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Is this delivery one that may happen at all? One that came before it was durable names nothing yet (`early`).
    pub(super) fn admit(&mut self, seen: &Seen, early: bool) -> Result<usize, String> {
        let Some(event) = self.find(seen.id, seen.replayed) else {
            return Err(format!("sequence {} holds an event that was never offered: {:02x?}", seen.seq, seen.id));
        };
        if !early {
            self.name(seen.seq, seen.id)?;
            self.name(seen.origin_seq, seen.id)?;
        }
        let known = &self.events[event];
        if let Some((first, _)) = known.replay
            && let Fate::Promised { seq } = self.events[first].fate
            && seen.origin_seq != seq
        {
            return Err(format!("event {event}, a replay of {first}, came with the origin {}", seen.origin_seq));
        }
        if known.erased == Erased::Done {
            return Err(format!("event {event} came to destination {} after it was erased", seen.destination));
        }
        if seen.head != known.head || seen.body != known.body {
            let lengths = (seen.head.len(), known.head.len(), seen.body.len(), known.body.len());
            return Err(format!("event {event} came with other bytes than were offered (lengths {lengths:?})"));
        }
        if seen.facts != known.facts {
            return Err(format!("event {event} came as {:?} and was offered as {:?}", seen.facts, known.facts));
        }
        match known.owed[seen.destination] {
            Owed::Never => Err(format!("event {event} came to destination {} without being owed", seen.destination)),
            Owed::Done | Owed::Buried | Owed::Adopted(_) if !self.forgiven.settlings => {
                let place = seen.destination;
                Err(format!(
                    "event {event} came again to destination {place} after its settling was durable ({:?})",
                    known.owed[seen.destination]
                ))
            }
            _ => Ok(event),
        }
    }

    /// Judges what a recovered journal shows: everything promised, nothing else, each once.
    pub(super) fn judge(&mut self, view: &View) -> Result<(), String> {
        let mut came: [BTreeSet<usize>; DESTINATIONS] = Default::default();
        for seen in &view.seen {
            let event = self.admit(seen, false)?;
            if !came[seen.destination].insert(event) {
                return Err(format!("event {event} came twice to destination {}", seen.destination));
            }
        }
        let mut dead: [BTreeSet<usize>; DESTINATIONS] = Default::default();
        let known = |letter: &Buried| self.find(letter.id, letter.replayed).map(|event| &self.events[event]);
        let weight: usize = view.buried.iter().filter_map(known).map(|known| known.head.len() + known.body.len()).sum();
        let crowded = self.forgiven.dead_bounds || weight > DEAD_BYTES;
        for letter in &view.buried {
            let Some(event) = self.find(letter.id, letter.replayed) else {
                return Err(format!("a dead letter that was never offered: {:02x?}", letter.id));
            };
            let known = &self.events[event];
            if known.owed[letter.destination] == Owed::Never {
                return Err(format!("event {event} died at destination {} without being owed", letter.destination));
            }
            if letter.bytes.as_ref().is_some_and(|(head, body)| *head != known.head || *body != known.body) {
                return Err(format!("dead letter {event} has other bytes than were offered"));
            }
            if letter.bytes.is_some()
                && known.erased == Erased::Done
                && !(known.head.is_empty() && known.body.is_empty())
            {
                return Err(format!("dead letter {event} still has its bytes after it was erased"));
            }
            let gone = known.erased != Erased::No || known.damaged;
            if letter.bytes.is_none() && !crowded && !gone {
                return Err(format!("dead letter {event} lost its bytes though there was space"));
            }
            // What the journal gave up by itself, and then heard that another is owed, is both.
            let both = known.owed[letter.destination] == Owed::Retried
                || (self.forgiven.expiry && known.adopted[letter.destination]);
            if came[letter.destination].contains(&event) && !both {
                let (to, reason) = (letter.destination, letter.reason);
                return Err(format!("event {event} is owed to and dead ({reason}) at destination {to}"));
            }
            if !dead[letter.destination].insert(event) {
                return Err(format!("event {event} is listed twice as dead at destination {}", letter.destination));
            }
        }
        for destination in 0..DESTINATIONS {
            for event in 0..self.events.len() {
                self.present(event, destination, &came, &dead)?;
            }
        }
        Ok(())
    }

    /// One promised event at one destination: is it where it must be?
    fn present(
        &self,
        event: usize,
        destination: usize,
        came: &[BTreeSet<usize>; DESTINATIONS],
        dead: &[BTreeSet<usize>; DESTINATIONS],
    ) -> Result<(), String> {
        let known = &self.events[event];
        let Fate::Promised { seq } = known.fate else { return Ok(()) };
        let at = |place: usize| (came[place].contains(&event), dead[place].contains(&event));
        let (mut came, mut dead) = at(destination);
        // What is essential stays owed whatever happens to space.
        let mut expiry = self.forgiven.expiry && destination != ESSENTIAL;
        if let Owed::Either(to) = known.owed[destination] {
            let there = at(to);
            if came && (there.0 || there.1) && !self.forgiven.settlings {
                return Err(format!("event {event} (seq {seq}) was adopted by {to} and is owed to {destination}"));
            }
            (came, dead) = (came || there.0, dead || there.1);
            expiry = self.forgiven.expiry && to != ESSENTIAL;
        }
        let missing = match known.owed[destination] {
            Owed::Never | Owed::Settled | Owed::Done | Owed::Retried | Owed::Adopted(_) => false,
            Owed::Yes | Owed::Either(_) if known.erased != Erased::No => !came && !dead && !self.forgiven.dead_bounds,
            Owed::Yes | Owed::Either(_) => !came && !(expiry && (dead || self.forgiven.dead_bounds)),
            Owed::Dead => !came && !dead && !self.forgiven.dead_bounds,
            Owed::Buried => !dead && !self.forgiven.dead_bounds,
        };
        if missing && !known.damaged {
            let owed = known.owed[destination];
            let erased = if known.erased == Erased::No { "" } else { ", erased" };
            return Err(format!(
                "event {event} (seq {seq}, {owed:?}{erased}) is forgotten at destination {destination}"
            ));
        }
        let reason = expiry || known.damaged || known.erased != Erased::No;
        if dead && known.owed[destination] == Owed::Yes && !reason {
            return Err(format!("event {event} (seq {seq}) died at destination {destination} without a reason"));
        }
        Ok(())
    }

    /// The machine stopped: what was asked of the journal may be forgotten.
    pub(super) fn stop(&mut self) {
        for known in self.events.iter_mut().filter(|known| known.erased == Erased::Asked) {
            known.erased = Erased::Perhaps;
        }
    }

    /// What was asked for is done: no bytes of those events may be in any of these files.
    pub(super) fn erase<'a>(&mut self, files: impl Iterator<Item = (&'a str, &'a [u8])> + Clone) -> Result<(), String> {
        for known in self.events.iter_mut().filter(|known| known.erased == Erased::Asked) {
            // Zeros look the same before and after.
            let something = known.head.iter().chain(&known.body).any(|byte| *byte != 0);
            known.erased = if something { Erased::Done } else { Erased::Perhaps };
        }
        for (event, known) in self.events.iter().enumerate().filter(|(_, known)| known.erased == Erased::Done) {
            for bytes in [&known.head, &known.body] {
                let telling = bytes.len() >= 48 && bytes.iter().any(|byte| *byte != 0 && *byte != u8::MAX);
                let found =
                    files.clone().find(|(_, file)| telling && memchr::memmem::find(file, &bytes[..48]).is_some());
                if let Some((name, _)) = found {
                    return Err(format!("event {event} was erased and its bytes stand in {name}"));
                }
            }
        }
        Ok(())
    }

    /// The promised events that are owed somewhere and did not come there.
    pub(super) fn lost(&self, view: &View) -> Vec<usize> {
        let came: BTreeSet<(usize, [u8; 16], Timestamp)> =
            view.seen.iter().map(|seen| (seen.destination, seen.id, seen.replayed)).collect();
        let missing = |known: &Known| {
            let owed = known.owed.iter().enumerate().filter(|(_, owed)| **owed == Owed::Yes);
            let kept = matches!(known.fate, Fate::Promised { .. }) && known.erased == Erased::No;
            let replayed = known.replay.map_or(Timestamp::ZERO, |(_, at)| at);
            kept && owed.into_iter().any(|(to, _)| !came.contains(&(to, known.id, replayed)))
        };
        (0..self.events.len()).filter(|event| missing(&self.events[*event])).collect()
    }

    fn tell(&self, id: [u8; 16]) -> String {
        self.find(id, Timestamp::ZERO).map_or_else(|| format!("{id:02x?}"), |event| format!("event {event}"))
    }
}
