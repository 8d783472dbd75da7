//! How does an event reach a destination, and how did it go?
//!
//! One lane per destination: a task that takes what the journal owes and hands it to up to `concurrency` workers, each of
//! which owns at most one connection. An attempt becomes an outcome, [`crate::retry`] says what follows from it, and the
//! journal is told.
//!
//! Promises: destinations do not know each other; what a lane holds in memory is bounded whatever its destination does;
//! the body goes out as it came in; an answer is read within bounds and a redirect is never followed; when the house
//! closes, what is running is finished and settled within its deadline, and the rest is returned unharmed.
//!
//! Must not know: how an event was proven, or what is in its body; of where it came from it knows names only.

mod alarm;
mod answer;
mod attempt;
mod awaited;
mod client;
mod desk;
mod ending;
mod lane;
mod line;
mod names;
mod pace;
mod path;
mod plan;
mod proxy;
mod reach;
mod request;
mod sign;
mod throttle;
mod tls;
#[cfg(test)]
mod upstream;
mod weave;
mod whose;
mod work;
mod worker;

#[cfg(any(test, fuzzing))]
pub use answer::compare::holds as answer_holds;
pub use client::Network;
pub use ending::{Death, ENDINGS};
pub use plan::{Auth, Destination, Plan, PlanError, SIGN_MAX};
pub use proxy::Proxy;
pub use reach::Denied;
pub use tls::{Pin, Roots, Shown, Trust, TrustError};
pub use weave::{Field, Values, Weave, WeaveError};
pub use whose::TenantNames;

use desk::Desk;
use ending::Ending;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::callers::Callers;
use crate::clock::Clock;
use crate::drain::Drain;
use crate::journal::Lane;
use crate::metrics::DestinationMetrics;
use crate::verify::random;

/// What every lane shares with its house.
#[derive(Clone, Debug)]
pub struct House {
    /// The wall clock.
    pub clock: Clock,
    /// By what destinations are reached.
    pub network: Network,
    /// What tenants are called.
    pub tenants: TenantNames,
    /// Starts the tasks, and says when the house closes.
    pub drain: Drain,
    /// How long running attempts may go on once the house closes.
    pub grace: Duration,
    /// Those who wait for an answer.
    pub callers: Callers,
}

/// Starts the lane of one destination on the current runtime. When the house closes, its tasks end: those without an
/// attempt under way at once, the others within the house's grace.
///
/// `metrics` are to be made with [`ENDINGS`] for outcomes.
///
/// Nothing is delivered any more once the task that is returned has ended: only a panic ends it before the house closes.
pub fn start(
    to: Arc<Destination>,
    lane: Lane,
    metrics: Arc<DestinationMetrics>,
    house: &House,
) -> (Running, JoinHandle<()>) {
    let (desk, task) = open(to, lane, metrics, house);
    (Running(desk), task)
}

/// A lane that was started, for those who change it.
#[derive(Debug)]
pub struct Running(Arc<Desk>);

impl Running {
    /// Attempts that begin from now on go by this plan, the backlog's too; those under way end by the one they began with.
    /// The name is to be the same.
    pub fn replace(&self, to: Arc<Destination>) {
        self.0.replace(to);
    }

    /// Begins no attempt any more; those under way are finished and settled.
    pub fn pause(&self) {
        self.0.pause(true);
    }

    /// Begins attempts again.
    pub fn resume(&self) {
        self.0.pause(false);
    }
}

fn open(
    to: Arc<Destination>,
    lane: Lane,
    metrics: Arc<DestinationMetrics>,
    house: &House,
) -> (Arc<Desk>, JoinHandle<()>) {
    let mut seed = [0; 8];
    random(&mut seed);
    // What comes in from now on is no backlog.
    let backlog = lane.backlog().owed > 0;
    let desk = Arc::new(Desk::new(to, lane, metrics, house, u64::from_ne_bytes(seed)));
    let task = house.drain.spawn(lane::run(Arc::clone(&desk), house.clone(), backlog));
    (desk, task)
}

#[cfg(test)]
mod tests;
