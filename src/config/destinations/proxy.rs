//! Through whom is a destination reached?
//!
//! Promises: what a destination says of itself goes before what holds for all; this machine is never reached through a
//! proxy that holds for all; a name that is left out of it is compared, and not looked up.
//!
//! Must not know: how a proxy is spoken to.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

use super::auth;
use crate::admission::Ranges;
use crate::config::build::Building;
use crate::config::problem::Span;
use crate::config::raw;
use crate::config::said::{At, Said, TextOr};
use crate::deliver::Proxy;

/// The proxy that holds for all destinations but some.
#[derive(Debug, Default)]
pub(super) struct Shared {
    proxy: Option<(Proxy, Span)>,
    without: Without,
}

/// Destinations that are reached directly.
#[derive(Debug, Default)]
struct Without {
    names: Vec<String>,
    /// With their leading dot.
    suffixes: Vec<String>,
    ranges: Ranges,
}

impl Without {
    fn holds(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = host.parse::<IpAddr>() {
            return address.to_canonical().is_loopback() || self.ranges.contains(address);
        }
        host == "localhost"
            || self.names.contains(&host)
            || self.suffixes.iter().any(|suffix| host.ends_with(suffix.as_str()))
    }
}

/// What holds for all destinations.
pub(super) fn shared(building: &mut Building<'_>, file: &raw::File) -> Shared {
    let proxy = file.proxy.as_ref().and_then(|said| match &said.value {
        TextOr::Text(text) if text == OFF => {
            let problem = building.problem(&said.span, "no proxy is switched off here");
            problem.help("leave `proxy` out; \"off\" is for destinations");
            None
        }
        _ => one(building, &["proxy"], said),
    });
    let mut without = Without::default();
    if let Some(said) = &file.no_proxy {
        if proxy.is_none() && file.proxy.is_none() && !building.cut.hides(&["proxy"]) {
            let problem = building.problem(&said.span, "`no-proxy` without a `proxy`");
            problem.help("it says which destinations are reached without the `proxy` at the top of the file");
        }
        let mut prefixes = Vec::new();
        for part in &said.value {
            add(building, part, &mut without, &mut prefixes);
        }
        without.ranges = Ranges::build(&prefixes);
    }
    Shared { proxy, without }
}

/// Says that a destination is reached directly whatever holds for the others.
const OFF: &str = "off";

fn add(building: &mut Building<'_>, said: &Said<String>, without: &mut Without, prefixes: &mut Vec<IpNet>) {
    let text = said.value.to_ascii_lowercase();
    if let Ok(prefix) = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
        if prefix.trunc() != prefix {
            let problem = building.problem(&said.span, "this address has bits beyond its prefix");
            problem.label(format!("did you mean \"{}\"?", prefix.trunc()));
        }
        prefixes.push(prefix);
        return;
    }
    let name = text.strip_prefix('.').unwrap_or(&text);
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if !name.split('.').all(part) {
        let problem = building.problem(&said.span, "this is no destination that could be left out");
        problem.label("a name, all names below one such as \".example.com\", or addresses such as \"10.0.0.0/8\"");
    } else if text.starts_with('.') {
        without.suffixes.push(text);
    } else {
        without.names.push(text);
    }
}

/// The proxy of one destination, and where it was said.
pub(super) fn of(
    building: &mut Building<'_>,
    name: &str,
    raw: &raw::Destination,
    shared: &Shared,
) -> Option<(Proxy, Span)> {
    match &raw.proxy {
        Some(At { value: TextOr::Text(text), .. }) if text == OFF => None,
        Some(said) => one(building, &["destination", name, "proxy"], said),
        None => {
            let url = raw.url.as_ref().and_then(|url| url.value.parse::<Uri>().ok())?;
            shared.proxy.clone().filter(|_| !url.host().is_some_and(|host| shared.without.holds(host)))
        }
    }
}

fn one(building: &mut Building<'_>, path: &[&str], said: &At<TextOr<raw::Proxy>>) -> Option<(Proxy, Span)> {
    let (url, auth) = match &said.value {
        TextOr::Text(url) => (Said { value: url.clone(), span: said.span.clone() }, None),
        TextOr::Table(raw::Proxy { url, auth }) => {
            let auth = auth.as_ref().map(|said| auth::build(building, &[path, &["auth"]].concat(), said));
            let Some(url) = url else {
                let path = [path, &["url"]].concat();
                building.missing(&said.span, &path, "say where it is, such as url = \"http://proxy.example.com:3128\"");
                return None;
            };
            (Said { value: url.value.clone(), span: url.span.clone() }, auth)
        }
    };
    let proxy = Proxy { url: url.value.as_str().into(), auth: auth.flatten() };
    match proxy.check() {
        Ok(()) => Some((proxy, url.span)),
        Err(error) => {
            building.hide_user(&url);
            let problem = building.problem(&url.span, "this proxy cannot be used");
            problem
                .label(error.to_string())
                .help("such as \"http://proxy.example.com:3128\"; credentials stand in `auth`");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::stage::{Stage, WELL};

    #[test]
    fn a_proxy_holds_for_all_but_those_that_are_left_out_and_this_machine() {
        let stage = Stage::set();
        let proxied = |url: &str, more: &str| {
            let head = "format = 1\nproxy = \"http://proxy.example.com:3128\"\n\
                        no-proxy = [\"CRM.example.com\", \".lan\", \"10.0.0.0/8\", \"fd00::/8\"]";
            let text = WELL.replace("format = 1", head);
            let text = text.replace("url = \"http://127.0.0.1:9001/hooks\"", &format!("url = \"{url}\"\n{more}"));
            let config = stage.build("porteiro.toml", &text).unwrap_or_else(|report| panic!("{report}"));
            config.destinations[0].plan.proxy.as_ref().map(|proxy| proxy.url.to_string())
        };
        for url in [
            "http://crm.example.com/",
            "http://CRM.Example.Com:8080/",
            "http://crm.lan/",
            "http://a.crm.LAN/",
            "http://10.0.0.7/",
            "http://[fd00::7]/",
            "http://127.0.0.2/",
            "http://[::1]/",
            "http://localhost:9001/",
        ] {
            assert_eq!(proxied(url, ""), None, "{url}");
        }
        for url in [
            "http://a.crm.example.com/",
            "http://example.com/",
            "http://lan/",
            "http://crm.plan/",
            "http://11.0.0.7/",
            "http://[2001:db8::7]/",
            "http://localhost.example.com/",
        ] {
            assert_eq!(proxied(url, "").as_deref(), Some("http://proxy.example.com:3128"), "{url}");
            assert_eq!(proxied(url, "proxy = \"off\""), None, "{url}");
        }
        let own = proxied("http://10.0.0.7/", "proxy = \"http://10.0.0.8:8080\"");
        assert_eq!(own.as_deref(), Some("http://10.0.0.8:8080"), "what it says of itself goes first");
    }
}
