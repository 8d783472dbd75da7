//! What one Porteiro signs another one proves, with either key of a rotation and with no other.

use super::{attempts, configuration, send};
use crate::support::eventually;
use crate::support::house::{Estate, House};
use crate::support::sink::{Manner, Sink};

const NEW: &[u8] = b"whsec_dGhlIG5ldyBrZXkgb2YgdGhlIHR3byBpbiB1c2U=";
const OLD: &[u8] = b"dGhlIG9sZCBrZXkgb2YgdGhlIHR3byBpbiB1c2U=";
const OTHER: &[u8] = b"whsec_c29tZWJvZHkgZWxzZSdzIGtleSBhbHRvZ2V0aGVy";

fn estate(text: &str) -> Estate {
    let estate = Estate::new(text);
    for (name, bytes) in [("new", NEW), ("old", OLD), ("other", OTHER)] {
        estate.write(name, bytes);
    }
    estate
}

#[test]
fn another_porteiro_proves_what_was_signed_with_either_key() {
    let sink = Sink::start(Manner::Well);
    let source = |name: &str| {
        format!(
            "[source.{name}]\non = [\"plain\"]\npath = \"/{name}\"\nprovider = \"standard-webhooks\"\n\
             secrets = [{{ file = \"{name}\" }}]\n"
        )
    };
    let crm = format!("[destination.crm]\nurl = \"{}\"\n", sink.url());
    let receiving = format!("{crm}{}{}{}", source("new"), source("old"), source("other"))
        + "[[route]]\nfrom = [\"new\", \"old\", \"other\"]\nto = [\"crm\"]\n";
    let receiver_estate = estate(&configuration(&receiving, &["crm"]));
    let receiver = House::start(&receiver_estate);
    let destination = |name: &str| {
        format!(
            "[destination.{name}]\nurl = \"http://{}/{name}\"\n\
             sign = {{ standard-webhooks = [{{ file = \"new\" }}, {{ file = \"old\" }}] }}\n",
            receiver.address("plain")
        )
    };
    let sections = ["new", "old", "other"].map(destination).concat();
    let sender_estate = estate(&configuration(&sections, &["new", "old", "other"]));
    let sender = House::start(&sender_estate);
    let forged = [("webhook-id", "forged"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")];
    let body = send(&sender, "", &forged, 1);
    eventually("both that know a key", || sink.count() == 2 && attempts(&sender, "other", "refused") >= 1.0);
    for arrival in sink.arrivals() {
        assert_eq!(arrival.body, body, "what was signed is what was sent");
        assert_ne!(arrival.header("webhook-id"), Some("forged"));
        let signatures = arrival.header("webhook-signature").unwrap();
        assert_eq!(signatures.split(' ').filter(|part| part.starts_with("v1,")).count(), 2, "{signatures}");
    }
    for name in ["new", "old"] {
        eventually("success", || attempts(&sender, name, "delivered") == 1.0);
        assert_eq!(attempts(&sender, name, "refused"), 0.0);
    }
    assert_eq!(attempts(&sender, "other", "delivered"), 0.0, "whoever has another key believes nothing");
    sender.metrics().no_panics();
    receiver.metrics().no_panics();
}
