//! What was said, on which files does it stand, and what is different now?
//!
//! Promises: two inventories tell every key and every file in which they differ, by their names and never by what stands in
//! them; of a file's content only a digest is kept. What a running house cannot take in is told apart from the rest.
//!
//! Must not know: what a key means.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use toml::Value;
use zeroize::Zeroizing;

use crate::verify::digest;

/// Of a larger file only this much is compared; no file that a configuration names may be as large.
const COMPARED_MAX: u64 = 16 << 20;

/// Sections that hold what a running house cannot change.
const FIXED: [&str; 6] = ["control", "dedup", "journal", "limits", "log", "metrics"];
/// Sections below which names of the operator's stand.
const NAMED: [&str; 4] = ["destination", "listen", "source", "tenant"];

/// Tells whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Option<[i128; 5]>);

impl Stamp {
    /// The file that is there now; costs one `stat`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self(fs::metadata(path).ok().map(|found| {
            let place = i128::from(found.dev()) << 64 | i128::from(found.ino());
            let changed = nanos(found.ctime(), found.ctime_nsec());
            let written = nanos(found.mtime(), found.mtime_nsec());
            [place, i128::from(found.len()), written, changed, i128::from(found.mode())]
        }))
    }
}

/// The files that are asked for while a configuration is built.
#[derive(Debug, Default)]
pub(crate) struct Asked(RefCell<BTreeMap<PathBuf, (String, Stamp)>>);

impl Asked {
    /// Notes a file as it is before it is read, so that a change while it is read is seen as one later.
    pub(crate) fn note(&self, said: &str, path: &Path) {
        let mut asked = self.0.borrow_mut();
        if !asked.contains_key(path) {
            asked.insert(path.to_owned(), (said.to_owned(), Stamp::of(path)));
        }
    }
}

/// A file that the text names.
#[derive(Clone, Debug)]
struct Used {
    /// As the text says it.
    said: String,
    stamp: Stamp,
    digest: [u8; 32],
    /// The sections that name it, such as `source whatsapp`.
    by: Vec<String>,
}

/// A configuration as it was read: every key with its value, and every file that it stands on.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    keys: BTreeMap<Vec<String>, Value>,
    files: BTreeMap<PathBuf, Used>,
    texts: Vec<(PathBuf, Stamp)>,
}

impl Inventory {
    /// Takes the inventory of a text that was built.
    pub(crate) fn take(text: &str, asked: &Asked) -> Self {
        let mut keys = BTreeMap::new();
        if let Ok(table) = text.parse::<toml::Table>() {
            flatten(table, &mut Vec::new(), &mut keys);
        }
        let mut files = BTreeMap::new();
        for (path, (said, stamp)) in &*asked.0.borrow() {
            let Some(digest) = digest_of(path) else { continue };
            let by: BTreeSet<String> =
                keys.iter().filter(|(_, value)| says(value, said)).map(|(key, _)| title(section(key))).collect();
            let by = by.into_iter().collect();
            files.insert(path.clone(), Used { said: said.clone(), stamp: *stamp, digest, by });
        }
        Self { keys, files, texts: Vec::new() }
    }

    /// Whether anything stands there.
    fn holds(&self, part: &[String]) -> bool {
        self.keys.range(part.to_vec()..).next().is_some_and(|(key, _)| key.starts_with(part))
    }

    /// The text stood in this file, which was as its stamp says before it was read.
    pub(crate) fn stood_in(&mut self, path: &Path, stamp: Stamp) {
        self.texts.push((path.to_owned(), stamp));
    }

    /// The files that hold text of the configuration, as they were when they were read.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<PathBuf, Stamp> {
        self.texts.iter().cloned().collect()
    }

    /// The files that the text names (certificates, secrets, lists), as they were when they were read.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Stamp> {
        self.files.iter().map(|(path, used)| (path.clone(), used.stamp)).collect()
    }
}

fn flatten(table: toml::Table, path: &mut Vec<String>, keys: &mut BTreeMap<Vec<String>, Value>) {
    // An empty section is a section, too.
    if table.is_empty() && !path.is_empty() {
        keys.insert(path.clone(), Value::Table(toml::Table::new()));
    }
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(below) => flatten(below, path, keys),
            value => {
                keys.insert(path.clone(), value);
            }
        }
        path.pop();
    }
}

/// The digest of a file; `None` of what is none.
fn digest_of(path: &Path) -> Option<[u8; 32]> {
    let file = fs::File::open(path).ok()?;
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(COMPARED_MAX).read_to_end(&mut bytes).ok()?;
    Some(digest(&[&bytes]))
}

/// Whether a value is this text, or has it somewhere below.
fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(said) => said == text,
        Value::Array(list) => list.iter().any(|value| says(value, text)),
        Value::Table(table) => table.values().any(|value| says(value, text)),
        _ => false,
    }
}

/// The section a key stands in: with its name, where it has one.
fn section(key: &[String]) -> &[String] {
    let named = key.first().is_some_and(|first| NAMED.contains(&first.as_str()));
    &key[..key.len().min(if named { 2 } else { 1 })]
}

fn title(section: &[String]) -> String {
    section.join(" ")
}

/// How one section is different.
#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    Added,
    Removed,
    /// In these keys.
    Changed(BTreeSet<String>),
}

/// What is different between two configurations, in the words that an operator is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What takes effect.
    pub applied: Vec<String>,
    /// What takes effect with a restart only.
    pub restart: Vec<String>,
    /// The destinations of which something was changed, or in a file they name.
    pub destinations: BTreeSet<String>,
}

impl Changes {
    /// What takes effect when `next` follows on `running` in a house that was started with `started`; what waits for a
    /// restart since is told every time.
    #[must_use]
    pub fn between(started: &Inventory, running: &Inventory, next: &Inventory) -> Self {
        let mut changes = Self::default();
        let is_fixed = |key: &[String]| is_fixed(key, &[started, running, next]);
        for (section, how) in differences(running, next, |key| !is_fixed(key)) {
            if let ("destination", How::Changed(_), [_, name]) = (section[0].as_str(), &how, &*section) {
                changes.destinations.insert(name.clone());
            }
            changes.applied.push(line(&section, &how));
        }
        for (path, used) in &next.files {
            let Some(before) = running.files.get(path).filter(|before| before.digest != used.digest) else { continue };
            let _: &Used = before;
            changes.applied.push(format!("file {}: changed ({})", used.said, used.by.join(", ")));
            let its = used.by.iter().filter_map(|by| by.strip_prefix("destination "));
            changes.destinations.extend(its.map(str::to_owned));
        }
        let restart = differences(started, next, is_fixed);
        changes.restart = restart.iter().map(|(section, how)| line(section, how)).collect();
        changes
    }
}

/// Whether a running house cannot take in another value of this key.
fn is_fixed(key: &[String], inventories: &[&Inventory]) -> bool {
    let Some(first) = key.first() else { return false };
    if FIXED.contains(&first.as_str()) {
        return true;
    }
    let [listen, _, rest @ ..] = key else { return false };
    if listen != "listen" {
        return false;
    }
    let stays = |part: &[String]| inventories.iter().all(|inventory| inventory.holds(part));
    match rest.first().map(String::as_str) {
        // Its certificates may change, but not whether it speaks TLS at all.
        Some("tls") => !stays(&key[..3]),
        Some("public-url") => !stays(&key[..2]),
        _ => true,
    }
}

fn differences(
    before: &Inventory,
    after: &Inventory,
    wanted: impl Fn(&[String]) -> bool,
) -> BTreeMap<Vec<String>, How> {
    let mut found: BTreeMap<Vec<String>, How> = BTreeMap::new();
    let all: BTreeSet<&Vec<String>> = before.keys.keys().chain(after.keys.keys()).collect();
    for key in all {
        if before.keys.get(key) == after.keys.get(key) || !wanted(key) {
            continue;
        }
        let part = section(key);
        let how = found.entry(part.to_vec()).or_insert_with(|| match (before.holds(part), after.holds(part)) {
            (false, _) => How::Added,
            (_, false) => How::Removed,
            _ => How::Changed(BTreeSet::new()),
        });
        if let (How::Changed(keys), Some(rest)) = (how, key.get(part.len()..).filter(|rest| !rest.is_empty())) {
            keys.insert(rest.join("."));
        }
    }
    found
}

fn line(section: &[String], how: &How) -> String {
    format!("{}: {how}", title(section))
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("added"),
            Self::Removed => f.write_str("removed"),
            Self::Changed(keys) if keys.is_empty() => f.write_str("changed"),
            Self::Changed(keys) => {
                write!(f, "changed ({})", keys.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
