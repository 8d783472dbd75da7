//! Which certificate speaks for us, and under which rules of TLS?
//!
//! Promises: TLS 1.2 and 1.3 by ring, HTTP/1.1 alone by ALPN, no early data; a certificate is taken in only with the
//! key that belongs to it; a new set of certificates replaces the old one whole, while sessions and connections go on.
//!
//! Must not know: sockets and requests.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use zeroize::Zeroizing;

/// A certificate chain and its key, as files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The chain, our own certificate first.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Certificates by the names they are for. The first one answers who asks for no name or an unknown one.
#[derive(Debug, Default)]
pub struct Certificates {
    first: Vec<Arc<CertifiedKey>>,
    named: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// By what follows the `*.`.
    wild: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Reads every pair of files.
    ///
    /// # Errors
    /// Every [`TlsError`] there is.
    pub fn read(files: &[Files]) -> Result<Self, Vec<TlsError>> {
        let mut certificates = Self::default();
        let mut errors = Vec::new();
        for pair in files {
            match certified(pair) {
                Ok(key) => certificates.add(&key),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(certificates) } else { Err(errors) }
    }

    fn add(&mut self, key: &Arc<CertifiedKey>) {
        if self.first.is_empty() {
            self.first.push(Arc::clone(key));
        }
        let Some(own) = key.cert.first() else { return };
        let Ok(own) = webpki::EndEntityCert::try_from(own) else { return };
        for name in own.valid_dns_names() {
            let name = name.to_ascii_lowercase();
            let keys = match name.strip_prefix("*.") {
                Some(below) => self.wild.entry(below.into()).or_default(),
                None => self.named.entry(name.into()).or_default(),
            };
            keys.push(Arc::clone(key));
        }
    }

    /// The certificates for a name in lower case, best first, the default ones last.
    fn candidates<'a>(&'a self, name: Option<&str>) -> impl Iterator<Item = &'a Arc<CertifiedKey>> {
        let own = name.and_then(|name| self.named.get(name));
        let wild = name.and_then(|name| name.split_once('.')).and_then(|(_, below)| self.wild.get(below));
        [own, wild, Some(&self.first)].into_iter().flatten().flatten()
    }

    /// How many names are known, wildcards included.
    #[must_use]
    pub fn names(&self) -> usize {
        self.named.len() + self.wild.len()
    }
}

fn certified(files: &Files) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&contents(&files.certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::Pem(files.certificate.clone()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_slice(&contents(&files.key)?).map_err(|_| TlsError::NoKey(files.key.clone()))?;
    let pair = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() }
        }
        rustls::Error::InvalidCertificate(_) => TlsError::Certificate(files.certificate.clone()),
        _ => TlsError::Key(files.key.clone()),
    })?;
    Ok(Arc::new(pair))
}

fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    std::fs::read(path).map(Zeroizing::new).map_err(|error| TlsError::Read(path.to_owned(), error.kind()))
}

/// Why TLS cannot be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsError {
    /// A file cannot be read.
    Read(PathBuf, io::ErrorKind),
    /// A file is no PEM.
    Pem(PathBuf),
    /// A file holds no certificate.
    NoCertificate(PathBuf),
    /// A file holds no private key.
    NoKey(PathBuf),
    /// A certificate cannot be understood.
    Certificate(PathBuf),
    /// A key is of no kind that can sign.
    Key(PathBuf),
    /// The key belongs to another certificate.
    Mismatch {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The machine gives no randomness for the session tickets.
    Random,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, kind) => write!(f, "{} cannot be read: {kind}", path.display()),
            Self::Pem(path) => write!(f, "{} is not in PEM", path.display()),
            Self::NoCertificate(path) => write!(f, "{} holds no certificate", path.display()),
            Self::NoKey(path) => write!(f, "{} holds no private key", path.display()),
            Self::Certificate(path) => write!(f, "the certificate in {} cannot be understood", path.display()),
            Self::Key(path) => write!(f, "the key in {} is of a kind that cannot be used", path.display()),
            Self::Mismatch { certificate, key } => {
                write!(
                    f,
                    "the key in {} does not belong to the certificate in {}",
                    key.display(),
                    certificate.display()
                )
            }
            Self::Random => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for TlsError {}

/// A listener's side of TLS. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    certificates: Arc<Swap>,
}

impl Tls {
    /// Speaks with these certificates.
    ///
    /// # Errors
    /// [`TlsError::Random`] if no ticket key can be made.
    pub fn new(certificates: Certificates) -> Result<Self, TlsError> {
        let certificates = Arc::new(Swap(ArcSwap::from_pointee(certificates)));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Swap>::clone(&certificates);
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("ring speaks both versions")
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ignore_client_order = true;
        // Sessions are resumed by tickets alone: nothing is kept for them here, and they outlive a change of
        // certificates.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(|_| TlsError::Random)?;
        config.send_tls13_tickets = 1;
        config.max_early_data_size = 0;
        Ok(Self { config: Arc::new(config), certificates })
    }

    /// Puts other certificates in the place of those that spoke so far; connections under way keep theirs.
    pub fn replace(&self, certificates: Certificates) {
        self.certificates.0.store(Arc::new(certificates));
    }

    /// Speaks with the certificates of another one from now on. Tickets stay good: sessions that began before are resumed.
    pub fn adopt(&self, other: &Self) {
        self.certificates.0.store(other.certificates.0.load_full());
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}

struct Swap(ArcSwap<Certificates>);

impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} names", self.0.load().names())
    }
}

impl ResolvesServerCert for Swap {
    /// The first certificate for the name whose key the client can verify; else the first for the name.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let schemes = hello.signature_schemes();
        let mut candidates = certificates.candidates(name.as_deref());
        let suits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        candidates.find(suits).or_else(|| certificates.candidates(name.as_deref()).next()).cloned()
    }
}

#[cfg(test)]
pub(super) mod tests;
