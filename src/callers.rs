//! Who waits for what a destination answers?
//!
//! Where a source answers in the words of a destination (`ack = "delivered"`), the way in takes a [`Seat`] before it hands
//! the event to the journal, with the mark [`AWAITED`], which the journal carries and never reads. The way out finds the
//! mark and asks for a [`Courier`]. Neither knows the other; what one brings the other hears.
//!
//! Promises: all seats of one event hear the same, once, and at once where it was told already; a seat that is dropped
//! leaves nothing behind; how many callers of a source have a seat, or an answer that is not sent yet, is bounded, and each
//! answer by [`ANSWER_MAX`]; once the house closes nobody waits. Everything lives in memory: what a crash cuts short is
//! delivered later, and answered to nobody.
//!
//! Must not know: sockets, records, how an event is delivered, or what a caller hears who waited in vain.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tokio::sync::watch;

/// The mark of an event for whose answer a caller waits, or waited before a restart.
pub const AWAITED: u16 = 1;
/// The largest body of an answer that is passed back, in bytes.
pub const ANSWER_MAX: usize = 64 << 10;
/// What a seat takes beside the answer, in bytes: itself, its place in the tables, what it waits with.
pub const SEAT_BYTES: usize = 1 << 10;

/// What a destination answered, as far as it is passed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// What the body is.
    pub content_type: Option<HeaderValue>,
    /// How the body is coded: as the caller itself said that it may be.
    pub content_encoding: Option<HeaderValue>,
    /// The body, at most [`ANSWER_MAX`] bytes.
    pub body: Bytes,
}

/// Why there is no answer that could be passed back, and will be none in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The destination answered with a status that is not passed back, or not at all, and is not asked again in time.
    Failed,
    /// Its answer was longer than [`ANSWER_MAX`].
    TooLarge,
    /// Its answer broke off.
    Broken,
    /// Too many callers of the source wait.
    Crowded,
    /// The house closes.
    Closing,
}

/// What those who wait are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// This was answered.
    Answer(Answer),
    /// Nothing was that could be passed back.
    Nothing(Why),
}

/// For what a caller waits.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The source, whose callers are counted together.
    pub source: u32,
    /// How many of them may have a seat or an answer that is not sent yet.
    pub most: u32,
    /// The destination whose answer is passed back.
    pub destination: u32,
    /// The statuses that are passed back beside 2xx.
    pub pass: Arc<[u16]>,
}

/// Everybody who waits. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Callers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By the event's id.
    tables: HashMap<[u8; 16], Table>,
    /// Places taken, by source.
    places: HashMap<u32, u32>,
    closed: bool,
}

/// Where everybody sits who waits for the answer to one event.
#[derive(Debug)]
struct Table {
    wait: Arc<Wait>,
    seats: u32,
}

/// What the seats of a table and its couriers share.
#[derive(Debug)]
struct Wait {
    destination: u32,
    pass: Arc<[u16]>,
    /// How long the most patient of them waits.
    until: Mutex<Instant>,
    told: watch::Sender<Option<Told>>,
}

impl Callers {
    /// Takes a seat for the answer to this event; whoever waits for it already sits at the same table.
    ///
    /// # Errors
    ///
    /// [`Why::Crowded`] where the source's callers are too many, [`Why::Closing`] where the house closes.
    pub fn sit(&self, event: [u8; 16], wish: &Wish, until: Instant) -> Result<Seat, Why> {
        let mut state = self.lock();
        let place = self.place(&mut state, wish)?;
        let table = match state.tables.entry(event) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Table { wait: Arc::new(Wait::new(wish, until)), seats: 0 }),
        };
        Ok(self.seat(table, event, place, until))
    }

    /// Takes a seat at the table of this event, if there is one, and a place.
    #[must_use]
    pub fn join(&self, event: [u8; 16], wish: &Wish, until: Instant) -> Option<Seat> {
        let mut state = self.lock();
        if !state.tables.contains_key(&event) {
            return None;
        }
        let place = self.place(&mut state, wish).ok()?;
        let table = state.tables.get_mut(&event)?;
        Some(self.seat(table, event, place, until))
    }

    /// Somebody who brings what this destination answers to this event, if anybody waits for that.
    #[must_use]
    pub fn courier(&self, event: &[u8; 16], destination: u32) -> Option<Courier> {
        let state = self.lock();
        let table = state.tables.get(event).filter(|table| table.wait.destination == destination)?;
        Some(Courier(Arc::clone(&table.wait)))
    }

    /// The house closes: whoever waits is told so, and nobody waits any more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting: Vec<Arc<Wait>> = state.tables.values().map(|table| Arc::clone(&table.wait)).collect();
        drop(state);
        for wait in waiting {
            wait.tell(Told::Nothing(Why::Closing));
        }
    }

    /// How many callers wait, or have an answer that is not sent yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.lock().places.values().map(|taken| u64::from(*taken)).sum()
    }

    fn place(&self, state: &mut State, wish: &Wish) -> Result<Place, Why> {
        if state.closed {
            return Err(Why::Closing);
        }
        let taken = state.places.entry(wish.source).or_insert(0);
        if *taken >= wish.most {
            return Err(Why::Crowded);
        }
        *taken += 1;
        Ok(Place { callers: self.clone(), source: wish.source })
    }

    fn seat(&self, table: &mut Table, event: [u8; 16], place: Place, until: Instant) -> Seat {
        table.seats += 1;
        let wait = Arc::clone(&table.wait);
        wait.lasts(until);
        let told = wait.told.subscribe();
        Seat { callers: self.clone(), event, told, place: Some(place) }
    }

    /// Nothing that can panic runs under this lock, so a poisoned one holds what it should.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    fn new(wish: &Wish, until: Instant) -> Self {
        let (told, _) = watch::channel(None);
        Self { destination: wish.destination, pass: Arc::clone(&wish.pass), until: Mutex::new(until), told }
    }

    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lasts(&self, until: Instant) {
        let mut known = self.until();
        *known = known.max(until);
    }

    /// Only the first word counts.
    fn tell(&self, word: Told) {
        self.told.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert(word);
            first
        });
    }
}

/// The right to one of the places of a source's callers.
#[derive(Debug)]
struct Place {
    callers: Callers,
    source: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut taken) = self.callers.lock().places.entry(self.source) {
            *taken.get_mut() -= 1;
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

/// Where a caller waits.
#[derive(Debug)]
pub struct Seat {
    callers: Callers,
    event: [u8; 16],
    told: watch::Receiver<Option<Told>>,
    /// Goes with the answer.
    place: Option<Place>,
}

impl Seat {
    /// Waits until there is something to be heard; has no deadline of its own. The place is kept for as long as the body
    /// of the answer is.
    pub async fn heard(&mut self) -> Told {
        let told = match self.told.wait_for(Option::is_some).await {
            Ok(told) => told.clone(),
            // Whoever brings something holds the other end for as long as there is a table.
            Err(_) => None,
        };
        match (told, self.place.take()) {
            (Some(Told::Answer(answer)), Some(place)) if !answer.body.is_empty() => {
                let body = Bytes::from_owner(Kept { body: answer.body, _place: place });
                Told::Answer(Answer { body, ..answer })
            }
            (told, _) => told.unwrap_or(Told::Nothing(Why::Failed)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.callers.lock();
        if let Entry::Occupied(mut table) = state.tables.entry(self.event) {
            table.get_mut().seats -= 1;
            if table.get().seats == 0 {
                table.remove();
            }
        }
    }
}

/// A body that is not sent yet, and the place it takes.
struct Kept {
    body: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// Brings those who wait what a destination answers.
#[derive(Clone, Debug)]
pub struct Courier(Arc<Wait>);

impl Courier {
    /// Whether an answer of this status is passed back, and somebody still waits for one.
    #[must_use]
    pub fn passes(&self, status: u16) -> bool {
        let passed = (200..300).contains(&status) || self.0.pass.contains(&status);
        passed && self.0.told.receiver_count() > 0
    }

    /// Whether somebody waits for longer than this from now.
    #[must_use]
    pub fn waits_for(&self, pause: Duration) -> bool {
        Instant::now().checked_add(pause).is_some_and(|then| then < *self.0.until())
    }

    /// This was answered.
    pub fn bring(&self, answer: Answer) {
        self.0.tell(Told::Answer(answer));
    }

    /// There is no answer to be passed back, and will be none in time.
    pub fn nothing(&self, why: Why) {
        self.0.tell(Told::Nothing(why));
    }
}

#[cfg(test)]
mod tests;
