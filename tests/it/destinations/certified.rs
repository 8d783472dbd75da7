//! A destination that asks who calls.

use super::{attempts, configuration, send};
use crate::support::eventually;
use crate::support::house::{Estate, House};
use crate::support::secure::{Authority, Pair, Vault};

fn write(estate: &Estate, pair: &Pair) {
    // The key first: while they do not belong together the configuration in force stays.
    estate.write("porteiro.key", pair.key.serialize_pem().as_bytes());
    estate.write("porteiro.pem", pair.certificate.pem().as_bytes());
}

#[test]
fn a_certificate_is_shown_where_it_is_asked_for_and_taken_in_when_its_file_changes() {
    let (authority, other) = (Authority::new(), Authority::new());
    let vault = Vault::start(&authority, Some(&authority));
    let sections = format!(
        "[destination.crm]\nurl = \"{url}\"\n\
         tls = {{ ca = \"ca.pem\", certificate = \"porteiro.pem\", key = \"porteiro.key\" }}\n\
         [destination.bare]\nurl = \"{url}\"\ntls = {{ ca = \"ca.pem\" }}\n",
        url = vault.url()
    );
    let estate = Estate::new(&configuration(&sections, &["crm", "bare"]));
    estate.write("ca.pem", authority.pem().as_bytes());
    // Signed by somebody whom the destination does not know.
    write(&estate, &other.sign("porteiro.example"));
    let house = House::start(&estate);
    send(&house, "", &[], 1);
    for name in ["crm", "bare"] {
        eventually("the refusal", || attempts(&house, name, "tls") >= 1.0);
    }
    assert!(vault.calls().is_empty());
    // What to do about it is in the log.
    for why in ["does not know who signed the certificate that it is shown", "asks who calls and is shown nothing"] {
        eventually("the reason in the log", || house.log().contains(why));
    }
    let first = authority.sign("porteiro.example");
    write(&estate, &first);
    eventually("the delivery", || vault.calls().len() == 1);
    assert_eq!(vault.calls()[0].shown.as_ref(), Some(first.certificate.der()));
    let second = authority.sign("porteiro.example");
    write(&estate, &second);
    eventually("the second certificate", || {
        house.log().matches("file porteiro.pem: changed (destination crm)").count() == 2
    });
    send(&house, "", &[], 2);
    eventually("the next delivery", || vault.calls().len() == 2);
    assert_eq!(vault.calls()[1].shown.as_ref(), Some(second.certificate.der()), "and no session of the last one");
    assert_eq!(attempts(&house, "bare", "delivered"), 0.0, "who shows nothing is not let in");
    assert_eq!(house.metrics().value("porteiro_backlog_events", &[("destination", "bare")]), 2.0);
    assert!(!house.log().contains("PRIVATE KEY"));
    house.metrics().no_panics();
}
