//! How does a running house take in another configuration?
//!
//! Read, checked and built as at the start; then everything that can fail is done (new names are made durable, the new
//! snapshot is built of their ids); then all of it is put in place, which cannot fail.
//!
//! Promises: if anything is wrong the configuration in force stays, and every problem is told; counters, buckets, backlogs,
//! connections and TLS sessions survive; what needs a restart is named and the rest applied; one reload at a time, those
//! who ask meanwhile wait.
//!
//! Must not know: who asks, or how anything is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::alarm::Alarm;
use super::assembly::{self, Assembly, Rooms, Started};
use super::notify::Notify;
use super::observing;
use super::watch::{LOOK, Scope, Watcher, stamps};
use crate::admin::{Answer, NotReloaded, Reloaded, Wrong};
use crate::clock::Timestamp;
use crate::config::{self, Changes, Config, Destination, Inventory, Report};
use crate::deliver::{self, Running};
use crate::drain::Drain;
use crate::journal::{ConfigureError, DestinationPlan};
use crate::listen::tls::Tls;
use crate::snapshot::Snapshot;
use crate::tenant::Table;

/// How many may wait for a reload.
const WAITING_MAX: usize = 8;

/// Somebody wants a reload.
pub(super) struct Asked(Option<oneshot::Sender<Answer>>);

/// Where reloads are asked for. Cloning shares it.
#[derive(Clone)]
pub(super) struct Bell(mpsc::Sender<Asked>);

impl Bell {
    /// A reload soon. If many wait for one already, theirs will do.
    pub(super) fn ring(&self) {
        drop(self.0.try_send(Asked(None)));
    }

    /// A reload, and what came of it.
    pub(super) async fn wait(&self) -> Answer {
        let closes = || NotReloaded::Failed("the house closes".to_owned());
        let (tell, told) = oneshot::channel();
        self.0.send(Asked(Some(tell))).await.map_err(|_| closes())?;
        told.await.unwrap_or_else(|_| Err(closes()))
    }
}

/// A bell, and where it is heard.
pub(super) fn bell() -> (Bell, mpsc::Receiver<Asked>) {
    let (bell, heard) = mpsc::channel(WAITING_MAX);
    (Bell(bell), heard)
}

/// Every lane that was started, by the name of its destination. A destination that leaves the configuration keeps its lane,
/// which begins nothing any more, so that it can come back whatever is still under way.
pub(super) struct Lanes {
    house: deliver::House,
    alarm: Alarm,
    running: BTreeMap<Box<str>, Running>,
}

impl Lanes {
    pub(super) const fn new(house: deliver::House, alarm: Alarm) -> Self {
        Self { house, alarm, running: BTreeMap::new() }
    }

    /// What tenants are called from now on, where a destination of this configuration asks for it.
    pub(super) fn name_tenants(&self, config: &Config, tenants: &Table) {
        let asked = config.destinations.iter().any(|to| to.built.names_tenants());
        self.house.tenants.set(tenants.numbers().filter(|_| asked));
    }

    pub(super) fn start(&mut self, (destination, lane, metrics): Started) {
        let name = destination.name().into();
        let what = format!("the lane of destination {name}");
        let (running, task) = deliver::start(destination, lane, metrics, &self.house);
        self.alarm.guard(what, task);
        self.running.insert(name, running);
    }
}

/// A listener that is open.
pub(super) type Opened = (Arc<str>, Option<Tls>);

/// Is in force what the operator wrote? Files that are taken in do not make a text good that was refused.
#[derive(Debug, Default)]
struct Standing {
    /// The text that was read last did not take effect.
    text_failed: bool,
}

impl Standing {
    /// Whether all of it is, after a reload of this scope that went well or did not.
    const fn after(&mut self, scope: Scope, well: bool) -> bool {
        if matches!(scope, Scope::Whole) {
            self.text_failed = !well;
        }
        well && !self.text_failed
    }
}

/// What changes with a configuration, and the one in force.
pub(super) struct Reloader {
    config: Arc<Config>,
    /// What the house was started with: some of it stays until it ends.
    started: Inventory,
    assembly: Arc<Assembly>,
    doors: Vec<Opened>,
    lanes: Lanes,
    notify: Arc<Notify>,
    generation: u64,
    standing: Standing,
    /// The journal was not told yet what this configuration asks of it.
    owes_plans: bool,
}

impl Reloader {
    /// A house that was started with this configuration.
    pub(super) fn new(
        config: Arc<Config>,
        assembly: Arc<Assembly>,
        doors: Vec<Opened>,
        lanes: Lanes,
        notify: Arc<Notify>,
    ) -> Self {
        let started = config.inventory.fixed();
        let (generation, standing) = (assembly::FIRST, Standing::default());
        Self { config, started, assembly, doors, lanes, notify, generation, standing, owes_plans: false }
    }

    /// Reloads whenever it is asked to or a file changes, until the house closes.
    pub(super) async fn run(mut self, mut heard: mpsc::Receiver<Asked>, house: Drain) {
        let closing = house.closing();
        tokio::pin!(closing);
        let mut watcher = Watcher::of(&self.config);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (scope, tell) = tokio::select! {
                biased;
                () = closing.as_mut() => return,
                asked = heard.recv() => match asked {
                    Some(Asked(tell)) => (Scope::Whole, tell),
                    None => return,
                },
                _ = looks.tick() => match look(&mut watcher).await {
                    Some(scope) => (scope, None),
                    None => continue,
                },
            };
            self.notify(Notify::reloading).await;
            let answer = self.reload(scope).await;
            self.notify(|notify| notify.ready("takes events in")).await;
            if answer.is_ok() {
                watcher = Watcher::of(&self.config);
            }
            self.tell(scope, &answer);
            if let Some(tell) = tell {
                // Whoever asked may have gone.
                drop(tell.send(answer));
            }
        }
    }

    /// Whoever is told may be slow to hear it.
    async fn notify(&self, tell: impl FnOnce(&Notify) + Send + 'static) {
        let notify = Arc::clone(&self.notify);
        // Nothing depends on it.
        drop(spawn_blocking(move || tell(&notify)).await);
    }

    async fn reload(&mut self, scope: Scope) -> Answer {
        let config = Arc::clone(&self.config);
        let read = move || match scope {
            Scope::Whole => config::load(&config.path),
            Scope::Files => config::refresh(&config),
        };
        let read = spawn_blocking(read).await.map_err(|error| NotReloaded::Failed(error.to_string()))?;
        let next = read.map_err(|report| refused(&report))?;
        self.take_in(next).await.map_err(NotReloaded::Failed)
    }

    async fn take_in(&mut self, next: Config) -> Result<Reloaded, String> {
        let changes = Changes::between(&self.started, &self.config.inventory, &next.inventory);
        self.name(&next).await.map_err(|error| error.to_string())?;
        let generation = self.generation + 1;
        let now = self.assembly.clock.now();
        let (next, snapshot) = self.build(next, generation, now).await?;
        let fresh = self.fresh(&next)?;
        // From here on nothing is refused any more.
        self.lanes.name_tenants(&next, &snapshot.tenants);
        self.send(&next, &changes.destinations, fresh);
        let left = self.assembly.snapshot.swap(snapshot);
        observing::tell(Some(&self.config), &next, &self.assembly.metrics, &self.assembly.destinations);
        self.assembly.silence.follow(&next, &self.assembly.metrics, now);
        for (name, tls) in &self.doors {
            let now = next.listeners.iter().find(|listener| listener.name == *name);
            if let (Some(tls), Some(now)) = (tls, now.and_then(|listener| listener.tls.as_ref())) {
                tls.adopt(now);
            }
        }
        self.park(&next).await;
        self.generation = generation;
        let dangers = next.dangers.as_ref().map(lines_of).unwrap_or_default();
        let left = (left, std::mem::replace(&mut self.config, Arc::new(next)));
        // No request waits until many tenants have been forgotten.
        drop(spawn_blocking(move || drop(left)).await);
        let Changes { applied, restart, destinations: _ } = changes;
        Ok(Reloaded { generation, changed: applied, restart, dangers })
    }

    /// What the corridors see of this configuration. With many tenants that takes its time, for which no request waits.
    async fn build(&self, next: Config, generation: u64, now: Timestamp) -> Result<(Config, Snapshot), String> {
        let assembly = Arc::clone(&self.assembly);
        let doors: Vec<Arc<str>> = self.doors.iter().map(|(name, _)| Arc::clone(name)).collect();
        let build = move || {
            let Assembly { journal, metrics, snapshot, .. } = &*assembly;
            let rooms = Rooms { journal, metrics, doors: &doors, now };
            let built = assembly::snapshot(&rooms, &next, generation, Some(&snapshot.load()));
            built.map(|built| (next, built)).map_err(|error| error.to_string())
        };
        spawn_blocking(build).await.map_err(|error| error.to_string())?
    }

    /// Gives ids to names that the journal does not know; nobody who has one already notices.
    async fn name(&self, next: &Config) -> Result<(), ConfigureError> {
        let journal = &self.assembly.journal;
        let known = next.sources.iter().all(|source| journal.source(&source.name).is_some())
            && observing::live(next).all(|to| journal.destination(&to.plan.name).is_some());
        if known {
            return Ok(());
        }
        let mut plans = observing::plans(&self.config);
        let new = |plan: &DestinationPlan| journal.destination(&plan.name).is_none();
        plans.extend(observing::plans(next).into_iter().filter(new));
        self.configure(next, &plans).await
    }

    /// The journal goes by the new plans, and parks what the configuration does not know any more. Where it cannot, the
    /// next reload tries again.
    async fn park(&mut self, next: &Config) {
        let plans = observing::plans(next);
        if !self.owes_plans && plans == observing::plans(&self.config) {
            return;
        }
        let told = self.configure(next, &plans).await;
        self.owes_plans = told.is_err();
        if let Err(error) = told {
            tracing::error!(%error, "the journal goes on by what it was told before; the next reload tells it again");
        }
    }

    async fn configure(&self, next: &Config, plans: &[DestinationPlan]) -> Result<(), ConfigureError> {
        let sources: Vec<&str> = next.sources.iter().map(|source| &*source.name).collect();
        let (tell, told) = oneshot::channel();
        // Nobody listens any more only where the process is about to end.
        self.assembly.journal.configure(&sources, plans, move |result| {
            let _: Result<(), Result<(), ConfigureError>> = tell.send(result);
        });
        told.await.unwrap_or(Err(ConfigureError::Ended))
    }

    /// The lanes of destinations that have none yet; if one of them cannot be had, none is taken.
    fn fresh(&self, next: &Config) -> Result<Vec<Started>, String> {
        let Assembly { journal, metrics, destinations, .. } = &*self.assembly;
        let take = |to: &Destination| {
            let name = &*to.plan.name;
            let id = assembly::destination_id(journal, name).map_err(|error| error.to_string())?;
            let lane = journal.lane(id).ok_or_else(|| format!("the lane of destination {name} is taken"))?;
            Ok((Arc::clone(&to.built), lane, destinations.of(name, metrics)))
        };
        observing::live(next).filter(|to| !self.lanes.running.contains_key(&*to.plan.name)).map(take).collect()
    }

    /// Changes, resumes, starts and pauses lanes.
    fn send(&mut self, next: &Config, changed: &BTreeSet<String>, fresh: Vec<Started>) {
        let before: BTreeSet<&str> = observing::live(&self.config).map(|to| &*to.plan.name).collect();
        for to in observing::live(next) {
            let name = &*to.plan.name;
            let Some(running) = self.lanes.running.get(name) else { continue };
            if !before.contains(name) {
                running.replace(Arc::clone(&to.built));
                running.resume();
            } else if changed.contains(name) {
                running.replace(Arc::clone(&to.built));
            }
        }
        for started in fresh {
            self.lanes.start(started);
        }
        let left = before.into_iter().filter(|name| !observing::live(next).any(|to| &*to.plan.name == *name));
        for running in left.filter_map(|name| self.lanes.running.get(name)) {
            running.pause();
        }
    }

    /// Counts it, and tells the log.
    fn tell(&mut self, scope: Scope, answer: &Answer) {
        let stands = self.standing.after(scope, answer.is_ok());
        let told = self.assembly.metrics.config();
        let place = match answer {
            Ok(_) => 0,
            Err(NotReloaded::Refused { .. }) => 1,
            Err(NotReloaded::Failed(_)) => 2,
        };
        told.reloads.count(place);
        told.successful.set(i64::from(stands));
        match answer {
            Ok(Reloaded { generation, changed, restart, dangers }) => {
                let now = self.assembly.clock.now().as_secs();
                told.loaded.set(i64::try_from(now).unwrap_or(i64::MAX));
                told.generation.set(i64::try_from(*generation).unwrap_or(i64::MAX));
                tracing::info!(generation, changed = changed.join("; "), "configuration reloaded");
                if !restart.is_empty() {
                    tracing::warn!(
                        changed = restart.join("; "),
                        "some of the configuration takes effect after a restart"
                    );
                }
                for danger in dangers.iter().filter(|_| !changed.is_empty()) {
                    tracing::warn!(danger, "the configuration is unsafe");
                }
                self.tell_parked();
            }
            Err(NotReloaded::Refused { problems, .. }) => {
                for Wrong { file, line, problem, marked, .. } in problems {
                    tracing::error!(file, line, problem, marked, "the configuration has a problem");
                }
                tracing::error!(problems = problems.len(), "configuration not reloaded: the one in force stays");
            }
            Err(NotReloaded::Failed(reason)) => {
                tracing::error!(reason, "configuration not reloaded: the one in force stays");
            }
        }
    }

    /// What is owed to destinations that left waits for their return, and somebody must know.
    fn tell_parked(&self) {
        for parked in self.assembly.journal.health().destinations.iter().filter(|to| to.parked && to.owed > 0) {
            observing::tell_parked(&self.config, &parked.name, parked.owed);
        }
    }
}

async fn look(watcher: &mut Watcher) -> Option<Scope> {
    let paths = watcher.paths();
    // A look that went wrong is made good by the next one.
    let now = spawn_blocking(move || stamps(&paths)).await.ok()?;
    watcher.look(now)
}

fn refused(report: &Report) -> NotReloaded {
    let wrong = |problem| {
        let place = report.place(problem);
        Wrong {
            file: place.file,
            line: place.line,
            column: place.column,
            problem: problem.title().to_owned(),
            marked: problem.marked().to_owned(),
            advice: problem.advice().map(str::to_owned).collect(),
        }
    };
    NotReloaded::Refused { problems: report.problems().iter().map(wrong).collect(), report: report.render(false) }
}

fn lines_of(dangers: &Report) -> Vec<String> {
    let line = |danger: &config::Problem| {
        let place = dangers.place(danger);
        format!("{}:{}: {}", place.file, place.line, danger.title())
    };
    dangers.problems().iter().map(line).collect()
}

#[cfg(test)]
mod tests;
