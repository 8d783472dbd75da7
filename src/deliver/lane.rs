//! What wakes a destination's workers?
//!
//! Promises: one wake per batch of the journal; reads run where blocking is allowed; an event that is due is handed out
//! although nothing else happens, and although the wall clock was moved.
//!
//! Must not know: how an event is carried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::error;

use super::desk::Desk;
use super::{House, worker};

/// After a start, a destination with a backlog is left alone for a random time up to this, so that not all destinations of
/// all Porteiros that start at the same moment are hit at once.
const START_DELAY: Duration = Duration::from_secs(2);
/// However far off the next thing to do is: the wall clock may be set.
const LOOK: Duration = Duration::from_secs(30);

/// The task of one lane. `backlog`: whether anything was owed when the house was opened.
pub(super) async fn run(desk: Arc<Desk>, house: House, backlog: bool) {
    let closing = house.drain.closing();
    tokio::pin!(closing);
    let mut reads = JoinSet::new();
    if backlog && timeout(desk.delay(START_DELAY), closing.as_mut()).await.is_ok() {
        desk.close(Instant::now() + house.grace);
        return;
    }
    loop {
        worker::start(&desk, &house.drain, desk.hand_out());
        let (until, jobs) = desk.agenda();
        for job in jobs {
            drop(reads.spawn_blocking(move || {
                // A panic is counted, and costs no more than a read that fails.
                let lost = job.lost();
                catch_unwind(AssertUnwindSafe(|| job.run())).unwrap_or(lost)
            }));
        }
        let pause = until.map_or(LOOK, |until| until.since(desk.clock.now()).min(LOOK));
        tokio::select! {
            biased;
            () = closing.as_mut() => break,
            () = desk.lane.changed() => {}
            () = desk.bell.notified() => {}
            Some(done) = reads.join_next() => match done {
                Ok(done) => {
                    if let Some(error) = done.error() {
                        error!(destination = &*desk.name, %error, "a read of the journal failed; it is tried again");
                    }
                    desk.lane.accept(done);
                }
                Err(_) => error!(destination = &*desk.name, "a read of the journal ended without a result"),
            },
            () = tokio::time::sleep(pause) => {}
        }
    }
    desk.close(Instant::now() + house.grace);
}
