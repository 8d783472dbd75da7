//! What does a value look like?
//!
//! Promises: a set is asked by halving, never one by one; a pattern takes one step for each character of the text,
//! whatever it is and whatever stands in the text.
//!
//! Must not know: where the value was found.

use std::error::Error;
use std::fmt;

/// What a value looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One of these texts.
    OneOf(Set),
    /// A text that begins with this one.
    Prefix(Box<str>),
    /// A text that this pattern describes.
    Glob(Glob),
    /// Any text, the empty one too.
    Exists,
}

impl Shape {
    /// This text and no other.
    #[must_use]
    pub fn equals(text: &str) -> Self {
        Self::one_of(&[text])
    }

    /// One of these texts.
    #[must_use]
    pub fn one_of(texts: &[&str]) -> Self {
        let mut set: Vec<Box<str>> = texts.iter().map(|text| Box::from(*text)).collect();
        set.sort_unstable();
        set.dedup();
        Self::OneOf(Set(set.into()))
    }

    /// Whether a value looks like this.
    #[must_use]
    pub fn takes(&self, value: &str) -> bool {
        match self {
            Self::OneOf(set) => set.contains(value),
            Self::Prefix(prefix) => value.starts_with(&**prefix),
            Self::Glob(glob) => glob.takes(value),
            Self::Exists => true,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(set) => match &*set.0 {
                [one] => write!(f, "is {one:?}"),
                several => write!(f, "is one of {several:?}"),
            },
            Self::Prefix(prefix) => write!(f, "begins with {prefix:?}"),
            Self::Glob(glob) => write!(f, "looks like {:?}", glob.as_str()),
            Self::Exists => f.write_str("is there"),
        }
    }
}

/// Texts in their order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set(Box<[Box<str>]>);

impl Set {
    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|text| &**text)
    }

    fn contains(&self, value: &str) -> bool {
        self.0.binary_search_by(|text| (**text).cmp(value)).is_ok()
    }
}

/// A pattern in which `*` stands for any text, the empty one too, and `?` for any one character; everything else stands
/// for itself.
///
/// Every state that the pattern can be in is a bit of one word, so that a text is read once, without going back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    /// For each character of the pattern, in their order, the states it leads on from.
    steps: Box<[(char, u128)]>,
    /// The states that any character leads on from.
    any: u128,
    /// The states that any character leaves as they are.
    stays: u128,
    /// The state in which the text may end.
    end: u128,
}

impl Glob {
    /// Most characters of one pattern, stars not counted.
    pub const CHARACTERS_MAX: usize = 127;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`GlobTooLong`].
    pub fn parse(text: &str) -> Result<Self, GlobTooLong> {
        let mut steps: Vec<(char, u128)> = Vec::new();
        let (mut any, mut stays, mut state) = (0, 0, 1_u128);
        for character in text.chars() {
            if character == '*' {
                stays |= state;
                continue;
            }
            if character == '?' {
                any |= state;
            } else if let Some((_, from)) = steps.iter_mut().find(|(known, _)| *known == character) {
                *from |= state;
            } else {
                steps.push((character, state));
            }
            state = state.checked_mul(2).ok_or(GlobTooLong)?;
        }
        steps.sort_unstable_by_key(|(character, _)| *character);
        Ok(Self { text: text.into(), steps: steps.into(), any, stays, end: state })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern describes a text.
    #[must_use]
    pub fn takes(&self, text: &str) -> bool {
        let mut states = 1_u128;
        for character in text.chars() {
            let known = self.steps.binary_search_by(|(known, _)| known.cmp(&character));
            let on = known.map_or(0, |at| self.steps[at].1) | self.any;
            states = ((states & on) << 1) | (states & self.stays);
            if states == 0 {
                return false;
            }
        }
        states & self.end != 0
    }
}

/// A pattern has more than [`Glob::CHARACTERS_MAX`] characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobTooLong;

impl fmt::Display for GlobTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pattern has at most {} characters beside its stars", Glob::CHARACTERS_MAX)
    }
}

impl Error for GlobTooLong {}

#[cfg(test)]
mod tests;
