//! Does the walk find what a document would give?
//!
//! Promises: panics, for a fuzzer or a property test to see, where the walk and `serde_json` disagree about any bytes.
//!
//! Must not know: how the walk works.

use serde::de::IgnoredAny;
use serde_json::{Number, Value};

use super::{DEPTH_MAX, Pointer, Token, VALUES_MAX, all, first, spans};

/// Compares for a fuzzer: a pointer up to the first line feed, then the text.
pub fn holds(data: &[u8]) {
    let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (pointer, text) = data.split_at(cut);
    let Some(pointer) = str::from_utf8(pointer).ok().and_then(|text| Pointer::parse(text).ok()) else { return };
    assert_eq!(Pointer::parse(&pointer.to_string()), Ok(pointer.clone()), "a pointer is not read back");
    agrees(text.get(1..).unwrap_or_default(), &pointer);
}

/// Compares all ways to follow a pointer with what the document of the same text holds.
pub fn agrees(text: &[u8], pointer: &Pointer) {
    let values = all(text, pointer);
    let ranges = spans(text, pointer);
    assert_eq!(first(text, pointer).is_ok(), values.is_ok(), "one way of reading fails and another does not");
    let legal = str::from_utf8(text).is_ok() && serde_json::from_slice::<IgnoredAny>(text).is_ok();
    if !legal || depth(text) > DEPTH_MAX {
        assert!(values.is_err() && ranges.is_err(), "accepts what is no JSON or too deep");
        return;
    }
    // The document refuses more: numbers out of range, and halves of surrogate pairs anywhere.
    let Ok(document) = serde_json::from_slice::<Value>(text) else { return };
    let (Ok(values), Ok(ranges)) = (values, ranges) else {
        assert!(text.len() > VALUES_MAX, "refuses JSON");
        return;
    };
    let mut found = Vec::new();
    resolve(&document, pointer.tokens(), &mut found);
    let spanned: Vec<Value> = ranges.iter().map(|range| parse(&text[range.clone()])).collect();
    assert!(found.iter().copied().eq(&spanned), "ranges differ: {spanned:?} {found:?}");
    found.retain(|value| value.is_string() || value.is_number() || value.is_boolean());
    assert_eq!(values.len(), found.len(), "values differ: {values:?} {found:?}");
    for (value, found) in values.iter().zip(found) {
        let same = match found {
            Value::String(text) => value == text,
            Value::Bool(bool) => *value == bool.to_string(),
            Value::Number(number) => serde_json::from_str::<Number>(value).is_ok_and(|value| value == *number),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        assert!(same, "values differ: {value:?} {found:?}");
    }
    assert_eq!(first(text, pointer).ok().flatten().as_ref(), values.first(), "the first value is not the first of all");
}

fn parse(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("a range of a document is a document")
}

fn resolve<'v>(value: &'v Value, tokens: &[Token], found: &mut Vec<&'v Value>) {
    let Some((token, rest)) = tokens.split_first() else {
        found.push(value);
        return;
    };
    match (token, value) {
        (Token::Every, Value::Array(elements)) => elements.iter().for_each(|element| resolve(element, rest, found)),
        (Token::Key { key, .. }, Value::Object(fields)) => {
            if let Some(value) = fields.get(&**key) {
                resolve(value, rest, found);
            }
        }
        // An index as RFC 6901 has it, said in another way than the pointer's own.
        (Token::Key { key, .. }, Value::Array(elements)) => {
            let at = elements.iter().enumerate().find(|(at, _)| *at.to_string() == **key);
            if let Some((_, value)) = at {
                resolve(value, rest, found);
            }
        }
        _ => {}
    }
}

/// How deeply legal JSON is nested.
fn depth(text: &[u8]) -> u32 {
    let (mut deepest, mut depth, mut quoted, mut escaped) = (0_u32, 0_u32, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
