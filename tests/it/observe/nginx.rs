//! A real nginx with the files of `config/nginx`, on ports that were free a moment ago.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::Client;
use crate::support::eventually;

/// What stands around the files in an nginx of one's own. Nobody else's files are touched, whoever runs it.
const AROUND: &str = "
daemon off;
worker_processes 2;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 2048; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include porteiro.conf;
}
";

/// A step: what the link says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Direct,
    Observed,
    Relayed,
}

impl Step {
    const fn file(self) -> &'static str {
        match self {
            Self::Direct => "direct.conf",
            Self::Observed => "observed.conf",
            Self::Relayed => "relayed.conf",
        }
    }
}

/// A running nginx; ended with its value.
pub(super) struct Nginx {
    master: Child,
    directory: tempfile::TempDir,
    pub(super) address: SocketAddr,
}

/// What runs it on this machine; not everybody has the directories of the system's own programs on their path.
pub(super) fn program() -> Option<&'static str> {
    let is_there =
        |program: &&str| Command::new(program).arg("-v").output().is_ok_and(|output| output.status.success());
    ["nginx", "/usr/sbin/nginx"].into_iter().find(is_there)
}

impl Nginx {
    /// Starts it before these.
    pub(super) fn start(program: &str, crm: SocketAddr, porteiro: SocketAddr, step: Step) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/nginx");
        for name in ["porteiro.conf", "direct.conf", "observed.conf", "relayed.conf"] {
            let mut text = fs::read_to_string(files.join(name)).unwrap();
            if name == "porteiro.conf" {
                for (said, is) in [("127.0.0.1:9001", crm), ("127.0.0.1:8080", porteiro), ("127.0.0.1:8000", address)] {
                    assert_eq!(text.matches(said).count(), 1, "{said}");
                    text = text.replace(said, &is.to_string());
                }
            }
            fs::write(directory.path().join(name), text).unwrap();
        }
        // Its workers would become somebody who may not enter here.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        fs::write(directory.path().join("nginx.conf"), format!("{user}{AROUND}")).unwrap();
        link(directory.path(), step);
        drop(free);
        let master = Command::new(program)
            .args(["-p", directory.path().to_str().unwrap(), "-e", "error.log", "-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut nginx = Self { master, directory, address };
        eventually("nginx to listen", || {
            assert!(nginx.master.try_wait().unwrap().is_none(), "nginx ended:\n{}", nginx.log());
            Client::plain(address).is_ok()
        });
        nginx
    }

    /// What it had to say, which is to be nothing.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }

    /// Goes on to a step as the page says it, and returns when the old workers are gone.
    pub(super) fn go(&self, step: Step) {
        let old = self.workers();
        assert!(!old.is_empty());
        link(self.directory.path(), step);
        self.signal(Signal::HUP);
        eventually("the end of the old workers", || {
            let now = self.workers();
            !now.is_empty() && !now.iter().any(|worker| old.contains(worker))
        });
    }

    /// The processes whose parent it is.
    fn workers(&self) -> Vec<u32> {
        let of = |entry: fs::DirEntry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // Behind the name, which may hold anything, stand the state and the parent.
            let (_, rest) = stat.rsplit_once(')')?;
            let parent: u32 = rest.split_ascii_whitespace().nth(1)?.parse().ok()?;
            (parent == self.master.id()).then_some(pid)
        };
        fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.master), signal).unwrap();
    }
}

impl Drop for Nginx {
    /// Its workers end with it only if it is asked to end.
    fn drop(&mut self) {
        if self.master.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::TERM);
            drop(self.master.wait());
        }
    }
}

/// `ln -sfn`: the link is there at any time.
fn link(directory: &Path, step: Step) {
    let (new, at) = (directory.join("step.new"), directory.join("step.conf"));
    symlink(step.file(), &new).unwrap();
    fs::rename(new, at).unwrap();
}
