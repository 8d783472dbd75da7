//! How is the real server started, killed and asked?
//!
//! Promises: the server is this very binary, in a process of its own; it never outlives the demonstration.
//!
//! Must not know: what is sent to it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout_at};

/// How long a start may take.
const START: Duration = Duration::from_secs(20);

/// The running server.
pub(super) struct Server {
    child: Child,
    metrics: SocketAddr,
}

impl Server {
    /// Starts `porteiro serve` and waits until it is ready. Its log goes to the file beside the configuration.
    pub(super) async fn start(configuration: &Path, log: &Path, metrics: SocketAddr) -> io::Result<Self> {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(log)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "-c"])
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Self { child, metrics };
        let deadline = Instant::now() + START;
        let mut tick = interval(Duration::from_millis(10));
        while Instant::now() < deadline {
            tick.tick().await;
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}")));
            }
            if server.get("/-/ready").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(server);
            }
        }
        Err(io::Error::other(format!("the server was not ready within {START:?}")))
    }

    /// SIGKILL; returns when it is gone.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; returns when it has ended.
    pub(super) async fn stop(&mut self) -> io::Result<()> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + START;
        let mut tick = interval(Duration::from_millis(10));
        while Instant::now() < deadline {
            tick.tick().await;
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
        }
        self.kill()
    }

    /// The figures of one source: what became of its requests.
    pub(super) async fn outcomes(&self, source: &str) -> io::Result<Vec<(String, u64)>> {
        let text = self.get("/metrics").await?;
        let marker = format!("source=\"{source}\"");
        let figures =
            text.lines().filter(|line| line.starts_with("porteiro_requests_total{") && line.contains(&marker));
        Ok(figures
            .filter_map(|line| {
                let outcome = line.split("outcome=\"").nth(1)?.split('"').next()?;
                Some((outcome.to_owned(), line.rsplit(' ').next()?.parse().ok()?))
            })
            .collect())
    }

    async fn get(&self, path: &str) -> io::Result<String> {
        let ask = async {
            let mut stream = TcpStream::connect(self.metrics).await?;
            let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.metrics);
            stream.write_all(head.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.take(16 << 20).read_to_end(&mut answer).await?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        timeout_at(Instant::now() + Duration::from_secs(5), ask).await?
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
