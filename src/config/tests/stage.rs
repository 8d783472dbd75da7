//! What the configurations under test stand on: files with the rights they name, and an environment of their own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::inventory::Asked;
use crate::config::secrets::Outside;
use crate::config::{Config, Environment, Report, of_text};

/// Where the configurations under test are.
pub(crate) fn cases(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(kind)
}

/// The `.toml` files of a directory, in the order of their names.
pub(crate) fn configurations(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    found.sort();
    found
}

/// A directory with secrets, certificates and provider files, good ones and bad ones.
pub(crate) struct Stage(tempfile::TempDir);

impl Stage {
    pub(crate) fn set() -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        for (name, mode, bytes) in [
            ("secrets/good", 0o600, b"open-sesame-open-sesame\n" as &[u8]),
            ("secrets/group", 0o640, b"open-sesame-open-sesame"),
            ("secrets/crlf", 0o400, b"open-sesame-open-sesame\r\n"),
            ("secrets/world", 0o644, b"open-sesame-open-sesame"),
            ("secrets/scribble", 0o602, b"open-sesame-open-sesame"),
            ("secrets/empty", 0o600, b""),
            ("secrets/newline", 0o600, b"\n"),
            ("secrets/blank", 0o600, b"open-sesame-open-sesame \n"),
            ("secrets/two-lines", 0o600, b"open-sesame-open-sesame\n\n"),
            ("secrets/large", 0o600, &[b'x'; 17 << 10]),
            ("secrets/control", 0o600, b"open\x01sesame"),
            ("tls/nonsense.pem", 0o600, b"nothing of the kind"),
            ("secrets/whsec", 0o600, b"whsec_b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU=\n"),
            ("secrets/many-lines", 0o600, &b"open-sesame-open-sesame\n".repeat(9)),
            ("lists/office.txt", 0o644, b"# date: 2026-11-01\n192.0.2.0/24\n2001:db8::/32 # the branch\n"),
            (
                "lists/broken.txt",
                0o644,
                b"# date: soon\n192.0.2.1/24\n192.0.2.0/33\n\n10.0.0.1\n10.0.0.1\nopen-sesame\n",
            ),
            ("lists/empty.txt", 0o644, b"# nobody\n\n"),
            ("lists/everybody-writes.txt", 0o666, b"192.0.2.1\n"),
            ("providers/not-toml.toml", 0o644, b"title = \n"),
        ] {
            stage.write(name, mode, bytes);
        }
        for name in ["one", "two"] {
            let made = rcgen::generate_simple_self_signed(vec!["hooks.example.com".to_owned()]).unwrap();
            stage.write(&format!("tls/{name}.pem"), 0o644, made.cert.pem().as_bytes());
            stage.write(&format!("tls/{name}.key"), 0o600, made.signing_key.serialize_pem().as_bytes());
            stage.write(&format!("tls/{name}-world.key"), 0o644, made.signing_key.serialize_pem().as_bytes());
        }
        for provider in configurations(&cases("providers")) {
            let name = provider.file_name().unwrap().to_str().unwrap();
            stage.write(&format!("providers/{name}"), 0o644, &fs::read(&provider).unwrap());
        }
        for tenants in configurations(&cases("tenants-bad.d")) {
            let name = tenants.file_name().unwrap().to_str().unwrap();
            stage.write(&format!("tenants-bad.d/{name}"), 0o644, &fs::read(&tenants).unwrap());
        }
        stage
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, mode: u32, bytes: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Builds a text as if it stood on the stage under this name.
    pub(crate) fn build(&self, name: &str, text: &str) -> Result<Config, Report> {
        self.build_where(name, text, u64::MAX, "")
    }

    /// Where the system allows so many open files, and knows these hosts.
    pub(crate) fn build_where(&self, name: &str, text: &str, files: u64, hosts: &str) -> Result<Config, Report> {
        let environment = |name: &str| match name {
            "GOOD" | "META_APP_SECRET" | "CRM_API_KEY" => Some(OsString::from("open-sesame-open-sesame")),
            "EMPTY" => Some(OsString::new()),
            _ => None,
        };
        let (hosts, asked) = (|| hosts.to_owned(), Asked::default());
        let environment = Environment::new(&environment).with_files(files).with_hosts(&hosts);
        let outside = Outside { base: self.path(), environment, asked: &asked };
        of_text(Path::new(name), text, outside)
    }
}

/// A configuration to which nothing has to be added; it has a line for every section that a test may change.
pub(crate) const WELL: &str = r#"format = 1

[listen.public]
address = "127.0.0.1:8443"

[journal]
directory = "/nonexistent/porteiro"

[source.github]
on = ["public"]
path = "/github"
provider = "github"
secrets = [{ file = "secrets/good" }]

[destination.crm]
url = "http://127.0.0.1:9001/hooks"

[[route]]
from = ["github"]
to = ["crm"]
"#;
