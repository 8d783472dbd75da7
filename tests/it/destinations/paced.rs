//! A destination that is promised a rate.

use std::time::Duration;

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
    for number in 0..10 {
        send(&house, "", &[], number);
    }
    eventually("all for the other one", || free.count() == 10);
    // Three attempts of each event.
    eventually("the last attempt", || slow.count() == 30);
    let arrivals = slow.arrivals();
    let spent = arrivals[29].at - arrivals[0].at;
    // 50 ms between two of them, but for those 20 ms that one may be early; a machine that is slow takes longer.
    assert!(spent >= Duration::from_millis(29 * 50 - 40), "30 attempts in {spent:?}");
    for window in arrivals.windows(5) {
        let spent = window[4].at - window[0].at;
        assert!(spent >= Duration::from_millis(100), "5 attempts within {spent:?}");
    }
    eventually("the count", || attempts(&house, "slow", "refused") == 30.0);
    house.metrics().no_panics();
}
