//! What stands in a first configuration?
//!
//! Promises: every secret that the operator chooses is made here, 32 random bytes each; every one that the provider gives
//! has an empty file, and a word on where to get it; the text is one that `check` takes.
//!
//! Must not know: where it is written.

use http::Uri;

use super::Init;
use super::written::File;
use crate::clock::Clock;
use crate::config::provider::{Ask, Kind, Provider};
use crate::config::{is_list, schema};
use crate::verify;

/// The name of the configuration.
pub(super) const FILE: &str = "porteiro.toml";
/// The name of the schema beside it.
const SCHEMA: &str = "porteiro.schema.json";
/// What stands for the public address where none was said.
pub(super) const YOURS: &str = "https://YOUR-ADDRESS";
/// The directory of the control socket, which nobody else may write to.
const RUN: &str = "run/";
/// Longest path of a directory in which the control socket surely fits.
const DIRECTORY_MAX: usize = 80;
/// Longest name of a destination that is made of its host.
const NAME_MAX: usize = 56;

/// A file with a secret, and where its text belongs or comes from.
pub(super) struct Secret {
    pub(super) file: String,
    pub(super) place: String,
}

/// All that is to be written and told.
pub(super) struct Plan {
    pub(super) files: Vec<File>,
    /// What is pasted at the provider; holds the token where one stands in the path.
    pub(super) url: String,
    /// Where the URL goes.
    pub(super) paste: String,
    /// Secrets that were made, and go to the provider.
    pub(super) secrets: Vec<Secret>,
    /// Secrets that the provider gives.
    pub(super) to_fill: Vec<Secret>,
}

impl Plan {
    /// Plans a configuration for this provider.
    pub(super) fn new(arguments: &Init, provider: &Provider) -> Result<Self, String> {
        let name = provider.name();
        asked(arguments, provider)?;
        let mut plan = Self {
            files: Vec::new(),
            url: String::new(),
            paste: provider.facts().setup.url.clone().unwrap_or_else(|| "its settings".to_owned()),
            secrets: Vec::new(),
            to_fill: Vec::new(),
        };
        let mut section = String::new();
        let mut path = format!("/{name}");
        let mut shown = path.clone();
        let in_path = arguments.value.iter().find_map(|(_, text)| text.strip_prefix("path:"));
        if provider.leaves_proof() {
            let file = format!("secrets/{name}-token");
            shown = format!("{path}/{}", plan.make(&file, "a token that stands in the URL, made just now"));
            path.push_str("/{token}");
            section.push_str(&format!(
                "# Nothing is signed, so the URL holds a token; it is cut out before the event is stored and forwarded.\n\
                 proof = {{ token = {{ file = \"{file}\" }} }}\n"
            ));
            if is_list(name) {
                section.push_str(&format!(
                    "# Once live, ask for the provider's own addresses, too (behind a proxy that needs `trusted-hops`):\n\
                     # proof = {{ token = {{ file = \"{file}\" }}, addresses = \"{name}\" }}\n"
                ));
            }
        } else if provider.uses_secrets() {
            section.push_str(&plan.secret(provider, in_path, &mut path, &mut shown));
        }
        section.push_str(&plan.values(arguments, provider));
        plan.url = format!("{}{shown}", arguments.public_url.as_deref().unwrap_or(YOURS).trim_end_matches('/'));
        let text = text(arguments, provider, &path, &section);
        let file = File { name: FILE.to_owned(), bytes: text.into_bytes(), secret: false, about: "the configuration" };
        plan.files.insert(0, file);
        let bytes = format!("{:#}\n", schema::schema()).into_bytes();
        let about = "what editors complete keys by";
        plan.files.push(File { name: SCHEMA.to_owned(), bytes, secret: false, about });
        if has_control(arguments) {
            let name = RUN.to_owned();
            plan.files.push(File { name, bytes: Vec::new(), secret: true, about: "for the control socket" });
        }
        Ok(plan)
    }

    /// The source's own secret: made here, or to be filled in.
    fn secret(&mut self, provider: &Provider, in_path: Option<&str>, path: &mut String, shown: &mut String) -> String {
        let (name, setup) = (provider.name(), &provider.facts().setup);
        let file = format!("secrets/{name}");
        let place = setup.secret.clone().unwrap_or_else(|| "the provider's settings".to_owned());
        let line = format!("secrets = [{{ file = \"{file}\" }}]\n");
        if let Some(capture) = in_path {
            let token = self.make(&file, "a token that stands in the URL, made just now");
            *shown = format!("{path}/{token}");
            path.push_str(&format!("/{{{capture}}}"));
            return format!("# The token that stands in the URL.\n{line}");
        }
        if setup.chosen {
            self.make(&file, "a secret, made just now");
            self.secrets.push(Secret { file, place: place.clone() });
            return format!("# Goes to {place}.\n{line}");
        }
        let about = "empty, for the secret that the provider gives";
        self.files.push(File { name: file.clone(), bytes: Vec::new(), secret: true, about });
        self.to_fill.push(Secret { file, place: place.clone() });
        format!("# Stands at {place}.\n{line}")
    }

    /// What the provider file asks for by name.
    fn values(&mut self, arguments: &Init, provider: &Provider) -> String {
        let mut lines = Vec::new();
        for ask in provider.asks() {
            let said = arguments.value.iter().find(|(name, _)| *name == ask.name);
            match (said, ask.kind) {
                (Some((name, text)), _) => lines.push(format!("{name} = {}", quoted(text))),
                (None, Kind::Secret) if ask.required => {
                    let file = format!("secrets/{}-{}", provider.name(), ask.name);
                    self.make(&file, "a token, made just now");
                    lines.push(format!("{} = {{ file = \"{file}\" }}", ask.name));
                    self.secrets.push(Secret { file, place: ask.about.clone() });
                }
                _ => {}
            }
        }
        if lines.is_empty() { String::new() } else { format!("values = {{ {} }}\n", lines.join(", ")) }
    }

    /// Makes a secret and its file; answers with its text.
    fn make(&mut self, file: &str, about: &'static str) -> String {
        let mut bytes = [0; 32];
        verify::random(&mut bytes);
        let text = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        self.files.push(File { name: file.to_owned(), bytes: format!("{text}\n").into_bytes(), secret: true, about });
        text
    }
}

/// What the provider asks for must have been said, and nothing else.
fn asked(arguments: &Init, provider: &Provider) -> Result<(), String> {
    let name = provider.name();
    let texts = || provider.asks().iter().filter(|ask| ask.kind == Kind::Text);
    if let Some((said, _)) = arguments.value.iter().find(|(said, _)| texts().all(|ask| ask.name != *said)) {
        let known: Vec<&str> = texts().map(|ask| &*ask.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(format!("provider `{name}` asks for no text `{said}`; it asks for {known}"));
    }
    let missing = |ask: &&Ask| ask.required && arguments.value.iter().all(|(said, _)| *said != ask.name);
    if let Some(ask) = texts().find(missing) {
        return Err(format!("provider `{name}` asks for {}: say --value {}=TEXT", ask.about, ask.name));
    }
    if provider.signs_url() && arguments.public_url.is_none() {
        let title = &provider.facts().title;
        return Err(format!(
            "{title} signs the URL that it was given: say --public-url https://HOST, the address at which it reaches this \
             machine (on this machine alone any will do)"
        ));
    }
    Ok(())
}

/// The configuration.
fn text(arguments: &Init, provider: &Provider, path: &str, section: &str) -> String {
    let (name, title) = (provider.name(), &provider.facts().title);
    let names = names(&arguments.to);
    let list = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "#:schema {SCHEMA}\n\
         # Porteiro: webhooks of {title}, carried to {}.\n\
         # `porteiro check` says what all of it means; `porteiro check --effective` shows every key with its default.\n\
         format = 1\n\n{}",
        names.join(", "),
        entrance(arguments)
    );
    text.push_str(&format!(
        "\n[source.{name}]\non = [\"public\"]\n# The path that {title} calls.\npath = \"{path}\"\nprovider = \"{name}\"\n{section}\
         # To try it beside what is in use: all is done and counted, and nothing stored or sent.\n# mode = \"observe\"\n\
         # Silence for longer than this is an alarm.\n# expect-every = \"15m\"\n"
    ));
    for (name, url) in names.iter().zip(&arguments.to) {
        text.push_str(&format!(
            "\n[destination.{name}]\nurl = {}\n# How long an attempt may take.\ndeadline = \"30s\"\n\
             # How long what it has not taken is kept for it.\nbacklog = {{ age = \"72h\" }}\n",
            quoted(&url.to_string())
        ));
    }
    text.push_str(&format!(
        "\n# Who hears what. Each destination gets every event, at its own pace.\n[[route]]\nname = \"all\"\nfrom = [\"{name}\"]\n\
         to = [{list}]\n"
    ));
    let (headers, body) = provider.facts().sample.fill(Clock::system().now());
    let headers =
        headers.iter().map(|(name, value)| format!("{name} = {}", quoted(value.to_str().unwrap_or_default())));
    text.push_str(&format!(
        "\n# Tried by `porteiro check`.\n[[test]]\nname = \"an event goes everywhere\"\n\n[test.request]\nsource = \"{name}\"\n\
         headers = {{ {} }}\nbody = {}\n\n[test.expect]\nroute = \"all\"\nto = [{list}]\n",
        headers.collect::<Vec<_>>().join(", "),
        quoted(&String::from_utf8_lossy(&body))
    ));
    text
}

/// Whether the path of the control socket is short enough for one.
fn has_control(arguments: &Init) -> bool {
    arguments.dir.as_os_str().len() <= DIRECTORY_MAX
}

/// Listener, metrics, control socket and journal.
fn entrance(arguments: &Init) -> String {
    let public = arguments.public_url.as_deref();
    let public_url = match public {
        Some(url) => format!("public-url = {}\n", quoted(url)),
        None => "# public-url = \"https://hooks.example.com\"\n".to_owned(),
    };
    let sign = if has_control(arguments) { "" } else { "# " };
    format!(
        "[listen.public]\n\
         # For a first try without TLS, for this machine alone.\n\
         address = \"{}\"\n\
         # The address that the provider was given.\n\
         {public_url}\
         # To go live, listen where the world comes in, with a certificate:\n\
         # address = \"[::]:8443\"\n\
         # tls = [{{ certificate = \"tls/fullchain.pem\", key = \"tls/key.pem\" }}]\n\
         # Or stay here behind a proxy that speaks TLS, and name it, so that it is believed for whom it forwards:\n\
         # trusted-hops = [\"127.0.0.1\"]\n\
         \n\
         # Read only: /metrics, /-/healthy, /-/ready.\n\
         [metrics]\n\
         address = \"{}\"\n\
         \n\
         # Where a running Porteiro is told to take in a changed configuration: `porteiro reload`.\n\
         {sign}[control]\n\
         {sign}socket = \"{RUN}control.sock\"\n\
         \n\
         # Where events are kept until every destination has them.\n\
         [journal]\n\
         directory = \"journal\"\n\
         # All that it may take on disk.\n\
         size = \"2GiB\"\n",
        arguments.listen, arguments.metrics
    )
}

/// A name for each destination, made of its host.
fn names(to: &[Uri]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for uri in to {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let word: String = host.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' }).collect();
        let word: String = word.trim_matches('-').chars().take(NAME_MAX).collect();
        let word = if word.is_empty() { "destination".to_owned() } else { word };
        let again = (2..).map(|number| format!("{word}-{number}"));
        let name = std::iter::once(word.clone()).chain(again).find(|name| !names.contains(name));
        names.extend(name);
    }
    names
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    if !text.contains(['\'', '\n', '\r', '\t']) && text.contains(['"', '\\']) && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    serde_json::Value::from(text).to_string()
}
