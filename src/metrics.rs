//! What can be counted, and under which name?
//!
//! Promises: every metric of the house is declared here, once, and owned by value; a label's value is a name from the
//! configuration or a word from a closed list, never a byte of a request; every label set exists from the moment its
//! source, destination or listener is built, so that `rate()` and alerts work from the first scrape.
//!
//! Must not know: what the figures mean to those who count. Names and units follow
//! <https://prometheus.io/docs/practices/naming/>.

mod awaited;
mod config;
mod freshness;
mod journal;
mod process;
mod routed;
mod sparing;
mod tenants;
mod would;

pub use awaited::{Waited, Waits};
pub use config::{ConfigMetrics, RELOADS};
pub use freshness::Freshness;
pub use journal::JournalMetrics;
pub use routed::Routed;
pub use sparing::Sparing;
pub use tenants::TenantMetrics;
pub use would::Would;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// From the microseconds of a LAN hop to the seconds of a destination in trouble.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_15, 0.000_2, 0.000_3, 0.000_5, 0.000_75, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Every metric of one Porteiro. Made once, by whoever assembles the house.
pub struct Metrics {
    registry: Registry,
    before_scrape: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
    listeners: ListenerFamilies,
    sources: SourceFamilies,
    destinations: DestinationFamilies,
    tenants: tenants::TenantFamilies,
    would: would::WouldFamilies,
    journal: Arc<JournalMetrics>,
    config: Arc<ConfigMetrics>,
    house: Arc<HouseMetrics>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All families, at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let declare = Declare(&registry);
        declare.put(process::Process::new());
        declare
            .gauges("build_info", "Always 1; the label tells which version runs.", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Self {
            before_scrape: Mutex::new(Vec::new()),
            listeners: ListenerFamilies::new(&declare),
            sources: SourceFamilies::new(&declare),
            destinations: DestinationFamilies::new(&declare),
            tenants: tenants::TenantFamilies::new(&declare),
            would: would::WouldFamilies::new(&declare),
            journal: Arc::new(JournalMetrics::new(&declare)),
            config: Arc::new(ConfigMetrics::new(&declare)),
            house: Arc::new(HouseMetrics::new(&declare)),
            registry,
        }
    }

    /// The handles of a listener. `closings` are the reasons for which it may close a connection unasked.
    #[must_use]
    pub fn listener(&self, name: &str, closings: &[&'static str]) -> Arc<ListenerMetrics> {
        let of = &self.listeners;
        Arc::new(ListenerMetrics {
            open: of.open.with_label_values(&[name]),
            accepted: of.accepted.with_label_values(&[name]),
            closings: Words::new(&of.closed, name, closings),
        })
    }

    /// The handles of a source. `outcomes` is the closed list of what may become of a request.
    #[must_use]
    pub fn source(&self, name: &str, outcomes: &[&'static str]) -> Arc<SourceMetrics> {
        self.source_proven_by(name, outcomes, &[])
    }

    /// As [`Metrics::source`]; `secrets` names the keys of each of its proofs, in the order of its verifier.
    #[must_use]
    pub fn source_proven_by(
        &self,
        name: &str,
        outcomes: &[&'static str],
        secrets: &[Vec<Box<str>>],
    ) -> Arc<SourceMetrics> {
        let of = &self.sources;
        Arc::new(SourceMetrics {
            outcomes: Words::new(&of.requests, name, outcomes),
            body_bytes: of.body_bytes.with_label_values(&[name]),
            unreadable: of.unreadable.with_label_values(&[name]),
            conflicts: of.conflicts.with_label_values(&[name]),
            parts: of.parts.with_label_values(&[name]),
            kept_whole: of.kept_whole.with_label_values(&[name]),
            last_event: of.last_event.with_label_values(&[name]),
            verified: of.verified.with_label_values(&[name]),
            acknowledged: of.acknowledged.with_label_values(&[name]),
            freshness: of.freshness.of(name, secrets),
        })
    }

    /// The handles of a destination. `outcomes` is the closed list of how an attempt may end.
    #[must_use]
    pub fn destination(&self, name: &str, outcomes: &[&'static str]) -> Arc<DestinationMetrics> {
        let of = &self.destinations;
        Arc::new(DestinationMetrics {
            outcomes: Words::new(&of.attempts, name, outcomes),
            attempt: of.attempt.with_label_values(&[name]),
            first_delivery: of.first_delivery.with_label_values(&[name]),
            running: of.running.with_label_values(&[name]),
            breaker_open: of.breaker_open.with_label_values(&[name]),
            dead_letters: of.dead_letters.with_label_values(&[name]),
            dead_kept: of.dead_kept.with_label_values(&[name]),
            backlog_events: of.backlog_events.with_label_values(&[name]),
            backlog_age: of.backlog_age.with_label_values(&[name]),
            parked: of.parked.with_label_values(&[name]),
        })
    }

    /// The handles of the journal.
    #[must_use]
    pub fn journal(&self) -> Arc<JournalMetrics> {
        Arc::clone(&self.journal)
    }

    /// The handles of the configuration.
    #[must_use]
    pub fn config(&self) -> Arc<ConfigMetrics> {
        Arc::clone(&self.config)
    }

    /// The handles that belong to no room alone.
    #[must_use]
    pub fn house(&self) -> Arc<HouseMetrics> {
        Arc::clone(&self.house)
    }

    /// Runs `refresh` before every scrape: for gauges that are cheaper to compute than to keep.
    pub fn before_scrape(&self, refresh: impl Fn() + Send + Sync + 'static) {
        self.before_scrape.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(refresh));
    }

    /// All figures in the text format 0.0.4 of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        for refresh in self.before_scrape.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            refresh();
        }
        let mut text = String::with_capacity(64 * 1024);
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text).expect("every family has a name and values");
        text
    }
}

/// One counter for each word of a closed list; counting by the word's place in the list takes no look-up.
#[derive(Debug)]
pub struct Words(Box<[IntCounter]>);

impl Words {
    fn new(family: &IntCounterVec, name: &str, words: &[&'static str]) -> Self {
        Self(words.iter().map(|word| family.with_label_values(&[name, word])).collect())
    }

    /// Counts one of the word at this place of the list that was declared; a place beyond it counts nothing.
    pub fn count(&self, place: usize) {
        self.add(place, 1);
    }

    /// Counts so many of the word at this place.
    pub fn add(&self, place: usize, count: u64) {
        if let Some(counter) = self.0.get(place) {
            counter.inc_by(count);
        }
    }

    /// The figure of the word at this place.
    #[must_use]
    pub fn total(&self, place: usize) -> u64 {
        self.0.get(place).map_or(0, IntCounter::get)
    }
}

/// Seconds, as Prometheus wants them.
#[must_use]
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// What a listener counts.
#[derive(Debug)]
pub struct ListenerMetrics {
    /// Connections open now.
    pub open: IntGauge,
    /// Connections accepted.
    pub accepted: IntCounter,
    /// Connections closed unasked, by reason.
    pub closings: Words,
}

struct ListenerFamilies {
    open: IntGaugeVec,
    accepted: IntCounterVec,
    closed: IntCounterVec,
}

impl ListenerFamilies {
    fn new(declare: &Declare<'_>) -> Self {
        Self {
            open: declare.gauges("connections", "Connections open now.", &["listener"]),
            accepted: declare.counters("connections_total", "Connections accepted.", &["listener"]),
            closed: declare.counters(
                "connections_closed_total",
                "Connections that Porteiro closed unasked, by reason.",
                &["listener", "reason"],
            ),
        }
    }
}

/// What ingress counts of a source.
#[derive(Debug)]
pub struct SourceMetrics {
    /// Requests answered, by what became of them.
    pub outcomes: Words,
    /// Bytes of bodies read.
    pub body_bytes: IntCounter,
    /// Proven bodies in which the selectors could not read.
    pub unreadable: IntCounter,
    /// Proven events whose key was known under another body.
    pub conflicts: IntCounter,
    /// Events that batches were split into, repeats of them too.
    pub parts: IntCounter,
    /// Batches that should have been split and went on whole, because they held too much.
    pub kept_whole: IntCounter,
    /// When the last proven event came, in seconds since the Unix epoch; 0 if none has since the start.
    pub last_event: IntGauge,
    /// From the arrival of the head to the proof.
    pub verified: Histogram,
    /// From the arrival of the head to the success reply.
    pub acknowledged: Histogram,
    /// How fresh its events are, whether it is silent, and which secrets it uses.
    pub freshness: Freshness,
}

struct SourceFamilies {
    requests: IntCounterVec,
    awaited: IntCounterVec,
    routed: IntCounterVec,
    body_bytes: IntCounterVec,
    unreadable: IntCounterVec,
    conflicts: IntCounterVec,
    parts: IntCounterVec,
    kept_whole: IntCounterVec,
    last_event: IntGaugeVec,
    verified: HistogramVec,
    acknowledged: HistogramVec,
    freshness: freshness::Families,
}

impl SourceFamilies {
    fn new(declare: &Declare<'_>) -> Self {
        let by = &["source"];
        Self {
            requests: declare.counters(
                "requests_total",
                "Requests answered, by what became of them; the source is `none` where no source matched.",
                &["source", "outcome"],
            ),
            awaited: declare.counters(
                "awaited_answers_total",
                "Requests that should have heard a destination's answer, by how that ended; of sources that pass them back.",
                &["source", "answer"],
            ),
            routed: declare.counters(
                "routed_events_total",
                "Proven, new events by the route that decided and what it did, or would do; `none` where none matched.",
                &["source", "route", "then"],
            ),
            body_bytes: declare.counters("request_body_bytes_total", "Bytes of request bodies read.", by),
            unreadable: declare.counters(
                "unreadable_events_total",
                "Proven events in whose body the selectors could not read.",
                by,
            ),
            conflicts: declare.counters(
                "conflicting_events_total",
                "Proven events whose id was known with another body; taken for new events.",
                by,
            ),
            parts: declare.counters(
                "batch_parts_total",
                "Proven events that are parts of batches that were split, repeats too.",
                by,
            ),
            kept_whole: declare.counters(
                "unsplit_batches_total",
                "Proven batches that went on whole because they held too much to be split.",
                by,
            ),
            last_event: declare.gauges(
                "source_last_event_timestamp_seconds",
                "When the last proven event came; 0 if none has since the start.",
                by,
            ),
            verified: declare.histograms("verified_seconds", "From the request's head to the proof.", by, SECONDS),
            acknowledged: declare.histograms(
                "ack_seconds",
                "From the request's head to the success reply.",
                by,
                SECONDS,
            ),
            freshness: freshness::Families::new(declare),
        }
    }
}

/// What deliver counts of a destination.
#[derive(Debug)]
pub struct DestinationMetrics {
    /// Attempts, by how they ended.
    pub outcomes: Words,
    /// How long an attempt took.
    pub attempt: Histogram,
    /// From the acceptance of an event to its success at this destination, where the first attempt succeeded.
    pub first_delivery: Histogram,
    /// Attempts running now.
    pub running: IntGauge,
    /// 1 while the breaker is open.
    pub breaker_open: IntGauge,
    /// Events given up.
    pub dead_letters: IntCounter,
    /// Dead letters kept now.
    pub dead_kept: IntGauge,
    /// Events owed now.
    pub backlog_events: IntGauge,
    /// Age of the oldest event owed.
    pub backlog_age: Gauge,
    /// 1 while the configuration does not know it, or has it only observe.
    pub parked: IntGauge,
}

struct DestinationFamilies {
    attempts: IntCounterVec,
    attempt: HistogramVec,
    first_delivery: HistogramVec,
    running: IntGaugeVec,
    breaker_open: IntGaugeVec,
    dead_letters: IntCounterVec,
    dead_kept: IntGaugeVec,
    backlog_events: IntGaugeVec,
    backlog_age: GaugeVec,
    parked: IntGaugeVec,
}

impl DestinationFamilies {
    fn new(declare: &Declare<'_>) -> Self {
        let by = &["destination"];
        Self {
            attempts: declare.counters(
                "attempts_total",
                "Attempts to deliver, by how they ended.",
                &["destination", "outcome"],
            ),
            attempt: declare.histograms("attempt_seconds", "How long an attempt took.", by, SECONDS),
            first_delivery: declare.histograms(
                "first_delivery_seconds",
                "From the acceptance of an event to its success at the first attempt.",
                by,
                SECONDS,
            ),
            running: declare.gauges("attempts_running", "Attempts running now.", by),
            breaker_open: declare.gauges("breaker_open", "1 while the destination is left in peace.", by),
            dead_letters: declare.counters("dead_letters_total", "Events given up for this destination.", by),
            dead_kept: declare.gauges("dead_letters", "Dead letters kept now.", by),
            backlog_events: declare.gauges("backlog_events", "Events owed to this destination.", by),
            backlog_age: declare.float_gauges("backlog_age_seconds", "Age of the oldest event owed; 0 if none is.", by),
            parked: declare.gauges(
                "destination_parked",
                "1 while the configuration does not know the destination, or has it only observe; what it is owed waits.",
                by,
            ),
        }
    }
}

/// What belongs to no room alone.
#[derive(Debug)]
pub struct HouseMetrics {
    /// Bytes of requests in flight.
    pub in_flight_bytes: IntGauge,
    /// Panics, caught ones included.
    pub panics: IntGauge,
    /// Log lines that were left out because a stranger could have caused any number of them.
    pub log_lines_left_out: IntCounter,
    /// Callers that wait for a destination's answer, or have one that is not sent yet.
    pub waiting_callers: IntGauge,
    /// 1 when ready.
    pub ready: IntGauge,
}

impl HouseMetrics {
    fn new(declare: &Declare<'_>) -> Self {
        Self {
            in_flight_bytes: declare.gauge("in_flight_bytes", "Bytes of requests being received or stored."),
            panics: declare.gauge("panics", "Panics since the start, caught ones included; anything but 0 is a fault."),
            log_lines_left_out: declare
                .counter("log_lines_left_out_total", "Log lines left out by the limit per reason."),
            waiting_callers: declare.gauge(
                "waiting_callers",
                "Callers that wait for a destination's answer, or have one that is not sent.",
            ),
            ready: declare.gauge("ready", "1 while /-/ready answers 200."),
        }
    }
}

/// Makes a family with the house's prefix and registers it.
struct Declare<'a>(&'a Registry);

impl Declare<'_> {
    fn put<C: Collector + 'static>(&self, collector: C) {
        self.0.register(Box::new(collector)).expect("every family is declared once, under a valid name");
    }

    fn kept<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let collector = made.expect("every family is declared once, under a valid name");
        self.put(collector.clone());
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.kept(IntCounter::with_opts(opts(name, help)))
    }

    fn counters(&self, name: &str, help: &str, by: &[&str]) -> IntCounterVec {
        self.kept(IntCounterVec::new(opts(name, help), by))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.kept(IntGauge::with_opts(opts(name, help)))
    }

    fn gauges(&self, name: &str, help: &str, by: &[&str]) -> IntGaugeVec {
        self.kept(IntGaugeVec::new(opts(name, help), by))
    }

    fn float_gauges(&self, name: &str, help: &str, by: &[&str]) -> GaugeVec {
        self.kept(GaugeVec::new(opts(name, help), by))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.kept(Histogram::with_opts(HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec())))
    }

    fn histograms(&self, name: &str, help: &str, by: &[&str], buckets: &[f64]) -> HistogramVec {
        self.kept(HistogramVec::new(HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec()), by))
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("porteiro_{name}"), help)
}

#[cfg(test)]
mod tests;
