//! How are all selectors of a source read in one pass?
//!
//! Promises: one pass over the body whatever the number of JSON places, at most [`Plan::POINTERS_MAX`] of them;
//! headers, query and form are read when a value is asked for; the usual few plain values allocate nothing.
//!
//! Must not know: what the selectors are for.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::json::{self, Elements, Hit, Hits, Track};
use super::parts::{Frame, Part, Window};
use super::{Place, Pointer, Request, Selector, Take, form};

/// Selectors compiled to be read together. A selector is named by its index in the list given to [`Plan::compile`].
#[derive(Clone, Debug, Default)]
pub struct Plan {
    selectors: Vec<Compiled>,
    /// Pointers into the body.
    body: Vec<Track>,
    /// Form fields that hold JSON, and pointers into them.
    fields: Vec<(Box<str>, Vec<Track>)>,
    /// How the body falls apart, if that was asked for.
    frame: Option<Frame>,
}

#[derive(Clone, Debug)]
struct Compiled {
    places: Vec<At>,
    take: Take,
    /// Where the elements of [`Take::Each`] are marked.
    elements: Option<Mark>,
}

/// A track in one of the texts that are walked: the body, or the form field of that index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    text: Text,
    track: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Body,
    Field(usize),
}

#[derive(Clone, Debug)]
enum At {
    /// A place that is none in a JSON text.
    Plain(Place),
    Json(Mark),
}

impl Plan {
    /// Most different JSON pointers one plan can follow in one text (a [`Take::Each`] selector needs one more for its
    /// elements).
    pub const POINTERS_MAX: usize = 64;

    /// Compiles selectors.
    ///
    /// # Errors
    /// [`PlanError::Pointers`] if there are too many JSON places.
    pub fn compile(selectors: &[&Selector]) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        for selector in selectors {
            let places = selector.places().iter().map(|place| plan.place(place)).collect::<Result<_, _>>()?;
            let elements = if selector.take() == Take::Each { plan.elements(selector)? } else { None };
            plan.selectors.push(Compiled { places, take: selector.take(), elements });
        }
        Ok(plan)
    }

    /// Compiles selectors and how the body falls apart, for [`Plan::read_parts`].
    ///
    /// # Errors
    /// [`PlanError::Pointers`] if there are too many JSON places.
    pub fn compile_parted(selectors: &[&Selector], elements: &Elements) -> Result<Self, PlanError> {
        let mut plan = Self::compile(selectors)?;
        let mut frame = Frame { arrays: Vec::new(), elements: Vec::new() };
        for (array, elements) in elements.arrays() {
            frame.arrays.push(plan.track(Text::Body, Track::range(&array))?.track);
            frame.elements.push(plan.track(Text::Body, Track::range(&elements))?.track);
        }
        plan.frame = Some(frame);
        Ok(plan)
    }

    fn place(&mut self, place: &Place) -> Result<At, PlanError> {
        let (text, pointer) = match place {
            Place::Header(_) | Place::Query(_) | Place::Path(_) | Place::Form(_) => {
                return Ok(At::Plain(place.clone()));
            }
            Place::Json(pointer) => (Text::Body, pointer),
            Place::FormJson(name, pointer) => (self.field(name), pointer),
        };
        self.track(text, Track::value(pointer)).map(At::Json)
    }

    /// The mark of the elements that all JSON places of a selector share, if they stand in one text.
    fn elements(&mut self, selector: &Selector) -> Result<Option<Mark>, PlanError> {
        let mut pointers: Vec<&Pointer> = Vec::new();
        let mut shared = None;
        for place in selector.places() {
            let (text, pointer) = match place {
                Place::Header(_) | Place::Query(_) | Place::Path(_) | Place::Form(_) => continue,
                Place::Json(pointer) => (Text::Body, pointer),
                Place::FormJson(name, pointer) => (self.field(name), pointer),
            };
            if *shared.get_or_insert(text) != text {
                return Ok(None);
            }
            pointers.push(pointer);
        }
        match (shared, Pointer::elements(pointers.into_iter())) {
            (Some(text), Some(elements)) => self.track(text, Track::range(&elements)).map(Some),
            (None, _) | (_, None) => Ok(None),
        }
    }

    fn field(&mut self, name: &str) -> Text {
        Text::Field(self.fields.iter().position(|(known, _)| **known == *name).unwrap_or_else(|| {
            self.fields.push((name.into(), Vec::new()));
            self.fields.len() - 1
        }))
    }

    fn track(&mut self, text: Text, track: Track) -> Result<Mark, PlanError> {
        let tracks = match text {
            Text::Body => &mut self.body,
            Text::Field(at) => match self.fields.get_mut(at) {
                Some((_, tracks)) => tracks,
                None => return Err(PlanError::Pointers),
            },
        };
        // What several selectors ask for is followed, and found, once.
        let at = match tracks.iter().position(|known| *known == track) {
            Some(known) => known,
            None if tracks.len() >= Self::POINTERS_MAX => return Err(PlanError::Pointers),
            None => {
                tracks.push(track);
                tracks.len() - 1
            }
        };
        Ok(Mark { text, track: u8::try_from(at).map_err(|_| PlanError::Pointers)? })
    }

    /// Reads all selectors.
    #[must_use]
    pub fn read<'a>(&'a self, request: &Request<'a>) -> Values<'a> {
        self.read_as(request, 0)
    }

    /// Reads all selectors as they stand in the parts of the body, and finds those, one more than `most` at most; there are
    /// none where no part was compiled, or no element stands there, or the body cannot be read. One pass.
    /// [`Values::narrow`] says of which part the values are to be; before that they are of all of them, or of the only one.
    /// Where there are more parts than are wanted, they are to be read again, with [`Plan::read`].
    #[must_use]
    pub fn read_parts<'a>(&'a self, request: &Request<'a>, most: usize) -> (Values<'a>, Vec<Part>) {
        let values = self.read_as(request, self.frame.as_ref().map_or(0, Frame::bit));
        let parts = match (&self.frame, &values.body) {
            (Some(frame), Some(hits)) => frame.parts(hits, request.body.len(), most),
            (None, _) | (_, None) => Vec::new(),
        };
        (values, parts)
    }

    fn read_as<'a>(&'a self, request: &Request<'a>, parts: u64) -> Values<'a> {
        let mut values = Values {
            plan: self,
            request: *request,
            body: None,
            window: Window::whole(),
            fields: Vec::new(),
            fields_readable: true,
        };
        if !self.body.is_empty() {
            values.body = json::walk_parts(request.body, &self.body, parts).ok();
        }
        for (name, tracks) in &self.fields {
            let text = form::values(request.body, name).next().map(form::decode).unwrap_or_default();
            let hits = if text.is_empty() { Ok(Hits::none()) } else { json::walk(&text, tracks) };
            values.fields_readable &= hits.is_ok();
            values.fields.push((text, hits.unwrap_or_else(|_| Hits::none())));
        }
        values
    }
}

/// What a [`Plan`] read.
#[derive(Debug)]
pub struct Values<'a> {
    plan: &'a Plan,
    request: Request<'a>,
    body: Option<Hits>,
    /// What of the body's hits is looked at.
    window: Window,
    fields: Vec<(Cow<'a, [u8]>, Hits)>,
    fields_readable: bool,
}

impl Values<'_> {
    /// Has the values be those of one part of the body, which [`Plan::read_parts`] found.
    pub fn narrow(&mut self, part: &Part) {
        if let Some(hits) = &self.body {
            self.window = Window::of(part, hits);
        }
    }

    /// Whether a selector has a value in the element of the part, not only in its frame.
    #[must_use]
    pub fn stands_in_element(&self, selector: usize) -> bool {
        let places = self.plan.selectors.get(selector).map(|compiled| &*compiled.places).unwrap_or_default();
        places.iter().any(|place| match place {
            At::Json(mark) if mark.text == Text::Body => self.hits(*mark, 0).any(|(at, _)| self.window.owns(at)),
            At::Plain(_) | At::Json(_) => false,
        })
    }

    /// Whether every JSON text could be read. Values of places in one that could not are absent.
    #[must_use]
    pub const fn readable(&self) -> bool {
        self.body_readable() && self.fields_readable
    }

    /// Whether the body could be read as JSON, if it had to be.
    #[must_use]
    pub const fn body_readable(&self) -> bool {
        self.plan.body.is_empty() || self.body.is_some()
    }

    /// Whether every form field could be read that had to be read as JSON.
    #[must_use]
    pub const fn fields_readable(&self) -> bool {
        self.fields_readable
    }

    /// The first value of a selector, by its index.
    #[must_use]
    pub fn first(&self, selector: usize) -> Option<Cow<'_, str>> {
        let compiled = self.plan.selectors.get(selector)?;
        compiled.places.iter().find_map(|place| match place {
            At::Plain(place) => place.first(&self.request).unwrap_or_default(),
            At::Json(mark) => {
                let text = self.text(mark.text)?;
                self.hits(*mark, 0).next().map(|(_, hit)| hit.text(text))
            }
        })
    }

    /// Calls `f` with each value of a selector as its [`Take`] says; `None` stands for an element of [`Take::Each`]
    /// where no place has a value.
    pub fn each(&self, selector: usize, f: &mut dyn FnMut(Option<&str>)) {
        let Some(compiled) = self.plan.selectors.get(selector) else { return };
        match compiled.take {
            Take::First => {
                if let Some(value) = self.first(selector) {
                    f(Some(&value));
                }
            }
            Take::All => {
                for place in &compiled.places {
                    self.place(place, f);
                }
            }
            Take::Each => {
                if !self.elements(compiled, f) && !compiled.places.iter().any(|place| self.place(place, f)) {
                    f(None);
                }
            }
        }
    }

    fn text(&self, text: Text) -> Option<&[u8]> {
        match text {
            Text::Body => self.body.as_ref().map(|_| self.request.body),
            Text::Field(at) => self.fields.get(at).map(|(text, _)| &**text),
        }
    }

    /// The hits of a track from an index on, with their indices: of the body those that are looked at.
    fn hits(&self, mark: Mark, start: usize) -> impl Iterator<Item = (usize, &Hit)> {
        self.all_hits(mark.text, start).filter(move |(_, hit)| hit.track == mark.track)
    }

    fn all_hits(&self, text: Text, start: usize) -> impl Iterator<Item = (usize, &Hit)> {
        let (body, field) = match text {
            Text::Body => (self.body.as_ref(), None),
            Text::Field(at) => (None, self.fields.get(at)),
        };
        let body = body
            .into_iter()
            .flat_map(move |hits| self.window.from(start).flat_map(move |indices| hits.between(indices)));
        body.chain(field.into_iter().flat_map(move |(_, hits)| hits.from(start)))
    }

    /// Calls `f` with all values of a place; says whether there were any. A place that cannot be read has none.
    fn place(&self, place: &At, f: &mut dyn FnMut(Option<&str>)) -> bool {
        let mut any = false;
        let mut give = |value: &str| {
            any = true;
            f(Some(value));
        };
        match place {
            // What is no text is passed over.
            At::Plain(place) => drop(place.each(&self.request, &mut |value| give(&value))),
            At::Json(mark) => {
                if let Some(text) = self.text(mark.text) {
                    self.hits(*mark, 0).for_each(|(_, hit)| give(&hit.text(text)));
                }
            }
        }
        any
    }

    /// Calls `f` for each element of an array; says whether there were any.
    fn elements(&self, compiled: &Compiled, f: &mut dyn FnMut(Option<&str>)) -> bool {
        let Some(mark) = compiled.elements else { return false };
        let Some(text) = self.text(mark.text) else { return false };
        let mut any = false;
        for (at, element) in self.hits(mark, 0) {
            any = true;
            // Hits stand in the order of the text: those of this element follow it until one begins behind its end.
            let inside =
                || self.all_hits(mark.text, at + 1).map(|(_, hit)| hit).take_while(|hit| hit.start < element.end);
            let found = compiled.places.iter().any(|place| match place {
                At::Plain(_) => self.place(place, f),
                At::Json(mark) => {
                    let found = inside().filter(|hit| hit.track == mark.track).map(|hit| f(Some(&hit.text(text))));
                    found.count() > 0
                }
            });
            if !found {
                f(None);
            }
        }
        any
    }
}

/// Why selectors cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// More than [`Plan::POINTERS_MAX`] JSON places.
    Pointers,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointers => write!(f, "at most {} different json places can be read together", Plan::POINTERS_MAX),
        }
    }
}

impl Error for PlanError {}

#[cfg(test)]
mod tests;
