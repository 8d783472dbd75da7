//! How does a destination know that an attempt comes from this house?
//!
//! By Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp` and, in `webhook-signature`, one `v1,` and base64 for each
//! live key, over `id.timestamp.body`.
//!
//! Promises: the body is signed as it goes out, in its own pieces; nothing is allocated but what the head grows by; the
//! time is that of the attempt, so that a retry days later is as fresh as the first.
//!
//! Must not know: where the keys came from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::clock::Timestamp;
use crate::verify::Signer;

use super::request::decimal;

/// The headers that are set; `webhook-id` is told of events that are not signed, too.
pub(super) const NAMES: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// Writes the lines of time and signatures for what carries this id in `webhook-id`.
pub(super) fn write(keys: &[Signer], id: &[u8], now: Timestamp, body: &[Bytes], out: &mut Vec<u8>) {
    out.extend_from_slice(b"webhook-timestamp: ");
    let from = out.len();
    decimal(out, now.as_secs());
    let to = out.len();
    out.extend_from_slice(b"\r\nwebhook-signature:");
    for key in keys {
        let mut signing = key.begin();
        for part in [id, b".", &out[from..to], b"."] {
            signing.update(part);
        }
        body.iter().for_each(|piece| signing.update(piece));
        let mut text = [0; 44];
        let length = STANDARD.encode_slice(signing.finish(), &mut text).expect("32 bytes are 44 digits of base64");
        out.extend_from_slice(b" v1,");
        out.extend_from_slice(&text[..length]);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
