//! How is one value of the text read, so that whatever is wrong with it is told where it stands?
//!
//! Promises: a value knows its place in the text; a number without a unit, a word that is no choice and a secret
//! written into the file are refused with what would be allowed; a secret is marked so that no report shows it.
//!
//! Must not know: which key a value stands under.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::problem::Span;
use super::units::{self, Rate};

/// How a refusal of a secret in the text begins; the reader masks the value when it sees this.
pub(crate) const PLAIN_SECRET: &str = "a secret is never written in the configuration";

/// A value that is written as a string.
pub(crate) trait Word: Sized {
    /// What it looks like, for the message when it is no string at all.
    const FORM: &'static str;

    /// Reads it; the error says what is allowed.
    fn read(text: &str) -> Result<Self, String>;
}

/// A value and its place in the text.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> From<Spanned<T>> for At<T> {
    fn from(spanned: Spanned<T>) -> Self {
        let span = spanned.span();
        Self { value: spanned.into_inner(), span }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self::from)
    }
}

/// A [`Word`] and its place in the text.
#[derive(Clone, Debug)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<'de, T: Word> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned: Spanned<Bare<T>> = Spanned::deserialize(deserializer)?;
        let span = spanned.span();
        Ok(Self { value: spanned.into_inner().0, span })
    }
}

struct Bare<T>(T);

impl<'de, T: Word> Deserialize<'de> for Bare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<T: Word> Visitor<'_> for Reader<T> {
            type Value = Bare<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::FORM)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Bare<T>, E> {
                T::read(text).map(Bare).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reader(PhantomData))
    }
}

impl Word for String {
    const FORM: &'static str = "a string";
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Word for Duration {
    const FORM: &'static str = units::TIME_FORM;
    fn read(text: &str) -> Result<Self, String> {
        units::time(text)
    }
}

impl Word for Rate {
    const FORM: &'static str = units::RATE_FORM;
    fn read(text: &str) -> Result<Self, String> {
        units::rate(text)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Word for Size {
    const FORM: &'static str = units::SIZE_FORM;
    fn read(text: &str) -> Result<Self, String> {
        units::size(text).map(Self)
    }
}

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow(pub(crate) u64);

impl Word for Flow {
    const FORM: &'static str = units::FLOW_FORM;
    fn read(text: &str) -> Result<Self, String> {
        units::flow(text).map(Self)
    }
}

impl Word for SocketAddr {
    const FORM: &'static str = "an address and a port in quotes, such as \"127.0.0.1:8080\" or \"[::]:8443\"";
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("expected {}", Self::FORM))
    }
}

/// Where a secret stands: in a file or in an environment variable, never in the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretRef {
    pub(crate) file: Option<At<String>>,
    pub(crate) env: Option<At<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretTable {
    file: Option<At<String>>,
    env: Option<At<String>>,
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = SecretRef;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ file = \"PATH\" } or { env = \"NAME\" }")
            }
            fn visit_str<E: Error>(self, _: &str) -> Result<SecretRef, E> {
                Err(E::custom(PLAIN_SECRET))
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<SecretRef, E> {
                Err(E::custom(PLAIN_SECRET))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretRef, A::Error> {
                let SecretTable { file, env } = SecretTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SecretRef { file, env })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A value for which both are allowed: plain text, or a secret by reference.
#[derive(Clone, Debug)]
pub(crate) enum PlainOrSecret {
    Plain(String),
    Secret(SecretRef),
}

impl<'de> Deserialize<'de> for PlainOrSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = PlainOrSecret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, { file = \"PATH\" } or { env = \"NAME\" }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<PlainOrSecret, E> {
                Ok(PlainOrSecret::Plain(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PlainOrSecret, A::Error> {
                let SecretTable { file, env } = SecretTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(PlainOrSecret::Secret(SecretRef { file, env }))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// How a value is compared; one of them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Compared {
    pub(crate) equals: Option<Said<String>>,
    pub(crate) r#in: Option<At<Vec<Said<String>>>>,
    pub(crate) prefix: Option<Said<String>>,
    pub(crate) glob: Option<Said<String>>,
    pub(crate) exists: Option<At<bool>>,
}

/// What is asked of something that needs no further name: the text it is, or how it is compared.
#[derive(Clone, Debug)]
pub(crate) enum Direct {
    Is(String),
    Compared(Compared),
}

impl<'de> Deserialize<'de> for Direct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Direct;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a table such as { in = [\"A\", \"B\"] } or { prefix = \"A\" }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Direct, E> {
                Ok(Direct::Is(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Direct, A::Error> {
                Compared::deserialize(MapAccessDeserializer::new(map)).map(Direct::Compared)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A table that may be written as the text of its most important key.
pub(crate) trait OrText {
    /// What both look like.
    const FORM: &'static str;
}

/// One of the two.
#[derive(Clone, Debug)]
pub(crate) enum TextOr<T> {
    Text(String),
    Table(T),
}

impl<'de, T: Deserialize<'de> + OrText> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + OrText> Visitor<'de> for Reader<T> {
            type Value = TextOr<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::FORM)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<TextOr<T>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// One secret, or several during a rotation.
#[derive(Clone, Debug)]
pub(crate) enum SecretRefs {
    One(SecretRef),
    Several(Vec<At<SecretRef>>),
}

impl<'de> Deserialize<'de> for SecretRefs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = SecretRefs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ file = \"PATH\" }, { env = \"NAME\" }, or a list of them")
            }
            fn visit_str<E: Error>(self, _: &str) -> Result<SecretRefs, E> {
                Err(E::custom(PLAIN_SECRET))
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<SecretRefs, E> {
                Err(E::custom(PLAIN_SECRET))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretRefs, A::Error> {
                let SecretTable { file, env } = SecretTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SecretRefs::One(SecretRef { file, env }))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<SecretRefs, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(SecretRefs::Several)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// What a route is called: its name, or its number.
#[derive(Clone, Debug)]
pub(crate) struct Label(pub(crate) String);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Label;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a route, or its number")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Label, E> {
                Ok(Label(text.to_owned()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Label, E> {
                Ok(Label(number.to_string()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Part of a list of addresses: a prefix, an address or the name of a list, or a file of the operator's.
#[derive(Clone, Debug)]
pub(crate) enum AddressesPart {
    Text(String),
    File(Option<At<String>>),
}

/// A list of addresses, or several parts of one.
#[derive(Clone, Debug)]
pub(crate) enum AddressesSaid {
    One(AddressesPart),
    Several(Vec<At<AddressesPart>>),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    file: Option<At<String>>,
}

impl<'de> Deserialize<'de> for AddressesPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AddressesPart;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address range, the name of a list, or { file = \"PATH\" }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AddressesPart, E> {
                Ok(AddressesPart::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AddressesPart, A::Error> {
                let FileTable { file } = FileTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AddressesPart::File(file))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for AddressesSaid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AddressesSaid;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of address ranges, the name of a list, or { file = \"PATH\" }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AddressesSaid, E> {
                Ok(AddressesSaid::One(AddressesPart::Text(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AddressesSaid, A::Error> {
                let FileTable { file } = FileTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AddressesSaid::One(AddressesPart::File(file)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<AddressesSaid, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(AddressesSaid::Several)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
