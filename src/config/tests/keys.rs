//! The example holds every key and its default.

use std::collections::BTreeSet;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::stage::Stage;
use crate::config::{Config, schema};

const EXAMPLE: &str = include_str!("../../../config/porteiro.example.toml");
const DEMO: &str = include_str!("../../../config/demo.toml");

/// Every key of the mirror, as in `source.*.limits.body`, by its schema.
fn keys_of_mirror() -> BTreeSet<String> {
    fn below(schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
        let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            keys.insert(at(key));
            below(schema, &at(key), keys);
        }
        if schema["additionalProperties"].is_object() {
            below(&schema["additionalProperties"], &at("*"), keys);
        }
        // A list stands where its elements do, and what has several forms is each of them.
        let forms = schema["anyOf"].as_array().into_iter().flatten();
        forms.chain(schema["items"].is_object().then_some(&schema["items"])).for_each(|form| below(form, path, keys));
    }
    let mut keys = BTreeSet::new();
    // A condition within a condition has the same keys, and only refers to them.
    below(&schema::schema(), "", &mut keys);
    keys
}

/// Every key of a document, with `*` for the names that are the operator's.
fn keys_of_text(text: &str, mirror: &BTreeSet<String>) -> BTreeSet<String> {
    fn table(of: &DeTable<'_>, path: &str, mirror: &BTreeSet<String>, keys: &mut BTreeSet<String>) {
        for (key, value) in of {
            let own = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
            let own = if mirror.contains(&own) { own } else { format!("{path}.*") };
            keys.insert(own.clone());
            let nested = ["route.when.all", "route.when.any", "route.when.not"].contains(&own.as_str());
            inside(value.get_ref(), if nested { "route.when" } else { &own }, mirror, keys);
        }
    }
    fn inside(value: &DeValue<'_>, path: &str, mirror: &BTreeSet<String>, keys: &mut BTreeSet<String>) {
        match value {
            DeValue::Table(below) => table(below, path, mirror, keys),
            DeValue::Array(list) => list.iter().for_each(|element| inside(element.get_ref(), path, mirror, keys)),
            _ => {}
        }
    }
    let mut keys = BTreeSet::new();
    table(DeTable::parse(text).unwrap().get_ref(), "", mirror, &mut keys);
    keys
}

/// A stage with the files that the example names.
fn stage() -> Stage {
    let stage = Stage::set();
    for name in [
        "proxy",
        "github",
        "meta-verify-token",
        "crm",
        "archive",
        "gupshup-path",
        "gupshup-header",
        "twilio-auth-token",
    ] {
        stage.write(&format!("secrets/{name}"), 0o600, b"open-sesame-open-sesame\n");
    }
    stage.write("secrets/crm-signing", 0o600, b"whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU=\n");
    stage.write("secrets/partner", 0o600, b"whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU=\n");
    for (name, from) in [
        ("fullchain.pem", "one.pem"),
        ("key.pem", "one.key"),
        ("crm-ca.pem", "two.pem"),
        ("porteiro.pem", "two.pem"),
        ("porteiro.key", "two.key"),
    ] {
        let bytes = std::fs::read(stage.path().join("tls").join(from)).unwrap();
        stage.write(&format!("tls/{name}"), 0o600, &bytes);
    }
    stage.write("tenants.d/more.toml", 0o644, b"[tenant.bolt]\nkeys = { github = [\"40021988\"] }\n");
    stage
}

fn build(stage: &Stage, text: &str) -> Config {
    stage.build("porteiro.example.toml", text).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn the_walk_sees_every_level_of_the_mirror() {
    let keys = keys_of_mirror();
    for key in [
        "format",
        "listen.*.tls.certificate",
        "journal.keep.dead.age",
        "destination.*.auth.basic.user",
        "source.*.ack.delivered.deadline",
        "source.*.secrets.env",
        "source.*.values.*.file",
        "route.when.glob",
    ] {
        assert!(keys.contains(key), "{key} is not in {keys:?}");
    }
}

/// Whether a key belongs to a form that stands in several places and is shown in one: a secret or a list by its place, a
/// comparison, a proxy and who is known there.
fn is_of_a_form(key: &str) -> bool {
    let compares = ["source", "tenant", "kind", "path"].map(|subject| format!("route.when.{subject}."));
    key.ends_with(".file")
        || key.ends_with(".env")
        || compares.iter().any(|form| key.starts_with(form))
        || ["destination.*.proxy.", "proxy.auth."].iter().any(|form| key.starts_with(form))
}

#[test]
fn the_example_mentions_every_key() {
    let mirror = keys_of_mirror();
    let mentioned = keys_of_text(EXAMPLE, &mirror);
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let shown: BTreeSet<String> = mentioned.iter().map(|key| last(key)).collect();
    let missing = mirror.difference(&mentioned).filter(|key| !is_of_a_form(key) || !shown.contains(&last(key)));
    let missing: Vec<&String> = missing.collect();
    assert!(missing.is_empty(), "config/porteiro.example.toml does not mention {missing:?}");
}

#[test]
fn every_key_of_the_example_has_a_line_of_prose() {
    let mut prose = false;
    for (number, line) in EXAMPLE.lines().enumerate() {
        let text = line.trim();
        if text.starts_with('#') {
            prose = true;
        } else if text.is_empty() {
            prose = false;
        } else if text.contains(" = ") && !text.starts_with('[') {
            // A section's own words serve its first key, and words may serve a group of keys.
            assert!(
                prose || EXAMPLE.lines().take(number).any(|above| above.starts_with(key(text))),
                "line {}",
                number + 1
            );
        } else {
            prose = prose || text.starts_with('[');
        }
    }
    fn key(line: &str) -> &str {
        line.split(" = ").next().unwrap_or_default()
    }
}

#[test]
fn the_example_says_exactly_the_defaults() {
    let stage = stage();
    let said = build(&stage, EXAMPLE);
    // The same house with nothing said that has a default.
    let least = build(
        &stage,
        r#"
format = 1
[listen.public]
address = "[::]:8443"
tls = [{ certificate = "tls/fullchain.pem", key = "tls/key.pem" }]
[journal]
directory = "/var/lib/porteiro"
[source.github]
on = ["public"]
path = "/github"
provider = "github"
secrets = [{ file = "secrets/github" }]
[destination.crm-internal]
url = "http://10.0.0.12/hooks/*"
"#,
    );
    assert_eq!(said.log, least.log);
    assert_eq!(said.admission, least.admission);
    assert_eq!(said.shutdown, least.shutdown);
    assert_eq!(said.metrics, least.metrics);
    assert_eq!(said.watch, least.watch);
    assert_eq!(said.listeners[0].limits, least.listeners[0].limits);
    assert_eq!(format!("{:?}", said.store), format!("{:?}", least.store));
    let (one, other) = (&said.sources[0], &least.sources[0]);
    assert_eq!((&one.name, &one.ack), (&other.name, &other.ack));
    assert_eq!((one.dedup, one.body), (other.dedup, other.body));
    assert_eq!((one.rules.body_max, &one.rules.addresses), (other.rules.body_max, &other.rules.addresses));
    assert_eq!(one.built.answers, other.built.answers);
    assert_eq!(one.tenancy.manner, other.tenancy.manner);
    let (spec, without) = (&said.tenants.spec, &least.tenants.spec);
    assert_eq!((spec.unknown_max, spec.labels), (without.unknown_max, without.labels));
    let names: Vec<&str> = spec.tenants.iter().map(|tenant| &*tenant.name).collect();
    assert_eq!((names, without.unknown), (vec!["acme", "bolt"], None));
    let rate_alone = EXAMPLE.replace("\nburst = 250\n", "\n").replace(&quota("tenants", "1000", "16MiB", "5m"), "");
    assert_ne!(rate_alone.len(), EXAMPLE.len() - "burst = 250\n".len(), "the quota is not there as expected");
    assert_eq!(build(&stage, &rate_alone).tenants.spec.unknown, spec.unknown);
    let internal = |config: &Config| {
        let found = config.destinations.iter().find(|known| &*known.plan.name == "crm-internal").unwrap();
        let mut plan = found.plan.clone();
        // The host is an example; there is no default for it.
        plan.host = None;
        format!("{plan:?} {:?}", found.journal)
    };
    assert_eq!(internal(&said), internal(&least));
}

fn quota(section: &str, events: &str, size: &str, delay: &str) -> String {
    format!("[{section}.quota]\nevents = {events}\nsize = \"{size}\"\ndelay = \"{delay}\"\n")
}

#[test]
fn the_tests_of_the_example_hold() {
    let stage = stage();
    stage.write("tests/deleted.form", 0o600, b"payload=%7B%22action%22%3A%22deleted%22%7D");
    let tried = build(&stage, EXAMPLE).try_tests().unwrap_or_else(|report| panic!("{report}"));
    assert!(tried > 0);
    stage.write("tests/deleted.form", 0o600, b"payload=%7B%22action%22%3A%22created%22%7D");
    assert!(build(&stage, EXAMPLE).try_tests().is_err());
}

#[test]
fn the_demonstration_is_a_configuration_that_works() {
    let stage = Stage::set();
    for name in ["meta-app", "meta-verify-token", "github", "stripe"] {
        stage.write(&format!("{name}.secret"), 0o600, b"open-sesame-open-sesame");
    }
    for (name, from) in [("certificate.pem", "one.pem"), ("key.pem", "one.key")] {
        let bytes = std::fs::read(stage.path().join("tls").join(from)).unwrap();
        stage.write(name, 0o600, &bytes);
    }
    let config = stage.build("demo.toml", DEMO).unwrap_or_else(|report| panic!("{report}"));
    let names: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["github", "meta", "stripe"]);
    assert!(config.verifier("meta").is_some() && config.verifier("nobody").is_none());
}
