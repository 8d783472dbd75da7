//! Why was a request not proven?
//!
//! Promises: a closed list, each variant produced by some test, each with one fixed word for a metric label. Nothing in
//! it was read from the request. The variants stand in the order of how far the request came, so that of several
//! alternatives that all refused, the one that came furthest is told.
//!
//! Must not know: what status the provider hears (that is the provider file's `reject`).

use std::error::Error;
use std::fmt;

/// Why a request was not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerifyError {
    /// The caller's address is not on the list that proves it, or is not known.
    Caller,
    /// Events of this provider never use this method, and no challenge does either.
    Method,
    /// The place where the signature should stand is absent, or names no signature of the expected version.
    MissingSignature,
    /// The place where the signature should stand is there and empty.
    EmptySignature,
    /// The signature header stands twice, and this provider does not send lists of headers.
    RepeatedSignature,
    /// The signature text is longer than 8 KiB.
    OversizedSignature,
    /// More than 16 signature candidates.
    TooManySignatures,
    /// A header or field that this provider always sends with one of a few values is absent or has another value.
    Requirement,
    /// The proof needs a field of the body, and the body cannot be read as what it should be.
    Unreadable,
    /// A header, query or body value that is part of the signed text is absent.
    MissingPart,
    /// A header that is part of the signed text stands twice.
    RepeatedPart,
    /// The signed text names the public URL, and the listener has none.
    NoPublicUrl,
    /// The list whose every element must be proven is empty, absent or too long.
    Items,
    /// The timestamp that is part of the proof is absent.
    MissingTimestamp,
    /// The timestamp stands twice.
    RepeatedTimestamp,
    /// No candidate has the form of a signature: wrong prefix, wrong length, wrong digits.
    MalformedSignature,
    /// No candidate is a signature of these bytes by any of the keys.
    WrongSignature,
    /// The signature holds, and the timestamp is no time in the unit the provider uses.
    MalformedTimestamp,
    /// The signature holds, and the timestamp is older than the window.
    Stale,
    /// The signature holds, and the timestamp is further ahead than the window.
    Future,
    /// The signature holds, and a claim of the token says something else than this request.
    Claim,
    /// The signature holds, and does not cover this body.
    BodyNotBound,
    /// The signature holds, and the body is not the one whose digest was signed.
    BodyDigest,
    /// The signature holds, and its bytes could have been asked of us as the answer to a challenge.
    Askable,
    /// A challenge whose token is not the one the operator gave.
    ChallengeToken,
    /// A challenge whose text is absent, too long, or made of other characters than are answered.
    ChallengeText,
}

impl VerifyError {
    /// Every variant, so that every metric label can be present from the start.
    pub const ALL: [Self; 26] = [
        Self::Caller,
        Self::Method,
        Self::MissingSignature,
        Self::EmptySignature,
        Self::RepeatedSignature,
        Self::OversizedSignature,
        Self::TooManySignatures,
        Self::Requirement,
        Self::Unreadable,
        Self::MissingPart,
        Self::RepeatedPart,
        Self::NoPublicUrl,
        Self::Items,
        Self::MissingTimestamp,
        Self::RepeatedTimestamp,
        Self::MalformedSignature,
        Self::WrongSignature,
        Self::MalformedTimestamp,
        Self::Stale,
        Self::Future,
        Self::Claim,
        Self::BodyNotBound,
        Self::BodyDigest,
        Self::Askable,
        Self::ChallengeToken,
        Self::ChallengeText,
    ];

    /// The word for logs and metric labels.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Method => "method",
            Self::MissingSignature => "missing_signature",
            Self::EmptySignature => "empty_signature",
            Self::RepeatedSignature => "repeated_signature",
            Self::OversizedSignature => "oversized_signature",
            Self::TooManySignatures => "too_many_signatures",
            Self::Requirement => "requirement",
            Self::Unreadable => "unreadable",
            Self::MissingPart => "missing_part",
            Self::RepeatedPart => "repeated_part",
            Self::NoPublicUrl => "no_public_url",
            Self::Items => "items",
            Self::MissingTimestamp => "missing_timestamp",
            Self::RepeatedTimestamp => "repeated_timestamp",
            Self::MalformedSignature => "malformed_signature",
            Self::WrongSignature => "wrong_signature",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::Claim => "claim",
            Self::BodyNotBound => "body_not_bound",
            Self::BodyDigest => "body_digest",
            Self::Askable => "askable",
            Self::ChallengeToken => "challenge_token",
            Self::ChallengeText => "challenge_text",
        }
    }
}

/// Completes "was refused because".
impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "the caller's address is not on the list that proves it, or is not known",
            Self::Method => "events of this provider never use this method",
            Self::MissingSignature => "there is no signature",
            Self::EmptySignature => "the signature is empty",
            Self::RepeatedSignature => "the signature header stands twice",
            Self::OversizedSignature => "the signature is longer than 8 KiB",
            Self::TooManySignatures => "there are more than 16 signatures",
            Self::Requirement => "a header that always comes with the proof is absent or has an unknown value",
            Self::Unreadable => "the proof stands in the body, and the body cannot be read",
            Self::MissingPart => "a value that is part of the signed text is absent",
            Self::RepeatedPart => "a header that is part of the signed text stands twice",
            Self::NoPublicUrl => "the signature covers the public URL, and the listener has none",
            Self::Items => "the list whose every element must be proven is empty, absent or too long",
            Self::MissingTimestamp => "there is no timestamp",
            Self::RepeatedTimestamp => "the timestamp stands twice",
            Self::MalformedSignature => "the signature is malformed",
            Self::WrongSignature => "the signature does not match",
            Self::MalformedTimestamp => "the timestamp is malformed",
            Self::Stale => "the timestamp is too old",
            Self::Future => "the timestamp lies in the future",
            Self::Claim => "a signed claim does not fit this request",
            Self::BodyNotBound => "the signature does not cover the body",
            Self::BodyDigest => "the body is not the one whose digest was signed",
            Self::Askable => "the signed bytes could have been obtained as the answer to a challenge",
            Self::ChallengeToken => "the challenge carries another token than the configured one",
            Self::ChallengeText => "the challenge is not of a kind that is answered",
        })
    }
}

impl Error for VerifyError {}
