//! What `check` prints.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;
use crate::config;
use crate::config::Report;

const LOAD: Load = Load { per_second: 100.0, body: 2048 };

const TEXT: &str = r#"format = 1

[listen.public]
address = "127.0.0.1:8443"
public-url = "https://hooks.example.com"

[metrics]
address = "off"

[journal]
directory = "/nonexistent/porteiro"

[source.github]
on = ["public"]
path = "/github"
provider = "github"
secrets = [{ file = "secret" }, { file = "secret" }]
expect-every = "15m"

[source.tokens]
on = ["public"]
host = "hooks.example.com"
path = "/tokens/{token}"
provider = "token"
secrets = [{ file = "secret" }]
values = { token = "path:token" }
dedup = false
ack = "buffered"
addresses = ["10.0.0.0/8"]

[destination.crm]
url = "http://127.0.0.1:9001/hooks"
host = "crm.example.com"
essential = true
hand-over = "verified"
retry = { give-up = "48h" }

[destination.other]
url = "http://127.0.0.1:9002/hooks"
backlog = { size = "1GiB" }

[[route]]
from = ["github"]
to = ["crm", "other"]

[[route]]
discard = true
"#;

/// What is asked where nothing is signed.
const PROOF: &str = r#"proof.token = { file = "secret" }
proof.addresses = ["gupshup", "192.0.2.7", "2001:db8::/64"]
proof.header = { name = "X-Token", token = { file = "secret" } }
"#;

fn build(text: &str) -> Result<Config, Report> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("porteiro.toml");
    fs::write(&path, text).unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "open-sesame-open-sesame").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let key = directory.path().join("whsec");
    fs::write(&key, "whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU=").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(directory.path().join("office.txt"), "192.0.2.0/24\n2001:db8::/32\n").unwrap();
    config::load(&path)
}

fn printed(text: &str) -> String {
    let mut out = Vec::new();
    super::text(&build(text).unwrap(), (LOAD, 2), false, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn people_read_what_was_built_what_it_costs_and_what_is_dangerous() {
    let text = printed(TEXT);
    for line in [
        "public         127.0.0.1:8443, plain, known to providers as https://hooks.example.com",
        "(metrics)      off",
        "/github on public (any host), provider github",
        "/tokens/{token} on public (hooks.example.com), provider token",
        "proof: a signature that binds the body",
        "proof: a credential that is shown; nothing binds the body; it is cut out before the event is stored",
        "secrets: 2, in rotation; porteiro_source_secret_last_used_timestamp_seconds tells which are still used",
        "silence: an alarm after 15m without an event",
        "repeats: by the provider's id within 72h",
        "repeats: not recognised (dedup = false)",
        "queued: a crash may lose it",
        "only from 1 range",
        "http://127.0.0.1:9001/hooks as crm.example.com",
        "essential: owed as long as the disk has room",
        "handed over once proven, before it is stored",
        "owed for 72h within 1GiB, then a dead letter",
        "given up at 48h of age",
        "1              github -> crm, other",
        "2              github, tokens -> discarded: nothing is stored",
        "20GiB in segments of 64MiB",
        "of each destination 10000 events wait for their next attempt in memory, 1000 of one tenant's",
        "the memory ceiling, which is the sum of",
        "64 MiB  bodies: limits.in-flight",
        "for connections, ",
        "At 100 events/s of 2KiB",
        "and a repeat is recognised for 2h54m (bound by dedup.events)",
        "danger: source `tokens` acknowledges before its events are on disk",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert_eq!(text.matches("secrets: ").count() + text.matches("silence: ").count(), 2, "one source's alone: {text}");
    assert!(!text.contains("open-sesame"), "{text}");
    assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
}

#[test]
fn who_only_observes_is_told_and_what_that_costs() {
    let observing = TEXT
        .replace("path = \"/github\"", "path = \"/github\"\nmode = \"observe\"")
        .replace("backlog = { size = \"1GiB\" }", "mode = \"observe\"");
    let text = printed(&observing);
    for line in [
        "mode: observe; all of this is done and counted, and nothing is stored or sent",
        "mode: observe; what it would be sent is counted, and nothing is sent or becomes owed to it",
        "observed: 65536 events of 84B, and refusals of 16384 addresses",
        "danger: source `github` only observes: nothing that it says is stored or sent",
        "danger: destination `other` only observes: nothing is sent to it",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert_eq!(text.matches("mode: ").count(), 2, "{text}");
    let outage = &text[text.find("Longest outage").unwrap()..];
    assert!(outage.contains("  crm ") && !outage.contains("  other "), "it is owed nothing: {outage}");
    let live = printed(TEXT);
    assert!(!live.contains("observe"), "{live}");
    let tenants = format!("{observing}\n[tenants]\nrate = \"1/s\"\n");
    assert!(printed(&tenants).contains("observed tenants: the same as tenants, once more"));
    let mut out = Vec::new();
    json(&build(&observing).unwrap(), (LOAD, 0), &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    let modes = |list: &str| told[list].as_array().unwrap().iter().map(|one| one["mode"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (modes("sources"), modes("destinations")),
        (vec!["observe".into(), "live".into()], vec!["live".into(), "observe".into()])
    );
}

#[test]
fn how_a_destination_is_reached_is_told() {
    let told = |more: &str| {
        let text = printed(&TEXT.replace("url = \"http://127.0.0.1:9002/hooks\"", more));
        text.split("other          ").nth(1).unwrap().split("handed over").next().unwrap().to_owned()
    };
    let cases = [
        ("url = \"http://127.0.0.1:9002/\"", ""),
        ("url = \"http://crm.internal/\"", ""),
        ("url = \"http://crm.example.com/\"", "may not lead to private networks, for want of `addresses`"),
        (
            "url = \"http://crm.example.com/\"\naddresses = [\"10.0.0.0/8\"]",
            "to 1 range of `addresses` and nowhere else",
        ),
        (
            "url = \"http://crm.example.com/\"\nproxy = \"http://proxy:3128\"",
            "through the proxy http://proxy:3128, which looks its name up",
        ),
        (
            "url = \"http://127.0.0.1:9002/\"\nrate = \"50/s\"\nsign = { standard-webhooks = { file = \"whsec\" } }",
            "signed as Standard Webhooks; an attempt begins every 20ms at most",
        ),
    ];
    for (said, expected) in cases {
        let told = told(said);
        assert!(told.contains(expected) && !told.contains("b3Blbi1"), "{said}: {told}");
        assert_eq!(told.trim_end().lines().count(), if expected.is_empty() { 2 } else { 3 }, "{said}: {told}");
    }
}

#[test]
fn what_every_request_must_show_is_told_with_the_age_of_its_lists() {
    let shown = TEXT
        .replace("public-url", "trusted-hops = [\"10.0.0.7\"]\nforwarded-in = \"forwarded\"\npublic-url")
        .replace("secrets = [{ file = \"secret\" }]\nvalues = { token = \"path:token\" }\n", PROOF)
        .replace("provider = \"token\"", "provider = \"gupshup\"")
        .replace("[\"10.0.0.0/8\"]", "{ file = \"office.txt\" }");
    let text = printed(&shown);
    for line in [
        "hops of 1 range say in Forwarded who calls",
        "proof: a token in the path, and a token in header x-token, and a caller from list gupshup (14 ranges, dated \
         2026-04-15) and 2 ranges; nothing binds the body; what is shown is cut out before the event is stored",
        "only from list office.txt (2 ranges, undated)",
        "hears: 200 once the event is queued: a crash may lose it, 401 if it is not proven; it waits 10s",
        "when refused: it tries again; an event answered 429 is anybody's guess, 503 comes again",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let mut out = Vec::new();
    json(&build(&shown).unwrap(), (LOAD, 0), &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["listeners"][0]["trusted_hops"]["ranges"], 1);
    assert_eq!(told["sources"][1]["proven_addresses"]["ranges"], 16);
    assert_eq!(told["sources"][1]["proven_addresses"]["lists"][0]["date"], "2026-04-15");
    assert_eq!(told["sources"][1]["addresses"]["lists"][0]["date"], Value::Null);
    assert!(told["sources"][1]["addresses"]["lists"][0]["file"].as_str().unwrap().ends_with("office.txt"));
    assert_eq!(told["sources"][0]["proven_addresses"], Value::Null);
    let both = TEXT.replace("path = \"/github\"", "path = \"/github\"\nproof = { addresses = \"192.0.2.0/24\" }");
    let text = printed(&both);
    assert!(text.contains("proof: a signature that binds the body, and a caller from 1 range\n"), "{text}");
}

#[test]
fn a_configuration_without_dangers_says_so() {
    let well = TEXT
        .replace("dedup = false\nack = \"buffered\"\n", "")
        .replace("hand-over = \"verified\"\n", "")
        .replace("[source.tokens]", "[source.hmac]")
        .replace("provider = \"token\"", "provider = \"hmac\"")
        .replace("{ token = \"path:token\" }", "{ signature = \"header:x-signature\" }");
    let text = printed(&well);
    assert!(text.contains("Dangers\n  none that the text shows\n\nNext\n  porteiro serve -c "), "{text}");
}

#[test]
fn machines_read_the_same() {
    let mut out = Vec::new();
    json(&build(TEXT).unwrap(), (LOAD, 0), &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["ok"], true);
    assert_eq!(told["metrics"], Value::Null);
    assert_eq!(told["sources"][0]["name"], "github");
    assert_eq!((&told["sources"][0]["secrets"], &told["sources"][1]["secrets"]), (&Value::from(2), &Value::from(1)));
    assert_eq!(told["sources"][0]["expect_every_seconds"], 900.0);
    assert_eq!(told["sources"][1]["expect_every_seconds"], Value::Null);
    assert_eq!(told["sources"][1]["recognises_repeats"], false);
    assert_eq!(told["sources"][1]["ack"], "buffered");
    assert_eq!(told["destinations"][0]["hand_over"], "verified");
    assert_eq!(told["routes"][1]["discard"], true);
    let terms = told["memory_ceiling"]["terms"].as_array().unwrap();
    let sum: u64 = terms.iter().map(|term| term["bytes"].as_u64().unwrap()).sum();
    assert_eq!(told["memory_ceiling"]["bytes"], sum);
    assert!(!told["dangers"].as_array().unwrap().is_empty());
    assert_eq!(told["outage"]["destinations"][1]["bound"], "backlog.size");
}

#[test]
fn whose_answer_is_passed_back_is_told_with_what_it_takes() {
    let said =
        "ack = { delivered = { destination = \"crm\", pass = [409, 422], callers = 100 } }\nlate = { status = 504 }";
    let text = TEXT.replace("path = \"/github\"", &format!("path = \"/github\"\n{said}"));
    let told = printed(&text);
    // GitHub waits for 10s.
    let hears = "hears: what destination crm answers (2xx, 409, 422) once the event is on disk, 504 after 8s; \
                 at most 100 callers wait, 401 if it is not proven";
    assert!(told.contains(hears) && told.contains("answers to github"), "{told}");
    assert!(told.contains("an answer 409, 422 is passed back, and the event is delivered again"), "{told}");
    let mut out = Vec::new();
    json(&build(&text).unwrap(), (LOAD, 0), &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["sources"][0]["ack"], "delivered");
    let answers = &told["sources"][0]["answers"];
    assert_eq!((&answers["destination"], &answers["deadline_seconds"]), (&"crm".into(), &8.0.into()));
    assert_eq!((&answers["pass"][1], &answers["callers"]), (&422.into(), &100.into()));
    assert_eq!((&answers["late_status"], &told["sources"][1]["answers"]), (&504.into(), &Value::Null));
}

#[test]
fn machines_read_problems_with_their_place() {
    let report = build(&TEXT.replace("essential = true", "esential = true")).unwrap_err();
    let mut out = Vec::new();
    problems(&report, &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["ok"], false);
    let problem = &told["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&Value::from(34), &Value::from(1)));
    assert!(problem["file"].as_str().unwrap().ends_with("porteiro.toml"));
    assert_eq!(problem["here"], "did you mean `essential`?");
    assert!(problem["what"].as_str().unwrap().contains("`esential`"));
}

const TENANTS: &str = r#"
[tenants]
rate = "50/s"
[tenant.acme]
keys = { github = ["1", "2"] }
rate = "30/m"
over = "refuse"
[tenant.bolt]
keys = { github = ["3"] }
quota = { events = 7 }
"#;

#[test]
fn tenants_are_told_with_their_limits_and_what_happens_over_them() {
    let free = printed(TEXT);
    assert!(!free.contains("Tenants") && !free.contains("  tenants: "), "{free}");
    let text = printed(&format!("{TEXT}{TENANTS}"));
    for line in [
        "(all)          2 with 3 keys, 0 files beside the configuration\n",
        "(unknown)      each 50/s, 250 at once; 1000 events, 16MiB and 5m may wait; beyond 10000 of them the rest shares",
        "acme           30/m, 2 at once; 1000 events, 16MiB and 5m may wait; what is over it is refused; 2 keys",
        "bolt           50/s, 250 at once; 7 events, 16MiB and 5m may wait; 1 keys",
        "over a tenant's rate: delivered later, and beyond the quota at once (an event that is refused may be lost)",
        "tenants: 2 with 3 keys and their buckets",
        "unknown tenants: 10000 buckets of 160B",
        "danger: events of tenant `acme` over its rate are refused, and may be lost",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert_eq!(text.matches("over a tenant's rate:").count(), 1, "a source that names no tenants has none:\n{text}");
    let many: String = (0..30).map(|n| format!("[tenant.t{n:02}]\nkeys = {{ github = [\"k{n}\"] }}\n")).collect();
    let text = printed(&format!("{TEXT}{many}[tenants]\nlabels = 5\n"));
    assert!(text.contains("30 with 30 keys, 0 files beside the configuration; 5 of them counted by name"), "{text}");
    assert!(text.contains("t19 ") && !text.contains("t20 ") && text.contains("and 10 more"), "{text}");
    assert!(text.contains("whoever has no section sends as much as they like"), "{text}");
}

#[test]
fn machines_read_of_tenants_too() {
    let mut out = Vec::new();
    json(&build(&format!("{TEXT}{TENANTS}")).unwrap(), (LOAD, 0), &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    let tenants = &told["tenants"];
    assert_eq!((&tenants["count"], &tenants["unknown"]["limits"]["rate"]), (&Value::from(2), &Value::from("50/s")));
    assert_eq!((&tenants["named"][0]["over"], &tenants["named"][1]["over"]), (&Value::from("refuse"), &Value::Null));
    assert_eq!(tenants["named"][1]["limits"]["quota_events"], 7);
    assert!(
        told["sources"][0]["over_a_tenants_rate"].is_string() && told["sources"][1]["over_a_tenants_rate"].is_null()
    );
}
