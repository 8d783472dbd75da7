//! What the desk does with how attempts end, without a connection: every end is made up here.

use super::super::attempt::{Ended, Heard};
use super::super::work::Work;
use super::*;
use crate::retry::{Fault, Outcome};

const SECOND: Duration = Duration::from_secs(1);
const FINE: Outcome = Outcome::Delivered { status: 200 };

/// A desk without a lane's task and without workers.
fn desk(rig: &Rig) -> Desk {
    let to = Arc::new(Destination::build(Plan::new("crm", "http://127.0.0.1:1/"), &mut Roots::default()).unwrap());
    let lane = rig.journal.lane(rig.journal.destination("crm").unwrap()).unwrap();
    Desk::new(to, lane, rig.metrics.destination("crm", ENDINGS), &rig.house, 7)
}

/// All that may be attempted now.
fn take(desk: &Desk) -> Vec<Work> {
    given(desk, desk.hand_out())
}

/// What the workers would begin with that are to be started.
fn given(desk: &Desk, seats: Vec<u16>) -> Vec<Work> {
    let works = seats.iter().filter_map(|seat| desk.leave(*seat)).collect();
    for seat in seats {
        assert!(desk.leave(seat).is_none());
    }
    works
}

/// An attempt ends; what is to be attempted next is put back, to be taken again.
fn end(desk: &Desk, work: Work, outcome: Outcome) {
    let mut hand = Some(work);
    let heard = Heard { outcome, status: 0, answer: Bytes::new(), detail: None, awaited: None };
    let hired = desk.settle(&mut hand, Ended::Heard(heard));
    for next in given(desk, hired).into_iter().chain(hand) {
        desk.abandon(next);
    }
}

/// How late an event arrives that is owed alone to a destination that is not reached for so long.
fn late(rig: &mut Rig, desk: &Desk, gone: Duration, fault: Fault) -> Duration {
    rig.put(&["crm"], "a");
    let back = rig.house.clock.now().plus(gone);
    for _ in 0..10_000 {
        let now = rig.house.clock.now();
        match take(desk).pop() {
            Some(work) if now >= back => {
                end(desk, work, FINE);
                rig.write();
                rig.hand.advance(SECOND * 60);
                return now.since(back);
            }
            Some(work) => end(desk, work, Outcome::of_fault(fault)),
            None => rig.hand.set(desk.agenda().0.expect("it looks again").max(now)),
        }
    }
    panic!("it never arrives");
}

#[test]
fn an_event_alone_arrives_soon_after_a_short_outage() {
    for fault in [Fault::Connect, Fault::Dns, Fault::Tls, Fault::Answer(502)] {
        for (gone, within) in [(100, 1_000), (1_000, 1_000), (3_000, 1_600), (10_000, 5_000), (60_000, 30_000)] {
            let mut rig = Rig::new(&["crm"]);
            let desk = desk(&rig);
            let (gone, within) = (Duration::from_millis(gone), Duration::from_millis(within));
            let all: Vec<Duration> = (0..100).map(|_| late(&mut rig, &desk, gone, fault)).collect();
            let worst = all.iter().max().copied().unwrap_or_default();
            let mean = all.iter().sum::<Duration>() / 100;
            assert!(worst <= within, "{fault:?} {gone:?}: {worst:?} after it was back");
            assert!(mean <= within * 2 / 3, "{fault:?} {gone:?}: {mean:?} as a rule");
        }
    }
}

/// How often within 200 s an event is attempted that always ends in this fault, while another one is answered every
/// second.
fn attempts(fault: Fault) -> u32 {
    let mut rig = Rig::new(&["crm"]);
    let desk = desk(&rig);
    rig.put(&["crm"], "poison");
    let mut attempts = 0;
    for _ in 0..200 {
        rig.put(&["crm"], "fine");
        for work in take(&desk) {
            let poison = work.delivery.body.len() == "poison".len();
            assert_eq!(work.number, 1, "no attempt is burned");
            attempts += u32::from(poison);
            end(&desk, work, if poison { Outcome::of_fault(fault) } else { FINE });
        }
        rig.write();
        rig.hand.advance(SECOND);
    }
    assert_eq!((desk.metrics.breaker_open.get(), desk.lane.backlog().owed), (0, 1), "{fault:?}");
    attempts
}

#[test]
fn an_event_that_brings_down_what_stands_behind_is_tried_less_and_less_often() {
    for fault in [502, 503, 504].map(Fault::Answer).into_iter().chain([Fault::Broken, Fault::Timeout]) {
        let attempts = attempts(fault);
        assert!((5..=15).contains(&attempts), "{fault:?}: {attempts}");
    }
    // No event brings these about.
    for fault in [Fault::Connect, Fault::Dns, Fault::Tls, Fault::Proxy, Fault::Denied] {
        let attempts = attempts(fault);
        assert!(attempts > 100, "{fault:?}: {attempts}");
    }
}
