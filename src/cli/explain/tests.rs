//! What `check --explain` prints.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use clap::Parser;

use super::*;
use crate::config;

const TEXT: &str = r#"format = 1

[listen.inside]
address = "127.0.0.1:8442"

[listen.public]
address = "127.0.0.1:8443"
public-url = "https://hooks.example.com"

[journal]
directory = "/nonexistent/porteiro"

[source.github]
on = ["public"]
path = "/github/*"
provider = "github"
secrets = [{ file = "secret" }]
limits = { body = "1KiB" }
ack = { delivered = { destination = "crm", deadline = "3s", pass = [422], callers = 9 } }
addresses = ["192.0.2.0/24"]

[source.meta]
on = ["public"]
path = "/meta"
provider = "meta"
secrets = [{ file = "secret" }]
values = { verify-token = { file = "secret" } }

[source.tokens]
on = ["public"]
path = "/tokens/{key}/*"
provider = "token"
secrets = [{ file = "secret" }]
values = { token = "path:key" }

[destination.crm]
url = "http://127.0.0.1:9001/hooks/*?from=porteiro"

[destination.archive]
url = "https://archive.example.com/"

[[route]]
name = "issues"
from = ["github"]
when = { kind = { prefix = "iss" } }
to = ["archive"]

[[route]]
from = ["github"]
when = { all = [{ kind = "push" }, { not = { pointer = "/ref", glob = "refs/tags/*" } }] }
to = ["crm", "archive"]

[[route]]
name = "pings"
from = ["github"]
when = { kind = "ping" }
discard = true

[tenant.first]
keys = { meta = ["1"] }

[tenant.acme]
keys = { github = ["acme"] }

[[route]]
from = ["meta"]
when = { tenant = "first" }
to = ["crm"]

[[route]]
name = "batches"
from = ["meta"]
mixed = true
to = ["archive"]
"#;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    explain: Explain,
}

/// A directory with the configuration and what else a test writes.
struct Stage(tempfile::TempDir);

impl Stage {
    fn set() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        stage.write("porteiro.toml", TEXT.as_bytes());
        stage.write("secret", b"open-sesame-open-sesame");
        stage
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    fn config(&self) -> Config {
        config::load(&self.0.path().join("porteiro.toml")).unwrap()
    }

    fn explain(&self, words: &[&str]) -> Result<(String, Value), String> {
        let words = ["porteiro", "--explain"].iter().chain(words);
        let Arguments { explain } = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        let config = self.config();
        let story = story(&config, &explain)?;
        let (mut people, mut machines) = (Vec::new(), Vec::new());
        text(&config, &story, &mut people).unwrap();
        json(&config, &story, &mut machines).unwrap();
        let people = String::from_utf8(people).unwrap();
        assert!(!people.contains("open-sesame"), "{people}");
        Ok((people, serde_json::from_slice(&machines).unwrap()))
    }
}

/// Every row: the arguments, and lines of what is printed for them.
#[track_caller]
fn check(stage: &Stage, words: &[&str], lines: &[&str]) -> Value {
    let (people, machines) = stage.explain(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    for line in lines {
        assert!(people.contains(line), "{line} is missing in\n{people}");
    }
    assert!(people.lines().all(|line| !line.ends_with(' ')), "{people}");
    machines
}

#[test]
fn what_only_observes_is_told_apart() {
    let stage = Stage::set();
    let words = ["--source", "meta", "--body", &stage.write("two", b"{\"entry\":[{\"id\":\"1\"},{\"id\":\"2\"}]}")];
    let told = check(&stage, &words, &["destinations   archive at https://archive.example.com/"]);
    assert_eq!((&told["observed"], &told["event"]["to"][0]["observes"]), (&false.into(), &false.into()));
    let text = TEXT
        .replace("path = \"/meta\"", "path = \"/meta\"\nmode = \"observe\"")
        .replace("archive.example.com/\"", "archive.example.com/\"\nmode = \"observe\"");
    stage.write("porteiro.toml", text.as_bytes());
    let lines = [
        "it only observes: nothing of this is stored or sent",
        "; it only observes, and is not sent it",
        "answer         200",
    ];
    let told = check(&stage, &words, &lines);
    assert_eq!((&told["observed"], &told["event"]["to"][0]["observes"]), (&true.into(), &true.into()));
}

#[test]
fn an_event_is_led_to_its_destinations() {
    let stage = Stage::set();
    let body = stage.write("body.json", br#"{"ref":"refs/heads/main","repository":{"owner":{"login":"acme"}}}"#);
    let words = ["--source", "github", "--path", "/github/a/b?x=1", "--body", &body, "--from", "192.0.2.7"];
    let headers = ["--header", "X-GitHub-Event: push", "--header", "X-GitHub-Delivery: d1"];
    let told = check(
        &stage,
        &[&words[..], &headers].concat(),
        &[
            "POST /github/a/b to hooks.example.com by listener public",
            "source         github, /github/* (github)",
            "bodies up to 1KiB within 30s, at least 1KiB/s after 5s, and this one has 65 bytes",
            "only from the addresses that are listed, asked for 192.0.2.7",
            "proof          was not asked for: the request is taken for proven (--prove asks)",
            "tenant         acme",
            "kind           push",
            "which is its dedup key, too",
            "route          2 (",
            "porteiro.toml:48)",
            "because kind is \"push\" and not (json:/ref looks like \"refs/tags/*\")",
            "not issues (",
            "porteiro.toml:42)",
            "destinations   crm at http://127.0.0.1:9001/hooks/a/b?from=porteiro&x=1",
            "archive at https://archive.example.com/?x=1",
            "answer         200: empty",
            "ack            what destination crm answers (2xx, 422) once the event is on disk, 200 after 3s; at most 9 callers",
        ],
    );
    assert_eq!((&told["source"], &told["status"], &told["proof"]), (&"github".into(), &200.into(), &"skipped".into()));
    let event = &told["event"];
    assert_eq!((&event["route"], &event["line"], &event["kind"]), (&"2".into(), &48.into(), &"push".into()));
    assert_eq!(event["to"][0]["url"], "http://127.0.0.1:9001/hooks/a/b?from=porteiro&x=1");
    assert_eq!(event["passed"], json!([{ "route": "issues", "line": 42 }]));
}

#[test]
fn what_is_woven_into_a_url_is_shown_as_it_is_called() {
    let stage = Stage::set();
    let text = TEXT
        .replace("archive.example.com/\"", "archive.example.com/of/{source}/{tenant}/{kind}/{id}/x?n={attempt}\"")
        .replace("{ prefix = \"iss\" }", "{ in = [\"issues\", \"..\", \"a b/c\"] }");
    stage.write("porteiro.toml", text.as_bytes());
    let body = stage.write("body.json", br#"{"repository":{"owner":{"login":"acme"}}}"#);
    for (kind, told) in [
        ("issues", "archive at https://archive.example.com/of/github/acme/issues/{id}/x?n=1"),
        ("a b/c", "archive at https://archive.example.com/of/github/acme/a%20b%2Fc/{id}/x?n=1"),
        ("..", "archive at none: its path, or what is woven in of the event, leads out of the destination's"),
    ] {
        let header = format!("X-GitHub-Event: {kind}");
        let words = ["--source", "github", "--body", &body, "--header", &header];
        check(&stage, &words, &[told]);
        // With an id that is known.
        let told = stage.explain(&[&words[..], &["--header", "X-GitHub-Delivery: d1"]].concat()).unwrap().1;
        let (id, url) = (told["event"]["id"].as_str().unwrap(), told["event"]["to"][0]["url"].as_str());
        assert_eq!(url.map(|url| url.contains(&format!("/{id}/x?"))), (kind != "..").then_some(true), "{url:?}");
    }
}

#[test]
fn what_nobody_hears_is_told_apart_from_what_is_discarded() {
    let stage = Stage::set();
    let ping = ["--source", "github", "--header", "x-github-event: ping"];
    let lines = [
        "route          pings (",
        "destinations   none: nothing is stored",
        "ack            at once: nothing is stored",
    ];
    let told = check(&stage, &ping, &lines);
    assert_eq!((&told["event"]["discard"], &told["event"]["readable"]), (&true.into(), &false.into()));
    let fork = ["--source", "github", "--header", "x-github-event: fork"];
    let lines = [
        "route          none matches",
        "not pings (",
        "none: it is stored, and owed to nobody",
        "cannot be read",
        "ack            200 once the event is on disk: it does not go to destination crm",
    ];
    let told = check(&stage, &fork, &lines);
    assert_eq!((&told["event"]["route"], &told["event"]["discard"]), (&"none".into(), &false.into()));
}

#[test]
fn what_proves_a_request_is_not_shown() {
    let stage = Stage::set();
    let lines = [
        "POST /tokens/{key}/* to",
        "source         tokens",
        "proof          holds",
        "route          none matches",
        "ack            200 once the event is on disk\n",
    ];
    check(&stage, &["--path", "/tokens/open-sesame-open-sesame/x", "--prove"], &lines);
    check(&stage, &["--path", "/tokens/another/x", "--prove"], &["answer         401: the signature does not match"]);
}

#[test]
fn a_batch_of_several_tenants_and_a_tenant_are_led_apart() {
    let stage = Stage::set();
    for (name, body, tenant, route) in [
        ("one", r#"{"entry":[{"id":"1"},{"id":"1"}]}"#, "tenant         first", "route          4 ("),
        ("two", r#"{"entry":[{"id":"1"},{"id":"2"}]}"#, "several together: 1, 2", "route          batches ("),
        ("other", r#"{"entry":[{"id":"2"}]}"#, "tenant         unknown", "route          none matches"),
        ("nobody", "{}", "tenant         none", "route          none matches"),
    ] {
        let body = stage.write(name, body.as_bytes());
        check(&stage, &["--source", "meta", "--body", &body], &[tenant, route]);
    }
}

#[test]
fn the_limits_of_whose_it_is_are_told() {
    let stage = Stage::set();
    let text = TEXT.replace(
        "[tenant.first]\n",
        "[tenants]\nrate = \"10/s\"\n\n[tenant.first]\nover = \"refuse\"\nrate = \"2/m\"\nburst = 7\n",
    );
    for (name, body, limited, free) in [
        ("one", r#"{"entry":[{"id":"1"}]}"#, "2/m, 7 at once;", "none: it may send as much as it likes"),
        ("over", r#"{"entry":[{"id":"1"}]}"#, "(as its section says)", "none: it may"),
        ("two", r#"{"entry":[{"id":"1"},{"id":"2"}]}"#, "those of each of them", "those of each of them"),
        ("other", r#"{"entry":[{"id":"2"}]}"#, "10/s, 50 at once;", "none: who is not configured"),
        ("nobody", "{}", "for all events of this source that name nobody; over it", "none: who is not configured"),
    ] {
        let body = stage.write(name, body.as_bytes());
        for (text, limits) in [(&text[..], limited), (TEXT, free)] {
            stage.write("porteiro.toml", text.as_bytes());
            let told = check(&stage, &["--source", "meta", "--body", &body], &["its limits: ", limits]);
            assert!(told["event"]["limits"].as_str().unwrap().contains(limits), "{told}");
        }
    }
    check(&stage, &["--path", "/tokens/x/y"], &["its limits: none: the events of this source name no tenants"]);
}

#[test]
fn what_is_refused_is_told_with_its_status() {
    let stage = Stage::set();
    let large = stage.write("large", &[b' '; 1025]);
    for (words, lines, word) in [
        (&["--path", "/nowhere"][..], &["none has this host and path", "answer         404: no source"][..], "nowhere"),
        (&["--source", "github", "--method", "PUT"], &["answer         405"], "method"),
        (&["--source", "github", "--body", &large], &["answer         413", "has 1025 bytes"], "too_large"),
        (&["--source", "github", "--from", "198.51.100.1"], &["answer         403"], "address"),
        (
            &["--source", "github", "--prove"],
            &["proof          does not hold", "answer         401"],
            "missing_signature",
        ),
        (&["--source", "meta", "--method", "GET"], &["answer         401"], "method"),
        (
            &["--path", "/meta?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1", "--method", "GET"],
            &["proof          does not hold", "answer         40"],
            "challenge_token",
        ),
    ] {
        let told = check(&stage, words, lines);
        assert_eq!((&told["refused"], &told["event"]), (&word.into(), &Value::Null), "{words:?}");
    }
}

#[test]
fn a_handshake_is_one_without_a_proof_of_events() {
    let stage = Stage::set();
    let path = "/meta?hub.mode=subscribe&hub.verify_token=open-sesame-open-sesame&hub.challenge=1234";
    let words = ["--path", path, "--method", "GET", "--listener", "public"];
    let told =
        check(&stage, &words, &["GET /meta to", "answer         200: the handshake, 4 bytes", "a handshake, which"]);
    assert_eq!((&told["status"], &told["event"], &told["refused"]), (&200.into(), &Value::Null, &Value::Null));
}

/// A source that signs its handshakes, and one that is asked for a token with every request.
const GUARDED: &str = r#"
[source.slack]
on = ["public"]
path = "/slack"
provider = "slack"
secrets = [{ file = "secret" }]

[source.guarded]
on = ["public"]
path = "/guarded"
provider = "meta"
secrets = [{ file = "secret" }]
values = { verify-token = { file = "secret" } }
proof = { header = { name = "X-Portaria", token = { file = "secret" } } }
"#;

#[test]
fn a_handshake_that_has_to_be_proven_is_one_without_its_proof() {
    let stage = Stage::set();
    stage.write("porteiro.toml", format!("{TEXT}{GUARDED}").as_bytes());
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aB"}"#;
    let file = stage.write("verification", body.as_bytes());
    let time = Clock::system().now().as_secs();
    let mac = crate::verify::Signer::new(b"open-sesame-open-sesame").sign(&[format!("v0:{time}:{body}").as_bytes()]);
    let mac = mac.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let (mac, time) = (format!("X-Slack-Signature: v0={mac}"), format!("X-Slack-Request-Timestamp: {time}"));
    let slack = ["--source", "slack", "--body", &file];
    let signed = [&slack[..], &["--header", &mac, "--header", &time, "--prove"]].concat();
    let path = |token: &str| format!("/guarded?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1234");
    let (right, wrong) = (path("open-sesame-open-sesame"), path("x"));
    let guarded = ["--path", &right, "--method", "GET"];
    let shown = [&guarded[..], &["--prove", "--header", "X-Portaria: open-sesame-open-sesame"]].concat();
    let assumed = "proof          was not asked for: the handshake is taken for proven (--prove asks)";
    let holds = "proof          holds, and it is a handshake";
    let fails = "proof          does not hold";
    for (words, bytes, proof, refused) in [
        (&slack[..], 9, assumed, None),
        (&signed, 9, holds, None),
        (&[&slack[..], &["--prove"]].concat(), 9, fails, Some("missing_signature")),
        (&guarded, 4, assumed, None),
        (&shown, 4, holds, None),
        (&[&guarded[..], &["--prove"]].concat(), 4, fails, Some("missing_signature")),
        // What the handshake itself shows is no proof that could be granted.
        (&["--path", &wrong, "--method", "GET"], 4, fails, Some("challenge_token")),
    ] {
        let answer = match refused {
            None => format!("answer         200: the handshake, {bytes} bytes"),
            Some(_) => "answer         40".to_owned(),
        };
        let told = check(&stage, words, &[proof, &answer]);
        assert_eq!((&told["handshake"], &told["event"]), (&refused.is_none().into(), &Value::Null), "{words:?}");
        assert_eq!(told["refused"], json!(refused), "{words:?}");
    }
    // Another body of the same source is an event.
    let event = stage.write("event", br#"{"type":"event_callback","challenge":"3eZbrw1aB"}"#);
    let told =
        check(&stage, &["--source", "slack", "--body", &event], &["proof          was not asked for: the request"]);
    assert!(told["handshake"] == false && told["event"].is_object(), "{told}");
}

#[test]
fn a_request_is_read_from_a_file_as_it_is_sent_and_proven() {
    let stage = Stage::set();
    let body = r#"{"zen":"a"}"#;
    let mac = crate::verify::Signer::new(b"open-sesame-open-sesame").sign(&[body.as_bytes()]);
    let mac = mac.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    for (name, end) in [("unix", "\n"), ("sent", "\r\n")] {
        let head = [
            "POST /github/x?y=1 HTTP/1.1".to_owned(),
            "Host: hooks.example.com:8443".to_owned(),
            format!("X-Hub-Signature-256: sha256={mac}"),
            "X-GitHub-Event: ping".to_owned(),
            format!("Content-Length: {}", body.len()),
        ];
        // An editor ends the last line, too.
        let request = format!("{}{end}{end}{body}{end}", head.join(end));
        let file = stage.write(name, request.as_bytes());
        let told = check(&stage, &["--request", &file, "--prove"], &["proof          holds", "route          pings"]);
        assert_eq!((&told["proof"], &told["status"]), (&"asked".into(), &200.into()));
        let forged = stage.write(name, request.replace("zen", "Zen").as_bytes());
        check(&stage, &["--request", &forged, "--prove"], &["answer         401: the signature does not match"]);
        check(&stage, &["--request", &forged], &["answer         200"]);
    }
}

#[test]
fn what_is_no_request_is_refused_with_a_reason() {
    let stage = Stage::set();
    for (text, reason) in [
        ("", "begins with a line"),
        ("POST /github\n\n", "begins with a line"),
        ("POST  /github HTTP/1.1\n\n", "begins with a line"),
        ("POST /github HTTP/2\n\n", "begins with a line"),
        ("P(ST /github HTTP/1.1\n\n", "is no method"),
        ("POST github HTTP/1.1\n\n", "is no path"),
        ("POST /github HTTP/1.1\nno header\n\n", "is no header"),
        ("POST /github HTTP/1.1\nContent-Length: 3\n\nab", "2 bytes, and the header says 3"),
        ("POST /github HTTP/1.1\nContent-Length: 1\n\nabc", "3 bytes, and the header says 1"),
        ("POST /github HTTP/1.1\nTransfer-Encoding: chunked\n\n", "chunks"),
    ] {
        let file = stage.write("request", text.as_bytes());
        let refused = stage.explain(&["--request", &file]).unwrap_err();
        assert!(refused.contains(reason), "{text:?}: {refused}");
    }
    for (words, reason) in [
        (&[][..], "say which request"),
        (&["--source", "gitlab"], "there is no source `gitlab`; there is github, meta, tokens"),
        (&["--listener", "outside", "--path", "/"], "there is no listener `outside`"),
        (&["--source", "github", "--path", "/meta"], "those of source `meta`, not of `github`"),
        (&["--source", "github", "--path", "/other"], "does not have this host and path"),
        (&["--source", "github", "--listener", "inside"], "does not have this host and path"),
        (&["--path", "meta"], "is no path"),
        (&["--source", "github", "--header", "none"], "is no header"),
        (&["--source", "github", "--body", "/nonexistent"], "/nonexistent"),
        (&["--request", "/nonexistent"], "/nonexistent"),
        (&["--request", "a", "--body", "b"], "cannot be used with"),
        (&["--source", "github", "--from", "here"], "invalid"),
    ] {
        let refused = stage.explain(words).unwrap_err();
        assert!(refused.contains(reason), "{words:?}: {refused}");
    }
}
