//! A box among others: restarts that refuse nobody, a supervisor that knows how the process stands, and readiness by
//! which an address may be moved.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::client::{Answer, Client};
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{PATIENCE, eventually, hmac_hex};

/// A socket that listens, and of which nothing is taken here.
fn listening() -> TcpListener {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(4096).unwrap();
    socket.into()
}

/// Becomes Porteiro with two sockets passed to it, as sd_listen_fds(3) has it: std passes no descriptors but the first
/// three, so that a shell moves them where they belong.
fn passing(estate: &Estate, first: &TcpListener, second: &TcpListener, names: &str) -> Command {
    let script = r#"exec 3<&0 4<&1 0</dev/null 1>/dev/null
        export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES="$1"
        exec "$2" serve -c "$3""#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh", names, env!("CARGO_BIN_EXE_porteiro")])
        .arg(estate.path("porteiro.toml"))
        .stdin(OwnedFd::from(first.try_clone().unwrap()))
        .stdout(OwnedFd::from(second.try_clone().unwrap()));
    command
}

fn body(number: usize) -> Vec<u8> {
    format!(r#"{{"object":"whatsapp_business_account","entry":[{{"id":"5501","mark":{number}}}]}}"#).into_bytes()
}

fn post(client: &mut Client, body: &[u8]) -> io::Result<Answer> {
    client.post("/meta", &[("X-Hub-Signature-256", &format!("sha256={}", hmac_hex(SECRET, body)))], body)
}

/// What a load of several connections knows.
#[derive(Default)]
struct Load {
    numbers: AtomicUsize,
    answered: Mutex<HashSet<usize>>,
    connected: AtomicUsize,
    /// Connections that ended before an answer came.
    cut: AtomicUsize,
    over: AtomicBool,
}

impl Load {
    fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// Sends so many a second, on a new connection now and then, until it is over. A connection that is closed under a
    /// request was idle when the house closed it; what was sent on it is sent again.
    fn run(&self, address: SocketAddr, every: Duration) {
        let mut client: Option<Client> = None;
        let mut due = Instant::now();
        while !self.over.load(Ordering::Acquire) {
            let number = self.numbers.fetch_add(1, Ordering::AcqRel);
            let body = body(number);
            for attempt in 0.. {
                assert!(attempt < 5, "{number} was not answered on five connections");
                let mut open = client.take().unwrap_or_else(|| {
                    self.connected.fetch_add(1, Ordering::AcqRel);
                    Client::plain(address).unwrap_or_else(|error| panic!("a connection was refused: {error}"))
                });
                match post(&mut open, &body) {
                    Ok(answer) => {
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        let ends = answer.header("connection") == Some("close") || number.is_multiple_of(40);
                        client = Some(open).filter(|_| !ends);
                        break;
                    }
                    Err(_) => drop(self.cut.fetch_add(1, Ordering::AcqRel)),
                }
            }
            self.answered.lock().unwrap().insert(number);
            due = (due + every).max(Instant::now() - every);
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
    }
}

#[test]
fn restarts_under_load_refuse_nobody() {
    const WORKERS: usize = 32;
    const ROUNDS: usize = 20;
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let estate = Estate::new(&two_destinations(&one.url(), &two.url()));
    let (plain, public) = (listening(), listening());
    let address = plain.local_addr().unwrap();
    // In the other order than the configuration's: names decide.
    let start = || House::started_by(passing(&estate, &plain, &public, "plain:public"));
    let mut house = start();
    assert_eq!(house.address("plain"), address);
    assert_eq!(house.address("public"), public.local_addr().unwrap());
    let load = Arc::new(Load::default());
    let began = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let load = Arc::clone(&load);
            // Two thousand a second, all together.
            std::thread::spawn(move || load.run(address, Duration::from_millis(16)))
        })
        .collect();
    let mut gap = Duration::ZERO;
    for _ in 0..ROUNDS {
        let before = load.count();
        eventually("answers of this process", || load.count() > before + 200);
        let down = Instant::now();
        let (status, log) = house.stop();
        assert_eq!(status.code(), Some(0), "{log}");
        house = start();
        gap = gap.max(down.elapsed());
    }
    let before = load.count();
    eventually("answers of the last process", || load.count() > before + 200);
    load.over.store(true, Ordering::Release);
    for worker in workers {
        assert!(worker.join().is_ok(), "{}", house.log());
    }
    let rate = load.count() as f64 / began.elapsed().as_secs_f64();
    let (connected, cut) = (load.connected.load(Ordering::Acquire), load.cut.load(Ordering::Acquire));
    println!("{ROUNDS} restarts (the longest {gap:?}), {rate:.0} answers/s, {connected} connections, {cut} cut");
    assert!(connected > ROUNDS * WORKERS / 2, "too few came to a closed house: {connected}");
    assert!(cut <= ROUNDS * WORKERS, "each connection can be cut once by a restart, and {cut} were");
    let answered = load.answered.lock().unwrap().len();
    eventually("the delivery of everything acknowledged", || one.count() >= answered && two.count() >= answered);
    for sink in [&one, &two] {
        let arrived: HashSet<Vec<u8>> = sink.arrivals().into_iter().map(|arrival| arrival.body).collect();
        assert!(load.answered.lock().unwrap().iter().all(|number| arrived.contains(&body(*number))));
    }
    house.metrics().no_panics();
}

#[test]
fn a_socket_that_no_listener_wants_ends_the_start() {
    let estate = Estate::new(&two_destinations("http://127.0.0.1:9/", "http://127.0.0.1:9/"));
    let output = passing(&estate, &listening(), &listening(), "one:two").stderr(Stdio::piped()).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("the socket `one`") && log.contains("one of plain, public, metrics"), "{log}");
}

#[test]
fn a_supervisor_hears_ready_reloading_alive_and_stopping() {
    let estate = Estate::new(&two_destinations("http://127.0.0.1:9/", "http://127.0.0.1:9/"));
    let path = estate.path("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_porteiro"));
    command.args(["serve", "-c"]).arg(estate.path("porteiro.toml")).stdin(Stdio::null()).stdout(Stdio::null());
    // Nobody else's watchdog is fed, so that no other process is believed to be alive.
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000").env_remove("WATCHDOG_PID");
    let heard = || {
        let mut bytes = [0; 512];
        let length = supervisor.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let house = House::started_by(command);
    let heard_of = || (0..1_000).map(|_| heard()).find(|said| said != "WATCHDOG=1").unwrap();
    assert!(heard().starts_with("READY=1\nSTATUS="));
    // What came of it makes no difference: a configuration with a problem leaves the one in force.
    for configuration in ["format = 1\nno-such-key = 1\n", &fs::read_to_string(estate.path("porteiro.toml")).unwrap()] {
        fs::write(estate.path("porteiro.toml"), configuration).unwrap();
        house.signal(rustix::process::Signal::HUP);
        let reloading = heard_of();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert!(heard_of().starts_with("READY=1\nSTATUS="));
    }
    let since = Instant::now();
    for _ in 0..5 {
        assert_eq!(heard(), "WATCHDOG=1");
    }
    assert!(since.elapsed() > Duration::from_millis(300), "once every 100 ms is enough");
    house.signal(rustix::process::Signal::TERM);
    let stopping = heard_of();
    assert!(stopping.starts_with("STOPPING=1\nSTATUS="), "{stopping}");
    assert_eq!(house.wait().0.code(), Some(0));
}

fn health(house: &House) -> Output {
    let address = house.address("metrics").to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_porteiro"));
    command.args(["health", "--within", "20s", "--address", &address]).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_dead_destination_moves_no_address_and_an_end_does() {
    let (gone, hangs) = (listening(), Sink::start(Manner::Hang));
    let dead = format!("http://{}/hook", gone.local_addr().unwrap());
    drop(gone);
    let estate = Estate::new(&two_destinations(&dead, &hangs.url()));
    let house = House::start(&estate);
    assert_eq!(post(&mut house.plain(), &body(1)).unwrap().status, 200);
    let failed = [("destination", "one"), ("outcome", "connect")];
    eventually("an attempt at the dead one", || house.metrics().value("porteiro_attempts_total", &failed) > 0.0);
    eventually("an attempt that hangs", || hangs.count() == 1);
    assert_eq!(health(&house).status.code(), Some(0));
    assert!(house.metrics().value("porteiro_ready", &[]) == 1.0);
    house.signal(rustix::process::Signal::TERM);
    eventually("the signal", || house.log().contains("draining"));
    let output = health(&house);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("not ready: shutting down"), "{said}");
}

#[test]
fn the_unit_file_is_shut_tightly() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/config/systemd/porteiro.service");
    let mut command = Command::new("systemd-analyze");
    let Ok(output) = command.args(["security", "--offline=true", "--threshold=15", "--no-pager", unit]).output() else {
        eprintln!("SKIPPED: systemd-analyze is not on this machine");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "an exposure of more than 1.5:\n{said}");
    assert!(said.contains("Overall exposure level for porteiro.service"), "{said}");
}
