//! How is a program carried out?
//!
//! Promises: one world is one machine, one journal on it at a time, and the model that outlives both. Whatever the
//! journal says on the way is held against the model at once; a finding is an `Err` with a sentence.
//!
//! Must not know: which faults are planted, or what a test counts.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::house::House;
use super::lying::{Lying, Stop};
use super::model::{DESTINATIONS, EAGER, ESSENTIAL, Erased, Fate, Known, LATE, Model, Owed};
use super::program::{Deed, How, Shape};
use super::wait::{Waiting, record};
use crate::clock::{Clock, Hand, Timestamp};
use crate::journal::{DestinationPlan, HandOver, Options, Refused, Settlement, Step};

/// The names of the destinations; their numbers are their places here.
pub(super) const NAMES: [&str; DESTINATIONS] = ["first", "eager", "essential", "late"];

/// A finding: what the journal did that it must not.
pub(super) type Finding = String;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was carried out.
    Whole,
    /// The machine stopped.
    Stopped,
    /// The journal gave up, as it may when the storage fails.
    GaveUp,
}

/// One machine, its journal, and what was promised.
pub(super) struct World {
    pub(super) storage: Lying,
    pub(super) model: Model,
    pub(super) options: Options,
    pub(super) plans: Vec<DestinationPlan>,
    pub(super) hand: Hand,
    pub(super) clock: Clock,
    /// The storage fails on purpose: refusals and giving up are no findings.
    pub(super) failing: bool,
    /// Which destinations are configured now.
    pub(super) named: [bool; DESTINATIONS],
    /// How many names were made up.
    pub(super) extras: u32,
    /// The destinations whose backlog is being released.
    pub(super) dropping: [bool; DESTINATIONS],
    /// Files were damaged on purpose: reports of damage are no findings.
    pub(super) damaged: bool,
    pub(super) house: Option<House>,
}

impl World {
    /// An empty machine.
    pub(super) fn new(seed: u64, options: Options) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_700_000_000));
        let plans = NAMES.map(DestinationPlan::new);
        let mut plans = plans.to_vec();
        plans[EAGER].hand_over = HandOver::Verified;
        plans[ESSENTIAL].essential = true;
        let (failing, damaged) = (false, false);
        let model = Model::default();
        Self {
            storage: Lying::new(seed),
            model,
            options,
            plans,
            hand,
            clock,
            failing,
            named: std::array::from_fn(|place| place != LATE),
            extras: 0,
            dropping: [false; DESTINATIONS],
            damaged,
            house: None,
        }
    }

    /// Opens the journal; `false` if it could not be opened for a reason that is the machine's.
    pub(super) fn open(&mut self) -> Result<bool, Finding> {
        match House::open(&self.storage, &self.options, &self.clock, &self.plans, self.named) {
            Ok((mut house, report)) => {
                house.failing = self.failing;
                if !self.damaged && !report.damage.is_empty() {
                    return Err(format!("a crash was reported as damage: {:?}", report.damage));
                }
                self.house = Some(house);
                Ok(true)
            }
            Err(_) if self.storage.stopped() || self.failing => Ok(false),
            Err(error) => Err(format!("the journal refused to open: {error}")),
        }
    }

    /// Carries out a program from an open journal on.
    pub(super) fn run(&mut self, deeds: &[Deed]) -> Result<Ended, Finding> {
        let told = super::amounts().only.is_some();
        self.model.go_on();
        for (place, deed) in deeds.iter().enumerate() {
            if told {
                if let Some(house) = &self.house {
                    let owed: Vec<_> = house.lanes.iter().flatten().map(crate::journal::Lane::backlog).collect();
                    self.storage.note(format!("owed {owed:?}"));
                }
                self.storage.note(format!("{place}: {deed:?}"));
            }
            let ended = self.carry_out(deed).map_err(|finding| format!("{finding}\n  at deed {place}: {deed:?}"))?;
            if ended != Ended::Whole {
                return Ok(ended);
            }
        }
        Ok(Ended::Whole)
    }

    fn carry_out(&mut self, deed: &Deed) -> Result<Ended, Finding> {
        let gone = match deed {
            Deed::Append(shapes) => self.append(shapes)?,
            Deed::Retry => self.retry()?,
            Deed::Write(rounds) => self.write(u32::from(*rounds))?,
            Deed::Flush => self.flush()?,
            Deed::Erase(which) => self.erase(*which),
            Deed::Drop(destination) => self.release(*destination),
            Deed::Deliver { lane, most, how } => self.deliver(*lane, *most, *how)?,
            Deed::SettleKept(how) => self.settle_kept(*how)?,
            Deed::Pass(time) => {
                self.hand.advance(*time);
                Ended::Whole
            }
            Deed::Configure { named, eager, extra } => self.configure(*named, *eager, *extra)?,
            Deed::Replay { which, targets, by_id } => self.replay(*which, *targets, *by_id)?,
            Deed::Revive(lane) => self.revive(*lane)?,
            Deed::Adopt { from, to } => self.adopt(*from, *to)?,
            Deed::Drain => self.drain()?,
            Deed::Reopen => self.reopen()?,
            Deed::Kill => {
                self.restart(Stop::Kill);
                if self.open()? { Ended::Whole } else { Ended::GaveUp }
            }
        };
        if self.storage.stopped() {
            self.collect()?;
            return Ok(Ended::Stopped);
        }
        Ok(gone)
    }

    pub(super) fn house(&mut self) -> &mut House {
        self.house.as_mut().expect("a program runs on an open journal")
    }

    fn append(&mut self, shapes: &[Shape]) -> Result<Ended, Finding> {
        let mut events = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let owed: [Owed; DESTINATIONS] = std::array::from_fn(|place| {
                if shape.targets >> place & 1 == 0 || !self.named[place] {
                    Owed::Never
                } else if self.dropping[place] {
                    Owed::Settled
                } else {
                    Owed::Yes
                }
            });
            let event = self.model.offer(shape.head, shape.body, owed);
            if shape.delay > 0 {
                let not_before = self.clock.now().plus(Duration::from_millis(u64::from(shape.delay)));
                self.model.events[event].not_before = not_before;
            }
            events.push((event, *shape));
        }
        self.hand_in(&events)
    }

    fn retry(&mut self) -> Result<Ended, Finding> {
        let Some(event) = self.house().voided.pop() else { return Ok(Ended::Whole) };
        self.model.events[event].fate = Fate::Offered;
        self.hand_in(&[(event, Shape::of(0, 0))])
    }

    fn hand_in(&mut self, events: &[(usize, Shape)]) -> Result<Ended, Finding> {
        let now = self.clock.now();
        let house = self.house.as_mut().expect("a program runs on an open journal");
        let records = events.iter().map(|(event, shape)| record(&self.model, house, *event, *shape, now)).collect();
        match house.journal.append(records) {
            Ok(pending) => {
                let promised_early = events.iter().all(|(_, shape)| shape.buffered);
                house.here.extend(events.iter().map(|(event, _)| *event));
                // A buffered one among others may come later, and proves nothing.
                let buffered = events.iter().filter(|(_, shape)| shape.buffered).map(|(event, _)| *event).collect();
                let events = events.iter().filter(|(_, shape)| !shape.buffered).map(|(event, _)| *event).collect();
                house.waiting.push(Waiting { pending, events, buffered, promised_early, replaying: None });
                Ok(Ended::Whole)
            }
            Err(refused) => {
                for (event, _) in events {
                    self.model.void(*event);
                    house.voided.push(*event);
                }
                match refused {
                    Refused::Failed if !self.failing && !self.storage.stopped() => {
                        Err("the journal gave up without a failure".to_owned())
                    }
                    Refused::TooLarge { max } if max > 32 << 10 => {
                        Err(format!("a record was too large for a journal that takes {max} bytes"))
                    }
                    Refused::Failed => Ok(Ended::GaveUp),
                    Refused::Busy | Refused::Full | Refused::Closed | Refused::TooLarge { .. } => Ok(Ended::Whole),
                }
            }
        }
    }

    /// Releases a backlog; what is offered until the writer did it may go with it or not.
    fn release(&mut self, destination: usize) -> Ended {
        if !self.named[destination] {
            return Ended::Whole;
        }
        let house = self.house();
        house.journal.drop_backlog(house.ids[destination]);
        let kept = house.kept.iter().filter(|(lane, ..)| *lane == destination).map(|(lane, event, _)| (*lane, *event));
        house.released.extend(kept);
        for owed in self.model.events.iter_mut().map(|known| &mut known.owed[destination]) {
            // One that is dying is still owed.
            if matches!(*owed, Owed::Yes | Owed::Dead) {
                *owed = Owed::Settled;
            }
        }
        self.dropping[destination] = true;
        Ended::Whole
    }

    fn erase(&mut self, which: u16) -> Ended {
        let promised = |known: &Known| matches!(known.fate, Fate::Promised { .. }) && known.erased != Erased::Done;
        let events: Vec<usize> =
            (0..self.model.events.len()).filter(|event| promised(&self.model.events[*event])).collect();
        if let Some(event) = events.get(usize::from(which) % events.len().max(1)) {
            let id = self.model.events[*event].id;
            self.model.events.iter_mut().filter(|known| known.id == id).for_each(|known| known.erased = Erased::Asked);
            self.storage.note(format!("event {event} is to be erased"));
            self.house().journal.erase(id);
        }
        Ended::Whole
    }

    /// Lets the writer work until it is idle; then what was to be erased is gone from every file.
    pub(super) fn flush(&mut self) -> Result<Ended, Finding> {
        let asked = self.model.events.iter().any(|known| known.erased != Erased::No);
        let mut ended = self.write(u32::MAX)?;
        for _ in 0..if asked { 3 } else { 0 } {
            if ended != Ended::Whole || self.storage.stopped() {
                break;
            }
            self.hand.advance(self.options.outcome_delay);
            ended = self.write(u32::MAX)?;
        }
        if ended == Ended::Whole && !self.failing && !self.storage.stopped() {
            self.dropping = [false; DESTINATIONS];
        }
        if asked && ended == Ended::Whole && !self.failing && !self.storage.stopped() {
            let files = self.storage.files();
            self.model.erase(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))?;
        }
        Ok(ended)
    }

    /// Lets the writer work for so many rounds, or until it has nothing to do.
    pub(super) fn write(&mut self, rounds: u32) -> Result<Ended, Finding> {
        for _ in 0..rounds.min(10_000) {
            match self.house().writer.step() {
                Step::Worked => {}
                Step::Idle { .. } => return self.collect().map(|()| Ended::Whole),
                Step::Closed => return Err("the writer says closed and nobody closed it".to_owned()),
                Step::Fatal(error) => {
                    self.collect()?;
                    if self.failing || self.storage.stopped() {
                        return Ok(Ended::GaveUp);
                    }
                    return Err(format!("the writer gave up on a sound storage: {error}"));
                }
            }
            if self.storage.stopped() {
                break;
            }
        }
        if rounds == u32::MAX && !self.storage.stopped() {
            return {
                let w = &self.house().writer;
                Err(format!("the writer is never idle {:?} {:?}", w.house, w.active))
            };
        }
        self.collect().map(|()| Ended::Whole)
    }

    /// Takes in what the journal says of the fates of records, and holds it against the model.
    pub(super) fn collect(&mut self) -> Result<(), Finding> {
        let Some(house) = self.house.as_mut() else { return Ok(()) };
        house.journal.release();
        for (event, fate) in house.take_fates() {
            match fate {
                Ok(seq) => {
                    self.storage.note(format!("receipt {seq} for event {event}"));
                    self.model.promise(event, seq)?;
                }
                Err(()) => {
                    if !self.failing && !self.storage.stopped() {
                        return Err(format!("event {event} was taken in and then void on a sound storage"));
                    }
                    self.model.void(event);
                    house.void(event);
                }
            }
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut still = Vec::new();
        for mut waiting in std::mem::take(&mut house.waiting) {
            match Pin::new(&mut waiting.pending).poll(&mut context) {
                Poll::Pending => still.push(waiting),
                Poll::Ready(fate) if let Some(replaying) = waiting.replaying => {
                    let sound = !self.failing && !self.storage.stopped();
                    super::again::told(&mut self.model, house, replaying, fate.ok(), sound)?;
                }
                Poll::Ready(_) if waiting.promised_early => {}
                Poll::Ready(Ok(receipt)) => {
                    for event in waiting.events {
                        let Fate::Promised { .. } = self.model.events[event].fate else {
                            return Err(format!("a receipt ({receipt:?}) for event {event}, whose fate is not told"));
                        };
                    }
                }
                Poll::Ready(Err(_)) => {
                    let void = |event: &usize| self.model.events[*event].fate == Fate::Void;
                    let sound = !self.failing && !self.storage.stopped();
                    if sound || !waiting.events.iter().chain(&waiting.buffered).any(void) {
                        return Err(format!("void, yet none of {:?} was void", waiting.events));
                    }
                }
            }
        }
        house.waiting = still;
        Ok(())
    }

    fn deliver(&mut self, lane: usize, most: u8, how: How) -> Result<Ended, Finding> {
        self.collect()?;
        if !self.named[lane] {
            return Ok(Ended::Whole);
        }
        let now = self.clock.now();
        for _ in 0..most {
            let Some(delivery) = self.house().take(lane, now)? else { break };
            let event = self.house.as_mut().expect("open").check(&mut self.model, lane, &delivery, now)?;
            self.storage.note(format!("event {event} as {} (first {}) to {lane}", delivery.seq, delivery.origin_seq));
            if how == How::Keep {
                self.house().kept.push((lane, event, delivery));
            } else {
                self.settle(lane, event, delivery, how);
            }
        }
        Ok(Ended::Whole)
    }

    pub(super) fn settle_kept(&mut self, how: How) -> Result<Ended, Finding> {
        if how == How::Keep {
            return Ok(Ended::Whole);
        }
        for (lane, event, delivery) in std::mem::take(&mut self.house().kept) {
            self.settle(lane, event, delivery, how);
        }
        Ok(Ended::Whole)
    }

    pub(super) fn settle(&mut self, lane: usize, event: usize, delivery: crate::journal::Delivery, how: How) {
        let now = self.clock.now();
        let attempt = delivery.attempt + 1;
        let answer = self.model.events[event].head.slice(..self.model.events[event].head.len().min(20));
        let stale = self.house().stale.contains(&(event, delivery.origin_seq));
        // What was in hand when its backlog was released may be owed no more: how it went counts or not.
        let released = self.dropping[lane] || self.house().released.contains(&(lane, event));
        let counts = !stale && !released;
        let mut nobody = Owed::Yes;
        let owed = if !counts { &mut nobody } else { &mut self.model.events[event].owed[lane] };
        let settlement = match how {
            How::Delivered => {
                *owed = Owed::Settled;
                Settlement::Delivered
            }
            How::Dead => {
                *owed = Owed::Dead;
                Settlement::Dead { reason: 7, attempt, status: 410, answer }
            }
            How::Again => Settlement::Again { at: now.plus(Duration::from_secs(3)), attempt, status: 500, answer },
            How::Hold => Settlement::Hold { at: now.plus(Duration::from_millis(700)) },
            How::Return | How::Keep => Settlement::Return,
        };
        let house = self.house();
        if counts && matches!(how, How::Delivered | How::Dead) {
            house.settled.insert((lane, event));
        }
        if !stale {
            house.in_hand.remove(&(lane, event));
        }
        house.lane(lane).settle(delivery, settlement);
    }

    /// Closes in peace; then even a power cut takes nothing, settled or not.
    fn reopen(&mut self) -> Result<Ended, Finding> {
        let ended = self.close()?;
        if ended != Ended::Whole {
            return Ok(ended);
        }
        self.restart(Stop::Power(super::platter::Survival::Nothing));
        if self.open()? { Ok(Ended::Whole) } else { Ok(Ended::GaveUp) }
    }

    /// Closes in peace.
    pub(super) fn close(&mut self) -> Result<Ended, Finding> {
        self.house().journal.close();
        for _ in 0..10_000 {
            match self.house().writer.step() {
                Step::Worked => {}
                Step::Idle { .. } => return Err("closed, and the writer waits for something".to_owned()),
                Step::Closed => {
                    self.collect()?;
                    if let Some(waiting) = self.house().waiting.first() {
                        return Err(format!("closed, and events {:?} still wait", waiting.events));
                    }
                    let house = self.house.take().expect("it was open");
                    if self.storage.stopped() {
                        return Ok(Ended::Stopped);
                    }
                    // Where a grave could not be dug, the event stays owed.
                    if !self.failing {
                        self.model.close(&house.settled);
                    }
                    return Ok(Ended::Whole);
                }
                Step::Fatal(error) => {
                    self.collect()?;
                    if self.failing || self.storage.stopped() {
                        return Ok(Ended::GaveUp);
                    }
                    return Err(format!("the writer gave up while closing a sound storage: {error}"));
                }
            }
        }
        Err("closed, and the writer never ends".to_owned())
    }

    /// The machine stops and starts again, in the same plan; the journal is not open yet.
    pub(super) fn restart(&mut self, stop: Stop) {
        self.storage.stop();
        self.house = None;
        self.model.stop();
        self.dropping = [false; DESTINATIONS];
        self.storage = self.storage.restart(stop);
    }

    /// This machine after it stopped and started again, beside the one that stopped.
    pub(super) fn after(&self, stop: Stop) -> Self {
        let (clock, hand) = Clock::manual(self.clock.now());
        let mut model = self.model.clone();
        model.stop();
        Self {
            storage: self.storage.reboot(stop),
            model,
            options: self.options.clone(),
            plans: self.plans.clone(),
            hand,
            clock,
            failing: self.failing,
            named: self.named,
            extras: self.extras,
            dropping: [false; DESTINATIONS],
            damaged: self.damaged,
            house: None,
        }
    }

    /// Opens a copy of this machine, takes everything it owes, and judges that. Returns the calls its opening took.
    pub(super) fn check(&self) -> Result<u64, Finding> {
        let copy = self.storage.fork(self.storage.calls());
        let before = copy.calls();
        let (clock, hand) = Clock::manual(self.clock.now());
        let (mut house, report) = House::open(&copy, &self.options, &clock, &self.plans, [true; DESTINATIONS])
            .map_err(|error| format!("the journal refused to open: {error}"))?;
        if !self.damaged && !report.damage.is_empty() {
            return Err(format!("a crash was reported as damage: {:?}", report.damage));
        }
        let calls = copy.calls() - before;
        let view = house.drain(&hand, &clock)?;
        self.model.clone().judge(&view)?;
        Ok(calls)
    }
}
