//! What do these bytes hash to, who could have signed them, and what cannot be guessed?
//!
//! Promises: ring is reached through this file by every other room, for SHA-256, HMAC-SHA-256 and random bytes. What is
//! taken as a list of ranges gives the same result as the bytes in one piece.
//!
//! Must not know: what is hashed, or why.

use std::fmt;

use ring::rand::SecureRandom;
use ring::{digest as hash, hmac, rand};

/// SHA-256 of the ranges, one after the other.
#[must_use]
pub fn digest(ranges: &[&[u8]]) -> [u8; 32] {
    let mut running = Digest::new();
    for range in ranges {
        running.update(range);
    }
    running.finish()
}

/// Fills `bytes` from the operating system's generator.
///
/// # Panics
///
/// When the operating system refuses random bytes, which Linux does only before its pool was ever filled.
pub fn random(bytes: &mut [u8]) {
    rand::SystemRandom::new().fill(bytes).expect("the operating system gives random bytes");
}

/// A SHA-256 under way.
#[derive(Clone)]
pub struct Digest(hash::Context);

impl Digest {
    /// Nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Self(hash::Context::new(&hash::SHA256))
    }

    /// Hashes these bytes, too.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of everything so far.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// A key for HMAC-SHA-256; the pads are computed once, here.
#[derive(Clone)]
pub struct Signer(hmac::Key);

impl Signer {
    /// A key of these bytes.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The HMAC of the ranges, one after the other.
    #[must_use]
    pub fn sign(&self, ranges: &[&[u8]]) -> [u8; 32] {
        let mut running = self.begin();
        for range in ranges {
            running.update(range);
        }
        running.finish()
    }

    /// An HMAC of what is still to come.
    #[must_use]
    pub fn begin(&self) -> Signing {
        Signing(hmac::Context::with_key(&self.0))
    }
}

/// An HMAC under way.
#[derive(Clone)]
pub struct Signing(hmac::Context);

impl Signing {
    /// Covers these bytes, too.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The HMAC of everything so far.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.sign().as_ref());
        out
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signing(..)")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_digest_of_ranges_is_the_digest_of_the_whole() {
        let whole = hex(&digest(&[b"abc"]));
        assert_eq!(whole, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "FIPS 180-4, B.1");
        assert_eq!(hex(&digest(&[b"a", b"", b"bc"])), whole);
    }

    #[test]
    fn a_signature_of_ranges_is_the_signature_of_the_whole() {
        let signer = Signer::new(b"Jefe");
        let whole = hex(&signer.sign(&[b"what do ya want for nothing?"]));
        assert_eq!(whole, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "RFC 4231, case 2");
        assert_eq!(hex(&signer.sign(&[b"what do ya ", b"want for nothing?"])), whole);
        assert!(!format!("{signer:?}").contains("Jefe"));
    }

    #[test]
    fn random_bytes_differ() {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        random(&mut one);
        random(&mut other);
        assert_ne!(one, other);
    }
}
