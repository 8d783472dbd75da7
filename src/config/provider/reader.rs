//! How is a text of a provider file read, where part of it may be the operator's?
//!
//! A text that is `$name` stands for the operator's value of that name, or for its default; where there is neither,
//! what the text belongs to is absent.
//!
//! Promises: a problem points at whoever wrote the text: the file, or the operator's value.
//!
//! Must not know: what the text is for.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, Method};

use super::raw::{self, Said};
use super::{Ask, At, Kind, Operator, Problem, Value};
use crate::config::{names, units};
use crate::secret::Secret;
use crate::select::{Place, Pointer};
use crate::verify::{Key, KeyError, Template};

/// A text and who wrote it.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) at: At,
}

/// Reads texts and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) asks: &'a [Ask],
    /// `None` where only the file itself is read.
    pub(super) operator: Option<&'a Operator>,
    pub(super) problems: Vec<Problem>,
    /// Whether some text is the operator's to say, and was not said yet.
    pub(super) open: bool,
}

impl Reader<'_> {
    pub(super) fn wrong(&mut self, at: At, what: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(Problem { at, what: what.into(), advice: advice.into() });
    }

    pub(super) fn wrong_in_file(&mut self, said: &Said, what: impl Into<String>, advice: impl Into<String>) {
        self.wrong(At::File(said.span()), what, advice);
    }

    /// The text that is meant; `None` where it is the operator's and not given.
    pub(super) fn text(&mut self, said: &Said) -> Option<Text> {
        let Some(name) = said.get_ref().strip_prefix('$') else {
            return Some(Text { text: said.get_ref().clone(), at: At::File(said.span()) });
        };
        let Some(ask) = self.asks.iter().find(|ask| ask.name == name && ask.kind == Kind::Text) else {
            let near = names::nearest(name, self.asks.iter().map(|ask| ask.name.as_str()));
            let advice = near.map_or_else(String::new, |near| format!("did you mean `${near}`?"));
            self.wrong_in_file(said, format!("the file asks for no text value `{name}`"), advice);
            return None;
        };
        let Some(operator) = self.operator else {
            self.open = true;
            return None;
        };
        let given = operator.values.get(name);
        let text = match given {
            Some(Value::Text(text)) => Some(text.clone()),
            // Refused where all values are looked at: what is read here may be shown.
            Some(Value::Secret(_)) => None,
            None => ask.default.clone(),
        };
        text.map(|text| Text { text, at: At::Value(name.to_owned()) })
    }

    /// One of a few words.
    pub(super) fn word<T>(
        &mut self,
        said: Option<&Said>,
        otherwise: T,
        known: &[&'static str],
        read: impl Fn(&str) -> Option<T>,
    ) -> T {
        let Some(Text { text, at }) = said.and_then(|said| self.text(said)) else { return otherwise };
        if let Some(value) = read(&text) {
            return value;
        }
        let near = names::nearest(&text, known.iter().copied());
        let hint = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        self.wrong(at, format!("`{text}` is not known here"), format!("{hint}It is one of {}", known.join(", ")));
        otherwise
    }

    /// The texts of a list; the operator's may be several, separated by blanks.
    pub(super) fn texts(&mut self, said: &[Said]) -> Vec<Text> {
        let mut texts = Vec::new();
        for said in said {
            let Some(Text { text, at }) = self.text(said) else { continue };
            if matches!(at, At::File(_)) {
                texts.push(Text { text, at });
            } else {
                texts.extend(text.split_whitespace().map(|word| Text { text: word.to_owned(), at: at.clone() }));
            }
        }
        texts
    }

    pub(super) fn place(&mut self, text: &Text) -> Option<Place> {
        match Place::parse(&text.text) {
            Ok(place) => Some(place),
            Err(error) => {
                let advice = "such as \"header:x-id\", \"query:id\", \"path:token\", \"form:id\" or \"json:/a/b\"";
                self.wrong(text.at.clone(), format!("`{}` is no place: {error}", text.text), advice);
                None
            }
        }
    }

    pub(super) fn place_said(&mut self, said: &Said) -> Option<Place> {
        let text = self.text(said)?;
        self.place(&text)
    }

    pub(super) fn pointer(&mut self, said: &Said) -> Option<Pointer> {
        let text = self.text(said)?;
        match Pointer::parse(&text.text) {
            Ok(pointer) => Some(pointer),
            Err(error) => {
                self.wrong(text.at, format!("`{}` is no JSON pointer: {error}", text.text), "such as \"/entry/*\"");
                None
            }
        }
    }

    pub(super) fn time(&mut self, said: &Said) -> Option<Duration> {
        let text = self.text(said)?;
        match units::time(&text.text) {
            Ok(time) => Some(time),
            Err(error) => {
                self.wrong(text.at, format!("`{}` is no time: {error}", text.text), units::TIME_FORM);
                None
            }
        }
    }

    /// One ASCII sign, such as a separator.
    pub(super) fn sign(&mut self, said: Option<&Said>, otherwise: u8) -> u8 {
        let Some(text) = said.and_then(|said| self.text(said)) else { return otherwise };
        match text.text.as_bytes() {
            [sign] => *sign,
            _ => {
                self.wrong(text.at, format!("`{}` is not one ASCII character", text.text), "such as \",\"");
                otherwise
            }
        }
    }

    pub(super) fn methods(&mut self, said: &[Said]) -> Vec<Method> {
        let mut methods: Vec<Method> = Vec::new();
        for Text { text, at } in self.texts(said) {
            match Method::from_bytes(text.as_bytes()) {
                Ok(method) if text.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                    if !methods.contains(&method) {
                        methods.push(method);
                    }
                }
                _ => self.wrong(
                    at,
                    format!("`{text}` is no method"),
                    "methods are written in capitals, such as \"POST\"",
                ),
            }
        }
        methods
    }

    pub(super) fn header(&mut self, said: &Said) -> Option<HeaderName> {
        let text = self.text(said)?;
        match HeaderName::from_bytes(text.text.as_bytes()) {
            Ok(name) => Some(name),
            Err(_) => {
                self.wrong(text.at, format!("`{}` is no header name", text.text), "");
                None
            }
        }
    }

    pub(super) fn template(&mut self, said: &Said) -> Option<Template> {
        let text = self.text(said)?;
        let (asks, operator) = (self.asks, self.operator);
        let read = Template::parse(&text.text, &|name| given(asks, operator, name));
        match read {
            Ok(template) => Some(template),
            Err((at, error)) => {
                self.wrong(text.at, format!("{error} (at character {})", at + 1), "");
                None
            }
        }
    }

    /// The secret value of that name; a problem where the file asks for none, nothing where it is not given.
    pub(super) fn secret_value(&mut self, said: &Said) -> Option<Secret> {
        let name = said.get_ref();
        if !self.asks.iter().any(|ask| ask.name == *name && ask.kind == Kind::Secret) {
            self.wrong_in_file(
                said,
                format!("the file asks for no secret value `{name}`"),
                "ask for it under [values]",
            );
            return None;
        }
        match self.operator?.values.get(name) {
            Some(Value::Secret(secret)) => Some(secret.clone()),
            Some(Value::Text(_)) | None => None,
        }
    }

    /// A secret value, or any of the source's `secrets`, as tokens that are compared; none where it is not given.
    pub(super) fn tokens(&mut self, said: &Said) -> Vec<Key> {
        if said.get_ref() == "secrets" {
            let secrets = self.operator.map(|operator| operator.secrets.as_slice()).unwrap_or_default();
            return secrets.iter().filter_map(|secret| Key::for_token(secret).ok()).collect(); // the proof tells
        }
        let Some(secret) = self.secret_value(said) else { return Vec::new() };
        match Key::for_token(&secret) {
            Ok(key) => vec![key],
            Err(error) => {
                self.wrong_key(At::Value(said.get_ref().clone()), error);
                Vec::new()
            }
        }
    }

    pub(super) fn wrong_key(&mut self, at: At, error: KeyError) {
        let advice = match error {
            KeyError::Whitespace => "write the file or variable without a line end, for instance with `printf %s`",
            KeyError::Empty => "the file or variable it refers to has nothing in it",
            _ => "",
        };
        let what = match &at {
            At::Value(name) => format!("value `{name}` {error}"),
            _ => format!("the secret {error}"),
        };
        self.wrong(at, what, advice);
    }
}

fn given(asks: &[Ask], operator: Option<&Operator>, name: &str) -> Option<Vec<u8>> {
    let ask = asks.iter().find(|ask| ask.name == name)?;
    match operator.and_then(|operator| operator.values.get(name)) {
        Some(Value::Text(text)) => Some(text.clone().into_bytes()),
        Some(Value::Secret(secret)) if ask.kind == Kind::Secret => Some(secret.expose().to_vec()),
        Some(Value::Secret(_)) => Some(Vec::new()),
        None => Some(ask.default.clone().unwrap_or_default().into_bytes()),
    }
}

/// What a file asks of the operator.
pub(super) fn asks(values: &BTreeMap<Said, raw::Value>, problems: &mut Vec<Problem>) -> Vec<Ask> {
    let mut asks = Vec::with_capacity(values.len());
    let mut wrong = |said: &Said, what: &str, advice: &str| {
        problems.push(Problem { at: At::File(said.span()), what: what.to_owned(), advice: advice.to_owned() });
    };
    for (name, value) in values {
        if let Some(fault) = names::fault(name.get_ref()) {
            wrong(name, &format!("`{}` is no name: {fault}", name.get_ref()), "");
        }
        let kind = match value.kind.get_ref().as_str() {
            "secret" => Kind::Secret,
            "text" => Kind::Text,
            _ => {
                wrong(&value.kind, "a value is `text` or `secret`", "");
                Kind::Text
            }
        };
        if let (Kind::Secret, Some(default)) = (kind, &value.default) {
            wrong(default, "a secret has no default", "");
        }
        if let (true, Some(default)) = (value.required, &value.default) {
            wrong(default, "a value that is required has no default", "");
        }
        let one_of: Vec<String> = value.one_of.iter().map(|said| said.get_ref().clone()).collect();
        if let Some(default) =
            value.default.as_ref().filter(|said| !one_of.is_empty() && !one_of.contains(said.get_ref()))
        {
            wrong(default, "the default is none of the allowed texts", "");
        }
        asks.push(Ask {
            name: name.get_ref().clone(),
            kind,
            required: value.required,
            default: value.default.as_ref().map(|said| said.get_ref().clone()),
            one_of,
            about: value.about.get_ref().clone(),
        });
    }
    asks
}
