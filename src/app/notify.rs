//! How does whoever started this process learn how it stands?
//!
//! The protocol is that of sd_notify(3): a datagram to the socket that `NOTIFY_SOCKET` names, in the file system or in
//! the abstract name space.
//!
//! Promises: without that variable nothing is done; a socket that cannot be written to is named in the log once and
//! stops nothing.
//!
//! Must not know: when anything is true; whoever knows tells it. The variables stay in the environment, where nobody
//! inherits them: Porteiro starts no process.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A supervisor that does not read is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// Alive is said this often within the time after which silence is death.
const TIMES: u32 = 3;

/// Tells the supervisor of this process, if it has one, how it stands.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    /// For what is said again and again: whoever says it does not wait.
    quick: Option<UnixDatagram>,
    watchdog: Option<Duration>,
    complained: AtomicBool,
}

impl Notify {
    /// As the environment of this process says.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(std::process::id(), &|name| std::env::var_os(name))
    }

    fn of(process: u32, variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let complained = AtomicBool::new(false);
        let mut notify = Self { socket: None, quick: None, watchdog: None, complained };
        let Some(name) = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return notify };
        match connect(&name).and_then(|socket| Ok((socket, connect(&name)?))) {
            Ok((socket, quick)) => {
                // What cannot be made quick is not used at all.
                notify.quick = quick.set_nonblocking(true).is_ok().then_some(quick);
                notify.socket = Some(socket);
            }
            Err(error) => notify.complain(&error),
        }
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = variable("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(process.into());
        let every = number("WATCHDOG_USEC").filter(|every| ours && *every > 0);
        notify.watchdog = every.map(|every| Duration::from_micros(every) / TIMES);
        notify
    }

    /// All listeners are open and everything runs, for the first time or after a reload.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The configuration is being read again; [`Notify::ready`] says when that is over, whatever came of it.
    pub fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()));
    }

    /// The process takes nothing new and will end.
    pub fn stopping(&self, status: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// The process is alive; to be said again within [`Notify::alive_every`]. One that finds no room is left out.
    pub fn alive(&self) {
        let Some(quick) = self.quick.as_ref().filter(|_| self.watchdog.is_some()) else { return };
        match quick.send(b"WATCHDOG=1") {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.complain(&error),
            _ => {}
        }
    }

    /// How often somebody wants to hear that the process is alive; `None` where nobody does.
    #[must_use]
    pub const fn alive_every(&self) -> Option<Duration> {
        self.watchdog
    }

    fn tell(&self, state: &str) {
        if let Some(Err(error)) = self.socket.as_ref().map(|socket| socket.send(state.as_bytes())) {
            self.complain(&error);
        }
    }

    fn complain(&self, error: &io::Error) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the supervisor cannot be told how this process stands (NOTIFY_SOCKET)");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// A line feed would begin another assignment.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// `CLOCK_MONOTONIC`, by which a supervisor tells this reload from an earlier one.
fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'static str, &'a str)];

    fn of(variables: Variables<'_>) -> Notify {
        Notify::of(77, &|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    /// What a supervisor hears that listens here.
    fn heard(socket: &UnixDatagram, name: &str) -> Vec<String> {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let notify = of(&[("NOTIFY_SOCKET", name), ("WATCHDOG_USEC", "30000000")]);
        notify.ready("two\nlines");
        notify.reloading();
        notify.alive();
        notify.stopping("draining");
        let next = |_| {
            let mut bytes = [0; 512];
            let length = socket.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        (0..4).map(next).collect()
    }

    #[track_caller]
    fn check(said: &[String]) {
        assert_eq!(said[0], "READY=1\nSTATUS=two lines");
        let (reloading, since) = said[1].split_once("\nMONOTONIC_USEC=").unwrap();
        assert_eq!(reloading, "RELOADING=1");
        // The same clock, a moment ago.
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::new(u64::try_from(now.tv_sec).unwrap(), u32::try_from(now.tv_nsec).unwrap());
        let passed = now.checked_sub(Duration::from_micros(since.parse().unwrap())).unwrap();
        assert!(passed < Duration::from_secs(5), "{passed:?}");
        assert_eq!(said[2..], ["WATCHDOG=1", "STOPPING=1\nSTATUS=draining"]);
    }

    #[test]
    fn a_supervisor_is_told_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        check(&heard(&UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap()));
        let name = format!("porteiro-test-{}-{}", std::process::id(), monotonic_micros());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        check(&heard(&UnixDatagram::bind_addr(&address).unwrap(), &format!("@{name}")));
    }

    #[test]
    fn who_has_no_supervisor_or_one_that_is_gone_goes_on() {
        for variables in
            [&[] as Variables<'_>, &[("NOTIFY_SOCKET", "")], &[("NOTIFY_SOCKET", "vsock:2:1"), ("WATCHDOG_USEC", "x")]]
        {
            let notify = of(variables);
            assert!(notify.socket.is_none() && notify.alive_every().is_none());
            notify.ready("");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let notify = of(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
        drop(socket);
        notify.ready("");
        assert!(notify.complained.load(Ordering::Relaxed));
    }

    #[test]
    fn who_says_that_it_is_alive_does_not_wait_for_a_supervisor_that_does_not_listen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _socket = UnixDatagram::bind(&path).unwrap();
        let notify = of(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "30000000")]);
        let began = std::time::Instant::now();
        // More than any queue of datagrams holds.
        for _ in 0..100_000 {
            notify.alive();
            assert!(began.elapsed() < Duration::from_secs(10), "it waits");
        }
        assert!(!notify.complained.load(Ordering::Relaxed));
    }

    #[test]
    fn alive_is_said_three_times_within_the_time_and_only_to_who_wants_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let _socket = UnixDatagram::bind(&path).unwrap();
        let name = ("NOTIFY_SOCKET", path.to_str().unwrap());
        let every = |more: &[(&'static str, &'static str)]| of(&[&[name], more].concat()).alive_every();
        let ten = Some(Duration::from_secs(10));
        assert_eq!(every(&[("WATCHDOG_USEC", "30000000")]), ten);
        assert_eq!(every(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "77")]), ten);
        assert_eq!(every(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "78")]), None);
        assert_eq!(every(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "")]), None);
        assert_eq!(every(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(every(&[]), None);
    }
}
