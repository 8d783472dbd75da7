//! For each provider that is part of the binary: what it signs goes in and arrives, what somebody forged does not.
//!
//! Everything is signed here by code of its own, as each provider documents it.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use porteiro::clock::Clock;
use ring::signature::KeyPair;
use ring::{digest, hmac, signature};

use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::house::{Estate, House};
use crate::support::sink::{Manner, Sink};

const KEY: &[u8] = b"a key only for the providers of the tests";
const URL: &str = "https://hooks.example.com";
const CALLER: &str = "34.202.224.208";
const HEX: hmac::Algorithm = hmac::HMAC_SHA256;

/// What is sent to one provider's source.
#[derive(Clone, Debug)]
struct Webhook {
    provider: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// What the provider hears: status and body when it is proven, and the status when it is not.
    hears: (u16, &'static str, u16),
}

fn webhook(provider: &'static str, headers: &[(&'static str, String)], body: &str) -> Webhook {
    let target = format!("/{provider}");
    Webhook { provider, target, headers: headers.to_vec(), body: body.as_bytes().to_vec(), hears: (200, "", 401) }
}

fn mac(algorithm: hmac::Algorithm, parts: &[&[u8]]) -> Vec<u8> {
    keyed(algorithm, KEY, parts)
}

fn keyed(algorithm: hmac::Algorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), &parts.concat()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seconds() -> u64 {
    Clock::system().now().as_secs()
}

fn form() -> (&'static str, String) {
    ("content-type", "application/x-www-form-urlencoded".to_owned())
}

fn standard(provider: &'static str, body: &str, sign: impl FnOnce(&[u8]) -> String) -> Webhook {
    let (id, time) = (format!("evt_{}", body.len()), seconds().to_string());
    let signed = sign(format!("{id}.{time}.{body}").as_bytes());
    let headers = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signed)];
    webhook(provider, &headers, body)
}

/// The private key of the sender that signs with one.
fn private() -> signature::Ed25519KeyPair {
    signature::Ed25519KeyPair::from_seed_unchecked(digest::digest(&digest::SHA256, KEY).as_ref()).unwrap()
}

/// One or more webhooks of every provider.
fn webhooks() -> Vec<Webhook> {
    let (now, millis) = (seconds().to_string(), format!("{}000", seconds()));
    let sha256 = |body: &str| format!("sha256={}", hex(&mac(HEX, &[body.as_bytes()])));
    let hub = r#"{"object":"page","entry":[]}"#;
    let stripe = r#"{"id":"evt_1","type":"charge.succeeded"}"#;
    let slack = r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"message"}}"#;
    let hubspot = r#"[{"eventId":1,"subscriptionId":2,"occurredAt":3,"subscriptionType":"contact.creation"}]"#;
    let sms = "MessageSid=SM1&SmsStatus=received&Body=Ol%C3%A1+a";
    let sms_signed = mac(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        &[format!("{URL}/twilio?a=1BodyOl\u{e1} aMessageSidSM1SmsStatusreceived").as_bytes()],
    );
    let json = r#"{"n":1.0}"#;
    let sum = format!("bodySHA256={}", hex(digest::digest(&digest::SHA256, json.as_bytes()).as_ref()));
    let json_signed = mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[format!("{URL}/twilio?{sum}").as_bytes()]);
    let stripe_signed = hex(&mac(HEX, &[now.as_bytes(), b".", stripe.as_bytes()]));
    let slack_signed = hex(&mac(HEX, &[b"v0:", now.as_bytes(), b":", slack.as_bytes()]));
    let whole = format!("POST{URL}/hubspot{hubspot}{millis}");
    let base64 = |bytes: &[u8]| BASE64.encode(bytes);
    let token = || String::from_utf8(KEY.to_vec()).unwrap();
    let twiml = |webhook: Webhook, query: &str| Webhook {
        target: format!("/twilio?{query}"),
        hears: (200, "<Response/>", 403),
        ..webhook
    };
    vec![
        webhook("github", &[("x-hub-signature-256", sha256("{}")), ("x-github-delivery", "1".to_owned())], "{}"),
        webhook("meta", &[("x-hub-signature-256", sha256(hub))], hub),
        webhook("stripe", &[("stripe-signature", format!("t={now},v1={stripe_signed}"))], stripe),
        webhook(
            "slack",
            &[("x-slack-request-timestamp", now), ("x-slack-signature", format!("v0={slack_signed}"))],
            slack,
        ),
        webhook("shopify", &[("x-shopify-hmac-sha256", base64(&mac(HEX, &[b"{\"id\":1}"])))], "{\"id\":1}"),
        standard("standard-webhooks", "{\"type\":\"a\"}", |text| format!("v1,{}", base64(&mac(HEX, &[text])))),
        standard("standard-webhooks", "{\"type\":\"ab\"}", |text| {
            format!("v1a,{}", base64(private().sign(text).as_ref()))
        }),
        standard("gitlab-signed", "{\"project_id\":1}", |text| format!("v1,{}", base64(&mac(HEX, &[text])))),
        webhook("gitlab", &[("x-gitlab-token", token()), ("x-gitlab-event", "Push Hook".to_owned())], "{}"),
        webhook("telegram", &[("x-telegram-bot-api-secret-token", token())], "{\"update_id\":1}"),
        webhook(
            "hubspot",
            &[
                ("x-hubspot-request-timestamp", millis),
                ("x-hubspot-signature-v3", base64(&mac(HEX, &[whole.as_bytes()]))),
            ],
            hubspot,
        ),
        twiml(webhook("twilio", &[form(), ("x-twilio-signature", base64(&sms_signed))], sms), "a=1"),
        twiml(webhook("twilio", &[("x-twilio-signature", base64(&json_signed))], json), &sum),
        gupshup(r#"{"app":"A","timestamp":1789999990123,"version":2,"type":"message","payload":{"id":"1"}}"#),
        gupshup(r#"{"gs_app_id":"a","entry":[{"changes":[{"field":"messages","value":{"messages":[]}}]}]}"#),
        webhook("hmac", &[("x-signature", hex(&mac(HEX, &[b"{}"])))], "{}"),
        webhook("token", &[("x-token", token())], "{}"),
    ]
}

fn gupshup(body: &str) -> Webhook {
    let headers = [("x-portaria", "a header of the tests".to_owned()), ("x-forwarded-for", CALLER.to_owned())];
    Webhook { target: "/OMNI/Webhook/portao-7f3a/x".to_owned(), ..webhook("gupshup", &headers, body) }
}

const GUPSHUP: &str = r#"
[source.gupshup]
on = ["plain"]
path = "/OMNI/Webhook/{token}/*"
provider = "gupshup"
proof = { token = { file = "portao" }, header = { name = "X-Portaria", token = { file = "portaria" } }, addresses = "gupshup" }
"#;

/// A configuration with a source of each provider, all routed to this URL.
fn estate(url: &str) -> Estate {
    let mut text = format!(
        r#"
format = 1

[listen.plain]
address = "127.0.0.1:0"
public-url = "{URL}"
trusted-hops = ["127.0.0.1"]

[metrics]
address = "127.0.0.1:0"

[journal]
directory = "journal"
size = "256MiB"
segment = "4MiB"
{GUPSHUP}
[destination.crm]
url = "{url}"

[[route]]
to = ["crm"]
"#
    );
    for provider in shipped().iter().filter(|name| *name != "gupshup") {
        let secrets = match provider.as_str() {
            "dangerous-unsigned" => String::new(),
            "standard-webhooks" => "secrets = [{ file = \"whsec\" }, { file = \"whpk\" }]\n".to_owned(),
            "gitlab-signed" => "secrets = [{ file = \"whsec\" }]\n".to_owned(),
            _ => "secrets = [{ file = \"key\" }]\n".to_owned(),
        };
        let values = match provider.as_str() {
            "meta" => "values = { verify-token = { file = \"key\" } }\n",
            "hmac" => "values = { signature = \"header:x-signature\" }\n",
            "token" => "values = { token = \"header:x-token\" }\n",
            _ => "",
        };
        text.push_str(&format!(
            "\n[source.{provider}]\non = [\"plain\"]\npath = \"/{provider}\"\nprovider = \"{provider}\"\n{secrets}{values}"
        ));
    }
    let estate = Estate::new(&text);
    estate.write("key", KEY);
    estate.write("whsec", format!("whsec_{}", BASE64.encode(KEY)).as_bytes());
    estate.write("whpk", format!("whpk_{}", BASE64.encode(private().public_key().as_ref())).as_bytes());
    estate.write("portao", b"portao-7f3a");
    estate.write("portaria", b"a header of the tests");
    estate
}

/// The providers that are part of the binary.
fn shipped() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/providers");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.trim_end_matches(".toml").to_owned()).collect()
}

fn send(house: &House, webhook: &Webhook) -> Answer {
    let headers: Vec<(&str, &str)> = webhook.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    house.plain().post(&webhook.target, &headers, &webhook.body).unwrap()
}

/// The webhook with something of it taken away or changed, each of which makes it a forgery.
fn forgeries(webhook: &Webhook) -> Vec<(String, Webhook)> {
    let mut forged = Vec::new();
    let needed = |name: &str| !matches!(name, "content-type" | "x-github-delivery" | "x-gitlab-event");
    for at in (0..webhook.headers.len()).filter(|at| needed(webhook.headers[*at].0)) {
        let name = webhook.headers[at].0;
        let mut without = webhook.clone();
        without.headers.remove(at);
        forged.push((format!("without {name}"), without));
        let mut other = webhook.clone();
        let last = other.headers[at].1.pop().unwrap();
        // In base64 the last signs may carry no whole byte; this one does.
        let (kept, first) = (other.headers[at].1.clone() + &String::from(last), other.headers[at].1.len() / 2);
        let sign = if kept.as_bytes()[first] == b'1' { "2" } else { "1" };
        other.headers[at].1 = format!("{}{sign}{}", &kept[..first], &kept[first + 1..]);
        forged.push((format!("with another {name}"), other));
    }
    let shows = matches!(webhook.provider, "gupshup" | "gitlab" | "telegram" | "token");
    if !shows {
        let mut other = webhook.clone();
        let at = other.body.len() / 2;
        other.body[at] ^= 1;
        forged.push(("with another body".to_owned(), other));
    }
    forged
}

#[test]
fn what_each_provider_signs_arrives_and_what_is_forged_hears_its_own_no() {
    let sink = Sink::start(Manner::Well);
    let estate = estate(&format!("http://{}/hook/*", sink.address()));
    let house = House::start(&estate);
    let webhooks = webhooks();
    let tried: BTreeSet<String> = webhooks.iter().map(|webhook| webhook.provider.to_owned()).collect();
    let unsigned = BTreeSet::from(["dangerous-unsigned".to_owned()]);
    assert_eq!(shipped().difference(&tried).cloned().collect::<BTreeSet<_>>(), unsigned, "each is tried");
    let mut refused = 0;
    for webhook in &webhooks {
        let (_, _, no) = webhook.hears;
        for (how, forged) in forgeries(webhook) {
            let answer = send(&house, &forged);
            // An address that is on no list is turned away before anything is read.
            let no = if how.ends_with("x-forwarded-for") { 403 } else { no };
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (no, if no == 403 && how.ends_with("for") { "Forbidden" } else { "" }),
                "{} {how}",
                webhook.provider
            );
            refused += 1;
        }
    }
    assert!(refused > 3 * webhooks.len() / 2, "{refused} forgeries");
    assert_eq!(house.metrics().value("porteiro_journal_events_total", &[]), 0.0, "nothing forged is stored");
    for webhook in &webhooks {
        let (yes, body, _) = webhook.hears;
        let answer = send(&house, webhook);
        assert_eq!((answer.status, answer.text().as_str()), (yes, body), "{webhook:?}");
        let xml = (!body.is_empty()).then_some("text/xml; charset=utf-8");
        assert_eq!(answer.header("content-type"), xml, "{webhook:?}");
    }
    eventually("every delivery", || sink.count() == webhooks.len());
    let arrivals = sink.arrivals();
    for webhook in &webhooks {
        let arrival = arrivals.iter().find(|arrival| arrival.body == webhook.body && same(arrival, webhook));
        assert!(arrival.is_some(), "{webhook:?} did not arrive as it was sent");
    }
    for canary in ["portao-7f3a", "a header of the tests"] {
        for (path, bytes) in estate.journal_bytes() {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{} holds what Gupshup showed", path.display());
        }
    }
    house.metrics().no_panics();
}

/// Whether an arrival is that of this webhook: whatever signs it goes on, whatever was shown does not.
fn same(arrival: &crate::support::sink::Arrival, webhook: &Webhook) -> bool {
    let shown = ["x-portaria", "x-gitlab-token", "x-telegram-bot-api-secret-token", "x-token"];
    webhook.headers.iter().all(|(name, value)| {
        let expected = if shown.contains(name) { None } else { Some(value.as_str()) };
        arrival.header(name) == expected
    }) && !arrival.head.contains("portao-7f3a")
        && (webhook.provider != "gupshup" || arrival.target == "/hook/x")
}

#[test]
fn probes_and_callbacks_of_gupshup_are_answered_with_every_destination_down() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let estate = estate(&format!("http://{gone}/"));
    let house = House::start(&estate);
    let probes = [
        r#"{"app":"A","appId":"a","timestamp":1,"version":2,"type":"platform-event","payload":{"type":"connectivity-check","initiator":"gupshup"}}"#,
        r#"{"gs_app_id":"a","object":"whatsapp_business_account","entry":[{"id":"1","time":1,"changes":[{"field":"platform-event","value":{"type":"connectivity-check","initiator":"gupshup"}}]}]}"#,
        r#"{"app":"A","timestamp":1,"version":2,"type":"user-event","payload":{"phone":"callbackSetPhone","type":"sandbox-start"}}"#,
    ];
    for probe in probes {
        let answer = send(&house, &gupshup(probe));
        assert_eq!((answer.status, answer.body.len(), answer.header("content-type")), (200, 0, None), "{probe}");
        let stranger = Webhook { headers: Vec::new(), ..gupshup(probe) };
        assert_eq!(send(&house, &stranger).status, 403, "{probe}");
        let mut wrong = gupshup(probe);
        wrong.headers[0].1.push('x');
        assert_eq!(send(&house, &wrong).status, 401, "{probe}");
    }
    let metrics = house.metrics();
    assert_eq!(metrics.value("porteiro_journal_events_total", &[]), 0.0, "a probe is no event");
    assert_eq!(metrics.value("porteiro_requests_total", &[("source", "gupshup"), ("outcome", "challenge")]), 3.0);
    let event = r#"{"app":"A","timestamp":1,"version":2,"type":"message","payload":{"id":"1"}}"#;
    let answer = send(&house, &gupshup(event));
    assert_eq!((answer.status, answer.body.len()), (200, 0), "an event is stored, and answered alike");
    assert_eq!(house.metrics().value("porteiro_journal_events_total", &[]), 1.0);
    house.metrics().no_panics();
}

#[test]
fn no_header_makes_a_caller_another_one() {
    let sink = Sink::start(Manner::Well);
    let estate = estate(&format!("http://{}/", sink.address()));
    let text = fs::read_to_string(estate.path("porteiro.toml")).unwrap();
    let body = r#"{"app":"A","type":"message"}"#;
    let fields = [
        ("x-forwarded-for", CALLER),
        ("forwarded", "for=34.202.224.208"),
        ("x-forwarded-for", "34.202.224.208, 34.202.224.208"),
        ("x-real-ip", CALLER),
    ];
    // Nobody is believed; then a hop that did not say, or said something else.
    estate.write("porteiro.toml", text.replace("trusted-hops = [\"127.0.0.1\"]", "").as_bytes());
    let house = House::start(&estate);
    for (name, value) in fields {
        let mut webhook = gupshup(body);
        webhook.headers[1] = (name, value.to_owned());
        assert_eq!(send(&house, &webhook).status, 403, "{name}: {value}");
    }
    drop(house);
    estate.write("porteiro.toml", text.as_bytes());
    let house = House::start(&estate);
    for (name, value) in [
        ("forwarded", "for=34.202.224.208"),
        ("x-forwarded-for", "34.202.224.208, 203.0.113.66"),
        ("x-forwarded-for", "34.202.224.208, unknown"),
        ("x-forwarded-for", "34.202.224.208\r\nX-Forwarded-For: 203.0.113.66"),
        ("x-forwarded-for", "34.202.224.208, 127.0.0.2"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        let mut webhook = gupshup(body);
        webhook.headers[1] = (name, value.to_owned());
        assert_eq!(send(&house, &webhook).status, 403, "{name}: {value}");
    }
    for value in ["203.0.113.66, 34.202.224.208", "[::ffff:34.202.224.208]:4711", "34.202.224.208, 127.0.0.1"] {
        let mut webhook = gupshup(&format!("{{\"app\":\"{value}\"}}"));
        webhook.headers[1].1 = value.to_owned();
        assert_eq!(send(&house, &webhook).status, 200, "{value}");
    }
    assert_eq!(house.metrics().value("porteiro_journal_events_total", &[]), 3.0);
}
