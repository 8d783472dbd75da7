//! For which events is a rule?
//!
//! Promises: what a condition says of the source is settled when the table is built; what is left is read from answers
//! that are bits, and from kind and tenant as they stand in the event. What could not be read is neither there nor
//! absent: a condition that depends on it holds no more than its opposite does.
//!
//! Must not know: how the request is read.

use std::fmt;

use super::{Facts, Tenant};
use crate::select::{Question, Rest, Shape, TooManyQuestions};

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// The source's name looks like this.
    Source(Shape),
    /// The event has one known tenant, whose name looks like this.
    Tenant(Shape),
    /// The event has a kind, which looks like this.
    Kind(Shape),
    /// The request answers this with yes.
    Asks(Question),
}

impl When {
    /// Whether it asks for the tenant anywhere.
    #[must_use]
    pub fn asks_tenant(&self) -> bool {
        match self {
            Self::All(list) | Self::Any(list) => list.iter().any(Self::asks_tenant),
            Self::Not(inner) => inner.asks_tenant(),
            Self::Tenant(_) => true,
            Self::Source(_) | Self::Kind(_) | Self::Asks(_) => false,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, list: &[Self], word: &str| {
            for (at, inner) in list.iter().enumerate() {
                let mark = if at == 0 { "" } else { word };
                match inner {
                    Self::All(_) | Self::Any(_) => write!(f, "{mark}({inner})")?,
                    _ => write!(f, "{mark}{inner}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(inner) => list(f, inner, " and "),
            Self::Any(inner) => list(f, inner, " or "),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Source(shape) => write!(f, "source {shape}"),
            Self::Tenant(shape) => write!(f, "tenant {shape}"),
            Self::Kind(shape) => write!(f, "kind {shape}"),
            Self::Asks(Question { at, shape }) => write!(f, "{at} {shape}"),
        }
    }
}

/// A condition of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Always(bool),
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Not(Box<Self>),
    Tenant(Shape),
    Kind(Shape),
    Answered { question: u8, rest: Rest },
}

/// What is collected while the conditions of one source are compiled.
pub(super) struct Fold<'a> {
    pub(super) source: &'a str,
    /// What has to be asked of every request; each question once.
    pub(super) questions: Vec<Question>,
}

impl Fold<'_> {
    pub(super) fn node(&mut self, when: &When) -> Result<Node, TooManyQuestions> {
        Ok(match when {
            When::All(list) => self.several(list, false)?,
            When::Any(list) => self.several(list, true)?,
            When::Not(inner) => match self.node(inner)? {
                Node::Always(holds) => Node::Always(!holds),
                other => Node::Not(Box::new(other)),
            },
            When::Source(shape) => Node::Always(shape.takes(self.source)),
            When::Tenant(shape) => Node::Tenant(shape.clone()),
            When::Kind(shape) => Node::Kind(shape.clone()),
            When::Asks(question) => {
                let at = self.questions.iter().position(|known| known == question).unwrap_or_else(|| {
                    self.questions.push(question.clone());
                    self.questions.len() - 1
                });
                let number = u8::try_from(at).map_err(|_| TooManyQuestions)?;
                Node::Answered { question: number, rest: question.at.rests_on() }
            }
        })
    }

    /// A list in which one inner condition that always has the value `decides` settles it, and the other value is left
    /// out.
    fn several(&mut self, list: &[When], decides: bool) -> Result<Node, TooManyQuestions> {
        let asked = self.questions.len();
        let mut nodes = Vec::with_capacity(list.len());
        for when in list {
            match self.node(when)? {
                Node::Always(holds) if holds == decides => {
                    // What was asked for the others is asked for nothing.
                    self.questions.truncate(asked);
                    return Ok(Node::Always(decides));
                }
                Node::Always(_) => {}
                node => nodes.push(node),
            }
        }
        Ok(match (nodes.len(), decides) {
            (0, _) => Node::Always(!decides),
            (1, _) => nodes.remove(0),
            (_, true) => Node::Any(nodes.into()),
            (_, false) => Node::All(nodes.into()),
        })
    }
}

impl Node {
    /// Whether it holds; `None` where that depends on what could not be read.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::Always(holds) => Some(*holds),
            Self::All(list) => settle(list, facts, false),
            Self::Any(list) => settle(list, facts, true),
            Self::Not(inner) => inner.holds(facts).map(|holds| !holds),
            Self::Tenant(shape) => match facts.tenant {
                Tenant::One(name) => Some(shape.takes(name)),
                Tenant::None | Tenant::Unknown => facts.readable.then_some(false),
                Tenant::Mixed => None,
            },
            Self::Kind(_) if facts.kind.is_empty() => facts.readable.then_some(false),
            Self::Kind(shape) => Some(shape.takes(facts.kind)),
            Self::Answered { question, .. } if facts.marks.has(*question) => Some(true),
            Self::Answered { rest, .. } => (!facts.marks.unread(*rest)).then_some(false),
        }
    }
}

/// One inner condition with the value `decides` settles the list, whatever could not be read.
fn settle(list: &[Node], facts: &Facts<'_>, decides: bool) -> Option<bool> {
    let mut settled = Some(!decides);
    for node in list {
        match node.holds(facts) {
            Some(holds) if holds == decides => return Some(decides),
            Some(_) => {}
            None => settled = None,
        }
    }
    settled
}
