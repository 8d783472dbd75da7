//! What does the demonstration stand on? A directory of its own, a certificate made just now, ports that are free.
//!
//! Promises: nothing is written outside the directory, nobody else can read it, and it is gone when the stage is.
//!
//! Must not know: the server, the events.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use crate::verify;

/// The configuration that a reader can look at, and the one that runs: only ports that are taken are replaced.
const CONFIGURATION: &str = include_str!("../../../config/demo.toml");

/// The addresses that `config/demo.toml` names, by what stands there.
const HTTPS: &str = "127.0.0.1:8443";
const METRICS: &str = "127.0.0.1:9600";
const DESTINATIONS: [&str; 2] = ["127.0.0.1:9001", "127.0.0.1:9002"];

/// A directory with everything the server needs.
pub(super) struct Stage {
    directory: PathBuf,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) https: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) destinations: [SocketAddr; 2],
}

impl Stage {
    /// Writes configuration, certificate and secrets.
    pub(super) fn set() -> io::Result<Self> {
        let mut random = [0; 8];
        verify::random(&mut random);
        let directory = std::env::temp_dir().join(format!("porteiro-demo-{:016x}", u64::from_ne_bytes(random)));
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .map_err(io::Error::other)?;
        let mut configuration = CONFIGURATION.to_owned();
        let mut place = |named: &str| -> io::Result<SocketAddr> {
            let address = free(named)?;
            configuration = configuration.replace(named, &address.to_string());
            Ok(address)
        };
        let stage = Self {
            https: place(HTTPS)?,
            metrics: place(METRICS)?,
            destinations: [place(DESTINATIONS[0])?, place(DESTINATIONS[1])?],
            certificate: made.cert.der().clone(),
            directory,
        };
        stage.write("demo.toml", configuration.as_bytes())?;
        stage.write("certificate.pem", made.cert.pem().as_bytes())?;
        stage.write("key.pem", made.signing_key.serialize_pem().as_bytes())?;
        for name in ["meta-app", "meta-verify-token", "github", "stripe"] {
            let mut bytes = [0; 16];
            verify::random(&mut bytes);
            let text = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            stage.write(&format!("{name}.secret"), text.as_bytes())?;
        }
        Ok(stage)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(name))?;
        io::Write::write_all(&mut file, bytes)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's directory for temporary files and goes with it.
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// The named address if nobody has it, else one on a free port.
fn free(named: &str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(named).or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    listener.local_addr()
}
