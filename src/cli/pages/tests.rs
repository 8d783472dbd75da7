//! Shells and the manual take what is printed for them.

use std::process::{Command, Stdio};

use clap::ValueEnum;

use super::*;

fn completed(shell: Shell) -> Vec<u8> {
    let mut out = Vec::new();
    completions(&Completions { shell }, &mut out).unwrap();
    out
}

fn manual(command: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    page(&Page { command: command.map(str::to_owned) }, &mut out).unwrap();
    out
}

/// What a program of this machine says of a text; `None` where there is no such program.
fn told(program: &str, arguments: &[&str], text: &[u8]) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("SKIPPED: {program} is not on this machine");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn every_command_is_known_here() {
    let all: Vec<String> =
        Arguments::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    assert_eq!(all, NAMES);
}

#[test]
fn every_shell_has_completions_that_know_every_command() {
    for shell in Shell::value_variants() {
        let text = String::from_utf8(completed(*shell)).unwrap();
        assert!(NAMES.iter().all(|name| text.contains(name)) && text.contains("effective"), "{shell}");
    }
}

#[test]
fn bash_understands_its_completions() {
    if let Some((well, said)) = told("bash", &["-n"], &completed(Shell::Bash)) {
        assert!(well && said.is_empty(), "{said}");
    }
    if let Some((well, said)) = told("bash", &["-n"], b"f() { case x in") {
        assert!(!well && !said.is_empty(), "bash understands everything");
    }
}

#[test]
fn groff_has_nothing_to_say_about_any_page() {
    for command in std::iter::once(None).chain(NAMES.map(Some)) {
        let page = manual(command);
        let text = String::from_utf8(page.clone()).unwrap();
        let title = command.map_or_else(|| "porteiro".to_owned(), |name| format!("porteiro-{name}"));
        assert!(text.contains(&format!(".TH {title} 1")), "{text}");
        if let Some((well, said)) = told("groff", &["-man", "-ww", "-Tutf8"], &page) {
            assert!(well && said.is_empty(), "{title}: {said}");
        }
    }
}
