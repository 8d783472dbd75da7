use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const EVENT: [u8; 16] = [7; 16];

fn wish(most: u32) -> Wish {
    Wish { source: 1, most, destination: 5, pass: [404, 422].into() }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn answer(body: &'static str) -> Answer {
    Answer {
        status: StatusCode::OK,
        content_type: None,
        content_encoding: None,
        body: Bytes::from_static(body.as_bytes()),
    }
}

/// What is heard without waiting.
fn hears(seat: &mut Seat) -> Option<Told> {
    match pin!(seat.heard()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(told) => Some(told),
        Poll::Pending => None,
    }
}

#[test]
fn everybody_at_a_table_hears_the_first_word_and_whoever_comes_later_too() {
    let callers = Callers::default();
    let mut seats =
        vec![callers.sit(EVENT, &wish(9), later()).unwrap(), callers.join(EVENT, &wish(9), later()).unwrap()];
    assert!(seats.iter_mut().all(|seat| hears(seat).is_none()));
    let courier = callers.courier(&EVENT, 5).unwrap();
    courier.bring(answer("one"));
    courier.bring(answer("two"));
    courier.nothing(Why::Failed);
    seats.push(callers.sit(EVENT, &wish(9), later()).unwrap());
    for seat in &mut seats {
        assert_eq!(hears(seat), Some(Told::Answer(answer("one"))));
    }
    drop(seats);
    assert_eq!(callers.waiting(), 0);
    // The table is gone, and with it what was said.
    assert!(callers.join(EVENT, &wish(9), later()).is_none() && callers.courier(&EVENT, 5).is_none());
    let mut seat = callers.sit(EVENT, &wish(9), later()).unwrap();
    courier.bring(answer("three"));
    assert_eq!(hears(&mut seat), None, "what is brought to another table is not heard here");
}

#[test]
fn only_the_destination_that_is_meant_has_a_courier_and_only_of_who_waits() {
    let callers = Callers::default();
    assert!(callers.courier(&EVENT, 5).is_none() && callers.join(EVENT, &wish(9), later()).is_none());
    let seat = callers.sit(EVENT, &wish(9), later()).unwrap();
    assert!(callers.courier(&EVENT, 6).is_none() && callers.courier(&[8; 16], 5).is_none());
    let courier = callers.courier(&EVENT, 5).unwrap();
    for (status, passes) in
        [(199, false), (200, true), (299, true), (300, false), (404, true), (422, true), (500, false)]
    {
        assert_eq!(courier.passes(status), passes, "{status}");
    }
    drop(seat);
    assert!(!courier.passes(200), "nobody waits any more");
    courier.bring(answer("to nobody"));
}

#[test]
fn a_courier_knows_how_long_the_most_patient_waits() {
    let callers = Callers::default();
    let now = Instant::now();
    let _one = callers.sit(EVENT, &wish(9), now + Duration::from_secs(60)).unwrap();
    let courier = callers.courier(&EVENT, 5).unwrap();
    assert!(courier.waits_for(Duration::from_secs(30)) && !courier.waits_for(Duration::from_secs(90)));
    let _other = callers.join(EVENT, &wish(9), now + Duration::from_secs(120)).unwrap();
    assert!(courier.waits_for(Duration::from_secs(90)) && !courier.waits_for(Duration::MAX));
    let _hasty = callers.join(EVENT, &wish(9), now).unwrap();
    assert!(courier.waits_for(Duration::from_secs(90)));
}

#[test]
fn a_place_is_taken_until_the_answer_is_sent() {
    let callers = Callers::default();
    let mut first = callers.sit(EVENT, &wish(2), later()).unwrap();
    let second = callers.sit([8; 16], &wish(2), later()).unwrap();
    assert_eq!(callers.sit([9; 16], &wish(2), later()).unwrap_err(), Why::Crowded);
    assert!(callers.join(EVENT, &wish(2), later()).is_none(), "a twin takes a place too");
    let other = Wish { source: 2, ..wish(2) };
    let _others = callers.sit([9; 16], &other, later()).unwrap();
    assert_eq!(callers.waiting(), 3);
    callers.courier(&EVENT, 5).unwrap().bring(answer("long"));
    let Some(Told::Answer(heard)) = hears(&mut first) else { panic!("it was brought") };
    drop(first);
    assert_eq!(callers.sit([10; 16], &wish(2), later()).unwrap_err(), Why::Crowded, "the body is not sent yet");
    let piece = heard.body.slice(1..);
    drop(heard);
    assert_eq!(callers.sit([10; 16], &wish(2), later()).unwrap_err(), Why::Crowded, "not all of it");
    drop(piece);
    drop(callers.sit([10; 16], &wish(2), later()).unwrap());
    drop(second);
    assert_eq!(callers.waiting(), 1);
    // An answer without a body takes no place.
    let mut seat = callers.sit(EVENT, &wish(1), later()).unwrap();
    callers.courier(&EVENT, 5).unwrap().bring(answer(""));
    let Some(Told::Answer(_empty)) = hears(&mut seat) else { panic!("it was brought") };
    drop(seat);
    assert!(callers.sit(EVENT, &wish(1), later()).is_ok());
}

#[test]
fn once_the_house_closes_nobody_waits() {
    let callers = Callers::default();
    let mut waiting = callers.sit(EVENT, &wish(9), later()).unwrap();
    let mut told = callers.sit([8; 16], &wish(9), later()).unwrap();
    callers.courier(&[8; 16], 5).unwrap().bring(answer("in time"));
    callers.close();
    assert_eq!(hears(&mut waiting), Some(Told::Nothing(Why::Closing)));
    assert_eq!(hears(&mut told), Some(Told::Answer(answer("in time"))));
    assert_eq!(callers.sit([9; 16], &wish(9), later()).unwrap_err(), Why::Closing);
    assert!(callers.join(EVENT, &wish(9), later()).is_none());
}
