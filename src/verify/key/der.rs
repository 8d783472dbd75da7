//! Which bytes of a public key does ring want?
//!
//! Promises: reads just enough DER (definite lengths, no guessing) to take a `SubjectPublicKeyInfo` apart, and checks
//! that the key inside is one for the algorithm that the definition names.
//!
//! Must not know: anything else about certificates.

use base64::Engine;

use super::KeyError;
use crate::verify::decode::BASE64;
use crate::verify::scheme::Algorithm;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]; // 1.2.840.113549.1.1.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]; // 1.2.840.10045.2.1
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]; // 1.2.840.10045.3.1.7
const ED25519: &[u8] = &[0x2b, 0x65, 0x70]; // 1.3.101.112

/// The DER inside `-----BEGIN PUBLIC KEY-----`; blanks and line ends do not count.
pub(super) fn pem(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?.trim();
    let inner = text.strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let digits: Vec<u8> = inner.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(digits).ok()
}

/// The key inside a `SubjectPublicKeyInfo`, as ring takes it for this algorithm.
pub(super) fn public_key(algorithm: Algorithm, spki: &[u8]) -> Result<Vec<u8>, KeyError> {
    let (kind, key) = open(spki).ok_or(KeyError::OtherKind)?;
    let (object, rest) = take(kind, OBJECT).ok_or(KeyError::OtherKind)?;
    match algorithm {
        Algorithm::Ed25519 if object == ED25519 && key.len() == 32 => {}
        Algorithm::EcdsaP256 | Algorithm::EcdsaP256Fixed
            if object == EC && take(rest, OBJECT).is_some_and(|(curve, _)| curve == P256) && key.len() == 65 => {}
        Algorithm::RsaPkcs1(_) | Algorithm::RsaPss(_) | Algorithm::JwtRsa(_) if object == RSA => {
            let modulus = modulus(key).ok_or(KeyError::OtherKind)?;
            if !(256..=1024).contains(&modulus.len()) {
                return Err(KeyError::RsaSize);
            }
        }
        _ => return Err(KeyError::OtherKind),
    }
    Ok(key.to_vec())
}

/// The algorithm identifier's content, and the bits of the key.
fn open(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let (outer, []) = take(spki, SEQUENCE)? else { return None };
    let (kind, rest) = take(outer, SEQUENCE)?;
    let (bits, []) = take(rest, BIT_STRING)? else { return None };
    let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    Some((kind, key))
}

/// The modulus of an `RSAPublicKey`, without its leading zero.
fn modulus(key: &[u8]) -> Option<&[u8]> {
    let (numbers, []) = take(key, SEQUENCE)? else { return None };
    let (modulus, _) = take(numbers, INTEGER)?;
    Some(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

/// Takes one value with this tag; gives its content and what follows.
fn take(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=127 => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(only, rest)| (usize::from(*only), rest))?,
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}
