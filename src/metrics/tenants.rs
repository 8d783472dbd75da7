//! What is counted of tenants?
//!
//! Promises: a label is a tenant's name in the configuration, `other` or `unknown`; how many there are is bounded by
//! the configuration.

use std::sync::Arc;

use prometheus::{IntCounterVec, IntGauge};

use super::{Declare, Metrics, Words};

/// What ingress counts of a tenant.
#[derive(Debug)]
pub struct TenantMetrics {
    /// Its new events, by what became of them.
    pub outcomes: Words,
}

pub(super) struct TenantFamilies {
    events: IntCounterVec,
    unknown: IntGauge,
}

impl TenantFamilies {
    pub(super) fn new(declare: &Declare<'_>) -> Self {
        Self {
            events: declare.counters(
                "tenant_events_total",
                "Proven, new events that concern a tenant, by what became of them; refused ones are not stored.",
                &["tenant", "outcome"],
            ),
            unknown: declare
                .gauge("tenants_unknown", "Unknown tenants who sent events lately, where they are limited."),
        }
    }
}

impl Metrics {
    /// The handles of a tenant. `outcomes` is the closed list of what may become of its events.
    #[must_use]
    pub fn tenant(&self, name: &str, outcomes: &[&'static str]) -> Arc<TenantMetrics> {
        Arc::new(TenantMetrics { outcomes: Words::new(&self.tenants.events, name, outcomes) })
    }

    /// How many unknown tenants sent events lately.
    #[must_use]
    pub fn unknown_tenants(&self) -> IntGauge {
        self.tenants.unknown.clone()
    }
}
