use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the test's own name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("the test's own value"));
    }
    map
}

/// What goes on of these headers.
fn kept_of(headers: &[(&str, &str)], without: &Credential) -> Vec<(String, String)> {
    let bytes = Head::encode(&Method::POST, "", "", &map(headers), without);
    let head = Head::decode(&bytes).expect("just encoded");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    head.headers().map(|(name, value)| (text(name), text(value))).collect()
}

#[track_caller]
fn check(headers: &[(&str, &str)], expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(kept_of(headers, &Credential::NONE), expected, "{headers:?}");
}

#[test]
fn end_to_end_headers_go_on_in_order_with_duplicates() {
    check(
        &[("X-Hub-Signature-256", "sha256=ab"), ("content-type", "a/b"), ("Accept", "x"), ("accept", "y"), ("x-a", "")],
        &[("x-hub-signature-256", "sha256=ab"), ("content-type", "a/b"), ("accept", "x"), ("accept", "y"), ("x-a", "")],
    );
    check(&[("content-encoding", "gzip"), ("x-b", "é\t")], &[("content-encoding", "gzip"), ("x-b", "é\t")]);
    check(&[("forwarded", "for=1"), ("webhook-id", "1")], &[("forwarded", "for=1"), ("webhook-id", "1")]);
}

#[test]
fn what_belongs_to_one_hop_or_to_porteiro_does_not_go_on() {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
        "expect",
        "x-porteiro-event-id",
        "X-Porteiro-Attempt",
    ] {
        check(&[(name, "1"), ("x-stays", "1")], &[("x-stays", "1")]);
    }
}

#[test]
fn what_the_connection_header_names_does_not_go_on() {
    check(&[("connection", "close, X-Hop"), ("x-hop", "1"), ("x-hop", "2"), ("x-stays", "1")], &[("x-stays", "1")]);
    check(
        &[("connection", "a"), ("connection", " ,x-hop\t,"), ("x-hop", "1"), ("x-hop-not", "1")],
        &[("x-hop-not", "1")],
    );
    check(&[("connection", ""), ("x-stays", "1")], &[("x-stays", "1")]);
    check(&[("connection", "x-h"), ("x-hop", "1")], &[("x-hop", "1")]);
}

#[test]
fn what_served_as_proof_does_not_go_on() {
    let mut credential = Credential::NONE;
    credential.add_header(HeaderName::from_static("authorization"));
    credential.add_query("token");
    let headers = [("authorization", "secret"), ("authorization", "other"), ("x-stays", "1")];
    assert_eq!(kept_of(&headers, &credential), [("x-stays".to_owned(), "1".to_owned())]);
    check(&headers[..1], &headers[..1]);
    for (query, left) in [
        ("token=s", ""),
        ("token", ""),
        ("a=1&token=s&b=2", "a=1&b=2"),
        ("token=s&a=%20&token=t", "a=%20"),
        ("%74oken=s&a=1", "a=1"),
        ("t%6Fken=s", ""),
        ("a=1&&b=2", "a=1&&b=2"),
        ("a=token", "a=token"),
        ("Token=s", "Token=s"),
        ("tokens=s", "tokens=s"),
        ("", ""),
    ] {
        assert_eq!(Head::query_without(query, &credential), left, "{query}");
        let bytes = Head::encode(&Method::GET, "/rest%2F", query, &HeaderMap::new(), &credential);
        let head = Head::decode(&bytes).expect("just encoded");
        assert_eq!((head.method, head.rest, head.query), ("GET", "/rest%2F", left));
    }
    assert!(matches!(Head::query_without("a=1", &credential), Cow::Borrowed("a=1")));
    assert_eq!(Head::query_without("token=s", &Credential::NONE), "token=s");
}

/// A stored head of these raw pieces: method, rest, query, headers.
fn raw(method: &[u8], rest: &[u8], query: &[u8], headers: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for text in [method, rest, query] {
        put(&mut bytes, text);
    }
    put_number(&mut bytes, headers.len());
    for (name, value) in headers {
        put(&mut bytes, name);
        put(&mut bytes, value);
    }
    bytes
}

#[test]
fn refuses_what_could_not_be_written_to_a_wire() {
    let good = raw(b"POST", b"/a\xc3\xa9", b"b=1", &[(b"x-a", b"\xff\t ")]);
    assert!(Head::decode(&good).is_ok());
    let wrong = [
        raw(b"", b"", b"", &[]),
        raw(b"PO ST", b"", b"", &[]),
        raw(b"POST\r\n", b"", b"", &[]),
        raw(b"POST", b"/a b", b"", &[]),
        raw(b"POST", b"/a\r\nx: y", b"", &[]),
        raw(b"POST", b"/\x7f", b"", &[]),
        raw(b"POST", b"/\xff", b"", &[]),
        raw(b"POST", b"", b"a\n", &[]),
        raw(b"POST", b"", b"\xc3", &[]),
        raw(b"POST", b"", b"", &[(b"", b"x")]),
        raw(b"POST", b"", b"", &[(b"x-a:", b"x")]),
        raw(b"POST", b"", b"", &[(b"X-A", b"x")]),
        raw(b"POST", b"", b"", &[(b"x a", b"x")]),
        raw(b"POST", b"", b"", &[(b"x-a", b"x\r\ny: z")]),
        raw(b"POST", b"", b"", &[(b"x-a", b"\0")]),
        raw(b"POST", b"", b"", &[(b"x-a", b"ok"), (b"x-b", b"\x7f")]),
    ];
    for bytes in wrong {
        assert_eq!(Head::decode(&bytes), Err(HeadError::Text), "{bytes:?}");
    }
}

#[test]
fn refuses_what_is_cut_lengthened_or_of_another_version() {
    let bytes = Head::encode(&Method::POST, "/rest", "q=1", &map(&[("x-a", "1"), ("x-b", "2")]), &Credential::NONE);
    for length in 0..bytes.len() {
        assert_eq!(Head::decode(&bytes[..length]), Err(HeadError::Length), "{length}");
    }
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert_eq!(Head::decode(&longer), Err(HeadError::Length));
    for version in [0, 2, 255] {
        let other: Vec<u8> = [version].into_iter().chain(bytes.iter().copied().skip(1)).collect();
        assert_eq!(Head::decode(&other), Err(HeadError::Version(version)));
    }
    for number in
        [&[0x80, 0x80, 0x80, 0x80, 0x80, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0xff, 0xff, 0xff, 0xff, 0x0f]]
    {
        let bytes: Vec<u8> = [VERSION].iter().chain(number).copied().collect();
        assert_eq!(Head::decode(&bytes), Err(HeadError::Length), "{number:?}");
    }
    let texts = [HeadError::Version(9), HeadError::Length, HeadError::Text].map(|error| error.to_string());
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
}

#[test]
fn a_head_of_many_and_long_headers_is_read_back() {
    let long = "v".repeat(70_000);
    let names: Vec<String> = (0..1000).map(|at| format!("x-{at}")).collect();
    let stay = (0..200).map(|at| format!("proxy-{at}"));
    let names: Vec<String> = stay.chain(names).collect();
    let headers: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "1")).chain([("x-long", &*long)]).collect();
    for turned in [false, true] {
        let mut headers = headers.clone();
        if turned {
            headers.reverse();
        }
        let kept = kept_of(&headers, &Credential::NONE);
        let expected: Vec<_> = headers.iter().filter(|(name, _)| !name.starts_with("proxy-")).collect();
        assert!(kept.iter().map(|(name, value)| (&**name, &**value)).eq(expected.into_iter().copied()));
    }
}

#[test]
fn the_room_for_a_head_is_known_before_it_is_written() {
    for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, u32::MAX as usize] {
        let mut bytes = Vec::new();
        put_number(&mut bytes, length);
        assert_eq!(bytes.len(), number_room(length), "{length}");
        assert_eq!(take_number(&mut &*bytes), Ok(u32::try_from(length).unwrap()));
    }
}

#[test]
fn a_byte_that_may_not_stand_in_a_value_is_found_wherever_it_stands() {
    for byte in 0..=u8::MAX {
        let legal = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        for length in 1..=24 {
            for at in 0..length {
                for other in [b' ', b'a', b'~', 0x80, 0xff, b'\t'] {
                    let mut value = vec![other; length];
                    value[at] = byte;
                    assert_eq!(is_value(&value), legal, "{byte:#x} at {at} of {length} among {other:#x}");
                }
            }
        }
    }
    assert!(is_value(b""));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_encoded_is_read_back(
        rest in "(/[a-z%]{0,5}){0,3}", query in "[a-z=&%]{0,20}",
        headers in prop::collection::vec(("x-[a-d]", "[ -~]{0,20}"), 0..8)
    ) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let map = map(&headers);
        let bytes = Head::encode(&Method::PATCH, &rest, &query, &map, &Credential::NONE);
        let head = Head::decode(&bytes).expect("just encoded");
        prop_assert_eq!((head.method, head.rest, head.query), ("PATCH", &*rest, &*query));
        let expected: Vec<_> = map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())).collect();
        prop_assert_eq!(head.headers().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..60), flip in any::<(prop::sample::Index, u8)>()
    ) {
        holds(&bytes);
        let mut good = raw(b"POST", b"/a", b"b=1", &[(b"x-a", b"1"), (b"x-b", b"2")]);
        let at = flip.0.index(good.len());
        good[at] = flip.1;
        holds(&good);
    }
}
