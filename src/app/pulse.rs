//! What does the house look after by itself, whether or not anybody asks?
//!
//! Promises: once a second, or as often as a supervisor wants a sign of life, it is looked how long what speaks against
//! readiness has lasted and which source fell silent, and a sign is given. A runtime that no longer runs tasks gives none.
//!
//! Must not know: what any of them makes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::notify::Notify;
use super::readiness::Readiness;
use super::silence::Silence;
use crate::clock::Clock;

/// Between two looks.
const BEAT: Duration = Duration::from_secs(1);

/// Everything that is looked after.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) readiness: Arc<Readiness>,
    pub(super) silence: Silence,
    pub(super) clock: Clock,
    pub(super) notify: Arc<Notify>,
}

impl Pulse {
    /// Beats until the process ends.
    pub(super) async fn beat(self) {
        let mut every = interval(self.notify.alive_every().map_or(BEAT, |wanted| wanted.min(BEAT)));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            drop(self.readiness.objections());
            self.silence.look(self.clock.now());
            self.notify.alive();
        }
    }
}
