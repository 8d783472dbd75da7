use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const EVERY: Duration = Duration::from_secs(10);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

#[test]
fn a_caller_is_held_back_after_its_burst_until_one_refusal_is_forgiven() {
    let refusals = Refusals::new(3, EVERY, 100);
    for _ in 0..3 {
        assert_eq!(refusals.wait(1, at(0)), None);
        refusals.charge(1, at(0));
    }
    assert_eq!(refusals.wait(1, at(0)), Some(EVERY));
    assert_eq!(refusals.wait(1, at(9)), Some(Duration::from_secs(1)));
    assert_eq!(refusals.wait(1, at(10)), None);
    assert_eq!(refusals.wait(2, at(0)), None);
}

#[test]
fn nobody_is_held_back_longer_than_the_burst_however_much_was_refused() {
    let refusals = Refusals::new(3, EVERY, 100);
    for _ in 0..1000 {
        refusals.charge(1, at(0));
    }
    assert_eq!(refusals.wait(1, at(0)), Some(EVERY));
    assert_eq!(refusals.wait(1, at(10)), None);
}

#[test]
fn a_clock_that_is_set_back_holds_nobody_back() {
    let refusals = Refusals::new(3, EVERY, 100);
    for _ in 0..3 {
        refusals.charge(1, at(100_000));
    }
    assert_eq!(refusals.wait(1, at(100_000)), Some(EVERY));
    assert_eq!(refusals.wait(1, at(0)), None);
    for _ in 0..3 {
        assert_eq!(refusals.wait(1, at(0)), None);
        refusals.charge(1, at(0));
    }
    assert_eq!(refusals.wait(1, at(0)), Some(EVERY));
}

#[test]
fn a_burst_of_zero_holds_back_nobody() {
    let refusals = Refusals::new(0, EVERY, 1);
    refusals.charge(1, at(0));
    assert_eq!(refusals.wait(1, at(0)), None);
}

#[test]
fn a_full_set_forgets_the_caller_closest_to_being_forgiven() {
    let refusals = Refusals::new(1, EVERY, PLACES);
    for caller in 0..8 {
        refusals.charge(caller, at(u64::try_from(caller).expect("small")));
    }
    assert!((0..8).all(|caller| refusals.wait(caller, at(8)).is_some()));
    refusals.charge(8, at(8));
    assert_eq!(refusals.wait(0, at(8)), None);
    assert!((1..9).all(|caller| refusals.wait(caller, at(8)).is_some()));
}

/// The same rule said naively: a refusal is forgiven `EVERY` after the one before it was, or after it happened.
#[derive(Default)]
struct Model {
    forgiven: VecDeque<Timestamp>,
}

impl Model {
    fn open(&mut self, now: Timestamp) -> usize {
        self.forgiven.retain(|forgiven| *forgiven > now);
        self.forgiven.len()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_list_of_refusals(steps in prop::collection::vec((0_u64..25, any::<bool>()), 1..60)) {
        let (refusals, mut model, mut secs) = (Refusals::new(4, EVERY, 100), Model::default(), 0);
        for (pause, refused) in steps {
            secs += pause;
            let now = at(secs);
            let open = model.open(now);
            prop_assert_eq!(refusals.wait(7, now).is_some(), open >= 4, "{} open", open);
            if refused && open < 4 {
                refusals.charge(7, now);
                let last = model.forgiven.back().copied().unwrap_or(now);
                model.forgiven.push_back(last.plus(EVERY));
            }
        }
    }
}
