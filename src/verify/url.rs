//! Which URL did the provider sign, and which form?
//!
//! Promises: the URL is the public one of the listener with path and query as received; `Host` and forwarded headers
//! never enter it. Forms of it that a provider is known to sign are tried, few and fixed.
//!
//! Must not know: which scheme asks.

use std::borrow::Cow;

use http::header;

use super::VerifyError;
use crate::select::{Request, form};

/// Which forms of the public URL a provider may have signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UrlForms {
    /// Exactly the one it was given.
    #[default]
    Exact,
    /// As it is, with `'` as `%27`, and with the query taken apart and written anew; each with and without the port.
    Twilio,
    /// As it is, and with twelve escapes decoded.
    HubSpot,
}

/// The most forms of one URL.
const FORMS_MAX: usize = 6;

impl UrlForms {
    /// The names a provider file uses.
    pub const NAMES: &'static [&'static str] = &["exact", "twilio", "hubspot"];

    /// The forms of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "exact" => Self::Exact,
            "twilio" => Self::Twilio,
            "hubspot" => Self::HubSpot,
            _ => return None,
        })
    }

    /// The URLs to try, the likeliest first; none where the listener has no public URL.
    pub(super) fn of(self, request: &Request<'_>) -> Vec<String> {
        let Some(base) = request.public_url else { return Vec::new() };
        let mark = if request.query.is_empty() { "" } else { "?" };
        let rest = format!("{}{mark}{}", request.path, request.query);
        let exact = format!("{base}{rest}");
        let mut urls = vec![exact.clone()];
        match self {
            Self::Exact => {}
            Self::Twilio => {
                let (bare, ported) = ports(base);
                let quoted = rest.replace('\'', "%27");
                let written = written_anew(request.query).map(|query| format!("{}?{query}", request.path));
                for rest in [Some(rest), Some(quoted), written].into_iter().flatten() {
                    urls.extend([&*bare, &*ported].map(|base| format!("{base}{rest}")));
                }
            }
            Self::HubSpot => urls.push(hubspot(&exact)),
        }
        let mut kept: Vec<String> = Vec::with_capacity(FORMS_MAX);
        for url in urls {
            if kept.len() < FORMS_MAX && !kept.contains(&url) {
                kept.push(url);
            }
        }
        kept
    }
}

/// `scheme://host` without a port, and with one.
fn ports(base: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    let Some((scheme, host)) = base.split_once("://") else { return (base.into(), base.into()) };
    match host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit())) {
        Some((bare, _)) => (format!("{scheme}://{bare}").into(), base.into()),
        None => (base.into(), format!("{base}:{}", if scheme == "http" { 80 } else { 443 }).into()),
    }
}

/// A query as a library writes it that took it apart before: names in the order of their first appearance, everything
/// escaped but letters, digits and `-_.!~*'()`. Nothing where there is no query, or it is not UTF-8.
fn written_anew(query: &str) -> Option<String> {
    if form::pairs(query.as_bytes()).nth(form::FIELDS_MAX).is_some() {
        return None;
    }
    let text = |raw| form::text(form::decode(raw));
    let fields = form::pairs(query.as_bytes()).map(|(name, value)| Some((text(name)?, text(value)?)));
    let fields: Vec<_> = fields.collect::<Option<_>>()?;
    let mut out = String::with_capacity(query.len());
    for (at, (name, _)) in fields.iter().enumerate() {
        if fields.iter().take(at).any(|(earlier, _)| earlier == name) {
            continue;
        }
        for (_, value) in fields.iter().filter(|(same, _)| same == name) {
            out.push_str(if out.is_empty() { "" } else { "&" });
            escape(name.as_bytes(), &mut out);
            out.push('=');
            escape(value.as_bytes(), &mut out);
        }
    }
    (!out.is_empty()).then_some(out)
}

fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

fn hubspot(url: &str) -> String {
    const ESCAPES: [(&str, &str); 12] = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    let mut out = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let known = escape.get(..3).and_then(|text| ESCAPES.iter().find(|(from, _)| text.eq_ignore_ascii_case(from)));
        let (text, length) = known.map_or(("%", 1), |(_, to)| (*to, 3));
        out.push_str(text);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Whether the body says of itself that it is a form.
pub(super) fn is_form(request: &Request<'_>) -> bool {
    let kind = request.headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// The most pairs of a form that are put in order.
const PAIRS_MAX: usize = 4096;

/// Names and values of a form body, decoded, by name and then by value, without repeats; nothing where it is no form.
pub(super) fn form_sorted(request: &Request<'_>) -> Result<Vec<u8>, VerifyError> {
    if !is_form(request) {
        return Ok(Vec::new());
    }
    if form::pairs(request.body).nth(PAIRS_MAX).is_some() {
        return Err(VerifyError::Unreadable);
    }
    let mut pairs: Vec<_> =
        form::pairs(request.body).map(|(name, value)| (form::decode(name), form::decode(value))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    Ok(pairs.iter().flat_map(|(name, value)| name.iter().chain(value.iter())).copied().collect())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::select::Captures;

    fn urls(forms: &str, base: Option<&str>, query: &str) -> Vec<String> {
        let (headers, captures) = (HeaderMap::new(), Captures::default());
        let request = Request {
            method: &Method::POST,
            path: "/in",
            query,
            headers: &headers,
            body: b"",
            captures: &captures,
            public_url: base,
        };
        UrlForms::named(forms).expect("a form").of(&request)
    }

    #[test]
    fn the_public_url_is_tried_in_the_forms_of_the_provider() {
        assert_eq!(urls("exact", None, ""), [""; 0], "no URL is made up");
        assert_eq!(urls("exact", Some("https://a.example"), ""), ["https://a.example/in"]);
        assert_eq!(urls("exact", Some("https://a.example"), "b='"), ["https://a.example/in?b='"]);
        assert_eq!(urls("twilio", Some("https://a.example"), ""), ["https://a.example/in", "https://a.example:443/in"]);
        assert_eq!(
            urls("twilio", Some("http://a.example:8080"), ""),
            ["http://a.example:8080/in", "http://a.example/in"]
        );
        assert_eq!(urls("twilio", Some("https://a.example"), "b='")[2], "https://a.example/in?b=%27");
        assert_eq!(
            urls("hubspot", Some("https://a.example"), "b=%40%2c%41%4"),
            ["https://a.example/in?b=%40%2c%41%4", "https://a.example/in?b=@,%41%4"]
        );
        let (odd, anew) = ("a=%27x&b=c:d&a=+", "a='x&a=%20&b=c%3Ad");
        assert_eq!(
            urls("twilio", Some("https://a.example"), odd),
            [
                format!("https://a.example/in?{odd}"),
                format!("https://a.example:443/in?{odd}"),
                format!("https://a.example/in?{anew}"),
                format!("https://a.example:443/in?{anew}"),
            ]
        );
        assert_eq!(urls("twilio", Some("http://a.example"), "b='%28'").len(), FORMS_MAX);
        assert_eq!(urls("twilio", Some("http://a.example"), "b=%ff").len(), 2, "what is no text is not written anew");
        assert_eq!(urls("twilio", Some("http://a.example"), &"b=(%28&".repeat(form::FIELDS_MAX)).len(), 4);
        assert_eq!(urls("twilio", Some("http://a.example"), &"b=(%28&".repeat(form::FIELDS_MAX + 1)).len(), 2);
        for name in UrlForms::NAMES {
            let long = "b='%40".repeat(50);
            assert!(urls(name, Some("https://[::1]:1"), &long).len() <= FORMS_MAX, "{name}");
        }
    }
}
