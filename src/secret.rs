//! How is key material carried without ever being shown?
//!
//! Promises: a [`Secret`] has no `Display` and no `Serialize`, its `Debug` says only that it is there, and its bytes are
//! overwritten when it is dropped.
//!
//! Must not know: where a secret came from or what it opens.
//!
//! ```compile_fail
//! let secret = porteiro::secret::Secret::new(b"key".to_vec());
//! println!("{secret}");
//! ```

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Key material. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, for the room that computes with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_bytes() {
        let secret = Secret::new(b"hunter2".to_vec());
        let shown = format!("{secret:?} {secret:#?} {:?}", Some(&secret));
        assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
        assert_eq!(secret.expose(), b"hunter2");
    }
}
