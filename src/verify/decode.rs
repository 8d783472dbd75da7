//! Which bytes does a signature text stand for?
//!
//! Promises: strict. Hex has an even number of digits of either case and nothing else; base64 is canonical: the right
//! alphabet, the right padding (url-safe may leave it out), no stray bits at the end. One text, one meaning; nothing is
//! trimmed, nothing allocated.
//!
//! Must not know: what the bytes are compared with.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The longest signature that is decoded, in bytes (RSA with 8192 bits).
pub(crate) const DECODED_MAX: usize = 1024;

const STRICT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
const RELAXED: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// RFC 4648 section 4, canonical padding.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, STRICT);
/// RFC 4648 section 5, with or without padding; written without.
pub(crate) const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, RELAXED);

/// How the bytes of a signature are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Two digits a byte, either case.
    Hex,
    /// RFC 4648 section 4 with padding.
    Base64,
    /// RFC 4648 section 5, padding optional.
    Base64Url,
    /// Base64 of the lower-case hex text.
    Base64OfHex,
}

impl Encoding {
    /// The names a provider file uses.
    pub const NAMES: &'static [&'static str] = &["hex", "base64", "base64url", "base64-of-hex"];

    /// The encoding of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hex" => Self::Hex,
            "base64" => Self::Base64,
            "base64url" => Self::Base64Url,
            "base64-of-hex" => Self::Base64OfHex,
            _ => return None,
        })
    }

    /// Decodes into `out`; `None` when the text is not of this encoding or longer than `out` takes.
    pub(crate) fn decode<'a>(self, text: &[u8], out: &'a mut [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Hex => hex(text, out),
            Self::Base64 => base64(&BASE64, text, out),
            Self::Base64Url => base64(&BASE64_URL, text, out),
            Self::Base64OfHex => {
                let mut inner = [0; 2 * 64 + 3];
                let digits = base64(&BASE64, text, &mut inner)?;
                if digits.iter().any(u8::is_ascii_uppercase) {
                    return None;
                }
                hex(digits, out)
            }
        }
    }

    /// Writes bytes in this encoding, as providers write them.
    #[must_use]
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => to_hex(bytes),
            Self::Base64 => BASE64.encode(bytes),
            Self::Base64Url => BASE64_URL.encode(bytes),
            Self::Base64OfHex => BASE64.encode(to_hex(bytes)),
        }
    }
}

fn base64<'a>(engine: &GeneralPurpose, text: &[u8], out: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = engine.decode_slice(text, out).ok()?;
    out.get(..length)
}

fn hex<'a>(text: &[u8], out: &'a mut [u8]) -> Option<&'a [u8]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let out = out.get_mut(..pairs.len())?;
    let mut bad = false;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        bad |= (high | low) > 15;
        *byte = high << 4 | (low & 15);
    }
    (!bad).then_some(&*out)
}

/// The worth of each byte as a hex digit; 255 for what is none.
const DIGITS: [u8; 256] = {
    let mut table = [255; 256];
    let mut worth = 0_u8;
    while worth < 16 {
        table[b"0123456789abcdef"[worth as usize] as usize] = worth;
        table[b"0123456789ABCDEF"[worth as usize] as usize] = worth;
        worth += 1;
    }
    table
};

/// Lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// Decodes hex of any length, for keys.
pub(crate) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; text.len() / 2];
    hex(text, &mut out)?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_is_strict() {
        use Encoding::{Base64, Base64OfHex, Base64Url, Hex};
        let cases: &[(&str, Encoding, &str, Option<&[u8]>)] = &[
            ("hex of both cases", Hex, "00ffAb", Some(&[0, 255, 0xab])),
            ("no text is no bytes", Hex, "", Some(&[])),
            ("odd hex", Hex, "00f", None),
            ("a digit that is none", Hex, "0g", None),
            ("a high byte", Hex, "0\u{e9}", None),
            ("hex with a space", Hex, " 00", None),
            ("base64 with padding", Base64, "+/8=", Some(&[0xfb, 0xff])),
            ("base64 without its padding", Base64, "+/8", None),
            ("base64 with too much padding", Base64, "+/8==", None),
            ("base64 with stray bits", Base64, "+/9=", None),
            ("base64 of the other alphabet", Base64, "-_8=", None),
            ("base64 with a line feed", Base64, "+/8=\n", None),
            ("url-safe with padding", Base64Url, "-_8=", Some(&[0xfb, 0xff])),
            ("url-safe without padding", Base64Url, "-_8", Some(&[0xfb, 0xff])),
            ("url-safe of the other alphabet", Base64Url, "+/8", None),
            ("base64 of hex", Base64OfHex, "MDBmZg==", Some(&[0, 255])),
            ("base64 of upper-case hex", Base64OfHex, "MDBGRg==", None),
            ("base64 of odd hex", Base64OfHex, "MDBm", None),
        ];
        for (name, encoding, text, expected) in cases {
            let mut out = [0; 8];
            assert_eq!(encoding.decode(text.as_bytes(), &mut out), *expected, "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut out = [0; 2];
        assert_eq!(Encoding::Hex.decode(b"000000", &mut out), None);
        assert_eq!(Encoding::Base64.decode(b"AAAAAAAA", &mut out), None);
        assert_eq!(Encoding::Base64OfHex.decode(&[b'M'; 4096], &mut [0; 64]), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (name, length) in Encoding::NAMES.iter().zip([0_usize, 20, 32, 64]) {
            let encoding = Encoding::named(name).expect("a listed name is known");
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n * 3 % 256).expect("below 256")).collect();
            let mut out = [0; 64 + 3];
            assert_eq!(encoding.decode(encoding.encode(&bytes).as_bytes(), &mut out), Some(&*bytes), "{name}");
        }
        assert_eq!(Encoding::named("base32"), None);
    }
}
