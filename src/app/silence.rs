//! Which source has fallen silent?
//!
//! A provider that switched a webhook off sends no error: it sends nothing. Where the operator said how often something is
//! to be expected, silence is an alarm: a gauge, and one line when it begins and one when it ends.
//!
//! Promises: silence is counted from the last proven event, and before the first one from when the source was first looked
//! after, so that neither a start nor a reload is an alarm; one that lasts through a restart is told again after a whole
//! period. What is judged takes `now`.
//!
//! Must not know: how events come in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::metrics::{Metrics, SourceMetrics};

/// The sources of which something is expected. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence(Arc<Mutex<Vec<Watched>>>);

#[derive(Debug)]
struct Watched {
    name: Arc<str>,
    every: Duration,
    since: Timestamp,
    metrics: Arc<SourceMetrics>,
}

/// What became of a source's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Begins,
    Ends,
}

impl Silence {
    /// Looks after the sources of this configuration from now on. One that was looked after before is so still.
    pub(super) fn follow(&self, config: &Config, metrics: &Metrics, now: Timestamp) {
        let expected = config.sources.iter().filter_map(|source| Some((&source.name, source.expect_every?)));
        self.expect(expected.map(|(name, every)| (Arc::clone(name), every, metrics.source(name, &[]))), now);
    }

    fn expect(&self, sources: impl Iterator<Item = (Arc<str>, Duration, Arc<SourceMetrics>)>, now: Timestamp) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *watched);
        watched.extend(sources.map(|(name, every, metrics)| {
            let since = before.iter().find(|known| known.name == name).map_or(now, |known| known.since);
            Watched { name, every, since, metrics }
        }));
        for gone in before.iter().filter(|known| !watched.iter().any(|still| still.name == known.name)) {
            gone.metrics.freshness.silent.set(0);
        }
    }

    /// Looks at all of them, and says in the log what has changed.
    pub(super) fn look(&self, now: Timestamp) {
        for watched in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let Some(change) = watched.judge(now) else { continue };
            let (source, expect_every_seconds) = (&*watched.name, watched.every.as_secs());
            match change {
                Change::Begins => tracing::warn!(source, expect_every_seconds, "silent: no event came for too long"),
                Change::Ends => tracing::info!(source, expect_every_seconds, "silent no longer: an event came"),
            }
        }
    }
}

impl Watched {
    /// Sets the gauge; tells only what was otherwise when it was looked last.
    fn judge(&self, now: Timestamp) -> Option<Change> {
        // The gauge knows whole seconds: the event came before the end of that one.
        let last = u64::try_from(self.metrics.last_event.get()).ok().filter(|last| *last > 0);
        let last = last.map_or(Timestamp::ZERO, |last| Timestamp::from_secs(last + 1));
        let silent = now.since(last.max(self.since)) > self.every;
        let before = self.metrics.freshness.silent.get() != 0;
        self.metrics.freshness.silent.set(i64::from(silent));
        match (before, silent) {
            (false, true) => Some(Change::Begins),
            (true, false) => Some(Change::Ends),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000;
    const EVERY: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Timestamp {
        Timestamp::from_secs(START + second)
    }

    struct House {
        silence: Silence,
        metrics: Metrics,
    }

    impl House {
        fn new(sources: &[&str], since: u64) -> Self {
            let house = Self { silence: Silence::default(), metrics: Metrics::new() };
            house.expect(sources, EVERY, since);
            house
        }

        fn expect(&self, sources: &[&str], every: Duration, now: u64) {
            let sources = sources.iter().map(|name| (Arc::from(*name), every, self.metrics.source(name, &[])));
            self.silence.expect(sources, at(now));
        }

        fn event(&self, source: &str, second: u64) {
            let last = i64::try_from(START + second).unwrap();
            self.metrics.source(source, &[]).last_event.set(last);
        }

        fn judge(&self, second: u64) -> Vec<(String, Change)> {
            let watched = self.silence.0.lock().unwrap();
            let changes = watched.iter().filter_map(|one| Some((one.name.to_string(), one.judge(at(second))?)));
            changes.collect()
        }

        fn silent(&self, source: &str) -> bool {
            self.metrics.source(source, &[]).freshness.silent.get() == 1
        }
    }

    /// What is told at these seconds of one source that is looked after from 0 on, with events at those.
    #[track_caller]
    fn check(events: &[u64], looks: std::ops::Range<u64>, expected: &[(u64, Change)]) {
        let house = House::new(&["s"], 0);
        let mut told = Vec::new();
        for second in looks {
            if events.contains(&second) {
                house.event("s", second);
            }
            told.extend(house.judge(second).into_iter().map(|(_, change)| (second, change)));
        }
        assert_eq!(told, expected, "{events:?}");
    }

    #[test]
    fn silence_begins_once_and_ends_once() {
        use Change::{Begins, Ends};
        check(&[], 0..61, &[]);
        check(&[], 0..1_000, &[(61, Begins)]);
        check(&[500], 0..550, &[(61, Begins), (500, Ends)]);
        check(&[10, 70, 130], 0..190, &[]);
        check(&[10, 70, 130], 0..1_000, &[(192, Begins)]);
        check(&[10, 72], 0..100, &[]);
        check(&[10, 73], 0..100, &[(72, Begins), (73, Ends)]);
        check(&[10, 100, 300], 0..310, &[(72, Begins), (100, Ends), (162, Begins), (300, Ends)]);
    }

    #[test]
    fn a_reload_is_no_event_and_no_alarm() {
        let house = House::new(&["old"], 0);
        assert_eq!(house.judge(61), [("old".to_owned(), Change::Begins)]);
        // One that is new is looked after from then on; one that was silent is so still, and is not told again.
        house.expect(&["new", "old"], EVERY, 100);
        assert_eq!((house.judge(160), house.silent("old"), house.silent("new")), (vec![], true, false));
        assert_eq!(house.judge(161), [("new".to_owned(), Change::Begins)]);
        // More patience ends it; who is expected no longer is not silent.
        house.expect(&["old"], EVERY * 10, 200);
        assert_eq!(house.judge(201), [("old".to_owned(), Change::Ends)]);
        assert!(!house.silent("new"));
    }

    #[test]
    fn a_clock_that_jumps_cries_once_at_most() {
        let house = House::new(&["s"], 1_000);
        house.event("s", 1_000);
        assert!(house.judge(0).is_empty());
        assert!(house.judge(1_060).is_empty());
        assert_eq!(house.judge(100_000), [("s".to_owned(), Change::Begins)]);
        assert_eq!(house.judge(1_060), [("s".to_owned(), Change::Ends)]);
    }
}
