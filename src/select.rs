//! Where does a value stand in a request?
//!
//! A [`Place`] names one place (a header, a query or form field, a capture of the path, a JSON pointer into the body),
//! a [`Selector`] a list of places and which of their values count, and a [`Plan`] reads all selectors of a source in
//! one pass over the borrowed body, and finds the [`Part`]s of a batch in the same pass. A [`Question`] asks whether what stands somewhere has a certain [`Shape`].
//!
//! Promises: no bytes make it panic; the body is never copied and no document is built; nothing is allocated where
//! nothing is selected; a document that is no JSON, or is nested deeper than [`json::DEPTH_MAX`], or holds more than
//! [`json::VALUES_MAX`] of the wanted values, is [`Unreadable`] as a whole. Where an object repeats a key, the last
//! one counts, as for `serde_json::Value`.
//!
//! Must not know: what a value is used for.

pub mod form;
pub mod json;
mod parts;
mod place;
mod plan;
mod question;
mod request;
mod shape;

pub use json::{Elements, ElementsError, Pointer, PointerError};
pub use parts::Part;
#[cfg(any(test, fuzzing))]
pub use parts::compare::hold as parts_hold;
pub use place::{Place, PlaceError, Selector, Take};
pub use plan::{Plan, PlanError, Values};
pub use question::{Marks, Question, Questions, Rest, Spot, TooManyQuestions};
pub use request::{Captures, Request, Unreadable};
pub use shape::{Glob, GlobTooLong, Set, Shape};
