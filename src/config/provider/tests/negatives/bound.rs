//! What does a proof cover besides headers: the body in one way or another, and the URL?
//!
//! What a form says is taken apart here by code of its own, so that nothing is judged by what is judged.

use http::header::CONTENT_TYPE;

use super::{Expected, Maker, WRONG};
use crate::verify::{UrlForms, VerifyError};

impl Maker<'_> {
    /// Changes the body; what is expected follows from what covers it.
    pub(super) fn bound(&mut self, change: impl Into<String>, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut body = self.sent.body.clone();
        edit(&mut body);
        let expected: Expected = if !self.proof.binds_body() || body == self.sent.body {
            Ok(()).into()
        } else if self.reads_body() {
            Expected::Refused
        } else if self.proof.algorithm.is_token() {
            Err(VerifyError::Claim).into()
        } else if !self.covers_form() {
            WRONG.into()
        } else if !self.is_form() {
            let told = self.sent.query.contains("bodySHA256=");
            Err(if told { VerifyError::BodyDigest } else { VerifyError::BodyNotBound }).into()
        } else if sorted(&body) == sorted(&self.sent.body) {
            Ok(()).into()
        } else {
            WRONG.into()
        };
        self.add(change, expected, |sent| sent.body = body);
    }

    fn covers_form(&self) -> bool {
        self.proof.must_bind
    }

    fn is_form(&self) -> bool {
        self.sent.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form"))
    }

    /// The content type decides what of a body is signed.
    pub(super) fn kind(&mut self) {
        let expected = if self.covers_form() && self.is_form() { WRONG } else { Ok(()) };
        self.add("another content type", expected, |sent| sent.set(&CONTENT_TYPE, "application/json"));
        self.add("no content type", expected, |sent| drop(sent.headers.remove(CONTENT_TYPE)));
        let spelt = "Application/X-WWW-Form-URLencoded ; charset=utf-8";
        if self.is_form() {
            self.add("the same content type in other words", Ok(()), |sent| sent.set(&CONTENT_TYPE, spelt));
        }
    }

    /// Every part of the URL is covered, or none.
    pub(super) fn url(&mut self) {
        let covered = self.url;
        let wrong = if self.proof.algorithm.is_token() { Err(VerifyError::Claim) } else { WRONG };
        let expected = if covered { wrong } else { Ok(()) };
        let more = if self.sent.query.is_empty() { "x=1".to_owned() } else { format!("{}&x=1", self.sent.query) };
        self.add("a field more in the query", expected, |sent| sent.query = more);
        let moved = if self.proof.signs.covers("path") { WRONG } else { expected };
        self.add("another path", moved, |sent| {
            (sent.pattern, sent.path) = ("/other".to_owned(), "/other".to_owned());
        });
        if !covered {
            return self.add("no public URL", Ok(()), |sent| sent.public_url = None);
        }
        let unknown = if self.proof.algorithm.is_token() { wrong } else { Err(VerifyError::NoPublicUrl) };
        self.add("no public URL", unknown, |sent| sent.public_url = None);
        let url = self.sent.public_url.clone().expect("a URL is signed");
        let ports = self.proof.urls == UrlForms::Twilio;
        let usual = if url.starts_with("https://") { ":443" } else { ":80" };
        let ported = url.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
        for (change, other, same) in [
            ("another host", url.replace("://", "://x"), false),
            ("a host that goes on", format!("{url}.example"), false),
            ("another scheme", url.replacen("http", "ws", 1), false),
            ("the usual port", format!("{url}{usual}"), ports && !ported),
        ] {
            if !(ported && change.ends_with("port")) {
                let expected = if same { Ok(()) } else { wrong };
                self.add(change, expected, |sent| sent.public_url = Some(other));
            }
        }
        // Which of two ports was signed, where the provider may leave it out, only the vector knows.
        if !ports && !ported {
            let other = format!("{url}:4711");
            self.add("another port", expected, |sent| sent.public_url = Some(other));
        }
    }
}

/// The fields of a form in their order, decoded and each once.
fn sorted(body: &[u8]) -> Vec<u8> {
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for field in body.split(|byte| *byte == b'&').filter(|field| !field.is_empty()) {
        let mut halves = field.splitn(2, |byte| *byte == b'=');
        fields.push((plain(halves.next().unwrap_or_default()), plain(halves.next().unwrap_or_default())));
    }
    fields.sort();
    fields.dedup();
    fields.into_iter().flat_map(|(name, value)| [name, value].concat()).collect()
}

pub(super) fn plain(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two digits"));
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    out
}
