use std::fs;

use super::super::tests::stage::{Stage, WELL};
use super::super::{Environment, load_with};
use super::*;

/// A house with everything that can change.
const HOUSE: &str = r#"format = 1

[log]
level = "info"

[limits]
in-flight = "64MiB"

[listen.public]
address = "127.0.0.1:8443"
tls = [{ certificate = "tls/one.pem", key = "tls/one.key" }]

[listen.plain]
address = "127.0.0.1:8080"

[metrics]
address = "127.0.0.1:9600"

[journal]
directory = "/nonexistent/porteiro"
size = "20GiB"

[source.github]
on = ["public"]
path = "/github"
provider = "github"
secrets = [{ file = "secrets/good" }]

[destination.crm]
url = "http://127.0.0.1:9001/hooks"

[destination.archive]
url = "http://127.0.0.1:9002/hooks"
auth = { bearer = { file = "secrets/bearer" } }

[[route]]
from = ["github"]
to = ["crm", "archive"]
"#;

fn stage() -> Stage {
    let stage = Stage::set();
    stage.write("secrets/bearer", 0o600, b"open-sesame-open-sesame");
    stage
}

fn taken(stage: &Stage, text: &str) -> Inventory {
    stage.write("porteiro.toml", 0o600, text.as_bytes());
    let environment = |_: &str| None;
    let built = load_with(&stage.path().join("porteiro.toml"), Environment::new(&environment).with_hosts(&String::new));
    built.unwrap_or_else(|report| panic!("{report}")).inventory
}

/// One edit of the text, and what is told of it.
struct Case {
    from: &'static str,
    to: &'static str,
    applied: &'static [&'static str],
    restart: &'static [&'static str],
    destinations: &'static [&'static str],
}

const fn applied(from: &'static str, to: &'static str, applied: &'static [&'static str]) -> Case {
    Case { from, to, applied, restart: &[], destinations: &[] }
}

const fn restart(from: &'static str, to: &'static str, restart: &'static [&'static str]) -> Case {
    Case { from, to, applied: &[], restart, destinations: &[] }
}

/// Holds each edit against what is told of it, and of taking it back.
#[track_caller]
fn check(cases: &[Case]) {
    let stage = stage();
    let before = taken(&stage, HOUSE);
    for Case { from, to, applied, restart, destinations } in cases {
        let text = if from.is_empty() { format!("{HOUSE}{to}") } else { HOUSE.replacen(from, to, 1) };
        assert_ne!(text, HOUSE, "{from}");
        let after = taken(&stage, &text);
        let changes = Changes::between(&before, &before, &after);
        let told = (changes.applied, changes.restart, changes.destinations.into_iter().collect::<Vec<_>>());
        let wanted =
            [applied, restart, destinations].map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(told, wanted.into(), "{from} -> {to}");
        // And back again.
        let back = Changes::between(&before, &after, &before);
        assert_eq!((back.applied.len(), back.restart.len()), (applied.len(), 0), "{to} -> {from}");
    }
}

#[test]
fn what_a_running_house_takes_in_is_named() {
    check(&[
        applied("", "# words\n", &[]),
        applied("path = \"/github\"", "path = \"/hub\"", &["source github: changed (path)"]),
        applied(
            "path = \"/github\"",
            "path = \"/hub\"\nlimits = { body = \"2MiB\" }\nhost = \"a.example\"",
            &["source github: changed (host, limits.body, path)"],
        ),
        applied(
            "[[route]]",
            "[source.two]\non = [\"plain\"]\npath = \"/two\"\nprovider = \"github\"\nsecrets = [{ file = \"secrets/good\" }]\n\n[[route]]",
            &["source two: added"],
        ),
        applied("to = [\"crm\", \"archive\"]", "to = [\"crm\"]", &["route: changed"]),
        Case {
            destinations: &["crm"],
            ..applied("9001/hooks\"", "9003/hooks\"\nconcurrency = 2", &["destination crm: changed (concurrency, url)"])
        },
        // Every destination is built with it.
        Case {
            destinations: &["archive", "crm"],
            ..applied("format = 1\n", "format = 1\nproxy = \"http://proxy.example:3128\"\n", &["proxy: added"])
        },
        applied(
            "[[route]]",
            "[destination.new]\nurl = \"http://127.0.0.1:9009/\"\n\n[[route]]",
            &["destination new: added"],
        ),
        applied(
            "[listen.plain]",
            "public-url = \"https://a.example\"\n\n[listen.plain]",
            &["listen public: changed (public-url)"],
        ),
        applied(
            "tls = [{ certificate = \"tls/one.pem\", key = \"tls/one.key\" }]",
            "tls = [{ certificate = \"tls/two.pem\", key = \"tls/two.key\" }]",
            &["listen public: changed (tls)"],
        ),
        applied("[metrics]", "[reload]\nwatch = true\n\n[metrics]", &["reload: added"]),
    ]);
}

#[test]
fn what_waits_for_a_restart_is_told_apart() {
    check(&[
        restart("127.0.0.1:8080", "127.0.0.1:8081", &["listen plain: changed (address)"]),
        restart(
            "tls = [{ certificate = \"tls/one.pem\", key = \"tls/one.key\" }]\n",
            "",
            &["listen public: changed (tls)"],
        ),
        restart(
            "127.0.0.1:8080\"",
            "127.0.0.1:8080\"\nlimits = { connections = 9 }",
            &["listen plain: changed (limits.connections)"],
        ),
        restart(
            "[metrics]",
            "[listen.third]\naddress = \"127.0.0.1:8090\"\npublic-url = \"https://b.example\"\n\n[metrics]",
            &["listen third: added"],
        ),
        restart("[listen.plain]\naddress = \"127.0.0.1:8080\"\n", "", &["listen plain: removed"]),
        restart("20GiB", "30GiB", &["journal: changed (size)"]),
        restart(
            "\"/nonexistent/porteiro\"",
            "\"/nonexistent/other\"\nkeep = { delivered = \"1h\" }",
            &["journal: changed (directory, keep.delivered)"],
        ),
        restart("127.0.0.1:9600", "127.0.0.1:9601", &["metrics: changed (address)"]),
        restart("64MiB", "65MiB", &["limits: changed (in-flight)"]),
        restart("\"info\"", "\"warn\"", &["log: changed (level)"]),
        restart("[metrics]", "[dedup]\nwindow = \"1h\"\n\n[metrics]", &["dedup: added"]),
        restart("[metrics]", "[control]\nsocket = \"control.sock\"\n\n[metrics]", &["control: added"]),
    ]);
}

#[test]
fn several_changes_are_told_together_and_a_removed_destination_is_none_to_be_changed() {
    let stage = stage();
    let before = taken(&stage, HOUSE);
    let text = HOUSE.replace("20GiB", "30GiB").replace("[\"crm\", \"archive\"]", "[\"archive\"]");
    let text = text.replace("[destination.crm]\nurl = \"http://127.0.0.1:9001/hooks\"\n", "");
    let changes = Changes::between(&before, &before, &taken(&stage, &text));
    assert_eq!(changes.applied, ["destination crm: removed", "route: changed"]);
    assert_eq!(changes.restart, ["journal: changed (size)"]);
    assert!(changes.destinations.is_empty());
}

#[test]
fn what_waits_for_a_restart_is_told_until_it_has_happened() {
    let stage = stage();
    let started = taken(&stage, HOUSE);
    let running = taken(&stage, &HOUSE.replace("20GiB", "30GiB"));
    let next = taken(&stage, &HOUSE.replace("20GiB", "30GiB").replace("/github\"", "/hub\""));
    let changes = Changes::between(&started, &running, &next);
    assert_eq!((changes.applied.len(), &*changes.restart), (1, &["journal: changed (size)".to_owned()][..]));
    assert_eq!(Changes::between(&started, &running, &started), Changes::default(), "taken back");
}

#[test]
fn a_file_is_told_of_by_its_name_and_by_who_names_it() {
    let stage = stage();
    let before = taken(&stage, HOUSE);
    let cases: [(&str, &[u8], &str, &[&str]); 3] = [
        ("secrets/good", b"another-secret-another", "file secrets/good: changed (source github)", &[]),
        ("secrets/bearer", b"another-bearer", "file secrets/bearer: changed (destination archive)", &["archive"]),
        ("tls/one.key", b"", "file tls/one.key: changed (listen public)", &[]),
    ];
    for (name, bytes, told, destinations) in cases {
        let kept = fs::read(stage.path().join(name)).unwrap();
        // A key that is still a key.
        let bytes = if bytes.is_empty() { [&kept[..], b"\n"].concat() } else { bytes.to_vec() };
        stage.write(name, 0o600, &bytes);
        let changes = Changes::between(&before, &before, &taken(&stage, HOUSE));
        assert_eq!(changes.applied, [told]);
        assert_eq!(changes.destinations.iter().collect::<Vec<_>>(), destinations, "{name}");
        assert!(!format!("{changes:?}").contains("another"), "nothing that stands in it is told");
        stage.write(name, 0o600, &kept);
        assert_eq!(Changes::between(&before, &before, &taken(&stage, HOUSE)), Changes::default(), "only touched");
    }
}

#[test]
fn a_file_that_changes_while_a_configuration_is_built_is_changed_for_whoever_comes_next() {
    let stage = stage();
    let before = taken(&stage, HOUSE);
    let path = stage.path().join("secrets/bearer");
    let asking = || {
        let asked = Asked::default();
        asked.text(&stage.path().join("porteiro.toml")).unwrap();
        asked.note("secrets/bearer", &path);
        asked
    };
    let kept = fs::read(&path).unwrap();
    let between: [(&str, &dyn Fn()); 3] = [
        ("rewritten", &|| stage.write("secrets/bearer", 0o600, b"another-bearer-another")),
        ("as it was in the end", &|| stage.write("secrets/bearer", 0o600, &[&kept[..], b"\n"].concat())),
        ("gone", &|| fs::remove_file(&path).unwrap()),
    ];
    for (what, change) in between {
        stage.write("secrets/bearer", 0o600, &kept);
        let asked = asking();
        change();
        let running = Inventory::take(&asked);
        assert!(running.files().contains_key(&path), "{what}: it is watched all the same");
        // What is there now is what the next one is built of.
        stage.write("secrets/bearer", 0o600, b"another-bearer-another");
        let next = Inventory::take(&asking());
        for (from, to) in [(&running, &next), (&before, &running), (&running, &running)] {
            let changes = Changes::between(&before, from, to);
            assert!(changes.destinations.contains("archive"), "{what}: {changes:?}");
        }
        assert_eq!(Changes::between(&next, &next, &next), Changes::default(), "{what}");
    }
}

#[test]
fn a_file_that_is_named_alike_from_another_place_is_compared() {
    let (here, there) = (stage(), stage());
    for name in ["tls/one.pem", "tls/one.key"] {
        there.write(name, 0o600, &fs::read(here.path().join(name)).unwrap());
    }
    let own = "[source.own]\non = [\"plain\"]\npath = \"/own\"\nprovider = \"providers/acme.toml\"\n\
               secrets = [{ file = \"secrets/good\" }]\naddresses = [{ file = \"lists/office.txt\" }]\n\n[[route]]";
    let text = HOUSE.replace("[[route]]", own);
    let before = taken(&here, &text);
    assert_eq!(Changes::between(&before, &before, &taken(&there, &text)), Changes::default());
    for (name, by) in [
        ("lists/office.txt", "source own"),
        ("providers/acme.toml", "source own"),
        ("secrets/bearer", "destination archive"),
        ("tls/one.pem", "listen public"),
    ] {
        let kept = fs::read(there.path().join(name)).unwrap();
        there.write(name, 0o600, &[&kept[..], b"\n"].concat());
        let changes = Changes::between(&before, &before, &taken(&there, &text));
        assert_eq!(changes.applied, [format!("file {name}: changed ({by})")]);
        there.write(name, 0o600, &kept);
    }
}

#[test]
fn an_inventory_names_every_file_to_be_watched_and_nothing_else() {
    let stage = stage();
    let inventory = taken(&stage, HOUSE);
    let files: Vec<_> = inventory.files().into_keys().collect();
    let named = ["secrets/bearer", "secrets/good", "tls/one.key", "tls/one.pem"].map(|name| stage.path().join(name));
    assert_eq!(files, named);
    assert_eq!(taken(&stage, WELL).files().len(), 1, "a journal's directory and a socket are no files to be read");
}

#[test]
fn a_stamp_tells_another_file_another_length_other_rights_and_none() {
    let stage = stage();
    let path = stage.path().join("file");
    let none = Stamp::of(&path);
    stage.write("file", 0o600, b"1");
    let first = Stamp::of(&path);
    assert!(first == Stamp::of(&path) && first != none);
    stage.write("file", 0o600, b"12");
    let longer = Stamp::of(&path);
    stage.write("file", 0o640, b"12");
    let open = Stamp::of(&path);
    stage.write("other", 0o640, b"12");
    fs::rename(stage.path().join("other"), &path).unwrap();
    let all = [none, first, longer, open, Stamp::of(&path)];
    for (place, one) in all.iter().enumerate() {
        assert!(all[place + 1..].iter().all(|other| other != one), "{place}");
    }
}
