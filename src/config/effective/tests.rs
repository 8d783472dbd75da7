//! What is written out builds the same, says everything, and says it once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

use super::*;
use crate::config::tests::stage::{Stage, WELL, cases, configurations};
use crate::config::{Environment, Report, load_with, schema};

const EXAMPLE: &str = include_str!("../../../config/porteiro.example.toml");

/// Reads a text from a file of the stage, as it is read when the program runs.
fn load(stage: &Stage, text: &str) -> Result<Config, Report> {
    stage.write("effective.toml", 0o600, text.as_bytes());
    let variable = |_: &str| Some(OsString::from("open-sesame-open-sesame"));
    load_with(&stage.path().join("effective.toml"), Environment::new(&variable))
}

/// All that a configuration became, but for places in its text and the reasons that `check` gives.
fn shape(config: &Config) -> String {
    let mut shape = format!("{:?}\n{:?}\n{:?}\n", config.log, config.admission, config.shutdown);
    shape += &format!("{:?}\n{:?}\n{}\n{:?}\n", config.metrics, config.control, config.watch, config.store);
    shape += &format!("{:#?}\n{:#?}\n", config.tenants, config.listeners);
    for source in &config.sources {
        let (tenancy, built) = (&source.tenancy, &source.built);
        shape += &format!("{} {:?} {:?} {}\n", source.name, source.on, source.host, source.path);
        shape += &format!("{:?}\n", source.role);
        shape += &format!("{} {:?} {:?} {:?}\n", source.provider, source.shown, source.rules, source.body);
        shape += &format!("{:?} {:?} {:?} {:?}\n", source.addresses, source.ack, source.dedup, source.expect_every);
        shape += &format!("{} {:?} {}\n", tenancy.named, tenancy.manner, tenancy.refusal);
        shape += &format!("{:?} {:?} {:?}\n", built.selectors, built.answers, built.verifier.proofs());
    }
    for destination in &config.destinations {
        shape += &format!("{} {:#?}\n{:?}\n", destination.is_live(), destination.plan, destination.journal);
    }
    for route in &config.routes {
        shape += &format!("{} {:?} {:?} {} {:?}\n", route.label, route.from, route.when, route.mixed, route.to);
    }
    shape + &format!("{} tests", config.tests.count())
}

/// What is written out builds the same, and is the last word.
#[track_caller]
fn check(stage: &Stage, name: &str, said: &str) -> String {
    let before = load(stage, said).unwrap_or_else(|report| panic!("{name}: {report}"));
    let whole = text(&before).unwrap();
    let after = load(stage, &whole).unwrap_or_else(|report| panic!("{name}: {report}\n{whole}"));
    let (before, after, again) = (shape(&before), shape(&after), text(&after).unwrap());
    for (one, other) in before.lines().zip(after.lines()) {
        assert_eq!(one, other, "{name}:\n{whole}");
    }
    assert_eq!(before, after, "{name}:\n{whole}");
    assert_eq!(again, whole, "{name}: what was written out is not the last word");
    whole
}

#[test]
fn what_is_written_out_builds_the_same_and_is_the_last_word() {
    let stage = Stage::set();
    let mut tried = 0;
    for file in configurations(&cases("valid")) {
        check(&stage, file.file_name().unwrap().to_str().unwrap(), &fs::read_to_string(&file).unwrap());
        tried += 1;
    }
    assert!(tried > 10, "only {tried} configurations were tried");
}

/// A key as it stands in the tables, with the names of the operator's as `*`.
fn keys_of_schema(schema: &serde_json::Value, path: &str, keys: &mut BTreeSet<String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        keys.insert(below(key));
        keys_of_schema(schema, &below(key), keys);
    }
    for schema in schema["anyOf"].as_array().into_iter().flatten() {
        keys_of_schema(schema, path, keys);
    }
    if schema["additionalProperties"].is_object() {
        keys_of_schema(&schema["additionalProperties"], &below("*"), keys);
    }
}

#[test]
fn every_key_has_a_default_here_or_is_known_to_have_none() {
    let mut keys = BTreeSet::new();
    keys_of_schema(&schema::schema(), "", &mut keys);
    assert!(keys.contains("journal.keep.dead.age") && keys.contains("source.*.limits.body"), "{keys:?}");
    let of = |section: &str, known: Vec<&'static str>| -> Vec<String> {
        known.into_iter().map(|key| format!("{section}{key}")).collect()
    };
    let mut known: BTreeSet<String> = WITHOUT.iter().map(|key| (*key).to_owned()).collect();
    known.extend(of("", FILE.iter().map(|(key, _)| *key).collect()));
    known.extend(of("listen.*.", LISTEN.iter().map(|(key, _)| *key).collect()));
    known.extend(of("source.*.", SOURCE.iter().map(|(key, _)| *key).collect()));
    known.extend(of("destination.*.", DESTINATION.iter().map(|(key, _)| *key).collect()));
    known.extend(of("tenant.*.", TENANT.iter().map(|(key, _)| *key).collect()));
    let covered = |key: &str| {
        let above = known.iter().any(|known| key == known || key.strip_prefix(known.as_str()).is_some_and(below));
        above || known.iter().any(|known| known.strip_prefix(key).is_some_and(below))
    };
    fn below(rest: &str) -> bool {
        rest.starts_with('.')
    }
    let missing: Vec<&String> = keys.iter().filter(|key| !covered(key)).collect();
    assert!(missing.is_empty(), "src/config/effective.rs knows no default of {missing:?}, nor that there is none");
    let gone: Vec<&String> = known.iter().filter(|key| !keys.contains(*key)).collect();
    assert!(gone.is_empty(), "src/config/effective.rs names {gone:?}, and no configuration may");
}

#[test]
fn of_the_least_configuration_everything_is_said() {
    let stage = Stage::set();
    let whole = check(&stage, "least", WELL);
    for line in [
        "in-flight = \"64MiB\"",
        "in-flight-share = \"8MiB\"",
        "refusals = \"1/s\"",
        "shutdown = \"25s\"",
        "address = \"127.0.0.1:9600\"",
        "segment = \"64MiB\"",
        "minimum-rate = \"1KiB/s\"",
        "success = [\"2xx\"]",
        "concurrency = 8",
    ] {
        assert!(whole.lines().any(|known| known == line), "{line} is missing in\n{whole}");
    }
    assert!(!whole.contains("open-sesame"));
    let told = json(&load(&stage, WELL).unwrap()).unwrap();
    assert_eq!(told["destination"]["crm"]["hand-over"], "stored");
}

#[test]
fn sizes_and_rates_are_written_so_that_they_read_back() {
    for bytes in [0, 1, 1_234_567, 1 << 20, (1 << 20) + 1, 10_240 << 10, u64::MAX >> 1] {
        assert_eq!(size(&exact(bytes)), Ok(bytes), "{bytes}");
    }
    for (every, expected) in [(1_000, "1/s"), (10, "100/s"), (60_000, "1/m"), (90_000, "40/h"), (2_000, "30/m")] {
        assert_eq!(rate(Duration::from_millis(every)), Some(Value::from(expected)), "{every}");
    }
    assert_eq!(rate(Duration::ZERO), None);
}

#[test]
fn what_the_example_says_stays_as_it_was_said() {
    let said: Table = EXAMPLE.parse().unwrap();
    let stage = Stage::set();
    // Only the text is of interest here: what it names need not be there.
    stage.write("effective.toml", 0o600, EXAMPLE.as_bytes());
    stage.write("tenants.d/more.toml", 0o644, b"[tenant.bolt]\nkeys = { github = [\"40021988\"] }\n");
    let nothing = |_: &str| None;
    let elsewhere = Environment::new(&nothing).elsewhere();
    let config = load_with(&stage.path().join("effective.toml"), elsewhere).unwrap_or_else(|report| panic!("{report}"));
    let whole: Table = text(&config).unwrap().parse().unwrap();
    fn holds(whole: &Value, said: &Value, path: &str) {
        match (whole, said) {
            (Value::Table(whole), Value::Table(said)) => {
                for (key, value) in said {
                    holds(whole.get(key).unwrap_or_else(|| panic!("{path}.{key}")), value, &format!("{path}.{key}"));
                }
            }
            _ => assert_eq!(whole, said, "{path}"),
        }
    }
    holds(&Value::Table(whole), &Value::Table(said), "");
}

#[test]
fn what_cannot_be_written_out_is_told() {
    // It was not read from a file, so that its text is nowhere.
    let config = Stage::set().build("porteiro.toml", WELL).unwrap();
    for told in [text(&config).map(drop), json(&config).map(drop)] {
        assert!(told.unwrap_err().to_string().contains("porteiro.toml is not at hand"));
    }
}
