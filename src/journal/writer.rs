//! Who writes?
//!
//! One thread. A round takes what is queued, writes it in one piece, syncs once, and publishes the batch; between batches
//! it keeps house: spares, checkpoints, letters, carrying forward, expiry. In a rush it lets records gather (at most 0.5 ms).
//!
//! Promises: nothing is published before a sync that covers it returned; after a failed sync nothing is written to that
//! segment any more; after a second one in a row nothing at all.
//!
//! Must not know: the runtime; it wakes one waker per batch.

mod batch;
mod chores;
mod configure;
mod erase;
mod expire;
mod gather;
mod outcomes;
mod reading;
mod roll;
mod space;

pub(crate) use roll::{Spare, open_segment, prepare, segment_of};

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ConfigureError;
use super::dead::Graves;
use super::frame::Seal;
use super::inbox::{Item, Plan};
use super::lane::{Dying, Failing};
use super::release::Done;
use super::repeats::Repeats;
use super::segment::{End, Identity};
use super::shared::Shared;
use super::storage::{File, Guard, Storage};
use crate::clock::Timestamp;

/// The one who writes. There is one per journal.
#[derive(Debug)]
pub struct Writer {
    pub(in crate::journal) shared: Arc<Shared>,
    pub(in crate::journal) storage: Arc<dyn Storage>,
    /// The lock goes when the writer does.
    pub(in crate::journal) _guard: Box<dyn Guard>,
    pub(in crate::journal) identity: Identity,
    pub(in crate::journal) epoch: u32,
    pub(in crate::journal) opening: [u8; 16],
    /// Where the log ended before this opening.
    pub(in crate::journal) opened_after: End,
    pub(in crate::journal) active: Active,
    pub(in crate::journal) graves: Graves,
    pub(in crate::journal) repeats: Repeats,
    pub(in crate::journal) house: House,
    pub(in crate::journal) taken: Taken,
}

/// The segment that is written.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
    pub(crate) seal: Seal,
    /// Where records start.
    pub(crate) start: u64,
    /// Everything below is durable; the next record goes here.
    pub(crate) end: u64,
    /// The last sequence that is durable, here or before.
    pub(crate) last_seq: u64,
}

/// What was taken out of the inbox and is not written yet.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    items: Vec<Item>,
    next: usize,
    scratch: Vec<u8>,
    done: Vec<Done>,
}

/// What the writer must remember about keeping house.
#[derive(Debug, Default)]
pub(crate) struct House {
    pub(crate) spares: Vec<Spare>,
    pub(crate) spare_next: u64,
    /// Files found at the opening that are to be zeroed first.
    pub(crate) unclean: Vec<u64>,
    pub(crate) files_max: u64,
    /// Files being made by the helper.
    pub(crate) making: u64,
    /// Making a spare failed; not again before that time.
    pub(crate) spare_pause: Option<Timestamp>,
    /// Failures to write or sync since the last success.
    pub(crate) failures: u32,
    pub(crate) must_roll: bool,
    pub(crate) fatal: Option<io::ErrorKind>,
    pub(crate) mark_due: Option<Timestamp>,
    pub(crate) outcome_due: Option<Timestamp>,
    /// Outcomes wait for their events to become durable.
    pub(crate) outcomes_left: bool,
    pub(crate) last_batch: Timestamp,
    pub(crate) checkpoint_due: Timestamp,
    pub(crate) checkpoint_next: u64,
    /// The segment that the last durable checkpoint stands in, and the last one that failed.
    pub(crate) checkpointed: u64,
    pub(crate) checkpoint_failed: u64,
    /// The helper has one.
    pub(crate) checkpointing: bool,
    /// Nothing can be written for want of a segment.
    pub(crate) stuck: bool,
    /// Records were written since the last checkpoint.
    pub(crate) dirty: bool,
    pub(crate) dying: Vec<Dying>,
    pub(crate) dying_pause: Option<Timestamp>,
    /// Old sequences whose new records wait in the queue.
    pub(crate) carrying: BTreeSet<u64>,
    pub(crate) erasing: Vec<Erasing>,
    /// What was erased: deliveries in flight may still hold its bytes.
    pub(crate) erased: std::collections::VecDeque<[u8; 16]>,
    pub(crate) erase_pause: Option<Timestamp>,
    /// When each lane's oldest event is to be looked at again.
    pub(crate) age_due: Vec<Timestamp>,
    pub(crate) failing: Failing,
    pub(crate) survey_due: Timestamp,
    pub(crate) retire_due: Timestamp,
    pub(crate) free: u64,
    /// Nothing is free, but something can be given up.
    pub(crate) hope: bool,
    pub(crate) disk_free: u64,
    /// The last batch was a crowd: records gather for so long before the next one.
    pub(crate) gather: Option<Duration>,
    /// A batch was written: a chore has its turn.
    pub(crate) chore_turn: bool,
    #[cfg(test)]
    pub(crate) batches: u32,
    pub(crate) ended: bool,
    pub(crate) helper: Option<chores::Helper>,
    pub(crate) configuring: Option<configure::Configuring>,
}

/// An event that is to be erased.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Erasing {
    pub(crate) event_id: [u8; 16],
    /// All below this sequence was queued when it was asked for, and is written first.
    pub(crate) later: u64,
    /// The intent is durable.
    pub(crate) stated: bool,
}

/// What a round did.
#[derive(Debug)]
pub enum Step {
    /// Something; there may be more.
    Worked,
    /// Nothing, and nothing to do before that time unless something is queued or settled.
    Idle {
        /// When a mark, an outcome or a checkpoint is due.
        until: Timestamp,
    },
    /// The journal is closed and everything is on disk.
    Closed,
    /// Nothing can be made durable any more: the process must end, non-zero.
    Fatal(io::Error),
}

impl Writer {
    /// One round: take what is queued, write, sync, publish. Never waits for work. Chores (spares, checkpoints, carrying,
    /// expiry, dedup) are done in rounds of their own, a bounded piece each.
    pub fn step(&mut self) -> Step {
        if let Some(kind) = self.house.fatal {
            return Step::Fatal(kind.into());
        }
        match self.round() {
            Ok(step) => step,
            Err(error) => {
                self.give_up(&error);
                Step::Fatal(error)
            }
        }
    }

    /// What a fresh opening has to find out before the first append.
    pub(in crate::journal) fn begin_house(&mut self, now: Timestamp) {
        self.house.checkpoint_due = now;
        self.survey(now);
    }

    /// Rounds until the journal is closed; to be called on a thread of its own.
    ///
    /// # Errors
    /// The failure after which nothing can be made durable any more.
    pub fn run(mut self) -> io::Result<()> {
        self.house.helper = Some(chores::Helper::start(Arc::clone(&self.storage), Arc::clone(&self.shared))?);
        loop {
            match self.step() {
                Step::Worked => gather::pass(self.pause()),
                Step::Idle { until } => self.wait(until),
                Step::Closed => return Ok(()),
                Step::Fatal(error) => return Err(error),
            }
        }
    }

    /// How long records may gather now: not at all while some that were taken wait already.
    pub(in crate::journal) fn pause(&mut self) -> Option<Duration> {
        let wait = self.house.gather.take();
        wait.filter(|_| !self.has_items())
    }

    /// Sleeps until there is something, or until that time.
    fn wait(&self, until: Timestamp) {
        let now = self.shared.clock.now();
        // Outcomes may wait a little: only a long sleep is to be broken by them.
        let long = until.since(now) > self.shared.options.outcome_delay;
        self.shared.dozing.store(long, Ordering::SeqCst);
        let mut inbox = self.shared.inbox();
        let helped = self.house.helper.as_ref().is_some_and(chores::Helper::has_done);
        let asked = !inbox.commands.is_empty() || inbox.configure.is_some();
        let quiet = inbox.items.is_empty() && !asked && !inbox.closed && !helped;
        if quiet && !(long && self.shared.has_outcomes()) {
            inbox.asleep = true;
            let sleep = until.since(now).max(Duration::from_millis(1));
            let woken = self.shared.wake.wait_timeout(inbox, sleep);
            let (mut inbox, _) = woken.unwrap_or_else(std::sync::PoisonError::into_inner);
            inbox.asleep = false;
        }
        self.shared.dozing.store(false, Ordering::SeqCst);
    }

    fn round(&mut self) -> io::Result<Step> {
        let now = self.shared.clock.now();
        let closing = self.collect();
        if self.house.must_roll {
            self.replace()?;
            return Ok(Step::Worked);
        }
        if self.configure_chore(now)? {
            return Ok(Step::Worked);
        }
        if std::mem::take(&mut self.house.chore_turn) && self.chore(now)? {
            return Ok(Step::Worked);
        }
        if self.erase_due(now) {
            self.erase_now(now);
            return Ok(Step::Worked);
        }
        let unstated = !self.house.stuck && self.house.erasing.iter().any(|erasing| !erasing.stated);
        if self.has_items() || self.outcomes_due(now, closing) || unstated {
            self.batch(now)?;
            return Ok(Step::Worked);
        }
        if self.chore(now)? {
            return Ok(Step::Worked);
        }
        if self.house.mark_due.is_some_and(|due| closing || now >= due) {
            self.mark(now)?;
            return Ok(Step::Worked);
        }
        if closing {
            return self.end(now);
        }
        Ok(Step::Idle { until: self.next_due(now) })
    }

    const fn has_items(&self) -> bool {
        self.taken.next < self.taken.items.len()
    }

    /// Takes over what is queued once all that was taken before is written. Whether the journal is closing.
    fn collect(&mut self) -> bool {
        let mut inbox = self.shared.inbox();
        let closing = inbox.closed;
        let taken = &mut self.taken;
        if taken.next >= taken.items.len() && !inbox.items.is_empty() {
            taken.items.clear();
            taken.scratch.clear();
            taken.next = 0;
            std::mem::swap(&mut taken.items, &mut inbox.items);
            std::mem::swap(&mut taken.scratch, &mut inbox.scratch);
        }
        if inbox.items.is_empty() {
            let (free, hope) = (self.house.free, self.house.hope);
            inbox.plan = Plan { tail: self.active.end, free, hope, ..inbox.plan };
            for item in &taken.items[taken.next..] {
                inbox.plan.place(u64::from(item.length));
            }
            self.shared.queue_changed(&inbox);
        }
        let starved = std::mem::take(&mut inbox.starved);
        let commands = std::mem::take(&mut inbox.commands);
        let configure = inbox.configure.take();
        drop(inbox);
        if let Some(asked) = configure {
            self.house.configuring = Some(configure::Configuring::new(asked));
        }
        if starved {
            self.house.survey_due = Timestamp::ZERO;
        }
        for command in commands {
            self.obey(command);
        }
        closing
    }

    fn outcomes_due(&mut self, now: Timestamp, closing: bool) -> bool {
        if !self.shared.has_outcomes() {
            return false;
        }
        let delay = self.shared.options.outcome_delay;
        let due = *self.house.outcome_due.get_or_insert_with(|| now.plus(delay));
        // A clock that was set back must not hold them up.
        closing || now >= due || due.since(now) > delay
    }

    fn next_due(&self, now: Timestamp) -> Timestamp {
        let house = &self.house;
        let options = &self.shared.options;
        let quiet = now.since(house.last_batch) > options.mark_delay + options.mark_delay;
        let idle = now.plus(if quiet && !house.hope { Duration::from_secs(1) } else { options.outcome_delay });
        let checkpoint = house.dirty.then_some(house.checkpoint_due);
        let dues = [house.mark_due, house.outcome_due.filter(|_| self.shared.has_outcomes()), checkpoint];
        dues.into_iter().flatten().fold(idle, Timestamp::min).max(now)
    }

    /// Everything is written: a last mark stands, and a last checkpoint.
    fn end(&mut self, now: Timestamp) -> io::Result<Step> {
        if !self.house.ended {
            self.finish_chores();
            self.write_letters(now);
            if !self.house.stuck && self.lanes_have_outcomes() {
                self.shared.outcome_noted();
                return Ok(Step::Worked);
            }
            self.house.ended = true;
            self.checkpoint_now(now);
        }
        let waker = self.shared.releases().end();
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(Step::Closed)
    }

    fn lanes_have_outcomes(&self) -> bool {
        let durable = self.shared.durable.load(Ordering::Acquire);
        self.shared.known().lanes.iter().any(|cell| cell.state().outcomes.has_durable(durable))
    }

    /// Nothing can be made durable any more: says so to everybody who waits.
    fn give_up(&mut self, error: &io::Error) {
        self.house.fatal = Some(error.kind());
        let queued = {
            let mut inbox = self.shared.inbox();
            inbox.failed = true;
            std::mem::take(&mut inbox.items)
        };
        self.refuse_change(ConfigureError::Ended);
        let left = self.taken.items.split_off(self.taken.next);
        let (mut upto, mut lost) = (0, 0);
        let mut voids = Vec::new();
        for mut item in left.into_iter().chain(queued) {
            upto = upto.max(item.seq);
            lost += u64::from(item.buffered);
            voids.push(item.seq);
            if let Some(then) = item.then.take() {
                self.taken.done.push(Done { seq: item.seq, then, durable: false });
            }
        }
        if let Some(metrics) = &self.shared.options.metrics {
            metrics.buffered_lost.inc_by(lost);
        }
        let mut releases = self.shared.releases();
        releases.void(voids);
        let waker = releases.report(upto, &mut self.taken.done, &[]);
        let ended = releases.end();
        drop(releases);
        for waker in waker.into_iter().chain(ended) {
            waker.wake();
        }
    }
}
