//! Who must hear it?
//!
//! Promises: the first rule that matches decides; an event that none matches is owed to nobody, which is not the same
//! as being discarded on purpose. What a rule gives is shared, never copied.
//!
//! Must not know: addresses of destinations, or how they fare.

use std::sync::Arc;

use crate::event::Event;

/// A source, as an index that is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// A destination, as an index that is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(pub u32);

/// What a rule does with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then<T> {
    /// It is owed to these.
    To(T),
    /// Nothing is stored.
    Discard,
}

/// A rule for events of some sources. Predicates on kind and tenant will stand here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T = Arc<[DestinationId]>> {
    /// The sources it is for.
    pub from: Vec<SourceId>,
    /// What it does.
    pub then: Then<T>,
}

/// The rules of one source, in order. `T` is what a rule hands out: destinations, or what a later room made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<T = Arc<[DestinationId]>> {
    rules: Vec<Then<T>>,
}

impl<T: Clone> Table<T> {
    /// The rules that are for a source, in their order.
    #[must_use]
    pub fn build(source: SourceId, rules: &[Rule<T>]) -> Self {
        let rules = rules.iter().filter(|rule| rule.from.contains(&source)).map(|rule| rule.then.clone()).collect();
        Self { rules }
    }
}

impl<T> Table<T> {
    /// Who must hear an event.
    #[must_use]
    pub fn resolve(&self, _event: &Event) -> Resolved<'_, T> {
        match self.rules.first() {
            Some(Then::To(targets)) => Resolved::To(targets),
            Some(Then::Discard) => Resolved::Discard,
            None => Resolved::Nowhere,
        }
    }
}

/// Who must hear an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved<'a, T = Arc<[DestinationId]>> {
    /// These.
    To(&'a T),
    /// Nobody, by an explicit rule: nothing is stored.
    Discard,
    /// Nobody, because no rule matches: stored, owed to none.
    Nowhere,
}

#[cfg(test)]
mod tests;
