use super::*;

type Variables = &'static [(&'static str, &'static str)];

fn told(variables: Variables) -> Result<Vec<Box<str>>, PassedError> {
    announced(77, &|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(*value)))
}

#[test]
fn what_was_passed_to_this_process_is_known_by_its_names() {
    let cases: &[(Variables, &[&str])] = &[
        (&[], &[]),
        (&[("LISTEN_FDS", "2")], &[]),
        (&[("LISTEN_PID", "77")], &[]),
        (&[("LISTEN_PID", "78"), ("LISTEN_FDS", "2")], &[]),
        (&[("LISTEN_PID", "78"), ("LISTEN_FDS", "no number")], &[]),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "0"), ("LISTEN_FDNAMES", "")], &[]),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "2")], &["", ""]),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "public")], &["public"]),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", "a::b")], &["a", "", "b"]),
    ];
    for (variables, expected) in cases {
        let names = told(variables).unwrap();
        assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), *expected, "{variables:?}");
    }
}

#[test]
fn what_does_not_follow_the_protocol_is_refused_and_named() {
    let cases: &[(Variables, &str)] = &[
        (&[("LISTEN_PID", "self"), ("LISTEN_FDS", "1")], "LISTEN_PID is `self`"),
        (&[("LISTEN_PID", ""), ("LISTEN_FDS", "1")], "LISTEN_PID is ``"),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "two")], "LISTEN_FDS is `two`"),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "-1")], "LISTEN_FDS is `-1`"),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "257")], "LISTEN_FDS is `257`"),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "4000000000")], "LISTEN_FDS is `4000000000`"),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "a")], "not a list of 2 names"),
        (&[("LISTEN_PID", "77"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "a:b")], "not a list of 1 names"),
    ];
    for (variables, expected) in cases {
        let said = told(variables).unwrap_err().to_string();
        assert!(said.contains(expected), "{variables:?}: {said}");
    }
}

const PUBLIC: (&str, &str, bool) = ("public", "[::]:8443", true);
const PLAIN: (&str, &str, bool) = ("plain", "127.0.0.1:0", true);
const METRICS: (&str, &str, bool) = ("metrics", "127.0.0.1:9600", false);

/// Who gets which socket: the names of the listeners, in the order of the sockets.
fn given(sockets: &[(&str, &str)], wanted: &[(&'static str, &str, bool)]) -> Result<Vec<&'static str>, String> {
    let sockets: Vec<(&str, SocketAddr)> = sockets.iter().map(|(name, at)| (*name, at.parse().unwrap())).collect();
    let list: Vec<Wanted<'_>> =
        wanted.iter().map(|(name, at, any)| Wanted { name, address: at.parse().unwrap(), any: *any }).collect();
    let places = places(&sockets, &list).map_err(|error| error.to_string())?;
    Ok(places.into_iter().map(|place| wanted[place].0).collect())
}

#[test]
fn a_socket_goes_to_its_name_then_to_its_address_and_the_last_to_the_last() {
    let all = &[PUBLIC, PLAIN, METRICS];
    type Sockets = &'static [(&'static str, &'static str)];
    let cases: &[(Sockets, &[&str])] = &[
        (&[], &[]),
        (&[("plain", "0.0.0.0:80"), ("public", "0.0.0.0:443")], &["plain", "public"]),
        (&[("metrics", "10.0.0.1:9600")], &["metrics"]),
        // A name goes before an address, also where the address came first.
        (&[("", "[::]:8443"), ("public", "0.0.0.0:443"), ("", "127.0.0.1:9600")], &["plain", "public", "metrics"]),
        (&[("porteiro.socket", "[::]:8443")], &["public"]),
        (&[("unknown", "127.0.0.1:9600"), ("unknown", "[::]:8443")], &["metrics", "public"]),
        (&[("public", "0.0.0.0:443"), ("else", "0.0.0.0:80")], &["public", "plain"]),
    ];
    for (sockets, expected) in cases {
        assert_eq!(given(sockets, all).as_deref(), Ok(*expected), "{sockets:?}");
    }
    assert_eq!(given(&[("porteiro.socket", "0.0.0.0:443")], &[PUBLIC, METRICS]).unwrap(), ["public"]);
}

#[test]
fn a_socket_that_no_listener_wants_is_named_with_those_that_could() {
    let refused = |sockets: &[(&str, &str)], wanted: &[(&'static str, &str, bool)], expected: &[&str]| {
        let said = given(sockets, wanted).unwrap_err();
        assert!(expected.iter().all(|part| said.contains(part)), "{said}");
    };
    let all = &[PUBLIC, PLAIN, METRICS];
    refused(&[("a", "0.0.0.0:443")], all, &["`a` at 0.0.0.0:443", "one of public, plain, metrics"]);
    refused(&[("a", "0.0.0.0:443"), ("b", "0.0.0.0:80")], &[PUBLIC, METRICS], &["`a`", "one of public, metrics"]);
    // The figures are not shown to whoever comes to an address that nobody named.
    refused(&[("public", "0.0.0.0:443"), ("b", "0.0.0.0:80")], &[PUBLIC, METRICS], &["`b`", "one of metrics"]);
    refused(&[("public", "0.0.0.0:443"), ("public", "[::]:443")], &[PUBLIC], &["`public` at [::]:443", "has one"]);
}

#[test]
fn only_what_listens_is_a_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(usable(&listener), Ok(address));
    // It is one for the runtime now: nobody is waited for.
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let connected = std::net::TcpStream::connect(address).unwrap();
    let connected = TcpListener::from(std::os::fd::OwnedFd::from(connected));
    assert!(usable(&connected).unwrap_err().contains("Accept=yes"));
}
