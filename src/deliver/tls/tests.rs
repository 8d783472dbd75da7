use bytes::Bytes;
use http::{HeaderMap, Method};
use rustls::version::{TLS12, TLS13};

use super::super::alarm::{Alarm, Limits};
use super::super::attempt::{Ended, Kit, attempt};
use super::super::client::{Network, Shut};
use super::super::plan::{Destination, Plan};
use super::super::request::{Facts, Names, Parcel};
use super::super::upstream::{Identity, OK, Upstream, answer};
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::event::Head;
use crate::verify::Credential;

fn pin(identity: &Identity) -> Pin {
    Pin(digest(&[&identity.public_key()]))
}

/// Connects to `identity` by its address, asking for `host`, with this trust; gives what TLS says if it fails.
async fn check(identity: &Identity, host: Option<&str>, trust: Trust) -> Result<(), String> {
    let upstream = Upstream::tls(vec![answer(OK)], identity).await;
    let url = format!("https://{}/", upstream.address);
    let to =
        Destination::build(Plan { host: host.map(Into::into), trust, ..Plan::new("crm", &url) }, &mut Roots::default());
    match to.unwrap().door.open(&Network::default()).await {
        Ok(_) => Ok(()),
        Err(Shut::Tls(error)) => Err(error.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

fn odd(params: &mut rcgen::CertificateParams) {
    params.subject_alt_names.clear();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
}

#[tokio::test]
async fn an_authority_of_their_own_is_believed_for_its_names_only() {
    let identity = Identity::new(|_| {});
    let other = Identity::new(|_| {});
    let own = || Trust::Authority(identity.pem());
    assert_eq!(check(&identity, None, own()).await, Ok(()), "by its address");
    assert_eq!(check(&identity, Some("hooks.example"), own()).await, Ok(()), "by its name");
    assert_eq!(check(&identity, Some("hooks.example:8443"), own()).await, Ok(()), "the port is no part of it");
    let both = [other.pem(), identity.pem()].concat();
    assert_eq!(check(&identity, None, Trust::Authority(both)).await, Ok(()), "the second of two");
    for host in ["other.example", "hooks.example.evil.example", "10.0.0.1"] {
        let said = check(&identity, Some(host), own()).await.unwrap_err();
        assert!(said.contains("not valid for name"), "{said}");
    }
    let said = check(&other, None, own()).await.unwrap_err();
    assert!(said.contains("UnknownIssuer") || said.contains("BadSignature"), "{said}");
    let expired = Identity::new(|params| params.not_after = rcgen::date_time_ymd(2002, 1, 1));
    let said = check(&expired, None, Trust::Authority(expired.pem())).await.unwrap_err();
    assert!(said.contains("expired"), "{said}");
}

#[tokio::test]
async fn a_pinned_key_is_believed_whatever_is_around_it() {
    for identity in [Identity::new(|_| {}), Identity::new(odd)] {
        let right = pin(&identity);
        let wrong = pin(&Identity::new(|_| {}));
        for host in [None, Some("hooks.example"), Some("other.example"), Some("10.9.9.9")] {
            assert_eq!(check(&identity, host, Trust::Pinned(vec![right])).await, Ok(()), "{host:?}");
            assert_eq!(check(&identity, host, Trust::Pinned(vec![wrong, right])).await, Ok(()), "{host:?}");
            let said = check(&identity, host, Trust::Pinned(vec![wrong])).await.unwrap_err();
            assert!(said.contains("ApplicationVerificationFailure"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_pinned_key_must_sign_the_handshake_itself() {
    let identity = Identity::new(|_| {});
    for version in [&TLS12, &TLS13] {
        // The right certificate, and then the right certificate with somebody else's key.
        let honest = Upstream::tls_of(vec![answer(OK)], identity.server(&[version])).await;
        let thief = Upstream::tls_of(vec![answer(OK)], identity.stolen(&[version])).await;
        let open = |upstream: &Upstream| {
            let trust = Trust::Pinned(vec![pin(&identity)]);
            let plan = Plan { trust, ..Plan::new("crm", &format!("https://{}/", upstream.address)) };
            Destination::build(plan, &mut Roots::default()).unwrap()
        };
        assert!(open(&honest).door.open(&Network::default()).await.is_ok(), "{version:?}");
        let Err(Shut::Tls(error)) = open(&thief).door.open(&Network::default()).await else { panic!("{version:?}") };
        assert!(error.to_string().contains("BadSignature"), "{version:?}: {error}");
    }
}

#[tokio::test]
async fn public_roots_do_not_believe_a_certificate_of_ones_own() {
    let identity = Identity::new(|_| {});
    // A machine without roots refuses earlier.
    if Roots::default().native().is_ok() {
        let said = check(&identity, None, Trust::Public).await.unwrap_err();
        assert!(said.contains("UnknownIssuer") || said.contains("CaUsedAsEndEntity"), "{said}");
    }
}

#[tokio::test]
async fn an_attempt_over_tls_reaches_the_destination_and_keeps_its_connection() {
    let identity = Identity::new(|_| {});
    let upstream = Upstream::tls(vec![[answer(OK), answer(OK)].concat()], &identity).await;
    let plan =
        Plan { trust: Trust::Authority(identity.pem()), ..Plan::new("crm", &format!("https://{}/", upstream.address)) };
    let to = Destination::build(plan, &mut Roots::default()).unwrap();
    let (mut alarm, stop) = (Alarm::new(tokio::time::Instant::now()), std::sync::OnceLock::new());
    let mut kit = Kit::default();
    for _ in 0..2 {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        let mut limits = Limits { alarm: &mut alarm, deadline, stop: &stop };
        let head = Head::encode(&Method::POST, "", "", &HeaderMap::new(), &Credential::NONE);
        let facts = Facts { event_id: [7; 16], attempt: 1, accepted: Timestamp::ZERO, span: 1 };
        let parcel = Parcel { head: &head, body: &[Bytes::from_static(b"over tls")], facts, names: Names::default() };
        let ended = attempt(&to, &mut kit, &mut limits, (&Clock::system(), &Network::default()), &parcel).await;
        assert!(matches!(ended, Ended::Heard(heard) if heard.status == 200));
    }
    assert_eq!(upstream.counts(), [2]);
    assert_eq!(upstream.bodies(), ["over tls"; 2]);
}

#[test]
fn a_pin_is_written_in_the_usual_ways() {
    let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8 + 7).unwrap());
    let base64 = STANDARD.encode(bytes);
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let slash = format!("/{}", &base64[1..]);
    for text in
        [&base64, &format!("sha256/{base64}"), &format!("sha256//{base64}"), &hexadecimal, &hexadecimal.to_uppercase()]
    {
        assert_eq!(Pin::parse(text), Ok(Pin(bytes)), "{text}");
    }
    assert!(Pin::parse(&slash).is_ok(), "a slash is a digit of base64, too");
    assert_eq!(Pin::parse(&format!("sha256/{slash}")), Pin::parse(&slash));
    let wrong = [
        String::new(),
        base64[..43].to_owned(),
        format!("{base64}="),
        format!("sha1/{base64}"),
        format!("sha256/{hexadecimal}"),
        hexadecimal.replace('7', "g"),
        hexadecimal[..62].to_owned(),
        format!("{}é", &hexadecimal[..62]),
        "?".repeat(44),
        "é".repeat(22),
    ];
    for text in wrong {
        assert_eq!(Pin::parse(&text), Err(TrustError::Pin), "{text}");
    }
}

/// A DER element.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short enough for a test");
    let length = if length < 128 { vec![length] } else { vec![0x81, length] };
    [vec![tag], length, content.to_vec()].concat()
}

/// A certificate around this key, with what comes before it left at its least.
fn certificate(version: Option<u8>, key: &[u8]) -> Vec<u8> {
    let version = version.map_or_else(Vec::new, |version| der(0xa0, &der(0x02, &[version])));
    let empty = der(0x30, &[]);
    let signed = [version, der(0x02, &[1]), empty.clone(), empty.clone(), empty.clone(), empty, key.to_vec()].concat();
    der(0x30, &[der(0x30, &signed), der(0x30, &[]), der(0x03, &[0])].concat())
}

#[test]
fn the_public_key_is_found_in_certificates_of_every_version() {
    for identity in [Identity::new(|_| {}), Identity::new(odd)] {
        assert_eq!(public_key(identity.der()), Some(&identity.public_key()[..]));
    }
    let key = der(0x30, b"a key");
    for version in [None, Some(1), Some(2)] {
        assert_eq!(public_key(&certificate(version, &key)), Some(&key[..]), "{version:?}");
    }
}

#[test]
fn bytes_that_are_no_certificate_have_no_public_key() {
    let key = der(0x30, b"a key");
    let whole = certificate(Some(2), &key);
    for end in 0..whole.len() {
        assert_eq!(public_key(&whole[..end]), None, "cut at {end}");
    }
    assert_eq!(public_key(&[&whole[..], b"\0"].concat()), None, "something behind it");
    assert_eq!(public_key(&certificate(None, &der(0x04, b"a key"))), None, "no sequence");
    let lengths: [&[u8]; 5] = [
        &[0x30, 0x80, 0, 0],
        &[0x30, 0x85, 0, 0, 0, 0, 0],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0xff],
        &[0x31, 0x00],
    ];
    for bytes in lengths {
        assert_eq!(public_key(bytes), None, "{bytes:02x?}");
    }
}

#[test]
fn what_is_no_pair_cannot_be_shown() {
    let (one, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let params = rcgen::CertificateParams::new(vec!["porteiro.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&one).unwrap().pem();
    let built = |certificate: &str, key: &str| {
        let shown = Shown { certificate: certificate.into(), key: Secret::new(key.into()) };
        let plan =
            Plan { shown: Some(shown), trust: Trust::Pinned(vec![Pin([0; 32])]), ..Plan::new("crm", "https://crm/") };
        Destination::build(plan, &mut Roots::default()).map(drop)
    };
    let (right, wrong) = (one.serialize_pem(), other.serialize_pem());
    assert_eq!(built(&certificate, &right), Ok(()));
    for (certificate, key) in
        [("", &*right), (&*certificate, ""), (&certificate, &wrong), ("nonsense", &right), (&right, &certificate)]
    {
        assert_eq!(built(certificate, key), Err(TrustError::Shown.into()));
    }
}
