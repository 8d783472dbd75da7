//! What did a provider file say?
//!
//! Promises: a mirror of the text and nothing else; an unknown key is refused where it stands.
//!
//! Must not know: what anything means.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// Text and its place.
pub(super) type Said = Spanned<String>;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) format: Spanned<i64>,
    pub(super) title: Said,
    pub(super) docs: Spanned<Vec<Said>>,
    pub(super) checked: Said,
    pub(super) confidence: Said,
    pub(super) danger: Option<Said>,
    pub(super) methods: Option<Vec<Said>>,
    pub(super) proofs: Option<Said>,
    #[serde(default)]
    pub(super) values: BTreeMap<Said, Value>,
    #[serde(default)]
    pub(super) proof: Vec<Spanned<Proof>>,
    #[serde(default)]
    pub(super) challenge: Vec<Spanned<Challenge>>,
    #[serde(default)]
    pub(super) event: Event,
    #[serde(default)]
    pub(super) answer: Answers,
    #[serde(default)]
    pub(super) delivery: Delivery,
    pub(super) setup: Option<Setup>,
    pub(super) sample: Option<Sample>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Value {
    pub(super) kind: Said,
    pub(super) about: Said,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) default: Option<Said>,
    #[serde(default)]
    pub(super) one_of: Vec<Said>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Proof {
    pub(super) signature: Option<Spanned<Signature>>,
    pub(super) algorithm: Said,
    pub(super) encoding: Option<Said>,
    pub(super) keys: Option<Said>,
    pub(super) key_form: Option<Said>,
    pub(super) signs: Option<Said>,
    pub(super) prehash: Option<Said>,
    pub(super) time: Option<Time>,
    #[serde(default)]
    pub(super) requires: Vec<Requirement>,
    #[serde(default)]
    pub(super) digests: Vec<Digest>,
    #[serde(default)]
    pub(super) must_bind: bool,
    pub(super) urls: Option<Said>,
    pub(super) bodies: Option<Said>,
    pub(super) each: Option<Said>,
    #[serde(default)]
    pub(super) claims: Vec<Claim>,
    pub(super) leeway: Option<Said>,
    /// Known, and not built: a body that is signed before it was compressed.
    pub(super) content: Option<Said>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Signature {
    pub(super) from: Vec<Said>,
    pub(super) lines: Option<Said>,
    pub(super) parse: Option<Said>,
    pub(super) prefix: Option<Said>,
    #[serde(default)]
    pub(super) any_case: bool,
    pub(super) separator: Option<Said>,
    pub(super) equals: Option<Said>,
    pub(super) group: Option<Said>,
    pub(super) key: Option<Said>,
    pub(super) time: Option<Said>,
    pub(super) tag: Option<Said>,
    #[serde(default)]
    pub(super) bare: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Time {
    pub(super) from: Said,
    pub(super) unit: Said,
    pub(super) within: Option<Said>,
    pub(super) direction: Option<Said>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Requirement {
    pub(super) at: Said,
    pub(super) one_of: Vec<Said>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Digest {
    pub(super) at: Said,
    pub(super) hash: Said,
    pub(super) encoding: Said,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Claim {
    pub(super) name: Said,
    pub(super) says: Said,
    pub(super) text: Option<Said>,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Challenge {
    pub(super) methods: Vec<Said>,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
    #[serde(default)]
    pub(super) must: Vec<Must>,
    #[serde(default)]
    pub(super) proven: bool,
    pub(super) echo: Option<Echo>,
    pub(super) computed: Option<Computed>,
    pub(super) answer: Spanned<Reply>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Condition {
    pub(super) at: Said,
    pub(super) is: Option<Said>,
    #[serde(default)]
    pub(super) absent: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Must {
    pub(super) at: Said,
    pub(super) value: Said,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Echo {
    pub(super) characters: Said,
    pub(super) min: Option<usize>,
    pub(super) max: Option<Spanned<usize>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Computed {
    pub(super) signs: Said,
    pub(super) algorithm: Said,
    pub(super) encoding: Said,
    pub(super) key: Option<Said>,
    pub(super) key_form: Option<Said>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Reply {
    pub(super) status: Option<Spanned<u16>>,
    pub(super) format: Option<Said>,
    pub(super) body: Option<Said>,
    #[serde(default)]
    pub(super) headers: BTreeMap<Said, Said>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Event {
    #[serde(default)]
    pub(super) id: Vec<Selector>,
    pub(super) kind: Option<Selector>,
    pub(super) tenant: Option<Selector>,
    pub(super) time: Option<EventTime>,
    pub(super) order: Option<Selector>,
    pub(super) equal_bodies: Option<Said>,
    pub(super) authority: Option<Said>,
    pub(super) repeat: Option<Said>,
    pub(super) parts: Option<Parts>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Selector {
    pub(super) from: Vec<Said>,
    pub(super) take: Option<Said>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EventTime {
    pub(super) from: Vec<Said>,
    pub(super) unit: Option<Said>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Parts {
    pub(super) elements: Said,
    #[serde(default)]
    pub(super) without: Vec<Said>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Answers {
    pub(super) success: Option<Spanned<Reply>>,
    pub(super) reject: Option<Spanned<Reply>>,
    pub(super) late: Option<Spanned<Reply>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Delivery {
    pub(super) answer_within: Option<Said>,
    #[serde(default)]
    pub(super) retries: bool,
    pub(super) lasting: Option<Said>,
    pub(super) on_429: Option<Said>,
    pub(super) on_503: Option<Said>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Setup {
    pub(super) url: Option<Said>,
    pub(super) secret: Option<Said>,
    #[serde(default)]
    pub(super) chosen: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Sample {
    #[serde(default)]
    pub(super) headers: BTreeMap<Said, Said>,
    pub(super) body: Said,
}
