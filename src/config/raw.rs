//! What was said, nothing else: the mirror of the text.
//!
//! Promises: every key that a configuration may hold stands here once; every value knows its place in the text; a key
//! that does not stand here is refused. Nothing is required here: what must be there is asked for when it is built, so
//! that one missing key does not hide the other problems.
//!
//! Must not know: defaults, other values, the file system.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use super::ack::AckSaid;
use super::batch::Batch;
use super::choice::{LogFormat, LogLevel, Metered};
use super::said::{
    AddressesSaid, At, Direct, Flow, Label, OrText, PlainOrSecret, Said, SecretRef, SecretRefs, Size, TextOr,
};
use super::units::Rate;
use crate::journal::HandOver;
use crate::snapshot::{HopHeader, Role};
use crate::tenant::Mode;
use crate::verify::Format;

/// A named section: the name with its place, and what stands below it.
pub(crate) type Named<T> = BTreeMap<toml::Spanned<String>, At<T>>;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct File {
    pub(crate) format: Option<At<i64>>,
    pub(crate) proxy: Option<At<TextOr<Proxy>>>,
    pub(crate) no_proxy: Option<At<Vec<Said<String>>>>,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    pub(crate) dedup: Dedup,
    pub(crate) listen: Named<Listen>,
    pub(crate) metrics: Metrics,
    pub(crate) control: Control,
    pub(crate) reload: Reload,
    pub(crate) journal: Option<At<Journal>>,
    pub(crate) source: Named<Source>,
    pub(crate) destination: Named<Destination>,
    pub(crate) route: Vec<At<Route>>,
    pub(crate) route_default: Option<At<RouteDefault>>,
    pub(crate) test: Vec<At<Test>>,
    pub(crate) tenants: Tenants,
    pub(crate) tenant: Named<Tenant>,
}

/// A file of tenants.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct TenantsFile {
    pub(crate) tenant: Named<Tenant>,
}

/// What holds for all tenants, and for those that have no section.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Tenants {
    pub(crate) directory: Option<Said<String>>,
    pub(crate) rate: Option<Said<Rate>>,
    pub(crate) burst: Option<At<u32>>,
    pub(crate) quota: Quota,
    pub(crate) unknown: Option<At<u32>>,
    pub(crate) labels: Option<At<u32>>,
}

/// How much may wait of a tenant.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Quota {
    pub(crate) events: Option<At<u32>>,
    pub(crate) size: Option<Said<Size>>,
    pub(crate) delay: Option<Said<Duration>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Tenant {
    pub(crate) keys: BTreeMap<toml::Spanned<String>, At<Vec<Said<String>>>>,
    pub(crate) rate: Option<Said<Rate>>,
    pub(crate) burst: Option<At<u32>>,
    pub(crate) over: Option<Said<Mode>>,
    pub(crate) quota: Quota,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Log {
    pub(crate) format: Option<Said<LogFormat>>,
    pub(crate) level: Option<Said<LogLevel>>,
}

/// Limits of the process as a whole.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Limits {
    pub(crate) in_flight: Option<Said<Size>>,
    pub(crate) in_flight_share: Option<Said<Size>>,
    pub(crate) refusals: Option<Said<Rate>>,
    pub(crate) refusals_burst: Option<At<u32>>,
    pub(crate) refusals_addresses: Option<At<u32>>,
    pub(crate) shutdown: Option<Said<Duration>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Dedup {
    pub(crate) window: Option<Said<Duration>>,
    pub(crate) events: Option<At<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Listen {
    pub(crate) address: Option<Said<SocketAddr>>,
    pub(crate) public_url: Option<Said<String>>,
    pub(crate) tls: Option<At<Vec<At<Certificate>>>>,
    pub(crate) trusted_hops: Option<At<AddressesSaid>>,
    pub(crate) forwarded_in: Option<Said<HopHeader>>,
    pub(crate) limits: ListenLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Certificate {
    pub(crate) certificate: Option<Said<String>>,
    pub(crate) key: Option<Said<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ListenLimits {
    pub(crate) connections: Option<At<u32>>,
    pub(crate) handshakes: Option<At<u32>>,
    pub(crate) handshake: Option<Said<Duration>>,
    pub(crate) head: Option<Said<Duration>>,
    pub(crate) head_size: Option<Said<Size>>,
    pub(crate) headers: Option<At<u32>>,
    pub(crate) idle: Option<Said<Duration>>,
    pub(crate) flush: Option<Said<Duration>>,
    pub(crate) linger: Option<Said<Duration>>,
    pub(crate) linger_size: Option<Said<Size>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Metrics {
    pub(crate) address: Option<Said<Metered>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Control {
    pub(crate) socket: Option<Said<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Reload {
    pub(crate) watch: Option<At<bool>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Journal {
    pub(crate) directory: Option<Said<String>>,
    pub(crate) size: Option<Said<Size>>,
    pub(crate) segment: Option<Said<Size>>,
    pub(crate) queue: Option<Said<Size>>,
    pub(crate) recent: Option<Said<Size>>,
    pub(crate) retry_slots: Option<At<u32>>,
    pub(crate) retry_slots_per_tenant: Option<At<u32>>,
    pub(crate) keep: Keep,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Keep {
    pub(crate) delivered: Option<Said<Duration>>,
    pub(crate) dead: KeepDead,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct KeepDead {
    pub(crate) age: Option<Said<Duration>>,
    pub(crate) size: Option<Said<Size>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Source {
    pub(crate) on: Option<At<Vec<Said<String>>>>,
    pub(crate) host: Option<Said<String>>,
    pub(crate) path: Option<Said<String>>,
    pub(crate) provider: Option<Said<String>>,
    pub(crate) secrets: Option<At<Vec<At<SecretRef>>>>,
    pub(crate) values: BTreeMap<toml::Spanned<String>, At<PlainOrSecret>>,
    pub(crate) proof: Option<At<Proof>>,
    pub(crate) addresses: Option<At<AddressesSaid>>,
    pub(crate) ack: Option<At<AckSaid>>,
    pub(crate) batch: Option<Said<Batch>>,
    pub(crate) mode: Option<Said<Role>>,
    pub(crate) success: Option<At<Answer>>,
    pub(crate) reject: Option<At<Answer>>,
    pub(crate) late: Option<At<Answer>>,
    pub(crate) dedup: Option<At<bool>>,
    pub(crate) expect_every: Option<Said<Duration>>,
    pub(crate) over: Option<Said<Mode>>,
    pub(crate) limits: SourceLimits,
}

/// One fixed answer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Answer {
    pub(crate) status: Option<At<u16>>,
    pub(crate) format: Option<Said<Format>>,
    pub(crate) body: Option<Said<String>>,
}

/// What every request must show besides what its provider signs: all of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Proof {
    pub(crate) token: Option<At<SecretRefs>>,
    pub(crate) header: Option<At<HeaderToken>>,
    pub(crate) addresses: Option<At<AddressesSaid>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct HeaderToken {
    pub(crate) name: Option<Said<String>>,
    pub(crate) token: Option<At<SecretRefs>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct SourceLimits {
    pub(crate) body: Option<Said<Size>>,
    pub(crate) deadline: Option<Said<Duration>>,
    pub(crate) grace: Option<Said<Duration>>,
    pub(crate) minimum_rate: Option<Said<Flow>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Destination {
    pub(crate) url: Option<Said<String>>,
    pub(crate) mode: Option<Said<Role>>,
    pub(crate) host: Option<Said<String>>,
    pub(crate) addresses: Option<At<AddressesSaid>>,
    pub(crate) proxy: Option<At<TextOr<Proxy>>>,
    pub(crate) tls: Option<At<Tls>>,
    pub(crate) auth: Option<At<Auth>>,
    pub(crate) headers: BTreeMap<toml::Spanned<String>, At<PlainOrSecret>>,
    pub(crate) remove_headers: Option<At<Vec<Said<String>>>>,
    pub(crate) sign: Option<At<Sign>>,
    pub(crate) deadline: Option<Said<Duration>>,
    pub(crate) connect: Option<Said<Duration>>,
    pub(crate) concurrency: Option<At<u32>>,
    pub(crate) in_flight: Option<Said<Size>>,
    pub(crate) rate: Option<Said<Rate>>,
    pub(crate) backlog: Backlog,
    pub(crate) essential: Option<At<bool>>,
    pub(crate) success: Option<At<Vec<Said<String>>>>,
    pub(crate) hand_over: Option<Said<HandOver>>,
    pub(crate) retry: Retry,
}

/// Through whom destinations are reached.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Proxy {
    pub(crate) url: Option<Said<String>>,
    pub(crate) auth: Option<At<Auth>>,
}

impl OrText for Proxy {
    const FORM: &'static str = "a URL such as \"http://proxy.example.com:3128\", or a table with `url` and `auth`";
}

/// Whom to believe that it is the destination, one of them; and what shows it who calls.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Tls {
    pub(crate) ca: Option<Said<String>>,
    pub(crate) pin: Option<At<Vec<Said<String>>>>,
    pub(crate) certificate: Option<Said<String>>,
    pub(crate) key: Option<Said<String>>,
}

/// How the attempts of a destination are signed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Sign {
    pub(crate) standard_webhooks: Option<At<SecretRefs>>,
}

/// What is sent as `Authorization`: one of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Auth {
    pub(crate) basic: Option<At<Basic>>,
    pub(crate) bearer: Option<At<SecretRef>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Basic {
    pub(crate) user: Option<Said<String>>,
    pub(crate) password: Option<At<SecretRef>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Backlog {
    pub(crate) age: Option<Said<Duration>>,
    pub(crate) size: Option<Said<Size>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Retry {
    pub(crate) pauses: Option<At<Vec<Said<Duration>>>>,
    pub(crate) give_up: Option<Said<Duration>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Route {
    pub(crate) name: Option<Said<String>>,
    pub(crate) from: Option<At<Vec<Said<String>>>>,
    pub(crate) when: Option<At<When>>,
    pub(crate) mixed: Option<At<bool>>,
    pub(crate) to: Option<At<Vec<Said<String>>>>,
    pub(crate) discard: Option<At<bool>>,
}

/// A condition: one list, or one thing that is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct When {
    pub(crate) all: Option<At<Vec<At<Self>>>>,
    pub(crate) any: Option<At<Vec<At<Self>>>>,
    pub(crate) not: Option<Box<At<Self>>>,
    pub(crate) source: Option<At<Direct>>,
    pub(crate) tenant: Option<At<Direct>>,
    pub(crate) kind: Option<At<Direct>>,
    pub(crate) path: Option<At<Direct>>,
    pub(crate) header: Option<Said<String>>,
    pub(crate) query: Option<Said<String>>,
    pub(crate) capture: Option<Said<String>>,
    pub(crate) form: Option<Said<String>>,
    pub(crate) pointer: Option<Said<String>>,
    pub(crate) equals: Option<Said<String>>,
    pub(crate) r#in: Option<At<Vec<Said<String>>>>,
    pub(crate) prefix: Option<Said<String>>,
    pub(crate) glob: Option<Said<String>>,
    pub(crate) exists: Option<At<bool>>,
}

/// What becomes of events that no route takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct RouteDefault {
    pub(crate) to: Option<At<Vec<Said<String>>>>,
    pub(crate) discard: Option<At<bool>>,
}

/// A request, and what should become of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Test {
    pub(crate) name: Option<Said<String>>,
    pub(crate) request: Option<At<TestRequest>>,
    pub(crate) expect: Option<At<TestExpect>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct TestRequest {
    pub(crate) source: Option<Said<String>>,
    pub(crate) listener: Option<Said<String>>,
    pub(crate) host: Option<Said<String>>,
    pub(crate) method: Option<Said<String>>,
    pub(crate) path: Option<Said<String>>,
    pub(crate) query: Option<Said<String>>,
    pub(crate) headers: BTreeMap<toml::Spanned<String>, Said<String>>,
    pub(crate) body: Option<Said<String>>,
    pub(crate) body_file: Option<Said<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct TestExpect {
    pub(crate) tenant: Option<Said<String>>,
    pub(crate) kind: Option<Said<String>>,
    pub(crate) route: Option<At<Label>>,
    pub(crate) to: Option<At<Vec<Said<String>>>>,
    pub(crate) discard: Option<At<bool>>,
    pub(crate) observed: Option<At<bool>>,
    pub(crate) status: Option<At<u32>>,
}
