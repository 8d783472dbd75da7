use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, Method};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::time::Instant;

use super::super::super::alarm::{Alarm, Limits};
use super::super::super::attempt::{Ended, Heard, Kit, attempt};
use super::super::super::client::Network;
use super::super::super::plan::{Destination, Plan};
use super::super::super::request::{Facts, Names, Parcel};
use super::super::super::upstream::{OK, Upstream, answer};
use super::super::{Roots, Shown, Trust};
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::event::Head;
use crate::retry::{Fault, Outcome};
use crate::secret::Secret;
use crate::verify::Credential;

/// A certificate, signed by itself, and its key.
struct Pair(rcgen::Certificate, KeyPair);

impl Pair {
    fn new(name: &str, last_year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        Self(params.self_signed(&key).unwrap(), key)
    }

    fn shown(&self) -> Shown {
        Shown { certificate: self.0.pem().into(), key: Secret::new(self.1.serialize_pem().into()) }
    }
}

/// A server of this version that lets in only who shows one of these certificates.
fn server(own: &Pair, known: &[&Pair], version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    known.iter().for_each(|pair| roots.add(pair.0.der().clone()).unwrap());
    let asks = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let key = PrivateKeyDer::try_from(own.1.serialize_der()).unwrap();
    let config = builder.with_client_cert_verifier(asks).with_single_cert(vec![own.0.der().clone()], key);
    Arc::new(config.unwrap())
}

/// How an attempt ends that shows this.
async fn tried(url: &str, own: &Pair, shown: Option<Shown>) -> Heard {
    let trust = Trust::Authority(own.0.pem().into());
    let to = Destination::build(Plan { trust, shown, ..Plan::new("crm", url) }, &mut Roots::default()).unwrap();
    let (mut alarm, stop) = (Alarm::new(Instant::now()), OnceLock::new());
    let mut limits = Limits { alarm: &mut alarm, deadline: Instant::now() + Duration::from_secs(20), stop: &stop };
    let head = Head::encode(&Method::POST, "", "", &HeaderMap::new(), &Credential::NONE);
    let facts = Facts { event_id: [7; 16], attempt: 1, accepted: Timestamp::ZERO, span: 1 };
    // Larger than what the sockets take at once.
    let body = [bytes::Bytes::from(vec![b'x'; 8 << 20])];
    let parcel = Parcel { head: &head, body: &body, facts, courier: None, names: Names::default() };
    let ended = attempt(&to, &mut Kit::default(), &mut limits, (&Clock::system(), &Network::default()), &parcel).await;
    let Ended::Heard(heard) = ended else { panic!("{ended:?}") };
    heard
}

#[tokio::test]
async fn a_destination_that_asks_who_calls_is_told_from_one_that_breaks() {
    let (own, known) = (Pair::new("crm", 2100), Pair::new("known", 2100));
    let (stranger, expired) = (Pair::new("stranger", 2100), Pair::new("expired", 2002));
    let cases = [
        (Some(known.shown()), None),
        (
            None,
            Some("asks who calls and is shown nothing; its `tls` has no `certificate` and `key` (CertificateRequired)"),
        ),
        (Some(stranger.shown()), Some("does not know who signed the certificate that it is shown (UnknownCA)")),
        (Some(expired.shown()), Some("finds that the certificate that it is shown has expired (CertificateExpired)")),
    ];
    for version in [&TLS12, &TLS13] {
        for (shown, words) in &cases {
            let upstream = Upstream::tls_of(vec![answer(OK)], server(&own, &[&known, &expired], version)).await;
            let heard = tried(&format!("https://{}/", upstream.address), &own, shown.clone()).await;
            let shown = format!("{version:?}: {words:?}: {:?}", heard.detail);
            match words {
                None => assert_eq!(heard.outcome, Outcome::Delivered { status: 200 }, "{shown}"),
                Some(words) => {
                    assert_eq!(heard.outcome, Outcome::of_fault(Fault::Tls), "{shown}");
                    assert_eq!(heard.detail.as_deref(), Some(&*format!("the destination {words}")), "{shown}");
                    assert!(upstream.requests().is_empty(), "{shown}");
                }
            }
        }
    }
}

#[test]
fn what_is_said_of_no_certificate_does_not_blame_one() {
    let error = |alert| io::Error::other(Error::AlertReceived(alert));
    let cases = [
        (AlertDescription::UnknownCA, false, "the destination broke off (UnknownCA)"),
        (AlertDescription::ProtocolVersion, true, "the destination broke off (ProtocolVersion)"),
        (
            AlertDescription::HandshakeFailure,
            false,
            "the destination broke off: it takes no TLS that is offered, or asks who calls and is shown nothing \
             (HandshakeFailure)",
        ),
        (
            AlertDescription::BadCertificate,
            true,
            "the destination broke off, perhaps because of the certificate that it is shown (BadCertificate)",
        ),
        (
            AlertDescription::CertificateRequired,
            true,
            "the destination asks who calls, and for another kind of certificate than it could be shown \
             (CertificateRequired)",
        ),
        (
            AlertDescription::CertificateRevoked,
            true,
            "the destination finds that the certificate that it is shown was revoked (CertificateRevoked)",
        ),
    ];
    for (alert, shows, words) in cases {
        assert_eq!(of(&error(alert), shows).as_deref(), Some(words));
    }
    for other in [io::ErrorKind::ConnectionReset.into(), io::Error::other(Error::DecryptError), io::Error::other("x")] {
        assert_eq!(of(&other, true), None, "{other}");
    }
}
