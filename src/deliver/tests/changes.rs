//! What becomes of attempts and of a backlog when a destination changes, leaves and comes back.

use tokio::sync::Notify;

use super::super::upstream::{Act, OK, Upstream, answers, nobody};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Reads a request, waits for the test's word, and then does the rest.
fn slow(word: &Arc<Notify>, rest: Vec<Act>) -> Vec<Act> {
    [vec![Act::Read, Act::Wait(Arc::clone(word))], rest].concat()
}

fn ok() -> Vec<Act> {
    vec![Act::Write(OK.as_bytes().to_vec())]
}

fn one_at_a_time(plan: &mut Plan) {
    plan.concurrency = 1;
}

fn to(url: &str) -> Arc<Destination> {
    let plan = Plan { concurrency: 1, ..Plan::new("crm", url) };
    Arc::new(Destination::build(plan, &mut Roots::default()).unwrap())
}

#[tokio::test]
async fn what_is_under_way_ends_where_it_began_and_the_backlog_goes_to_the_new_url() {
    let word = Arc::new(Notify::new());
    // It would take more on the same connection.
    let old = Upstream::new(vec![[slow(&word, ok()), answers(OK)].concat()]).await;
    let new = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &old.url("/"), one_at_a_time);
    for body in ["one", "two", "three"] {
        rig.put(&["crm"], body);
    }
    wait(|| old.requests().len() == 1).await;
    crm.desk.replace(to(&new.url("/new")));
    word.notify_one();
    crm.ended(Ending::Delivered, 3).await;
    assert_eq!(old.requests().len(), 1, "its connection is not used for another destination");
    let paths: Vec<_> = new.requests().iter().map(|request| request[..9].to_owned()).collect();
    assert_eq!(paths, ["POST /new"; 2]);
    wait(|| crm.owed() == 0).await;
}

#[tokio::test]
async fn a_fault_of_the_old_url_speaks_neither_against_the_new_one_nor_against_the_event() {
    let word = Arc::new(Notify::new());
    let old = Upstream::new(vec![slow(&word, vec![Act::Reset])]).await;
    let new = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &old.url("/"), one_at_a_time);
    rig.put(&["crm"], "one");
    wait(|| old.requests().len() == 1).await;
    crm.desk.replace(to(&new.url("/")));
    word.notify_one();
    // No clock is moved: it waits for nothing.
    crm.ended(Ending::Delivered, 1).await;
    assert_eq!(new.requests().len(), 1);
    wait(|| crm.owed() == 0).await;
}

#[tokio::test]
async fn a_destination_that_was_left_in_peace_is_approached_at_its_new_url() {
    let (_nobody, address) = nobody();
    let new = Upstream::new(vec![answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &format!("http://{address}/"), |_| {});
    for number in 0..8 {
        rig.put(&["crm"], &number.to_string());
    }
    for _ in 0..60 {
        rig.advance(SECOND, &[&crm]);
        settle_down().await;
    }
    wait(|| crm.desk.metrics.breaker_open.get() == 1 && crm.running() == 0).await;
    crm.desk.replace(to(&new.url("/")));
    assert_eq!(crm.desk.metrics.breaker_open.get(), 0);
    wait(|| crm.total(Ending::Delivered) >= 1).await;
    for _ in 0..600 {
        rig.advance(SECOND, &[&crm]);
        settle_down().await;
    }
    crm.ended(Ending::Delivered, 8).await;
}

#[tokio::test]
async fn a_destination_that_leaves_finishes_what_is_under_way_and_goes_on_when_it_is_back() {
    let word = Arc::new(Notify::new());
    let upstream = Upstream::new(vec![[slow(&word, ok()), answers(OK)].concat()]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), one_at_a_time);
    rig.put(&["crm"], "one");
    rig.put(&["crm"], "two");
    wait(|| upstream.requests().len() == 1).await;
    crm.desk.pause(true);
    word.notify_one();
    crm.ended(Ending::Delivered, 1).await;
    rig.put(&["crm"], "three");
    for _ in 0..5 {
        rig.advance(SECOND * 60, &[&crm]);
        settle_down().await;
    }
    assert_eq!((upstream.requests().len(), crm.running(), crm.owed()), (1, 0, 2));
    crm.desk.pause(false);
    crm.ended(Ending::Delivered, 3).await;
    wait(|| crm.owed() == 0).await;
}
