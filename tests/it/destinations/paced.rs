//! A destination that is promised a rate.

use std::time::{Duration, Instant};

use super::{attempts, configuration, send};
use crate::support::eventually;
use crate::support::house::{Estate, House};
use crate::support::sink::{Manner, Sink};

#[test]
fn attempts_begin_no_faster_than_was_promised_retries_included() {
    let (slow, free) = (Sink::start(Manner::Status(500)), Sink::start(Manner::Well));
    let sections = format!(
        "[destination.slow]\nurl = \"{}\"\nrate = \"20/s\"\nretry = {{ pauses = [\"1ms\", \"1ms\"] }}\n\
         [destination.free]\nurl = \"{}\"\n",
        slow.url(),
        free.url()
    );
    let estate = Estate::new(&configuration(&sections, &["slow", "free"]));
    let house = House::start(&estate);
    let started = Instant::now();
    for number in 0..10 {
        send(&house, "", &[], number);
    }
    eventually("all for the other one", || free.count() == 10);
    // Three attempts of each event.
    eventually("the last attempt", || slow.count() == 30);
    // 50 ms between two of them, but for those 20 ms that one may be early; a machine that is slow takes longer.
    for (arrival, number) in slow.arrivals().iter().zip(0_u64..) {
        let spent = arrival.at - started;
        let least = Duration::from_millis((number * 50).saturating_sub(20));
        assert!(spent >= least, "attempt {number} after {spent:?}");
    }
    eventually("the count", || attempts(&house, "slow", "refused") == 30.0);
    house.metrics().no_panics();
}
