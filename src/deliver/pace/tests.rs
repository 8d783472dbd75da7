use super::*;
use crate::retry::Fault;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);
const FAULT: Outcome = Outcome::of_fault(Fault::Connect);
const FINE: Outcome = Outcome::Delivered { status: 200 };
const REFUSED: Outcome = Outcome::Event { status: 400, retry_after: None };

fn at(millis: u64) -> Timestamp {
    START.plus(Duration::from_millis(millis))
}

/// A pace whose destination failed until it was left in peace.
fn away(max: u16) -> Pace {
    let mut pace = Pace::new(max);
    for _ in 1..Breaker::RUN {
        assert_eq!(pace.record(Pass::Go, &FAULT, 0, at(0), u64::MAX).0, Turn::None);
        assert_eq!(pace.gate(at(0)), Gate::Go);
    }
    assert_eq!(pace.record(Pass::Go, &FAULT, 0, at(0), u64::MAX).0, Turn::Away);
    assert!(pace.is_away());
    pace
}

/// The instant at which the probe is let pass.
fn probe_of(pace: &mut Pace) -> Timestamp {
    let Gate::Wait(until) = pace.gate(at(0)) else { panic!("nothing may be sent at once") };
    assert_eq!(pace.gate(until), Gate::Probe);
    assert_eq!(pace.gate(until), Gate::Probing, "one at a time");
    until
}

#[test]
fn a_destination_that_comes_back_is_approached_step_by_step() {
    let mut pace = away(8);
    let back = probe_of(&mut pace);
    assert_eq!(pace.record(Pass::Probe, &FINE, 0, back, 0).0, Turn::Back);
    let steps = [(0, 1), (999, 1), (1000, 2), (1999, 2), (2000, 4), (2999, 4), (3000, 8), (9000, 8)];
    for (millis, limit) in steps {
        let now = back.plus(Duration::from_millis(millis));
        assert_eq!(pace.limit(now), limit, "{millis} ms after");
        let rises = (limit < 8).then(|| back.plus(Duration::from_secs(millis / 1000 + 1)));
        assert_eq!(pace.rises(), rises, "{millis} ms after");
    }
}

#[test]
fn a_second_with_a_fault_is_not_clean_and_an_answer_about_an_event_is() {
    let mut pace = away(4);
    let back = probe_of(&mut pace);
    let after = |millis| back.plus(Duration::from_millis(millis));
    pace.record(Pass::Probe, &FINE, 0, back, 0);
    assert_eq!(pace.record(Pass::Go, &FAULT, 0, after(900), 0).0, Turn::None);
    assert_eq!((pace.limit(after(1000)), pace.limit(after(1899)), pace.limit(after(1900))), (1, 1, 2));
    assert_eq!(pace.record(Pass::Go, &REFUSED, 0, after(2800), 0).0, Turn::None);
    assert_eq!(pace.limit(after(2900)), 4);
}

#[test]
fn a_probe_that_fails_changes_nothing_and_one_that_was_not_sent_is_handed_out_again() {
    let mut pace = away(8);
    let now = probe_of(&mut pace);
    pace.unused(Pass::Go);
    assert_eq!(pace.gate(now), Gate::Probing);
    pace.unused(Pass::Probe);
    assert_eq!(pace.gate(now), Gate::Probe);
    assert_eq!(pace.record(Pass::Probe, &FAULT, 0, now, u64::MAX).0, Turn::None);
    assert!(pace.is_away() && matches!(pace.gate(now), Gate::Wait(until) if until > now));
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_steps() {
    let mut pace = away(2);
    let back = probe_of(&mut pace);
    pace.record(Pass::Probe, &FINE, 0, back, 0);
    let earlier = back.minus(Duration::from_secs(3600));
    assert_eq!(pace.limit(earlier), 1);
    assert_eq!(pace.limit(earlier.plus(CLEAN)), 2);
}

#[test]
fn without_trouble_there_is_no_limit_but_the_most() {
    for max in [1, 8, u16::MAX] {
        let mut pace = Pace::new(max);
        assert_eq!((pace.limit(START), pace.rises()), (max, None));
        assert_eq!(pace.record(Pass::Go, &REFUSED, 0, START, 0).0, Turn::None);
        assert_eq!(pace.limit(START), max);
    }
}

#[test]
fn the_step_of_an_event_follows_from_its_attempts_or_else_from_its_age() {
    let schedule = Schedule::new(&[10, 100, 1000].map(Duration::from_secs)).unwrap();
    let check = |attempts, lost: bool, age, expected| {
        let lost = lost.then_some(Timestamp::ZERO);
        let now = START.plus(Duration::from_millis(age));
        assert_eq!(step(&schedule, attempts, lost, START, now), expected, "{attempts} {lost:?} {age} ms");
    };
    let hold = |secs, number| Step::Hold(START.plus(Duration::from_secs(secs)), number);
    check(0, false, 0, Step::Attempt(1));
    check(0, false, 9_000_000, Step::Attempt(1));
    check(2, false, 0, Step::Attempt(3));
    check(u32::MAX, false, 0, Step::Attempt(u32::MAX));
    // The first quarter of each pause, and the rest of it.
    check(0, true, 0, Step::Attempt(1));
    check(0, true, 2_500, Step::Attempt(1));
    check(0, true, 2_501, hold(10, 1));
    check(0, true, 9_999, hold(10, 1));
    check(0, true, 10_000, Step::Attempt(2));
    check(0, true, 35_000, Step::Attempt(2));
    check(5, true, 35_001, hold(110, 2));
    check(0, true, 110_000, Step::Attempt(3));
    check(0, true, 360_001, hold(1110, 3));
    // After the last pause, the last attempt.
    check(0, true, 1_110_000, Step::Attempt(4));
    check(0, true, 9_000_000, Step::Attempt(4));
}

#[test]
fn an_event_without_a_slot_is_attempted_once_in_each_step() {
    let schedule = Schedule::new(&[10, 100].map(Duration::from_secs)).unwrap();
    let after = |secs| START.plus(Duration::from_secs(secs));
    let rows = [
        (1, 2, Step::Hold(after(10), 1)),
        (9, 9, Step::Hold(after(10), 1)),
        (9, 10, Step::Attempt(2)),
        (9, 109, Step::Attempt(2)),
        (10, 11, Step::Hold(after(110), 2)),
        (10, 109, Step::Hold(after(110), 2)),
        (109, 110, Step::Attempt(3)),
        (110, 200, Step::Attempt(3)),
        // The clock was set back.
        (500, 11, Step::Attempt(2)),
        (500, 100, Step::Hold(after(110), 2)),
    ];
    for (before, now, expected) in rows {
        assert_eq!(step(&schedule, 0, Some(after(before)), START, after(now)), expected, "{before} {now}");
    }
}

#[test]
fn a_pause_is_drawn_from_the_whole_span() {
    let mut dice = Dice::new(1);
    let most = Duration::from_secs(2);
    let drawn: Vec<_> = (0..1000).map(|_| dice.pause(most)).collect();
    assert!(drawn.iter().all(|pause| *pause <= most));
    for quarter in 0..4 {
        let span = most / 4 * quarter..most / 4 * (quarter + 1);
        let count = drawn.iter().filter(|pause| span.contains(*pause)).count();
        assert!((150..350).contains(&count), "quarter {quarter}: {count}");
    }
    assert_eq!(dice.pause(Duration::ZERO), Duration::ZERO);
}

#[test]
fn the_pauses_of_an_event_that_always_fails_double_up_to_a_bound() {
    let mut patience = Patience::default();
    let pauses: Vec<_> = (0..12).map(|_| patience.again(7, Duration::from_secs(1), false).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512]);
    assert_eq!(patience.again(8, Duration::from_secs(1), false).as_secs(), 1, "each for itself");
    patience.forget(7);
    assert_eq!(patience.again(7, Duration::from_secs(1), false).as_secs(), 1);
}

#[test]
fn only_so_many_events_are_remembered_and_the_oldest_forgotten_first() {
    let mut patience = Patience::default();
    for seq in 0..=Patience::MAX as u64 {
        assert_eq!(patience.again(seq, Duration::from_secs(1), false).as_secs(), 1);
    }
    assert_eq!(patience.events.len(), Patience::MAX);
    assert_eq!(patience.again(1, Duration::from_secs(1), false).as_secs(), 2);
    assert_eq!(patience.again(0, Duration::from_secs(1), false).as_secs(), 1, "forgotten");
    assert_eq!(patience.events.len(), Patience::MAX);
}

#[test]
fn what_stands_in_front_is_at_fault_until_another_event_is_answered() {
    let mut patience = Patience::default();
    let mut again = |heard: bool| {
        if heard {
            patience.heard();
        }
        patience.again(7, Duration::from_secs(1), true).as_secs()
    };
    let rows =
        [(false, 1), (false, 1), (false, 1), (true, 2), (false, 1), (true, 4), (true, 8), (false, 1), (true, 16)];
    for (heard, pause) in rows {
        assert_eq!(again(heard), pause);
    }
}
