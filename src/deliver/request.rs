//! What does a destination get to see of an event?
//!
//! Promises: method, query, the rest of the path where the URL asks for it, and every stored header go on; what the
//! operator set replaces what the event brought; the body is the event's own bytes, in the same pieces, copied nowhere;
//! whatever bytes are stored, what is written is one request head and nothing else.
//!
//! Must not know: connections, outcomes.

use bytes::Bytes;

use crate::callers::Courier;
use crate::clock::{Clock, Timestamp};
use crate::event::Head;

use super::plan::{Destination, is_connections};
use super::sign;
use super::weave::Values;

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

/// What is to be sent of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel<'a> {
    /// What is stored beside the body.
    pub(super) head: &'a [u8],
    /// The pieces that the body is stored in.
    pub(super) body: &'a [Bytes],
    pub(super) facts: Facts,
    /// Whom to bring what is answered.
    pub(super) courier: Option<&'a Courier>,
    /// What is woven into the texts of a destination that asks for it.
    pub(super) names: Names<'a>,
}

/// What an event's numbers are called.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) source: &'a str,
    pub(super) tenant: &'a str,
    pub(super) kind: &'a str,
}

/// Why an event cannot be put into a request; it never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsendable {
    /// What is stored beside the body cannot be read.
    Head,
    /// The event's path or query does not go with the destination's.
    Path,
}

/// What the answer to a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A head and a body.
    Whole,
    /// Only a head: it was a HEAD.
    Head,
}

/// Writes the head of the request for this destination, in place of what is in `out`. The body follows it. The clock is
/// read only where the time is signed.
pub(super) fn write(
    to: &Destination,
    parcel: &Parcel<'_>,
    clock: &Clock,
    out: &mut Vec<u8>,
) -> Result<Asked, Unsendable> {
    // Method, names and values are found to be what they should, or nothing is written.
    let stored = Head::decode(parcel.head).map_err(|_| Unsendable::Head)?;
    let asked = match stored.method {
        "HEAD" => Asked::Head,
        // It would ask for a tunnel, not for a path.
        "CONNECT" => return Err(Unsendable::Head),
        _ => Asked::Whole,
    };
    out.clear();
    out.reserve(parcel.head.len() + to.lines.expose().len() + 512);
    out.extend_from_slice(stored.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(to.door.origin());
    let values = to.weaves().then(|| values(parcel, stored.rest));
    to.path.join(stored.rest, stored.query, values.as_ref(), out).ok_or(Unsendable::Path)?;
    out.extend_from_slice(b" HTTP/1.1\r\n");
    out.extend_from_slice(to.lines.expose());
    let length: usize = parcel.body.iter().map(Bytes::len).sum();
    out.extend_from_slice(b"content-length: ");
    decimal(out, length as u64);
    out.extend_from_slice(b"\r\n");
    let traced = is_traced(&stored);
    let mut named = false;
    for (name, value) in stored.headers() {
        let untraced = !traced && matches!(name, b"traceparent" | b"tracestate");
        if !untraced && !is_connections(name) && !name.starts_with(b"x-porteiro-") && !to.sets(name) {
            named |= name == b"webhook-id";
            line(out, name, value);
        }
    }
    if let Some(values) = &values {
        for (name, weave) in &to.woven {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            weave.write_header(values, out);
            out.extend_from_slice(b"\r\n");
        }
    }
    tell(out, parcel.facts, named, traced);
    if !to.sign.is_empty() {
        sign::write(&to.sign, hexadecimal(parcel.facts.event_id).as_flattened(), clock.now(), parcel.body, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(asked)
}

fn values<'a>(parcel: &Parcel<'a>, path: &'a str) -> Values<'a> {
    let Names { source, tenant, kind } = parcel.names;
    // Whether a slash leads depends on how the path of the source is written.
    let path = path.strip_prefix('/').unwrap_or(path);
    Values { source, tenant, kind, id: Some(parcel.facts.event_id), attempt: parcel.facts.attempt, path }
}

/// Writes the headers of our own. `named`: the event brought a `webhook-id`; `traced`: it brought a trace.
fn tell(out: &mut Vec<u8>, facts: Facts, named: bool, traced: bool) {
    let id = hexadecimal(facts.event_id);
    line(out, b"x-porteiro-event-id", id.as_flattened());
    // A provider that follows Standard Webhooks has signed its own id; with another one the signature would not hold.
    if !named {
        line(out, b"webhook-id", id.as_flattened());
    }
    out.extend_from_slice(b"x-porteiro-attempt: ");
    decimal(out, facts.attempt.into());
    out.extend_from_slice(b"\r\nx-porteiro-received-at: ");
    match facts.accepted.rfc3339() {
        Some(text) => out.extend_from_slice(&text),
        None => out.extend_from_slice(facts.accepted.to_string().as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    if !traced {
        // All attempts for all destinations make one trace; nobody here records it, so it is not sampled. Neither the
        // trace nor the span may be zero.
        let trace = if facts.event_id == [0; 16] { hexadecimal(1_u128.to_be_bytes()) } else { id };
        out.extend_from_slice(b"traceparent: 00-");
        out.extend_from_slice(trace.as_flattened());
        out.push(b'-');
        out.extend_from_slice(hexadecimal(facts.span.max(1).to_be_bytes()).as_flattened());
        out.extend_from_slice(b"-00\r\n");
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while first == digits.len() || number > 0 {
        first -= 1;
        digits[first] += (number % 10).to_le_bytes()[0];
        number /= 10;
    }
    out.extend_from_slice(&digits[first..]);
}

pub(super) fn hexadecimal<const N: usize>(bytes: [u8; N]) -> [[u8; 2]; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
}

/// Whether the event brought exactly one `traceparent`, and a sound one.
fn is_traced(stored: &Head<'_>) -> bool {
    let mut parents = stored.headers().filter(|(name, _)| *name == b"traceparent");
    matches!((parents.next(), parents.next()), (Some((_, only)), None) if is_traceparent(only))
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

#[cfg(test)]
mod tests;
