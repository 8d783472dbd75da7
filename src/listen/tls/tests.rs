use rcgen::{CertificateParams, CertifiedKey as Made, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// Makes a certificate for these names, writes it and its key, and tells where.
fn made(room: &TempDir, name: &str, names: &[&str], kind: &'static rcgen::SignatureAlgorithm) -> Files {
    let signing_key = KeyPair::generate_for(kind).unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let cert = CertificateParams::new(names).unwrap().self_signed(&signing_key).unwrap();
    let Made { cert, signing_key } = Made { cert, signing_key };
    let files =
        Files { certificate: room.path().join(format!("{name}.pem")), key: room.path().join(format!("{name}.key")) };
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    files
}

fn der(files: &Files) -> Vec<u8> {
    CertificateDer::from_pem_file(&files.certificate).unwrap().to_vec()
}

/// TLS for `localhost`, for the tests of the listener.
pub(in crate::listen) fn localhost() -> Tls {
    let room = TempDir::new().unwrap();
    let files = made(&room, "localhost", &["localhost"], &PKCS_ECDSA_P256_SHA256);
    Tls::new(Certificates::read(&[files]).unwrap()).unwrap()
}

/// A client that believes everybody, and can verify only these kinds of signature.
#[derive(Debug)]
struct Credulous(Vec<SignatureScheme>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

const BOTH: [SignatureScheme; 2] = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];
const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

pub(in crate::listen) fn client() -> ClientConfig {
    client_with(&VERSIONS, &BOTH, &[])
}

fn client_with(
    versions: &[&'static SupportedProtocolVersion],
    schemes: &[SignatureScheme],
    alpn: &[&[u8]],
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(schemes.to_vec())))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// What a handshake ended with.
#[derive(Debug, PartialEq)]
struct Shaken {
    certificate: Vec<u8>,
    alpn: Option<Vec<u8>>,
    kind: Option<HandshakeKind>,
}

async fn shake(tls: &Tls, client: &Arc<ClientConfig>, name: &str) -> io::Result<Shaken> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::clone(client));
    let (served, connected) = tokio::join!(TlsAcceptor::from(tls.config()).accept(far), connector.connect(name, near));
    drop(served?);
    let mut stream = connected?;
    let connection = stream.get_ref().1;
    let certificate = connection.peer_certificates().map(|chain| chain[0].to_vec()).unwrap_or_default();
    let (alpn, kind) = (connection.alpn_protocol().map(<[u8]>::to_vec), connection.handshake_kind());
    // The session's ticket comes after the handshake.
    drop(stream.read(&mut [0]).await);
    Ok(Shaken { certificate, alpn, kind })
}

#[tokio::test]
async fn the_name_chooses_the_certificate_and_the_first_one_answers_for_the_rest() {
    let room = TempDir::new().unwrap();
    let first = made(&room, "first", &["a.example", "x.b.example"], &PKCS_ECDSA_P256_SHA256);
    let wild = made(&room, "wild", &["*.b.example"], &PKCS_ECDSA_P256_SHA256);
    let second = made(&room, "second", &["c.example", "C2.example"], &PKCS_ECDSA_P256_SHA256);
    let certificates = Certificates::read(&[first.clone(), wild.clone(), second.clone()]).unwrap();
    assert_eq!(certificates.names(), 5);
    let tls = Tls::new(certificates).unwrap();
    let client = Arc::new(client());
    let cases = [
        ("a.example", &first),
        ("x.b.example", &first),
        ("y.b.example", &wild),
        ("z.y.b.example", &first),
        ("b.example", &first),
        ("c.example", &second),
        ("C.example", &second),
        ("c2.example", &second),
        ("unknown.example", &first),
        ("127.0.0.1", &first),
    ];
    for (name, expected) in cases {
        assert_eq!(shake(&tls, &client, name).await.unwrap().certificate, der(expected), "{name}");
    }
    assert_eq!(format!("{:?}", tls.certificates), "5 names");
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_client_gets_one_it_can_verify() {
    let room = TempDir::new().unwrap();
    let curve = made(&room, "curve", &["a.example"], &PKCS_ECDSA_P256_SHA256);
    let edwards = made(&room, "edwards", &["a.example"], &PKCS_ED25519);
    let tls = Tls::new(Certificates::read(&[curve.clone(), edwards.clone()]).unwrap()).unwrap();
    let cases = [
        (&BOTH[..], &curve),
        (&[SignatureScheme::ECDSA_NISTP256_SHA256], &curve),
        (&[SignatureScheme::ED25519], &edwards),
    ];
    for (schemes, expected) in cases {
        let client = Arc::new(client_with(&VERSIONS, schemes, &[]));
        assert_eq!(shake(&tls, &client, "a.example").await.unwrap().certificate, der(expected), "{schemes:?}");
    }
}

#[tokio::test]
async fn speaks_both_versions_and_http_1_1_alone() {
    let tls = localhost();
    for version in VERSIONS {
        let offers: [&[&[u8]]; 3] = [&[], &[b"http/1.1"], &[b"h2", b"http/1.1"]];
        for offered in offers {
            let expected: Option<&[u8]> = offered.last().copied();
            let client = Arc::new(client_with(&[version], &BOTH, offered));
            let shaken = shake(&tls, &client, "localhost").await.unwrap();
            assert_eq!(shaken.alpn.as_deref(), expected, "{version:?} {offered:?}");
        }
        let client = Arc::new(client_with(&[version], &BOTH, &[b"h2"]));
        assert!(shake(&tls, &client, "localhost").await.is_err(), "{version:?}");
    }
}

#[tokio::test]
async fn sessions_outlive_a_change_of_certificates() {
    let room = TempDir::new().unwrap();
    let [before, after] = ["before", "after"].map(|name| made(&room, name, &["a.example"], &PKCS_ECDSA_P256_SHA256));
    for version in VERSIONS {
        let tls = Tls::new(Certificates::read(std::slice::from_ref(&before)).unwrap()).unwrap();
        let client = Arc::new(client_with(&[version], &BOTH, &[]));
        let first = shake(&tls, &client, "a.example").await.unwrap();
        assert_eq!((first.kind, first.certificate), (Some(HandshakeKind::Full), der(&before)));
        tls.replace(Certificates::read(std::slice::from_ref(&after)).unwrap());
        let again = shake(&tls, &client, "a.example").await.unwrap();
        assert_eq!(again.kind, Some(HandshakeKind::Resumed), "{version:?}");
        let stranger = Arc::new(client_with(&[version], &BOTH, &[]));
        assert_eq!(shake(&tls, &stranger, "a.example").await.unwrap().certificate, der(&after));
    }
}

#[test]
fn what_cannot_be_used_is_named_and_all_of_it_at_once() {
    let room = TempDir::new().unwrap();
    let good = made(&room, "good", &["a.example"], &PKCS_ECDSA_P256_SHA256);
    let other = made(&room, "other", &["a.example"], &PKCS_ECDSA_P256_SHA256);
    let file = |name: &str, text: &str| {
        let path = room.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let pem = |kind: &str, body: &str| format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
    let absent = room.path().join("absent");
    let empty = file("empty", "");
    let torn = file("torn", "-----BEGIN CERTIFICATE-----\nMIIB");
    let nonsense = file("nonsense", &pem("CERTIFICATE", "AAAA"));
    let no_key = file("no-key", &pem("PRIVATE KEY", "AAAA"));
    let with = |certificate: &PathBuf, key: &PathBuf| Files { certificate: certificate.clone(), key: key.clone() };
    let cases = [
        (with(&absent, &good.key), TlsError::Read(absent.clone(), io::ErrorKind::NotFound)),
        (with(&good.certificate, &absent), TlsError::Read(absent.clone(), io::ErrorKind::NotFound)),
        (with(&empty, &good.key), TlsError::NoCertificate(empty.clone())),
        (with(&good.key, &good.key), TlsError::NoCertificate(good.key.clone())),
        (with(&torn, &good.key), TlsError::Pem(torn.clone())),
        (with(&nonsense, &good.key), TlsError::Certificate(nonsense.clone())),
        (with(&good.certificate, &empty), TlsError::NoKey(empty.clone())),
        (with(&good.certificate, &good.certificate), TlsError::NoKey(good.certificate.clone())),
        (with(&good.certificate, &no_key), TlsError::Key(no_key.clone())),
        (
            with(&good.certificate, &other.key),
            TlsError::Mismatch { certificate: good.certificate.clone(), key: other.key },
        ),
    ];
    let (files, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    assert_eq!(Certificates::read(&files).unwrap_err(), expected);
    for error in expected.iter().chain([&TlsError::Random]) {
        assert!(!error.to_string().is_empty());
    }
    assert!(Certificates::read(&[good]).is_ok());
}
