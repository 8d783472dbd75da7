//! Does the machine allow what is configured?
//!
//! Promises: how many files the process can have open is computed from the limits, and where that is more than the system
//! allows it is named as a danger, with the way out; so is a destination whose name leads nowhere but to addresses that are denied
//! to it, by the machine's own list of hosts. No other machine is asked.
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
    /// What listeners, destinations and a journal with these limits can have open; `private`: how many listeners there
    /// are beside, for figures and for control.
    pub(super) fn of<'a>(
        listeners: impl Iterator<Item = &'a Limits>,
        private: usize,
        workers: impl Iterator<Item = u16>,
        store: Option<&Store>,
    ) -> Self {
        // One that is too many is accepted before it is closed.
        let connections: u64 = listeners.map(|limits| limits.connections as u64 + 2).sum();
        let watched = private as u64 * (Limits::private().connections as u64 + 2);
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
pub(super) fn check(building: &mut Building<'_>, house: &House<'_>, private: usize, store: Option<&Store>) {
    files(building, house, private, store);
    hosts(building, house);
}

fn files(building: &mut Building<'_>, house: &House<'_>, private: usize, store: Option<&Store>) {
    let listeners = house.listeners.iter().map(|(listener, _)| &listener.limits);
    let workers = house.destinations.iter().map(|placed| placed.destination.plan.concurrency);
    let files = Files::of(listeners, private, workers, store);
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

/// A name is looked up anew for each connection, by a server that may not be the operator's, so that it does not lead
/// everywhere. Debian's list says 127.0.1.1 of the machine's own name.
fn hosts(building: &mut Building<'_>, house: &House<'_>) {
    let list = building.outside.environment.hosts();
    for placed in house.destinations {
        let Ok(uri) = placed.destination.plan.url.parse::<Uri>() else { continue };
        let Some(host) = uri.host() else { continue };
        let found = known(&list, host);
        let denied: Vec<_> = found.iter().filter_map(|address| placed.destination.built.denies(*address)).collect();
        let (Some(address), Some(why)) = (found.first(), denied.first().filter(|_| denied.len() == found.len())) else {
            continue;
        };
        let name = &placed.destination.plan.name;
        building
            .danger(&placed.url, format!("nothing is ever delivered to destination `{name}`"))
            .label(format!("its name leads to {address}"))
            .note(format!("/etc/hosts says so of {host}, and that is {why}"))
            .help(format!(
                "declare it with addresses = [\"{address}\"], or write the address into `url`, and set host = \"{host}\""
            ));
    }
}

/// What the list knows of this name.
fn known(list: &str, host: &str) -> Vec<IpAddr> {
    let found = list.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse::<IpAddr>().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then(|| address.to_canonical())
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::known;
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
        // The control socket has as many as the metrics.
        let control = WELL.replace("[journal]", "[control]\nsocket = \"control.sock\"\n[journal]");
        check(needs + 66, &control, None);
        check(needs + 65, &control, Some("10134 for connections"));
        let narrow = WELL.replace("[journal]", "[listen.public.limits]\nconnections = 500\n[journal]");
        check(1024, &narrow, None);
        let fine = narrow.replace("[journal]\n", "[journal]\nsegment = \"2MiB\"\n");
        check(10_919, &fine, Some("LimitNOFILE=16384"));
    }

    /// As Debian's installer writes it.
    const HOSTS: &str = "127.0.0.1\tlocalhost\n127.0.1.1\tcrm.example.com\tCRM # ours\n\n# 127.0.0.1 not.example\n\
        ::1 localhost ip6-localhost both\n10.0.0.7 both\n10.0.0.9 crm.lan.example\n127.0.0.1 twice\n::ffff:127.0.0.5 twice\n10.0.0.8 far\nnonsense here\n";

    #[test]
    fn the_list_says_where_a_name_leads() {
        let cases: [(&str, &[&str]); 9] = [
            ("crm.example.com", &["127.0.1.1"]),
            ("CRM.Example.COM", &["127.0.1.1"]),
            ("ip6-localhost", &["::1"]),
            ("both", &["::1", "10.0.0.7"]),
            ("twice", &["127.0.0.1", "127.0.0.5"]),
            ("not.example", &[]),
            ("ours", &[]),
            ("here", &[]),
            ("", &[]),
        ];
        for (name, expected) in cases {
            let found: Vec<String> = known(HOSTS, name).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_destination_that_nothing_is_delivered_to_is_a_danger() {
        let stage = Stage::set();
        let dangers = |url: &str, more: &str| {
            let text = WELL.replace("url = \"http://127.0.0.1:9001/hooks\"", &format!("url = \"{url}\"\n{more}"));
            let config = stage.build_where("porteiro.toml", &text, u64::MAX, HOSTS);
            config.unwrap_or_else(|report| panic!("{report}")).dangers.map(|dangers| dangers.render(false))
        };
        for (url, more, why) in [
            ("http://crm:9001/hooks", "", "this machine"),
            ("https://crm.example.com/hooks", "", "this machine"),
            ("https://crm.lan.example/", "", "a private address"),
            ("https://crm.lan.example/", "addresses = [\"10.1.0.0/16\"]", "not one of its `addresses`"),
        ] {
            let told = dangers(url, more).unwrap_or_else(|| panic!("{url} is taken for well"));
            assert!(told.contains("nothing is ever delivered to destination `crm`") && told.contains(why), "{told}");
            assert!(told.contains("addresses = [\"1") && told.contains("set host = \"crm"), "{told}");
        }
        for (url, more) in [
            ("http://127.0.0.1:9001/", ""),
            ("http://localhost:9001/", ""),
            ("http://both/", ""),
            ("https://elsewhere.example/", ""),
            ("http://crm:9001/", "addresses = [\"127.0.1.1\"]"),
            ("https://crm.lan.example/", "addresses = [\"10.0.0.0/16\"]"),
        ] {
            assert_eq!(dangers(url, more), None, "{url} {more}");
        }
    }
}
