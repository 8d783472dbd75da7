//! How are the path and the query of an event joined to those of a destination?
//!
//! Promises: nothing that an event brings leads out of the destination's path, or stands where it ends the request line;
//! what is written is bounded.
//!
//! Must not know: which destination it is.

use super::plan::PlanError;
use super::weave::{Field, Values, Weave};

/// The path and query of a destination, and how those of an event are joined to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JoinedPath {
    /// Without the `/*`.
    base: Box<str>,
    query: Box<str>,
    takes_rest: bool,
    /// Both, where something is woven into one of them.
    woven: Option<Box<Woven>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Woven {
    base: Weave,
    query: Weave,
}

impl JoinedPath {
    pub(super) fn parse(path: &str, query: Option<&str>) -> Result<Self, PlanError> {
        let (base, takes_rest) = match path.strip_suffix("/*") {
            Some(base) => (base, true),
            None => (path, false),
        };
        if base.contains('*') {
            return Err(PlanError::Star);
        }
        let query = query.unwrap_or_default();
        let woven = Woven {
            base: Weave::of_target(base).map_err(PlanError::Weave)?,
            query: Weave::of_target(query).map_err(PlanError::Weave)?,
        };
        if let (Some(base), Some(query)) = (woven.base.plain(), woven.query.plain()) {
            return Ok(Self { base: base.into(), query: query.into(), takes_rest, woven: None });
        }
        Ok(Self { base: base.into(), query: query.into(), takes_rest, woven: Some(Box::new(woven)) })
    }

    /// Whether it is neither path nor query.
    pub(super) fn is_bare(&self) -> bool {
        matches!(&*self.base, "" | "/") && self.query.is_empty() && !self.takes_rest && self.woven.is_none()
    }

    /// Whether this field is woven into it.
    pub(super) fn asks(&self, field: Field) -> bool {
        self.woven.as_ref().is_some_and(|woven| woven.base.asks(field) || woven.query.asks(field))
    }

    /// Whether anything is woven into it.
    pub(super) const fn weaves(&self) -> bool {
        self.woven.is_some()
    }

    /// Writes the target of a request: this path, the rest of the event's where a `*` asks for it, and both queries. Fields
    /// stand as they were written where there are no values for them.
    ///
    /// `None` where the rest, or a value, would lead out of this path, or holds what cannot stand in a request line; what
    /// was written until then is of no use.
    pub(super) fn join(&self, rest: &str, query: &str, values: Option<&Values<'_>>, out: &mut Vec<u8>) -> Option<()> {
        let rest = if self.takes_rest { rest } else { "" };
        if climbs(rest) || !all(rest, IN_PATH) || !all(query, IN_QUERY) {
            return None;
        }
        let start = out.len();
        let woven = self.woven.as_deref().zip(values);
        match woven {
            None => out.extend_from_slice(self.base.as_bytes()),
            Some((Woven { base, .. }, values)) => {
                base.write_target(values, out);
                if climbs(str::from_utf8(&out[start..]).ok()?) {
                    return None;
                }
            }
        }
        if !rest.is_empty() && !rest.starts_with('/') {
            out.push(b'/');
        }
        out.extend_from_slice(rest.as_bytes());
        if out.len() == start {
            out.push(b'/');
        }
        if !self.query.is_empty() {
            out.push(b'?');
            match woven {
                None => out.extend_from_slice(self.query.as_bytes()),
                Some((Woven { query, .. }, values)) => query.write_target(values, out),
            }
        }
        if !query.is_empty() {
            out.push(if self.query.is_empty() { b'?' } else { b'&' });
            out.extend_from_slice(query.as_bytes());
        }
        (out.len() - start <= TARGET_MAX).then_some(())
    }
}

/// The longest target, as the `http` crate has it, by which events come in.
pub(super) const TARGET_MAX: usize = 65_534;

/// Bytes that may stand in a path.
const IN_PATH: u8 = 1;
/// Bytes that may stand in a query.
const IN_QUERY: u8 = 2;

/// Where each byte may stand: what the `http` crate reads as path and query, but for the `?` and the `#` that end them.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let high = byte >= 0x80;
        let mut class = 0;
        if high
            || matches!(byte, b'!' | b'"' | b'$'..=b';' | b'=' | b'@'..=b'_' | b'a'..=b'z' | b'{' | b'|' | b'}' | b'~')
        {
            class |= IN_PATH;
        }
        if high || matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~') {
            class |= IN_QUERY;
        }
        classes[byte as usize] = class;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    classes
};

fn all(text: &str, class: u8) -> bool {
    text.bytes().fold(class, |left, byte| left & CLASSES[usize::from(byte)]) == class
}

/// Whether a path has a segment `.` or `..`, or one that some server would read as such: it could lead anywhere.
fn climbs(path: &str) -> bool {
    if memchr::memchr2(b'.', b'%', path.as_bytes()).is_none() {
        return false;
    }
    // Of the segment so far: how many dots it is, if nothing else; whether its name is over and parameters follow.
    let (mut dots, mut named) = (Some(0_u8), false);
    let mut left = path.as_bytes();
    while let [byte, rest @ ..] = left {
        let (byte, rest) = match left {
            [b'%', b'2', b'e' | b'E', rest @ ..] => (b'.', rest),
            [b'%', b'2', b'f' | b'F', rest @ ..] | [b'%', b'5', b'c' | b'C', rest @ ..] | [b'\\', rest @ ..] => {
                (b'/', rest)
            }
            _ => (*byte, rest),
        };
        match byte {
            b'/' if matches!(dots, Some(1 | 2)) => return true,
            b'/' => (dots, named) = (Some(0), false),
            b';' => named = true,
            _ if named => {}
            b'.' => dots = dots.map(|dots| dots.saturating_add(1)),
            _ => dots = None,
        }
        left = rest;
    }
    matches!(dots, Some(1 | 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_server_would_read_as_a_step_up_is_one() {
        // The same question, asked of a copy with all escapes resolved.
        let resolved = |path: &str| {
            let path = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
            let path = path.replace('\\', "/");
            path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
        };
        let pieces = [".", "%2e", "%2E", "/", "%2f", "%2F", "\\", "%5c", "%5C", ";", "a", "%", "2", "e", "%25"];
        let (mut climbing, mut places) = (0, [0; 5]);
        // Every path of up to five pieces; the first piece of all stands for none.
        while places[4] <= pieces.len() {
            let path: String =
                places.iter().filter_map(|place| place.checked_sub(1)).map(|place| pieces[place]).collect();
            assert_eq!(climbs(&path), resolved(&path), "{path}");
            climbing += u32::from(climbs(&path));
            places[0] += 1;
            for place in 0..4 {
                if places[place] > pieces.len() {
                    places[place] = 0;
                    places[place + 1] += 1;
                }
            }
        }
        assert!(climbing > 10_000, "{climbing}");
    }
}
