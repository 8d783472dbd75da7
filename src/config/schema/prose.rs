//! Which words stand beside a key in the commented example?
//!
//! Promises: the words above a key's line; a key without its own has those of the key above it, as people read them, and one
//! inside braces those of the line it stands in.
//!
//! Must not know: what the words mean.

use std::collections::{BTreeMap, BTreeSet};

const EXAMPLE: &str = include_str!("../../../config/porteiro.example.toml");

/// The words of the example by key, `*` for the names that are the operator's.
pub(super) struct Prose {
    words: BTreeMap<String, String>,
    /// The keys, which are no sections.
    lines: BTreeSet<String>,
}

impl Prose {
    /// Reads the example.
    pub(super) fn of_example() -> Self {
        Self::read(EXAMPLE)
    }

    fn read(text: &str) -> Self {
        let (mut found, mut lines) = (BTreeMap::new(), BTreeSet::new());
        let (mut section, mut words, mut last) = (String::new(), Vec::new(), None);
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                words.push(comment.strip_prefix(' ').unwrap_or(comment));
                continue;
            }
            if let Some(header) = line.strip_prefix('[') {
                section = place(header.trim_matches(['[', ']']));
                // The words of a section serve its first key, too.
                last = (!words.is_empty()).then(|| words.join("\n"));
                if let Some(words) = &last {
                    found.entry(section.clone()).or_insert_with(|| words.clone());
                }
            } else if let Some(key) = key(line) {
                let own = (!words.is_empty()).then(|| words.join("\n"));
                let said: Option<String> = own.or(last);
                let place = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
                lines.insert(place.clone());
                if let Some(said) = &said {
                    found.entry(place).or_insert_with(|| said.clone());
                }
                last = said;
            }
            words.clear();
        }
        Self { words: found, lines }
    }

    /// The words beside a key.
    pub(super) fn of(&self, keys: &[&str]) -> Option<String> {
        let whole = self.words.get(&keys.join("."));
        let line = || {
            let above = (1..keys.len()).rev().map(|end| keys[..end].join("."));
            above.filter(|key| self.lines.contains(key)).find_map(|key| self.words.get(&key))
        };
        whole.or_else(line).cloned()
    }
}

/// A header with `*` for the operator's name.
fn place(header: &str) -> String {
    let mut parts: Vec<&str> = header.split('.').collect();
    if let [first, name, ..] = &mut *parts
        && ["destination", "listen", "source", "tenant"].contains(first)
    {
        *name = "*";
    }
    parts.join(".")
}

/// The key that a line at the left margin gives a value.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_').then_some(key)
}
