//! Is a head what it seems to be to everybody who reads it?
//!
//! Promises: a request whose length, host or target two readers could understand differently is refused, before
//! anything else is asked; nothing of the head is changed or decoded.
//!
//! Must not know: which hosts and paths there are.

use std::error::Error;
use std::fmt;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;

/// What a request asks for, raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// The host as the client wrote it, perhaps with a port.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// Without the question mark; empty where there is none.
    pub(super) query: &'a str,
}

/// What makes a head ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It has both a length and a transfer coding.
    LengthAndCoding,
    /// Its transfer coding is not `chunked` alone.
    Coding,
    /// It names no host.
    NoHost,
    /// It names several hosts.
    Hosts,
    /// What it names is no host.
    Host,
    /// Its target names another host than its Host field.
    OtherHost,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LengthAndCoding => "the head has both a length and a transfer coding",
            Self::Coding => "the transfer coding is another than chunked",
            Self::NoHost => "the head names no host",
            Self::Hosts => "the head names several hosts",
            Self::Host => "the host is none",
            Self::OtherHost => "the target names another host than the Host field",
        })
    }
}

impl Error for Malformed {}

/// Reads where a request wants to go.
pub(super) fn read(head: &Parts) -> Result<Asked<'_>, Malformed> {
    // The listener puts a length that was taken away back in, so that it is seen here.
    if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.contains_key(CONTENT_LENGTH) {
        return Err(Malformed::LengthAndCoding);
    }
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || codings.next().is_some() {
        return Err(Malformed::Coding);
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next().ok_or(Malformed::NoHost)?;
    if hosts.next().is_some() {
        return Err(Malformed::Hosts);
    }
    let host = host.to_str().ok().filter(|host| is_host(host)).ok_or(Malformed::Host)?;
    if head.uri.authority().is_some_and(|target| !target.as_str().eq_ignore_ascii_case(host)) {
        return Err(Malformed::OtherHost);
    }
    Ok(Asked { host, path: head.uri.path(), query: head.uri.query().unwrap_or_default() })
}

/// Whether the text has the form of a host, with or without a port; not whether there is such a host.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rfind(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let named = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    let port = port.strip_prefix(':').map_or(port.is_empty(), |port| port.bytes().all(|b| b.is_ascii_digit()));
    named && port
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[track_caller]
    fn check(uri: &str, fields: &[(&str, &str)], expected: Result<(&str, &str, &str), Malformed>) {
        let mut request = Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let asked = read(&head).map(|asked| (asked.host, asked.path, asked.query));
        assert_eq!(asked, expected, "{uri} {fields:?}");
    }

    #[test]
    fn a_head_means_one_thing_only() {
        let host = ("host", "a.example");
        check("/x/%2F?q=%20", &[host], Ok(("a.example", "/x/%2F", "q=%20")));
        check("http://A.example/x", &[host], Ok(("a.example", "/x", "")));
        check("/x", &[host, ("content-length", "5")], Ok(("a.example", "/x", "")));
        check("/x", &[host, ("transfer-encoding", "chunked")], Ok(("a.example", "/x", "")));
        check("*", &[host], Ok(("a.example", "*", "")));
        check("/x", &[host, ("transfer-encoding", "Chunked")], Ok(("a.example", "/x", "")));
        for good in ["a", "A-1.b_c:8443", "127.0.0.1:1", "[::1]", "[::1]:8443", "a:"] {
            check("/", &[("host", good)], Ok((good, "/", "")));
        }
    }

    #[test]
    fn a_head_that_could_mean_two_things_is_malformed() {
        let host = ("host", "a.example");
        let both = [host, ("transfer-encoding", "chunked"), ("content-length", "0")];
        check("/", &both, Err(Malformed::LengthAndCoding));
        for bad in ["gzip, chunked", "gzip", "chunked, chunked", "identity", "", "xchunked", "chunked;q=1"] {
            check("/", &[host, ("transfer-encoding", bad)], Err(Malformed::Coding));
        }
        let twice = [host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        check("/", &twice, Err(Malformed::Coding));
        check("/", &[], Err(Malformed::NoHost));
        check("/", &[host, host], Err(Malformed::Hosts));
        check("http://b.example/", &[host], Err(Malformed::OtherHost));
        check("http://a.example:81/", &[host], Err(Malformed::OtherHost));
        check("http://u@a.example/", &[host], Err(Malformed::OtherHost));
        for bad in
            ["", " ", "a b", "a,b", "a/b", "u@a", "a:b", "a:1:2", "::1", "[::1", "[a]", "[::1]x", "é", "a\tb", ":1"]
        {
            check("/", &[("host", bad)], Err(Malformed::Host));
        }
    }
}
