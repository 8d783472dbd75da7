//! What is to be written of how deliveries went?
//!
//! Promises: no outcome leaves here for the disk before its event is durable.
//!
//! Must not know: who made the deliveries.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::journal::event::{Death, Stored};

/// What one batch takes of one lane.
const DELIVERED_MAX: usize = 1000;
const FAILED_MAX: usize = 8;
const DEAD_MAX: usize = 32;
const UNLISTED_MAX: usize = 1000;
/// Failures, each with up to 1 KiB of an answer, that may wait for the disk; events with their bodies that become dead
/// letters, and how many bytes of them; and deliveries. At the bound the lane hands nothing out.
pub(crate) const FAILED_WAITING_MAX: usize = 256;
const DYING_WAITING_MAX: usize = 32;
pub(crate) const DYING_BYTES_MAX: u64 = 1 << 20;
pub(crate) const DELIVERED_WAITING_MAX: usize = 1 << 16;

/// An attempt that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) seq: u64,
    pub(crate) event_id: [u8; 16],
    pub(crate) attempts: u32,
    pub(crate) at: Timestamp,
    pub(crate) status: u16,
    pub(crate) answer: Bytes,
}

/// An event that becomes a dead letter: first the letter is synced, then its death is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Dying {
    pub(crate) stored: Stored,
    pub(crate) death: Death,
    pub(crate) answer: Bytes,
    /// Head and body are not to be had: damaged or erased.
    pub(crate) bare: bool,
}

/// A death whose letter is durable, or of which there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dead {
    /// The sequence that is owed no more.
    pub(crate) seq: u64,
    /// The sequence in the letter: it may have been carried forward while it died.
    pub(crate) letter: u64,
    pub(crate) death: Death,
}

/// Outcomes of one destination that are not on disk yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) delivered: Vec<u64>,
    pub(crate) failed: Vec<Failed>,
    pub(crate) dying: Vec<Dying>,
    pub(crate) dead: Vec<Dead>,
    /// Dead letters that are none any more, by the sequences in them.
    pub(crate) unlisted: Vec<u64>,
    /// All that is owed was released.
    pub(crate) dropped: bool,
}

impl Outcomes {
    /// Whether nothing is left that a log record must say.
    pub(crate) fn is_empty(&self) -> bool {
        let lists = self.delivered.is_empty() && self.failed.is_empty() && self.dead.is_empty();
        lists && self.unlisted.is_empty() && !self.dropped
    }

    /// Whether more waits for the disk than may grow any further.
    pub(crate) fn are_many(&self) -> bool {
        self.failed.len() >= FAILED_WAITING_MAX
            || self.delivered.len() >= DELIVERED_WAITING_MAX
            || self.dying.len() >= DYING_WAITING_MAX
            || (!self.dying.is_empty() && self.dying_bytes() >= DYING_BYTES_MAX)
    }

    fn dying_bytes(&self) -> u64 {
        self.dying.iter().map(|dying| dying.stored.weight()).sum()
    }

    /// Takes what may be written: outcomes of events up to `durable`, and not more than fit the smallest segment.
    pub(crate) fn take(&mut self, durable: u64) -> Self {
        let mut taken = Self {
            delivered: take_some(&mut self.delivered, DELIVERED_MAX, |seq| *seq <= durable),
            failed: take_some(&mut self.failed, FAILED_MAX, |failed| failed.seq <= durable),
            dying: Vec::new(),
            dead: take_some(&mut self.dead, DEAD_MAX, |dead| dead.seq <= durable),
            unlisted: Vec::new(),
            dropped: std::mem::take(&mut self.dropped),
        };
        if self.dead.is_empty() {
            // None of these is listed again by a record of its death that comes later.
            taken.unlisted = take_some(&mut self.unlisted, UNLISTED_MAX, |_| true);
        }
        taken
    }

    /// Whether there is something to do: letters to write, or what [`Outcomes::take`] would take.
    pub(crate) fn has_durable(&self, durable: u64) -> bool {
        !self.dying.is_empty() || self.has_records(durable)
    }

    /// Whether [`Outcomes::take`] would take something.
    pub(crate) fn has_records(&self, durable: u64) -> bool {
        self.dropped
            || self.delivered.iter().any(|seq| *seq <= durable)
            || self.failed.iter().any(|failed| failed.seq <= durable)
            || self.dead.iter().any(|dead| dead.seq <= durable)
            || (!self.unlisted.is_empty() && self.dead.is_empty())
    }

    /// The oldest sequence of which something final is not on disk yet.
    pub(crate) fn oldest(&self) -> Option<u64> {
        if self.dropped {
            // All that was owed before is released by a record that is not written yet.
            return Some(0);
        }
        self.delivered.iter().copied().chain(self.dead.iter().map(|dead| dead.seq)).min()
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&mut self, mut older: Self) {
        self.delivered.append(&mut older.delivered);
        self.failed.append(&mut older.failed);
        self.dead.append(&mut older.dead);
        self.unlisted.append(&mut older.unlisted);
        self.dropped |= older.dropped;
    }

    /// Forgets what was said of a sequence that was voided; whether there was anything final.
    pub(crate) fn forget(&mut self, seq: u64) -> bool {
        let before = self.delivered.len() + self.dead.len();
        self.delivered.retain(|known| *known != seq);
        self.failed.retain(|failed| failed.seq != seq);
        self.dead.retain(|dead| dead.seq != seq);
        self.dying.retain(|dying| dying.stored.seq != seq);
        before > self.delivered.len() + self.dead.len()
    }
}

fn take_some<T>(from: &mut Vec<T>, most: usize, wanted: impl Fn(&T) -> bool) -> Vec<T> {
    if from.len() <= most && from.iter().all(&wanted) {
        return std::mem::take(from);
    }
    from.extract_if(.., |one| wanted(one)).take(most).collect()
}
