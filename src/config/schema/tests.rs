//! The schema is shipped as it is generated, and says of the configurations here what their builder says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::config::tests::stage::{cases, configurations};

/// Set to write the schema that the code gives instead of comparing it.
const BLESS: &str = "PORTEIRO_BLESS";

/// What a value does not keep of a schema: the part of draft 7 that is generated here, and a panic for any other.
fn faults(whole: &Value, schema: &Value, value: &toml::Value, path: &str, found: &mut Vec<String>) {
    let Value::Object(said) = schema else { panic!("{path}: a schema is an object") };
    for word in said.keys() {
        let known = ["$schema", "title", "description", "type", "properties", "additionalProperties", "items", "enum"];
        let known = known.contains(&word.as_str()) || ["anyOf", "$ref", "minimum", "maximum"].contains(&word.as_str());
        assert!(known, "{path}: {word} is not looked at");
    }
    if let Some(Value::String(place)) = said.get("$ref") {
        return faults(whole, whole.pointer(place.trim_start_matches('#')).unwrap(), value, path, found);
    }
    if let Some(Value::Array(any)) = said.get("anyOf") {
        let fits = |schema: &Value| {
            let mut found = Vec::new();
            faults(whole, schema, value, path, &mut found);
            found.is_empty()
        };
        if !any.iter().any(fits) {
            found.push(format!("{path}: nothing of it fits"));
        }
        return;
    }
    let kind = match value {
        toml::Value::Table(_) => "object",
        toml::Value::Array(_) => "array",
        toml::Value::String(_) => "string",
        toml::Value::Integer(_) => "integer",
        toml::Value::Boolean(_) => "boolean",
        _ => "nothing that a configuration holds",
    };
    if said.get("type").is_some_and(|wanted| wanted != kind) {
        found.push(format!("{path}: {kind} in place of {}", said["type"]));
        return;
    }
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let (path, known) = (format!("{path}.{key}"), &schema["properties"][key]);
                match (known.is_object(), &schema["additionalProperties"]) {
                    (true, _) => faults(whole, known, value, &path, found),
                    (false, Value::Bool(false)) => found.push(format!("{path}: unknown")),
                    (false, more) => faults(whole, more, value, &path, found),
                }
            }
        }
        toml::Value::Array(list) => {
            list.iter().for_each(|value| faults(whole, &schema["items"], value, path, found));
        }
        toml::Value::String(text) => {
            let words = said.get("enum").and_then(Value::as_array);
            if words.is_some_and(|words| !words.contains(&Value::from(text.as_str()))) {
                found.push(format!("{path}: {text} is no choice"));
            }
        }
        toml::Value::Integer(number) => {
            let least = said.get("minimum").and_then(Value::as_i64).unwrap_or(i64::MIN);
            let most = said.get("maximum").and_then(Value::as_i64).unwrap_or(i64::MAX);
            if !(least..=most).contains(number) {
                found.push(format!("{path}: {number} is out of range"));
            }
        }
        _ => {}
    }
}

fn check(text: &str) -> Vec<String> {
    let (schema, mut found) = (schema(), Vec::new());
    faults(&schema, &schema, &toml::Value::Table(text.parse().unwrap()), "", &mut found);
    found
}

#[test]
fn the_shipped_schema_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/porteiro.schema.json");
    let generated = format!("{:#}\n", schema());
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == generated,
        "config/porteiro.schema.json is old: PORTEIRO_BLESS=1 cargo test --lib config::schema"
    );
}

#[test]
fn it_takes_what_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut right = configurations(&cases("valid"));
    right.extend(["config/porteiro.example.toml", "config/demo.toml"].map(|name| root.join(name)));
    for path in right {
        assert_eq!(check(&fs::read_to_string(&path).unwrap()), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn it_refuses_keys_types_and_words_that_are_not_known() {
    for (text, fault) in [
        ("formt = 1", ".formt: unknown"),
        ("format = \"1\"", ".format: string in place of \"integer\""),
        ("[log]\nlevel = \"loud\"", ".log.level: loud is no choice"),
        ("[source.a]\nsecret = []", ".source.a.secret: unknown"),
        ("[source.a]\nsecrets = [\"open-sesame\"]", ".source.a.secrets: string in place of \"object\""),
        ("[source.a]\nsecrets = [{ fil = \"a\" }]", ".source.a.secrets.fil: unknown"),
        ("[source.a]\nvalues = { a = 1 }", ".source.a.values.a: nothing of it fits"),
        ("[source.a]\nproof = { token = \"open-sesame\" }", ".source.a.proof.token: nothing of it fits"),
        ("[source.a]\non = \"public\"", ".source.a.on: string in place of \"array\""),
        ("[listen.a]\ntls = [{ certificat = \"a\" }]", ".listen.a.tls.certificat: unknown"),
        ("[listen.a.limits]\nheaders = -1", ".listen.a.limits.headers: -1 is out of range"),
        ("[destination.a]\nessential = \"yes\"", ".destination.a.essential: string in place of \"boolean\""),
        ("[[route]]\nwhen = { all = [{ kid = \"a\" }] }", ".route.when.all.kid: unknown"),
        ("[[route]]\nwhen = { not = { any = [{ kind = 1 }] } }", ".route.when.not.any.kind: nothing of it fits"),
        ("[[test]]\nexpect = { route = true }", ".test.expect.route: nothing of it fits"),
    ] {
        assert_eq!(check(text), [fault], "{text}");
    }
    for text in [
        "[source.a]\nproof = { token = [{ file = \"a\" }, { env = \"A\" }], addresses = \"gupshup\" }",
        "[[route]]\nwhen = { not = { any = [{ kind = { prefix = \"a\" } }, { tenant = \"b\" }] } }",
        "[[test]]\nexpect = { route = 1 }",
        "[[test]]\nexpect = { route = \"a\" }",
    ] {
        assert_eq!(check(text), Vec::<String>::new(), "{text}");
    }
}

/// Keys that have no words of their own, nor stand in a table with words.
fn speechless(schema: &Value, path: &str, spoken: bool, found: &mut BTreeSet<String>) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let spoken = spoken || below["description"].is_string();
        if !spoken && below["type"] != "object" {
            found.insert(path.clone());
        }
        // The words of a section are not those of its keys.
        let section = path.matches('.').count() == 1 && below["type"] == "object";
        speechless(below, &path, spoken && !section, found);
    }
    if schema["additionalProperties"].is_object() {
        speechless(&schema["additionalProperties"], &format!("{path}.*"), spoken, found);
    }
    for below in schema["anyOf"].as_array().into_iter().flatten() {
        speechless(below, path, spoken, found);
    }
}

#[test]
fn every_key_has_the_words_of_the_example() {
    let (schema, mut found) = (schema(), BTreeSet::new());
    speechless(&schema, "", false, &mut found);
    assert!(found.is_empty(), "without words: {found:?}");
    let words = &schema["properties"]["source"]["additionalProperties"]["properties"]["expect-every"]["description"];
    assert!(words.as_str().unwrap().starts_with("Silence for longer than this is an alarm"), "{words}");
}

#[test]
fn a_refusal_that_names_its_choices_is_taken_by_its_word() {
    for (said, expected) in [
        ("no such choice; the choices are `a`, `b`, or { c = 1 }", json!({ "type": "string", "enum": ["a", "b"] })),
        ("no such choice; the choices are `a` and `b`", json!({ "type": "string", "enum": ["a", "b"] })),
        ("expected a URL", json!({ "type": "string", "description": "expected a URL" })),
    ] {
        assert_eq!(refused(said), expected, "{said}");
    }
}
