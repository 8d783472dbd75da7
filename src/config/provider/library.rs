//! Which provider files are part of the binary?
//!
//! Promises: exactly the files under `config/providers`, in alphabetical order.
//!
//! Must not know: what they say.

const FILES: &[(&str, &str)] = &[
    ("dangerous-unsigned", include_str!("../../../config/providers/dangerous-unsigned.toml")),
    ("github", include_str!("../../../config/providers/github.toml")),
    ("gitlab", include_str!("../../../config/providers/gitlab.toml")),
    ("gitlab-signed", include_str!("../../../config/providers/gitlab-signed.toml")),
    ("gupshup", include_str!("../../../config/providers/gupshup.toml")),
    ("hmac", include_str!("../../../config/providers/hmac.toml")),
    ("hubspot", include_str!("../../../config/providers/hubspot.toml")),
    ("meta", include_str!("../../../config/providers/meta.toml")),
    ("shopify", include_str!("../../../config/providers/shopify.toml")),
    ("slack", include_str!("../../../config/providers/slack.toml")),
    ("standard-webhooks", include_str!("../../../config/providers/standard-webhooks.toml")),
    ("stripe", include_str!("../../../config/providers/stripe.toml")),
    ("telegram", include_str!("../../../config/providers/telegram.toml")),
    ("token", include_str!("../../../config/providers/token.toml")),
    ("twilio", include_str!("../../../config/providers/twilio.toml")),
];

/// The provider files that are part of the binary, in alphabetical order.
pub const NAMES: &[&str] = &{
    let mut names = [""; FILES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = FILES[at].0;
        at += 1;
    }
    names
};

/// The text of a provider file that is part of the binary.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
