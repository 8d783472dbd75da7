//! May this caller speak now?
//!
//! Asked before the body is read, cheapest question first: method, declared length, address, refusals of that address,
//! bytes in flight.
//!
//! Promises: memory for addresses is bounded and set aside at start; an address is charged by refusals only, and what is
//! proven counts against nobody; IPv6 callers are counted by /64, IPv4-mapped ones as IPv4; bytes in flight never exceed
//! their limit, those of one caller who has proven nothing yet not their share of it, and come back when the [`Permit`]
//! is dropped.
//!
//! Must not know: sockets, sources, or what was refused.

mod address;
mod budget;
mod refusals;

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::clock::Timestamp;

pub use address::Ranges;
use budget::Budget;
pub use budget::Permit;
use refusals::Refusals;

/// Most bytes that are set aside for a body when its first byte comes, however long it is said to be.
pub const AHEAD: u64 = 64 * 1024;

/// What is set aside to count what callers have in flight unproven, in bytes.
pub const SHARES: u64 = budget::SHARES;

/// What is set aside for each address whose refusals are remembered, in bytes.
pub const ADDRESS: u64 = refusals::ADDRESS;

/// The limits of [`Admission`], for the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most body bytes in flight at once: being read, or stored and not yet released by the journal.
    pub in_flight_max: u64,
    /// Most of them that one caller may have in flight and not proven yet; one body alone is always let in.
    pub in_flight_share: u64,
    /// Refusals an address may collect at once.
    pub refusals_burst: u32,
    /// One refusal is forgiven after this long.
    pub refusals_every: Duration,
    /// Most addresses remembered; the one closest to being forgiven makes room.
    pub addresses_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_max: 64 * 1024 * 1024,
            in_flight_share: 8 * 1024 * 1024,
            refusals_burst: 100,
            refusals_every: Duration::from_secs(1),
            addresses_max: 16_384,
        }
    }
}

/// What a source allows.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The methods allowed; the slice is short.
    pub methods: Vec<Method>,
    /// Largest body, in bytes.
    pub body_max: u64,
    /// The addresses allowed; `None` allows every address.
    pub addresses: Option<Ranges>,
    /// Whether the provider sends an event again that was answered 429. Where it does not, nobody is turned away for
    /// the refusals of their address: the event would be lost for what somebody else did.
    pub comes_again: bool,
}

/// The state shared by all connections. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Admission {
    budget: Arc<Budget>,
    refusals: Arc<Refusals>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Where its refusals and its bytes are counted: its own address, or that of the hop which did not say it.
    pub counted: IpAddr,
    /// Its own address, if it is known: nobody else's stands for it in a list.
    pub known: Option<IpAddr>,
}

impl From<IpAddr> for Client {
    fn from(own: IpAddr) -> Self {
        Self { counted: own, known: Some(own) }
    }
}

impl Admission {
    /// Nothing in flight, nobody refused.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            budget: Arc::new(Budget::new(limits.in_flight_max, limits.in_flight_share)),
            refusals: Arc::new(Refusals::new(limits.refusals_burst, limits.refusals_every, limits.addresses_max)),
        }
    }

    /// The same refusals with other limits of bytes in flight; what is in flight now counts by those it came in by.
    #[must_use]
    pub fn within(&self, limits: Limits) -> Self {
        let same = self.budget.limits() == (limits.in_flight_max, limits.in_flight_share);
        let new = || Arc::new(Budget::new(limits.in_flight_max, limits.in_flight_share));
        let budget = if same { Arc::clone(&self.budget) } else { new() };
        Self { budget, refusals: Arc::clone(&self.refusals) }
    }

    /// May this caller send a body of the declared length (`None` where it is not declared)? Nothing is set aside before a
    /// byte of it comes, and then never more than [`AHEAD`]: saying that much will come costs a caller nothing. The permit
    /// grows with what does.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies, cheapest question first. None of them is charged to the caller here.
    pub fn admit(
        &self,
        rules: &Rules,
        client: impl Into<Client>,
        method: &Method,
        declared: Option<u64>,
        now: Timestamp,
    ) -> Result<Permit, Refusal> {
        let client = client.into();
        if !rules.methods.contains(method) {
            return Err(Refusal::Method);
        }
        if declared.is_some_and(|bytes| bytes > rules.body_max) {
            return Err(Refusal::TooLarge { max: rules.body_max });
        }
        if rules.addresses.as_ref().is_some_and(|list| !client.known.is_some_and(|known| list.contains(known))) {
            return Err(Refusal::Address);
        }
        let caller = address::caller(client.counted);
        if rules.comes_again
            && let Some(retry_after) = self.refusals.wait(caller, now)
        {
            return Err(Refusal::TooManyRefusals { retry_after });
        }
        self.budget.permit(caller, declared, rules.body_max)
    }

    /// Charges one refusal to the caller's address.
    pub fn charge_refusal(&self, client: IpAddr, now: Timestamp) {
        self.refusals.charge(address::caller(client), now);
    }

    /// Body bytes in flight now.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.budget.taken()
    }
}

/// Why a caller may not speak now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The source does not take this method.
    Method,
    /// The body is, or would become, larger than the source takes.
    TooLarge {
        /// The largest body it takes, in bytes.
        max: u64,
    },
    /// The address is not on the source's list.
    Address,
    /// The address collected too many refusals.
    TooManyRefusals {
        /// When the next request would be heard.
        retry_after: Duration,
    },
    /// Too many bytes are in flight.
    Busy,
    /// Too many bytes of the same caller's are in flight and not proven yet.
    Crowded,
}

impl Refusal {
    /// A word for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::TooLarge { .. } => "too_large",
            Self::Address => "address",
            Self::TooManyRefusals { .. } => "too_many_refusals",
            Self::Busy => "busy",
            Self::Crowded => "crowded",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("the source does not take this method"),
            Self::TooLarge { max } => write!(f, "the body is larger than {max} bytes"),
            Self::Address => f.write_str("the address is not on the source's list"),
            Self::TooManyRefusals { retry_after } => {
                write!(f, "the address was refused too often; next chance in {} s", retry_after.as_secs())
            }
            Self::Busy => f.write_str("too many bytes are in flight"),
            Self::Crowded => f.write_str("too many bytes of the same caller are in flight"),
        }
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests;
