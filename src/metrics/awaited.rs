//! How did those fare who waited for a destination's answer?
//!
//! Promises: a closed list of words; a source that does not answer in a destination's words has no such figures.
//!
//! Must not know: who waits, or how an answer comes.

use prometheus::IntCounter;

use super::Metrics;

/// How it ended that a caller should have heard a destination's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The answer was passed back.
    Passed,
    /// It did not come in time.
    Deadline,
    /// There was none that is passed back, and none can come in time.
    Failed,
    /// It was too large.
    TooLarge,
    /// It broke off.
    Broken,
    /// Too many callers waited.
    Crowded,
    /// The event is delivered later, because its tenant sends too much.
    Shaped,
    /// The house closed.
    Closing,
    /// The event's route does not lead to the destination.
    Elsewhere,
    /// The request was several events, and has no one answer.
    Several,
}

impl Waited {
    /// Every word, each at its place.
    const WORDS: [&'static str; 10] =
        ["passed", "deadline", "failed", "too_large", "broken", "crowded", "shaped", "closing", "elsewhere", "several"];
}

/// One counter for each way in which it can end.
#[derive(Clone, Debug)]
pub struct Waits(Box<[IntCounter]>);

impl Waits {
    /// Counts one more that ended like this.
    pub fn count(&self, how: Waited) {
        if let Some(counter) = self.0.get(how as usize) {
            counter.inc();
        }
    }

    /// How many ended like this.
    #[must_use]
    pub fn total(&self, how: Waited) -> u64 {
        self.0.get(how as usize).map_or(0, IntCounter::get)
    }
}

impl Metrics {
    /// What counts how the callers of this source fare who should hear a destination's answer.
    #[must_use]
    pub fn awaited(&self, source: &str) -> Waits {
        Waits(Waited::WORDS.iter().map(|word| self.sources.awaited.with_label_values(&[source, word])).collect())
    }
}
