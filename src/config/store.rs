//! What may the journal use?
//!
//! Promises: what is said fits together: the segments, what is set aside for dead letters, and enough room to recycle.
//!
//! Must not know: sources and destinations.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::journal::Options;

use super::build::Building;
use super::problem::Span;
use super::raw;
use super::said::At;
use super::units::show_size;

/// Fewest segments that a journal can recycle with, and the one more that dead letters take while their oldest make room.
const SEGMENTS_MIN: u64 = 7;
/// Fewest segments that dead letters can do with.
const DEAD_SEGMENTS_MIN: u64 = 2;
/// What an event that repeats are recognised by takes on disk.
const DEDUP_ENTRY: u64 = 100;
/// Longest that anything is kept, or waited for.
const AGE_MAX: Duration = Duration::from_secs(366 * 86_400);
/// What statfs says of a file system in memory.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6_u32 as i64];

/// The journal as it is to be opened.
#[derive(Clone, Debug)]
pub struct Store {
    /// Where its files are.
    pub directory: PathBuf,
    /// How it may behave.
    pub options: Options,
}

/// Where in the text the journal's values stand, for those who compare with them.
pub(crate) struct StoreSpans {
    pub(crate) segment: Span,
}

/// Builds the journal's part.
pub(crate) fn build(
    building: &mut Building<'_>,
    said: Option<&At<raw::Journal>>,
    dedup: &raw::Dedup,
) -> (Option<Store>, StoreSpans) {
    let Some(journal) = said else {
        building.missing(&(0..0), &["journal"], "add [journal] with directory = \"PATH\": it is where events are kept");
        return (None, StoreSpans { segment: 0..0 });
    };
    let default = Options::default();
    let raw::Journal { directory, size: _, segment, queue, recent, retry_slots, retry_slots_per_tenant, keep } =
        &journal.value;
    let segment_size = building.size(segment.as_ref(), default.segment_size, 64 << 10..=1 << 30);
    if let Some(said) = segment.as_ref().filter(|_| !segment_size.is_power_of_two()) {
        building.problem(&said.span, "a segment is a power of two").help("such as 64KiB, 1MiB or 64MiB");
    }
    let sizes = sizes(building, journal, dedup, segment_size);
    let ages = Duration::from_secs(0)..=AGE_MAX;
    let slots = building.number(retry_slots.as_ref(), default.retry_slots, 16..=10_000_000);
    let per_tenant = default.retry_slots_per_tenant.min(slots);
    let options = Options {
        segment_size,
        size: sizes.total,
        keep_delivered: building.time(keep.delivered.as_ref(), default.keep_delivered, ages.clone()),
        keep_dead_age: building.time(keep.dead.age.as_ref(), default.keep_dead_age, ages),
        keep_dead_size: sizes.dead,
        queue_bytes: building.size(queue.as_ref(), default.queue_bytes, 64 << 10..=4 << 30),
        ring_bytes: building.size(recent.as_ref(), default.ring_bytes, 0..=16 << 30),
        retry_slots: slots,
        retry_slots_per_tenant: building.number(retry_slots_per_tenant.as_ref(), per_tenant, 1..=slots),
        dedup_entries: sizes.entries,
        dedup_window: building.time(
            dedup.window.as_ref(),
            default.dedup_window,
            Duration::from_secs(1)..=Duration::from_secs(60 * 86_400),
        ),
        ..default
    };
    let segment = segment.as_ref().map_or_else(|| journal.span.clone(), |said| said.span.clone());
    let spans = StoreSpans { segment };
    let Some(directory) = directory else {
        building.missing(
            &journal.span,
            &["journal", "directory"],
            "say where events are kept, such as \"/var/lib/porteiro\"",
        );
        return (None, spans);
    };
    let path = building.outside.join(&directory.value);
    if building.outside.environment.is_elsewhere() {
        return (Some(Store { directory: path, options }), spans);
    }
    if path.exists() && !path.is_dir() {
        building.problem(&directory.span, "`directory` is no directory");
    }
    if in_memory(&path) {
        building
            .danger(&directory.span, "the journal stands on a file system in memory")
            .note("what was acknowledged is gone when the machine restarts");
    }
    (Some(Store { directory: path, options }), spans)
}

/// What shares the disk.
struct Sizes {
    total: u64,
    dead: u64,
    entries: u32,
}

/// Reads what shares the disk, and sees that it fits: dead letters get two segments at least, events six.
fn sizes(building: &mut Building<'_>, journal: &At<raw::Journal>, dedup: &raw::Dedup, segment: u64) -> Sizes {
    let default = Options::default();
    let raw = &journal.value;
    let total = building.size(raw.size.as_ref(), default.size, 0..=1 << 50);
    let dead_least = segment.saturating_mul(DEAD_SEGMENTS_MIN);
    let dead = match &raw.keep.dead.size {
        Some(said) => building.size(Some(said), default.keep_dead_size, dead_least..=1 << 50),
        None => default.keep_dead_size.min(total / 10).max(dead_least),
    };
    // A small disk is not to be filled with what repeats are recognised by.
    let most = u32::try_from(total / 8 / DEDUP_ENTRY).unwrap_or(u32::MAX).max(1);
    let entries = building.number(dedup.events.as_ref(), default.dedup_entries.min(most), 1..=1 << 27);
    let sizes = Sizes { total, dead, entries };

    let least = segment.saturating_mul(SEGMENTS_MIN);
    let remembered = u64::from(entries) * DEDUP_ENTRY;
    let span = raw.size.as_ref().map_or_else(|| journal.span.clone(), |said| said.span.clone());
    let Some(short) = (least + dead + remembered).checked_sub(total).filter(|short| *short > 0) else { return sizes };
    if let Some(said) = raw.keep.dead.size.as_ref().filter(|_| dead.saturating_sub(dead_least) >= short) {
        building
            .problem(&said.span, "dead letters would leave too little for events")
            .label(format!("at most {}", show_size((dead - short) >> 10 << 10)))
            .also(span, "they are set aside within this size");
    } else if let Some(said) = dedup.events.as_ref().filter(|_| remembered > short) {
        building
            .problem(&said.span, "remembering so many events would leave too little for events")
            .label(format!("at most {}", (remembered - short) / DEDUP_ENTRY))
            .also(span, format!("they take {DEDUP_ENTRY}B each within this size"));
    } else {
        let needed = (total + short).next_multiple_of(segment);
        building
            .problem(&span, "the journal is too small for its segments")
            .label(format!("{} is short of {}", show_size(total), show_size(needed)))
            .note(format!(
                "it needs {SEGMENTS_MIN} segments of {}, {} for dead letters and {} to recognise repeats",
                show_size(segment),
                show_size(dead),
                show_size(remembered)
            ))
            .help("give it more, or set a smaller `segment`");
    }
    sizes
}

/// Whether the nearest directory that exists is on a file system in memory.
fn in_memory(path: &Path) -> bool {
    let Some(there) = path.ancestors().find(|above| above.is_dir()) else { return false };
    rustix::fs::statfs(there).is_ok_and(|found| IN_MEMORY.contains(&found.f_type))
}
