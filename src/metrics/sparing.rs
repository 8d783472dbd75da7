//! Which lines that a stranger can cause are worth writing?
//!
//! Promises: of every reason the first line is written, and from then on at most one in ten seconds, which says how
//! many were left out; the state is one pair of numbers per word of a closed list, so that no flood makes it grow.
//!
//! Must not know: what the lines say.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::IntCounter;

use crate::clock::Timestamp;

/// Between two lines of the same reason.
const PAUSE: Duration = Duration::from_secs(10);

/// Decides for each word of a closed list whether a line about it is written now.
#[derive(Debug)]
pub struct Sparing {
    words: Box<[Word]>,
    left_out: IntCounter,
}

#[derive(Debug, Default)]
struct Word {
    /// Not before this instant, in microseconds.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Sparing {
    /// For a list of so many words; `left_out` counts the lines that were not written, of all words together.
    #[must_use]
    pub fn new(words: usize, left_out: IntCounter) -> Self {
        Self { words: (0..words).map(|_| Word::default()).collect(), left_out }
    }

    /// Asks to write a line about the word at this place: `Some` says how many lines were left out since the last one.
    pub fn speak(&self, place: usize, now: Timestamp) -> Option<u64> {
        let word = self.words.get(place)?;
        let next = word.next.load(Ordering::Relaxed);
        let until = now.plus(PAUSE).as_micros();
        // A clock that was set back must not silence a word for longer than one pause.
        let may = now.as_micros() >= next || next > until;
        if may && word.next.compare_exchange(next, until, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(word.left_out.swap(0, Ordering::Relaxed));
        }
        word.left_out.fetch_add(1, Ordering::Relaxed);
        self.left_out.inc();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_first_then_once_per_pause_with_the_count_left_out() {
        let sparing = Sparing::new(2, IntCounter::new("n", "n").unwrap());
        let at = |secs: u64| Timestamp::from_secs(1_000 + secs);
        let cases = [
            (0, 0, Some(0)),
            (0, 0, None),
            (0, 9, None),
            (1, 9, Some(0)),
            (0, 10, Some(2)),
            (0, 11, None),
            (0, 30, Some(1)),
            (2, 30, None),
        ];
        for (place, secs, expected) in cases {
            assert_eq!(sparing.speak(place, at(secs)), expected, "{place} at {secs}");
        }
        assert_eq!(sparing.left_out.get(), 3);
    }

    #[test]
    fn a_clock_set_back_does_not_silence_a_word() {
        let sparing = Sparing::new(1, IntCounter::new("n", "n").unwrap());
        assert_eq!(sparing.speak(0, Timestamp::from_secs(9_000)), Some(0));
        assert_eq!(sparing.speak(0, Timestamp::from_secs(1_000)), Some(0));
        assert_eq!(sparing.speak(0, Timestamp::from_secs(1_001)), None);
    }
}
