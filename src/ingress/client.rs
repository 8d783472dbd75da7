//! Whose request is it, where a hop stands between?
//!
//! Promises: an address that a request names is believed only from a trusted hop, and only the nearest one that is not
//! itself a trusted hop; anything unreadable ends the search, so that no caller can choose another's address.
//!
//! Must not know: what the address is used for.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::admission::Ranges;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A longer way has no provider's request ever come.
const HOPS_MAX: usize = 16;

/// The caller: the peer, unless the peer is a trusted hop that names who called it.
pub(super) fn of(peer: IpAddr, hops: Option<&Ranges>, headers: &HeaderMap) -> IpAddr {
    let Some(hops) = hops.filter(|hops| hops.contains(peer)) else { return peer };
    let mut nearest = peer;
    let fields = headers.get_all(FORWARDED_FOR).iter().rev();
    let named = fields.flat_map(|field| field.to_str().unwrap_or("?").rsplit(','));
    for text in named.take(HOPS_MAX) {
        let Some(address) = address(text.trim()) else { return nearest };
        nearest = address;
        if !hops.contains(address) {
            return nearest;
        }
    }
    nearest
}

/// An address, with or without brackets and a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_hop_says_who_called() {
        let hops = Ranges::build(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let cases: &[(&str, &[&str], &str)] = &[
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.1.1.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.1.1.1", &["1.1.1.1, 198.51.100.1 , 10.2.2.2"], "198.51.100.1"),
            ("10.1.1.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            ("10.1.1.1", &["198.51.100.1", "10.3.3.3, 10.2.2.2"], "198.51.100.1"),
            ("10.1.1.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.1.1.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.1.1.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("10.1.1.1", &["198.51.100.1, unknown"], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.1, "], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.1, x, 10.2.2.2"], "10.2.2.2"),
            ("10.1.1.1", &["198.51.100.1\u{e9}"], "10.1.1.1"),
            ("10.1.1.1", &["10.2.2.2"], "10.2.2.2"),
        ];
        for (peer, fields, expected) in cases {
            let mut headers = HeaderMap::new();
            for field in *fields {
                headers.append(FORWARDED_FOR, http::HeaderValue::from_bytes(field.as_bytes()).unwrap());
            }
            let client = of(peer.parse().unwrap(), Some(&hops), &headers);
            assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{peer} {fields:?}");
            assert_eq!(of(peer.parse().unwrap(), None, &headers), peer.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_list_without_end_is_not_read_to_its_end() {
        let hops = Ranges::build(&["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        let list = format!("198.51.100.1{}", ", 10.0.0.7".repeat(HOPS_MAX));
        headers.append(FORWARDED_FOR, http::HeaderValue::from_str(&list).unwrap());
        let peer = IpAddr::from([10, 1, 1, 1]);
        assert_eq!(of(peer, Some(&hops), &headers), IpAddr::from([10, 0, 0, 7]));
    }
}
