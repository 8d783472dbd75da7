//! How does one destination take over what another one is owed?
//!
//! One record says it: whatever was owed to the one id at its place of the log is owed to the other from there on. It is
//! written alone and synced before anything changes in memory, and [`Replay`](super::replay::Replay) reads it in its place,
//! so that a crash finds it done or not begun, never in part. That holds because, when it is written,
//! * the parked destination is not configured and nobody has its lane, so that nothing more is settled there;
//! * everything said of its deliveries and deaths before is on disk, and so comes before it in the log;
//! * nothing that is being carried forward or was queued when it was asked for is still to come behind it.
//!
//! Nothing is copied: the records keep their targets, and a lane that adopted reads the time not to be handed over before
//! of the one it adopted. What is carried forward later names the new owner. Records live no longer than the one that
//! says who adopted them, as segments go oldest first; a checkpoint holds the new state and who adopted whom.
//!
//! Promises: what was owed to the parked one comes to the adopter at least once, like anything that is owed to it; an event
//! both were owed is one debt. Attempts made for the parked one do not count, its dead letters stay in its list, and the
//! adopter's own backlog stands as before; its bounds on age and size hold for what it adopts. Ids are not reused: should
//! the name of the parked one come back, it begins with nothing. What is routed to it after the adoption was asked for is
//! parked again.
//!
//! Must not know: who wants it.

use std::fmt;

use super::shared::Shared;

/// Who is told what came of it: how many events the adopter owes more.
pub(crate) type Tell = Box<dyn FnOnce(Result<u64, AdoptError>) + Send>;

/// An adoption that is asked for.
pub(crate) struct Adopt {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// What is below this sequence is written first.
    pub(crate) later: u64,
    pub(crate) tell: Tell,
}

impl fmt::Debug for Adopt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adopt({} by {}, {})", self.from, self.to, self.later)
    }
}

/// Why nothing was adopted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdoptError {
    /// No destination has this id.
    Unknown(u32),
    /// The one that is to be adopted is configured.
    Configured,
    /// The one that is to adopt is not configured.
    NotConfigured,
    /// Another adoption is under way, somebody still has the lane of the parked one, or its dead letters cannot be
    /// written now.
    Busy,
    /// There is no room for the record that says so.
    Full,
    /// The journal is closed, or can make nothing durable any more.
    Ended,
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id) => write!(f, "no destination has the id {id}"),
            Self::Configured => f.write_str("the destination that is to be adopted is configured"),
            Self::NotConfigured => f.write_str("the destination that is to adopt is not configured"),
            Self::Busy => f.write_str("another adoption is under way, or the parked destination is not at rest yet"),
            Self::Full => f.write_str("the journal has no room for the record of an adoption"),
            Self::Ended => f.write_str("the journal takes in nothing any more"),
        }
    }
}

impl std::error::Error for AdoptError {}

impl Shared {
    /// Hands an adoption to the writer.
    pub(crate) fn adopt(&self, from: u32, to: u32, tell: Tell) {
        let mut inbox = self.inbox();
        let refused = if inbox.refuses().is_some() {
            Some(AdoptError::Ended)
        } else if inbox.adopting {
            Some(AdoptError::Busy)
        } else {
            None
        };
        if let Some(refused) = refused {
            drop(inbox);
            tell(Err(refused));
            return;
        }
        let later = inbox.next_seq;
        inbox.adopting = true;
        inbox.adopt = Some(Adopt { from, to, later, tell });
        inbox.asleep = false;
        drop(inbox);
        self.wake.notify_one();
    }
}
