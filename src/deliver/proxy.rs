//! How is a destination reached through somebody else's proxy?
//!
//! For `https` by a tunnel (CONNECT), in which TLS is spoken with the destination itself; for `http` by asking the proxy
//! for the whole URL.
//!
//! Promises: what a proxy answers is bounded in size and, by whoever waits for it, in time; nothing of it is believed but
//! that a tunnel is there; a tunnel in which something stands before anything was said is none.
//!
//! Must not know: what goes through a tunnel.

use std::fmt;

use http::HeaderName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::secret::Secret;

use super::answer::{Answer, Flaw, HEAD_MAX, Top};
use super::plan::{Address, Auth, PlanError};

/// How much is read at once.
const ROOM: usize = 1 << 10;

/// A proxy, as the operator said it.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `http://host:port`, and nothing else.
    pub url: Box<str>,
    /// What it is shown.
    pub auth: Option<Auth>,
}

impl Proxy {
    /// Whether it can be one.
    ///
    /// # Errors
    ///
    /// [`PlanError::Proxy`] and [`PlanError::ProxyAuth`].
    pub fn check(&self) -> Result<(), PlanError> {
        self.address().map(drop)?;
        self.shown().map(drop)
    }

    fn address(&self) -> Result<Address, PlanError> {
        Address::parse(&self.url).ok().filter(|at| !at.tls && at.is_bare()).ok_or(PlanError::Proxy)
    }

    /// The value of `Proxy-Authorization`.
    fn shown(&self) -> Result<Option<Secret>, PlanError> {
        let value = |auth: &Auth| auth.value().map(|value| Secret::new(value.to_vec()));
        self.auth.as_ref().map(value).transpose().map_err(|_| PlanError::ProxyAuth)
    }
}

/// What is said to a proxy beside the request.
#[derive(Debug)]
pub(super) enum Way {
    /// Nothing: there is none.
    Direct,
    /// The request for a tunnel.
    Tunnel(Secret),
    /// The origin stands before the path of every request.
    Whole(Box<str>),
}

/// Where a proxy is, and what is said to it.
pub(super) struct Via {
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) way: Way,
    /// Shown with every request that names the whole URL.
    pub(super) shown: Option<(HeaderName, Secret)>,
}

impl Via {
    /// Through this proxy to a destination at this address.
    pub(super) fn new(proxy: &Proxy, to: &Address) -> Result<Self, PlanError> {
        let (at, value) = (proxy.address()?, proxy.shown()?);
        let (host, port) = (to.authority.host(), to.port());
        let (way, shown) = if to.tls {
            let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n").into_bytes();
            if let Some(value) = &value {
                for part in [b"proxy-authorization: ", value.expose(), b"\r\n"] {
                    request.extend_from_slice(part);
                }
            }
            request.extend_from_slice(b"\r\n");
            (Way::Tunnel(Secret::new(request)), None)
        } else {
            let shown = value.map(|value| (http::header::PROXY_AUTHORIZATION, value));
            (Way::Whole(format!("http://{}", to.authority).into()), shown)
        };
        Ok(Self { host: at.host().into(), port: at.port(), way, shown })
    }
}

/// Why there is no way through a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// It answered with this status.
    Status(u16),
    /// What it answered cannot be read.
    Flaw(Flaw),
    /// It closed the connection, or the connection broke.
    Closed,
    /// It says more than that there is a tunnel.
    More,
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(407) => f.write_str(
                "the proxy wants credentials (407): it has none from `auth` of `proxy`, or does not take them",
            ),
            Self::Status(403) => f.write_str("the proxy does not allow this destination (403)"),
            Self::Status(status @ 502..=504) => write!(f, "the proxy does not reach the destination ({status})"),
            Self::Status(status) => write!(f, "the proxy refuses ({status})"),
            Self::Flaw(flaw) => write!(f, "what stands there is no proxy: {flaw}"),
            Self::Closed => f.write_str("the proxy closed the connection"),
            Self::More => f.write_str("the proxy says more than that there is a tunnel"),
        }
    }
}

/// Asks for a tunnel, and waits for it.
pub(super) async fn tunnel(stream: &mut TcpStream, request: &Secret) -> Result<(), Barred> {
    // Who does not take the request may have said why.
    drop(stream.write_all(request.expose()).await);
    let (mut answer, mut read) = (Answer::new(), Vec::with_capacity(ROOM));
    loop {
        let mut room = [0; ROOM];
        // One byte more than a head may have is enough to see that it has.
        let left = room.len().min(HEAD_MAX + 1 - read.len());
        match stream.read(&mut room[..left]).await {
            Ok(count @ 1..) => read.extend_from_slice(&room[..count]),
            Ok(0) | Err(_) => return Err(Barred::Closed),
        }
        loop {
            match answer.top(&read).map_err(Barred::Flaw)? {
                Top::Partial => break,
                Top::Interim(taken) => drop(read.drain(..taken)),
                Top::Final { status: 200..=299, taken, .. } if taken == read.len() => return Ok(()),
                Top::Final { status: 200..=299, .. } => return Err(Barred::More),
                Top::Final { status, .. } => return Err(Barred::Status(status)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
