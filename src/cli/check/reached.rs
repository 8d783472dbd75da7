//! How is a destination reached, and what does it see of this house?
//!
//! Promises: a line for what the operator asked for, and for where a name does not lead; nothing secret is shown.
//!
//! Must not know: how anything is sent.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::more;
use crate::config::{Destination, show_time};

/// Stands for all private networks.
const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Prints it for people; nothing where nothing of it was asked for.
pub(super) fn text(destination: &Destination, out: &mut impl Write) -> io::Result<()> {
    let plan = &destination.plan;
    if let Some(proxy) = &plan.proxy {
        more(out, &format!("through the proxy {}, which looks its name up", proxy.url))?;
    } else if let Some(addresses) = &plan.addresses {
        let ranges = if addresses.len() == 1 { "1 range".to_owned() } else { format!("{} ranges", addresses.len()) };
        more(out, &format!("its name may lead to {ranges} of `addresses` and nowhere else"))?;
    } else if destination.built.denies(PRIVATE).is_some() {
        more(out, "its name may not lead to private networks, for want of `addresses`")?;
    }
    let mut seen = Vec::new();
    match plan.sign.len() {
        0 => {}
        1 => seen.push("signed as Standard Webhooks".to_owned()),
        keys => seen.push(format!("signed as Standard Webhooks with {keys} keys, in rotation")),
    }
    if plan.shown.is_some() {
        seen.push("shows a client certificate".to_owned());
    }
    if let Some(every) = plan.every {
        seen.push(format!("an attempt begins every {} at most", show_time(every)));
    }
    if seen.is_empty() { Ok(()) } else { more(out, &seen.join("; ")) }
}

/// The same for machines.
pub(super) fn json(destination: &Destination) -> Value {
    let plan = &destination.plan;
    json!({
        "proxy": plan.proxy.as_ref().map(|proxy| &*proxy.url),
        "addresses": plan.addresses.as_ref().map(|addresses| addresses.len()),
        "private_networks": destination.built.denies(PRIVATE).is_none(),
        "signing_keys": plan.sign.len(),
        "certificate": plan.shown.is_some(),
        "attempt_every_seconds": plan.every.map(|every| every.as_secs_f64()),
    })
}
