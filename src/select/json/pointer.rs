//! How is a place in a JSON text written down?
//!
//! Promises: what `Display` writes, `parse` reads back to the same pointer.
//!
//! Must not know: any text it points into.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An RFC 6901 pointer with one addition: a whole token `*` stands for every element of an array (`~2` for a literal
/// `*`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer(Arc<[Token]>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Token {
    /// A key of an object; where there is an index, also an element of an array.
    Key { key: Box<str>, index: Option<u32> },
    /// Every element of an array.
    Every,
}

impl Pointer {
    /// Most tokens of one pointer.
    pub const TOKENS_MAX: usize = 32;

    /// Reads a pointer; the empty text is the whole document.
    ///
    /// # Errors
    /// [`PointerError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let tokens = match text.strip_prefix('/') {
            Some(rest) => {
                rest.split('/').take(Self::TOKENS_MAX + 1).map(Token::parse).collect::<Result<Arc<[_]>, _>>()?
            }
            None if text.is_empty() => Arc::default(),
            None => return Err(PointerError::NoSlash),
        };
        if tokens.len() > Self::TOKENS_MAX {
            return Err(PointerError::TooLong);
        }
        Ok(Self(tokens))
    }

    /// Whether it may point at several values.
    #[must_use]
    pub fn many(&self) -> bool {
        self.0.contains(&Token::Every)
    }

    pub(crate) fn tokens(&self) -> &Arc<[Token]> {
        &self.0
    }

    /// The longest pointer to array elements that all these begin with; `None` where there is none.
    pub(crate) fn elements<'p>(mut pointers: impl Iterator<Item = &'p Self>) -> Option<Self> {
        let mut shared: &[Token] = pointers.next()?.tokens();
        for pointer in pointers {
            let same = shared.iter().zip(pointer.tokens().iter()).take_while(|(one, other)| one == other).count();
            shared = &shared[..same];
        }
        let end = shared.iter().rposition(|token| *token == Token::Every)?;
        Some(Self(Arc::from(&shared[..=end])))
    }
}

/// A pointer to the elements of a batch: the elements of an array, which may stand in the elements of another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Elements(Pointer);

impl Elements {
    /// Most arrays on the way to an element, its own with them.
    pub const ARRAYS_MAX: usize = 4;

    /// The elements at this pointer.
    ///
    /// # Errors
    /// [`ElementsError`] says why it points at none.
    pub fn new(pointer: Pointer) -> Result<Self, ElementsError> {
        let numbered = |token: &Token| matches!(token, Token::Key { index: Some(_), .. });
        if pointer.0.last() != Some(&Token::Every) {
            return Err(ElementsError::NoElements);
        }
        if pointer.0.iter().any(numbered) {
            return Err(ElementsError::Numbered);
        }
        if pointer.0.iter().filter(|token| **token == Token::Every).count() > Self::ARRAYS_MAX {
            return Err(ElementsError::TooDeep);
        }
        Ok(Self(pointer))
    }

    /// The pointer itself.
    #[must_use]
    pub const fn pointer(&self) -> &Pointer {
        &self.0
    }

    /// The arrays on the way, outermost first, each with its elements.
    pub(crate) fn arrays(&self) -> impl Iterator<Item = (Pointer, Pointer)> {
        let tokens = self.0.tokens();
        let ends = (0..tokens.len()).filter(|at| tokens[*at] == Token::Every);
        ends.map(|at| (Pointer(Arc::from(&tokens[..at])), Pointer(Arc::from(&tokens[..=at]))))
    }
}

impl fmt::Display for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a pointer points at no [`Elements`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementsError {
    /// It does not end with a star.
    NoElements,
    /// It names an element by its number, so that its neighbours would stand in every part.
    Numbered,
    /// It has more than [`Elements::ARRAYS_MAX`] stars.
    TooDeep,
}

impl fmt::Display for ElementsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoElements => {
                f.write_str("the elements of a batch are those of an array: the pointer ends with `/*`")
            }
            Self::Numbered => f.write_str("a pointer to the elements of a batch has no numbers"),
            Self::TooDeep => write!(f, "elements stand in at most {} arrays", Elements::ARRAYS_MAX),
        }
    }
}

impl Error for ElementsError {}

impl Token {
    fn parse(text: &str) -> Result<Self, PointerError> {
        if text == "*" {
            return Ok(Self::Every);
        }
        let mut pieces = text.split('~');
        let mut key = String::from(pieces.next().unwrap_or_default());
        for piece in pieces {
            let mut rest = piece.chars();
            key.push(match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                Some('2') => '*',
                Some(_) | None => return Err(PointerError::Tilde),
            });
            key.push_str(rest.as_str());
        }
        // RFC 6901: an index has no leading zeros.
        let plain = key.bytes().all(|byte| byte.is_ascii_digit()) && (key.len() == 1 || !key.starts_with('0'));
        let index = if plain { key.parse().ok() } else { None };
        Ok(Self::Key { key: key.into(), index })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &*self.0 {
            match token {
                Token::Every => f.write_str("/*")?,
                Token::Key { key, .. } if &**key == "*" => f.write_str("/~2")?,
                Token::Key { key, .. } => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))?,
            }
        }
        Ok(())
    }
}

/// Why a text is no [`Pointer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerError {
    /// It is not empty and does not begin with a slash.
    NoSlash,
    /// A tilde is followed by something else than 0, 1 or 2.
    Tilde,
    /// It has more than [`Pointer::TOKENS_MAX`] tokens.
    TooLong,
}

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash => f.write_str("a pointer begins with a slash"),
            Self::Tilde => f.write_str("a tilde in a pointer is followed by 0 (a tilde), 1 (a slash) or 2 (a star)"),
            Self::TooLong => write!(f, "a pointer has at most {} tokens", Pointer::TOKENS_MAX),
        }
    }
}

impl Error for PointerError {}
