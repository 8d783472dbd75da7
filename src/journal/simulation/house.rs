//! What does an open journal show?
//!
//! Promises: everything it hands over passes [`House::check`], and [`House::drain`] takes all it owes.
//!
//! Must not know: which program runs on it.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::lying::Lying;
use super::model::{Buried, DESTINATIONS, Fate, Model, Seen, View};
use super::wait::{Fates, Waiting};
use super::world::{Finding, NAMES};
use crate::clock::{Clock, Hand, Timestamp};
use crate::journal::{
    Delivery, DestinationPlan, HandOver, Journal, Lane, OpenError, Options, Report, Settlement, Step, Taken, Writer,
};

/// How many turns a lane gets to give what it owes.
const TURNS_MAX: u32 = 20_000;
/// How often every lane is asked again, a second later each time.
const ROUNDS_MAX: u32 = 40;

/// An open journal and what is in hand of it.
pub(super) struct House {
    pub(super) journal: Journal,
    pub(super) writer: Writer,
    /// `None` for the destination that is not configured.
    pub(super) lanes: Vec<Option<Lane>>,
    pub(super) ids: Vec<u32>,
    pub(super) source: u32,
    pub(super) waiting: Vec<Waiting>,
    pub(super) fates: Fates,
    /// Deliveries taken and not settled.
    pub(super) kept: Vec<(usize, usize, Delivery)>,
    pub(super) in_hand: BTreeSet<(usize, usize)>,
    /// Settled for good since this opening.
    pub(super) settled: BTreeSet<(usize, usize)>,
    /// Offered since this opening.
    pub(super) here: BTreeSet<usize>,
    /// Void or refused since this opening, and so free to be offered again.
    pub(super) voided: Vec<usize>,
    /// The first sequences of deliveries in hand whose events were void meanwhile: how those went means nothing.
    pub(super) stale: BTreeSet<(usize, u64)>,
    /// In hand when the backlog of their destination was released.
    pub(super) released: BTreeSet<(usize, usize)>,
    /// The storage fails on purpose.
    pub(super) failing: bool,
    /// Which destinations have seen events early since this opening.
    pub(super) eager: [bool; DESTINATIONS],
}

impl House {
    /// Opens the journal and takes its lanes.
    pub(super) fn open(
        storage: &Lying,
        options: &Options,
        clock: &Clock,
        plans: &[DestinationPlan],
        named: [bool; DESTINATIONS],
    ) -> Result<(Self, Report), OpenError> {
        let storage = Arc::new(storage.clone());
        let is_named = |(place, _): &(usize, &DestinationPlan)| named[*place];
        let early = |place: usize| named[place] && plans[place].hand_over == HandOver::Verified;
        let eager = std::array::from_fn(early);
        let plans: Vec<DestinationPlan> =
            plans.iter().enumerate().filter(is_named).map(|(_, plan)| plan.clone()).collect();
        let (journal, writer, report) = Journal::open(storage, options.clone(), clock.clone(), &["source"], &plans)?;
        let ids: Vec<u32> = NAMES.iter().map(|name| journal.destination(name).unwrap_or(u32::MAX)).collect();
        let lane = |(place, id): (usize, &u32)| named[place].then(|| journal.lane(*id).expect("nobody took it before"));
        let lanes = ids.iter().enumerate().map(lane).collect();
        let source = journal.source("source").expect("it was named");
        let house = Self {
            journal,
            writer,
            lanes,
            ids,
            source,
            waiting: Vec::new(),
            fates: Fates::default(),
            kept: Vec::new(),
            in_hand: BTreeSet::new(),
            settled: BTreeSet::new(),
            here: BTreeSet::new(),
            voided: Vec::new(),
            stale: BTreeSet::new(),
            released: BTreeSet::new(),
            failing: false,
            eager,
        };
        Ok((house, report))
    }

    /// The lane of a destination that is configured.
    pub(super) fn lane(&self, destination: usize) -> &Lane {
        self.lanes[destination].as_ref().expect("it is configured")
    }

    /// What `then` told since the last time.
    pub(super) fn take_fates(&self) -> Vec<(usize, Result<u64, ()>)> {
        std::mem::take(&mut *self.fates.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The journal could not keep an event: whatever was delivered of it went for nothing.
    pub(super) fn void(&mut self, event: usize) {
        let stale = self.kept.iter().filter(|(_, kept, _)| *kept == event);
        self.stale.extend(stale.map(|(_, kept, delivery)| (*kept, delivery.origin_seq)));
        self.settled.retain(|(_, settled)| *settled != event);
        self.in_hand.retain(|(_, held)| *held != event);
        self.voided.push(event);
    }

    /// The next delivery of a lane, reading from the files as often as it asks for.
    pub(super) fn take(&mut self, lane: usize, now: Timestamp) -> Result<Option<Delivery>, Finding> {
        for _ in 0..TURNS_MAX {
            match self.lane(lane).next(now) {
                Taken::Delivery(delivery) => return Ok(Some(delivery)),
                Taken::Idle { .. } => return Ok(None),
                Taken::Read(job) => self.lane(lane).accept(job.run()),
            }
        }
        Err(format!("lane {lane} reads for ever"))
    }

    /// Holds a delivery against what was promised; returns which event it is.
    pub(super) fn check(
        &mut self,
        model: &mut Model,
        lane: usize,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<usize, Finding> {
        let replayed = delivery.replayed().unwrap_or_default();
        let offered =
            model.find(delivery.event_id, replayed).filter(|event| model.events[*event].fate == Fate::Offered);
        let early = offered.is_some_and(|event| self.here.contains(&event));
        let event = model.admit(&Seen::of(lane, delivery), early)?;
        let known = &model.events[event];
        if delivery.source != self.source {
            return Err(format!("event {event} came from source {}", delivery.source));
        }
        if now < known.not_before {
            let (seq, first, until) = (delivery.seq, delivery.origin_seq, known.not_before);
            return Err(format!("event {event} came before its time {until}, as {seq}, first {first}, at {now}"));
        }
        if !self.eager[lane] && early {
            return Err(format!("event {event} came to destination {lane} before it was durable"));
        }
        // What is written again after a failed sync may be handed over again before it is durable.
        if self.eager[lane] && self.failing {
            self.in_hand.insert((lane, event));
            return Ok(event);
        }
        if self.settled.contains(&(lane, event)) {
            return Err(format!("event {event} came again to destination {lane} after it was settled there"));
        }
        if !self.in_hand.insert((lane, event)) {
            return Err(format!("event {event} came to destination {lane} while it was in hand"));
        }
        Ok(event)
    }

    /// All dead letters there are.
    fn graves(&self, view: &mut View) -> Result<(), Finding> {
        for (destination, id) in self.ids.iter().enumerate() {
            let mut after = 0;
            loop {
                let page = self.journal.dead(*id, after, 7).map_err(|error| format!("no dead letters: {error}"))?;
                let Some(last) = page.last() else { break };
                if last.seq <= after {
                    return Err("a page of dead letters that leads back".to_owned());
                }
                after = last.seq;
                view.buried.extend(page.into_iter().map(|letter| Buried {
                    destination,
                    id: letter.event_id,
                    replayed: letter.replayed.unwrap_or_default(),
                    bytes: letter.content,
                    reason: letter.reason,
                }));
            }
        }
        Ok(())
    }

    /// Takes all that is owed, as time goes by, and settles it, until nothing is owed.
    pub(super) fn drain(&mut self, hand: &Hand, clock: &Clock) -> Result<View, Finding> {
        let mut view = View::default();
        for _ in 0..ROUNDS_MAX {
            for lane in 0..self.lanes.len() {
                while let Some(delivery) = self.take(lane, clock.now())? {
                    view.seen.push(Seen::of(lane, &delivery));
                    self.lane(lane).settle(delivery, Settlement::Delivered);
                    if view.seen.len() > 5000 {
                        return Err("a journal owes more than was ever appended".to_owned());
                    }
                }
            }
            if self.lanes.iter().flatten().all(|lane| lane.backlog().owed == 0) {
                self.graves(&mut view)?;
                return Ok(view);
            }
            for _ in 0..64 {
                match self.writer.step() {
                    Step::Worked => {}
                    Step::Idle { .. } => break,
                    Step::Closed => return Err("the writer says closed and nobody closed it".to_owned()),
                    Step::Fatal(error) => return Err(format!("the writer gave up on a sound storage: {error}")),
                }
            }
            self.journal.release();
            hand.advance(Duration::from_secs(1));
        }
        let owed: Vec<_> = self.lanes.iter().flatten().map(Lane::backlog).collect();
        let next: Vec<_> = self.lanes.iter().flatten().map(|lane| lane.next(clock.now())).collect();
        Err(format!("what is owed never comes: {owed:?}, at {} next {next:?}", clock.now()))
    }
}
