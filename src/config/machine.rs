//! Does the machine allow what is configured?
//!
//! Promises: how many files the process can have open is computed from the limits, and where that is more than the system
//! allows it is named as a danger, with the way out; so is a destination whose name leads nowhere but to this machine, by
//! the machine's own list of hosts. No other machine is asked.
//!
//! Must not know: how many files are open now.

use std::net::IpAddr;

use http::Uri;

use super::build::Building;
use super::cross::House;
use super::store::Store;
use crate::listen::Limits;

/// Files that are open whatever is configured: logs, signals, the lock, what is read now and then.
const BESIDE: u64 = 64;
/// Files of the journal beside its segments: spares, dedup entries, checkpoints.
const OF_JOURNAL: u64 = 32;
/// What a worker has open: its connection, and a question for the address of the next one.
const OF_WORKER: u64 = 2;

/// How many files can be open, and of what kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Connections of all listeners.
    pub connections: u64,
    /// What all workers of all destinations have open.
    pub workers: u64,
    /// The journal's.
    pub journal: u64,
    /// All others.
    pub beside: u64,
}

impl Files {
    /// What listeners, destinations and a journal with these limits can have open.
    pub(super) fn of<'a>(
        listeners: impl Iterator<Item = &'a Limits>,
        metrics: bool,
        workers: impl Iterator<Item = u16>,
        store: Option<&Store>,
    ) -> Self {
        // One that is too many is accepted before it is closed.
        let connections: u64 = listeners.map(|limits| limits.connections as u64 + 2).sum();
        let watched = if metrics { Limits::private().connections as u64 + 2 } else { 0 };
        let journal = store.map_or(0, |store| store.options.size / store.options.segment_size + OF_JOURNAL);
        let workers = workers.map(|workers| u64::from(workers) * OF_WORKER).sum();
        Self { connections: connections + watched, workers, journal, beside: BESIDE }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.connections + self.workers + self.journal + self.beside
    }
}

/// Names what the machine does not allow.
pub(super) fn check(building: &mut Building<'_>, house: &House<'_>, metrics: bool, store: Option<&Store>) {
    files(building, house, metrics, store);
    hosts(building, house);
}

fn files(building: &mut Building<'_>, house: &House<'_>, metrics: bool, store: Option<&Store>) {
    let listeners = house.listeners.iter().map(|(listener, _)| &listener.limits);
    let workers = house.destinations.iter().map(|placed| placed.destination.plan.concurrency);
    let files = Files::of(listeners, metrics, workers, store);
    let Some(most) = building.outside.environment.files_max().filter(|most| *most < files.total()) else { return };
    let widest = house.listeners.iter().max_by_key(|(listener, _)| listener.limits.connections);
    let span = widest.map_or(0..0, |(_, span)| span.clone());
    let Files { connections, workers, journal, beside } = files;
    building
        .danger(&span, format!("this may need {} open files, and the system allows {most}", files.total()))
        .note(format!(
            "{connections} for connections, {workers} for workers, {journal} for the journal, {beside} others"
        ))
        .note("beyond it connections are not accepted, and the journal may find no file for its next segment")
        .help(format!("set LimitNOFILE={} in the unit, or lower `connections`", files.total().next_power_of_two()));
}

/// A name is looked up anew for each connection, by a server that may not be the operator's, so that no name but
/// `localhost` may lead to this machine. Debian's list says 127.0.1.1 of the machine's own name.
fn hosts(building: &mut Building<'_>, house: &House<'_>) {
    let list = building.outside.environment.hosts();
    for placed in house.destinations {
        let Ok(uri) = placed.destination.plan.url.parse::<Uri>() else { continue };
        let Some(host) = uri.host().filter(|host| is_only_here(&list, host)) else { continue };
        let name = &placed.destination.plan.name;
        building
            .danger(&placed.url, format!("nothing is ever delivered to destination `{name}`: its name leads only here"))
            .note(format!("/etc/hosts says that {host} is this machine; of names only `localhost` may lead to it"))
            .help(format!("write the address into `url`, such as 127.0.0.1, and set host = \"{host}\""));
    }
}

/// Whether the list knows this name, and only by addresses of the loopback.
fn is_only_here(list: &str, host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return false;
    }
    let mut found = list.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse::<IpAddr>().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then(|| address.to_canonical())
    });
    found.next().is_some_and(|first| first.is_loopback() && found.all(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::is_only_here;
    use crate::config::tests::stage::{Stage, WELL};

    #[track_caller]
    fn check(most: u64, text: &str, expected: Option<&str>) {
        let stage = Stage::set();
        let config = stage.build_where("porteiro.toml", text, most, "").unwrap_or_else(|report| panic!("{report}"));
        let told = config.dangers.map(|dangers| dangers.render(false));
        match (&told, expected) {
            (None, None) => {}
            (Some(told), Some(expected)) => assert!(told.contains(expected), "{told}"),
            _ => panic!("{most}: {told:?}, and not {expected:?}"),
        }
        assert!(told.is_none_or(|told| told.contains("LimitNOFILE=16384")));
    }

    #[test]
    fn more_files_than_the_system_allows_are_a_danger() {
        // 10000 connections and 64 of the metrics, 2 more each; 8 workers; 320 segments and 32 files; 64 others.
        let needs = 10_002 + 66 + 2 * 8 + 320 + 32 + 64;
        check(needs, WELL, None);
        check(u64::MAX, WELL, None);
        check(needs - 1, WELL, Some("this may need 10500 open files, and the system allows 10499"));
        check(1024, WELL, Some("10068 for connections, 16 for workers, 352 for the journal, 64 others"));
        let narrow = WELL.replace("[journal]", "[listen.public.limits]\nconnections = 500\n[journal]");
        check(1024, &narrow, None);
        let fine = narrow.replace("[journal]\n", "[journal]\nsegment = \"2MiB\"\n");
        check(10_919, &fine, Some("LimitNOFILE=16384"));
    }

    /// As Debian's installer writes it.
    const HOSTS: &str = "127.0.0.1\tlocalhost\n127.0.1.1\tcrm.example.com\tCRM # ours\n\n# 127.0.0.1 not.example\n\
        ::1 localhost ip6-localhost both\n10.0.0.7 both\n127.0.0.1 twice\n::ffff:127.0.0.5 twice\n10.0.0.8 far\nnonsense here\n";

    #[test]
    fn a_name_that_leads_only_here_is_one_the_list_knows_by_no_other_address() {
        for here in ["crm.example.com", "CRM.Example.COM", "crm", "ip6-localhost", "twice"] {
            assert!(is_only_here(HOSTS, here), "{here}");
        }
        for elsewhere in [
            "localhost",
            "LOCALHOST",
            "both",
            "far",
            "not.example",
            "example.com",
            "here",
            "ours",
            "127.0.0.1",
            "",
            "#",
        ] {
            assert!(!is_only_here(HOSTS, elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn a_destination_that_nothing_is_delivered_to_is_a_danger() {
        let stage = Stage::set();
        let dangers = |url: &str| {
            let text = WELL.replace("http://127.0.0.1:9001/hooks", url);
            let config = stage.build_where("porteiro.toml", &text, u64::MAX, HOSTS);
            config.unwrap_or_else(|report| panic!("{report}")).dangers.map(|dangers| dangers.render(false))
        };
        for url in ["http://crm:9001/hooks", "https://crm.example.com/hooks"] {
            let told = dangers(url).unwrap_or_else(|| panic!("{url} is taken for well"));
            assert!(told.contains("nothing is ever delivered to destination `crm`"), "{told}");
            assert!(told.contains("write the address into `url`") && told.contains("set host = \"crm"), "{told}");
        }
        for url in ["http://127.0.0.1:9001/", "http://localhost:9001/", "http://both/", "https://elsewhere.example/"] {
            assert_eq!(dangers(url), None, "{url}");
        }
    }
}
