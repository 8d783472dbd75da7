//! A destination for tests that does exactly what it is told, connection by connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is done on a connection, step by step; at the end it is closed.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Reads one request: head and Content-Length.
    Read,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes until the other side does not take them any more.
    Flood(Vec<u8>),
    /// Closes with a reset.
    Reset,
    /// Does nothing until the other side closes.
    Hang,
    /// Waits until the test says so.
    Wait(Arc<Notify>),
    /// Says so to the test.
    Tell(Arc<Notify>),
}

/// One request and its answer.
pub(super) fn answer(text: &str) -> Vec<Act> {
    vec![Act::Read, Act::Write(text.as_bytes().to_vec())]
}

/// Every request on a connection, and its answer.
pub(super) fn answers(text: &str) -> Vec<Act> {
    vec![answer(text); 1000].concat()
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// An address where nobody listens, and nobody else will for as long as the socket is kept.
pub(super) fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A scripted destination. Ends when it is dropped.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    /// Requests as read, by connection.
    pub(super) seen: Arc<Mutex<Vec<Vec<String>>>>,
    arrived: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// One script per connection; the last one is for all that follow.
    pub(super) async fn new(scripts: Vec<Vec<Act>>) -> Self {
        Self::start(scripts, None).await
    }

    pub(super) async fn tls(scripts: Vec<Vec<Act>>, identity: &Identity) -> Self {
        Self::tls_of(scripts, identity.server(rustls::DEFAULT_VERSIONS)).await
    }

    pub(super) async fn tls_of(scripts: Vec<Vec<Act>>, server: Arc<ServerConfig>) -> Self {
        Self::start(scripts, Some(TlsAcceptor::from(server))).await
    }

    #[expect(clippy::disallowed_methods, reason = "ends with the test")]
    async fn start(scripts: Vec<Vec<Act>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let (count, arrived) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let script = scripts[usize::min(number, scripts.len() - 1)].clone();
                let (tls, log) = (tls.clone(), Log { seen: Arc::clone(&log), count: count.clone(), number });
                log.seen.lock().unwrap().push(Vec::new());
                connections.spawn(async move {
                    if script.iter().any(|act| matches!(act, Act::Reset)) {
                        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
                    }
                    match tls {
                        None => play(stream, &script, &log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                play(stream, &script, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, arrived, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests were read on each connection.
    pub(super) fn counts(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().map(Vec::len).collect()
    }

    /// Waits until that many requests were read, on all connections together.
    pub(super) async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.clone();
        let waited = arrived.wait_for(|arrived| *arrived >= count);
        tokio::time::timeout(std::time::Duration::from_secs(20), waited).await.expect("in time").unwrap();
    }

    /// The bodies of all requests in the order of their connections.
    pub(super) fn bodies(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.split_once("\r\n\r\n").unwrap().1.to_owned()).collect()
    }

    /// All requests in the order of their connections.
    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().concat()
    }
}

struct Log {
    seen: Arc<Mutex<Vec<Vec<String>>>>,
    count: watch::Sender<usize>,
    number: usize,
}

async fn play<S>(mut stream: S, script: &[Act], log: &Log)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for act in script {
        match act {
            Act::Read => match request(&mut stream).await {
                Some(request) => {
                    log.seen.lock().unwrap()[log.number].push(request);
                    log.count.send_modify(|count| *count += 1);
                }
                None => return,
            },
            Act::Write(bytes) => {
                if stream.write_all(bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Act::Flood(bytes) => while stream.write_all(bytes).await.is_ok() {},
            Act::Reset => return,
            Act::Hang => {
                let mut rest = [0; 1024];
                while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
            }
            Act::Wait(notify) => notify.notified().await,
            Act::Tell(notify) => notify.notify_one(),
        }
    }
    drop(stream.shutdown().await);
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if read.len() >= end + 4 + length.unwrap_or(0) {
                return Some(String::from_utf8_lossy(&read).into_owned());
            }
        }
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&piece[..count]);
    }
}

/// A certificate and its key.
pub(super) struct Identity {
    pub(super) certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    /// Self-signed.
    pub(super) fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["hooks.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    pub(super) fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.certificate.pem().into_bytes()
    }

    /// The public key as OpenSSL would write it.
    pub(super) fn public_key(&self) -> Vec<u8> {
        use rcgen::PublicKeyData as _;
        self.key.subject_public_key_info()
    }

    /// A server that is what its certificate says.
    pub(super) fn server(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        self.server_with(versions, &self.key)
    }

    /// A server that shows the certificate, but has a key of its own.
    pub(super) fn stolen(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        self.server_with(versions, &KeyPair::generate().unwrap())
    }

    fn server_with(&self, versions: &[&'static SupportedProtocolVersion], key: &KeyPair) -> Arc<ServerConfig> {
        let provider = rustls::crypto::ring::default_provider();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = CertifiedKey::new(vec![self.certificate.der().clone()], key);
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        Arc::new(config)
    }
}
