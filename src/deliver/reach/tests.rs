use ipnet::IpNet;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_name_leads_only_where_it_can_be_taken_to_be_meant() {
    use Denied::{LinkLocal, Loopback, Metadata, Multicast, Nobody, Private};
    // The address, and why a name of the world, of the house and of the machine may not lead there.
    let cases = [
        ("203.0.113.7", [None, None, None]),
        ("2001:db8::1", [None, None, None]),
        ("100.128.0.1", [None, None, None]),
        ("172.32.0.1", [None, None, None]),
        ("10.0.0.12", [Some(Private), None, Some(Private)]),
        ("192.168.1.1", [Some(Private), None, Some(Private)]),
        ("172.16.0.9", [Some(Private), None, Some(Private)]),
        ("172.31.255.255", [Some(Private), None, Some(Private)]),
        ("100.64.0.1", [Some(Private), None, Some(Private)]),
        ("100.127.255.255", [Some(Private), None, Some(Private)]),
        ("fd12:3456::1", [Some(Private), None, Some(Private)]),
        ("fec0::1", [Some(Private), None, Some(Private)]),
        ("::ffff:10.0.0.12", [Some(Private), None, Some(Private)]),
        ("64:ff9b::10.0.0.12", [Some(Private), None, Some(Private)]),
        ("64:ff9b:1::8.8.8.8", [Some(Private), None, Some(Private)]),
        ("64:ff9b:1:a9fe:a9:fe00::", [Some(Private), None, Some(Private)]),
        ("64:ff9b:2::8.8.8.8", [None; 3]),
        ("2002:a00:c::1", [Some(Private), None, Some(Private)]),
        ("127.0.0.1", [Some(Loopback), Some(Loopback), None]),
        ("127.8.8.8", [Some(Loopback), Some(Loopback), None]),
        ("::1", [Some(Loopback), Some(Loopback), None]),
        ("::ffff:127.0.0.1", [Some(Loopback), Some(Loopback), None]),
        ("::127.0.0.1", [Some(Loopback), Some(Loopback), None]),
        ("169.254.169.254", [Some(Metadata); 3]),
        ("::ffff:169.254.169.254", [Some(Metadata); 3]),
        ("64:ff9b::169.254.169.254", [Some(Metadata); 3]),
        ("168.63.129.16", [Some(Metadata); 3]),
        ("100.100.100.200", [Some(Metadata); 3]),
        ("fd00:ec2::254", [Some(Metadata); 3]),
        ("fd20:ce::254", [Some(Metadata); 3]),
        ("169.254.1.1", [Some(LinkLocal); 3]),
        ("fe80::1", [Some(LinkLocal); 3]),
        ("0.0.0.0", [Some(Nobody); 3]),
        ("0.1.2.3", [Some(Nobody); 3]),
        ("::", [Some(Nobody); 3]),
        ("240.0.0.1", [Some(Nobody); 3]),
        ("255.255.255.255", [Some(Nobody); 3]),
        ("224.0.0.1", [Some(Multicast); 3]),
        ("239.255.255.250", [Some(Multicast); 3]),
        ("ff02::1", [Some(Multicast); 3]),
    ];
    for (text, expected) in cases {
        let denied = [Kin::World, Kin::House, Kin::Machine].map(|kin| Reach::Name(kin).denies(address(text)));
        assert_eq!(denied, expected, "{text}");
        assert_eq!(Reach::Here.denies(address(text)), None, "{text} was written out");
    }
}

#[test]
fn who_answers_for_a_name_is_seen_by_it() {
    let cases = [
        ("localhost", Kin::Machine),
        ("LocalHost.", Kin::Machine),
        ("crm", Kin::House),
        ("crm.", Kin::House),
        ("crm.internal", Kin::House),
        ("CRM.Local", Kin::House),
        ("crm.home.arpa", Kin::House),
        ("crm.example.com", Kin::World),
        ("crm.lan", Kin::World),
        ("internal.example.com", Kin::World),
        ("notinternal", Kin::House),
        ("not-home.arpa", Kin::World),
        ("localhost.example.com", Kin::World),
        ("a.localhost", Kin::World),
    ];
    for (name, kin) in cases {
        assert_eq!(Kin::of(name), kin, "{name}");
    }
}

#[test]
fn what_is_declared_is_allowed_and_nothing_else() {
    let prefixes: Vec<IpNet> =
        ["10.0.0.0/8", "127.0.0.1/32", "169.254.169.254/32"].iter().map(|text| text.parse().unwrap()).collect();
    let reach = Reach::of("crm.example.com", Some(Ranges::build(&prefixes)));
    for allowed in ["10.0.0.1", "::ffff:10.9.9.9", "127.0.0.1", "169.254.169.254"] {
        assert_eq!(reach.denies(address(allowed)), None, "{allowed}");
    }
    for denied in ["203.0.113.7", "192.168.0.1", "127.0.0.2", "::1", "fd00::1"] {
        assert_eq!(reach.denies(address(denied)), Some(Denied::Undeclared), "{denied}");
    }
    assert_eq!(Reach::of("10.0.0.1", None), Reach::Here);
    assert_eq!(Reach::of("fd00::1", None), Reach::Here);
}

#[test]
fn the_listeners_of_the_house_are_known_by_any_of_its_addresses() {
    let own = Own::new(&["[::]:8443", "127.0.0.1:8080", "192.0.2.7:81"].map(|text| text.parse().unwrap()));
    let is_own = |to: &str, from: Option<&str>| own.is_at(to.parse().unwrap(), from.map(address));
    for (to, from) in [
        ("127.0.0.1:8443", None),
        ("[::1]:8443", None),
        ("[::ffff:127.0.0.1]:8443", None),
        ("0.0.0.0:8443", None),
        ("10.0.0.7:8443", Some("10.0.0.7")),
        ("[fd00::7]:8443", Some("fd00::7")),
        ("127.0.0.1:8080", None),
        ("0.0.0.0:8080", None),
        ("192.0.2.7:81", None),
    ] {
        assert!(is_own(to, from), "{to} {from:?}");
    }
    for (to, from) in [
        ("127.0.0.1:8444", None),
        ("10.0.0.7:8443", Some("10.0.0.8")),
        ("10.0.0.7:8443", None),
        ("127.0.0.2:8080", None),
        ("192.0.2.8:81", Some("192.0.2.7")),
        ("10.0.0.7:8080", Some("10.0.0.7")),
    ] {
        assert!(!is_own(to, from), "{to} {from:?}");
    }
}
