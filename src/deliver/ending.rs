//! In which words are outcomes counted, and dead letters kept?
//!
//! Promises: closed lists; a number that was written to a journal keeps its meaning.
//!
//! Must not know: anything else.

use crate::retry::{Fault, Outcome, Reason};

use super::request::Unsendable;

/// The words by which attempts are counted, in the order of their places.
pub const ENDINGS: &[&str] =
    &["delivered", "refused", "dns", "denied", "proxy", "connect", "tls", "timeout", "broken", "busy", "unsendable"];

/// How an attempt ended: places in [`ENDINGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With success.
    Delivered,
    /// With an answer that counts against the event.
    Refused,
    /// Without an address.
    Dns,
    /// With a name that leads only to addresses that are denied to it.
    Denied,
    /// Not let through by a proxy.
    Proxy,
    /// Without a connection.
    Connect,
    /// Without TLS.
    Tls,
    /// Without an answer in time.
    Timeout,
    /// Without an answer that can be read.
    Broken,
    /// With an answer that speaks against the destination.
    Busy,
    /// Before it began.
    Unsendable,
}

impl Ending {
    pub(super) const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Delivered { .. } => Self::Delivered,
            Outcome::Event { .. } => Self::Refused,
            Outcome::Destination { fault, .. } => match fault {
                Fault::Dns => Self::Dns,
                Fault::Denied => Self::Denied,
                Fault::Proxy => Self::Proxy,
                Fault::Connect => Self::Connect,
                Fault::Tls => Self::Tls,
                Fault::Timeout => Self::Timeout,
                Fault::Broken => Self::Broken,
                Fault::Answer(_) => Self::Busy,
            },
        }
    }

    pub(super) const fn word(self) -> &'static str {
        ENDINGS[self as usize]
    }
}

/// Why an event was given up: what the journal keeps beside a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Death {
    /// Every attempt of the schedule was answered, none with success.
    Exhausted = 1,
    /// It became older than the policy allows.
    Expired = 2,
    /// What is stored beside the body cannot be read.
    Head = 3,
    /// Its path does not go with the destination's.
    Path = 4,
}

impl Death {
    /// Every reason that deliver gives.
    pub const ALL: [Self; 4] = [Self::Exhausted, Self::Expired, Self::Head, Self::Path];

    /// A word for logs and lists.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::Head => "unreadable-head",
            Self::Path => "unsendable-path",
        }
    }

    /// The reason behind a number in the journal.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|death| *death as u16 == number)
    }
}

impl From<Reason> for Death {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Exhausted => Self::Exhausted,
            Reason::Expired => Self::Expired,
        }
    }
}

impl From<Unsendable> for Death {
    fn from(why: Unsendable) -> Self {
        match why {
            Unsendable::Head => Self::Head,
            Unsendable::Path => Self::Path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_the_word_that_retry_uses_for_it() {
        use Fault::{Answer, Broken, Connect, Denied, Dns, Proxy, Timeout, Tls};
        for fault in [Dns, Denied, Proxy, Connect, Tls, Timeout, Broken, Answer(503)] {
            assert_eq!(Ending::of(&Outcome::of_fault(fault)).word(), fault.reason());
        }
        assert_eq!(Ending::of(&Outcome::Delivered { status: 200 }).word(), "delivered");
        assert_eq!(Ending::of(&Outcome::Event { status: 500, retry_after: None }).word(), "refused");
        assert_eq!(Ending::Unsendable.word(), "unsendable");
        assert_eq!(Ending::Unsendable as usize + 1, ENDINGS.len());
    }

    #[test]
    fn numbers_in_journals_keep_their_meaning() {
        let kept = [(1, "exhausted"), (2, "expired"), (3, "unreadable-head"), (4, "unsendable-path")];
        for (number, reason) in kept {
            assert_eq!(Death::from_number(number).map(Death::reason), Some(reason));
        }
        assert_eq!([0, 5, u16::MAX].map(Death::from_number), [None; 3]);
    }
}
