//! What is sent where, and what is printed of it.

use clap::Parser;

use super::*;
use crate::config::Hidden;
use crate::config::tests::stage::{Stage, WELL};
use crate::secret::Secret;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    send: Send,
}

fn parse(words: &[&str]) -> Result<Send, clap::Error> {
    Line::try_parse_from([&["send"], words].concat()).map(|line| line.send)
}

#[test]
fn what_makes_no_sense_is_refused() {
    for words in [
        &["--header", "nothing"] as &[&str],
        &["--header", "a b: c"],
        &["--capture", "token"],
        &["--to", "hooks.example.com"],
        &["--to", "ftp://hooks.example.com"],
        &["--to", "https://hooks.example.com/path"],
        &["--to", "https://hooks.example.com?query"],
        &["--to", ""],
        &["--times", "0"],
        &["--times", "1000001"],
        &["--rate", "10"],
        &["--ca", "ca.pem", "--insecure"],
        &["--dry-run", "--times", "2"],
        &["--method", "GE T"],
        &["--within", "2"],
        &["extra"],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
    let well = ["--to", "https://[::1]:8443/", "--header", "X-A: b: c", "--capture", "a=b=c", "--times", "3"];
    let send = parse(&well).unwrap();
    assert_eq!(send.header[0].1, "b: c");
    assert_eq!(send.capture[0], ("a".to_owned(), "b=c".to_owned()));
}

#[test]
fn a_body_is_a_file_or_a_text_and_a_slip_of_the_hand_is_neither() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("body.json");
    std::fs::write(&path, b"{\"a\":1}\n").unwrap();
    assert_eq!(body(path.to_str().unwrap()).unwrap(), b"{\"a\":1}\n");
    for text in ["{\"a\":1}", "a=1&b=2", "", "two words", "<xml/>", "[1]"] {
        assert_eq!(body(text).unwrap(), text.as_bytes());
    }
    for slip in ["body.jsn", "tests/body"] {
        assert!(body(slip).unwrap_err().starts_with(slip));
    }
}

fn mask() -> Mask {
    let hidden = |text: &str, shell: &str| Hidden { secret: Secret::new(text.into()), shell: shell.to_owned() };
    let secrets = [
        ("open sesame", "$(cat 'a/secret')"),
        ("open sesame, please", "${OTHER}"),
        ("crm:sesam?", "${BASIC}"),
        ("pin7", "${PIN}"),
        ("ends with 0", "${ZERO}"),
    ];
    Mask::of(secrets.map(|(secret, shell)| hidden(secret, shell)).into())
}

#[test]
fn no_secret_is_shown_neither_as_it_is_nor_as_it_stands_in_a_url_nor_nearly() {
    for (text, shown) in [
        ("nothing of it", "nothing of it"),
        ("x open sesame x", "x *** x"),
        ("/a/open%20sesame/b", "/a/***/b"),
        ("open sesame, please and open sesame", "*** and ***"),
        ("/a/open%20sesam0/b", "/a/***/b"),
        ("/a?token=open%20sesam0", "/a?token=***"),
        ("x-token: open sesam0", "x-token: ***"),
        ("/a/ends%20with%201", "/a/***"),
        ("/a/pin7", "/a/***"),
        ("/a/pin0", "/a/***"),
        ("pins are no secret", "pins are no secret"),
        ("authorization: Basic Y3JtOnNlc2FtPw==", "authorization: Basic ***"),
        ("authorization: Basic Y3JtOnNlc2FtPw=0", "authorization: Basic ***"),
        ("/a/crm%3Asesam%3F", "/a/***"),
        ("/a/crm%3Asesam%30", "/a/***"),
    ] {
        assert_eq!(mask().plain(text), shown);
    }
}

#[test]
fn a_shell_reads_a_secret_where_it_stands_and_everything_else_as_it_is() {
    for (text, word) in [
        ("simple", "simple"),
        ("", "''"),
        ("it's $HOME", "'it'\\''s $HOME'"),
        ("x-token: open sesame", "'x-token: '\"$(cat 'a/secret')\""),
        ("open sesame, please!", "\"${OTHER}\"'!'"),
        ("/a/open%20sesame/b", "/a/\"***\"/b"),
        ("authorization: Basic Y3JtOnNlc2FtPw==", "'authorization: Basic '\"***\""),
        ("/a/open%20sesam0", "/a/\"***\""),
    ] {
        assert_eq!(mask().word(text), word);
    }
}

/// What is composed for the only source, and where it goes.
fn composed(config: &Config, body: Option<&[u8]>) -> (Asked, Place) {
    let body = body.map(<[u8]>::to_vec);
    let wanted = Wanted { body, ..Wanted::sample(&config.sources[0]) };
    let asked = rehearsal::compose(config, &wanted, Clock::system().now()).unwrap();
    let place = Place::find(config, &asked, None).unwrap();
    (asked, place)
}

#[test]
fn what_is_answered_to_an_event_that_is_right_is_explained_by_what_can_be_so() {
    let other = "is another one running, or other secrets?";
    let delivered = "ack = { delivered = { destination = \"crm\", pass = [409, 429] } }\nlate = { status = 504 }\n";
    let stage = Stage::set();
    for (more, status, expected) in [
        ("", 401, other),
        ("", 409, other),
        ("", 404, other),
        ("", 429, "it was proven, and is over its tenant's rate"),
        ("", 503, "it was proven, and there is no room for it now: a full disk"),
        (delivered, 401, other),
        (delivered, 503, "there is no room for it now"),
        (delivered, 409, "it was taken, and this is what destination crm answered"),
        (delivered, 429, "it was taken, and this is what destination crm answered"),
        (delivered, 504, "it was taken, and destination crm gave no answer in time"),
    ] {
        let text = WELL.replace("provider = ", &format!("{more}provider = "));
        let config = stage.build("porteiro.toml", &text).unwrap_or_else(|report| panic!("{report}"));
        let (asked, place) = composed(&config, None);
        let (mask, status) = (Mask::of(Vec::new()), status.try_into().unwrap());
        let told = told::Told::new(&config, &config.sources[0], &place, &mask);
        let answer = Answer { status, headers: HeaderMap::new(), body: Vec::new(), took: Duration::ZERO };
        let mut out = Vec::new();
        told.text(&[(asked, answer)], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!((text.contains(expected), text.contains(other)), (true, expected == other), "{more}{text}");
    }
}

#[test]
fn a_dry_run_says_every_byte_of_the_body_or_that_it_cannot() {
    let config = Stage::set().build("porteiro.toml", WELL).unwrap();
    let line = |body: &[u8]| {
        let (asked, place) = composed(&config, Some(body));
        shown::curl(&place, &asked, &mask(), false, None)
    };
    for (body, words) in [
        (b"@/etc/hosts" as &[u8], " --data-raw @/etc/hosts "),
        (b"open sesame@", " --data-raw \"$(cat 'a/secret')\"@ "),
        ("\u{e9} \r\n".as_bytes(), " --data-raw '\u{e9} \r\n' "),
    ] {
        let line = line(body).unwrap();
        assert!(line.contains(words), "{line}");
    }
    assert!(!line(b"").unwrap().contains("--data"));
    for body in [b"\xff{}" as &[u8], b"{\0}", b"\xc3"] {
        assert!(line(body).unwrap_err().contains("no text"), "{body:?}");
    }
}
