//! What stands at one place of a request, as bytes?
//!
//! Promises: a header is borrowed and must not stand twice; every other place is read by `select`.
//!
//! Must not know: what the value is used for.

use std::borrow::Cow;

use super::VerifyError;
use crate::select::{Place, Request, Selector, Take};

/// One place, ready to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At(Selector);

impl From<Place> for At {
    fn from(place: Place) -> Self {
        Self(Selector::new(vec![place], Take::First))
    }
}

impl At {
    pub(crate) fn place(&self) -> Option<&Place> {
        self.0.places().first()
    }

    /// Whether the body must be read to know the value.
    pub(super) fn in_body(&self) -> bool {
        matches!(self.place(), Some(Place::Form(_) | Place::Json(_) | Place::FormJson(..)))
    }

    /// The value; `None` where there is none.
    pub(super) fn read<'a>(&self, request: &Request<'a>) -> Result<Option<Cow<'a, [u8]>>, VerifyError> {
        if let Some(Place::Header(name)) = self.place() {
            let mut values = request.headers.get_all(name).iter();
            return match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some(only), None) => Ok(Some(Cow::Borrowed(only.as_bytes()))),
                (Some(_), Some(_)) => Err(VerifyError::RepeatedPart),
            };
        }
        match self.0.first(request) {
            Ok(Some(Cow::Borrowed(text))) => Ok(Some(Cow::Borrowed(text.as_bytes()))),
            Ok(Some(Cow::Owned(text))) => Ok(Some(Cow::Owned(text.into_bytes()))),
            Ok(None) => Ok(None),
            Err(_) => Err(VerifyError::Unreadable),
        }
    }
}
