//! What becomes of a body that nobody reads to its end?
//!
//! Promises: an [`Inflow`] that is dropped early leaves the rest of its body behind in [`Left`], so that the connection
//! can read it and throw it away, within bounds, while the client reads the early answer; a body whose client still
//! waits for `100 Continue` is left alone, because it will not be sent.
//!
//! Must not know: why the body was not wanted.

use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::watch::Standing;

/// The body of a request as it comes in.
#[derive(Debug)]
pub struct Inflow {
    incoming: Option<Incoming>,
    standing: Arc<Standing>,
    /// The client waits for `100 Continue` and nothing was asked of it.
    unasked: bool,
}

impl Inflow {
    pub(super) const fn new(incoming: Incoming, standing: Arc<Standing>, expects_continue: bool) -> Self {
        Self { incoming: Some(incoming), standing, unasked: expects_continue }
    }
}

impl Body for Inflow {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.unasked = false;
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(incoming).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        let rest = self.incoming.take().filter(|incoming| !incoming.is_end_stream());
        self.standing.whole.store(rest.is_none(), Relaxed);
        if let Some(rest) = rest {
            self.standing.left.put(if self.unasked { Rest::Unasked } else { Rest::Coming(rest) });
        }
    }
}

/// What a connection's last request left unread.
#[derive(Debug, Default)]
pub(super) struct Left(Mutex<Option<Rest>>);

#[derive(Debug)]
enum Rest {
    Coming(Incoming),
    /// The client was not asked to send it.
    Unasked,
}

impl Left {
    fn put(&self, rest: Rest) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }

    /// Whether the last request was not read to its end.
    pub(super) fn is_some(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Gives the rest up: hyper closes the connection once the answer is written.
    pub(super) fn give_up(&self) {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(rest);
    }

    /// Reads what is there and throws it away: ready with how much it was as soon as there is news, and then with
    /// `None` at the end of the body, or if nothing more will come.
    pub(super) fn poll_away(&self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let mut rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Rest::Coming(incoming)) = &mut *rest else {
            *rest = None;
            return Poll::Ready(None);
        };
        if let Some(Ok(frame)) = std::task::ready!(Pin::new(incoming).poll_frame(cx)) {
            return Poll::Ready(Some(frame.data_ref().map_or(0, Bytes::len)));
        }
        *rest = None;
        Poll::Ready(None)
    }
}
