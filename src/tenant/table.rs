//! Who are the tenants of this configuration?
//!
//! Promises: built whole, and never changed but for the buckets; those of an earlier table go on, by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::bucket::{Bucket, Pace};
use super::door::{Door, Keys, number, number_of};
use super::unknown::Unknown;
use super::{Configured, Manner, Spec, Tenant};
use crate::clock::Timestamp;

/// The label of the unknown.
pub(super) const LABEL_UNKNOWN: usize = 0;
/// The label of those that are not counted by name.
pub(super) const LABEL_OTHER: usize = 1;
/// The words of these labels; no tenant may be named like one of them.
pub const LABELS_OWN: [&str; 2] = ["unknown", "other"];

/// The tenants of a configuration. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Table(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: HashMap<Arc<str>, Arc<Tenant>>,
    sources: HashMap<Arc<str>, Arc<Keys>>,
    labels: Vec<Arc<str>>,
    unknown: Option<Arc<Unknown>>,
}

impl Table {
    /// Most memory that a tenant with one key of usual length takes, in bytes: here, in its [`Spec`], and in a table that
    /// was just doubled.
    pub const TENANT_BYTES: usize = 640;
    /// Most memory that each further key takes, in bytes.
    pub const KEY_BYTES: usize = 192;

    /// The tenants of a configuration, with the buckets of an earlier table: as they are where the limits are the same,
    /// else as far ahead in events as they were.
    #[must_use]
    pub fn build(spec: &Spec, previous: Option<&Self>, now: Timestamp) -> Self {
        let mut inner = Inner::default();
        for configured in &spec.tenants {
            let label = if inner.labels.len() < spec.labels {
                inner.labels.push(Arc::clone(&configured.name));
                LABELS_OWN.len() + inner.labels.len() - 1
            } else {
                LABEL_OTHER
            };
            let earlier = previous.and_then(|table| table.0.names.get(&configured.name));
            let tenant = Arc::new(tenant(configured, label, earlier, now));
            for (source, key) in &configured.keys {
                let keys = inner.sources.entry(Arc::clone(source)).or_default();
                let keys = Arc::get_mut(keys).expect("nobody else has it before the table is built");
                keys.insert(Arc::clone(key), Arc::clone(&tenant));
            }
            inner.names.insert(Arc::clone(&configured.name), tenant);
        }
        let earlier = previous.and_then(|table| table.0.unknown.as_ref());
        inner.unknown = spec.unknown.as_ref().map(|limits| match earlier {
            Some(unknown) if unknown.is_of(limits, spec.unknown_max) => Arc::clone(unknown),
            Some(unknown) => Arc::new(unknown.converted(limits, spec.unknown_max, now)),
            None => Arc::new(Unknown::new(limits, spec.unknown_max)),
        });
        Self(Arc::new(inner))
    }

    /// The tenants as a source sees them. `named` says whether its events name tenants at all.
    #[must_use]
    pub fn door(&self, source: &Arc<str>, named: bool, manner: Manner) -> Door {
        Door {
            source: Arc::clone(source),
            keys: self.0.sources.get(source).map(Arc::clone).unwrap_or_default(),
            unknown: self.0.unknown.clone(),
            nobody: named.then(|| number(source, None)),
            manner,
        }
    }

    /// A tenant by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.0.names.get(name)
    }

    /// Every tenant that has a section, with the number that stands for it in the journal.
    pub fn numbers(&self) -> impl Iterator<Item = (u64, &Arc<str>)> {
        self.0.names.values().map(|tenant| (tenant.number, &tenant.name))
    }

    /// The words by which tenants are counted; [`super::Party::label`] says the place.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        LABELS_OWN.into_iter().chain(self.0.labels.iter().map(|name| &**name))
    }

    /// Forgets the unknown whose buckets are full again; says how many are left.
    #[must_use]
    pub fn tidy(&self, now: Timestamp) -> usize {
        self.0.unknown.as_ref().map_or(0, |unknown| unknown.tidy(now))
    }
}

fn tenant(configured: &Configured, label: usize, earlier: Option<&Arc<Tenant>>, now: Timestamp) -> Tenant {
    let pace = configured.limits.as_ref().map_or(Pace::NONE, Pace::new);
    let bucket = match earlier {
        Some(earlier) if earlier.pace == pace => Arc::clone(&earlier.bucket),
        Some(earlier) => Arc::new(earlier.bucket.converted(&earlier.pace, &pace, now)),
        None => Arc::new(Bucket::default()),
    };
    Tenant {
        name: Arc::clone(&configured.name),
        number: number_of(&configured.name),
        label: u32::try_from(label).unwrap_or(u32::MAX),
        over: configured.over,
        pace,
        bucket,
    }
}
