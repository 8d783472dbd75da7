//! Is there room in the journal's queue?
//!
//! Promises: what is proven is not refused because the disk is slow for a moment: it waits here, with its permit and
//! its claims, for [`PATIENCE`] at most; where there is room it does not wait and pays nothing.
//!
//! Must not know: what waits.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::journal::Journal;

/// How long a proven event waits for room in the queue, and a body for room in its caller's share, before the caller hears
/// 503.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long until it looks again: about as long as a sync takes.
const AGAIN: Duration = Duration::from_millis(5);

/// Waits for room for so many bytes. Whether there is any in the end, the journal says itself.
pub(super) async fn wait(journal: &Journal, bytes: u64) {
    if journal.has_room(bytes) {
        return;
    }
    let until = Instant::now() + PATIENCE;
    while !journal.has_room(bytes) && Instant::now() < until {
        sleep(AGAIN).await;
    }
}
