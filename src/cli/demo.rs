//! What does Porteiro do, in one minute, on this machine?
//!
//! Starts the real server as a process of its own with the real `config/demo.toml`, two destinations in this process, and
//! plays the provider: signed webhooks and a forged one, a destination that is gone for three seconds, a server killed
//! with SIGKILL. Every figure it prints was measured just then.
//!
//! Promises: only loopback is used; everything it made is gone when it ends.
//!
//! Must not know: how any of it is done inside the server.

mod provider;
mod server;
mod stage;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use self::provider::{Provider, Sent, Webhook};
use self::server::Server;
use self::stage::Stage;
use crate::cli::sink::{Arrival, Lose, Options as SinkOptions, Sink};
use crate::drain::Drain;

/// How long a destination stays away.
const AWAY: Duration = Duration::from_secs(3);
/// How long a delivery may take before the demonstration calls it missing: the breaker's pause and room to spare.
const PATIENCE: Duration = Duration::from_secs(30);
/// The names `config/demo.toml` gives its destinations.
const NAMES: [&str; 2] = ["crm-internal", "crm-external"];

/// What the demonstration was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// End after the last scene instead of serving until Ctrl-C.
    pub once: bool,
}

/// Runs the demonstration and prints what happens to `out`.
///
/// # Errors
///
/// What could not be set up, or what did not happen although it should have.
pub async fn run(options: Options, out: &mut (impl Write + Send)) -> io::Result<()> {
    let stage = Stage::set()?;
    // Whenever it is cut short, its server ends with it, and then its directory is removed.
    tokio::select! {
        played = play(options, &stage, out) => played?,
        told = tokio::signal::ctrl_c() => told?,
    }
    writeln!(out, "\nThe server has stopped and {} is gone.", stage.directory().display())
}

async fn play(options: Options, stage: &Stage, out: &mut (impl Write + Send)) -> io::Result<()> {
    let mut play = Play::begin(stage).await?;
    play.introduce(out)?;
    play.webhooks(out).await?;
    play.destination_gone(out).await?;
    play.server_killed(out).await?;
    if !options.once {
        play.go_on(out).await?;
    }
    play.server.stop().await
}

/// The running demonstration.
struct Play<'a> {
    stage: &'a Stage,
    server: Server,
    provider: Provider,
    destinations: [Destination; 2],
}

impl<'a> Play<'a> {
    async fn begin(stage: &'a Stage) -> io::Result<Self> {
        let destinations =
            [Destination::open(stage.destinations[0]).await?, Destination::open(stage.destinations[1]).await?];
        let provider = Provider::new(stage)?;
        let server = Self::serve(stage).await?;
        Ok(Self { stage, server, provider, destinations })
    }

    async fn serve(stage: &Stage) -> io::Result<Server> {
        let (configuration, log) = (stage.path("demo.toml"), stage.path("server.log"));
        Server::start(&configuration, &log, stage.metrics).await.map_err(|error| {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            io::Error::other(format!("{error}\n{said}"))
        })
    }

    fn introduce(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "Porteiro on loopback, from {}", self.stage.path("demo.toml").display())?;
        writeln!(out, "  server        https://{} (a certificate made just now)", self.stage.https)?;
        writeln!(out, "  metrics       http://{}/metrics", self.stage.metrics)?;
        for (name, address) in NAMES.iter().zip(self.stage.destinations) {
            writeln!(out, "  {name:13} http://{address}")?;
        }
        Ok(())
    }

    /// Three providers that sign, one that only pretends.
    async fn webhooks(&mut self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nWebhooks")?;
        for webhook in [Webhook::meta("hello"), Webhook::github("opened"), Webhook::stripe("charge.succeeded")] {
            let sent = self.provider.send(&webhook).await?;
            writeln!(out, "  {:7} {:38} {}", webhook.source, webhook.what, acknowledged(&sent)?)?;
            self.arrived_everywhere(&webhook, &sent, out).await?;
        }
        let forged = Webhook::meta("let me in").forged();
        let before = self.server.outcomes(forged.source).await?;
        let sent = self.provider.send(&forged).await?;
        let why = self.server.outcomes(forged.source).await?.into_iter().find(|now| !before.contains(now));
        let why = why.map_or_else(|| "for no counted reason".to_owned(), |(reason, _)| reason);
        writeln!(
            out,
            "  {:7} {:38} refused {}: {why}; nothing stored",
            forged.source,
            forged.what,
            sent.status.as_u16()
        )?;
        if sent.status != StatusCode::UNAUTHORIZED {
            return Err(io::Error::other("the forged webhook was not refused with 401"));
        }
        Ok(())
    }

    /// A destination that is gone moves neither the acknowledgement nor the other one; it gets its event when it is back.
    async fn destination_gone(&mut self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nA destination goes away: {} is stopped for {} s", NAMES[1], AWAY.as_secs())?;
        self.destinations[1].close().await;
        let back = Instant::now() + AWAY;
        let webhook = Webhook::meta("are you there?");
        let sent = self.provider.send(&webhook).await?;
        writeln!(out, "  {:7} {:38} {}", webhook.source, webhook.what, acknowledged(&sent)?)?;
        self.arrived(0, &webhook, &sent, out).await?;
        sleep_until(back.into()).await;
        self.destinations[1] = Destination::open(self.stage.destinations[1]).await?;
        writeln!(out, "  {} is back", NAMES[1])?;
        self.arrived(1, &webhook, &sent, out).await
    }

    /// What was acknowledged survives SIGKILL.
    async fn server_killed(&mut self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nThe server is killed: both destinations are stopped, an event is sent, then SIGKILL")?;
        for destination in &mut self.destinations {
            destination.close().await;
        }
        let webhook = Webhook::github("closed");
        let sent = self.provider.send(&webhook).await?;
        writeln!(out, "  {:7} {:38} {}", webhook.source, webhook.what, acknowledged(&sent)?)?;
        self.server.kill()?;
        writeln!(out, "  the server is dead; destinations and server are started again")?;
        for (destination, address) in self.destinations.iter_mut().zip(self.stage.destinations) {
            *destination = Destination::open(address).await?;
        }
        self.provider.hang_up();
        self.server = Self::serve(self.stage).await?;
        self.arrived_everywhere(&webhook, &sent, out).await
    }

    async fn go_on(&mut self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\nGo on by hand (Ctrl-C ends; what arrives is shown here):")?;
        for line in self.provider.curl_lines()? {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "  curl -s http://{}/metrics | grep porteiro_requests_total", self.stage.metrics)?;
        out.flush()?;
        let [first, second] = &mut self.destinations;
        loop {
            tokio::select! {
                arrival = first.arrivals.recv() => show(NAMES[0], arrival, out)?,
                arrival = second.arrivals.recv() => show(NAMES[1], arrival, out)?,
                ended = tokio::signal::ctrl_c() => return ended,
            }
        }
    }

    async fn arrived_everywhere(&mut self, webhook: &Webhook, sent: &Sent, out: &mut impl Write) -> io::Result<()> {
        for place in 0..NAMES.len() {
            self.arrived(place, webhook, sent, out).await?;
        }
        Ok(())
    }

    async fn arrived(&mut self, place: usize, webhook: &Webhook, sent: &Sent, out: &mut impl Write) -> io::Result<()> {
        let (name, destination) = (NAMES[place], &mut self.destinations[place]);
        let wanted = async {
            loop {
                let (at, arrival) = destination.arrivals.recv().await?;
                if arrival.body == webhook.body {
                    return Some((at, arrival));
                }
            }
        };
        let found = timeout(PATIENCE, wanted).await.ok().flatten();
        let Some((at, arrival)) = found else {
            return Err(io::Error::other(format!("{name} did not get the event within {PATIENCE:?}")));
        };
        let id = arrival.headers.get("x-porteiro-event-id").and_then(|id| id.to_str().ok()).unwrap_or("without an id");
        let after = millis(at.saturating_duration_since(sent.at));
        writeln!(out, "          -> {name:13} after {after:>9}  event {id}")
    }
}

fn acknowledged(sent: &Sent) -> io::Result<String> {
    if !sent.status.is_success() {
        return Err(io::Error::other(format!("a signed webhook was refused with {}", sent.status)));
    }
    Ok(format!("acknowledged {} after {}, stored", sent.status.as_u16(), millis(sent.took)))
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn show(name: &str, arrival: Option<(Instant, Arrival)>, out: &mut impl Write) -> io::Result<()> {
    if let Some((_, arrival)) = arrival {
        writeln!(out, "  {name:13} {} {} ({} bytes)", arrival.method, arrival.target, arrival.body.len())?;
        out.flush()?;
    }
    Ok(())
}

/// A destination in this process.
struct Destination {
    drain: Drain,
    arrivals: mpsc::Receiver<(Instant, Arrival)>,
}

impl Destination {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let options = SinkOptions { listen: address, status: StatusCode::OK, delay: Duration::ZERO, drop: Lose::None };
        let sink = Sink::bind(options).await?;
        let drain = Drain::new();
        let (tell, arrivals) = mpsc::channel(1024);
        let until = drain.clone();
        drain.spawn(async move {
            // An arrival beyond a full channel is one that nobody waits for.
            sink.run(&until, move |arrival| drop(tell.try_send((Instant::now(), arrival)))).await;
        });
        Ok(Self { drain, arrivals })
    }

    /// Stops listening and closes every connection.
    async fn close(&mut self) {
        self.drain.close();
        self.drain.finished().await;
    }
}
