//! Whose events come in at one source?
//!
//! Promises: the keys of a source are resolved when the table is built; a raw key goes no further than here: who is
//! unknown is a number from here on, which follows from source and key.

use std::collections::HashMap;
use std::sync::Arc;

use super::bucket::Charge;
use super::table::{LABEL_OTHER, LABEL_UNKNOWN};
use super::unknown::Unknown;
use super::{Manner, Tenant};
use crate::clock::Timestamp;
use crate::event::Tenants;
use crate::verify;

/// The tenants of one configured source, by key.
pub(super) type Keys = HashMap<Arc<str>, Arc<Tenant>>;

/// The tenants as one source sees them. The default one knows nobody and holds nobody up.
#[derive(Clone, Debug, Default)]
pub struct Door {
    pub(super) source: Arc<str>,
    pub(super) keys: Arc<Keys>,
    /// `None` where the unknown are not limited.
    pub(super) unknown: Option<Arc<Unknown>>,
    /// Stands for those of this source who have no key; `None` where its events never name anybody.
    pub(super) nobody: Option<u64>,
    pub(super) manner: Manner,
}

/// One whom an event concerns.
#[derive(Clone, Copy, Debug)]
pub enum Party<'a> {
    /// A tenant of the configuration.
    Known(&'a Arc<Tenant>),
    /// Somebody who has no section, by a number that is never zero.
    Unknown(u64),
    /// Whoever is meant where an event has no key, all of them together, by a number that is never zero.
    Nobody(u64),
}

impl Party<'_> {
    /// Tells parties apart; stays the same from one configuration and one start to the next.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::Known(tenant) => tenant.number,
            Self::Unknown(number) | Self::Nobody(number) => *number,
        }
    }

    /// The place of its label in [`super::Table::labels`].
    #[must_use]
    pub fn label(&self) -> usize {
        match self {
            Self::Known(tenant) => usize::try_from(tenant.label).unwrap_or(LABEL_OTHER),
            Self::Unknown(_) | Self::Nobody(_) => LABEL_UNKNOWN,
        }
    }
}

/// All whom an event concerns, each once. Nobody at all where its source names no tenants.
#[derive(Debug, Default)]
pub struct Parties<'a> {
    first: Option<Party<'a>>,
    more: Vec<Party<'a>>,
}

impl<'a> Parties<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        if self.first.is_some() { 1 + self.more.len() } else { 0 }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// All of them, in the order of the event.
    pub fn iter(&self) -> impl Iterator<Item = &Party<'a>> {
        self.first.iter().chain(&self.more)
    }

    fn add(&mut self, party: Party<'a>) {
        if self.first.is_none() {
            self.first = Some(party);
        } else if !self.iter().any(|known| known.number() == party.number()) {
            self.more.push(party);
        }
    }
}

impl Door {
    /// Whom an event concerns, by the keys that were found in it.
    #[must_use]
    pub fn parties(&self, found: &Tenants) -> Parties<'_> {
        let mut parties = Parties::default();
        for key in &found.keys {
            parties.add(match self.keys.get(&**key) {
                Some(tenant) => Party::Known(tenant),
                None => Party::Unknown(number(&self.source, Some(key))),
            });
        }
        if (found.others || found.keys.is_empty())
            && let Some(nobody) = self.nobody
        {
            parties.add(Party::Nobody(nobody));
        }
        parties
    }

    /// Charges a party for so many events with so many bytes.
    #[must_use]
    pub fn charge(&self, party: Party<'_>, events: u32, bytes: u64, now: Timestamp) -> Charge {
        match (party, &self.unknown) {
            (Party::Known(tenant), _) => {
                tenant.bucket.charge(&tenant.pace, now, events, bytes, self.manner.over(tenant.over))
            }
            (Party::Unknown(number) | Party::Nobody(number), Some(unknown)) => {
                unknown.charge(number, now, events, bytes, self.manner.over(None))
            }
            (Party::Unknown(_) | Party::Nobody(_), None) => Charge::PASS,
        }
    }

    /// Takes back what a party was charged.
    pub fn give_back(&self, party: Party<'_>, charge: &Charge, now: Timestamp) {
        match (party, &self.unknown) {
            (Party::Known(tenant), _) => tenant.bucket.give_back(&tenant.pace, charge, now),
            (Party::Unknown(number) | Party::Nobody(number), Some(unknown)) => unknown.give_back(number, charge, now),
            (Party::Unknown(_) | Party::Nobody(_), None) => {}
        }
    }
}

/// Stands for a key of a source, or for all events of it that have none; never zero.
pub(super) fn number(source: &str, key: Option<&str>) -> u64 {
    let length = (source.len() as u64).to_be_bytes();
    let digest = match key {
        Some(key) => verify::digest(&[&length, source.as_bytes(), b"=", key.as_bytes()]),
        None => verify::digest(&[&length, source.as_bytes()]),
    };
    digest.first_chunk().map_or(1, |first| u64::from_be_bytes(*first).max(1))
}

/// Stands for a tenant of the configuration; never zero.
pub(super) fn number_of(tenant: &str) -> u64 {
    // No source is that long, so no key has the same digest.
    let digest = verify::digest(&[&u64::MAX.to_be_bytes(), tenant.as_bytes()]);
    digest.first_chunk().map_or(1, |first| u64::from_be_bytes(*first).max(1))
}
