use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
const HOUR: Duration = Duration::from_secs(3600);

fn default() -> Success {
    Success::parse(&["2xx"]).expect("the default")
}

fn answer(status: u16) -> Outcome {
    Outcome::of_answer(status, &default(), None)
}

#[test]
fn every_status_has_its_meaning() {
    for status in 0..=999 {
        let expected = match status {
            200..=299 => Outcome::Delivered { status },
            408 | 429 | 502 | 503 | 504 => Outcome::Destination { fault: Fault::Answer(status), retry_after: None },
            _ => Outcome::Event { status, retry_after: None },
        };
        assert_eq!(answer(status), expected);
    }
}

#[test]
fn what_the_operator_calls_success_is_success_before_all_else() {
    let own = Success::parse(&["204", "409", "503", "5xx"]).expect("statuses");
    for (status, delivered) in
        [(204, true), (409, true), (503, true), (599, true), (200, false), (205, false), (408, false), (301, false)]
    {
        let outcome = Outcome::of_answer(status, &own, None);
        assert_eq!(outcome == Outcome::Delivered { status }, delivered, "{status}");
    }
}

#[test]
fn refuses_lists_that_name_no_statuses() {
    assert_eq!(Success::parse::<&str>(&[]), Err(SuccessError::Empty));
    for wrong in [
        "", "2", "20", "2000", "2XX", "2x", "xx", "1xx", "6xx", "0xx", "199", "600", "100", "-20", "20x", " 200",
        "200 ",
    ] {
        assert_eq!(Success::parse(&["2xx", wrong]), Err(SuccessError::Entry(1)), "{wrong}");
    }
    assert!(Success::parse(&["200", "599"]).is_ok());
    assert_ne!(SuccessError::Empty.to_string(), SuccessError::Entry(1).to_string());
}

#[test]
fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
    let rows: &[(&[u8], Option<Duration>)] = &[
        (b"0", Some(Duration::ZERO)),
        (b" 120 ", Some(Duration::from_secs(120))),
        (b"3600", Some(HOUR)),
        (b"3601", Some(HOUR)),
        (b"99999999999999999999999999", Some(HOUR)),
        (b"Sun, 06 Nov 1994 08:50:37 GMT", Some(Duration::from_secs(60))),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO)),
        (b"Sun, 06 Nov 1994 08:00:00 GMT", Some(Duration::ZERO)),
        (b"Mon, 07 Nov 1994 08:49:37 GMT", Some(HOUR)),
        (b"", None),
        (b" ", None),
        (b"-1", None),
        (b"+1", None),
        (b"1.5", None),
        (b"soon", None),
        (b"1s", None),
        (b"Sun, 06 Nov 1994", None),
        (b"1994-11-06T08:49:37Z", None),
        (b"\xff\xfe", None),
    ];
    for (value, expected) in rows {
        assert_eq!(retry_after(value, NOW), *expected, "{value:?}");
    }
    let outcome = Outcome::of_answer(429, &default(), Some(HOUR * 2));
    assert_eq!(outcome, Outcome::Destination { fault: Fault::Answer(429), retry_after: Some(HOUR) });
}

#[test]
fn a_fault_that_is_one_tenants_alone_counts_against_the_event() {
    let pause = Some(Duration::from_secs(9));
    for (outcome, expected) in [
        (Outcome::of_fault(Fault::Timeout), Outcome::Event { status: 0, retry_after: None }),
        (Outcome::of_answer(503, &default(), pause), Outcome::Event { status: 503, retry_after: pause }),
        (answer(200), answer(200)),
        (answer(500), answer(500)),
    ] {
        assert_eq!(outcome.against_event(), expected);
    }
}

#[test]
fn a_destination_at_fault_never_burns_an_attempt() {
    let policy = Policy { age_max: Some(HOUR), ..Policy::default() };
    for fault in [
        Fault::Dns,
        Fault::Denied,
        Fault::Proxy,
        Fault::Connect,
        Fault::Tls,
        Fault::Timeout,
        Fault::Broken,
        Fault::Answer(503),
    ] {
        for attempt in [1, 12, 13, u32::MAX] {
            let next = policy.next(attempt, HOUR * 100, &Outcome::of_fault(fault), u64::MAX);
            assert_eq!(next, Next::Return(Policy::RETURN_MAX));
        }
        assert!(!fault.reason().is_empty());
    }
}

#[test]
fn an_event_at_fault_goes_by_the_schedule_and_then_to_the_dead_letters() {
    let policy = Policy::default();
    let next = |attempt| policy.next(attempt, HOUR, &answer(500), u64::MAX);
    assert_eq!(policy.next(1, HOUR, &answer(204), 0), Next::Done);
    assert_eq!(next(1), Next::At(Duration::from_secs(1)));
    assert_eq!(next(3), Next::At(Duration::from_secs(30)));
    assert_eq!(next(12), Next::At(Duration::from_secs(86_400 * 6 / 5)));
    assert_eq!(next(13), Next::Dead(Reason::Exhausted));
    assert_eq!(next(u32::MAX), Next::Dead(Reason::Exhausted));
    assert_eq!(policy.next(1, HOUR, &answer(301), 0), Next::At(Duration::ZERO));
    let once = Policy { schedule: Schedule::new(&[]).expect("no pauses"), age_max: None };
    assert_eq!(once.next(1, HOUR, &answer(404), 0), Next::Dead(Reason::Exhausted));
}

#[test]
fn an_event_is_given_up_at_its_age_and_tried_a_last_time_just_then() {
    let policy = Policy { age_max: Some(HOUR), ..Policy::default() };
    let minute = Duration::from_secs(60);
    assert_eq!(policy.next(6, HOUR - minute, &answer(500), u64::MAX), Next::At(minute));
    assert_eq!(policy.next(1, HOUR, &answer(500), 0), Next::Dead(Reason::Expired));
    assert_eq!(policy.next(1, HOUR * 9, &answer(500), 0), Next::Dead(Reason::Expired));
    assert_ne!(Reason::Expired.reason(), Reason::Exhausted.reason());
}

#[test]
fn an_event_waits_as_long_as_its_answer_asks_up_to_an_hour() {
    let policy = Policy::default();
    let asked = |retry_after| Outcome::Event { status: 500, retry_after: Some(retry_after) };
    assert_eq!(policy.next(1, HOUR, &asked(Duration::from_secs(90)), 0), Next::At(Duration::from_secs(90)));
    assert_eq!(policy.next(1, HOUR, &asked(HOUR * 50), 0), Next::At(HOUR));
    assert_eq!(policy.next(9, HOUR, &asked(Duration::from_secs(1)), 0), Next::At(HOUR * 4 * 4 / 5));
}

#[test]
fn refuses_schedules_beyond_their_bounds() {
    let second = Duration::from_secs(1);
    assert!(Schedule::new(&[second; Schedule::PAUSES_MAX]).is_ok());
    assert_eq!(Schedule::new(&[second; Schedule::PAUSES_MAX + 1]), Err(ScheduleError::TooMany));
    assert!(Schedule::new(&[Schedule::PAUSE_MAX]).is_ok());
    assert_eq!(Schedule::new(&[second, Schedule::PAUSE_MAX + second]), Err(ScheduleError::TooLong(1)));
    assert_ne!(ScheduleError::TooMany.to_string(), ScheduleError::TooLong(1).to_string());
    let total: Duration = Schedule::default().pauses().iter().sum();
    assert_eq!((Schedule::default().pauses().len(), total.as_secs() / 3600), (12, 51));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jitter_stays_within_its_range(attempt in 0_u32..20, random in any::<u64>()) {
        let schedule = Schedule::default();
        let plain = attempt.checked_sub(1).and_then(|at| schedule.pauses().get(at as usize)).copied();
        match (schedule.pause(attempt, random), plain) {
            (None, None) => {}
            (Some(pause), Some(plain)) if plain < Duration::from_secs(60) => prop_assert!(pause <= plain),
            (Some(pause), Some(plain)) => prop_assert!(pause >= plain * 4 / 5 && pause <= plain * 6 / 5),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn no_value_of_retry_after_makes_it_panic(value in prop::collection::vec(any::<u8>(), 0..40), now in any::<u64>()) {
        let pause = retry_after(&value, Timestamp::from_micros(now));
        prop_assert!(pause.is_none_or(|pause| pause <= RETRY_AFTER_MAX));
    }
}
