//! What does the journal count?
//!
//! Must not know: who reads it.

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{Declare, SECONDS};

/// A sync takes from some 15 us (a drive that lies) over 0.1 ms (NVMe) to 10 ms (a turning disk) and stalls above:
/// fine steps where the figures of good disks lie, so that a median can be read from them.
const SYNC_SECONDS: &[f64] = &[
    0.000_01, 0.000_02, 0.000_03, 0.000_04, 0.000_05, 0.000_06, 0.000_07, 0.000_08, 0.000_09, 0.000_1, 0.000_11,
    0.000_12, 0.000_13, 0.000_14, 0.000_15, 0.000_17, 0.000_2, 0.000_23, 0.000_26, 0.000_3, 0.000_35, 0.000_4, 0.000_5,
    0.000_6, 0.000_8, 0.001, 0.001_5, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0,
];

const BATCH_EVENTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// What the journal counts.
#[derive(Debug)]
pub struct JournalMetrics {
    /// Events made durable.
    pub events: IntCounter,
    /// Bytes written, records of every kind.
    pub bytes: IntCounter,
    /// How long a sync took.
    pub sync: Histogram,
    /// Events released by one sync.
    pub batch: Histogram,
    /// From the append of an event to its receipt.
    pub durable: Histogram,
    /// Syncs that failed.
    pub sync_failures: IntCounter,
    /// Reads of the files that failed.
    pub read_failures: IntCounter,
    /// Events that could not be taken.
    pub refused: IntCounter,
    /// Events that were acknowledged while they were queued, and then could not be written for want of a segment.
    pub buffered_lost: IntCounter,
    /// Stretches of damaged bytes found.
    pub damage: IntCounter,
    /// Bytes that wait for the writer.
    pub queued_bytes: IntGauge,
    /// Bytes of segments on disk.
    pub size_bytes: IntGauge,
    /// The size that the configuration allows.
    pub size_limit_bytes: IntGauge,
    /// Bytes free on the journal's file system.
    pub free_bytes: IntGauge,
    /// Dedup entries kept.
    pub dedup_entries: IntGauge,
    /// How far back the dedup entries reach.
    pub dedup_window: IntGauge,
}

impl JournalMetrics {
    pub(super) fn new(declare: &Declare<'_>) -> Self {
        Self {
            events: declare.counter("journal_events_total", "Events made durable."),
            bytes: declare.counter("journal_written_bytes_total", "Bytes written, records of every kind."),
            sync: declare.histogram("journal_sync_seconds", "How long a sync took.", SYNC_SECONDS),
            batch: declare.histogram("journal_batch_events", "Events released by one sync.", BATCH_EVENTS),
            durable: declare.histogram("journal_durable_seconds", "From append to receipt.", SECONDS),
            sync_failures: declare.counter("journal_sync_failures_total", "Syncs that failed."),
            read_failures: declare.counter("journal_read_failures_total", "Reads of the files that failed."),
            refused: declare.counter("journal_refused_events_total", "Events that could not be taken."),
            buffered_lost: declare.counter(
                "journal_buffered_lost_events_total",
                "Events of buffered sources that were acknowledged and could not be written; but for a crash the only ones.",
            ),
            damage: declare.counter("journal_damage_total", "Stretches of damaged bytes found and quarantined."),
            queued_bytes: declare.gauge("journal_queued_bytes", "Bytes that wait for the writer."),
            size_bytes: declare.gauge("journal_size_bytes", "Bytes of segments on disk."),
            size_limit_bytes: declare.gauge("journal_size_limit_bytes", "The size that the configuration allows."),
            free_bytes: declare.gauge("journal_disk_free_bytes", "Bytes free on the journal's file system."),
            dedup_entries: declare.gauge("dedup_entries", "Events remembered to recognise their repeats."),
            dedup_window: declare.gauge("dedup_effective_window_seconds", "How far back repeats are recognised now."),
        }
    }
}
