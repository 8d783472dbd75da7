//! Events go where their kind, a place in the body or a header says; what is discarded is not stored, what no route takes
//! is stored and owed to nobody; `check` says beforehand what will become of them.

use std::process::{Command, Output};

use crate::support::house::{Estate, House, SECRET};
use crate::support::sink::{Manner, Sink};
use crate::support::{eventually, hmac_hex};

/// Three sinks, and a route to each.
struct Scene {
    kind: Sink,
    pointer: Sink,
    header: Sink,
    estate: Estate,
}

impl Scene {
    fn new() -> Self {
        let [kind, pointer, header] = [(); 3].map(|()| Sink::start(Manner::Well));
        let estate = Estate::new(&configuration(&kind, &pointer, &header));
        Self { kind, pointer, header, estate }
    }

    fn counts(&self) -> [usize; 3] {
        [self.kind.count(), self.pointer.count(), self.header.count()]
    }

    fn check(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_porteiro"))
            .args(["check", "-c"])
            .arg(self.estate.path("porteiro.toml"))
            .args(words)
            .output()
            .unwrap()
    }
}

fn configuration(kind: &Sink, pointer: &Sink, header: &Sink) -> String {
    format!(
        r#"
format = 1

[listen.plain]
address = "127.0.0.1:0"

[metrics]
address = "127.0.0.1:0"

[journal]
directory = "journal"
size = "256MiB"
segment = "4MiB"

[source.github]
on = ["plain"]
path = "/github"
provider = "github"
secrets = [{{ file = "secret" }}]

[source.whatsapp]
on = ["plain"]
path = "/meta"
provider = "meta"
secrets = [{{ file = "secret" }}]
values = {{ verify-token = {{ file = "verify-token" }} }}

[destination.kind]
url = "{}"

[destination.pointer]
url = "{}"

[destination.header]
url = "{}"

[[route]]
name = "pushes"
from = ["github"]
when = {{ all = [{{ kind = "push" }}, {{ not = {{ header = "X-Test", exists = true }} }}] }}
to = ["kind"]

[[route]]
when = {{ pointer = "/repository/topics/*", in = ["crm", "erp"] }}
to = ["pointer"]

[[route]]
when = {{ header = "X-Test", glob = "to-*" }}
to = ["header", "pointer"]

[[route]]
name = "noise"
from = ["github"]
when = {{ kind = {{ in = ["ping", "star"] }} }}
discard = true

[tenant.acme]
keys = {{ whatsapp = ["1"] }}

[[route]]
name = "acme"
from = ["whatsapp"]
when = {{ tenant = "acme" }}
to = ["kind"]

[[route]]
from = ["whatsapp"]
when = {{ not = {{ tenant = "acme" }} }}
to = ["pointer"]

[[route]]
name = "batches"
from = ["whatsapp"]
mixed = true
to = ["header"]

[[test]]
name = "a push goes where pushes go"
request = {{ source = "github", headers = {{ X-GitHub-Event = "push" }}, body = "{{}}" }}
expect = {{ kind = "push", route = "pushes", to = ["kind"], status = 200 }}
"#,
        kind.url(),
        pointer.url(),
        header.url()
    )
}

/// Sends an event and asks for its success.
fn send(house: &House, path: &str, headers: &[(&str, &str)], body: &str) {
    let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
    let headers = [headers, &[("X-Hub-Signature-256", signature.as_str())]].concat();
    let answer = house.plain().post(path, &headers, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn events_go_where_kind_pointer_and_header_say() {
    let scene = Scene::new();
    let house = House::start(&scene.estate);
    let stored = || house.metrics().value("porteiro_journal_events_total", &[]);
    let routed = |source: &str, route: &str, then: &str| {
        let labels = [("source", source), ("route", route), ("then", then)];
        house.metrics().value("porteiro_routed_events_total", &labels)
    };
    let github = |id: &str, kind: &str, test: Option<&str>, body: &str| {
        let test = test.map(|value| ("X-Test", value));
        let headers = [("X-GitHub-Event", kind), ("X-GitHub-Delivery", id)].into_iter().chain(test);
        send(&house, "/github", &headers.collect::<Vec<_>>(), body);
    };
    github("1", "push", None, "{}");
    eventually("the push", || scene.counts() == [1, 0, 0]);
    github("2", "issues", None, r#"{"repository":{"topics":["web","erp"]}}"#);
    eventually("the topic", || scene.counts() == [1, 1, 0]);
    github("3", "push", Some("to-both"), r#"{"repository":{"topics":["web"]}}"#);
    eventually("the header", || scene.counts() == [1, 2, 1]);
    assert_eq!(stored(), 3.0);

    // Nothing is stored of what is discarded, and what no route takes is stored and owed to nobody.
    github("4", "ping", None, "{}");
    github("5", "star", Some("other"), r#"{"repository":{"topics":[]}}"#);
    assert_eq!((stored(), routed("github", "noise", "discard")), (3.0, 2.0));
    github("6", "fork", None, "{}");
    github("7", "fork", None, "no json");
    assert_eq!((stored(), routed("github", "none", "none")), (5.0, 2.0));
    for (route, count) in [("pushes", 1.0), ("2", 1.0), ("3", 1.0)] {
        assert_eq!(routed("github", route, "owed"), count, "{route}");
    }

    // A batch of several tenants is led past what asks for one of them.
    let entries = |ids: &[&str]| {
        let list: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":"{id}","changes":[]}}"#)).collect();
        format!(r#"{{"object":"whatsapp_business_account","entry":[{}]}}"#, list.join(","))
    };
    send(&house, "/meta", &[], &entries(&["1", "1"]));
    eventually("the first tenant", || scene.counts() == [2, 2, 1]);
    send(&house, "/meta", &[], &entries(&["2"]));
    eventually("the other tenant", || scene.counts() == [2, 3, 1]);
    send(&house, "/meta", &[], &entries(&["1", "2"]));
    eventually("the batch", || scene.counts() == [2, 3, 2]);
    send(&house, "/meta", &[], &entries(&["2", "3", "1"]));
    eventually("the other batch", || scene.counts() == [2, 3, 3]);
    assert_eq!(routed("whatsapp", "batches", "owed"), 2.0);

    let metrics = house.metrics();
    for destination in ["kind", "pointer", "header"] {
        eventually("the backlog to be gone", || {
            house.metrics().value("porteiro_backlog_events", &[("destination", destination)]) == 0.0
        });
    }
    metrics.no_panics();
    drop(house);
    // Whoever was not to hear of it has not: nothing was under way any more.
    assert_eq!(scene.counts(), [2, 3, 3]);
}

#[test]
fn check_says_beforehand_where_a_request_goes() {
    let scene = Scene::new();
    let told = scene.check(&["--explain", "--source", "github", "--header", "X-GitHub-Event: push"]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text}{}", String::from_utf8_lossy(&told.stderr));
    for line in
        ["was not asked for", "route          pushes (", &format!("kind at {}", scene.kind.url()), "answer         200"]
    {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let refused = scene.check(&["--explain", "--source", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(scene.check(&["--path", "/github"]).status.code(), Some(2), "a request is only explained");
}

#[test]
fn check_tries_the_tests_of_the_configuration() {
    let scene = Scene::new();
    let told = scene.check(&[]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success() && text.contains("Its test holds."), "{text}");
    let wrong = configuration(&scene.kind, &scene.pointer, &scene.header)
        .replace("kind = \"push\", route", "kind = \"pull\", route");
    scene.estate.write("porteiro.toml", wrong.as_bytes());
    let line = 1 + wrong.lines().position(|line| line.contains("\"pull\", route")).unwrap();
    let told = scene.check(&[]);
    let report = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(78), "{report}");
    assert!(report.contains("test `a push goes where pushes go` fails: it expects kind `pull`"), "{report}");
    assert!(report.contains(&format!("porteiro.toml:{line}:")) && report.contains("it is `push`"), "{report}");
    let told = scene.check(&["--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(
        (told.status.code(), &json["ok"], &json["problems"][0]["line"]),
        (Some(78), &false.into(), &line.into())
    );
}
