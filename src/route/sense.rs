//! Can any event at all match a rule?
//!
//! Promises: "no" is said only of a condition that contradicts itself; where the search would take too long, "yes".
//!
//! Must not know: events.

use super::when::When;
use crate::select::{Question, Shape, Spot};

/// Most ways to fulfil a condition that are looked at.
const WAYS_MAX: usize = 4096;

/// What of a source can make a condition impossible.
#[derive(Clone, Copy, Debug)]
pub struct SourceSense<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether its events can have a kind.
    pub kinds: bool,
}

impl When {
    /// Whether some event of the source could match; of a batch of several tenants nothing is said.
    #[must_use]
    pub fn is_possible(&self, source: &SourceSense<'_>) -> bool {
        let mut ways = WAYS_MAX;
        Search { source, ways: &mut ways }.any(vec![(self, true)], Vec::new())
    }
}

/// A condition that asks one thing, and whether it must hold or must not.
type Literal<'a> = (&'a When, bool);

struct Search<'a> {
    source: &'a SourceSense<'a>,
    ways: &'a mut usize,
}

impl<'a> Search<'a> {
    /// Whether everything that is open can be so beside what is taken for granted.
    fn any<'w>(&mut self, mut open: Vec<Literal<'w>>, mut granted: Vec<Literal<'w>>) -> bool {
        while let Some((when, holds)) = open.pop() {
            match when {
                When::Not(inner) => open.push((inner, !holds)),
                When::All(list) if holds => open.extend(list.iter().map(|inner| (inner, true))),
                When::Any(list) if !holds => open.extend(list.iter().map(|inner| (inner, false))),
                When::All(list) | When::Any(list) => {
                    return list.iter().any(|inner| {
                        if *self.ways == 0 {
                            return true;
                        }
                        *self.ways -= 1;
                        let mut open = open.clone();
                        open.push((inner, holds));
                        self.any(open, granted.clone())
                    });
                }
                When::Source(shape) => {
                    if shape.takes(self.source.name) != holds {
                        return false;
                    }
                }
                When::Tenant(_) | When::Kind(_) | When::Asks(_) => {
                    granted.push((when, holds));
                    if !self.agrees(&granted) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Whether the last literal agrees with those of the same thing before it.
    fn agrees(&self, granted: &[Literal<'_>]) -> bool {
        let Some((last, _)) = granted.last() else { return true };
        let same: Vec<(&Shape, bool)> = granted.iter().filter_map(|(when, holds)| shape(when, last, *holds)).collect();
        let asked = |holds: bool| same.iter().filter(move |(_, held)| *held == holds).map(|(shape, _)| *shape);
        let absent = asked(false).any(|shape| *shape == Shape::Exists);
        if asked(true).next().is_some() && (absent || matches!(last, When::Kind(_)) && !self.source.kinds) {
            return false;
        }
        if absent && matches!(last, When::Asks(Question { at: Spot::Path, .. })) {
            return false;
        }
        // Of several values one may look this way and another that way; what none may look like is left to no one.
        let many = matches!(last, When::Asks(question) if question.at.many());
        let refused = |text: &str| asked(false).any(|shape| shape.takes(text));
        let wanted = |text: &str| many || asked(true).all(|shape| shape.takes(text));
        asked(true).all(|shape| match shape {
            Shape::OneOf(set) => set.iter().any(|text| !refused(text) && wanted(text)),
            Shape::Prefix(_) | Shape::Glob(_) | Shape::Exists => asked(false).all(|other| other != shape),
        })
    }
}

/// The shape that a literal asks of the same thing as another one does.
fn shape<'w>(when: &'w When, of: &When, holds: bool) -> Option<(&'w Shape, bool)> {
    match (when, of) {
        (When::Kind(shape), When::Kind(_)) | (When::Tenant(shape), When::Tenant(_)) => Some((shape, holds)),
        (When::Asks(Question { at, shape }), When::Asks(other)) if *at == other.at => Some((shape, holds)),
        _ => None,
    }
}
