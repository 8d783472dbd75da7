//! What did the operator say of a destination, and what does every attempt need of it?
//!
//! Promises: whatever can be resolved before the first event is resolved here, once; a [`Destination`] that exists can be
//! tried.
//!
//! Must not know: sockets, the journal, the state of anything.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Uri};
use zeroize::Zeroizing;

use crate::admission::Ranges;
use crate::retry::{Policy, Success};
use crate::secret::Secret;
use crate::verify::Signer;

use super::client::Door;
use super::path::JoinedPath;
use super::proxy::{Proxy, Via, Way};
use super::reach::{Denied, Reach};
use super::sign;
use super::throttle::Throttle;
use super::tls::{Proof, Roots, Shown, Trust, TrustError, is_name};
use super::weave::{Field, Values, Weave, WeaveError};

/// The most keys that sign at the same time: two for a rotation, and room for one that was cut short.
pub const SIGN_MAX: usize = 4;

/// What the operator said of one destination, units read and secrets resolved.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The name in the configuration; the identity of the destination.
    pub name: Box<str>,
    /// Absolute `http` or `https` URL; a last path segment `*` stands for the rest of the event's path.
    pub url: Box<str>,
    /// `Host` header and TLS name where they differ from the address in the URL: `name` or `name:port`.
    pub host: Option<Box<str>>,
    /// Whom to believe that it is the destination; of no meaning for `http`.
    pub trust: Trust,
    /// What shows it who calls; of no meaning for `http`.
    pub shown: Option<Shown>,
    /// Through whom it is reached.
    pub proxy: Option<Proxy>,
    /// The addresses that its name may lead to, and no others; without them those that names may lead to.
    pub addresses: Option<Ranges>,
    /// What is sent as `Authorization`.
    pub auth: Option<Auth>,
    /// Headers set on every attempt, in place of those of the event; the values may be secret.
    pub headers: Vec<(HeaderName, Secret)>,
    /// The same with what is woven in of the event.
    pub woven: Vec<(HeaderName, Weave)>,
    /// Headers of the event that do not go on.
    pub remove: Vec<HeaderName>,
    /// The keys that sign every attempt as Standard Webhooks says, the newest first; empty for none.
    pub sign: Vec<Signer>,
    /// How long an attempt may take, from connecting to the last byte read of the answer.
    pub deadline: Duration,
    /// How long name resolution, TCP and TLS may take together.
    pub connect: Duration,
    /// How many attempts may run at the same time; at least 1.
    pub concurrency: u16,
    /// How many bytes of events may be in flight; one event is always allowed.
    pub bytes: u64,
    /// The time in which one attempt may begin, on average; without it as many as answers come for.
    pub every: Option<Duration>,
    /// Which answers mean that the event has arrived.
    pub success: Success,
    /// When an event is tried again, and when it is given up.
    pub policy: Policy,
}

impl Plan {
    /// A destination of which only name and URL were said; the rest stands at its default.
    #[must_use]
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            host: None,
            trust: Trust::Public,
            shown: None,
            proxy: None,
            addresses: None,
            auth: None,
            headers: Vec::new(),
            woven: Vec::new(),
            remove: Vec::new(),
            sign: Vec::new(),
            deadline: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            concurrency: 8,
            bytes: 8 << 20,
            every: None,
            success: Success::parse(&["2xx"]).expect("a class of statuses"),
            policy: Policy::default(),
        }
    }
}

/// How Porteiro shows a destination who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// RFC 7617.
    Basic {
        /// Without a colon.
        user: Box<str>,
        /// Any bytes.
        password: Secret,
    },
    /// RFC 6750.
    Bearer(Secret),
}

/// Why a plan cannot become a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// No absolute `http` or `https` URL, or one with a user, a fragment, or a port 0.
    Url,
    /// A `*` that is not the whole last segment of the path.
    Star,
    /// Fields in the URL that there are not.
    Weave(WeaveError),
    /// A `host` that is no name and no address, with or without a port.
    Host,
    /// A user with a colon, or credentials that cannot stand in a header.
    Auth,
    /// A header that Porteiro sets itself, or that belongs to the connection.
    HeaderName(HeaderName),
    /// A value that cannot stand in a header.
    HeaderValue(HeaderName),
    /// A proxy that is no `http://host:port`.
    Proxy,
    /// Credentials for a proxy that cannot stand in a header.
    ProxyAuth,
    /// A host of its own, which a proxy that is asked for the whole URL would not pass on.
    ProxyHost,
    /// Addresses that would not be looked at, because the proxy resolves the name.
    ProxyAddresses,
    /// More signing keys than are live at a time in any rotation.
    Sign,
    /// A deadline, connect time, concurrency or byte limit of zero.
    Zero,
    /// What was said of TLS cannot be used.
    Trust(TrustError),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("not an absolute http or https URL without user and fragment"),
            Self::Star => f.write_str("`*` is allowed only as the whole last segment of the path"),
            Self::Weave(error) => error.fmt(f),
            Self::Host => f.write_str("not a host name or address, with or without a port"),
            Self::Auth => f.write_str("credentials cannot stand in a header"),
            Self::HeaderName(name) => write!(f, "header `{name}` is set by Porteiro or belongs to the connection"),
            Self::HeaderValue(name) => write!(f, "the value of header `{name}` cannot stand in a header"),
            Self::Proxy => f.write_str("not http://host:port and nothing else"),
            Self::ProxyAuth => f.write_str("credentials cannot stand in a header"),
            Self::ProxyHost => f.write_str("a proxy names the host of the URL"),
            Self::ProxyAddresses => f.write_str("the proxy looks the name up"),
            Self::Sign => write!(f, "more than {SIGN_MAX} keys: each of them signs every attempt"),
            Self::Zero => f.write_str("must not be zero"),
            Self::Trust(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PlanError {}

impl From<TrustError> for PlanError {
    fn from(error: TrustError) -> Self {
        Self::Trust(error)
    }
}

/// One destination, ready to be tried.
#[derive(Debug)]
pub struct Destination {
    pub(super) name: Box<str>,
    pub(super) door: Door,
    pub(super) path: JoinedPath,
    /// What is the same in the head of every attempt, as it is written: `host`, credentials, the operator's own headers.
    pub(super) lines: Secret,
    /// The names of the operator's headers, set in place of what the event brought.
    set: Box<[HeaderName]>,
    /// Headers with what is woven in of the event.
    pub(super) woven: Box<[(HeaderName, Weave)]>,
    /// What signs an attempt.
    pub(super) sign: Box<[Signer]>,
    pub(super) deadline: Duration,
    pub(super) concurrency: u16,
    pub(super) bytes: u64,
    /// The rate, at rest.
    pub(super) throttle: Option<Throttle>,
    pub(super) success: Success,
    pub(super) policy: Policy,
}

impl Destination {
    /// Resolves everything that can be resolved before the first event.
    ///
    /// # Errors
    ///
    /// [`PlanError`] says what of the plan is wrong; the first thing found.
    pub fn build(plan: Plan, roots: &mut Roots) -> Result<Self, PlanError> {
        if plan.deadline.is_zero() || plan.connect.is_zero() || plan.concurrency == 0 || plan.bytes == 0 {
            return Err(PlanError::Zero);
        }
        let address = Address::parse(&plan.url)?;
        let named = match &plan.host {
            Some(host) => authority(host).ok_or(PlanError::Host)?,
            None => address.authority.clone(),
        };
        let tls = match address.tls {
            true => Some(Proof::new(&plan.trust, plan.shown.as_ref(), roots, bare(named.host()))?),
            false => None,
        };
        let mut lines = Lines::default();
        HeaderValue::from_str(named.as_str()).map_err(|_| PlanError::Host)?;
        lines.put("host", named.as_str().as_bytes());
        lines.dress(&plan)?;
        let via = match &plan.proxy {
            Some(_) if plan.addresses.is_some() => return Err(PlanError::ProxyAddresses),
            Some(_) if plan.host.is_some() && !address.tls => return Err(PlanError::ProxyHost),
            Some(proxy) => Some(Via::new(proxy, &address)?),
            None => None,
        };
        if let Some((name, value)) = via.as_ref().and_then(|via| via.shown.as_ref()) {
            lines.put(name.as_str(), value.expose());
        }
        let (host, port, reach, way) = match via {
            // Where it is in the operator's network, nobody else says.
            Some(Via { host, port, way, shown: _ }) => {
                let reach = Reach::of_house(&host);
                (host, port, reach, way)
            }
            None => (address.host().into(), address.port(), Reach::of(address.host(), plan.addresses), Way::Direct),
        };
        Ok(Self {
            name: plan.name,
            door: Door { host, port, reach, way, tls, limit: plan.connect },
            path: address.path,
            lines: Secret::new(lines.text),
            set: lines.set.into(),
            woven: plan.woven.into(),
            sign: plan.sign.into(),
            deadline: plan.deadline,
            concurrency: plan.concurrency,
            bytes: plan.bytes,
            throttle: plan.every.map(Throttle::new),
            success: plan.success,
            policy: plan.policy,
        })
    }

    /// The name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path and query of an attempt for an event with this path below its source, this query and these fields; `None`
    /// where they do not go with the destination's own.
    #[must_use]
    pub fn target(&self, rest: &str, query: &str, values: &Values<'_>) -> Option<String> {
        let mut target = Vec::new();
        self.path.join(rest, query, Some(values), &mut target)?;
        String::from_utf8(target).ok()
    }

    /// Why nothing is delivered where its name leads to this address; `None` where something is.
    #[must_use]
    pub fn denies(&self, address: IpAddr) -> Option<Denied> {
        if self.door.is_direct() { self.door.reach.denies(address) } else { None }
    }

    /// The most bytes of events that its lane holds at a time, for the memory ceiling; one event may go beyond it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether this field is woven into anything.
    pub(super) fn asks(&self, field: Field) -> bool {
        self.path.asks(field) || self.woven.iter().any(|(_, weave)| weave.asks(field))
    }

    /// Whether the names of tenants are woven into anything.
    #[must_use]
    pub fn names_tenants(&self) -> bool {
        self.asks(Field::Tenant)
    }

    /// Whether anything is woven into anything.
    pub(super) const fn weaves(&self) -> bool {
        self.path.weaves() || !self.woven.is_empty()
    }

    /// Whether the operator set or removed a header of this name.
    pub(super) fn sets(&self, name: &[u8]) -> bool {
        self.set.iter().any(|set| set.as_str().as_bytes() == name)
    }
}

/// The lines of a request's head that are the same for every event.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    set: Vec<HeaderName>,
}

impl Lines {
    fn put(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.text.extend_from_slice(part);
        }
    }

    /// Everything that the operator sets and removes.
    fn dress(&mut self, plan: &Plan) -> Result<(), PlanError> {
        if let Some(auth) = &plan.auth {
            self.set(&AUTHORIZATION, &auth.value()?);
        }
        for (name, value) in &plan.headers {
            if is_ours(name) || (*name == AUTHORIZATION && plan.auth.is_some()) {
                return Err(PlanError::HeaderName(name.clone()));
            }
            HeaderValue::from_bytes(value.expose()).map_err(|_| PlanError::HeaderValue(name.clone()))?;
            self.set(name, value.expose());
        }
        for (name, weave) in &plan.woven {
            if is_ours(name) || (*name == AUTHORIZATION && plan.auth.is_some()) {
                return Err(PlanError::HeaderName(name.clone()));
            }
            if weave.texts().any(|text| HeaderValue::from_str(text).is_err()) {
                return Err(PlanError::HeaderValue(name.clone()));
            }
            self.set.push(name.clone());
        }
        if let Some(ours) = plan.remove.iter().find(|name| is_ours(name)) {
            return Err(PlanError::HeaderName(ours.clone()));
        }
        self.set.extend_from_slice(&plan.remove);
        if plan.sign.len() > SIGN_MAX {
            return Err(PlanError::Sign);
        }
        if !plan.sign.is_empty() {
            // What the event brought under these names would stand beside our own.
            self.set.extend(sign::NAMES.map(HeaderName::from_static));
        }
        Ok(())
    }

    fn set(&mut self, name: &HeaderName, value: &[u8]) {
        self.put(name.as_str(), value);
        self.set.push(name.clone());
    }
}

impl Auth {
    pub(super) fn value(&self) -> Result<Zeroizing<Vec<u8>>, PlanError> {
        let text = match self {
            Self::Basic { user, .. } if user.contains(':') => return Err(PlanError::Auth),
            Self::Basic { user, password } => {
                let pair = Zeroizing::new([user.as_bytes(), b":", password.expose()].concat());
                Zeroizing::new(format!("Basic {}", STANDARD.encode(&*pair)).into_bytes())
            }
            Self::Bearer(token) if token.expose().is_empty() => return Err(PlanError::Auth),
            Self::Bearer(token) => Zeroizing::new([b"Bearer ", token.expose()].concat()),
        };
        if HeaderValue::from_bytes(&text).is_ok() { Ok(text) } else { Err(PlanError::Auth) }
    }
}

/// Headers that the operator cannot set: an attempt sets them itself, or they belong to the connection.
fn is_ours(name: &HeaderName) -> bool {
    let told = ["x-porteiro-event-id", "x-porteiro-attempt", "x-porteiro-received-at", "traceparent"];
    let name = name.as_str();
    is_connections(name.as_bytes()) || told.contains(&name) || sign::NAMES.contains(&name)
}

/// Headers that belong to one connection, or to the framing of one request, and never go on.
pub(super) fn is_connections(name: &[u8]) -> bool {
    matches!(
        name,
        b"host"
            | b"content-length"
            | b"connection"
            | b"transfer-encoding"
            | b"expect"
            | b"te"
            | b"trailer"
            | b"upgrade"
            | b"keep-alive"
            | b"proxy-connection"
            | b"proxy-authorization"
    )
}

pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) authority: Authority,
    path: JoinedPath,
}

impl Address {
    pub(super) fn host(&self) -> &str {
        bare(self.authority.host())
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// Whether it has neither path nor query.
    pub(super) fn is_bare(&self) -> bool {
        self.path.is_bare()
    }

    pub(super) fn parse(url: &str) -> Result<Self, PlanError> {
        if url.contains('#') {
            return Err(PlanError::Url);
        }
        let uri = url.parse::<Uri>().map_err(|_| PlanError::Url)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(PlanError::Url),
        };
        let authority = authority(uri.authority().ok_or(PlanError::Url)?.as_str()).ok_or(PlanError::Url)?;
        Ok(Self { tls, authority, path: JoinedPath::parse(uri.path(), uri.query())? })
    }
}

/// A host, with or without a port, and nothing else.
fn authority(text: &str) -> Option<Authority> {
    let authority = text.parse::<Authority>().ok()?;
    let port_is_told = text.len() > authority.host().len();
    let port_is_sound = authority.port_u16().is_some_and(|port| port != 0);
    let named = !text.contains('@') && is_name(bare(authority.host()));
    (named && port_is_told == port_is_sound).then_some(authority)
}

/// An IPv6 address stands in brackets in a URL, and nowhere else.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests;
