//! Whose events may come, and how many?
//!
//! Promises: of each tenant that is shown its limits; of the others how many they are; of each source what happens over
//! a rate, and why.
//!
//! Must not know: how a bucket decides.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{head, line, more};
use crate::config::{Config, Source, show_size, show_time};
use crate::route::Tenant;
use crate::tenant::{Beyond, Configured, Limits, Manner, Mode};

/// After so many tenants, one more line is no help.
const SHOWN: usize = 20;

/// Prints for people who the tenants are; nothing where nobody is known and nobody limited.
pub(super) fn text(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let spec = &config.tenants.spec;
    if spec.tenants.is_empty() && spec.unknown.is_none() {
        return Ok(());
    }
    head(out, "Tenants")?;
    let (count, keys, files) = (spec.tenants.len(), config.tenants.keys(), config.tenants.files);
    let labels = if count > spec.labels { format!("; {} of them counted by name", spec.labels) } else { String::new() };
    line(out, "(all)", &format!("{count} with {keys} keys, {files} files beside the configuration{labels}"))?;
    line(out, "(unknown)", &unknown(config))?;
    for tenant in spec.tenants.iter().take(SHOWN) {
        line(out, &tenant.name, &one(tenant))?;
    }
    if count > SHOWN {
        more(out, &format!("and {} more", count - SHOWN))?;
    }
    Ok(())
}

fn unknown(config: &Config) -> String {
    let spec = &config.tenants.spec;
    let Some(limits) = &spec.unknown else {
        return "whoever has no section sends as much as they like".to_owned();
    };
    format!("each {}; beyond {} of them the rest shares one bucket", rate(limits), spec.unknown_max)
}

fn one(tenant: &Configured) -> String {
    let limits = tenant.limits.as_ref().map_or_else(|| "as much as it likes".to_owned(), rate);
    let over = match tenant.over {
        None => "",
        Some(Mode::Shape) => "; what is over it is shaped",
        Some(Mode::Refuse) => "; what is over it is refused",
    };
    format!("{limits}{over}; {} keys", tenant.keys.len())
}

fn rate(limits: &Limits) -> String {
    let (rate, quota) = (per(limits), &limits.quota);
    let wait = format!("{} events, {} and {}", quota.events, show_size(quota.bytes), show_time(quota.delay));
    format!("{rate}, {} at once; {wait} may wait", limits.burst)
}

fn per(limits: &Limits) -> String {
    let unit = match limits.per.as_secs() {
        60 => "m",
        3600 => "h",
        _ => "s",
    };
    format!("{}/{unit}", limits.count)
}

/// What limits an event of this source meets on account of whose it is.
pub(in crate::cli) fn met(config: &Config, source: &Source, tenant: Tenant<'_>) -> String {
    let spec = &config.tenants.spec;
    let unknown = |shared: &str| match &spec.unknown {
        Some(limits) => format!("{}{shared}; over it {}", rate(limits), over(source)),
        None => "none: who is not configured may send as much as they like".to_owned(),
    };
    match tenant {
        Tenant::One(name) => {
            let known = spec.tenants.iter().find(|known| *known.name == *name);
            match known.and_then(|known| Some((known.limits.as_ref()?, known.over))) {
                Some((limits, None)) => format!("{}; over it {}", rate(limits), over(source)),
                Some((limits, Some(mode))) => {
                    let manner = Manner { mode, ..source.tenancy.manner };
                    format!("{}; over it {} (as its section says)", rate(limits), does(source, manner))
                }
                None => "none: it may send as much as it likes".to_owned(),
            }
        }
        Tenant::Unknown => unknown(""),
        Tenant::Mixed => "those of each of them: all are charged, or none".to_owned(),
        Tenant::None if source.tenancy.named => unknown(", for all events of this source that name nobody"),
        Tenant::None => "none: the events of this source name no tenants".to_owned(),
    }
}

/// What happens at a source over a tenant's rate, and why.
pub(super) fn over(source: &Source) -> String {
    format!("{} ({})", does(source, source.tenancy.manner), source.tenancy.why)
}

fn does(source: &Source, manner: Manner) -> String {
    let tenancy = &source.tenancy;
    match (manner.mode, manner.beyond) {
        (Mode::Refuse, _) => format!("refused with {}", tenancy.refusal),
        (Mode::Shape, Beyond::Refuse) => {
            format!("delivered later, and beyond the quota refused with {}", tenancy.refusal)
        }
        (Mode::Shape, Beyond::Release) => "delivered later, and beyond the quota at once".to_owned(),
    }
}

/// The same for machines.
pub(super) fn json(config: &Config) -> Value {
    let spec = &config.tenants.spec;
    let one = |tenant: &Configured| {
        let over = tenant.over.map(|mode| match mode {
            Mode::Shape => "shape",
            Mode::Refuse => "refuse",
        });
        json!({
            "name": &*tenant.name,
            "keys": tenant.keys.len(),
            "limits": tenant.limits.as_ref().map(json_limits),
            "over": over,
        })
    };
    json!({
        "count": spec.tenants.len(),
        "files": config.tenants.files,
        "labels": spec.labels,
        "unknown": { "limits": spec.unknown.as_ref().map(json_limits), "buckets": spec.unknown_max },
        "named": spec.tenants.iter().map(one).collect::<Vec<_>>(),
    })
}

fn json_limits(limits: &Limits) -> Value {
    json!({
        "rate": per(limits),
        "burst": limits.burst,
        "quota_events": limits.quota.events,
        "quota_bytes": limits.quota.bytes,
        "quota_delay_seconds": limits.quota.delay.as_secs_f64(),
    })
}
