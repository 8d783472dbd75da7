//! The real binary with a configuration of its own, on ports that the system chose.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use rustls::pki_types::CertificateDer;

use super::client::Client;
use super::{PATIENCE, eventually};

/// The secret of every signed source in these tests.
pub(crate) const SECRET: &[u8] = b"a secret only for tests";

/// A directory with a configuration, a certificate, secrets and a journal; gone with its value.
pub(crate) struct Estate {
    directory: tempfile::TempDir,
    pub(crate) root: CertificateDer<'static>,
}

impl Estate {
    /// Writes the configuration; `{one}` and the like are the caller's to fill in before.
    pub(crate) fn new(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let root = certified.cert.der().clone();
        let estate = Self { directory, root };
        estate.write("porteiro.toml", configuration.as_bytes());
        estate.write("certificate.pem", certified.cert.pem().as_bytes());
        estate.write("key.pem", certified.signing_key.serialize_pem().as_bytes());
        estate.write("secret", SECRET);
        estate.write("verify-token", b"the token of the tests");
        estate
    }

    /// A file of the estate, readable by its owner alone.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `porteiro reload`: its exit code, and all that it printed.
    pub(crate) fn reload(&self) -> (i32, String) {
        let path = self.path("porteiro.toml");
        let command = ["reload", "-c", path.to_str().unwrap()];
        let output = Command::new(env!("CARGO_BIN_EXE_porteiro")).args(command).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    }

    /// Every byte below the journal's directory, file by file.
    pub(crate) fn journal_bytes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![self.path("journal")];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else if let Ok(bytes) = fs::read(entry.path()) {
                    found.push((entry.path(), bytes));
                }
            }
        }
        found
    }
}

/// The configuration that most tests use: a TLS and a plain listener, a Meta source, destinations at these URLs.
///
/// The size holds all that the kill test can leave owed: its load outruns the deliveries, no life is long enough for them
/// to catch up, and at the bound the oldest backlog would become dead letters. What happens there, `bound.rs` asks.
pub(crate) fn two_destinations(one: &str, two: &str) -> String {
    format!(
        r#"
format = 1

[listen.public]
address = "127.0.0.1:0"
tls = [{{ certificate = "certificate.pem", key = "key.pem" }}]

[listen.plain]
address = "127.0.0.1:0"

[metrics]
address = "127.0.0.1:0"

[journal]
directory = "journal"
size = "1GiB"
segment = "4MiB"

[source.whatsapp]
on = ["public", "plain"]
path = "/meta"
provider = "meta"
secrets = [{{ file = "secret" }}]
values = {{ verify-token = {{ file = "verify-token" }} }}

[destination.one]
url = "{one}"
deadline = "5s"

[destination.two]
url = "{two}"
deadline = "5s"

[[route]]
from = ["whatsapp"]
to = ["one", "two"]
"#
    )
}

/// A control socket in the estate.
pub(crate) const CONTROL: &str = "\n[control]\nsocket = \"control.sock\"\n";

/// [`two_destinations`], and a control socket.
pub(crate) fn controlled(one: &str, two: &str) -> String {
    two_destinations(one, two) + CONTROL
}

/// A running Porteiro; killed with its value.
pub(crate) struct House {
    child: Child,
    addresses: BTreeMap<String, SocketAddr>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl House {
    /// Starts it and waits until it says that it is ready.
    pub(crate) fn start(estate: &Estate) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_porteiro")), estate)
    }

    /// The same after a shell has done this, such as lowering a limit.
    pub(crate) fn start_after(shell: &str, estate: &Estate) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_porteiro")]);
        Self::start_by(command, estate)
    }

    fn start_by(mut command: Command, estate: &Estate) -> Self {
        command.args(["serve", "-c"]).arg(estate.path("porteiro.toml")).stdin(Stdio::null()).stdout(Stdio::null());
        Self::started_by(command)
    }

    /// As [`House::start`], by a command that becomes Porteiro.
    pub(crate) fn started_by(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (tell, told) = mpsc::channel();
        let (stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line.clone());
                // Nobody listens any more once the house is ready.
                drop(tell.send(line));
            }
        });
        let mut house = Self { child, addresses: BTreeMap::new(), lines };
        let started = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let Ok(line) = told.recv_timeout(left) else {
                panic!("Porteiro did not become ready:\n{}", house.log());
            };
            let Ok(line) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            let text = |key: &str| line[key].as_str().map(str::to_owned);
            match line["message"].as_str() {
                Some("listening") => {
                    house.addresses.insert(text("listener").unwrap(), text("address").unwrap().parse().unwrap());
                }
                Some("ready") => return house,
                _ => {}
            }
        }
    }

    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        *self.addresses.get(listener).unwrap_or_else(|| panic!("no listener {listener} in\n{}", self.log()))
    }

    pub(crate) fn plain(&self) -> Client {
        Client::plain(self.address("plain")).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// One scrape.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut client = Client::plain(self.address("metrics")).unwrap();
        let answer = client.request("GET", "/metrics", &[], &[]).unwrap();
        assert_eq!(answer.status, 200);
        Metrics(answer.text())
    }

    /// The counter of caught panics, if anybody is there to tell it.
    fn panics(&self) -> Option<f64> {
        let mut client = Client::plain(*self.addresses.get("metrics")?).ok()?;
        let answer = client.request("GET", "/metrics", &[], &[]).ok().filter(|answer| answer.status == 200)?;
        Some(Metrics(answer.text()).value("porteiro_panics", &[]))
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns when it has ended.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Returns when it has ended.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut status = None;
        eventually("the end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), self.log())
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// A line of a file of proc(5) about it.
    pub(crate) fn proc(&self, file: &str, line: &str) -> String {
        let text = fs::read_to_string(Path::new("/proc").join(self.child.id().to_string()).join(file)).unwrap();
        text.lines().find(|known| known.starts_with(line)).unwrap().to_owned()
    }

    /// Peak resident memory so far, in KiB (`VmHWM` of proc(5)).
    pub(crate) fn peak_kib(&self) -> u64 {
        let line = self.proc("status", "VmHWM:");
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for House {
    /// Whatever a test asks of a house: no panic was caught in it.
    fn drop(&mut self) {
        let caught = self.panics();
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        let told = self.log().contains("panicked at");
        if !std::thread::panicking() {
            assert!(!told && caught.is_none_or(|caught| caught == 0.0), "a panic was caught:\n{}", self.log());
        }
    }
}

/// The figures of one scrape.
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The value of the one line that begins with this name and holds all of these label pairs.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let mut found = self.0.lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            (rest.starts_with('{') || rest.starts_with(' ')) && wanted.iter().all(|label| line.contains(label))
        });
        let line = found.next().unwrap_or_else(|| panic!("no {name} {labels:?} in\n{}", self.0));
        assert!(found.next().is_none(), "{name} {labels:?} is not one line");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// No panic was caught anywhere; every test of the real binary ends with this.
    #[track_caller]
    pub(crate) fn no_panics(&self) {
        assert!(self.value("porteiro_panics", &[]) == 0.0, "a panic was caught");
    }
}
