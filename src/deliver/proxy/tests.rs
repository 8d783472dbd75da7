use std::time::Duration;

use super::super::client::{Network, Shut};
use super::super::plan::{Destination, Plan};
use super::super::tls::{Pin, Roots, Trust};
use super::super::upstream::{Act, OK, Upstream, answer};
use super::*;

fn proxy(at: &Upstream, auth: Option<Auth>) -> Proxy {
    Proxy { url: format!("http://{}", at.address).into(), auth }
}

/// Through a proxy that does this: what becomes of the connection.
async fn opened(acts: Vec<Act>) -> (Result<(), String>, Upstream) {
    let upstream = Upstream::new(vec![acts]).await;
    let trust = Trust::Pinned(vec![Pin::parse(&"00".repeat(32)).unwrap()]);
    let plan =
        Plan { proxy: Some(proxy(&upstream, None)), trust, ..Plan::new("crm", "https://crm.example.com:8443/in") };
    let to = Destination::build(plan, &mut Roots::default()).unwrap();
    let opened = match to.door.open(&Network::default()).await {
        Ok(_) => Ok(()),
        Err(Shut::Proxy(why)) => Err(why),
        Err(Shut::Tls(error)) => Err(format!("tls: {error}")),
        Err(Shut::Slow) => Err("slow".to_owned()),
        Err(other) => panic!("{other:?}"),
    };
    (opened, upstream)
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told_in_words() {
    let head = |line: &str| format!("HTTP/1.1 {line}\r\n\r\n");
    let cases = [
        (head("407 Who"), "the proxy wants credentials (407)"),
        (head("403 No"), "the proxy does not allow this destination (403)"),
        (head("502 Gone"), "the proxy does not reach the destination (502)"),
        (head("504 Late"), "the proxy does not reach the destination (504)"),
        (head("400 What"), "the proxy refuses (400)"),
        (head("301 There\r\nlocation: http://elsewhere/"), "the proxy refuses (301)"),
        (head("101 Other"), "what stands there is no proxy: the answer switches"),
        ("SSH-2.0-OpenSSH\r\n".to_owned(), "what stands there is no proxy: the answer is not HTTP/1"),
        (format!("{}x", head("200 Yes")), "the proxy says more"),
        (head("100 Wait").repeat(9), "what stands there is no proxy: too many interim answers"),
        (String::new(), "the proxy closed the connection"),
        ("HTTP/1.1 200 Yes\r\n".to_owned(), "the proxy closed the connection"),
    ];
    for (text, expected) in cases {
        let (opened, upstream) = opened(vec![Act::Read, Act::Write(text.clone().into_bytes())]).await;
        let why = opened.unwrap_err();
        assert!(why.starts_with(expected), "{text:?}: {why}");
        let request = "CONNECT crm.example.com:8443 HTTP/1.1\r\nhost: crm.example.com:8443\r\n\r\n";
        assert_eq!(upstream.requests(), [request], "and nothing else was said to it");
    }
}

#[tokio::test]
async fn what_a_proxy_says_is_bounded() {
    let flood = vec![Act::Read, Act::Write(b"HTTP/1.1 200 Yes\r\nx: ".to_vec()), Act::Flood(vec![b'x'; 4096])];
    let (why, _) = opened(flood).await;
    assert_eq!(why.unwrap_err(), "what stands there is no proxy: the head of the answer is too large");
    let mute = Upstream::new(vec![vec![Act::Hang]]).await;
    let plan = Plan { proxy: Some(proxy(&mute, None)), connect: Duration::from_millis(20), ..tls_plan() };
    let to = Destination::build(plan, &mut Roots::default()).unwrap();
    assert!(matches!(to.door.open(&Network::default()).await, Err(Shut::Slow)));
}

fn tls_plan() -> Plan {
    let trust = Trust::Pinned(vec![Pin::parse(&"00".repeat(32)).unwrap()]);
    Plan { trust, ..Plan::new("crm", "https://crm.example.com/") }
}

#[tokio::test]
async fn a_tunnel_that_leads_to_nobody_is_no_destination() {
    // Whatever length it tells of, nothing follows the head of this answer (RFC 9110, 9.3.6).
    let there = b"HTTP/1.1 200 Connection established\r\ncontent-length: 7\r\n\r\n".to_vec();
    let (why, _) = opened(vec![Act::Read, Act::Write(there)]).await;
    let why = why.unwrap_err();
    assert!(why.starts_with("tls: "), "{why}");
}

#[tokio::test]
async fn a_proxy_that_is_asked_for_the_whole_url_gets_its_credentials_with_it() {
    let upstream = Upstream::new(vec![answer(OK)]).await;
    let auth = Auth::Basic { user: "porteiro".into(), password: Secret::new(b"open sesame".to_vec()) };
    let plan =
        Plan { proxy: Some(proxy(&upstream, Some(auth))), ..Plan::new("crm", "http://crm.example.com:81/in/*?k=v") };
    let to = Destination::build(plan, &mut Roots::default()).unwrap();
    assert_eq!((&*to.door.host, to.door.port), ("127.0.0.1", upstream.address.port()));
    assert_eq!(to.door.origin(), b"http://crm.example.com:81");
    let lines = String::from_utf8(to.lines.expose().to_vec()).unwrap();
    assert_eq!(lines, "host: crm.example.com:81\r\nproxy-authorization: Basic cG9ydGVpcm86b3BlbiBzZXNhbWU=\r\n");
    // In a tunnel they are the proxy's alone.
    let auth = Auth::Bearer(Secret::new(b"token".to_vec()));
    let plan = Plan { proxy: Some(proxy(&upstream, Some(auth))), ..tls_plan() };
    let to = Destination::build(plan, &mut Roots::default()).unwrap();
    assert_eq!(to.lines.expose(), b"host: crm.example.com\r\n");
    let Way::Tunnel(request) = &to.door.way else { panic!("a tunnel") };
    let expected = "CONNECT crm.example.com:443 HTTP/1.1\r\nhost: crm.example.com:443\r\n\
                    proxy-authorization: Bearer token\r\n\r\n";
    assert_eq!(request.expose(), expected.as_bytes());
    assert!(to.door.origin().is_empty());
}

#[test]
fn what_is_no_proxy_is_refused() {
    for url in
        ["", "proxy:3128", "https://proxy:3128", "http://proxy:3128/path", "http://proxy:3128/?q", "http://u@proxy:1"]
    {
        let proxy = Proxy { url: url.into(), auth: None };
        assert_eq!(proxy.check(), Err(PlanError::Proxy), "{url}");
    }
    for url in ["http://proxy", "http://proxy:3128", "http://proxy:3128/", "http://10.0.0.1:3128", "http://[::1]:3128"]
    {
        assert_eq!(Proxy { url: url.into(), auth: None }.check(), Ok(()), "{url}");
    }
    let auth = Some(Auth::Bearer(Secret::new(b"a\nb".to_vec())));
    assert_eq!(Proxy { url: "http://proxy".into(), auth }.check(), Err(PlanError::ProxyAuth));
    let through = |plan: Plan| {
        let plan = Plan { proxy: Some(Proxy { url: "http://proxy:3128".into(), auth: None }), ..plan };
        Destination::build(plan, &mut Roots::default()).unwrap_err()
    };
    let host = Plan { host: Some("crm.example.com".into()), ..Plan::new("crm", "http://10.0.0.7/") };
    assert_eq!(through(host), PlanError::ProxyHost);
    let addresses = Plan { addresses: Some(Default::default()), ..Plan::new("crm", "http://crm.example.com/") };
    assert_eq!(through(addresses), PlanError::ProxyAddresses);
}
