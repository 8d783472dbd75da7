//! How does the house learn that it only seems to run?
//!
//! Promises: when a task panics that somebody relies on, or a listener ends although the house does not close, it is told
//! once, so that the process can end as a failure and be started anew, instead of standing there in good health and
//! answering nobody.
//!
//! Must not know: what the tasks do, or what follows.

use std::future::Future;
use std::io;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::drain::Drain;

/// Rings when a task ends that must not. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    watched: Drain,
    broken: mpsc::Sender<String>,
}

/// An alarm, and where it is heard what is broken. Those who watch are started through `watched`.
pub(super) fn alarm(watched: &Drain) -> (Alarm, mpsc::Receiver<String>) {
    let (broken, broke) = mpsc::channel(1);
    (Alarm { watched: watched.clone(), broken }, broke)
}

impl Alarm {
    /// Rings if this task panics.
    pub(super) fn guard(&self, what: String, task: JoinHandle<()>) {
        let alarm = self.clone();
        drop(self.watched.spawn(async move {
            if task.await.is_err_and(|error| error.is_panic()) {
                alarm.ring(format!("{what} panicked"));
            }
        }));
    }

    /// Starts a listener, and rings if it panics or fails; it ends well only when the house closes.
    pub(super) fn keep_open(
        &self,
        what: String,
        drain: &Drain,
        open: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        let (alarm, name) = (self.clone(), what.clone());
        let task = drain.spawn(async move {
            if let Err(error) = open.await {
                alarm.ring(format!("{name} ended: {error}"));
            }
        });
        self.guard(what, task);
    }

    fn ring(&self, what: String) {
        // If there is no room, somebody else has told already.
        drop(self.broken.try_send(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_told_of_and_one_that_ends_or_is_aborted_is_not() {
        let watched = Drain::new();
        let (alarm, mut broke) = alarm(&watched);
        alarm.guard("an end".to_owned(), watched.spawn(async {}));
        let endless = watched.spawn(std::future::pending());
        endless.abort();
        alarm.guard("an abortion".to_owned(), endless);
        watched.finished().await;
        assert!(broke.try_recv().is_err());
        for place in ["first", "second"] {
            alarm.guard(place.to_owned(), watched.spawn(async { panic!("on purpose") }));
        }
        watched.finished().await;
        assert!(matches!(broke.recv().await.as_deref(), Some("first panicked" | "second panicked")), "one is enough");
    }

    #[tokio::test]
    async fn a_listener_that_fails_or_panics_is_told_of_and_one_that_closes_is_not() {
        let (watched, front) = (Drain::new(), Drain::new());
        let (alarm, mut broke) = alarm(&watched);
        let mut told = async |open: fn() -> io::Result<()>| {
            alarm.keep_open("listener public".to_owned(), &front, async move { open() });
            front.finished().await;
            watched.finished().await;
            broke.try_recv().ok()
        };
        assert_eq!(told(|| Ok(())).await, None);
        let failed = told(|| Err(io::Error::other("no such thing"))).await;
        assert_eq!(failed.as_deref(), Some("listener public ended: no such thing"));
        assert_eq!(told(|| panic!("on purpose")).await.as_deref(), Some("listener public panicked"));
    }
}
