//! How do names and plans change while the journal runs?
//!
//! Promises: a name has its id only once a segment that opens with it is durable; a change takes effect whole or not at
//! all, and is told either way; one is under way at a time.
//!
//! Must not know: who asks for it, or why.

use std::fmt;

use super::segment::{Header, Names};
use super::shared::Shared;
use super::{ConfigureError, DestinationPlan};

/// Who is told what came of it.
pub(crate) type Tell = Box<dyn FnOnce(Result<(), ConfigureError>) + Send>;

/// A change that is asked for.
pub(crate) struct Configure {
    /// The whole table, the new names behind the old ones.
    pub(crate) names: Names,
    pub(crate) plans: Vec<DestinationPlan>,
    /// What is below this sequence was placed in segments that open with the shorter table: it is written first.
    pub(crate) later: u64,
    pub(crate) tell: Tell,
}

impl fmt::Debug for Configure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Configure({:?}, {:?}, {})", self.names, self.plans, self.later)
    }
}

impl Shared {
    /// Hands a change to the writer.
    pub(crate) fn configure(&self, sources: &[&str], plans: &[DestinationPlan], tell: Tell) {
        if let Err(error) = self.begin_change() {
            tell(Err(error));
            return;
        }
        // Nobody else changes the table now.
        let mut names = self.known().names.clone();
        for source in sources {
            Names::id(&mut names.sources, source);
        }
        for plan in plans {
            Names::id(&mut names.destinations, &plan.name);
        }
        let start = Header::length(&names);
        let mut inbox = self.inbox();
        let refused = if inbox.refuses().is_some() {
            Some(ConfigureError::Ended)
        } else if start > self.options.segment_size / 2 {
            Some(ConfigureError::Names)
        } else {
            None
        };
        if let Some(refused) = refused {
            inbox.configuring = false;
            drop(inbox);
            tell(Err(refused));
            return;
        }
        // From now on nothing is taken in that would not fit beside the longer table.
        inbox.plan.start = inbox.plan.start.max(start);
        let later = inbox.next_seq;
        inbox.configure = Some(Configure { names, plans: plans.to_vec(), later, tell });
        inbox.asleep = false;
        drop(inbox);
        self.wake.notify_one();
    }

    fn begin_change(&self) -> Result<(), ConfigureError> {
        let mut inbox = self.inbox();
        if inbox.refuses().is_some() {
            Err(ConfigureError::Ended)
        } else if std::mem::replace(&mut inbox.configuring, true) {
            Err(ConfigureError::Busy)
        } else {
            Ok(())
        }
    }
}
