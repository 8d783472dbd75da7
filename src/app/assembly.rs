//! Which room gets what of the configuration?
//!
//! Promises: everything is resolved here, once: ids, routes, metric handles, replies; no request looks a name up.
//!
//! Must not know: sockets, or when anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderValue, StatusCode};

use super::AppError;
use super::observing;
use super::silence::Silence;
use crate::admission::Admission;
use crate::callers::{Callers, Wish};
use crate::clock::{Clock, Timestamp};
use crate::config::provider::Answer;
use crate::config::{self, Config};
use crate::dedup::{Entry as Remembered, Window};
use crate::deliver;
use crate::ingress::{Ingress, OUTCOMES, REFUSALS, TENANT_OUTCOMES};
use crate::journal::{Disk, Journal, Lane, OpenError, Report, Storage, Target, Writer};
use crate::metrics::{DestinationMetrics, Metrics};
use crate::route::{Rule, SourceId, Table, Then};
use crate::snapshot::{
    Ack, Aside, Audience, Entry, Listener, Passing, Replies, Reply, Role, Router, Shared, Snapshot, Source, Tenants,
};
use crate::tenant;

/// A destination's lane and what belongs to it.
pub(super) type Started = (Arc<deliver::Destination>, Lane, Arc<DestinationMetrics>);

/// The generation of the configuration that a house is started with.
pub(super) const FIRST: u64 = 1;

/// What a snapshot is built of besides the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rooms<'a> {
    pub(super) journal: &'a Journal,
    pub(super) metrics: &'a Metrics,
    /// The listeners that are open, in the order of their numbers.
    pub(super) doors: &'a [Arc<str>],
    pub(super) now: Timestamp,
}

/// A destination by the journal's id, before its lane is taken.
type Start = (u32, Arc<deliver::Destination>, Arc<DestinationMetrics>);

/// The figures of every destination of which something is told, parked ones too. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Mutex<BTreeMap<Arc<str>, Arc<DestinationMetrics>>>>);

impl Told {
    /// The figures of this one, told of from now on.
    pub(super) fn of(&self, name: &str, metrics: &Metrics) -> Arc<DestinationMetrics> {
        let handles = || metrics.destination(name, deliver::ENDINGS);
        Arc::clone(self.lock().entry(Arc::from(name)).or_insert_with(handles))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<DestinationMetrics>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rooms, connected; nothing listens and nothing is delivered yet.
#[derive(Debug)]
pub struct Assembly {
    /// The only reader of the wall clock.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where events are kept.
    pub journal: Journal,
    /// Those who wait for a destination's answer: where the way in and the way out meet.
    pub callers: Callers,
    /// The way in, without its sockets.
    pub ingress: Arc<Ingress>,
    pub(super) snapshot: Shared,
    pub(super) destinations: Told,
    pub(super) silence: Silence,
    starts: Mutex<Vec<Start>>,
}

impl Assembly {
    /// Opens the journal in the configuration's directory and builds the first snapshot. The writer is to run on a thread
    /// of its own, [`Journal::releases`] on the runtime that waits for receipts.
    ///
    /// # Errors
    ///
    /// [`AppError::Journal`], and [`AppError::Assembly`] where the parts do not fit.
    pub fn build(config: &Config, clock: &Clock) -> Result<(Self, Writer), AppError> {
        let storage = Disk::new(&config.store.directory)
            .map_err(|error| journal_error(config, OpenError::Io { what: "failed to open the directory", error }))?;
        Self::over(Arc::new(storage), config, clock)
    }

    /// As [`Assembly::build`], with the journal in this storage.
    ///
    /// # Errors
    ///
    /// As [`Assembly::build`].
    pub fn over(storage: Arc<dyn Storage>, config: &Config, clock: &Clock) -> Result<(Self, Writer), AppError> {
        let metrics = Arc::new(Metrics::new());
        let (journal, writer, report) = open_journal(storage, config, clock, &metrics)?;
        tell(config, &report);
        let window = Window::new(
            usize::try_from(config.store.options.dedup_entries).unwrap_or(usize::MAX),
            config.store.options.dedup_window,
        );
        window.restore(report.dedup.iter().map(|entry| Remembered {
            key: entry.key,
            digest: entry.body_digest,
            accepted: entry.accepted,
            seq: entry.seq,
        }));
        let doors: Vec<Arc<str>> = config.listeners.iter().map(|listener| Arc::clone(&listener.name)).collect();
        let admission = Admission::new(config.admission);
        let rooms = Rooms { journal: &journal, metrics: &metrics, doors: &doors, now: clock.now() };
        let snapshot = Shared::new(snapshot(&rooms, config, FIRST, None)?);
        let callers = Callers::default();
        let shared = snapshot.clone();
        let (kept, waiting) = (journal.clone(), callers.clone());
        let ingress = Ingress::new(shared, admission, window, kept, waiting, clock.clone(), &metrics);
        let ingress = Arc::new(ingress);
        let mut starts = Vec::new();
        let destinations = Told::default();
        for parked in &report.parked {
            destinations.of(&parked.name, &metrics);
        }
        for destination in &config.destinations {
            let handles = destinations.of(&destination.plan.name, &metrics);
            if destination.is_live() {
                let id = destination_id(&journal, &destination.plan.name)?;
                starts.push((id, Arc::clone(&destination.built), handles));
            }
        }
        observing::tell(None, config, &metrics, &destinations);
        let starts = Mutex::new(starts);
        metrics.config().generation.set(1);
        metrics.config().successful.set(1);
        let (clock, silence) = (clock.clone(), Silence::default());
        silence.follow(config, &metrics, clock.now());
        let assembly = Self { clock, metrics, journal, callers, ingress, snapshot, destinations, silence, starts };
        Ok((assembly, writer))
    }

    /// The lanes to be started; empty when asked again.
    pub(super) fn lanes(&self) -> Result<Vec<Started>, AppError> {
        let starts = std::mem::take(&mut *self.starts.lock().unwrap_or_else(PoisonError::into_inner));
        let lane = |(id, destination, metrics)| {
            let lane = self.journal.lane(id).ok_or_else(|| AppError::Assembly("a lane was taken twice".to_owned()))?;
            Ok((destination, lane, metrics))
        };
        starts.into_iter().map(lane).collect()
    }
}

fn journal_error(config: &Config, error: OpenError) -> AppError {
    AppError::Journal { directory: config.store.directory.clone(), error }
}

fn open_journal(
    storage: Arc<dyn Storage>,
    config: &Config,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<(Journal, Writer, Report), AppError> {
    let mut options = config.store.options.clone();
    options.metrics = Some(metrics.journal());
    let sources: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
    let destinations = observing::plans(config);
    Journal::open(storage, options, clock.clone(), &sources, &destinations)
        .map_err(|error| journal_error(config, error))
}

/// What the operator must hear of an opening.
fn tell(config: &Config, report: &Report) {
    tracing::info!(epoch = report.epoch, events = report.events, torn_bytes = report.torn_bytes, "journal opened");
    for note in &report.notes {
        tracing::warn!(note, "journal");
    }
    for damage in &report.damage {
        tracing::error!(
            segment = damage.segment,
            offset = damage.offset,
            length = damage.length,
            first_sequence = damage.sequences.start,
            beyond_sequence = damage.sequences.end,
            "journal damaged: the events in these bytes are lost, all others are kept"
        );
    }
    for parked in &report.parked {
        observing::tell_parked(config, &parked.name, parked.owed);
    }
}

pub(super) fn destination_id(journal: &Journal, name: &str) -> Result<u32, AppError> {
    journal.destination(name).ok_or_else(|| AppError::Assembly(format!("the journal does not know destination {name}")))
}

/// What the corridors see of a configuration. What tenants have left is taken over from `before`.
pub(super) fn snapshot(
    house: &Rooms<'_>,
    config: &Config,
    generation: u64,
    before: Option<&Snapshot>,
) -> Result<Snapshot, AppError> {
    let Rooms { journal, metrics, doors, now } = *house;
    let rules = Rules::of(config, journal)?;
    let aside = aside(config, before, now);
    let tenants = tenant::Table::build(&config.tenants.spec, before.map(|before| &before.tenants), now);
    let counted: Arc<[_]> = tenants.labels().map(|label| metrics.tenant(label, TENANT_OUTCOMES)).collect();
    let mut sources = Vec::with_capacity(config.sources.len());
    for source in &config.sources {
        let aside = aside.as_ref().filter(|_| source.role == Role::Observe);
        let (table, metrics_of) = match aside {
            None => (&tenants, Arc::clone(&counted)),
            // What is counted by tenant is what became of live events.
            Some(aside) => (&aside.tenants, Arc::default()),
        };
        let tenants = Tenants {
            door: table.door(&source.name, source.tenancy.named, source.tenancy.manner),
            refusal: status(source.tenancy.refusal)?,
            metrics: metrics_of,
        };
        sources.push(Arc::new(compiled((source, aside), config, (journal, metrics), &rules, tenants)?));
    }
    let mut listeners = Vec::with_capacity(doors.len());
    for name in doors {
        // A door that the configuration does not know any more leads nowhere.
        let place = config.listeners.iter().position(|listener| listener.name == *name);
        let listener = place.and_then(|place| config.listeners.get(place));
        let entries: Vec<Entry<Arc<Source>>> = config
            .sources
            .iter()
            .zip(&sources)
            .filter(|(source, _)| place.is_some_and(|place| source.on.contains(&place)))
            .map(|(source, to)| Entry { host: source.host.clone(), pattern: source.path.clone(), to: Arc::clone(to) })
            .collect();
        let router = Router::build(&entries)
            .map_err(|_| AppError::Assembly(format!("two sources answer one path on listener {name}")))?;
        listeners.push(Listener {
            name: Arc::clone(name),
            public_url: listener.and_then(|listener| listener.public_url.clone()),
            trusted_hops: listener.and_then(|listener| listener.trusted_hops.clone()),
            router,
        });
    }
    Ok(Snapshot { generation, listeners, tenants, aside })
}

fn source_id(journal: &Journal, name: &str) -> Result<SourceId, AppError> {
    let id = journal.source(name);
    id.map(SourceId).ok_or_else(|| AppError::Assembly(format!("the journal does not know source {name}")))
}

/// What the sources that only observe share, where there are any; what there was goes on.
fn aside(config: &Config, before: Option<&Snapshot>, now: Timestamp) -> Option<Aside> {
    let before = before.and_then(|before| before.aside.as_ref());
    let window = || {
        let events = usize::try_from(config::ceiling::observed_events(config)).unwrap_or(Aside::EVENTS_MAX);
        Window::new(events, config.store.options.dedup_window)
    };
    config.observes().then(|| Aside {
        admission: before.map_or_else(
            || Admission::new(config::ceiling::observed_admission(config)),
            |aside| aside.admission.within(config::ceiling::observed_admission(config)),
        ),
        window: before.map_or_else(window, |aside| aside.window.clone()),
        tenants: tenant::Table::build(&config.tenants.spec, before.map(|aside| &aside.tenants), now),
    })
}

/// The routes as rules.
struct Rules {
    live: Vec<Rule<Audience>>,
    /// Those of sources that observe: they give nobody a target.
    observe: Vec<Rule<Audience>>,
}

impl Rules {
    fn of(config: &Config, journal: &Journal) -> Result<Self, AppError> {
        let all = |role| -> Result<Vec<_>, AppError> {
            config.routes.iter().map(|route| rule(config, journal, role, route)).collect()
        };
        Ok(Self { live: all(Role::Live)?, observe: all(Role::Observe)? })
    }
}

fn rule(config: &Config, journal: &Journal, role: Role, route: &config::Route) -> Result<Rule<Audience>, AppError> {
    let from: Result<Vec<_>, _> =
        route.from.iter().map(|place| source_id(journal, &config.sources[*place].name)).collect();
    let then = match &route.to {
        None => Then::Discard,
        Some(to) => {
            let is_live = |place: &usize| role == Role::Live && config.destinations[*place].is_live();
            let (live, would): (Vec<usize>, Vec<usize>) = to.iter().copied().partition(is_live);
            let target = |place: usize| {
                let destination = destination_id(journal, &config.destinations[place].plan.name)?;
                Ok(Target { destination, not_before: Timestamp::ZERO })
            };
            let targets = live.into_iter().map(target).collect::<Result<Vec<_>, AppError>>()?.into();
            Then::To(Audience { targets, would: would.into() })
        }
    };
    Ok(Rule { from: from?, when: route.when.clone(), mixed: route.mixed, then })
}

fn compiled(
    (source, aside): (&config::Source, Option<&Aside>),
    config: &Config,
    (journal, metrics): (&Journal, &Metrics),
    rules: &Rules,
    tenants: Tenants,
) -> Result<Source, AppError> {
    let id = source_id(journal, &source.name)?;
    let too_much = |error: &dyn std::error::Error| AppError::Assembly(format!("routes of {}: {error}", source.name));
    let rules = if aside.is_some() { &rules.observe } else { &rules.live };
    let table = Table::build(id, &source.name, rules).map_err(|error| too_much(&error))?;
    let selectors = source.built.selectors.asking(table.questions().clone()).map_err(|error| too_much(&error))?;
    let own = || table.origins().filter_map(|place| config.routes.get(place));
    let labels: Vec<(&str, bool)> = own().map(|route| (&*route.label, route.to.is_none())).collect();
    let named: BTreeSet<usize> = own().filter_map(|route| route.to.as_ref()).flatten().copied().collect();
    let would = config.destinations.iter().enumerate().map(|(place, destination)| {
        let counted = named.contains(&place) && (aside.is_some() || !destination.is_live());
        counted.then_some(&*destination.plan.name)
    });
    let would = metrics.would(&source.name, aside.map_or(&[], |_| REFUSALS), would);
    let routed = match aside {
        None => metrics.routed(&source.name, &labels),
        Some(_) => metrics.routed_aside(&source.name, &labels),
    };
    Ok(Source {
        id,
        name: Arc::clone(&source.name),
        rules: source.rules.clone(),
        body: source.body,
        verifier: source.built.verifier.clone(),
        selectors,
        dedup: source.dedup,
        routed,
        would,
        aside: aside.cloned(),
        tenants,
        table,
        replies: Replies {
            success: reply(&source.built.answers.success)?,
            reject: reply(&source.built.answers.reject)?,
            late: reply(&source.built.answers.late)?,
        },
        ack: if aside.is_some() { Ack::Durable } else { ack(id, source, journal, metrics)? },
        metrics: metrics.source_proven_by(&source.name, OUTCOMES, &source.built.secrets),
    })
}

fn ack(id: SourceId, source: &config::Source, journal: &Journal, metrics: &Metrics) -> Result<Ack, AppError> {
    let delivered = match &source.ack {
        config::Ack::Durable => return Ok(Ack::Durable),
        config::Ack::Buffered => return Ok(Ack::Buffered),
        config::Ack::Delivered(delivered) => delivered,
    };
    let destination = destination_id(journal, &delivered.destination)?;
    let wish = Wish { source: id.0, most: delivered.callers, destination, pass: delivered.pass.as_slice().into() };
    Ok(Ack::Delivered(Passing { wish, deadline: delivered.deadline, counted: metrics.awaited(&source.name) }))
}

fn status(status: u16) -> Result<StatusCode, AppError> {
    StatusCode::from_u16(status).map_err(|_| AppError::Assembly(format!("{status} is no status")))
}

fn reply(answer: &Answer) -> Result<Reply, AppError> {
    Ok(Reply {
        status: status(answer.status)?,
        content_type: answer.content_type.map(HeaderValue::from_static),
        body: answer.body.clone(),
    })
}
