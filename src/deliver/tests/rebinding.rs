//! A name that leads elsewhere all of a sudden.

use std::net::IpAddr;
use std::sync::Mutex;

use super::super::client::Network;
use super::super::names::Names;
use super::super::upstream::{OK, Upstream, answer, answers};
use super::*;
use crate::admission::Ranges;

/// Names that all lead to an address that can be changed.
fn changing(first: &str) -> (Arc<Mutex<IpAddr>>, Network) {
    let leads = Arc::new(Mutex::new(first.parse().unwrap()));
    let now = Arc::clone(&leads);
    (leads, Network::told(Names::told(move |_| Ok(vec![*now.lock().unwrap()])), &[]))
}

/// What was found is kept for a few seconds; then a name is asked for again.
async fn forget() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_name_that_turns_to_a_denied_address_is_refused_counted_and_owed() {
    // Every answer ends its connection, so that each attempt needs a new one.
    let one = answer(&OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    let upstream = Upstream::new(vec![one.clone(), one.clone(), answers(OK)]).await;
    let mut rig = Rig::new(&["crm"]);
    let (leads, network) = changing("127.0.0.1");
    rig.house.network = network;
    let url = format!("http://crm.example.com:{}/", upstream.address.port());
    let crm = rig.start("crm", &url, |plan| {
        plan.addresses = Some(Ranges::build(&["127.0.0.1/32".parse().unwrap()]));
    });
    rig.put(&["crm"], "a");
    crm.ended(Ending::Delivered, 1).await;
    for denied in ["169.254.169.254", "127.0.0.2", "10.0.0.7", "::1"] {
        *leads.lock().unwrap() = denied.parse().unwrap();
        let before = crm.total(Ending::Denied);
        rig.put(&["crm"], denied);
        forget().await;
        rig.advance(Duration::from_secs(3600), &[&crm]);
        wait(|| crm.total(Ending::Denied) > before).await;
        assert_eq!(upstream.counts().len(), 1, "{denied} was not connected to");
    }
    assert_eq!(crm.owed(), 4, "what was not sent stays owed");
    assert_eq!(crm.desk.metrics.dead_letters.get(), 0);
    *leads.lock().unwrap() = "127.0.0.1".parse().unwrap();
    forget().await;
    wait(|| {
        rig.advance(Duration::from_secs(60), &[&crm]);
        crm.owed() == 0
    })
    .await;
    assert_eq!(upstream.bodies().len(), 5);
}
