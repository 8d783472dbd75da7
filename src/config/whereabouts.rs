//! Where do the secrets of a source stand, so that what is printed can name the place instead?
//!
//! Promises: every secret that the text names for the source is found, whatever it is for.
//!
//! Must not know: what a secret opens.

use std::path::Path;

use toml::Value;

use super::inventory::Asked;
use super::problem::Problems;
use super::said::{At, SecretRef};
use super::secrets::{Environment, Outside};
use super::{Config, base};
use crate::secret::Secret;

/// A secret that is not to be shown.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// What is not to be shown.
    pub secret: Secret,
    /// How a shell finds it, within double quotes.
    pub shell: String,
}

impl Config {
    /// The secrets that the text names for a source.
    #[must_use]
    pub fn hidden(&self, source: &str) -> Vec<Hidden> {
        let text = self.inventory.said(&self.path).and_then(|text| text.parse::<toml::Table>().ok());
        let section = text.as_ref().and_then(|table| table.get("source")?.get(source));
        let mut found = Vec::new();
        if let Some(section) = section {
            find(section, base(&self.path), &mut found);
        }
        found
    }
}

/// Collects what a section refers to as `{ file = ".." }` or `{ env = ".." }`.
fn find(value: &Value, base: &Path, found: &mut Vec<Hidden>) {
    match value {
        Value::Table(table) => {
            let text = |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
            let said = |value| At { value, span: 0..0 };
            let place = SecretRef { file: text("file").map(said), env: text("env").map(said) };
            if table.len() == 1 && (place.file.is_some() || place.env.is_some()) {
                found.extend(resolve(&place, base));
            } else {
                table.values().for_each(|value| find(value, base, found));
            }
        }
        Value::Array(list) => list.iter().for_each(|value| find(value, base, found)),
        _ => {}
    }
}

fn resolve(place: &SecretRef, base: &Path) -> Option<Hidden> {
    let shell = match (&place.file, &place.env) {
        (Some(file), _) => {
            let path = base.join(&file.value).display().to_string();
            format!("$(cat '{}')", path.replace('\'', "'\\''"))
        }
        (None, env) => format!("${{{}}}", env.as_ref()?.value),
    };
    let (asked, mut problems) = (Asked::default(), Problems::default());
    let outside = Outside { base, environment: Environment::process(), asked: &asked };
    let secret = outside.secret_at(place, &(0..0), &mut problems)?;
    Some(Hidden { secret, shell })
}
