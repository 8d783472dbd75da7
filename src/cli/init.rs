//! How does somebody begin?
//!
//! Promises: nothing that exists is overwritten, and where something goes wrong nothing stays behind; what was written is
//! a configuration that works, but for secrets that only the provider can give, and those are named; files that hold
//! secrets are for their owner alone.
//!
//! Must not know: how anything is proven; it asks the provider file.

mod plan;
mod written;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use http::Uri;
use serde_json::json;

use self::plan::Plan;
use self::written::Written;
use super::{Failure, Output};
use crate::config::provider::{NAMES, Provider, built_in};
use crate::config::{self, Report};

/// What a first configuration is to hold.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Who sends; an unknown name lists those that are known
    #[arg(long, value_name = "NAME", value_parser = provider)]
    provider: String,
    /// Where events go; may be repeated
    #[arg(long, value_name = "URL", required = true, value_parser = destination)]
    to: Vec<Uri>,
    /// The address at which the provider reaches this machine, such as <https://hooks.example.com>
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The directory to write to, made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where to listen, without TLS for a first try
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to tell figures
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9600")]
    metrics: SocketAddr,
    /// What the provider file asks for by name, such as signature=header:x-signature; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = value)]
    value: Vec<(String, String)>,
    /// For people, or for machines
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

fn provider(text: &str) -> Result<String, String> {
    if NAMES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("the names are {}; any sender that signs with an HMAC is `hmac`", NAMES.join(", ")))
}

fn destination(text: &str) -> Result<Uri, String> {
    let uri = text.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    uri.filter(|uri| uri.host().is_some()).ok_or_else(|| "such as https://crm.example.com/hooks".to_owned())
}

fn value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=TEXT")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Writes a first configuration, and says what to do with it.
///
/// # Errors
///
/// What is there already, what the provider asks for and was not said, or what cannot be written.
pub(super) fn run(arguments: &Init, out: &mut impl Write) -> Result<(), Failure> {
    let name = arguments.provider.as_str();
    let text = built_in(name).ok_or_else(|| Failure::Run(format!("there is no provider `{name}`")))?;
    let provider =
        Provider::parse(name, text).map_err(|_| Failure::Run(format!("the provider file `{name}` cannot be read")))?;
    let plan = Plan::new(arguments, &provider).map_err(Failure::Run)?;
    let written = Written::all(&arguments.dir, &plan.files).map_err(Failure::Run)?;
    let path = arguments.dir.join(plan::FILE);
    if let Err(report) = config::load(&path)
        && !only_secrets_are_missing(&report, &plan)
    {
        drop(written);
        return Err(Failure::Config(report));
    }
    written.keep();
    match arguments.output {
        Output::Text => text_of(arguments, &provider, &plan, out)?,
        Output::Json => json_of(arguments, &plan, out)?,
    }
    Ok(())
}

/// Whether nothing is wrong but the secrets that the provider gives.
fn only_secrets_are_missing(report: &Report, plan: &Plan) -> bool {
    let empty = report.problems().iter().filter(|problem| problem.title() == "secret is empty").count();
    empty == report.problems().len() && empty == plan.to_fill.len()
}

fn text_of(arguments: &Init, provider: &Provider, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let title = &provider.facts().title;
    writeln!(out, "Written to {}", arguments.dir.display())?;
    for file in &plan.files {
        writeln!(out, "  {:<32} {}", file.name, file.about)?;
    }
    writeln!(out, "\nAt {title}")?;
    writeln!(out, "  paste this URL into {}:", plan.paste)?;
    writeln!(out, "    {}", plan.url)?;
    if arguments.public_url.is_none() {
        writeln!(out, "  with the address at which {title} reaches this machine in place of {}", plan::YOURS)?;
    }
    for secret in &plan.secrets {
        let path = arguments.dir.join(&secret.file);
        writeln!(out, "  paste what `cat {}` prints into {}", path.display(), secret.place)?;
    }
    if !plan.to_fill.is_empty() {
        writeln!(out, "\nTo be filled in")?;
    }
    for secret in &plan.to_fill {
        let path = arguments.dir.join(&secret.file);
        writeln!(out, "  {}: {}", secret.place, path.display())?;
        writeln!(out, "    cat > {}      (paste it, press Enter, then Ctrl-D)", path.display())?;
    }
    writeln!(out, "\nNext\n  porteiro check -c {}", arguments.dir.join(plan::FILE).display())
}

fn json_of(arguments: &Init, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let secret = |secret: &plan::Secret| json!({ "file": arguments.dir.join(&secret.file).display().to_string(), "where": secret.place });
    let told = json!({
        "ok": true,
        "configuration": arguments.dir.join(plan::FILE).display().to_string(),
        "files": plan.files.iter().map(|file| arguments.dir.join(&file.name).display().to_string()).collect::<Vec<_>>(),
        "url": plan.url,
        "paste_url_into": plan.paste,
        "made": plan.secrets.iter().map(secret).collect::<Vec<_>>(),
        "to_fill": plan.to_fill.iter().map(secret).collect::<Vec<_>>(),
    });
    writeln!(out, "{told:#}")
}

#[cfg(test)]
mod tests;
