//! What `check` answers beside yes and no: everything that holds, what would change, and what holds on another machine.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use crate::support::house::{Estate, two_destinations};

fn estate() -> Estate {
    Estate::new(&two_destinations("http://127.0.0.1:9/one", "http://127.0.0.1:9/two"))
}

/// Exit code, stdout and stderr.
fn porteiro(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_porteiro"));
    let output = command.args(arguments).env_remove("ELSEWHERE").stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn check(estate: &Estate, name: &str, more: &[&str]) -> (i32, String, String) {
    let path = estate.path(name);
    porteiro(&[&["check", "-c", path.to_str().unwrap()], more].concat())
}

#[test]
fn every_default_is_printed_as_a_configuration_that_means_the_same() {
    let estate = estate();
    let (code, whole, _) = check(&estate, "porteiro.toml", &["--effective"]);
    assert_eq!(code, 0);
    for line in ["in-flight = \"64MiB\"", "hand-over = \"stored\"", "ack = \"durable\"", "deadline = \"5s\""] {
        assert!(whole.lines().any(|known| known == line), "{line} is missing in\n{whole}");
    }
    estate.write("whole.toml", whole.as_bytes());
    let (code, again, said) = check(&estate, "whole.toml", &["--effective"]);
    assert_eq!((code, again), (0, whole), "{said}");
    let (code, told, _) = check(&estate, "porteiro.toml", &["--effective", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["limits"]["in-flight"]), (0, &"64MiB".into()));
    // All that the two mean is the same, as machines are told; only lines and the reasons of what is said differ.
    let means = |name: &str| {
        let (code, told, _) = check(&estate, name, &["--output", "json"]);
        assert_eq!(code, 0);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let parts = ["listeners", "destinations", "journal", "memory_ceiling", "outage", "tenants", "metrics"];
        parts.map(|part| told[part].clone())
    };
    assert_eq!(means("porteiro.toml"), means("whole.toml"));
}

#[test]
fn a_reload_is_foretold_and_the_exit_code_says_of_which_kind_it_is() {
    let estate = estate();
    let old = estate.path("porteiro.toml");
    let text = fs::read_to_string(&old).unwrap();
    let against = |new: &str, more: &[&str]| {
        estate.write("new.toml", new.as_bytes());
        check(&estate, "new.toml", &[&["--against", old.to_str().unwrap()], more].concat())
    };
    let (code, told, _) = against(&format!("# a comment\n{text}"), &[]);
    assert!(code == 0 && told.starts_with("nothing is different from "), "{code} {told}");
    let moved = text.replace("http://127.0.0.1:9/one", "http://127.0.0.1:9/other");
    let (code, told, _) = against(&moved, &[]);
    assert_eq!(code, 10, "{told}");
    assert!(told.contains("a reload applies:\n  destination one: changed (url)\n"), "{told}");
    assert!(told.ends_with("delivered by the new words to one\n"), "{told}");
    let both = moved.replace("size = \"1GiB\"", "size = \"2GiB\"");
    let (code, told, _) = against(&both, &[]);
    assert_eq!(code, 11, "{told}");
    assert!(told.contains("a restart is needed for:\n  journal: changed (size)\n"), "{told}");
    let (code, told, _) = against(&both, &["--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["result"], &told["destinations"][0]), (11, &"restart".into(), &"one".into()));
    let (code, _, said) = against(&text.replace("to = [\"one\"", "to = [\"on\""), &[]);
    assert!(code == 78 && said.contains("did you mean `one`?"), "{code} {said}");
    let (code, ..) = porteiro(&["check", "-c", old.to_str().unwrap(), "--against", "/no/such/file.toml"]);
    assert_eq!(code, 78);
}

#[test]
fn what_is_only_on_the_box_need_not_be_here() {
    let estate = estate();
    let text = fs::read_to_string(estate.path("porteiro.toml")).unwrap();
    let elsewhere = text
        .replace("\"certificate.pem\"", "\"/no/such/certificate.pem\"")
        .replace("{ file = \"secret\" }", "{ env = \"ELSEWHERE\" }")
        .replace("\"verify-token\"", "\"/no/such/token\"");
    estate.write("box.toml", elsewhere.as_bytes());
    let (code, _, said) = check(&estate, "box.toml", &[]);
    assert!(code == 78 && said.contains("3 problems in "), "{said}");
    let (code, told, said) = check(&estate, "box.toml", &["--offline"]);
    assert!(code == 0 && told.contains("is a configuration that works."), "{said}");
    for line in [
        "\nNot checked here\n",
        "\n  file /no/such/token: it is not here, and taken for right\n",
        "\n  file key.pem: what it belongs to is not here, and it is taken for right\n",
        "\n  the machine: it is another one: ",
        "\n  variable ELSEWHERE: it is not here, and taken for right\n",
    ] {
        assert!(told.contains(line), "{line:?} is missing in\n{told}");
    }
    let (_, told, _) = check(&estate, "box.toml", &["--offline", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let what = told["not_checked"].as_array().unwrap().iter().map(|left| left["what"].as_str().unwrap());
    let expected =
        ["file /no/such/certificate.pem", "file /no/such/token", "file key.pem", "the machine", "variable ELSEWHERE"];
    assert_eq!(what.collect::<Vec<_>>(), expected);
    let (code, told, _) = check(&estate, "porteiro.toml", &[]);
    assert!(code == 0 && !told.contains("Not checked"), "{told}");
    estate.write("box.toml", elsewhere.replace("deadline", "dedline").as_bytes());
    let (code, _, said) = check(&estate, "box.toml", &["--offline"]);
    assert!(code == 78 && said.contains("dedline"), "{said}");
}

/// The destination that public roots would believe is one of the configuration all the same.
#[test]
fn a_machine_without_roots_leaves_no_destination_out() {
    let estate = estate();
    let text = fs::read_to_string(estate.path("porteiro.toml")).unwrap();
    let secure = text.replace("http://127.0.0.1:9/one", "https://crm.example.com/one");
    estate.write("rootless.toml", secure.as_bytes());
    let path = estate.path("rootless.toml");
    let check = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_porteiro"));
        command.args(["check", "-c"]).arg(&path).args(flags);
        command.env("SSL_CERT_FILE", "/no/such/file").env("SSL_CERT_DIR", "/no/such/directory");
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, _, said) = check(&[]);
    assert!(code == Some(78) && said.contains("no public roots"), "where it runs it needs them: {said}");
    let (code, told, said) = check(&["--offline"]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "\n  one            https://crm.example.com/one\n",
        " -> one, two\n",
        "\n  destination one: this machine has no public roots to believe it by, and whether its own has is not known\n",
    ] {
        assert!(told.contains(line), "{line:?} is missing in\n{told}");
    }
    // What else is wrong with it is found.
    estate.write("rootless.toml", secure.replace("/one\"", "/one\"\nhost = \"not a host\"").as_bytes());
    let (code, _, said) = check(&["--offline"]);
    assert!(code == Some(78) && said.contains("this host cannot be used"), "{said}");
}

#[test]
fn flags_that_exclude_each_other_are_refused() {
    for flags in [
        &["--effective", "--against", "a.toml"] as &[&str],
        &["--effective", "--explain"],
        &["--against", "a.toml", "--explain"],
        &["--against"],
    ] {
        assert_eq!(porteiro(&[&["check"], flags].concat()).0, 2, "{flags:?}");
    }
}

#[test]
fn schema_completions_and_manual_are_printed() {
    let (code, schema, _) = porteiro(&["schema"]);
    assert_eq!((code, schema.as_str()), (0, include_str!("../../config/porteiro.schema.json")));
    let (code, completions, _) = porteiro(&["completions", "bash"]);
    assert!(code == 0 && completions.contains("complete -F"), "{completions}");
    let (code, page, _) = porteiro(&["man", "check"]);
    assert!(code == 0 && page.contains(".TH porteiro-check 1") && page.contains("against"), "{page}");
    for words in [&["completions", "tcsh"] as &[&str], &["completions"], &["man", "chek"]] {
        assert_eq!(porteiro(words).0, 2, "{words:?}");
    }
}

#[test]
fn a_reader_that_goes_away_does_not_change_the_answer() {
    let estate = estate();
    let old = estate.path("porteiro.toml");
    let old = old.to_str().unwrap();
    let text = fs::read_to_string(old).unwrap();
    estate.write("reload.toml", text.replace("127.0.0.1:9/one", "127.0.0.1:9/other").as_bytes());
    estate.write("restart.toml", text.replace("1GiB", "2GiB").as_bytes());
    estate.write("broken.toml", text.replace("1GiB", "1 banana").as_bytes());
    let cases: [(&str, &[&str], i32); 6] = [
        ("porteiro.toml", &[], 0),
        ("porteiro.toml", &["--against", old], 0),
        ("reload.toml", &["--against", old], 10),
        ("restart.toml", &["--against", old], 11),
        ("restart.toml", &["--against", old, "--output", "json"], 11),
        ("broken.toml", &["--output", "json"], 78),
    ];
    for (name, more, code) in cases {
        // Nobody reads from the beginning.
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let path = estate.path(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_porteiro"));
        command.args(["check", "-c", path.to_str().unwrap()]).args(more).stdout(writer);
        let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(code), ""), "{name} {more:?}");
    }
}
