use ipnet::IpNet;

use super::super::upstream::{OK, Upstream, answers};
use super::*;
use crate::admission::Ranges;

fn door(host: &str, port: u16, declared: &[&str]) -> Door {
    let prefixes: Vec<IpNet> = declared.iter().map(|text| text.parse().unwrap()).collect();
    let declared = (!prefixes.is_empty()).then(|| Ranges::build(&prefixes));
    Door {
        host: host.into(),
        port,
        reach: Reach::of(host, declared),
        way: Way::Direct,
        tls: None,
        limit: Duration::from_secs(10),
    }
}

/// A network in which each name leads to these addresses.
fn network(own: &[SocketAddr], known: &'static [(&str, &[&str])]) -> Network {
    let names = Names::told(move |name| {
        let found = known.iter().find(|(known, _)| *known == name).ok_or(io::ErrorKind::NotFound)?;
        Ok(found.1.iter().map(|text| text.parse().unwrap()).collect())
    });
    Network::told(names, own)
}

const KNOWN: &[(&str, &[&str])] = &[
    ("crm.example.com", &["10.0.0.12"]),
    ("crm", &["10.0.0.12"]),
    ("both.example.com", &["169.254.169.254", "203.0.113.7", "10.0.0.1"]),
    ("many.example.com", &["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"]),
    ("here.example.com", &["127.0.0.1"]),
];

#[tokio::test]
async fn what_is_connected_to_was_found_to_be_allowed() {
    let network = network(&[], KNOWN);
    type Case<'a> = (&'a str, &'a [&'a str], Result<&'a [&'a str], &'a str>);
    let cases: [Case<'_>; 9] = [
        ("crm", &[], Ok(&["10.0.0.12:9"])),
        ("both.example.com", &[], Ok(&["203.0.113.7:9"])),
        ("both.example.com", &["10.0.0.0/8"], Ok(&["10.0.0.1:9"])),
        ("many.example.com", &[], Ok(&["203.0.113.1:9", "203.0.113.2:9", "203.0.113.3:9", "203.0.113.4:9"])),
        ("169.254.169.254", &[], Ok(&["169.254.169.254:9"])),
        ("::1", &[], Ok(&["[::1]:9"])),
        (
            "crm.example.com",
            &[],
            Err("crm.example.com leads to 10.0.0.12, a private address; if that is meant, declare it: \
                 addresses = [\"10.0.0.12\"]"),
        ),
        (
            "here.example.com",
            &["10.0.0.0/8"],
            Err("here.example.com leads to 127.0.0.1, not one of its `addresses`; if that is meant, declare it: \
                 addresses = [\"127.0.0.1\"]"),
        ),
        ("gone.example.com", &[], Err("entity not found")),
    ];
    for (host, declared, expected) in cases {
        let found = match door(host, 9, declared).addresses(&network).await {
            Ok(found) => Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Err(Shut::Denied(why)) => Err(why),
            Err(Shut::Name(why)) => Err(why.to_string()),
            Err(other) => panic!("{other:?}"),
        };
        let expected = expected.map(|list| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(found, expected.map_err(str::to_owned), "{host} {declared:?}");
    }
}

#[tokio::test]
async fn a_proxy_is_where_the_operators_own_machines_are() {
    let network = network(&[], KNOWN);
    let proxy = |host: &str| {
        let origin = Way::Whole("http://far.example.com".into());
        Door { reach: Reach::of_house(host), way: origin, ..door(host, 9, &[]) }
    };
    assert!(proxy("crm.example.com").addresses(&network).await.is_ok(), "a private address needs no `addresses`");
    let shut = proxy("here.example.com").open(&network).await;
    let Err(Shut::Proxy(why)) = shut else { panic!("this machine is `localhost`, or written out") };
    assert_eq!(why, "the proxy: here.example.com leads to 127.0.0.1, this machine");
}

#[tokio::test]
async fn a_listener_of_this_house_is_no_destination_however_it_is_named() {
    let upstream = Upstream::new(vec![answers(OK)]).await;
    let port = upstream.address.port();
    let wild = SocketAddr::from(([0, 0, 0, 0], port));
    for own in [upstream.address, wild] {
        for (host, declared) in [("127.0.0.1", &[][..]), ("here.example.com", &["127.0.0.1/32"])] {
            let opened = door(host, port, declared).open(&network(&[own], KNOWN)).await;
            let Err(Shut::Denied(why)) = opened else { panic!("{host} was connected to") };
            assert!(why.contains("a listener of this house"), "{why}");
            let elsewhere = SocketAddr::new(own.ip(), port ^ 1);
            assert!(door(host, port, declared).open(&network(&[elsewhere], KNOWN)).await.is_ok(), "{host}");
        }
    }
    assert!(upstream.requests().is_empty());
}
