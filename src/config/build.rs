//! What every section needs while it is built.
//!
//! Promises: a value that is missing, out of range or cannot be used becomes a problem where it stands, and building
//! goes on with a stand-in, so that the rest is looked at too.
//!
//! Must not know: any section in particular.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::names;
use super::problem::{Problem, Problems, Span, TextFile};
use super::said::{At, Flow, Said, Size};
use super::secrets::Outside;
use super::text::Cut;
use super::units::{show_size, show_time};

/// The means of building.
pub(crate) struct Building<'a> {
    pub(crate) problems: Problems,
    pub(crate) dangers: Problems,
    pub(crate) outside: Outside<'a>,
    pub(crate) cut: Cut,
    /// What problems point into: the configuration first, then provider files.
    pub(crate) files: Vec<TextFile>,
}

impl Building<'_> {
    /// Builds what stands in another file, of which this could not be read.
    pub(crate) fn elsewhere<T>(&mut self, file: usize, cut: Cut, inside: impl FnOnce(&mut Self) -> T) -> T {
        let here = (self.problems.turn_to(file), self.dangers.turn_to(file), std::mem::replace(&mut self.cut, cut));
        let value = inside(self);
        self.problems.turn_to(here.0);
        self.dangers.turn_to(here.1);
        self.cut = here.2;
        value
    }

    /// Notes a problem at a place of the text.
    pub(crate) fn problem(&mut self, span: &Span, title: impl Into<String>) -> &mut Problem {
        self.problems.at(span.clone(), title)
    }

    /// The line of the text in which a place begins, counted from 1.
    pub(crate) fn line(&self, span: &Span) -> usize {
        let text = self.files.first().map_or("", |file| file.text.as_str());
        1 + text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count()
    }

    /// Names something that works and is unsafe.
    pub(crate) fn danger(&mut self, span: &Span, title: impl Into<String>) -> &mut Problem {
        self.dangers.at(span.clone(), title)
    }

    /// Notes that a key is missing in a section, unless it is there and could not be read.
    pub(crate) fn missing(&mut self, section: &Span, path: &[&str], help: &str) {
        if self.cut.hides(path) {
            return;
        }
        let (key, above) = path.split_last().expect("a key has a name");
        let title = if above.is_empty() {
            format!("`{key}` is missing")
        } else {
            format!("`{key}` is missing in `{}`", above.join("."))
        };
        self.problems.at(section.clone(), title).help(help);
    }

    /// Notes that a value which was read says nothing, unless it is because something in it could not be read.
    pub(crate) fn says_nothing(&mut self, span: &Span, title: &str, help: &str) {
        if !self.problems.inside(span) {
            self.problem(span, title).help(help);
        }
    }

    /// Hides the user and the password of a URL, which do not belong into it.
    pub(crate) fn hide_user(&mut self, url: &Said<String>) {
        let Some(text) = self.files[0].text.get(url.span.clone()) else { return };
        let authority = text.find("//").map_or(0, |slashes| slashes + 2);
        let end = text[authority..].find(['/', '?', '#']).map_or(text.len(), |end| authority + end);
        if let Some(at) = text[authority..end].rfind('@') {
            let start = url.span.start + authority;
            self.files[0].mask(&(start..start + at));
        }
    }

    /// Looks at the names of a section.
    pub(crate) fn name(&mut self, name: &toml::Spanned<String>) {
        if let Some(fault) = names::fault(name.get_ref()) {
            self.problem(&name.span(), "this name cannot be used").label(fault);
        }
    }

    /// A time within a range, or the default.
    pub(crate) fn time(
        &mut self,
        said: Option<&Said<Duration>>,
        default: Duration,
        allowed: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(said) = said else { return default };
        self.within(said.value, &said.span, allowed, |time| show_time(*time))
    }

    /// A size within a range, or the default.
    pub(crate) fn size(&mut self, said: Option<&Said<Size>>, default: u64, allowed: RangeInclusive<u64>) -> u64 {
        let Some(said) = said else { return default };
        self.within(said.value.0, &said.span, allowed, |bytes| show_size(*bytes))
    }

    /// A flow within a range, or the default.
    pub(crate) fn flow(&mut self, said: Option<&Said<Flow>>, default: u64, allowed: RangeInclusive<u64>) -> u64 {
        let Some(said) = said else { return default };
        self.within(said.value.0, &said.span, allowed, |bytes| format!("{}/s", show_size(*bytes)))
    }

    /// A whole number within a range, or the default.
    pub(crate) fn number<T>(&mut self, said: Option<&At<T>>, default: T, allowed: RangeInclusive<T>) -> T
    where
        T: PartialOrd + Copy + Display,
    {
        let Some(said) = said else { return default };
        self.within(said.value, &said.span, allowed, ToString::to_string)
    }

    fn within<T: PartialOrd + Copy>(
        &mut self,
        value: T,
        span: &Span,
        allowed: RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> T {
        if value < *allowed.start() {
            self.problem(span, "value is too small").label(format!("at least {}", show(allowed.start())));
            return *allowed.start();
        }
        if value > *allowed.end() {
            self.problem(span, "value is too large").label(format!("at most {}", show(allowed.end())));
            return *allowed.end();
        }
        value
    }

    /// Notes that a name means nothing, with the nearest that does.
    pub(crate) fn unknown(&mut self, said: &Said<String>, kind: &str, known: &[&str]) {
        if self.cut.is_syntax() {
            return;
        }
        let near = names::nearest(&said.value, known.iter().copied());
        let problem = self.problems.at(said.span.clone(), format!("there is no {kind} `{}`", said.value));
        if let Some(near) = near {
            problem.label(format!("did you mean `{near}`?"));
        }
        if known.is_empty() {
            problem.note(format!("this file has no {kind}s"));
        } else if let [only] = known {
            problem.note(format!("the only {kind} is `{only}`"));
        } else if known.len() <= 20 {
            problem.note(format!("the {kind}s are {}", names::list(known.iter().copied())));
        }
    }
}
