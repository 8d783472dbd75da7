//! What is written for a first try, and what is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    init: Init,
}

fn parse(words: &[&str]) -> Result<Init, clap::Error> {
    Line::try_parse_from([&["init"], words].concat()).map(|line| line.init)
}

/// What each provider needs to be told beside its name.
fn words(provider: &str) -> Vec<&str> {
    let more: &[&str] = match provider {
        "hmac" => &["--value", "signature=header:x-signature"],
        "token" => &["--value", "token=header:x-token"],
        "twilio" | "hubspot" => &["--public-url", "https://hooks.example.com"],
        _ => &[],
    };
    [&["--to", "http://10.0.0.12/hooks", "--to", "https://crm.example.com/hooks"], more].concat()
}

/// Runs it; what it printed.
fn begin(room: &Path, words: &[&str]) -> Result<String, Failure> {
    let directory = room.to_str().unwrap();
    let mut out = Vec::new();
    run(&parse(&[&["--dir", directory], words].concat()).unwrap(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn secrets(room: &Path) -> Vec<PathBuf> {
    fs::read_dir(room.join("secrets")).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_provider_gets_a_configuration_that_works_or_is_told_what_to_fill_in() {
    for name in NAMES {
        let room = tempfile::tempdir().unwrap();
        let printed = begin(room.path(), &[&["--provider", *name], &*words(name)].concat()).unwrap();
        let file = room.path().join(plan::FILE);
        assert!(printed.trim_end().ends_with(&format!("porteiro check -c {}", file.display())), "{printed}");
        let mut given = 0;
        for secret in secrets(room.path()) {
            assert_eq!(mode(&secret), 0o600, "{}", secret.display());
            assert_eq!(mode(secret.parent().unwrap()), 0o700);
            let text = fs::read_to_string(&secret).unwrap();
            let in_url = printed.contains(&format!("/{name}/{}", text.trim_end()));
            assert!(text.is_empty() || in_url || !printed.contains(text.trim_end()), "a secret is printed: {printed}");
            assert!(text.is_empty() || text.len() == 65, "{}", secret.display());
            if text.is_empty() {
                given += 1;
                assert!(printed.contains(&format!("cat > {}", secret.display())), "{printed}");
                let like = if *name == "meta" { "0123456789abcdef" } else { "whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU=" };
                let report = config::load(&file).unwrap_err();
                assert!(report.render(false).contains(&format!("secrets/{name}")), "{report}");
                fs::write(&secret, like).unwrap();
            }
        }
        assert_eq!(printed.contains("To be filled in"), given > 0);
        let config = config::load(&file).unwrap_or_else(|report| panic!("{name}: {report}"));
        assert_eq!(config.try_tests().unwrap_or_else(|report| panic!("{name}: {report}")), 1);
        let names: Vec<&str> = config.destinations.iter().map(|to| &*to.plan.name).collect();
        assert_eq!(names, ["10-0-0-12", "crm-example-com"]);
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_stays_behind() {
    let room = tempfile::tempdir().unwrap();
    let github = [&["--provider", "github"], &*words("github")].concat();
    fs::create_dir(room.path().join("secrets")).unwrap();
    fs::write(room.path().join("secrets/github"), "mine").unwrap();
    let Err(Failure::Run(why)) = begin(room.path(), &github) else { panic!("it was written") };
    assert!(why.contains("secrets/github"), "{why}");
    assert_eq!(fs::read_to_string(room.path().join("secrets/github")).unwrap(), "mine");
    assert!(!room.path().join(plan::FILE).exists());
    fs::remove_file(room.path().join("secrets/github")).unwrap();
    begin(room.path(), &github).unwrap();
    let text = fs::read_to_string(room.path().join(plan::FILE)).unwrap();
    assert!(begin(room.path(), &github).is_err());
    assert_eq!(fs::read_to_string(room.path().join(plan::FILE)).unwrap(), text);
    // A configuration that cannot work: it would send to itself.
    let new = room.path().join("a/b");
    let own = ["--provider", "github", "--to", "http://127.0.0.1:8080/"];
    assert!(matches!(begin(&new, &own), Err(Failure::Config(_))));
    assert!(!room.path().join("a").exists(), "something stayed behind");
}

#[test]
fn the_url_to_paste_holds_the_token_and_the_public_address() {
    let room = tempfile::tempdir().unwrap();
    let more = ["--provider", "gupshup", "--to", "http://a.example/", "--public-url", "https://hooks.example.com/"];
    let printed = begin(room.path(), &more).unwrap();
    let token = fs::read_to_string(room.path().join("secrets/gupshup-token")).unwrap();
    assert!(printed.contains(&format!("    https://hooks.example.com/gupshup/{}\n", token.trim_end())), "{printed}");
    let room = tempfile::tempdir().unwrap();
    let more = ["--provider", "token", "--to", "http://a.example/", "--value", "token=path:key"];
    let printed = begin(room.path(), &more).unwrap();
    let token = fs::read_to_string(room.path().join("secrets/token")).unwrap();
    assert!(printed.contains(&format!("    {}/token/{}\n", plan::YOURS, token.trim_end())), "{printed}");
}

#[test]
fn what_is_not_known_or_not_said_is_refused_in_words() {
    let told = parse(&["--provider", "gupshop", "--to", "http://a.example/"]).unwrap_err().to_string();
    assert!(NAMES.iter().all(|name| told.contains(name)), "{told}");
    for words in [
        &["--provider", "github"] as &[&str],
        &["--provider", "github", "--to", "a.example"],
        &["--provider", "github", "--to", "ftp://a.example/"],
        &["--provider", "github", "--to", "http://a.example/", "--value", "token"],
        &["--provider", "github", "--to", "http://a.example/", "--listen", "8080"],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
    for (more, expected) in [
        (&["hmac"] as &[&str], "say --value signature=TEXT"),
        (&["token"], "say --value token=TEXT"),
        (&["twilio"], "say --public-url"),
        (&["github", "--value", "tenant=header:x-t"], "asks for no text `tenant`"),
        (&["meta", "--value", "verify-token=abc"], "asks for no text `verify-token`"),
    ] {
        let room = tempfile::tempdir().unwrap();
        let words = [&["--to", "http://a.example/", "--provider"], more].concat();
        let Err(Failure::Run(why)) = begin(room.path(), &words) else { panic!("{more:?} was written") };
        assert!(why.contains(expected), "{why}");
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    }
}

#[test]
fn machines_are_told_the_same() {
    let room = tempfile::tempdir().unwrap();
    let words = ["--provider", "stripe", "--to", "http://a.example/", "--output", "json"];
    let told: serde_json::Value = serde_json::from_str(&begin(room.path(), &words).unwrap()).unwrap();
    assert_eq!(told["ok"], true);
    assert_eq!(told["to_fill"][0]["file"], room.path().join("secrets/stripe").display().to_string());
    assert_eq!(told["url"], format!("{}/stripe", plan::YOURS));
}

#[test]
fn destinations_of_one_host_have_names_of_their_own() {
    let room = tempfile::tempdir().unwrap();
    let to = ["http://CRM.example:81/a", "http://crm.example:82/b", "http://[2001:db8::1]/"];
    let words = ["--provider", "github", "--to", to[0], "--to", to[1], "--to", to[2]];
    begin(room.path(), &words).unwrap();
    let config = config::load(&room.path().join(plan::FILE)).unwrap();
    let names: Vec<&str> = config.destinations.iter().map(|to| &*to.plan.name).collect();
    assert_eq!(names, ["2001-db8--1", "crm-example", "crm-example-2"]);
}
