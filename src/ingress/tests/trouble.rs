//! What a caller hears when the journal, or the line, is in trouble.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use http::header::RETRY_AFTER;

use super::rooms::{PEER, Rooms, event};
use crate::admission;
use crate::ingress::body::tests::{Script, Step};
use crate::ingress::room::PATIENCE;
use crate::journal::{Ailing, Memory, Options};
use crate::snapshot::ListenerId;

pub(super) fn rooms(options: Options) -> (Rooms, Arc<AtomicU32>) {
    let storage = Ailing::default();
    let failures = Arc::clone(&storage.syncs);
    let rooms = Rooms::with(Arc::new(storage), options, admission::Limits::default());
    // Whatever the opening left to do is done: the next sync is an event's.
    rooms.work();
    (rooms, failures)
}

#[track_caller]
fn check(rooms: &Rooms, id: &str, status: u16, retry_after: Option<&str>, word: &str) {
    let before = rooms.counted("plain", word);
    let response = rooms.answer(event("/plain", id, b"one"));
    assert_eq!(response.status().as_u16(), status, "{word} {:?}", rooms.outcomes());
    assert_eq!(response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap()), retry_after, "{word}");
    assert_eq!(rooms.counted("plain", word), before + 1, "{word}");
}

#[test]
fn what_could_not_be_synced_is_answered_503_and_its_retry_is_stored() {
    let (rooms, failures) = rooms(Options::default());
    failures.store(1, SeqCst);
    check(&rooms, "1", 503, Some("1"), "void");
    assert_eq!(rooms.admission.in_flight(), 0);
    check(&rooms, "1", 200, None, "stored");
    check(&rooms, "1", 200, None, "repeat");
    assert_eq!(rooms.kept().len(), 1);
}

#[test]
fn a_twin_of_what_could_not_be_synced_is_stored_in_its_place() {
    let (rooms, failures) = rooms(Options::default());
    let mut twins: Vec<_> = (0..3)
        .map(|_| Box::pin(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"one"))))
        .collect();
    let context = &mut Context::from_waker(Waker::noop());
    assert!(twins.iter_mut().all(|twin| twin.as_mut().poll(context).is_pending()));
    failures.store(1, SeqCst);
    rooms.work();
    let Poll::Ready(response) = twins[0].as_mut().poll(context) else { panic!("the first is decided about") };
    assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (503, &"1".parse().unwrap()));
    assert!(twins[1..].iter_mut().all(|twin| twin.as_mut().poll(context).is_pending()));
    rooms.work();
    for twin in &mut twins[1..] {
        let Poll::Ready(response) = twin.as_mut().poll(context) else { panic!("the second is stored") };
        assert_eq!(response.status(), 200);
    }
    assert_eq!((rooms.counted("plain", "stored"), rooms.counted("plain", "repeat")), (1, 1));
    assert_eq!(rooms.kept().len(), 1);
}

#[test]
fn a_journal_that_gave_up_takes_nothing_more() {
    let (rooms, failures) = rooms(Options::default());
    failures.store(u32::MAX, SeqCst);
    check(&rooms, "1", 503, Some("1"), "void");
    check(&rooms, "2", 503, Some("30"), "journal_failed");
    assert!(rooms.window.is_empty());
}

#[test]
fn a_full_queue_and_a_full_disk_are_answered_503() {
    let (rooms, _) = rooms(Options { queue_records: 1, ..Options::default() });
    let mut first = pin!(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "1", b"one")));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let busy = runtime.block_on(async {
        let began = tokio::time::Instant::now();
        let busy = rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", "2", b"one")).await;
        assert!((PATIENCE..PATIENCE * 2).contains(&began.elapsed()), "it is worth waiting for");
        busy
    });
    assert_eq!((busy.status().as_u16(), &busy.headers()[RETRY_AFTER]), (503, &"1".parse().unwrap()));
    assert_eq!(rooms.counted("plain", "journal_busy"), 1);

    let rooms = Rooms::new();
    let stored = (0..1000).take_while(|id| {
        let response = rooms.answer(event("/plain", &id.to_string(), &[b'x'; 20_000]));
        let full = response.headers().get(RETRY_AFTER).is_some_and(|value| value == "30");
        assert!(full || response.status() == 200, "{response:?}");
        response.status() == 200
    });
    let stored = stored.count();
    assert!((10..104).contains(&stored), "{stored} events of 20 KB in a journal of 2 MiB");
    assert_eq!(rooms.counted("plain", "journal_full"), 1);
    assert_eq!(rooms.kept().len(), stored);
}

#[test]
fn what_is_proven_waits_for_room_in_the_queue_and_is_stored() {
    let (rooms, _) = rooms(Options { queue_records: 1, ..Options::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let context = &mut Context::from_waker(Waker::noop());
    let ask = |id| Box::pin(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/plain", id, b"one")));
    let (mut first, mut second, mut third) = (ask("1"), ask("2"), ask("3"));
    let inside = runtime.enter();
    for waits in [&mut first, &mut second, &mut third] {
        assert!(waits.as_mut().poll(context).is_pending());
    }
    assert_eq!(rooms.admission.in_flight(), 9, "who waits keeps its permit");
    drop(third);
    drop(inside);
    assert_eq!((rooms.admission.in_flight(), rooms.counted("plain", "journal_busy")), (6, 0));
    rooms.work();
    runtime.block_on(tokio::time::advance(PATIENCE / 4));
    let inside = runtime.enter();
    assert!(second.as_mut().poll(context).is_pending());
    drop(inside);
    rooms.work();
    for stored in [&mut first, &mut second] {
        let Poll::Ready(response) = stored.as_mut().poll(context) else { panic!("it is stored") };
        assert_eq!(response.status(), 200);
    }
    assert_eq!((rooms.kept().len(), rooms.admission.in_flight()), (2, 0));
    check(&rooms, "3", 200, None, "stored");
}

#[test]
fn a_body_that_comes_too_slowly_or_is_torn_stores_nothing() {
    let cases = [(Step::Wait(5_100), 408, "slow", 1), (Step::Break, 400, "broken", 0)];
    for (step, status, word, charged) in cases {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let limits = admission::Limits { refusals_burst: 1, ..admission::Limits::default() };
        let rooms = Rooms::with(Arc::new(Memory::new()), Options::default(), limits);
        let script = Script::new(Some(3), [Step::Send(1), step, Step::Send(2)]);
        let request = event("/plain", "1", b"one").map(|_| script);
        let response = runtime.block_on(rooms.ingress.answer(ListenerId(0), PEER.into(), request));
        assert_eq!(response.status().as_u16(), status, "{word}");
        assert_eq!(rooms.outcomes(), [("plain", word)]);
        assert_eq!(rooms.admission.in_flight(), 0);
        // Being slow speaks against the caller's address; a torn line does not.
        let next = rooms.answer(event("/plain", "1", b"one")).status().as_u16();
        assert_eq!(next, if charged == 1 { 429 } else { 200 }, "{word}");
    }
}

#[test]
fn one_address_that_proves_nothing_keeps_no_other_out() {
    let limits = admission::Limits { in_flight_max: 64_000, in_flight_share: 8_000, ..admission::Limits::default() };
    let rooms = Rooms::with(Arc::new(Memory::new()), Options::default(), limits);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let context = &mut Context::from_waker(Waker::noop());
    let inside = runtime.enter();
    let begun = |begins| {
        let steps = [Step::Send(begins), Step::Wait(60_000)];
        let request = event("/plain", "1", b"one").map(|_| Script::new(Some(4_000), steps));
        Box::pin(rooms.ingress.answer(ListenerId(0), PEER.into(), request))
    };
    // A thousand that say nothing beyond their head, and a thousand that say a word.
    let mut silent: Vec<_> = (0..1_000).map(|_| begun(0)).chain((0..1_000).map(|_| begun(1))).collect();
    assert!(silent.iter_mut().all(|answer| answer.as_mut().poll(context).is_pending()));
    assert_eq!(rooms.admission.in_flight(), 8_000, "two of them are being read");
    drop(inside);
    for id in 0..20 {
        let response = rooms.answer_to([198, 51, 100, 1], event("/plain", &id.to_string(), &[b'x'; 30_000]));
        assert_eq!(response.status(), 200);
    }
    drop(silent);
    assert_eq!(rooms.admission.in_flight(), 0);
}
