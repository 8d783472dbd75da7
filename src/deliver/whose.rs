//! What are the source and the tenant of an event called, of which the journal keeps numbers?
//!
//! Promises: asked only for destinations whose texts name them; a tenant that has no section any more is called `unknown`,
//! as one that never had.
//!
//! Must not know: what the names are for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;

use crate::journal::{Delivery, Lane, Tenants};

use super::plan::Destination;
use super::weave::Field;

/// What is said where there is no one tenant with a section; made once.
static NONE: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("none"));
static UNKNOWN: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("unknown"));
static MIXED: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("mixed"));

/// The tenants that have a section, by their numbers. Cloning shares it.
#[derive(Clone, Default)]
pub struct TenantNames(Arc<ArcSwap<HashMap<u64, Arc<str>>>>);

impl fmt::Debug for TenantNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantNames(..)")
    }
}

impl TenantNames {
    /// From now on it is these.
    pub fn set<'a>(&self, known: impl Iterator<Item = (u64, &'a Arc<str>)>) {
        self.0.store(Arc::new(known.map(|(number, name)| (number, Arc::clone(name))).collect()));
    }

    fn of(&self, tenants: &Tenants) -> Arc<str> {
        match tenants {
            Tenants::None => Arc::clone(&NONE),
            Tenants::One(number) => Arc::clone(self.0.load().get(number).unwrap_or(&UNKNOWN)),
            Tenants::Mixed(_) => Arc::clone(&MIXED),
        }
    }
}

/// What an event's numbers are called.
#[derive(Debug)]
pub(super) struct Whose {
    pub(super) source: Box<str>,
    pub(super) tenant: Arc<str>,
}

impl Whose {
    /// As far as this destination asks for it; nothing at all for most.
    pub(super) fn of(delivery: &Delivery, to: &Destination, lane: &Lane, tenants: &TenantNames) -> Option<Self> {
        if !to.weaves() {
            return None;
        }
        let source = if to.asks(Field::Source) { lane.source(delivery.source) } else { None };
        let tenant = if to.asks(Field::Tenant) { tenants.of(&delivery.tenants) } else { Arc::clone(&NONE) };
        Some(Self { source: source.unwrap_or_default(), tenant })
    }
}
