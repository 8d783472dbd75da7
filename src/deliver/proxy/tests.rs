use std::time::Duration;

use http::{HeaderMap, Method};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::super::alarm::{Alarm, Limits};
use super::super::attempt::{Ended, Heard, Kit, attempt};
use super::super::client::{Network, Shut};
use super::super::plan::{Destination, Plan};
use super::super::request::{Facts, Names, Parcel};
use super::super::tls::{Pin, Roots, Trust};
use super::super::upstream::{Act, Identity, OK, Upstream, answer};
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::event::Head;
use crate::retry::{Fault, Outcome, Success};
use crate::verify::Credential;

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

/// How an attempt ends by this plan.
async fn tried(plan: Plan) -> Heard {
    let to = Destination::build(plan, &mut Roots::default()).unwrap();
    let (mut alarm, stop) = (Alarm::new(Instant::now()), std::sync::OnceLock::new());
    let mut limits = Limits { alarm: &mut alarm, deadline: Instant::now() + Duration::from_secs(20), stop: &stop };
    let head = Head::encode(&Method::POST, "", "", &HeaderMap::new(), &Credential::NONE);
    let facts = Facts { event_id: [7; 16], attempt: 1, accepted: Timestamp::ZERO, span: 1 };
    let parcel = Parcel { head: &head, body: &[], facts, courier: None, names: Names::default() };
    let ended = attempt(&to, &mut Kit::default(), &mut limits, (&Clock::system(), &Network::default()), &parcel).await;
    let Ended::Heard(heard) = ended else { panic!("{ended:?}") };
    heard
}

fn says(status: u16) -> Vec<Act> {
    answer(&format!("HTTP/1.1 {status} As Told\r\nserver: somebody\r\ncontent-length: 0\r\n\r\n"))
}

const fn against_it(status: u16) -> Outcome {
    Outcome::Event { status, retry_after: None }
}

#[tokio::test]
async fn of_what_is_said_to_a_request_for_the_whole_url_only_407_is_surely_the_proxys() {
    let faults = [
        (407, Outcome::of_fault(Fault::Proxy)),
        (503, Outcome::of_fault(Fault::Answer(503))),
        (401, against_it(401)),
        (403, against_it(403)),
        (511, against_it(511)),
    ];
    for (status, expected) in faults {
        let upstream = Upstream::new(vec![says(status)]).await;
        let plan = Plan { proxy: Some(proxy(&upstream, None)), ..Plan::new("crm", "http://crm.example.com/") };
        let heard = tried(plan).await;
        assert_eq!(heard.outcome, expected, "{status}");
        let said = heard.detail.unwrap_or_default();
        assert_eq!(said.starts_with("the proxy wants credentials (407)"), status == 407, "{status}: {said}");
    }
    // Whatever the operator takes for success: the destination never had it.
    let upstream = Upstream::new(vec![says(407)]).await;
    let success = Success::parse(&["2xx", "4xx"]).unwrap();
    let plan = Plan { proxy: Some(proxy(&upstream, None)), success, ..Plan::new("crm", "http://crm.example.com/") };
    assert_eq!(tried(plan).await.outcome, Outcome::of_fault(Fault::Proxy));
}

#[tokio::test]
async fn where_no_proxy_can_have_said_it_407_is_an_answer_like_any_other() {
    let straight = Upstream::new(vec![says(407)]).await;
    assert_eq!(tried(Plan::new("crm", &straight.url("/hook"))).await.outcome, against_it(407));
    let identity = Identity::new(|_| {});
    let secure = Upstream::tls(vec![says(407)], &identity).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).into();
    let trust = Trust::Authority(identity.pem());
    let plan = Plan {
        proxy: Some(Proxy { url, auth: None }),
        trust,
        ..Plan::new("crm", &format!("https://{}/", secure.address))
    };
    // In a tunnel it is not the proxy who speaks.
    let tunnel = async {
        let (mut one, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            assert!(one.read_buf(&mut read).await.unwrap() > 0, "it is asked for");
        }
        one.write_all(b"HTTP/1.1 200 Yes\r\n\r\n").await.unwrap();
        let mut other = TcpStream::connect(secure.address).await.unwrap();
        // However it ends.
        drop(tokio::io::copy_bidirectional(&mut one, &mut other).await);
    };
    let heard = tokio::select! { heard = tried(plan) => heard, () = tunnel => panic!("the tunnel ended first") };
    assert_eq!(heard.outcome, against_it(407));
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
