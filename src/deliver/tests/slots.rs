//! What becomes of events for whose next attempt there is no slot, and of those that a worker lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::super::upstream::{OK, Upstream, answer, answers};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const OH: &str = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";

fn without_slots() -> Rig {
    Rig::with(&["crm"], |options| options.retry_slots = 0)
}

/// How often each number of each event was attempted.
fn attempts(upstream: &Upstream) -> BTreeMap<(String, String), u32> {
    let mut attempts = BTreeMap::new();
    for request in upstream.requests() {
        let line = request.lines().find_map(|line| line.strip_prefix("x-porteiro-attempt: ")).unwrap();
        let body = request.split_once("\r\n\r\n").unwrap().1;
        *attempts.entry((body.to_owned(), line.to_owned())).or_insert(0) += 1;
    }
    attempts
}

#[tokio::test]
async fn without_slots_many_events_are_not_hammered_because_of_each_other() {
    let upstream = Upstream::new(vec![answers(OH)]).await;
    let mut rig = without_slots();
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    for number in 0..20 {
        rig.put(&["crm"], &number.to_string());
    }
    crm.ended(Ending::Refused, 20).await;
    for _ in 0..120 {
        rig.advance(SECOND / 10, &[&crm]);
        settle_down().await;
    }
    wait(|| crm.running() == 0).await;
    let attempts = attempts(&upstream);
    // Of the first step it is not known when they were handed out; of the second it is.
    assert!(attempts.values().all(|count| *count <= 2), "{attempts:?}");
    assert!((0..20).all(|number| attempts[&(number.to_string(), "2".to_owned())] == 1), "{attempts:?}");
}

#[tokio::test]
async fn a_probe_is_sent_although_the_oldest_event_would_wait() {
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let mut scripts = vec![answer(&OH.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))];
    scripts.extend(vec![answer(busy); 5]);
    scripts.push(answers(OK));
    let upstream = Upstream::new(scripts).await;
    let mut rig = without_slots();
    let crm = rig.start("crm", &upstream.url("/"), |plan| plan.concurrency = 1);
    rig.put(&["crm"], "oldest");
    crm.ended(Ending::Refused, 1).await;
    // Beyond the first quarter of its pause it would wait for the next step.
    rig.hand.advance(SECOND * 4);
    for _ in 0..5 {
        rig.put(&["crm"], "x");
    }
    crm.ended(Ending::Busy, 5).await;
    wait(|| crm.desk.metrics.breaker_open.get() == 1).await;
    rig.advance(SECOND, &[&crm]);
    wait(|| crm.total(Ending::Delivered) >= 1).await;
    assert_eq!(attempts(&upstream)[&("oldest".to_owned(), "1".to_owned())], 2, "it was the probe");
    // Those that met the destination at fault wait for the next step at most.
    for _ in 0..20 {
        rig.advance(SECOND, &[&crm]);
        settle_down().await;
    }
    crm.ended(Ending::Delivered, 6).await;
}

/// Panics once, where the outcome of an attempt is told.
struct Fuse(Arc<AtomicBool>);

impl<S: tracing::Subscriber> Layer<S> for Fuse {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let here = *event.metadata().level() == tracing::Level::WARN;
        assert!(!here || self.0.swap(true, Ordering::AcqRel), "on purpose");
    }
}

#[tokio::test]
async fn an_event_is_given_back_if_its_outcome_cannot_be_judged() {
    // With one subscriber alone, tracing asks whichever thread comes first, which may be that of another test.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let blown = Arc::new(AtomicBool::new(false));
    let _told = tracing::subscriber::set_default(tracing_subscriber::registry().with(Fuse(Arc::clone(&blown))));
    let busy = "HTTP/1.1 429 Busy\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n";
    let upstream = Upstream::new(vec![answer(busy), answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let crm = rig.start("crm", &upstream.url("/"), |_| {});
    rig.put(&["crm"], "x");
    wait(|| crm.total(Ending::Busy) == 1 && crm.running() == 0).await;
    assert_eq!((crm.owed(), crm.desk.lane.backlog().in_flight), (1, 0));
    assert!(blown.load(Ordering::Acquire), "it panicked");
    rig.advance(SECOND * 2, &[&crm]);
    crm.ended(Ending::Delivered, 1).await;
    wait(|| crm.owed() == 0).await;
    assert_eq!((crm.running(), crm.desk.lane.backlog().in_flight), (0, 0));
}
