//! What do those hear who wait for an answer?
//!
//! Promises: an answer is passed on whole or not at all; nobody is told that there is none while a later attempt may still
//! bring one in time.
//!
//! Must not know: who waits.

use http::StatusCode;

use super::attempt::KEEP_MAX;
use super::line::{Appetite, Found};
use crate::callers::{ANSWER_MAX, Answer, Courier, Why};
use crate::clock::Timestamp;
use crate::journal::Settlement;

/// What the journal keeps of an answer for which somebody waits, and what those hear: all of it, or nothing.
pub(super) fn share(
    found: Found,
    mut body: Vec<u8>,
    read: &Appetite,
    delivered: bool,
) -> (Vec<u8>, Option<Box<Result<Answer, Why>>>) {
    let kept = if delivered { Vec::new() } else { body[..body.len().min(KEEP_MAX)].to_vec() };
    let awaited = match StatusCode::from_u16(found.status) {
        // It was cut off at one of the bounds.
        _ if body.len() > ANSWER_MAX || (!read.whole && read.read == 0) => Err(Why::TooLarge),
        Ok(status) if read.whole => {
            body.shrink_to_fit();
            let Found { content_type, content_encoding, .. } = found;
            Ok(Answer { status, content_type, content_encoding, body: body.into() })
        }
        _ => Err(Why::Broken),
    };
    (kept, Some(Box::new(awaited)))
}

/// Tells those who wait what they hear, unless there is still hope for something better.
pub(super) fn tell(
    courier: &Courier,
    awaited: Option<Box<Result<Answer, Why>>>,
    settlement: &Settlement,
    now: Timestamp,
) {
    match (awaited.map(|awaited| *awaited), settlement) {
        (Some(Ok(answer)), _) => courier.bring(answer),
        // It is tried again at its old place, whenever that is.
        (_, Settlement::Return) => {}
        (_, Settlement::Again { at, .. } | Settlement::Hold { at }) if courier.waits_for(at.since(now)) => {}
        (awaited, _) => courier.nothing(awaited.and_then(Result::err).unwrap_or(Why::Failed)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::{Duration, Instant};

    use bytes::Bytes;

    use super::*;
    use crate::callers::{Callers, Told, Wish};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// What somebody hears who waits for a minute, when an attempt ended like this.
    #[track_caller]
    fn check(awaited: Option<Result<Answer, Why>>, settlement: &Settlement, expected: Option<&Told>) {
        let callers = Callers::default();
        let wish = Wish { source: 1, most: 1, destination: 2, pass: [].into() };
        let mut seat = callers.sit([7; 16], &wish, Instant::now() + Duration::from_secs(60)).unwrap();
        let courier = callers.courier(&[7; 16], 2).unwrap();
        tell(&courier, awaited.clone().map(Box::new), settlement, NOW);
        let told = match pin!(seat.heard()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(told) => Some(told),
            Poll::Pending => None,
        };
        assert_eq!(told.as_ref(), expected, "{awaited:?} {settlement:?}");
    }

    #[test]
    fn nobody_is_told_that_there_is_nothing_while_something_may_come_in_time() {
        let status = StatusCode::OK;
        let answer = Answer { status, content_type: None, content_encoding: None, body: Bytes::from_static(b"a") };
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        let again = |seconds| Settlement::Again { at: at(seconds), attempt: 1, status: 500, answer: Bytes::new() };
        let dead = Settlement::Dead { reason: 1, attempt: 1, status: 500, answer: Bytes::new() };
        let hold = |seconds| Settlement::Hold { at: at(seconds) };
        let nothing = |why| Told::Nothing(why);
        for settlement in [Settlement::Delivered, again(1), again(600), hold(1), hold(600), dead.clone()] {
            check(Some(Ok(answer.clone())), &settlement, Some(&Told::Answer(answer.clone())));
        }
        for why in [Why::TooLarge, Why::Broken] {
            check(Some(Err(why)), &Settlement::Delivered, Some(&nothing(why)));
            check(Some(Err(why)), &dead, Some(&nothing(why)));
            check(Some(Err(why)), &again(600), Some(&nothing(why)));
            check(Some(Err(why)), &again(30), None);
        }
        for settlement in [again(600), hold(600), dead, Settlement::Delivered] {
            check(None, &settlement, Some(&nothing(Why::Failed)));
        }
        for settlement in [again(1), again(30), hold(30), Settlement::Return] {
            check(None, &settlement, None);
        }
    }
}
