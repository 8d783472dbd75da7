//! The configurations under `tests/config`: what is right builds, what is wrong is told in exactly these words.

use std::fs;
use std::path::Path;

use super::stage::{Stage, cases, configurations};

/// Set to write the reports that the code gives instead of comparing them; what changed is then for a person to read.
const BLESS: &str = "PORTEIRO_BLESS";

/// Compares a text with the file that is expected to hold it.
fn compare(expected: &Path, given: &str, complaints: &mut Vec<String>) {
    if std::env::var_os(BLESS).is_some() {
        fs::write(expected, given).unwrap();
        return;
    }
    match fs::read_to_string(expected) {
        Ok(text) if text == given => {}
        Ok(text) => complaints.push(format!("{}: expected\n{text}\ngot\n{given}", expected.display())),
        Err(_) => complaints.push(format!("{} is missing; it should hold\n{given}", expected.display())),
    }
}

#[test]
fn what_is_wrong_is_told_in_exactly_these_words() {
    let stage = Stage::set();
    let mut complaints = Vec::new();
    let files = configurations(&cases("invalid"));
    assert!(files.len() >= 40, "only {} configurations are wrong", files.len());
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        match stage.build(name, &fs::read_to_string(file).unwrap()) {
            Ok(_) => complaints.push(format!("{name} is accepted")),
            Err(report) => {
                let text = report.render(false);
                assert!(!text.contains("open-sesame"), "{name} shows a secret:\n{text}");
                compare(&file.with_extension("report"), &text, &mut complaints);
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn no_report_is_left_without_its_configuration() {
    for entry in fs::read_dir(cases("invalid")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("toml").exists(), "{} has no configuration", path.display());
    }
}

#[test]
fn what_is_right_builds_and_its_dangers_are_named() {
    let stage = Stage::set();
    let mut complaints = Vec::new();
    for file in configurations(&cases("valid")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        match stage.build(name, &fs::read_to_string(&file).unwrap()) {
            Err(report) => complaints.push(format!("{name} is refused:\n{report}")),
            Ok(config) => match &config.dangers {
                Some(dangers) => compare(&file.with_extension("dangers"), &dangers.render(false), &mut complaints),
                None if file.with_extension("dangers").exists() => complaints.push(format!("{name} has no dangers")),
                None => {}
            },
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
