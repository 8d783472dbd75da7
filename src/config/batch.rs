//! What becomes of a batch?
//!
//! Promises: a source splits its batches only where its provider file says into what, and where one reply is enough for all
//! parts; how much is stored of one batch follows from the queue that it must fit.
//!
//! Must not know: how a batch is split.

use http::HeaderName;

use super::ack::AckSaid;
use super::build::Building;
use super::provider::Built;
use super::raw;
use crate::event::{Parts, Splitting};

/// What becomes of a request that holds several events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batch {
    /// It goes on as it came.
    #[default]
    Whole,
    /// Each of its elements goes on by itself.
    Split,
}

/// Of the journal's queue so much may be taken by the parts of one batch.
const SHARE: (u64, u64) = (3, 4);

/// Headers that speak of the whole body, whoever sent it: digests and signatures of messages.
const OF_THE_WHOLE: [&str; 6] =
    ["content-digest", "repr-digest", "digest", "content-md5", "signature", "signature-input"];

/// Has what was built for a source split its batches, where it says so.
pub(crate) fn over(
    building: &mut Building<'_>,
    name: &str,
    said: &raw::Source,
    queue: u64,
    built: Built,
) -> (Built, Batch) {
    let Some(batch) = said.batch.as_ref().filter(|said| said.value == Batch::Split) else {
        return (built, Batch::Whole);
    };
    let Some(Parts { elements: _, without }) = &built.selectors.wanted().parts else {
        building
            .problem(&batch.span, format!("source `{name}` cannot split what its provider sends"))
            .label(format!("the file of {} has no `parts`, which would say into what", built.facts.title))
            .help("leave `batch` out: every request is one event");
        return (built, Batch::Whole);
    };
    if let Some(ack) = said.ack.as_ref().filter(|ack| matches!(ack.value, AckSaid::Delivered(_))) {
        building
            .problem(&batch.span, format!("source `{name}` splits its batches, and passes a destination's answer back"))
            .also(ack.span.clone(), "of which event?")
            .note("the events of one batch are delivered one by one, and each is answered by itself")
            .help("leave one of them out");
        return (built, Batch::Whole);
    }
    let mut whole = built.verifier.of_the_whole();
    OF_THE_WHOLE.iter().for_each(|name| whole.add_header(HeaderName::from_static(name)));
    without.iter().for_each(|name| whole.add_header(name.clone()));
    let room = queue / SHARE.1 * SHARE.0;
    match built.selectors.splitting(Splitting { room, without: whole }) {
        Ok(selectors) => (Built { selectors, ..built }, Batch::Split),
        Err(error) => {
            building.problem(&batch.span, "this provider's batches cannot be split").label(error.to_string());
            (built, Batch::Whole)
        }
    }
}

impl Batch {
    /// The word for it in a configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Split => "split",
        }
    }
}
