//! An authority of the tests, and a destination that speaks TLS, and asks who calls if it is told to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::{PATIENCE, random};

/// Signs certificates.
pub(crate) struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A name of its own: who knows another one is not to take it for that one with a wrong signature.
        params.distinguished_name.push(DnType::CommonName, format!("authority {}", random()));
        Self { certificate: params.self_signed(&key).unwrap(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for this name.
    pub(crate) fn sign(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        Arc::new(roots)
    }
}

/// A request that arrived: its head, and the certificate that the caller showed.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) head: String,
    pub(crate) shown: Option<CertificateDer<'static>>,
}

/// A TLS server on loopback that answers every request with 200; it ends with its value.
pub(crate) struct Vault {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    ending: Arc<AtomicBool>,
}

impl Vault {
    /// One that is what `authority` says, for 127.0.0.1, and lets in only those whom `asks` signed.
    pub(crate) fn start(authority: &Authority, asks: Option<&Authority>) -> Self {
        let pair = authority.sign("127.0.0.1");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = match asks {
            Some(asks) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(asks.roots(), provider).build().unwrap();
                builder.unwrap().with_client_cert_verifier(verifier)
            }
            None => builder.unwrap().with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(pair.key.serialize_der()).unwrap();
        let config = Arc::new(builder.with_single_cert(vec![pair.certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let vault = Self { address: listener.local_addr().unwrap(), calls: Arc::default(), ending: Arc::default() };
        let (calls, ending) = (Arc::clone(&vault.calls), Arc::clone(&vault.ending));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(stream), config, calls) = (stream, Arc::clone(&config), Arc::clone(&calls)) else { continue };
                // An error means that the other side closed, or showed nothing that is believed.
                std::thread::spawn(move || drop(serve(stream, config, &calls)));
            }
        });
        vault
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/hook", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // The accept loop looks up only when somebody comes.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, calls: &Mutex<Vec<Call>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        stream.read_exact(&mut vec![0; length])?;
        let shown = stream.get_ref().conn.peer_certificates().map(|chain| chain[0].clone().into_owned());
        calls.lock().unwrap().push(Call { head, shown });
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        stream.get_mut().flush()?;
    }
}
