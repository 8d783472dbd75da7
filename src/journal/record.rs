//! What is appended, and what is given for it?

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::shared::Shared;
use crate::clock::Timestamp;

/// Called once when the fate of a record is known; never called for a record that was refused.
pub type Then = Box<dyn FnOnce(Result<&Receipt, Void>) + Send>;

/// One event as the journal takes it. Head and body are opaque.
#[derive(Default)]
pub struct Record {
    /// The event's id.
    pub event_id: [u8; 16],
    /// The request it came in.
    pub request_id: [u8; 16],
    /// Which part of the request, from 0 on.
    pub part: u16,
    /// Where it came from.
    pub source: u32,
    /// Whom it is owed to.
    pub targets: Arc<[Target]>,
    /// Whom it concerns.
    pub tenants: Tenants,
    /// What kind of event, in the provider's words.
    pub kind: Arc<str>,
    /// Events of one order key keep their order where that is asked for; 0 = none.
    pub order_key: u64,
    /// The key its repeats are recognised by.
    pub dedup_key: Option<u128>,
    /// The digest of its body.
    pub body_digest: [u8; 32],
    /// When it was accepted.
    pub accepted: Timestamp,
    /// For those above the journal; stored, never read.
    pub flags: u16,
    /// Method, path, query, headers, encoded.
    pub head: Bytes,
    /// The bytes as they came.
    pub body: Chunks,
    /// Whether the receipt is given before the sync.
    pub buffered: bool,
    /// What is to be done when its fate is known.
    pub then: Option<Then>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("source", &self.source)
            .field("targets", &self.targets)
            .field("head", &self.head.len())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One destination an event is owed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub destination: u32,
    /// It is not handed over before; zero = at once.
    pub not_before: Timestamp,
}

/// Whom an event concerns, by stable 64-bit ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tenants {
    /// Nobody known.
    #[default]
    None,
    /// One tenant.
    One(u64),
    /// Several; an unknown one counts as 0.
    Mixed(Arc<[u64]>),
}

/// A body: pieces of shared bytes, one after the other.
#[derive(Clone, PartialEq, Eq)]
pub enum Chunks {
    /// The usual case.
    One(Bytes),
    /// A part of a batch.
    Many(Arc<[Bytes]>),
}

impl Default for Chunks {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl Chunks {
    /// The pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        match self {
            Self::One(bytes) => std::slice::from_ref(bytes),
            Self::Many(pieces) => pieces,
        }
    }

    /// Bytes in all pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces().iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces as one; copies only if there are several.
    #[must_use]
    pub fn joined(&self) -> Bytes {
        match self {
            Self::One(bytes) => bytes.clone(),
            Self::Many(pieces) => pieces.concat().into(),
        }
    }
}

/// Never the bytes themselves.
impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Self {
        Self::One(bytes)
    }
}

impl From<Vec<Bytes>> for Chunks {
    fn from(mut pieces: Vec<Bytes>) -> Self {
        if pieces.len() > 1 { Self::Many(pieces.into()) } else { Self::One(pieces.pop().unwrap_or_default()) }
    }
}

/// Names a store for as long as it lives. With a sequence, names an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoreId(pub(crate) [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Proof that a record is durable, or queued if it was `buffered`. Only the journal makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(in crate::journal) store: StoreId,
    pub(in crate::journal) seq: u64,
}

impl Receipt {
    /// The store that holds it.
    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// Its sequence; for the receipt of several records the first one's.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

/// The record could not be made durable. It may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Void;

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record could not be made durable")
    }
}

impl std::error::Error for Void {}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The writer's queue is full; it will have room soon.
    Busy,
    /// The disk bound is reached.
    Full,
    /// It does not fit a segment.
    TooLarge {
        /// The most that head and body may have together.
        max: u64,
    },
    /// The journal is closed.
    Closed,
    /// The writer gave up.
    Failed,
}

impl Refused {
    /// One word for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Full => "full",
            Self::TooLarge { .. } => "too-large",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the journal's queue is full"),
            Self::Full => f.write_str("the journal has reached its size"),
            Self::TooLarge { max } => write!(f, "the record is larger than {max} bytes"),
            Self::Closed => f.write_str("the journal is closed"),
            Self::Failed => f.write_str("the journal could not write and gave up"),
        }
    }
}

impl std::error::Error for Refused {}

/// Waits for the records of one append. Plain wakers: any runtime, or none.
#[derive(Debug)]
#[must_use = "a receipt comes from it"]
pub struct Pending {
    shared: Arc<Shared>,
    first: u64,
    last: u64,
    buffered: bool,
}

impl Pending {
    pub(in crate::journal) const fn new(shared: Arc<Shared>, first: u64, last: u64, buffered: bool) -> Self {
        Self { shared, first, last, buffered }
    }

    /// The first sequence that was given.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.first
    }
}

impl Future for Pending {
    type Output = Result<Receipt, Void>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let receipt = Receipt { store: self.shared.store, seq: self.first };
        if self.buffered || self.last < self.first {
            return Poll::Ready(Ok(receipt));
        }
        self.shared.releases().fate(self.first, self.last, context).map_ok(|()| receipt)
    }
}
