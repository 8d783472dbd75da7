//! A configuration that is checked on another machine than its own.

use std::path::Path;

use super::stage::Stage;
use crate::config::inventory::Asked;
use crate::config::problem::Problems;
use crate::config::said::{At, SecretRef};
use crate::config::secrets::Outside;
use crate::config::{Config, Environment, Report, load_with};

/// A configuration in which nothing that it names is here.
const TEXT: &str = r#"format = 1

[listen.public]
address = "[::]:8443"
tls = [{ certificate = "/etc/elsewhere/fullchain.pem", key = "/etc/elsewhere/key.pem" }]

[control]
socket = "/tmp/control.sock"

[journal]
directory = "/dev/null"

[source.github]
on = ["public"]
path = "/github"
provider = "github"
secrets = [{ file = "/etc/elsewhere/github" }, { env = "ELSEWHERE" }]
addresses = [{ file = "/etc/elsewhere/office.txt" }]

[source.meta]
on = ["public"]
path = "/meta"
provider = "meta"
secrets = [{ env = "META" }]
values = { verify-token = { env = "VERIFY" } }

[source.partner]
on = ["public"]
path = "/partner"
provider = "standard-webhooks"
secrets = [{ file = "/etc/elsewhere/partner" }]

[source.tactium]
on = ["public"]
path = "/tactium/{token}"
provider = "gupshup"

[source.tactium.proof]
token = { file = "/etc/elsewhere/token" }
header = { name = "X-Token", token = [{ env = "ONE" }, { env = "TWO" }] }
addresses = { file = "/etc/elsewhere/gupshup.txt" }

[destination.crm]
url = "https://crm.example.com/"
tls = { ca = "/etc/elsewhere/ca.pem" }
auth = { basic = { user = "porteiro", password = { file = "/etc/elsewhere/crm" } } }
headers = { X-Key = { env = "KEY" } }

[[route]]
to = ["crm"]
"#;

fn load(stage: &Stage, text: &str, elsewhere: bool) -> Result<Config, Report> {
    stage.write("elsewhere.toml", 0o600, text.as_bytes());
    let nothing = |_: &str| None;
    let here = Environment::new(&nothing).with_files(16);
    load_with(&stage.path().join("elsewhere.toml"), if elsewhere { here.elsewhere() } else { here })
}

#[test]
fn what_is_not_here_is_taken_for_right_elsewhere_and_for_wrong_here() {
    let stage = Stage::set();
    let config = load(&stage, TEXT, true).unwrap_or_else(|report| panic!("{report}"));
    let names: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["github", "meta", "partner", "tactium"]);
    let dangers = config.dangers.map(|dangers| dangers.render(false)).unwrap_or_default();
    assert!(!dangers.contains("open files"), "this machine was asked: {dangers}");
    let left: Vec<&str> = config.unchecked.iter().map(|left| left.what.as_str()).collect();
    let files =
        ["ca.pem", "crm", "fullchain.pem", "github", "gupshup.txt", "key.pem", "office.txt", "partner", "token"];
    let files = files.map(|file| format!("file /etc/elsewhere/{file}"));
    let variables = ["ELSEWHERE", "KEY", "META", "ONE", "TWO", "VERIFY"].map(|name| format!("variable {name}"));
    let expected: Vec<&str> =
        files.iter().map(String::as_str).chain(["the machine"]).chain(variables.iter().map(String::as_str)).collect();
    assert_eq!(left, expected);
    assert_eq!(config.destinations.len(), 1, "it is checked wherever this machine keeps its roots");
    let report = load(&stage, TEXT, false).unwrap_err();
    assert!(report.problems().len() >= 13, "{report}");
}

#[test]
fn what_is_here_and_wrong_is_wrong_elsewhere_too() {
    let stage = Stage::set();
    assert!(!Path::new("/etc/elsewhere").exists());
    for (right, wrong, expected) in [
        ("/etc/elsewhere/github", "secrets/world", "everybody on this machine can read it"),
        ("/etc/elsewhere/github", "secrets/empty", "secret is empty"),
        ("/etc/elsewhere/partner", "secrets/control", "must be base64"),
        ("/etc/elsewhere/office.txt", "lists/broken.txt", "list of addresses `lists/broken.txt` cannot be used"),
        ("/etc/elsewhere/ca.pem", "tls/nonsense.pem", "this destination cannot be believed"),
        ("{ file = \"/etc/elsewhere/github\" }", "{}", "a secret needs its place"),
        ("{ file = \"/etc/elsewhere/github\" }", "\"open-sesame\"", "a secret is never written in the configuration"),
        ("values = { verify-token = { env = \"VERIFY\" } }", "", "value `verify-token` is missing"),
        ("https://crm.example.com/", "ftp://crm.example.com/", "this URL cannot be used"),
        ("to = [\"crm\"]", "to = [\"cmr\"]", "did you mean `crm`?"),
    ] {
        let text = TEXT.replacen(right, wrong, 1);
        assert_ne!(text, TEXT, "{right} is not there");
        let report = load(&stage, &text, true).err().unwrap_or_else(|| panic!("{wrong} is taken for right"));
        assert!(report.render(false).contains(expected), "{wrong}: {report}");
    }
    // One of a pair that is here cannot be looked at without the other.
    let half = TEXT.replace("/etc/elsewhere/fullchain.pem", "tls/one.pem");
    let config = load(&stage, &half, true).unwrap_or_else(|report| panic!("{report}"));
    let said = |what: &str| config.unchecked.iter().find(|left| left.what == what).map(|left| left.why);
    assert!(said("file tls/one.pem").is_some_and(|why| why.starts_with("what it belongs to is not here")));
    assert!(said("file /etc/elsewhere/key.pem").is_some_and(|why| why.starts_with("it is not here")));
    let pair =
        TEXT.replace("/etc/elsewhere/fullchain.pem", "tls/one.pem").replace("/etc/elsewhere/key.pem", "tls/two.key");
    let report = load(&stage, &pair, true).unwrap_err();
    assert!(report.render(false).contains("it belongs to another certificate"), "{report}");
}

#[test]
fn a_provider_file_of_ones_own_with_public_keys_is_taken_too() {
    let stage = Stage::set();
    let own = r#"format = 1
title = "Signs with a private key"
docs = ["https://example.com/"]
checked = "2026-11-20"
confidence = "C"
[[proof]]
signature = { from = ["header:x-signature"] }
algorithm = "ed25519"
encoding = "hex"
key-form = "FORM"
signs = "{body}"
"#;
    let text = TEXT.replacen("provider = \"github\"", "provider = \"own.toml\"", 1);
    let all = [
        ("ed25519", &["ed25519-hex", "ed25519-base64", "ed25519-base64url", "whpk", "pem", "spki-base64"][..]),
        ("ecdsa-p256-sha256", &["pem", "spki-base64"]),
        ("rsa-pkcs1-sha256", &["pem", "spki-base64"]),
        ("rsa-pss-sha512", &["pem"]),
    ];
    for (algorithm, forms) in all {
        for form in forms {
            let own = own.replace("FORM", form).replace("\"ed25519\"", &format!("\"{algorithm}\""));
            stage.write("own.toml", 0o644, own.as_bytes());
            let config = load(&stage, &text, true).unwrap_or_else(|report| panic!("{algorithm} {form}: {report}"));
            let names: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
            assert_eq!(names, ["github", "meta", "partner", "tactium"], "{algorithm} {form}: none is left out");
            let known = &config.sources[0].built;
            assert_eq!(known.verifier.proofs()[0].keys.len(), 2, "{algorithm} {form}: both of its secrets count");
        }
    }
    stage.write("own.toml", 0o644, own.replace("FORM", "utf8").as_bytes());
    let text = TEXT.replacen("provider = \"github\"", "provider = \"own.toml\"", 1);
    assert!(load(&stage, &text, true).is_err(), "a form that does not go with the algorithm is taken for right");
}

/// A value of one form beside secrets of another.
#[test]
fn each_secret_that_is_not_here_has_a_stand_in_of_its_own_form() {
    let stage = Stage::set();
    let own = r#"format = 1
title = "Asks for two things"
docs = ["https://example.com/"]
checked = "2026-11-20"
confidence = "C"
proofs = "all"
[values.door]
kind = "secret"
about = "user and password"
required = true
[[proof]]
signature = { from = ["header:x-signature"] }
algorithm = "ecdsa-p256-sha256"
encoding = "hex"
key-form = "pem"
signs = "{body}"
[[proof]]
signature = { from = ["header:authorization"] }
algorithm = "basic"
keys = "door"
"#;
    stage.write("own.toml", 0o644, own.as_bytes());
    let here = "provider = \"own.toml\"\nvalues = { door = { env = \"DOOR\" } }";
    let text = TEXT.replacen("provider = \"github\"", here, 1);
    let config = load(&stage, &text, true).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((config.sources.len(), config.sources[0].built.verifier.proofs().len()), (4, 2));
    // What is here and wrong is told all the same, and only that.
    stage.write("secrets/door", 0o600, b"no colon");
    let text = text.replace("{ env = \"DOOR\" }", "{ file = \"secrets/door\" }");
    let report = load(&stage, &text, true).unwrap_err();
    assert_eq!(report.problems().len(), 1, "{report}");
    assert!(report.to_string().contains("must be user and password with a colon between"), "{report}");
}

#[test]
fn each_secret_that_is_not_here_is_taken_for_another_one() {
    let (nothing, asked) = (|_: &str| None, Asked::default());
    let environment = Environment::new(&nothing).elsewhere();
    let outside = Outside { base: Path::new("/nonexistent"), environment, asked: &asked };
    let at = |name: &str| Some(At { value: name.to_owned(), span: 0..0 });
    let resolve = |said: SecretRef| outside.secret_at(&said, &(0..0), &mut Problems::default()).unwrap();
    let file = |name| resolve(SecretRef { file: at(name), env: None });
    let variable = |name| resolve(SecretRef { file: None, env: at(name) });
    assert_eq!(file("a"), file("a"));
    assert!(file("a") != file("b") && file("a") != variable("a") && variable("a") != variable("b"));
}
