//! From an nginx alone to Porteiro and back, as config/nginx/README.md says it, under load.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::nginx::{Nginx, Step, program};
use super::{LIVE, OBSERVE, body, of_source, reload, stored, would_send};
use crate::support::client::Client;
use crate::support::house::{CONTROL, Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{PATIENCE, eventually, hmac_hex};

const SENDERS: usize = 4;
/// All of them together in a second.
const RATE: u32 = 1_000;
/// How many are to be sent in each step.
const STEP: usize = 1_200;

/// The provider: sends at its rate until it is told to stop, every event once, over a connection of its own.
struct Provider<'a> {
    address: SocketAddr,
    over: &'a AtomicBool,
    sent: &'a AtomicUsize,
}

impl Provider<'_> {
    fn post(&self, number: usize) {
        let body = body(number);
        let signature = format!("sha256={}", hmac_hex(SECRET, body.as_bytes()));
        let headers = [("X-Hub-Signature-256", &*signature), ("Connection", "close")];
        let answer = Client::plain(self.address).and_then(|mut client| client.post("/meta", &headers, body.as_bytes()));
        match answer {
            Ok(answer) => assert_eq!(answer.status, 200, "event {number}: {}", answer.text()),
            Err(error) => panic!("event {number}: {error}"),
        }
    }

    /// One of several senders, who share the rate; answers with how many it sent.
    fn run(&self, sender: usize) -> usize {
        let (began, pause) = (Instant::now(), Duration::from_secs(1) / RATE);
        let mut turn = 0;
        while !self.over.load(Ordering::Acquire) && began.elapsed() < PATIENCE * 4 {
            let number = turn * SENDERS + sender;
            let due = began + pause * u32::try_from(number).unwrap();
            while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                std::thread::park_timeout(left);
            }
            self.post(number);
            self.sent.fetch_add(1, Ordering::AcqRel);
            turn += 1;
        }
        turn
    }
}

/// What is asked of while they send.
struct Run<'a> {
    house: &'a House,
    estate: &'a Estate,
    nginx: &'a Nginx,
    sent: &'a AtomicUsize,
}

impl Run<'_> {
    fn go_on(&self) {
        let until = self.sent.load(Ordering::Acquire) + STEP;
        eventually("the events of a step", || self.sent.load(Ordering::Acquire) >= until);
    }

    fn observed(&self) -> f64 {
        of_source(self.house, "requests_total", &[("outcome", "observed")])
    }

    /// From observing to relaying, and back to observing.
    fn there_and_back(&self, live: &str) {
        let Self { house, estate, nginx, .. } = self;
        self.go_on();
        nginx.go(Step::Direct);
        let observed = self.observed();
        assert!(observed >= 1_000.0, "{observed}");
        reload(estate, live);
        assert_eq!(of_source(house, "source_observing", &[]), 0.0);
        nginx.go(Step::Relayed);
        self.go_on();
        assert_eq!(self.observed(), observed, "no copy is made any more");
        nginx.go(Step::Direct);
        let relayed = stored(house);
        assert!(relayed >= 1_000.0, "{relayed}");
        reload(estate, &live.replace(LIVE, OBSERVE));
        nginx.go(Step::Observed);
        self.go_on();
        nginx.go(Step::Direct);
        assert_eq!(stored(house), relayed, "nothing is stored any more");
        assert!(self.observed() >= observed + 1_000.0);
        self.go_on();
    }
}

#[test]
fn the_move_behind_nginx_and_back_fails_no_request_and_the_crm_gets_each_event_once() {
    let Some(program) = program() else {
        eprintln!("SKIPPED: nginx is not on this machine");
        return;
    };
    let crm = Sink::start(Manner::Well);
    let live = two_destinations(&crm.url(), &crm.url()).replace("to = [\"one\", \"two\"]", "to = [\"one\"]") + CONTROL;
    let live = live.replace("[listen.plain]\n", "[listen.plain]\ntrusted-hops = [\"127.0.0.1\"]\n");
    let estate = Estate::new(&live.replace(LIVE, OBSERVE));
    let house = House::start(&estate);
    let nginx = Nginx::start(program, crm.address(), house.address("plain"), Step::Observed);
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let provider = Provider { address: nginx.address, over: &over, sent: &sent };

    // While nobody else speaks: of each event exactly one copy, and the CRM has it from nginx.
    let first = 1_000_000;
    for number in first..first + 100 {
        provider.post(number);
    }
    eventually("the copies", || would_send(&house, "one") == 100.0);
    assert_eq!((crm.count(), stored(&house)), (100, 0.0));

    let (began, mut all) = (Instant::now(), (first..first + 100).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        // Whatever fails: nobody goes on sending.
        struct Ends<'a>(&'a AtomicBool);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let ends = Ends(&over);
        let provider = &provider;
        let senders: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || provider.run(sender))).collect();
        Run { house: &house, estate: &estate, nginx: &nginx, sent: &sent }.there_and_back(&live);
        drop(ends);
        for (sender, turns) in senders.into_iter().enumerate() {
            let turns = turns.join().unwrap();
            all.extend((0..turns).map(|turn| turn * SENDERS + sender));
        }
    });
    let took = began.elapsed().as_secs_f64();
    eventually("all deliveries", || crm.count() >= all.len());
    eventually("an empty backlog", || {
        house.metrics().value("porteiro_backlog_events", &[("destination", "one")]) == 0.0
    });
    all.sort_unstable();
    assert_eq!(crm.numbers(), all, "each event once");
    let mut ways: BTreeMap<bool, usize> = BTreeMap::new();
    for arrival in crm.arrivals() {
        *ways.entry(arrival.header("x-porteiro-event-id").is_some()).or_default() += 1;
    }
    let relayed = ways.get(&true).copied().unwrap_or_default();
    println!("{} events in {took:.1} s through nginx, {relayed} of them relayed", all.len());
    let count = f64::from(u32::try_from(relayed).unwrap());
    assert_eq!((stored(&house), of_source(&house, "requests_total", &[("outcome", "stored")])), (count, count));
    // What was observed was new each time, and all of it would have been sent to the CRM.
    let observed = of_source(&house, "requests_total", &[("outcome", "observed")]);
    assert_eq!((would_send(&house, "one"), observed <= (all.len() - relayed) as f64), (observed, true));
    let refused = house.metrics().0;
    let mut refused = refused.lines().filter(|line| line.starts_with("porteiro_would_refuse_requests_total{"));
    assert!(refused.all(|line| line.ends_with(" 0")), "nothing would have been refused");
    assert!(!nginx.log().contains("[error]") && !nginx.log().contains("[crit]"), "{}", nginx.log());
    house.metrics().no_panics();
}

#[test]
fn the_page_says_what_is_tried_here() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/nginx");
    let page = std::fs::read_to_string(files.join("README.md")).unwrap();
    // The links of the steps, in the order in which the test goes through them.
    let steps: Vec<&str> =
        page.lines().filter_map(|line| line.trim().strip_prefix("ln -sfn ")?.split(' ').next()).collect();
    let (example, steps) = steps.split_first().unwrap();
    assert_eq!(*example, "direct.conf");
    assert_eq!(steps, ["observed.conf", "direct.conf", "relayed.conf", "direct.conf", "observed.conf"]);
    for name in ["porteiro.conf", "direct.conf", "observed.conf", "relayed.conf"] {
        assert!(files.join(name).exists() && page.contains(&format!("({name})")), "{name}");
    }
}
