//! Which room gets what of the configuration?
//!
//! Promises: everything is resolved here, once: ids, routes, metric handles, replies; no request looks a name up.
//!
//! Must not know: sockets, or when anything runs.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, StatusCode};

use super::AppError;
use super::silence::Silence;
use crate::admission::Admission;
use crate::clock::{Clock, Timestamp};
use crate::config::provider::Answer;
use crate::config::{self, Config};
use crate::dedup::{Entry as Remembered, Window};
use crate::deliver;
use crate::ingress::{Ingress, OUTCOMES, TENANT_OUTCOMES};
use crate::journal::{Disk, Journal, Lane, OpenError, Report, Storage, Target, Writer};
use crate::metrics::{DestinationMetrics, Metrics};
use crate::route::{Rule, SourceId, Table, Then};
use crate::snapshot::{Entry, Listener, Replies, Reply, Router, Shared, Snapshot, Source, Tenants};
use crate::tenant;

/// A destination's lane and what belongs to it.
pub(super) type Started = (Arc<deliver::Destination>, Lane, Arc<DestinationMetrics>);

/// A destination by the journal's id, before its lane is taken.
type Start = (u32, Arc<deliver::Destination>, Arc<DestinationMetrics>);

/// The rooms, connected; nothing listens and nothing is delivered yet.
#[derive(Debug)]
pub struct Assembly {
    /// The only reader of the wall clock.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where events are kept.
    pub journal: Journal,
    /// The way in, without its sockets.
    pub ingress: Arc<Ingress>,
    pub(super) destinations: Vec<(Arc<str>, Arc<DestinationMetrics>)>,
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
        tell(&report);
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
        let snapshot = Shared::new(snapshot(config, &journal, &metrics, clock.now())?);
        let admission = Admission::new(config.admission);
        let ingress = Arc::new(Ingress::new(snapshot, admission, window, journal.clone(), clock.clone(), &metrics));
        let mut starts = Vec::new();
        let mut destinations = Vec::new();
        for destination in &config.destinations {
            let id = destination_id(&journal, &destination.plan.name)?;
            let handles = metrics.destination(&destination.plan.name, deliver::ENDINGS);
            destinations.push((Arc::from(&*destination.plan.name), Arc::clone(&handles)));
            starts.push((id, Arc::clone(&destination.built), handles));
        }
        let starts = Mutex::new(starts);
        let silence = Silence::default();
        silence.follow(config, &metrics, clock.now());
        Ok((Self { clock: clock.clone(), metrics, journal, ingress, destinations, silence, starts }, writer))
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
    let destinations: Vec<_> = config.destinations.iter().map(|destination| destination.journal.clone()).collect();
    Journal::open(storage, options, clock.clone(), &sources, &destinations)
        .map_err(|error| journal_error(config, error))
}

/// What the operator must hear of an opening.
fn tell(report: &Report) {
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
        tracing::warn!(
            destination = &*parked.name,
            owed = parked.owed,
            "destination is not in the configuration any more; its events are kept for its return"
        );
    }
}

fn destination_id(journal: &Journal, name: &str) -> Result<u32, AppError> {
    journal.destination(name).ok_or_else(|| AppError::Assembly(format!("the journal does not know destination {name}")))
}

fn snapshot(config: &Config, journal: &Journal, metrics: &Metrics, now: Timestamp) -> Result<Snapshot, AppError> {
    let rules = rules(config, journal)?;
    let tenants = tenant::Table::build(&config.tenants.spec, None, now);
    let counted: Arc<[_]> = tenants.labels().map(|label| metrics.tenant(label, TENANT_OUTCOMES)).collect();
    let mut sources = Vec::with_capacity(config.sources.len());
    for source in &config.sources {
        let tenants = Tenants {
            door: tenants.door(&source.name, source.tenancy.named, source.tenancy.manner),
            refusal: status(source.tenancy.refusal)?,
            metrics: Arc::clone(&counted),
        };
        sources.push(Arc::new(compiled(source, journal, metrics, &rules, &config.routes, tenants)?));
    }
    let mut listeners = Vec::with_capacity(config.listeners.len());
    for (place, listener) in config.listeners.iter().enumerate() {
        let entries: Vec<Entry<Arc<Source>>> = config
            .sources
            .iter()
            .zip(&sources)
            .filter(|(source, _)| source.on.contains(&place))
            .map(|(source, to)| Entry { host: source.host.clone(), pattern: source.path.clone(), to: Arc::clone(to) })
            .collect();
        let router = Router::build(&entries)
            .map_err(|_| AppError::Assembly(format!("two sources answer one path on listener {}", listener.name)))?;
        listeners.push(Listener {
            name: Arc::clone(&listener.name),
            public_url: listener.public_url.clone(),
            trusted_hops: listener.trusted_hops.clone(),
            router,
        });
    }
    Ok(Snapshot { generation: 1, listeners, tenants })
}

fn source_id(journal: &Journal, name: &str) -> Result<SourceId, AppError> {
    let id = journal.source(name);
    id.map(SourceId).ok_or_else(|| AppError::Assembly(format!("the journal does not know source {name}")))
}

fn rules(config: &Config, journal: &Journal) -> Result<Vec<Rule<Arc<[Target]>>>, AppError> {
    let rule = |route: &config::Route| {
        let from: Result<Vec<_>, _> =
            route.from.iter().map(|place| source_id(journal, &config.sources[*place].name)).collect();
        let then = match &route.to {
            None => Then::Discard,
            Some(to) => {
                let target = |place: &usize| {
                    let destination = destination_id(journal, &config.destinations[*place].plan.name)?;
                    Ok(Target { destination, not_before: Timestamp::ZERO })
                };
                Then::To(to.iter().map(target).collect::<Result<Vec<_>, AppError>>()?.into())
            }
        };
        Ok(Rule { from: from?, when: route.when.clone(), mixed: route.mixed, then })
    };
    config.routes.iter().map(rule).collect()
}

fn compiled(
    source: &config::Source,
    journal: &Journal,
    metrics: &Metrics,
    rules: &[Rule<Arc<[Target]>>],
    routes: &[config::Route],
    tenants: Tenants,
) -> Result<Source, AppError> {
    let id = source_id(journal, &source.name)?;
    let too_much = |error: &dyn std::error::Error| AppError::Assembly(format!("routes of {}: {error}", source.name));
    let table = Table::build(id, &source.name, rules).map_err(|error| too_much(&error))?;
    let selectors = source.built.selectors.asking(table.questions().clone()).map_err(|error| too_much(&error))?;
    let own = table.origins().filter_map(|place| routes.get(place));
    let labels: Vec<(&str, bool)> = own.map(|route| (&*route.label, route.to.is_none())).collect();
    Ok(Source {
        id,
        name: Arc::clone(&source.name),
        rules: source.rules.clone(),
        body: source.body,
        verifier: source.built.verifier.clone(),
        selectors,
        dedup: source.dedup,
        routed: metrics.routed(&source.name, &labels),
        tenants,
        table,
        replies: Replies {
            success: reply(&source.built.answers.success)?,
            reject: reply(&source.built.answers.reject)?,
        },
        ack: source.ack,
        metrics: metrics.source_proven_by(&source.name, OUTCOMES, &source.built.secrets),
    })
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
