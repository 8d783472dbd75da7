//! To which addresses does a name lead now?
//!
//! Promises: a name is asked for once however many want it, and what was found is kept for a few seconds, so that many
//! connections at once are one question; names and addresses that are kept are bounded; a name that cannot be found is
//! asked for again soon.
//!
//! Must not know: which addresses are allowed.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The most names that are kept.
const NAMES_MAX: usize = 256;
/// The most addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 64;
/// How long what was found is kept.
const FOUND: Duration = Duration::from_secs(5);
/// How long it is kept that nothing was found.
const LOST: Duration = Duration::from_secs(1);

/// The addresses of a name, or why there are none.
pub(super) type Answer = Result<Arc<[IpAddr]>, Arc<str>>;

/// What a test says of a name.
#[cfg(test)]
type Teller = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Who is asked.
enum Source {
    /// The system.
    System,
    /// A test.
    #[cfg(test)]
    Told(Box<Teller>),
}

/// Resolves names.
pub(super) struct Names {
    source: Source,
    known: Mutex<HashMap<Box<str>, Known>>,
}

enum Known {
    Told {
        until: Instant,
        answer: Answer,
    },
    /// Somebody is asking; closed when they have an answer, or gave up.
    Asked(watch::Receiver<()>),
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names(..)")
    }
}

impl Default for Names {
    fn default() -> Self {
        Self { source: Source::System, known: Mutex::default() }
    }
}

/// What is to be done about a name.
enum Turn {
    Known(Answer),
    Wait(watch::Receiver<()>),
    /// To be asked, while this is held.
    Ask(Option<watch::Sender<()>>),
}

impl Names {
    #[cfg(test)]
    pub(super) fn told(by: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self { source: Source::Told(Box::new(by)), known: Mutex::default() }
    }

    /// The addresses of a name, in the order in which they are to be tried; never none.
    pub(super) async fn find(&self, name: &str) -> Answer {
        loop {
            match self.turn(name, Instant::now()) {
                Turn::Known(answer) => return answer,
                // Whoever asked has an answer or gave up; either way it is looked up again.
                Turn::Wait(mut asked) => drop(asked.changed().await),
                Turn::Ask(asking) => {
                    let answer = self.ask(name).await;
                    if asking.is_some() {
                        let kept = if answer.is_ok() { FOUND } else { LOST };
                        let told = Known::Told { until: Instant::now() + kept, answer: answer.clone() };
                        self.known().insert(name.into(), told);
                    }
                    return answer;
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Known>> {
        // Nothing is left half-done where it could panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, name: &str, now: Instant) -> Turn {
        let mut known = self.known();
        match known.get(name) {
            Some(Known::Told { until, answer }) if now < *until => return Turn::Known(answer.clone()),
            Some(Known::Asked(asked)) if asked.has_changed().is_ok() => return Turn::Wait(asked.clone()),
            _ => {}
        }
        if known.len() >= NAMES_MAX && !known.contains_key(name) {
            known.retain(|_, known| known.is_of_use(now));
            if known.len() >= NAMES_MAX {
                // It is asked for, and not kept.
                return Turn::Ask(None);
            }
        }
        let (asking, asked) = watch::channel(());
        known.insert(name.into(), Known::Asked(asked));
        Turn::Ask(Some(asking))
    }

    async fn ask(&self, name: &str) -> Answer {
        let found = match &self.source {
            Source::System => tokio::net::lookup_host((name, 0)).await.map(|found| {
                let mut addresses: Vec<IpAddr> = Vec::new();
                for address in found.take(ADDRESSES_MAX).map(|found| found.ip()) {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                addresses
            }),
            #[cfg(test)]
            Source::Told(by) => {
                tokio::task::yield_now().await;
                by(name)
            }
        };
        match found {
            Ok(found) if found.is_empty() => Err(Arc::from("the name has no address")),
            Ok(found) => Ok(found.into()),
            Err(error) => Err(io::Error::to_string(&error).into()),
        }
    }
}

impl Known {
    fn is_of_use(&self, now: Instant) -> bool {
        match self {
            Self::Told { until, .. } => now < *until,
            Self::Asked(asked) => asked.has_changed().is_ok(),
        }
    }
}

#[cfg(test)]
mod tests;
