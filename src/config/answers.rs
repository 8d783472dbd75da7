//! What does a source answer in place of what its provider file says?
//!
//! Promises: an answer that is said here replaces the provider file's whole, but for a status that is not said; a success
//! is one to every provider, and a refusal is none.
//!
//! Must not know: when an answer is given.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::build::Building;
use super::provider::{Answer, Answers, Built};
use super::raw;
use super::said::At;
use crate::verify::Format;

/// Largest body of an answer, in bytes: it is kept for as long as its source.
const BODY_MAX: usize = 4 << 10;
/// What every provider takes for success.
const SUCCESS: RangeInclusive<u16> = 200..=299;
/// What may be said where a destination's own answer comes too late.
const LATE: RangeInclusive<u16> = 200..=599;
/// What tells a caller that the request is at fault.
const REJECT: RangeInclusive<u16> = 400..=499;

/// Puts what the source says over what its provider file does.
pub(crate) fn over(building: &mut Building<'_>, said: &raw::Source, built: Built) -> Built {
    let provider = built.answers;
    let success = answer(building, said.success.as_ref(), &provider.success, SUCCESS);
    let reject = answer(building, said.reject.as_ref(), &provider.reject, REJECT);
    // A file that says nothing of late answers says its success.
    let late = if provider.late == provider.success { &success } else { &provider.late };
    let late = answer(building, said.late.as_ref(), late, LATE);
    Built { answers: Answers { success, reject, late }, ..built }
}

fn answer(
    building: &mut Building<'_>,
    said: Option<&At<raw::Answer>>,
    provider: &Answer,
    allowed: RangeInclusive<u16>,
) -> Answer {
    let Some(At { value, span }) = said else { return provider.clone() };
    let raw::Answer { status, format, body } = value;
    if status.is_none() && format.is_none() && body.is_none() {
        let help = "write a `status`, or a `body` with its `format`, or leave the answer to the provider file";
        building.says_nothing(span, "this answer says nothing", help);
    }
    let number = building.number(status.as_ref(), provider.status, allowed);
    let text = body.as_ref().map_or("", |body| body.value.as_str());
    if let Some(body) = body.as_ref().filter(|_| text.len() > BODY_MAX) {
        let most = super::show_size(BODY_MAX as u64);
        building.problem(&body.span, "the body of this answer is too long").label(format!("at most {most}"));
    }
    // Neither may have one (RFC 9110, 15.3.5 and 15.3.6).
    if let Some(body) = body.as_ref().filter(|body| matches!(number, 204 | 205) && !body.value.is_empty()) {
        building.problem(&body.span, format!("an answer of status {number} has no body"));
    }
    let format = match format {
        Some(format) if text.is_empty() && format.value.content_type().is_some() => {
            building
                .problem(&format.span, "this answer has a format and no body")
                .help("write the `body` beside it, or leave the format out");
            None
        }
        Some(format) if !text.is_empty() && format.value.content_type().is_none() => {
            building
                .problem(&format.span, "an empty answer has no body")
                .help("the formats are `text`, `json` and `xml`");
            None
        }
        Some(format) => format.value.content_type(),
        None => Format::Text.content_type(),
    };
    let content_type = format.filter(|_| !text.is_empty());
    Answer { status: number, content_type, body: Bytes::copy_from_slice(text.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use crate::config::provider::Answer;
    use crate::config::tests::stage::Stage;

    const VALID: &str = include_str!("../../tests/config/valid/answers.toml");

    #[track_caller]
    fn check(source: &str, success: (u16, Option<&str>, &str), reject: (u16, Option<&str>, &str)) {
        let config = Stage::set().build("answers.toml", VALID).unwrap_or_else(|report| panic!("{report}"));
        let built = &config.sources.iter().find(|known| &*known.name == source).unwrap().built.answers;
        let told = |answer: &Answer| (answer.status, answer.content_type, answer.body.clone());
        for (answer, (status, content_type, body)) in [(&built.success, success), (&built.reject, reject)] {
            assert_eq!(told(answer), (status, content_type, body.to_owned().into()), "{source}");
        }
    }

    #[test]
    fn what_a_source_says_stands_in_place_of_what_its_file_does() {
        let text = Some("text/plain; charset=utf-8");
        check("github", (202, None, ""), (403, text, "who are you?"));
        // A status that is not said stays.
        check("shop", (200, Some("application/json"), "{\"taken\":true}"), (401, text, "no"));
        check("least", (299, None, ""), (499, None, ""));
        check("none", (204, None, ""), (400, None, ""));
        // And the body of the file goes with its answer.
        check("twilio", (202, None, ""), (403, None, ""));
    }

    #[test]
    fn a_body_of_4_kib_is_an_answer_and_one_byte_more_is_none() {
        let of = |length: usize| VALID.replace("who are you?", &"x".repeat(length));
        assert!(Stage::set().build("answers.toml", &of(super::BODY_MAX)).is_ok());
        let report = Stage::set().build("answers.toml", &of(super::BODY_MAX + 1)).unwrap_err().render(false);
        assert!(report.contains("the body of this answer is too long") && report.contains("at most 4KiB"), "{report}");
    }
}
