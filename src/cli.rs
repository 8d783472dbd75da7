//! What was asked of the program on its command line?
//!
//! Promises: usage errors end with 2, a bad configuration with 78, a failure at run time with 1, and everything else
//! with 0; errors go to stderr, in colour only on a terminal and without `NO_COLOR`; a reader that goes away is no
//! failure, and changes nothing of what is done and of how it ends.
//!
//! Must not know: how anything is done; every command is a thin call into a room that exists anyway.

mod check;
mod deadline;
pub mod demo;
mod files;
mod explain;
mod health;
mod init;
mod log;
mod pages;
mod patient;
mod reload;
mod send;
pub mod sink;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use http::StatusCode;

use crate::config::{self, Config, LogFormat, LogLevel, Report};
use crate::drain::{self, Drain};

/// The configuration could not be used; what sysexits.h calls `EX_CONFIG`.
const EXIT_CONFIG: u8 = 78;
/// Where the metrics listener stands if nothing is said.
const METRICS: &str = "127.0.0.1:9600";

/// A doorman for webhooks: proves who is at the gate, signs for the parcel, and carries it to every flat it is meant
/// for.
///
/// Porteiro takes webhooks over TLS, proves that each came from its provider, stores it durably, answers the provider,
/// and carries it to every URL that should hear it, each at its own pace.
#[derive(Debug, Parser)]
#[command(name = "porteiro", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_long_help = "Exit codes: 0 all is well, 1 it failed, 2 the arguments make no sense, 78 the configuration \
                       does not; of `check --against` 10 and 11, see there."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay
    ///
    /// Runs until SIGTERM or SIGINT, then finishes the requests and attempts under way and ends with 0. A second signal
    /// ends it at once; what was acknowledged is on disk all the same.
    Serve(Serve),
    /// Check a configuration, and say what it means
    ///
    /// Reads the file, its secrets, certificates and provider files as `serve` would. A file that is wrong gets all of
    /// its problems named, and 78. Of one that is right it says what was built, the most memory it can take, how long
    /// an outage the disk holds, and what is unsafe. The tests that stand in the file are tried; with --explain it says
    /// instead what one request would meet: source, limits, tenant, route, destinations and answer. With --effective it
    /// prints the configuration with every default; with --against what a reload from another one would change: it ends
    /// with 0 if that is nothing, with 10 if a reload applies all of it, and with 11 if something needs a restart.
    Check(Box<check::Check>),
    /// Ask a running Porteiro whether it is ready
    ///
    /// Asks /-/ready of the metrics listener: 0 if it is ready, 1 if it is not or does not answer in time. It is not ready
    /// where another box would do better (it ends, its disk is full, hangs or failed), never because a destination is
    /// dead. For keepalived, load balancers and containers; nothing needs to be readable for it.
    Health(Health),
    /// Have a running Porteiro take in its configuration anew
    ///
    /// Asks on the control socket, waits, and prints what changed and what waits for a restart. If the new configuration
    /// has problems, the one in force stays: all of them are printed, and it ends with 78. SIGHUP does the same, and tells
    /// the log. Certificates, secrets and lists are taken in by themselves when their files change.
    Reload(Reload),
    /// Write a first configuration for one provider
    ///
    /// Writes a commented configuration and the secrets it needs, and prints the URL to paste at the provider, where, and
    /// what to type next. Secrets that only the provider can give get an empty file, and a word on where to get them.
    /// Overwrites nothing.
    Init(Box<init::Init>),
    /// Make up a request of a provider, sign it, and send it to a source
    ///
    /// Signs with the configuration's own secrets any body, or a sample of the provider's shape, and sends it to the
    /// source's listener on this machine or elsewhere. Prints the answer and why it was refused; ends with 0 only for 2xx.
    /// With --dry-run it prints a line for a shell instead, in which no secret stands.
    Send(Box<send::Send>),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print what a shell completes commands by
    ///
    /// For bash: `porteiro completions bash > /etc/bash_completion.d/porteiro`
    Completions(pages::Completions),
    /// Print a page of the manual
    ///
    /// To read it: `porteiro man check | man -l -`
    Man(pages::Page),
    /// Print the version
    Version(Version),
    /// Receive webhooks and print them, for trying things out
    ///
    /// A destination that can be slow, failing or deaf on demand.
    Sink(SinkArguments),
    /// Show on this machine what Porteiro does
    ///
    /// Runs the real server on loopback with a certificate made at the start and a journal in a temporary directory,
    /// plays the provider and two destinations, takes one of them away, and kills the server. Prints what happened to
    /// each event.
    Demo(Demo),
}

#[derive(Debug, Args)]
struct File {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", env = "PORTEIRO_CONFIG", default_value = "/etc/porteiro/porteiro.toml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    file: File,
    /// What a log line looks like, whatever the configuration says
    #[arg(long, value_name = "FORMAT", value_parser = log_format())]
    log_format: Option<LogFormat>,
    /// How important a log line must be, whatever the configuration says
    #[arg(long, value_name = "LEVEL", value_parser = log_level())]
    log_level: Option<LogLevel>,
}

#[derive(Debug, Args)]
struct Health {
    /// Where the metrics listener stands
    #[arg(long, value_name = "ADDRESS", default_value = METRICS)]
    address: SocketAddr,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", value_parser = config::time_of, default_value = "2s")]
    within: Duration,
}

#[derive(Debug, Args)]
struct Reload {
    #[command(flatten)]
    file: File,
    /// The control socket, if not the one that the configuration names
    ///
    /// Then no configuration is read.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// For people, or for machines
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Args)]
struct Version {
    /// For people, or for machines
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Args)]
struct SinkArguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// What to answer
    #[arg(long, value_name = "CODE", default_value = "200")]
    status: StatusCode,
    /// How long to wait before the answer, such as 250ms
    #[arg(long, value_name = "TIME", value_parser = config::time_of, default_value = "0s")]
    delay: Duration,
    /// Close the connection without an answer: the first N arrivals, or a share of all such as 10%
    #[arg(long, value_name = "N|SHARE", default_value = "0")]
    drop: sink::Lose,
    /// Print the first bytes of the bodies, too
    #[arg(long)]
    body: bool,
    /// Print nothing of what arrives
    #[arg(long, conflicts_with = "body")]
    quiet: bool,
}

#[derive(Debug, Args)]
struct Demo {
    /// End after the last scene instead of serving until Ctrl-C
    #[arg(long)]
    once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Text for people
    Text,
    /// One JSON document
    Json,
}

fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    one_of(&[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn log_level() -> impl TypedValueParser<Value = LogLevel> {
    one_of(&[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ])
}

fn one_of<T>(words: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word)).map(move |said: String| {
        words
            .iter()
            .find(|(word, _)| *word == said)
            .map(|(_, value)| *value)
            .expect("the parser lets only these through")
    })
}

/// Reads the arguments of this process, does what they ask, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout with 0, errors to stderr with 2; nobody may be reading.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut out = patient::Patient::new(io::stdout().lock());
    let ended = match arguments.command {
        Command::Serve(arguments) => {
            drop(out);
            serve(&arguments)
        }
        Command::Check(arguments) => check::run(&arguments, &mut out),
        Command::Health(arguments) => health::ask(arguments.address, arguments.within).map_err(Failure::Run),
        Command::Reload(arguments) => reload(&arguments, &mut out),
        Command::Init(arguments) => init::run(&arguments, &mut out),
        Command::Send(arguments) => send::run(&arguments, &mut out),
        Command::Schema => writeln!(out, "{:#}", config::schema::schema()).map_err(Failure::Print),
        Command::Completions(arguments) => pages::completions(&arguments, &mut out),
        Command::Man(arguments) => pages::page(&arguments, &mut out),
        Command::Version(arguments) => version(arguments.output, &mut out),
        Command::Sink(arguments) => {
            drop(out);
            sink(&arguments)
        }
        Command::Demo(arguments) => {
            drop(out);
            demo(&arguments)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// The configuration cannot be used.
    Config(Report),
    /// As [`Failure::Config`], and the problems were told on stdout.
    Told,
    /// As [`Failure::Config`], in the words of the house that was to take it in.
    Refused(String),
    /// It is no failure: the exit code is the answer.
    Answer(u8),
    /// It failed.
    Run(String),
    /// What was to be printed could not be.
    Print(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Print(error)
    }
}

impl Failure {
    fn tell(self) -> ExitCode {
        let mut err = io::stderr().lock();
        // If stderr cannot be written, the exit code has to do.
        match self {
            Self::Config(report) => {
                drop(write!(err, "{}", report.render(colour(&err))));
                ExitCode::from(EXIT_CONFIG)
            }
            Self::Told => ExitCode::from(EXIT_CONFIG),
            Self::Answer(code) => ExitCode::from(code),
            Self::Refused(report) => {
                drop(write!(err, "{report}"));
                ExitCode::from(EXIT_CONFIG)
            }
            Self::Run(why) => {
                drop(writeln!(err, "porteiro: {why}"));
                ExitCode::FAILURE
            }
            Self::Print(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Print(error) => {
                drop(writeln!(err, "porteiro: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// Whether to speak in colour there.
fn colour(to: &impl IsTerminal) -> bool {
    to.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn load(path: &Path) -> Result<Config, Failure> {
    config::load(path).map_err(Failure::Config)
}

fn serve(arguments: &Serve) -> Result<(), Failure> {
    drain::count_panics();
    let config = load(&arguments.file.config)?;
    let mut wanted = config.log;
    wanted.format = arguments.log_format.unwrap_or(wanted.format);
    wanted.level = arguments.log_level.unwrap_or(wanted.level);
    log::begin(wanted);
    if let Some(dangers) = &config.dangers {
        for danger in dangers.problems() {
            let place = dangers.place(danger);
            let (file, line, danger) = (place.file, place.line, danger.title());
            tracing::warn!(file, line, danger, "the configuration is unsafe");
        }
    }
    files::allow(config.files().total());
    crate::app::run(config).map_err(|error| Failure::Run(error.to_string()))
}

fn reload(arguments: &Reload, out: &mut impl Write) -> Result<(), Failure> {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        None => config::control_socket(&arguments.file.config).map_err(Failure::Config)?.ok_or_else(|| {
            let file = arguments.file.config.display();
            Failure::Run(format!(
                "{file} names no control socket; add [control] with socket = \"PATH\", or send SIGHUP"
            ))
        })?,
    };
    let (status, body) = reload::ask(&socket).map_err(Failure::Run)?;
    let refused = status == reload::REFUSED;
    if arguments.output == Output::Json {
        out.write_all(body.as_bytes())?;
        return match status {
            reload::APPLIED => Ok(()),
            _ if refused => Err(Failure::Told),
            _ => Err(Failure::Run("not reloaded; the configuration in force stays".to_owned())),
        };
    }
    match reload::read(status, &body) {
        Ok(told) => Ok(out.write_all(told.as_bytes())?),
        Err(report) if refused => Err(Failure::Refused(report)),
        Err(why) => Err(Failure::Run(why)),
    }
}

fn version(output: Output, out: &mut impl Write) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match output {
        Output::Text => writeln!(out, "porteiro {version}")?,
        Output::Json => {
            let told = serde_json::json!({ "name": "porteiro", "version": version, "configuration": 1 });
            writeln!(out, "{told}")?;
        }
    }
    Ok(())
}

fn sink(arguments: &SinkArguments) -> Result<(), Failure> {
    let options = sink::Options {
        listen: arguments.listen,
        status: arguments.status,
        delay: arguments.delay,
        drop: arguments.drop,
    };
    let shown = sink::Shown { quiet: arguments.quiet, body: arguments.body };
    let drain = Drain::new();
    runtime()?.block_on(async {
        let run = sink::run(options, shown, &drain, io::stdout());
        tokio::select! {
            ended = run => ended.map_err(|error| match error.kind() {
                ErrorKind::BrokenPipe => Failure::Print(error),
                _ => Failure::Run(format!("{}: {error}", arguments.listen)),
            }),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

fn demo(arguments: &Demo) -> Result<(), Failure> {
    drain::count_panics();
    let options = demo::Options { once: arguments.once };
    let ended = runtime()?.block_on(demo::run(options, &mut io::stdout()));
    ended.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Print(error),
        _ => Failure::Run(error.to_string()),
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::Run(format!("no runtime can be started: {error}")))
}

#[cfg(test)]
mod tests;
