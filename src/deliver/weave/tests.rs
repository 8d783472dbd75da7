use proptest::prelude::*;

use super::*;

const VALUES: Values<'_> = Values {
    source: "whatsapp",
    tenant: "acme",
    kind: "order/created \u{e9}\r\n%",
    id: Some([0xab; 16]),
    attempt: 3,
    path: "/a%20b",
};

fn header(text: &str) -> String {
    let mut out = Vec::new();
    Weave::parse(text).unwrap().write_header(&VALUES, &mut out);
    String::from_utf8(out).unwrap()
}

fn target(text: &str) -> String {
    let mut out = Vec::new();
    Weave::of_target(text).unwrap().write_target(&VALUES, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn fields_are_woven_into_the_text_around_them() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("{source}", "whatsapp"),
        ("a {tenant}/{attempt} b", "a acme/3 b"),
        ("{id}", "abababababababababababababababab"),
        ("{path}", "/a%20b"),
        ("{{tenant}}", "{tenant}"),
        ("{{{tenant}}}", "{acme}"),
        ("{kind}", "order/created \u{e9}%0D%0A%"),
    ] {
        assert_eq!(header(text), expected, "{text}");
    }
    assert_eq!(
        target("/in/{tenant}/{kind}?k={kind}"),
        "/in/acme/order%2Fcreated%20%C3%A9%0D%0A%25?k=order%2Fcreated%20%C3%A9%0D%0A%25"
    );
}

#[test]
fn what_is_no_field_is_refused() {
    for word in ["", "Tenant", "tenants", " tenant", "header:x", "body", "url"] {
        assert_eq!(Weave::parse(&format!("{{{word}}}")), Err(WeaveError::Unknown(word.to_owned())));
    }
    for text in ["{", "}", "{tenant", "tenant}", "{{{", "}}}", "{source}}"] {
        assert_eq!(Weave::parse(text), Err(WeaveError::Brace), "{text}");
    }
    assert_eq!(Weave::parse("{ten{ant}"), Err(WeaveError::Unknown("ten{ant".to_owned())));
    assert_eq!(Weave::of_target("/a/{path}"), Err(WeaveError::Path));
}

#[test]
fn what_is_asked_for_is_known() {
    let weave = Weave::parse("a{tenant}b{id}").unwrap();
    assert!(weave.asks(Field::Tenant) && weave.asks(Field::Id) && !weave.asks(Field::Source));
    assert_eq!((weave.plain(), weave.texts().collect::<String>()), (None, "ab".to_owned()));
    assert_eq!(Weave::parse("{{a}}").unwrap().plain(), Some("{a}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a field says, it stays within its segment, its field of a query, and its line.
    #[test]
    fn a_value_never_leaves_its_place(kind in any::<String>(), path in any::<String>()) {
        let values = Values { kind: &kind, path: &path, ..VALUES };
        let mut out = Vec::new();
        Weave::of_target("{kind}").unwrap().write_target(&values, &mut out);
        prop_assert!(out.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(byte)));
        out.clear();
        Weave::parse("{kind}{path}").unwrap().write_header(&values, &mut out);
        prop_assert!(http::HeaderValue::from_bytes(&out).is_ok());
    }
}
