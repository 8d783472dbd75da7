use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn admission() -> Admission {
    Admission::new(Limits {
        in_flight_max: 1000,
        in_flight_share: 1000,
        refusals_burst: 2,
        refusals_every: Duration::from_secs(5),
        addresses_max: 64,
    })
}

fn rules() -> Rules {
    let list = ["192.0.2.0/24", "2001:db8::/32"].map(|text| text.parse().expect("the test's own prefix"));
    let addresses = Some(Ranges::build(&list));
    Rules { methods: vec![Method::POST, Method::GET], body_max: 600, addresses, comes_again: true }
}

fn client(text: &str) -> IpAddr {
    text.parse().expect("the test's own address")
}

fn admit(admission: &Admission, from: &str, method: &Method, declared: Option<u64>) -> Result<Permit, Refusal> {
    admission.admit(&rules(), client(from), method, declared, NOW)
}

#[track_caller]
fn check(admission: &Admission, from: &str, method: &Method, declared: Option<u64>, expected: Result<u64, Refusal>) {
    let come = |mut permit: Permit| permit.reach(declared.unwrap_or(0)).map(|()| permit.bytes());
    let got = admit(admission, from, method, declared).and_then(come);
    assert_eq!(got, expected, "{from} {method} {declared:?}");
}

#[test]
fn answers_the_cheapest_question_first() {
    let admission = admission();
    let mut busy = admit(&admission, "192.0.2.9", &Method::POST, Some(600)).expect("room");
    assert_eq!(busy.reach(1), Ok(()));
    for _ in 0..2 {
        admission.charge_refusal(client("192.0.2.66"), NOW);
        admission.charge_refusal(client("198.51.100.1"), NOW);
    }
    let held = Refusal::TooManyRefusals { retry_after: Duration::from_secs(5) };
    let rows = [
        ("192.0.2.1", Method::POST, Some(0), Ok(0)),
        ("192.0.2.1", Method::POST, None, Ok(0)),
        ("192.0.2.1", Method::GET, Some(400), Ok(400)),
        ("::ffff:192.0.2.1", Method::POST, Some(1), Ok(1)),
        ("2001:db8::1", Method::POST, Some(1), Ok(1)),
        ("198.51.100.1", Method::PUT, Some(601), Err(Refusal::Method)),
        ("192.0.2.1", Method::HEAD, None, Err(Refusal::Method)),
        ("198.51.100.1", Method::POST, Some(601), Err(Refusal::TooLarge { max: 600 })),
        ("192.0.2.1", Method::POST, Some(u64::MAX), Err(Refusal::TooLarge { max: 600 })),
        ("198.51.100.1", Method::POST, Some(600), Err(Refusal::Address)),
        ("2001:db9::1", Method::POST, None, Err(Refusal::Address)),
        ("192.0.2.66", Method::POST, Some(600), Err(held)),
        ("::ffff:192.0.2.66", Method::POST, None, Err(held)),
        ("192.0.2.1", Method::POST, Some(401), Err(Refusal::Busy)),
    ];
    for (from, method, declared, expected) in rows {
        check(&admission, from, &method, declared, expected);
    }
    drop(busy);
    check(&admission, "192.0.2.1", &Method::POST, Some(600), Ok(600));
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn where_nobody_is_known_to_call_nobody_is_on_the_list() {
    let counted = client("192.0.2.1");
    for (known, expected) in
        [(None, Err(Refusal::Address)), (Some("198.51.100.1"), Err(Refusal::Address)), (Some("192.0.2.1"), Ok(()))]
    {
        let caller = Client { counted, known: known.map(client) };
        let admitted = admission().admit(&rules(), caller, &Method::POST, Some(1), NOW).map(drop);
        assert_eq!(admitted, expected, "{known:?}");
    }
}

#[test]
fn a_source_without_a_list_takes_every_address() {
    let rules = Rules { addresses: None, ..rules() };
    assert!(admission().admit(&rules, client("198.51.100.1"), &Method::POST, None, NOW).is_ok());
    let hidden = Client { counted: client("198.51.100.1"), known: None };
    assert!(admission().admit(&rules, hidden, &Method::POST, None, NOW).is_ok());
    let nothing = Rules { methods: Vec::new(), ..rules };
    assert_eq!(
        admission().admit(&nothing, client("198.51.100.1"), &Method::POST, None, NOW).map(drop),
        Err(Refusal::Method)
    );
}

#[test]
fn only_refusals_are_charged_and_one_ipv6_network_is_one_caller() {
    let admission = admission();
    for _ in 0..1000 {
        check(&admission, "2001:db8::1", &Method::POST, Some(1), Ok(1));
        check(&admission, "2001:db8::1", &Method::PUT, Some(1), Err(Refusal::Method));
    }
    admission.charge_refusal(client("2001:db8::1"), NOW);
    admission.charge_refusal(client("2001:db8::2"), NOW);
    let held = Err(Refusal::TooManyRefusals { retry_after: Duration::from_secs(5) });
    check(&admission, "2001:db8::3", &Method::POST, Some(1), held);
    check(&admission, "2001:db8:0:1::3", &Method::POST, Some(1), Ok(1));
    let later = NOW.plus(Duration::from_secs(5));
    assert!(admission.admit(&rules(), client("2001:db8::3"), &Method::POST, None, later).is_ok());
}

#[test]
fn where_a_429_loses_the_event_nobody_is_held_back() {
    let admission = admission();
    for _ in 0..10 {
        admission.charge_refusal(client("192.0.2.1"), NOW);
    }
    let held = Err(Refusal::TooManyRefusals { retry_after: Duration::from_secs(5) });
    check(&admission, "192.0.2.1", &Method::POST, Some(1), held);
    let once = Rules { comes_again: false, ..rules() };
    assert!(admission.admit(&once, client("192.0.2.1"), &Method::POST, Some(1), NOW).is_ok());
    let refused = admission.admit(&once, client("192.0.2.1"), &Method::PUT, Some(1), NOW).map(drop);
    assert_eq!(refused, Err(Refusal::Method));
}

#[test]
fn other_limits_of_bytes_leave_refusals_as_they_are() {
    let admission = admission();
    admission.charge_refusal(client("192.0.2.2"), NOW);
    admission.charge_refusal(client("192.0.2.2"), NOW);
    let mut permit = admit(&admission, "192.0.2.3", &Method::POST, None).expect("there is room");
    assert_eq!(permit.reach(600), Ok(()));
    let limits = Limits { in_flight_max: 1000, in_flight_share: 1000, ..Limits::default() };
    let (same, other) = (admission.within(limits), admission.within(Limits { in_flight_max: 700, ..limits }));
    let held = || Err(Refusal::TooManyRefusals { retry_after: Duration::from_secs(5) });
    for (admission, in_flight) in [(&admission, 600), (&same, 600), (&other, 0)] {
        check(admission, "192.0.2.2", &Method::POST, Some(1), held());
        assert_eq!(admission.in_flight(), in_flight);
    }
    check(&same, "192.0.2.4", &Method::POST, Some(500), Err(Refusal::Busy));
    check(&other, "192.0.2.4", &Method::POST, Some(500), Ok(500));
    drop(permit);
    assert_eq!((admission.in_flight(), same.in_flight(), other.in_flight()), (0, 0, 0));
}

#[test]
fn a_permit_grows_up_to_both_limits_and_gives_everything_back() {
    let admission = admission();
    let mut growing = admit(&admission, "192.0.2.1", &Method::POST, None).expect("room");
    let mut other = admit(&admission, "192.0.2.2", &Method::POST, Some(500)).expect("room");
    assert_eq!((other.reach(1), other.bytes()), (Ok(()), 500));
    assert_eq!((growing.reach(400), growing.bytes()), (Ok(()), 400));
    assert_eq!((growing.reach(401), growing.bytes()), (Ok(()), 401), "twice as much cannot be had");
    assert_eq!(growing.reach(500), Ok(()));
    assert_eq!(growing.reach(501), Err(Refusal::Busy));
    assert_eq!(growing.reach(601), Err(Refusal::TooLarge { max: 600 }));
    assert_eq!(growing.reach(u64::MAX), Err(Refusal::TooLarge { max: 600 }));
    assert_eq!((growing.bytes(), admission.in_flight()), (500, 1000));
    drop(other);
    assert_eq!((growing.reach(501), growing.bytes()), (Ok(()), 600), "no more than the source takes");
    assert_eq!(growing.reach(0), Ok(()));
    growing.settle(550);
    assert_eq!((growing.bytes(), admission.in_flight()), (550, 550));
    growing.settle(551);
    assert_eq!(growing.bytes(), 550);
    drop(growing);
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn what_is_only_announced_takes_no_room_and_little_of_it_when_it_begins() {
    let admission = Admission::new(Limits { in_flight_max: 1 << 20, in_flight_share: 1 << 30, ..Limits::default() });
    let rules = Rules { body_max: 1 << 20, addresses: None, ..rules() };
    let begun = || {
        let mut permit = admission.admit(&rules, client("192.0.2.1"), &Method::POST, Some(1 << 20), NOW)?;
        assert_eq!(permit.bytes(), 0);
        permit.reach(1).map(|()| permit)
    };
    let silent: Vec<_> = (0..10_000)
        .map(|_| admission.admit(&rules, client("192.0.2.1"), &Method::POST, Some(1 << 20), NOW).expect("room"))
        .collect();
    assert_eq!(admission.in_flight(), 0);
    let mut first = begun().expect("room");
    assert_eq!((first.bytes(), admission.in_flight()), (AHEAD, AHEAD));
    let others: Vec<_> = (0..8).map(|_| begun().expect("room")).collect();
    assert_eq!(first.reach(AHEAD + 1), Ok(()));
    assert_eq!(first.bytes(), 2 * AHEAD);
    let rest: Vec<_> = (0..6).map(|_| begun().expect("room")).collect();
    assert_eq!(begun().map(drop), Err(Refusal::Busy), "not even looked at where all is taken");
    drop((first, others, rest, silent));
    assert_eq!(admission.in_flight(), 0);
}

/// Bodies of 100 bytes from these callers, of whom each may have 300 in flight unproven.
fn crowd(admission: &Admission, from: &[&str]) -> Vec<Result<Permit, Refusal>> {
    let one = |from: &&str| {
        let mut permit = admit(admission, from, &Method::POST, Some(100))?;
        permit.reach(1).map(|()| permit)
    };
    from.iter().map(one).collect()
}

#[test]
fn nobody_who_proves_nothing_takes_more_than_their_share() {
    let admission = Admission::new(Limits { in_flight_max: 10_000, in_flight_share: 300, ..Limits::default() });
    let taken = crowd(&admission, &["192.0.2.1"; 50]);
    assert_eq!(taken.iter().filter(|it| it.is_ok()).count(), 3);
    assert!(taken.iter().skip(3).all(|it| matches!(it, Err(Refusal::Crowded))));
    assert_eq!(admission.in_flight(), 300, "who is turned away takes nothing");
    // One network of IPv6 is one caller, and another one is another; so is the address in another form the same.
    let network = crowd(&admission, &["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8:0:1::1"]);
    let refused: Vec<bool> = network.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, false, true, false]);
    assert!(crowd(&admission, &["::ffff:192.0.2.1"]).iter().all(Result::is_err));
    // What is proven does not count any more, though it is in flight still; what is gone neither.
    let mut taken: Vec<Permit> = taken.into_iter().flatten().collect();
    taken[0].proven();
    taken[0].proven();
    let more = crowd(&admission, &["192.0.2.1"; 2]);
    assert_eq!((more[0].is_ok(), more[1].is_ok(), admission.in_flight()), (true, false, 800));
    drop((more, taken.pop()));
    assert_eq!(crowd(&admission, &["192.0.2.1"; 3]).iter().filter(|it| it.is_ok()).count(), 2);
    drop((taken, network));
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn a_body_alone_is_let_in_however_small_the_share_and_those_let_in_do_not_wait_for_each_other() {
    let admission = Admission::new(Limits { in_flight_max: 10_000, in_flight_share: 300, ..Limits::default() });
    let mut alone = admit(&admission, "192.0.2.1", &Method::POST, Some(600)).expect("room");
    assert_eq!((alone.reach(1), alone.reach(600)), (Ok(()), Ok(())));
    assert!(crowd(&admission, &["192.0.2.1"]).iter().all(Result::is_err));
    drop(alone);
    // Three of 100 bytes are let in at their first byte: each of them can come to its end.
    let mut three: Vec<Permit> = crowd(&admission, &["192.0.2.1"; 4]).into_iter().flatten().collect();
    assert_eq!(three.len(), 3);
    assert!(three.iter_mut().all(|permit| permit.reach(100) == Ok(())));
    drop(three);
    // Of what was not announced the rest may have to wait; it is as it was.
    let unsaid = || admit(&admission, "192.0.2.1", &Method::POST, None).expect("room");
    let (mut one, mut other) = (unsaid(), unsaid());
    assert_eq!((one.reach(200), other.reach(100)), (Ok(()), Ok(())));
    assert_eq!((one.reach(201), one.bytes()), (Err(Refusal::Crowded), 200));
    other.proven();
    assert_eq!((one.reach(201), one.reach(600)), (Ok(()), Ok(())));
}

#[test]
fn a_body_that_was_let_in_whole_is_not_asked_about_again() {
    let admission = Admission::new(Limits { in_flight_max: 3 << 20, in_flight_share: 1 << 20, ..Limits::default() });
    let rules = Rules { body_max: 4 << 20, ..rules() };
    let mut large = admission.admit(&rules, client("192.0.2.1"), &Method::POST, Some(2 << 20), NOW).unwrap();
    assert_eq!(large.reach(1), Ok(()), "nobody is in the way of a body by itself");
    // Others come to both of its places: as many bytes as fit beside it, as if nobody had been there.
    large.crowd_its_places(1 << 20);
    assert_eq!(large.reach(2 << 20), Ok(()));
}

#[test]
fn the_budget_and_the_share_hold_among_threads() {
    let admission = Admission::new(Limits { in_flight_max: 1000, in_flight_share: 600, ..Limits::default() });
    // Counted up after a body was let in and down before it is proven or gone: never more than there really are.
    let unproven = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..2000 {
                    let permit = admit(&admission, "192.0.2.1", &Method::POST, Some(300)).and_then(|mut permit| {
                        permit.reach(300)?;
                        let sum = unproven.fetch_add(300, Ordering::SeqCst) + 300;
                        assert!(sum <= 600, "{sum} unproven bytes of one caller");
                        std::thread::yield_now();
                        unproven.fetch_sub(300, Ordering::SeqCst);
                        if round % 2 == 0 {
                            permit.proven();
                        }
                        Ok(permit)
                    });
                    assert!(admission.in_flight() <= 1000);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(admission.in_flight(), 0);
    assert_eq!(crowd(&admission, &["192.0.2.1"; 7]).iter().filter(|it| it.is_ok()).count(), 6);
}

#[test]
fn every_refusal_has_a_word_and_a_sentence_of_its_own() {
    let all = [
        Refusal::Method,
        Refusal::TooLarge { max: 1 },
        Refusal::Address,
        Refusal::TooManyRefusals { retry_after: Duration::from_secs(1) },
        Refusal::Busy,
        Refusal::Crowded,
    ];
    for (at, refusal) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| other.reason() != refusal.reason()));
        assert!(all[..at].iter().all(|other| other.to_string() != refusal.to_string()));
    }
}
