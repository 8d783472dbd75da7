//! How somebody begins: `init`, `check`, `serve` and `send`, for every provider, with the real binary.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use porteiro::config::provider::NAMES;

use crate::support::eventually;
use crate::support::house::{Estate, House, two_destinations};
use crate::support::sink::{Manner, Sink};

fn porteiro(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_porteiro")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Exit code, and all that was printed.
fn told(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[track_caller]
fn well(arguments: &[&str]) -> String {
    let (code, text) = told(&porteiro(arguments));
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text
}

/// What `init` wrote for a provider, with everything filled in that it asked for.
struct Begun {
    room: tempfile::TempDir,
    printed: String,
}

impl Begun {
    fn new(provider: &str, to: &[&str]) -> Self {
        let room = tempfile::tempdir().unwrap();
        let mut words = vec!["init", "--provider", provider, "--dir", room.path().to_str().unwrap()];
        words.extend(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
        words.extend(to.iter().flat_map(|to| ["--to", to]));
        match provider {
            "hmac" => words.extend(["--value", "signature=header:x-signature", "--value", "prefix=v1="]),
            "token" => words.extend(["--value", "token=header:x-token"]),
            "twilio" | "hubspot" => words.extend(["--public-url", "https://hooks.example.com"]),
            _ => {}
        }
        let printed = well(&words);
        let begun = Self { room, printed };
        for entry in fs::read_dir(begun.path("secrets")).into_iter().flatten() {
            let path = entry.unwrap().path();
            if fs::read(&path).unwrap().is_empty() {
                let (code, text) = told(&porteiro(&["check", "-c", &begun.configuration()]));
                assert!(code == 78 && text.contains("secret is empty") && text.contains(provider), "{text}");
                fs::write(&path, "whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU=\n").unwrap();
            }
        }
        begun
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    fn configuration(&self) -> String {
        self.path("porteiro.toml").to_str().unwrap().to_owned()
    }

    fn serve(&self) -> House {
        let mut command = Command::new(env!("CARGO_BIN_EXE_porteiro"));
        command.args(["serve", "-c", &self.configuration()]).stdin(Stdio::null()).stdout(Stdio::null());
        House::started_by(command)
    }

    /// Sends to the running house.
    fn send(&self, house: &House, more: &[&str]) -> (i32, String) {
        let to = format!("http://{}", house.address("public"));
        told(&porteiro(&[&["send", "-c", &self.configuration(), "--to", &to], more].concat()))
    }

    fn secrets(&self) -> Vec<String> {
        let files = fs::read_dir(self.path("secrets")).into_iter().flatten();
        files.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap().trim_end().to_owned()).collect()
    }
}

#[test]
fn from_nothing_to_an_event_at_both_destinations_for_every_provider() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let (first, second) = (one.url() + "one", two.url() + "two");
    for (number, provider) in NAMES.iter().enumerate() {
        let begun = Begun::new(provider, &[&first, &second]);
        let checked = well(&["check", "-c", &begun.configuration()]);
        assert!(checked.contains("Its test holds."), "{checked}");
        assert!(checked.trim_end().contains(&format!("porteiro serve -c {}", begun.configuration())), "{checked}");
        let house = begun.serve();
        let (code, text) = begun.send(&house, &[]);
        assert_eq!(code, 0, "{provider}: {text}\n{}", house.log());
        assert!(text.contains("\n200 OK after ") && text.contains("by route all it goes to "), "{text}");
        eventually("both deliveries", || one.count() == number + 1 && two.count() == number + 1);
        let (code, text) = begun.send(&house, &["--forged"]);
        match *provider {
            "dangerous-unsigned" => assert!(code == 1 && text.contains("nothing proves"), "{text}"),
            _ => assert!(code == 1 && text.contains("porteiro: answered 40"), "{provider}: {text}"),
        }
        for secret in begun.secrets() {
            assert!(!text.contains(&secret[..secret.len() - 1]), "{provider}: a secret is printed: {text}");
        }
        house.metrics().no_panics();
        let (status, log) = house.stop();
        assert!(status.success(), "{log}");
    }
    // What was forged went nowhere.
    assert_eq!((one.count(), two.count()), (NAMES.len(), NAMES.len()));
}

#[test]
fn many_are_sent_each_another_and_machines_are_told_how_it_went() {
    let sink = Sink::start(Manner::Well);
    let begun = Begun::new("github", &[&sink.url()]);
    let house = begun.serve();
    let (code, text) = begun.send(&house, &["--times", "25", "--rate", "1000/s", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told["ok"], &told["sent"], &told["answered_2xx"]), (0, &true.into(), &25.into(), &25.into()));
    eventually("25 deliveries", || sink.count() == 25);
    let body = r#"{"action":"mine"}"#;
    let (code, text) = begun.send(&house, &["--body", body, "--header", "X-GitHub-Event: push", "--query", "a=1"]);
    assert_eq!(code, 0, "{text}");
    eventually("the last", || sink.count() == 26);
    let last = sink.arrivals().into_iter().find(|arrival| arrival.body == body.as_bytes()).unwrap();
    assert_eq!(last.header("x-github-event"), Some("push"));
    let (code, text) = begun.send(&house, &["--forged", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(text.split("porteiro: ").next().unwrap()).unwrap();
    assert_eq!((code, &told["ok"], &told["last"]["status"]), (1, &false.into(), &401.into()));
    assert!(told["last"]["refused"].as_str().unwrap().contains("by this configuration"), "{told}");
}

#[test]
fn a_dry_run_is_a_line_for_a_shell_that_reads_the_secret_where_it_stands() {
    let sink = Sink::start(Manner::Well);
    let curl = Command::new("curl").arg("--version").output().is_ok();
    for (number, provider) in ["gupshup", "gitlab", "stripe"].into_iter().enumerate() {
        let begun = Begun::new(provider, &[&sink.url()]);
        let house = begun.serve();
        let (code, line) = begun.send(&house, &["--dry-run"]);
        assert!(code == 0 && line.starts_with("curl -i -X POST "), "{line}");
        assert!(begun.secrets().iter().all(|secret| !line.contains(secret)), "a secret is printed: {line}");
        if !curl {
            eprintln!("SKIPPED: curl is not on this machine");
            continue;
        }
        let output = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{line}\n{text}");
        eventually("the delivery", || sink.count() == number + 1);
    }
}

#[test]
fn over_tls_the_configurations_own_certificate_is_believed_and_a_strangers_is_not() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
    let house = House::start(&estate);
    let send = |configuration: &Path, more: &[&str]| {
        let to = format!("https://{}", house.address("public"));
        told(&porteiro(&[&["send", "-c", configuration.to_str().unwrap(), "--to", &to], more].concat()))
    };
    let (code, text) = send(&estate.path("porteiro.toml"), &[]);
    assert_eq!(code, 0, "{text}");
    // The same house, of which another configuration knows nothing but the secret.
    let plain = two_destinations(&one.url(), &two.url()).replace("tls = [", "# tls = [");
    estate.write("other.toml", plain.as_bytes());
    let other = estate.path("other.toml");
    let (code, text) = send(&other, &[]);
    assert!(code == 1 && text.contains("certificate"), "{text}");
    assert_eq!(send(&other, &["--insecure"]).0, 0);
    let own = estate.path("certificate.pem");
    let (code, text) = send(&other, &["--ca", own.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = send(&other, &["--ca", estate.path("secret").to_str().unwrap()]);
    assert!(code == 1 && text.contains("no certificate"), "{text}");
}

#[test]
fn who_is_not_there_and_what_cannot_be_sent_is_told_in_words() {
    let sink = Sink::start(Manner::Well);
    let begun = Begun::new("github", &[&sink.url()]);
    let free: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let send = |more: &[&str]| told(&porteiro(&[&["send", "-c", &begun.configuration()], more].concat()));
    let there = fs::read_to_string(begun.configuration()).unwrap();
    for (more, expected) in [
        (&[] as &[&str], "takes any port: say where it is with --to"),
        (&["--source", "gitlab"], "there is no source `gitlab`; there is github"),
        (&["--listener", "private"], "there is no listener `private`; there is public"),
        (&["--path", "below"], "does not end in `*`"),
        (&["--capture", "team=a"], "has no capture `{team}`"),
        (&["--body", "no-such-file.json"], "no-such-file.json: "),
    ] {
        let (code, text) = send(more);
        assert!(code == 1 && text.contains(expected), "{more:?}: {text}");
    }
    fs::write(begun.configuration(), there.replacen("127.0.0.1:0", &free.to_string(), 1)).unwrap();
    let (code, text) = send(&[]);
    assert!(code == 1 && text.contains("is `porteiro serve` running"), "{text}");
    let (code, text) = told(&porteiro(&["send", "-c", "/no/such/file.toml"]));
    assert!(code == 78 && text.contains("/no/such/file.toml"), "{text}");
}

#[test]
fn what_was_sent_to_this_machine_says_where_to_look_and_how_to_go_live() {
    let sink = Sink::start(Manner::Well);
    let begun = Begun::new("github", &[&sink.url()]);
    let mut text = fs::read_to_string(begun.configuration()).unwrap();
    // Ports that were free: without `--to` they have to be known.
    let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    for free in &free {
        text = text.replacen("127.0.0.1:0", &free.local_addr().unwrap().to_string(), 1);
    }
    drop(free);
    for (observes, expected) in [
        (
            false,
            &[
                "Whether it arrived\n  curl -s http://127.0.0.1:",
                "attempts_total.*delivered",
                "To go live\n  listener public takes calls of this machine only",
            ] as &[&str],
        ),
        (
            true,
            &[
                "What would have been sent\n  curl -s http://127.0.0.1:",
                "'would_send_events_total{'",
                "To go live\n  remove mode = \"observe\" from source github, porteiro reload;\n",
            ],
        ),
    ] {
        let text = if observes { text.replace("# mode = \"observe\"", "mode = \"observe\"") } else { text.clone() };
        fs::write(begun.configuration(), text).unwrap();
        let house = begun.serve();
        let told = well(&["send", "-c", &begun.configuration()]);
        for words in expected {
            assert!(told.contains(words), "{words} is missing in\n{told}");
        }
        assert!(told.contains("paste the URL at GitHub"), "{told}");
        assert_eq!(
            (told.contains("Whether it arrived"), told.contains("remove mode")),
            (!observes, observes),
            "{told}"
        );
        // What is to be looked for is found.
        let counted = if observes { "would_send_events_total{" } else { "attempts_total" };
        eventually("the figure", || house.metrics().0.lines().any(|line| line.contains(counted)));
        // Elsewhere nobody knows where to look.
        let (_, told) = begun.send(&house, &[]);
        assert!(!told.contains("curl -s") && !told.contains("To go live"), "{told}");
        let (status, log) = house.stop();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn an_unknown_provider_gets_the_names_of_all_and_nothing_is_written_twice() {
    let (code, text) = told(&porteiro(&["init", "--provider", "gupshop", "--to", "http://10.0.0.1/"]));
    assert!(code == 2 && NAMES.iter().all(|name| text.contains(name)), "{text}");
    let begun = Begun::new("gupshup", &["http://10.0.0.1/"]);
    let token = begun.secrets().remove(0);
    assert!(begun.printed.contains(&format!("/gupshup/{token}\n")), "{}", begun.printed);
    let directory = begun.path("");
    let again = ["init", "--provider", "gupshup", "--to", "http://10.0.0.1/", "--dir", directory.to_str().unwrap()];
    let (code, text) = told(&porteiro(&again));
    assert!(code == 1 && text.contains("nothing was written"), "{text}");
    assert_eq!(begun.secrets(), [token]);
}

#[test]
fn what_only_observes_is_told_as_that_and_gets_nothing() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let begun = Begun::new("github", &[&one.url(), &two.url()]);
    let text = fs::read_to_string(begun.configuration()).unwrap();
    let observing = text.replace("# mode = \"observe\"", "mode = \"observe\"");
    assert_ne!(observing, text, "init does not offer to observe");
    fs::write(begun.configuration(), &observing).unwrap();
    let house = begun.serve();
    let (code, told) = begun.send(&house, &[]);
    assert!(code == 0 && told.contains("the source only observes"), "{told}");
    assert!(begun.send(&house, &["--forged"]).0 == 1);
    drop(house);
    let aside = format!("url = \"{}\"", two.url());
    fs::write(begun.configuration(), text.replace(&aside, &format!("{aside}\nmode = \"observe\""))).unwrap();
    let house = begun.serve();
    let (code, told) = begun.send(&house, &[]);
    assert!(code == 0 && told.contains("127-0-0-1-2 would be sent it, and only observes"), "{told}");
    eventually("the delivery", || one.count() == 1);
    house.metrics().no_panics();
    let (status, log) = house.stop();
    assert!(status.success(), "{log}");
    assert_eq!((one.count(), two.count()), (1, 0));
}
