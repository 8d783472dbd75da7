//! What an operator meets: `check`, exit codes, the metrics listener, `--help`.

use std::process::{Command, Output, Stdio};

use crate::support::client::Client;
use crate::support::house::{Estate, House, two_destinations};
use crate::support::sink::{Manner, Sink};

fn porteiro(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_porteiro")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn estate() -> (Estate, Sink, Sink) {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    (Estate::new(&two_destinations(&one.url(), &two.url())), one, two)
}

#[test]
fn check_tells_what_was_built_and_what_it_will_cost() {
    let (estate, ..) = estate();
    let output = porteiro(&["check", "-c", estate.path("porteiro.toml").to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for word in ["whatsapp", "meta", "one", "two", "memory", "outage", "1GiB"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    assert!(!text.contains("a secret only for tests"), "a secret is shown");
}

#[test]
fn a_broken_configuration_gets_all_of_its_problems_named() {
    let (estate, ..) = estate();
    let broken = two_destinations("ftp://somewhere/", "http://127.0.0.1:1/")
        .replace("provider = \"meta\"", "provider = \"mta\"")
        .replace("size = \"1GiB\"", "size = \"1 banana\"")
        .replace("to = [\"one\", \"two\"]", "to = [\"one\", \"too\"]")
        .replace("deadline = \"5s\"", "dedline = \"5s\"")
        .replace("key = \"key.pem\"", "key = \"no-such-key.pem\"");
    estate.write("porteiro.toml", broken.as_bytes());
    for command in ["check", "serve"] {
        let output = porteiro(&[command, "-c", estate.path("porteiro.toml").to_str().unwrap()]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(78), "{command}: {text}");
        for word in ["dedline", "deadline", "porteiro.toml:"] {
            assert!(text.contains(word), "{command}: {word} is missing in\n{text}");
        }
    }
    // A key that does not exist stops the reading of its table; the rest needs a file that can be mirrored.
    estate.write("porteiro.toml", broken.replace("dedline", "deadline").as_bytes());
    let output = porteiro(&["check", "-c", estate.path("porteiro.toml").to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{text}");
    for word in ["ftp", "mta", "meta", "banana", "too", "two", "no-such-key.pem"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
}

#[test]
fn usage_errors_end_with_2_and_a_missing_file_with_78() {
    assert_eq!(porteiro(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(porteiro(&["serve", "--no-such-flag"]).status.code(), Some(2));
    let output = porteiro(&["check", "-c", "/no/such/file.toml"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file.toml"));
}

#[test]
fn help_and_version_answer() {
    let help = porteiro(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for command in ["serve", "check", "version", "health", "sink", "demo"] {
        assert!(text.contains(command), "{command} is missing in\n{text}");
    }
    let version = porteiro(&["version"]);
    assert!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_metrics_listener_answers_what_it_should_and_no_more() {
    let (estate, ..) = estate();
    let house = House::start(&estate);
    let address = house.address("metrics");
    let ask = |method: &str, path: &str| Client::plain(address).unwrap().request(method, path, &[], &[]).unwrap();
    assert_eq!(ask("GET", "/-/healthy").status, 200);
    assert_eq!(ask("GET", "/-/ready").status, 200);
    assert_eq!(ask("GET", "/nothing").status, 404);
    assert_eq!(ask("POST", "/metrics").status, 405);
    let metrics = ask("GET", "/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let health = porteiro(&["health", "--address", &address.to_string()]);
    assert_eq!(health.status.code(), Some(0));
    house.metrics().no_panics();
    drop(house);
    assert_eq!(porteiro(&["health", "--address", &address.to_string()]).status.code(), Some(1));
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let Ok(version) = Command::new("promtool").arg("--version").output() else {
        eprintln!("SKIPPED: promtool is not on this machine");
        return;
    };
    assert!(version.status.success());
    let (estate, ..) = estate();
    let house = House::start(&estate);
    let text = house.metrics().0;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
