//! Deliveries of one lane to a destination that costs next to nothing, over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use porteiro::clock::Clock;
use porteiro::deliver::{Destination, ENDINGS, House, Network, Plan, Roots, TenantNames, start};
use porteiro::drain::Drain;
use porteiro::event::Head;
use porteiro::journal::{DestinationPlan, Journal, Memory, Options, Record, Step, Target};
use porteiro::metrics::Metrics;
use porteiro::verify::Credential;

/// Answers every request that ends as a body of [`super::rooms::body`] does.
fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _accepting = thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _answering = thread::spawn(move || {
                let (mut read, mut filled) = ([0; 16 << 10], 0);
                while let Ok(count @ 1..) = stream.read(&mut read[filled..]) {
                    filled += count;
                    if read[..filled].ends_with(b"}]}") {
                        filled = 0;
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                    }
                }
            });
        }
    });
    address
}

/// The head that is stored of a WhatsApp event.
fn head() -> Bytes {
    let mut headers = HeaderMap::new();
    let signature = format!("sha256={}", "ab".repeat(32));
    let brought = [
        ("host", "hooks.example"),
        ("accept", "*/*"),
        ("accept-encoding", "deflate, gzip"),
        ("content-type", "application/json"),
        ("content-length", "620"),
        ("user-agent", "facebookexternalua"),
        ("x-hub-signature-256", &signature),
    ];
    for (name, value) in brought {
        headers.append(name, value.parse().unwrap());
    }
    Head::encode(&Method::POST, "", "", &headers, &Credential::NONE)
}

/// Stores that many events and, unless `store_only`, delivers each of them once.
pub(crate) fn run(times: u64, store_only: bool) {
    let (metrics, clock) = (Metrics::new(), Clock::system());
    let options = Options {
        segment_size: 4 << 20,
        size: 256 << 20,
        keep_dead_size: 8 << 20,
        dedup_entries: 1 << 10,
        ring_bytes: 64 << 20,
        ..Options::default()
    };
    let plans = [DestinationPlan::new("crm")];
    let (journal, mut writer, _) =
        Journal::open(Arc::new(Memory::new()), options, clock.clone(), &["meta"], &plans).unwrap();
    let (network, tenants, drain) = (Network::default(), TenantNames::default(), Drain::new());
    let house = House { clock: clock.clone(), network, tenants, drain, grace: Duration::from_secs(5) };
    let plan = Plan::new("crm", &format!("http://{}/hook", sink()));
    let to = Arc::new(Destination::build(plan, &mut Roots::default()).unwrap());
    let destination = journal.destination("crm").unwrap();
    let counted = metrics.destination("crm", ENDINGS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if !store_only {
            drop(start(to, journal.lane(destination).unwrap(), Arc::clone(&counted), &house));
        }
        let (targets, head) = ([Target { destination, not_before: porteiro::clock::Timestamp::ZERO }], head());
        for number in 0..times {
            let record = Record {
                event_id: u128::from(number + 1).to_be_bytes(),
                targets: targets.into(),
                accepted: clock.now(),
                head: head.clone(),
                body: super::rooms::body(number, 150).into(),
                ..Record::default()
            };
            drop(journal.append_one(record).unwrap());
            if number % 16 == 15 || number + 1 == times {
                while matches!(writer.step(), Step::Worked) {}
                journal.release();
                // Room for the lane: what is not delivered soon would be read back from the storage.
                tokio::task::yield_now().await;
            }
        }
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !store_only && counted.outcomes.total(0) < times {
            look.tick().await;
        }
    });
}
