//! What was asked of `check`?
//!
//! Promises: the exit code says which of the answers it is, where there are several.
//!
//! Must not know: how a configuration is shown.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::super::{Failure, File, Output, colour, explain};
use crate::config::ceiling::Load;
use crate::config::{self, Changes, Config, Environment, Report, effective};

/// A reload applies all that is different.
const EXIT_RELOAD: u8 = 10;
/// Something of what is different needs a restart.
const EXIT_RESTART: u8 = 11;

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    file: File,
    /// For people, or for machines
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Events in a second, for how long an outage the disk holds
    #[arg(long, value_name = "N/s", value_parser = config::rate_of, default_value = "100/s")]
    rate: config::Rate,
    /// Size of a body, for how long an outage the disk holds
    #[arg(long, value_name = "SIZE", value_parser = config::size_of, default_value = "2KiB")]
    event_size: u64,
    /// On another machine than the one it is for: files and variables that are not here (secrets, keys, certificates,
    /// lists of addresses) are taken for right and named under `Not checked here`, and this machine is asked nothing
    #[arg(long)]
    offline: bool,
    /// Print the configuration with every default, as TOML that builds the same in the same directory
    #[arg(long, conflicts_with_all = ["explain", "against"])]
    effective: bool,
    /// Say what a reload from that configuration to this one would change
    #[arg(long, value_name = "OLD", conflicts_with = "explain")]
    against: Option<PathBuf>,
    #[command(flatten)]
    explain: explain::Explain,
}

/// Checks a configuration, and answers what was asked of it.
///
/// # Errors
///
/// Every problem of the configuration, a test of it that fails, or an answer that is an exit code.
pub(in crate::cli) fn run(arguments: &Check, out: &mut impl Write) -> Result<(), Failure> {
    let refused = |report: Report, out: &mut _| match arguments.output {
        Output::Text => Failure::Config(report),
        Output::Json => super::problems(&report, out).map_or_else(Failure::Print, |()| Failure::Told),
    };
    let load = |path: &Path| {
        let here = Environment::process();
        config::load_with(path, if arguments.offline { here.elsewhere() } else { here })
    };
    let config = load(&arguments.file.config).map_err(|report| refused(report, out))?;
    if arguments.explain.explain {
        let story = explain::story(&config, &arguments.explain).map_err(Failure::Run)?;
        match arguments.output {
            Output::Text => explain::text(&config, &story, out)?,
            Output::Json => explain::json(&config, &story, out)?,
        }
        return Ok(());
    }
    if arguments.effective {
        match arguments.output {
            Output::Text => write!(out, "{}", effective::text(&config)?)?,
            Output::Json => writeln!(out, "{:#}", effective::json(&config)?)?,
        }
        return Ok(());
    }
    if let Some(old) = &arguments.against {
        let before = load(old).map_err(|report| refused(report, out))?;
        return different(&config, old, &config::changes(&before, &config), arguments.output, out);
    }
    let tests = config.try_tests().map_err(|report| refused(report, out))?;
    let load = Load { per_second: arguments.rate.per_second(), body: arguments.event_size };
    match arguments.output {
        Output::Text => super::text(&config, (load, tests), colour(&io::stdout()), out)?,
        Output::Json => super::json(&config, (load, tests), out)?,
    }
    Ok(())
}

/// Says what is different, and answers by the exit code.
fn different(
    config: &Config,
    old: &Path,
    changes: &Changes,
    output: Output,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let Changes { applied, restart, destinations } = changes;
    let (word, code) = match (applied.as_slice(), restart.as_slice()) {
        ([], []) => ("nothing", 0),
        (_, []) => ("reload", EXIT_RELOAD),
        _ => ("restart", EXIT_RESTART),
    };
    if output == Output::Json {
        let told = json!({
            "ok": true,
            "configuration": config.path.display().to_string(),
            "against": old.display().to_string(),
            "result": word,
            "applied": applied,
            "restart": restart,
            "destinations": destinations,
        });
        writeln!(out, "{told:#}")?;
    } else if code == 0 {
        writeln!(out, "nothing is different from {}", old.display())?;
    } else {
        let parts = [("a reload applies", applied), ("a restart is needed for", restart)];
        for (title, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            writeln!(out, "{title}:")?;
            lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
        if !destinations.is_empty() {
            let names: Vec<&str> = destinations.iter().map(String::as_str).collect();
            writeln!(out, "what is owed is delivered by the new words to {}", names.join(", "))?;
        }
    }
    if code == 0 { Ok(()) } else { Err(Failure::Answer(code)) }
}
