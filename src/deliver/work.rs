//! What does a worker have to do?
//!
//! Must not know: who hands it out, or how it is done.

use std::sync::Arc;

use tokio::time::Instant;

use crate::callers::Courier;
use crate::journal::Delivery;
use crate::retry::Pass;

use super::plan::Destination;

/// One event that was taken and is to be attempted.
#[derive(Debug)]
pub(super) struct Work {
    /// Where it goes, as that was said when it was begun.
    pub(super) to: Arc<Destination>,
    pub(super) delivery: Delivery,
    /// The number of this attempt; the first is 1.
    pub(super) number: u32,
    /// For the span of our own `traceparent`.
    pub(super) span: u64,
    /// Whom to bring what is answered.
    pub(super) courier: Option<Courier>,
    /// What the pace let it pass as.
    pub(super) pass: Pass,
    /// What it takes of the bytes in flight.
    pub(super) bytes: u64,
    /// When it was begun.
    pub(super) began: Instant,
}
