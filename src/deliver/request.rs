//! What does a destination get to see of an event?
//!
//! Promises: method, query, the rest of the path where the URL asks for it, and every stored header go on; what the
//! operator set replaces what the event brought; the body is the event's own bytes, in the same pieces, copied nowhere.
//!
//! Must not know: connections, outcomes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use hyper::body::{Body, Frame, SizeHint};

use crate::clock::Timestamp;
use crate::event::Head;

use super::plan::{Destination, is_connections};

const EVENT_ID: HeaderName = HeaderName::from_static("x-porteiro-event-id");
const ATTEMPT: HeaderName = HeaderName::from_static("x-porteiro-attempt");
const RECEIVED_AT: HeaderName = HeaderName::from_static("x-porteiro-received-at");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What Porteiro tells of an event in headers of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) event_id: [u8; 16],
    /// Counted from 1.
    pub(super) attempt: u32,
    pub(super) accepted: Timestamp,
    /// Of the span that a `traceparent` of our own names.
    pub(super) span: u64,
}

/// Why an event cannot be put into a request; it never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsendable {
    /// What is stored beside the body cannot be read.
    Head,
    /// The event's path or query does not go with the destination's.
    Path,
}

/// Puts an event into a request for this destination. `head` is what is stored beside the body; `room` has no headers, but
/// perhaps room for them.
pub(super) fn build(
    to: &Destination,
    head: &Bytes,
    facts: Facts,
    body: Parcel,
    room: HeaderMap,
) -> Result<Request<Parcel>, Unsendable> {
    let stored = Head::decode(head).map_err(|_| Unsendable::Head)?;
    let method = Method::from_bytes(stored.method.as_bytes()).map_err(|_| Unsendable::Head)?;
    let target = to.path.join(stored.rest, stored.query).ok_or(Unsendable::Path)?;
    let mut request = Request::new(body);
    let told = Told::new(facts, request.body().left);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target);
    let headers = request.headers_mut();
    *headers = room;
    headers.reserve(24);
    headers.insert(HOST, to.host.clone());
    for (name, value) in stored.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsendable::Head)?;
        if is_connections(&name) || to.headers.iter().any(|(ours, _)| *ours == name) {
            continue;
        }
        let value = HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| Unsendable::Head)?;
        headers.append(name, value);
    }
    for (name, value) in &to.headers {
        headers.append(name, value.clone());
    }
    told.put(headers);
    Ok(request)
}

/// The headers of our own, cut from one piece of memory.
struct Told {
    length: HeaderValue,
    event_id: HeaderValue,
    attempt: HeaderValue,
    received_at: HeaderValue,
    traceparent: HeaderValue,
}

impl Told {
    fn new(facts: Facts, length: u64) -> Self {
        let mut text = BytesMut::with_capacity(160);
        let id = hexadecimal(facts.event_id);
        // All attempts for all destinations make one trace; nobody here records it, so it is not sampled. Neither the
        // trace nor the span may be zero.
        let trace = if facts.event_id == [0; 16] { hexadecimal(1_u128.to_be_bytes()) } else { id };
        text.extend_from_slice(b"00-");
        text.extend_from_slice(trace.as_flattened());
        text.extend_from_slice(b"-");
        text.extend_from_slice(hexadecimal(facts.span.max(1).to_be_bytes()).as_flattened());
        text.extend_from_slice(b"-00");
        let traceparent = cut(&mut text);
        text.extend_from_slice(id.as_flattened());
        let event_id = cut(&mut text);
        write!(text, "{}", facts.accepted).expect("memory grows");
        let received_at = cut(&mut text);
        Self { length: length.into(), event_id, attempt: facts.attempt.into(), received_at, traceparent }
    }

    fn put(self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_LENGTH, self.length);
        // A provider that follows Standard Webhooks has signed its own id; with another one the signature would not hold.
        if !headers.contains_key(WEBHOOK_ID) {
            headers.insert(WEBHOOK_ID, self.event_id.clone());
        }
        headers.insert(EVENT_ID, self.event_id);
        headers.insert(ATTEMPT, self.attempt);
        headers.insert(RECEIVED_AT, self.received_at);
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let sound = matches!((parents.next(), parents.next()), (Some(only), None) if is_traceparent(only.as_bytes()));
        if !sound {
            headers.insert(TRACEPARENT, self.traceparent);
            headers.remove(TRACESTATE);
        }
    }
}

fn cut(text: &mut BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.split().freeze()).expect("digits, letters and dashes")
}

fn hexadecimal<const N: usize>(bytes: [u8; N]) -> [[u8; 2]; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
}

/// W3C Trace Context level 1, 3.2.2: a version we know, or a later one that begins the same way.
fn is_traceparent(value: &[u8]) -> bool {
    let [version, trace, parent, flags] = [value.get(..2), value.get(3..35), value.get(36..52), value.get(53..55)];
    let (Some(version), Some(trace), Some(parent), Some(flags)) = (version, trace, parent, flags) else {
        return false;
    };
    let hexadecimal = |part: &[u8]| part.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &[u8]| part.iter().all(|digit| *digit == b'0');
    let length = value.len() == 55 || (version != b"00" && value.get(55) == Some(&b'-'));
    length
        && version != b"ff"
        && [2, 35, 52].iter().all(|dash| value[*dash] == b'-')
        && [version, trace, parent, flags].into_iter().all(hexadecimal)
        && !zero(trace)
        && !zero(parent)
}

/// An event's body on its way out: the pieces it is stored in.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
    left: u64,
}

impl FromIterator<Bytes> for Parcel {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        let first = pieces.next();
        // Allocates nothing unless there is a second piece.
        let more: VecDeque<_> = pieces.collect();
        let left = first.iter().chain(&more).map(|piece| piece.len() as u64).sum();
        Self { first, more, left }
    }
}

impl Body for Parcel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.first.take().or_else(|| self.more.pop_front());
        Poll::Ready(next.map(|piece| {
            self.left -= piece.len() as u64;
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests;
