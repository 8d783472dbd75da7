//! Which addresses are on a list, and which count as one caller?
//!
//! Promises: a list is sorted and disjoint, found in by binary search; an IPv4-mapped IPv6 address is the IPv4 address.
//!
//! Must not know: whose list it is.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// A list of address ranges, sorted and disjoint; IPv4 stands where IPv6 maps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Box<[(u128, u128)]>);

impl Ranges {
    /// Builds a list from prefixes in any order, overlapping or not.
    #[must_use]
    pub fn build(prefixes: &[IpNet]) -> Self {
        let mut sorted: Vec<(u128, u128)> =
            prefixes.iter().map(|prefix| (number(prefix.network()), number(prefix.broadcast()))).collect();
        sorted.sort_unstable();
        let mut ranges: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match ranges.last_mut() {
                // Overlapping, or next to each other.
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => ranges.push((first, last)),
            }
        }
        Self(ranges.into())
    }

    /// Whether an address is on the list.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = number(address);
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| address <= *last)
    }

    /// Whether every address of a prefix is on the list.
    #[must_use]
    pub fn covers(&self, prefix: &IpNet) -> bool {
        let (first, last) = (number(prefix.network()), number(prefix.broadcast()));
        let after = self.0.partition_point(|(start, _)| *start <= first);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| last <= *end)
    }

    /// How many ranges it takes to say the list.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no address is on the list.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An address as a number, IPv4 where IPv6 maps it.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Who counts as one caller: an IPv4 address, or an IPv6 network of 64 bits.
pub(super) fn caller(address: IpAddr) -> u128 {
    let number = number(address);
    match Ipv6Addr::from_bits(number).to_ipv4_mapped() {
        Some(_) => number,
        None => number >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(list: &[&str]) -> Ranges {
        let prefixes: Vec<IpNet> = list.iter().map(|text| text.parse().expect("the test's own prefix")).collect();
        Ranges::build(&prefixes)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("the test's own address")
    }

    #[test]
    fn a_list_holds_exactly_its_prefixes() {
        let list = ranges(&["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "10.1.0.0/16", "198.51.100.129/25"]);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "10.1.2.3",
            "192.0.2.7",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "198.51.100.128",
            "198.51.100.255",
        ] {
            assert!(list.contains(address(inside)), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "11.0.0.0",
            "192.0.2.6",
            "192.0.2.8",
            "::10.0.0.1",
            "::1",
            "2001:db7:ffff::",
            "2001:db9::",
            "198.51.100.127",
            "198.51.101.0",
            "0.0.0.0",
            "255.255.255.255",
            "::",
            "ffff:ffff::",
        ] {
            assert!(!list.contains(address(outside)), "{outside}");
        }
    }

    #[test]
    fn prefixes_that_touch_become_one_range() {
        assert_eq!(ranges(&["10.0.0.0/9", "10.128.0.0/9", "10.3.0.0/16"]).len(), 1);
        assert_eq!(ranges(&["10.0.0.0/9", "11.0.0.0/9"]).len(), 2);
        assert_eq!(ranges(&["::/0", "10.0.0.0/8", "ffff::/16"]), ranges(&["::/0"]));
        assert!(ranges(&["::/0"]).contains(address("192.0.2.1")));
        assert!(!ranges(&["0.0.0.0/0"]).contains(address("2001:db8::1")));
        assert!(ranges(&[]).is_empty() && !ranges(&[]).contains(address("::")));
    }

    #[test]
    fn a_list_covers_a_prefix_only_as_a_whole() {
        let halves = ranges(&["0.0.0.0/1", "128.0.0.0/1", "2001:db8::/33"]);
        for (prefix, covered) in [
            ("0.0.0.0/0", true),
            ("255.255.255.255/32", true),
            ("2001:db8::/33", true),
            ("2001:db8::/32", false),
            ("2001:db8:8000::/33", false),
            ("::/0", false),
        ] {
            assert_eq!(halves.covers(&prefix.parse().expect("the test's own prefix")), covered, "{prefix}");
        }
        assert!(!ranges(&[]).covers(&"::1/128".parse().expect("the test's own prefix")));
    }

    #[test]
    fn callers_are_addresses_of_ipv4_and_networks_of_ipv6() {
        let same = [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"), ("::", "::1")];
        for (one, other) in same {
            assert_eq!(caller(address(one)), caller(address(other)), "{one} {other}");
        }
        let apart = [
            ("192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8:0:1::1"),
            ("192.0.2.1", "::"),
            ("192.0.2.1", "::192.0.2.1"),
            ("0.0.0.0", "::"),
        ];
        for (one, other) in apart {
            assert_ne!(caller(address(one)), caller(address(other)), "{one} {other}");
        }
    }
}
