//! Where does the log go, and what does it look like?
//!
//! Promises: text on a terminal and one line of JSON per event otherwise, on stderr; colour only where a person looks
//! and `NO_COLOR` is not set.
//!
//! Must not know: what is logged.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat, LogLevel};

/// Begins to log. Only the first call has an effect.
pub(super) fn begin(log: Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // What others write below us is of interest only when something is wrong.
    let targets = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("porteiro", level);
    let text = match log.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = if text {
        tracing_subscriber::fmt::layer()
            .with_writer(stderr)
            .with_ansi(super::colour(&stderr()))
            .with_target(false)
            .boxed()
    } else {
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(stderr).with_current_span(false).boxed()
    };
    // Whoever began before keeps the word.
    drop(tracing_subscriber::registry().with(layer.with_filter(targets)).try_init());
}
