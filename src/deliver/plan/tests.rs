use super::super::path::TARGET_MAX;
use super::*;

const PIN: &str = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn plan(url: &str) -> Plan {
    let trust = Trust::Pinned(vec![super::super::tls::Pin::parse(PIN).unwrap()]);
    Plan { trust, ..Plan::new("crm", url) }
}

fn build(plan: Plan) -> Result<Destination, PlanError> {
    Destination::build(plan, &mut Roots::default())
}

fn lines(to: &Destination) -> String {
    String::from_utf8_lossy(to.lines.expose()).into_owned()
}

fn join(path: &JoinedPath, rest: &str, query: &str) -> Option<String> {
    let mut out = b"GET ".to_vec();
    path.join(rest, query, None, &mut out)?;
    Some(String::from_utf8(out).unwrap().strip_prefix("GET ").unwrap().to_owned())
}

#[test]
fn a_url_says_where_to_connect_and_what_host_to_name() {
    let cases = [
        ("http://10.0.0.12/in", "10.0.0.12", 80, "10.0.0.12", false),
        ("http://10.0.0.12:8080/in", "10.0.0.12", 8080, "10.0.0.12:8080", false),
        ("https://crm.example/", "crm.example", 443, "crm.example", true),
        ("https://crm.example", "crm.example", 443, "crm.example", true),
        ("https://crm.example:8443/*", "crm.example", 8443, "crm.example:8443", true),
        ("http://[::1]:81/", "::1", 81, "[::1]:81", false),
        ("http://crm_backend:80/", "crm_backend", 80, "crm_backend:80", false),
    ];
    for (url, host, port, named, tls) in cases {
        let to = build(plan(url)).unwrap();
        assert_eq!((&*to.door.host, to.door.port, to.door.tls.is_some()), (host, port, tls), "{url}");
        assert_eq!(lines(&to), format!("host: {named}\r\n"), "{url}");
    }
}

#[test]
fn a_host_of_its_own_changes_the_name_and_not_the_address() {
    let build = |host: &str| build(Plan { host: Some(host.into()), ..plan("https://10.0.0.12:444/") });
    for host in ["crm.cliente.com.br", "crm.cliente.com.br:8443", "10.0.0.13", "[2001:db8::1]:443"] {
        let to = build(host).unwrap();
        assert_eq!((&*to.door.host, to.door.port), ("10.0.0.12", 444));
        assert_eq!(lines(&to), format!("host: {host}\r\n"));
    }
    for host in ["", " ", "a b", "https://crm", "crm/", "user@crm", "crm:", "crm:0", "crm:99999", "crm:x", "-", "a..b"]
    {
        assert_eq!(build(host).unwrap_err(), PlanError::Host, "{host}");
    }
}

#[test]
fn what_is_no_url_of_a_destination_is_refused() {
    let cases = [
        ("", PlanError::Url),
        ("/in", PlanError::Url),
        ("crm.example/in", PlanError::Url),
        ("ftp://crm.example/", PlanError::Url),
        ("http:///in", PlanError::Url),
        ("http://user:word@crm.example/", PlanError::Url),
        ("http://user@crm.example/", PlanError::Url),
        ("http://crm.example/#top", PlanError::Url),
        ("http://crm.example:0/", PlanError::Url),
        ("http://crm.example:/", PlanError::Url),
        ("http://crm.example:99999/", PlanError::Url),
        ("http://crm.example/a b", PlanError::Url),
        ("http://*/", PlanError::Url),
        ("http://crm.example/*/more", PlanError::Star),
        ("http://crm.example/in*", PlanError::Star),
        ("http://crm.example/**", PlanError::Star),
    ];
    for (url, expected) in cases {
        assert_eq!(build(plan(url)).unwrap_err(), expected, "{url}");
    }
}

#[test]
fn the_rest_of_the_path_goes_where_the_star_stands_and_queries_are_joined() {
    let cases = [
        // URL, rest, query -> target
        ("http://crm/in", "", "", "/in"),
        ("http://crm/in", "/below", "", "/in"),
        ("http://crm/in", "/../above", "", "/in"),
        ("http://crm", "", "", "/"),
        ("http://crm/", "/below", "", "/"),
        ("http://crm/in/*", "", "", "/in"),
        ("http://crm/in/*", "/", "", "/in/"),
        ("http://crm/in/*", "/a/b", "", "/in/a/b"),
        ("http://crm/in/*", "a/b", "", "/in/a/b"),
        ("http://crm/*", "", "", "/"),
        ("http://crm/*", "/a", "", "/a"),
        ("http://crm/*", "//evil.example/a", "", "//evil.example/a"),
        ("http://crm/in/*", "/a%20b;v=1", "x=%26", "/in/a%20b;v=1?x=%26"),
        ("http://crm/in", "", "a=1&b=2", "/in?a=1&b=2"),
        ("http://crm/in?k=v", "", "", "/in?k=v"),
        ("http://crm/in?k=v", "", "a=1", "/in?k=v&a=1"),
        ("http://crm/in/*?k=v", "/x", "a=1", "/in/x?k=v&a=1"),
        ("http://crm/in/*", "/file.json", "", "/in/file.json"),
        ("http://crm/in/*", "/...", "", "/in/..."),
        ("http://crm/in/*", "/a..b/.well-known", "", "/in/a..b/.well-known"),
    ];
    for (url, rest, query, target) in cases {
        let joined = join(&build(plan(url)).unwrap().path, rest, query);
        assert_eq!(joined.as_deref(), Some(target), "{url} {rest} {query}");
    }
}

#[test]
fn a_rest_that_could_lead_out_of_the_path_is_not_joined() {
    let path = build(plan("http://crm/in/*")).unwrap().path;
    let cases = [
        "/..",
        "/../admin",
        "/a/../../admin",
        "/.",
        "/./a",
        "..",
        "/a/..",
        "/%2e%2e/admin",
        "/%2E./admin",
        "/.%2e",
        "/%2e",
        "/..;x=1/admin",
        "/..%2fadmin",
        "/a%2f..%2fadmin",
        "/..\\admin",
        "/..%5Cadmin",
        "/a b",
        "/a\u{7f}",
        "/a\r\nx: y",
    ];
    for rest in cases {
        assert_eq!(join(&path, rest, ""), None, "{rest}");
    }
    for query in ["a b", "a\r\nx: y", "a#b\n"] {
        assert_eq!(join(&path, "", query), None, "{query}");
    }
}

#[test]
fn what_stands_in_a_target_is_what_could_come_in_with_one() {
    let path = build(plan("http://crm/in/*?k=v")).unwrap().path;
    for byte in 0..=u8::MAX {
        let text = String::from_utf8_lossy(&[b'a', byte, b'b']).into_owned();
        // These two would end the path, or the query, in silence.
        let ends = |also: u8| byte == b'#' || byte == also;
        let expected = known_to_http(&format!("/in/{text}?k=v")) && !ends(b'?');
        assert_eq!(join(&path, &format!("/{text}"), "").is_some(), expected, "{byte:#x} in a path");
        let expected = known_to_http(&format!("/in?k=v&{text}")) && !ends(b'#');
        assert_eq!(join(&path, "", &text).is_some(), expected, "{byte:#x} in a query");
    }
    let rest = |length: usize| format!("/{}", "a".repeat(length - "/in/?k=v".len()));
    assert_eq!(join(&path, &rest(TARGET_MAX), "").map(|target| target.len()), Some(TARGET_MAX));
    assert!(known_to_http(&join(&path, &rest(TARGET_MAX), "").unwrap()));
    assert_eq!(join(&path, &rest(TARGET_MAX + 1), ""), None);
    assert!(!known_to_http(&"/".repeat(TARGET_MAX + 1)));
}

fn known_to_http(target: &str) -> bool {
    target.parse::<http::uri::PathAndQuery>().is_ok()
}

#[test]
fn credentials_become_headers_that_are_not_shown() {
    let auth = |auth: Auth| build(Plan { auth: Some(auth), ..plan("http://crm/") });
    let basic =
        |user: &str, password: &[u8]| Auth::Basic { user: user.into(), password: Secret::new(password.to_vec()) };
    let bearer = |token: &[u8]| Auth::Bearer(Secret::new(token.to_vec()));
    // RFC 7617, section 2.
    let cases = [
        (basic("Aladdin", b"open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (basic("", b""), "Basic Og=="),
        (basic("a", b"b:c"), "Basic YTpiOmM="),
        (bearer(b"t0ken"), "Bearer t0ken"),
    ];
    for (said, value) in cases {
        let to = auth(said).unwrap();
        assert_eq!(lines(&to), format!("host: crm\r\nauthorization: {value}\r\n"));
        assert!(to.sets(b"authorization"));
        assert!(!format!("{to:?}").contains(&value[7..]), "{to:?}");
    }
    for said in [basic("a:b", b"c"), bearer(b""), bearer(b"line\nbreak"), bearer(b"nul\0")] {
        assert_eq!(auth(said).unwrap_err(), PlanError::Auth);
    }
}

#[test]
fn headers_of_the_operator_are_refused_where_they_are_not_theirs() {
    let build = |name: &'static str, value: &[u8], auth: Option<Auth>| {
        let headers = vec![(HeaderName::from_static(name), Secret::new(value.to_vec()))];
        build(Plan { headers, auth, ..plan("http://crm/") })
    };
    for name in ["x-api-key", "authorization", "user-agent", "content-type"] {
        let to = build(name, b"v\xe9", None).unwrap();
        assert_eq!(to.lines.expose(), [format!("host: crm\r\n{name}: ").as_bytes(), b"v\xe9\r\n"].concat());
        assert!(to.sets(name.as_bytes()) && !to.sets(b"x-api"));
    }
    let ours = [
        "host",
        "content-length",
        "connection",
        "transfer-encoding",
        "expect",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "webhook-id",
        "x-porteiro-event-id",
        "x-porteiro-attempt",
        "x-porteiro-received-at",
        "traceparent",
    ];
    for name in ours {
        let expected = PlanError::HeaderName(HeaderName::from_static(name));
        assert_eq!(build(name, b"v", None).unwrap_err(), expected, "{name}");
    }
    let name = HeaderName::from_static("authorization");
    let twice = build("authorization", b"v", Some(Auth::Bearer(Secret::new(b"t".to_vec()))));
    assert_eq!(twice.unwrap_err(), PlanError::HeaderName(name));
    for value in [&b"a\r\nb"[..], b"\0", b"\x7f"] {
        let expected = PlanError::HeaderValue(HeaderName::from_static("x-api-key"));
        assert_eq!(build("x-api-key", value, None).unwrap_err(), expected);
    }
}

#[test]
fn nothing_that_bounds_is_zero() {
    let zero = Duration::ZERO;
    let plans = [
        Plan { deadline: zero, ..plan("http://crm/") },
        Plan { connect: zero, ..plan("http://crm/") },
        Plan { concurrency: 0, ..plan("http://crm/") },
        Plan { bytes: 0, ..plan("http://crm/") },
    ];
    for plan in plans {
        assert_eq!(build(plan).unwrap_err(), PlanError::Zero);
    }
}

#[test]
fn what_was_said_of_tls_is_checked_where_tls_is_spoken() {
    let trusts = [
        (Trust::Authority(Vec::new()), TrustError::Authority),
        (
            Trust::Authority(b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n".to_vec()),
            TrustError::Authority,
        ),
        (
            Trust::Authority(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
            TrustError::Authority,
        ),
        (Trust::Pinned(Vec::new()), TrustError::Pin),
    ];
    for (trust, expected) in trusts {
        let of = |url: &str| build(Plan { trust: trust.clone(), ..Plan::new("crm", url) });
        assert_eq!(of("https://crm/").unwrap_err(), PlanError::Trust(expected), "{trust:?}");
        assert!(of("http://crm/").is_ok(), "{trust:?}");
    }
}

#[test]
fn every_problem_is_put_into_words() {
    let name = HeaderName::from_static("te");
    let problems = [
        PlanError::Url,
        PlanError::Star,
        PlanError::Host,
        PlanError::Auth,
        PlanError::HeaderName(name.clone()),
        PlanError::HeaderValue(name),
        PlanError::Zero,
        TrustError::NoRoots.into(),
        TrustError::Authority.into(),
        TrustError::Pin.into(),
        TrustError::Name.into(),
    ];
    let mut words: Vec<_> = problems.iter().map(ToString::to_string).collect();
    words.sort();
    words.dedup();
    assert_eq!(words.len(), problems.len());
    assert!(words.iter().all(|text| !text.ends_with('.')));
}
