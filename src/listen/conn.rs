//! How long, and for what, may one connection stay?
//!
//! Promises: whatever a peer does or leaves undone, its connection is in one [`Phase`], and every phase but an answer
//! under way (which has limits of its own) ends by a deadline. One timer serves them all, set anew only when it would
//! ring too late. A peer that is gone is not worked for: its request ends within a tenth of a second when its connection
//! broke, and soon after the peer stopped sending, which one that still listens may do too. A connection that has been
//! idle for a moment holds no buffers: its HTTP state is taken down, and built again when the next byte comes.
//!
//! Must not know: what is answered.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::inflow::Inflow;
use super::watch::{Peer, Shared, Standing, Watch};
use super::{Closing, Limits};
use crate::drain::Drain;

/// After this long without a byte an idle connection gives its buffers back.
const PARK_AFTER: Duration = Duration::from_millis(500);
/// After this long a peer whose answer is due is asked whether it is still there. Nearly all have their answer sooner, and
/// asking is a call to the system in the way of what is handed over meanwhile.
const ASK_AFTER: Duration = Duration::from_millis(100);
/// After this long a peer that stopped sending is taken for one that is gone, if it still has no answer. Nothing tells
/// the two apart, and those who wait for a destination's answer may take a place for long.
const SHUT: Duration = Duration::from_secs(1);
/// A peer that does not take our goodbye is not waited for longer than this.
const GOODBYE: Duration = Duration::from_secs(1);

/// Builds hyper's side of a connection. Its own header timeout stays off: it would be the idle timeout too, and costs a
/// timer and an allocation for every request.
pub(super) fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .max_headers(limits.headers)
        .max_header_size(limits.head_size)
        .max_buf_size(limits.head_size.max(8 * 1024))
        // Who stops sending after the request still wants its answer; whether they hung up, `Course` finds out.
        .half_close(true);
    http
}

/// Serves one connection until it ends, and says why if that was not the peer's wish.
pub(super) async fn serve<S, A, F>(
    mut stream: S,
    http: &http1::Builder,
    limits: &Limits,
    drain: &Drain,
    answer: A,
) -> Option<Closing>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Inflow>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let (mut deadline, mut late) = (Instant::now() + limits.head, Closing::Silent);
    loop {
        let first = match parked(&mut stream, drain, deadline).await {
            Parked::Byte(first) => first,
            Parked::Gone => return None,
            Parked::Late => return goodbye(stream, Some(late)).await,
            Parked::Closing => return goodbye(stream, None).await,
        };
        let standing = Arc::new(Standing::default());
        let shared = Arc::new(Shared::new(stream, first));
        let io = TokioIo::new(Watch::new(Arc::clone(&shared), Arc::clone(&standing)));
        let mut http = http.serve_connection(io, service_fn(|request| one(request, &standing, drain, &answer)));
        let ended = Course::new(&standing, limits).run(&mut http, &shared, drain).await;
        drop(http);
        // Nobody else has it: whatever reads by it went with `http`.
        let alone = Arc::into_inner(shared)?;
        stream = alone.into_inner();
        match ended {
            Ended::Idle(since) => (deadline, late) = (since + limits.idle, Closing::Idle),
            Ended::Over(Some(Closing::BadHead)) => {
                throw_away(&mut stream, limits).await;
                return Some(Closing::BadHead);
            }
            Ended::Over(Some(Closing::Head)) => return goodbye(stream, Some(Closing::Head)).await,
            Ended::Over(why) => return why,
        }
    }
}

enum Parked {
    Byte(u8),
    Gone,
    Late,
    Closing,
}

/// Waits for a byte, and for nothing else a request needs.
async fn parked<S: AsyncRead + Unpin>(stream: &mut S, drain: &Drain, deadline: Instant) -> Parked {
    let mut byte = [0];
    tokio::select! {
        biased;
        read = stream.read(&mut byte) => match (read, byte) {
            (Ok(1), [first]) => Parked::Byte(first),
            _ => Parked::Gone,
        },
        () = drain.closing() => Parked::Closing,
        () = sleep_until(deadline) => Parked::Late,
    }
}

/// Ends a connection in which nothing is under way, by TLS's own word where there is TLS.
async fn goodbye<S: AsyncWrite + Unpin>(mut stream: S, why: Option<Closing>) -> Option<Closing> {
    // Whether the peer hears it is the peer's affair.
    drop(timeout(GOODBYE, stream.shutdown()).await);
    why
}

/// Reads and throws away what still comes after a head that was refused, so that the refusal is not lost in a reset.
async fn throw_away<S: AsyncRead + Unpin>(stream: &mut S, limits: &Limits) {
    let mut bin = [0; 256];
    let mut left = limits.linger_size;
    let all = async {
        while let Ok(read @ 1..) = stream.read(&mut bin).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    drop(timeout(limits.linger, all).await);
}

/// Has one request answered, and decides whether another may follow it.
async fn one<A, F>(
    request: Request<Incoming>,
    standing: &Arc<Standing>,
    drain: &Drain,
    answer: &A,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    A: Fn(Request<Inflow>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    standing.begun.fetch_add(1, Relaxed);
    standing.whole.store(false, Relaxed);
    let old = request.version() < Version::HTTP_11;
    let coded = request.headers().contains_key(TRANSFER_ENCODING);
    let expects =
        !old && request.headers().get(EXPECT).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let mut request = request.map(|incoming| Inflow::new(incoming, Arc::clone(standing), expects));
    if coded && (standing.both.load(Relaxed) || !standing.blind.load(Relaxed)) {
        // hyper took the length away; whoever judges the request must see that there was one. Its value is not known
        // here.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut response = answer(request).await;
    if old || standing.blind.load(Relaxed) || standing.left.is_some() || drain.is_closing() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if old {
        // Else hyper says `keep-alive` beside it to a client of HTTP/1.0 that asked for that.
        *response.version_mut() = Version::HTTP_10;
    }
    standing.ended.fetch_add(1, Relaxed);
    Ok(response)
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The end of a head.
    Head,
    /// An answer, or the body that it needs.
    Answer,
    /// The end of a body that nobody wants, after the answer.
    Linger,
    /// Room in the peer's window.
    Flush,
    /// Nothing.
    Idle,
}

enum Ended {
    /// Nothing has been under way since then.
    Idle(Instant),
    /// The connection is of no more use.
    Over(Option<Closing>),
}

/// The way of one connection through its phases.
struct Course<'a> {
    standing: &'a Standing,
    limits: &'a Limits,
    /// The phase, the number of answers before it, and when it began.
    phase: (Phase, u32),
    since: Instant,
    thrown: usize,
    /// Since when the peer has not been able to send, as far as is known.
    shut: Option<Instant>,
    /// When the timer will ring.
    rings: Option<Instant>,
    closing: bool,
}

impl<'a> Course<'a> {
    fn new(standing: &'a Standing, limits: &'a Limits) -> Self {
        let since = Instant::now();
        Self { standing, limits, phase: (Phase::Head, 0), since, thrown: 0, shut: None, rings: None, closing: false }
    }

    async fn run<T, I, S>(mut self, http: &mut http1::Connection<I, S>, shared: &Shared<T>, drain: &Drain) -> Ended
    where
        T: AsyncRead + Unpin,
        I: hyper::rt::Read + hyper::rt::Write + Unpin,
        S: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
        http1::Connection<I, S>: Unpin,
    {
        let mut closing = pin!(drain.closing());
        let mut timer = pin!(sleep_until(self.since));
        poll_fn(move |cx| {
            loop {
                if let Poll::Ready(result) = Pin::new(&mut *http).poll(cx) {
                    let bad = result.is_err_and(|error| error.is_parse());
                    return Poll::Ready(Ended::Over(bad.then_some(Closing::BadHead)));
                }
                let phase = self.phase();
                if phase == Phase::Answer {
                    return self.poll_gone(shared, timer.as_mut(), cx).map(|()| Ended::Over(None));
                }
                self.shut = None;
                if phase == Phase::Linger && self.throw_away(cx) {
                    continue;
                }
                if !self.closing && closing.as_mut().poll(cx).is_ready() {
                    self.closing = true;
                    Pin::new(&mut *http).graceful_shutdown();
                    continue;
                }
                if let Some(ended) = self.judge(phase) {
                    return Poll::Ready(ended);
                }
                if phase == Phase::Linger && !self.standing.left.is_some() {
                    continue;
                }
                if self.wait(phase, timer.as_mut(), cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Ready when the peer whose request is being answered is gone. What it was to be told ends with its connection.
    fn poll_gone<T: AsyncRead + Unpin>(
        &mut self,
        shared: &Shared<T>,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // Whoever reads the body sees it end.
        if !self.standing.whole.load(Relaxed) {
            return Poll::Pending;
        }
        let phase = (Phase::Answer, self.standing.ended.load(Relaxed));
        if phase != self.phase {
            (self.phase, self.since) = (phase, Instant::now());
        }
        while self.shut.is_none() && Instant::now() < self.since + ASK_AFTER {
            if self.wait(Phase::Answer, timer.as_mut(), cx).is_pending() {
                return Poll::Pending;
            }
        }
        match shared.poll_peer(cx) {
            Peer::There => return Poll::Pending,
            Peer::Gone => return Poll::Ready(()),
            Peer::Shut => {}
        }
        let until = *self.shut.get_or_insert_with(Instant::now) + SHUT;
        timer.as_mut().reset(until);
        self.rings = Some(until);
        timer.poll(cx)
    }

    fn phase(&self) -> Phase {
        let begun = self.standing.begun.load(Relaxed);
        if begun != self.standing.ended.load(Relaxed) {
            Phase::Answer
        } else if self.standing.left.is_some() {
            Phase::Linger
        } else if self.standing.unflushed.load(Relaxed) {
            Phase::Flush
        } else if self.standing.mid_head.load(Relaxed) || begun != self.standing.heads.load(Relaxed) {
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    /// Throws away what has come of an unwanted body; says whether hyper must look again.
    fn throw_away(&mut self, cx: &mut Context<'_>) -> bool {
        match self.standing.left.poll_away(cx) {
            Poll::Pending => return false,
            Poll::Ready(None) => {}
            Poll::Ready(Some(thrown)) => {
                self.thrown = self.thrown.saturating_add(thrown);
                if self.thrown > self.limits.linger_size {
                    self.standing.left.give_up();
                }
            }
        }
        true
    }

    /// Ends the connection if its phase has lasted for too long.
    fn judge(&mut self, phase: Phase) -> Option<Ended> {
        let now = Instant::now();
        let phase = (phase, self.standing.ended.load(Relaxed));
        if phase != self.phase {
            (self.phase, self.since) = (phase, now);
        }
        if phase.0 == Phase::Idle && self.closing {
            return Some(Ended::Idle(self.since));
        }
        if now < self.since + self.patience(phase.0) {
            return None;
        }
        match phase.0 {
            Phase::Answer => None,
            Phase::Linger => {
                self.standing.left.give_up();
                None
            }
            Phase::Flush => Some(Ended::Over(Some(Closing::Flush))),
            Phase::Head => Some(Ended::Over(Some(Closing::Head))),
            Phase::Idle => Some(Ended::Idle(self.since)),
        }
    }

    const fn patience(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Head => self.limits.head,
            Phase::Answer => ASK_AFTER,
            Phase::Linger => self.limits.linger,
            Phase::Flush => self.limits.flush,
            Phase::Idle => PARK_AFTER,
        }
    }

    /// Sees to it that the task wakes when the phase has lasted for too long; ready if the timer rang.
    fn wait(&mut self, phase: Phase, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.since + self.patience(phase);
        if self.rings.is_none_or(|rings| rings > deadline) {
            timer.as_mut().reset(deadline);
            self.rings = Some(deadline);
        }
        std::task::ready!(timer.poll(cx));
        self.rings = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
