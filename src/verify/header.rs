//! Which signatures does a signature text offer, and which time stands beside them?
//!
//! Promises: a grammar is chosen by the definition, never guessed; text of another version (`v0` where `v1` is named)
//! is no candidate; at most [`CANDIDATES_MAX`] candidates, in texts of at most [`TEXT_MAX`] bytes; nothing is
//! allocated, and no text makes it panic.
//!
//! Must not know: how a candidate is encoded, or what it signs.

use super::VerifyError;

/// The longest signature text that is looked at, in bytes.
pub(crate) const TEXT_MAX: usize = 8 * 1024;
/// The most candidates that are tried.
pub(crate) const CANDIDATES_MAX: usize = 16;
/// The most groups of pairs that are looked at; each may cost a hash of the body.
const GROUPS_MAX: usize = 4;

/// How signatures stand in their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// The whole text, after a fixed prefix: `sha256=0f..`.
    Whole {
        /// What stands before the signature; may be empty.
        prefix: Box<str>,
        /// Whether the prefix is an authentication scheme, whose case does not matter (`Bearer `).
        any_case: bool,
    },
    /// Named values: `t=1700000000,v1=0f..,v1=1e..`.
    Pairs {
        /// What stands between two pairs.
        separator: u8,
        /// What stands between name and value.
        equals: u8,
        /// The name of the value that is a signature.
        key: Box<str>,
        /// The name of the value that is the time.
        time: Option<Box<str>>,
        /// What stands between groups of pairs, each with a time of its own.
        group: Option<u8>,
    },
    /// Version and signature, separated by spaces: `v1,K5o.. v1a,hn..`.
    Items {
        /// The version that counts.
        tag: Box<str>,
        /// Whether an item without any comma counts, too.
        bare: bool,
    },
    /// Signatures one after the other, each after a prefix: `v1=0f..,v1=1e..`.
    List {
        /// What stands between two signatures.
        separator: u8,
        /// What stands before each signature; others are no candidates.
        prefix: Box<str>,
    },
    /// The time first, then signatures: `1700000000,0f..,1e..`.
    Columns {
        /// What stands between two columns.
        separator: u8,
    },
    /// Signatures by the name of their key: `name|0f..&other|1e..`.
    Named {
        /// What stands between two entries.
        separator: u8,
        /// What stands between name and signature.
        equals: u8,
        /// The name of our key.
        name: Box<str>,
    },
}

/// One signature that may hold, and the time that stands beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidate<'a> {
    /// The signature as text.
    pub(crate) text: &'a [u8],
    /// The time as text, where the grammar carries one.
    pub(crate) time: Option<&'a [u8]>,
}

/// The candidates of one request; lives on the stack.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    found: [Candidate<'a>; CANDIDATES_MAX],
    count: usize,
    malformed: bool,
    empty: bool,
}

impl<'a> Candidates<'a> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { found: [Candidate::default(); CANDIDATES_MAX], count: 0, malformed: false, empty: false }
    }

    /// Those found so far.
    pub(crate) fn as_slice(&self) -> &[Candidate<'a>] {
        self.found.get(..self.count).unwrap_or_default()
    }

    fn push(&mut self, text: &'a [u8], time: Option<&'a [u8]>) -> Result<(), VerifyError> {
        let slot = self.found.get_mut(self.count).ok_or(VerifyError::TooManySignatures)?;
        *slot = Candidate { text, time };
        self.count += 1;
        Ok(())
    }

    /// Why there is nothing to try, if there is nothing to try.
    pub(crate) fn check(&self) -> Result<(), VerifyError> {
        match self {
            Self { count: 1.., .. } => Ok(()),
            Self { malformed: true, .. } => Err(VerifyError::MalformedSignature),
            Self { empty: true, .. } => Err(VerifyError::EmptySignature),
            _ => Err(VerifyError::MissingSignature),
        }
    }
}

impl Grammar {
    /// Whether this grammar carries the time beside the signature.
    #[must_use]
    pub fn carries_time(&self) -> bool {
        match self {
            Self::Pairs { time, .. } => time.is_some(),
            Self::Columns { .. } => true,
            Self::Whole { .. } | Self::Items { .. } | Self::List { .. } | Self::Named { .. } => false,
        }
    }

    /// Adds the candidates that stand in one text.
    pub(crate) fn read<'a>(&self, text: &'a [u8], into: &mut Candidates<'a>) -> Result<(), VerifyError> {
        if text.len() > TEXT_MAX {
            return Err(VerifyError::OversizedSignature);
        }
        if text.is_empty() {
            into.empty = true;
            return Ok(());
        }
        match self {
            Self::Whole { prefix, any_case } => match strip(text, prefix.as_bytes(), *any_case) {
                Some([]) => into.empty = true,
                Some(rest) => into.push(rest, None)?,
                None => into.malformed = true,
            },
            Self::Pairs { separator, equals, key, time, group } => {
                let names = Names { separator: *separator, equals: *equals, key, time: time.as_deref() };
                match group {
                    None => names.read(text, into)?,
                    Some(group) => {
                        let groups = text.split(|byte| byte == group).filter(|part| !part.is_empty());
                        for (count, part) in groups.enumerate() {
                            if count == GROUPS_MAX {
                                return Err(VerifyError::TooManySignatures);
                            }
                            names.read(part, into)?;
                        }
                    }
                }
            }
            Self::Items { tag, bare } => items(text, tag.as_bytes(), *bare, into)?,
            Self::List { separator, prefix } => {
                for part in text.split(|byte| byte == separator).map(<[u8]>::trim_ascii) {
                    if let Some(rest @ [_, ..]) = part.strip_prefix(prefix.as_bytes()) {
                        into.push(rest, None)?;
                    }
                }
            }
            Self::Columns { separator } => {
                let mut columns = text.split(|byte| byte == separator).map(<[u8]>::trim_ascii);
                let time = columns.next();
                for part in columns {
                    into.push(part, time)?;
                }
            }
            Self::Named { separator, equals, name } => {
                for part in text.split(|byte| byte == separator) {
                    if let Some((key, rest)) = split_once(part, *equals)
                        && key == name.as_bytes()
                    {
                        into.push(rest, None)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes one signature as a provider would, for the tools that make signed requests.
    #[must_use]
    pub fn write(&self, signature: &str, time: &str) -> String {
        let byte = |byte: &u8| char::from(*byte);
        match self {
            Self::Whole { prefix, .. } | Self::List { prefix, .. } => format!("{prefix}{signature}"),
            Self::Pairs { separator, equals, key, time: named, .. } => {
                let (equals, separator) = (byte(equals), byte(separator));
                match named {
                    Some(name) => format!("{name}{equals}{time}{separator}{key}{equals}{signature}"),
                    None => format!("{key}{equals}{signature}"),
                }
            }
            Self::Items { tag, .. } => format!("{tag},{signature}"),
            Self::Columns { separator } => format!("{time}{}{signature}", byte(separator)),
            Self::Named { equals, name, .. } => format!("{name}{}{signature}", byte(equals)),
        }
    }
}

/// The names and separators of one group of pairs.
struct Names<'g> {
    separator: u8,
    equals: u8,
    key: &'g str,
    time: Option<&'g str>,
}

impl Names<'_> {
    fn read<'a>(&self, text: &'a [u8], into: &mut Candidates<'a>) -> Result<(), VerifyError> {
        let first = into.count;
        let mut time = None;
        for part in text.split(|byte| *byte == self.separator) {
            let Some((name, value)) = split_once(part.trim_ascii(), self.equals) else { continue };
            if name == self.key.as_bytes() {
                into.push(value, None)?;
            } else if self.time.is_some_and(|wanted| name == wanted.as_bytes()) && time.replace(value).is_some() {
                return Err(VerifyError::RepeatedTimestamp);
            }
        }
        let count = into.count;
        for candidate in into.found.get_mut(first..count).unwrap_or_default() {
            candidate.time = time;
        }
        Ok(())
    }
}

fn items<'a>(text: &'a [u8], tag: &[u8], bare: bool, into: &mut Candidates<'a>) -> Result<(), VerifyError> {
    for part in text.split(|byte| *byte == b' ').filter(|part| !part.is_empty()) {
        match split_once(part, b',') {
            Some((version, signature)) if version == tag => into.push(signature, None)?,
            Some(_) => {}
            None if bare => into.push(part, None)?,
            None => into.malformed = true,
        }
    }
    Ok(())
}

fn strip<'a>(text: &'a [u8], prefix: &[u8], any_case: bool) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    let same = if any_case { head.eq_ignore_ascii_case(prefix) } else { head == prefix };
    same.then_some(rest)
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = memchr::memchr(at, text)?;
    let (head, rest) = text.split_at_checked(position)?;
    Some((head, rest.get(1..)?))
}

#[cfg(test)]
mod tests;
