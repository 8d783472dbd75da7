//! What does a journal make of other destinations while it runs?
//!
//! Promises: a change of the configuration is told, takes effect as a whole, and moves nothing that is owed; what a live
//! journal hands out in the end is all that was promised.
//!
//! Must not know: how names get their ids.

use std::sync::{Arc, Mutex, PoisonError};

use super::model::{DESTINATIONS, Owed};
use super::program::How;
use super::world::{Ended, Finding, NAMES, World};
use crate::journal::{ConfigureError, DestinationPlan, HandOver};

/// Rounds within which the writer has to have told.
const ROUNDS_MAX: u32 = 10_000;

/// What the writer told.
type Told = Arc<Mutex<Option<Result<(), ConfigureError>>>>;

impl World {
    /// From now on these destinations are configured (a bit for each), and these of them see events early. `extra`: and
    /// one that nobody ever heard of, for this once, so that ids are given to others between ours.
    pub(super) fn configure(&mut self, named: u8, eager: u8, extra: bool) -> Result<Ended, Finding> {
        let named: [bool; DESTINATIONS] = std::array::from_fn(|place| named >> place & 1 == 1);
        let mut plans = self.plans.clone();
        for (place, plan) in plans.iter_mut().enumerate() {
            plan.hand_over = if eager >> place & 1 == 1 { HandOver::Verified } else { HandOver::Stored };
        }
        let mut wanted: Vec<DestinationPlan> =
            plans.iter().zip(named).filter(|(_, named)| *named).map(|(plan, _)| plan.clone()).collect();
        if extra {
            self.extras += 1;
            wanted.insert(0, DestinationPlan::new(&format!("extra-{}", self.extras)));
        }
        let told: Told = Arc::default();
        let tell = Arc::clone(&told);
        self.house().journal.configure(&["source"], &wanted, move |result| {
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        let told = || *told.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ROUNDS_MAX {
            if told().is_some() {
                break;
            }
            let ended = self.write(1)?;
            if ended != Ended::Whole || self.storage.stopped() {
                return Ok(ended);
            }
        }
        match told() {
            Some(Ok(())) => self.configured(named, plans),
            // Only a name takes room.
            Some(Err(ConfigureError::Full)) if extra || self.house().ids.contains(&u32::MAX) => {}
            Some(Err(ConfigureError::Ended)) if self.failing => return Ok(Ended::GaveUp),
            other => return Err(format!("a change of the configuration came to {other:?}")),
        }
        Ok(Ended::Whole)
    }

    fn configured(&mut self, named: [bool; DESTINATIONS], plans: Vec<DestinationPlan>) {
        self.plans = plans;
        self.named = named;
        for (place, named) in named.into_iter().enumerate() {
            if !named && self.house().lanes[place].is_some() {
                // Its attempts end before its lane does.
                let its = |kept: &mut (usize, usize, crate::journal::Delivery)| kept.0 == place;
                let kept: Vec<_> = self.house().kept.extract_if(.., its).collect();
                for (lane, event, delivery) in kept {
                    self.settle(lane, event, delivery, How::Return);
                }
                self.house().lanes[place] = None;
            }
            let eager = self.plans[place].hand_over == HandOver::Verified;
            let house = self.house();
            house.eager[place] |= named && eager;
            let before = house.ids[place];
            house.ids[place] = house.journal.destination(NAMES[place]).unwrap_or(u32::MAX);
            assert!(before == u32::MAX || before == house.ids[place], "an id is for ever");
            if named && house.lanes[place].is_none() {
                house.lanes[place] = Some(house.journal.lane(house.ids[place]).expect("nobody has it"));
            }
        }
    }

    /// Takes all that a live journal owes, as it stands in its memory, and judges that; from then on it is settled.
    pub(super) fn drain(&mut self) -> Result<Ended, Finding> {
        let eager = (0..DESTINATIONS).filter(|place| self.plans[*place].hand_over == HandOver::Verified);
        let eager = eager.fold(0, |bits, place| bits | 1 << place);
        for step in 0..2 {
            let ended = match step {
                0 => self.configure(u8::MAX, eager, false)?,
                _ => self.settle_kept(How::Return).and_then(|_| self.flush())?,
            };
            if ended != Ended::Whole || self.storage.stopped() {
                return Ok(ended);
            }
        }
        if self.named.contains(&false) {
            return Ok(Ended::Whole);
        }
        let (hand, clock) = (self.hand.clone(), self.clock.clone());
        let view = self.house().drain(&hand, &clock);
        if self.storage.stopped() {
            // Nobody knows how far it came.
            for owed in self.model.events.iter_mut().flat_map(|known| &mut known.owed) {
                if matches!(*owed, Owed::Yes | Owed::Dead) {
                    *owed = Owed::Settled;
                }
            }
            return Ok(Ended::Stopped);
        }
        let view = view?;
        self.model.clone().judge(&view)?;
        for seen in &view.seen {
            let Some(event) = self.model.find(seen.id, seen.replayed) else { continue };
            let owed = &mut self.model.events[event].owed[seen.destination];
            if matches!(*owed, Owed::Yes | Owed::Dead) {
                *owed = Owed::Settled;
            }
            self.house().settled.insert((seen.destination, event));
        }
        Ok(Ended::Whole)
    }
}
