//! Which places of a request say what the event is?
//!
//! Promises: compiled once, when the configuration is built; read in one pass.
//!
//! Must not know: provider files.

use crate::select::{Marks, Plan, PlanError, Pointer, Questions, Request, Selector, Values};
use crate::verify::Unit;

/// What a provider file says about its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The parts of the id; all must be there. Empty: no id.
    pub id: Vec<Selector>,
    /// The kind.
    pub kind: Option<Selector>,
    /// The tenant keys; usually [`crate::select::Take::Each`].
    pub tenant: Option<Selector>,
    /// When it happened.
    pub time: Option<(Selector, Unit)>,
    /// What must stay in order with what.
    pub order: Option<Selector>,
    /// What equal bodies mean.
    pub equal_bodies: EqualBodies,
    /// Who has the last word where the key is the same and the body is not.
    pub authority: Authority,
    /// What a repeat gets.
    pub repeat: Repeat,
    /// How a batch may be split; used by a later issue.
    pub parts: Option<Parts>,
}

/// What it means that two bodies are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EqualBodies {
    /// Nothing: ids decide.
    #[default]
    Nothing,
    /// They are the same event: the body's digest is a part of the id (Meta, which sends none).
    SameEvent,
}

/// Who has the last word where the key is the same and the body is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authority {
    /// The body: another body is another event.
    #[default]
    Body,
    /// The id: it is the same event.
    Id,
}

/// What a repeat gets, by what the provider means with one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// The same answer, and nothing else: the provider retries by itself.
    #[default]
    Answer,
    /// It is delivered again: the provider never retries, so a person asked for it.
    Deliver,
}

/// Which elements of a batch make an event each, and which bytes of the frame each repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The elements, as in `/entry/*/changes/*`.
    pub elements: Pointer,
}

/// [`Wanted`], compiled.
#[derive(Clone, Debug, Default)]
pub struct Selectors {
    wanted: Wanted,
    plan: Plan,
    /// What the routes ask; their places stand last in the plan, from this index on.
    questions: Questions,
    first_question: usize,
    /// Indices into the plan; the parts of the id stand first in it.
    pub(super) kind: Option<usize>,
    pub(super) tenant: Option<usize>,
    pub(super) time: Option<(usize, Unit)>,
    pub(super) order: Option<usize>,
}

impl Selectors {
    /// Compiles what a provider file says.
    ///
    /// # Errors
    /// [`PlanError`] if there are too many JSON places.
    pub fn compile(wanted: Wanted) -> Result<Self, PlanError> {
        Self::with(wanted, Questions::default())
    }

    /// The same selectors, which answer these questions too: everything is read in one pass.
    ///
    /// # Errors
    /// [`PlanError`] if there are too many JSON places together.
    pub fn asking(&self, questions: Questions) -> Result<Self, PlanError> {
        Self::with(self.wanted.clone(), questions)
    }

    fn with(wanted: Wanted, questions: Questions) -> Result<Self, PlanError> {
        let mut list: Vec<&Selector> = wanted.id.iter().collect();
        let mut add = |selector| {
            list.push(selector);
            list.len() - 1
        };
        let kind = wanted.kind.as_ref().map(&mut add);
        let tenant = wanted.tenant.as_ref().map(&mut add);
        let time = wanted.time.as_ref().map(|(selector, unit)| (add(selector), *unit));
        let order = wanted.order.as_ref().map(&mut add);
        let first_question = list.len();
        list.extend(questions.selectors());
        let plan = Plan::compile(&list)?;
        Ok(Self { wanted, plan, questions, first_question, kind, tenant, time, order })
    }

    /// What was compiled.
    #[must_use]
    pub const fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether events of this source can have a key at all.
    #[must_use]
    pub fn keyed(&self) -> bool {
        !self.wanted.id.is_empty() || self.wanted.equal_bodies == EqualBodies::SameEvent
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn answer(&self, values: &Values<'_>, request: &Request<'_>) -> Marks {
        self.questions.answer(self.first_question, values, request)
    }
}
