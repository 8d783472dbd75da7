//! Who hangs up loses the reply and nothing else.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::rooms::{PEER, Rooms, event};
use crate::snapshot::ListenerId;

/// Lets a request come as far as the journal, and hangs up.
fn hang_up(rooms: &Rooms, id: &str, body: &[u8]) {
    let mut answer = pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", id, body)));
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(rooms.admission.in_flight(), body.len() as u64);
}

#[test]
fn hanging_up_during_the_append_stores_the_event_and_settles_its_key() {
    let rooms = Rooms::new();
    hang_up(&rooms, "1", b"one");
    assert_eq!(rooms.admission.in_flight(), 3, "the bytes are in flight until the journal has them");
    rooms.work();
    assert_eq!(rooms.admission.in_flight(), 0);
    assert_eq!(rooms.answer(event("/plain", "1", b"one")).status(), 200);
    assert_eq!(rooms.counted("plain", "repeat"), 1);
    assert_eq!(rooms.kept().len(), 1);
}

#[test]
fn a_retry_while_the_first_is_in_flight_waits_for_the_same_sync() {
    let rooms = Rooms::new();
    hang_up(&rooms, "1", b"one");
    let mut twin = pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"one")));
    let context = &mut Context::from_waker(Waker::noop());
    assert!(twin.as_mut().poll(context).is_pending());
    rooms.work();
    let Poll::Ready(response) = twin.as_mut().poll(context) else { panic!("the first is stored") };
    assert_eq!((response.status().as_u16(), rooms.counted("plain", "repeat")), (200, 1));
    assert_eq!(rooms.kept().len(), 1);
}

#[test]
fn many_twins_at_once_are_stored_once() {
    let rooms = Rooms::new();
    let context = &mut Context::from_waker(Waker::noop());
    let mut answers: Vec<_> = (0..32)
        .map(|_| Box::pin(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"one"))))
        .collect();
    for answer in &mut answers {
        assert!(answer.as_mut().poll(context).is_pending());
    }
    // The first one's caller is gone before anything is stored, some others' too.
    answers.drain(..4);
    rooms.work();
    for answer in &mut answers {
        let Poll::Ready(response) = answer.as_mut().poll(context) else { panic!("the first is stored") };
        assert_eq!(response.status(), 200);
    }
    assert_eq!(rooms.kept().len(), 1);
    assert_eq!(rooms.admission.in_flight(), 0);
}

#[test]
fn hanging_up_before_the_journal_has_it_leaves_nothing_behind() {
    let rooms = Rooms::new();
    drop(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"one")));
    assert!(rooms.kept().is_empty() && rooms.window.is_empty());
    assert_eq!(rooms.admission.in_flight(), 0);
}
