//! What goes with the parts of a batch, and what is counted of them?
//!
//! Promises: what holds only for the whole body, such as the provider's signature of it, does not go with a part; of what is
//! whole nothing is left out but what served as proof.
//!
//! Must not know: how a batch is split.

use crate::event::{Events, Splitting};
use crate::snapshot::Source;
use crate::verify::Credential;

/// Counts a request's parts; says what is left out of the head that goes with its events.
pub(super) fn without<'s>(source: &'s Source, events: &Events) -> &'s Credential {
    let credential = source.verifier.credential();
    if events.kept_whole() {
        source.metrics.kept_whole.inc();
    }
    if !events.are_parts() {
        return credential;
    }
    source.metrics.parts.inc_by(events.len() as u64);
    source.selectors.split().map_or(credential, |Splitting { without, .. }| without)
}
