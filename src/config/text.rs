//! Is the text a configuration at all, and what does it say?
//!
//! The text is parsed with recovery, and the document is read again and again: what cannot be read is noted, cut out
//! and the rest is tried once more. So one slip does not hide the next one.
//!
//! Promises: every text ends, with a mirror of what could be read and a problem for everything that could not; at most
//! [`PROBLEMS_MAX`] of them.
//!
//! Must not know: what the keys mean, beyond the names of those that come later.

use serde::de::DeserializeOwned;
use toml::de::{DeArray, DeTable, DeValue};

use super::names;
use super::problem::{Problem, Problems, Span, TextFile};
use super::said::PLAIN_SECRET;

/// After this many, one more problem is no help.
const PROBLEMS_MAX: usize = 100;
/// How often what stands behind a syntax error is looked at again.
const SYNTAX_ROUNDS: usize = 16;
/// Largest text that is read, in bytes.
pub(crate) const TEXT_MAX: u64 = 4 << 20;

/// Keys that a later version will know, by the section they stand in (`*` for a name).
const LATER: &[(&str, &[&str])] = &[
    ("", &["include", "passage"]),
    ("listen.*", &["http2", "proxy-protocol"]),
    ("source.*", &["late", "mode", "split", "tenant"]),
    ("destination.*", &["mode"]),
    ("journal", &["engine"]),
];

/// What a text says, and what had to be cut out to read it.
pub(crate) struct Reading<T> {
    pub(crate) file: T,
    pub(crate) cut: Cut,
}

/// What could not be read.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    paths: Vec<Vec<String>>,
    syntax: bool,
}

impl Cut {
    /// Whether that key, or a section it stands in, was there but could not be read: then it is not missing.
    pub(crate) fn hides(&self, path: &[&str]) -> bool {
        self.syntax || self.paths.iter().any(|cut| cut.len() <= path.len() && cut.iter().zip(path).all(|(a, b)| a == b))
    }

    /// Whether something within that key could not be read.
    pub(crate) fn touches(&self, path: &[&str]) -> bool {
        self.syntax || self.paths.iter().any(|cut| cut.iter().zip(path).all(|(a, b)| a == b))
    }

    /// Whether a name that is nowhere to be found might stand in what could not be read.
    pub(crate) const fn is_syntax(&self) -> bool {
        self.syntax
    }
}

/// Reads a text; problems go to `problems`, secrets that stand in it are masked in `shown`.
pub(crate) fn read<T>(text: &str, shown: &mut TextFile, problems: &mut Problems) -> Reading<T>
where
    T: DeserializeOwned + Default,
{
    let (readable, spoiled) = syntax(text, problems);
    let (mut document, _) = DeTable::parse_recoverable(&readable);
    let mut cut = Cut { paths: Vec::new(), syntax: !spoiled.is_empty() };
    for _ in 0..PROBLEMS_MAX {
        let error = match T::deserialize(toml::de::Deserializer::from(document.clone())) {
            Ok(file) => return Reading { file, cut },
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        let Some((path, value)) = prune(document.get_mut(), &span, Vec::new()) else {
            problems.at(span, "this cannot be read").label(error.message());
            cut.syntax = true;
            return Reading { file: T::default(), cut };
        };
        if error.message().starts_with(PLAIN_SECRET) || delicate(&path) {
            hide(&value, shown);
        }
        if !spoiled.iter().any(|line| line.contains(&span.start)) {
            let (problem, meant) = explain(error.message(), &span, &path);
            problems.add(problem);
            // A key that was misspelt is not missing, too.
            cut.paths.extend(meant.map(|key| path[..path.len() - 1].iter().cloned().chain([key]).collect()));
        }
        cut.paths.push(path);
    }
    // Nothing is known of the rest, so nothing of it is missed.
    cut.syntax = true;
    problems.at(text.len()..text.len(), "too many problems; what follows from them was not looked at");
    Reading { file: T::default(), cut }
}

/// Notes the syntax errors. Answers with the text in which the lines that hold them are blank, so that the rest can be
/// read where it stands, and with those lines.
fn syntax(text: &str, problems: &mut Problems) -> (String, Vec<Span>) {
    let mut readable = text.to_owned();
    let mut spoiled: Vec<Span> = Vec::new();
    for _ in 0..SYNTAX_ROUNDS {
        let (document, errors) = DeTable::parse_recoverable(&readable);
        let mut errors: Vec<(Span, String)> = errors
            .iter()
            .map(|error| (error.span().unwrap_or(text.len()..text.len()), error.message().to_owned()))
            .collect();
        errors.sort_by_key(|(span, _)| span.start);
        let open = only_the_opening(text, &mut errors);
        let opened = open.then(|| opening(document.get_ref(), errors.last()?.0.start)).flatten();
        let before = spoiled.len();
        for (span, message) in errors {
            let line = line_of(text, span.start);
            if spoiled.contains(&line) {
                continue;
            }
            let (what, expected) = message.split_once(", expected ").unwrap_or((&message, ""));
            let problem = problems.at(span, format!("this is not TOML: {what}"));
            if !expected.is_empty() {
                problem.label(format!("expected {expected}"));
            }
            if let Some(opened) = &opened {
                problem.also(opened.clone(), "opened here");
            }
            spoiled.push(line);
        }
        if open || spoiled.len() == before {
            break;
        }
        for line in &spoiled[before..] {
            let end = unreadable(text, line);
            // One byte per byte, so that every place stays where it was.
            let blank = text[line.start..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
            let blank: String = blank.collect();
            readable.replace_range(line.start..end, &blank);
        }
    }
    (readable, spoiled)
}

/// Where the part ends that a broken line spoils: the line, or if it should have been a header, the section.
fn unreadable(text: &str, line: &Span) -> usize {
    let end = line.end.min(text.len());
    if !text[line.start..end].trim_start().starts_with('[') {
        return end;
    }
    let mut at = end;
    for next in text[end..].split_inclusive('\n') {
        if next.trim_start().starts_with('[') {
            break;
        }
        at += next.len();
    }
    at
}

/// Behind a bracket that is never closed everything is taken for its content: one error stands for all of them.
fn only_the_opening(text: &str, errors: &mut Vec<(Span, String)>) -> bool {
    let end = text.trim_end().len();
    let unclosed = errors.iter().find(|(span, message)| message.starts_with("unclosed") && span.end >= end);
    let Some(closing) = unclosed.map(|(_, message)| message.clone()) else { return false };
    let Some(first) = errors.iter().position(|(_, message)| message.starts_with("missing comma")) else { return false };
    errors.truncate(first + 1);
    errors[first].1 = closing;
    true
}

/// The opening bracket of the innermost list around a place.
fn opening(table: &DeTable<'_>, at: usize) -> Option<Span> {
    fn within(value: &toml::Spanned<DeValue<'_>>, at: usize) -> Option<Span> {
        match value.get_ref() {
            DeValue::Table(table) => opening(table, at),
            DeValue::Array(list) => list.iter().find_map(|element| within(element, at)).or_else(|| {
                let span = value.span();
                (span.start < at && at <= span.end).then(|| span.start..span.start + 1)
            }),
            _ => None,
        }
    }
    table.iter().find_map(|(_, value)| within(value, at))
}

/// The line that holds a byte, its end included.
fn line_of(text: &str, at: usize) -> Span {
    let bytes = text.as_bytes();
    let at = at.min(bytes.len());
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| at + newline);
    start..end + 1
}

/// Where something was cut out, and what it was.
type Pruned<'i> = (Vec<String>, toml::Spanned<DeValue<'i>>);

/// Cuts the entry out that the span names: the deepest whose key or value it is, or else that holds it.
fn prune<'i>(table: &mut DeTable<'i>, span: &Span, path: Vec<String>) -> Option<Pruned<'i>> {
    let mut target = table.keys().find(|key| key.span() == *span).map(|key| key.get_ref().to_string());
    for (key, value) in table.iter_mut() {
        if target.is_some() {
            break;
        }
        let name = key.get_ref().to_string();
        let below = || path.iter().cloned().chain([name.clone()]).collect::<Vec<_>>();
        if let Some(found) = prune_value(value.get_mut(), span, below()) {
            return Some(found);
        }
        let held = value.span();
        let own = key.span() == *span
            || held == *span
            || (held.start <= span.start && span.end <= held.end && !span.is_empty());
        if own && target.is_none() {
            target = Some(name);
        }
    }
    let target = target?;
    let value = table.remove(target.as_str())?;
    Some((path.into_iter().chain([target]).collect(), value))
}

fn prune_value<'i>(value: &mut DeValue<'i>, span: &Span, path: Vec<String>) -> Option<Pruned<'i>> {
    match value {
        DeValue::Table(table) => prune(table, span, path),
        DeValue::Array(array) => {
            let mut target = None;
            for (index, element) in array.iter_mut().enumerate() {
                let held = element.span();
                if let Some(found) = prune_value(element.get_mut(), span, path.clone()) {
                    return Some(found);
                }
                if held == *span || (held.start <= span.start && span.end <= held.end && !span.is_empty()) {
                    target = Some(index);
                }
            }
            // The array stays, one element shorter; it counts as read only in part.
            let target = target?;
            let mut elements: Vec<_> = std::mem::replace(array, DeArray::new()).into_iter().collect();
            let element = elements.remove(target);
            *array = elements.into_iter().collect();
            Some((path, element))
        }
        _ => None,
    }
}

/// Whether what stands under that key may be a secret that somebody wrote where it does not belong.
fn delicate(path: &[String]) -> bool {
    let words = ["auth", "basic", "bearer", "credential", "header", "pass", "secret", "sign", "token", "values"];
    path.iter().any(|key| words.iter().any(|word| key.to_ascii_lowercase().contains(word)))
}

/// Hides a value, but for the names of files and variables in it.
fn hide(value: &toml::Spanned<DeValue<'_>>, shown: &mut TextFile) {
    match value.get_ref() {
        DeValue::Table(table) => {
            let told = |key: &str| key == "file" || key == "env";
            table.iter().filter(|(key, _)| !told(key.get_ref())).for_each(|(_, value)| hide(value, shown));
        }
        DeValue::Array(list) => list.iter().for_each(|value| hide(value, shown)),
        _ => shown.mask(&value.span()),
    }
}

/// Says in our words what the deserialiser found, and which key was probably meant.
fn explain(message: &str, span: &Span, path: &[String]) -> (Problem, Option<String>) {
    let key = path.last().map_or("", String::as_str);
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown(rest, span, path);
    }
    if message.starts_with(PLAIN_SECRET) {
        let mut problem = Problem::at(span.clone(), PLAIN_SECRET);
        problem.label("what stands here is not shown").help("write { file = \"PATH\" } or { env = \"NAME\" }");
        return (problem, None);
    }
    let mut problem = Problem::at(span.clone(), format!("`{key}` cannot be read"));
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        // What was found may be a secret where something else belongs: its kind is enough.
        let found = if delicate(path) { found.split(['"', '`']).next().unwrap_or_default().trim() } else { found };
        problem.label(format!("expected {}, found {}", plain(expected), plain(found)));
    } else if delicate(path) && !message.starts_with("expected") {
        problem.label("what stands here is not shown");
    } else {
        problem.label(message);
    }
    (problem, None)
}

/// The words of the deserialiser for its own types, in the words of the file.
fn plain(phrase: &str) -> String {
    let known = [
        ("a sequence", "a list in brackets"),
        ("sequence", "a list"),
        ("map", "a table"),
        ("a map", "a table"),
        ("a boolean", "true or false"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number"),
        ("i64", "a whole number"),
    ];
    if let Some((_, ours)) = known.iter().find(|(theirs, _)| *theirs == phrase) {
        return (*ours).to_owned();
    }
    if phrase.starts_with("struct ") { "a table".to_owned() } else { phrase.to_owned() }
}

/// An unknown key: one of a later version, a slip of the hand, or a stranger.
fn unknown(rest: &str, span: &Span, path: &[String]) -> (Problem, Option<String>) {
    let mut words = rest.split('`').skip(1).step_by(2);
    let key = words.next().unwrap_or_default().to_owned();
    let allowed: Vec<&str> = words.collect();
    let section = path.split_last().map_or(&[][..], |(_, section)| section);
    let shown =
        if section.is_empty() { "at the top of the file".to_owned() } else { format!("in `{}`", section.join(".")) };
    if LATER.iter().any(|(place, keys)| matches(place, section) && keys.contains(&key.as_str())) {
        let mut problem = Problem::at(span.clone(), format!("`{key}` is not in this version"));
        problem.label("comes in a later version").help("remove it for now: it is refused rather than ignored");
        return (problem, None);
    }
    let mut problem = Problem::at(span.clone(), format!("unknown key `{key}` {shown}"));
    let near = names::nearest(&key, allowed.iter().copied()).map(str::to_owned);
    match &near {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem.label("not a key here"),
    };
    if !allowed.is_empty() {
        problem.note(format!("the keys here are {}", names::list(allowed)));
    }
    (problem, near)
}

fn matches(place: &str, section: &[String]) -> bool {
    let mut parts = place.split('.').filter(|part| !part.is_empty());
    section.iter().all(|name| parts.next().is_some_and(|part| part == "*" || part == name)) && parts.next().is_none()
}
