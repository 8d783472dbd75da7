//! What would have become of what is only observed?
//!
//! Promises: a label is a source or destination of the configuration, or a word of a closed list; what nobody observes has
//! no figures here; counting takes no look-up.
//!
//! Must not know: why anything is refused, or how routes decide.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::{Declare, Metrics};

/// What is counted of a source that only observes, or whose destinations do. The default one counts nothing.
#[derive(Debug, Default)]
pub struct Would {
    refuse: Box<[Option<IntCounter>]>,
    send: Box<[Option<IntCounter>]>,
}

impl Would {
    /// Counts a request that would have been refused, by the word at this place of the list that was declared.
    pub fn refuse(&self, place: usize) {
        if let Some(Some(counter)) = self.refuse.get(place) {
            counter.inc();
        }
    }

    /// Counts an event for each destination, by its place, that it would have been sent to.
    pub fn send(&self, places: &[usize]) {
        for place in places {
            if let Some(Some(counter)) = self.send.get(*place) {
                counter.inc();
            }
        }
    }
}

pub(super) struct WouldFamilies {
    refuse: IntCounterVec,
    send: IntCounterVec,
    sources: IntGaugeVec,
    destinations: IntGaugeVec,
}

impl WouldFamilies {
    pub(super) fn new(declare: &Declare<'_>) -> Self {
        Self {
            refuse: declare.counters(
                "would_refuse_requests_total",
                "Requests to a source that only observes which a live one would have refused, by reason.",
                &["source", "reason"],
            ),
            send: declare.counters(
                "would_send_events_total",
                "Proven events that were new and would have been sent, if source and destination did not only observe.",
                &["source", "destination"],
            ),
            sources: declare.gauges(
                "source_observing",
                "1 while the source only observes: its events are counted, and not stored.",
                &["source"],
            ),
            destinations: declare.gauges(
                "destination_observing",
                "1 while the destination only observes: nothing is sent to it, and nothing becomes owed to it.",
                &["destination"],
            ),
        }
    }
}

impl Metrics {
    /// What counts what is observed of a source. `refusals` are the words for which it would refuse, `None` at the places that
    /// are no refusals, and none at all where it is live; `destinations` are the names of those it would send to, by place.
    #[must_use]
    pub fn would<'a>(
        &self,
        source: &str,
        refusals: &[Option<&'static str>],
        destinations: impl Iterator<Item = Option<&'a str>>,
    ) -> Would {
        let of = &self.would;
        let send = destinations.map(|name| Some(of.send.with_label_values(&[source, name?])));
        let refuse = refusals.iter().map(|word| Some(of.refuse.with_label_values(&[source, (*word)?])));
        Would { refuse: refuse.collect(), send: send.collect() }
    }

    /// 1 while a source only observes.
    #[must_use]
    pub fn source_observing(&self, name: &str) -> IntGauge {
        self.would.sources.with_label_values(&[name])
    }

    /// 1 while a destination only observes.
    #[must_use]
    pub fn destination_observing(&self, name: &str) -> IntGauge {
        self.would.destinations.with_label_values(&[name])
    }
}
