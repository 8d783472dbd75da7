//! Does the body arrive, whole and in time?
//!
//! Promises: one [`Bytes`]; no more memory than the permit stands for, which grows with what arrives, never with what is
//! announced; whoever is slower than the deadline or the minimum rate is not waited for; whose caller sends too much at
//! once waits, unread, until some of it is proven, for [`PATIENCE`] at most; whoever had room set aside and leaves it
//! empty is told of, also when nobody waits any more.
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
use super::room::PATIENCE;
use crate::admission::{Permit, Refusal};
use crate::snapshot::BodyLimits;

/// A piece from this size on is kept as it is. A smaller one is copied: it would keep the connection's whole read
/// buffer, which is this large unless heads may be larger, for as long as the journal's ring keeps the body; and the
/// buffer serves the next request again.
pub const KEEP: usize = 16 * 1024;
/// How long until it looks again, at first; later a quarter of the time it has waited.
const AGAIN: Duration = Duration::from_millis(5);
/// The timer's own grain.
const MOMENT: Duration = Duration::from_millis(1);
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
    let declared = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let mut arriving = Arriving::new(declared, permit, left);
    // A body that is there already needs no timer.
    let mut timer = pin!(None::<Sleep>);
    let (mut told, mut end) = (pin!(None), None::<Instant>);
    poll_fn(move |cx| {
        loop {
            let waits = arriving.look_again()?;
            match if waits { Poll::Pending } else { Pin::new(&mut body).poll_frame(cx) } {
                Poll::Ready(None) => return Poll::Ready(arriving.finish()),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Fault::Broken)),
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    arriving.add(piece)?;
                }
                Poll::Pending => {
                    if end.is_none() {
                        if told.is_none() {
                            told.set(Some(closing.end()));
                        }
                        end = told.as_mut().as_pin_mut().and_then(|told| ready(told.poll(cx)));
                    }
                    let until = arriving.patience(limits, end)?;
                    let Some(set) = timer.as_mut().as_pin_mut() else {
                        timer.set(Some(sleep_until(until)));
                        continue;
                    };
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
    start: Instant,
    /// A piece for which there is no room in its caller's share, and since when.
    held: Option<(Bytes, Instant)>,
    /// For how long there was none before.
    waited: Duration,
    /// It is not the caller who ends it, or it is whole, or what ends it is told of anyway.
    over: bool,
}

impl<'p, L: Fn()> Arriving<'p, L> {
    fn new(declared: Option<usize>, permit: &'p mut Permit, left: L) -> Self {
        let gathered = Gathered { declared, bytes: Vec::new(), only: None };
        Self { gathered, permit, left, start: Instant::now(), held: None, waited: Duration::ZERO, over: false }
    }

    fn add(&mut self, piece: Bytes) -> Result<(), Fault> {
        match self.permit.reach(widen(self.gathered.len() + piece.len())) {
            Ok(()) => self.gathered.add(piece, self.permit.bytes()),
            Err(Refusal::Crowded) => self.held = Some((piece, Instant::now())),
            Err(refusal) => return Err(self.refused(refusal)),
        }
        Ok(())
    }

    /// Asks again for the room that there was not; says whether there is still none.
    fn look_again(&mut self) -> Result<bool, Fault> {
        let Some((piece, since)) = self.held.take() else { return Ok(false) };
        self.add(piece)?;
        let waited = since.elapsed();
        let Some((_, began)) = &mut self.held else {
            self.waited += waited;
            return Ok(false);
        };
        *began = since;
        if waited >= PATIENCE {
            return Err(self.refused(Refusal::Crowded));
        }
        Ok(true)
    }

    fn refused(&mut self, refusal: Refusal) -> Fault {
        self.over = true;
        Fault::Refused(refusal)
    }

    /// Until when it is waited for, unless that is over: the caller's time does not run while it is we who let them wait.
    fn patience(&mut self, limits: &BodyLimits, end: Option<Instant>) -> Result<Instant, Fault> {
        let now = Instant::now();
        let slow = match &self.held {
            None => self.start + self.waited + due(self.gathered.len(), limits),
            Some((_, since)) => (now + AGAIN.max((now - *since) / 4)).min(*since + PATIENCE).max(now + MOMENT),
        };
        let until = end.map_or(slow, |end| end.min(slow));
        if now < until {
            return Ok(until);
        }
        self.over = true;
        Err(if until < slow { Fault::Closing } else { Fault::Slow })
    }

    fn finish(&mut self) -> Result<Bytes, Fault> {
        let body = self.gathered.finish()?;
        self.permit.settle(widen(body.len()));
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

    /// Takes a piece, with room for as much as is permitted.
    fn add(&mut self, piece: Bytes, permitted: u64) {
        if self.len() == 0 && piece.len() >= KEEP {
            self.only = Some(piece);
            return;
        }
        if let Some(first) = self.only.take() {
            self.append(&first, permitted);
        }
        self.append(&piece, permitted);
    }

    fn append(&mut self, piece: &[u8], permitted: u64) {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let room = usize::try_from(permitted).unwrap_or(needed).max(needed);
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
