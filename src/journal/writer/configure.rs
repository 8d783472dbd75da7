//! When do new names and plans take effect?
//!
//! A new name begins a new segment, whose header carries the table: only when that is durable does anybody learn the id.
//! Plans are in no file; they change with the inbox locked, so that every event was shown to a lane before it was durable,
//! or is shown to it after, but not both and not neither.

use std::io;
use std::sync::Arc;

use super::Writer;
use crate::clock::Timestamp;
use crate::journal::ConfigureError;
use crate::journal::configure::Configure;
use crate::journal::inbox::Inbox;
use crate::journal::lane::{Cell, State};
use crate::journal::segment::{Header, Names};
use crate::journal::shared::Known;

/// A change that the writer works on.
#[derive(Debug)]
pub(crate) struct Configuring {
    asked: Configure,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What was queued before is to be written first.
    Waits,
    /// Its segment is being begun.
    Begins,
    /// Every name it needs is durable.
    Named,
}

impl Configuring {
    pub(super) const fn new(asked: Configure) -> Self {
        Self { asked, stage: Stage::Waits }
    }
}

impl Writer {
    /// The table that the next segment opens with.
    pub(super) fn names(&self) -> Names {
        match &self.house.configuring {
            Some(Configuring { asked, stage: Stage::Begins | Stage::Named }) => asked.names.clone(),
            Some(_) | None => self.shared.known().names.clone(),
        }
    }

    /// One step towards the change that was asked for.
    ///
    /// # Errors
    /// As [`Writer::roll`].
    pub(super) fn configure_chore(&mut self, now: Timestamp) -> io::Result<bool> {
        let Some(Configuring { asked, stage }) = &self.house.configuring else { return Ok(false) };
        if *stage == Stage::Named || asked.names == self.shared.known().names {
            self.change(now);
            return Ok(true);
        }
        if self.next_unwritten() < asked.later {
            return Ok(false);
        }
        self.survey(now);
        // What is kept for outcomes and for carrying forward is not spent on a name.
        let room = self.house.free > 0;
        self.stage(Stage::Begins);
        if room && self.roll()? {
            self.stage(Stage::Named);
        } else {
            self.refuse_change(ConfigureError::Full);
        }
        Ok(true)
    }

    fn stage(&mut self, next: Stage) {
        if let Some(configuring) = &mut self.house.configuring {
            configuring.stage = next;
        }
    }

    /// Whoever asked for a change is told that there will be none.
    pub(super) fn refuse_change(&mut self, why: ConfigureError) {
        let mut inbox = self.shared.inbox();
        let waiting = inbox.configure.take();
        inbox.configuring = false;
        inbox.plan.start = Header::length(&self.shared.known().names);
        drop(inbox);
        let asked = self.house.configuring.take().map(|configuring| configuring.asked);
        for asked in asked.into_iter().chain(waiting) {
            (asked.tell)(Err(why));
        }
    }

    /// All names are durable: the change takes effect.
    fn change(&mut self, now: Timestamp) {
        let Some(Configuring { asked, .. }) = self.house.configuring.take() else { return };
        let shared = Arc::clone(&self.shared);
        let known = shared.known();
        let mut lanes = known.lanes.to_vec();
        for (name, id) in asked.names.destinations.iter().zip(0..).skip(lanes.len()) {
            lanes.push(Arc::new(Cell::new(id, Arc::from(&**name), None, State::default())));
        }
        self.house.age_due.resize(lanes.len(), Timestamp::ZERO);
        self.graves.rename(&asked.names);
        let mut inbox = shared.inbox();
        for cell in &lanes {
            let plan = asked.plans.iter().find(|plan| *plan.name == *cell.name);
            if plan == cell.plan().as_deref() {
                continue;
            }
            let unseen = self.unseen(&inbox, cell);
            let unwritten = self.taken.items.get(self.taken.next).or_else(|| inbox.items.first());
            let unwritten = unwritten.map_or(inbox.next_seq, |item| item.seq);
            if cell.replan(plan.cloned(), unwritten, inbox.next_seq) {
                let mut state = cell.state();
                unseen.into_iter().for_each(|seq| state.owed.owe(seq));
                let waker = state.wake();
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            if let Some(due) = self.house.age_due.get_mut(cell.id as usize) {
                *due = Timestamp::ZERO;
            }
        }
        if asked.names != known.names {
            shared.knows(Known { names: asked.names, lanes: lanes.into() });
            self.house.dirty = true;
            self.house.checkpoint_due = now;
        }
        inbox.configuring = false;
        drop(inbox);
        (asked.tell)(Ok(()));
    }

    /// What waits for the disk and was not shown to this lane.
    fn unseen(&self, inbox: &Inbox, cell: &Cell) -> Vec<u64> {
        let waiting = self.taken.items[self.taken.next..].iter().chain(&inbox.items);
        let its = waiting.filter(|item| {
            let named = item.targets.iter().any(|target| target.destination == cell.id);
            named && item.carried_from.is_none() && !cell.was_shown(item.seq)
        });
        its.map(|item| item.seq).collect()
    }
}
