//! The example holds every key and its default.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

use super::stage::Stage;
use crate::config::{Config, raw};

const EXAMPLE: &str = include_str!("../../../config/porteiro.example.toml");
const DEMO: &str = include_str!("../../../config/demo.toml");

/// What a walk found: the keys below the path it was sent to.
#[derive(Debug, Default)]
struct Found(RefCell<Option<&'static [&'static str]>>);

#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the walk ends here")
    }
}

impl std::error::Error for Stop {}

impl Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Follows a path through the types of the mirror; `*` goes into a map.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [String],
    found: &'a Found,
}

impl<'de> Deserializer<'de> for Walk<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        // A table or a string: the mirror's own readers take both, and only the table has keys.
        visitor.visit_map(One { key: None, walk: self })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_seq(One { key: None, walk: self })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.path.split_first() {
            Some((first, rest)) if first == "*" => {
                visitor.visit_map(One { key: Some("*"), walk: Walk { path: rest, ..self } })
            }
            Some(_) => Err(Stop),
            None => {
                *self.found.0.borrow_mut() = Some(&["*"]);
                Err(Stop)
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if let Some(value) = fields.iter().find(|field| field.ends_with("_value")) {
            return visitor.visit_map(One { key: Some(value), walk: self });
        }
        match self.path.split_first() {
            Some((first, rest)) => {
                let key = fields.iter().find(|field| *field == first).ok_or(Stop)?;
                visitor.visit_map(One { key: Some(key), walk: Walk { path: rest, ..self } })
            }
            None => {
                *self.found.0.borrow_mut() = Some(fields);
                Err(Stop)
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct enum identifier ignored_any
    }
}

/// A map or a list of one element.
struct One<'a> {
    key: Option<&'static str>,
    walk: Walk<'a>,
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        match self.key.take() {
            Some("*") => seed.deserialize(Name).map(Some),
            Some(key) => seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some),
            None => {
                // A reader that takes any value is asked for its table's keys with an empty one, which tells nothing.
                Ok(None)
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.walk)
    }
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        seed.deserialize(self.walk).map(Some)
    }
}

/// A name with its place, as the mirror's maps want it.
struct Name;

impl<'de> Deserializer<'de> for Name {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_str("name")
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_map(Placed { fields, at: 0 })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct enum identifier ignored_any option seq map
    }
}

/// The fields that stand for a value with its place.
struct Placed {
    fields: &'static [&'static str],
    at: usize,
}

impl<'de> MapAccess<'de> for Placed {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let Some(field) = self.fields.get(self.at) else { return Ok(None) };
        self.at += 1;
        seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        if self.fields[self.at - 1].ends_with("_value") {
            return seed.deserialize(Name);
        }
        seed.deserialize(serde::de::value::UsizeDeserializer::new(0))
    }
}

/// Every key of the mirror, as in `source.*.limits.body`.
fn keys_of_mirror() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let found = Found::default();
        drop(raw::File::deserialize(Walk { path: &path, found: &found }));
        let below = found.0.borrow_mut().take();
        for field in below.unwrap_or_default() {
            let mut next = path.clone();
            next.push((*field).to_owned());
            if *field != "*" {
                keys.insert(next.join("."));
            }
            // A condition within a condition has the same keys.
            if !(path.last().is_some_and(|last| last == "when") && ["all", "any", "not"].contains(field)) {
                open.push(next);
            }
        }
        assert!(keys.len() < 1_000, "the walk goes round in circles");
    }
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
    for name in ["github", "meta-verify-token", "crm", "archive", "gupshup-path", "gupshup-header", "twilio-auth-token"]
    {
        stage.write(&format!("secrets/{name}"), 0o600, b"open-sesame-open-sesame\n");
    }
    stage.write("secrets/partner", 0o600, b"whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU=\n");
    for (name, from) in [("fullchain.pem", "one.pem"), ("key.pem", "one.key"), ("crm-ca.pem", "two.pem")] {
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
        "route.when.glob",
    ] {
        assert!(keys.contains(key), "{key} is not in {keys:?}");
    }
}

#[test]
fn the_example_mentions_every_key() {
    let mirror = keys_of_mirror();
    let mentioned = keys_of_text(EXAMPLE, &mirror);
    let missing: Vec<&String> = mirror.difference(&mentioned).collect();
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
