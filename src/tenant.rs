//! Whose event is it, and is it their turn?
//!
//! A tenant is known by keys that providers write into their events, each valid at one source; many keys may mean one
//! tenant, who has one [`Bucket`]. Whoever has no section in the configuration is unknown, and has a bucket with the
//! default limits where there are any.
//!
//! Promises: a question costs a look-up and one compare-and-swap, allocates nothing and takes no write lock, however
//! many tenants there are; in any stretch of time no more events pass a bucket at once than its burst and its rate
//! allow; what waits for its release is bounded by [`Quota`]; an unknown tenant whose bucket is full again is
//! forgotten, which loses nothing, and their number is bounded; buckets survive a new configuration by name. They live in
//! memory: after a restart all are full, and what was shaped before keeps its time in the journal.
//!
//! Must not know: who asks, where time comes from, how an event waits, what is counted.

mod bucket;
mod door;
mod table;
mod unknown;
mod waiting;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use bucket::{Bucket, Charge, Pace, Verdict};
pub use door::{Door, Parties, Party};
pub use table::{LABELS_OWN, Table};
pub use unknown::Unknown;

/// How many events a tenant may send, in the operator's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many events; at least one.
    pub count: u32,
    /// In this stretch of time.
    pub per: Duration,
    /// So many at once, after a rest that was long enough; at least one.
    pub burst: u32,
    /// How much may wait where what is over the rate is shaped.
    pub quota: Quota,
}

/// The most that may wait of one tenant for its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Events.
    pub events: u32,
    /// Bytes of their bodies. One event may always wait, whatever its size.
    pub bytes: u64,
    /// How long one of them waits.
    pub delay: Duration,
}

impl Default for Quota {
    /// As many events as the journal keeps retry slots for one tenant, 16 MiB, 5 minutes.
    fn default() -> Self {
        Self { events: 1_000, bytes: 16 << 20, delay: Duration::from_secs(300) }
    }
}

/// What happens to events over a tenant's rate, as an operator says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are stored, and delivered later.
    Shape,
    /// They are refused, and the provider is told when to come back.
    Refuse,
}

/// What happens to events over a tenant's rate, in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// They are refused.
    Refuse,
    /// They get a release time, up to the quota.
    Shape(Beyond),
}

/// What happens to events beyond the quota of what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beyond {
    /// They are refused: the provider survives it.
    Refuse,
    /// They are released at once, unshaped: the provider would lose them.
    #[default]
    Release,
}

/// How a source treats what is over a tenant's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Where the tenant says nothing else.
    pub mode: Mode,
    /// What its provider survives.
    pub beyond: Beyond,
}

impl Default for Manner {
    /// Shape, and lose nothing.
    fn default() -> Self {
        Self { mode: Mode::Shape, beyond: Beyond::Release }
    }
}

impl Manner {
    /// In full, for a tenant who says this.
    const fn over(self, tenant: Option<Mode>) -> Over {
        let mode = match tenant {
            Some(mode) => mode,
            None => self.mode,
        };
        match mode {
            Mode::Refuse => Over::Refuse,
            Mode::Shape => Over::Shape(self.beyond),
        }
    }
}

/// A tenant of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// The name; the identity of the tenant.
    pub name: Arc<str>,
    /// Pairs of a source's name and a key that its events carry.
    pub keys: Vec<(Arc<str>, Arc<str>)>,
    /// How much it may send; `None`: as much as it likes.
    pub limits: Option<Limits>,
    /// What happens to what is over its rate; `None`: what the source says.
    pub over: Option<Mode>,
}

/// All tenants of a configuration. [`Table::build`] makes the table of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Those that have a section, in the order of their names. No two have a name, or a key at one source, in common.
    pub tenants: Vec<Configured>,
    /// How much each of the others may send; `None`: as much as they like.
    pub unknown: Option<Limits>,
    /// How many of the others have a bucket of their own; the rest share one.
    pub unknown_max: usize,
    /// How many tenants are counted by name, the first in the order of their names.
    pub labels: usize,
}

impl Default for Spec {
    /// Nobody is known, and nobody is limited.
    fn default() -> Self {
        Self { tenants: Vec::new(), unknown: None, unknown_max: 10_000, labels: 200 }
    }
}

/// A tenant of the configuration, as the house knows it.
#[derive(Debug)]
pub struct Tenant {
    name: Arc<str>,
    number: u64,
    label: u32,
    over: Option<Mode>,
    pace: Pace,
    bucket: Arc<Bucket>,
}

impl Tenant {
    /// The name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stands for it in the journal: follows from the name, never zero.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}
