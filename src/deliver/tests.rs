//! Lanes with a real journal in memory, real sockets, and a clock that stands still until it is moved.

mod changes;
mod desk;
mod faults;
mod flow;
mod rate;
mod rebinding;
mod slots;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::ending::Ending;
use super::*;
use crate::clock::{Hand, Timestamp};
use crate::event::Head;
use crate::journal::{DestinationPlan, Journal, Memory, Options, Record, Step, Target, Writer};
use crate::metrics::Metrics;
use crate::retry::Schedule;
use crate::verify::Credential;

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A house with a journal and lanes, and nothing else.
struct Rig {
    journal: Journal,
    writer: Writer,
    hand: Hand,
    house: House,
    metrics: Metrics,
    count: u8,
}

/// A destination whose lane was started.
struct Open {
    desk: Arc<Desk>,
}

impl Rig {
    /// A journal for destinations of these names.
    fn new(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    fn with(names: &[&str], change: impl FnOnce(&mut Options)) -> Self {
        let (clock, hand) = Clock::manual(START);
        let mut options = Options {
            segment_size: 1 << 20,
            size: 64 << 20,
            keep_dead_size: 8 << 20,
            dedup_entries: 1 << 10,
            // Outcomes do not wait for an event to ride along with.
            outcome_delay: Duration::ZERO,
            ..Options::default()
        };
        change(&mut options);
        let plans: Vec<_> = names.iter().map(|name| DestinationPlan::new(name)).collect();
        let (journal, writer, _) =
            Journal::open(Arc::new(Memory::new()), options, clock.clone(), &["meta"], &plans).unwrap();
        let (network, tenants, callers) = (Network::default(), TenantNames::default(), Callers::default());
        let house = House { clock, network, tenants, drain: Drain::new(), grace: Duration::from_secs(20), callers };
        Self { journal, writer, hand, house, metrics: Metrics::new(), count: 0 }
    }

    /// Stores an event with this body for these destinations.
    fn put(&mut self, names: &[&str], body: &str) {
        self.put_at(names, "", body);
    }

    fn put_at(&mut self, names: &[&str], rest: &str, body: &str) {
        self.count += 1;
        let target =
            |name: &&str| Target { destination: self.journal.destination(name).unwrap(), not_before: Timestamp::ZERO };
        let record = Record {
            event_id: [self.count; 16],
            targets: names.iter().map(target).collect(),
            accepted: self.house.clock.now(),
            head: Head::encode(&Method::POST, rest, "", &HeaderMap::new(), &Credential::default()),
            body: Bytes::from(body.to_owned()).into(),
            ..Record::default()
        };
        drop(self.journal.append_one(record).unwrap());
        self.write();
    }

    /// Lets the writer do all that it has to do.
    fn write(&mut self) {
        for _ in 0..1000 {
            match self.writer.step() {
                Step::Worked => {}
                Step::Idle { .. } => break,
                Step::Closed | Step::Fatal(_) => panic!("the journal works"),
            }
        }
        self.journal.release();
    }

    /// Starts the lane of a destination.
    fn start(&self, name: &str, url: &str, change: impl FnOnce(&mut Plan)) -> Open {
        let mut plan = Plan::new(name, url);
        plan.policy.schedule = Schedule::new(&[10, 100].map(Duration::from_secs)).unwrap();
        change(&mut plan);
        let to = Arc::new(Destination::build(plan, &mut Roots::default()).unwrap());
        let lane = self.journal.lane(self.journal.destination(name).unwrap()).unwrap();
        Open { desk: open(to, lane, self.metrics.destination(name, ENDINGS), &self.house).0 }
    }

    /// Moves the clock, and lets the lanes see it.
    fn advance(&self, by: Duration, lanes: &[&Open]) {
        self.hand.advance(by);
        for lane in lanes {
            lane.desk.bell.notify_one();
        }
    }
}

impl Open {
    fn total(&self, ending: Ending) -> u64 {
        self.desk.metrics.outcomes.total(ending as usize)
    }

    /// Waits until that many attempts ended like this.
    async fn ended(&self, ending: Ending, count: u64) {
        wait(|| self.total(ending) >= count).await;
        assert_eq!(self.total(ending), count, "{ending:?}");
    }

    fn running(&self) -> i64 {
        self.desk.metrics.running.get()
    }

    fn owed(&self) -> u64 {
        self.desk.lane.backlog().owed
    }
}

/// Gives the other tasks turns until something is so.
async fn wait(so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}

/// Gives the other tasks turns in which something might happen that should not.
async fn settle_down() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
