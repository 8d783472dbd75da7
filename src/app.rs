//! How do the rooms become a house that runs, and how does it end?
//!
//! [`run`] opens the journal, binds every listener, starts the lanes and says "ready"; at SIGTERM or SIGINT it takes
//! nothing new, finishes what is under way within the configuration's `shutdown`, has the journal checkpoint, and ends. At
//! SIGHUP, at a word on the control socket and when a file changes it takes in the configuration anew. A supervisor that
//! wants to know hears of it ([`notify`]), and may have passed the listening sockets ([`Passed`]).
//!
//! Promises: nothing listens before the journal is open, and nothing is left half started; a journal that can make nothing
//! durable any more ends the process as a failure; a second signal ends it at once, and costs no acknowledged event.
//!
//! Must not know: how any room does its work.

mod alarm;
mod assembly;
mod gauges;
pub mod notify;
mod observing;
mod pulse;
mod readiness;
mod reload;
mod silence;
mod watch;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use self::alarm::Alarm;
pub use self::assembly::Assembly;
use self::notify::Notify;
use self::pulse::Pulse;
use self::readiness::Readiness;
use self::reload::{Bell, Lanes, Opened, Reloader};
use crate::admin::{Admin, Control};
use crate::clock::Clock;
use crate::config::Config;
use crate::deliver;
use crate::drain::Drain;
use crate::journal::{Journal, OpenError, Writer};
use crate::listen::local::{Local, LocalError};
use crate::listen::{self, Bound, CLOSINGS, Door, Limits, Passed, PassedError, Wanted};
use crate::snapshot::ListenerId;

/// The queue of connections that the system keeps before they are accepted.
const BACKLOG: i32 = 4096;
/// Of the time to shut down, what is left to the journal when everybody else has to have ended.
const JOURNAL_SHARE: Duration = Duration::from_secs(2);
/// How long before the house stops waiting for them attempts are cut short.
const ATTEMPTS_MARGIN: Duration = Duration::from_millis(500);

/// Why the house could not run, or how it ended before its time.
#[derive(Debug)]
pub enum AppError {
    /// The runtime could not be started.
    Runtime(io::Error),
    /// The journal could not be opened.
    Journal {
        /// Where it is.
        directory: PathBuf,
        /// Why.
        error: OpenError,
    },
    /// A listener could not be bound.
    Bind {
        /// Its name.
        listener: Arc<str>,
        /// Where it should have been.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The control socket could not be bound.
    Control {
        /// Where it should have been.
        path: PathBuf,
        /// Why.
        error: LocalError,
    },
    /// What was passed to this process by whoever started it cannot be used.
    Passed(PassedError),
    /// Certificates could not be read any more, or anything else that was in order when it was checked.
    Assembly(String),
    /// Nothing could be made durable any more.
    JournalFailed(io::Error),
    /// A task ended without which the house would only seem to run.
    Broken(String),
    /// A second signal came, or the journal did not close in time; `left` tasks were still at work.
    Interrupted {
        /// How many.
        left: usize,
    },
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "failed to start the runtime: {error}"),
            Self::Journal { directory, error } => {
                write!(f, "failed to open the journal in {}: {error}", directory.display())
            }
            Self::Bind { listener, address, error } => {
                write!(f, "failed to bind listener {listener} to {address}: {error}")
            }
            Self::Control { path, error } => write!(f, "failed to bind the control socket {}: {error}", path.display()),
            Self::Passed(error) => write!(f, "{error}"),
            Self::Assembly(what) => f.write_str(what),
            Self::JournalFailed(error) => {
                write!(f, "the journal can make nothing durable any more: {error}; what was acknowledged is safe")
            }
            Self::Broken(what) => write!(f, "{what}; what was acknowledged is safe and will be delivered"),
            Self::Interrupted { left } => {
                write!(f, "ended with {left} tasks at work; what was acknowledged is safe and will be delivered")
            }
        }
    }
}

impl std::error::Error for AppError {}

/// Runs the house until it is told to end.
///
/// # Errors
///
/// [`AppError`]; after an error the process is to end as a failure.
pub fn run(config: Config) -> Result<(), AppError> {
    // While there is but one thread: taking the sockets over changes the environment.
    let passed = Passed::take().map_err(AppError::Passed)?;
    let runtime = runtime().map_err(AppError::Runtime)?;
    let ended = runtime.block_on(async {
        let house = House::open(config, passed)?;
        house.serve().await
    });
    // Whoever did not end in time is not waited for.
    runtime.shutdown_background();
    ended
}

/// One thread where there is one core: handing work between threads costs more than it gains there.
fn runtime() -> io::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores == 1 {
        return Builder::new_current_thread().enable_all().build();
    }
    Builder::new_multi_thread().worker_threads(cores).thread_name("porteiro").enable_all().build()
}

/// Everything open and bound, nobody let in yet.
struct House {
    config: Config,
    assembly: Assembly,
    doors: Vec<(Door, Bound)>,
    window: Option<(Bound, SocketAddr)>,
    control: Option<Local>,
    writer: Writer,
    front: Drain,
    back: Drain,
}

impl House {
    fn open(config: Config, passed: Passed) -> Result<Self, AppError> {
        let clock = Clock::system();
        let (assembly, writer) = Assembly::build(&config, &clock)?;
        let wanted =
            config.listeners.iter().map(|known| Wanted { name: &known.name, address: known.address, any: true });
        let window = config.metrics.map(|address| Wanted { name: "metrics", address, any: false });
        let given = passed.assign(&wanted.chain(window).collect::<Vec<_>>()).map_err(AppError::Passed)?;
        let mut given = given.into_iter();
        let front = Drain::new();
        let mut doors = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            let bound = bind(&listener.name, listener.address, given.next().flatten())?;
            let door = Door {
                name: Arc::clone(&listener.name),
                tls: listener.tls.clone(),
                limits: listener.limits,
                metrics: assembly.metrics.listener(&listener.name, CLOSINGS),
                house: assembly.metrics.house(),
                clock: clock.clone(),
                drain: front.clone(),
            };
            doors.push((door, bound));
        }
        let window = match config.metrics {
            Some(address) => Some((bind(&Arc::from("metrics"), address, given.next().flatten())?, address)),
            None => None,
        };
        let control = config.control.as_deref().map(bind_control).transpose()?;
        Ok(Self { config, assembly, doors, window, control, writer, front, back: Drain::new() })
    }

    /// Lets everybody in, waits for the end, and sees everybody out.
    async fn serve(self) -> Result<(), AppError> {
        let Self { config, assembly, doors, window, control, writer, front, back } = self;
        let (assembly, shutdown) = (Arc::new(assembly), config.shutdown);
        let mut signals = Signals::listen().map_err(AppError::Runtime)?;
        let closing = Arc::new(AtomicBool::new(false));
        let (notify, readiness) =
            (Arc::new(Notify::of_process()), Arc::new(Readiness::new(&assembly.journal, &closing)));
        let watched = Drain::new();
        let (alarm, mut broke) = alarm::alarm(&watched);
        let mut written = start_journal(writer, &assembly.journal, &watched, &alarm)?;

        let house = way_out(&assembly, &doors, &back, shutdown);
        let mut lanes = Lanes::new(house, alarm.clone());
        lanes.name_tenants(&config, &assembly.snapshot.load().tenants);
        for started in assembly.lanes()? {
            lanes.start(started);
        }
        let opened: Vec<Opened> = doors.iter().map(|(door, _)| (Arc::clone(&door.name), door.tls.clone())).collect();
        for (place, (door, bound)) in doors.into_iter().enumerate() {
            open_door(place, door, bound, &assembly, &alarm)?;
        }
        if let Some((bound, _)) = window {
            open_window(bound, &assembly, &readiness, &watched, &alarm);
        }
        assembly.metrics.config().loaded.set(i64::try_from(assembly.clock.now().as_secs()).unwrap_or(i64::MAX));
        let (bell, heard) = reload::bell();
        signals.reload(&bell, &watched, &alarm);
        if let Some(local) = control {
            open_control(local, bell, &assembly, &front, &alarm);
        }
        tracing::info!(version = env!("CARGO_PKG_VERSION"), configuration = %config.path.display(), "ready");
        notify.ready("takes events in");
        let (silence, clock) = (assembly.silence.clone(), assembly.clock.clone());
        let pulse = Pulse { readiness, silence, clock, notify: Arc::clone(&notify) };
        alarm.guard("the pulse".to_owned(), watched.spawn(pulse.beat()));
        let reloader = Reloader::new(Arc::new(config), Arc::clone(&assembly), opened, lanes, notify.clone());
        let reloads = watched.spawn(reloader.run(heard, front.clone()));
        alarm.guard("whoever reloads".to_owned(), reloads);

        tokio::select! {
            () = signals.next() => {}
            failed = &mut written => return Err(journal_ended(failed)),
            Some(what) = broke.recv() => return Err(AppError::Broken(what)),
        }
        closing.store(true, Ordering::Release);
        notify.stopping("finishes what is under way");
        let end = Instant::now() + shutdown;
        tracing::info!(deadline_seconds = shutdown.as_secs(), "draining");
        assembly.ingress.close(attempts(shutdown));
        front.close();
        back.close();
        let seen_out = async {
            front.finished().await;
            back.finished().await;
        };
        let seen_out = pin!(timeout(grace(shutdown), seen_out));
        tokio::select! {
            seen_out = seen_out => if seen_out.is_err() {
                let (requests, attempts) = (front.running(), back.running());
                tracing::warn!(requests, attempts, "the time to finish is over; what is acknowledged and owed stays owed");
            },
            () = signals.next() => return Err(interrupted(&assembly.journal, &front, &back)),
            failed = &mut written => return Err(journal_ended(failed)),
            Some(what) = broke.recv() => return Err(AppError::Broken(what)),
        }
        assembly.journal.close();
        end_journal(written, end, &mut signals).await
    }
}

/// Waits for the writer, which was told to end.
async fn end_journal(
    mut written: oneshot::Receiver<io::Result<()>>,
    end: Instant,
    signals: &mut Signals,
) -> Result<(), AppError> {
    tokio::select! {
        written = timeout_at(end.max(Instant::now() + JOURNAL_SHARE), &mut written) => match written {
            Ok(Ok(Ok(()))) => tracing::info!("ended"),
            Ok(failed) => return Err(journal_ended(failed)),
            Err(_) => return Err(AppError::Interrupted { left: 1 }),
        },
        () = signals.next() => return Err(AppError::Interrupted { left: 1 }),
    }
    Ok(())
}

/// A second signal came: what is at work is left where it is.
fn interrupted(journal: &Journal, front: &Drain, back: &Drain) -> AppError {
    journal.close();
    AppError::Interrupted { left: front.running() + back.running() }
}

/// How long requests and attempts may take to end.
fn grace(shutdown: Duration) -> Duration {
    shutdown.saturating_sub(JOURNAL_SHARE).max(shutdown / 2)
}

/// How long attempts may go on: they are to have ended, and their events to be given back, before the house stops waiting.
fn attempts(shutdown: Duration) -> Duration {
    let grace = grace(shutdown);
    grace.saturating_sub(ATTEMPTS_MARGIN).max(grace / 2)
}

fn bind(listener: &Arc<str>, address: SocketAddr, given: Option<Bound>) -> Result<Bound, AppError> {
    let failed = |error| AppError::Bind { listener: Arc::clone(listener), address, error };
    let passed = given.is_some();
    let bound = given.map_or_else(|| Bound::new(address, BACKLOG), Ok).map_err(failed)?;
    let address = bound.address().map_err(failed)?;
    tracing::info!(listener = &**listener, %address, passed, "listening");
    Ok(bound)
}

/// What lanes share; no destination is reached at one of these doors.
fn way_out(assembly: &Assembly, doors: &[(Door, Bound)], back: &Drain, shutdown: Duration) -> deliver::House {
    // A socket that does not know its address is nobody's destination either.
    let own: Vec<SocketAddr> = doors.iter().filter_map(|(_, bound)| bound.address().ok()).collect();
    deliver::House {
        clock: assembly.clock.clone(),
        network: deliver::Network::new(&own),
        tenants: deliver::TenantNames::default(),
        drain: back.clone(),
        grace: attempts(shutdown),
        callers: assembly.callers.clone(),
    }
}

fn bind_control(path: &Path) -> Result<Local, AppError> {
    let local = Local::bind(path).map_err(|error| AppError::Control { path: path.to_owned(), error })?;
    tracing::info!(socket = %path.display(), "listening for commands");
    Ok(local)
}

/// The writer on its thread, and whoever releases what it wrote on the runtime.
fn start_journal(
    writer: Writer,
    journal: &Journal,
    watched: &Drain,
    alarm: &Alarm,
) -> Result<oneshot::Receiver<io::Result<()>>, AppError> {
    let (tell, written) = oneshot::channel();
    let write = move || {
        // Nobody listens any more only where the process is about to end.
        drop(tell.send(writer.run()));
    };
    thread::Builder::new().name("journal".to_owned()).spawn(write).map_err(AppError::Runtime)?;
    let journal = journal.clone();
    let release = watched.spawn(async move { journal.releases().await });
    alarm.guard("whoever tells what is stored".to_owned(), release);
    Ok(written)
}

/// Why the writer ended although nobody asked it to.
fn journal_ended(ended: Result<io::Result<()>, oneshot::error::RecvError>) -> AppError {
    AppError::JournalFailed(match ended {
        Ok(Err(error)) => error,
        Ok(Ok(())) => io::Error::other("it ended unasked"),
        Err(_) => io::Error::other("its thread panicked"),
    })
}

fn open_door(place: usize, door: Door, bound: Bound, assembly: &Assembly, alarm: &Alarm) -> Result<(), AppError> {
    let listener = ListenerId(u16::try_from(place).map_err(|_| AppError::Assembly("too many listeners".to_owned()))?);
    let ingress = Arc::clone(&assembly.ingress);
    let answer = move |peer, request| {
        let ingress = Arc::clone(&ingress);
        async move { ingress.answer(listener, peer, request).await }
    };
    let (what, drain) = (format!("listener {}", door.name), door.drain.clone());
    alarm.keep_open(what, &drain, door.open(bound, answer));
    Ok(())
}

/// The listener for those who watch; it stays open until the very end.
fn open_window(bound: Bound, assembly: &Assembly, readiness: &Arc<Readiness>, watched: &Drain, alarm: &Alarm) {
    gauges::refresh(&assembly.metrics, assembly, readiness);
    let readiness = Arc::clone(readiness);
    let admin = Arc::new(Admin::new(Arc::clone(&assembly.metrics), move || readiness.objections()));
    let door = Door {
        name: Arc::from("metrics"),
        tls: None,
        limits: Limits::private(),
        metrics: assembly.metrics.listener("metrics", CLOSINGS),
        house: assembly.metrics.house(),
        clock: assembly.clock.clone(),
        drain: watched.clone(),
    };
    let answer = move |_, request: http::Request<listen::Inflow>| {
        let admin = Arc::clone(&admin);
        async move { admin.answer(&request) }
    };
    alarm.keep_open("listener metrics".to_owned(), watched, door.open(bound, answer));
}

/// The socket for those who tell the house what to do; its file goes when the house closes.
fn open_control(local: Local, bell: Bell, assembly: &Assembly, front: &Drain, alarm: &Alarm) {
    let control = Arc::new(Control::new(move || {
        let bell = bell.clone();
        async move { bell.wait().await }
    }));
    let metrics = assembly.metrics.listener("control", CLOSINGS);
    let answer = move |request: http::Request<listen::Inflow>| {
        let control = Arc::clone(&control);
        async move { control.answer(request).await }
    };
    let open = local.open(Limits::private(), metrics, front.clone(), answer);
    alarm.keep_open("the control socket".to_owned(), front, open);
}

/// SIGTERM and SIGINT, which end the house, and SIGHUP, which has it reload.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: Some(signal(SignalKind::hangup())?),
        })
    }

    /// Rings the bell at every SIGHUP.
    fn reload(&mut self, bell: &Bell, watched: &Drain, alarm: &Alarm) {
        let Some(mut hangup) = self.hangup.take() else { return };
        let bell = bell.clone();
        let heard = watched.spawn(async move {
            while hangup.recv().await.is_some() {
                bell.ring();
            }
        });
        alarm.guard("whoever hears SIGHUP".to_owned(), heard);
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
