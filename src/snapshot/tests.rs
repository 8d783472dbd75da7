use super::*;
fn entry(host: Option<&str>, pattern: &str, to: &'static str) -> Entry<&'static str> {
    Entry { host: host.map(Into::into), pattern: Pattern::parse(pattern).unwrap(), to }
}

/// Entry, rest, captures.
type Expected<'a> = Option<(&'a str, &'a str, &'a [(&'a str, &'a str)])>;

#[track_caller]
fn check(entries: &[Entry<&'static str>], cases: &[(&str, &str, Expected<'_>)]) {
    let router = Router::build(entries).unwrap();
    for (host, path, expected) in cases {
        let found = router.find(host, path);
        let got = found.as_ref().map(|found| {
            let captured = |name: &'static str| Some((name, found.captures.value(name, path)?));
            (*found.to, found.rest, ["token", "x"].into_iter().filter_map(captured).collect::<Vec<_>>())
        });
        let expected = expected.map(|(name, rest, captured)| (name, rest, captured.to_vec()));
        assert_eq!(got, expected, "{host} {path}");
    }
}

#[test]
fn literals_win_over_captures_and_captures_over_the_rest() {
    check(
        &[
            entry(None, "/meta", "meta"),
            entry(None, "/hooks/{token}", "one"),
            entry(None, "/hooks/{token}/*", "all"),
            entry(None, "/hooks/stripe", "stripe"),
        ],
        &[
            ("x", "/meta", Some(("meta", "", &[]))),
            ("x", "/meta/", None),
            ("x", "/Meta", None),
            ("x", "/", None),
            ("x", "", None),
            ("x", "*", None),
            ("x", "/hooks/stripe", Some(("stripe", "", &[]))),
            ("x", "/hooks/abc", Some(("one", "", &[("token", "abc")]))),
            ("x", "/hooks/abc/", Some(("all", "", &[("token", "abc")]))),
            ("x", "/hooks/abc/d/e%20f", Some(("all", "d/e%20f", &[("token", "abc")]))),
            ("x", "/hooks/a%2fb/d", Some(("all", "d", &[("token", "a%2fb")]))),
            ("x", "/hooks/", None),
            ("x", "/hooks", None),
        ],
    );
}

#[test]
fn below_means_the_place_itself_too_unless_it_is_anothers() {
    check(
        &[entry(None, "/a/*", "a"), entry(None, "/b/*", "b"), entry(None, "/b", "own"), entry(None, "/*", "root")],
        &[
            ("x", "/a", Some(("a", "", &[]))),
            ("x", "/a/", Some(("a", "", &[]))),
            ("x", "/a//c", Some(("a", "/c", &[]))),
            ("x", "/b", Some(("own", "", &[]))),
            ("x", "/b/", Some(("b", "", &[]))),
            ("x", "/", Some(("root", "", &[]))),
            ("x", "/ab", Some(("root", "ab", &[]))),
        ],
    );
}

#[test]
fn a_source_that_names_the_host_wins() {
    check(
        &[entry(Some("Hooks.example.com"), "/in", "own"), entry(None, "/in", "any"), entry(None, "/else", "else")],
        &[
            ("hooks.example.com", "/in", Some(("own", "", &[]))),
            ("HOOKS.example.com:8443", "/in", Some(("own", "", &[]))),
            ("hooks.example.com.evil.net", "/in", Some(("any", "", &[]))),
            ("hooks.example.com", "/else", Some(("else", "", &[]))),
            ("[::1]:8443", "/in", Some(("any", "", &[]))),
            ("hooks.example.com", "/nowhere", None),
        ],
    );
}

#[test]
fn a_path_that_climbs_finds_nothing() {
    let router = Router::build(&[entry(None, "/a/*", "a")]).unwrap();
    let climbing = [
        "/a/..",
        "/a/../b",
        "/a/./b",
        "/a/b/..",
        "/a/%2e%2e/b",
        "/a/%2E./b",
        "/a/.%2e",
        "/a/b%2f..%2fc",
        "/a/b\\..\\c",
        "/a/%5c%2e%2e",
        "/a/..%5cb",
        "/./a/b",
        "/a/.",
        "/a/..;/b",
        "/a/..;x=1/b",
        "/a/..%3bx",
        "/a/%252e%252e/b",
        "/a/%25252E./b",
        "/a/b%252f..%255cc",
        "/a/%2e%2e;",
    ];
    for path in climbing {
        assert!(router.find("x", path).is_none(), "{path}");
    }
    for path in [
        "/a/...",
        "/a/..b",
        "/a/b..",
        "/a/.well-known",
        "/a/b.c",
        "/a/%",
        "/a/%2",
        "/a/%2e%2e%2e",
        "/a/1%",
        "/a/x;..",
        "/a/;..",
    ] {
        assert!(router.find("x", path).is_some(), "{path}");
    }
}

#[test]
fn two_sources_for_the_same_requests_are_refused_together() {
    let entries = [
        entry(None, "/a/{x}", "one"),
        entry(None, "/a/{y}", "two"),
        entry(Some("h"), "/a/{y}", "apart"),
        entry(None, "/b/*", "three"),
        entry(None, "/b/*", "four"),
    ];
    let taken = Router::build(&entries).unwrap_err();
    let places: Vec<_> = taken.iter().map(|taken| taken.entry).collect();
    assert_eq!(places, [1, 4]);
    assert_eq!(taken[0].to_string(), "the path means the same requests as `/a/{x}`");
}

#[test]
fn says_what_is_wrong_with_a_pattern() {
    let cases = [
        ("a", PatternError::NoSlash),
        ("", PatternError::NoSlash),
        ("*", PatternError::NoSlash),
        ("/*/a", PatternError::StarNotLast),
        ("/a*", PatternError::StarNotLast),
        ("/**", PatternError::StarNotLast),
        ("/{}", PatternError::Name("".into())),
        ("/{a b}", PatternError::Name("a b".into())),
        ("/{*rest}", PatternError::Name("*rest".into())),
        ("/{a}/{a}", PatternError::Twice("a".into())),
        ("/{a}b", PatternError::Character('{')),
        ("/{a}/{b}/{c}/{d}/{e}/{f}/{g}", PatternError::TooMany),
        ("/a?b", PatternError::Character('?')),
        ("/a b", PatternError::Character(' ')),
        ("/é", PatternError::Character('é')),
        ("/a/../b", PatternError::Climbs),
        ("/a/%2e", PatternError::Climbs),
    ];
    for (text, expected) in cases {
        assert_eq!(Pattern::parse(text).unwrap_err(), expected, "{text}");
        assert!(!expected.to_string().is_empty());
    }
    let pattern = Pattern::parse("/OMNI/Webhook/{token}/*").unwrap();
    assert_eq!(pattern.captures().collect::<Vec<_>>(), ["token"]);
    assert!(pattern.takes_below());
    assert_eq!(pattern.to_string(), "/OMNI/Webhook/{token}/*");
    assert!(!Pattern::parse("/").unwrap().takes_below());
}

#[test]
fn a_swap_is_seen_by_the_next_request_only() {
    let shared = Shared::new(Snapshot { generation: 1, ..Snapshot::default() });
    let before = shared.load();
    let last = shared.swap(Snapshot { generation: 2, ..Snapshot::default() });
    assert_eq!((before.generation, last.generation, shared.load().generation), (1, 1, 2));
    assert_eq!(format!("{shared:?}"), "Shared(generation 2)");
    assert!(shared.load().find(ListenerId(0), "x", "/").is_none());
}

proptest::proptest! {
    #[test]
    fn what_is_found_never_climbs(
        words in proptest::collection::vec(
            proptest::sample::select(&["/", "a", ".", "..", "%2e", "%2F", "%5C", "\\", "%", "2", "5", ";", "%25", "%3b", "é"][..]),
            0..12,
        ),
    ) {
        router::holds(&format!("/a/{}", words.concat()));
        router::holds(&words.concat());
    }
}
