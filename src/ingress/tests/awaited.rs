//! A caller hears a destination's answer once the event is stored, and not before.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::rooms::{ANSWERED_WITHIN, PEER, Rooms, event, text};
use super::trouble;
use crate::admission;
use crate::callers::{AWAITED, Answer, Courier, Why};
use crate::journal::{Memory, Options};
use crate::snapshot::ListenerId;

type Asked<'r> = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + 'r>>;

fn ask<'r>(rooms: &'r Rooms, id: &str) -> Asked<'r> {
    Box::pin(rooms.ingress.answer(ListenerId(0), PEER.into(), event("/answering", id, b"one")))
}

fn hears(asked: &mut Asked<'_>) -> Option<(u16, String)> {
    match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => Some((response.status().as_u16(), text(response))),
        Poll::Pending => None,
    }
}

/// What the way out does with the next event: it looks at the mark and takes a courier.
fn courier(rooms: &Rooms) -> Option<Courier> {
    let delivery = rooms.next();
    assert_eq!(delivery.flags, AWAITED, "the journal carries the mark");
    rooms.callers.courier(&delivery.event_id, rooms.journal.destination("there").unwrap())
}

fn answer() -> Answer {
    let body = Bytes::from_static(b"hello");
    Answer { status: StatusCode::CREATED, content_type: None, content_encoding: None, body }
}

/// A runtime whose clock stands still, for what has a deadline.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

#[test]
fn the_answer_waits_for_the_disk_and_the_caller_for_the_answer() {
    let (rooms, runtime) = (Rooms::new(), runtime());
    let _inside = runtime.enter();
    let mut asked = ask(&rooms, "1");
    assert_eq!(hears(&mut asked), None);
    let courier = courier(&rooms).unwrap();
    assert_eq!(hears(&mut asked), None, "it is on disk, and nobody has answered");
    courier.bring(answer());
    assert_eq!(hears(&mut asked), Some((201, "hello".into())));
    assert_eq!(rooms.counted("answering", "passed"), 1);
    assert_eq!(rooms.callers.waiting(), 0);
}

/// A caller whose answer is brought before the event is on disk, as where a destination is handed what is only verified.
fn answered_before_the_disk(rooms: &Rooms) -> Asked<'_> {
    // Ids follow from the key, so that other rooms tell this one.
    let (other, inside) = (Rooms::new(), runtime());
    let _inside = inside.enter();
    let mut asked = ask(&other, "1");
    assert_eq!(hears(&mut asked), None);
    let id = other.next().event_id;
    let mut asked = ask(rooms, "1");
    assert_eq!(hears(&mut asked), None);
    rooms.callers.courier(&id, rooms.journal.destination("there").unwrap()).unwrap().bring(answer());
    assert_eq!(hears(&mut asked), None, "an answer is no proof that the event is stored");
    asked
}

#[test]
fn an_answer_is_no_proof_that_the_event_is_stored() {
    let (rooms, failures) = trouble::rooms(Options::default());
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut asked = answered_before_the_disk(&rooms);
    rooms.work();
    assert_eq!(hears(&mut asked), Some((201, "hello".into())));
    let (rooms, failed) = trouble::rooms(Options::default());
    assert_eq!(failures.load(SeqCst), 0);
    let mut asked = answered_before_the_disk(&rooms);
    failed.store(1, SeqCst);
    rooms.work();
    assert_eq!(hears(&mut asked).unwrap().0, 503);
    assert_eq!((rooms.counted("answering", "void"), rooms.counted("answering", "passed")), (1, 0));
    assert!(rooms.kept().is_empty() && rooms.callers.waiting() == 0);
}

#[test]
fn at_the_deadline_the_late_answer_is_heard_and_not_before() {
    let (rooms, runtime) = (Rooms::new(), runtime());
    let (inside, mut asked) = (runtime.enter(), ask(&rooms, "1"));
    assert_eq!(hears(&mut asked), None);
    let courier = courier(&rooms).unwrap();
    assert_eq!(hears(&mut asked), None);
    drop(inside);
    runtime.block_on(tokio::time::advance(ANSWERED_WITHIN - Duration::from_secs(5)));
    let inside = runtime.enter();
    assert_eq!(hears(&mut asked), None);
    drop(inside);
    runtime.block_on(tokio::time::advance(Duration::from_secs(6)));
    let _inside = runtime.enter();
    assert_eq!(hears(&mut asked), Some((202, String::new())));
    drop(asked);
    courier.bring(answer());
    assert_eq!(rooms.callers.waiting(), 0);
    assert_eq!(rooms.counted("answering", "late"), 1);
    // A repeat is one, and waits for nothing.
    assert_eq!(hears(&mut ask(&rooms, "1")), Some((202, String::new())));
    assert_eq!(rooms.counted("answering", "repeat"), 1);
}

#[test]
fn a_twin_sits_beside_the_first_one_from_the_moment_it_comes() {
    let (rooms, runtime) = (Rooms::new(), runtime());
    let _inside = runtime.enter();
    let (mut first, mut twin) = (ask(&rooms, "1"), ask(&rooms, "1"));
    assert_eq!((hears(&mut first), hears(&mut twin)), (None, None));
    assert_eq!(rooms.callers.waiting(), 2);
    courier(&rooms).unwrap().bring(answer());
    // The first one has gone home when the twin looks up.
    assert_eq!(hears(&mut first), Some((201, "hello".into())));
    drop(first);
    assert_eq!(hears(&mut twin), Some((201, "hello".into())));
    drop(twin);
    assert_eq!((rooms.counted("answering", "passed"), rooms.callers.waiting()), (2, 0));
    assert!(rooms.kept().is_empty(), "it was stored once, and that was taken");
}

#[test]
fn one_too_many_and_one_too_late_are_stored_and_hear_the_late_answer() {
    let (rooms, runtime) = (Rooms::new(), runtime());
    let _inside = runtime.enter();
    let mut seated: Vec<_> = ["1", "2"].map(|id| ask(&rooms, id)).into();
    assert!(seated.iter_mut().all(|asked| hears(asked).is_none()));
    let mut crowded = ask(&rooms, "3");
    assert_eq!(hears(&mut crowded), None, "not before it is stored");
    rooms.work();
    assert_eq!(hears(&mut crowded), Some((202, String::new())));
    assert!(seated.iter_mut().all(|asked| hears(asked).is_none()));
    rooms.ingress.close(Duration::from_secs(1));
    for asked in &mut seated {
        assert_eq!(hears(asked), Some((202, String::new())));
    }
    drop(seated);
    let mut last = ask(&rooms, "4");
    assert_eq!(hears(&mut last), None);
    rooms.work();
    assert_eq!(hears(&mut last), Some((202, String::new())));
    assert_eq!(rooms.counted("answering", "late"), 4);
    let marks: Vec<u16> = (0..4).map(|_| rooms.next().flags).collect();
    assert_eq!(marks, [AWAITED, AWAITED, 0, 0]);
}

#[test]
fn whoever_hangs_up_and_whoever_waits_for_nothing_leaves_nothing_behind() {
    let (rooms, runtime) = (Rooms::new(), runtime());
    let _inside = runtime.enter();
    let mut gone = ask(&rooms, "1");
    assert_eq!(hears(&mut gone), None);
    assert_eq!(rooms.callers.waiting(), 1);
    drop(gone);
    assert_eq!(rooms.callers.waiting(), 0);
    assert!(courier(&rooms).is_none(), "the event is delivered, and nobody asks how that went");
    assert_eq!(rooms.answer(event("/plain", "1", b"one")).status(), 200);
    assert_eq!((rooms.next().flags, rooms.callers.waiting()), (0, 0));
    // Why there is no answer is the caller's late answer, whatever it was.
    for (id, why) in [("2", Why::Failed), ("3", Why::TooLarge), ("4", Why::Broken)] {
        let mut asked = ask(&rooms, id);
        assert_eq!(hears(&mut asked), None);
        courier(&rooms).unwrap().nothing(why);
        assert_eq!(hears(&mut asked), Some((202, String::new())), "{why:?}");
    }
}

/// A body of which is known who still holds it.
struct Watched(Arc<Vec<u8>>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn whoever_waits_keeps_neither_the_body_nor_its_share_of_what_is_in_flight() {
    let (memory, limits) = (Arc::new(Memory::new()), admission::Limits::default());
    let rooms = Rooms::with(memory, Options { ring_bytes: 0, ..Options::default() }, limits);
    let runtime = runtime();
    let _inside = runtime.enter();
    let bytes = Arc::new(vec![b'x'; 20_000]);
    let ask = || {
        let request = event("/answering", "1", &bytes);
        let body = Full::new(Bytes::from_owner(Watched(Arc::clone(&bytes))));
        let asked: Asked<'_> = Box::pin(rooms.ingress.answer(ListenerId(0), PEER.into(), request.map(|_| body)));
        asked
    };
    let (mut first, mut twin) = (ask(), ask());
    assert_eq!((hears(&mut first), hears(&mut twin)), (None, None));
    assert_eq!((Arc::strong_count(&bytes), rooms.admission.in_flight()), (3, 40_000));
    assert_eq!(rooms.kept().len(), 1);
    // What the writer wrote last it keeps until the next time.
    assert_eq!(rooms.answer(event("/plain", "1", b"one")).status(), 200);
    assert_eq!((hears(&mut first), hears(&mut twin)), (None, None), "both wait for an answer");
    assert_eq!((Arc::strong_count(&bytes), rooms.admission.in_flight()), (1, 0));
    assert_eq!(rooms.callers.waiting(), 2);
}
