//! Where may a destination be?
//!
//! Promises: addresses are declared only where they are looked at, and never all of them at once.
//!
//! Must not know: how a name is resolved.

use std::net::IpAddr;

use http::Uri;

use crate::admission::Ranges;
use crate::config::addresses;
use crate::config::build::Building;
use crate::config::raw;

/// The addresses that the name of a destination may lead to, where they were declared.
pub(super) fn addresses(building: &mut Building<'_>, raw: &raw::Destination) -> Option<Ranges> {
    let said = raw.addresses.as_ref()?;
    let list = addresses::build(building, said);
    if list.prefixes == 0 {
        building.says_nothing(&said.span, "this destination may be nowhere", "name ranges, or leave `addresses` out");
    } else if addresses::everybody(&list.ranges) {
        building
            .problem(&said.span, "every address is declared")
            .note("this machine and the metadata of clouds are among them, and whoever answers for the name chooses")
            .help("name the networks that you mean, such as \"10.0.0.0/8\"; public addresses need no `addresses`");
    }
    if let Some(url) = &raw.url
        && let Some(host) = url.value.parse::<Uri>().ok().as_ref().and_then(Uri::host)
        && host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    {
        let also = url.span.clone();
        building
            .problem(&said.span, "the URL names an address, so there is none to be declared")
            .also(also, "nothing else is connected to")
            .help("leave `addresses` out, or write the name into `url`");
    }
    Some(list.ranges)
}
