//! A destination that is promised a rate.

use super::super::upstream::{OK, Upstream, answers};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn attempts_begin_at_their_rate_and_nobody_asks_meanwhile() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.every = Some(SECOND));
    for _ in 0..5 {
        rig.put(&["crm"], "x");
    }
    let mut due = START;
    for count in 1..=4 {
        crm.ended(Ending::Delivered, count).await;
        settle_down().await;
        assert_eq!((crm.total(Ending::Delivered), crm.running()), (count, 0), "no other one begins");
        due = due.plus(SECOND);
        assert_eq!(
            crm.desk.agenda().0,
            Some(due.minus(Duration::from_nanos(throttle::SLACK))),
            "it is looked again when the next may begin"
        );
        rig.advance(SECOND, &[&crm]);
    }
    crm.ended(Ending::Delivered, 5).await;
    assert_eq!(crm.owed(), 0);
}

#[tokio::test]
async fn what_is_tried_again_counts_too() {
    let upstream = Upstream::new(vec![answers("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")]).await;
    let mut rig = Rig::new(&["crm"]);
    // The pauses of the schedule are 10 and 100 seconds.
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.every = Some(SECOND * 60));
    rig.put(&["crm"], "a");
    crm.ended(Ending::Refused, 1).await;
    for _ in 0..5 {
        rig.advance(SECOND * 11, &[&crm]);
        settle_down().await;
        assert_eq!(crm.total(Ending::Refused), 1, "it is due, and too early");
    }
    rig.advance(SECOND * 5, &[&crm]);
    crm.ended(Ending::Refused, 2).await;
    rig.put(&["crm"], "b");
    settle_down().await;
    assert_eq!(crm.total(Ending::Refused), 2, "another event pays for it");
    rig.advance(SECOND * 60, &[&crm]);
    crm.ended(Ending::Refused, 3).await;
}

#[tokio::test]
async fn a_reload_gives_no_more_than_was_promised() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let rate = |plan: &mut Plan| plan.every = Some(SECOND * 60);
    let crm = rig.start("crm", &upstream.url("/"), rate);
    for count in 0..4 {
        rig.put(&["crm"], "x");
        let mut plan = Plan::new("crm", &upstream.url("/"));
        rate(&mut plan);
        plan.concurrency = 1 + count;
        crm.desk.replace(Arc::new(Destination::build(plan, &mut Roots::default()).unwrap()));
        settle_down().await;
    }
    crm.ended(Ending::Delivered, 1).await;
    settle_down().await;
    assert_eq!(upstream.requests().len(), 1);
    // Without a rate nothing holds it back.
    crm.desk
        .replace(Arc::new(Destination::build(Plan::new("crm", &upstream.url("/")), &mut Roots::default()).unwrap()));
    crm.ended(Ending::Delivered, 4).await;
}
