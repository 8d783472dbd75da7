//! Whose answer does a caller wait for, and what do they hear in the end?
//!
//! Promises: a caller waits only for an answer that somebody can bring: to one event, of a destination that it is owed to
//! in time; everybody else costs nothing but a look at the source. The wait ends at the source's deadline, counted from the
//! request's head, and nobody hears an answer whose event is not stored. A repeat sits at the first one's table from the
//! moment it came.
//!
//! Must not know: who brings answers.

use std::time::Instant;

use tokio::time::timeout_at;

use super::few::Few;
use super::record::Owed;
use super::reply::{Accepted, Held, Observed};
use crate::callers::{AWAITED, Callers, Seat, Told, Why};
use crate::clock::{Clock, Timestamp};
use crate::dedup::Earlier;
use crate::event::Events;
use crate::metrics::Waited;
use crate::snapshot::{Ack, Passing, Source};

/// What a caller waits for beside the disk.
#[derive(Debug)]
pub(super) enum Awaited {
    /// Nothing.
    Nothing,
    /// An answer that will not come, and how that is counted.
    InVain(Waited),
    /// An answer.
    Answer(Box<Seat>),
}

/// The seat of a repeat, at the table of the request that came first, if that waits.
pub(super) fn join(callers: &Callers, source: &Source, events: &Events, began: Instant) -> Option<Box<Seat>> {
    let Ack::Delivered(passing) = &source.ack else { return None };
    let mut ids = events.iter().map(|event| *event.id.as_bytes());
    let (Some(only), None) = (ids.next(), ids.next()) else { return None };
    callers.join(only, &passing.wish, began + passing.deadline).map(Box::new)
}

/// What the caller of these events is to wait for.
pub(super) fn sit(callers: &Callers, source: &Source, owed: &Few<Owed<'_>>, clock: &Clock, began: Instant) -> Awaited {
    let Ack::Delivered(passing) = &source.ack else { return Awaited::Nothing };
    let mut all = owed.iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        passing.counted.count(Waited::Several);
        return Awaited::Nothing;
    };
    let Some(not_before) = only.not_before(passing.wish.destination) else {
        passing.counted.count(Waited::Elsewhere);
        return Awaited::Nothing;
    };
    if not_before > Timestamp::ZERO && not_before > clock.now().plus(passing.left(began)) {
        return Awaited::InVain(Waited::Shaped);
    }
    match callers.sit(only.id(), &passing.wish, began + passing.deadline) {
        Ok(seat) => Awaited::Answer(Box::new(seat)),
        Err(why) => Awaited::InVain(counted(why)),
    }
}

impl Awaited {
    /// What the journal carries for it.
    pub(super) const fn mark(&self) -> u16 {
        match self {
            Self::Nothing | Self::InVain(_) => 0,
            Self::Answer(_) => AWAITED,
        }
    }

    /// What the caller hears of events that are held like this, once there is something to be heard.
    pub(super) async fn end(self, held: Held, source: &Source, began: Instant) -> Accepted {
        match (self, &source.ack) {
            (Self::Answer(seat), Ack::Delivered(passing)) => Box::pin(wait(seat, held, passing, began)).await,
            (Self::InVain(why), Ack::Delivered(passing)) => late(held, passing, why),
            _ => Accepted::held(held, &source.ack),
        }
    }
}

/// What a repeat hears: what the first hears, if that still waits.
pub(super) async fn repeat(seat: Option<Box<Seat>>, earlier: Earlier, source: &Source, began: Instant) -> Accepted {
    match (seat, &source.ack) {
        (Some(seat), Ack::Delivered(passing)) => Box::pin(wait(seat, Held::Before(earlier), passing, began)).await,
        _ => Accepted::before(earlier, Observed::by(source)),
    }
}

async fn wait(mut seat: Box<Seat>, held: Held, passing: &Passing, began: Instant) -> Accepted {
    match timeout_at((began + passing.deadline).into(), seat.heard()).await {
        Ok(Told::Answer(answer)) => {
            passing.counted.count(Waited::Passed);
            Accepted::Answered(held, answer)
        }
        Ok(Told::Nothing(why)) => late(held, passing, counted(why)),
        Err(_) => late(held, passing, Waited::Deadline),
    }
}

fn late(held: Held, passing: &Passing, why: Waited) -> Accepted {
    passing.counted.count(why);
    Accepted::Late(held)
}

const fn counted(why: Why) -> Waited {
    match why {
        Why::Failed => Waited::Failed,
        Why::TooLarge => Waited::TooLarge,
        Why::Broken => Waited::Broken,
        Why::Crowded => Waited::Crowded,
        Why::Closing => Waited::Closing,
    }
}
