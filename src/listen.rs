//! Who may connect, and for how long?
//!
//! Binds, accepts, speaks TLS and HTTP/1.1, and hands every request to an answer that it is given: [`Door::open`].
//!
//! Promises: everything a stranger can make this house hold or do has a limit in [`Limits`], and a [`Closing`] that is
//! counted when it is reached; an answer given before the whole request was read reaches the client, within bounds;
//! when the house closes, requests under way are finished and idle connections end at once.
//!
//! Must not know: sources, events, and what an answer means.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::drain::Drain;
use crate::metrics::{HouseMetrics, ListenerMetrics, Sparing};

mod conn;
mod handshake;
mod inflow;
pub mod local;
mod passed;
pub mod tls;
mod watch;

pub use inflow::Inflow;
pub use passed::{Passed, PassedError, Wanted};
use tls::Tls;
#[cfg(any(test, fuzzing))]
pub use watch::holds as watch_holds;

/// What one listener allows. Every figure is per listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; one more is closed as soon as it is accepted.
    pub connections: usize,
    /// TLS handshakes answered at once; others wait their turn, within their own `handshake` time.
    pub handshakes: usize,
    /// From the connection to the end of its TLS handshake.
    pub handshake: Duration,
    /// From the connection to its first byte, and from the first byte of a request's head to the last.
    pub head: Duration,
    /// Bytes of a head, request line included.
    pub head_size: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// Between two requests.
    pub idle: Duration,
    /// How long a peer may leave an answer unread in its window.
    pub flush: Duration,
    /// How long the rest of a request is read and thrown away after an early answer.
    pub linger: Duration,
    /// How much of it, in bytes.
    pub linger_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshakes: 256,
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            head_size: 16 * 1024,
            headers: 64,
            idle: Duration::from_secs(75),
            flush: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            linger_size: 1024 * 1024,
        }
    }
}

impl Limits {
    /// For a listener that only a few of the operator's own machines use.
    #[must_use]
    pub fn private() -> Self {
        Self { connections: 64, handshakes: 8, head_size: 8 * 1024, linger_size: 64 * 1024, ..Self::default() }
    }
}

impl Limits {
    /// Most bytes that one connection takes, with TLS or without: at its worst it has the largest head, in as many fields as
    /// may be, beside a full buffer, a piece of a body and TLS records of the largest kind. Measured by a test.
    #[must_use]
    pub const fn connection_bytes(&self, tls: bool) -> u64 {
        let speaks = if tls { TLS } else { 0 };
        BASE + speaks + (BUFFERS * self.head_size + FIELD * self.headers) as u64
    }
}

/// A connection without what its heads take: socket, task, and the state of a request.
const BASE: u64 = 24 << 10;
/// TLS beside it: the session, and a record coming and one going.
const TLS: u64 = 56 << 10;
/// What is as large as a head: the buffer it is read into, the one that is filled while a piece of the first is held, the
/// fields, and the head as it is stored.
const BUFFERS: usize = 4;
/// A field of a head beside its text.
const FIELD: usize = 128;

/// Why a connection was closed, or not taken in, without its peer's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// There were as many connections as may be.
    Capacity,
    /// The TLS handshake took too long.
    HandshakeLate,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// Not a byte came on a new connection.
    Silent,
    /// A head took too long.
    Head,
    /// A head was no HTTP, too long, or held too many fields.
    BadHead,
    /// No further request came.
    Idle,
    /// The peer did not take its answer.
    Flush,
}

/// The words for [`Closing`], each at the place that [`Closing::place`] tells; labels of
/// `porteiro_connections_closed_total`.
pub const CLOSINGS: &[&str] =
    &["capacity", "handshake_late", "handshake_failed", "silent", "head_late", "bad_head", "idle", "flush_late"];

impl Closing {
    /// Its place in [`CLOSINGS`].
    #[must_use]
    pub const fn place(self) -> usize {
        match self {
            Self::Capacity => 0,
            Self::HandshakeLate => 1,
            Self::HandshakeFailed => 2,
            Self::Silent => 3,
            Self::Head => 4,
            Self::BadHead => 5,
            Self::Idle => 6,
            Self::Flush => 7,
        }
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        CLOSINGS.get(self.place()).copied().unwrap_or_default()
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A socket that is bound and listens, but from which nothing is taken yet.
#[derive(Debug)]
pub struct Bound(TcpListener);

impl Bound {
    /// Binds; `[::]` takes IPv4 too. `backlog` connections may wait to be accepted.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(address: SocketAddr, backlog: i32) -> io::Result<Self> {
        use socket2::{Domain, Protocol, Socket, Type};
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        Ok(Self(socket.into()))
    }

    /// Where it is bound; tells the port where 0 was asked for.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A listener's rules and what it needs of the house.
#[derive(Clone, Debug)]
pub struct Door {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// TLS, unless the listener is a plain one.
    pub tls: Option<Tls>,
    /// What it allows.
    pub limits: Limits,
    /// What it counts; made with [`CLOSINGS`].
    pub metrics: Arc<ListenerMetrics>,
    /// What the house counts.
    pub house: Arc<HouseMetrics>,
    /// For the limit on log lines.
    pub clock: Clock,
    /// Starts the connections and says when the house closes.
    pub drain: Drain,
}

impl Door {
    /// Takes connections until the house closes, and has every request answered by `answer`, which is told the peer.
    ///
    /// # Errors
    /// If the socket cannot be handed to the runtime.
    pub async fn open<A, F>(self, bound: Bound, answer: A) -> io::Result<()>
    where
        A: Fn(IpAddr, Request<Inflow>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::from_std(bound.0)?;
        let drain = self.drain.clone();
        let mut closing = pin!(drain.closing());
        let inside = Arc::new(Inside::new(self, answer));
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut closing => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = FIRST_PAUSE;
                    inside.take(stream, peer.ip());
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    // No descriptors or no memory: some connection must end before another can be had.
                    inside.say_cannot_accept(&error);
                    tokio::select! {
                        biased;
                        () = &mut closing => return Ok(()),
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Whether `accept` failed for a connection that was already gone.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// What all connections of a listener share.
struct Inside<A> {
    door: Door,
    answer: A,
    http: http1::Builder,
    open: AtomicUsize,
    handshakes: Semaphore,
    lines: Sparing,
}

impl<A, F> Inside<A>
where
    A: Fn(IpAddr, Request<Inflow>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    fn new(door: Door, answer: A) -> Self {
        Self {
            answer,
            http: conn::http(&door.limits),
            open: AtomicUsize::new(0),
            handshakes: Semaphore::new(door.limits.handshakes),
            lines: Sparing::new(CLOSINGS.len() + 1, door.house.log_lines_left_out.clone()),
            door,
        }
    }

    /// Starts a connection, if there is room for one.
    fn take(self: &Arc<Self>, stream: TcpStream, peer: IpAddr) {
        self.door.metrics.accepted.inc();
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.door.limits.connections {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.closed(Some(Closing::Capacity), peer);
            return;
        }
        self.door.metrics.open.inc();
        let presence = Presence(Arc::clone(self));
        let task = async move {
            let inside = &presence.0;
            let why = inside.connection(stream, peer).await;
            inside.closed(why, peer);
        };
        drop(self.door.drain.spawn(task));
    }

    async fn connection(&self, stream: TcpStream, peer: IpAddr) -> Option<Closing> {
        // An answer is one small write: there is nothing to wait for. A peer that is gone will be noticed soon enough.
        drop(stream.set_nodelay(true));
        let Door { tls, limits, drain, .. } = &self.door;
        let answer = |request| (self.answer)(peer, request);
        let Some(tls) = tls else { return conn::serve(stream, &self.http, limits, drain, answer).await };
        // Boxed, so that the task keeps no room for what a handshake needs.
        let handshake =
            Box::pin(tokio::time::timeout(limits.handshake, handshake::shake(tls, stream, &self.handshakes)));
        let shaken = tokio::select! {
            biased;
            shaken = handshake => shaken,
            () = drain.closing() => return None,
        };
        match shaken {
            Ok(Ok(stream)) => conn::serve(stream, &self.http, limits, drain, answer).await,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof || is_of_the_peer(&error) => None,
            Ok(Err(_)) => Some(Closing::HandshakeFailed),
            Err(_) => Some(Closing::HandshakeLate),
        }
    }

    fn closed(&self, why: Option<Closing>, peer: IpAddr) {
        let Some(why) = why else { return };
        let Door { name, metrics, clock, .. } = &self.door;
        metrics.closings.count(why.place());
        if why == Closing::Idle {
            return;
        }
        if let Some(left_out) = self.lines.speak(why.place(), clock.now()) {
            tracing::warn!(listener = %name, %peer, reason = why.word(), left_out, "closed a connection");
        }
    }

    fn say_cannot_accept(&self, error: &io::Error) {
        if let Some(left_out) = self.lines.speak(CLOSINGS.len(), self.door.clock.now()) {
            tracing::error!(listener = %self.door.name, %error, left_out, "cannot accept connections");
        }
    }
}

/// Counts a connection as open for as long as its task lives, also when it ends by a panic.
struct Presence<A>(Arc<Inside<A>>);

impl<A> Drop for Presence<A> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.door.metrics.open.dec();
    }
}

#[cfg(test)]
mod tests;
