//! What is true right now?
//!
//! Promises: a [`Snapshot`] is built whole from the configuration and never edited; [`Shared`] swaps it in one step, so
//! that a request sees one configuration from its first line to its reply. Everything that can be resolved once
//! (routes, names, header values, metric handles) is resolved in a [`Source`] before the first request asks for it.
//!
//! Must not know: the text of the configuration, sockets, and what the rooms do with their rules.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::admission::{Admission, Ranges, Rules};
use crate::callers::Wish;
use crate::dedup::Window;
use crate::event::{Dedup, Selectors};
use crate::journal::Target;
use crate::metrics::{Routed, SourceMetrics, TenantMetrics, Waits, Would};
use crate::route::{SourceId, Table};
use crate::tenant;
use crate::verify::Verifier;

pub mod router;

#[cfg(test)]
mod tests;

pub use router::{Entry, Found, Pattern, PatternError, Router, Taken};

/// One way in, compiled: the rules of every room an event visits between the socket and the journal.
#[derive(Debug)]
pub struct Source {
    /// The journal's id of this source; never reused for another name.
    pub id: SourceId,
    /// The name in the configuration; the identity of the source.
    pub name: Arc<str>,
    /// Who may send what, and how much.
    pub rules: Rules,
    /// How fast a body must arrive.
    pub body: BodyLimits,
    /// What proves a request.
    pub verifier: Verifier,
    /// What the provider's requests say, and where.
    pub selectors: Selectors,
    /// Whether repeats are recognised.
    pub dedup: Dedup,
    /// Whose its events are, and how many of them.
    pub tenants: Tenants,
    /// Who must hear its events.
    pub table: Table<Audience>,
    /// What counts its events by the rule of the table that decided.
    pub routed: Routed,
    /// What counts what would have become of what is only observed.
    pub would: Would,
    /// What it is held against instead of what the live ones share; `None` where it is live. A source that has it only
    /// observes: no rule of its table gives a target, and nothing of it is stored.
    pub aside: Option<Aside>,
    /// What the provider is answered.
    pub replies: Replies,
    /// When the provider is answered.
    pub ack: Ack,
    /// What it counts.
    pub metrics: Arc<SourceMetrics>,
}

/// Whether what a source says, or a destination would hear, takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It does.
    #[default]
    Live,
    /// It is counted, and nothing is stored for it or sent.
    Observe,
}

/// Who must hear an event.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    /// Whom it is owed to, as the journal takes it.
    pub targets: Arc<[Target]>,
    /// Who would hear it if they, or its source, did not only observe: places in [`Source::would`].
    pub would: Arc<[usize]>,
}

/// What all sources that only observe share, so that nothing they do is held against the live ones, or answers for them.
/// It lives as long as any source observes. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Aside {
    /// Their callers' refusals. Bytes in flight are those of the whole house: memory is memory.
    pub admission: Admission,
    /// The keys they heard.
    pub window: Window,
    /// The tenants with buckets of their own.
    pub tenants: tenant::Table,
}

impl Aside {
    /// Most keys that are remembered of what is observed.
    pub const EVENTS_MAX: usize = 1 << 16;
}

/// Whose the events of a source are. The default one knows nobody and holds nobody up.
#[derive(Clone, Debug)]
pub struct Tenants {
    /// Finds and charges them.
    pub door: tenant::Door,
    /// What the provider of a refused event is answered.
    pub refusal: StatusCode,
    /// What is counted of them, by [`tenant::Party::label`]; shared by all sources.
    pub metrics: Arc<[Arc<TenantMetrics>]>,
}

impl Default for Tenants {
    fn default() -> Self {
        Self { door: tenant::Door::default(), refusal: StatusCode::TOO_MANY_REQUESTS, metrics: Arc::default() }
    }
}

/// How fast a request's body must arrive. How long it may be stands in the source's admission rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// The whole body must have arrived this long after its head.
    pub deadline: Duration,
    /// From this long after the head on, the minimum rate is asked for.
    pub grace: Duration,
    /// Bytes per second, on average since the head, that must have arrived once the grace is over; 0 asks for none.
    pub min_rate: u32,
}

impl Default for BodyLimits {
    /// 30 s in all, and after 5 s at least 1 KiB/s.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), grace: Duration::from_secs(5), min_rate: 1024 }
    }
}

/// What a source answers, in the words its provider expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replies {
    /// To an event that is stored, or was before.
    pub success: Reply,
    /// To what is not proven, whatever failed.
    pub reject: Reply,
    /// To an event that is stored, where a destination's own answer should have been passed back and cannot be.
    pub late: Reply,
}

/// One fixed reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The content type; none goes with an empty body.
    pub content_type: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A status and nothing else.
    #[must_use]
    pub const fn empty(status: StatusCode) -> Self {
        Self { status, content_type: None, body: Bytes::new() }
    }
}

impl Default for Replies {
    /// An empty 200, late or not, and an empty 401 for what is not proven.
    fn default() -> Self {
        let success = Reply::empty(StatusCode::OK);
        Self { late: success.clone(), success, reject: Reply::empty(StatusCode::UNAUTHORIZED) }
    }
}

/// When a source's provider hears its success, and in whose words.
#[derive(Clone, Debug, Default)]
pub enum Ack {
    /// When the event is on disk.
    #[default]
    Durable,
    /// When the event is in the journal's queue; a crash may lose what was not yet synced.
    Buffered,
    /// When the event is on disk and a destination has answered, in that one's words.
    Delivered(Passing),
}

/// How long a caller waits for a destination's answer, and for whose.
#[derive(Clone, Debug)]
pub struct Passing {
    /// For whose answer, and which ones are passed back.
    pub wish: Wish,
    /// How long, counted from the head of the request.
    pub deadline: Duration,
    /// What counts how that ended.
    pub counted: Waits,
}

impl Passing {
    /// What is left of the time for a request that began then.
    #[must_use]
    pub fn left(&self, began: Instant) -> Duration {
        self.deadline.saturating_sub(began.elapsed())
    }
}

/// The number of a listener: its place in [`Snapshot::listeners`]. Listeners are fixed at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// One listener's view of the sources.
#[derive(Debug)]
pub struct Listener {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// `scheme://host[:port]` as the providers were given it; URL-signed schemes need it.
    pub public_url: Option<Box<str>>,
    /// Who is believed for whom a request was forwarded; `None` believes nobody.
    pub trusted_hops: Option<Hops>,
    /// Which source a host and path mean here.
    pub router: Router<Arc<Source>>,
}

/// The hops in front of a listener that are believed for whom they forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hops {
    /// Their addresses.
    pub addresses: Ranges,
    /// The header in which they say it. The other one is not looked at: a hop passes on what a stranger wrote there.
    pub header: HopHeader,
}

/// The header in which a hop says for whom it forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HopHeader {
    /// `X-Forwarded-For`, to which each hop appends an address.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), to which each hop appends an element.
    Forwarded,
}

/// One whole configuration as the corridors see it.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Counts up with every reload, from 1.
    pub generation: u64,
    /// By [`ListenerId`].
    pub listeners: Vec<Listener>,
    /// All tenants; the next configuration goes on with their buckets.
    pub tenants: tenant::Table,
    /// What the sources that only observe share; the next configuration goes on with it if it has such sources.
    pub aside: Option<Aside>,
}

impl Snapshot {
    /// Tells which source a request is meant for: `host` as in the Host field (any case, port allowed), `path` as
    /// received.
    #[must_use]
    pub fn find<'s, 'p>(
        &'s self,
        listener: ListenerId,
        host: &str,
        path: &'p str,
    ) -> Option<Found<'s, 'p, Arc<Source>>> {
        self.listeners.get(usize::from(listener.0))?.router.find(host, path)
    }

    /// The listener of that number.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::from(id.0))
    }
}

/// The current [`Snapshot`], swapped whole. Cloning shares it.
#[derive(Clone)]
pub struct Shared(Arc<ArcSwap<Snapshot>>);

impl Shared {
    /// Begins with this one.
    #[must_use]
    pub fn new(first: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// The snapshot that holds now; whoever asks keeps it for as long as they need it.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts the next one in place and gives the last one back: dropping it may be dear, so the caller chooses where.
    pub fn swap(&self, next: Snapshot) -> Arc<Snapshot> {
        self.0.swap(Arc::new(next))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared(generation {})", self.0.load().generation)
    }
}
