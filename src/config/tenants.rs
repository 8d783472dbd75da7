//! Whose events are they, and how many may each send?
//!
//! Promises: a tenant that is built has a name and keys that no other one has, wherever it stands: in the configuration,
//! or in one of the files beside it; a key is one that events of its source can carry.
//!
//! Must not know: how a bucket decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

mod files;
mod policy;

pub use policy::Tenancy;
pub(crate) use policy::tenancy;

use super::build::Building;
use super::problem::Span;
use super::said::{At, Said};
use super::sources::Source;
use super::units::Rate;
use super::{destinations, raw};
use crate::event;
use crate::tenant::{Beyond, Configured, LABELS_OWN, Limits, Mode, Quota, Spec};

/// Most events in a second that a rate may allow.
const RATE_MAX: u32 = 1_000_000;
/// Most events at once that a burst may allow.
const BURST_MAX: u32 = 1_000_000;
/// Where a burst is not said, it is what the rate lets through in this time.
const BURST: Duration = Duration::from_secs(5);
/// Longest that an event may wait for its turn.
const DELAY_MAX: Duration = Duration::from_secs(24 * 3600);
/// What a `[[test]]` says of events that are no single tenant's, beside [`LABELS_OWN`].
const ASKED: [&str; 2] = ["none", "mixed"];
/// Most tenants with a label of their own.
const LABELS_MAX: u32 = 10_000;
/// After so many problems of tenants, one more is no help.
const PROBLEMS_MAX: usize = 100;

/// The tenants of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// What the table is built of.
    pub spec: Spec,
    /// How many files beside the configuration name tenants.
    pub files: usize,
}

impl Tenants {
    /// How many keys all tenants have together.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.spec.tenants.iter().map(|tenant| tenant.keys.len()).sum()
    }
}

/// A place in one of the files.
type Stands = (usize, Span);

/// What is known while the tenants are built.
struct Build<'a> {
    default: Option<Limits>,
    quota: Quota,
    sources: HashMap<&'a str, Known<'a>>,
    /// The age at which what is owed to some destination becomes a dead letter.
    backlog: Option<Duration>,
    names: HashMap<Arc<str>, Stands>,
    keys: HashMap<(Arc<str>, Arc<str>), Stands>,
    tenants: Vec<Configured>,
}

/// A source that tenants may name.
struct Known<'a> {
    name: Arc<str>,
    /// `None` where it could not be built.
    built: Option<&'a Source>,
}

/// Builds the tenants of the configuration and of the files beside it.
pub(crate) fn build(
    building: &mut Building<'_>,
    file: &raw::File,
    sources: &[Source],
    destinations: &[destinations::Placed],
) -> Tenants {
    let said = &file.tenants;
    let mortal = destinations.iter().map(|placed| &placed.destination.journal).filter(|plan| !plan.essential);
    let known = |name: &'_ toml::Spanned<String>| {
        let built = sources.iter().find(|source| *source.name == *name.get_ref());
        let name = built.map_or_else(|| name.get_ref().as_str().into(), |source| Arc::clone(&source.name));
        Known { name, built }
    };
    let mut build = Build {
        default: None,
        quota: Quota::default(),
        sources: file.source.keys().map(|name| (name.get_ref().as_str(), known(name))).collect(),
        backlog: mortal.map(|plan| plan.backlog_age).min(),
        names: HashMap::new(),
        keys: HashMap::new(),
        tenants: Vec::new(),
    };
    build.quota = build.quota(building, &said.quota);
    build.default = build.limits(building, said.rate.as_ref(), said.burst.as_ref(), &raw::Quota::default());
    let most = |building: &mut Building<'_>, said: Option<&At<u32>>, default: usize, max: u32| {
        let default = u32::try_from(default).unwrap_or(max);
        usize::try_from(building.number(said, default, 0..=max)).unwrap_or(usize::MAX)
    };
    let default = Spec::default();
    let unknown_max = most(building, said.unknown.as_ref(), default.unknown_max, 10_000_000);
    let labels = most(building, said.labels.as_ref(), default.labels, LABELS_MAX);
    let before = building.problems.count();
    build.section(building, 0, &file.tenant, before);
    let files = files::read(building, said.directory.as_ref());
    let count = files.len();
    for (place, said, cut) in files {
        building.elsewhere(place, cut, |building| build.section(building, place, &said.tenant, before));
    }
    let Build { default: unknown, mut tenants, .. } = build;
    tenants.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Tenants { spec: Spec { tenants, unknown, unknown_max, labels }, files: count }
}

impl Build<'_> {
    /// Builds the tenants of one file.
    fn section(
        &mut self,
        building: &mut Building<'_>,
        file: usize,
        said: &raw::Named<raw::Tenant>,
        problems_before: usize,
    ) {
        // In the order of the text, so that of two that clash the first is the first.
        let mut said: Vec<_> = said.iter().collect();
        said.sort_unstable_by_key(|(name, _)| name.span().start);
        for (name, tenant) in said {
            if building.problems.count() > problems_before + PROBLEMS_MAX {
                building.problem(&name.span(), "too many problems; the tenants from here on were not looked at");
                return;
            }
            self.tenant(building, file, name, tenant);
        }
    }

    fn tenant(
        &mut self,
        building: &mut Building<'_>,
        file: usize,
        said: &toml::Spanned<String>,
        tenant: &At<raw::Tenant>,
    ) {
        building.name(said);
        let name: Arc<str> = said.get_ref().as_str().into();
        if LABELS_OWN.contains(&&*name) {
            building
                .problem(&said.span(), format!("no tenant can be named `{name}`"))
                .note("by that word those are counted who have no label of their own");
        }
        if ASKED.contains(&&*name) {
            building
                .problem(&said.span(), format!("no tenant can be named `{name}`"))
                .note("by that word a [[test]] expects an event of no tenant, or of several");
        }
        if let Some((other, span)) = self.names.insert(Arc::clone(&name), (file, said.span())) {
            building
                .problem(&said.span(), format!("there are two tenants `{name}`"))
                .also_in(other, span, "first here")
                .help("a tenant is one section, with all of its keys");
        }
        let raw = &tenant.value;
        let limits = self.limits(building, raw.rate.as_ref(), raw.burst.as_ref(), &raw.quota);
        let over = raw.over.as_ref().map(|said| said.value);
        let keys = self.keys(building, file, &name, raw);
        if raw.keys.is_empty() && !building.cut.touches(&["tenant", &name, "keys"]) {
            let source = self.sources.keys().min().copied().unwrap_or("SOURCE");
            let help = format!("say what the events of a source call it, such as keys = {{ {source} = [\"KEY\"] }}");
            building.problem(&said.span(), format!("tenant `{name}` has no keys")).help(help);
        }
        if let Some(said) = raw.over.as_ref().filter(|said| said.value == Mode::Refuse) {
            self.lossy(building, said, &name, &keys);
        }
        self.tenants.push(Configured { name, keys, limits, over });
    }

    fn keys(
        &mut self,
        building: &mut Building<'_>,
        file: usize,
        tenant: &str,
        said: &raw::Tenant,
    ) -> Vec<(Arc<str>, Arc<str>)> {
        let mut built = Vec::new();
        for (name, keys) in &said.keys {
            let Some(source) = self.sources.get(name.get_ref().as_str()) else {
                let mut known: Vec<&str> = self.sources.keys().copied().collect();
                known.sort_unstable();
                building.unknown(&Said { value: name.get_ref().clone(), span: name.span() }, "source", &known);
                continue;
            };
            if source.built.is_some_and(|source| !source.tenancy.named) {
                building
                    .problem(&name.span(), format!("the events of source `{}` name no tenants", name.get_ref()))
                    .note("its provider file says of no place that a tenant's key stands there")
                    .help("give `values.tenant` where the provider asks for it, or take a provider file of your own");
            }
            if keys.value.is_empty() {
                building.says_nothing(&keys.span, "no keys", "name at least one, or leave the source out");
            }
            for key in &keys.value {
                if let Some(fault) = fault(&key.value) {
                    building.problem(&key.span, "this key cannot be found in any event").label(fault);
                    continue;
                }
                let own = (Arc::clone(&source.name), Arc::from(key.value.as_str()));
                match self.keys.insert(own.clone(), (file, key.span.clone())) {
                    None => built.push(own),
                    Some((other, span)) => {
                        building
                            .problem(&key.span, format!("this key of source `{}` is taken", source.name))
                            .label(format!("tenant `{tenant}`"))
                            .also_in(other, span, "first here");
                    }
                }
            }
        }
        built
    }

    /// Limits, where a rate is said here or for all; the words `burst` and `quota` need one.
    fn limits(
        &self,
        building: &mut Building<'_>,
        rate: Option<&Said<Rate>>,
        burst: Option<&At<u32>>,
        quota: &raw::Quota,
    ) -> Option<Limits> {
        let own = rate.map(|said| {
            if said.value.per_second() > f64::from(RATE_MAX) {
                building.problem(&said.span, "value is too large").label(format!("at most {RATE_MAX}/s"));
            }
            let Rate { count, per } = said.value;
            Limits { count, per, burst: usual_burst(said.value), quota: self.quota }
        });
        let (events, size) = (quota.events.as_ref(), quota.size.as_ref());
        let spans =
            [events.map(|said| &said.span), size.map(|said| &said.span), quota.delay.as_ref().map(|said| &said.span)];
        let said = spans.into_iter().flatten().next();
        let quota = self.quota(building, quota);
        let Some(limits) = own.or(self.default) else {
            if let Some(said) = burst {
                building
                    .problem(&said.span, "`burst` without `rate`")
                    .help("say how fast a bucket fills again, such as rate = \"100/s\"");
            }
            if let Some(span) = said {
                building
                    .problem(span, "`quota` without `rate`")
                    .note("what may wait is what is over a rate")
                    .help("give the tenant a rate, such as rate = \"100/s\", or all of them in [tenants]");
            }
            return None;
        };
        let burst = building.number(burst, limits.burst, 1..=BURST_MAX);
        Some(Limits { burst, quota, ..limits })
    }

    fn quota(&self, building: &mut Building<'_>, said: &raw::Quota) -> Quota {
        let delay = building.time(said.delay.as_ref(), self.quota.delay, Duration::ZERO..=DELAY_MAX);
        if let (Some(said), Some(age)) = (&said.delay, self.backlog.filter(|age| *age < delay)) {
            building.danger(&said.span, "an event may have to wait for longer than what is owed is kept").note(
                format!(
                    "a destination's `backlog.age` is {}; an event that waits for longer becomes a dead letter there",
                    super::show_time(age)
                ),
            );
        }
        Quota {
            events: building.number(said.events.as_ref(), self.quota.events, 0..=1_000_000),
            bytes: building.size(said.size.as_ref(), self.quota.bytes, 0..=1 << 40),
            delay,
        }
    }

    /// Names the sources that lose what is refused.
    fn lossy(&self, building: &mut Building<'_>, said: &Said<Mode>, tenant: &str, keys: &[(Arc<str>, Arc<str>)]) {
        let loses = |name: &Arc<str>| {
            let built = self.sources.get(&**name).and_then(|known| known.built);
            built.is_some_and(|source| source.tenancy.manner.beyond == Beyond::Release)
        };
        let mut sources: Vec<&str> =
            keys.iter().map(|(name, _)| name).filter(|name| loses(name)).map(|n| &**n).collect();
        sources.dedup();
        if !sources.is_empty() {
            building
                .danger(&said.span, format!("events of tenant `{tenant}` over its rate are refused, and may be lost"))
                .note(format!("nobody knows that {} would send them again", super::names::list(sources)));
        }
    }
}

/// What a rate lets through in a few seconds, at least one.
fn usual_burst(rate: Rate) -> u32 {
    let events = u64::from(rate.count) * BURST.as_secs() / rate.per.as_secs().max(1);
    u32::try_from(events).unwrap_or(BURST_MAX).clamp(1, BURST_MAX)
}

/// Why no event has this key.
fn fault(key: &str) -> Option<String> {
    if key.is_empty() {
        return Some("a key has at least one character".into());
    }
    let most = event::Tenants::KEY_MAX;
    (key.len() > most).then(|| format!("a key has at most {most} bytes"))
}

#[cfg(test)]
mod tests;
