//! How does one connection to a destination come about, and what happens on it?
//!
//! The seam to the network: a [`Door`] says where and how to connect, a [`Line`] is one HTTP/1.1 connection that is driven
//! by the task of whoever uses it, so that it needs no task, no pool and no lock of its own.
//!
//! Promises: connecting is bounded in time; addresses that no destination should have are not connected to; an answer's
//! head is bounded; whether a single byte of an answer was read is known exactly.
//!
//! Must not know: events, outcomes, retries.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::request::Parcel;
use super::tls::Proof;

/// The most headers, and the most bytes of a head, that an answer may have.
const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 16 << 10;
/// What hyper may buffer of an answer.
const MAX_BUFFER: usize = 32 << 10;
/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) tls: Option<Proof>,
    /// How long name resolution, TCP and TLS may take together.
    pub(super) limit: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Shut {
    /// The name cannot be resolved.
    Name(io::Error),
    /// The name leads only to addresses that no destination should have.
    Address,
    /// Nobody accepts.
    Refused(io::Error),
    /// TLS failed: no TLS there, or not the destination.
    Tls(io::Error),
    /// It took too long.
    Slow,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// The connection was closed before the request could be written to it.
    Unsent,
    /// It broke, or what came was no answer.
    Broken(hyper::Error),
}

impl Door {
    /// Connects, within this door's limit.
    pub(super) async fn open(&self) -> Result<Line, Shut> {
        let end = Instant::now() + self.limit;
        let stream = match tokio::time::timeout_at(end, self.stream(end)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(Shut::Slow),
        };
        let heard = Arc::new(AtomicU64::new(0));
        let io = TokioIo::new(Counted { stream, heard: Arc::clone(&heard) });
        let handshake = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER)
            .handshake(io)
            .await;
        // There is nothing that can fail in it: the first bytes are written with the first request.
        let (sender, connection) = handshake.map_err(|error| Shut::Refused(io::Error::other(error)))?;
        Ok(Line { sender, connection: Box::new(connection), heard, open: true })
    }

    async fn stream(&self, end: Instant) -> Result<Stream, Shut> {
        let addresses = self.addresses().await?;
        let mut tcp = Err(Shut::Address);
        for (tried, address) in addresses.iter().enumerate() {
            // The time left is shared out evenly, so that one address that swallows everything leaves room for the rest.
            let share =
                end.saturating_duration_since(Instant::now()) / u32::try_from(addresses.len() - tried).unwrap_or(1);
            tcp = match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => Ok(tcp),
                Ok(Err(error)) => Err(Shut::Refused(error)),
                Err(_) => Err(Shut::Slow),
            };
            if tcp.is_ok() {
                break;
            }
        }
        let tcp = tcp?;
        // A socket that refuses the option still works, only later.
        drop(tcp.set_nodelay(true));
        match &self.tls {
            None => Ok(Stream::Plain(tcp)),
            Some(proof) => Ok(Stream::Tls(Box::new(proof.demand(tcp).await.map_err(Shut::Tls)?))),
        }
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Shut> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            // The operator wrote it out.
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let found = tokio::net::lookup_host((&*self.host, self.port)).await.map_err(Shut::Name)?;
        let local = self.host.eq_ignore_ascii_case("localhost");
        let mut found: Vec<_> = found.take(64).collect();
        found.retain(|address| may_reach(address.ip(), local));
        found.truncate(MAX_ADDRESSES);
        if found.is_empty() { Err(Shut::Address) } else { Ok(found) }
    }
}

/// Whether a *name* may lead to this address.
///
/// A name is resolved anew for each connection by a server that may not be the operator's. It never leads to the cloud's
/// metadata (link-local), to a multicast group or to nobody, and to this machine only if it is `localhost`; private
/// networks are where on-premises destinations live. An address that the operator wrote out is not asked about.
fn may_reach(address: IpAddr, local: bool) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let nobody = v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_multicast() || v4.is_link_local();
            !nobody && (local || !v4.is_loopback())
        }
        IpAddr::V6(v6) => {
            let aws_metadata = v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            let nobody = v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || aws_metadata;
            !nobody && (local || !v6.is_loopback())
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent => f.write_str("closed before the request"),
            Self::Broken(error) => match std::error::Error::source(error) {
                Some(source) => write!(f, "{error}: {source}"),
                None => error.fmt(f),
            },
        }
    }
}

/// One HTTP/1.1 connection. Dropping it closes it.
pub(super) struct Line {
    sender: SendRequest<Parcel>,
    connection: Box<Connection<TokioIo<Counted>, Parcel>>,
    heard: Arc<AtomicU64>,
    open: bool,
}

impl Line {
    /// Lets the connection do what it can. Whoever awaits anything of this line must call it whenever they are polled.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // What the connection has to say of its end, it says to the request under way.
        if self.open && Pin::new(&mut *self.connection).poll(cx).is_ready() {
            self.open = false;
        }
    }

    /// Ready once the other side has closed a connection on which nothing is under way.
    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.drive(cx);
        if self.open { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether the next request may be sent on it, as far as can be told now.
    pub(super) async fn is_usable(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.open && self.sender.is_ready())
        })
        .await
    }

    /// Bytes of answers read so far.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the head of the answer; has no deadline of its own.
    pub(super) async fn send(&mut self, request: Request<Parcel>) -> Result<Response<Incoming>, Silence> {
        std::future::poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        })
        .await
        .map_err(|_| Silence::Unsent)?;
        let mut answer = std::pin::pin!(self.sender.send_request(request));
        std::future::poll_fn(|cx| {
            // Not `self.drive`: the answer is not borrowed from the sender, but the compiler cannot see that.
            if self.open && Pin::new(&mut *self.connection).poll(cx).is_ready() {
                self.open = false;
            }
            answer.as_mut().poll(cx)
        })
        .await
        .map_err(Silence::Broken)
    }

    /// The next piece of an answer's body; `None` at its end.
    pub(super) async fn piece(&mut self, body: &mut Incoming) -> Option<hyper::Result<bytes::Bytes>> {
        std::future::poll_fn(|cx| {
            loop {
                self.drive(cx);
                match std::task::ready!(hyper::body::Body::poll_frame(Pin::new(body), cx)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    // Trailers say nothing to us.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                }
            }
        })
        .await
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Counts the bytes that are read.
struct Counted {
    stream: Stream,
    heard: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        let read = buffer.filled().len() - before;
        if read > 0 {
            // Read and written by one task only; atomic because hyper owns this end and the line the other.
            self.heard.store(self.heard.load(Ordering::Relaxed) + read as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
