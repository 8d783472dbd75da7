//! What is wrong with a configuration, and where?
//!
//! Promises: a [`Report`] that stands for a refusal is never empty, stands in the order of the text, and renders the
//! same bytes for the same text; nothing in it was read from a secret, and a secret that stands in the text itself is
//! masked.
//!
//! Must not know: what the keys mean.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Bytes of a file's text, from and to.
pub type Span = Range<usize>;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: usize,
    title: String,
    span: Option<Span>,
    label: String,
    /// Other places, with the file where it is another one.
    also: Vec<(Option<usize>, Span, String)>,
    notes: Vec<String>,
    help: Vec<String>,
}

/// Where a problem's first character stands, counted from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            file: 0,
            title: title.into(),
            span: None,
            label: String::new(),
            also: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A problem at a place of the text.
    pub(crate) fn at(span: Span, title: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::new(title) }
    }

    /// What stands beside the marks under the text.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Another place that has to do with it.
    pub(crate) fn also(&mut self, span: Span, label: impl Into<String>) -> &mut Self {
        self.also.push((None, span, label.into()));
        self
    }

    /// Another place that has to do with it, in that file.
    pub(crate) fn also_in(&mut self, file: usize, span: Span, label: impl Into<String>) -> &mut Self {
        self.also.push((Some(file).filter(|file| *file != self.file), span, label.into()));
        self
    }

    /// What is allowed, or why it matters.
    pub(crate) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// What to do.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help.push(help.into());
        self
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What stands beside the marked text; empty if the title says it all.
    #[must_use]
    pub fn marked(&self) -> &str {
        &self.label
    }

    /// What is allowed, why it matters, what to do.
    pub fn advice(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().chain(&self.help).map(String::as_str)
    }
}

/// Problems while they are being collected.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    /// Which file problems belong to that are added now.
    file: usize,
}

impl Problems {
    /// Adds a problem at a place of the text; the answer takes label, notes and help.
    pub(crate) fn at(&mut self, span: Span, title: impl Into<String>) -> &mut Problem {
        self.add(Problem::at(span, title))
    }

    /// Adds a problem.
    pub(crate) fn add(&mut self, mut problem: Problem) -> &mut Problem {
        problem.file = self.file;
        self.found.push(problem);
        self.found.last_mut().expect("one was pushed")
    }

    /// Problems added by `inside` belong to another file.
    pub(crate) fn within<T>(&mut self, file: usize, inside: impl FnOnce(&mut Self) -> T) -> T {
        let outside = std::mem::replace(&mut self.file, file);
        let value = inside(self);
        self.file = outside;
        value
    }

    /// Problems added from now on belong to this file; answers with the one before.
    pub(crate) fn turn_to(&mut self, file: usize) -> usize {
        std::mem::replace(&mut self.file, file)
    }

    /// Whether something was found within this part of the file: then the part itself is not to blame.
    pub(crate) fn inside(&self, part: &Span) -> bool {
        let own = self.found.iter().filter(|problem| problem.file == self.file);
        own.filter_map(|problem| problem.span.as_ref()).any(|span| part.start <= span.start && span.end <= part.end)
    }

    /// How many were found so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// The report of a refusal, in the order of the text; `None` if nothing was found.
    pub(crate) fn into_report(self, files: Vec<TextFile>) -> Option<Report> {
        self.into(files, Weight::Refusal)
    }

    /// The report of what works and is unsafe; `None` if nothing was found.
    pub(crate) fn into_dangers(self, files: Vec<TextFile>) -> Option<Report> {
        self.into(files, Weight::Danger)
    }

    fn into(mut self, files: Vec<TextFile>, weight: Weight) -> Option<Report> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|problem| (problem.file, problem.span.as_ref().map_or(0, |span| span.start)));
        self.found.dedup();
        Some(Report { files, problems: self.found, weight })
    }
}

/// A file that problems point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextFile {
    /// How the operator named it.
    pub(crate) name: String,
    /// What stands in it.
    pub(crate) text: String,
}

impl TextFile {
    /// Writes stars over a part of the text that must not be shown.
    pub(crate) fn mask(&mut self, span: &Span) {
        let Some(hidden) = self.text.get(span.clone()) else { return };
        let stars: String =
            hidden.chars().flat_map(|c| std::iter::repeat_n(if c == '\n' { c } else { '*' }, c.len_utf8())).collect();
        self.text.replace_range(span.clone(), &stars);
    }

    /// The span moved to where it can be shown: within the text and on character boundaries.
    fn clip(&self, span: &Span) -> Span {
        let mut start = span.start.min(self.text.len());
        let mut end = span.end.clamp(start, self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }
}

/// All that is wrong with a configuration, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    files: Vec<TextFile>,
    problems: Vec<Problem>,
    weight: Weight,
}

/// What a report stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Refusal,
    Danger,
}

impl Report {
    /// A report of one problem with the file as a whole.
    pub(crate) fn whole(name: &str, title: String) -> Self {
        Self {
            files: vec![TextFile { name: name.into(), text: String::new() }],
            problems: vec![Problem::new(title)],
            weight: Weight::Refusal,
        }
    }

    /// The problems, in the order of the text.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Where a problem begins; the file's first character if it concerns the file as a whole.
    #[must_use]
    pub fn place(&self, problem: &Problem) -> Place {
        let Some(file) = self.files.get(problem.file) else {
            return Place { file: String::new(), line: 1, column: 1 };
        };
        let start = problem.span.as_ref().map_or(0, |span| file.clip(span).start);
        let before = &file.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: file.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The report as a person reads it, with ANSI colours or without.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.problems {
            let group = self.group(problem);
            text.push_str(&renderer.render(&[group]));
            text.push_str("\n\n");
        }
        let count = self.problems.len();
        let noun = match self.weight {
            Weight::Refusal => "problem",
            Weight::Danger => "danger",
        };
        let plural = if count == 1 { "" } else { "s" };
        let name = self.files.first().map_or("", |file| file.name.as_str());
        text.push_str(&format!("{count} {noun}{plural} in {name}\n"));
        text
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match self.weight {
            Weight::Refusal => Level::ERROR,
            Weight::Danger => Level::WARNING.with_name("danger"),
        };
        let mut group = Group::with_title(level.primary_title(problem.title.as_str()));
        match (self.files.get(problem.file), &problem.span) {
            (Some(file), Some(span)) => {
                let primary = AnnotationKind::Primary.span(file.clip(span));
                let primary = if problem.label.is_empty() { primary } else { primary.label(problem.label.as_str()) };
                let also = problem
                    .also
                    .iter()
                    .filter(|(other, ..)| other.is_none())
                    .map(|(_, span, label)| AnnotationKind::Context.span(file.clip(span)).label(label.as_str()));
                let snippet = Snippet::source(file.text.as_str()).path(file.name.as_str());
                group = group.element(snippet.annotation(primary).annotations(also));
                for (other, span, label) in &problem.also {
                    let Some(file) = other.and_then(|other| self.files.get(other)) else { continue };
                    let context = AnnotationKind::Context.span(file.clip(span)).label(label.as_str());
                    let snippet = Snippet::source(file.text.as_str()).path(file.name.as_str());
                    group = group.element(snippet.annotation(context));
                }
            }
            (Some(file), None) => group = group.element(annotate_snippets::Origin::path(file.name.as_str())),
            (None, _) => {}
        }
        let notes = problem.notes.iter().map(|note| Level::NOTE.message(note.as_str()));
        let help = problem.help.iter().map(|help| Level::HELP.message(help.as_str()));
        group.elements(notes.chain(help))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, fill: impl FnOnce(&mut Problems)) -> Report {
        let mut problems = Problems::default();
        fill(&mut problems);
        problems.into_report(vec![TextFile { name: "relay.toml".into(), text: text.into() }]).expect("filled")
    }

    #[test]
    fn stands_in_the_order_of_the_text_with_its_lines() {
        let text = "format = 1\nçé = 2\nlast = 3\n";
        let report = report(text, |problems| {
            problems.at(20..24, "second");
            problems.at(11..15, "first").label("here").note("why").help("do");
            problems.add(Problem::new("of all"));
        });
        let titles: Vec<&str> = report.problems().iter().map(Problem::title).collect();
        assert_eq!(titles, ["of all", "first", "second"]);
        assert_eq!(report.place(&report.problems()[2]), Place { file: "relay.toml".into(), line: 3, column: 1 });
        let rendered = report.render(false);
        assert!(rendered.contains("relay.toml:2:1") && rendered.ends_with("3 problems in relay.toml\n"), "{rendered}");
        assert!(!rendered.contains('\u{1b}') && report.render(true).contains('\u{1b}'));
    }

    #[test]
    fn a_masked_value_is_not_shown_and_a_wild_span_does_no_harm() {
        let mut file = TextFile { name: "relay.toml".into(), text: "secret = \"hünter2\"\n".into() };
        file.mask(&(9..18));
        let mut problems = Problems::default();
        problems.at(9..18, "a secret is never written in the file");
        problems.at(500..900, "far away");
        problems.at(3..1_000, "too long");
        let rendered = problems.into_report(vec![file]).expect("three").render(false);
        assert!(!rendered.contains("nter2"), "{rendered}");
    }

    #[test]
    fn nothing_found_is_no_report() {
        assert_eq!(Problems::default().into_report(Vec::new()), None);
    }
}
