//! Whose request is it, where a hop stands between?
//!
//! Promises: an address that a request names is believed only from a trusted hop, only in the header that the hop is
//! said to write, and only the nearest one that is not itself a trusted hop. Anything unreadable ends the search: then
//! the nearest hop counts as the caller for limits and logs, and nobody is known to be the caller where the address is
//! a proof. So no caller can choose another's address.
//!
//! Must not know: what the address is used for.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use crate::admission;
use crate::snapshot::{HopHeader, Hops};

mod forwarded;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A longer way has no provider's request ever come.
const HOPS_MAX: usize = 16;

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The caller, or the nearest hop where it did not say who called.
    pub(super) address: IpAddr,
    /// Whether that hop did not say.
    hidden: bool,
}

impl Client {
    /// The address, where it is the caller's own.
    pub(super) const fn known(self) -> Option<IpAddr> {
        if self.hidden { None } else { Some(self.address) }
    }
}

impl From<Client> for admission::Client {
    fn from(client: Client) -> Self {
        Self { counted: client.address, known: client.known() }
    }
}

/// The caller: the peer, unless the peer is a trusted hop that names who called it.
pub(super) fn of(peer: IpAddr, hops: Option<&Hops>, headers: &HeaderMap) -> Client {
    let Some(hops) = hops.filter(|hops| hops.addresses.contains(peer)) else {
        return Client { address: peer, hidden: false };
    };
    let mut nearest = peer;
    let mut look = |named: Option<IpAddr>| match named {
        Some(address) => {
            nearest = address;
            hops.addresses.contains(address)
        }
        None => false,
    };
    match hops.header {
        HopHeader::XForwardedFor => {
            let fields = headers.get_all(FORWARDED_FOR).iter().rev();
            let named = fields.flat_map(|field| field.to_str().unwrap_or("?").rsplit(','));
            for text in named.take(HOPS_MAX) {
                if !look(address(text.trim_matches([' ', '\t']))) {
                    break;
                }
            }
        }
        HopHeader::Forwarded => {
            let mut left = HOPS_MAX;
            for field in headers.get_all(header::FORWARDED).iter().rev() {
                let named = forwarded::named(field.as_bytes(), left);
                left -= named.len();
                // A field that cannot be read names nobody, whatever stands in part of it.
                if named.is_empty() || !named.into_iter().rev().all(|text| look(text.and_then(|text| address(&text)))) {
                    break;
                }
            }
        }
    }
    Client { address: nearest, hidden: hops.addresses.contains(nearest) }
}

/// An address, with or without brackets and a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if let Some(bare) = bare {
        return bare.parse().ok().filter(IpAddr::is_ipv6);
    }
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests;
