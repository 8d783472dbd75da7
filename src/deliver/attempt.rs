//! One HTTP exchange: how did it go?
//!
//! Promises: whatever the other side does, an attempt ends within its limits and becomes an [`Ended`]; a connection that
//! was used before and turns out to be closed before a byte of an answer is replaced once, at once, and is nobody's fault;
//! the answer's status decides, whatever becomes of its body; at most 64 KiB of an answer are read and 1 KiB is kept;
//! redirects are answers like any other. Where somebody waits for the answer, up to 64 KiB of it are kept for them.
//!
//! Must not know: lanes, the journal, what follows from an outcome.

use bytes::Bytes;

use crate::callers::{ANSWER_MAX, Answer, Why};
use crate::clock::Clock;
use crate::retry::{Fault, Outcome, retry_after};

use super::alarm::{Cut, Limits};
use super::awaited::share;
use super::client::{Network, Shut};
use super::line::{Appetite, Exchange, Line, Silence};
use super::plan::Destination;
use super::proxy::Barred;
use super::request::{Parcel, Unsendable, write};

/// How much of an answer's body is read, so that its connection can be used again.
const READ_MAX: usize = 64 << 10;
/// How much of an answer for which somebody waits is read: what stands between the pieces of its body is not the body's.
const AWAITED_READ_MAX: usize = ANSWER_MAX + (16 << 10);
/// How much of the answer to a failed attempt is kept.
pub(super) const KEEP_MAX: usize = 1 << 10;
/// How much room for the head of a request is kept from one attempt to the next.
const HEAD_ROOM: usize = 8 << 10;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// There was an answer, or it is known why not.
    Heard(Heard),
    /// The event cannot be put into a request.
    Unsendable(Unsendable),
    /// The house closes; nothing is known.
    Stopped,
}

/// What is known of an attempt.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) outcome: Outcome,
    /// 0 if there was no answer.
    pub(super) status: u16,
    /// The first bytes of an answer that was no success.
    pub(super) answer: Bytes,
    /// Why there was no answer, in words for the log.
    pub(super) detail: Option<String>,
    /// What those hear who wait for an answer of this status, or why they cannot.
    pub(super) awaited: Option<Box<Result<Answer, Why>>>,
}

impl Heard {
    fn fault(fault: Fault, detail: Option<String>) -> Ended {
        let outcome = Outcome::of_fault(fault);
        Ended::Heard(Self { outcome, status: 0, answer: Bytes::new(), detail, awaited: None })
    }
}

impl Ended {
    /// Takes out what those hear who wait.
    pub(super) fn take_awaited(&mut self) -> Option<Box<Result<Answer, Why>>> {
        match self {
            Self::Heard(heard) => heard.awaited.take(),
            Self::Unsendable(_) | Self::Stopped => None,
        }
    }
}

impl From<Unsendable> for Ended {
    fn from(why: Unsendable) -> Self {
        Self::Unsendable(why)
    }
}

impl From<Cut> for Ended {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Deadline => Heard::fault(Fault::Timeout, None),
            Cut::Stop => Self::Stopped,
        }
    }
}

impl From<Shut> for Ended {
    fn from(why: Shut) -> Self {
        match why {
            Shut::Name(why) => Heard::fault(Fault::Dns, Some(why.as_ref().to_owned())),
            Shut::Denied(why) => Heard::fault(Fault::Denied, Some(why)),
            Shut::Proxy(why) => Heard::fault(Fault::Proxy, Some(why)),
            Shut::Refused(error) => Heard::fault(Fault::Connect, Some(error.to_string())),
            Shut::Tls(error) => Heard::fault(Fault::Tls, Some(error.to_string())),
            Shut::Slow => Heard::fault(Fault::Connect, Some("no connection in time".to_owned())),
        }
    }
}

/// What whoever tries takes from one attempt to the next.
#[derive(Default)]
pub(super) struct Kit {
    /// Their connection, if it can be used again.
    pub(super) line: Option<Line>,
    /// The head of a request.
    head: Vec<u8>,
}

/// Tries once, and once more if a used connection turns out to be closed.
pub(super) async fn attempt(
    to: &Destination,
    kit: &mut Kit,
    limits: &mut Limits<'_>,
    surroundings: (&Clock, &Network),
    parcel: &Parcel<'_>,
) -> Ended {
    let ended = carry(to, kit, limits, surroundings, parcel).await.unwrap_or_else(|ended| ended);
    if kit.head.capacity() > HEAD_ROOM {
        kit.head = Vec::new();
    }
    ended
}

async fn carry(
    to: &Destination,
    Kit { line: kept, head }: &mut Kit,
    limits: &mut Limits<'_>,
    (clock, network): (&Clock, &Network),
    parcel: &Parcel<'_>,
) -> Result<Ended, Ended> {
    let asked = write(to, parcel, clock, head)?;
    loop {
        let line = match kept.take() {
            Some(line) => line,
            None => match limits.within(to.door.open(network)).await {
                Ok(opened) => opened?,
                // Nothing was sent: it is no event that makes the destination slow.
                Err(Cut::Deadline) => return Err(Shut::Slow.into()),
                Err(cut @ Cut::Stop) => return Err(cut.into()),
            },
        };
        let mut exchange = Exchange::new(line, head, parcel.body, asked).curious(parcel.courier.is_some());
        let found = match limits.within(exchange.send()).await? {
            Ok(found) => found,
            Err(_) if exchange.is_stale() => continue,
            Err(silence) => return Err(silent(to, silence, exchange.is_mute())),
        };
        let after = found.retry_after.as_ref().and_then(|value| retry_after(value, clock.now()));
        let outcome = Outcome::of_answer(found.status, &to.success, after);
        let delivered = matches!(outcome, Outcome::Delivered { .. });
        // Of all answers of whoever is asked for the whole URL this one is never the destination's own (RFC 9110, 15.5.8),
        // whatever the operator takes for success. In a tunnel it is not the proxy who speaks.
        if found.status == 407 && to.door.asks_whole() {
            return Err(Heard::fault(Fault::Proxy, Some(Barred::Status(407).to_string())));
        }
        // From here on nothing changes the outcome, only what of the answer is kept and whether the connection is. Who
        // refuses before they have read everything does not get the rest.
        let mut answer = Vec::new();
        let awaited = parcel.courier.is_some_and(|courier| courier.passes(found.status));
        let (read, keep) = match (awaited, delivered) {
            (true, _) => (AWAITED_READ_MAX, ANSWER_MAX + 1),
            (false, true) => (READ_MAX, 0),
            (false, false) => (READ_MAX, KEEP_MAX),
        };
        let mut appetite = Appetite { read, keep, send_on: delivered, whole: false };
        *kept = limits.within(exchange.finish(&mut appetite, &mut answer)).await.ok().flatten();
        let status = found.status;
        let (answer, awaited) = if awaited { share(found, answer, &appetite, delivered) } else { (answer, None) };
        return Ok(Ended::Heard(Heard { outcome, status, answer: answer.into(), detail: None, awaited }));
    }
}

/// Why there is no answer.
fn silent(to: &Destination, silence: Silence, mute: bool) -> Ended {
    // It went over TLS, and no byte of an answer came: it is about who calls, not about the event.
    if mute
        && let Silence::Broken(error) = &silence
        && let Some(why) = to.door.tls.as_ref().and_then(|proof| proof.alert(error))
    {
        return Heard::fault(Fault::Tls, Some(why));
    }
    Heard::fault(Fault::Broken, Some(silence.to_string()))
}

#[cfg(test)]
mod tests;
