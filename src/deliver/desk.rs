//! Who takes which event next?
//!
//! The one place that a lane's task and its workers share: what is owed (the journal's lane), how fast it may go (the
//! pace), who has nothing to do. A worker that ends an attempt settles it and takes the next one in the same breath; the
//! lane's task is needed only when everybody waits.
//!
//! Promises: what is taken is settled or returned, also when a worker panics; attempts and bytes in flight are bounded;
//! the last worker to become idle is the first to be given something, so that the rest can go home.
//!
//! Must not know: connections.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::callers::{AWAITED, Callers};
use crate::clock::{Clock, Timestamp};
use crate::journal::{Delivery, Lane, ReadJob, Settlement, Taken, Tenants};
use crate::metrics::DestinationMetrics;
use crate::retry::{Blame, Gate, Next, Outcome, Pass};

use super::attempt::{Ended, Heard};
use super::awaited;
use super::client::Network;
use super::pace::{Dice, Pace, Patience, Step, Turn, step};
use super::plan::Destination;
use super::throttle::Throttle;
use super::whose::TenantNames;
use super::work::Work;
use super::{Death, Ending, House};

/// How many events may be taken and put back, because it is not their time, before somebody else gets a turn.
const HOLDS: usize = 64;

/// One destination's desk.
#[derive(Debug)]
pub(super) struct Desk {
    /// The destination's name, which never changes.
    pub(super) name: Box<str>,
    /// What attempts go by that begin now.
    to: ArcSwap<Destination>,
    pub(super) clock: Clock,
    pub(super) network: Network,
    pub(super) tenants: TenantNames,
    pub(super) metrics: Arc<DestinationMetrics>,
    /// Set when the house closes: the last moment for attempts under way.
    pub(super) stop: OnceLock<Instant>,
    /// Told when the lane's task should look again.
    pub(super) bell: Notify,
    pub(super) lane: Lane,
    callers: Callers,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    throttle: Option<Throttle>,
    patience: Patience,
    dice: Dice,
    seats: Vec<Seat>,
    /// Seats whose worker has nothing to do; the last one in is the first one out.
    idle: Vec<u16>,
    /// Seats without a worker.
    vacant: Vec<u16>,
    running: u16,
    bytes: u64,
    closing: bool,
    /// The destination is not configured: nothing is begun.
    paused: bool,
    /// The last try to take something ended at a bound, not at the end of what is owed.
    bounded: bool,
    jobs: Vec<ReadJob>,
    /// When to look again, as far as is known, and when the lane's task will.
    until: Option<Timestamp>,
    armed: Option<Timestamp>,
}

/// The place of one worker.
#[derive(Debug, Default)]
struct Seat {
    waker: Option<Waker>,
    given: Option<Work>,
    idle: bool,
}

/// Which workers are to be started.
pub(super) type Hired = Vec<u16>;

impl Desk {
    pub(super) fn new(
        to: Arc<Destination>,
        lane: Lane,
        metrics: Arc<DestinationMetrics>,
        house: &House,
        seed: u64,
    ) -> Self {
        let state = State {
            pace: Pace::new(to.concurrency),
            throttle: to.throttle,
            patience: Patience::default(),
            dice: Dice::new(seed),
            seats: Vec::new(),
            idle: Vec::new(),
            vacant: Vec::new(),
            running: 0,
            bytes: 0,
            closing: false,
            paused: false,
            bounded: false,
            jobs: Vec::new(),
            until: None,
            armed: None,
        };
        let (name, to, state) = (to.name().into(), ArcSwap::new(to), Mutex::new(state));
        let House { clock, network, tenants, callers, .. } = house.clone();
        let (stop, bell) = (OnceLock::new(), Notify::new());
        Self { name, to, clock, network, tenants, metrics, stop, bell, lane, callers, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what is owed to whoever has nothing to do. The workers named are to be started; each has something already.
    pub(super) fn hand_out(&self) -> Hired {
        let mut state = self.state();
        self.hand_out_locked(&mut state, self.clock.now())
    }

    fn hand_out_locked(&self, state: &mut State, now: Timestamp) -> Hired {
        let mut hired = Hired::new();
        state.until = None;
        state.bounded = false;
        while let Some(work) = self.take(state, now) {
            if let Some(seat) = state.idle.pop() {
                let seat = &mut state.seats[usize::from(seat)];
                seat.idle = false;
                seat.given = Some(work);
                if let Some(waker) = &seat.waker {
                    waker.wake_by_ref();
                }
            } else {
                hired.push(state.hire(work));
            }
        }
        hired
    }

    /// Takes the next event, if there is one and it may be attempted now.
    fn take(&self, state: &mut State, now: Timestamp) -> Option<Work> {
        let to = self.to.load();
        for _ in 0..HOLDS {
            if state.paused {
                return None;
            }
            let limit = state.pace.limit(now);
            let full = state.running >= limit || (state.bytes >= to.bytes && state.running > 0);
            if state.closing || full {
                state.bounded = true;
                if state.running < to.concurrency {
                    state.look_again(state.pace.rises());
                }
                return None;
            }
            if let Some(until) = state.throttle.as_mut().and_then(|throttle| throttle.too_early(now)) {
                state.look_again(Some(until));
                return None;
            }
            let (pass, taken) = match state.pace.gate(now) {
                Gate::Go => (Pass::Go, self.lane.next(now)),
                Gate::Probe => (Pass::Probe, self.probe(state.pace.probe_skip(), now)),
                Gate::Wait(until) => {
                    state.look_again(Some(until));
                    return None;
                }
                Gate::Probing => return None,
            };
            let mut delivery = match taken {
                Taken::Delivery(delivery) => delivery,
                Taken::Read(job) => {
                    state.pace.unused(pass);
                    state.jobs.push(job);
                    continue;
                }
                Taken::Idle { until } => {
                    state.pace.unused(pass);
                    state.look_again(until);
                    return None;
                }
            };
            match step(&to.policy.schedule, delivery.attempt, delivery.slotless, delivery.since(), now) {
                Step::Attempt(number) => return Some(self.begin(state, &to, delivery, (number, pass), now)),
                // A probe is for the destination's sake, and some event has to be it.
                Step::Hold(_, number) if pass == Pass::Probe => {
                    return Some(self.begin(state, &to, delivery, (number, pass), now));
                }
                Step::Hold(at, number) => {
                    delivery.attempt = number - 1;
                    self.lane.settle(delivery, Settlement::Hold { at });
                }
            }
        }
        // There may be more; not before somebody else had a turn.
        state.look_again(Some(now));
        None
    }

    fn probe(&self, skip: usize, now: Timestamp) -> Taken {
        match self.lane.probe(skip, now) {
            // There are not that many: from the beginning again.
            Taken::Idle { .. } if skip > 0 => self.lane.probe(0, now),
            taken => taken,
        }
    }

    fn begin(
        &self,
        state: &mut State,
        to: &Arc<Destination>,
        delivery: Delivery,
        (number, pass): (u32, Pass),
        now: Timestamp,
    ) -> Work {
        if let Some(throttle) = &mut state.throttle {
            throttle.begin(now);
        }
        let bytes = (delivery.head.len() + delivery.body.len()) as u64;
        state.running += 1;
        state.bytes += bytes;
        self.metrics.running.inc();
        let (to, span) = (Arc::clone(to), state.dice.roll());
        // The mark alone says nothing: who waited may be gone, or wait for another destination.
        let marked = delivery.flags & AWAITED != 0;
        let courier = marked.then(|| self.callers.courier(&delivery.event_id, self.lane.destination())).flatten();
        Work { to, delivery, number, span, courier, pass, bytes, began: Instant::now() }
    }

    /// Settles what was attempted and puts the next in its place, if any. Should that go wrong, what is not settled is
    /// still the worker's, to be abandoned.
    pub(super) fn settle(&self, hand: &mut Option<Work>, mut ended: Ended) -> Hired {
        let answered = ended.take_awaited();
        let now = self.clock.now();
        let mut state = self.state();
        let Some(settlement) = hand.as_ref().map(|work| self.judge(&mut state, work, ended, now)) else {
            return Hired::new();
        };
        if let Some(Work { mut delivery, number, bytes, courier, .. }) = hand.take() {
            if let Some(courier) = courier {
                awaited::tell(&courier, answered, &settlement, now);
            }
            state.end(bytes);
            self.metrics.running.dec();
            if matches!(settlement, Settlement::Hold { .. }) {
                delivery.attempt = number - 1;
            }
            self.lane.settle(delivery, settlement);
        }
        *hand = self.take(&mut state, now);
        // There may be room for more than this one, if what bounded the last try was not the end of what is owed.
        let hired = if hand.is_some() && state.bounded { self.hand_out_locked(&mut state, now) } else { Hired::new() };
        if state.is_news() {
            self.bell.notify_one();
        }
        hired
    }

    /// What becomes of an event after this end of an attempt.
    fn judge(&self, state: &mut State, work: &Work, ended: Ended, now: Timestamp) -> Settlement {
        // Another address, another concurrency: how it went with the last one says nothing of the pace of this one.
        let current = Arc::ptr_eq(&work.to, &self.to.load());
        let Heard { outcome, status, answer, detail, awaited: _ } = match ended {
            Ended::Heard(heard) => heard,
            Ended::Stopped => {
                self.unused(state, work);
                return Settlement::Return;
            }
            Ended::Unsendable(why) => {
                self.unused(state, work);
                self.metrics.outcomes.count(Ending::Unsendable as usize);
                return self.bury(work, Death::from(why), 0, Bytes::new());
            }
        };
        self.count(work, &outcome, now);
        if !current && matches!(outcome, Outcome::Destination { .. }) {
            return Settlement::Return;
        }
        let random = state.dice.roll();
        let (turn, blame) = if current {
            state.pace.record(work.pass, &outcome, tenant(&work.delivery.tenants), now, random)
        } else {
            (Turn::None, Blame::Nobody)
        };
        self.tell(state, turn, &outcome, detail);
        // A fault that only this event's tenant sees is the event's, and goes by its schedule.
        let outcome = if blame == Blame::Event { outcome.against_event() } else { outcome };
        if !matches!(outcome, Outcome::Destination { .. }) {
            state.patience.forget(work.delivery.seq);
        }
        let age = now.since(work.delivery.since());
        match work.to.policy.next(work.number, age, &outcome, random.rotate_left(32)) {
            Next::Done => Settlement::Delivered,
            Next::At(pause) => Settlement::Again { at: now.plus(pause), attempt: work.number, status, answer },
            // The breaker sets the pace for all of them, and the oldest goes first.
            Next::Return(_) if state.pace.is_away() => Settlement::Return,
            // It is not this event that brought it about.
            Next::Return(pause) if outcome.unreached() => Settlement::Hold { at: now.plus(pause) },
            Next::Return(pause) => Settlement::Hold { at: now.plus(state.patience.again(work.delivery.seq, pause)) },
            Next::Dead(reason) => self.bury(work, reason.into(), status, answer),
        }
    }

    fn bury(&self, work: &Work, why: Death, status: u16, answer: Bytes) -> Settlement {
        self.metrics.dead_letters.inc();
        debug!(destination = &*self.name, seq = work.delivery.seq, reason = why.reason(), "event given up");
        Settlement::Dead { reason: why as u16, attempt: work.number, status, answer }
    }

    fn count(&self, work: &Work, outcome: &Outcome, now: Timestamp) {
        self.metrics.outcomes.count(Ending::of(outcome) as usize);
        self.metrics.attempt.observe(work.began.elapsed().as_secs_f64());
        if work.number == 1 && matches!(outcome, Outcome::Delivered { .. }) {
            self.metrics.first_delivery.observe(now.since(work.delivery.since()).as_secs_f64());
        }
        debug!(
            destination = &*self.name,
            seq = work.delivery.seq,
            attempt = work.number,
            outcome = Ending::of(outcome).word(),
            "attempt ended"
        );
    }

    fn tell(&self, state: &mut State, turn: Turn, outcome: &Outcome, detail: Option<String>) {
        let (name, fault) = (&*self.name, Ending::of(outcome).word());
        match turn {
            Turn::None => {}
            Turn::Away => {
                self.metrics.breaker_open.set(1);
                warn!(destination = name, fault, detail, "destination is left in peace");
            }
            Turn::Back => {
                state.bounded = true;
                self.metrics.breaker_open.set(0);
                info!(destination = name, "destination is back");
            }
        }
    }

    /// What was let pass did not become an attempt; a pace that was not asked need not hear of it.
    fn unused(&self, state: &mut State, work: &Work) {
        if Arc::ptr_eq(&work.to, &self.to.load()) {
            state.pace.unused(work.pass);
        }
    }

    /// Attempts that begin from now on go by this; those under way end by what they began with. Whatever was known of
    /// how the destination is doing is forgotten.
    pub(super) fn replace(&self, to: Arc<Destination>) {
        let mut state = self.state();
        state.pace = Pace::new(to.concurrency);
        // Who is promised a rate gets no more because of a reload.
        state.throttle = to.throttle.map(|throttle| throttle.after(state.throttle));
        state.patience = Patience::default();
        self.metrics.breaker_open.set(0);
        self.to.store(to);
        drop(state);
        self.bell.notify_one();
    }

    /// Begins nothing, or begins again.
    pub(super) fn pause(&self, paused: bool) {
        self.state().paused = paused;
        self.bell.notify_one();
    }

    /// Puts back what a worker could not finish.
    pub(super) fn abandon(&self, work: Work) {
        let mut state = self.state();
        state.end(work.bytes);
        self.unused(&mut state, &work);
        self.metrics.running.dec();
        self.lane.settle(work.delivery, Settlement::Return);
        self.bell.notify_one();
    }

    /// What a worker with nothing to do is to do; `None` if the house closes.
    pub(super) fn poll_errand(&self, seat: u16, context: &Context<'_>) -> Poll<Option<Work>> {
        let mut state = self.state();
        let closing = state.closing;
        let place = &mut state.seats[usize::from(seat)];
        if !place.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            place.waker = Some(context.waker().clone());
        }
        if place.given.is_some() || closing {
            return Poll::Ready(place.given.take());
        }
        if !place.idle {
            place.idle = true;
            state.idle.push(seat);
        }
        Poll::Pending
    }

    /// A worker goes home, unless it was given something in the meantime. To be called until it says nothing, and no more:
    /// then the seat is somebody else's.
    pub(super) fn leave(&self, seat: u16) -> Option<Work> {
        let mut state = self.state();
        let place = &mut state.seats[usize::from(seat)];
        if let Some(work) = place.given.take() {
            return Some(work);
        }
        *place = Seat::default();
        state.idle.retain(|other| *other != seat);
        state.vacant.push(seat);
        None
    }

    /// When the lane's task should look again if nothing happens, and what it should have read.
    pub(super) fn agenda(&self) -> (Option<Timestamp>, Vec<ReadJob>) {
        let mut state = self.state();
        state.armed = state.until;
        (state.until, std::mem::take(&mut state.jobs))
    }

    /// Takes nothing new from now on; what runs may go on until then.
    pub(super) fn close(&self, stop: Instant) {
        // Closing twice changes nothing.
        self.stop.get_or_init(|| stop);
        let mut state = self.state();
        state.closing = true;
        for seat in &state.seats {
            if let Some(waker) = &seat.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// A time between zero and `most`.
    pub(super) fn delay(&self, most: Duration) -> Duration {
        self.state().dice.pause(most)
    }
}

impl State {
    fn look_again(&mut self, at: Option<Timestamp>) {
        self.until = [self.until, at].into_iter().flatten().min();
    }

    fn end(&mut self, bytes: u64) {
        self.running -= 1;
        self.bytes -= bytes;
    }

    /// Whether the lane's task should look again before it would.
    fn is_news(&self) -> bool {
        let sooner = self.until.is_some_and(|until| self.armed.is_none_or(|armed| until < armed));
        sooner || !self.jobs.is_empty()
    }

    /// A seat for a worker that is to be started. There are never more than may run at the same time.
    fn hire(&mut self, work: Work) -> u16 {
        let seat = self.vacant.pop().unwrap_or_else(|| {
            self.seats.push(Seat::default());
            u16::try_from(self.seats.len() - 1).expect("not more seats than the concurrency, which is a u16")
        });
        self.seats[usize::from(seat)].given = Some(work);
        seat
    }
}

/// Whose failures these are, for the breaker.
fn tenant(tenants: &Tenants) -> u64 {
    match tenants {
        Tenants::One(tenant) => *tenant,
        Tenants::None | Tenants::Mixed(_) => 0,
    }
}
