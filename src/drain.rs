//! Who is still at work, and how do they learn that the house closes?
//!
//! Promises: every task of the house is started through [`Drain::spawn`], so that [`Drain::finished`] returns only when
//! the last of them has ended; a task that panics is counted, never silent.
//!
//! Must not know: what the tasks do.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Panics seen since [`count_panics`] was called, caught ones included.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Counts every panic of this process from now on, before the usual hook speaks. To be called once, by the front door.
pub fn count_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(info);
    }));
}

/// Starts tasks, tells them to finish, waits for them. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    running: AtomicUsize,
    ended: Notify,
    closing: watch::Sender<bool>,
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// An open house with nobody in it.
    #[must_use]
    pub fn new() -> Self {
        let (closing, _) = watch::channel(false);
        Self(Arc::new(Inner { running: AtomicUsize::new(0), ended: Notify::new(), closing }))
    }

    /// Starts a task on the current runtime; [`Drain::finished`] waits for it.
    #[expect(clippy::disallowed_methods, reason = "the one door to tokio::spawn")]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let presence = Presence::new(self);
        tokio::spawn(async move {
            let output = task.await;
            drop(presence);
            output
        })
    }

    /// Tells every task to finish what it has and to take nothing new.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// Whether [`Drain::close`] was called.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.0.closing.borrow()
    }

    /// Returns when [`Drain::close`] is called, at once if it already was.
    pub async fn closing(&self) {
        let mut seen = self.0.closing.subscribe();
        // An error would mean that the sender is gone, but `self` holds it.
        drop(seen.wait_for(|closing| *closing).await);
    }

    /// Returns when no task is running. Has no deadline of its own: the caller sets one.
    pub async fn finished(&self) {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.0.running.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// How many tasks are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }
}

/// Counts a task as running for as long as it lives, also when it ends by a panic or is aborted.
struct Presence(Arc<Inner>);

impl Presence {
    fn new(drain: &Drain) -> Self {
        drain.0.running.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&drain.0))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_the_last_task() {
        let drain = Drain::new();
        let gate = Arc::new(Notify::new());
        for _ in 0..3 {
            let gate = Arc::clone(&gate);
            drain.spawn(async move { gate.notified().await });
        }
        assert_eq!(drain.running(), 3);
        let mut finished = std::pin::pin!(drain.finished());
        tokio::select! {
            biased;
            () = &mut finished => panic!("three tasks are still running"),
            () = tokio::task::yield_now() => {}
        }
        gate.notify_waiters();
        finished.await;
        assert_eq!(drain.running(), 0);
    }

    #[tokio::test]
    async fn a_task_that_panics_or_is_aborted_has_ended_too() {
        let drain = Drain::new();
        let failed = drain.spawn(async { panic!("on purpose") }).await;
        assert!(failed.is_err());
        let endless = drain.spawn(std::future::pending::<()>());
        endless.abort();
        assert!(endless.await.is_err());
        drain.finished().await;
    }

    #[tokio::test]
    async fn closing_is_seen_by_who_waits_and_by_who_comes_late() {
        let drain = Drain::new();
        assert!(!drain.is_closing());
        let early = {
            let drain = drain.clone();
            drain.clone().spawn(async move { drain.closing().await })
        };
        tokio::task::yield_now().await;
        drain.close();
        early.await.unwrap();
        drain.closing().await;
        assert!(drain.is_closing());
    }
}
