//! Where does key material come from?
//!
//! Promises: a secret is taken from a file that not everybody can read, or from the environment; it is never empty, and
//! a blank that an editor left at its end is a problem now rather than a failed verification later; nothing of it
//! stands in a problem.
//!
//! Must not know: what a secret opens.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::secret::Secret;
use crate::verify::digest;

use super::inventory::Asked;
use super::problem::{Problems, Span};
use super::said::{At, SecretRef};

/// Largest secret, in bytes: more than any key of the trade, and less than a file named by mistake.
const SECRET_MAX: u64 = 16 << 10;

/// How much of the list of hosts is read.
const HOSTS_MAX: u64 = 1 << 20;

/// Why a file or a variable was not looked at.
const NOT_HERE: &str = "it is not here, and taken for right";

/// What the process finds around it.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    files_max: Option<u64>,
    hosts: &'a dyn Fn() -> String,
    elsewhere: bool,
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}

impl<'a> Environment<'a> {
    /// Looks variables up by this function, and has no limits.
    #[must_use]
    pub const fn new(variable: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { variable, files_max: None, hosts: &String::new, elsewhere: false }
    }

    /// Allows so many open files.
    #[must_use]
    pub const fn with_files(self, most: u64) -> Self {
        Self { files_max: Some(most), ..self }
    }

    /// Knows the hosts of a text such as `/etc/hosts`.
    #[must_use]
    pub const fn with_hosts(self, hosts: &'a dyn Fn() -> String) -> Self {
        Self { hosts, ..self }
    }

    /// Is not the machine on which Porteiro will run: what a file or a variable holds that is not here is taken for right,
    /// and nothing is asked of the machine itself.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        Self { files_max: None, hosts: &String::new, elsewhere: true, ..self }
    }

    /// Whether Porteiro will run on another machine.
    #[must_use]
    pub const fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// The hosts that the machine knows by itself, as in `/etc/hosts`.
    #[must_use]
    pub fn hosts(&self) -> String {
        (self.hosts)()
    }

    /// How many files may be open, where that is limited.
    #[must_use]
    pub const fn files_max(&self) -> Option<u64> {
        self.files_max
    }
}

impl Environment<'static> {
    /// The environment of this process; of its limits those to which it may raise itself.
    #[must_use]
    pub fn process() -> Self {
        let files_max = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        Self { variable: &|name| std::env::var_os(name), files_max, hosts: &read_hosts, elsewhere: false }
    }
}

/// The machine's own list of hosts; empty if it cannot be read.
fn read_hosts() -> String {
    let mut text = Vec::new();
    let read = fs::File::open("/etc/hosts").and_then(|file| file.take(HOSTS_MAX).read_to_end(&mut text));
    read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&text).into_owned())
}

/// What secrets and files are relative to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside<'a> {
    /// The directory of the configuration file.
    pub(crate) base: &'a Path,
    /// Where environment variables are looked up.
    pub(crate) environment: Environment<'a>,
    /// Notes the files that are asked for.
    pub(crate) asked: &'a Asked,
}

impl Outside<'_> {
    /// A path of the text, relative to the configuration file.
    pub(crate) fn join(&self, said: &str) -> PathBuf {
        self.base.join(said)
    }

    /// The path of a file of the text that is to be read now, and again when it changes.
    pub(crate) fn path(&self, said: &str) -> PathBuf {
        let path = self.join(said);
        self.asked.note(said, &path);
        path
    }

    /// Whether a file that the text names is only where Porteiro runs, and need not be here.
    pub(crate) fn lacks(&self, said: &str) -> bool {
        let lacking = self.environment.elsewhere && !said.is_empty() && fs::File::open(self.path(said)).is_err();
        if lacking {
            self.asked.unchecked(format!("file {said}"), NOT_HERE);
        }
        lacking
    }

    /// Whether a certificate or its key is only where Porteiro runs: the other one is then not looked at either.
    pub(crate) fn lacks_of_pair(&self, certificate: &str, key: &str) -> bool {
        let lacking = [certificate, key].map(|said| self.lacks(said));
        for (said, other) in [(certificate, lacking == [false, true]), (key, lacking == [true, false])] {
            if other {
                self.asked
                    .unchecked(format!("file {said}"), "what it belongs to is not here, and it is taken for right");
            }
        }
        lacking.contains(&true)
    }

    /// Whether a secret is only where Porteiro runs, and need not be here.
    pub(crate) fn lacks_secret(&self, said: &SecretRef) -> bool {
        match (&said.file, &said.env) {
            (Some(file), None) => self.lacks(&file.value),
            (None, Some(name)) => {
                let lacking = self.environment.elsewhere
                    && !name.value.is_empty()
                    && (self.environment.variable)(&name.value).is_none();
                if lacking {
                    self.asked.unchecked(format!("variable {}", name.value), NOT_HERE);
                }
                lacking
            }
            _ => false,
        }
    }

    /// Resolves a secret, or says why it cannot be.
    pub(crate) fn secret(&self, said: &At<SecretRef>, problems: &mut Problems) -> Option<Secret> {
        self.secret_at(&said.value, &said.span, problems)
    }

    /// Resolves a secret that stands at `span`, or says why it cannot be.
    pub(crate) fn secret_at(&self, said: &SecretRef, span: &Span, problems: &mut Problems) -> Option<Secret> {
        if self.lacks_secret(said) {
            return Some(stand_in(said));
        }
        match (&said.file, &said.env) {
            (Some(file), None) => self.of_file(file, problems),
            (None, Some(name)) => self.of_environment(name, problems),
            (None, None) if problems.inside(span) => None,
            (None, None) => {
                problems
                    .at(span.clone(), "a secret needs its place")
                    .help("write { file = \"PATH\" } or { env = \"NAME\" }");
                None
            }
            (Some(file), Some(name)) => {
                problems
                    .at(file.span.clone(), "a secret has two places")
                    .also(name.span.clone(), "and here")
                    .help("keep `file` or `env`, not both");
                None
            }
        }
    }

    fn of_file(&self, said: &At<String>, problems: &mut Problems) -> Option<Secret> {
        let bytes = match read_secret(&self.path(&said.value)) {
            Ok(bytes) => bytes,
            Err((what, help)) => {
                let problem = problems.at(said.span.clone(), "secret file cannot be used");
                problem.label(what);
                if let Some(help) = help {
                    problem.help(help);
                }
                return None;
            }
        };
        accept(bytes, "the file", &said.span, problems)
    }

    fn of_environment(&self, said: &At<String>, problems: &mut Problems) -> Option<Secret> {
        let Some(value) = (self.environment.variable)(&said.value) else {
            problems
                .at(said.span.clone(), "secret cannot be found in the environment")
                .label("this variable is not set")
                .help("set it where Porteiro is started, or name a file with { file = \"PATH\" }");
            return None;
        };
        accept(value.into_vec(), "the variable", &said.span, problems)
    }
}

/// What stands in for a secret that is not here: hex digits, which are base64, too, and others for each place.
fn stand_in(said: &SecretRef) -> Secret {
    let text = |place: &Option<At<String>>| place.as_ref().map_or_else(String::new, |place| place.value.clone());
    let place = format!("{}\0{}", text(&said.file), text(&said.env));
    let digits = digest(&[place.as_bytes()]).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Secret::new(digits.into_bytes())
}

/// Reads the file; the error is what stands beside it, and what to do.
fn read_secret(path: &Path) -> Result<Vec<u8>, (String, Option<String>)> {
    let mut file = fs::File::open(path).map_err(|error| (cause(&error), None))?;
    let metadata = file.metadata().map_err(|error| (cause(&error), None))?;
    if !metadata.is_file() {
        return Err(("this is no file".into(), None));
    }
    if let Some((mode, can)) = open_to_all(&metadata) {
        let help = "take the rights of others away, for example with `chmod 640` or `chmod 600`";
        return Err((format!("everybody on this machine can {can} it (mode {mode:03o})"), Some(help.into())));
    }
    let mut bytes = Vec::new();
    let read = file.by_ref().take(SECRET_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| (cause(&error), None))?;
    if bytes.len() as u64 > SECRET_MAX {
        return Err(("a secret has at most 16KiB; is this the right file?".into(), None));
    }
    Ok(bytes)
}

/// The mode of a file that everybody on this machine can read or write, and which of them; `None` for any other.
pub(crate) fn everybody(path: &Path) -> Option<(u32, &'static str)> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).and_then(|metadata| open_to_all(&metadata))
}

fn open_to_all(metadata: &fs::Metadata) -> Option<(u32, &'static str)> {
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o006 != 0).then_some((mode, if mode & 0o002 != 0 { "write" } else { "read" }))
}

/// Takes one trailing newline away, and refuses what is left if it is empty or has blanks around it.
fn accept(mut bytes: Vec<u8>, place: &str, span: &Span, problems: &mut Problems) -> Option<Secret> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    let blank = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    if bytes.is_empty() {
        problems.at(span.clone(), "secret is empty").label(format!("{place} holds nothing"));
        return None;
    }
    if blank(bytes.first()) || blank(bytes.last()) {
        problems
            .at(span.clone(), "secret has blanks around it")
            .label(format!("{place} begins or ends with white space"))
            .note("one newline at the end is taken away, as editors add it; anything more would be part of the secret");
        return None;
    }
    Some(Secret::new(bytes))
}

/// Why a file cannot be read, without its name.
pub(crate) fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "Porteiro may not read it".into(),
        _ => error.to_string(),
    }
}
