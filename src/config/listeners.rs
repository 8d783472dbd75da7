//! Where do callers come in, and where do those who watch?
//!
//! Promises: no two of them want the same address; a certificate and its key are there; a plain listener that strangers
//! can reach is named as a danger.
//!
//! Must not know: sources, beyond that they name listeners.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::listen::Limits;
use crate::listen::tls::{Certificates, Files, Tls, TlsError};
use crate::snapshot::Hops;

use super::addresses::{self, Addresses};
use super::build::Building;
use super::choice::Metered;
use super::problem::Span;
use super::raw;
use super::said::{At, Said, Size};
use super::secrets;

/// A way in, as far as the text says.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// Where it binds; port 0 takes any.
    pub address: SocketAddr,
    /// `scheme://host[:port]` as the providers were given it.
    pub public_url: Option<Box<str>>,
    /// Who is believed for whom a request was forwarded; `None` believes nobody.
    pub trusted_hops: Option<Hops>,
    /// Where the addresses of those hops were read.
    pub hops: Addresses,
    /// TLS with the certificates that were named; `None` for a plain listener.
    pub tls: Option<Tls>,
    /// The files that `tls` was read from.
    pub files: Vec<Files>,
    /// Its limits.
    pub limits: Limits,
}

/// Where the metrics listener stands if nothing is said.
pub(crate) const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9600);

/// Builds the listeners, in the order of their names.
pub(crate) fn build(building: &mut Building<'_>, said: &raw::Named<raw::Listen>) -> Vec<(Listener, Span)> {
    let mut built: Vec<(Listener, Span)> = Vec::new();
    for (name, listen) in said {
        building.name(name);
        let Some(listener) = one(building, name, listen) else { continue };
        let span = listen.value.address.as_ref().map_or_else(|| name.span(), |said| said.span.clone());
        if let Some((other, other_span)) = built.iter().find(|(other, _)| clash(other.address, listener.address)) {
            let title = format!("listeners `{}` and `{}` want the same address", other.name, listener.name);
            let also = other_span.clone();
            building.problem(&span, title).also(also, "taken here");
        }
        built.push((listener, span));
    }
    built
}

/// Builds the metrics listener's address.
pub(crate) fn metrics(
    building: &mut Building<'_>,
    said: &raw::Metrics,
    listeners: &[(Listener, Span)],
) -> Option<SocketAddr> {
    let (address, span) = match &said.address {
        None => (METRICS, None),
        Some(Said { value: Metered::Off, .. }) => return None,
        Some(Said { value: Metered::At(address), span }) => (*address, Some(span.clone())),
    };
    if let Some((other, other_span)) = listeners.iter().find(|(other, _)| clash(other.address, address)) {
        let title = format!("the metrics listener and listener `{}` want the same address", other.name);
        let at = span.clone().unwrap_or_else(|| other_span.clone());
        let problem = building.problem(&at, title);
        if span.is_some() {
            problem.also(other_span.clone(), "taken here");
        }
    }
    if let Some(span) = span.filter(|_| !address.ip().is_loopback()) {
        building
            .danger(&span, "the metrics listener can be reached from other machines")
            .note("it is read only and shows names and figures, but asks nobody who they are");
    }
    Some(address)
}

fn one(building: &mut Building<'_>, name: &toml::Spanned<String>, said: &At<raw::Listen>) -> Option<Listener> {
    let raw::Listen { address, public_url, tls, limits, .. } = &said.value;
    let plain = tls.is_none();
    let files = files(building, name.get_ref(), tls.as_ref());
    let tls = speak(building, &files, tls.as_ref());
    let public_url = public_url.as_ref().and_then(|url| public(building, url));
    let (hops, trusted_hops) = trust(building, name.get_ref(), &said.value);
    let limits = self::limits(building, limits);
    let path = ["listen", name.get_ref(), "address"];
    let Some(address) = address else {
        building.missing(&name.span(), &path, "say where to listen, such as address = \"[::]:8443\"");
        return None;
    };
    if plain && !address.value.ip().is_loopback() {
        let title = format!("listener `{}` takes webhooks without TLS from other machines", name.get_ref());
        let note = "tokens and bodies cross the network in clear text; unless something in front ends TLS, add `tls`";
        building.danger(&address.span, title).note(note);
    }
    let name = name.get_ref().as_str().into();
    Some(Listener { name, address: address.value, public_url, trusted_hops, hops, tls, files, limits })
}

/// The hops that are believed.
fn trust(building: &mut Building<'_>, name: &str, said: &raw::Listen) -> (Addresses, Option<Hops>) {
    let Some(list) = &said.trusted_hops else {
        if let Some(header) = &said.forwarded_in
            && !building.cut.hides(&["listen", name, "trusted-hops"])
        {
            let problem = building.problem(&header.span, "no hop is trusted, so none is believed in any header");
            problem.help("name the hops with trusted-hops = [\"10.0.0.7\"], or leave `forwarded-in` out");
        }
        return (Addresses::default(), None);
    };
    let hops = addresses::build(building, list);
    if addresses::everybody(&hops.ranges) {
        building
            .problem(&list.span, "everybody is a trusted hop")
            .note("whoever is trusted says who the client is: every caller could say so")
            .help("name the machines in front of this listener, such as [\"10.0.0.7\"]");
    }
    let header = said.forwarded_in.as_ref().map(|said| said.value).unwrap_or_default();
    let trusted = Hops { addresses: hops.ranges.clone(), header };
    let trusted = (!hops.ranges.is_empty()).then_some(trusted);
    (hops, trusted)
}

/// The files of every pair that is whole.
fn files(building: &mut Building<'_>, name: &str, said: Option<&At<Vec<At<raw::Certificate>>>>) -> Vec<Files> {
    let Some(said) = said else { return Vec::new() };
    if said.value.is_empty() {
        let help = "name one with { certificate = \"PATH\", key = \"PATH\" }, or leave `tls` out for a plain listener";
        building.says_nothing(&said.span, "`tls` names no certificate", help);
    }
    let mut files = Vec::new();
    for pair in &said.value {
        let path = |key| ["listen", name, "tls", key];
        let help = "each entry is { certificate = \"PATH\", key = \"PATH\" }";
        match (&pair.value.certificate, &pair.value.key) {
            (Some(certificate), Some(key)) => {
                let pair = Files {
                    certificate: building.outside.path(&certificate.value),
                    key: building.outside.path(&key.value),
                };
                if !building.outside.lacks_of_pair(&certificate.value, &key.value) {
                    readable(building, &pair, certificate, key);
                }
                files.push(pair);
            }
            (None, _) => building.missing(&pair.span, &path("certificate"), help),
            (_, None) => building.missing(&pair.span, &path("key"), help),
        }
    }
    files
}

/// Notes what is wrong with one pair, where it stands.
pub(crate) fn readable(building: &mut Building<'_>, pair: &Files, certificate: &Said<String>, key: &Said<String>) {
    if let Some((mode, can)) = secrets::everybody(&pair.key) {
        building
            .problem(&key.span, "private key cannot be used")
            .label(format!("everybody on this machine can {can} it (mode {mode:03o})"))
            .help("take the rights of others away, for example with `chmod 640` or `chmod 600`");
        return;
    }
    let Err(errors) = Certificates::read(std::slice::from_ref(pair)) else { return };
    for error in errors {
        let about = |path: &Path| if path == pair.key && path != pair.certificate { key } else { certificate };
        let (said, label) = match &error {
            TlsError::Read(path, kind) => (about(path), secrets::cause(&std::io::Error::from(*kind))),
            TlsError::Pem(path) => (about(path), "it is not in PEM".to_owned()),
            TlsError::NoCertificate(path) => (about(path), "it holds no certificate".to_owned()),
            TlsError::NoKey(path) => (about(path), "it holds no private key".to_owned()),
            TlsError::Certificate(path) => (about(path), "the certificate in it cannot be understood".to_owned()),
            TlsError::Key(path) => (about(path), "the key in it is of a kind that cannot be used".to_owned()),
            TlsError::Mismatch { .. } => (key, "it belongs to another certificate".to_owned()),
            TlsError::Random => (key, error.to_string()),
        };
        let title = if said.span == key.span { "private key cannot be used" } else { "certificate cannot be used" };
        building.problem(&said.span, title).label(label);
    }
}

/// TLS with all the certificates; those that cannot be read were noted before.
fn speak(building: &mut Building<'_>, files: &[Files], said: Option<&At<Vec<At<raw::Certificate>>>>) -> Option<Tls> {
    let certificates = Certificates::read(files).ok().filter(|_| !files.is_empty())?;
    match Tls::new(certificates) {
        Ok(tls) => Some(tls),
        Err(error) => {
            let span = said.map_or(0..0, |said| said.span.clone());
            building.problem(&span, "TLS cannot be spoken").label(error.to_string());
            None
        }
    }
}

fn public(building: &mut Building<'_>, said: &Said<String>) -> Option<Box<str>> {
    let form = "expected scheme, host and perhaps a port, such as \"https://hooks.example.com\"";
    let fault = match said.value.parse::<Uri>() {
        Err(_) => Some("this is no URL"),
        Ok(uri) => match (uri.scheme_str(), uri.authority(), uri.path_and_query().map(http::uri::PathAndQuery::as_str))
        {
            (Some("http" | "https"), Some(authority), None | Some("/")) if !authority.as_str().contains('@') => None,
            (Some("http" | "https"), Some(_), Some(path)) if path != "/" => Some("paths belong to the sources"),
            (Some("http" | "https"), Some(_), _) => Some("a user does not belong here"),
            (Some(_), _, _) => Some("the scheme is http or https"),
            (None, _, _) => Some("the scheme is missing"),
        },
    };
    match fault {
        None => Some(said.value.trim_end_matches('/').into()),
        Some(fault) => {
            building.hide_user(said);
            building.problem(&said.span, "`public-url` cannot be used").label(fault).note(form);
            None
        }
    }
}

fn limits(building: &mut Building<'_>, said: &raw::ListenLimits) -> Limits {
    let default = Limits::default();
    let times = Duration::from_millis(100)..=Duration::from_secs(3600);
    let count = |building: &mut Building<'_>, said: &Option<At<u32>>, default: usize, most: u32| {
        let default = u32::try_from(default).unwrap_or(u32::MAX);
        usize::try_from(building.number(said.as_ref(), default, 1..=most)).unwrap_or(usize::MAX)
    };
    let bytes = |building: &mut Building<'_>, said: &Option<Said<Size>>, default: usize, least: u64, most: u64| {
        usize::try_from(building.size(said.as_ref(), default as u64, least..=most)).unwrap_or(usize::MAX)
    };
    Limits {
        connections: count(building, &said.connections, default.connections, 1_000_000),
        handshakes: count(building, &said.handshakes, default.handshakes, 100_000),
        handshake: building.time(said.handshake.as_ref(), default.handshake, times.clone()),
        head: building.time(said.head.as_ref(), default.head, times.clone()),
        head_size: bytes(building, &said.head_size, default.head_size, 8 << 10, 256 << 10),
        headers: count(building, &said.headers, default.headers, 1024),
        idle: building.time(said.idle.as_ref(), default.idle, times.clone()),
        flush: building.time(said.flush.as_ref(), default.flush, times),
        linger: building.time(said.linger.as_ref(), default.linger, Duration::ZERO..=Duration::from_secs(60)),
        linger_size: bytes(building, &said.linger_size, default.linger_size, 0, 1 << 30),
    }
}

/// Whether two addresses cannot be bound at the same time.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let wild = |address: IpAddr| address.is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || wild(one.ip()) || wild(other.ip()))
}
