//! Which bytes of a request belong to an event?
//!
//! Promises: the bytes are shared with the request, never copied; a whole body allocates nothing.
//!
//! Must not know: what the bytes say.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// The body of an event: byte ranges of the request's body, in order; one, the whole, unless a batch was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Bytes,
    ranges: Option<Arc<[Range<u32>]>>,
}

impl Body {
    /// Most ranges of one body.
    pub const RANGES_MAX: usize = 64;

    /// The whole of a request's body.
    #[must_use]
    pub const fn whole(bytes: Bytes) -> Self {
        Self { bytes, ranges: None }
    }

    /// Some ranges of a request's body, which may repeat and overlap.
    ///
    /// # Errors
    /// [`BodyError`] if there are too many, or one lies outside.
    pub fn of(bytes: Bytes, ranges: &[Range<u32>]) -> Result<Self, BodyError> {
        if ranges.len() > Self::RANGES_MAX {
            return Err(BodyError::TooMany);
        }
        if ranges.iter().any(|range| range.start > range.end || range.end as usize > bytes.len()) {
            return Err(BodyError::Outside);
        }
        Ok(Self { bytes, ranges: Some(ranges.into()) })
    }

    /// The bytes, where the body is the whole of a request's.
    #[must_use]
    pub fn as_whole(&self) -> Option<&Bytes> {
        self.ranges.is_none().then_some(&self.bytes)
    }

    /// The pieces, in order.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> {
        let whole = self.ranges.is_none().then(|| self.bytes.clone());
        let ranges = self.ranges.as_deref().unwrap_or_default();
        whole.into_iter().chain(ranges.iter().map(|range| self.bytes.slice(range.start as usize..range.end as usize)))
    }

    /// The length of all pieces together, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.ranges {
            None => self.bytes.len(),
            Some(ranges) => ranges.iter().map(ExactSizeIterator::len).sum(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why ranges are no [`Body`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// More than [`Body::RANGES_MAX`] ranges.
    TooMany,
    /// A range ends before it begins or beyond the bytes.
    Outside,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "a body has too many ranges",
            Self::Outside => "a range lies outside the body",
        })
    }
}

impl Error for BodyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Bytes {
        Bytes::from_static(b"0123456789")
    }

    #[test]
    fn a_body_is_its_ranges_in_order_without_a_copy() {
        let body = Body::of(bytes(), &[8..10, 0..2, 1..2, 5..5]).expect("inside");
        assert_eq!(body.chunks().collect::<Vec<_>>(), [&b"89"[..], b"01", b"1", b""]);
        assert_eq!((body.len(), body.is_empty(), body.as_whole()), (5, false, None));
        assert_eq!(body.chunks().next().map(|chunk| chunk.as_ptr()), Some(body.bytes[8..].as_ptr()));
        let whole = Body::whole(bytes());
        assert_eq!(whole.chunks().collect::<Vec<_>>(), [bytes()]);
        assert_eq!((whole.len(), whole.as_whole()), (10, Some(&bytes())));
        assert!(Body::whole(Bytes::new()).is_empty());
        assert!(Body::of(bytes(), &[]).expect("no ranges").is_empty());
    }

    #[test]
    fn refuses_ranges_that_lie_outside_or_are_too_many() {
        let backwards = Range { start: 3, end: 2 };
        let many = vec![0..1; Body::RANGES_MAX + 1];
        for (ranges, error) in [
            (&[0..1, 0..11][..], BodyError::Outside),
            (&[0..1, 11..11], BodyError::Outside),
            (&[0..1, backwards], BodyError::Outside),
            (&[0..1, 0..u32::MAX], BodyError::Outside),
            (&many, BodyError::TooMany),
        ] {
            assert_eq!(Body::of(bytes(), ranges), Err(error), "{ranges:?}");
            assert!(!error.to_string().is_empty());
        }
        assert!(Body::of(bytes(), &vec![0..1; Body::RANGES_MAX]).is_ok());
    }
}
