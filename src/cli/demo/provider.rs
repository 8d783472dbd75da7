//! How does a provider sign and send?
//!
//! Promises: requests are signed by the same definitions that prove them, over TLS to the server's certificate and no
//! other.
//!
//! Must not know: what the server makes of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stage::Stage;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::drain::Drain;
use crate::select;

/// One webhook, before it is signed.
#[derive(Clone)]
pub(super) struct Webhook {
    /// The source in `config/demo.toml`, which is also its path.
    pub(super) source: &'static str,
    /// In a few words.
    pub(super) what: String,
    pub(super) body: Bytes,
    headers: Vec<(&'static str, String)>,
    /// What is signed; differs from the body where it is forged.
    signed: Bytes,
}

impl Webhook {
    /// A text from a customer, as the WhatsApp Cloud API sends it.
    pub(super) fn meta(text: &str) -> Self {
        let (id, seconds) = (serial(), Clock::system().now().as_secs());
        let body = format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"440011220033","changes":[{{"field":"messages","value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"551130000001","phone_number_id":"770011220033"}},"contacts":[{{"profile":{{"name":"Demo"}},"wa_id":"5511900000002"}}],"messages":[{{"from":"5511900000002","id":"wamid.demo-{id}","timestamp":"{seconds}","type":"text","text":{{"body":"{text}"}}}}]}}}}]}}]}}"#
        );
        Self::new("meta", format!("WhatsApp: \"{text}\""), body, Vec::new())
    }

    /// A pull request.
    pub(super) fn github(action: &str) -> Self {
        let id = serial();
        let body = format!(
            r#"{{"action":"{action}","number":7,"pull_request":{{"id":7007,"title":"Answer the door"}},"repository":{{"full_name":"demo/house"}}}}"#
        );
        let headers = vec![("x-github-event", "pull_request".to_owned()), ("x-github-delivery", id)];
        Self::new("github", format!("pull request {action}"), body, headers)
    }

    /// A payment.
    pub(super) fn stripe(kind: &str) -> Self {
        let (id, seconds) = (serial(), Clock::system().now().as_secs());
        let body = format!(
            r#"{{"id":"evt_{id}","object":"event","created":{seconds},"type":"{kind}","livemode":false,"data":{{"object":{{"id":"ch_demo","amount":1990,"currency":"brl"}}}}}}"#
        );
        Self::new("stripe", kind.to_owned(), body, Vec::new())
    }

    fn new(source: &'static str, what: String, body: String, headers: Vec<(&'static str, String)>) -> Self {
        let body = Bytes::from(body);
        Self { source, what, signed: body.clone(), body, headers }
    }

    /// The same body under the signature of another one.
    pub(super) fn forged(mut self) -> Self {
        self.what = format!("{}, forged", self.what);
        self.signed = Bytes::from_static(b"{}");
        self
    }
}

/// A number that does not come twice.
fn serial() -> String {
    let mut bytes = [0; 8];
    crate::verify::random(&mut bytes);
    format!("{:016x}", u64::from_ne_bytes(bytes))
}

/// What became of a webhook that was sent.
pub(super) struct Sent {
    pub(super) status: StatusCode,
    /// When its first byte left.
    pub(super) at: Instant,
    /// Until the whole answer was read.
    pub(super) took: Duration,
}

/// All three providers in one, on one connection.
pub(super) struct Provider {
    address: SocketAddr,
    tls: TlsConnector,
    config: Config,
    connection: Option<SendRequest<Full<Bytes>>>,
    drain: Drain,
    certificate: std::path::PathBuf,
}

impl Provider {
    pub(super) fn new(stage: &Stage) -> io::Result<Self> {
        let config = config::load(&stage.path("demo.toml")).map_err(|report| io::Error::other(report.to_string()))?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(stage.certificate.clone()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address: stage.https,
            tls: TlsConnector::from(Arc::new(tls)),
            config,
            connection: None,
            drain: Drain::new(),
            certificate: stage.path("certificate.pem"),
        })
    }

    /// Signs, sends, waits for the answer.
    pub(super) async fn send(&mut self, webhook: &Webhook) -> io::Result<Sent> {
        let mut request = Request::post(format!("/{}", webhook.source)).header("host", "localhost");
        for (name, value) in self.headers(webhook)?.iter() {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(webhook.body.clone())).map_err(io::Error::other)?;
        let connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let connection = self.connection.insert(connection);
        connection.ready().await.map_err(io::Error::other)?;
        let at = Instant::now();
        let answer = connection.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        answer.into_body().collect().await.map_err(io::Error::other)?;
        Ok(Sent { status, at, took: at.elapsed() })
    }

    /// Forgets the connection.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Lines for a shell that send a signed webhook of each provider, and one that is not.
    pub(super) fn curl_lines(&self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let webhooks = [
            Webhook::meta("by hand"),
            Webhook::github("reopened"),
            Webhook::stripe("charge.refunded"),
            Webhook::meta("x").forged(),
        ];
        for webhook in webhooks {
            let headers = self.headers(&webhook)?;
            let headers: String = headers
                .iter()
                .map(|(name, value)| format!(" -H '{name}: {}'", value.to_str().unwrap_or_default()))
                .collect();
            let (certificate, body) = (self.certificate.display(), String::from_utf8_lossy(&webhook.body).into_owned());
            lines.push(format!(
                "curl -i --cacert {certificate} --resolve localhost:{port}:127.0.0.1 https://localhost:{port}/{source}{headers} -d '{body}'",
                port = self.address.port(),
                source = webhook.source,
            ));
        }
        Ok(lines)
    }

    fn headers(&self, webhook: &Webhook) -> io::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in &webhook.headers {
            let value = HeaderValue::from_str(value).map_err(io::Error::other)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let captures = select::Captures::default();
        let path = format!("/{}", webhook.source);
        let request = select::Request {
            method: &Method::POST,
            path: &path,
            query: "",
            headers: &headers,
            body: &webhook.signed,
            captures: &captures,
            public_url: None,
        };
        let verifier = self
            .config
            .verifier(webhook.source)
            .ok_or_else(|| io::Error::other(format!("config/demo.toml has no source {}", webhook.source)))?;
        let signed = verifier
            .sign(&request, Clock::system().now())
            .map_err(|_| io::Error::other("this provider's webhooks cannot be made up"))?;
        headers.extend(signed.headers);
        Ok(headers)
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = self.tls.connect(name, stream).await?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Its end, good or bad, shows on the next request.
        self.drain.spawn(async move { drop(driver.await) });
        Ok(connection)
    }
}
