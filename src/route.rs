//! Who must hear it?
//!
//! A [`Rule`] says for the events of which sources it is, [`When`] it applies and what it does; a [`Table`] holds the
//! rules of one source, compiled: what they ask of the request are [`Questions`] for the source's selectors, which
//! answer them all in the one pass over the body, and the table reads the answers.
//!
//! Promises: the first rule that matches decides; an event that none matches is owed to nobody, which is not the same
//! as being discarded on purpose; what a rule gives is shared, never copied; nothing is allocated. A batch of several
//! tenants is never matched by a rule that asks for the tenant, however it asks; where a source's rules tell tenants
//! apart, such a batch takes a [`Rule::mixed`] rule or none. What could not be read is never taken for something that
//! is not there: a rule that depends on it does not match, not even under a `not`.
//!
//! Must not know: addresses of destinations, or how they fare.

mod sense;
mod when;

use std::sync::Arc;

use crate::event::{Event, Glimpse};
use crate::select::{Marks, Questions, TooManyQuestions};
use crate::tenant::{Parties, Party};

pub use sense::SourceSense;
pub use when::When;
use when::{Fold, Node};

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

/// A rule for events of some sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T = Arc<[DestinationId]>> {
    /// The sources it is for.
    pub from: Vec<SourceId>,
    /// For which of their events; `None` is for all.
    pub when: Option<When>,
    /// Whether it is for batches of several tenants, and for nothing else.
    pub mixed: bool,
    /// What it does.
    pub then: Then<T>,
}

impl<T> Rule<T> {
    /// A rule for all events of these sources.
    #[must_use]
    pub const fn always(from: Vec<SourceId>, then: Then<T>) -> Self {
        Self { from, when: None, mixed: false, then }
    }
}

/// The rules of one source, in order. `T` is what a rule hands out: destinations, or what a later room made of them.
#[derive(Clone, Debug)]
pub struct Table<T = Arc<[DestinationId]>> {
    rules: Vec<Compiled<T>>,
    questions: Questions,
    /// Whether tenants are told apart here, so that a batch of several is something of its own.
    divided: bool,
}

#[derive(Clone, Debug)]
struct Compiled<T> {
    /// Its place in the list that the table was built from.
    origin: usize,
    node: Node,
    mixed: bool,
    asks_tenant: bool,
    then: Then<T>,
}

impl<T: Clone> Table<T> {
    /// The rules that are for a source of this name, in their order.
    ///
    /// # Errors
    /// [`TooManyQuestions`] if they ask for more different things than can be answered together.
    pub fn build(source: SourceId, name: &str, rules: &[Rule<T>]) -> Result<Self, TooManyQuestions> {
        let mut fold = Fold { source: name, questions: Vec::new() };
        let own = rules.iter().enumerate().filter(|(_, rule)| rule.from.contains(&source));
        let rules = own.map(|(origin, rule)| {
            Ok(Compiled {
                origin,
                node: rule.when.as_ref().map_or(Ok(Node::Always(true)), |when| fold.node(when))?,
                mixed: rule.mixed,
                asks_tenant: rule.when.as_ref().is_some_and(When::asks_tenant),
                then: rule.then.clone(),
            })
        });
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let divided = rules.iter().any(|rule| rule.mixed || rule.asks_tenant);
        Ok(Self { rules, questions: Questions::compile(&fold.questions)?, divided })
    }
}

impl<T> Table<T> {
    /// Who must hear an event.
    #[must_use]
    pub fn resolve(&self, facts: &Facts<'_>) -> Resolved<'_, T> {
        let several = facts.tenant == Tenant::Mixed;
        let found = self.rules.iter().position(|rule| {
            rule.mixed == (several && self.divided)
                && !(several && rule.asks_tenant)
                && rule.node.holds(facts) == Some(true)
        });
        match found.and_then(|rule| Some((rule, &self.rules.get(rule)?.then))) {
            Some((rule, Then::To(targets))) => Resolved::To { rule, targets },
            Some((rule, Then::Discard)) => Resolved::Discard { rule },
            None => Resolved::Nowhere,
        }
    }

    /// What its rules ask of every request, for the source's selectors.
    #[must_use]
    pub const fn questions(&self) -> &Questions {
        &self.questions
    }

    /// Whether its rules tell tenants apart.
    #[must_use]
    pub const fn divided(&self) -> bool {
        self.divided
    }

    /// For each of its rules the place in the list that the table was built from.
    pub fn origins(&self) -> impl Iterator<Item = usize> {
        self.rules.iter().map(|rule| rule.origin)
    }
}

/// What the rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Whose event it is.
    pub tenant: Tenant<'a>,
    /// Its kind; empty where nothing says so.
    pub kind: &'a str,
    /// What it answers to [`Table::questions`].
    pub marks: &'a Marks,
    /// Whether everything that was looked for could be read.
    pub readable: bool,
}

impl<'a> Facts<'a> {
    /// The facts of an event of this tenant.
    #[must_use]
    pub fn of(event: &'a Event, tenant: Tenant<'a>) -> Self {
        let Event { kind, marks, readable, .. } = event;
        Self { tenant, kind, marks, readable: *readable }
    }

    /// What the facts would be if the request were proven.
    #[must_use]
    pub fn glimpsed(glimpse: &'a Glimpse, tenant: Tenant<'a>) -> Self {
        let Glimpse { kind, marks, readable, .. } = glimpse;
        Self { tenant, kind, marks, readable: *readable }
    }
}

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant<'a> {
    /// Nobody's in particular, as far as the event says.
    None,
    /// Somebody whom nobody knows.
    Unknown,
    /// The tenant of this name.
    One(&'a str),
    /// Several tenants together.
    Mixed,
}

impl<'a> Tenant<'a> {
    /// The tenant by all whom an event concerns.
    #[must_use]
    pub fn of(parties: &Parties<'a>) -> Self {
        match (parties.iter().next(), parties.len()) {
            (None, _) | (Some(Party::Nobody(_)), 1) => Self::None,
            (Some(Party::Known(tenant)), 1) => Self::One(tenant.name()),
            (Some(Party::Unknown(_)), 1) => Self::Unknown,
            (Some(_), _) => Self::Mixed,
        }
    }
}

/// Who must hear an event. A `rule` is a place among the table's own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved<'a, T = Arc<[DestinationId]>> {
    /// These.
    To {
        /// The rule that says so.
        rule: usize,
        /// Who.
        targets: &'a T,
    },
    /// Nobody, by an explicit rule: nothing is stored.
    Discard {
        /// The rule that says so.
        rule: usize,
    },
    /// Nobody, because no rule matches: stored, owed to none.
    Nowhere,
}

impl<T> Resolved<'_, T> {
    /// The rule that decided; `None` where none did.
    #[must_use]
    pub const fn rule(&self) -> Option<usize> {
        match self {
            Self::To { rule, .. } | Self::Discard { rule } => Some(*rule),
            Self::Nowhere => None,
        }
    }
}

#[cfg(test)]
mod tests;
