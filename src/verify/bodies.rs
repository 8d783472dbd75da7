//! In which forms may a provider have signed the body?
//!
//! Promises: the bytes as received come first; other forms are made only for providers known to sign them.
//!
//! Must not know: signatures.

use std::borrow::Cow;

/// Which forms of the body are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyForms {
    /// The bytes as received.
    #[default]
    AsIs,
    /// Also with what is not ASCII written as `\u00e9`, as JSON allows.
    EscapedUnicode,
}

impl BodyForms {
    /// The names a provider file uses.
    pub const NAMES: &'static [&'static str] = &["as-is", "escaped-unicode"];

    /// The forms of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "as-is" => Some(Self::AsIs),
            "escaped-unicode" => Some(Self::EscapedUnicode),
            _ => None,
        }
    }

    pub(super) const fn count(self) -> usize {
        match self {
            Self::AsIs => 1,
            Self::EscapedUnicode => 2,
        }
    }

    /// The form of that number; `None` where it is the same as the one before.
    pub(super) fn form(self, number: usize, body: &[u8]) -> Option<Cow<'_, [u8]>> {
        if number == 0 {
            return Some(Cow::Borrowed(body));
        }
        let text = str::from_utf8(body).ok().filter(|text| !text.is_ascii())?;
        let mut out = Vec::with_capacity(body.len() + body.len() / 2);
        for sign in text.chars() {
            if sign.is_ascii() {
                out.extend(sign.to_string().bytes());
            } else {
                for unit in sign.encode_utf16(&mut [0; 2]) {
                    out.extend(format!("\\u{unit:04x}").bytes());
                }
            }
        }
        Some(Cow::Owned(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ascii_is_escaped_and_nothing_else() {
        let forms = BodyForms::EscapedUnicode;
        let second = |body: &'static str| forms.form(1, body.as_bytes()).map(|body| body.into_owned());
        assert_eq!(
            second("{\"a\":\"ol\u{e1} \u{1f600}\\n\"}").as_deref(),
            Some(&br#"{"a":"ol\u00e1 \ud83d\ude00\n"}"#[..])
        );
        assert_eq!(second("plain"), None, "the same as the first form");
        assert_eq!(forms.form(1, &[0xff, 0xfe]), None, "no text");
        assert_eq!(forms.form(0, &[0xff]).as_deref(), Some(&[0xff][..]));
    }
}
