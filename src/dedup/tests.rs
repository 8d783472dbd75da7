use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(100);
const BODY: Authority = Authority::Body;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

fn digest(body: u8) -> [u8; 32] {
    [body; 32]
}

fn earlier(key: u128, secs: u64, seq: u64) -> Earlier {
    Earlier { event_id: EventId::from_key(key), accepted: at(secs), seq }
}

#[track_caller]
fn new(heard: Heard) -> Claim {
    match heard {
        Heard::New(claim) => claim,
        other => panic!("new was expected: {other:?}"),
    }
}

#[track_caller]
fn conflict(heard: Heard) -> Claim {
    match heard {
        Heard::Conflict(claim) => claim,
        other => panic!("a conflict was expected: {other:?}"),
    }
}

#[track_caller]
fn before(heard: Heard) -> Earlier {
    match heard {
        Heard::Before(earlier) => earlier,
        other => panic!("heard before was expected: {other:?}"),
    }
}

#[track_caller]
fn twin(heard: Heard) -> Flight {
    match heard {
        Heard::Twin(flight) => flight,
        other => panic!("a twin was expected: {other:?}"),
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(flight: &mut Flight, waker: &Waker) -> Poll<Flown> {
    Pin::new(flight).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_settled_key_is_heard_before_until_the_window_ends() {
    let window = Window::new(10, WINDOW);
    new(window.claim(1, &digest(1), BODY, at(0))).settle(at(0), 7);
    assert_eq!(before(window.claim(1, &digest(1), BODY, at(99))), earlier(1, 0, 7));
    drop(new(window.claim(2, &digest(1), BODY, at(99))));
    drop(new(window.claim(1, &digest(1), BODY, at(100))));
}

#[test]
fn a_dropped_claim_frees_its_key() {
    let window = Window::new(10, WINDOW);
    drop(new(window.claim(1, &digest(1), BODY, at(0))));
    assert!(window.is_empty());
    drop(new(window.claim(1, &digest(1), BODY, at(0))));
}

#[test]
fn another_body_of_a_key_is_another_event_whose_repeats_are_recognised() {
    let window = Window::new(10, WINDOW);
    new(window.claim(1, &digest(1), BODY, at(0))).settle(at(0), 7);
    let other = conflict(window.claim(1, &digest(2), BODY, at(1)));
    let key = other.key();
    assert_eq!(key, conflict_key(1, &digest(2)));
    let flight = twin(window.claim(1, &digest(2), BODY, at(1)));
    other.settle(at(1), 8);
    drop(flight);
    assert_eq!(before(window.claim(1, &digest(2), BODY, at(2))), earlier(key, 1, 8));
    assert_eq!(before(window.claim(1, &digest(1), BODY, at(2))), earlier(1, 0, 7));
    drop(conflict(window.claim(1, &digest(3), BODY, at(2))));
    drop(conflict(window.claim(1, &digest(3), BODY, at(2))));
}

#[test]
fn a_conflict_may_be_with_a_request_in_flight() {
    let window = Window::new(10, WINDOW);
    let first = new(window.claim(1, &digest(1), BODY, at(0)));
    let other = conflict(window.claim(1, &digest(2), BODY, at(0)));
    other.settle(at(0), 5);
    drop(first);
    assert_eq!(window.len(), 1);
}

#[test]
fn where_the_id_is_authoritative_bodies_are_not_compared() {
    let window = Window::new(10, WINDOW);
    let claim = new(window.claim(1, &digest(1), Authority::Id, at(0)));
    drop(twin(window.claim(1, &digest(2), Authority::Id, at(0))));
    claim.settle(at(0), 7);
    assert_eq!(before(window.claim(1, &digest(2), Authority::Id, at(1))), earlier(1, 0, 7));
}

#[test]
fn twins_are_woken_with_what_became_of_the_request_in_flight() {
    for stored in [true, false] {
        let window = Window::new(10, WINDOW);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let claim = new(window.claim(1, &digest(1), BODY, at(0)));
        let mut flights: Vec<Flight> = (0..3).map(|_| twin(window.claim(1, &digest(1), BODY, at(0)))).collect();
        for flight in &mut flights[..2] {
            assert_eq!(poll(flight, &waker), Poll::Pending);
            assert_eq!(poll(flight, &waker), Poll::Pending);
        }
        let expected = if stored {
            claim.settle(at(1), 9);
            Flown::Stored(earlier(1, 1, 9))
        } else {
            drop(claim);
            Flown::Void
        };
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        for flight in &mut flights {
            assert_eq!(poll(flight, &waker), Poll::Ready(expected));
        }
    }
}

#[test]
fn a_twin_that_hangs_up_leaves_its_place_to_another() {
    let window = Window::new(10, WINDOW);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let claim = new(window.claim(1, &digest(1), BODY, at(0)));
    for _ in 0..10 * flight::TWINS_MAX {
        let mut flight = twin(window.claim(1, &digest(1), BODY, at(0)));
        assert_eq!(poll(&mut flight, &waker), Poll::Pending);
    }
    drop(claim);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
}

#[test]
fn twins_beyond_their_bound_are_told_at_once_to_try_again() {
    let window = Window::new(10, WINDOW);
    let claim = new(window.claim(1, &digest(1), BODY, at(0)));
    let mut flights: Vec<Flight> =
        (0..=flight::TWINS_MAX).map(|_| twin(window.claim(1, &digest(1), BODY, at(0)))).collect();
    let results: Vec<_> = flights.iter_mut().map(|flight| poll(flight, Waker::noop())).collect();
    assert!(results[..flight::TWINS_MAX].iter().all(Poll::is_pending));
    assert_eq!(results[flight::TWINS_MAX], Poll::Ready(Flown::Void));
    claim.settle(at(0), 1);
}

#[test]
fn at_the_bound_the_oldest_settled_key_makes_room_and_the_window_says_so() {
    let window = Window::new(3, WINDOW);
    for key in 0..3 {
        new(window.claim(key, &digest(1), BODY, at(10))).settle(at(10 + u64::try_from(key).expect("small")), 0);
    }
    assert_eq!(window.effective_window(at(20)), WINDOW);
    let fourth = new(window.claim(3, &digest(1), BODY, at(20)));
    assert_eq!((window.len(), window.effective_window(at(20))), (3, Duration::from_secs(10)));
    fourth.settle(at(20), 0);
    assert_eq!(window.len(), 3);
    before(window.claim(1, &digest(1), BODY, at(20)));
    drop(new(window.claim(0, &digest(1), BODY, at(20))));
    assert_eq!(window.effective_window(at(121)), WINDOW);
}

#[test]
fn where_all_keys_are_in_flight_a_claim_is_given_that_nobody_sees() {
    let window = Window::new(2, WINDOW);
    let flying = [1, 2].map(|key| new(window.claim(key, &digest(1), BODY, at(0))));
    let unseen = new(window.claim(3, &digest(1), BODY, at(0)));
    let another = new(window.claim(3, &digest(1), BODY, at(0)));
    assert_eq!(window.len(), 2);
    drop(another);
    drop(flying);
    unseen.settle(at(0), 4);
    assert_eq!(before(window.claim(3, &digest(1), BODY, at(1))), earlier(3, 0, 4));
    let none = Window::new(0, WINDOW);
    new(none.claim(1, &digest(1), BODY, at(0))).settle(at(0), 1);
    drop(new(none.claim(1, &digest(1), BODY, at(0))));
    assert!(none.is_empty());
}

#[test]
fn an_unseen_claim_that_is_dropped_frees_nothing_of_another() {
    let window = Window::new(1, WINDOW);
    let flying = new(window.claim(1, &digest(1), BODY, at(0)));
    let unseen = new(window.claim(2, &digest(1), BODY, at(0)));
    drop(flying);
    let seen = new(window.claim(2, &digest(1), BODY, at(0)));
    drop(unseen);
    drop(twin(window.claim(2, &digest(1), BODY, at(0))));
    drop(seen);
}

#[test]
fn what_was_settled_is_taken_over_after_a_restart() {
    let window = Window::new(2, WINDOW);
    window.restore((0..3).map(|key| Entry {
        key,
        digest: digest(1),
        accepted: at(u64::try_from(key).expect("small")),
        seq: 0,
    }));
    assert_eq!(before(window.claim(2, &digest(1), BODY, at(3))), earlier(2, 2, 0));
    drop(conflict(window.claim(2, &digest(2), BODY, at(3))));
    drop(new(window.claim(0, &digest(1), BODY, at(3))));
}

#[test]
fn many_keys_are_kept_in_shares_and_within_the_bound() {
    let window = Window::new(Window::EXACT_MAX, WINDOW);
    for key in 0..20_000 {
        new(window.claim(key, &digest(1), BODY, at(0))).settle(at(0), 0);
    }
    assert_eq!(window.len(), Window::EXACT_MAX);
    before(window.claim(19_999, &digest(1), BODY, at(0)));
    drop(new(window.claim(0, &digest(1), BODY, at(0))));
}

#[test]
fn of_many_threads_one_has_the_claim() {
    let window = Window::new(100, WINDOW);
    let holders = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for key in (0..4).cycle().take(4000) {
                    if let Heard::New(claim) = window.claim(key, &digest(1), BODY, at(0)) {
                        assert_eq!(holders.fetch_add(1 << (key * 8), Ordering::SeqCst) >> (key * 8) & 0xff, 0);
                        holders.fetch_sub(1 << (key * 8), Ordering::SeqCst);
                        drop(claim);
                    }
                }
            });
        }
    });
    assert!(window.is_empty());
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Claim { key: u128, body: u8, authority: Authority },
    Settle(usize),
    Drop(usize),
    Wait(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let authority = prop::sample::select(vec![Authority::Body, Authority::Body, Authority::Id]);
    let op = prop_oneof![
        4 => (0_u128..4, 0_u8..3, authority).prop_map(|(key, body, authority)| Op::Claim { key, body, authority }),
        2 => (0_usize..4).prop_map(Op::Settle),
        1 => (0_usize..4).prop_map(Op::Drop),
        1 => (0_u64..60).prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 0..80)
}

/// One key as the model sees it: its body, and once settled when and where.
type Line = (u128, u8, Option<(u64, u64)>);

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_list_of_keys(ops in ops()) {
        let window = Window::new(1000, WINDOW);
        let (mut model, mut claims): (Vec<Line>, Vec<Claim>) = (Vec::new(), Vec::new());
        let (mut now, mut seq) = (0_u64, 0_u64);
        for op in ops {
            match op {
                Op::Wait(secs) => now += secs,
                Op::Claim { key, body, authority } => {
                    model.retain(|(_, _, settled)| settled.is_none_or(|(then, _)| now - then < 100));
                    let find = |model: &[Line], key: u128| model.iter().find(|line| line.0 == key).copied();
                    let clash = find(&model, key).is_some_and(|line| authority == BODY && line.1 != body);
                    let key_used = if clash { conflict_key(key, &digest(body)) } else { key };
                    match (window.claim(key, &digest(body), authority, at(now)), find(&model, key_used)) {
                        (Heard::New(claim), None) if !clash => claims.push(claim),
                        (Heard::Conflict(claim), None) if clash => claims.push(claim),
                        (Heard::Before(found), Some((_, _, Some((then, seq))))) => {
                            prop_assert_eq!(found, earlier(key_used, then, seq));
                            continue;
                        }
                        (Heard::Twin(_), Some((_, _, None))) => continue,
                        other => prop_assert!(false, "{:?}", other),
                    }
                    prop_assert_eq!(claims.last().map(Claim::key), Some(key_used));
                    model.push((key_used, body, None));
                }
                Op::Settle(at_index) if !claims.is_empty() => {
                    let claim = claims.swap_remove(at_index % claims.len());
                    seq += 1;
                    for line in model.iter_mut().filter(|line| line.0 == claim.key()) {
                        line.2 = Some((now, seq));
                    }
                    claim.settle(at(now), seq);
                }
                Op::Drop(at_index) if !claims.is_empty() => {
                    let claim = claims.swap_remove(at_index % claims.len());
                    model.retain(|line| line.0 != claim.key());
                }
                Op::Settle(_) | Op::Drop(_) => {}
            }
        }
    }

    #[test]
    fn never_keeps_more_keys_than_its_bound(ops in ops()) {
        let window = Window::new(3, WINDOW);
        let (mut claims, mut now): (Vec<Claim>, u64) = (Vec::new(), 0);
        for op in ops {
            match op {
                Op::Wait(secs) => now += secs,
                Op::Claim { key, body, authority } => {
                    let heard = window.claim(key, &digest(body), authority, at(now));
                    if let Heard::New(claim) | Heard::Conflict(claim) = heard {
                        claims.push(claim);
                    }
                }
                Op::Settle(index) if !claims.is_empty() => claims.swap_remove(index % claims.len()).settle(at(now), 1),
                Op::Drop(index) if !claims.is_empty() => drop(claims.swap_remove(index % claims.len())),
                Op::Settle(_) | Op::Drop(_) => {}
            }
            prop_assert!(window.len() <= 3);
        }
    }
}
