//! What happens on one connection to a destination?
//!
//! A [`Line`] is one HTTP/1.1 connection, an [`Exchange`] one request on it and its answer. Both are driven by the task of
//! whoever uses them, so that they need no task, no pool and no lock of their own.
//!
//! Promises: head and body go out together, copied nowhere, in as few writes as the socket takes them; an answer that
//! comes before the request is out is heard; whether a single byte of an answer was read is known exactly; a line on which
//! anything is doubtful is not given back.
//!
//! Must not know: events, outcomes, retries.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::answer::{Answer, Flaw, HEAD_MAX, Top};
use super::request::Asked;

/// What is read into at first; most answers need less. It grows to [`HEAD_MAX`] where one needs more.
const ROOM: usize = 2 << 10;
const _: () =
    assert!(HEAD_MAX.is_multiple_of(ROOM) && (HEAD_MAX / ROOM).is_power_of_two(), "it is doubled until it is that");
/// How many pieces are written at once.
const PIECES: usize = 8;

/// What bytes go through.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn poll_read(&mut self, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, room),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, room),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }
}

/// One connection. Dropping it closes it.
pub(super) struct Line {
    stream: Stream,
    /// What was read and not yet taken stands at its beginning.
    room: Vec<u8>,
    filled: usize,
    /// An exchange on it came to a good end.
    used: bool,
}

impl Line {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, room: vec![0; ROOM], filled: 0, used: false }
    }

    /// Ready once nothing can be sent any more on a line without an exchange: the other side closed it, or says something
    /// that nobody asked for.
    pub(super) fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_fill(context).map(drop)
    }

    /// Reads what there is. 0 if the other side has closed.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(&mut self.room[self.filled..]);
        ready!(self.stream.poll_read(context, &mut room))?;
        let read = room.filled().len();
        self.filled += read;
        if self.filled == self.room.len() && self.filled < HEAD_MAX {
            self.room.resize(2 * self.filled, 0);
        }
        Poll::Ready(Ok(read))
    }

    fn held(&self) -> &[u8] {
        &self.room[..self.filled]
    }

    fn take(&mut self, count: usize) {
        self.room.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// Nothing could be sent: the line was closed before.
    Unsent,
    /// It was closed before the head of the answer was there.
    Closed,
    /// It broke.
    Broken(io::Error),
    /// What came is no answer.
    Flaw(Flaw),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent => f.write_str("closed before the request"),
            Self::Closed => f.write_str("closed before the answer was there"),
            Self::Broken(error) => error.fmt(f),
            Self::Flaw(flaw) => flaw.fmt(f),
        }
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) status: u16,
    /// The value of `Retry-After`.
    pub(super) retry_after: Option<Vec<u8>>,
    /// What the body is, where that was asked for.
    pub(super) content_type: Option<HeaderValue>,
    pub(super) content_encoding: Option<HeaderValue>,
}

/// What is read of an answer's body.
pub(super) struct Appetite {
    /// How many bytes are read, chunk sizes and the like included, so that the line can be used again.
    pub(super) read: usize,
    /// How many bytes of the body are kept.
    pub(super) keep: usize,
    /// Whether the request is to be sent to its end although its answer is there.
    pub(super) send_on: bool,
    /// Told in the end: whether the body was read to its end.
    pub(super) whole: bool,
}

/// One request on a line, and its answer.
pub(super) struct Exchange<'a> {
    line: Line,
    outgoing: Outgoing<'a>,
    answer: Answer,
    begun: bool,
    heard: bool,
    /// What the body is, is of interest.
    curious: bool,
}

impl<'a> Exchange<'a> {
    /// Begins; nothing is sent yet.
    pub(super) const fn new(line: Line, head: &'a [u8], body: &'a [Bytes], asked: Asked) -> Self {
        let answer = match asked {
            Asked::Whole => Answer::new(),
            Asked::Head => Answer::bare(),
        };
        let outgoing = Outgoing { head, body, place: 0, sent: 0, end: None };
        Self { line, outgoing, answer, begun: false, heard: false, curious: false }
    }

    /// Notes what the body of the answer is, too, if so.
    pub(super) fn curious(mut self, curious: bool) -> Self {
        self.curious = curious;
        self
    }

    /// Whether it is nobody's fault that there is no answer: the line was used before, and not a byte of an answer was
    /// read.
    pub(super) const fn is_stale(&self) -> bool {
        self.line.used && !self.heard
    }

    /// Sends the request and waits for the head of the answer; has no deadline of its own.
    pub(super) async fn send(&mut self) -> Result<Found, Silence> {
        std::future::poll_fn(|context| self.poll_send(context)).await
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<Found, Silence>> {
        if !self.begun {
            // Whatever comes before the request is no answer to it. On a new line it may be: some who have no time for
            // anybody say so at once.
            if self.line.used && self.line.poll_closed(context).is_ready() {
                return Poll::Ready(Err(Silence::Unsent));
            }
            self.begun = true;
        }
        self.outgoing.poll(&mut self.line.stream, context);
        loop {
            match ready!(self.line.poll_fill(context)) {
                Ok(1..) => self.heard = true,
                Ok(0) => return Poll::Ready(Err(Silence::Closed)),
                Err(error) => return Poll::Ready(Err(Silence::Broken(error))),
            }
            if let Some(found) = self.head().map_err(Silence::Flaw)? {
                return Poll::Ready(Ok(found));
            }
        }
    }

    /// Takes the head of the answer from what was read, if it is there.
    fn head(&mut self) -> Result<Option<Found>, Flaw> {
        loop {
            let (found, taken) = match self.answer.top(self.line.held())? {
                Top::Partial => return Ok(None),
                Top::Interim(taken) => (None, taken),
                Top::Final { status, retry_after, labels, taken } => {
                    let value =
                        |of: Option<&[u8]>| of.filter(|_| self.curious).and_then(|of| HeaderValue::from_bytes(of).ok());
                    let (content_type, content_encoding) = (value(labels.content_type), value(labels.content_encoding));
                    let retry_after = retry_after.map(<[u8]>::to_vec);
                    (Some(Found { status, retry_after, content_type, content_encoding }), taken)
                }
            };
            self.line.take(taken);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Reads the body of the answer to its end, within bounds, after [`Exchange::send`] found its head. Gives the line back
    /// if it can be used again.
    pub(super) async fn finish(mut self, appetite: &mut Appetite, kept: &mut Vec<u8>) -> Option<Line> {
        let usable = std::future::poll_fn(|context| self.poll_finish(appetite, kept, context)).await;
        self.line.used = true;
        usable.then_some(self.line)
    }

    fn poll_finish(&mut self, appetite: &mut Appetite, kept: &mut Vec<u8>, context: &mut Context<'_>) -> Poll<bool> {
        if appetite.send_on {
            self.outgoing.poll(&mut self.line.stream, context);
        }
        loop {
            let held = self.line.filled;
            if self.eat(appetite, kept).is_err() {
                return Poll::Ready(false);
            }
            if self.answer.is_whole() {
                appetite.whole = true;
                if appetite.send_on && self.outgoing.end.is_none() {
                    return Poll::Pending;
                }
                // More than was announced: whatever it is, it is no answer to the next request.
                let sound = self.answer.is_reusable() && self.line.filled == 0;
                return Poll::Ready(sound && self.outgoing.end == Some(End::Sent));
            }
            appetite.read = appetite.read.saturating_sub(held);
            let hopeless = self.answer.missing() > appetite.read as u64;
            if appetite.read == 0 || (hopeless && kept.len() >= appetite.keep) {
                return Poll::Ready(false);
            }
            match ready!(self.line.poll_fill(context)) {
                Ok(1..) => {}
                ended => {
                    appetite.whole = ended.is_ok() && self.answer.ends_with_the_connection();
                    return Poll::Ready(false);
                }
            }
        }
    }

    /// Takes what was read as far as it is the answer's.
    fn eat(&mut self, appetite: &Appetite, kept: &mut Vec<u8>) -> Result<(), Flaw> {
        let mut eaten = 0;
        loop {
            let (taken, data) = self.answer.body(&self.line.held()[eaten..])?;
            kept.extend_from_slice(&data[..data.len().min(appetite.keep - kept.len())]);
            eaten += taken;
            if taken == 0 {
                self.line.take(eaten);
                return Ok(());
            }
        }
    }
}

/// A request on its way out.
struct Outgoing<'a> {
    head: &'a [u8],
    body: &'a [Bytes],
    /// Which part is next: the head, then the pieces of the body.
    place: usize,
    /// How much of that part is out.
    sent: usize,
    /// Nothing is to be done any more.
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All of it is out.
    Sent,
    /// The other side takes no more.
    Refused,
}

impl Outgoing<'_> {
    /// Sends what the other side takes. If it takes no more, there may be an answer all the same, and if there is none,
    /// reading says why.
    fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) {
        if self.end.is_none()
            && let Poll::Ready(sent) = self.poll_all(stream, context)
        {
            self.end = Some(if sent.is_ok() { End::Sent } else { End::Refused });
        }
    }

    fn poll_all(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.place <= self.body.len() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let mut count = 0;
            for (slice, place) in slices.iter_mut().zip(self.place..=self.body.len()) {
                let from = if place == self.place { self.sent } else { 0 };
                *slice = IoSlice::new(&self.part(place)[from..]);
                count += 1;
            }
            // Nothing to write where only empty pieces are left.
            let nothing = slices.iter().all(|slice| slice.is_empty());
            let written = if nothing { 0 } else { ready!(stream.poll_write(context, &slices[..count]))? };
            if written == 0 && !nothing {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        stream.poll_flush(context)
    }

    fn part(&self, place: usize) -> &[u8] {
        place.checked_sub(1).map_or(self.head, |piece| &self.body[piece])
    }

    /// So many bytes more are out.
    fn advance(&mut self, written: usize) {
        self.sent += written;
        while self.place <= self.body.len() {
            let length = self.part(self.place).len();
            if self.sent < length {
                return;
            }
            self.sent -= length;
            self.place += 1;
        }
    }
}

#[cfg(test)]
mod tests;
