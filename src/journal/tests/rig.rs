//! A journal whose writer stands still until a test moves it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Clock, Hand, Timestamp};
use crate::journal::{
    Ailing, Delivery, DestinationPlan, Journal, Lane, Memory, Options, Pending, Record, Refused, Report, Settlement,
    Step, Storage, Taken, Target, Writer,
};

pub(super) const START: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(super) struct Rig {
    pub(super) storage: Memory,
    pub(super) journal: Journal,
    pub(super) writer: Writer,
    pub(super) report: Report,
    pub(super) hand: Hand,
    pub(super) clock: Clock,
}

pub(super) fn small() -> Options {
    Options {
        segment_size: 64 << 10,
        size: 2 << 20,
        keep_dead_size: 256 << 10,
        dedup_entries: 1000,
        ring_bytes: 16 << 10,
        retry_slots: 4,
        retry_slots_per_tenant: 2,
        ..Options::default()
    }
}

pub(super) fn plans() -> Vec<DestinationPlan> {
    vec![DestinationPlan { essential: true, ..DestinationPlan::new("one") }, DestinationPlan::new("two")]
}

pub(super) fn open(storage: &Memory, options: Options, plans: &[DestinationPlan], at: Timestamp) -> Rig {
    open_seam(Arc::new(storage.clone()), storage, options, plans, at)
}

/// On a disk that may ail.
pub(super) fn on(disk: &Ailing, options: Options, at: Timestamp) -> Rig {
    open_seam(Arc::new(disk.clone()), &disk.files, options, &plans(), at)
}

fn open_seam(
    seam: Arc<dyn Storage>,
    storage: &Memory,
    options: Options,
    plans: &[DestinationPlan],
    at: Timestamp,
) -> Rig {
    let (clock, hand) = Clock::manual(at);
    let opened = Journal::open(seam, options, clock.clone(), &["source"], plans);
    let (journal, writer, report) = opened.expect("it opens");
    Rig { storage: storage.clone(), journal, writer, report, hand, clock }
}

pub(super) fn fresh() -> Rig {
    open(&Memory::new(), small(), &plans(), START)
}

pub(super) fn target(destination: u32) -> Target {
    Target { destination, not_before: Timestamp::ZERO }
}

pub(super) fn record(number: u64, length: usize, at: Timestamp) -> Record {
    let mut event_id = [0; 16];
    event_id[..8].copy_from_slice(&number.to_le_bytes());
    Record {
        event_id,
        targets: Arc::new([target(0), target(1)]),
        accepted: at,
        kind: Arc::from("kind"),
        dedup_key: Some(u128::from(number)),
        head: Bytes::from_static(b"head"),
        body: body(number, length).into(),
        ..Record::default()
    }
}

pub(super) fn body(number: u64, length: usize) -> Bytes {
    let bytes = number.to_le_bytes();
    (0..length).map(|place| bytes[place % 8] ^ 0x5A).collect::<Vec<u8>>().into()
}

pub(super) fn number_of(delivery: &Delivery) -> u64 {
    u64::from_le_bytes(delivery.event_id[..8].try_into().expect("eight bytes"))
}

impl Rig {
    pub(super) fn append(&self, number: u64, length: usize) -> Result<Pending, Refused> {
        self.journal.append_one(record(number, length, self.clock.now()))
    }

    /// Steps until there is nothing to do at this instant.
    pub(super) fn settle(&mut self) {
        for _ in 0..20_000 {
            match self.writer.step() {
                Step::Worked => {}
                Step::Idle { .. } | Step::Closed => {
                    self.journal.release();
                    return;
                }
                Step::Fatal(error) => panic!("the writer gave up: {error}"),
            }
        }
        panic!("the writer never comes to rest");
    }

    /// Lets marks and outcomes become due, too.
    pub(super) fn rest(&mut self) {
        self.settle();
        self.hand.advance(Duration::from_millis(200));
        self.settle();
        self.hand.advance(Duration::from_millis(200));
        self.settle();
    }

    pub(super) fn crash(self) -> Memory {
        let Self { storage, .. } = self;
        storage
    }

    pub(super) fn reopen(self) -> Self {
        self.reopen_with(small(), &plans())
    }

    pub(super) fn reopen_with(self, options: Options, plans: &[DestinationPlan]) -> Self {
        let now = self.clock.now();
        let storage = self.crash();
        open(&storage, options, plans, now)
    }

    pub(super) fn take(&self, lane: &Lane) -> Option<Delivery> {
        for _ in 0..1000 {
            match lane.next(self.clock.now()) {
                Taken::Delivery(delivery) => return Some(delivery),
                Taken::Read(job) => lane.accept(job.run()),
                Taken::Idle { .. } => return None,
            }
        }
        panic!("the lane reads for ever");
    }

    /// Delivers all that can be had now; the numbers in order.
    pub(super) fn deliver_all(&self, lane: &Lane) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(delivery) = self.take(lane) {
            numbers.push(number_of(&delivery));
            assert_eq!(delivery.head, Bytes::from_static(b"head"));
            let length = delivery.body.len();
            assert_eq!(delivery.body.joined(), body(number_of(&delivery), length), "bytes in are bytes out");
            lane.settle(delivery, Settlement::Delivered);
        }
        numbers
    }
}

pub(super) fn ready(pending: &mut Pending) -> Option<bool> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match Future::poll(std::pin::Pin::new(pending), &mut context) {
        std::task::Poll::Ready(fate) => Some(fate.is_ok()),
        std::task::Poll::Pending => None,
    }
}
