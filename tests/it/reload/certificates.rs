//! Certificates and secrets are taken in by themselves when their files change.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use super::signed_with;
use crate::support::house::{Estate, House, SECRET, two_destinations};
use crate::support::sink::{Manner, Sink};
use crate::support::{PATIENCE, eventually};

/// A client that believes these, and remembers its sessions.
fn client(roots: &[&CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add((*root).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(store).with_no_client_auth())
}

/// One connection with one request on it: how the handshake went, and whose certificate was shown.
fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> (HandshakeKind, CertificateDer<'static>) {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(client), name).unwrap(), socket);
    stream.write_all(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // The answer is behind the session's ticket.
    drop(stream.read_to_end(&mut answer));
    assert!(answer.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&answer));
    let shown = stream.conn.peer_certificates().unwrap()[0].clone().into_owned();
    (stream.conn.handshake_kind().unwrap(), shown)
}

#[test]
fn a_certificate_and_a_secret_are_taken_in_when_their_files_change_and_sessions_go_on() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let text = two_destinations(&one.url(), &two.url());
    let estate = Estate::new(&text);
    let house = House::start(&estate);
    let address = house.address("public");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let old = client(&[&estate.root, made.cert.der()]);
    assert_eq!(connect(address, &old), (HandshakeKind::Full, estate.root.clone()));
    assert_eq!(connect(address, &old).0, HandshakeKind::Resumed);

    // An edit that is not finished: it is not asked for, and must not come along with the files.
    estate.write("porteiro.toml", text.replace("/meta", "/elsewhere").as_bytes());
    estate.write("certificate.pem", made.cert.pem().as_bytes());
    estate.write("key.pem", made.signing_key.serialize_pem().as_bytes());
    estate.write("secret", b"the next secret of the tests");
    eventually("the certificate", || house.log().contains("file certificate.pem: changed (listen public)"));
    eventually("the secret", || house.log().contains("file secret: changed (source whatsapp)"));
    assert!(!house.log().contains("next secret"));

    assert_eq!(connect(address, &old).0, HandshakeKind::Resumed, "a session that began before goes on");
    let new = client(&[made.cert.der()]);
    assert_eq!(connect(address, &new), (HandshakeKind::Full, made.cert.der().clone()));
    let body = br#"{"entry":[{"id":"77"}]}"#;
    let mut plain = house.plain();
    for (secret, status) in [(&b"the next secret of the tests"[..], 200), (SECRET, 401)] {
        let answer = plain.post("/meta", &[("X-Hub-Signature-256", &signed_with(secret, body))], body).unwrap();
        assert_eq!(answer.status, status);
    }
    // A key that does not belong to its certificate is refused, and both stay as they were.
    estate.write("key.pem", b"no key at all");
    eventually("the refusal", || house.log().contains("configuration not reloaded"));
    assert_eq!(connect(address, &new).1, *made.cert.der());
    house.metrics().no_panics();
}

#[test]
fn a_file_that_is_taken_in_hides_no_text_that_was_refused() {
    let (one, two) = (Sink::start(Manner::Well), Sink::start(Manner::Well));
    let text = two_destinations(&one.url(), &two.url());
    let estate = Estate::new(&text);
    let house = House::start(&estate);
    let stands = || house.metrics().value("porteiro_config_last_reload_successful", &[]);
    estate.write("porteiro.toml", text.replace("provider = \"meta\"", "provider = \"mta\"").as_bytes());
    house.signal(rustix::process::Signal::HUP);
    eventually("the refusal", || house.log().contains("configuration not reloaded"));
    assert_eq!(stands(), 0.0);
    estate.write("secret", b"the next secret of the tests");
    eventually("the secret", || house.log().contains("file secret: changed (source whatsapp)"));
    assert_eq!(stands(), 0.0, "what the operator wrote is still not in force");
    estate.write("porteiro.toml", text.as_bytes());
    house.signal(rustix::process::Signal::HUP);
    eventually("the text", || stands() == 1.0);
    house.metrics().no_panics();
}
