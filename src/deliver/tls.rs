//! Is that the destination at the other end?
//!
//! Promises: a certificate is believed for one of three reasons, which the operator chose: public roots, an authority of
//! their own, or exactly one public key; the handshake signature is checked in all three. Who calls is shown only to a
//! destination that is believed, and only where the operator said so.
//!
//! Must not know: names of destinations, requests.

mod alert;

use std::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerMisbehaved, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::secret::Secret;
use crate::verify::digest;

/// Whom to believe that it is the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The roots that this machine trusts.
    #[default]
    Public,
    /// Only the authorities in this PEM text.
    Authority(Vec<u8>),
    /// Only these public keys, whatever the name, the dates or the CA flag of the certificate around them.
    Pinned(Vec<Pin>),
}

/// What shows a destination who calls.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The certificate, and those between it and an authority that the destination knows, in PEM.
    pub certificate: Vec<u8>,
    /// Its private key, in PEM.
    pub key: Secret,
}

/// The SHA-256 of a certificate's SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads `sha256/` and base64 (as in HPKP and `curl --pinnedpubkey`), the base64 alone, or 64 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`TrustError::Pin`] for anything else.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let bytes = if text.len() == 64 { hexadecimal(text) } else { base64(text) };
        bytes.map(Self).ok_or(TrustError::Pin)
    }
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = [char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?];
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

fn base64(text: &str) -> Option<[u8; 32]> {
    let (prefix, digits) = text.split_at_checked(text.len().checked_sub(44)?)?;
    let known = matches!(prefix, "" | "sha256/" | "sha256//");
    STANDARD.decode(digits).ok().filter(|_| known)?.try_into().ok()
}

/// Why what was said of TLS cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustError {
    /// This machine has no roots that can be read.
    NoRoots,
    /// The text holds no certificate that can be read.
    Authority,
    /// No public key was named, or one that is no SHA-256.
    Pin,
    /// The certificate to be shown, or its key, cannot be read, or they do not belong together.
    Shown,
    /// The destination's name cannot stand in a certificate.
    Name,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoots => "this machine has no public roots that can be read",
            Self::Authority => "no certificate that can be read",
            Self::Shown => "no certificate with its private key",
            Self::Name => "not a name or an address that a certificate can be issued to",
            Self::Pin => "not the SHA-256 of a public key (`sha256/` and base64, or 64 hexadecimal digits)",
        })
    }
}

impl std::error::Error for TrustError {}

/// The roots that this machine trusts, read once per configuration and only if a destination needs them.
#[derive(Debug, Default)]
pub struct Roots(Option<Arc<RootCertStore>>);

impl Roots {
    fn native(&mut self) -> Result<Arc<RootCertStore>, TrustError> {
        if let Some(known) = &self.0 {
            return Ok(Arc::clone(known));
        }
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(TrustError::NoRoots);
        }
        Ok(Arc::clone(self.0.insert(Arc::new(store))))
    }
}

fn authority(pem: &[u8]) -> Result<Arc<RootCertStore>, TrustError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| TrustError::Authority)?;
        store.add(certificate).map_err(|_| TrustError::Authority)?;
    }
    if store.is_empty() { Err(TrustError::Authority) } else { Ok(Arc::new(store)) }
}

/// How one destination proves that it is the one.
#[derive(Clone)]
pub(super) struct Proof {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// It is shown a certificate.
    shows: bool,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({:?})", self.name)
    }
}

impl Proof {
    /// For the destination of this name or address.
    pub(super) fn new(trust: &Trust, shown: Option<&Shown>, roots: &mut Roots, name: &str) -> Result<Self, TrustError> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| TrustError::Name)?;
        Ok(Self { connector: TlsConnector::from(client(trust, shown, roots)?), name, shows: shown.is_some() })
    }

    /// Speaks TLS, or fails: there is no other side that can be believed.
    pub(super) async fn demand(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connected = self.connector.connect(self.name.clone(), tcp).await;
        let mut stream = connected.map_err(|error| self.alert(&error).map_or(error, io::Error::other))?;
        stream.get_mut().1.set_buffer_limit(Some(BUFFER));
        Ok(stream)
    }

    /// What it means that the other side ended it in the words of TLS, if it did.
    pub(super) fn alert(&self, error: &io::Error) -> Option<String> {
        alert::of(error, self.shows)
    }
}

/// Whether this is a name, or an address, that a certificate can be issued to.
pub(super) fn is_name(text: &str) -> bool {
    ServerName::try_from(text).is_ok()
}

/// The client's side of TLS for one destination: 1.2 or 1.3, HTTP/1.1 and nothing else.
fn client(trust: &Trust, shown: Option<&Shown>, roots: &mut Roots) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3");
    let builder = match trust {
        Trust::Public => builder.with_root_certificates(roots.native()?),
        Trust::Authority(pem) => builder.with_root_certificates(authority(pem)?),
        Trust::Pinned(pins) if pins.is_empty() => return Err(TrustError::Pin),
        Trust::Pinned(pins) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned::new(pins, &provider)))
        }
    };
    let mut client = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let (chain, key) = shown.read().ok_or(TrustError::Shown)?;
            builder.with_client_auth_cert(chain, key).map_err(|_| TrustError::Shown)?
        }
    };
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    client.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(client))
}

impl Shown {
    fn read(&self) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose()).ok()?;
        (!chain.is_empty()).then_some((chain, key))
    }
}

/// How much may wait, encrypted, to be taken by the socket: one record, for the sake of memory.
pub(super) const BUFFER: usize = 16 << 10;

/// Sessions kept for resumption, per destination, which has one name.
const SESSIONS: usize = 4;

/// Believes exactly the keys it was given, and that whoever signs the handshake holds one of them.
#[derive(Debug)]
struct Pinned {
    pins: Box<[Pin]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(pins: &[Pin], provider: &CryptoProvider) -> Self {
        Self { pins: pins.into(), algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = public_key(end_entity).ok_or(CertificateError::BadEncoding)?;
        if self.pins.contains(&Pin(digest(&[key]))) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(public_key(certificate).ok_or(CertificateError::BadEncoding)?);
        let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let algorithms = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = algorithms.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // The scheme of TLS 1.2 does not name the curve, so each algorithm behind it may be the one.
        if algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(public_key(certificate).ok_or(CertificateError::BadEncoding)?);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The SubjectPublicKeyInfo of a certificate of any version (RFC 5280, 4.1), with whatever else stands in it left unread.
///
/// The usual parsers refuse version 1, unknown critical extensions and the like; a pinned key needs none of that.
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let outer = element(certificate)?;
    let signed = element(outer.content)?;
    if outer.tag != SEQUENCE || signed.tag != SEQUENCE || !outer.after.is_empty() {
        return None;
    }
    let mut fields = signed.content;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.after;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..5 {
        fields = element(fields)?.after;
    }
    let key = element(fields)?;
    (key.tag == SEQUENCE).then_some(key.whole)
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
    after: &'a [u8],
}

/// One DER element: a tag of one byte, a definite length of at most four bytes, the content.
fn element(input: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some(Element { tag, content, whole: &input[..input.len() - after.len()], after })
}

#[cfg(test)]
mod tests;
