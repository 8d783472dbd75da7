//! Which answer does a caller hear?
//!
//! Promises: every status code of the way in stands here, in one table; a success needs a proof that only its room can
//! make; outside, all verification failures of a source look the same, and nothing but fixed phrases is ever said.
//!
//! Must not know: how a request came to its end.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::body::Fault;
use super::head::Malformed;
use crate::admission::Refusal;
use crate::callers::Answer;
use crate::dedup::Earlier;
use crate::journal::{Receipt, Refused, Void};
use crate::route::Resolved;
use crate::snapshot::{Ack, Reply, Source};
use crate::verify::{Challenge, VerifyError};

/// A request that is answered with success, and why it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Its events are durable.
    Stored(Receipt),
    /// Its events are queued, which is what the source's operator asked for.
    Queued(Receipt),
    /// Its events were stored before.
    Before(Earlier),
    /// Its event is held, and a destination answered this.
    Answered(Held, Answer),
    /// Its event is held, and no destination's answer could be passed back.
    Late(Held),
    /// It was a handshake.
    Challenged(Challenge),
    /// A rule says that nothing of it is to be stored.
    Discarded(Discard),
    /// Its source only observes: what would have become of it was counted.
    Observed(Observed),
    /// Its source only observes, and there is no room for what it sends: a live source may have had some.
    Missed(Observed),
}

/// Proof that the journal has a request's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It took them now.
    Now(Receipt),
    /// It took them before.
    Before(Earlier),
}

impl Accepted {
    pub(super) const fn held(held: Held, ack: &Ack) -> Self {
        match (held, ack) {
            (Held::Now(receipt), Ack::Durable | Ack::Delivered(_)) => Self::Stored(receipt),
            (Held::Now(receipt), Ack::Buffered) => Self::Queued(receipt),
            (Held::Before(earlier), _) => Self::Before(earlier),
        }
    }

    /// It was heard before; where that was only observed, it was not stored before either.
    pub(super) const fn before(earlier: Earlier, observed: Option<Observed>) -> Self {
        match observed {
            None => Self::Before(earlier),
            Some(observed) => Self::Observed(observed),
        }
    }
}

/// Proof that an explicit rule says that nothing is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discard(());

impl Discard {
    pub(super) const fn of<T>(resolved: &Resolved<'_, T>) -> Option<Self> {
        match resolved {
            Resolved::Discard { .. } => Some(Self(())),
            Resolved::To { .. } | Resolved::Nowhere => None,
        }
    }
}

/// Proof that the source of a request was told to observe, so that nothing of it is stored or sent. It is no proof that
/// anything is: only that the operator wants this source's callers answered as if it were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed(());

impl Observed {
    pub(super) const fn by(source: &Source) -> Option<Self> {
        match source.aside {
            Some(_) => Some(Self(())),
            None => None,
        }
    }
}

/// A request of which nothing is stored, and the room that said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Its head could be read in two ways.
    Malformed(Malformed),
    /// No source has this host and path.
    Nowhere,
    /// Its caller may not speak now.
    Refused(Refusal),
    /// Its body came too slowly.
    Slow,
    /// Its body ended before its end.
    Broken,
    /// The house closes, and its body was not there yet.
    Closing,
    /// It was not proven.
    Unproven(VerifyError),
    /// A twin of it was being stored, and was not.
    Twin,
    /// A tenant in it sends more than it may.
    OverRate {
        /// When it would be heard.
        retry_after: Duration,
    },
    /// The journal did not take it.
    NotTaken(Refused),
    /// The journal could not make it durable.
    Void,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Nowhere => f.write_str("no source has this host and path"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Slow => Fault::Slow.fmt(f),
            Self::Broken => Fault::Broken.fmt(f),
            Self::Closing => Fault::Closing.fmt(f),
            Self::Unproven(error) => error.fmt(f),
            Self::Twin => f.write_str("the same event was being stored, and could not be"),
            Self::OverRate { retry_after } => {
                write!(f, "a tenant sends more than it may; next chance in {} s", retry_after.as_secs())
            }
            Self::NotTaken(refused) => refused.fmt(f),
            Self::Void => Void.fmt(f),
        }
    }
}

impl Error for Rejection {}

impl From<Malformed> for Rejection {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => Self::Refused(refusal),
            Fault::Slow => Self::Slow,
            Fault::Broken => Self::Broken,
            Fault::Closing => Self::Closing,
        }
    }
}

impl From<VerifyError> for Rejection {
    fn from(error: VerifyError) -> Self {
        Self::Unproven(error)
    }
}

impl From<Refused> for Rejection {
    fn from(refused: Refused) -> Self {
        Self::NotTaken(refused)
    }
}

impl From<Void> for Rejection {
    fn from(_: Void) -> Self {
        Self::Void
    }
}

impl Rejection {
    /// The word for logs and metrics; one of [`OUTCOMES`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        OUTCOMES.get(self.place()).copied().unwrap_or_default()
    }

    /// Whether it speaks against the caller's address. What is our own trouble, or a torn line, does not; nor does what
    /// an operator may have set wrong (a path, a limit), for which a provider would be punished; nor does having been
    /// refused too often, which would never end.
    pub(super) const fn is_the_callers(&self) -> bool {
        match self {
            Self::Malformed(_) | Self::Slow | Self::Unproven(_) => true,
            Self::Refused(Refusal::Method | Refusal::Address) => true,
            Self::Refused(Refusal::TooLarge { .. } | Refusal::TooManyRefusals { .. }) => false,
            Self::Refused(Refusal::Busy | Refusal::Crowded) => false,
            Self::Nowhere | Self::Broken | Self::Closing | Self::Twin | Self::NotTaken(_) | Self::Void => false,
            Self::OverRate { .. } => false,
        }
    }

    /// Whether the connection ends with it. Who is refused for what they sent pays for a new one each time; what comes
    /// behind a body that was not read to its end is nothing. Our own trouble ends nothing.
    const fn ends_the_connection(&self) -> bool {
        match self {
            Self::Nowhere | Self::Broken | Self::Closing => true,
            Self::Refused(Refusal::TooLarge { .. } | Refusal::TooManyRefusals { .. }) => true,
            _ => self.is_the_callers(),
        }
    }

    /// The status that a caller hears, unless the source has one of its own for what is not proven.
    #[must_use]
    pub fn status(self) -> StatusCode {
        refusal(self, None).status()
    }

    /// Its place in [`OUTCOMES`].
    fn place(&self) -> usize {
        match self {
            Self::Malformed(Malformed::LengthAndCoding) => 5,
            Self::Malformed(Malformed::NoHost) => 6,
            Self::Malformed(Malformed::Hosts) => 7,
            Self::Malformed(Malformed::Host) => 8,
            Self::Malformed(Malformed::OtherHost) => 9,
            Self::Nowhere => 10,
            Self::Refused(Refusal::Method) => 11,
            Self::Refused(Refusal::TooLarge { .. }) => 12,
            Self::Refused(Refusal::Address) => 13,
            Self::Refused(Refusal::TooManyRefusals { .. }) => 14,
            Self::Refused(Refusal::Busy) => 15,
            Self::Slow => 16,
            Self::Broken => 17,
            Self::Twin => 18,
            Self::NotTaken(Refused::Busy) => 19,
            Self::NotTaken(Refused::Full) => 20,
            Self::NotTaken(Refused::TooLarge { .. }) => 21,
            Self::NotTaken(Refused::Closed) => 22,
            Self::NotTaken(Refused::Failed) => 23,
            Self::Void => 24,
            Self::Malformed(Malformed::Coding) => 25,
            Self::Closing => 26,
            Self::Refused(Refusal::Crowded) => 27,
            Self::OverRate { .. } => 28,
            Self::Unproven(error) => {
                OWN.len() + VerifyError::ALL.iter().position(|known| known == error).unwrap_or(VerifyError::ALL.len())
            }
        }
    }
}

const OWN: [&str; 33] = [
    "stored",
    "queued",
    "repeat",
    "challenge",
    "discarded",
    "length_and_coding",
    "no_host",
    "several_hosts",
    "bad_host",
    "other_host",
    "nowhere",
    "method",
    "too_large",
    "address",
    "too_many_refusals",
    "busy",
    "slow",
    "broken",
    "twin",
    "journal_busy",
    "journal_full",
    "journal_too_large",
    "journal_closed",
    "journal_failed",
    "void",
    "coding",
    "closing",
    "crowded",
    "over_rate",
    "passed",
    "late",
    "observed",
    "missed",
];

const ALL: [&str; OWN.len() + VerifyError::ALL.len()] = {
    let mut all = [""; OWN.len() + VerifyError::ALL.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < OWN.len() { OWN[at] } else { VerifyError::ALL[at - OWN.len()].reason() };
        at += 1;
    }
    all
};

/// What may become of a request: the labels of `porteiro_requests_total`, each at its place. A wrong method is one
/// label, whether the source's rules or its provider's definition refuse it.
pub const OUTCOMES: &[&str] = &ALL;

/// The refusals among [`OUTCOMES`], each at its place; `None` at those of success.
pub const REFUSALS: &[Option<&str>] = &{
    let mut refusals = [None; ALL.len()];
    let mut at = 0;
    while at < ALL.len() {
        let success = at < 5 || (PASSED <= at && at <= MISSED);
        refusals[at] = if success { None } else { Some(ALL[at]) };
        at += 1;
    }
    refusals
};

/// The places of the successes that stand behind the refusals.
const PASSED: usize = 29;
const LATE: usize = 30;
const OBSERVED: usize = 31;
const MISSED: usize = 32;

/// The place of an outcome in [`OUTCOMES`].
pub(super) fn place(outcome: &Result<Accepted, Rejection>) -> usize {
    match outcome {
        Ok(Accepted::Stored(_)) => 0,
        Ok(Accepted::Queued(_)) => 1,
        Ok(Accepted::Before(_)) => 2,
        Ok(Accepted::Challenged(_)) => 3,
        Ok(Accepted::Discarded(_)) => 4,
        Ok(Accepted::Answered(..)) => PASSED,
        Ok(Accepted::Late(_)) => LATE,
        Ok(Accepted::Observed(_)) => OBSERVED,
        Ok(Accepted::Missed(_)) => MISSED,
        Err(rejection) => rejection.place(),
    }
}

/// Marks the answer to what was only observed.
const NOT_STORED: HeaderName = HeaderName::from_static("x-porteiro-observed");

/// The answer to a request. There is a source unless none was found.
pub(super) fn of(outcome: Result<Accepted, Rejection>, source: Option<&Source>) -> Response<Full<Bytes>> {
    match outcome {
        Ok(accepted) => success(accepted, source),
        Err(rejection) => refusal(rejection, source),
    }
}

fn success(accepted: Accepted, source: Option<&Source>) -> Response<Full<Bytes>> {
    let challenge = match accepted {
        Accepted::Stored(Receipt { .. })
        | Accepted::Queued(Receipt { .. })
        | Accepted::Before(Earlier { .. })
        | Accepted::Late(Held::Now(Receipt { .. }) | Held::Before(Earlier { .. }))
        | Accepted::Discarded(Discard(())) => {
            // What was answered the first time is not kept: to a repeat the destination's answer comes too late.
            let late = matches!(accepted, Accepted::Late(_) | Accepted::Before(_));
            let late = late && source.is_some_and(|source| matches!(source.ack, Ack::Delivered(_)));
            let plain = || Response::new(Full::default());
            let of = |source: &Source| fixed(if late { &source.replies.late } else { &source.replies.success });
            return source.map_or_else(plain, of);
        }
        Accepted::Answered(Held::Now(Receipt { .. }) | Held::Before(Earlier { .. }), answer) => return passed(answer),
        // Alike, so that a twin of the real thing can be tried; and marked, so that nobody takes it for that.
        Accepted::Observed(Observed(())) | Accepted::Missed(Observed(())) => {
            let plain = || Response::new(Full::default());
            let mut response = source.map_or_else(plain, |source| fixed(&source.replies.success));
            response.headers_mut().insert(NOT_STORED, HeaderValue::from_static("not-stored"));
            return response;
        }
        Accepted::Challenged(challenge) => challenge,
    };
    let content_type = challenge.content_type().map(HeaderValue::from_static);
    let status = StatusCode::from_u16(challenge.status()).unwrap_or(StatusCode::OK);
    let mut response = fixed(&Reply { status, content_type, body: challenge.body().clone() });
    for (name, value) in challenge.headers() {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// A destination's own answer.
fn passed(answer: Answer) -> Response<Full<Bytes>> {
    let Answer { status, content_type, content_encoding, body } = answer;
    let coding = content_encoding.filter(|_| !body.is_empty());
    let mut response = fixed(&Reply { status, content_type, body });
    if let Some(coding) = coding {
        response.headers_mut().insert(CONTENT_ENCODING, coding);
    }
    response
}

fn refusal(rejection: Rejection, source: Option<&Source>) -> Response<Full<Bytes>> {
    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }
    let (status, retry_after) = match rejection {
        Rejection::Malformed(_) | Rejection::Broken => (StatusCode::BAD_REQUEST, None),
        Rejection::Nowhere => (StatusCode::NOT_FOUND, None),
        Rejection::Refused(Refusal::Method) => (StatusCode::METHOD_NOT_ALLOWED, None),
        Rejection::Refused(Refusal::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Rejection::Refused(Refusal::Address) => (StatusCode::FORBIDDEN, None),
        Rejection::Refused(Refusal::TooManyRefusals { retry_after }) => {
            (StatusCode::TOO_MANY_REQUESTS, Some(retry_after))
        }
        Rejection::Refused(Refusal::Busy | Refusal::Crowded) => (StatusCode::SERVICE_UNAVAILABLE, seconds(1)),
        Rejection::Slow => (StatusCode::REQUEST_TIMEOUT, None),
        Rejection::Unproven(_) => {
            let plain = || phrase(StatusCode::UNAUTHORIZED);
            let mut response = source.map_or_else(plain, |source| fixed(&source.replies.reject));
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
        Rejection::OverRate { retry_after } => {
            let status = source.map_or(StatusCode::TOO_MANY_REQUESTS, |source| source.tenants.refusal);
            (status, Some(retry_after))
        }
        Rejection::Twin | Rejection::Void => (StatusCode::SERVICE_UNAVAILABLE, seconds(1)),
        Rejection::NotTaken(Refused::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Rejection::NotTaken(Refused::Busy) => (StatusCode::SERVICE_UNAVAILABLE, seconds(1)),
        Rejection::Closing | Rejection::NotTaken(Refused::Closed) => (StatusCode::SERVICE_UNAVAILABLE, seconds(5)),
        Rejection::NotTaken(Refused::Full | Refused::Failed) => (StatusCode::SERVICE_UNAVAILABLE, seconds(30)),
    };
    let mut response = phrase(status);
    let headers = response.headers_mut();
    if let Some(wait) = retry_after {
        let seconds = wait.as_millis().div_ceil(1000).clamp(1, 86_400);
        headers.insert(RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(1)));
    }
    if rejection.ends_the_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let (StatusCode::METHOD_NOT_ALLOWED, Some(source)) = (status, source) {
        let methods: Vec<_> = source.rules.methods.iter().map(http::Method::as_str).collect();
        if let Ok(methods) = HeaderValue::try_from(methods.join(", ")) {
            headers.insert(ALLOW, methods);
        }
    }
    response
}

/// A status in words, and nothing else.
fn phrase(status: StatusCode) -> Response<Full<Bytes>> {
    let body = Bytes::from_static(status.canonical_reason().unwrap_or_default().as_bytes());
    fixed(&Reply { status, content_type: Some(HeaderValue::from_static("text/plain")), body })
}

fn fixed(reply: &Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body.clone()));
    *response.status_mut() = reply.status;
    if let Some(content_type) = reply.content_type.as_ref().filter(|_| !reply.body.is_empty()) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

#[cfg(test)]
mod tests;
