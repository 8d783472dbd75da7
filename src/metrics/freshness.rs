//! How fresh is what a source says, has it fallen silent, and which of its secrets does it use?
//!
//! Promises: an observation takes a few atomic steps and no memory; the median of the last events is worked out when
//! somebody looks. A time that lies ahead of ours is a negative delay and shows as such: somebody's clock is wrong. Labels
//! are the source's name, and of a secret its place in the configuration or the name the provider file asks for it by,
//! never anything of the secret.
//!
//! Must not know: what is late, and when silence is an alarm.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Histogram, HistogramVec, IntGauge, IntGaugeVec};

use super::{Declare, opts};
use crate::clock::Timestamp;

/// From a clock that is ahead by minutes over what is usual (a second or two: many providers tell whole seconds) to
/// events that were tried again for days.
const DELAYS: &[f64] = &[
    -300.0, -60.0, -10.0, -2.0, -1.0, -0.1, 0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    7200.0, 43_200.0, 86_400.0, 259_200.0,
];

/// How many events the median is of.
const RECENT: usize = 64;
/// Stands in a place of [`Recent`] that nothing has been put in.
const NOTHING: i64 = i64::MIN;

/// What is known of a source's clock, silence and secrets.
#[derive(Debug)]
pub struct Freshness {
    /// 1 while nothing has come for longer than was expected.
    pub silent: IntGauge,
    delay: Histogram,
    recent: Arc<Recent>,
    /// By proof and key.
    used: Box<[Box<[IntGauge]>]>,
}

impl Freshness {
    /// An event came now that happened then, as its provider says.
    pub fn event(&self, now: Timestamp, then: Timestamp) {
        let delay = micros_since(now, then);
        self.delay.observe(seconds(delay));
        self.recent.put(delay);
    }

    /// This key of this proof proved a request; places that were not declared count nothing.
    pub fn secret_used(&self, proof: u8, key: u8, now: Timestamp) {
        if let Some(gauge) = self.used.get(usize::from(proof)).and_then(|keys| keys.get(usize::from(key))) {
            gauge.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// The median delay of the last events, in seconds; `None` where no event told its time.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.recent.median().map(seconds)
    }
}

/// Negative if `then` lies ahead.
fn micros_since(now: Timestamp, then: Timestamp) -> i64 {
    let micros = |time: Timestamp| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    // Neither is negative, so that the difference fits and is not `NOTHING`.
    micros(now) - micros(then)
}

fn seconds(micros: i64) -> f64 {
    let size = Duration::from_micros(micros.unsigned_abs()).as_secs_f64();
    if micros < 0 { -size } else { size }
}

/// The last delays, in microseconds, in no order.
#[derive(Debug)]
struct Recent {
    delays: [AtomicI64; RECENT],
    next: AtomicUsize,
}

impl Recent {
    fn new() -> Self {
        Self { delays: std::array::from_fn(|_| AtomicI64::new(NOTHING)), next: AtomicUsize::new(0) }
    }

    fn put(&self, delay: i64) {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % RECENT;
        self.delays[place].store(delay, Ordering::Relaxed);
    }

    /// The lower of the two in the middle where their number is even.
    fn median(&self) -> Option<i64> {
        let all = self.delays.iter().map(|delay| delay.load(Ordering::Relaxed));
        let mut known: Vec<i64> = all.filter(|delay| *delay != NOTHING).collect();
        known.sort_unstable();
        known.get(known.len().checked_sub(1)? / 2).copied()
    }
}

/// The families of all sources.
pub(super) struct Families {
    silent: IntGaugeVec,
    delay: HistogramVec,
    used: IntGaugeVec,
    recents: Arc<Mutex<BTreeMap<String, Arc<Recent>>>>,
}

impl Families {
    pub(super) fn new(declare: &Declare<'_>) -> Self {
        let by = &["source"];
        let recents = Arc::default();
        declare.put(Medians::new(Arc::clone(&recents)));
        Self {
            silent: declare.gauges(
                "source_silent",
                "1 while no proven event has come for longer than `expect-every`; 0 where nothing is expected.",
                by,
            ),
            delay: declare.histograms(
                "source_event_delay_seconds",
                "From when an event happened, as its provider says, to its arrival; negative where a clock is wrong.",
                by,
                DELAYS,
            ),
            used: declare.gauges(
                "source_secret_last_used_timestamp_seconds",
                "When this secret last proved an event, by its place in `secrets` or its name in `values`; 0 if it has \
                 not since the start.",
                &["source", "secret"],
            ),
            recents,
        }
    }

    /// The handles of a source; `secrets` names the keys of each of its proofs.
    pub(super) fn of(&self, name: &str, secrets: &[Vec<Box<str>>]) -> Freshness {
        let mut recents = self.recents.lock().unwrap_or_else(PoisonError::into_inner);
        // A source that is built again goes on where it was.
        let recent = recents.entry(name.to_owned()).or_insert_with(|| Arc::new(Recent::new()));
        let gauge = |secret: &str| self.used.with_label_values(&[name, secret]);
        Freshness {
            silent: self.silent.with_label_values(&[name]),
            delay: self.delay.with_label_values(&[name]),
            recent: Arc::clone(recent),
            used: secrets.iter().map(|keys| keys.iter().map(|secret| gauge(secret)).collect()).collect(),
        }
    }
}

/// A gauge per source whose events told their time; there is none for the others, rather than one that lies.
struct Medians {
    gauges: GaugeVec,
    recents: Arc<Mutex<BTreeMap<String, Arc<Recent>>>>,
}

impl Medians {
    fn new(recents: Arc<Mutex<BTreeMap<String, Arc<Recent>>>>) -> Self {
        let help = "Median of source_event_delay_seconds over the last 64 events; below 0 a clock is wrong.";
        let gauges = GaugeVec::new(opts("source_event_delay_median_seconds", help), &["source"]);
        Self { gauges: gauges.expect("a valid name"), recents }
    }
}

impl Collector for Medians {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (name, recent) in self.recents.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(median) = recent.median() {
                self.gauges.with_label_values(&[name]).set(seconds(median));
            }
        }
        self.gauges.collect().into_iter().filter(|family| !family.get_metric().is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// The median after these delays, in milliseconds, came in this order.
    #[track_caller]
    fn check(delays: impl IntoIterator<Item = i64>, expected: Option<f64>) {
        let metrics = Metrics::new();
        let source = metrics.source("s", &[]);
        for delay in delays {
            let by = Duration::from_millis(delay.unsigned_abs());
            source.freshness.event(NOW, if delay < 0 { NOW.plus(by) } else { NOW.minus(by) });
        }
        assert_eq!(source.freshness.median(), expected);
        let line = "porteiro_source_event_delay_median_seconds{source=\"s\"} ";
        let text = metrics.render();
        let shown = text.lines().find_map(|shown| shown.strip_prefix(line)).map(|value| value.parse().unwrap());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn the_median_is_of_the_last_events_and_a_clock_that_is_wrong_is_below_zero() {
        check([], None);
        check([250], Some(0.25));
        check([3_000, 1_000, 2_000], Some(2.0));
        check([4_000, 1_000, 2_000, 3_000], Some(2.0));
        check([0, 0], Some(0.0));
        check([-90_000, -90_500, -89_500, 500, -90_000], Some(-90.0));
        // One that came a day late does not move it, and neither does what was long ago.
        check([86_400_000, 100, 100], Some(0.1));
        check((0..64).map(|_| 60_000).chain((0..64).map(|_| 100)), Some(0.1));
        check((0..64).map(|_| 60_000).chain((0..32).map(|_| 100)), Some(0.1));
        check((0..64).map(|_| 60_000).chain((0..31).map(|_| 100)), Some(60.0));
    }

    #[test]
    fn the_extremes_of_time_are_delays_like_any_other() {
        let micros = i64::MAX;
        assert_eq!(micros_since(Timestamp::MAX, Timestamp::ZERO), micros);
        assert_eq!(micros_since(Timestamp::ZERO, Timestamp::MAX), -micros);
        assert_eq!(micros_since(Timestamp::MAX, Timestamp::MAX), 0);
        assert!(seconds(-1_500_000) < -1.4);
    }

    #[test]
    fn early_and_late_events_are_told_apart_in_the_histogram() {
        let metrics = Metrics::new();
        let source = metrics.source("s", &[]);
        for seconds in [-45, 1, 90] {
            let by = Duration::from_secs(i64::unsigned_abs(seconds));
            source.freshness.event(NOW, if seconds < 0 { NOW.plus(by) } else { NOW.minus(by) });
        }
        let text = metrics.render();
        for (bound, count) in
            [("-60", 0), ("-10", 1), ("0", 1), ("0.5", 1), ("1", 2), ("60", 2), ("300", 3), ("+Inf", 3)]
        {
            let line = format!("porteiro_source_event_delay_seconds_bucket{{source=\"s\",le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_secret_is_known_by_its_place_and_what_is_not_declared_counts_nothing() {
        let metrics = Metrics::new();
        let keys = [vec!["1".into(), "2".into()], vec!["app-key".into()]];
        let source = metrics.source_proven_by("s", &[], &keys);
        source.freshness.secret_used(0, 1, NOW);
        source.freshness.secret_used(1, 0, NOW.plus(Duration::from_secs(5)));
        source.freshness.secret_used(1, 1, NOW);
        source.freshness.secret_used(2, 0, NOW);
        let text = metrics.render();
        let told: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("porteiro_source_secret_last_used_timestamp_seconds"))
            .collect();
        assert_eq!(
            told,
            [
                "{secret=\"1\",source=\"s\"} 0",
                "{secret=\"2\",source=\"s\"} 1800000000",
                "{secret=\"app-key\",source=\"s\"} 1800000005",
            ]
        );
    }

    #[test]
    fn a_source_that_is_built_again_goes_on_where_it_was() {
        let metrics = Metrics::new();
        metrics.source("s", &[]).freshness.event(NOW, NOW.minus(Duration::from_secs(3)));
        assert_eq!(metrics.source("s", &[]).freshness.median(), Some(3.0));
        assert_eq!(metrics.source("other", &[]).freshness.median(), None);
    }
}
