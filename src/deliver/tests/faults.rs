//! What becomes of an event, and of a destination, when an attempt fails.

use tokio::sync::Notify;

use super::super::upstream::{Act, OK, Upstream, answer, answers, nobody};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n")
}

/// Answers with each of these on a connection of its own, and with success from then on.
async fn upstream(lines: &[&str]) -> Upstream {
    let mut scripts: Vec<_> =
        lines.iter().map(|line| answer(&status(&format!("{line}\r\nconnection: close")))).collect();
    scripts.push(answers(OK));
    Upstream::new(scripts).await
}

fn attempts(upstream: &Upstream) -> Vec<String> {
    let of = |request: &String| {
        let line = request.lines().find_map(|line| line.strip_prefix("x-porteiro-attempt: ")).unwrap();
        format!("{} {line}", request.split_once("\r\n\r\n").unwrap().1)
    };
    upstream.requests().iter().map(of).collect()
}

#[tokio::test]
async fn an_answer_against_the_event_is_followed_by_its_schedule_and_then_by_its_death() {
    let upstream = upstream(&["500 Oh", "400 No", "301 There"]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "a");
    crm.ended(Ending::Refused, 1).await;
    rig.put(&["crm"], "b");
    crm.ended(Ending::Refused, 2).await;
    assert_eq!(crm.owed(), 2);
    rig.advance(SECOND * 10, &[&crm]);
    // One of the two meets the third answer, the other one success.
    crm.ended(Ending::Delivered, 1).await;
    crm.ended(Ending::Refused, 3).await;
    rig.advance(SECOND * 121, &[&crm]);
    crm.ended(Ending::Delivered, 2).await;
    assert_eq!((crm.owed(), crm.desk.metrics.dead_letters.get()), (0, 0));
    let mut sent = attempts(&upstream);
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), 5, "no attempt has the number of another: {sent:?}");
    assert_eq!(crm.desk.metrics.first_delivery.get_sample_count(), 0, "no first attempt succeeded");
}

#[tokio::test]
async fn an_event_whose_schedule_is_at_its_end_is_given_up() {
    let upstream = upstream(&["500 Oh", "500 Oh", "500 Oh"]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "a");
    for (count, pause) in [(1, 10), (2, 121), (3, 1000)] {
        crm.ended(Ending::Refused, count).await;
        rig.advance(SECOND * pause, &[&crm]);
    }
    // It is owed until it stands among the dead letters.
    rig.write();
    assert_eq!((crm.owed(), crm.desk.metrics.dead_letters.get()), (0, 1));
    assert_eq!(rig.journal.health().destinations[0].dead, 1);
    assert_eq!(attempts(&upstream), ["a 1", "a 2", "a 3"]);
    rig.put(&["crm"], "b");
    crm.ended(Ending::Delivered, 1).await;
}

#[tokio::test]
async fn an_event_is_not_tried_again_before_its_time() {
    let upstream = upstream(&["500 Oh\r\nretry-after: 60"]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "a");
    crm.ended(Ending::Refused, 1).await;
    rig.advance(SECOND * 59, &[&crm]);
    settle_down().await;
    assert_eq!(attempts(&upstream), ["a 1"]);
    rig.advance(SECOND, &[&crm]);
    crm.ended(Ending::Delivered, 1).await;
    assert_eq!(attempts(&upstream), ["a 1", "a 2"]);
}

#[tokio::test]
async fn an_event_that_cannot_be_sent_is_given_up_without_a_request() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/in/*"), |_| {});
    rig.put_at(&["crm"], "/../admin", "a");
    rig.put_at(&["crm"], "/fine", "b");
    crm.ended(Ending::Unsendable, 1).await;
    crm.ended(Ending::Delivered, 1).await;
    rig.write();
    assert_eq!((crm.owed(), crm.desk.metrics.dead_letters.get()), (0, 1));
    assert_eq!(upstream.bodies(), ["b"]);
}

#[tokio::test]
async fn a_fault_of_the_destination_burns_no_attempt() {
    let upstream = upstream(&["503 Busy", "503 Busy"]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "a");
    for count in 1..=2 {
        crm.ended(Ending::Busy, count).await;
        assert_eq!(crm.owed(), 1);
        rig.advance(SECOND * 2, &[&crm]);
    }
    crm.ended(Ending::Delivered, 1).await;
    assert_eq!(attempts(&upstream), ["a 1", "a 1", "a 1"]);
}

#[tokio::test]
async fn a_destination_at_fault_is_left_in_peace_and_probed_with_the_oldest() {
    let busy = vec!["503 Busy"; 9];
    let upstream = upstream(&busy).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.concurrency = 1);
    for body in ["a", "b", "c", "d", "e", "f"] {
        rig.put(&["crm"], body);
    }
    crm.ended(Ending::Busy, 5).await;
    settle_down().await;
    assert_eq!(attempts(&upstream), ["a 1", "b 1", "c 1", "d 1", "e 1"]);
    assert_eq!((crm.desk.metrics.breaker_open.get(), crm.owed(), crm.running()), (1, 6, 0));
    // The pauses are at most 1, 2, 4, 8 s; two probes that fail, then the next event.
    for (count, pause) in [(6, 1), (7, 2), (8, 4), (9, 8)] {
        rig.advance(SECOND * pause, &[&crm]);
        crm.ended(Ending::Busy, count).await;
        settle_down().await;
        assert_eq!(crm.total(Ending::Busy), count, "one probe at a time");
    }
    assert_eq!(attempts(&upstream)[5..], ["a 1", "a 1", "b 1", "b 1"]);
    rig.advance(SECOND * 16, &[&crm]);
    crm.ended(Ending::Delivered, 6).await;
    assert_eq!((crm.desk.metrics.breaker_open.get(), crm.owed()), (0, 0));
    assert_eq!(attempts(&upstream)[9], "c 1", "the next event is the probe that succeeds");
}

#[tokio::test]
async fn a_destination_that_asks_to_be_left_alone_is() {
    let upstream = upstream(&["429 Many\r\nretry-after: 300"]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "a");
    crm.ended(Ending::Busy, 1).await;
    assert_eq!(crm.desk.metrics.breaker_open.get(), 1);
    rig.put(&["crm"], "b");
    rig.advance(SECOND * 299, &[&crm]);
    settle_down().await;
    assert_eq!(attempts(&upstream), ["a 1"]);
    rig.advance(SECOND * 2, &[&crm]);
    crm.ended(Ending::Delivered, 2).await;
    assert_eq!(crm.owed(), 0);
}

#[tokio::test]
async fn a_destination_that_comes_back_is_approached_step_by_step() {
    let mut scripts = vec![answer(&status("503 Busy\r\nconnection: close")); 5];
    scripts.push([answer(OK), vec![Act::Read, Act::Hang]].concat());
    scripts.push(vec![Act::Read, Act::Hang]);
    let upstream = Upstream::new(scripts).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    for count in 1..=40 {
        rig.put(&["crm"], "x");
        crm.ended(Ending::Busy, count.min(5)).await;
    }
    rig.advance(SECOND, &[&crm]);
    crm.ended(Ending::Delivered, 1).await;
    for (running, pause) in [(1, 0), (1, 999), (2, 1), (4, 1000), (8, 1000), (8, 1000)] {
        rig.advance(Duration::from_millis(pause), &[&crm]);
        settle_down().await;
        wait(|| crm.running() >= running).await;
        assert_eq!(crm.running(), running);
    }
}

#[tokio::test]
async fn a_destination_that_is_not_there_keeps_nothing_in_memory() {
    let (_kept, nobody) = nobody();
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &format!("http://{nobody}/"), |_| {});
    for _ in 0..200 {
        rig.put(&["crm"], "x");
    }
    wait(|| crm.desk.metrics.breaker_open.get() == 1 && crm.running() == 0).await;
    let backlog = crm.desk.lane.backlog();
    assert_eq!((backlog.owed, backlog.in_flight), (200, 0));
    rig.house.drain.close();
    rig.house.drain.finished().await;
    assert!(crm.total(Ending::Connect) <= 5 + 8, "those that ran when it was left in peace, and no more");
}

#[tokio::test]
async fn an_event_that_only_looks_like_a_fault_of_the_destination_does_not_stop_the_others() {
    // One event breaks its connection; the destination is well with the others.
    let go = Arc::new(Notify::new());
    let broken = vec![Act::Read, Act::Wait(Arc::clone(&go)), Act::Reset];
    let upstream = Upstream::new(vec![broken, answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "slow");
    upstream.arrived(1).await;
    for count in 1..=30 {
        rig.put(&["crm"], "fast");
        crm.ended(Ending::Delivered, count).await;
    }
    go.notify_one();
    crm.ended(Ending::Broken, 1).await;
    assert_eq!((crm.desk.metrics.breaker_open.get(), crm.owed()), (0, 1));
    rig.advance(SECOND * 2, &[&crm]);
    crm.ended(Ending::Delivered, 31).await;
    assert_eq!(crm.owed(), 0);
}
