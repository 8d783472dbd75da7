//! What is a request called?
//!
//! Promises: 16 random bytes that nobody can foretell; the system is asked once for many.
//!
//! Must not know: what is named by them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::verify;

const IDS: usize = 64;

/// Gives ids.
pub(super) struct Ids(Mutex<Stock>);

struct Stock {
    bytes: [[u8; 16]; IDS],
    left: usize,
}

impl Default for Ids {
    fn default() -> Self {
        Self(Mutex::new(Stock { bytes: [[0; 16]; IDS], left: 0 }))
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids(..)")
    }
}

impl Ids {
    /// The next one.
    pub(super) fn next(&self) -> [u8; 16] {
        let mut stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stock.left == 0 {
            verify::random(stock.bytes.as_flattened_mut());
            stock.left = IDS;
        }
        stock.left -= 1;
        let left = stock.left;
        stock.bytes.get_mut(left).map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_id_is_given_twice() {
        let ids = Ids::default();
        let given: HashSet<_> = (0..3 * IDS).map(|_| ids.next()).collect();
        assert_eq!(given.len(), 3 * IDS);
        assert!(!given.contains(&[0; 16]));
        assert_eq!(format!("{ids:?}"), "Ids(..)");
    }
}
