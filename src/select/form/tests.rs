use proptest::prelude::*;

use super::*;

#[test]
fn values_are_decoded_and_duplicates_kept_in_order() {
    let text = b"a=1&b=two+words&a=%C3%A9&=x&flag&&c=1=2&d=";
    let of = |name: &str| values(text, name).map(|raw| decode(raw).into_owned()).collect::<Vec<_>>();
    assert_eq!(of("a"), [&b"1"[..], "é".as_bytes()]);
    assert_eq!(of("b"), [b"two words"]);
    assert_eq!(of(""), [b"x"]);
    assert_eq!(of("flag"), [b""]);
    assert_eq!(of("c"), [b"1=2"]);
    assert_eq!(of("d"), [b""]);
    assert_eq!(of("A"), [[0_u8; 0]; 0]);
    assert_eq!(pairs(b"").count() + pairs(b"&&&").count(), 0);
}

#[test]
fn names_are_compared_decoded() {
    for (raw, name, same) in [
        ("id", "id", true),
        ("%69d", "id", true),
        ("%69%64", "id", true),
        ("a+b", "a b", true),
        ("a+b", "a+b", false),
        ("a%2Bb", "a+b", true),
        ("a%20", "a%20", false),
        ("ID", "id", false),
        ("i", "id", false),
        ("idd", "id", false),
        ("%zz", "%zz", true),
    ] {
        assert_eq!(named(raw.as_bytes(), name), same, "{raw} {name}");
    }
}

#[test]
fn an_escape_that_is_none_stands_for_itself() {
    for (raw, decoded) in
        [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%4g1", "%4g1"), ("%%41", "%A"), ("100%", "100%"), ("%2", "%2")]
    {
        assert_eq!(&*decode(raw.as_bytes()), decoded.as_bytes(), "{raw}");
        assert_eq!(&*decode_path(raw.as_bytes()), decoded.as_bytes(), "{raw}");
    }
}

#[test]
fn a_plus_is_a_space_in_a_form_and_itself_in_a_path() {
    assert_eq!(&*decode(b"a+b%2b"), b"a b+");
    assert_eq!(&*decode_path(b"a+b%2b"), b"a+b+");
    assert!(matches!(decode_path(b"a+b"), Cow::Borrowed(_)));
    assert!(matches!(decode(b"plain"), Cow::Borrowed(_)));
}

#[test]
fn what_is_no_utf_8_is_no_text() {
    assert_eq!(text(decode(b"%ff")), None);
    assert_eq!(text(Cow::Borrowed(&b"\xff"[..])), None);
    assert_eq!(text(decode(b"%C3%A9")).as_deref(), Some("é"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let encoded: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        prop_assert_eq!(&*decode(encoded.as_bytes()), &bytes[..]);
        prop_assert_eq!(&*decode_path(encoded.as_bytes()), &bytes[..]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        holds(&bytes);
    }
}
