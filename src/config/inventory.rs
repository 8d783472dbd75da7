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
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Value;
use zeroize::Zeroizing;

use super::text::TEXT_MAX;
use crate::verify::digest;

/// Of a larger file only this much is compared; no file that a configuration names may be as large.
const COMPARED_MAX: u64 = 16 << 20;

/// More changes than this are counted, but not told one by one.
const LINES_MAX: usize = 100;

/// Sections that hold what a running house cannot change.
const FIXED: [&str; 6] = ["control", "dedup", "journal", "limits", "log", "metrics"];
/// What every destination is built with.
const SHARED: [&str; 2] = ["proxy", "no-proxy"];
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

/// Text of the configuration: as it was before it was read, and what it said; of a directory only that.
#[derive(Clone, Debug)]
struct Text {
    stamp: Stamp,
    said: Option<Arc<str>>,
}

/// What was not looked at, because it is only where Porteiro will run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unchecked {
    /// What it is, such as `file secrets/github`.
    pub what: String,
    /// Why it was not, and what stands in for it.
    pub why: &'static str,
}

/// What is asked for while a configuration is built: its text, and the files that it names.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    files: RefCell<BTreeMap<PathBuf, (String, Stamp)>>,
    texts: RefCell<BTreeMap<PathBuf, Text>>,
    unchecked: RefCell<BTreeSet<Unchecked>>,
    /// The text is not read again, but taken from here.
    kept: bool,
}

impl Asked {
    /// The text is the one that is in force, whatever stands in its files now.
    pub(crate) fn keeping(inventory: &Inventory) -> Self {
        Self { texts: RefCell::new(inventory.texts.clone()), kept: true, ..Self::default() }
    }

    /// Notes a file as it is before it is read, so that a change while it is read is seen as one later.
    pub(crate) fn note(&self, said: &str, path: &Path) {
        let mut files = self.files.borrow_mut();
        if !files.contains_key(path) {
            files.insert(path.to_owned(), (said.to_owned(), Stamp::of(path)));
        }
    }

    /// Notes that something was not looked at.
    pub(crate) fn unchecked(&self, what: String, why: &'static str) {
        self.unchecked.borrow_mut().insert(Unchecked { what, why });
    }

    /// What was not looked at, in the order of its names.
    pub(crate) fn left_unchecked(&self) -> Vec<Unchecked> {
        self.unchecked.borrow().iter().cloned().collect()
    }

    /// A file that holds text of the configuration; of one that is too large, a little more than is allowed.
    pub(crate) fn text(&self, path: &Path) -> io::Result<Arc<str>> {
        if self.kept {
            let said = self.texts.borrow().get(path).and_then(|text| text.said.clone());
            return said.ok_or_else(|| io::ErrorKind::NotFound.into());
        }
        let stamp = Stamp::of(path);
        let mut said = String::new();
        fs::File::open(path)?.take(TEXT_MAX + 1).read_to_string(&mut said)?;
        let said: Arc<str> = said.into();
        self.texts.borrow_mut().insert(path.to_owned(), Text { stamp, said: Some(Arc::clone(&said)) });
        Ok(said)
    }

    /// The names of the files of a directory that hold text of the configuration, in order: those ending in `.toml`, but
    /// no hidden ones, as editors make them.
    pub(crate) fn directory(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        if self.kept {
            let texts = self.texts.borrow();
            if !texts.contains_key(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let here = texts.keys().filter(|text| text.parent() == Some(path));
            names.extend(here.filter_map(|text| text.file_name()).map(|name| name.to_string_lossy().into_owned()));
            names.sort_unstable();
            return Ok(names);
        }
        let stamp = Stamp::of(path);
        // One that is not there may come.
        self.texts.borrow_mut().insert(path.to_owned(), Text { stamp, said: None });
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".toml") && !name.starts_with('.') && !entry.path().is_dir() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// A file that the text names.
#[derive(Clone, Debug)]
struct Used {
    /// As the text says it.
    said: String,
    stamp: Stamp,
    /// `None` of a file that was changed since it was noted: nobody knows which bytes were built of.
    digest: Option<[u8; 32]>,
    /// The sections that name it, such as `source whatsapp`.
    by: Vec<String>,
}

/// What a key says, as far as it can be compared: a digest.
type Said = [u8; 32];

/// A configuration as it was read: every key, and every file that it stands on.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    keys: BTreeMap<Vec<String>, Said>,
    files: BTreeMap<PathBuf, Used>,
    texts: BTreeMap<PathBuf, Text>,
}

impl Inventory {
    /// Takes the inventory of what was asked for.
    pub(crate) fn take(asked: &Asked) -> Self {
        let texts = asked.texts.borrow().clone();
        let wanted = asked.files.borrow();
        // Who names each file, as it is said.
        let mut by: BTreeMap<&str, BTreeSet<String>> =
            wanted.values().map(|(said, _)| (said.as_str(), BTreeSet::new())).collect();
        let mut keys = BTreeMap::new();
        for said in texts.values().filter_map(|text| text.said.as_deref()) {
            let Ok(table) = said.parse::<toml::Table>() else { continue };
            flatten(table, &mut Vec::new(), &mut |key, value| {
                strings(&value, &mut |text| {
                    if let Some(by) = by.get_mut(text) {
                        by.insert(title(section(key)));
                    }
                });
                keys.insert(key.to_vec(), digest(&[format!("{value:?}").as_bytes()]));
            });
        }
        let file = |(path, (said, stamp)): (&PathBuf, &(String, Stamp))| {
            let by = by.get(said.as_str()).into_iter().flatten().cloned().collect();
            // The look at it comes last, so that no change is between it and the digest.
            let digest = match (digest_of(path), Stamp::of(path) == *stamp) {
                (None, true) => return None,
                (digest, same) => digest.filter(|_| same),
            };
            Some((path.clone(), Used { said: said.clone(), stamp: *stamp, digest, by }))
        };
        let files = wanted.iter().filter_map(file).collect();
        Self { keys, files, texts }
    }

    /// What of it cannot be changed while a house runs, to be compared with what comes later.
    #[must_use]
    pub fn fixed(&self) -> Self {
        let fixed = |key: &Vec<String>| key.first().is_some_and(|first| first == "listen" || FIXED.contains(&&**first));
        let keys = self.keys.iter().filter(|(key, _)| fixed(key)).map(|(key, said)| (key.clone(), *said)).collect();
        Self { keys, ..Self::default() }
    }

    /// The names of the destinations.
    fn destinations(&self) -> impl Iterator<Item = String> {
        let names = self.keys.keys().filter(|key| key.first().is_some_and(|first| first == "destination"));
        names.filter_map(|key| key.get(1).cloned())
    }

    /// Whether anything stands there.
    fn holds(&self, part: &[String]) -> bool {
        self.keys.range(part.to_vec()..).next().is_some_and(|(key, _)| key.starts_with(part))
    }

    /// What a file of the configuration said when it was read.
    pub(crate) fn said(&self, path: &Path) -> Option<&str> {
        self.texts.get(path)?.said.as_deref()
    }

    /// The files and directories that hold text of the configuration, as they were when they were read.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<PathBuf, Stamp> {
        self.texts.iter().map(|(path, text)| (path.clone(), text.stamp)).collect()
    }

    /// The files that the text names (certificates, secrets, lists), as they were when they were read.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Stamp> {
        self.files.iter().map(|(path, used)| (path.clone(), used.stamp)).collect()
    }
}

/// Tells of each key with its value. There may be very many tenants, so that each of them is one.
fn flatten(table: toml::Table, path: &mut Vec<String>, each: &mut impl FnMut(&[String], Value)) {
    for (key, value) in table {
        path.push(key);
        let whole = path.len() == 2 && path[0] == "tenant";
        match value {
            // An empty section is a section, too.
            Value::Table(below) if !whole && !below.is_empty() => flatten(below, path, each),
            value => each(path, value),
        }
        path.pop();
    }
}

/// Tells of every text in a value.
fn strings(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(said) => each(said),
        Value::Array(list) => list.iter().for_each(|value| strings(value, each)),
        Value::Table(table) => table.values().for_each(|value| strings(value, each)),
        _ => {}
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
            if SHARED.contains(&section[0].as_str()) {
                changes.destinations.extend(next.destinations());
            }
            changes.applied.push(line(&section, &how));
        }
        for (path, used) in &next.files {
            // Of a configuration that stands elsewhere, a file that is named alike is the one before.
            let alike = || running.files.values().find(|before| before.said == used.said);
            let same = |before: &Used| before.digest.is_some() && before.digest == used.digest;
            if running.files.get(path).or_else(alike).is_none_or(same) {
                continue;
            }
            changes.applied.push(format!("file {}: changed ({})", used.said, used.by.join(", ")));
            let its = used.by.iter().filter_map(|by| by.strip_prefix("destination "));
            changes.destinations.extend(its.map(str::to_owned));
            if used.by.iter().any(|by| SHARED.contains(&by.as_str())) {
                changes.destinations.extend(next.destinations());
            }
        }
        let restart = differences(started, next, is_fixed);
        changes.restart = restart.iter().map(|(section, how)| line(section, how)).collect();
        cut(&mut changes.applied);
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
        Some("forwarded-in" | "public-url" | "trusted-hops") => !stays(&key[..2]),
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

/// Leaves out what nobody would read.
fn cut(lines: &mut Vec<String>) {
    let more = lines.len().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more"));
    }
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
