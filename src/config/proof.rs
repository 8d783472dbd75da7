//! Which provider file proves a source, and did it get what it asks for?
//!
//! Promises: each provider file is read once, and its problems are told once; what a source gives and the file does not
//! ask for is refused, as is what the file asks for and the source does not give.
//!
//! Must not know: what a provider file says.

mod elsewhere;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::rc::Rc;

use crate::secret::Secret;
use crate::snapshot::Pattern;

use super::besides::{self, Shown};
use super::build::Building;
use super::problem::{Problem, Span, TextFile};
use super::provider::{self, Built, Operator, Provider, Value};
use super::said::{PlainOrSecret, Said, SecretRef};
use super::secrets::cause;
use super::{names, raw};

use elsewhere::StandIns;

/// Largest provider file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The provider files read so far, by the name that a source gives; `None` for one that cannot be used.
#[derive(Default)]
pub(crate) struct Proofs(BTreeMap<String, Option<Rc<Provider>>>);

impl Proofs {
    /// Compiles the provider of one source with what the source gives.
    pub(crate) fn build(
        &mut self,
        building: &mut Building<'_>,
        name: &toml::Spanned<String>,
        raw: &raw::Source,
        public_url: bool,
        path: Option<&Pattern>,
    ) -> Option<(Built, Shown)> {
        let Some(said) = &raw.provider else {
            let help = format!("one of {}, or the path of your own provider file", names::list(safe()));
            building.missing(&name.span(), &["source", name.get_ref(), "provider"], &help);
            return None;
        };
        let problems = building.problems.count();
        let (besides, shown) = besides::build(building, name, raw);
        let operator = Operator { besides, ..operator(building, raw, public_url, &StandIns::default()) };
        let provider = self.provider(building, said);
        mask(building, raw, provider.as_deref());
        let provider = provider?;
        // A secret that could not be read would be missed a second time.
        let hidden = |key| building.cut.touches(&["source", name.get_ref(), key]);
        if building.problems.count() > problems || hidden("values") || hidden("secrets") || hidden("proof") {
            return None;
        }
        let built = provider.build(&operator).or_else(|problems| {
            elsewhere::build(building, raw, problems, |building, chosen| {
                let besides = operator.besides.clone();
                provider.build(&Operator { besides, ..self::operator(building, raw, public_url, chosen) })
            })
        });
        match built {
            Ok(built) => {
                self::path(building, said, raw, path, &built);
                loud(building, said, name.get_ref(), &built);
                Some((built, shown))
            }
            Err(problems) => {
                for problem in telling(&problems, raw.secrets.is_some()) {
                    place(building, name, raw, &provider, problem);
                }
                None
            }
        }
    }

    fn provider(&mut self, building: &mut Building<'_>, said: &Said<String>) -> Option<Rc<Provider>> {
        if let Some(known) = self.0.get(&said.value) {
            return known.clone();
        }
        let provider = read(building, said).map(Rc::new);
        self.0.insert(said.value.clone(), provider.clone());
        provider
    }
}

/// The built-in providers that a help may name.
fn safe() -> impl Iterator<Item = &'static str> {
    provider::NAMES.iter().copied().filter(|name| !name.starts_with("dangerous"))
}

/// Reads a provider file: the operator's own where a path is given, else a built-in one.
fn read(building: &mut Building<'_>, said: &Said<String>) -> Option<Provider> {
    let own = said.value.contains('/') || said.value.ends_with(".toml");
    let (name, text) = if own {
        let name = said.value.rsplit('/').next().unwrap_or_default().trim_end_matches(".toml");
        (name, std::borrow::Cow::Owned(own_text(building, said)?))
    } else if let Some(text) = provider::built_in(&said.value) {
        (said.value.as_str(), std::borrow::Cow::Borrowed(text))
    } else {
        if said.value.starts_with("dangerous") || !building.cut.is_syntax() {
            let near = names::nearest(&said.value, provider::NAMES.iter().copied());
            let problem = building.problem(&said.span, format!("there is no provider `{}`", said.value));
            if let Some(near) = near {
                problem.label(format!("did you mean `{near}`?"));
            }
            problem.note(format!("the providers are {}", names::list(provider::NAMES.iter().copied())));
            problem.help("a provider of your own is named by the path of its file, such as \"providers/acme.toml\"");
        }
        return None;
    };
    match Provider::parse(name, &text) {
        Ok(provider) => Some(provider),
        Err(found) => {
            building.files.push(TextFile { name: said.value.clone(), text: text.into_owned() });
            let file = building.files.len() - 1;
            building.problems.within(file, |problems| {
                for problem in found {
                    let mut own = match problem.at {
                        provider::At::File(span) => Problem::at(span, problem.what),
                        _ => Problem::new(problem.what),
                    };
                    if !problem.advice.is_empty() {
                        own.help(problem.advice);
                    }
                    problems.add(own);
                }
            });
            building.problem(&said.span, format!("provider file `{}` cannot be used", said.value));
            None
        }
    }
}

fn own_text(building: &mut Building<'_>, said: &Said<String>) -> Option<String> {
    let mut text = String::new();
    let read = fs::File::open(building.outside.path(&said.value))
        .and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text));
    let fault = match read {
        Ok(length) if length as u64 > FILE_MAX => "it is larger than 1MiB".to_owned(),
        Ok(_) => return Some(text),
        Err(error) => cause(&error),
    };
    building.problem(&said.span, "provider file cannot be read").label(fault);
    None
}

/// What the source gives, secrets resolved; those that are not here are what was chosen to stand in for them.
fn operator(building: &mut Building<'_>, raw: &raw::Source, public_url: bool, chosen: &StandIns) -> Operator {
    let outside = building.outside;
    let mut resolve = |said: &SecretRef, span: &Span| match chosen.of(said).filter(|_| outside.lacks_secret(said)) {
        Some(text) => Some(Secret::new(text.into())),
        None => outside.secret_at(said, span, &mut building.problems),
    };
    let secrets = raw.secrets.iter().flat_map(|list| &list.value);
    let mut operator = Operator { public_url, ..Operator::default() };
    for said in secrets {
        operator.secrets.extend(resolve(&said.value, &said.span));
    }
    for (name, said) in &raw.values {
        let value = match &said.value {
            PlainOrSecret::Plain(text) => Some(Value::Text(text.clone())),
            PlainOrSecret::Secret(secret) => resolve(secret, &said.span).map(Value::Secret),
        };
        if let Some(value) = value {
            operator.values.insert(name.get_ref().clone(), value);
        }
    }
    operator
}

/// The problems that are not the consequence of another one: a proof that could not be compiled for want of a value
/// uses no secrets and stands nowhere, and a value that is no choice is none further down.
fn telling(problems: &[provider::Problem], secrets: bool) -> impl Iterator<Item = &provider::Problem> {
    let values = problems.iter().any(|problem| matches!(problem.at, provider::At::Value(_)));
    problems.iter().enumerate().filter_map(move |(place, problem)| {
        let follows = match &problem.at {
            provider::At::Source | provider::At::File(_) => values,
            provider::At::Secrets => values && secrets,
            provider::At::Value(_) | provider::At::Secret(_) => {
                problems[..place].iter().any(|earlier| earlier.at == problem.at)
            }
        };
        (!follows).then_some(problem)
    })
}

/// Hides what was written into the text, and might be a secret.
fn mask(building: &mut Building<'_>, raw: &raw::Source, provider: Option<&Provider>) {
    let shown = |name: &str| {
        provider
            .is_some_and(|known| known.asks().iter().any(|ask| ask.name == name && ask.kind == provider::Kind::Text))
    };
    for (name, said) in &raw.values {
        if matches!(said.value, PlainOrSecret::Plain(_)) && !shown(name.get_ref()) {
            building.files[0].mask(&said.span);
        }
    }
}

/// Puts a problem of the provider where the source gives, or should give, what it is about.
fn place(
    building: &mut Building<'_>,
    name: &toml::Spanned<String>,
    raw: &raw::Source,
    provider: &Provider,
    problem: &provider::Problem,
) {
    let whole = raw.provider.as_ref().map_or_else(|| name.span(), |said| said.span.clone());
    let mut near = None;
    let span = match &problem.at {
        provider::At::Secrets => raw.secrets.as_ref().map_or(whole, |secrets| secrets.span.clone()),
        provider::At::Secret(index) => {
            let secrets = raw.secrets.as_ref();
            secrets.map_or(whole, |list| {
                list.value.get(*index).map_or_else(|| list.span.clone(), |said| said.span.clone())
            })
        }
        provider::At::Value(value) => match raw.values.iter().find(|(key, _)| key.get_ref() == value) {
            Some((_, said)) if provider.asks().iter().any(|ask| ask.name == *value) => said.span.clone(),
            Some((key, _)) => {
                near = names::nearest(value, provider.asks().iter().map(|ask| ask.name.as_str()));
                key.span()
            }
            None => whole,
        },
        provider::At::Source | provider::At::File(_) => whole,
    };
    let added = building.problem(&span, problem.what.clone());
    if let Some(near) = near {
        added.label(format!("did you mean `{near}`?"));
    }
    if !problem.advice.is_empty() {
        added.help(problem.advice.clone());
    }
}

/// A credential in the path needs a capture of its name.
fn path(building: &mut Building<'_>, said: &Said<String>, raw: &raw::Source, path: Option<&Pattern>, built: &Built) {
    let (Some(pattern), Some(at)) = (path, &raw.path) else { return };
    let below = if pattern.takes_below() { "/*" } else { "" };
    let besides = raw.proof.as_ref().filter(|proof| proof.value.token.is_some());
    let by = besides.map_or(&said.span, |proof| &proof.span);
    for capture in built.verifier.credential().captures() {
        if !pattern.captures().any(|name| *name == **capture) {
            building
                .problem(&at.span, format!("the path has no capture `{{{capture}}}`"))
                .also(by.clone(), if besides.is_some() { "asked for here" } else { "this provider is proven by it" })
                .help(format!("such as \"{}/{{{capture}}}{below}\"", pattern.as_str().trim_end_matches(['*', '/'])));
        }
    }
}

/// Names what is unsafe about a provider.
fn loud(building: &mut Building<'_>, said: &Said<String>, source: &str, built: &Built) {
    if built.verifier.proves_nothing() {
        building.danger(&said.span, format!("nothing proves who calls source `{source}`")).note(
            "whoever finds the address can send events; if nothing can be signed, ask for a token or for addresses",
        );
    } else if let Some(danger) = built.facts.danger.as_ref().filter(|_| built.verifier.asks_besides().is_empty()) {
        building
            .danger(&said.span, format!("provider `{}` of source `{source}` is dangerous", said.value))
            .note(danger.clone());
    }
    for warning in &built.warnings {
        building.danger(&said.span, format!("source `{source}`: {warning}"));
    }
}
