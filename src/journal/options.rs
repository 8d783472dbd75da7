//! What may the journal use, and how is it asked to behave?

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::JournalMetrics;

/// The bounds of a journal. The defaults are those of the documentation.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of one segment, a power of two from 64 KiB on. No record is larger than one.
    pub segment_size: u64,
    /// The bound on all of the journal's bytes: segments, spares, dead letters, dedup files.
    pub size: u64,
    /// For how long what owes nothing more is kept for replay, while there is room.
    pub keep_delivered: Duration,
    /// For how long a dead letter is kept.
    pub keep_dead_age: Duration,
    /// The bytes set aside within `size` for dead letters.
    pub keep_dead_size: u64,
    /// Bytes that may wait for the writer.
    pub queue_bytes: u64,
    /// Records that may wait for the writer.
    pub queue_records: u32,
    /// Bytes of recent records kept in memory for the lanes.
    pub ring_bytes: u64,
    /// Retry slots of each destination; see `cost.rs` for what they take.
    pub retry_slots: u32,
    /// How many of a destination's slots one tenant may hold.
    pub retry_slots_per_tenant: u32,
    /// Bytes that one read of the lanes takes from a segment.
    pub read_bytes: u32,
    /// Dedup entries kept on disk; 96 bytes each.
    pub dedup_entries: u32,
    /// How long a dedup entry is of use.
    pub dedup_window: Duration,
    /// How long an outcome waits for an event's sync to ride on.
    pub outcome_delay: Duration,
    /// How soon an idle journal marks what it synced.
    pub mark_delay: Duration,
    /// How often a checkpoint is written.
    pub checkpoint_every: Duration,
    /// Where to count; `None` counts nowhere.
    pub metrics: Option<Arc<JournalMetrics>>,
    /// Planted faults.
    #[cfg(test)]
    pub(crate) faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_size: 64 << 20,
            size: 20 << 30,
            keep_delivered: Duration::from_secs(24 * 3600),
            keep_dead_age: Duration::from_secs(30 * 24 * 3600),
            keep_dead_size: 2 << 30,
            queue_bytes: 8 << 20,
            queue_records: 16_384,
            ring_bytes: 4 << 20,
            retry_slots: 10_000,
            retry_slots_per_tenant: 1_000,
            read_bytes: 256 << 10,
            dedup_entries: 1 << 20,
            dedup_window: Duration::from_secs(72 * 3600),
            outcome_delay: Duration::from_millis(50),
            mark_delay: Duration::from_millis(100),
            checkpoint_every: Duration::from_secs(30),
            metrics: None,
            #[cfg(test)]
            faults: Faults::default(),
        }
    }
}

/// Faults that the simulator plants to prove that it would find them.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Every n-th batch is taken for synced without a sync; 0 = none.
    pub(crate) skip_sync: u32,
    /// Checks are not bound to the store, the segment and the place.
    pub(crate) unbound_crc: bool,
    /// The durable mark stands this many bytes beyond what is durable.
    pub(crate) mark_off_by: u32,
    /// Receipts are released after the write, before the sync.
    pub(crate) early_receipt: bool,
    /// What is adopted is so in memory only.
    pub(crate) adopts_in_memory: bool,
}

/// When a destination is handed an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandOver {
    /// When it is durable.
    #[default]
    Stored,
    /// When it is in the queue.
    Verified,
}

/// What the journal must know about a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationPlan {
    /// Its identity.
    pub name: Box<str>,
    /// Older events become dead letters.
    pub backlog_age: Duration,
    /// What is owed beyond this many bytes of segments becomes dead letters, the oldest first.
    pub backlog_size: u64,
    /// Nothing becomes a dead letter for age or size.
    pub essential: bool,
    /// When it is handed an event.
    pub hand_over: HandOver,
}

impl DestinationPlan {
    /// The defaults: 72 hours, no bound on size, not essential, handed over when stored.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            backlog_age: Duration::from_secs(72 * 3600),
            backlog_size: u64::MAX,
            essential: false,
            hand_over: HandOver::Stored,
        }
    }

    /// Whether it is handed events before they are durable.
    pub(crate) fn is_early(&self) -> bool {
        self.hand_over == HandOver::Verified
    }
}

/// Why sources and destinations could not be made known while the journal runs. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigureError {
    /// Another change is under way.
    Busy,
    /// A new name begins a new segment, and there is no room for one.
    Full,
    /// There would be more names than a segment can open with.
    Names,
    /// The journal is closed, or can make nothing durable any more.
    Ended,
}

impl fmt::Display for ConfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the journal takes in another configuration at this moment",
            Self::Full => "the journal has no room for a segment that opens with the new names",
            Self::Names => "the journal knows so many names already that a segment cannot open with more",
            Self::Ended => "the journal takes in nothing any more",
        })
    }
}

impl std::error::Error for ConfigureError {}

/// Why a journal could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    Locked,
    /// It was written by a version that this one does not understand.
    Version(u32),
    /// The segment size is no power of two, below 64 KiB, or `size` does not hold eight of them.
    Options(&'static str),
    /// There are segments, but neither FORMAT nor any segment's header can be read.
    Unreadable,
    /// There is no room for a fresh segment.
    Full,
    /// The storage failed.
    Io {
        /// At what.
        what: &'static str,
        /// How.
        error: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("another process has the journal open"),
            Self::Version(version) => write!(f, "the journal has format {version}, which this version cannot read"),
            Self::Options(what) => f.write_str(what),
            Self::Unreadable => f.write_str("neither FORMAT nor the header of any segment can be read"),
            Self::Full => f.write_str("there is no room for a fresh segment"),
            Self::Io { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Locked | Self::Version(_) | Self::Options(_) | Self::Unreadable | Self::Full => None,
        }
    }
}
