//! How does a connection to a destination come about?
//!
//! The seam to the network: a [`Door`] says where and how to connect.
//!
//! Promises: connecting is bounded in time; addresses that no destination should have are not connected to.
//!
//! Must not know: events, outcomes, retries, what is said on a connection.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::line::{Line, Stream};
use super::tls::Proof;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Where and how to connect.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) tls: Option<Proof>,
    /// How long name resolution, TCP and TLS may take together.
    pub(super) limit: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Shut {
    /// The name cannot be resolved.
    Name(io::Error),
    /// The name leads only to addresses that no destination should have.
    Address,
    /// Nobody accepts.
    Refused(io::Error),
    /// TLS failed: no TLS there, or not the destination.
    Tls(io::Error),
    /// It took too long.
    Slow,
}

impl Door {
    /// Connects, within this door's limit.
    pub(super) async fn open(&self) -> Result<Line, Shut> {
        let end = Instant::now() + self.limit;
        match tokio::time::timeout_at(end, self.stream(end)).await {
            Ok(stream) => Ok(Line::new(stream?)),
            Err(_) => Err(Shut::Slow),
        }
    }

    async fn stream(&self, end: Instant) -> Result<Stream, Shut> {
        let addresses = self.addresses().await?;
        let mut tcp = Err(Shut::Address);
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
        // A socket that refuses the option still works, only later.
        drop(tcp.set_nodelay(true));
        match &self.tls {
            None => Ok(Stream::Plain(tcp)),
            Some(proof) => Ok(Stream::Tls(Box::new(proof.demand(tcp).await.map_err(Shut::Tls)?))),
        }
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Shut> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            // The operator wrote it out.
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let found = tokio::net::lookup_host((&*self.host, self.port)).await.map_err(Shut::Name)?;
        let local = self.host.eq_ignore_ascii_case("localhost");
        let mut found: Vec<_> = found.take(64).collect();
        found.retain(|address| may_reach(address.ip(), local));
        found.truncate(MAX_ADDRESSES);
        if found.is_empty() { Err(Shut::Address) } else { Ok(found) }
    }
}

/// Whether a *name* may lead to this address.
///
/// A name is resolved anew for each connection by a server that may not be the operator's. It never leads to the cloud's
/// metadata (link-local), to a multicast group or to nobody, and to this machine only if it is `localhost`; private
/// networks are where on-premises destinations live. An address that the operator wrote out is not asked about.
fn may_reach(address: IpAddr, local: bool) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let nobody = v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_multicast() || v4.is_link_local();
            !nobody && (local || !v4.is_loopback())
        }
        IpAddr::V6(v6) => {
            let aws_metadata = v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            let nobody = v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local() || aws_metadata;
            !nobody && (local || !v6.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests;
