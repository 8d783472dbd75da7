//! How does a twin learn the outcome of the request in flight?
//!
//! Promises: a flight that is polled is woken when the outcome is there; one that is dropped leaves nothing behind but
//! a free place; at most [`TWINS_MAX`] wait for one request.
//!
//! Must not know: keys, or any runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::{Earlier, lock};

/// Most requests that wait for one twin. Those beyond are told [`Flown::Void`] at once.
pub(super) const TWINS_MAX: usize = 256;

/// How the request in flight ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flown {
    /// It was stored.
    Stored(Earlier),
    /// It was not: the twin answers that the provider should try again.
    Void,
}

/// The twins of one request in flight.
#[derive(Debug, Default)]
pub(super) struct Twins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    flown: Option<Flown>,
    /// Who waits; a place is free where the flight was dropped.
    waiting: Vec<Place>,
}

#[derive(Debug)]
enum Place {
    Free,
    Unpolled,
    Polled(Waker),
}

impl Twins {
    /// One more twin.
    pub(super) fn join(self: &Arc<Self>) -> Flight {
        let mut state = lock(&self.0);
        let place = match state.waiting.iter().position(|place| matches!(place, Place::Free)) {
            Some(free) => free,
            None if state.waiting.len() < TWINS_MAX => {
                state.waiting.push(Place::Free);
                state.waiting.len() - 1
            }
            None => return Flight(Wait::Over(Flown::Void)),
        };
        state.waiting[place] = Place::Unpolled;
        Flight(Wait::For { twins: Arc::clone(self), place })
    }

    /// Tells all twins the outcome.
    pub(super) fn land(&self, flown: Flown) {
        let waiting = {
            let mut state = lock(&self.0);
            state.flown = Some(flown);
            std::mem::take(&mut state.waiting)
        };
        for place in waiting {
            if let Place::Polled(waker) = place {
                waker.wake();
            }
        }
    }
}

/// Waits for the outcome of a request in flight.
#[derive(Debug)]
pub struct Flight(Wait);

#[derive(Debug)]
enum Wait {
    Over(Flown),
    For { twins: Arc<Twins>, place: usize },
}

impl Future for Flight {
    type Output = Flown;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Flown> {
        let (twins, place) = match &self.0 {
            Wait::Over(flown) => return Poll::Ready(*flown),
            Wait::For { twins, place } => (twins, *place),
        };
        let mut state = lock(&twins.0);
        if let Some(flown) = state.flown {
            return Poll::Ready(flown);
        }
        match state.waiting.get_mut(place) {
            Some(Place::Polled(waker)) => waker.clone_from(cx.waker()),
            Some(other) => *other = Place::Polled(cx.waker().clone()),
            None => {}
        }
        Poll::Pending
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Wait::For { twins, place } = &self.0
            && let Some(place) = lock(&twins.0).waiting.get_mut(*place)
        {
            *place = Place::Free;
        }
    }
}
