use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).expect("the test's own pointer")
}

/// Every row: text, pointer, the values found; `None` where the text must be refused.
#[track_caller]
fn check(rows: &[(&str, &str, Option<&[&str]>)]) {
    for (text, at, expected) in rows {
        let found = all(text.as_bytes(), &pointer(at)).ok();
        let found: Option<Vec<&str>> = found.as_ref().map(|found| found.iter().map(|value| &**value).collect());
        assert_eq!(found.as_deref(), *expected, "{text} {at}");
        compare::agrees(text.as_bytes(), &pointer(at));
    }
}

#[test]
fn finds_what_stands_at_a_pointer() {
    check(&[
        (r#"{"id":"a"}"#, "/id", Some(&["a"])),
        (r#" { "a" : { "b" : [ 1 , 2 ] } } "#, "/a/b/1", Some(&["2"])),
        (r#"[{"id":1},{"id":2},{}]"#, "/*/id", Some(&["1", "2"])),
        (r#"[[1,2],[3]]"#, "/*/*", Some(&["1", "2", "3"])),
        (r#""whole""#, "", Some(&["whole"])),
        (r#"-12.50e+3"#, "", Some(&["-12.50e+3"])),
        (r#"[12345678901234567890123.10]"#, "/0", Some(&["12345678901234567890123.10"])),
        (r#"[true,false]"#, "/*", Some(&["true", "false"])),
        (r#"{"":{"":"x"}}"#, "//", Some(&["x"])),
        (r#"{"a/b":{"~":{"*":1}}}"#, "/a~1b/~0/~2", Some(&["1"])),
        (r#"{"0":"key"}"#, "/0", Some(&["key"])),
        (r#"["\u0041\n\"\\\/\b\f\r\t\ud83d\ude00é"]"#, "/0", Some(&["A\n\"\\/\u{8}\u{c}\r\t\u{1F600}é"])),
        (r#"{"\u0069\u0064":"escaped key"}"#, "/id", Some(&["escaped key"])),
        (r#"{"x":"\ud800","id":1}"#, "/id", Some(&["1"])),
        (r#"{"\ud800":2,"id":1}"#, "/id", Some(&["1"])),
    ]);
}

#[test]
fn finds_nothing_where_nothing_with_a_text_stands() {
    check(&[
        (r#"{"id":null}"#, "/id", Some(&[])),
        (r#"{"id":{"x":1}}"#, "/id", Some(&[])),
        (r#"{"id":[1]}"#, "/id", Some(&[])),
        (r#"{"id":1}"#, "/ID", Some(&[])),
        (r#"{"id":1}"#, "/id/x", Some(&[])),
        (r#"{"id":1}"#, "", Some(&[])),
        (r#"{"*":1}"#, "/*", Some(&[])),
        (r#"[1]"#, "/~2", Some(&[])),
        (r#"[1]"#, "/1", Some(&[])),
        (r#"[1]"#, "/00", Some(&[])),
        (r#"[1]"#, "/-", Some(&[])),
        (r#"[1]"#, "/", Some(&[])),
        (r#"[1]"#, "/4294967296", Some(&[])),
        (r#"[]"#, "/*", Some(&[])),
        (r#"{}"#, "/a", Some(&[])),
    ]);
}

#[test]
fn the_last_of_repeated_keys_counts() {
    check(&[
        (r#"{"a":1,"a":2}"#, "/a", Some(&["2"])),
        (r#"{"a":1,"\u0061":2}"#, "/a", Some(&["2"])),
        (r#"{"a":1,"a":null}"#, "/a", Some(&[])),
        (r#"{"a":{"b":1},"a":{"c":2}}"#, "/a/b", Some(&[])),
        (r#"{"a":[1,2,3],"b":9,"a":[4]}"#, "/a/*", Some(&["4"])),
        (r#"[{"a":1,"a":2},{"a":3}]"#, "/*/a", Some(&["2", "3"])),
        (r#"{"a":[{"x":1,"x":2}],"a":[{"x":3,"x":4}]}"#, "/a/*/x", Some(&["4"])),
    ]);
}

#[test]
fn refuses_what_is_no_json() {
    let wrong = [
        "",
        " ",
        "{",
        "[",
        "]",
        "{}{}",
        "[1,]",
        "[,1]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{a:1}"#,
        r#"{"a":1]"#,
        "[1}",
        "01",
        "-",
        "1.",
        "1e",
        "1e+",
        ".5",
        "+1",
        "0x1",
        "tru",
        "truex",
        "nul",
        "NaN",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\u{1f}\"",
        "\"\\",
        "\"\\u",
        "\u{feff}{}",
        "a=b&c=d",
        "[1 2]",
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        "[1]x",
        "{\"a\":1",
        "[[]",
        "\0",
        "//",
        "[1]/**/",
    ];
    for text in wrong {
        check(&[(text, "/a", None), (text, "/*", None), (text, "", None)]);
        let within = format!(r#"{{"x":[{text}],"a":"b"}}"#);
        if serde_json::from_str::<serde_json::Value>(&within).is_err() {
            check(&[(&within, "/a", None)]);
        }
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xc3\"", b"\xef\xbb\xbf{}", b"{\"a\":\"\xed\xa0\x80\"}"] {
        assert_eq!(all(bytes, &pointer("/a")), Err(Unreadable), "{bytes:?}");
    }
}

#[test]
fn refuses_a_selected_string_that_is_half_a_surrogate_pair() {
    for text in [r#"["\ud800"]"#, r#"["\udc00"]"#, r#"["\ud800x"]"#, r#"["\ud800\n"]"#, r#"["\ud800\ud800"]"#] {
        assert_eq!(first(text.as_bytes(), &pointer("/0")), Err(Unreadable), "{text}");
        assert_eq!(first(text.as_bytes(), &pointer("/1")), Ok(None), "{text}");
    }
}

#[test]
fn nesting_is_allowed_up_to_its_bound_and_no_further() {
    let nested = |depth: u32, open: &str, close: &str| {
        format!("{}1{}", open.repeat(depth as usize), close.repeat(depth as usize))
    };
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for at in ["/id", "", "/*/*", "/a/a"] {
            let deepest = nested(DEPTH_MAX, open, close);
            assert!(all(deepest.as_bytes(), &pointer(at)).is_ok(), "{at}");
            compare::agrees(deepest.as_bytes(), &pointer(at));
            let deeper = nested(DEPTH_MAX + 1, open, close);
            assert_eq!(all(deeper.as_bytes(), &pointer(at)), Err(Unreadable), "{at}");
        }
    }
    let empty = format!("{}{}", "[".repeat(65), "]".repeat(65));
    assert_eq!(all(empty.as_bytes(), &pointer("")), Err(Unreadable));
    let endless = "[".repeat(100_000);
    assert_eq!(all(endless.as_bytes(), &pointer("/*/*/*")), Err(Unreadable));
}

#[test]
fn values_are_kept_up_to_their_bound_and_no_further() {
    let list = |count: usize| format!("[{}0]", "1,".repeat(count - 1));
    assert_eq!(all(list(VALUES_MAX).as_bytes(), &pointer("/*")).map(|found| found.len()), Ok(VALUES_MAX));
    assert_eq!(all(list(VALUES_MAX + 1).as_bytes(), &pointer("/*")), Err(Unreadable));
    assert_eq!(first(list(VALUES_MAX + 1).as_bytes(), &pointer("/7")), Ok(Some(Cow::Borrowed("1"))));
    let repeated = format!("{{{}\"a\":2}}", "\"a\":1,".repeat(VALUES_MAX));
    assert_eq!(all(repeated.as_bytes(), &pointer("/a")), Err(Unreadable));
}

#[test]
fn ranges_are_given_of_objects_and_arrays_too() {
    let text = br#"{"entry":[ {"id":1} ,[2],null, "x" ]}"#;
    let ranges = spans(text, &pointer("/entry/*")).expect("legal");
    let pieces: Vec<&[u8]> = ranges.into_iter().map(|range| &text[range]).collect();
    assert_eq!(pieces, [&br#"{"id":1}"#[..], b"[2]", b"null", br#""x""#]);
    assert_eq!(spans(text, &pointer("")).expect("legal").len(), 1);
    assert_eq!(spans(b"[1", &pointer("/0")), Err(Unreadable));
}

#[test]
fn plain_values_are_borrowed() {
    let found = first(br#"{"id":"plain"}"#, &pointer("/id")).expect("legal");
    assert!(matches!(found, Some(Cow::Borrowed("plain"))));
}

#[test]
fn pointers_are_read_back_as_they_are_written() {
    for text in ["", "/", "/a/b", "/*/id", "/~2", "/a~1b/~0", "//", "/entry/*/changes/*/value", "/0"] {
        assert_eq!(pointer(text).to_string(), text);
    }
    assert!(!pointer("/~2").many());
    assert!(pointer("/a/*").many());
    for (text, error) in [
        ("a", PointerError::NoSlash),
        ("#/a", PointerError::NoSlash),
        ("/~", PointerError::Tilde),
        ("/~3", PointerError::Tilde),
        ("/a~", PointerError::Tilde),
        (&"/a".repeat(Pointer::TOKENS_MAX + 1), PointerError::TooLong),
    ] {
        assert_eq!(Pointer::parse(text), Err(error), "{text}");
        assert!(!error.to_string().is_empty());
    }
    assert!(Pointer::parse(&"/a".repeat(Pointer::TOKENS_MAX)).is_ok());
}

#[test]
fn the_elements_of_several_pointers_are_those_they_share() {
    let rows: &[(&[&str], Option<&str>)] = &[
        (&["/entry/*/changes/*/value/id", "/entry/*/id"], Some("/entry/*")),
        (&["/entry/*/changes/*/value/id"], Some("/entry/*/changes/*")),
        (&["/*/a", "/*/b"], Some("/*")),
        (&["/a/*", "/b/*"], None),
        (&["/a"], None),
        (&[], None),
    ];
    for (pointers, shared) in rows {
        let pointers: Vec<Pointer> = pointers.iter().map(|text| pointer(text)).collect();
        assert_eq!(Pointer::elements(pointers.iter()), shared.map(pointer));
    }
}

/// JSON text with repeated keys, odd keys, escapes and white space.
fn documents() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "(null|true|false|0|-1|12\\.5e3|[1-9][0-9]{0,20})",
        "\"[ab\\*é/~]{0,12}\"",
        Just(r#""\u0061\n\ud83d\ude00""#.to_owned()),
        Just(r#""""#.to_owned()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let key = prop::sample::select(vec!["a", "b", "*", "0", "1", "a/b", "~", "", r"\u0061", r"\\"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((key, inner), 0..5).prop_map(|fields| {
                let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
                format!("{{ {}}}", fields.join(","))
            }),
        ]
    })
}

fn pointers() -> impl Strategy<Value = Pointer> {
    let token = prop::sample::select(vec!["a", "b", "*", "*", "~2", "0", "1", "a~1b", "~0", "", r"\"]);
    prop::collection::vec(token, 0..5)
        .prop_map(|tokens| pointer(&tokens.iter().flat_map(|token| ["/", *token]).collect::<String>()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_document(text in documents(), at in pointers()) {
        compare::agrees(text.as_bytes(), &at);
    }

    #[test]
    fn agrees_about_broken_documents(text in documents(), at in pointers(), cut in any::<prop::sample::Index>(),
        byte in prop::sample::select(&b"\"\\{}[],:0-.eu \x00\xff"[..])) {
        let mut bytes = text.into_bytes();
        let cut = cut.index(bytes.len());
        bytes[cut] = byte;
        compare::agrees(&bytes, &at);
        bytes.truncate(cut);
        compare::agrees(&bytes, &at);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in pointers()) {
        compare::agrees(&bytes, &at);
    }

    #[test]
    fn no_bytes_make_the_comparison_itself_panic(
        at in pointers(), text in documents(), cut in any::<prop::sample::Index>()
    ) {
        let mut data = format!("{at}\n{text}").into_bytes();
        compare::holds(&data);
        data.truncate(cut.index(data.len()));
        compare::holds(&data);
    }

    #[test]
    fn several_pointers_find_what_each_finds_alone(
        text in documents(), list in prop::collection::vec(pointers(), 1..6)
    ) {
        let tracks: Vec<Track> = list.iter().map(Track::value).collect();
        let together = walk(text.as_bytes(), &tracks).expect("generated text is legal");
        for (at, pointer) in list.iter().enumerate() {
            let alone = all(text.as_bytes(), pointer).expect("generated text is legal");
            let track = u8::try_from(at).expect("few");
            let found: Vec<_> = together.of(track).map(|hit| hit.text(text.as_bytes())).collect();
            prop_assert_eq!(found, alone);
        }
    }
}
