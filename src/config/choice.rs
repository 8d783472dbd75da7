//! Which of a few words was meant?
//!
//! Promises: a word that is none of the choices is refused with the choices and the nearest of them.
//!
//! Must not know: what the choices lead to.

use std::net::SocketAddr;

use super::batch::Batch;
use super::names;
use super::said::Word;
pub(crate) use super::{LogFormat, LogLevel};
use crate::journal::HandOver;
use crate::snapshot::{HopHeader, Role};
use crate::tenant::Mode;
use crate::verify::Format;

fn choose<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words = || choices.iter().map(|(word, _)| *word);
    let expected = names::list(words());
    Err(match names::nearest(text, words()) {
        Some(near) => format!("no such choice; did you mean `{near}`? The choices are {expected}"),
        None => format!("no such choice; the choices are {expected}"),
    })
}

impl Word for LogFormat {
    const FORM: &'static str = "`auto`, `text` or `json`";
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)])
    }
}

impl Word for LogLevel {
    const FORM: &'static str = "`error`, `warn`, `info`, `debug` or `trace`";
    fn read(text: &str) -> Result<Self, String> {
        let levels = [
            ("error", Self::Error),
            ("warn", Self::Warn),
            ("info", Self::Info),
            ("debug", Self::Debug),
            ("trace", Self::Trace),
        ];
        choose(text, &levels)
    }
}

impl Word for Format {
    const FORM: &'static str = "`empty`, `text`, `json` or `xml`";
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("empty", Self::Empty), ("text", Self::Text), ("json", Self::Json), ("xml", Self::Xml)])
    }
}

impl Word for Role {
    const FORM: &'static str = "`live` or `observe`";
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("live", Self::Live), ("observe", Self::Observe)])
    }
}

impl Word for Batch {
    const FORM: &'static str = "`whole` or `split`";
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[Self::Whole, Self::Split].map(|batch| (batch.word(), batch)))
    }
}

impl Word for HopHeader {
    const FORM: &'static str = "`x-forwarded-for` or `forwarded`";
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("x-forwarded-for", Self::XForwardedFor), ("forwarded", Self::Forwarded)])
    }
}

impl Word for HandOver {
    const FORM: &'static str = "`stored` or `verified`";
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("stored", Self::Stored), ("verified", Self::Verified)])
    }
}

impl Word for Mode {
    const FORM: &'static str = "`shape` or `refuse`";
    fn read(text: &str) -> Result<Self, String> {
        choose(text, &[("shape", Self::Shape), ("refuse", Self::Refuse)])
    }
}

/// Where the metrics listener stands, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metered {
    At(SocketAddr),
    Off,
}

impl Word for Metered {
    const FORM: &'static str = "an address and a port in quotes, such as \"127.0.0.1:9600\", or \"off\"";
    fn read(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| format!("expected {}", Self::FORM))
    }
}
