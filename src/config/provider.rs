//! What is known of a provider, and what does it become with the operator's keys?
//!
//! A provider file is text: [`Provider::parse`] reads it, [`Provider::build`] compiles it with the operator's secrets
//! and values into [`Built`]. The files that are part of the binary are named by [`NAMES`].
//!
//! Promises: a file that is wrong gives all of its problems, each with the place of the text; what a file asks for and
//! is not offered is refused in words, never ignored.
//!
//! Must not know: where a file or a secret came from.
//!
//! # The form of a provider file
//!
//! At the top: `format = 1`, `title`, `docs` (addresses), `checked` (a date), `confidence` (`A` to `C`), the
//! `methods` of events, `proofs`, and `danger` for a file that proves nothing. `proofs` is `"any"`, `"all"`, or
//! `"operator"` for a provider that signs nothing: then there is no `[[proof]]`, and the source must have a `proof`.
//!
//! * `[values.NAME]`: what is asked of the operator, with `kind` (`text`, `secret`), `about`, `required`, `default`
//!   and `one-of`. A text `$NAME` elsewhere stands for the value, and `{value:NAME}` for it inside a signed text or
//!   an answer.
//! * `[[proof]]`: one way to prove a request; one without a key is left out, unless all must hold. `signature` has
//!   `from` (places, a family `header:x-*`, or `body`), `lines` (`one`, `many`), `parse` (a
//!   [`Grammar`](crate::verify::Grammar): `whole pairs items list columns named`) and what the grammar needs:
//!   `prefix any-case separator equals group key time tag bare`. Then `algorithm` (an
//!   [`Algorithm`](crate::verify::Algorithm)), `encoding`, `key-form` (a [`Form`](crate::verify::Form)), `keys`
//!   (`"secrets"` or the name of a secret value), `signs` (a [`Template`](crate::verify::Template)), `prehash`,
//!   `time` (`from` a place or `"beside"`, `unit`, `within`, `direction`), and the rarer
//!   `requires digests must-bind urls bodies each claims leeway`.
//! * `[[challenge]]`: `methods`, `when` (`at`, `is` or `absent`), `must` (`at`, `value`), `proven`, `echo`
//!   (`characters`, `min`, `max`), `computed` (`signs algorithm encoding key key-form`) and `answer`
//!   (`status format body headers`; a `format` is `empty text json`).
//! * `[event]`: `id` (its parts), `kind`, `tenant`, `time`, `order`, each with `from` (places, the first that has a
//!   value counts) and `take`; `equal-bodies`, `authority`, `repeat`. `parts` has `elements`, a pointer such as
//!   `/entry/*/changes/*` to what makes an event each where a batch is split: all else around it, and around the arrays on
//!   the way, is the frame that each part repeats; an element without the next array is a part, too. Its `without` names
//!   headers that hold for the whole body only, beside those of the proofs. In a part its element is the only one of each
//!   array, for all selectors, and an id that stands only in its frame, or in the head, counts together with its bytes.
//! * `[answer]`: `success`, `reject`, `late`, each with `status format body`, whose `format` may be `xml`, too.
//!   `[delivery]`: `answer-within retries lasting on-429 on-503`.
//! * `[setup]`: where an operator finds things, in words: `url` (where the URL goes), `secret` (where the secret stands),
//!   `chosen` (whether the operator chooses it). `[sample]`: `headers` and `body` of a request to try out (a [`Sample`]).

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

mod build;
mod challenges;
mod events;
mod library;
mod proofs;
mod raw;
mod reader;
mod setup;

use crate::event::Selectors;
use crate::secret::Secret;
use crate::verify::{Besides, Verifier};

pub use library::{NAMES, built_in};
pub use setup::{Sample, Setup};

/// A provider file that was read, and not yet compiled.
#[derive(Clone, Debug)]
pub struct Provider {
    name: String,
    file: raw::File,
    asks: Vec<Ask>,
    facts: Facts,
}

/// Something that a provider file asks of the operator by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its name under `values`.
    pub name: String,
    /// Whether it is a secret, which is only taken by reference.
    pub kind: Kind,
    /// Whether the source must give it.
    pub required: bool,
    /// What it is when it is not given; never for a secret.
    pub default: Option<String>,
    /// The only texts it may be; empty where any will do.
    pub one_of: Vec<String>,
    /// What it is, in one line.
    pub about: String,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that may be shown.
    Text,
    /// Text that is never shown.
    Secret,
}

/// What the operator gives.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// `secrets`, in the operator's order: several are a rotation.
    pub secrets: Vec<Secret>,
    /// `values`, by name.
    pub values: BTreeMap<String, Value>,
    /// Whether the listener has a `public-url`.
    pub public_url: bool,
    /// What the operator asks of every request besides what the provider signs.
    pub besides: Besides,
}

/// One value of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Written in the configuration.
    Text(String),
    /// Resolved from a reference.
    Secret(Secret),
}

/// A provider with the operator's keys.
#[derive(Clone, Debug)]
pub struct Built {
    /// Proves requests.
    pub verifier: Verifier,
    /// Reads events.
    pub selectors: Selectors,
    /// What the provider hears.
    pub answers: Answers,
    /// The methods of events and challenges, for admission.
    pub methods: Vec<Method>,
    /// What `check` says of the provider.
    pub facts: Facts,
    /// What `check` should say aloud of this source, one line each.
    pub warnings: Vec<String>,
    /// The name of every key, by proof, in the order of the verifier: its place in `secrets` from 1, or its name in
    /// `values`; where only the operator's own tokens prove a request, `token-1` and so on for those of the path, or else
    /// `header-1` and so on.
    pub secrets: Vec<Vec<Box<str>>>,
}

/// What the provider hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// When the event is stored, or was before.
    pub success: Answer,
    /// When the request was not proven.
    pub reject: Answer,
    /// When a destination's own answer did not come in time (`ack = "delivered"`).
    pub late: Answer,
}

/// One fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The content type; `None` where the body is empty.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

/// What is known of a provider beyond its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name for people.
    pub title: String,
    /// Where its documentation stands.
    pub docs: Vec<String>,
    /// When the file was last compared with it, `YYYY-MM-DD`.
    pub checked: String,
    /// How far to trust the file.
    pub confidence: Confidence,
    /// Whether events have an id of the provider's own.
    pub ids: bool,
    /// Whether a key is shown rather than used, so that nothing binds the body.
    pub binds_body: bool,
    /// How long the provider waits for the answer.
    pub answer_within: Option<Duration>,
    /// What the provider does when it is refused.
    pub retries: Retries,
    /// Why the file is dangerous to use, if it is.
    pub danger: Option<String>,
    /// Where an operator finds things.
    pub setup: Setup,
    /// A request to try out.
    pub sample: Sample,
}

/// How far a provider file is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Read in the provider's documentation or library.
    A,
    /// Read there in part.
    AMinus,
    /// A secondary catalogue that cites the provider.
    B,
    /// A secondary catalogue, and something speaks against it.
    BMinus,
    /// One unofficial source.
    C,
}

/// What a provider does when it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Whether it tries again by itself.
    pub any: bool,
    /// For how long.
    pub lasting: Option<Duration>,
    /// What a 429 does.
    pub on_429: Survival,
    /// What a 503 does.
    pub on_503: Survival,
}

/// What becomes of an event that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// It comes again.
    Retried,
    /// It is gone.
    Lost,
    /// It is gone, and the provider counts towards switching the webhook off.
    Counted,
    /// Nobody knows.
    Unknown,
}

/// Something wrong with a provider file, or with what the operator gave to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: At,
    /// What is wrong.
    pub what: String,
    /// What would be right; may be empty.
    pub advice: String,
}

/// What a [`Problem`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// These bytes of the provider file.
    File(Range<usize>),
    /// The source's `secrets` as a whole.
    Secrets,
    /// One of the source's `secrets`, counted from zero.
    Secret(usize),
    /// One of the source's `values`, by name.
    Value(String),
    /// The source as a whole.
    Source,
}

#[cfg(test)]
mod tests;
