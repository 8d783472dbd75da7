//! One slip does not hide the next one, and no text makes it panic.

use proptest::prelude::*;

use super::stage::{Stage, WELL};
use crate::config::{Environment, Report};
use crate::config::{fuzz, load_with};

fn refused(text: &str) -> Report {
    Stage::set().build("porteiro.toml", text).expect_err("the text is wrong")
}

/// The titles of a report, and the lines they stand in.
fn told(report: &Report) -> Vec<(usize, String)> {
    report.problems().iter().map(|problem| (report.place(problem).line, problem.title().to_owned())).collect()
}

#[test]
fn problems_of_every_kind_are_told_together() {
    let text = r#"format = 2
[log]
level = "loud"
[listen.public]
adress = "127.0.0.1:8443"
public-url = "hooks.example.com"
[listen.plain]
address = 8080
[journal]
directory = "/nonexistent/porteiro"
size = "20GB"
[source.github]
on = ["pubic"]
path = "github"
provider = "gihub"
secrets = ["open-sesame-open-sesame"]
[destination.crm]
url = "ftp://10.0.0.12/"
deadline = 30
success = ["2yy"]
[[route]]
from = ["git"]
to = ["crn"]
"#;
    let report = refused(text);
    let told = told(&report);
    let lines: Vec<usize> = told.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 3, 5, 6, 8, 11, 13, 14, 15, 16, 18, 19, 20, 22, 23], "{told:#?}\n{report}");
    assert!(!report.to_string().contains("open-sesame"), "{report}");
}

#[test]
fn a_segment_holds_a_body_and_the_largest_head_of_its_listeners() {
    let text = WELL.replace("path = ", "limits = { body = \"900KiB\" }\npath = ");
    let text = text.replace("[journal]", "[journal]\nsegment = \"1MiB\"");
    assert!(Stage::set().build("porteiro.toml", &text).is_ok());
    let text = text.replace("[journal]", "[listen.public.limits]\nhead-size = \"256KiB\"\n[journal]");
    let told = told(&refused(&text));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.contains("does not fit a segment"), "{told:?}");
}

#[test]
fn what_could_not_be_read_is_not_missed_too() {
    let text = WELL.replace("directory = \"/nonexistent/porteiro\"", "directory = 5").replace("url = ", "url = 7 # ");
    let told = told(&refused(&text));
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_slip_in_the_syntax_does_not_hide_a_slip_in_a_key() {
    let text = WELL.replace("format = 1", "format = 1\nwhat is this").replace("path =", "pth =");
    let told = told(&refused(&text));
    assert!(told.iter().any(|(line, title)| *line == 2 && title.contains("not TOML")), "{told:?}");
    assert!(told.iter().any(|(_, title)| title.contains("`pth`")), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_of_its_own() {
    let stage = Stage::set();
    let nothing = |_: &str| None;
    for (path, word) in [("missing.toml", "no such file"), ("secrets", "the configuration cannot be read")] {
        let report = load_with(&stage.path().join(path), Environment::new(&nothing)).unwrap_err();
        assert!(report.to_string().contains(word), "{report}");
    }
    stage.write("latin.toml", 0o600, b"format = 1 # \xe7\n");
    assert!(load_with(&stage.path().join("latin.toml"), Environment::new(&nothing)).is_err());
    stage.write("well.toml", 0o600, WELL.as_bytes());
    assert!(load_with(&stage.path().join("well.toml"), Environment::new(&nothing)).is_ok());
}

#[test]
fn no_half_of_a_configuration_makes_it_panic() {
    for (at, _) in WELL.char_indices() {
        fuzz(&WELL[..at]);
        fuzz(&WELL[at..]);
    }
}

#[test]
fn no_line_in_a_wrong_place_makes_it_panic() {
    let lines: Vec<&str> = WELL.lines().collect();
    for left in 0..lines.len() {
        for right in 0..lines.len() {
            let mut lines = lines.clone();
            lines.swap(left, right);
            fuzz(&lines.join("\n"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        fuzz(&text);
    }

    #[test]
    fn no_change_of_a_configuration_makes_it_panic(
        at in 0..WELL.len(),
        length in 0_usize..40,
        new in "[\\[\\]{}=\"'a-z0-9.,# \n\\PC]{0,12}",
    ) {
        let mut text = WELL.to_owned();
        let end = (at + length).min(text.len());
        text.replace_range(at..end, &new);
        fuzz(&text);
    }
}
#[test]
fn no_depth_and_no_length_makes_it_panic() {
    for n in [10, 100, 1000] {
        for (open, close) in [("[", "]"), ("{a=", "}"), ("[{a=", "}]")] {
            fuzz(&format!("format = 1\nsource = {}1{}", open.repeat(n), close.repeat(n)));
            fuzz(&format!("format = 1\nlisten.a.tls = {}1", open.repeat(n)));
        }
        fuzz(&format!("{} = 1", vec!["a"; n].join(".")));
        fuzz(&format!("[{}]\n", vec!["source"; n].join(".")));
        fuzz(&"x\n".repeat(n));
        fuzz(&"[a]\nx=\n".repeat(n));
        fuzz(&"[[route]]\nfrm = 1\n".repeat(n));
    }
}

#[test]
fn more_problems_than_anybody_reads_end_with_a_word() {
    let told = told(&refused(&format!("{WELL}{}", "[[route]]\nfrm = 1\n".repeat(200))));
    assert_eq!(told.len(), 101, "{told:?}");
    assert!(told.last().unwrap().1.starts_with("too many problems"));
}
