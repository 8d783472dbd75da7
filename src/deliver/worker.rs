//! Who carries an event to a destination?
//!
//! Promises: a worker has at most one connection and drives it itself; it goes on for as long as there is something to
//! take; with nothing to do it notices when the other side closes, and goes home after a while.
//!
//! Must not know: what an outcome leads to.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::drain::Drain;

use super::alarm::{Alarm, Limits};
use super::attempt::{Ended, Kit, attempt};
use super::desk::{Desk, Hired};
use super::line::Line;
use super::plan::Destination;
use super::request::{Facts, Names, Parcel};
use super::whose::Whose;
use super::work::Work;

/// How long a worker keeps its connection without anything to do: less than the minute after which many servers close it.
const IDLE: Duration = Duration::from_secs(50);

/// Starts the workers that were hired.
pub(super) fn start(desk: &Arc<Desk>, drain: &Drain, hired: Hired) {
    for seat in hired {
        let worker = Worker { desk: Arc::clone(desk), drain: drain.clone(), seat, seated: true, work: None };
        drop(drain.spawn(worker.run()));
    }
}

struct Worker {
    desk: Arc<Desk>,
    drain: Drain,
    seat: u16,
    seated: bool,
    /// What it has in hand; put back if the worker ends without having settled it.
    work: Option<Work>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.desk.abandon(work);
        }
        while self.seated {
            match self.desk.leave(self.seat) {
                Some(work) => self.desk.abandon(work),
                None => self.seated = false,
            }
        }
    }
}

impl Worker {
    async fn run(mut self) {
        let mut kit = Kit::default();
        // Whom the connection is to; held, so that no other destination can be taken for it.
        let mut known: Option<Arc<Destination>> = None;
        let mut alarm = Alarm::new(Instant::now() + IDLE);
        while let Some(work) = self.rest(&mut kit.line, &mut alarm).await {
            self.work = Some(work);
            while let Some(work) = &self.work {
                if !known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &work.to)) {
                    kit = Kit::default();
                    known = Some(Arc::clone(&work.to));
                }
                let ended = self.carry(work, &mut kit, &mut alarm).await;
                let hired = self.desk.settle(&mut self.work, ended);
                if !hired.is_empty() {
                    start(&self.desk, &self.drain, hired);
                }
            }
        }
    }

    async fn carry(&self, work: &Work, kit: &mut Kit, alarm: &mut Alarm) -> Ended {
        let Desk { clock, network, stop, lane, tenants, .. } = &*self.desk;
        let Work { to, delivery, .. } = work;
        let facts =
            Facts { event_id: delivery.event_id, attempt: work.number, accepted: delivery.accepted, span: work.span };
        let whose = Whose::of(delivery, to, lane, tenants);
        let names = whose.as_ref().map_or_else(Names::default, |whose| Names {
            source: &whose.source,
            tenant: &whose.tenant,
            kind: &delivery.kind,
        });
        let (head, body) = (&delivery.head, delivery.body.pieces());
        let parcel = Parcel { head, body, facts, courier: work.courier.as_ref(), names };
        let mut limits = Limits { alarm, deadline: work.began + to.deadline, stop };
        attempt(to, kit, &mut limits, (clock, network), &parcel).await
    }

    /// Waits for something to do. `None` when there is nothing to be had any more, or was not for long.
    async fn rest(&mut self, line: &mut Option<Line>, alarm: &mut Alarm) -> Option<Work> {
        let end = Instant::now() + IDLE;
        std::future::poll_fn(|context| {
            if let Poll::Ready(errand) = self.desk.poll_errand(self.seat, context) {
                return Poll::Ready(errand);
            }
            if line.as_mut().is_some_and(|line| line.poll_closed(context).is_ready()) {
                *line = None;
            }
            std::task::ready!(alarm.poll(end, context));
            let work = self.desk.leave(self.seat);
            self.seated = work.is_some();
            Poll::Ready(work)
        })
        .await
    }
}
