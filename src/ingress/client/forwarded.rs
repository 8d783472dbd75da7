//! Whom does a `Forwarded` field (RFC 7239) name?
//!
//! Promises: a field is read from its beginning and as a whole, so that a quote that a stranger left open swallows
//! nothing that a hop wrote behind it: such a field names nobody. No field makes it panic.
//!
//! Must not know: who is trusted.

use std::borrow::Cow;

/// The texts of `for=` in the last `most` elements of a field, in its order; `None` for an element without one, or with
/// two. Empty where the field as a whole cannot be read.
pub(super) fn named(field: &[u8], most: usize) -> Vec<Option<Cow<'_, str>>> {
    let mut rest = match str::from_utf8(field) {
        Ok(text) if text.is_ascii() => text,
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    loop {
        let Some((element, behind)) = element(rest) else { return Vec::new() };
        found.push(element);
        if found.len() > most {
            found.remove(0);
        }
        match behind {
            Some(more) => rest = more,
            None => return found,
        }
    }
}

/// What one element names.
type Named<'a> = Option<Cow<'a, str>>;

/// Reads one element; gives what follows its comma, if one does. `None` where this is no element.
fn element(text: &str) -> Option<(Named<'_>, Option<&str>)> {
    let (mut rest, mut named, mut times) = (text, None, 0);
    loop {
        rest = blanks(rest);
        let length = rest.bytes().take_while(|byte| is_token(*byte)).count();
        let (name, behind) = rest.split_at(length);
        rest = behind;
        if let Some(behind) = rest.strip_prefix('=').filter(|_| !name.is_empty()) {
            let (value, behind) = value(behind)?;
            if name.eq_ignore_ascii_case("for") {
                (named, times) = (Some(value), times + 1);
            }
            rest = behind;
        } else if !name.is_empty() {
            return None;
        }
        rest = blanks(rest);
        let named = || named.clone().filter(|_| times == 1);
        match rest.as_bytes().first() {
            Some(b';') => rest = &rest[1..],
            Some(b',') => return Some((named(), Some(&rest[1..]))),
            None => return Some((named(), None)),
            Some(_) => return None,
        }
    }
}

/// A token (addresses that somebody did not quote, too) or a quoted text, and what follows it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let length = text.bytes().take_while(|byte| is_token(*byte) || b"[:]".contains(byte)).count();
        let (value, rest) = text.split_at(length);
        return (!value.is_empty()).then_some((Cow::Borrowed(value), rest));
    };
    let mut plain = String::new();
    let mut signs = quoted.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((Cow::Owned(plain), &quoted[at + 1..])),
            '\\' => plain.push(signs.next()?.1),
            _ => plain.push(sign),
        }
    }
    None
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
