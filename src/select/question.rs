//! Which of many questions about a request does it answer with yes?
//!
//! Promises: however many questions are asked of one place, the place is read once, and each of its values is looked up
//! once for all texts that are asked for; the answers are bits, so that nothing is allocated for them. A question about
//! a place with several values is answered with yes where *any* of them looks as asked. A value that is no text exists,
//! looks like nothing, and is told apart ([`Marks::unread`]), so that a no is not taken for more than it is.
//!
//! Must not know: who asks, or why.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use super::{Place, Request, Selector, Shape, Take, Values};

/// Something about a request that is so or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where to look.
    pub at: Spot,
    /// What to find there.
    pub shape: Shape,
}

/// Where a question looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// At a place of the request; everything that it holds counts.
    Place(Place),
    /// At the whole path, raw as received.
    Path,
}

impl Spot {
    /// What must be readable, so that a no is a no.
    #[must_use]
    pub const fn rests_on(&self) -> Rest {
        match self {
            Self::Place(Place::Json(_)) => Rest::Body,
            Self::Place(Place::FormJson(..)) => Rest::Field,
            Self::Path | Self::Place(Place::Header(_) | Place::Query(_) | Place::Path(_) | Place::Form(_)) => {
                Rest::Text
            }
        }
    }

    /// Whether it may hold several values.
    #[must_use]
    pub fn many(&self) -> bool {
        match self {
            Self::Path | Self::Place(Place::Path(_)) => false,
            Self::Place(Place::Header(_) | Place::Query(_) | Place::Form(_)) => true,
            Self::Place(Place::Json(pointer) | Place::FormJson(_, pointer)) => pointer.many(),
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => place.fmt(f),
            Self::Path => f.write_str("path"),
        }
    }
}

/// What must be readable, so that the answer no means that it is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Values outside JSON, as UTF-8.
    Text,
    /// The body, as JSON.
    Body,
    /// The form fields that hold JSON.
    Field,
}

/// The answers to questions, by their place in the list that was compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    yes: [u64; Questions::MAX / 64],
    text_unread: bool,
    body_unread: bool,
    field_unread: bool,
}

impl Marks {
    /// Nothing was answered with yes.
    pub const NONE: Self =
        Self { yes: [0; Questions::MAX / 64], text_unread: false, body_unread: false, field_unread: false };

    /// Whether the question at this place was answered with yes.
    #[must_use]
    pub fn has(&self, question: u8) -> bool {
        self.yes.get(usize::from(question / 64)).is_some_and(|word| word & (1 << (question % 64)) != 0)
    }

    /// Whether something of that sort was asked for and could not be read: then a no is none.
    #[must_use]
    pub const fn unread(&self, rest: Rest) -> bool {
        match rest {
            Rest::Text => self.text_unread,
            Rest::Body => self.body_unread,
            Rest::Field => self.field_unread,
        }
    }

    /// Notes a yes.
    pub fn set(&mut self, question: u8) {
        if let Some(word) = self.yes.get_mut(usize::from(question / 64)) {
            *word |= 1 << (question % 64);
        }
    }

    fn add(&mut self, other: &Self) {
        self.yes.iter_mut().zip(other.yes).for_each(|(word, more)| *word |= more);
    }
}

/// Questions, compiled to be answered together.
#[derive(Clone, Debug, Default)]
pub struct Questions(Vec<Asked>);

/// All that is asked of one spot.
#[derive(Clone, Debug)]
struct Asked {
    spot: Spot,
    /// For the plan, where it stands in a JSON text; everything else is read when it is asked for.
    selector: Option<Selector>,
    /// What any value answers.
    exists: Marks,
    /// What a text answers.
    texts: HashMap<Box<str>, Marks>,
    /// The longest of these texts, in bytes.
    longest: usize,
    /// What is asked of each value by itself.
    others: Vec<(Shape, u8)>,
}

impl Questions {
    /// Most questions that can be asked together.
    pub const MAX: usize = 256;

    /// Compiles questions.
    ///
    /// # Errors
    /// [`TooManyQuestions`] if there are more than [`Questions::MAX`].
    pub fn compile(list: &[Question]) -> Result<Self, TooManyQuestions> {
        let mut spots: Vec<Asked> = Vec::new();
        for (number, question) in list.iter().enumerate() {
            let number = u8::try_from(number).map_err(|_| TooManyQuestions)?;
            let at = spots.iter().position(|asked| asked.spot == question.at).unwrap_or_else(|| {
                spots.push(Asked::new(question.at.clone()));
                spots.len() - 1
            });
            spots[at].add(&question.shape, number);
        }
        Ok(Self(spots))
    }

    /// What a plan must select, in this order, for [`Questions::answer`].
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.0.iter().filter_map(|asked| asked.selector.as_ref())
    }

    /// Answers all questions; `first` is the index of the first of [`Questions::selectors`] in the plan.
    #[must_use]
    pub fn answer(&self, first: usize, values: &Values<'_>, request: &Request<'_>) -> Marks {
        let (body_unread, field_unread) = (!values.body_readable(), !values.fields_readable());
        let mut marks = Marks { body_unread, field_unread, ..Marks::NONE };
        let mut next = first;
        for asked in &self.0 {
            match &asked.spot {
                Spot::Path => asked.look(request.path, &mut marks),
                Spot::Place(Place::Json(_) | Place::FormJson(..)) => {
                    values.each(next, &mut |value| asked.look(value.unwrap_or_default(), &mut marks));
                    next += 1;
                }
                Spot::Place(place) => {
                    if place.each(request, &mut |value| asked.look(&value, &mut marks)).is_err() {
                        marks.add(&asked.exists);
                        marks.text_unread = true;
                    }
                }
            }
        }
        marks
    }
}

impl Asked {
    fn new(spot: Spot) -> Self {
        let selector = match &spot {
            Spot::Place(place) if spot.rests_on() != Rest::Text => Some(Selector::new(vec![place.clone()], Take::All)),
            Spot::Place(_) | Spot::Path => None,
        };
        Self { spot, selector, exists: Marks::default(), texts: HashMap::new(), longest: 0, others: Vec::new() }
    }

    fn add(&mut self, shape: &Shape, number: u8) {
        match shape {
            Shape::Exists => self.exists.set(number),
            Shape::OneOf(set) => {
                for text in set.iter() {
                    self.longest = self.longest.max(text.len());
                    self.texts.entry(text.into()).or_default().set(number);
                }
            }
            Shape::Prefix(_) | Shape::Glob(_) => self.others.push((shape.clone(), number)),
        }
    }

    fn look(&self, value: &str, marks: &mut Marks) {
        marks.add(&self.exists);
        if !self.texts.is_empty()
            && value.len() <= self.longest
            && let Some(answered) = self.texts.get(value)
        {
            marks.add(answered);
        }
        for (shape, number) in &self.others {
            // What was answered with yes once is not asked again.
            if !marks.has(*number) && shape.takes(value) {
                marks.set(*number);
            }
        }
    }
}

/// More than [`Questions::MAX`] questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyQuestions;

impl fmt::Display for TooManyQuestions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} different questions can be asked together", Questions::MAX)
    }
}

impl Error for TooManyQuestions {}

#[cfg(test)]
mod tests;
