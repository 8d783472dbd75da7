//! How is a house reached that only its own user may talk to?
//!
//! Promises: a socket in the file system, with mode 0600 from its first moment on, in a directory that others cannot write
//! to; one that was left behind by a process that is gone is cleared away, one that is answered is not; what is open at
//! once and how long a caller may take are bounded as on every listener.
//!
//! Must not know: what is asked there.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rustix::fs::{FileType, Mode};

use super::{Closing, Inflow, Limits, conn};
use crate::drain::Drain;
use crate::metrics::ListenerMetrics;

/// Bytes that the path of a socket may have: what `sun_path` holds on Linux, without the zero at its end.
pub const PATH_MAX: usize = 107;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;
/// After a failure to accept.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a local socket cannot be bound.
#[derive(Debug)]
pub enum LocalError {
    /// Others can write to its directory; the mode.
    Exposed(u32),
    /// Somebody answers there.
    Taken,
    /// Something that is no socket stands there.
    NoSocket,
    /// What the system says.
    Io(io::Error),
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposed(mode) => write!(f, "others can write to its directory (mode {mode:03o})"),
            Self::Taken => f.write_str("another process answers there"),
            Self::NoSocket => f.write_str("something that is no socket stands there"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LocalError {}

impl From<rustix::io::Errno> for LocalError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

/// The mode of the directory that a socket of this path stands in, if it is there and others can write to it.
#[must_use]
pub fn open_to_others(path: &Path) -> Option<u32> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mode = rustix::fs::stat(directory).ok()?.st_mode & 0o777;
    (mode & 0o022 != 0).then_some(mode)
}

/// A socket that is bound and listens; its file goes with it.
#[derive(Debug)]
pub struct Local {
    listener: UnixListener,
    place: Place,
}

/// The file of a socket, and which one it was when it was bound.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only our own: somebody may have put theirs in its place.
        if rustix::fs::lstat(&self.path).is_ok_and(|found| (found.st_dev, found.st_ino) == self.inode) {
            // If it cannot be, the next one to bind here clears it away.
            let _: Result<(), rustix::io::Errno> = rustix::fs::unlink(&self.path);
        }
    }
}

impl Local {
    /// Binds.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn bind(path: &Path) -> Result<Self, LocalError> {
        if let Some(mode) = open_to_others(path) {
            return Err(LocalError::Exposed(mode));
        }
        let listener = match bound(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                clear(path)?;
                bound(path).map_err(LocalError::Io)?
            }
            bound => bound.map_err(LocalError::Io)?,
        };
        rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
        let found = rustix::fs::lstat(path)?;
        Ok(Self { listener, place: Place { path: path.to_owned(), inode: (found.st_dev, found.st_ino) } })
    }

    /// Takes connections until the house closes, and has every request answered by `answer`.
    ///
    /// # Errors
    /// If the socket cannot be handed to the runtime.
    pub async fn open<A, F>(
        self,
        limits: Limits,
        metrics: Arc<ListenerMetrics>,
        drain: Drain,
        answer: A,
    ) -> io::Result<()>
    where
        A: Fn(Request<Inflow>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let Self { listener, place: _place } = self;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let inside = Arc::new(Inside { http: conn::http(&limits), limits, metrics, answer, open: AtomicUsize::new(0) });
        let closing = drain.clone();
        let mut closing = pin!(closing.closing());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut closing => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            inside.metrics.accepted.inc();
            let Some(presence) = Presence::enter(&inside) else {
                inside.metrics.closings.count(Closing::Capacity.place());
                continue;
            };
            let house = drain.clone();
            drop(drain.spawn(async move {
                let Inside { http, limits, metrics, answer, .. } = &*presence.0;
                if let Some(why) = conn::serve(stream, http, limits, &house, answer).await {
                    metrics.closings.count(why.place());
                }
            }));
        }
    }
}

struct Inside<A> {
    http: hyper::server::conn::http1::Builder,
    limits: Limits,
    metrics: Arc<ListenerMetrics>,
    answer: A,
    open: AtomicUsize,
}

/// Counts a connection as open, also when its task ends by a panic.
struct Presence<A>(Arc<Inside<A>>);

impl<A> Presence<A> {
    fn enter(inside: &Arc<Inside<A>>) -> Option<Self> {
        if inside.open.fetch_add(1, Ordering::Relaxed) >= inside.limits.connections {
            inside.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        inside.metrics.open.inc();
        Some(Self(Arc::clone(inside)))
    }
}

impl<A> Drop for Presence<A> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.open.dec();
    }
}

fn bound(path: &Path) -> io::Result<UnixListener> {
    use socket2::{Domain, SockAddr, Socket, Type};
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Linux gives the file the mode of the socket, so that nobody can connect before it is set.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Clears away a socket that nobody answers at.
fn clear(path: &Path) -> Result<(), LocalError> {
    let found = rustix::fs::lstat(path)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        return Err(LocalError::NoSocket);
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(rustix::fs::unlink(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LocalError::Io(error)),
        Ok(_) => Err(LocalError::Taken),
    }
}

#[cfg(test)]
mod tests;
