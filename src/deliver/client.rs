//! How does a connection to a destination come about?
//!
//! The seam to the network: a [`Door`] says where and how to connect.
//!
//! Promises: connecting is bounded in time; what is connected to is an address that was found to be allowed, on every new
//! connection; nothing is said to a listener of this house.
//!
//! Must not know: events, outcomes, retries, what is said on a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::line::{Line, Stream};
use super::names::Names;
use super::proxy::{Way, tunnel};
use super::reach::{Denied, Own, Reach};
use super::tls::Proof;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Where and how to connect.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) reach: Reach,
    /// Whether that is a proxy, and what is said to it.
    pub(super) way: Way,
    pub(super) tls: Option<Proof>,
    /// How long name resolution, TCP and TLS may take together.
    pub(super) limit: Duration,
}

/// What all destinations are reached by. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Network {
    names: Arc<Names>,
    own: Arc<Own>,
}

impl Network {
    /// The network of this machine, on which the house listens at these addresses: no destination is there.
    #[must_use]
    pub fn new(own: &[SocketAddr]) -> Self {
        Self { names: Arc::default(), own: Arc::new(Own::new(own)) }
    }

    #[cfg(test)]
    pub(super) fn told(names: Names, own: &[SocketAddr]) -> Self {
        Self { names: Arc::new(names), own: Arc::new(Own::new(own)) }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Shut {
    /// The name cannot be resolved.
    Name(Arc<str>),
    /// The name leads only to addresses that are denied to it: which, and what to do.
    Denied(String),
    /// The proxy cannot be reached, or does not let through.
    Proxy(String),
    /// Nobody accepts.
    Refused(io::Error),
    /// TLS failed: no TLS there, or not the destination.
    Tls(io::Error),
    /// It took too long.
    Slow,
}

impl Door {
    /// Connects, within this door's limit.
    pub(super) async fn open(&self, network: &Network) -> Result<Line, Shut> {
        let end = Instant::now() + self.limit;
        match tokio::time::timeout_at(end, self.stream(network, end)).await {
            Ok(stream) => Ok(Line::new(stream?)),
            Err(_) => Err(Shut::Slow),
        }
    }

    async fn stream(&self, network: &Network, end: Instant) -> Result<Stream, Shut> {
        let mut tcp = self.tcp(network, end).await.map_err(|shut| self.of_proxy(shut))?;
        if let Way::Tunnel(request) = &self.way {
            tunnel(&mut tcp, request).await.map_err(|barred| Shut::Proxy(barred.to_string()))?;
        }
        match &self.tls {
            None => Ok(Stream::Plain(tcp)),
            Some(proof) => Ok(Stream::Tls(Box::new(proof.demand(tcp).await.map_err(Shut::Tls)?))),
        }
    }

    async fn tcp(&self, network: &Network, end: Instant) -> Result<TcpStream, Shut> {
        let addresses = self.addresses(network).await?;
        let mut tcp = Err(Shut::Slow);
        for (tried, address) in addresses.iter().enumerate() {
            // The time left is shared out evenly, so that one address that swallows everything leaves room for the rest.
            let share =
                end.saturating_duration_since(Instant::now()) / u32::try_from(addresses.len() - tried).unwrap_or(1);
            tcp = match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => Ok(tcp),
                Ok(Err(error)) => Err(Shut::Refused(error)),
                Err(_) => Err(Shut::Slow),
            };
            if tcp.is_ok() {
                break;
            }
        }
        let tcp = tcp?;
        // Only now it is known whether an address is one of this machine's own.
        if let (Ok(to), Ok(from)) = (tcp.peer_addr(), tcp.local_addr())
            && network.own.is_at(to, Some(from.ip()))
        {
            return Err(self.denied(to, None));
        }
        // A socket that refuses the option still works, only later.
        drop(tcp.set_nodelay(true));
        Ok(tcp)
    }

    /// Where to connect to, none of it denied: exactly these addresses are connected to.
    async fn addresses(&self, network: &Network) -> Result<Vec<SocketAddr>, Shut> {
        let found = match self.host.parse::<IpAddr>() {
            Ok(address) => Arc::from([address]),
            Err(_) => network.names.find(&self.host).await.map_err(Shut::Name)?,
        };
        let (mut allowed, mut denied) = (Vec::new(), None);
        for address in found.iter().map(|ip| SocketAddr::new(*ip, self.port)) {
            let why = self.reach.denies(address.ip());
            if why.is_none() && !network.own.is_at(address, None) {
                allowed.push(address);
            } else {
                denied.get_or_insert((address, why));
            }
        }
        allowed.truncate(MAX_ADDRESSES);
        match denied {
            Some((address, why)) if allowed.is_empty() => Err(self.denied(address, why)),
            _ => Ok(allowed),
        }
    }

    /// Whether there is no proxy between.
    pub(super) const fn is_direct(&self) -> bool {
        matches!(self.way, Way::Direct)
    }

    /// Whether what answers may be the proxy itself.
    pub(super) const fn asks_whole(&self) -> bool {
        matches!(self.way, Way::Whole(_))
    }

    /// What stands before the path in a request: nothing, or the origin where a proxy is asked for the whole URL.
    pub(super) fn origin(&self) -> &[u8] {
        match &self.way {
            Way::Whole(origin) => origin.as_bytes(),
            Way::Direct | Way::Tunnel(_) => b"",
        }
    }

    /// What is wrong before anything was said is wrong with the proxy, where there is one.
    fn of_proxy(&self, shut: Shut) -> Shut {
        if self.is_direct() {
            return shut;
        }
        Shut::Proxy(match shut {
            Shut::Name(why) => format!("the proxy {} cannot be found: {why}", self.host),
            Shut::Refused(error) => format!("the proxy cannot be reached: {error}"),
            Shut::Slow => "the proxy cannot be reached in time".to_owned(),
            Shut::Denied(why) | Shut::Proxy(why) => format!("the proxy: {why}"),
            Shut::Tls(error) => error.to_string(),
        })
    }

    /// Without a reason of its own it is a listener of this house.
    fn denied(&self, address: SocketAddr, why: Option<Denied>) -> Shut {
        let (host, ip) = (&self.host, address.ip());
        Shut::Denied(match why {
            None => format!("{host} leads to {address}, a listener of this house: its events would come in again"),
            // No key declares where a proxy is: its address can be written out.
            Some(why) if !self.is_direct() => format!("{host} leads to {ip}, {why}"),
            Some(why) => {
                format!("{host} leads to {ip}, {why}; if that is meant, declare it: addresses = [\"{ip}\"]")
            }
        })
    }
}

#[cfg(test)]
mod tests;
