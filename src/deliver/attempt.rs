//! One HTTP exchange: how did it go?
//!
//! Promises: whatever the other side does, an attempt ends within its limits and becomes an [`Ended`]; a connection that
//! was used before and turns out to be closed before a byte of an answer is replaced once, at once, and is nobody's fault;
//! the answer's status decides, whatever becomes of its body; at most 64 KiB of an answer are read and 1 KiB is kept;
//! redirects are answers like any other.
//!
//! Must not know: lanes, the journal, what follows from an outcome.

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body as _, Incoming};

use crate::clock::Clock;
use crate::retry::{Fault, Outcome, retry_after};

use super::alarm::{Cut, Limits};
use super::client::{Line, Shut, Silence};
use super::plan::Destination;
use super::request::{Parcel, Unsendable};

/// How much of an answer is read, so that its connection can be used again.
const READ_MAX: usize = 64 << 10;
/// How much of the answer to a failed attempt is kept.
const KEEP_MAX: usize = 1 << 10;

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
}

impl Heard {
    fn fault(fault: Fault, detail: Option<String>) -> Ended {
        Ended::Heard(Self { outcome: Outcome::of_fault(fault), status: 0, answer: Bytes::new(), detail })
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
            Shut::Name(error) => Heard::fault(Fault::Dns, Some(error.to_string())),
            Shut::Address => Heard::fault(Fault::Dns, Some("leads only to addresses of no destination".to_owned())),
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
    /// Room for headers: a request's becomes the answer's, and then the next request's.
    spare: HeaderMap,
}

/// Tries once. `request` puts the event into a request with these (empty) headers; it is asked for once, and once more if a
/// used connection turns out to be closed.
pub(super) async fn attempt(
    to: &Destination,
    kit: &mut Kit,
    limits: &mut Limits<'_>,
    clock: &Clock,
    request: impl Fn(HeaderMap) -> Result<Request<Parcel>, Unsendable>,
) -> Ended {
    let Kit { line, spare } = kit;
    let mut answer = match exchange(to, line, limits, || request(std::mem::take(spare))).await {
        Ok(answer) => answer,
        Err(ended) => {
            *line = None;
            return ended;
        }
    };
    let status = answer.status().as_u16();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.as_bytes(), clock.now()));
    *spare = std::mem::take(answer.headers_mut());
    spare.clear();
    let outcome = Outcome::of_answer(status, &to.success, after);
    let delivered = matches!(outcome, Outcome::Delivered { .. });
    let mut kept = BytesMut::new();
    // From here on nothing changes the outcome, only what of the answer is kept and whether the connection is.
    let usable = drain(line.as_mut(), limits, answer.into_body(), (!delivered).then_some(&mut kept)).await;
    if !usable {
        *line = None;
    }
    Ended::Heard(Heard { outcome, status, answer: kept.freeze(), detail: None })
}

/// Gets the head of an answer.
async fn exchange(
    to: &Destination,
    line: &mut Option<Line>,
    limits: &mut Limits<'_>,
    mut request: impl FnMut() -> Result<Request<Parcel>, Unsendable>,
) -> Result<Response<Incoming>, Ended> {
    let mut used = line.is_some();
    loop {
        let request = request()?;
        let open = match line {
            Some(open) => open,
            None => match limits.within(to.door.open()).await {
                Ok(opened) => line.insert(opened?),
                // Nothing was sent: it is no event that makes the destination slow.
                Err(Cut::Deadline) => return Err(Shut::Slow.into()),
                Err(cut @ Cut::Stop) => return Err(cut.into()),
            },
        };
        let heard = open.heard();
        let error = match limits.within(open.send(request)).await? {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let unheard = matches!(error, Silence::Unsent) || open.heard() == heard;
        if used && unheard {
            used = false;
            *line = None;
            continue;
        }
        return Err(Heard::fault(Fault::Broken, Some(error.to_string())));
    }
}

/// Reads the body of an answer to its end, within bounds. Returns whether the connection can be used again.
async fn drain(
    line: Option<&mut Line>,
    limits: &mut Limits<'_>,
    mut body: Incoming,
    mut keep: Option<&mut BytesMut>,
) -> bool {
    let Some(line) = line else { return false };
    let hopeless = body.size_hint().lower() > READ_MAX as u64;
    let mut read = 0;
    while !body.is_end_stream() {
        let enough = keep.as_ref().is_none_or(|kept| kept.len() >= KEEP_MAX);
        if hopeless && enough {
            return false;
        }
        match limits.within(line.piece(&mut body)).await {
            Ok(Some(Ok(piece))) => {
                read += piece.len();
                if let Some(kept) = keep.as_mut() {
                    kept.extend_from_slice(&piece[..piece.len().min(KEEP_MAX - kept.len())]);
                }
                if read > READ_MAX {
                    return false;
                }
            }
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => return false,
        }
    }
    line.is_usable().await
}

#[cfg(test)]
mod tests;
