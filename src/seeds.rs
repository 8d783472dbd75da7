//! The seeds of the fuzz targets, replayed, so that `cargo test` holds what a fuzzer has found once.

use std::fs;
use std::path::Path;

/// A fuzz target's name, and its body.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("answer", crate::deliver::answer_holds),
    ("config", |data| crate::config::fuzz(&String::from_utf8_lossy(data))),
    ("definition", crate::verify::fuzz::fuzz_definition),
    ("forgery", crate::verify::fuzz::fuzz_forgery),
    ("form", crate::select::form::holds),
    ("head", crate::event::head_holds),
    ("journal", crate::journal::fuzz::fuzz_directory),
    ("json", crate::select::json::compare::holds),
    ("parts", crate::select::parts_hold),
    ("path", |data| crate::snapshot::router::holds(&String::from_utf8_lossy(data))),
    ("records", crate::journal::parse_anything),
    ("signature", crate::verify::fuzz::fuzz_signature_text),
    ("watch", crate::listen::watch_holds),
];

#[test]
fn every_seed_of_every_target_holds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, target) in TARGETS {
        let mut count = 0;
        for entry in fs::read_dir(seeds.join(name)).unwrap_or_else(|error| panic!("fuzz/seeds/{name}: {error}")) {
            target(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 3, "{name} has {count} seeds");
    }
}

#[test]
fn every_target_is_replayed_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |directory: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    };
    let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("fuzz/fuzz_targets"), known);
    assert_eq!(names("fuzz/seeds"), known);
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    for name in known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
    }
}
