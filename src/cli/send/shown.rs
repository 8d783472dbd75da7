//! What of a request may be printed?
//!
//! Promises: no secret of the configuration; where one stands in a request, a line for a shell says how to read it.
//!
//! Must not know: which scheme shows what.

use std::iter;
use std::path::Path;

use super::line::Place;
use crate::config::Hidden;
use crate::config::rehearsal::{Asked, forged, percent};
use crate::verify::Encoding;

/// What is not to be shown, and what is shown instead.
pub(super) struct Mask(Vec<(String, String)>);

impl Mask {
    /// Hides these secrets: as they are, as they stand in a URL and in a Basic credential, and each of these as it is
    /// when it is forged.
    pub(super) fn of(hidden: Vec<Hidden>) -> Self {
        let mut pairs = Vec::new();
        for Hidden { secret, shell } in hidden {
            let bytes = secret.expose();
            let Some(text) = str::from_utf8(bytes).ok().filter(|text| !text.is_empty()) else { continue };
            let encoded = [percent(bytes), Encoding::Base64.encode(bytes)];
            let encoded = encoded.into_iter().filter(|form| form != text).map(|form| (form, "***".to_owned()));
            for (form, shown) in iter::once((text.to_owned(), shell)).chain(encoded) {
                // Forged, it still gives nearly all of it away.
                pairs.extend([(forged(&form), "***".to_owned()), (form, shown)]);
            }
        }
        // Of two that begin alike the longer is looked for first.
        pairs.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        Self(pairs)
    }

    /// A text for people.
    pub(super) fn plain(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (secret, _)| text.replace(secret, "***"))
    }

    /// A word for a shell.
    pub(super) fn word(&self, text: &str) -> String {
        let found = self.0.iter().filter_map(|(secret, shell)| Some((text.find(secret)?, secret, shell)));
        // The first of them, and of those that begin there the longest, which stands first.
        let Some((at, secret, shell)) = found.min_by_key(|(at, ..)| *at) else { return quoted(text) };
        let (before, after) = (&text[..at], &text[at + secret.len()..]);
        let mut word = String::new();
        if !before.is_empty() {
            word.push_str(&quoted(before));
        }
        word.push_str(&format!("\"{shell}\""));
        if !after.is_empty() {
            word.push_str(&self.word(after));
        }
        word
    }
}

/// A text in single quotes, or without where it needs none.
fn quoted(text: &str) -> String {
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:=,@%+".contains(&byte);
    if !text.is_empty() && text.bytes().all(simple) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The request as a line for a shell; the error is why none can be it.
pub(super) fn curl(
    place: &Place,
    asked: &Asked,
    mask: &Mask,
    insecure: bool,
    ca: Option<&Path>,
) -> Result<String, String> {
    let body = str::from_utf8(&asked.body).ok().filter(|body| !body.contains('\0'));
    let body = body.ok_or("this body is no text, and cannot stand in a line for a shell; send it without --dry-run")?;
    let mut words = vec!["curl".to_owned(), "-i".to_owned(), "-X".to_owned(), asked.method.to_string()];
    match ca {
        Some(ca) => words.extend(["--cacert".to_owned(), quoted(&ca.display().to_string())]),
        // A certificate of one's own is rarely one that curl believes.
        None if insecure || (place.tls && place.own) => words.push("-k".to_owned()),
        None => {}
    }
    let host = format!("Host: {}", place.authority());
    words.extend(["-H".to_owned(), quoted(&host)]);
    for (name, value) in &asked.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        words.extend(["-H".to_owned(), mask.word(&format!("{name}: {value}"))]);
    }
    if !body.is_empty() {
        // As it is: for other options one that begins with `@` is a file.
        words.extend(["--data-raw".to_owned(), mask.word(body)]);
    }
    words.push(mask.word(&format!("{}{}", place.url(), asked.target)));
    Ok(words.join(" "))
}
