//! Which listening sockets did whoever started this process pass to it?
//!
//! The protocol is that of sd_listen_fds(3): `LISTEN_PID`, `LISTEN_FDS` and, for their names, `LISTEN_FDNAMES`. A socket
//! that is passed stays open when this process ends: who connects meanwhile waits in its queue for the next one, and is
//! not refused.
//!
//! Promises: a socket goes to the listener of its name, else to the one of its address; the last socket left goes to the
//! last listener left. One that is no listening TCP socket, or that no listener wants, ends the start: nobody would ever
//! answer those who connect to it. What was meant for another process is left alone.
//!
//! Must not know: systemd, beyond its protocol. The crate that takes the sockets over, `listenfd`, removes `LISTEN_PID`
//! and `LISTEN_FDS` from the environment; of its further variables nobody else learns, because Porteiro starts no process.

use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::Bound;

/// More sockets than this are nobody's configuration.
const SOCKETS_MAX: usize = 256;

/// Sockets that were passed and are not yet given to a listener.
#[derive(Debug, Default)]
pub struct Passed(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    name: Box<str>,
    address: SocketAddr,
    listener: TcpListener,
}

/// Why what was passed cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassedError {
    /// A variable of the protocol does not say what it should.
    Variable {
        /// Its name.
        name: &'static str,
        /// What it says.
        says: String,
        /// What it should say.
        form: String,
    },
    /// What was passed is no listening TCP socket.
    NoListener {
        /// Which one, counted from one.
        place: usize,
        /// Its name, empty where it has none.
        name: Box<str>,
        /// What it is.
        why: String,
    },
    /// No listener of the configuration is meant.
    Unwanted {
        /// Its name, empty where it has none.
        name: Box<str>,
        /// Where it listens.
        address: SocketAddr,
        /// The listeners that could be meant.
        free: Vec<Box<str>>,
    },
}

impl fmt::Display for PassedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { name, says, form } => {
                write!(f, "{name} is `{says}`, which is not {form}: the sockets that were passed cannot be told")
            }
            Self::NoListener { place, name, why } => {
                write!(f, "socket {place} (`{name}`) that was passed is no listening TCP socket: {why}")
            }
            Self::Unwanted { name, address, free } => {
                write!(f, "the socket `{name}` at {address} that was passed belongs to no listener; ")?;
                match &**free {
                    [] => write!(f, "every listener has one already"),
                    free => write!(f, "name it (FileDescriptorName=) after one of {}", free.join(", ")),
                }
            }
        }
    }
}

impl std::error::Error for PassedError {}

/// A listener that may be given a socket.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Where it would bind.
    pub address: SocketAddr,
    /// Whether it may be given one that neither has its name nor its address.
    pub any: bool,
}

impl Passed {
    /// Takes over what was passed to this process. To be called once, before there are threads.
    ///
    /// # Errors
    /// [`PassedError`], but for [`PassedError::Unwanted`].
    pub fn take() -> Result<Self, PassedError> {
        let names = announced(std::process::id(), &|name| std::env::var_os(name))?;
        let mut passed = if names.is_empty() { ListenFd::empty() } else { ListenFd::from_env() };
        let mut sockets = Vec::with_capacity(names.len());
        for (place, name) in names.into_iter().enumerate() {
            let error = |why: String| PassedError::NoListener { place: place + 1, name: name.clone(), why };
            let taken = passed.take_tcp_listener(place).map_err(|system| error(system.to_string()))?;
            let listener = taken.ok_or_else(|| error("it is not there".to_owned()))?;
            let address = usable(&listener).map_err(error)?;
            sockets.push(Socket { name, address, listener });
        }
        Ok(Self(sockets))
    }

    /// Gives each of these listeners its socket, in their order; `None` where it has to bind one itself.
    ///
    /// # Errors
    /// [`PassedError::Unwanted`].
    pub fn assign(self, wanted: &[Wanted<'_>]) -> Result<Vec<Option<Bound>>, PassedError> {
        let known: Vec<(&str, SocketAddr)> = self.0.iter().map(|socket| (&*socket.name, socket.address)).collect();
        let places = places(&known, wanted)?;
        let mut given: Vec<Option<Bound>> = wanted.iter().map(|_| None).collect();
        for (socket, place) in self.0.into_iter().zip(places) {
            given[place] = Some(Bound(socket.listener));
        }
        Ok(given)
    }
}

/// The names of the sockets that were passed to the process of this id, empty where one has none.
fn announced(process: u32, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Vec<Box<str>>, PassedError> {
    let read = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
    let wrong = |name, says: &str, form: String| PassedError::Variable { name, says: says.to_owned(), form };
    let (Some(meant), Some(count)) = (read("LISTEN_PID"), read("LISTEN_FDS")) else { return Ok(Vec::new()) };
    let meant: u32 = meant.parse().map_err(|_| wrong("LISTEN_PID", &meant, "the id of a process".to_owned()))?;
    if meant != process {
        return Ok(Vec::new());
    }
    let number = count.parse().ok().filter(|number| *number <= SOCKETS_MAX);
    let number =
        number.ok_or_else(|| wrong("LISTEN_FDS", &count, format!("a number of sockets up to {SOCKETS_MAX}")))?;
    let Some(names) = read("LISTEN_FDNAMES").filter(|_| number > 0) else { return Ok(vec!["".into(); number]) };
    let list: Vec<Box<str>> = names.split(':').map(Into::into).collect();
    if list.len() != number {
        return Err(wrong("LISTEN_FDNAMES", &names, format!("a list of {number} names")));
    }
    Ok(list)
}

/// Makes the socket one for the runtime, and says where it is.
fn usable(listener: &TcpListener) -> Result<SocketAddr, String> {
    let system = |error: std::io::Error| error.to_string();
    if !socket2::SockRef::from(listener).is_listener().map_err(system)? {
        return Err("it does not listen; a socket unit must not say Accept=yes".to_owned());
    }
    listener.set_nonblocking(true).map_err(system)?;
    listener.local_addr().map_err(system)
}

/// For each socket the place of its listener.
fn places(sockets: &[(&str, SocketAddr)], wanted: &[Wanted<'_>]) -> Result<Vec<usize>, PassedError> {
    let mut places: Vec<Option<usize>> = vec![None; sockets.len()];
    let named = |socket: &(&str, SocketAddr), wanted: &Wanted<'_>| socket.0 == wanted.name;
    let placed = |socket: &(&str, SocketAddr), wanted: &Wanted<'_>| socket.1 == wanted.address;
    for fits in [&named as &dyn Fn(&(&str, SocketAddr), &Wanted<'_>) -> bool, &placed] {
        for (at, socket) in sockets.iter().enumerate() {
            if places[at].is_none() {
                let free = |place: &usize| !places.contains(&Some(*place)) && fits(socket, &wanted[*place]);
                places[at] = (0..wanted.len()).find(free);
            }
        }
    }
    let free: Vec<usize> = (0..wanted.len()).filter(|place| !places.contains(&Some(*place))).collect();
    let left: Vec<usize> = (0..sockets.len()).filter(|at| places[*at].is_none()).collect();
    let any: Vec<usize> = free.iter().copied().filter(|place| wanted[*place].any).collect();
    if let ([socket], [listener]) = (&*left, &*any) {
        places[*socket] = Some(*listener);
    } else if let Some((name, address)) = left.first().map(|at| sockets[*at]) {
        let free = free.into_iter().map(|place| wanted[place].name.into()).collect();
        return Err(PassedError::Unwanted { name: name.into(), address, free });
    }
    Ok(places.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
