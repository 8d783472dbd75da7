//! At which addresses may a destination be?
//!
//! A name is resolved anew for new connections, by servers that may not be the operator's: whoever answers for it could
//! lead what is sent, and what is kept of the answers, into the operator's own network. So a name leads where the
//! operator can be taken to have meant it: anywhere public; to private networks where nobody else can answer for it (a
//! name without a dot, or below `.internal`, `.local` or `.home.arpa`); to this machine if it is `localhost`; and
//! anywhere that they declared.
//!
//! Promises: pure; an address that carries an IPv4 address is judged by that; an address that was written out in the URL
//! is not asked about.
//!
//! Must not know: how names are resolved.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::admission::Ranges;

/// Where a destination may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// At the address that the operator wrote out.
    Here,
    /// At these addresses and no others.
    Declared(Ranges),
    /// Wherever a name like this may lead.
    Name(Kin),
}

/// Who answers for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kin {
    /// `localhost`: this machine.
    Machine,
    /// Only the operator's own network.
    House,
    /// Anybody.
    World,
}

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Loopback,
    LinkLocal,
    Metadata,
    Multicast,
    Nobody,
}

/// Why a name may not lead to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A private network, and the name is one for which anybody may answer.
    Private,
    /// This machine.
    Loopback,
    /// Only the next network segment knows it.
    LinkLocal,
    /// Where clouds tell a machine its credentials.
    Metadata,
    /// A group of machines.
    Multicast,
    /// No machine at all.
    Nobody,
    /// Not among those that were declared.
    Undeclared,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "a private address",
            Self::Loopback => "this machine",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud's metadata",
            Self::Multicast => "a multicast group",
            Self::Nobody => "an address of nobody",
            Self::Undeclared => "not one of its `addresses`",
        })
    }
}

impl Reach {
    /// Where a destination of this name or address may be, with what was declared of it.
    pub(super) fn of(host: &str, declared: Option<Ranges>) -> Self {
        match declared {
            _ if host.parse::<IpAddr>().is_ok() => Self::Here,
            Some(ranges) => Self::Declared(ranges),
            None => Self::Name(Kin::of(host)),
        }
    }

    /// Where a machine of the operator's own network of this name or address may be.
    pub(super) fn of_house(host: &str) -> Self {
        match Self::of(host, None) {
            Self::Name(Kin::World) => Self::Name(Kin::House),
            other => other,
        }
    }

    /// Why not there; `None` where it may be.
    pub(super) fn denies(&self, address: IpAddr) -> Option<Denied> {
        let kin = match self {
            Self::Here => return None,
            Self::Declared(ranges) => return (!ranges.contains(address)).then_some(Denied::Undeclared),
            Self::Name(kin) => *kin,
        };
        match kind(address) {
            Kind::Public => None,
            Kind::Private => (kin != Kin::House).then_some(Denied::Private),
            Kind::Loopback => (kin != Kin::Machine).then_some(Denied::Loopback),
            Kind::LinkLocal => Some(Denied::LinkLocal),
            Kind::Metadata => Some(Denied::Metadata),
            Kind::Multicast => Some(Denied::Multicast),
            Kind::Nobody => Some(Denied::Nobody),
        }
    }
}

impl Kin {
    pub(super) fn of(name: &str) -> Self {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let below = |suffix: &str| name.ends_with(suffix);
        if name == "localhost" {
            Self::Machine
        } else if !name.contains('.') || below(".internal") || below(".local") || below(".home.arpa") {
            Self::House
        } else {
            Self::World
        }
    }
}

/// Where the big clouds answer with a machine's credentials, beside the link-local 169.254.169.254: Azure's wire server
/// and Alibaba's; EC2's and Google's over IPv6.
const METADATA_4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
const METADATA_6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// `64:ff9b:1::/48` (RFC 8215): translated by a gateway of the own network, which alone knows where in it the IPv4 address
/// stands.
const TRANSLATED_HERE: [u16; 3] = [0x64, 0xff9b, 1];

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(v4) => kind_4(v4),
        IpAddr::V6(v6) => carried(v6).map_or_else(|| kind_6(v6), kind_4),
    }
}

fn kind_4(v4: Ipv4Addr) -> Kind {
    let [first, second, ..] = v4.octets();
    if METADATA_4.contains(&v4) {
        Kind::Metadata
    } else if v4.is_loopback() {
        Kind::Loopback
    } else if v4.is_link_local() {
        Kind::LinkLocal
    } else if v4.is_multicast() {
        Kind::Multicast
    } else if first == 0 || first >= 240 {
        Kind::Nobody
    } else if v4.is_private() || (first == 100 && second & 0xc0 == 64) {
        Kind::Private
    } else {
        Kind::Public
    }
}

fn kind_6(v6: Ipv6Addr) -> Kind {
    let first = v6.segments()[0];
    if METADATA_6.contains(&v6) {
        Kind::Metadata
    } else if v6.is_loopback() {
        Kind::Loopback
    } else if v6.is_unspecified() {
        Kind::Nobody
    } else if v6.is_multicast() {
        Kind::Multicast
    } else if v6.is_unicast_link_local() {
        Kind::LinkLocal
    } else if v6.is_unique_local() || first & 0xffc0 == 0xfec0 || v6.segments()[..3] == TRANSLATED_HERE {
        Kind::Private
    } else {
        Kind::Public
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible (RFC 4291), translated (RFC 6052), 6to4.
fn carried(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(last(high, low)),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(last(high, low)),
        [0x2002, high, low, ..] => Some(last(high, low)),
        _ => None,
    }
}

/// The listeners of this house.
#[derive(Clone, Debug, Default)]
pub(super) struct Own(Box<[SocketAddr]>);

impl Own {
    pub(super) fn new(bound: &[SocketAddr]) -> Self {
        Self(bound.into())
    }

    /// Whether this is one of them: what is sent there would come in again without end. `from` is the address of this
    /// machine from which it is reached, where that is known.
    pub(super) fn is_at(&self, to: SocketAddr, from: Option<IpAddr>) -> bool {
        let address = to.ip().to_canonical();
        let of_this_machine = || {
            address.is_loopback() || address.is_unspecified() || from.is_some_and(|from| from.to_canonical() == address)
        };
        self.0.iter().filter(|own| own.port() == to.port()).any(|own| {
            let bound = own.ip().to_canonical();
            bound == address
                || (bound.is_unspecified() && of_this_machine())
                || (bound.is_loopback() && address.is_unspecified())
        })
    }
}

#[cfg(test)]
mod tests;
