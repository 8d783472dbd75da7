//! A buffered source answers once the event is queued, and everything else is as with any other.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use super::rooms::{PEER, Rooms, event};
use super::trouble::rooms;
use crate::ingress::room::PATIENCE;
use crate::journal::Options;
use crate::snapshot::ListenerId;

/// What a caller hears without anything being written meanwhile.
fn at_once(rooms: &Rooms, source: &str, id: &str) -> Option<u16> {
    let answer = rooms.ingress.answer(ListenerId(0), PEER.into(), event(&format!("/{source}"), id, b"one"));
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => Some(response.status().as_u16()),
        Poll::Pending => None,
    }
}

#[test]
fn a_buffered_source_does_not_wait_for_the_disk_and_a_durable_one_does() {
    let (rooms, _) = rooms(Options::default());
    for id in ["1", "2", "3"] {
        assert_eq!(at_once(&rooms, "plain", id), None, "the disk is not asked yet");
        assert_eq!(at_once(&rooms, "buffered", id), Some(200));
    }
    assert_eq!(rooms.counted("buffered", "queued"), 3);
    assert_eq!(rooms.admission.in_flight(), 18, "its bytes are in flight until the journal has written them");
    // Both sources' events are written and owed, those whose callers hung up too.
    assert_eq!(rooms.kept().len(), 6);
    assert_eq!(rooms.admission.in_flight(), 0);
    assert_eq!(at_once(&rooms, "buffered", "1"), Some(200));
    assert_eq!(rooms.counted("buffered", "repeat"), 1);
}

#[test]
fn a_failed_sync_costs_a_buffered_event_nothing_and_a_durable_one_its_success() {
    let (rooms, failures) = rooms(Options::default());
    failures.store(1, SeqCst);
    let mut durable = pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"one")));
    let context = &mut Context::from_waker(Waker::noop());
    assert!(durable.as_mut().poll(context).is_pending());
    assert_eq!(at_once(&rooms, "buffered", "1"), Some(200));
    rooms.work();
    let Poll::Ready(response) = durable.as_mut().poll(context) else { panic!("it is void") };
    assert_eq!(response.status(), 503);
    assert_eq!(failures.load(SeqCst), 0, "the sync was tried");
    let kept = rooms.kept();
    assert_eq!(kept.len(), 1, "{kept:?}");
    // Its key was kept through the second try: a repeat is one.
    assert_eq!(at_once(&rooms, "buffered", "1"), Some(200));
    assert_eq!((rooms.counted("buffered", "queued"), rooms.counted("buffered", "repeat")), (1, 1));
    assert!(rooms.kept().is_empty());
}

#[test]
fn a_twin_of_a_buffered_event_waits_for_its_sync_and_is_not_stored_again() {
    let (rooms, failures) = rooms(Options::default());
    failures.store(1, SeqCst);
    assert_eq!(at_once(&rooms, "buffered", "1"), Some(200));
    let mut twin = pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/buffered", "1", b"one")));
    let context = &mut Context::from_waker(Waker::noop());
    assert!(twin.as_mut().poll(context).is_pending());
    rooms.work();
    let Poll::Ready(response) = twin.as_mut().poll(context) else { panic!("the first is on disk") };
    assert_eq!((response.status().as_u16(), rooms.counted("buffered", "repeat")), (200, 1));
    assert_eq!(rooms.kept().len(), 1);
}

#[test]
fn what_the_queue_does_not_take_is_no_success_on_a_buffered_source_either() {
    let (rooms, _) = rooms(Options { queue_records: 1, ..Options::default() });
    assert_eq!(at_once(&rooms, "buffered", "1"), Some(200));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let busy = runtime.block_on(async {
        let began = tokio::time::Instant::now();
        let busy = rooms.ingress.answer(ListenerId(0), PEER.into(), event("/buffered", "2", b"one")).await;
        assert!((PATIENCE..PATIENCE * 2).contains(&began.elapsed()), "it is worth waiting for");
        busy
    });
    assert_eq!((busy.status().as_u16(), rooms.counted("buffered", "journal_busy")), (503, 1));
    assert_eq!(rooms.kept().len(), 1, "what was not taken is not there");
    assert_eq!(at_once(&rooms, "buffered", "2"), Some(200), "and its key is free");
}

#[test]
fn a_journal_that_gave_up_is_no_success_on_a_buffered_source_either() {
    let (rooms, failures) = rooms(Options::default());
    failures.store(u32::MAX, SeqCst);
    assert_eq!(at_once(&rooms, "buffered", "3"), Some(200));
    rooms.work();
    assert_eq!(at_once(&rooms, "buffered", "4"), Some(503));
    assert_eq!(rooms.counted("buffered", "journal_failed"), 1);
}
