//! What stands at a pointer in a JSON text?
//!
//! Promises: the text is walked once, without a document. What `serde_json` accepts is accepted, as long as it is
//! UTF-8, nested no deeper than [`DEPTH_MAX`], shorter than 4 GiB, and gives no more than [`VALUES_MAX`] values; a
//! selected string must be text (no half of a surrogate pair). Where an object repeats a key, only what stands under
//! the last one counts.
//!
//! Must not know: where the text came from.

mod few;
mod pointer;
mod scan;
mod walk;

use std::borrow::Cow;
use std::ops::Range;

pub(super) use pointer::Token;
pub use pointer::{Elements, ElementsError, Pointer, PointerError};
use scan::unescape;
pub(super) use walk::{Hit, Hits, Track, walk, walk_parts};

use super::Unreadable;

/// How deeply arrays and objects may be nested. What goes beyond is [`Unreadable`].
pub const DEPTH_MAX: u32 = 64;

/// Most values that may be found in one text, repeated keys counted each time. What goes beyond is [`Unreadable`].
pub const VALUES_MAX: usize = 16_384;

/// The byte ranges of the values (objects and arrays too) at a pointer, in the order of the text.
///
/// # Errors
/// [`Unreadable`] if the text cannot be walked.
pub fn spans(text: &[u8], pointer: &Pointer) -> Result<Vec<Range<usize>>, Unreadable> {
    let hits = walk(text, &[Track::range(pointer)])?;
    Ok(hits.of(0).map(|hit| hit.start as usize..hit.end as usize).collect())
}

/// The first value at a pointer: the text of a string, the source text of a number or boolean; `None` where there is
/// none, or null, or an object or array.
///
/// # Errors
/// [`Unreadable`] if the text cannot be walked.
pub fn first<'a>(text: &'a [u8], pointer: &Pointer) -> Result<Option<Cow<'a, str>>, Unreadable> {
    let hits = walk(text, &[Track::value(pointer)])?;
    Ok(hits.of(0).next().map(|hit| hit.text(text)))
}

/// All values at a pointer, in the order of the text.
///
/// # Errors
/// [`Unreadable`] if the text cannot be walked.
pub fn all<'a>(text: &'a [u8], pointer: &Pointer) -> Result<Vec<Cow<'a, str>>, Unreadable> {
    let hits = walk(text, &[Track::value(pointer)])?;
    Ok(hits.of(0).map(|hit| hit.text(text)).collect())
}

#[cfg(any(test, fuzzing))]
pub mod compare;
#[cfg(test)]
mod tests;
