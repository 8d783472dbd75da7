//! What arrives where? A destination for trying things out.
//!
//! Promises: answers every request with the same status after the same delay, closes the connection instead where it was
//! told to, and tells of each arrival; what it holds is bounded.
//!
//! Must not know: Porteiro's rooms; it could stand behind any relay.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::clock::{Clock, Timestamp};
use crate::drain::Drain;

/// The largest body that is read; a larger one is answered 413.
const BODY_MAX: usize = 64 << 20;
/// Connections at the same time; one more waits.
const CONNECTIONS_MAX: usize = 1024;
/// Arrivals that were not yet told of; one more waits.
const ARRIVALS_MAX: usize = 1024;
/// The pause after a connection that could not be accepted.
const BREATH: Duration = Duration::from_millis(10);
/// How much of a body is shown.
const SHOWN_MAX: usize = 120;

/// What the sink was told to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// What to answer.
    pub status: StatusCode,
    /// How long to wait before the answer.
    pub delay: Duration,
    /// Which arrivals get no answer but a closed connection.
    pub drop: Lose,
}

impl Options {
    /// Answers 200 at once on any port of this machine.
    #[must_use]
    pub fn new() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { listen, status: StatusCode::OK, delay: Duration::ZERO, drop: Lose::None }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Which arrivals get no answer but a closed connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Lose {
    /// None.
    #[default]
    None,
    /// The first so many.
    First(u64),
    /// This share of all, spread evenly: above 0, at most 1.
    Share(f64),
}

impl Lose {
    /// Whether the arrival of this number, counted from 0, is lost.
    #[must_use]
    pub fn loses(self, number: u64) -> bool {
        match self {
            Self::None => false,
            Self::First(count) => number < count,
            // As many as the share of all so far, rounded: below one loss every so often, never two where one is due.
            Self::Share(share) => {
                let due = |count: u64| (count as f64 * share + 1e-9).floor();
                due(number + 1) > due(number)
            }
        }
    }
}

/// Why a text says nothing about what to drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoseError;

impl fmt::Display for LoseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a count such as 3 (the first three) nor a share such as 10% or 0.1")
    }
}

impl std::error::Error for LoseError {}

impl FromStr for Lose {
    type Err = LoseError;

    /// `3`: the first three; `10%` or `0.1`: one of ten.
    fn from_str(text: &str) -> Result<Self, LoseError> {
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.parse::<f64>().map_err(|_| LoseError)? / 100.0,
            None if text.contains('.') => text.parse().map_err(|_| LoseError)?,
            None => {
                let count = text.parse().map_err(|_| LoseError)?;
                return Ok(if count == 0 { Self::None } else { Self::First(count) });
            }
        };
        match share {
            0.0 => Ok(Self::None),
            share if share > 0.0 && share <= 1.0 => Ok(Self::Share(share)),
            _ => Err(LoseError),
        }
    }
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When its last byte was read.
    pub at: Timestamp,
    /// Its method.
    pub method: Method,
    /// Path and query, as received.
    pub target: Box<str>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether it was answered, or the connection closed instead.
    pub answered: bool,
}

impl Arrival {
    /// A header's value, where it is there and can be shown.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// One line for people; the first bytes of the body only where they were asked for.
    #[must_use]
    pub fn line(&self, show_body: bool) -> String {
        use fmt::Write as _;
        let known = |name| self.header(name).unwrap_or("-");
        let (id, attempt) = (known("x-porteiro-event-id"), known("x-porteiro-attempt"));
        let kind = self.header("x-github-event").or_else(|| self.header("content-type")).unwrap_or("-");
        let mut line = format!(
            "{}  {} {}  event {id}  attempt {attempt}  {kind}  {} bytes",
            self.at,
            self.method,
            self.target,
            self.body.len()
        );
        if !self.answered {
            line.push_str("  dropped");
        }
        if show_body {
            let shown = String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN_MAX)]);
            // Quoted, so that a body cannot write to the terminal.
            write!(line, "  {shown:?}").expect("a string grows");
        }
        line
    }
}

/// A sink that is bound, but does not accept yet.
#[derive(Debug)]
pub struct Sink {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

impl Sink {
    /// Binds the address.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn bind(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        Ok(Self { address: listener.local_addr()?, listener, options })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts and answers until the drain closes; then closes the listener and every connection, answered or not.
    pub async fn run(self, drain: &Drain, mut out: impl FnMut(Arrival)) {
        let (arrivals, mut arrived) = mpsc::channel(ARRIVALS_MAX);
        let desk = Arc::new(Desk { options: self.options, number: AtomicU64::new(0), arrivals });
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let closing = drain.closing();
        tokio::pin!(closing);
        loop {
            let accept = async {
                let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
                (place, self.listener.accept().await)
            };
            tokio::select! {
                () = closing.as_mut() => break,
                Some(arrival) = arrived.recv() => out(arrival),
                (place, accepted) = accept => match accepted {
                    Ok((stream, _)) => {
                        let (desk, house) = (Arc::clone(&desk), drain.clone());
                        drop(drain.spawn(async move {
                            serve(stream, &desk, &house).await;
                            drop(place);
                        }));
                    }
                    // Out of descriptors, or the peer was gone again: others may still be served, in a moment.
                    Err(_) => tokio::time::sleep(BREATH).await,
                },
            }
        }
        while let Ok(arrival) = arrived.try_recv() {
            out(arrival);
        }
    }
}

#[derive(Debug)]
struct Desk {
    options: Options,
    number: AtomicU64,
    arrivals: mpsc::Sender<Arrival>,
}

async fn serve(stream: TcpStream, desk: &Arc<Desk>, drain: &Drain) {
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| desk.answer(request));
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A relay that breaks the connection is its own affair.
        ended = connection => drop(ended),
        () = drain.closing() => {}
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped")
    }
}

impl std::error::Error for Dropped {}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Dropped> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_MAX).collect().await else {
            return Ok(status(StatusCode::PAYLOAD_TOO_LARGE));
        };
        let answered = !self.options.drop.loses(self.number.fetch_add(1, Ordering::Relaxed));
        let arrival = Arrival {
            at: Clock::system().now(),
            method: head.method,
            target: head.uri.path_and_query().map_or("", |target| target.as_str()).into(),
            headers: head.headers,
            body: body.to_bytes(),
            answered,
        };
        if self.arrivals.send(arrival).await.is_err() || !answered {
            return Err(Dropped);
        }
        if !self.options.delay.is_zero() {
            tokio::time::sleep(self.options.delay).await;
        }
        Ok(status(self.options.status))
    }
}

fn status(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

/// What is printed of arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Nothing of them.
    pub quiet: bool,
    /// The first bytes of the body, too.
    pub body: bool,
}

/// Runs a sink for people: prints where it listens, and a line per arrival.
///
/// # Errors
///
/// What the operating system says of the address, or of the place that is printed to.
pub async fn run(options: Options, shown: Shown, drain: &Drain, mut out: impl Write) -> io::Result<()> {
    let sink = Sink::bind(options).await?;
    writeln!(out, "sink listens on http://{}", sink.address())?;
    out.flush()?;
    let mut written = Ok(());
    sink.run(drain, |arrival| {
        if !shown.quiet && written.is_ok() {
            written = writeln!(out, "{}", arrival.line(shown.body)).and_then(|()| out.flush());
            if written.is_err() {
                // Nobody reads any more.
                drain.close();
            }
        }
    })
    .await;
    written
}

#[cfg(test)]
mod tests;
