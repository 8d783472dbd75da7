//! Until when may a body still come, once the house closes?
//!
//! Promises: nobody is asked before they must wait; whoever waits is told when the house closes, and at once if it does
//! already.
//!
//! Must not know: who closes the house, or why.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The instant from which on no body is waited for any more; none as long as the house is open.
#[derive(Debug, Default)]
pub(super) struct Closing(watch::Sender<Option<Instant>>);

impl Closing {
    /// From this long from now on no body is waited for. Only the first call counts.
    pub(super) fn close(&self, within: Duration) {
        self.0.send_if_modified(|end| {
            let open = end.is_none();
            end.get_or_insert_with(|| Instant::now() + within);
            open
        });
    }

    /// Returns when the house closes, with the instant from which on no body is waited for.
    pub(super) async fn end(&self) -> Instant {
        let mut seen = self.0.subscribe();
        // An error would mean that the sender is gone, but `self` holds it.
        let end = seen.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        end.unwrap_or_else(Instant::now)
    }
}
