//! What does a secret, as the operator wrote it, mean as a key?
//!
//! Promises: each form is read strictly, whitespace at the ends is refused rather than trimmed, an empty key never
//! exists; the pads of an HMAC are computed once, here; a token is compared through an HMAC under a random key, so that
//! neither its bytes nor its length show in the time a comparison takes.
//!
//! Must not know: where the secret came from.

use std::error::Error;
use std::fmt;

use base64::Engine;
use ring::{hmac, signature as public};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization as _;

use super::decode::{BASE64, BASE64_URL, from_hex};
use super::digest::Signer;
use super::scheme::{Algorithm, Hash};
use crate::secret::Secret;

mod der;

/// How a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The bytes of the text are the key.
    Utf8,
    /// Base64 after `whsec_`, which may be left out; `v1,` may stand before it.
    Whsec,
    /// Base64 after `whsec_`; without it, the bytes of the text.
    WhsecOrUtf8,
    /// Hex digits.
    Hex,
    /// Base64.
    Base64,
    /// The SHA-1 of the text is the key.
    Sha1OfUtf8,
    /// The text in Unicode form NFKD.
    NfkdUtf8,
    /// A public key in PEM.
    Pem,
    /// A public key (`SubjectPublicKeyInfo`) in base64.
    SpkiBase64,
    /// The bare 32 bytes of an Ed25519 key in hex.
    Ed25519Hex,
    /// The bare 32 bytes of an Ed25519 key in base64.
    Ed25519Base64,
    /// The bare 32 bytes of an Ed25519 key in url-safe base64.
    Ed25519Base64Url,
    /// The bare 32 bytes of an Ed25519 key in base64 after `whpk_`.
    Whpk,
}

const FORMS: &[(&str, Form)] = &[
    ("utf8", Form::Utf8),
    ("whsec", Form::Whsec),
    ("whsec-or-utf8", Form::WhsecOrUtf8),
    ("hex", Form::Hex),
    ("base64", Form::Base64),
    ("sha1-of-utf8", Form::Sha1OfUtf8),
    ("nfkd-utf8", Form::NfkdUtf8),
    ("pem", Form::Pem),
    ("spki-base64", Form::SpkiBase64),
    ("ed25519-hex", Form::Ed25519Hex),
    ("ed25519-base64", Form::Ed25519Base64),
    ("ed25519-base64url", Form::Ed25519Base64Url),
    ("whpk", Form::Whpk),
];

impl Form {
    /// The names a provider file uses.
    pub const NAMES: &'static [&'static str] = &{
        let mut names = [""; FORMS.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = FORMS[at].0;
            at += 1;
        }
        names
    };

    /// The form of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| *form)
    }

    /// Whether this form is that of a public key.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(
            self,
            Self::Pem | Self::SpkiBase64 | Self::Ed25519Hex | Self::Ed25519Base64 | Self::Ed25519Base64Url | Self::Whpk
        )
    }
}

/// Why a secret is no key. Says nothing of the secret's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There is nothing.
    Empty,
    /// There are blanks or line ends at its ends.
    Whitespace,
    /// It should be hex digits, two a byte.
    NotHex,
    /// It should be base64.
    NotBase64,
    /// It should begin with `whpk_`.
    NotWhpk,
    /// It is a public key where a secret is due: anybody who knows it could sign.
    Public,
    /// It should be text.
    NotText,
    /// It should be user and password with a colon between.
    NotBasic,
    /// It should be a public key in PEM (`-----BEGIN PUBLIC KEY-----`).
    NotPem,
    /// It is no public key, or one for another algorithm.
    OtherKind,
    /// It is an RSA key of fewer than 2048 or more than 8192 bits.
    RsaSize,
    /// An algorithm and a form that do not go together.
    Form,
}

/// Completes "the secret".
impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Whitespace => "begins or ends with a blank or a line end, which is never part of a key",
            Self::NotHex => "must be hex digits, two a byte",
            Self::NotBase64 => "must be base64",
            Self::NotWhpk => "must begin with `whpk_`",
            Self::Public => "is a public key, and whoever knows it could sign with it",
            Self::NotText => "must be UTF-8",
            Self::NotBasic => "must be user and password with a colon between",
            Self::NotPem => "must be a public key in PEM, `-----BEGIN PUBLIC KEY-----`",
            Self::OtherKind => "is no public key, or one for another algorithm",
            Self::RsaSize => "is an RSA key of a size that is not accepted (2048 to 8192 bits)",
            Self::Form => "has a form that does not go with the algorithm",
        })
    }
}

impl Error for KeyError {}

/// A key, ready to be used.
#[derive(Clone)]
pub struct Key(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Mac(hmac::Key),
    Text(Secret),
    Token { blind: hmac::Key, expected: hmac::Tag, shown: Secret },
    Public { algorithm: &'static dyn public::VerificationAlgorithm, bytes: Box<[u8]> },
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// Reads a secret of this form as a key for this algorithm.
    ///
    /// # Errors
    ///
    /// When the secret is empty, padded with blanks, or not of the form.
    pub fn new(algorithm: Algorithm, form: Form, secret: &Secret) -> Result<Self, KeyError> {
        let text = secret.expose();
        whole(form, text)?;
        match algorithm {
            Algorithm::Nothing => Err(KeyError::Form),
            Algorithm::Basic if !text.contains(&b':') => Err(KeyError::NotBasic),
            Algorithm::Basic | Algorithm::Equal => Ok(Self::token(secret)),
            Algorithm::Hmac(hash) | Algorithm::JwtHmac(hash) => {
                let bytes = symmetric(form, text)?;
                Ok(Self(Kind::Mac(hmac::Key::new(hash.keyed(), bytes.expose()))))
            }
            Algorithm::Digest(_) | Algorithm::DigestMd5 => Ok(Self(Kind::Text(symmetric(form, text)?))),
            Algorithm::Ed25519
            | Algorithm::EcdsaP256
            | Algorithm::EcdsaP256Fixed
            | Algorithm::RsaPkcs1(_)
            | Algorithm::RsaPss(_)
            | Algorithm::JwtRsa(_) => asymmetric(algorithm, form, text),
        }
    }

    /// A token that is compared as it is.
    ///
    /// # Errors
    ///
    /// When it is empty or padded with blanks.
    pub fn for_token(secret: &Secret) -> Result<Self, KeyError> {
        Self::new(Algorithm::Equal, Form::Utf8, secret)
    }

    fn token(secret: &Secret) -> Self {
        let mut noise = [0; 32];
        super::random(&mut noise);
        let blind = hmac::Key::new(hmac::HMAC_SHA256, &noise);
        let expected = hmac::sign(&blind, secret.expose());
        Self(Kind::Token { blind, expected, shown: secret.clone() })
    }

    /// The secret of a token that is compared; `None` for any other key.
    pub(super) const fn shown(&self) -> Option<&Secret> {
        match &self.0 {
            Kind::Token { shown, .. } => Some(shown),
            Kind::Mac(_) | Kind::Text(_) | Kind::Public { .. } => None,
        }
    }

    /// Whether `text` is the token, in a time that depends on the length of `text` alone.
    pub(super) fn is_token(&self, text: &[u8]) -> bool {
        match &self.0 {
            Kind::Token { blind, expected, .. } => hmac::sign(blind, text).as_ref().ct_eq(expected.as_ref()).into(),
            Kind::Mac(_) | Kind::Text(_) | Kind::Public { .. } => false,
        }
    }
}

impl Signer {
    /// Reads a secret of this form, as the other side reads it to verify.
    ///
    /// # Errors
    ///
    /// As [`Key::new`] for an HMAC.
    pub fn read(form: Form, secret: &Secret) -> Result<Self, KeyError> {
        let text = secret.expose();
        whole(form, text)?;
        symmetric(form, text).map(|bytes| Self::new(bytes.expose()))
    }
}

/// There is something, and it is not padded with blanks; PEM ends with its line.
fn whole(form: Form, text: &[u8]) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if form != Form::Pem && text.trim_ascii().len() != text.len() {
        return Err(KeyError::Whitespace);
    }
    Ok(())
}

fn symmetric(form: Form, text: &[u8]) -> Result<Secret, KeyError> {
    if text.starts_with(b"whpk_") || text.starts_with(b"-----BEGIN ") {
        return Err(KeyError::Public);
    }
    let bytes = match form {
        Form::Utf8 => text.to_vec(),
        Form::Whsec => {
            let text = text.strip_prefix(b"v1,").unwrap_or(text);
            base64(text.strip_prefix(b"whsec_").unwrap_or(text))?
        }
        Form::WhsecOrUtf8 => match text.strip_prefix(b"whsec_") {
            Some(rest) => base64(rest)?,
            None => text.to_vec(),
        },
        Form::Hex => from_hex(text).ok_or(KeyError::NotHex)?,
        Form::Base64 => base64(text)?,
        Form::Sha1OfUtf8 => ring::digest::digest(Hash::Sha1.plain(), text).as_ref().to_vec(),
        Form::NfkdUtf8 => str::from_utf8(text).map_err(|_| KeyError::NotText)?.nfkd().collect::<String>().into_bytes(),
        Form::Pem | Form::SpkiBase64 | Form::Ed25519Hex | Form::Ed25519Base64 | Form::Ed25519Base64Url | Form::Whpk => {
            return Err(KeyError::Form);
        }
    };
    if bytes.is_empty() { Err(KeyError::Empty) } else { Ok(Secret::new(bytes)) }
}

fn base64(text: &[u8]) -> Result<Vec<u8>, KeyError> {
    BASE64.decode(text).map_err(|_| KeyError::NotBase64)
}

fn asymmetric(algorithm: Algorithm, form: Form, text: &[u8]) -> Result<Key, KeyError> {
    let bare = |bytes: Vec<u8>| {
        if algorithm != Algorithm::Ed25519 {
            return Err(KeyError::Form);
        }
        if bytes.len() == 32 { Ok(bytes) } else { Err(KeyError::OtherKind) }
    };
    let bytes = match form {
        Form::Pem => der::public_key(algorithm, &der::pem(text).ok_or(KeyError::NotPem)?)?,
        Form::SpkiBase64 => der::public_key(algorithm, &base64(text)?)?,
        Form::Ed25519Hex => bare(from_hex(text).ok_or(KeyError::NotHex)?)?,
        Form::Ed25519Base64 => bare(base64(text)?)?,
        Form::Ed25519Base64Url => bare(BASE64_URL.decode(text).map_err(|_| KeyError::NotBase64)?)?,
        Form::Whpk => bare(base64(text.strip_prefix(b"whpk_").ok_or(KeyError::NotWhpk)?)?)?,
        Form::Utf8 | Form::Whsec | Form::WhsecOrUtf8 | Form::Hex | Form::Base64 | Form::Sha1OfUtf8 | Form::NfkdUtf8 => {
            return Err(KeyError::Form);
        }
    };
    let algorithm = ring_algorithm(algorithm).ok_or(KeyError::Form)?;
    Ok(Key(Kind::Public { algorithm, bytes: bytes.into() }))
}

fn ring_algorithm(algorithm: Algorithm) -> Option<&'static dyn public::VerificationAlgorithm> {
    use Algorithm::{EcdsaP256, EcdsaP256Fixed, Ed25519, JwtRsa, RsaPkcs1, RsaPss};
    Some(match algorithm {
        Ed25519 => &public::ED25519,
        EcdsaP256 => &public::ECDSA_P256_SHA256_ASN1,
        EcdsaP256Fixed => &public::ECDSA_P256_SHA256_FIXED,
        RsaPkcs1(Hash::Sha1) => &public::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        RsaPkcs1(Hash::Sha256) | JwtRsa(Hash::Sha256) => &public::RSA_PKCS1_2048_8192_SHA256,
        RsaPkcs1(Hash::Sha384) | JwtRsa(Hash::Sha384) => &public::RSA_PKCS1_2048_8192_SHA384,
        RsaPkcs1(Hash::Sha512) | JwtRsa(Hash::Sha512) => &public::RSA_PKCS1_2048_8192_SHA512,
        RsaPss(Hash::Sha256) => &public::RSA_PSS_2048_8192_SHA256,
        RsaPss(Hash::Sha384) => &public::RSA_PSS_2048_8192_SHA384,
        RsaPss(Hash::Sha512) => &public::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
