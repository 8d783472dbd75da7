//! Does the body arrive, whole and in time?
//!
//! Promises: one [`Bytes`]; no more bytes than the permit stands for; memory grows with what arrives, never with what
//! is announced; whoever is slower than the deadline or the minimum rate is not waited for; whoever had room set aside
//! and leaves it empty is told of, also when nobody waits any more.
//!
//! Must not know: what the bytes say.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use super::closing::Closing;
use crate::admission::{Permit, Refusal};
use crate::snapshot::BodyLimits;

/// A piece from this size on is kept as it is. A smaller one is copied: it would keep the connection's whole read
/// buffer for as long as the journal's ring keeps the body, and the buffer serves the next request again.
const KEEP: usize = 8 * 1024;
/// Set aside for a body of known length before its bytes come.
const FIRST: usize = 64 * 1024;
/// Whoever leaves this much of the room set aside for them empty has kept it from others; a line torn near the end of a
/// body, or in a small one, is bad luck.
const KEPT: u64 = 16 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no room for it.
    Refused(Refusal),
    /// It came too slowly.
    Slow,
    /// It ended before its end.
    Broken,
    /// The house closes and could not wait for it.
    Closing,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Slow => f.write_str("the body came too slowly"),
            Self::Broken => f.write_str("the body ended before its end"),
            Self::Closing => f.write_str("the house closes, and the body was not there yet"),
        }
    }
}

impl Error for Fault {}

/// Reads a body for which there is a permit, which grows with what arrives; `left` is called once if the caller leaves
/// before its end with much of the permit unused.
pub(super) async fn read<B, L>(
    mut body: B,
    limits: &BodyLimits,
    permit: &mut Permit,
    closing: &Closing,
    left: L,
) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    L: Fn() + Unpin,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let start = Instant::now();
    let declared = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let gathered = Gathered { declared, bytes: Vec::new(), only: None };
    let mut arriving = Arriving { gathered, permit, left, over: false };
    // A body that is there already needs no timer.
    let mut timer = pin!(None::<Sleep>);
    let (mut told, mut end) = (pin!(None), None::<Instant>);
    poll_fn(move |cx| {
        loop {
            match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(arriving.finish()),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Fault::Broken)),
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    arriving.add(piece)?;
                }
                Poll::Pending => {
                    let slow = start + due(arriving.gathered.len(), limits);
                    if end.is_none() {
                        if told.is_none() {
                            told.set(Some(closing.end()));
                        }
                        end = told.as_mut().as_pin_mut().and_then(|told| ready(told.poll(cx)));
                    }
                    let until = end.map_or(slow, |end| end.min(slow));
                    let Some(set) = timer.as_mut().as_pin_mut() else {
                        timer.set(Some(sleep_until(until)));
                        continue;
                    };
                    if Instant::now() >= until {
                        arriving.over = true;
                        return Poll::Ready(Err(if until < slow { Fault::Closing } else { Fault::Slow }));
                    }
                    if set.is_elapsed() || set.deadline() > until {
                        timer.set(Some(sleep_until(until)));
                        continue;
                    }
                    std::task::ready!(set.poll(cx));
                }
            }
        }
    })
    .await
}

/// How long after its head a body of which so much has come may still be waited for.
fn due(arrived: usize, limits: &BodyLimits) -> Duration {
    let earned = match limits.min_rate {
        0 => limits.deadline,
        rate => Duration::from_millis(widen(arrived).saturating_mul(1000) / u64::from(rate)),
    };
    earned.max(limits.grace).min(limits.deadline)
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

const fn widen(length: usize) -> u64 {
    length as u64
}

/// A body on its way, and the room set aside for it.
struct Arriving<'p, L: Fn()> {
    gathered: Gathered,
    permit: &'p mut Permit,
    left: L,
    /// It is not the caller who ends it, or it is whole, or what ends it is told of anyway.
    over: bool,
}

impl<L: Fn()> Arriving<'_, L> {
    fn add(&mut self, piece: Bytes) -> Result<(), Fault> {
        let beyond = widen(self.gathered.len() + piece.len()).saturating_sub(self.permit.bytes());
        if beyond > 0 {
            self.permit.grow(beyond).map_err(|refusal| {
                self.over = true;
                Fault::Refused(refusal)
            })?;
        }
        self.gathered.add(piece);
        Ok(())
    }

    fn finish(&mut self) -> Result<Bytes, Fault> {
        let body = self.gathered.finish()?;
        self.over = true;
        Ok(body)
    }
}

impl<L: Fn()> Drop for Arriving<'_, L> {
    fn drop(&mut self) {
        if !self.over && self.permit.bytes().saturating_sub(widen(self.gathered.len())) >= KEPT {
            (self.left)();
        }
    }
}

struct Gathered {
    declared: Option<usize>,
    bytes: Vec<u8>,
    /// The first piece, as long as there is no other and it is worth keeping.
    only: Option<Bytes>,
}

impl Gathered {
    fn len(&self) -> usize {
        self.bytes.len() + self.only.as_ref().map_or(0, Bytes::len)
    }

    fn add(&mut self, piece: Bytes) {
        if self.len() == 0 && piece.len() >= KEEP {
            self.only = Some(piece);
            return;
        }
        if let Some(first) = self.only.take() {
            self.append(&first);
        }
        self.append(&piece);
    }

    fn append(&mut self, piece: &[u8]) {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let ahead = needed.max(self.bytes.capacity() * 2);
            let room = self.declared.map_or(ahead, |declared| declared.clamp(needed, ahead.max(FIRST)));
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }

    fn finish(&mut self) -> Result<Bytes, Fault> {
        if self.declared.is_some_and(|declared| declared != self.len()) {
            return Err(Fault::Broken);
        }
        Ok(self.only.take().unwrap_or_else(|| Bytes::from(std::mem::take(&mut self.bytes).into_boxed_slice())))
    }
}

#[cfg(test)]
pub(super) mod tests;
