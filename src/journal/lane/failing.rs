//! Which segments cannot be read, and how often was that tried?
//!
//! Promises: a failure that passes costs nothing; after [`READ_TRIES`] of them one after the other what the medium has lost
//! of a segment is to be left out, and that stays so, as it does not come back. Each segment is counted by itself, whichever
//! are read in turn.
//!
//! Must not know: how a segment is read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;

/// After a read that failed the next one waits this long.
pub(crate) const READ_AGAIN: Duration = Duration::from_secs(1);
/// After so many reads of a segment that failed one after the other, what the medium has lost of it is given up.
pub(crate) const READ_TRIES: u32 = 5;

/// How often reads of a segment failed, and until when the next one waits.
#[derive(Clone, Copy, Debug)]
struct Tries {
    times: u32,
    again: Timestamp,
}

/// The segments whose reads fail, by their number; bounded by the segments there are.
#[derive(Debug, Default)]
pub(crate) struct Failing(BTreeMap<u64, Tries>);

impl Failing {
    /// Whether what the medium has lost of this segment is to be left out.
    pub(crate) fn is_worn(&self, segment: u64) -> bool {
        self.0.get(&segment).is_some_and(|tries| tries.times >= READ_TRIES)
    }

    /// Whether the last read of this segment failed.
    pub(crate) fn has_failed(&self, segment: u64) -> bool {
        self.0.contains_key(&segment)
    }

    /// Whether the next read of this segment waits.
    pub(crate) fn waits(&self, segment: u64, now: Timestamp) -> bool {
        self.0.get(&segment).is_some_and(|tries| now < tries.again && tries.again.since(now) <= READ_AGAIN)
    }

    /// When the first of those that wait may be read again.
    pub(crate) fn again(&self, now: Timestamp) -> Option<Timestamp> {
        let waiting = self.0.iter().filter(|(segment, _)| self.waits(**segment, now));
        waiting.map(|(_, tries)| tries.again).min()
    }

    /// A read of this segment failed; those before `oldest` are gone.
    pub(crate) fn failed(&mut self, segment: u64, oldest: u64, now: Timestamp) {
        self.0.retain(|number, _| *number >= oldest);
        let tries = self.0.entry(segment).or_insert(Tries { times: 0, again: now });
        *tries = Tries { times: tries.times.saturating_add(1), again: now.plus(READ_AGAIN) };
    }

    /// A read of this segment succeeded.
    pub(crate) fn succeeded(&mut self, segment: u64) {
        if !self.0.is_empty() && !self.is_worn(segment) {
            self.0.remove(&segment);
        }
    }
}
