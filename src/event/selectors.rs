//! Which places of a request say what the event is?
//!
//! Promises: compiled once, when the configuration is built; read in one pass.
//!
//! Must not know: provider files.

use std::sync::Arc;

use http::HeaderName;
use http::header::HeaderMap;

use crate::select::{Elements, Marks, Part, Plan, PlanError, Questions, Request, Selector, Values};
use crate::verify::{Credential, Unit};

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
    /// How a batch may be split.
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

/// Which elements of a batch make an event each. What stands around them, and around the arrays that they stand in, is the
/// frame, which each repeats; an element in which the next array is absent or empty makes an event, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The elements, as in `/entry/*/changes/*`.
    pub elements: Elements,
    /// The headers that say something of the body as a whole, beside those of the proof: they do not go with a part.
    pub without: Vec<HeaderName>,
}

impl Parts {
    /// Most events of one batch. One with more elements goes on whole.
    pub const MAX: usize = 1_000;
}

/// How the batches of a source are split.
#[derive(Clone, Debug, Default)]
pub struct Splitting {
    /// Most bytes that the records of one batch take together, bodies, heads and envelopes. One with more goes on whole.
    pub room: u64,
    /// What is left out of the head that goes with a part: what served as proof, and what holds only for the whole body.
    pub without: Credential,
}

impl Splitting {
    /// What a record takes beside its body and the fields of its head.
    const BESIDE: u64 = 512;

    fn takes(&self, parts: &[Part], request: &Request<'_>) -> bool {
        let room = |headers: &HeaderMap| -> u64 {
            headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
        };
        let head = (request.path.len() + request.query.len()) as u64 + room(request.headers) + Self::BESIDE;
        parts.iter().map(|part| part.bytes() + head).sum::<u64>() <= self.room
    }
}

/// What a request falls apart into.
pub(super) enum Found {
    /// Nothing: it is one event.
    Whole,
    /// These.
    Parts(Vec<Part>),
    /// More, or larger ones, than are stored at once: it is one event.
    TooMuch,
}

/// [`Wanted`], compiled.
#[derive(Clone, Debug, Default)]
pub struct Selectors {
    wanted: Wanted,
    plan: Plan,
    /// What the routes ask; their places stand last in the plan, from this index on.
    questions: Questions,
    first_question: usize,
    splitting: Option<Arc<Splitting>>,
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
        Self::with(wanted, Questions::default(), None)
    }

    /// The same selectors, by which batches are split, where the provider file says how.
    ///
    /// # Errors
    /// [`PlanError`] if there are too many JSON places together.
    pub fn splitting(&self, splitting: Splitting) -> Result<Self, PlanError> {
        Self::with(self.wanted.clone(), self.questions.clone(), Some(Arc::new(splitting)))
    }

    /// The same selectors, which answer these questions too: everything is read in one pass.
    ///
    /// # Errors
    /// [`PlanError`] if there are too many JSON places together.
    pub fn asking(&self, questions: Questions) -> Result<Self, PlanError> {
        Self::with(self.wanted.clone(), questions, self.splitting.clone())
    }

    fn with(wanted: Wanted, questions: Questions, splitting: Option<Arc<Splitting>>) -> Result<Self, PlanError> {
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
        let plan = match wanted.parts.as_ref().filter(|_| splitting.is_some()) {
            Some(parts) => Plan::compile_parted(&list, &parts.elements)?,
            None => Plan::compile(&list)?,
        };
        Ok(Self { wanted, plan, questions, first_question, splitting, kind, tenant, time, order })
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

    /// How batches are split; `None` where they are not.
    #[must_use]
    pub fn split(&self) -> Option<&Splitting> {
        self.splitting.as_deref()
    }

    /// Reads a request in one pass over its body, unless that is a batch of too much.
    pub(super) fn read<'a>(&'a self, request: &Request<'a>) -> (Values<'a>, Found) {
        let Some(splitting) = &self.splitting else { return (self.plan.read(request), Found::Whole) };
        let (values, parts) = self.plan.read_parts(request, Parts::MAX);
        if parts.is_empty() {
            return (values, Found::Whole);
        }
        if parts.len() > 1 && (parts.len() > Parts::MAX || !splitting.takes(&parts, request)) {
            return (self.plan.read(request), Found::TooMuch);
        }
        (values, Found::Parts(parts))
    }

    pub(super) fn answer(&self, values: &Values<'_>, request: &Request<'_>) -> Marks {
        self.questions.answer(self.first_question, values, request)
    }
}
