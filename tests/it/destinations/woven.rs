//! What a destination is told of an event in its own words.

use super::{configuration, reload, send};
use crate::support::eventually;
use crate::support::house::{Estate, House};
use crate::support::sink::{Manner, Sink};

#[test]
fn fields_stand_for_what_is_known_of_the_event() {
    let sink = Sink::start(Manner::Well);
    let sections = format!(
        "[tenant.acme]\nkeys = {{ shop = [\"acme-org\"] }}\n\
         [destination.crm]\nurl = \"http://{}/of/{{source}}/{{tenant}}/*?kind={{kind}}\"\n\
         remove-headers = [\"X-Foo\"]\n\
         headers = {{ X-Tenant = \"{{tenant}}\", X-About = \"{{kind}} {{attempt}} {{id}} {{path}}\", X-Braces = \"{{{{a}}}}\" }}\n",
        sink.address()
    );
    let of = |tenant: &str| configuration(&sections.replace("acme-org", tenant), &["crm"]);
    let estate = Estate::new(&of("acme-org"));
    let house = House::start(&estate);
    send(&house, "/a/b", &[("X-Foo", "secret"), ("X-Tenant", "evil"), ("X-Bar", "stays")], 1);
    eventually("the delivery", || sink.count() == 1);
    let arrival = &sink.arrivals()[0];
    assert_eq!(arrival.target, "/of/shop/acme/a/b?kind=push");
    assert_eq!(arrival.header("x-tenant"), Some("acme"));
    assert_eq!(arrival.header("x-about"), Some(&*format!("push 1 {} a/b", arrival.event_id())));
    assert_eq!((arrival.header("x-foo"), arrival.header("x-bar")), (None, Some("stays")));
    assert_eq!(arrival.header("x-braces"), Some("{a}"));
    // Somebody else's key now: nobody with a section is meant any more.
    estate.write("porteiro.toml", of("other-org").as_bytes());
    reload(&house, 2.0);
    send(&house, "", &[], 2);
    eventually("the next delivery", || sink.count() == 2);
    assert_eq!(sink.arrivals()[1].header("x-tenant"), Some("unknown"));
    assert_eq!(sink.arrivals()[1].target, "/of/shop/unknown?kind=push");
    // A section for it, under another name.
    estate.write("porteiro.toml", of("acme-org").replace("[tenant.acme]", "[tenant.bolt]").as_bytes());
    reload(&house, 3.0);
    send(&house, "", &[], 3);
    eventually("the last delivery", || sink.count() == 3);
    assert_eq!(sink.arrivals()[2].header("x-tenant"), Some("bolt"), "and nothing of the destination was changed");
    house.metrics().no_panics();
}
