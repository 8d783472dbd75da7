//! Where in the stream of requests does a connection stand?
//!
//! Promises: [`Watch`] passes bytes through unaltered and knows, at the price of one search per line of a head, whether
//! a head is under way, how many are complete, and whether the last one held both a length and a transfer coding.
//!
//! Must not know: what a request says beyond its framing.
//!
//! Why this exists: hyper 1.12 refuses neither a request with `Content-Length` and `Transfer-Encoding` nor lets the
//! service see it: while it parses the head (`proto/h1/role.rs`, `Server::parse`) it drops the length, whichever of
//! the two came first, and hands on a header map with the coding alone. The only trace is `Connection: close` in the
//! answer, written after the service is done. The header-case map is private and lacks a length that came second; the
//! gaps between the slices of the header values tell nothing about a last line. So the head is looked at where it
//! passes. Since every request with a transfer coding is the last one of its connection here, chunks are never
//! followed: after such a head the watch is blind. Nothing else in the framing is judged: lengths that differ, a coding
//! that does not end in `chunked`, folded lines and a space before a colon are refused by hyper.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::inflow::Left;

/// As much of a line as is kept when a read ends within it; a framing line that is longer blinds the watch.
const KEPT: usize = 64;

/// What the reader of a connection, its requests and its task know of each other. They all run in one task: the atomics
/// are there for the compiler, not for a race.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Complete heads.
    pub(super) heads: AtomicU32,
    /// Requests handed out to be answered.
    pub(super) begun: AtomicU32,
    /// Requests answered.
    pub(super) ended: AtomicU32,
    /// A head is under way.
    pub(super) mid_head: AtomicBool,
    /// The last complete head held both a length and a transfer coding.
    pub(super) both: AtomicBool,
    /// What follows the last complete head cannot be told: the connection must end with its request.
    pub(super) blind: AtomicBool,
    /// Bytes were written that the peer's window has not taken.
    pub(super) unflushed: AtomicBool,
    /// The body of the request that is being answered was read to its end.
    pub(super) whole: AtomicBool,
    /// What the last request left unread.
    pub(super) left: Left,
}

/// A stream, and a byte of it that was read ahead. What reads requests from it and what asks whether the peer is still
/// there run in one task: the lock is never waited for.
#[derive(Debug)]
pub(super) struct Shared<S>(Mutex<Ahead<S>>);

#[derive(Debug)]
struct Ahead<S> {
    stream: S,
    first: Option<u8>,
}

/// What is known of a peer that has nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// It is there, or nothing else is known.
    There,
    /// It says nothing more, and may still listen.
    Shut,
    /// It is gone.
    Gone,
}

impl<S> Shared<S> {
    /// With the byte that woke the connection.
    pub(super) const fn new(stream: S, first: u8) -> Self {
        Self(Mutex::new(Ahead { stream, first: Some(first) }))
    }

    pub(super) fn into_inner(self) -> S {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).stream
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + Unpin> Shared<S> {
    /// How the peer is while nobody reads what it sends; wakes the task when that changes. Reads a byte ahead at most.
    pub(super) fn poll_peer(&self, cx: &mut Context<'_>) -> Peer {
        let mut ahead = self.ahead();
        if ahead.first.is_some() {
            return Peer::There;
        }
        let mut byte = [0];
        let mut room = ReadBuf::new(&mut byte);
        match Pin::new(&mut ahead.stream).poll_read(cx, &mut room) {
            Poll::Pending => Peer::There,
            Poll::Ready(Ok(())) => {
                ahead.first = room.filled().first().copied();
                if ahead.first.is_some() { Peer::There } else { Peer::Shut }
            }
            // TLS that ends without a word.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Peer::Shut,
            Poll::Ready(Err(_)) => Peer::Gone,
        }
    }
}

/// A stream whose heads are watched as they are read.
#[derive(Debug)]
pub(super) struct Watch<S> {
    shared: Arc<Shared<S>>,
    scan: Scan,
    standing: Arc<Standing>,
}

impl<S> Watch<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, standing: Arc<Standing>) -> Self {
        Self { shared, scan: Scan::default(), standing }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watch<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let mut ahead = this.shared.ahead();
        let first = if buf.remaining() == 0 { None } else { ahead.first.take() };
        if let Some(byte) = first {
            buf.put_slice(&[byte]);
        }
        match Pin::new(&mut ahead.stream).poll_read(cx, buf) {
            // The byte in hand is news enough; what befell the stream is told at the next read.
            Poll::Pending | Poll::Ready(Err(_)) if first.is_some() => {}
            other => ready!(other)?,
        }
        drop(ahead);
        if let Some(new) = buf.filled().get(before..) {
            this.scan.feed(new, &this.standing);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watch<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.standing.unflushed.store(true, Relaxed);
        Pin::new(&mut self.shared.ahead().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.shared.ahead().stream).poll_flush(cx))?;
        self.standing.unflushed.store(false, Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.standing.unflushed.store(true, Relaxed);
        Pin::new(&mut self.shared.ahead().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.standing.unflushed.store(true, Relaxed);
        Pin::new(&mut self.shared.ahead().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.shared.ahead().stream.is_write_vectored()
    }
}

#[derive(Debug)]
struct Scan {
    at: At,
    /// The request line has been seen.
    begun: bool,
    length: Option<u64>,
    coded: bool,
    /// A framing line could not be read: hyper will refuse it, or it is stranger than a provider's.
    odd: bool,
    kept: [u8; KEPT],
    kept_len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a line of a head, of which `kept` holds what came so far.
    Line,
    /// In a line of no interest.
    Skip,
    /// In a body, of which so many bytes are to come.
    Body(u64),
    /// Behind a head whose body has no length.
    Blind,
}

impl Default for Scan {
    fn default() -> Self {
        Self { at: At::Line, begun: false, length: None, coded: false, odd: false, kept: [0; KEPT], kept_len: 0 }
    }
}

impl Scan {
    fn feed(&mut self, mut bytes: &[u8], standing: &Standing) {
        while !bytes.is_empty() {
            match self.at {
                At::Blind => return,
                At::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(here..).unwrap_or_default();
                    let left = left - u64::try_from(here).unwrap_or(left);
                    self.at = if left == 0 { At::Line } else { At::Body(left) };
                }
                At::Skip => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else { break };
                    bytes = bytes.get(end + 1..).unwrap_or_default();
                    self.at = At::Line;
                }
                At::Line => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.keep(bytes);
                        break;
                    };
                    let (line, rest) = bytes.split_at(end);
                    bytes = rest.get(1..).unwrap_or_default();
                    self.whole_line(line, standing);
                }
            }
        }
        standing.mid_head.store(self.begun || self.kept_len > 0, Relaxed);
    }

    /// Keeps the beginning of a line whose end is still to come.
    fn keep(&mut self, part: &[u8]) {
        let room = self.kept.get_mut(self.kept_len..).unwrap_or_default();
        let taken = room.len().min(part.len());
        room.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        self.kept_len += taken;
        if taken == part.len() {
            return;
        }
        let name = Name::of(self.kept.get(..self.kept_len).unwrap_or_default());
        self.kept_len = 0;
        self.at = At::Skip;
        if self.begun {
            self.coded |= name == Name::Coding;
            self.odd |= name == Name::Length;
        }
        self.begun = true;
    }

    fn whole_line(&mut self, end: &[u8], standing: &Standing) {
        if self.kept_len == 0 {
            return self.line(end, standing);
        }
        self.keep(end);
        if self.at == At::Skip {
            self.at = At::Line;
            return;
        }
        let kept = self.kept;
        let line = kept.get(..self.kept_len).unwrap_or_default();
        self.kept_len = 0;
        self.line(line, standing);
    }

    fn line(&mut self, line: &[u8], standing: &Standing) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            if self.begun {
                self.head_ends(standing);
            }
        } else if self.begun {
            match Name::of(line) {
                Name::Other => {}
                Name::Coding => self.coded = true,
                Name::Length => match length(line) {
                    Some(length) => self.length = Some(length),
                    None => self.odd = true,
                },
            }
        } else {
            self.begun = true;
        }
    }

    fn head_ends(&mut self, standing: &Standing) {
        let measured = self.length.is_some() || self.odd;
        let blind = self.coded || self.odd;
        standing.both.store(self.coded && measured, Relaxed);
        standing.blind.store(blind, Relaxed);
        standing.heads.fetch_add(1, Relaxed);
        let at = match self.length {
            _ if blind => At::Blind,
            Some(length) if length > 0 => At::Body(length),
            _ => At::Line,
        };
        *self = Self { at, ..Self::default() };
        if blind {
            standing.mid_head.store(false, Relaxed);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Length,
    Coding,
    Other,
}

impl Name {
    fn of(line: &[u8]) -> Self {
        const LENGTH: &[u8] = b"content-length:";
        const CODING: &[u8] = b"transfer-encoding:";
        let is = |name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'c') if is(LENGTH) => Self::Length,
            Some(b't') if is(CODING) => Self::Coding,
            _ => Self::Other,
        }
    }
}

fn length(line: &[u8]) -> Option<u64> {
    let (_, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')? + 1)?;
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Panics, for a fuzzer or a test to see, where it makes a difference how a stream of bytes is cut into reads.
#[cfg(any(test, fuzzing))]
pub fn holds(bytes: &[u8]) {
    let told = |piece: usize| {
        let standing = Standing::default();
        let mut scan = Scan::default();
        bytes.chunks(piece).for_each(|bytes| scan.feed(bytes, &standing));
        let flag = |flag: &AtomicBool| flag.load(Relaxed);
        let (both, blind) = (flag(&standing.both), flag(&standing.blind));
        (standing.heads.load(Relaxed), flag(&standing.mid_head), both, blind)
    };
    // A framing line that is too long to keep blinds only where a read ends within it.
    let long = bytes.split(|byte| *byte == b'\n').any(|line| line.len() >= KEPT && Name::of(line) != Name::Other);
    let whole = told(bytes.len().max(1));
    for piece in [1, 2, 3, 7, 64] {
        assert!(long || told(piece) == whole, "pieces of {piece}");
    }
}

#[cfg(test)]
mod tests;
