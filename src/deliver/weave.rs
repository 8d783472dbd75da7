//! What of an event is woven into the text that the operator wrote?
//!
//! A text with fields, `{tenant}` and the like, compiled once. What a field says comes from the envelope and the head that
//! are stored; some of it a stranger chose, as far as a provider signed it.
//!
//! Promises: only known fields; a value stands in a path or a query percent-encoded as one part of a segment, and in a
//! header without what a header cannot hold; writing allocates nothing but what it is written to grows by.
//!
//! Must not know: where a text is written to, or what is done with it.

use std::fmt;

use super::request::{decimal, hexadecimal};

/// What may be woven in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The name of the source.
    Source,
    /// The name of the tenant; `unknown` for one without a section, `none` for nobody's, `mixed` for several.
    Tenant,
    /// The kind that the provider gives, empty where it gives none.
    Kind,
    /// The event's id, as in `X-Porteiro-Event-Id`.
    Id,
    /// The number of the attempt, from 1.
    Attempt,
    /// The path below the source, as it came, without the slash before it.
    Path,
}

impl Field {
    /// Every field, by the word that stands for it.
    pub const ALL: [(&str, Self); 6] = [
        ("source", Self::Source),
        ("tenant", Self::Tenant),
        ("kind", Self::Kind),
        ("id", Self::Id),
        ("attempt", Self::Attempt),
        ("path", Self::Path),
    ];
}

/// What the fields say of one attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// [`Field::Source`].
    pub source: &'a str,
    /// [`Field::Tenant`].
    pub tenant: &'a str,
    /// [`Field::Kind`].
    pub kind: &'a str,
    /// [`Field::Id`]; where it is not known yet, the field stands as it was written.
    pub id: Option<[u8; 16]>,
    /// [`Field::Attempt`].
    pub attempt: u32,
    /// [`Field::Path`].
    pub path: &'a str,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeaveError {
    /// There is no such field.
    Unknown(String),
    /// A `{` that nothing closes, or a `}` that nothing opened.
    Brace,
    /// The field does not stand in a path or a query.
    Path,
}

impl fmt::Display for WeaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "there is no field `{{{word}}}`"),
            Self::Brace => f.write_str("a brace without its other half; `{{` and `}}` stand for braces"),
            Self::Path => f.write_str("`{path}` is a path of its own; a last segment `*` stands for it here"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Field(Field),
}

/// A text with fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weave(Box<[Piece]>);

impl Weave {
    /// Reads a text; `{{` and `}}` stand for braces.
    ///
    /// # Errors
    ///
    /// [`WeaveError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WeaveError> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let (word, after) =
                    from.strip_prefix('{').and_then(|inner| inner.split_once('}')).ok_or(WeaveError::Brace)?;
                let known = Field::ALL.iter().find(|(known, _)| *known == word);
                let (_, field) = known.ok_or_else(|| WeaveError::Unknown(word.to_owned()))?;
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
                }
                pieces.push(Piece::Field(*field));
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        Ok(Self(pieces.into()))
    }

    /// Reads a text that is to stand in a path or a query.
    pub(super) fn of_target(text: &str) -> Result<Self, WeaveError> {
        let read = Self::parse(text)?;
        if read.asks(Field::Path) { Err(WeaveError::Path) } else { Ok(read) }
    }

    /// The text, if it has no field.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Piece::Text(only)] => Some(only),
            _ => None,
        }
    }

    /// Whether this field stands in it.
    pub(super) fn asks(&self, field: Field) -> bool {
        self.0.contains(&Piece::Field(field))
    }

    /// The text of its own, without its fields.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(&**text),
            Piece::Field(_) => None,
        })
    }

    /// Writes it where a path or a query is written.
    pub(super) fn write_target(&self, values: &Values<'_>, out: &mut Vec<u8>) {
        self.write(values, out, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'));
    }

    /// Writes it where the value of a header is written.
    pub(super) fn write_header(&self, values: &Values<'_>, out: &mut Vec<u8>) {
        self.write(values, out, |byte| matches!(byte, b' '..=b'~' | 0x80..));
    }

    fn write(&self, values: &Values<'_>, out: &mut Vec<u8>, stays: impl Fn(u8) -> bool) {
        for piece in &self.0 {
            let text = match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Field(Field::Id) => {
                    match values.id {
                        Some(id) => out.extend_from_slice(hexadecimal(id).as_flattened()),
                        None => out.extend_from_slice(b"{id}"),
                    }
                    continue;
                }
                Piece::Field(Field::Attempt) => {
                    decimal(out, values.attempt.into());
                    continue;
                }
                Piece::Field(Field::Source) => values.source,
                Piece::Field(Field::Tenant) => values.tenant,
                Piece::Field(Field::Kind) => values.kind,
                Piece::Field(Field::Path) => values.path,
            };
            for byte in text.bytes() {
                if stays(byte) {
                    out.push(byte);
                } else {
                    let [digits] = hexadecimal([byte]);
                    out.extend_from_slice(&[b'%', digits[0].to_ascii_uppercase(), digits[1].to_ascii_uppercase()]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
