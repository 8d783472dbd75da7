//! Which of a request's events are new?
//!
//! Promises: the events of one request are claimed together or not at all; nobody waits for a twin with a claim in
//! hand, so that two requests never wait for each other; a twin within the same request is the same event.
//!
//! Must not know: what is done with new events.

use super::few::Few;
use super::reply::Rejection;
use crate::clock::Timestamp;
use crate::dedup::{self, Claim, Earlier, Flight, Flown, Window};
use crate::event::{Event, Events, Repeat};
use crate::snapshot::Source;

/// How often the twins of one request are waited for: each of its events may have one, and that one may be replaced.
const TRIES: usize = 8;

/// What is new in a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, which a box would put on the heap")]
pub(super) enum Heard {
    /// These events, and perhaps others that are not.
    New(Few<Fresh>),
    /// Nothing; the first of its events became this one.
    Before(Earlier),
}

/// An event that is to be stored.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) event: Event,
    /// None where dedup is off for it, and for a repeat that is to be delivered again.
    pub(super) claim: Option<Claim>,
}

/// What the window knows of one event.
enum Known {
    Fresh(Option<Claim>),
    Conflict(Claim),
    Before(Earlier),
    /// It stands twice in this request.
    Again,
}

/// Claims what is new, after all twins in flight have landed.
pub(super) async fn claim(
    window: &Window,
    source: &Source,
    events: Events,
    now: Timestamp,
) -> Result<Heard, Rejection> {
    // What is only observed never answers for what is live, nor the other way round.
    let window = source.aside.as_ref().map_or(window, |aside| &aside.window);
    for _ in 0..TRIES {
        let flight = match hear(window, source, &events, now) {
            Ok(known) => return Ok(sort(source, events, known)),
            Err(flight) => flight,
        };
        // Whether it was stored or not (for want of a sync, or because a rule says so), the window knows best.
        let (Flown::Stored(_) | Flown::Void) = flight.await;
    }
    Err(Rejection::Twin)
}

/// Asks for every event; the first twin in flight ends it, and frees what was claimed.
fn hear(window: &Window, source: &Source, events: &Events, now: Timestamp) -> Result<Few<Known>, Flight> {
    let authority = source.selectors.wanted().authority;
    let mut all = Few::default();
    for (at, event) in events.iter().enumerate() {
        let Some(key) = event.key else {
            all.push(Known::Fresh(None));
            continue;
        };
        all.push(match window.claim(key, &event.digest, authority, now) {
            dedup::Heard::New(claim) => Known::Fresh(Some(claim)),
            dedup::Heard::Conflict(claim) => Known::Conflict(claim),
            dedup::Heard::Before(earlier) => Known::Before(earlier),
            dedup::Heard::Twin(flight) => {
                if !events.iter().take(at).any(|other| other.key == Some(key)) {
                    return Err(flight);
                }
                Known::Again
            }
        });
    }
    Ok(all)
}

fn sort(source: &Source, events: Events, known: Few<Known>) -> Heard {
    let mut fresh = Few::default();
    let mut before = None;
    for (mut event, known) in events.into_iter().zip(known) {
        match known {
            Known::Fresh(claim) => fresh.push(Fresh { event, claim }),
            Known::Conflict(claim) => {
                source.metrics.conflicts.inc();
                event.rekey(claim.key());
                fresh.push(Fresh { event, claim: Some(claim) });
            }
            Known::Before(earlier) => match source.selectors.wanted().repeat {
                Repeat::Answer => before = before.or(Some(earlier)),
                Repeat::Deliver => {
                    // The same event once more: its id stays, and the key goes on standing for the first time.
                    (event.id, event.key) = (earlier.event_id, None);
                    fresh.push(Fresh { event, claim: None });
                }
            },
            Known::Again => {}
        }
    }
    match before {
        Some(earlier) if fresh.len() == 0 => Heard::Before(earlier),
        _ => Heard::New(fresh),
    }
}
