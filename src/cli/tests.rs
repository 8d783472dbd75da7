//! What the command line understands.

use clap::CommandFactory;

use super::*;

fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once(&"porteiro").chain(words))
}

#[test]
fn the_definition_holds_together() {
    Arguments::command().debug_assert();
}

#[test]
fn what_makes_no_sense_is_refused_with_2() {
    for words in [
        &["no-such-command"] as &[&str],
        &[],
        &["serve", "--no-such-flag"],
        &["serve", "--log-level", "loud"],
        &["serve", "extra"],
        &["check", "--output", "xml"],
        &["check", "--rate", "100"],
        &["check", "--rate", "0/s"],
        &["check", "--event-size", "2"],
        &["health", "--address", "localhost"],
        &["health", "--within", "2"],
        &["sink", "--status", "99"],
        &["sink", "--delay", "1"],
        &["sink", "--drop", "many"],
        &["sink", "--quiet", "--body"],
        &["version", "--output"],
        &["demo", "twice"],
    ] {
        assert_eq!(parse(words).map(|_| ()).unwrap_err().exit_code(), 2, "{words:?}");
    }
}

#[test]
fn what_makes_sense_is_understood() {
    for words in [
        &["serve", "-c", "a.toml"] as &[&str],
        &["serve", "--config", "a.toml", "--log-format", "json", "--log-level", "debug"],
        &["check", "-c", "a.toml", "--output", "json", "--rate", "30/m", "--event-size", "64KiB"],
        &["health"],
        &["health", "--address", "[::1]:9600", "--within", "500ms"],
        &["version", "--output", "json"],
        &["sink", "--listen", "127.0.0.1:0", "--status", "503", "--delay", "250ms", "--drop", "3", "--body"],
        &["demo", "--once"],
        // The one may come from the environment.
        &["reload", "--config", "a.toml", "--socket", "control.sock"],
    ] {
        assert!(parse(words).is_ok(), "{words:?}");
    }
    for words in [&["--help"] as &[&str], &["--version"], &["help", "check"], &["sink", "--help"]] {
        assert_eq!(parse(words).map(|_| ()).unwrap_err().exit_code(), 0, "{words:?}");
    }
}

#[test]
fn every_command_and_flag_says_what_it_is_for() {
    for command in Arguments::command().get_subcommands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let ended = |kind| format!("{:?}", Failure::from(io::Error::from(kind)).tell());
    assert_eq!(ended(ErrorKind::BrokenPipe), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(ended(ErrorKind::StorageFull), format!("{:?}", ExitCode::FAILURE));
}

#[test]
fn the_version_is_told_to_people_and_machines() {
    let mut out = Vec::new();
    version(Output::Text, &mut out).unwrap();
    assert_eq!(out, format!("porteiro {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    let mut out = Vec::new();
    version(Output::Json, &mut out).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
}
