//! What is told of the configuration in force?
//!
//! Must not know: what stands in it.

use prometheus::IntGauge;

use super::{Declare, Words};

/// How a reload can end: it took effect, the configuration had problems, or it could not be taken in.
pub const RELOADS: &[&str] = &["applied", "refused", "failed"];

/// What is told of the configuration.
#[derive(Debug)]
pub struct ConfigMetrics {
    /// When the configuration in force was loaded.
    pub loaded: IntGauge,
    /// The number of the configuration in force; the first is 1.
    pub generation: IntGauge,
    /// 0 after a reload that was refused or failed, until one succeeds that reads as much anew.
    pub successful: IntGauge,
    /// Reloads, by how they ended, at the place in [`RELOADS`].
    pub reloads: Words,
}

impl ConfigMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Self {
        let reloads = declare.counters("config_reloads_total", "Reloads, by how they ended.", &["result"]);
        Self {
            loaded: declare
                .gauge("config_last_reload_success_timestamp_seconds", "When the configuration in force was loaded."),
            generation: declare.gauge("config_generation", "The number of the configuration in force."),
            successful: declare.gauge("config_last_reload_successful", "0 after a reload that was refused or failed."),
            reloads: Words(RELOADS.iter().map(|word| reloads.with_label_values(&[word])).collect()),
        }
    }
}
