//! Who waits for which fate?
//!
//! The writer reports a batch here under one short lock and wakes one task; that task calls each `then`, wakes who waits,
//! and wakes the lanes, all on its own thread.
//!
//! Promises: a [`Pending`](super::Pending) is ready only after the `then`s of its records were called.
//!
//! Must not know: how the writer writes.

use std::task::{Context, Poll, Waker};

use super::record::{Receipt, StoreId, Then, Void};

/// The fates of sequences, known or awaited.
#[derive(Default)]
pub(crate) struct Releases {
    /// The fate of every sequence up to here is known to the writer.
    ready: u64,
    /// The same, and told to everybody.
    resolved: u64,
    voids: Vec<(u64, u64)>,
    /// Buffered records that were queued again: the old sequence and the new one, in that order of time.
    moved: Vec<(u64, u64)>,
    /// Something was voided or moved: everybody who waits is to look again.
    disturbed: bool,
    done: Vec<Done>,
    waiting: Vec<(u64, Waker)>,
    touched: Vec<u32>,
    waker: Option<Waker>,
    ended: bool,
}

pub(crate) struct Done {
    pub(crate) seq: u64,
    pub(crate) then: Then,
    pub(crate) durable: bool,
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Done({}, {})", self.seq, self.durable)
    }
}

/// How many stretches of voided sequences are remembered for those who ask late.
const VOIDS_MAX: usize = 4096;

impl std::fmt::Debug for Releases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Releases({} of {}, {} waiting)", self.resolved, self.ready, self.waiting.len())
    }
}

impl Releases {
    pub(crate) fn starting_at(seq: u64) -> Self {
        Self { ready: seq, resolved: seq, ..Self::default() }
    }

    /// What the writer knows now. Whom it returns is to be woken once the lock is let go.
    pub(crate) fn report(&mut self, ready: u64, done: &mut Vec<Done>, touched: &[u32]) -> Option<Waker> {
        self.ready = self.ready.max(ready);
        self.done.append(done);
        for lane in touched {
            if !self.touched.contains(lane) {
                self.touched.push(*lane);
            }
        }
        self.waker.take()
    }

    /// Rising sequences that will never be durable.
    pub(crate) fn void(&mut self, sequences: impl IntoIterator<Item = u64>) {
        self.disturbed = true;
        for seq in sequences {
            match self.voids.last_mut() {
                Some((_, to)) if *to + 1 == seq => *to = seq,
                _ => {
                    if self.voids.len() >= VOIDS_MAX {
                        self.voids.remove(0);
                    }
                    self.voids.push((seq, seq));
                }
            }
        }
    }

    /// There will be no more.
    pub(crate) fn end(&mut self) -> Option<Waker> {
        self.ended = true;
        self.waker.take()
    }

    /// A buffered record was queued again under another sequence.
    pub(crate) fn moved(&mut self, from: u64, to: u64) {
        self.disturbed = true;
        if self.moved.len() >= VOIDS_MAX {
            self.moved.remove(0);
        }
        self.moved.push((from, to));
    }

    /// The fate of the sequences from `first` to `last`.
    pub(crate) fn fate(&mut self, first: u64, last: u64, context: &Context<'_>) -> Poll<Result<(), Void>> {
        let mut upto = last;
        let mut moved = Vec::new();
        for (from, to) in &self.moved {
            if (first..=last).contains(from) || moved.contains(from) {
                moved.push(*to);
                upto = upto.max(*to);
            }
        }
        let told = |seq: u64| seq <= self.resolved;
        let voided = |first: u64, last: u64| {
            self.voids.iter().any(|(from, to)| *from <= last && first <= *to && told((*to).min(last)))
        };
        if voided(first, last) || moved.iter().any(|seq| voided(*seq, *seq)) {
            return Poll::Ready(Err(Void));
        }
        if told(upto) {
            return Poll::Ready(Ok(()));
        }
        match self.waiting.iter_mut().find(|(seq, waker)| *seq == upto && waker.will_wake(context.waker())) {
            Some(_) => {}
            None => self.waiting.push((upto, context.waker().clone())),
        }
        Poll::Pending
    }

    /// Takes what is to be told, first half: the `then`s to call.
    pub(crate) fn take_done(&mut self) -> (u64, Vec<Done>) {
        (self.ready, std::mem::take(&mut self.done))
    }

    /// Second half, after they were called: whom to wake, and which lanes.
    pub(crate) fn resolve(&mut self, upto: u64) -> (Vec<Waker>, Vec<u32>) {
        self.resolved = self.resolved.max(upto);
        let resolved = if std::mem::take(&mut self.disturbed) { u64::MAX } else { self.resolved };
        let wakers = self.waiting.extract_if(.., |(seq, _)| *seq <= resolved).map(|(_, waker)| waker).collect();
        (wakers, std::mem::take(&mut self.touched))
    }

    /// Whether there is something to tell; `Ready(false)` when there never will be again.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<bool> {
        if self.ready > self.resolved || !self.done.is_empty() || !self.touched.is_empty() {
            return Poll::Ready(true);
        }
        if self.ended {
            return Poll::Ready(false);
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Tells the fate of one record.
pub(crate) fn tell(done: Done, store: StoreId) {
    if done.durable {
        (done.then)(Ok(&Receipt { store, seq: done.seq }));
    } else {
        (done.then)(Err(Void));
    }
}
