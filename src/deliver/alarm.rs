//! Is the time up?
//!
//! Promises: one timer per worker, moved only when it has gone off or is armed too late, because a deadline is set for
//! every attempt and passes for almost none.
//!
//! Must not know: what the time is for.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

/// A timer that is always armed at or before the instant that is asked for.
pub(super) struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    pub(super) fn new(at: Instant) -> Self {
        Self(Box::pin(tokio::time::sleep_until(at)))
    }

    /// Ready once `at` has passed.
    pub(super) fn poll(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.0.deadline() > at {
                self.0.as_mut().reset(at);
            }
            std::task::ready!(self.0.as_mut().poll(context));
            if self.0.deadline() >= at {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(at);
        }
    }
}

/// Why something was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its own deadline.
    Deadline,
    /// The house closes and cannot wait any longer.
    Stop,
}

/// What bounds an attempt in time.
pub(super) struct Limits<'a> {
    pub(super) alarm: &'a mut Alarm,
    pub(super) deadline: Instant,
    /// Set when the house closes; whoever sets it wakes the tasks that look at it.
    pub(super) stop: &'a OnceLock<Instant>,
}

impl Limits<'_> {
    /// Waits for `future`, but not beyond the limits.
    pub(super) async fn within<F: Future>(&mut self, future: F) -> Result<F::Output, Cut> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let stop = self.stop.get().copied().filter(|stop| *stop < self.deadline);
            match self.alarm.poll(stop.unwrap_or(self.deadline), context) {
                Poll::Ready(()) if stop.is_some() => Poll::Ready(Err(Cut::Stop)),
                Poll::Ready(()) => Poll::Ready(Err(Cut::Deadline)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn goes_off_when_asked_for_wherever_it_was_armed() {
        let start = Instant::now();
        for (armed, asked) in [(5, 2), (2, 5), (3, 3), (0, 1)] {
            let now = Instant::now();
            let mut alarm = Alarm::new(now + SECOND * armed);
            std::future::poll_fn(|context| alarm.poll(now + SECOND * asked, context)).await;
            assert_eq!(now.elapsed(), SECOND * asked, "armed at {armed}");
        }
        assert_eq!(start.elapsed(), SECOND * 11);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_not_cut_and_the_nearer_limit_cuts() {
        let now = Instant::now();
        let mut alarm = Alarm::new(now);
        let stop = OnceLock::new();
        let mut limits = Limits { alarm: &mut alarm, deadline: now, stop: &stop };
        assert_eq!(limits.within(ready(7)).await, Ok(7), "even when the time is up");
        limits.deadline = now + SECOND * 4;
        assert_eq!(limits.within(pending::<()>()).await, Err(Cut::Deadline));
        assert_eq!(now.elapsed(), SECOND * 4);
        stop.set(now + SECOND * 9).unwrap();
        limits.deadline = now + SECOND * 6;
        assert_eq!(limits.within(pending::<()>()).await, Err(Cut::Deadline), "the house would still wait");
        limits.deadline = now + SECOND * 60;
        assert_eq!(limits.within(pending::<()>()).await, Err(Cut::Stop));
        assert_eq!(now.elapsed(), SECOND * 9);
    }
}
