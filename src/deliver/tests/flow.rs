//! What is owed is delivered, within bounds, each destination for itself.

use tokio::sync::Notify;

use super::super::upstream::{Act, OK, Upstream, answer, answers};
use super::*;

#[tokio::test]
async fn what_is_owed_arrives_as_it_was_stored() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/in/*"), |_| {});
    rig.put_at(&["crm"], "/a/b", "first");
    rig.put_at(&["crm"], "", "");
    crm.ended(Ending::Delivered, 2).await;
    let mut requests = upstream.requests();
    requests.sort();
    let lines = ["POST /in HTTP/1.1\r\n", "POST /in/a/b HTTP/1.1\r\n"];
    let tells = ["x-porteiro-attempt: 1", "x-porteiro-received-at: 2023-11-14T22:13:20.000Z", "traceparent: 00-"];
    for ((request, line), id) in requests.iter().zip(lines).zip(["02".repeat(16), "01".repeat(16)]) {
        assert!(request.starts_with(line), "{request}");
        assert!(request.contains(&format!("x-porteiro-event-id: {id}")), "{request}");
        assert!(tells.iter().all(|told| request.contains(told)), "{request}");
        assert!(!request.contains("expect"), "{request}");
    }
    assert!(requests[1].ends_with("\r\n\r\nfirst"));
    assert_eq!((crm.owed(), crm.running()), (0, 0));
    assert_eq!(crm.desk.metrics.first_delivery.get_sample_count(), 2);
}

#[tokio::test]
async fn one_after_the_other_they_share_one_connection() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    for count in 1..=20 {
        rig.put(&["crm"], "x");
        crm.ended(Ending::Delivered, count).await;
    }
    assert_eq!(upstream.counts(), [20]);
}

#[tokio::test]
async fn a_worker_goes_on_while_there_is_something_to_take() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.concurrency = 1);
    for number in 0..50 {
        rig.put(&["crm"], &number.to_string());
    }
    crm.ended(Ending::Delivered, 50).await;
    assert_eq!(upstream.bodies(), (0..50).map(|number| number.to_string()).collect::<Vec<_>>(), "in order");
    assert_eq!(upstream.counts(), [50], "on one connection");
}

#[tokio::test]
async fn attempts_at_the_same_time_are_bounded_by_number() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new(vec![vec![Act::Read, Act::Wait(Arc::clone(&go)), Act::Write(OK.into())]]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.concurrency = 3);
    for _ in 0..10 {
        rig.put(&["crm"], "x");
    }
    upstream.arrived(3).await;
    settle_down().await;
    assert_eq!((upstream.requests().len(), crm.running()), (3, 3));
    for ended in 1..=7 {
        go.notify_one();
        crm.ended(Ending::Delivered, ended).await;
        upstream.arrived(3 + usize::try_from(ended).unwrap()).await;
        assert_eq!(crm.running(), 3);
    }
}

#[tokio::test]
async fn attempts_at_the_same_time_are_bounded_by_bytes_but_for_one() {
    let go = Arc::new(Notify::new());
    let script = [vec![Act::Read, Act::Wait(Arc::clone(&go)), Act::Write(OK.into())], answers(OK)].concat();
    let upstream = Upstream::new(vec![script]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.bytes = 2000);
    rig.put(&["crm"], &"x".repeat(5000));
    upstream.arrived(1).await;
    for _ in 0..4 {
        rig.put(&["crm"], &"y".repeat(900));
    }
    settle_down().await;
    assert_eq!(crm.running(), 1, "the one that is too large goes alone");
    go.notify_one();
    upstream.arrived(4).await;
    settle_down().await;
    // Three of 900 and their heads reach 2000; then there is room for the last, when one of them has ended.
    assert!(crm.running() <= 3);
    go.notify_waiters();
    wait(|| {
        go.notify_one();
        crm.total(Ending::Delivered) == 5
    })
    .await;
}

#[tokio::test]
async fn what_is_no_longer_in_memory_is_read_back() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::with(&["crm"], |options| options.ring_bytes = 8 << 10);
    for number in 0..200 {
        rig.put(&["crm"], &format!("{number} {}", "x".repeat(1000)));
    }
    // What was owed before the lane was opened is begun after a while, which passes at once here.
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.concurrency = 1);
    tokio::time::pause();
    upstream.arrived(1).await;
    tokio::time::resume();
    crm.ended(Ending::Delivered, 200).await;
    let numbers: Vec<_> = upstream.bodies().iter().map(|body| body.split(' ').next().unwrap().to_owned()).collect();
    let mut sorted: Vec<_> = numbers.iter().map(|number| number.parse::<u32>().unwrap()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..200).collect::<Vec<_>>(), "each once: {numbers:?}");
}

#[tokio::test]
async fn only_a_backlog_waits_after_a_start_and_not_for_long() {
    for backlog in [false, true] {
        let upstream = Upstream::new(vec![answers(OK)]).await;
        let mut rig = Rig::new(&["crm"]);
        if backlog {
            rig.put(&["crm"], "x");
        }
        // From here on time passes as fast as nothing happens.
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let _crm = rig.start("crm", &upstream.url("/"), |_| {});
        if !backlog {
            rig.put(&["crm"], "x");
        }
        upstream.arrived(1).await;
        let waited = began.elapsed();
        tokio::time::resume();
        assert_eq!(waited > Duration::ZERO, backlog, "{waited:?}");
        assert!(waited <= Duration::from_millis(2001), "{waited:?}");
    }
}

#[tokio::test]
async fn destinations_do_not_know_each_other() {
    let hanging = Upstream::new(vec![vec![Act::Read, Act::Hang]]).await;
    let refusing = Upstream::new(vec![answers("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")]).await;
    let healthy = Upstream::new(vec![answers(OK)]).await;
    let names = ["hanging", "refusing", "healthy"];
    let mut rig = Rig::new(&names);
    let lanes = [&hanging, &refusing, &healthy];
    let lanes: Vec<_> = names.iter().zip(lanes).map(|(name, to)| rig.start(name, &to.url("/"), |_| {})).collect();
    for count in 1..=100 {
        rig.put(&names, "x");
        lanes[2].ended(Ending::Delivered, count).await;
    }
    assert_eq!((lanes[0].running(), lanes[0].owed()), (8, 100), "no more in flight than its concurrency");
    lanes[1].ended(Ending::Refused, 100).await;
    assert_eq!((lanes[1].running(), lanes[1].owed()), (0, 100));
    assert_eq!(healthy.counts().len(), 1);
}

#[tokio::test]
async fn a_worker_with_nothing_to_do_notices_that_its_connection_was_closed() {
    let go = Arc::new(Notify::new());
    let first = [answer(OK), vec![Act::Wait(Arc::clone(&go))]].concat();
    let upstream = Upstream::new(vec![first, answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "x");
    crm.ended(Ending::Delivered, 1).await;
    go.notify_one();
    settle_down().await;
    rig.put(&["crm"], "y");
    crm.ended(Ending::Delivered, 2).await;
    assert_eq!(upstream.counts(), [1, 1]);
}

#[tokio::test]
async fn a_worker_with_nothing_to_do_closes_a_connection_that_says_what_nobody_asked_for() {
    let (go, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let unasked = vec![Act::Wait(Arc::clone(&go)), Act::Write(OK.into()), Act::Hang, Act::Tell(Arc::clone(&gone))];
    let upstream = Upstream::new(vec![[answer(OK), unasked].concat(), answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "x");
    crm.ended(Ending::Delivered, 1).await;
    go.notify_one();
    tokio::time::timeout(Duration::from_secs(20), gone.notified()).await.expect("long before it would go home");
    rig.put(&["crm"], "y");
    crm.ended(Ending::Delivered, 2).await;
    assert_eq!(upstream.counts(), [1, 1]);
}

#[tokio::test]
async fn a_worker_without_anything_to_do_for_long_goes_home() {
    let gone = Arc::new(Notify::new());
    let first = [answer(OK), vec![Act::Hang, Act::Tell(Arc::clone(&gone))]].concat();
    let upstream = Upstream::new(vec![first, vec![Act::Read, Act::Hang]]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "x");
    crm.ended(Ending::Delivered, 1).await;
    assert_eq!(rig.house.drain.running(), 2, "the lane and one worker");
    // From here on time passes as fast as nothing happens.
    tokio::time::pause();
    gone.notified().await;
    tokio::time::resume();
    wait(|| rig.house.drain.running() == 1).await;
    // Its seat is taken again, by one and not by two.
    rig.put(&["crm"], "y");
    rig.put(&["crm"], "z");
    upstream.arrived(3).await;
    assert_eq!((upstream.counts(), crm.running()), (vec![1, 1, 1], 2));
}

#[tokio::test]
async fn when_the_house_closes_what_runs_is_finished_and_nothing_new_is_taken() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::new(vec![vec![Act::Read, Act::Wait(Arc::clone(&go)), Act::Write(OK.into())]]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.concurrency = 1);
    rig.put(&["crm"], "running");
    rig.put(&["crm"], "waiting");
    upstream.arrived(1).await;
    rig.house.drain.close();
    settle_down().await;
    assert_eq!(crm.running(), 1);
    go.notify_one();
    rig.house.drain.finished().await;
    assert_eq!(crm.total(Ending::Delivered), 1);
    assert_eq!((crm.owed(), upstream.bodies()), (1, vec!["running".to_owned()]));
}

#[tokio::test]
async fn what_the_house_cannot_wait_for_is_returned_and_is_nobodys_fault() {
    let upstream = Upstream::new(vec![vec![Act::Read, Act::Hang]]).await;
    let mut rig = Rig::new(&["crm"]);
    rig.house.grace = Duration::from_millis(10);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    for _ in 0..12 {
        rig.put(&["crm"], "x");
    }
    upstream.arrived(8).await;
    rig.house.drain.close();
    rig.house.drain.finished().await;
    let backlog = crm.desk.lane.backlog();
    assert_eq!((backlog.owed, backlog.in_flight, crm.running()), (12, 0, 0));
    assert!((0..ENDINGS.len()).all(|place| crm.desk.metrics.outcomes.total(place) == 0));
}

#[tokio::test]
async fn a_house_that_closes_has_no_use_for_idle_workers() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "x");
    crm.ended(Ending::Delivered, 1).await;
    rig.house.drain.close();
    rig.house.drain.finished().await;
}
