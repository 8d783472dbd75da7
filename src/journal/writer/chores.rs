//! What is to be done between batches, and who does the slow part?
//!
//! Driven by hand, everything is done inline; on the writer's own thread, files are zeroed and checkpoints written by a
//! helper thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::{Erasing, Spare, Writer, prepare};
use crate::clock::Timestamp;
use crate::journal::checkpoint;
use crate::journal::inbox::Command;
use crate::journal::shared::Shared;
use crate::journal::storage::{File, Storage};

/// Slow work that needs nothing of the writer's.
#[derive(Debug)]
pub(super) enum Job {
    /// A file to be filled with zeros.
    Spare {
        /// Its number among the spares.
        number: u64,
        /// Itself, if it is there already, under its unclean name.
        file: Option<Arc<dyn File>>,
        /// Its size.
        size: u64,
    },
    /// A checkpoint to be written.
    Checkpoint {
        /// Its number.
        number: u64,
        /// The segment it stands in.
        segment: u64,
        /// All of it.
        bytes: Vec<u8>,
        /// To be synced before.
        dedup: Option<Arc<dyn File>>,
    },
}

/// What became of a [`Job`].
#[derive(Debug)]
pub(super) enum Done {
    Spare(io::Result<Spare>),
    /// The segment it stands in, and whether it is durable.
    Checkpoint(u64, bool),
}

fn work(job: Job, storage: &dyn Storage) -> Done {
    match job {
        Job::Spare { number, file, size } => Done::Spare(prepare(storage, number, file, size)),
        Job::Checkpoint { number, segment, bytes, dedup } => {
            let synced = dedup.map_or(Ok(()), |file| file.sync_data());
            // A checkpoint only shortens the next opening; the next one is written all the same.
            let written = synced.and_then(|()| checkpoint::write(storage, number, &bytes));
            Done::Checkpoint(segment, written.is_ok())
        }
    }
}

/// The thread that does the slow part. It ends when its writer does.
#[derive(Debug)]
pub(crate) struct Helper {
    jobs: SyncSender<Job>,
    done: Receiver<Done>,
    /// Results given, counted before they are sent, and taken.
    given: Arc<AtomicUsize>,
    taken: usize,
    out: usize,
}

impl Helper {
    pub(super) fn start(storage: Arc<dyn Storage>, shared: Arc<Shared>) -> io::Result<Self> {
        let (jobs, taken) = sync_channel::<Job>(4);
        let (give, done) = sync_channel::<Done>(4);
        let given = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&given);
        let body = move || {
            while let Ok(job) = taken.recv() {
                let done = work(job, &*storage);
                counted.fetch_add(1, Ordering::SeqCst);
                if give.send(done).is_err() {
                    return;
                }
                drop(shared.inbox());
                shared.wake.notify_one();
            }
        };
        drop(std::thread::Builder::new().name("journal-helper".to_owned()).spawn(body)?);
        Ok(Self { jobs, done, given, taken: 0, out: 0 })
    }

    pub(super) fn has_done(&self) -> bool {
        self.given.load(Ordering::SeqCst) != self.taken
    }

    /// Hands a job over; gives it back if there are enough already.
    fn give(&mut self, job: Job) -> Result<(), Job> {
        if self.out >= 3 {
            return Err(job);
        }
        self.jobs.try_send(job).map_err(|error| match error {
            std::sync::mpsc::TrySendError::Full(job) | std::sync::mpsc::TrySendError::Disconnected(job) => job,
        })?;
        self.out += 1;
        Ok(())
    }

    fn take(&mut self) -> Option<Done> {
        let done = self.done.try_recv().ok()?;
        self.taken += 1;
        self.out -= 1;
        Some(done)
    }

    fn wait(&mut self) -> Option<Done> {
        if self.out == 0 {
            return None;
        }
        let done = self.done.recv().ok()?;
        self.taken += 1;
        self.out -= 1;
        Some(done)
    }
}

/// After a spare could not be made, and after letters could not be written.
const PAUSE: Duration = Duration::from_secs(1);

impl Writer {
    /// One piece of housekeeping, if any is due.
    pub(super) fn chore(&mut self, now: Timestamp) -> io::Result<bool> {
        while let Some(done) = self.house.helper.as_mut().and_then(Helper::take) {
            self.done(done, now);
        }
        if now >= self.house.survey_due || self.house.survey_due.since(now) > PAUSE {
            self.survey(now);
        }
        if self.write_letters(now) {
            return Ok(true);
        }
        let paused = self.house.spare_pause.is_some_and(|until| now < until && until.since(now) <= PAUSE);
        if !paused {
            self.house.spare_pause = None;
            if self.spare_chore(now) {
                return Ok(true);
            }
        }
        if self.expire_chore(now) {
            return Ok(true);
        }
        if self.house.dirty && now >= self.house.checkpoint_due {
            self.checkpoint(now);
            return Ok(true);
        }
        Ok(false)
    }

    /// Does it now, or has it done.
    pub(super) fn delegate(&mut self, job: Job, now: Timestamp) {
        if matches!(job, Job::Spare { .. }) {
            self.house.making += 1;
        }
        let mine = match &mut self.house.helper {
            Some(helper) => helper.give(job).err(),
            None => Some(job),
        };
        if let Some(job) = mine {
            let done = work(job, &*self.storage);
            self.done(done, now);
        }
    }

    fn done(&mut self, done: Done, now: Timestamp) {
        match done {
            Done::Spare(made) => {
                self.house.making -= 1;
                self.house.survey_due = Timestamp::ZERO;
                match made {
                    Ok(spare) => self.house.spares.push(spare),
                    Err(_) => self.house.spare_pause = Some(now.plus(PAUSE)),
                }
            }
            Done::Checkpoint(segment, durable) => {
                self.house.checkpointing = false;
                if durable {
                    self.house.checkpointed = segment;
                } else {
                    self.house.checkpoint_failed = segment;
                    self.house.dirty = true;
                }
            }
        }
    }

    /// Waits for what the helper still does.
    pub(super) fn finish_chores(&mut self) {
        let now = self.shared.clock.now();
        while let Some(done) = self.house.helper.as_mut().and_then(Helper::wait) {
            self.done(done, now);
        }
    }

    pub(super) fn checkpoint(&mut self, now: Timestamp) {
        let job = self.checkpoint_job(now);
        self.house.checkpointing = true;
        self.delegate(job, now);
    }

    /// The last one, not left to the helper.
    pub(super) fn checkpoint_now(&mut self, now: Timestamp) {
        let job = self.checkpoint_job(now);
        drop(work(job, &*self.storage));
    }

    fn checkpoint_job(&mut self, now: Timestamp) -> Job {
        self.house.dirty = false;
        self.house.checkpoint_due = now.plus(self.shared.options.checkpoint_every);
        self.house.checkpoint_next += 1;
        let dedup = self.repeats.flush();
        self.shared.figures.dedup_entries.store(self.repeats.entries(), Ordering::Relaxed);
        let bytes = checkpoint::encode(self);
        Job::Checkpoint { number: self.house.checkpoint_next, segment: self.active.number, bytes, dedup }
    }

    /// Writes the letters of what died since, syncs them, and only then lets the deaths be recorded.
    pub(super) fn write_letters(&mut self, now: Timestamp) -> bool {
        let paused = self.house.dying_pause.is_some_and(|until| now < until && until.since(now) <= PAUSE);
        if self.house.dying.is_empty() || paused {
            return false;
        }
        let mut dying = std::mem::take(&mut self.house.dying);
        for dying in dying.iter_mut().filter(|dying| self.house.erased.contains(&dying.stored.event_id)) {
            dying.bare = true;
        }
        match self.graves.bury(&*self.storage, &self.shared, &dying, now) {
            Ok(count) => {
                let (done, left) = dying.split_at(count);
                self.house.dying = left.to_vec();
                for dying in done {
                    if let Some(cell) = self.shared.known().lane(dying.death.destination) {
                        cell.state().buried(dying.stored.seq, dying.death);
                    }
                }
                self.shared.outcome_noted();
            }
            Err(_) => {
                self.house.dying = dying;
                self.house.dying_pause = Some(now.plus(PAUSE));
            }
        }
        true
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Erase(event_id) => {
                let later = self.shared.inbox().next_seq;
                self.house.erasing.push(Erasing { event_id, later, stated: false });
            }
            Command::Drop(destination) => {
                if let Some(cell) = self.shared.known().lane(destination) {
                    cell.state().drop_all();
                    self.shared.outcome_noted();
                }
            }
            Command::Unlist(letter) => {
                if let Some(cell) = self.shared.known().lane(letter.destination) {
                    cell.state().unlist(letter.seq);
                    self.shared.outcome_noted();
                }
            }
        }
    }
}
