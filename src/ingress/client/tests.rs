use proptest::prelude::*;

use super::*;
use crate::admission::Ranges;

fn hops(header: HopHeader) -> Hops {
    let list = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
    Hops { addresses: Ranges::build(&list), header }
}

fn headers(name: &HeaderName, fields: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(name, http::HeaderValue::from_bytes(field.as_bytes()).unwrap());
    }
    headers
}

/// Peer, fields, the address that counts, and whether it is the caller's own.
type Row = (&'static str, &'static [&'static str], &'static str, bool);

#[track_caller]
fn check(header: HopHeader, rows: &[Row]) {
    let (name, other) = match header {
        HopHeader::XForwardedFor => (FORWARDED_FOR, header::FORWARDED),
        HopHeader::Forwarded => (header::FORWARDED, FORWARDED_FOR),
    };
    for (peer, fields, expected, known) in rows {
        let (peer, expected): (IpAddr, IpAddr) = (peer.parse().unwrap(), expected.parse().unwrap());
        let mut headers = headers(&name, fields);
        let client = of(peer, Some(&hops(header)), &headers);
        assert_eq!((client.address, client.known().is_some()), (expected, *known), "{peer} {fields:?}");
        assert!(client.known().is_none_or(|known| known == expected));
        // What stands in the other header, which a hop passes on as it came, changes nothing.
        for forged in ["203.0.113.66", "for=203.0.113.66"] {
            headers.append(&other, forged.parse().unwrap());
            assert_eq!(of(peer, Some(&hops(header)), &headers), client, "{peer} {fields:?} {forged}");
        }
        let believing_nobody = of(peer, None, &headers);
        assert_eq!((believing_nobody.address, believing_nobody.known()), (peer, Some(peer)));
    }
}

#[test]
fn only_a_trusted_hop_says_who_called() {
    check(
        HopHeader::XForwardedFor,
        &[
            // A stranger's word counts for nothing, however it is put.
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9", true),
            ("203.0.113.9", &["10.1.1.1"], "203.0.113.9", true),
            ("203.0.113.9", &["198.51.100.1, 10.1.1.1"], "203.0.113.9", true),
            ("11.0.0.1", &["198.51.100.1"], "11.0.0.1", true),
            ("::10.1.1.1", &["198.51.100.1"], "::10.1.1.1", true),
            // The nearest that is no hop.
            ("10.1.1.1", &["198.51.100.1"], "198.51.100.1", true),
            ("::ffff:10.1.1.1", &["198.51.100.1"], "198.51.100.1", true),
            ("10.1.1.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1", true),
            ("10.1.1.1", &["1.1.1.1,198.51.100.1\t, 10.2.2.2"], "198.51.100.1", true),
            ("10.1.1.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1", true),
            ("10.1.1.1", &["198.51.100.1", "10.3.3.3, ::ffff:10.2.2.2"], "198.51.100.1", true),
            ("10.1.1.1", &["198.51.100.1:4711"], "198.51.100.1", true),
            ("10.1.1.1", &["[2001:db8::1]:4711"], "2001:db8::1", true),
            ("10.1.1.1", &["[2001:db8::1]"], "2001:db8::1", true),
            ("fd00::1", &["2001:db8::1"], "2001:db8::1", true),
            ("10.1.1.1", &["::ffff:198.51.100.1"], "::ffff:198.51.100.1", true),
            // What is unreadable hides who called, and what stands before it is nobody's.
            ("10.1.1.1", &[], "10.1.1.1", false),
            ("10.1.1.1", &[""], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1, unknown"], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1, "], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1", ""], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1, x, 10.2.2.2"], "10.2.2.2", false),
            ("10.1.1.1", &["198.51.100.1\u{e9}"], "10.1.1.1", false),
            ("10.1.1.1", &["\u{e9}, 198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["10.2.2.2"], "10.2.2.2", false),
            ("10.1.1.1", &["_hidden"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["\"198.51.100.1\""], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1;198.51.100.2"], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1 198.51.100.2"], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1/32"], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1:"], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1:70000"], "10.1.1.1", false),
            ("10.1.1.1", &["[198.51.100.1]"], "10.1.1.1", false),
            ("10.1.1.1", &["198.051.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["0xc6336401"], "10.1.1.1", false),
            ("10.1.1.1", &["3325256705"], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100"], "10.1.1.1", false),
            ("10.1.1.1", &["fe80::1%eth0"], "10.1.1.1", false),
            ("10.1.1.1", &["[2001:db8::1"], "10.1.1.1", false),
            ("10.1.1.1", &["hooks.example.com"], "10.1.1.1", false),
        ],
    );
}

#[test]
fn the_elements_of_forwarded_are_read_by_their_grammar() {
    check(
        HopHeader::Forwarded,
        &[
            ("203.0.113.9", &["for=198.51.100.1"], "203.0.113.9", true),
            ("10.1.1.1", &["for=198.51.100.1"], "198.51.100.1", true),
            ("10.1.1.1", &["For=198.51.100.1;proto=https;by=10.1.1.1"], "198.51.100.1", true),
            ("10.1.1.1", &["proto=https; FOR=\"198.51.100.1:4711\""], "198.51.100.1", true),
            ("10.1.1.1", &["for=\"[2001:db8::1]:4711\""], "2001:db8::1", true),
            ("10.1.1.1", &["for=\"[2001:db8::1]\""], "2001:db8::1", true),
            ("10.1.1.1", &["for=\"\\1\\98.51.100.1\""], "198.51.100.1", true),
            ("10.1.1.1", &["for=198.51.100.1:4711"], "198.51.100.1", true),
            ("10.1.1.1", &["for=1.1.1.1, for=198.51.100.1,for=10.2.2.2"], "198.51.100.1", true),
            ("10.1.1.1", &["for=1.1.1.1", "for=198.51.100.1", "for=10.2.2.2"], "198.51.100.1", true),
            ("10.1.1.1", &["host=\"a,b;for=1.1.1.1\";for=198.51.100.1"], "198.51.100.1", true),
            // A field of a stranger before the hop's own cannot be read, and need not be.
            ("10.1.1.1", &["for=\"1.1.1.1", "for=198.51.100.1"], "198.51.100.1", true),
            // A stranger's open quote would swallow what the hop appended.
            ("10.1.1.1", &["for=1.1.1.1;x=\", for=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for=1.1.1.1;x=\", for=\"[2001:db8::1]\""], "10.1.1.1", false),
            ("10.1.1.1", &["for=1.1.1.1;x=\"\\, for=\"198.51.100.1:1\""], "10.1.1.1", false),
            ("10.1.1.1", &["for=\"1.1.1.1, for=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for=1.1.1.1, x=\", for=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for=1.1.1.1, for=1.1.1.2;x=\", for=\"[2001:db8::1]\""], "10.1.1.1", false),
            ("10.1.1.1", &["for=1.1.1.1\\, for=198.51.100.1"], "10.1.1.1", false),
            // What names nobody.
            ("10.1.1.1", &[], "10.1.1.1", false),
            ("10.1.1.1", &[""], "10.1.1.1", false),
            ("10.1.1.1", &["198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for=unknown"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1, for=_gazonk"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1, for=_x, for=10.2.2.2"], "10.2.2.2", false),
            ("10.1.1.1", &["for=198.51.100.1,"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1, proto=https"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1;for=198.51.100.2"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1;FOR=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for = 198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for=\"198.51.100.1\"x"], "10.1.1.1", false),
            ("10.1.1.1", &["for="], "10.1.1.1", false),
            ("10.1.1.1", &["=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1 for=198.51.100.2"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1", "for=\"x"], "10.1.1.1", false),
            ("10.1.1.1", &["for=198.51.100.1;x=\u{e9}"], "10.1.1.1", false),
            ("10.1.1.1", &["by=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["xfor=198.51.100.1"], "10.1.1.1", false),
            ("10.1.1.1", &["for=\"for=198.51.100.1\""], "10.1.1.1", false),
        ],
    );
}

#[test]
fn a_list_without_end_is_not_read_to_its_end() {
    let peer = IpAddr::from([10, 1, 1, 1]);
    for (header, name, first, hop) in [
        (HopHeader::XForwardedFor, FORWARDED_FOR, "198.51.100.1", "10.0.0.7"),
        (HopHeader::Forwarded, header::FORWARDED, "for=198.51.100.1", "for=10.0.0.7"),
    ] {
        for (count, known) in [(HOPS_MAX - 1, true), (HOPS_MAX, false), (HOPS_MAX + 50, false)] {
            let more = vec![hop; count];
            let one = [&[first], &*more].concat().join(", ");
            let lines = [&[first], &*more].concat();
            for fields in [&[one.as_str()] as &[&str], &lines] {
                let client = of(peer, Some(&hops(header)), &headers(&name, fields));
                assert_eq!(client.known().is_some(), known, "{header:?} {count}");
                let expected = if known { [198, 51, 100, 1] } else { [10, 0, 0, 7] };
                assert_eq!(client.address, IpAddr::from(expected), "{header:?} {count}");
            }
        }
    }
}

proptest! {
    /// Whatever a stranger wrote, the address that the hop appended is the caller's, or nobody's is known.
    #[test]
    fn nothing_before_what_the_hop_wrote_chooses_an_address(
        forged in "[ -~]{0,60}",
        line in any::<bool>(),
        own in prop_oneof![
            Just(("for=198.51.100.1", "198.51.100.1")),
            Just(("for=\"[2001:db8::1]:47\";proto=https", "2001:db8::1")),
            Just(("for=\"198.51.100.1:1\";by=\"_a\";host=\"a.example\"", "198.51.100.1")),
        ],
    ) {
        let peer = IpAddr::from([10, 1, 1, 1]);
        for (header, name, text) in
            [(HopHeader::XForwardedFor, FORWARDED_FOR, own.1), (HopHeader::Forwarded, header::FORWARDED, own.0)]
        {
            let joined = format!("{forged}, {text}");
            let fields: &[&str] = if line { &[&forged, text] } else { &[&joined] };
            let client = of(peer, Some(&hops(header)), &headers(&name, fields));
            prop_assert!(client.known().is_none_or(|known| known == own.1.parse::<IpAddr>().unwrap()), "{fields:?}");
        }
    }
}
