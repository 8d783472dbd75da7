//! How did the operator say that a value is compared?
//!
//! Promises: one operator and no more; one that can hold for nothing, or holds for everything, is refused.
//!
//! Must not know: what is compared.

use super::super::build::Building;
use super::super::names;
use super::super::problem::Span;
use super::super::raw;
use super::super::said::{At, Compared, Said};
use crate::select::{Glob, Shape};

/// The operators that stand in one table.
pub(super) struct Comparing<'a> {
    equals: Option<&'a Said<String>>,
    one_of: Option<&'a At<Vec<Said<String>>>>,
    prefix: Option<&'a Said<String>>,
    glob: Option<&'a Said<String>>,
    exists: Option<&'a At<bool>>,
}

impl<'a> Comparing<'a> {
    /// Those that stand beside what they compare.
    pub(super) fn beside(when: &'a raw::When) -> Self {
        let raw::When { equals, r#in, prefix, glob, exists, .. } = when;
        let (equals, one_of, prefix) = (equals.as_ref(), r#in.as_ref(), prefix.as_ref());
        Self { equals, one_of, prefix, glob: glob.as_ref(), exists: exists.as_ref() }
    }

    /// Those that stand inside a table of their own.
    pub(super) fn inside(compared: &'a Compared) -> Self {
        let Compared { equals, r#in, prefix, glob, exists } = compared;
        let (equals, one_of, prefix) = (equals.as_ref(), r#in.as_ref(), prefix.as_ref());
        Self { equals, one_of, prefix, glob: glob.as_ref(), exists: exists.as_ref() }
    }

    fn said(&self) -> Vec<(&'static str, &'a Span)> {
        let said = [
            ("equals", self.equals.map(|said| &said.span)),
            ("in", self.one_of.map(|said| &said.span)),
            ("prefix", self.prefix.map(|said| &said.span)),
            ("glob", self.glob.map(|said| &said.span)),
            ("exists", self.exists.map(|said| &said.span)),
        ];
        said.into_iter().filter_map(|(name, span)| Some((name, span?))).collect()
    }

    /// Hides what may be a secret from every report.
    pub(super) fn hide(&self, building: &mut Building<'_>) {
        self.said().iter().for_each(|(_, span)| building.files[0].mask(span));
    }

    /// Refuses an operator beside something that takes none there.
    pub(super) fn is_nothing(&self, building: &mut Building<'_>) -> Option<()> {
        let Some((name, span)) = self.said().first().copied() else { return Some(()) };
        building.problem(span, format!("`{name}` has nothing to compare here")).help(
            "it stands beside header, query, capture, form and pointer; others have it inside: kind = { in = [..] }",
        );
        None
    }

    /// The shape that is asked for, and whether it must be so or must not.
    pub(super) fn shape(&self, building: &mut Building<'_>, whole: &Span, subject: &str) -> Option<(Shape, bool)> {
        match self.said().as_slice() {
            [_] => {}
            [] => {
                let help = "add equals = \"A\", in = [\"A\", \"B\"], prefix = \"A\", glob = \"A*\" or exists = true";
                building.says_nothing(whole, &format!("nothing is asked of `{subject}`"), help);
                return None;
            }
            several => {
                let names = names::list(several.iter().map(|(name, _)| *name));
                building
                    .problem(whole, format!("a value is compared in one way, not in several: {names}"))
                    .help("write all = [{ .. }, { .. }] or any = [{ .. }, { .. }]");
                return None;
            }
        }
        if let Some(list) = self.one_of.filter(|list| list.value.is_empty()) {
            building.says_nothing(&list.span, "no value is in an empty list", "put values in it");
            return None;
        }
        let anything = [self.prefix.filter(|said| said.value.is_empty()), self.glob.filter(|said| is_all(&said.value))];
        if let Some(said) = anything.into_iter().flatten().next() {
            building
                .problem(&said.span, "everything looks like this")
                .help("exists = true asks whether there is anything at all");
            return None;
        }
        let texts = |list: &At<Vec<Said<String>>>| {
            Shape::one_of(&list.value.iter().map(|said| said.value.as_str()).collect::<Vec<_>>())
        };
        let shape = if let Some(said) = self.glob {
            match Glob::parse(&said.value) {
                Ok(glob) => Shape::Glob(glob),
                Err(error) => {
                    building.problem(&said.span, "this pattern is too long").label(error.to_string());
                    return None;
                }
            }
        } else {
            let plain = self.equals.map(|said| Shape::equals(&said.value)).or_else(|| self.one_of.map(texts));
            plain.or_else(|| self.prefix.map(|said| Shape::Prefix(said.value.as_str().into()))).unwrap_or(Shape::Exists)
        };
        Some((shape, self.exists.is_none_or(|said| said.value)))
    }
}

/// Whether a pattern describes every text, or as good as none.
fn is_all(pattern: &str) -> bool {
    pattern.bytes().all(|byte| byte == b'*')
}
