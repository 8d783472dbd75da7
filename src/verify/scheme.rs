//! Which ways of signing are known?
//!
//! Promises: a closed set. The algorithm of a proof comes from its definition, never from the request. What providers
//! use and ring does not offer is known by name, so that it is refused in words when a definition is built.
//!
//! Must not know: where a signature stands, or what it covers.

use ring::{digest, hmac};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1, for providers that know no better; only as HMAC, as plain digest where the definition says so, and RSA.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Length of the hash in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(super) fn plain(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub(super) fn keyed(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// How a signature is made from the signed text and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC over the signed text.
    Hmac(Hash),
    /// A plain hash over a text that holds the key.
    Digest(Hash),
    /// MD5 over a text that holds the key, for providers that know no better.
    DigestMd5,
    /// The key itself is shown.
    Equal,
    /// The key itself is shown, as user and password of HTTP Basic.
    Basic,
    /// Ed25519 with a pinned public key.
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature in DER.
    EcdsaP256,
    /// ECDSA on P-256 with SHA-256, the signature as two numbers of 32 bytes.
    EcdsaP256Fixed,
    /// RSA PKCS#1 v1.5.
    RsaPkcs1(Hash),
    /// RSA PSS, salt as long as the hash.
    RsaPss(Hash),
    /// A JSON web token signed with HMAC.
    JwtHmac(Hash),
    /// A JSON web token signed with RSA PKCS#1 v1.5.
    JwtRsa(Hash),
    /// Nothing is proven at all.
    Nothing,
}

/// Why a name of a definition means nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No such thing is known.
    Unknown(&'static [&'static str]),
    /// It is known, and not offered; the words say why.
    NotBuilt(&'static str),
}

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("hmac-sha1", Algorithm::Hmac(Hash::Sha1)),
    ("hmac-sha256", Algorithm::Hmac(Hash::Sha256)),
    ("hmac-sha384", Algorithm::Hmac(Hash::Sha384)),
    ("hmac-sha512", Algorithm::Hmac(Hash::Sha512)),
    ("digest-sha1", Algorithm::Digest(Hash::Sha1)),
    ("digest-sha256", Algorithm::Digest(Hash::Sha256)),
    ("digest-sha384", Algorithm::Digest(Hash::Sha384)),
    ("digest-sha512", Algorithm::Digest(Hash::Sha512)),
    ("digest-md5", Algorithm::DigestMd5),
    ("equal", Algorithm::Equal),
    ("basic", Algorithm::Basic),
    ("ed25519", Algorithm::Ed25519),
    ("ecdsa-p256-sha256", Algorithm::EcdsaP256),
    ("ecdsa-p256-sha256-fixed", Algorithm::EcdsaP256Fixed),
    ("rsa-pkcs1-sha1", Algorithm::RsaPkcs1(Hash::Sha1)),
    ("rsa-pkcs1-sha256", Algorithm::RsaPkcs1(Hash::Sha256)),
    ("rsa-pkcs1-sha384", Algorithm::RsaPkcs1(Hash::Sha384)),
    ("rsa-pkcs1-sha512", Algorithm::RsaPkcs1(Hash::Sha512)),
    ("rsa-pss-sha256", Algorithm::RsaPss(Hash::Sha256)),
    ("rsa-pss-sha384", Algorithm::RsaPss(Hash::Sha384)),
    ("rsa-pss-sha512", Algorithm::RsaPss(Hash::Sha512)),
    ("jwt-hs256", Algorithm::JwtHmac(Hash::Sha256)),
    ("jwt-hs384", Algorithm::JwtHmac(Hash::Sha384)),
    ("jwt-hs512", Algorithm::JwtHmac(Hash::Sha512)),
    ("jwt-rs256", Algorithm::JwtRsa(Hash::Sha256)),
    ("jwt-rs384", Algorithm::JwtRsa(Hash::Sha384)),
    ("jwt-rs512", Algorithm::JwtRsa(Hash::Sha512)),
    ("nothing", Algorithm::Nothing),
];

impl Algorithm {
    /// The names a provider file uses.
    pub const NAMES: &'static [&'static str] = &{
        let mut names = [""; ALGORITHMS.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = ALGORITHMS[at].0;
            at += 1;
        }
        names
    };

    /// The algorithm of that name.
    ///
    /// # Errors
    ///
    /// When the name is unknown, or names what ring does not offer.
    pub fn named(name: &str) -> Result<Self, NameError> {
        if let Some((_, algorithm)) = ALGORITHMS.iter().find(|(known, _)| *known == name) {
            return Ok(*algorithm);
        }
        Err(match name {
            "hmac-md5" => NameError::NotBuilt("MD5 is offered as a plain hash only"),
            "ecdsa-p256-sha1" => NameError::NotBuilt("the crypto library checks ECDSA P-256 with SHA-256 only"),
            "ecdsa-secp256k1" | "ecdsa-p521-sha512" => NameError::NotBuilt("the crypto library has no such curve"),
            "jwt-es256" | "jwt-eddsa" => {
                NameError::NotBuilt("tokens are checked with HS and RS algorithms only, so far")
            }
            _ => NameError::Unknown(Self::NAMES),
        })
    }

    /// The name of this algorithm in a provider file.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALGORITHMS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// Whether the key is shown rather than used.
    #[must_use]
    pub const fn shows_key(self) -> bool {
        matches!(self, Self::Equal | Self::Basic)
    }

    /// Whether a text is signed.
    #[must_use]
    pub const fn signs_text(self) -> bool {
        !matches!(self, Self::Equal | Self::Basic | Self::JwtHmac(_) | Self::JwtRsa(_) | Self::Nothing)
    }

    /// Whether the signature is a JSON web token.
    #[must_use]
    pub const fn is_token(self) -> bool {
        matches!(self, Self::JwtHmac(_) | Self::JwtRsa(_))
    }

    /// Whether the signature is a plain hash over a text that holds the key.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        matches!(self, Self::Digest(_) | Self::DigestMd5)
    }

    /// How long the signature is, in bytes, where it is a hash.
    pub(super) const fn sum_length(self) -> Option<usize> {
        match self {
            Self::Hmac(hash) | Self::Digest(hash) => Some(hash.length()),
            // RFC 1321.
            Self::DigestMd5 => Some(16),
            _ => None,
        }
    }

    /// Whether the key is public, so that a signature can be checked and not made.
    #[must_use]
    pub const fn is_asymmetric(self) -> bool {
        matches!(
            self,
            Self::Ed25519
                | Self::EcdsaP256
                | Self::EcdsaP256Fixed
                | Self::RsaPkcs1(_)
                | Self::RsaPss(_)
                | Self::JwtRsa(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_algorithm_and_back() {
        for name in Algorithm::NAMES {
            assert_eq!(Algorithm::named(name).map(Algorithm::name), Ok(*name));
        }
    }

    #[test]
    fn what_is_not_offered_is_told_apart_from_what_is_unknown() {
        assert!(matches!(Algorithm::named("hmac-md5"), Err(NameError::NotBuilt(_))));
        assert!(matches!(Algorithm::named("ecdsa-p256-sha1"), Err(NameError::NotBuilt(_))));
        assert!(matches!(Algorithm::named("jwt-es256"), Err(NameError::NotBuilt(_))));
        assert_eq!(Algorithm::named("none"), Err(NameError::Unknown(Algorithm::NAMES)));
        assert_eq!(Algorithm::named("HMAC-SHA256"), Err(NameError::Unknown(Algorithm::NAMES)));
    }
}
