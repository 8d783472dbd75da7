//! What `check` prints.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;
use crate::config;

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
secrets = [{ file = "secret" }]

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

fn build(text: &str) -> Result<Config, Report> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("porteiro.toml");
    fs::write(&path, text).unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "open-sesame-open-sesame").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    config::load(&path)
}

fn printed(text: &str) -> String {
    let mut out = Vec::new();
    super::text(&build(text).unwrap(), LOAD, false, &mut out).unwrap();
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
        "repeats: by the provider's id within 72h",
        "repeats: not recognised (dedup = false)",
        "queued: a crash may lose it",
        "only from the addresses that are listed",
        "http://127.0.0.1:9001/hooks as crm.example.com",
        "essential: owed as long as the disk has room",
        "handed over once proven, before it is stored",
        "owed for 72h within 1GiB, then a dead letter",
        "given up at 48h of age",
        "1              github -> crm, other",
        "2              github, tokens -> discarded: nothing is stored",
        "20GiB in segments of 64MiB",
        "the memory ceiling, which is the sum of",
        "64 MiB  bodies: limits.in-flight",
        "for connections, ",
        "At 100 events/s of 2KiB",
        "and a repeat is recognised for 2h54m (bound by dedup.events)",
        "danger: source `tokens` acknowledges before its events are on disk",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("open-sesame"), "{text}");
    assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
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
    assert!(text.ends_with("Dangers\n  none that the text shows\n"), "{text}");
}

#[test]
fn machines_read_the_same() {
    let mut out = Vec::new();
    json(&build(TEXT).unwrap(), LOAD, &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["ok"], true);
    assert_eq!(told["metrics"], Value::Null);
    assert_eq!(told["sources"][0]["name"], "github");
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
fn machines_read_problems_with_their_place() {
    let report = build(&TEXT.replace("essential = true", "esential = true")).unwrap_err();
    let mut out = Vec::new();
    problems(&report, &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(told["ok"], false);
    let problem = &told["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&Value::from(33), &Value::from(1)));
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
    json(&build(&format!("{TEXT}{TENANTS}")).unwrap(), LOAD, &mut out).unwrap();
    let told: Value = serde_json::from_slice(&out).unwrap();
    let tenants = &told["tenants"];
    assert_eq!((&tenants["count"], &tenants["unknown"]["limits"]["rate"]), (&Value::from(2), &Value::from("50/s")));
    assert_eq!((&tenants["named"][0]["over"], &tenants["named"][1]["over"]), (&Value::from("refuse"), &Value::Null));
    assert_eq!(tenants["named"][1]["limits"]["quota_events"], 7);
    assert!(
        told["sources"][0]["over_a_tenants_rate"].is_string() && told["sources"][1]["over_a_tenants_rate"].is_null()
    );
}
