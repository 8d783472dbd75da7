use proptest::prelude::*;

use super::*;

const DELIVERED: Outcome = Outcome::Delivered { status: 200 };
const REFUSED: Outcome = Outcome::Event { status: 500, retry_after: None };
const TIMEOUT: Outcome = Outcome::Destination { fault: Fault::Timeout, retry_after: None };
const CONNECT: Outcome = Outcome::Destination { fault: Fault::Connect, retry_after: None };
const BUSY: Outcome = Outcome::Destination { fault: Fault::Answer(503), retry_after: None };
/// Draws the longest pause.
const MOST: u64 = u64::MAX;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(1_000_000_000_000 + millis * 1000)
}

fn busy(retry_after: u64) -> Outcome {
    Outcome::Destination { fault: Fault::Answer(429), retry_after: Some(Duration::from_secs(retry_after)) }
}

fn open(at_millis: u64) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..Breaker::RUN {
        breaker.record(Pass::Go, &CONNECT, 0, at(at_millis), MOST);
    }
    assert!(!breaker.closed());
    breaker
}

#[test]
fn five_faults_in_a_row_open_it_and_four_do_not() {
    let mut breaker = Breaker::default();
    for millis in 0..4 {
        assert_eq!(breaker.record(Pass::Go, &TIMEOUT, 0, at(millis), MOST), Blame::Destination);
        assert_eq!(breaker.may_send(at(millis)), Gate::Go);
    }
    breaker.record(Pass::Go, &TIMEOUT, 0, at(4), MOST);
    assert_eq!(breaker.may_send(at(4)), Gate::Wait(at(1004)));
}

#[test]
fn an_answer_between_faults_breaks_the_row_whatever_it_says() {
    for answer in [DELIVERED, REFUSED] {
        let mut breaker = Breaker::default();
        for round in 0..4 {
            for _ in 0..4 {
                breaker.record(Pass::Go, &CONNECT, 0, at(round * 31_000), MOST);
                assert!(breaker.closed());
            }
            breaker.record(Pass::Go, &answer, 0, at(round * 31_000), MOST);
        }
        assert!(breaker.closed());
    }
}

#[test]
fn half_of_twenty_outcomes_within_the_span_open_it() {
    let mixed = |outcomes: u64, gap: u64| {
        let mut breaker = Breaker::default();
        for number in 0..outcomes {
            let outcome = if number % 2 == 0 { DELIVERED } else { TIMEOUT };
            breaker.record(Pass::Go, &outcome, 0, at(number * gap), MOST);
        }
        breaker.closed()
    };
    assert!(mixed(19, 10));
    assert!(!mixed(20, 10));
    assert!(mixed(1000, 2000));
    let mut fewer = Breaker::default();
    for number in 0..300_u64 {
        fewer.record(Pass::Go, if number % 3 == 0 { &TIMEOUT } else { &DELIVERED }, 0, at(number), MOST);
    }
    assert!(fewer.closed());
}

#[test]
fn answers_about_events_never_open_it() {
    let mut breaker = Breaker::default();
    for millis in 0..10_000 {
        assert_eq!(breaker.record(Pass::Go, &REFUSED, 1, at(millis), MOST), Blame::Event);
    }
    assert_eq!(breaker.may_send(at(10_000)), Gate::Go);
}

#[test]
fn a_destination_that_asks_to_be_left_alone_is_at_once() {
    for (asked, wait) in [(0, 1), (10, 10), (3600, 3600), (3601, 3600), (u64::MAX, 3600)] {
        let mut breaker = Breaker::default();
        breaker.record(Pass::Go, &busy(asked), 0, at(0), MOST);
        assert_eq!(breaker.may_send(at(0)), Gate::Wait(at(wait * 1000)), "{asked}");
    }
}

#[test]
fn one_probe_passes_when_the_pause_is_over_and_an_answer_closes_it() {
    for answer in [DELIVERED, REFUSED] {
        let mut breaker = open(0);
        assert_eq!(breaker.may_send(at(999)), Gate::Wait(at(1000)));
        assert_eq!(breaker.may_send(at(1000)), Gate::Probe);
        assert_eq!(breaker.may_send(at(1000)), Gate::Probing);
        assert_eq!(breaker.may_send(at(100_000)), Gate::Probing);
        breaker.record(Pass::Probe, &answer, 0, at(1100), MOST);
        assert_eq!(breaker.may_send(at(1100)), Gate::Go);
        assert_eq!(breaker.probe_skip(), 0);
    }
}

#[test]
fn pauses_grow_to_a_minute_with_the_time_away_and_probes_move_on_after_two_failures() {
    let mut breaker = open(0);
    let mut now = 1000;
    // Half of the time away, from a second on.
    let pauses = [1000, 1000, 1500, 2250, 3375, 5062, 7593, 11_390, 17_085, 25_628, 38_442, 57_663, 60_000, 60_000];
    for (failed, pause) in pauses.into_iter().enumerate() {
        assert_eq!(breaker.may_send(at(now)), Gate::Probe, "{failed}");
        breaker.record(Pass::Probe, &CONNECT, 0, at(now), MOST);
        let Gate::Wait(until) = breaker.may_send(at(now)) else { panic!("{failed}: it does not wait") };
        let waits = u64::try_from(until.since(at(now)).as_millis()).unwrap();
        assert!(waits.abs_diff(pause) <= pause / 100 + 5, "{failed}: {waits} ms, and not {pause}");
        assert_eq!(breaker.probe_skip() as usize, failed.div_ceil(2), "{failed}");
        now += waits + 1;
    }
    for _ in pauses.len()..128 {
        assert_eq!(breaker.may_send(at(now)), Gate::Probe);
        breaker.record(Pass::Probe, &busy(3600), 0, at(now), 0);
        now += 3_600_000;
    }
    assert_eq!(breaker.probe_skip(), 0);
}

#[test]
fn pauses_double_at_most_however_long_it_has_been_away() {
    let mut breaker = Breaker::default();
    breaker.record(Pass::Go, &TIMEOUT, 0, at(0), MOST);
    for _ in 1..Breaker::RUN {
        breaker.record(Pass::Go, &TIMEOUT, 0, at(3_600_000), MOST);
    }
    let mut now = 3_600_000;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(breaker.may_send(at(now)), Gate::Wait(at(now + pause * 1000)));
        now += pause * 1000;
        assert_eq!(breaker.may_send(at(now)), Gate::Probe);
        breaker.record(Pass::Probe, &TIMEOUT, 0, at(now), MOST);
    }
}

#[test]
fn what_is_not_reached_for_half_a_second_opens_it_and_nothing_else_so_soon() {
    let fault = |fault| Outcome::of_fault(fault);
    let unreached =
        [Fault::Dns, Fault::Connect, Fault::Tls, Fault::Answer(502), Fault::Answer(503), Fault::Answer(504)];
    for known in unreached {
        for (second, closed) in [(0, true), (499, true), (500, false), (9_000, false)] {
            let mut breaker = Breaker::default();
            breaker.record(Pass::Go, &fault(known), 0, at(0), MOST);
            assert!(breaker.closed(), "{known:?}: once is nothing");
            breaker.record(Pass::Go, &fault(known), 0, at(second), MOST);
            assert_eq!(breaker.closed(), closed, "{known:?} {second}");
        }
        // One answer in between, and the half second begins anew.
        let mut breaker = Breaker::default();
        for round in 0..100 {
            breaker.record(Pass::Go, &fault(known), 0, at(round * 1000), MOST);
            breaker.record(Pass::Go, &DELIVERED, 0, at(round * 1000 + 1), MOST);
            breaker.record(Pass::Go, &DELIVERED, 0, at(round * 1000 + 2), MOST);
        }
        assert!(breaker.closed(), "{known:?}");
    }
    for known in [Fault::Timeout, Fault::Broken, Fault::Answer(408), Fault::Answer(429)] {
        let mut breaker = Breaker::default();
        for millis in 0..4 {
            breaker.record(Pass::Go, &fault(known), 0, at(millis * 10_000), MOST);
        }
        assert!(breaker.closed(), "{known:?} may be an event's doing");
        // Nor does it count for what was not reached.
        for gone in unreached {
            let mut breaker = Breaker::default();
            breaker.record(Pass::Go, &fault(known), 0, at(0), MOST);
            breaker.record(Pass::Go, &fault(gone), 0, at(29_000), MOST);
            assert!(breaker.closed(), "{known:?}, and {gone:?} once");
            breaker.record(Pass::Go, &fault(known), 0, at(29_400), MOST);
            breaker.record(Pass::Go, &fault(gone), 0, at(29_500), MOST);
            assert!(!breaker.closed(), "{gone:?} twice, {known:?} in between");
        }
    }
}

#[test]
fn what_was_sent_before_it_opened_changes_nothing() {
    let mut breaker = open(0);
    for outcome in [DELIVERED, REFUSED, TIMEOUT, busy(60)] {
        breaker.record(Pass::Go, &outcome, 0, at(500), MOST);
        assert_eq!(breaker.may_send(at(500)), Gate::Wait(at(1000)));
    }
    assert_eq!(breaker.may_send(at(1000)), Gate::Probe);
    breaker.record(Pass::Go, &DELIVERED, 0, at(1000), MOST);
    assert_eq!(breaker.may_send(at(1000)), Gate::Probing);
}

#[test]
fn a_probe_that_was_not_sent_is_handed_out_again() {
    let mut breaker = open(0);
    assert_eq!(breaker.may_send(at(1000)), Gate::Probe);
    breaker.probe_unused();
    assert_eq!(breaker.may_send(at(1000)), Gate::Probe);
    assert_eq!(breaker.probe_skip(), 0);
    let mut closed = Breaker::default();
    closed.probe_unused();
    assert_eq!(closed.may_send(at(0)), Gate::Go);
    closed.record(Pass::Probe, &DELIVERED, 0, at(0), MOST);
    assert!(closed.closed());
}

#[test]
fn one_tenants_faults_do_not_open_it_while_another_is_answered() {
    let mut breaker = Breaker::default();
    breaker.record(Pass::Go, &DELIVERED, 1, at(0), MOST);
    for millis in 0..1000 {
        assert_eq!(breaker.record(Pass::Go, &TIMEOUT, 2, at(millis), MOST), Blame::Event);
        assert_eq!(breaker.record(Pass::Go, &BUSY, 2, at(millis), MOST), Blame::Event);
    }
    assert!(breaker.closed());
    for _ in 0..5 {
        assert_eq!(breaker.record(Pass::Go, &TIMEOUT, 2, at(30_000), MOST), Blame::Destination);
    }
    assert!(!breaker.closed());
}

#[test]
fn faults_of_two_tenants_are_the_destinations_however_many_others_are_answered() {
    for outcome in [TIMEOUT, BUSY] {
        let mut breaker = Breaker::default();
        for tenant in 1..=6 {
            breaker.record(Pass::Go, &DELIVERED, tenant, at(0), MOST);
        }
        assert_eq!(breaker.record(Pass::Go, &outcome, 1, at(1), MOST), Blame::Event, "the first may be alone");
        for tenant in 2..=6 {
            assert_eq!(breaker.record(Pass::Go, &outcome, tenant, at(1), MOST), Blame::Destination, "{tenant}");
        }
        assert!(!breaker.closed());
    }
    let mut breaker = Breaker::default();
    breaker.record(Pass::Go, &TIMEOUT, 2, at(0), MOST);
    breaker.record(Pass::Go, &DELIVERED, 1, at(30_000), MOST);
    assert_eq!(breaker.record(Pass::Go, &TIMEOUT, 3, at(30_000), MOST), Blame::Event, "the other's is long ago");
}

#[test]
fn a_destination_that_asks_to_be_left_alone_is_whoever_it_asks() {
    let mut breaker = Breaker::default();
    breaker.record(Pass::Go, &DELIVERED, 1, at(0), MOST);
    assert_eq!(breaker.record(Pass::Go, &busy(60), 2, at(0), MOST), Blame::Destination);
    assert_eq!(breaker.may_send(at(0)), Gate::Wait(at(60_000)));
}

#[test]
fn an_outage_that_all_tenants_see_opens_it_soon() {
    let mut breaker = Breaker::default();
    for tenant in 1..=100 {
        breaker.record(Pass::Go, &DELIVERED, tenant, at(0), MOST);
    }
    let mut faults = 0;
    for tenant in (1..=100).cycle().take(100) {
        faults += 1;
        breaker.record(Pass::Go, &TIMEOUT, tenant, at(1), MOST);
        if !breaker.closed() {
            break;
        }
    }
    assert!(faults <= 6, "{faults}");
}

#[test]
fn a_connection_that_does_not_come_about_is_no_tenants_fault() {
    for fault in [Fault::Dns, Fault::Denied, Fault::Proxy, Fault::Connect, Fault::Tls] {
        let mut breaker = Breaker::default();
        breaker.record(Pass::Go, &DELIVERED, 1, at(0), MOST);
        for _ in 0..5 {
            assert_eq!(breaker.record(Pass::Go, &Outcome::of_fault(fault), 2, at(1), MOST), Blame::Destination);
        }
        assert!(!breaker.closed());
    }
}

#[test]
fn a_clock_set_back_makes_it_wait_an_hour_at_most() {
    let mut breaker = open(100_000_000);
    assert_eq!(breaker.may_send(at(0)), Gate::Wait(at(3_600_000)));
    assert_eq!(breaker.may_send(at(3_600_000)), Gate::Probe);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_lets_something_pass_again(
        steps in prop::collection::vec((0_u64..100_000, 0_usize..6, 0_u64..3, any::<u64>()), 0..200)
    ) {
        let outcomes = [DELIVERED, REFUSED, TIMEOUT, CONNECT, busy(7), busy(100_000)];
        let (mut breaker, mut now, mut probes) = (Breaker::default(), 0, 0);
        for (pause, outcome, tenant, random) in steps {
            now += pause;
            let pass = match breaker.may_send(at(now)) {
                Gate::Go => Pass::Go,
                Gate::Probe => {
                    probes += 1;
                    prop_assert_eq!(breaker.may_send(at(now)), Gate::Probing);
                    Pass::Probe
                }
                Gate::Wait(until) => {
                    prop_assert!(until > at(now) && until <= at(now).plus(RETRY_AFTER_MAX));
                    continue;
                }
                Gate::Probing => return Err(TestCaseError::fail("a probe was lost")),
            };
            breaker.record(pass, &outcomes[outcome], tenant, at(now), random);
            let answered = outcome < 2;
            prop_assert!(!(answered && pass == Pass::Probe) || breaker.closed());
        }
        prop_assert!(probes <= 200);
        now += 3_600_000;
        prop_assert!(!matches!(breaker.may_send(at(now)), Gate::Wait(_)));
    }
}
