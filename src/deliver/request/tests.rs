use http::{HeaderName, Method};
use proptest::prelude::*;

use super::*;
use crate::deliver::plan::{Auth, Plan};
use crate::deliver::tls::Roots;
use crate::deliver::weave::Weave;
use crate::secret::Secret;
use crate::verify::{Credential, Form, Signer};

const FACTS: Facts =
    Facts { event_id: [0xab; 16], attempt: 3, accepted: Timestamp::from_micros(1_700_000_000_123_456), span: 0x1234 };
const NAMES: Names<'_> = Names { source: "shop", tenant: "acme", kind: "order/paid" };
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

/// A stored head as somebody might forge it, or a fault leave it: nothing that these pieces hold is left out.
fn forged(method: &str, rest: &str, query: &str, headers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![1];
    let mut put = |text: &[u8]| {
        assert!(text.len() < 128, "one byte of length");
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend_from_slice(text);
    };
    for text in [method, rest, query] {
        put(text.as_bytes());
    }
    put(&vec![0; headers.len()]);
    let at = bytes.len() - headers.len();
    bytes.truncate(at);
    for (name, value) in headers {
        for text in [name.as_bytes(), value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text);
        }
    }
    bytes
}

/// A request head as somebody else reads it.
#[derive(Debug)]
struct Sent {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl Sent {
    /// Reads the whole of it, and finds nothing behind it.
    fn read(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut headers);
        assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(bytes.len())), "{}", bytes.escape_ascii());
        assert_eq!(request.version, Some(1));
        let headers = request.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
        Self { method: request.method.unwrap().to_owned(), target: request.path.unwrap().to_owned(), headers }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name));
        named.map(|(_, value)| str::from_utf8(value).unwrap()).collect()
    }
}

fn write_to(to: &Destination, head: &[u8], body: &[&'static str]) -> Result<(Sent, Asked), Unsendable> {
    let body: Vec<_> = body.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
    // What was there is gone.
    let mut out = b"leftover".to_vec();
    let clock = Clock::manual(Timestamp::from_secs(1_790_000_002)).0;
    let parcel = Parcel { head, body: &body, facts: FACTS, courier: None, names: NAMES };
    let asked = write(to, &parcel, &clock, &mut out)?;
    Ok((Sent::read(&out), asked))
}

fn sent(head: &[u8]) -> Sent {
    write_to(&destination(|_| {}), head, &[]).unwrap().0
}

/// The headers of a request for a plain destination, those of our own left out.
fn check(brought: &[(&str, &str)], expected: &[(&str, &str)]) {
    let sent = sent(&head(brought));
    let ours = ["host", "content-length", "x-porteiro-event-id", "x-porteiro-attempt", "x-porteiro-received-at"];
    for name in ours {
        assert_eq!(sent.all(name).len(), 1, "{name}");
    }
    let mut rest: Vec<_> =
        sent.headers.iter().map(|(name, value)| (name.as_str(), str::from_utf8(value).unwrap())).collect();
    rest.retain(|(name, value)| {
        !ours.contains(name) && (*name != "webhook-id" || *value != ID) && !value.contains("0000000000001234")
    });
    assert_eq!(rest, expected, "{brought:?}");
}

#[test]
fn tells_what_porteiro_knows_of_an_event() {
    let (sent, asked) = write_to(&destination(|_| {}), &head(&[]), &["he", "", "llo"]).unwrap();
    assert_eq!((&*sent.method, &*sent.target, asked), ("PUT", "/in/a%20b?k=v&x=1", Asked::Whole));
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
        assert_eq!(sent.all(name), [value], "{name}");
    }
    assert_eq!(sent.headers.len(), told.len());
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
fn what_belongs_to_a_connection_or_to_porteiro_does_not_go_on_even_if_it_was_stored() {
    let names = [
        "host",
        "connection",
        "transfer-encoding",
        "content-length",
        "expect",
        "te",
        "upgrade",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "x-porteiro-event-id",
        "x-porteiro-attempt",
        "x-porteiro-anything",
    ];
    for name in names {
        let sent = sent(&forged("POST", "", "", &[(name, b"99"), ("x-stays", b"1")]));
        assert!(sent.headers.iter().all(|(_, value)| value != b"99"), "{name}");
        assert_eq!(sent.all("x-stays"), ["1"], "{name}");
    }
    for name in ["content-type", "authorization", "expectation", "x-host", "proxy-status", "x-porteir"] {
        assert_eq!(sent(&forged("POST", "", "", &[(name, b"99")])).all(name), ["99"], "{name}");
    }
}

#[test]
fn a_webhook_id_that_the_provider_signed_stays() {
    check(
        &[("webhook-id", "msg_1"), ("webhook-signature", "v1,aa")],
        &[("webhook-id", "msg_1"), ("webhook-signature", "v1,aa")],
    );
    assert_eq!(sent(&head(&[("webhook-id", "msg_1")])).all("webhook-id"), ["msg_1"]);
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
    let (sent, _) = write_to(&to, &head(&brought), &[]).unwrap();
    assert_eq!(sent.all("host"), ["crm.cliente.com.br"]);
    assert_eq!(sent.all("authorization"), ["Bearer ours"]);
    assert_eq!(sent.all("x-api-key"), ["k1"]);
    assert_eq!(sent.all("user-agent"), ["porteiro"]);
    assert_eq!(sent.all("x-d"), ["d"]);
    assert!(!format!("{to:?}").contains("ours"));
}

#[test]
fn an_event_that_cannot_be_put_into_a_request_says_why() {
    let to = destination(|_| {});
    let good: &[(&str, &[u8])] = &[("x-a", b"b\xe9\t")];
    assert!(write_to(&to, &forged("POST", "/a", "b", good), &[]).is_ok());
    let cases: Vec<(Vec<u8>, Unsendable)> = vec![
        (vec![], Unsendable::Head),
        (b"\xff\xff\xff".to_vec(), Unsendable::Head),
        (head(&[])[..4].to_vec(), Unsendable::Head),
        (forged("", "", "", &[]), Unsendable::Head),
        (forged("POST / HTTP/1.1\r\nx: y", "", "", &[]), Unsendable::Head),
        (forged("CONNECT", "", "", &[]), Unsendable::Head),
        (forged("POST", "/ HTTP/1.1\r\nx: y", "", &[]), Unsendable::Head),
        (forged("POST", "", "a HTTP/1.1", &[]), Unsendable::Head),
        (forged("POST", "", "", &[("", b"b")]), Unsendable::Head),
        (forged("POST", "", "", &[("X-A", b"b")]), Unsendable::Head),
        (forged("POST", "", "", &[("Content-Length", b"0")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a\r\ny", b"b")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a:", b"b")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a ", b"b")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a", b"b\r\ncontent-length: 0")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a", b"b\n")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a", b"b\r")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a", b"\0")]), Unsendable::Head),
        (forged("POST", "", "", &[("x-a", b"ok"), ("x-b", b"\x7f")]), Unsendable::Head),
        (forged("POST", "/../admin", "", &[]), Unsendable::Path),
        (forged("POST", "/a#b", "", &[]), Unsendable::Path),
        (forged("POST", "/a?b", "", &[]), Unsendable::Path),
        (forged("POST", "", "a#b", &[]), Unsendable::Path),
    ];
    for (head, expected) in cases {
        assert_eq!(write_to(&to, &head, &[]).unwrap_err(), expected, "{}", head.escape_ascii());
    }
}

#[test]
fn only_the_answer_to_a_head_request_has_no_body() {
    let to = destination(|_| {});
    for (method, expected) in
        [("HEAD", Asked::Head), ("GET", Asked::Whole), ("POST", Asked::Whole), ("head", Asked::Whole)]
    {
        assert_eq!(write_to(&to, &forged(method, "", "", &[]), &[]).unwrap().1, expected, "{method}");
    }
}

#[test]
fn the_length_is_that_of_the_pieces() {
    let to = destination(|_| {});
    let cases: [(&[&'static str], &str); 5] =
        [(&[], "0"), (&[""], "0"), (&["a"], "1"), (&["", "a", "", "bc"], "3"), (&["0123456789"; 101], "1010")];
    for (pieces, length) in cases {
        assert_eq!(write_to(&to, &head(&[]), pieces).unwrap().0.all("content-length"), [length]);
    }
    let mut out = Vec::new();
    for number in [0, 9, 10, 12_345, u64::MAX] {
        out.clear();
        decimal(&mut out, number);
        assert_eq!(out, number.to_string().as_bytes());
    }
}

#[test]
fn what_is_signed_replaces_the_signature_that_was_brought() {
    let secret = Secret::new(b"whsec_b25lIGtleSBvZiB0d2VudHktZm91ciBi".to_vec());
    let signed = destination(|plan| plan.sign = vec![Signer::read(Form::Whsec, &secret).unwrap()]);
    let brought = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v1,BBBB"),
        ("x-other", "stays"),
    ];
    let (sent, _) = write_to(&signed, &head(&brought), &["hello"]).unwrap();
    assert_eq!(sent.all("webhook-id"), [ID]);
    assert_eq!(sent.all("webhook-timestamp"), ["1790000002"], "the time of the attempt");
    let [signature] = sent.all("webhook-signature")[..] else { panic!("one line") };
    assert!(signature.starts_with("v1,") && signature.len() == 47, "{signature}");
    assert_eq!(sent.all("x-other"), ["stays"]);
    // Without a key what was brought goes on, so that the provider's own signature holds.
    let (sent, _) = write_to(&destination(|_| {}), &head(&brought), &["hello"]).unwrap();
    assert_eq!(sent.all("webhook-id"), ["msg_1"]);
    assert_eq!(sent.all("webhook-signature"), ["v1,AAAA", "v1,BBBB"]);
}

#[test]
fn what_is_woven_in_replaces_what_was_brought_and_what_is_removed_is_gone() {
    let weave = |text: &str| Weave::parse(text).unwrap();
    let woven = destination(|plan| {
        plan.url = "http://10.0.0.12:8080/in/{tenant}/{kind}/*?from={source}".into();
        plan.woven = vec![
            ("x-tenant".parse().unwrap(), weave("{tenant}")),
            ("x-about".parse().unwrap(), weave("{source} {id} {attempt} {path}")),
        ];
        plan.remove = vec!["x-foo".parse().unwrap(), "cookie".parse().unwrap()];
    });
    let brought = [("x-tenant", "evil"), ("x-foo", "1"), ("X-Foo", "2"), ("cookie", "a=b"), ("x-stays", "here")];
    let (sent, _) = write_to(&woven, &head(&brought), &["hello"]).unwrap();
    assert_eq!(sent.target, "/in/acme/order%2Fpaid/a%20b?from=shop&x=1");
    assert_eq!(sent.all("x-tenant"), ["acme"]);
    assert_eq!(sent.all("x-about"), [format!("shop {ID} 3 a%20b")]);
    assert!(sent.all("x-foo").is_empty() && sent.all("cookie").is_empty());
    assert_eq!(sent.all("x-stays"), ["here"]);
}

#[test]
fn a_value_that_would_lead_out_of_the_path_is_not_sent() {
    let to = destination(|plan| plan.url = "http://10.0.0.12:8080/in/{kind}/x".into());
    let parcel = |kind| Parcel { head: &[], body: &[], facts: FACTS, courier: None, names: Names { kind, ..NAMES } };
    let head = head(&[]);
    for (kind, sent) in [("..", None), (".", None), ("../..", None), ("..\\x", None), ("a..", Some("/in/a../x?x=1"))] {
        let mut out = Vec::new();
        let written = write(&to, &Parcel { head: &head, ..parcel(kind) }, &Clock::system(), &mut out);
        assert_eq!(written.err(), sent.is_none().then_some(Unsendable::Path), "{kind}");
        assert!(sent.is_none_or(|target| Sent::read(&out).target == target), "{kind}");
    }
}

#[test]
fn writing_a_head_allocates_nothing_whatever_is_woven_into_it() {
    let secret = Secret::new(b"whsec_b25lIGtleSBvZiB0d2VudHktZm91ciBi".to_vec());
    let clothes: [&dyn Fn(&mut Plan); 3] =
        [&|_| {}, &|plan| plan.sign = vec![Signer::read(Form::Whsec, &secret).unwrap()], &|plan| {
            plan.url = "http://10.0.0.12:8080/in/{tenant}/{kind}/*".into();
            plan.woven = vec![("x-about".parse().unwrap(), Weave::parse("{source} {id} {attempt} {path}").unwrap())];
            plan.remove = vec!["cookie".parse().unwrap()];
        }];
    let brought = [("cookie", "a=b"), ("x-stays", "here")];
    let brought = brought.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    let head =
        Head::encode(&Method::PUT, "/v1.0/a%2fb/..c", "x=1", &brought.into_iter().collect(), &Credential::default());
    let body = [Bytes::from_static(b"hello")];
    for (number, clothes) in clothes.iter().enumerate() {
        let (to, clock) = (destination(clothes), Clock::system());
        let mut out = Vec::with_capacity(4096);
        let names = Names { kind: "paid", ..NAMES };
        let parcel = Parcel { head: &head, body: &body, facts: FACTS, courier: None, names };
        let info = allocation_counter::measure(|| write(&to, &parcel, &clock, &mut out).map(drop).unwrap());
        assert_eq!(info.count_total, 0, "{number}");
    }
}

#[test]
fn facts_that_are_all_zero_still_make_a_sound_trace() {
    let mut out = Vec::new();
    let facts = Facts { event_id: [0; 16], span: 0, ..FACTS };
    let parcel = Parcel { head: &head(&[]), body: &[], facts, courier: None, names: NAMES };
    write(&destination(|_| {}), &parcel, &Clock::system(), &mut out).unwrap();
    assert!(is_traceparent(Sent::read(&out).all("traceparent")[0].as_bytes()));
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("content-length".to_owned()),
        Just("transfer-encoding".to_owned()),
        Just("connection".to_owned()),
        Just("webhook-id".to_owned()),
        Just("traceparent".to_owned()),
        Just("x-api-key".to_owned()),
        "[!-~]{1,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is stored: it is refused, or what is written is one head with one length, and every header in it is one
    /// that was stored, as it was stored, or one of ours.
    #[test]
    fn nothing_that_is_stored_can_write_a_line_of_its_own(
        method in prop_oneof![Just("POST".to_owned()), "[!-~]{0,6}", "[ -~\\r\\n]{0,12}"],
        rest in prop_oneof![Just(String::new()), "/[!-~]{0,12}", "[ -~\\r\\n]{0,12}"],
        query in prop_oneof![Just(String::new()), "[!-~]{0,12}", "[ -~\\r\\n]{0,12}"],
        headers in prop::collection::vec((name(), prop::collection::vec(prop_oneof![
            8 => b' '..=b'~', 1 => any::<u8>(), 1 => Just(b'\n'),
        ], 0..10)), 0..6),
    ) {
        let to = destination(|plan| {
            plan.headers = vec![("x-api-key".parse().unwrap(), Secret::new(b"k1".to_vec()))];
        });
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        if let Ok((sent, _)) = write_to(&to, &forged(&method, &rest, &query, &headers), &["hello"]) {
            prop_assert_eq!(&sent.method, &method);
            prop_assert_eq!(sent.all("content-length"), ["5"]);
            prop_assert_eq!(sent.all("host").len(), 1);
            prop_assert!(sent.all("transfer-encoding").is_empty() && sent.all("connection").is_empty());
            prop_assert_eq!(sent.all("x-api-key"), ["k1"]);
            prop_assert_eq!(sent.all("traceparent").len(), 1);
            let ours = ["host", "content-length", "x-api-key", "webhook-id", "traceparent"];
            for (name, value) in &sent.headers {
                let stored = headers.iter().any(|(known, stored)| known == name && stored.trim_ascii() == value.trim_ascii());
                prop_assert!(stored || ours.contains(&&**name) || name.starts_with("x-porteiro-"), "{}", name);
            }
        }
    }
}
