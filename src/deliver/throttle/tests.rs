use super::*;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn at(micros: u64) -> Timestamp {
    START.plus(Duration::from_micros(micros))
}

/// How many attempts begin in this time, if each begins as soon as it may and whoever waits is that late.
fn count(every: Duration, stretch: Duration, late: Duration) -> u64 {
    let mut throttle = Throttle::new(every);
    let (mut now, mut begun) = (START, 0);
    while now < START.plus(stretch) {
        match throttle.too_early(now) {
            Some(until) => {
                assert!(until > now, "who waits waits for something");
                now = until.plus(late);
            }
            None => {
                throttle.begin(now);
                begun += 1;
            }
        }
    }
    begun
}

#[test]
fn no_more_attempts_begin_than_the_rate_allows_and_no_fewer() {
    let second = Duration::from_secs(1);
    // The rate, as the pause and the attempts of ten seconds; and how late timers are.
    for (every, expected) in [
        (second / 50, 500),
        (second / 7, 70),
        (second, 10),
        (second * 60, 1),
        (second / 1000, 10_000),
        (second / 20_000, 200_000),
    ] {
        let early = SLACK / u64::try_from(every.as_nanos()).unwrap();
        for late in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(15)] {
            let begun = count(every, second * 10, late);
            assert!(begun <= expected + early + 1, "{begun} attempts in ten seconds, one in {every:?}");
            let lost = expected / 500 + 1;
            assert!(begun + lost >= expected, "{begun} attempts in ten seconds, one in {every:?}, {late:?} late");
        }
    }
}

#[test]
fn what_was_not_used_is_not_saved() {
    let mut throttle = Throttle::new(Duration::from_secs(1));
    throttle.begin(at(0));
    let later = at(3_600_000_000);
    assert_eq!(throttle.too_early(later), None);
    throttle.begin(later);
    assert_eq!(throttle.too_early(later), Some(later.plus(Duration::from_millis(980))), "one, and not an hour's");
}

#[test]
fn a_clock_that_was_set_back_costs_one_pause() {
    let mut throttle = Throttle::new(Duration::from_secs(1));
    throttle.begin(at(0));
    let back = START.minus(Duration::from_secs(86_400));
    assert_eq!(throttle.too_early(back), Some(back.plus(Duration::from_secs(1))));
    assert_eq!(throttle.too_early(back.plus(Duration::from_secs(1))), None);
}

#[test]
fn another_rate_goes_on_where_the_last_one_stood() {
    let mut before = Throttle::new(Duration::from_secs(10));
    before.begin(at(0));
    let mut after = Throttle::new(Duration::from_secs(1)).after(Some(before));
    assert_eq!(after.too_early(at(0)), Some(at(1_000_000)), "a pause of the new one, not of the old one");
    let mut same = Throttle::new(Duration::from_secs(10)).after(Some(before));
    assert_eq!(same.too_early(at(0)), Some(at(9_980_000)));
    assert_eq!(Throttle::new(Duration::from_secs(10)).after(None).too_early(at(0)), None);
}
