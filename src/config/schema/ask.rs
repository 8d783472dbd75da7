//! What does the mirror want at one place?
//!
//! Promises: the mirror's own readers are asked, from the top of a file; nothing is guessed.
//!
//! Must not know: what is made of the answer.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, UsizeDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, Expected, MapAccess, SeqAccess, Unexpected, Visitor,
};

use crate::config::raw;
use crate::config::said::PLAIN_SECRET;

/// One step on the way to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value of a key.
    Field(&'static str),
    /// The value of a name of the operator's.
    Name,
    /// An element of a list.
    Item,
    /// What takes several types is given one of them.
    As(Alternative),
}

/// A type that a reader of several may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alternative {
    Text,
    Number,
    List,
    Table,
}

/// What a reader wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A table with these keys.
    Table(&'static [&'static str]),
    /// A table with names of the operator's.
    Named,
    List,
    /// A string that looks like this.
    Text(String),
    Truth,
    /// A whole number from here to there.
    Number(i64, Option<i64>),
    /// A value of one of several types.
    Any,
    /// It took the alternative as it is.
    Taken,
}

/// What the mirror wants at the end of the path; `None` where no path leads.
pub(super) fn ask(path: &[Step]) -> Option<Seen> {
    let seen = RefCell::new(None);
    drop(raw::File::deserialize(Walk { path, seen: &seen }));
    seen.into_inner()
}

/// The walk is over, one way or another.
#[derive(Debug)]
enum Stop {
    There,
    /// A reader had something to say of a value.
    Said(String),
    /// A key was unknown, and these are known.
    Fields(&'static [&'static str]),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the walk ends here")
    }
}

impl std::error::Error for Stop {}

impl Error for Stop {
    fn custom<T: fmt::Display>(said: T) -> Self {
        Self::Said(said.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::There
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Fields(expected)
    }
}

/// The rest of the way.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [Step],
    seen: &'a RefCell<Option<Seen>>,
}

impl<'a> Walk<'a> {
    /// What stands here, where the way ends here.
    fn stop(self, seen: Seen) -> Stop {
        if self.path.is_empty() {
            *self.seen.borrow_mut() = Some(seen);
        }
        Stop::There
    }

    fn next(self) -> Option<(Step, Self)> {
        let (first, rest) = self.path.split_first()?;
        Some((*first, Self { path: rest, ..self }))
    }

    fn alternative<'de, V: Visitor<'de>>(self, alternative: Alternative, visitor: V) -> Result<V::Value, Stop> {
        match alternative {
            Alternative::Text => match visitor.visit_str("") {
                Ok(_) => Err(self.stop(Seen::Taken)),
                // It takes strings, but not this one: it says which.
                Err(Stop::Said(said)) if !said.starts_with(PLAIN_SECRET) => Err(self.stop(Seen::Text(said))),
                Err(stop) => Err(stop),
            },
            Alternative::Number => visitor.visit_i64(0).and_then(|_| Err(self.stop(Seen::Taken))),
            Alternative::List => match self.next() {
                Some((Step::Item, next)) => visitor.visit_seq(One { key: None, walk: next, seen: None }),
                // Asked for an element, it is a list.
                _ => visitor.visit_seq(One { key: None, walk: self, seen: Some(Seen::List) }),
            },
            Alternative::Table => match self.next() {
                Some((Step::Field(key), next)) => visitor.visit_map(One { key: Some(key), walk: next, seen: None }),
                _ => match visitor.visit_map(One { key: Some(STRANGER), walk: self, seen: None }) {
                    Err(Stop::Fields(fields)) => Err(self.stop(Seen::Table(fields))),
                    ended => ended,
                },
            },
        }
    }
}

/// A key that no table has.
const STRANGER: &str = "\0";

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.next() {
            Some((Step::As(alternative), next)) => next.alternative(alternative, visitor),
            _ => Err(self.stop(Seen::Any)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let expected: &dyn Expected = &visitor;
        Err(self.stop(Seen::Text(expected.to_string())))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(self.stop(Seen::Truth))
    }

    fn deserialize_u32<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(self.stop(Seen::Number(0, Some(u32::MAX.into()))))
    }

    fn deserialize_u64<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(self.stop(Seen::Number(0, None)))
    }

    fn deserialize_i64<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(self.stop(Seen::Number(i64::MIN, None)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.next() {
            Some((Step::Item, next)) => visitor.visit_seq(One { key: None, walk: next, seen: None }),
            _ => Err(self.stop(Seen::List)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.next() {
            Some((Step::Name, next)) => visitor.visit_map(One { key: Some(NAME), walk: next, seen: None }),
            _ => Err(self.stop(Seen::Named)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if let Some(value) = fields.iter().find(|field| field.ends_with(VALUE)) {
            return visitor.visit_map(One { key: Some(value), walk: self, seen: None });
        }
        match self.next() {
            Some((Step::Field(key), next)) => visitor.visit_map(One { key: Some(key), walk: next, seen: None }),
            _ => Err(self.stop(Seen::Table(fields))),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct enum
        identifier ignored_any
    }
}

/// How the field ends under which the reader of places looks for the value itself.
const VALUE: &str = "_value";
/// Stands for a name of the operator's, and is written with its place.
const NAME: &str = "*";

/// A map or a list of one element.
struct One<'a> {
    key: Option<&'static str>,
    walk: Walk<'a>,
    /// What is known as soon as somebody asks for an element.
    seen: Option<Seen>,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        match self.key.take() {
            Some(NAME) => seed.deserialize(Name).map(Some),
            Some(key) => seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.walk)
    }
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        match self.seen.take() {
            Some(seen) => Err(self.walk.stop(seen)),
            None => seed.deserialize(self.walk).map(Some),
        }
    }
}

/// A name with its place, as the mirror's maps want it.
struct Name;

impl<'de> Deserializer<'de> for Name {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_str(NAME)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_map(Placed { fields, at: 0 })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct enum identifier ignored_any option seq map
    }
}

/// The fields that stand for a value with its place.
struct Placed {
    fields: &'static [&'static str],
    at: usize,
}

impl<'de> MapAccess<'de> for Placed {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let Some(field) = self.fields.get(self.at) else { return Ok(None) };
        self.at += 1;
        seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        if self.fields.get(self.at - 1).is_some_and(|field| field.ends_with(VALUE)) {
            return seed.deserialize(Name);
        }
        seed.deserialize(UsizeDeserializer::new(0))
    }
}
