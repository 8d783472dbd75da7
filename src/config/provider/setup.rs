//! How does an operator begin with a provider, and what does a request of its shape look like?
//!
//! Promises: a sample that was read can be sent: its headers are headers, and what it leaves open is filled in anew each
//! time; who chooses the secret is told apart from where it stands.
//!
//! Must not know: how a sample is signed, or who sends it.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::raw;
use super::reader::Reader;
use crate::clock::Timestamp;
use crate::verify;

/// Where an operator finds things at the provider's, one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Where the URL goes.
    pub url: Option<String>,
    /// Where the secret is shown, or goes.
    pub secret: Option<String>,
    /// Whether the operator chooses the secret; otherwise the provider gives it.
    pub chosen: bool,
}

/// A request of the provider's shape, for trying out. Composed by whoever wrote the file, never the provider's own.
///
/// In its texts `{id}` stands for something that does not come twice, `{number}` for a number of that kind, and
/// `{seconds}`, `{millis}` and `{rfc3339}` for the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    headers: Vec<(HeaderName, String)>,
    body: String,
}

impl Default for Sample {
    /// For a provider of which no file says more.
    fn default() -> Self {
        let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        Self { headers, body: r#"{"id":"{id}","at":{seconds}}"#.to_owned() }
    }
}

impl Sample {
    /// One request: its headers and its body.
    #[must_use]
    pub fn fill(&self, now: Timestamp) -> (HeaderMap, Vec<u8>) {
        let mut noise = [0; 8];
        verify::random(&mut noise);
        let number = u64::from_ne_bytes(noise);
        let words = [
            ("{id}", format!("{number:016x}")),
            ("{number}", (number % 1_000_000_000).to_string()),
            ("{seconds}", now.as_secs().to_string()),
            ("{millis}", (now.as_micros() / 1_000).to_string()),
            ("{rfc3339}", now.rfc3339().map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()),
        ];
        let fill = |text: &str| words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value));
        let headers = self.headers.iter().filter_map(|(name, value)| {
            // Looked at when the file was read, and digits and dashes do not make it worse.
            Some((name.clone(), HeaderValue::from_str(&fill(value)).ok()?))
        });
        (headers.collect(), fill(&self.body).into_bytes())
    }
}

/// What a file says of both.
pub(super) fn read(reader: &mut Reader<'_>, file: &raw::File) -> (Setup, Sample) {
    let said = file.setup.clone().unwrap_or_default();
    let text = |said: Option<raw::Said>| said.map(toml::Spanned::into_inner);
    let setup = Setup { url: text(said.url), secret: text(said.secret), chosen: said.chosen };
    let Some(said) = &file.sample else { return (setup, Sample::default()) };
    let mut headers = Vec::new();
    for (name, value) in &said.headers {
        let read = HeaderName::from_bytes(name.get_ref().as_bytes());
        match read {
            Ok(read) if HeaderValue::from_str(value.get_ref()).is_ok() => headers.push((read, value.get_ref().clone())),
            Ok(_) => reader.wrong_in_file(value, format!("`{}` is no header value", value.get_ref()), ""),
            Err(_) => reader.wrong_in_file(name, format!("`{}` is no header name", name.get_ref()), ""),
        }
    }
    (setup, Sample { headers, body: said.body.get_ref().clone() })
}
