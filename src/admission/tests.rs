use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn admission() -> Admission {
    Admission::new(Limits {
        in_flight_max: 1000,
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
    let got = admit(admission, from, method, declared).map(|permit| permit.bytes());
    assert_eq!(got, expected, "{from} {method} {declared:?}");
}

#[test]
fn answers_the_cheapest_question_first() {
    let admission = admission();
    let busy = admit(&admission, "192.0.2.9", &Method::POST, Some(600)).expect("room");
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
fn a_source_without_a_list_takes_every_address() {
    let rules = Rules { addresses: None, ..rules() };
    assert!(admission().admit(&rules, client("198.51.100.1"), &Method::POST, None, NOW).is_ok());
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
fn a_permit_grows_up_to_both_limits_and_gives_everything_back() {
    let admission = admission();
    let mut growing = admit(&admission, "192.0.2.1", &Method::POST, None).expect("room");
    let other = admit(&admission, "192.0.2.2", &Method::POST, Some(500)).expect("room");
    assert_eq!(growing.grow(500), Ok(()));
    assert_eq!(growing.grow(1), Err(Refusal::Busy));
    assert_eq!(growing.grow(101), Err(Refusal::TooLarge { max: 600 }));
    assert_eq!(growing.grow(u64::MAX), Err(Refusal::TooLarge { max: 600 }));
    assert_eq!((growing.bytes(), admission.in_flight()), (500, 1000));
    drop(other);
    assert_eq!(growing.grow(100), Ok(()));
    assert_eq!(growing.grow(1), Err(Refusal::TooLarge { max: 600 }));
    assert_eq!(growing.grow(0), Ok(()));
    let shared = admission.clone();
    assert_eq!(shared.in_flight(), 600);
    drop(growing);
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn what_is_only_announced_takes_little_room() {
    let admission = Admission::new(Limits { in_flight_max: 1 << 20, ..Limits::default() });
    let rules = Rules { body_max: 1 << 20, addresses: None, ..rules() };
    let silent = || admission.admit(&rules, client("192.0.2.1"), &Method::POST, Some(1 << 20), NOW);
    let mut first = silent().expect("room");
    assert_eq!((first.bytes(), admission.in_flight()), (AHEAD, AHEAD));
    let others: Vec<_> = (0..8).map(|_| silent().expect("room")).collect();
    assert_eq!(first.grow(AHEAD), Ok(()));
    assert_eq!(first.bytes(), 2 * AHEAD);
    drop((first, others));
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn the_budget_holds_among_threads() {
    let admission = admission();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let permit = admit(&admission, "192.0.2.1", &Method::POST, Some(300));
                    assert!(admission.in_flight() <= 1000);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn every_refusal_has_a_word_and_a_sentence_of_its_own() {
    let all = [
        Refusal::Method,
        Refusal::TooLarge { max: 1 },
        Refusal::Address,
        Refusal::TooManyRefusals { retry_after: Duration::from_secs(1) },
        Refusal::Busy,
    ];
    for (at, refusal) in all.iter().enumerate() {
        assert!(all[..at].iter().all(|other| other.reason() != refusal.reason()));
        assert!(all[..at].iter().all(|other| other.to_string() != refusal.to_string()));
    }
}
