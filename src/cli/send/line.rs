//! Where does a request go, and what comes back?
//!
//! Promises: over TLS only who has one of the configuration's own certificates is believed, or whom the roots or the
//! given authorities vouch for, unless everybody is to be; an answer is read up to a bound, within a time.
//!
//! Must not know: what the request means.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::Config;
use crate::config::rehearsal::Asked;
use crate::drain::Drain;

/// How much of an answer is read, in bytes.
const ANSWER_MAX: usize = 1 << 20;

/// A URL without a path, as `--to` takes it.
pub(super) fn place(text: &str) -> Result<Uri, String> {
    let form = "expected scheme, host and perhaps a port, such as https://hooks.example.com";
    let uri = text.parse::<Uri>().map_err(|_| form.to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) if matches!(uri.path(), "" | "/") && uri.query().is_none() => Ok(uri),
        (Some("http" | "https"), Some(_)) => Err("the path is that of the source; give scheme, host and port".into()),
        _ => Err(form.to_owned()),
    }
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) tls: bool,
    /// A name or an address, as it is connected to.
    host: String,
    pub(super) port: u16,
    /// What the Host field says, and the certificate is for.
    pub(super) name: Box<str>,
    /// Whether it is one of the configuration's own listeners.
    pub(super) own: bool,
}

impl Place {
    /// The listener's address on this machine, or where it was told.
    pub(super) fn find(config: &Config, asked: &Asked, to: Option<&Uri>) -> Result<Self, String> {
        let listener = config.listeners.get(asked.listener).ok_or("there is no such listener")?;
        if let Some(uri) = to {
            let tls = uri.scheme_str() == Some("https");
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
            let strange = config.sources.iter().all(|source| source.host.as_deref() != Some(&*asked.host));
            // A source that answers to any host is called as the URL says; one that names its host, by that.
            let name =
                if strange && host.parse::<IpAddr>().is_err() { host.as_str().into() } else { asked.host.clone() };
            return Ok(Self { tls, host, port, name, own: false });
        }
        let port = listener.address.port();
        if port == 0 {
            let name = &listener.name;
            return Err(format!("listener `{name}` takes any port: say where it is with --to http://127.0.0.1:PORT"));
        }
        let host = match listener.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let (tls, name) = (!listener.files.is_empty(), asked.host.clone());
        Ok(Self { tls, host: host.to_string(), port, name, own: true })
    }

    /// Scheme, host and port of what is connected to.
    pub(super) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.parse::<IpAddr>() {
            Ok(ip) => format!("{scheme}://{}", SocketAddr::new(ip, self.port)),
            Err(_) => format!("{scheme}://{}:{}", self.host, self.port),
        }
    }

    /// What the Host field says.
    pub(super) fn authority(&self) -> String {
        let usual = self.port == if self.tls { 443 } else { 80 };
        if usual { self.name.to_string() } else { format!("{}:{}", self.name, self.port) }
    }

    fn shown(&self, error: &io::Error) -> String {
        let url = self.url();
        match error.kind() {
            io::ErrorKind::ConnectionRefused if self.own => {
                format!("nobody listens at {url}; is `porteiro serve` running with this configuration?")
            }
            io::ErrorKind::TimedOut => format!("{url} did not answer in time"),
            _ => format!("{url}: {error}"),
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// From the first byte that was sent until the last that was read.
    pub(super) took: Duration,
}

/// One connection, kept between requests.
pub(super) struct Line {
    pub(super) place: Place,
    tls: Option<TlsConnector>,
    within: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
    drain: Drain,
}

impl Line {
    pub(super) fn new(
        config: &Config,
        place: Place,
        ca: Option<&Path>,
        anybody: bool,
        within: Duration,
    ) -> Result<Self, String> {
        let tls = if place.tls { Some(connector(config, ca, anybody)?) } else { None };
        Ok(Self { place, tls, within, connection: None, drain: Drain::new() })
    }

    /// Sends it and reads the answer.
    pub(super) async fn send(&mut self, asked: &Asked) -> Result<Answer, String> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let sent = timeout(self.within, self.exchange(asked)).await.map_err(late);
        sent.and_then(|answer| answer).map_err(|error| self.place.shown(&error))
    }

    async fn exchange(&mut self, asked: &Asked) -> io::Result<Answer> {
        let mut request = Request::new(Full::new(Bytes::from(asked.body.clone())));
        *request.method_mut() = asked.method.clone();
        *request.uri_mut() = Uri::from(asked.target.clone());
        request.headers_mut().clone_from(&asked.headers);
        if !asked.headers.contains_key(HOST) {
            let host = HeaderValue::from_str(&self.place.authority()).map_err(io::Error::other)?;
            request.headers_mut().insert(HOST, host);
        }
        let connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let connection = self.connection.insert(connection);
        connection.ready().await.map_err(io::Error::other)?;
        let at = Instant::now();
        let (head, body) = connection.send_request(request).await.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
        Ok(Answer { status: head.status, headers: head.headers, body, took: at.elapsed() })
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.place.host.as_str(), self.place.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            // Its end, good or bad, shows on the next request.
            self.drain.spawn(async move { drop(driver.await) });
            return Ok(connection);
        };
        let name = ServerName::try_from(self.place.name.to_string()).map_err(io::Error::other)?;
        let stream = tls.connect(name, stream).await?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        self.drain.spawn(async move { drop(driver.await) });
        Ok(connection)
    }
}

fn connector(config: &Config, ca: Option<&Path>, anybody: bool) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let pem = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let read: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
            if roots.add_parsable_certificates(read).0 == 0 {
                return Err(format!("{}: no certificate that can be read", path.display()));
            }
        }
        // Where this machine has none, the configuration's own certificates are still known.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let own = config.listeners.iter().flat_map(|listener| &listener.files).filter_map(|files| {
        let pem = fs::read(&files.certificate).ok()?;
        CertificateDer::pem_slice_iter(&pem).next()?.ok()
    });
    let own = own.collect();
    let vouched = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().ok();
    let verifier = Believes { own, vouched, anybody, provider: Arc::clone(&provider) };
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(client)))
}

/// Who is believed to be at the other end.
#[derive(Debug)]
struct Believes {
    /// The certificates of the configuration's own listeners, whatever their names and dates.
    own: Vec<CertificateDer<'static>>,
    vouched: Option<Arc<WebPkiServerVerifier>>,
    anybody: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Believes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.anybody || self.own.iter().any(|own| own.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.vouched {
            Some(vouched) => vouched.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(Error::General("this machine has no roots that can be read; see --ca".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
