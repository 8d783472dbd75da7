//! What does a `[[challenge]]` mean?
//!
//! Promises: a challenge that needs a value which the operator did not give is not answered at all.
//!
//! Must not know: which requests are events.

use toml::Spanned;

use super::proofs::algorithm;
use super::raw;
use super::reader::Reader;
use super::{At, Operator, Value};
use crate::secret::Secret;
use crate::verify::{
    Algorithm, Characters, Computed, Condition, Encoding, Form, Format, Guard, Hash, Is, Key, Rule, Template,
};

const FORMATS: &[&str] = &["empty", "text", "json", "xml"];

/// The challenges of a file, each with its number in the file.
pub(super) fn read(reader: &mut Reader<'_>, file: &raw::File) -> Vec<(usize, Rule)> {
    let rules = file.challenge.iter().enumerate();
    rules.filter_map(|(number, said)| one(reader, file, said).map(|rule| (number, rule))).collect()
}

fn one(reader: &mut Reader<'_>, file: &raw::File, said: &Spanned<raw::Challenge>) -> Option<Rule> {
    let raw = said.get_ref();
    let methods = reader.methods(&raw.methods);
    let mut when = Vec::with_capacity(raw.when.len());
    for condition in &raw.when {
        let is = match (&condition.is, condition.absent) {
            (Some(text), false) => Is::Text(reader.text(text)?.text),
            (None, false) => Is::Present,
            (None, true) => Is::Absent,
            (Some(text), true) => {
                reader.wrong_in_file(text, "what is absent has no text", "give `is` or `absent`");
                Is::Absent
            }
        };
        if let Some(place) = reader.place_said(&condition.at) {
            when.push(Condition { at: place.into(), is });
        }
    }
    let mut must = Vec::with_capacity(raw.must.len());
    for token in &raw.must {
        let place = reader.place_said(&token.at);
        let keys = reader.tokens(&token.value);
        match place {
            Some(place) if !keys.is_empty() => must.push((place.into(), keys)),
            _ if reader.operator.is_none() => {}
            _ => return None,
        }
    }
    let computed = match &raw.computed {
        None => None,
        Some(computed) => Some(read_computed(reader, file, computed)?),
    };
    let reply = raw.answer.get_ref();
    let format = format(reader, reply);
    if let (Format::Xml, Some(said)) = (format, &reply.format) {
        // A browser runs it.
        reader.wrong_in_file(said, "a challenge is answered with text or JSON", "format = \"text\"");
    }
    let body = match &reply.body {
        Some(body) => reader.template(body)?,
        None => Template::parse("", &|_| None).ok()?,
    };
    let mut headers = Vec::with_capacity(reply.headers.len());
    for (name, value) in &reply.headers {
        if let (Some(name), Some(value)) = (reader.header(name), reader.template(value)) {
            headers.push((name, value));
        }
    }
    let status = reply.status.as_ref().map_or(200, |status| *status.get_ref());
    if !(200..300).contains(&status) {
        reader.wrong(At::File(raw.answer.span()), "a challenge is answered with 200 to 299", "");
    }
    let guard = guard(reader, raw.echo.as_ref());
    Some(Rule { methods, when, must, proven: raw.proven, guard, computed, status, format, body, headers })
}

pub(super) fn format(reader: &mut Reader<'_>, reply: &raw::Reply) -> Format {
    let otherwise = if reply.body.is_some() { Format::Text } else { Format::Empty };
    reader.word(reply.format.as_ref(), otherwise, FORMATS, |name| {
        Some(match name {
            "empty" => Format::Empty,
            "text" => Format::Text,
            "json" => Format::Json,
            "xml" => Format::Xml,
            _ => return None,
        })
    })
}

fn guard(reader: &mut Reader<'_>, said: Option<&raw::Echo>) -> Guard {
    let Some(echo) = said else { return Guard { characters: Characters::Token, min: 1, max: 256 } };
    let characters = reader.word(Some(&echo.characters), Characters::Token, Characters::NAMES, Characters::named);
    let max = echo.max.as_ref().map_or(256, |max| *max.get_ref());
    if let Some(said) = echo.max.as_ref().filter(|_| max > Guard::MAX) {
        let span = said.span();
        reader.wrong(At::File(span), "no more than 1024 characters are ever echoed", "");
    }
    Guard { characters, min: echo.min.unwrap_or(1), max }
}

fn read_computed(reader: &mut Reader<'_>, file: &raw::File, raw: &raw::Computed) -> Option<Computed> {
    let signs = reader.template(&raw.signs)?;
    let kind = algorithm(reader, &raw.algorithm)?;
    if !matches!(kind, Algorithm::Hmac(_)) && !kind.is_plain() {
        reader.wrong_in_file(&raw.algorithm, "an answer is computed by an HMAC or a plain hash", "");
        return None;
    }
    let encoding = reader.word(Some(&raw.encoding), Encoding::Hex, Encoding::NAMES, Encoding::named);
    let form = reader.word(raw.key_form.as_ref(), Form::Utf8, Form::NAMES, Form::named);
    let from_secrets = raw.key.as_ref().is_none_or(|key| key.get_ref() == "secrets");
    let secret = match (&raw.key, reader.operator) {
        (Some(name), _) if !from_secrets => reader.secret_value(name),
        (_, Some(Operator { secrets, .. })) => secrets.first().cloned(),
        (_, None) => None,
    };
    let of_events = from_secrets || proves_events(reader, file, raw.key.as_ref(), secret.as_ref());
    let key = match secret {
        Some(secret) => Key::new(kind, form, &secret).ok()?, // the proof tells what is wrong with it
        None if reader.operator.is_none() => {
            // Only the file is read: a key that is thrown away stands for the operator's.
            Key::new(Algorithm::Hmac(Hash::Sha256), Form::Utf8, &Secret::new(b"absent".to_vec())).ok()?
        }
        None => return None,
    };
    Some(Computed { signs, algorithm: kind, encoding, key, key_of_events: of_events })
}

/// Whether what answers a challenge also proves events, by its name or by what the operator gave.
fn proves_events(reader: &Reader<'_>, file: &raw::File, name: Option<&raw::Said>, secret: Option<&Secret>) -> bool {
    let given = |name: &str| reader.operator.and_then(|operator| operator.values.get(name));
    file.proof.iter().filter_map(|proof| proof.get_ref().keys.as_ref()).any(|keys| {
        let named = name.is_some_and(|name| name.get_ref() == keys.get_ref());
        named || matches!((given(keys.get_ref()), secret), (Some(Value::Secret(key)), Some(secret)) if key == secret)
    }) || reader.operator.is_some_and(|operator| secret.is_some_and(|secret| operator.secrets.contains(secret)))
}
