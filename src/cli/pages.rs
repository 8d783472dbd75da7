//! What does a shell complete, and what does the manual say?
//!
//! Promises: both are made of the definition of the command line, so that they know what it knows.
//!
//! Must not know: what a command does.

use std::io::{self, Write};

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Arguments, Failure};

/// A shell that is to complete.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Whose completions
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// A page of the manual.
#[derive(Debug, Args)]
pub(super) struct Page {
    /// The command that it is about; without it the program
    #[arg(value_name = "COMMAND", value_parser = commands())]
    command: Option<String>,
}

fn commands() -> PossibleValuesParser {
    PossibleValuesParser::new(NAMES)
}

/// The commands, in the order of `--help`.
const NAMES: [&str; 12] =
    ["serve", "check", "health", "reload", "init", "send", "schema", "completions", "man", "version", "sink", "demo"];

/// Prints what a shell completes by.
pub(super) fn completions(arguments: &Completions, out: &mut impl Write) -> Result<(), Failure> {
    let mut text = Vec::new();
    // It panics where it cannot write.
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "porteiro", &mut text);
    Ok(out.write_all(&text)?)
}

/// Prints a page of the manual.
pub(super) fn page(arguments: &Page, out: &mut impl Write) -> Result<(), Failure> {
    let mut whole = Arguments::command();
    whole.build();
    let command = match &arguments.command {
        None => whole,
        // Built with the whole, it knows whose command it is.
        Some(name) => {
            whole.find_subcommand(name).cloned().ok_or_else(|| Failure::Run(format!("no command `{name}`")))?
        }
    };
    let mut text = Vec::new();
    Man::new(command).render(&mut text).map_err(io::Error::other)?;
    Ok(out.write_all(&text)?)
}

#[cfg(test)]
mod tests;
