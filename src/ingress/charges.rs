//! Whose turn is it?
//!
//! Promises: every tenant of a request is charged, once for all events that concern it, or none is; what was charged is
//! given back where nothing comes of it, even if the caller hangs up; what is kept is counted, once.
//!
//! Must not know: how a bucket decides, or what is done with events later.

use std::sync::Arc;

use super::claims::Fresh;
use super::few::Few;
use super::reply::Rejection;
use crate::clock::{Clock, Timestamp};
use crate::journal::{self, Target};
use crate::route;
use crate::snapshot::Source;
use crate::tenant::{Charge, Parties, Party, Verdict};

/// A new event whose tenants were charged.
#[derive(Debug)]
pub(super) struct Due<'s> {
    pub(super) fresh: Fresh,
    /// Whom it concerns, as the routes ask.
    pub(super) tenant: route::Tenant<'s>,
    /// Whom it concerns, as the journal takes it.
    pub(super) whom: journal::Tenants,
    /// Nobody is handed it before; zero: at once.
    pub(super) not_before: Timestamp,
}

impl Due<'_> {
    /// These targets, none of them before the event's time.
    pub(super) fn targets(&self, targets: &Arc<[Target]>) -> Arc<[Target]> {
        if self.not_before == Timestamp::ZERO {
            return Arc::clone(targets);
        }
        let later = |target: &Target| Target { not_before: target.not_before.max(self.not_before), ..*target };
        targets.iter().map(later).collect()
    }
}

/// Words for what became of a tenant's events: the labels of `porteiro_tenant_events_total`, each at its place.
pub const TENANT_OUTCOMES: &[&str] = &["passed", "shaped", "unshaped", "refused"];

const fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Pass => 0,
        Verdict::At(_) => 1,
        Verdict::Unshaped => 2,
        Verdict::Refuse { .. } => 3,
    }
}

/// A party of a request, and what all of its events come to.
#[derive(Debug)]
struct Bill<'s> {
    party: Party<'s>,
    events: u32,
    bytes: u64,
    charge: Option<Charge>,
}

/// What the tenants of one request were charged. Dropped, it is given back, unless it was kept.
#[derive(Debug)]
pub(super) struct Charges<'s> {
    source: &'s Source,
    bills: Few<Bill<'s>>,
    clock: &'s Clock,
    kept: bool,
}

/// Charges every tenant of the new events, all or none.
pub(super) fn charge<'s>(
    source: &'s Source,
    fresh: Few<Fresh>,
    clock: &'s Clock,
) -> Result<(Few<Due<'s>>, Charges<'s>), Rejection> {
    let mut charges = Charges { source, bills: Few::default(), clock, kept: false };
    let door = &source.tenants.door;
    let of_each: Few<(Fresh, Parties<'_>)> = fresh
        .into_iter()
        .map(|fresh| {
            let parties = door.parties(&fresh.event.tenants);
            charges.bill(&parties, fresh.event.body.len() as u64);
            (fresh, parties)
        })
        .collect();
    charges.take()?;
    let due = of_each
        .into_iter()
        .map(|(fresh, parties)| {
            let (tenant, not_before) = (route::Tenant::of(&parties), charges.release(&parties));
            Due { fresh, tenant, whom: whom(&parties), not_before }
        })
        .collect();
    Ok((due, charges))
}

impl<'s> Charges<'s> {
    /// Adds an event to the bill of each of its parties.
    fn bill(&mut self, parties: &Parties<'s>, bytes: u64) {
        for party in parties.iter() {
            if let Some(bill) = self.bills.iter_mut().find(|bill| bill.party.number() == party.number()) {
                bill.events = bill.events.saturating_add(1);
                bill.bytes = bill.bytes.saturating_add(bytes);
            } else {
                self.bills.push(Bill { party: *party, events: 1, bytes, charge: None });
            }
        }
    }

    /// Charges every bill, until one is refused.
    fn take(&mut self) -> Result<(), Rejection> {
        let Self { source, bills, clock, .. } = self;
        if bills.len() == 0 {
            return Ok(());
        }
        // Not when the request began: its body may have taken a while, and others were charged since.
        let now = clock.now();
        for bill in bills.iter_mut() {
            let charge = source.tenants.door.charge(bill.party, bill.events, bill.bytes, now);
            if let Verdict::Refuse { retry_after } = charge.verdict {
                count(source, bill, charge.verdict);
                return Err(Rejection::OverRate { retry_after });
            }
            bill.charge = Some(charge);
        }
        Ok(())
    }

    /// When an event is released that concerns these: when the last of them is ready for it.
    fn release(&self, parties: &Parties<'_>) -> Timestamp {
        let at = |bill: &Bill<'_>| match bill.charge.map(|charge| charge.verdict) {
            Some(Verdict::At(release)) if parties.iter().any(|party| party.number() == bill.party.number()) => release,
            _ => Timestamp::ZERO,
        };
        self.bills.iter().map(at).max().unwrap_or(Timestamp::ZERO)
    }

    /// The events are accepted, and this is the proof of it: what was charged stays so.
    pub(super) fn keep_for<T>(&mut self, proof: T) -> T {
        self.kept = true;
        for bill in self.bills.iter() {
            if let Some(charge) = bill.charge {
                count(self.source, bill, charge.verdict);
            }
        }
        proof
    }

    /// Nothing came of it after all.
    pub(super) fn give_back(&self) {
        let now = self.clock.now();
        for bill in self.bills.iter() {
            if let Some(charge) = &bill.charge {
                self.source.tenants.door.give_back(bill.party, charge, now);
            }
        }
    }
}

impl Drop for Charges<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.give_back();
        }
    }
}

fn count(source: &Source, bill: &Bill<'_>, verdict: Verdict) {
    if let Some(metrics) = source.tenants.metrics.get(bill.party.label()) {
        metrics.outcomes.add(place(verdict), u64::from(bill.events));
    }
}

/// Names tenants by numbers that stay the same; whoever has no name is 0.
fn whom(parties: &Parties<'_>) -> journal::Tenants {
    let number = |party: &Party<'_>| match party {
        Party::Known(_) | Party::Unknown(_) => party.number(),
        Party::Nobody(_) => 0,
    };
    let mut numbers = parties.iter().map(number);
    match (numbers.next(), parties.len()) {
        (None | Some(0), 0 | 1) => journal::Tenants::None,
        (Some(one), 1) => journal::Tenants::One(one),
        (first, _) => journal::Tenants::Mixed(first.into_iter().chain(numbers).collect()),
    }
}
