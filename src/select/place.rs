//! How is a place written down, and which of its values count?
//!
//! Promises: a [`Place`] that exists can be read; text that is none is refused with the reason.
//!
//! Must not know: which source or provider uses it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::HeaderName;

use super::{Pointer, PointerError, Request, Unreadable, form, json};

/// One place in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `header:x-github-delivery`
    Header(HeaderName),
    /// `query:id`, percent-decoded
    Query(Box<str>),
    /// `path:token`, a capture of the source's path pattern, percent-decoded
    Path(Box<str>),
    /// `form:MessageSid`, a field of a form-encoded body
    Form(Box<str>),
    /// `json:/entry/*/id`, a pointer into a JSON body
    Json(Pointer),
    /// `form-json:payload/issue/id`, a pointer into JSON that stands in a field of a form-encoded body
    FormJson(Box<str>, Pointer),
}

impl Place {
    /// Reads a place as the configuration writes it.
    ///
    /// # Errors
    /// [`PlaceError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let (kind, name) = text.split_once(':').ok_or(PlaceError::NoKind)?;
        if name.is_empty() && kind != "json" {
            return Err(PlaceError::NoName);
        }
        match kind {
            "header" => HeaderName::from_bytes(name.as_bytes()).map(Self::Header).map_err(|_| PlaceError::HeaderName),
            "query" => Ok(Self::Query(name.into())),
            "path" => Ok(Self::Path(name.into())),
            "form" => Ok(Self::Form(name.into())),
            "json" => Pointer::parse(name).map(Self::Json).map_err(PlaceError::Pointer),
            "form-json" => {
                let (field, pointer) = name.split_at(name.find('/').unwrap_or(name.len()));
                if field.is_empty() {
                    return Err(PlaceError::NoName);
                }
                Pointer::parse(pointer)
                    .map(|pointer| Self::FormJson(field.into(), pointer))
                    .map_err(PlaceError::Pointer)
            }
            _ => Err(PlaceError::UnknownKind),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Path(name) => write!(f, "path:{name}"),
            Self::Form(name) => write!(f, "form:{name}"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::FormJson(name, pointer) => write!(f, "form-json:{name}{pointer}"),
        }
    }
}

/// Why a text is no [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// There is no colon, so no kind of place.
    NoKind,
    /// The word before the colon is none of `header query path form json form-json`.
    UnknownKind,
    /// Nothing follows the colon, or no field name stands before the pointer.
    NoName,
    /// What follows `header:` is no header name.
    HeaderName,
    /// What follows `json:` is no pointer.
    Pointer(PointerError),
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKind => "a place begins with one of header: query: path: form: json: form-json:",
            Self::UnknownKind => "the kinds of place are header: query: path: form: json: form-json:",
            Self::NoName => "a name must follow the kind of place",
            Self::HeaderName => "this is no header name",
            Self::Pointer(error) => return error.fmt(f),
        })
    }
}

impl Error for PlaceError {}

/// Which values of a selector's places count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Take {
    /// The first value of the first place that has one.
    #[default]
    First,
    /// For each element of the innermost array that all JSON places share: the values of the first place that has any
    /// there. An element where none has is reported as absent. A request without such elements counts as one element.
    Each,
    /// All values of all places, place by place.
    All,
}

/// Places, and which of their values count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    places: Vec<Place>,
    take: Take,
}

impl Selector {
    /// A selector of these places, in order of preference.
    #[must_use]
    pub const fn new(places: Vec<Place>, take: Take) -> Self {
        Self { places, take }
    }

    /// A selector of the first value at one place.
    #[must_use]
    pub fn one(place: Place) -> Self {
        Self::new(vec![place], Take::First)
    }

    /// The places, in order of preference.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Which values count.
    #[must_use]
    pub const fn take(&self) -> Take {
        self.take
    }

    /// The first value of the first place that has one. Reads the body once for each JSON place that it must ask; use a
    /// [`super::Plan`] where several selectors are read.
    ///
    /// # Errors
    /// [`Unreadable`] if no place has a value and one of them could not be read.
    pub fn first<'a>(&self, request: &Request<'a>) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let mut read = Ok(None);
        for place in &self.places {
            match place.first(request) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(Unreadable) => read = Err(Unreadable),
            }
        }
        read
    }

    /// All values of all places, place by place.
    ///
    /// # Errors
    /// [`Unreadable`] if one of the places could not be read.
    pub fn all<'a>(&self, request: &Request<'a>) -> Result<Vec<Cow<'a, str>>, Unreadable> {
        let mut values = Vec::new();
        for place in &self.places {
            place.each(request, &mut |value| values.push(value))?;
        }
        Ok(values)
    }
}

impl Place {
    /// The first value at this place.
    ///
    /// # Errors
    /// [`Unreadable`] if the place could not be read.
    pub fn first<'a>(&self, request: &Request<'a>) -> Result<Option<Cow<'a, str>>, Unreadable> {
        if let Self::Json(pointer) = self {
            return json::first(request.body, pointer);
        }
        let mut first = None;
        self.each(request, &mut |value| {
            first.get_or_insert(value);
        })?;
        Ok(first)
    }

    /// Calls `f` with each value at this place.
    ///
    /// # Errors
    /// [`Unreadable`] if the place could not be read; `f` may have been called before.
    pub fn each<'a>(&self, request: &Request<'a>, f: &mut dyn FnMut(Cow<'a, str>)) -> Result<(), Unreadable> {
        match self {
            Self::Header(name) => {
                for value in request.headers.get_all(name) {
                    f(Cow::Borrowed(str::from_utf8(value.as_bytes()).map_err(|_| Unreadable)?));
                }
            }
            Self::Query(name) => {
                for raw in form::values(request.query.as_bytes(), name) {
                    f(form::text(form::decode(raw)).ok_or(Unreadable)?);
                }
            }
            Self::Path(name) => {
                if let Some(raw) = request.captures.value(name, request.path) {
                    f(form::text(form::decode_path(raw.as_bytes())).ok_or(Unreadable)?);
                }
            }
            Self::Form(name) => {
                for raw in form::values(request.body, name) {
                    f(form::text(form::decode(raw)).ok_or(Unreadable)?);
                }
            }
            Self::Json(pointer) => json::all(request.body, pointer)?.into_iter().for_each(f),
            Self::FormJson(name, pointer) => {
                if let Some(raw) = form::values(request.body, name).next() {
                    let text = form::decode(raw);
                    json::all(&text, pointer)?.into_iter().for_each(|value| f(Cow::Owned(value.into_owned())));
                }
            }
        }
        Ok(())
    }
}
