//! What is composed is taken for proven, and nothing else is.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use http::HeaderMap;

use super::*;
use crate::clock::Clock;
use crate::config::load;
use crate::config::provider::{NAMES, Provider, Sample, built_in};
use crate::config::rehearsal::{End, Story, rehearse};

/// What each provider wants of a source beside a path, a listener and secrets.
fn section(name: &str) -> String {
    let (path, more) = match name {
        "gupshup" => ("/gupshup/{token}/*", "proof = { token = { file = \"token\" } }"),
        "meta" => ("/meta/*", "secrets = [{ file = \"secret\" }]\nvalues = { verify-token = { file = \"token\" } }"),
        "hmac" => ("/hmac", "secrets = [{ file = \"secret\" }]\nvalues = { signature = \"header:x-signature\" }"),
        "token" => ("/token/{key}", "secrets = [{ file = \"secret\" }]\nvalues = { token = \"path:key\" }"),
        "dangerous-unsigned" => ("/dangerous-unsigned", ""),
        "standard-webhooks" | "gitlab-signed" => ("/{team}/signed", "secrets = [{ file = \"whsec\" }]"),
        _ => ("/in", "secrets = [{ file = \"secret\" }]"),
    };
    format!("path = \"{path}\"\nprovider = \"{name}\"\n{more}\n")
}

/// A configuration with one source, and what the test does with it.
fn with<T>(section: &str, then: impl FnOnce(&Config) -> T) -> T {
    let room = tempfile::tempdir().unwrap();
    let text = format!(
        "format = 1\n[listen.public]\naddress = \"127.0.0.1:8443\"\npublic-url = \"https://hooks.example.com\"\n\
         [listen.other]\naddress = \"127.0.0.1:8444\"\n[journal]\ndirectory = \"journal\"\n\
         [destination.crm]\nurl = \"http://127.0.0.1:9001/\"\n[[route]]\nto = [\"crm\"]\n\
         [source.other]\non = [\"public\"]\npath = \"/elsewhere/else\"\nprovider = \"github\"\n\
         secrets = [{{ file = \"secret\" }}]\n[source.one]\non = [\"public\"]\n{section}"
    );
    for (name, bytes) in [
        ("porteiro.toml", text.as_str()),
        ("secret", "open-sesame+open/sesame"),
        ("token", "a token, 100% of it"),
        ("whsec", "whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU="),
        ("whpk", "whpk_6kpsZBgCKDWdnDVX8N0eDRQE26kQmHYPO5trmC4Bj8k="),
    ] {
        fs::write(room.path().join(name), bytes).unwrap();
        fs::set_permissions(room.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let config = load(&room.path().join("porteiro.toml")).unwrap_or_else(|report| panic!("{report}"));
    then(&config)
}

fn one(config: &Config) -> &Source {
    config.sources.iter().find(|source| &*source.name == "one").unwrap()
}

fn now() -> Timestamp {
    Clock::system().now()
}

#[track_caller]
fn heard(config: &Config, asked: &Asked) {
    let story = rehearse(config, asked).unwrap();
    assert!(matches!(story.end, End::Heard(_)), "{}: {:?}", story.source.unwrap().provider, story.end);
}

#[track_caller]
fn unproven(config: &Config, asked: &Asked, what: &str) {
    let Story { source, end, .. } = rehearse(config, asked).unwrap();
    let word = match &end {
        End::Refused(rejection) => rejection.word(),
        _ => "taken",
    };
    assert!(!["taken", "nowhere"].contains(&word), "{}, {what}: {word}", source.unwrap().provider);
}

#[test]
fn what_is_composed_for_a_provider_is_taken_and_with_one_byte_changed_it_is_not() {
    for name in NAMES {
        with(&section(name), |config| {
            let source = one(config);
            let wanted = Wanted::sample(source);
            let asked = compose(config, &wanted, now()).unwrap_or_else(|error| panic!("{name}: {error}"));
            heard(config, &asked);
            let forged = compose(config, &Wanted { forged: true, ..wanted }, now());
            if source.built.verifier.proves_nothing() {
                assert_eq!(forged.unwrap_err(), CannotCompose::NothingToForge);
                return;
            }
            unproven(config, &forged.unwrap(), "the proof");
            if source.built.facts.binds_body {
                for at in [0, asked.body.len() / 2, asked.body.len() - 1] {
                    let mut other = asked.clone();
                    other.body[at] ^= 1;
                    unproven(config, &other, "the body");
                }
            }
        });
    }
}

#[test]
fn a_sample_says_what_its_provider_file_reads_and_never_twice_the_same() {
    for name in NAMES {
        let provider = Provider::parse(name, built_in(name).unwrap()).unwrap();
        assert_ne!(provider.facts().sample, Sample::default(), "{name} has no sample");
        assert!(provider.facts().setup.url.is_some(), "{name} does not say where its URL goes");
        with(&section(name), |config| {
            let source = one(config);
            let asked = compose(config, &Wanted::sample(source), now()).unwrap();
            let Some(End::Heard(all)) = rehearse(config, &asked).map(|story| story.end) else { panic!("{name}") };
            let told = &all[0];
            let wanted = source.built.selectors.wanted();
            assert!(told.glimpse.readable, "{name}");
            assert_eq!(told.glimpse.kind.is_empty(), wanted.kind.is_none(), "{name} has no kind");
            assert_eq!(told.glimpse.tenants.keys.is_empty(), wanted.tenant.is_none(), "{name} has no tenant");
            assert_eq!(told.id.is_some(), source.built.selectors.keyed(), "{name} has no id");
            let again = compose(config, &Wanted::sample(source), now()).unwrap();
            assert_ne!((&asked.body, asked.headers), (&again.body, again.headers), "{name}");
        });
    }
}

#[test]
fn what_is_said_wins_over_the_sample() {
    with(&section("github"), |config| {
        let headers: HeaderMap = [("x-github-event".parse().unwrap(), "push".parse().unwrap())].into_iter().collect();
        let said = Wanted { headers, query: "a=1", body: Some(b"a=1&b=2".to_vec()), ..Wanted::sample(one(config)) };
        let asked = compose(config, &said, now()).unwrap();
        heard(config, &asked);
        assert_eq!(asked.headers["x-github-event"], "push");
        assert_eq!(asked.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert_eq!((asked.target.as_str(), asked.body.as_slice()), ("/in?a=1", b"a=1&b=2" as &[u8]));
        for (body, expected) in [("{}", "application/json"), (" [1]", "application/json"), ("a = b", "text/plain")] {
            let said = Wanted { body: Some(body.into()), ..Wanted::sample(one(config)) };
            assert_eq!(compose(config, &said, now()).unwrap().headers[CONTENT_TYPE], expected);
        }
    });
}

#[test]
fn captures_and_what_stands_below_are_filled_in() {
    with(&section("gupshup"), |config| {
        let asked = compose(config, &Wanted { rest: "/a/b", ..Wanted::sample(one(config)) }, now()).unwrap();
        assert_eq!(asked.target, "/gupshup/a%20token%2C%20100%25%20of%20it/a/b");
        heard(config, &asked);
    });
    with(&section("standard-webhooks"), |config| {
        let captures = [("team".to_owned(), "red".to_owned())];
        let asked = compose(config, &Wanted { captures: &captures, ..Wanted::sample(one(config)) }, now()).unwrap();
        assert_eq!(asked.target, "/red/signed");
        heard(config, &asked);
    });
}

#[test]
fn what_cannot_be_composed_is_refused_with_the_reason() {
    with(&section("github"), |config| {
        let wanted = || Wanted::sample(one(config));
        let captures = [("team".to_owned(), "red".to_owned())];
        for (wanted, expected) in [
            (Wanted { rest: "/a", ..wanted() }, CannotCompose::Below),
            (Wanted { captures: &captures, ..wanted() }, CannotCompose::Capture("team".to_owned())),
            (Wanted { query: "a b", ..wanted() }, CannotCompose::Target),
            (Wanted { query: "a#b", ..wanted() }, CannotCompose::Target),
            (Wanted { listener: Some(0), ..wanted() }, CannotCompose::Listener),
            (Wanted { listener: Some(7), ..wanted() }, CannotCompose::Listener),
        ] {
            assert_eq!(compose(config, &wanted, now()).unwrap_err(), expected);
        }
    });
    let path = "path = \"/{first}/{second}\"\nprovider = \"github\"\nsecrets = [{ file = \"secret\" }]\n";
    with(path, |config| {
        let to = |first: &str, second: &str| {
            let captures = [("first".to_owned(), first.to_owned()), ("second".to_owned(), second.to_owned())];
            compose(config, &Wanted { captures: &captures, ..Wanted::sample(one(config)) }, now()).map(|_| ())
        };
        assert_eq!(to("elsewhere", "else"), Err(CannotCompose::Elsewhere(Some("other".to_owned()))));
        assert_eq!(to("a/b", "c"), Err(CannotCompose::Elsewhere(None)));
        assert_eq!(to("elsewhere", "other"), Ok(()));
    });
}

#[test]
fn nobody_signs_with_a_public_key() {
    let section = "path = \"/in\"\nprovider = \"standard-webhooks\"\nsecrets = [{ file = \"whpk\" }]\n";
    with(section, |config| {
        let refused = compose(config, &Wanted::sample(one(config)), now()).unwrap_err();
        assert_eq!(refused, CannotCompose::Sign(CannotSign::Asymmetric));
        assert!(refused.to_string().contains("the private one"), "{refused}");
    });
}
