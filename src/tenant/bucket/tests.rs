use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;
use crate::tenant::Quota;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const REFUSE: Over = Over::Refuse;
const SHAPE: Over = Over::Shape(Beyond::Refuse);
const RELEASE: Over = Over::Shape(Beyond::Release);

fn millis(time: u64) -> Timestamp {
    START.plus(Duration::from_millis(time))
}

/// So many events in a second, so many at once, so many of which wait.
fn pace(count: u32, burst: u32, waiting: u32) -> Pace {
    let quota = Quota { events: waiting, bytes: 1_000, delay: Duration::from_secs(3600) };
    Pace::new(&Limits { count, per: Duration::from_secs(1), burst, quota })
}

/// A verdict in short: `0` passes, `u` goes on unshaped, `@` waits until that millisecond, `-` is refused for so many.
fn short(verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => "0".into(),
        Verdict::Unshaped => "u".into(),
        Verdict::At(release) => format!("@{}", release.since(START).as_millis()),
        Verdict::Refuse { retry_after } => format!("-{}", retry_after.as_millis()),
    }
}

/// Every row: a millisecond, how many events with how many bytes in all, and what becomes of them.
#[track_caller]
fn check(pace: Pace, over: Over, rows: &[(u64, u32, u64, &str)]) {
    let bucket = Bucket::default();
    for (at, events, bytes, expected) in rows {
        let charge = bucket.charge(&pace, millis(*at), *events, *bytes, over);
        assert_eq!(short(charge.verdict), *expected, "{events} events of {bytes} bytes at {at}, {over:?}, {rows:?}");
    }
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    check(
        pace(10, 3, 0),
        REFUSE,
        &[(0, 1, 0, "0"), (0, 2, 0, "0"), (0, 1, 0, "-100"), (99, 1, 0, "-1"), (100, 1, 0, "0"), (100, 1, 0, "-100")],
    );
    check(pace(10, 3, 0), REFUSE, &[(0, 3, 0, "0"), (250, 3, 0, "-50"), (250, 2, 0, "0"), (300, 1, 0, "0")]);
    // However long the rest, no more than the burst is saved up.
    check(pace(10, 3, 0), REFUSE, &[(0, 3, 0, "0"), (9_000_000, 3, 0, "0"), (9_000_000, 1, 0, "-100")]);
    // A third of a second is no whole number: rounded so that no more pass.
    check(pace(3, 1, 0), REFUSE, &[(0, 1, 0, "0"), (333, 1, 0, "-0"), (334, 1, 0, "0")]);
    check(pace(10, 1, 0), REFUSE, &[(0, 0, 0, "0"), (0, 1, 0, "0"), (0, 0, 0, "0"), (0, 1, 0, "-100")]);
    for count in [3, 7, 999_999, 1_000_000] {
        let interval = pace(count, 1, 0).interval;
        assert!((1_000_000_000..1_000_000_000 + u64::from(count)).contains(&(interval * u64::from(count))), "{count}");
    }
    let free = Pace::NONE;
    check(free, REFUSE, &[(0, u32::MAX, u64::MAX, "0"), (0, u32::MAX, u64::MAX, "0")]);
}

#[test]
fn a_batch_larger_than_the_burst_passes_a_full_bucket_and_is_paid_for() {
    check(
        pace(10, 3, 100),
        REFUSE,
        &[
            (0, 5, 0, "0"),
            (0, 1, 0, "-300"),
            (299, 1, 0, "-1"),
            (300, 1, 0, "0"),
            (300, 5, 0, "-300"),
            (600, 5, 0, "0"),
        ],
    );
    // What it owes is bounded, by what a bucket can owe.
    check(pace(10, 3, 2), REFUSE, &[(0, u32::MAX, 0, "0"), (0, 1, 0, "-25900"), (25_900, 1, 0, "0")]);
    check(pace(10, 3, 2), SHAPE, &[(0, 6, 0, "0"), (0, 1, 0, "-200"), (200, 1, 0, "@400"), (700, 6, 0, "0")]);
}

#[test]
fn what_is_early_waits_until_it_is_not_up_to_the_quota() {
    for (over, beyond) in [(SHAPE, "-100"), (RELEASE, "u")] {
        let rows = [(0, 3, 0, "0"), (0, 1, 0, "@100"), (0, 1, 0, "@200"), (0, 1, 0, beyond), (0, 1, 0, beyond)];
        check(pace(10, 3, 2), over, &rows);
    }
    check(
        pace(10, 1, 2),
        SHAPE,
        &[(0, 1, 0, "0"), (50, 1, 0, "@100"), (60, 1, 0, "@200"), (60, 1, 0, "-40"), (100, 1, 0, "@300")],
    );
    check(pace(10, 3, 2), SHAPE, &[(0, 5, 0, "@200"), (0, 1, 0, "-100"), (200, 1, 0, "@300"), (1_000, 1, 0, "0")]);
    check(pace(10, 1, 0), SHAPE, &[(0, 1, 0, "0"), (0, 1, 0, "-100")]);
    check(pace(10, 1, 0), RELEASE, &[(0, 1, 0, "0"), (0, 1, 0, "u"), (0, 1, 0, "u"), (100, 1, 0, "0")]);
    // The quota of delay bounds as that of events does.
    let quota = Quota { events: 1_000, bytes: 1_000, delay: Duration::from_millis(150) };
    let delayed = Pace::new(&Limits { count: 10, per: Duration::from_secs(1), burst: 1, quota });
    check(delayed, SHAPE, &[(0, 1, 0, "0"), (0, 1, 0, "@100"), (0, 1, 0, "-50")]);
}

#[test]
fn bytes_that_wait_are_bounded_and_one_event_may_always_wait() {
    let rows = [(0, 1, 9_999, "0"), (0, 1, 600, "@100"), (0, 1, 400, "@200"), (0, 1, 1, "u")];
    check(pace(10, 1, 100), RELEASE, &rows);
    check(pace(10, 1, 100), RELEASE, &[(0, 1, 0, "0"), (0, 1, 9_999, "@100"), (0, 1, 1, "u"), (0, 1, 0, "u")]);
    // What was refused took no place, neither in time nor in bytes.
    let rows = [(0, 1, 0, "0"), (0, 1, 900, "@100"), (0, 1, 200, "u"), (0, 1, 100, "@200"), (0, 1, 0, "@300")];
    check(pace(10, 1, 100), RELEASE, &rows);
    // What was released makes room, a seventh of the longest delay after it at the latest.
    let rows = [(0, 1, 0, "0"), (0, 1, 900, "@100"), (1_540, 2, 1_000, "@1640"), (3_100, 2, 1_000, "@3200")];
    check(pace(10, 1, 100), RELEASE, &rows);
    // Where it is refused, it hears when there may be room.
    let (pace, bucket) = (pace(10, 1, 100), Bucket::default());
    let charge = |bytes| bucket.charge(&pace, START, 1, bytes, SHAPE).verdict;
    assert_eq!([charge(0), charge(900)].map(short), ["0", "@100"]);
    let Verdict::Refuse { retry_after } = charge(200) else { panic!("it waits") };
    assert!(!retry_after.is_zero() && retry_after < Duration::from_millis(1_440), "{retry_after:?}");
}

#[test]
fn what_is_given_back_can_be_had_again_but_nothing_is_forgiven_twice() {
    let (pace, bucket) = (pace(10, 2, 1), Bucket::default());
    let charge = |at, bytes| bucket.charge(&pace, millis(at), 1, bytes, SHAPE);
    let one = charge(0, 0);
    assert_eq!([charge(0, 0).verdict, charge(0, 900).verdict].map(short), ["0", "@100"]);
    assert_eq!(short(charge(0, 0).verdict), "-100");
    bucket.give_back(&pace, &one, millis(0));
    let waits = charge(0, 0);
    assert_eq!(short(waits.verdict), "@100");
    bucket.give_back(&pace, &waits, millis(0));
    let waits = charge(0, 100);
    assert_eq!(short(waits.verdict), "@100", "its bytes are free as well");
    bucket.give_back(&pace, &waits, millis(10));
    assert_eq!(short(charge(10, 100).verdict), "@100");
    // Time has passed over it: it was paid.
    let late = bucket.charge(&pace, millis(1_000), 1, 0, SHAPE);
    let charge = || short(bucket.charge(&pace, millis(1_100), 1, 0, SHAPE).verdict);
    assert_eq!([charge(), charge()], ["0", "0"]);
    bucket.give_back(&pace, &late, millis(1_100));
    assert_eq!([charge(), charge()], ["@1200", "-100"]);
    // Nothing was charged, so nothing comes back.
    let refused = bucket.charge(&pace, millis(1_100), 1, 0, SHAPE);
    bucket.give_back(&pace, &refused, millis(1_100));
    assert_eq!(short(bucket.charge(&pace, millis(1_100), 1, 0, SHAPE).verdict), "-100");
}

#[test]
fn a_clock_that_is_set_back_holds_nobody_up_for_long() {
    let (pace, bucket) = (pace(10, 2, 1), Bucket::default());
    for _ in 0..3 {
        bucket.charge(&pace, millis(7_200_000), 1, 0, REFUSE);
    }
    let at = |time| short(bucket.charge(&pace, millis(time), 1, 0, REFUSE).verdict);
    assert_eq!([at(7_199_950), at(0), at(0), at(0)], ["-150", "0", "0", "-100"]);
}

#[test]
fn other_limits_leave_it_as_many_events_ahead() {
    let (slow, fast) = (pace(1, 5, 5), pace(100, 5, 5));
    let used = |events: u32, from: &Pace, to: &Pace| {
        let bucket = Bucket::default();
        for _ in 0..events {
            bucket.charge(from, millis(0), 1, 0, SHAPE);
        }
        let next = bucket.converted(from, to, millis(0));
        (0..11).filter(|_| !matches!(next.charge(to, millis(0), 1, 0, SHAPE).verdict, Verdict::Refuse { .. })).count()
    };
    for (events, left) in [(0, 10), (3, 7), (10, 0)] {
        assert_eq!(used(events, &slow, &fast), left);
        assert_eq!(used(events, &fast, &slow), left);
    }
    assert_eq!((used(10, &slow, &Pace::NONE), used(10, &Pace::NONE, &slow)), (11, 10));
    assert_eq!(used(10, &slow, &pace(1, 2, 1)), 0);
    assert_eq!(used(3, &slow, &pace(1, 2, 2)), 1);
}

/// A bucket of tokens, as a textbook has it; a token is as many units as the interval has nanoseconds.
struct Naive {
    tokens: i128,
    last: u64,
}

impl Naive {
    fn charge(&mut self, pace: &Pace, now: u64, events: u32, over: Over) -> &'static str {
        let (interval, burst, delay) = (i128::from(pace.interval), i128::from(pace.burst), i128::from(pace.delay));
        self.tokens = burst.min(self.tokens + i128::from(now - self.last));
        self.last = now;
        let after = self.tokens - i128::from(events) * interval;
        let (said, left) = match over {
            _ if after >= 0 => ("pass", after),
            Over::Shape(_) if after >= -delay => ("at", after),
            _ if self.tokens == burst => ("pass", after),
            Over::Refuse | Over::Shape(Beyond::Refuse) => ("refuse", self.tokens),
            Over::Shape(Beyond::Release) => ("unshaped", self.tokens),
        };
        self.tokens = left;
        said
    }
}

proptest! {
    #[test]
    fn it_behaves_as_a_bucket_of_tokens(
        (count, burst, waiting) in (1u32..2_000, 1u32..20, 0u32..20),
        over in prop::sample::select(vec![REFUSE, SHAPE, RELEASE]),
        steps in prop::collection::vec((0u64..40_000, 1u32..6), 1..200),
    ) {
        let (pace, bucket) = (pace(count, burst, waiting), Bucket::default());
        let mut now = START;
        let mut naive = Naive { tokens: i128::from(pace.burst), last: nanos(START) };
        let (mut passed, mut released): (Vec<(Timestamp, u32)>, Timestamp) = (Vec::new(), START);
        for (micros, events) in steps {
            now = now.plus(Duration::from_micros(micros));
            let tokens = naive.charge(&pace, nanos(now), events, over);
            let got = bucket.charge(&pace, now, events, 0, over).verdict;
            match got {
                Verdict::Pass => {
                    prop_assert_eq!(tokens, "pass");
                    passed.push((now, events));
                }
                Verdict::Unshaped => prop_assert_eq!(tokens, "unshaped"),
                Verdict::Refuse { retry_after } => {
                    prop_assert_eq!(tokens, "refuse");
                    prop_assert!(!retry_after.is_zero());
                }
                Verdict::At(release) => {
                    prop_assert_eq!(tokens, "at");
                    let exact = nanos(now) + u64::try_from(-naive.tokens).unwrap();
                    let late = nanos(release) - exact;
                    prop_assert!(late <= pace.grid() + 1_000, "{late} ns late");
                    prop_assert!(release >= released, "released in the order of their arrival");
                    released = release;
                }
            }
        }
        // In no stretch of time does more pass at once than burst and rate allow; a batch of five is a burst of five.
        for from in 0..passed.len() {
            let mut sum = 0;
            for (at, events) in &passed[from..] {
                sum += u64::from(*events);
                let rate = (nanos(*at) - nanos(passed[from].0)) / pace.interval;
                let most = u64::from(burst.max(5)) + rate;
                prop_assert!(sum <= most, "{sum} passed of {most}");
            }
        }
    }

    #[test]
    fn what_waits_is_never_taken_for_less_and_hardly_for_more(
        (most, steps) in (20u64..400, prop::collection::vec((0u64..30_000, 0u64..1_000), 1..300)),
    ) {
        let (pace, bucket) = (pace(50, 1, 40), Bucket::default());
        let stretch = pace.latest().div_ceil(7);
        let (mut now, mut waiting): (Timestamp, Vec<(u64, u64)>) = (START, Vec::new());
        let sum = |waiting: &[(u64, u64)], after: u64| -> u64 {
            waiting.iter().filter(|(release, _)| *release > after).map(|(_, bytes)| bytes).sum()
        };
        for (micros, part) in steps {
            let bytes = 1 + part * most / 1_000;
            now = now.plus(Duration::from_micros(micros));
            let tat = bucket.tat.load(Ordering::Relaxed).max(nanos(now));
            let fits_in_time = tat + pace.interval - nanos(now) <= pace.burst + pace.delay;
            match bucket.charge(&pace, now, 1, bytes, RELEASE).verdict {
                Verdict::At(release) => {
                    waiting.push((nanos(release), bytes));
                    prop_assert!(sum(&waiting, nanos(now)) <= 1_000);
                }
                Verdict::Unshaped if fits_in_time => {
                    let around = sum(&waiting, nanos(now).saturating_sub(stretch));
                    prop_assert!(around + bytes > 1_000, "{around} and {bytes}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn what_is_charged_in_between_is_not_lost() {
    let (pace, bucket, between) = (pace(10, 2, 0), Bucket::default(), std::cell::Cell::new(true));
    bucket.swap(|tat| {
        if between.replace(false) {
            bucket.charge(&pace, START, 1, 0, REFUSE);
        }
        (tat.max(nanos(START)) + pace.interval, ())
    });
    assert_eq!(short(bucket.charge(&pace, START, 1, 0, REFUSE).verdict), "-100", "both were charged");
}

#[test]
fn of_many_threads_exactly_the_burst_passes_and_exactly_the_quota_waits() {
    let (pace, bucket) = (pace(1_000, 20_000, 10_000), Bucket::default());
    let (counts, together): ([AtomicU64; 3], _) = (Default::default(), std::sync::Barrier::new(8));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                together.wait();
                for _ in 0..10_000 {
                    let place = match bucket.charge(&pace, START, 1, 0, SHAPE).verdict {
                        Verdict::Pass => 0,
                        Verdict::At(_) => 1,
                        Verdict::Refuse { .. } => 2,
                        Verdict::Unshaped => panic!("nobody asked for it"),
                    };
                    counts[place].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(counts.map(AtomicU64::into_inner), [20_000, 10_000, 50_000]);
}

#[test]
fn of_many_threads_never_more_than_burst_and_rate_pass_while_time_goes_on() {
    let (pace, bucket) = (pace(1_000_000, 50, 0), Bucket::default());
    let (clock, passed) = (AtomicU64::new(START.as_micros()), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for step in 0..20_000 {
                    let now = clock.fetch_add(u64::from(step % 16 == 0), Ordering::Relaxed);
                    if bucket.charge(&pace, Timestamp::from_micros(now), 1, 0, REFUSE).verdict == Verdict::Pass {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (passed, micros) = (passed.into_inner(), clock.into_inner() - START.as_micros());
    assert_eq!(micros, 8 * 20_000 / 16);
    assert!(passed <= 50 + micros, "{passed} passed in {micros} us");
    assert!(passed >= micros, "the rate itself passes: {passed} in {micros} us");
}
