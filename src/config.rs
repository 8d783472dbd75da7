//! What did the operator say, and what does it mean?
//!
//! Text becomes a raw mirror (`raw`: what was said, nothing else), and the mirror becomes a [`Config`] (what it means:
//! units read, secrets resolved, providers compiled, names resolved, everything checked against everything).
//!
//! Promises: a [`Config`] that exists is one that works, as far as the text can tell; a file that is wrong gives *all*
//! of its problems at once, each with file, line, excerpt, what was wrong and what is allowed; no secret is ever shown.
//!
//! Must not know: sockets, the runtime, or anything that happens after the start.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod ack;
mod addresses;
mod answers;
mod batch;
mod besides;
mod build;
pub mod ceiling;
mod choice;
mod control;
mod cross;
mod destinations;
pub mod effective;
mod inventory;
mod listeners;
mod machine;
mod names;
mod problem;
mod proof;
pub mod provider;
mod raw;
pub mod rehearsal;
mod routes;
mod said;
pub mod schema;
mod secrets;
mod sources;
mod store;
mod tenants;
mod text;
mod units;
mod whereabouts;

#[cfg(test)]
pub(crate) mod tests;

pub use ack::{Ack, Delivered};
pub use addresses::{AddressList, Addresses, is_list};
pub use batch::Batch;
pub use besides::Shown;
pub use destinations::Destination;
pub use inventory::{Changes, Inventory, Stamp, Unchecked};
pub use listeners::Listener;
pub use machine::Files;
pub use problem::{Place, Problem, Report, Span};
pub use routes::{NONE, Route, rules, source_id};
pub use secrets::Environment;
pub use sources::Source;
pub use store::Store;
pub use tenants::{Tenancy, Tenants};
pub use units::{Rate, show_size, show_time};
pub use whereabouts::Hidden;

use build::Building;
use inventory::Asked;
use problem::{Problems, TextFile};
use rehearsal::cases::{self, Cases};
use routes::Known;
use said::Said;
use secrets::Outside;

use crate::admission;
use crate::snapshot::Role;
use crate::verify::Verifier;

/// A configuration that was read, checked and built; what `app` needs to start the house.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from, as it was named.
    pub path: PathBuf,
    /// How and how much to log.
    pub log: Log,
    /// What all connections share.
    pub admission: admission::Limits,
    /// How long a SIGTERM waits for requests and attempts under way.
    pub shutdown: Duration,
    /// Where the metrics listener binds; `None` when it is switched off.
    pub metrics: Option<SocketAddr>,
    /// The socket at which the running house can be told what to do; `None` where there is to be none.
    pub control: Option<PathBuf>,
    /// Whether the configuration itself is read again when it changes. What it names (certificates, secrets, lists) is in
    /// any case.
    pub watch: bool,
    /// The ways in, in the order of their names.
    pub listeners: Vec<Listener>,
    /// The journal; its options say the dedup window and how many events it holds, too.
    pub store: Store,
    /// Who may speak, in the order of their names.
    pub sources: Vec<Source>,
    /// Where events go, in the order of their names.
    pub destinations: Vec<Destination>,
    /// Who hears what; the first that matches decides.
    pub routes: Vec<Route>,
    /// Whose events they are, and how many each may send.
    pub tenants: Tenants,
    /// What works and is unsafe; `None` if there is nothing to name.
    pub dangers: Option<Report>,
    /// What could not be looked at, because Porteiro will run on another machine.
    pub unchecked: Vec<Unchecked>,
    /// What was said, and on which files it stands.
    pub inventory: Inventory,
    tests: Cases,
}

impl Config {
    /// Whether any source only observes.
    #[must_use]
    pub fn observes(&self) -> bool {
        self.sources.iter().any(|source| source.role == Role::Observe)
    }

    /// What proves the requests of a source.
    #[must_use]
    pub fn verifier(&self, source: &str) -> Option<&Verifier> {
        self.sources.iter().find(|known| *known.name == *source).map(|known| &known.built.verifier)
    }
}

impl Config {
    /// How many files can be open with these limits.
    #[must_use]
    pub fn files(&self) -> Files {
        let listeners = self.listeners.iter().map(|listener| &listener.limits);
        let workers = self.destinations.iter().map(|destination| destination.plan.concurrency);
        let private = usize::from(self.metrics.is_some()) + usize::from(self.control.is_some());
        Files::of(listeners, private, workers, Some(&self.store))
    }

    /// Tries what the file's own tests say; answers how many there are.
    ///
    /// # Errors
    ///
    /// Every expectation that does not hold, in the order of the text.
    pub fn try_tests(&self) -> Result<usize, Report> {
        self.tests.run(self).map(|()| self.tests.count())
    }
}

/// How and how much to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One line of JSON per event.
    Json,
    /// Text for people.
    Text,
}

/// How important a log line must be to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs a human.
    Error,
    /// What was recovered from, too.
    Warn,
    /// The operator's story.
    #[default]
    Info,
    /// Every event.
    Debug,
    /// Everything.
    Trace,
}

/// The format that this version reads.
const FORMAT: i64 = 1;
/// How long a SIGTERM waits if nothing is said.
const SHUTDOWN: Duration = Duration::from_secs(25);

/// What of the machine is not asked where it is another one.
const THE_MACHINE: &str =
    "it is another one: where the journal and the control socket stand, /etc/hosts, how many files may be open";

/// Reads, checks and builds the configuration in `path`; relative paths in it are relative to the file.
///
/// # Errors
///
/// Every problem of the file, in the order of the text.
pub fn load(path: &Path) -> Result<Config, Report> {
    load_with(path, Environment::process())
}

/// [`load`] with an environment of the caller's.
///
/// # Errors
///
/// Every problem of the file, in the order of the text.
pub fn load_with(path: &Path, environment: Environment<'_>) -> Result<Config, Report> {
    read(path, environment, &Asked::default())
}

fn read(path: &Path, environment: Environment<'_>, asked: &Asked) -> Result<Config, Report> {
    let name = path.display().to_string();
    match asked.text(path) {
        Err(error) => {
            Err(Report::whole(&name, format!("the configuration cannot be read: {}", secrets::cause(&error))))
        }
        Ok(text) if text.len() as u64 > text::TEXT_MAX => {
            Err(Report::whole(&name, "the configuration is larger than 4MiB".into()))
        }
        Ok(text) => of_text(path, &text, Outside { base: base(path), environment, asked }),
    }
}

/// Builds what a configuration says anew from the same text, with the certificates, secrets and lists that are there now.
///
/// # Errors
///
/// Every problem, in the order of the text.
pub fn refresh(config: &Config) -> Result<Config, Report> {
    read(&config.path, Environment::process(), &Asked::keeping(&config.inventory))
}

/// What the paths of a configuration are relative to. Of a bare name the parent is empty: the current directory.
fn base(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// The control socket that a configuration names, whatever else is wrong with it.
///
/// # Errors
///
/// Every problem of a file that is no TOML.
pub fn control_socket(path: &Path) -> Result<Option<PathBuf>, Report> {
    let table = fs::read_to_string(path).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let Some(table) = table else { return load(path).map(|config| config.control) };
    let socket = table.get("control").and_then(|control| control.get("socket")).and_then(toml::Value::as_str);
    Ok(socket.map(|socket| base(path).join(socket)))
}

/// Builds the configuration that a text says.
fn of_text(path: &Path, text: &str, outside: Outside<'_>) -> Result<Config, Report> {
    let name = path.display().to_string();
    let mut shown = TextFile { name, text: text.to_owned() };
    let mut problems = Problems::default();
    let reading = text::read(text, &mut shown, &mut problems);
    let mut building =
        Building { problems, dangers: Problems::default(), outside, cut: reading.cut, files: vec![shown] };
    let config = whole(&mut building, path, &reading.file);
    let Building { problems, dangers, files, .. } = building;
    if let Some(report) = problems.into_report(files.clone()) {
        return Err(report);
    }
    let Some(config) = config else {
        return Err(Report::whole(&files[0].name, "the configuration cannot be built".into()));
    };
    if outside.environment.is_elsewhere() {
        outside.asked.unchecked("the machine".to_owned(), THE_MACHINE);
    }
    let (inventory, unchecked) = (Inventory::take(outside.asked), outside.asked.left_unchecked());
    let tests = config.tests.standing_in(files[0].clone());
    Ok(Config { dangers: dangers.into_dangers(files), unchecked, inventory, tests, ..config })
}

/// Builds every section, and checks them against each other.
fn whole(building: &mut Building<'_>, path: &Path, file: &raw::File) -> Option<Config> {
    format(building, file);
    let listeners = listeners::build(building, &file.listen);
    let metrics = listeners::metrics(building, &file.metrics, &listeners);
    let control = control::socket(building, file.control.socket.as_ref());
    let (store, spans) = store::build(building, file.journal.as_ref(), &file.dedup);
    let segment_size = store.as_ref().map_or(u64::MAX, |store| store.options.segment_size);
    let names: Vec<_> = file.listen.keys().collect();
    let admission = limits(building, &file.limits);
    let in_flight = (admission.in_flight_max, file.limits.in_flight.as_ref().map(|said| &said.span));
    let segment = (segment_size, &spans.segment);
    let queue = store.as_ref().map_or(u64::MAX, |store| store.options.queue_bytes);
    let sources = sources::build(building, &file.source, &names, &listeners, segment, (in_flight, queue));
    let disk = store.as_ref().map_or(u64::MAX, |store| store.options.size);
    let destinations = destinations::build(building, file, disk);
    let routes = {
        let known = |name: &toml::Spanned<String>, mode: &Option<Said<Role>>| {
            let observes = mode.as_ref().is_some_and(|said| said.value == Role::Observe);
            Known { name: name.get_ref().clone(), span: name.span(), observes }
        };
        let known_sources = file.source.iter().map(|(name, said)| known(name, &said.value.mode));
        let known_destinations = file.destination.iter().map(|(name, said)| known(name, &said.value.mode));
        let (known, destinations): (Vec<_>, Vec<_>) = (known_sources.collect(), known_destinations.collect());
        routes::build(building, file, &routes::House { sources: &known, built: &sources, destinations: &destinations })
    };
    let problems = building.problems.count();
    let tenants = tenants::build(building, file, &sources, &destinations);
    if building.problems.count() == problems {
        routes::check_tenants(building, &file.route, &tenants);
    }
    let shutdown = Duration::from_secs(1)..=Duration::from_secs(3600);
    let shutdown = building.time(file.limits.shutdown.as_ref(), SHUTDOWN, shutdown);
    let house = cross::House { listeners: &listeners, sources: &sources, destinations: &destinations, routes: &routes };
    cross::check(building, &house);
    ack::check(building, file, &house);
    let private = usize::from(metrics.is_some()) + usize::from(control.is_some());
    machine::check(building, &house, private, store.as_ref());
    let listeners: Vec<_> = listeners.into_iter().map(|(listener, _)| listener).collect();
    let destinations: Vec<_> = destinations.into_iter().map(|placed| placed.destination).collect();
    let said = cases::Names {
        listeners: names.iter().map(|name| name.get_ref().as_str()).collect(),
        sources: file.source.keys().map(|name| name.get_ref().as_str()).collect(),
        destinations: file.destination.keys().map(|name| name.get_ref().as_str()).collect(),
    };
    let house = cases::House { listeners: &listeners, sources: &sources, routes: &routes, said };
    let tests = cases::build(building, &file.test, &house);
    Some(Config {
        path: path.to_owned(),
        log: Log {
            format: file.log.format.as_ref().map_or_else(LogFormat::default, |said| said.value),
            level: file.log.level.as_ref().map_or_else(LogLevel::default, |said| said.value),
        },
        admission,
        shutdown,
        metrics,
        control,
        watch: file.reload.watch.as_ref().is_some_and(|said| said.value),
        listeners,
        store: store?,
        sources,
        destinations,
        routes,
        tenants,
        dangers: None,
        unchecked: Vec::new(),
        inventory: Inventory::default(),
        tests,
    })
}

/// The file says which format it has, and has what no configuration can do without.
fn format(building: &mut Building<'_>, file: &raw::File) {
    match &file.format {
        None => building.missing(&(0..0), &["format"], "begin the file with format = 1"),
        Some(said) if said.value != FORMAT => {
            building
                .problem(&said.span, format!("this version does not know format {}", said.value))
                .label("expected 1")
                .help("a newer Porteiro wrote this, or it is a slip of the hand");
        }
        Some(_) => {}
    }
    if file.listen.is_empty() {
        building.missing(&(0..0), &["listen"], "add a listener, such as [listen.public] with address = \"[::]:8443\"");
    }
    if file.source.is_empty() {
        building.missing(&(0..0), &["source"], "add a source, such as [source.github]");
    }
}

fn limits(building: &mut Building<'_>, said: &raw::Limits) -> admission::Limits {
    let default = admission::Limits::default();
    let addresses = u32::try_from(default.addresses_max).unwrap_or(u32::MAX);
    let addresses = building.number(said.refusals_addresses.as_ref(), addresses, 16..=10_000_000);
    let in_flight_max = building.size(said.in_flight.as_ref(), default.in_flight_max, 64 << 10..=1 << 40);
    admission::Limits {
        in_flight_max,
        in_flight_share: building.size(said.in_flight_share.as_ref(), in_flight_max / 8, 1 << 10..=in_flight_max),
        refusals_burst: building.number(said.refusals_burst.as_ref(), default.refusals_burst, 1..=1_000_000),
        refusals_every: said.refusals.as_ref().map_or(default.refusals_every, |said| said.value.per / said.value.count),
        addresses_max: usize::try_from(addresses).unwrap_or(default.addresses_max),
    }
}

/// Reads a time as the configuration writes it, such as `250ms`.
///
/// # Errors
///
/// What is allowed.
pub fn time_of(text: &str) -> Result<Duration, String> {
    units::time(text)
}

/// Reads a size as the configuration writes it, such as `64KiB`.
///
/// # Errors
///
/// What is allowed.
pub fn size_of(text: &str) -> Result<u64, String> {
    units::size(text)
}

/// Reads a rate as the configuration writes it, such as `100/s`.
///
/// # Errors
///
/// What is allowed.
pub fn rate_of(text: &str) -> Result<Rate, String> {
    units::rate(text)
}

/// What a reload would change in a house that was started with `before`, and runs with it.
#[must_use]
pub fn changes(before: &Config, after: &Config) -> Changes {
    Changes::between(&before.inventory, &before.inventory, &after.inventory)
}

/// Any text is a configuration or a report, and never a panic. For fuzzing.
pub fn fuzz(text: &str) {
    let nothing = |_: &str| None;
    let asked = Asked::default();
    let environment = Environment::new(&nothing);
    let outside = Outside { base: Path::new("/nonexistent"), environment, asked: &asked };
    match of_text(Path::new("fuzz.toml"), text, outside) {
        Ok(config) => drop(config),
        Err(report) => {
            let plain = report.render(false);
            assert!(!report.problems().is_empty() && !plain.is_empty(), "a refusal has a reason");
            for problem in report.problems() {
                drop(report.place(problem));
            }
        }
    }
}
