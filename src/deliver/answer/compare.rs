//! Does it make a difference how an answer is cut into reads? For tests and a fuzzer.
//!
//! Promises: reads as an exchange does, in pieces of a given size.
//!
//! Must not know: sockets.

use super::{Answer, Flaw, HEAD_MAX, Top};

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) retry_after: Option<Vec<u8>>,
    pub(super) content_type: Option<Vec<u8>>,
    pub(super) content_encoding: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
    /// How many of the bytes are the answer's; of no meaning where it has a flaw.
    pub(super) taken: usize,
    pub(super) whole: bool,
    /// Of meaning once a head was read.
    pub(super) reusable: bool,
    pub(super) flaw: Option<Flaw>,
}

/// Reads these bytes in pieces of this size.
pub(super) fn read(mut answer: Answer, bytes: &[u8], piece: usize) -> Seen {
    let mut seen = Seen::default();
    let mut held = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        held.extend_from_slice(piece);
        if let Err(flaw) = take(&mut answer, &mut held, &mut seen) {
            (seen.flaw, seen.taken) = (Some(flaw), 0);
            break;
        }
    }
    (seen.whole, seen.reusable) = (answer.is_whole(), seen.status > 0 && answer.is_reusable());
    seen
}

fn take(answer: &mut Answer, held: &mut Vec<u8>, seen: &mut Seen) -> Result<(), Flaw> {
    while seen.status == 0 {
        let taken = match answer.top(held)? {
            Top::Partial => {
                assert!(held.len() < HEAD_MAX, "a head has a bound");
                return Ok(());
            }
            Top::Interim(taken) => taken,
            Top::Final { status, retry_after, labels, taken } => {
                seen.status = status;
                seen.retry_after = retry_after.map(<[u8]>::to_vec);
                seen.content_type = labels.content_type.map(<[u8]>::to_vec);
                seen.content_encoding = labels.content_encoding.map(<[u8]>::to_vec);
                taken
            }
        };
        assert!(taken > 0 && taken <= HEAD_MAX, "a head has a length");
        seen.taken += taken;
        held.drain(..taken);
    }
    loop {
        let missing = answer.missing();
        let (taken, data) = answer.body(held)?;
        seen.body.extend_from_slice(data);
        seen.taken += taken;
        assert!(data.len() <= taken && (missing == 0 || data.len() as u64 <= missing), "no more than was announced");
        held.drain(..taken);
        if taken == 0 {
            assert!(held.is_empty() || answer.is_whole(), "bytes are taken until the end");
            return Ok(());
        }
    }
}

/// Panics, for a fuzzer or a test to see, where it makes a difference how an answer is cut into reads, or where more is
/// given than came.
pub fn holds(bytes: &[u8]) {
    for answer in [Answer::new, Answer::bare] {
        let whole = read(answer(), bytes, bytes.len());
        assert!(whole.taken <= bytes.len() && (whole.body.len() <= whole.taken || whole.flaw.is_some()));
        assert!((200..1000).contains(&whole.status) || whole.status == 0);
        for piece in [1, 2, 3, 7, 64] {
            assert_eq!(read(answer(), bytes, piece), whole, "pieces of {piece}");
        }
    }
}
