use http_body_util::BodyExt as _;

use super::*;
use crate::deliver::plan::{Auth, Plan};
use crate::deliver::tls::Roots;
use crate::secret::Secret;
use crate::verify::Credential;

const FACTS: Facts =
    Facts { event_id: [0xab; 16], attempt: 3, accepted: Timestamp::from_micros(1_700_000_000_123_456), span: 0x1234 };
const ID: &str = "abababababababababababababababab";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn destination(change: impl FnOnce(&mut Plan)) -> Destination {
    let mut plan = Plan::new("crm", "http://10.0.0.12:8080/in/*?k=v");
    change(&mut plan);
    Destination::build(plan, &mut Roots::default()).unwrap()
}

fn head(headers: &[(&str, &str)]) -> Bytes {
    let headers = headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    Head::encode(&Method::PUT, "/a%20b", "x=1", &headers.collect(), &Credential::default())
}

fn body(pieces: &[&'static str]) -> Parcel {
    pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect()
}

/// The headers of a request for a plain destination, those of our own left out.
fn check(brought: &[(&str, &str)], expected: &[(&str, &str)]) {
    let request = build(&destination(|_| {}), &head(brought), FACTS, body(&[]), HeaderMap::new()).unwrap();
    let ours = ["host", "content-length", "x-porteiro-event-id", "x-porteiro-attempt", "x-porteiro-received-at"];
    let sent: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    for name in ours {
        assert_eq!(sent.iter().filter(|(sent, _)| *sent == name).count(), 1, "{name}");
    }
    let mut rest: Vec<_> = sent.into_iter().filter(|(name, _)| !ours.contains(name)).collect();
    rest.retain(|(name, value)| (*name != "webhook-id" || *value != ID) && !value.contains("0000000000001234"));
    assert_eq!(rest, expected, "{brought:?}");
}

#[test]
fn tells_what_porteiro_knows_of_an_event() {
    let request = build(&destination(|_| {}), &head(&[]), FACTS, body(&["he", "", "llo"]), HeaderMap::new()).unwrap();
    assert_eq!((request.method(), request.uri().to_string()), (&Method::PUT, "/in/a%20b?k=v&x=1".to_owned()));
    let told = [
        ("host", "10.0.0.12:8080"),
        ("content-length", "5"),
        ("x-porteiro-event-id", ID),
        ("webhook-id", ID),
        ("x-porteiro-attempt", "3"),
        ("x-porteiro-received-at", "2023-11-14T22:13:20.123Z"),
        ("traceparent", "00-abababababababababababababababab-0000000000001234-00"),
    ];
    for (name, value) in told {
        assert_eq!(request.headers()[name], value, "{name}");
    }
    assert_eq!(request.headers().len(), told.len());
}

#[test]
fn every_header_that_was_stored_goes_on_in_its_order_with_its_repeats() {
    let brought = [
        ("content-type", "application/json; charset=utf-8"),
        ("content-encoding", "gzip"),
        ("x-hub-signature-256", "sha256=00"),
        ("x-shopify-topic", "orders/create"),
        ("cookie", "a=b"),
        ("x-many", "one"),
        ("x-many", "two"),
        ("user-agent", "facebookexternalua"),
    ];
    check(&brought, &brought);
}

#[test]
fn what_belongs_to_a_connection_does_not_go_on_even_if_it_was_stored() {
    // Written by hand: `Head::encode` would have left them out.
    for name in ["host", "connection", "transfer-encoding", "content-length", "expect", "te", "upgrade", "trailer"] {
        assert!(is_connections(&name.parse().unwrap()), "{name}");
    }
    for name in ["content-type", "authorization", "expectation", "x-host", "webhook-id"] {
        assert!(!is_connections(&name.parse().unwrap()), "{name}");
    }
}

#[test]
fn a_webhook_id_that_the_provider_signed_stays() {
    check(
        &[("webhook-id", "msg_1"), ("webhook-signature", "v1,aa")],
        &[("webhook-id", "msg_1"), ("webhook-signature", "v1,aa")],
    );
}

#[test]
fn a_sound_traceparent_goes_on_and_any_other_is_replaced_with_its_state() {
    let state = ("tracestate", "a=1");
    check(&[("traceparent", PARENT), state], &[("traceparent", PARENT), state]);
    let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
    check(&[("traceparent", later)], &[("traceparent", later)]);
    let unsound = [
        "",
        "00",
        &PARENT.to_uppercase(),
        &PARENT[..54],
        &format!("{PARENT}-more"),
        &format!("{PARENT}0"),
        &PARENT.replacen("00", "ff", 1),
        &PARENT.replace('-', "_"),
        &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
        &PARENT.replace("b7", "bg"),
    ];
    for value in unsound {
        check(&[("traceparent", value), state], &[]);
    }
    check(&[("traceparent", PARENT), ("traceparent", PARENT), state], &[]);
    check(&[state], &[]);
}

#[test]
fn what_the_operator_set_replaces_what_the_event_brought() {
    let to = destination(|plan| {
        plan.host = Some("crm.cliente.com.br".into());
        plan.auth = Some(Auth::Bearer(Secret::new(b"ours".to_vec())));
        plan.headers = vec![
            ("x-api-key".parse().unwrap(), Secret::new(b"k1".to_vec())),
            ("user-agent".parse().unwrap(), Secret::new(b"porteiro".to_vec())),
        ];
    });
    let brought =
        [("authorization", "theirs"), ("x-api-key", "a"), ("x-api-key", "b"), ("user-agent", "c"), ("x-d", "d")];
    let request = build(&to, &head(&brought), FACTS, body(&[]), HeaderMap::new()).unwrap();
    let all =
        |name: &str| request.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("host"), ["crm.cliente.com.br"]);
    assert_eq!(all("authorization"), ["Bearer ours"]);
    assert_eq!(all("x-api-key"), ["k1"]);
    assert_eq!(all("user-agent"), ["porteiro"]);
    assert_eq!(all("x-d"), ["d"]);
    assert!(!format!("{request:?}").contains("ours"));
}

#[test]
fn an_event_that_cannot_be_put_into_a_request_says_why() {
    let to = destination(|_| {});
    let climbing = Head::encode(&Method::POST, "/../admin", "", &HeaderMap::new(), &Credential::default());
    let cases = [
        (Bytes::new(), Unsendable::Head),
        (Bytes::from_static(b"\xff\xff\xff"), Unsendable::Head),
        (head(&[]).slice(..4), Unsendable::Head),
        (climbing, Unsendable::Path),
    ];
    for (head, expected) in cases {
        assert_eq!(build(&to, &head, FACTS, body(&[]), HeaderMap::new()).unwrap_err(), expected, "{head:?}");
    }
}

#[tokio::test]
async fn a_body_is_its_pieces_as_they_are() {
    let cases: [(&[&'static str], &[&str]); 5] = [
        (&[], &[]),
        (&[""], &[]),
        (&["a"], &["a"]),
        (&["", "a", "", "bc"], &["a", "bc"]),
        (&["a", "b", "c"], &["a", "b", "c"]),
    ];
    for (pieces, sent) in cases {
        let mut parcel = body(pieces);
        assert_eq!(parcel.size_hint().exact(), Some(pieces.concat().len() as u64));
        for expected in sent {
            assert!(!parcel.is_end_stream());
            let frame = parcel.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(frame, expected.as_bytes());
        }
        assert!(parcel.is_end_stream() && parcel.frame().await.is_none());
    }
    let shared = Bytes::from(vec![7; 4096]);
    let mut parcel: Parcel = [shared.clone()].into_iter().collect();
    let sent = parcel.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(sent.as_ptr(), shared.as_ptr(), "no copy");
}

#[test]
fn facts_that_are_all_zero_still_make_a_sound_trace() {
    let told = Told::new(Facts { event_id: [0; 16], span: 0, ..FACTS }, 0);
    assert!(is_traceparent(told.traceparent.as_bytes()));
}
