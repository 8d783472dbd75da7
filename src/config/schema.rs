//! What may stand in a configuration, in words that editors understand?
//!
//! A JSON Schema, made by asking the mirror's own readers: each key is walked to with a deserialiser that has no text, and
//! what is asked of it there is what may stand there. The words beside a key are those of the commented example.
//!
//! Promises: every key of the mirror and no other; a new key is there without anything being said here.
//!
//! Must not know: any key in particular, or what a value is good for.

mod ask;
mod prose;

use serde_json::{Map, Value, json};

use self::ask::{Alternative, Seen, Step, ask};
use self::prose::Prose;

/// Deeper than this no configuration goes; the walk ends there.
const DEPTH_MAX: usize = 24;

/// A struct that the walk is in: its keys, and where its schema stands.
struct Above {
    fields: &'static [&'static str],
    at: String,
}

/// The schema of a configuration of format 1 (JSON Schema draft 7).
#[must_use]
pub fn schema() -> Value {
    let mut walk = Walk { prose: Prose::of_example(), path: Vec::new(), above: Vec::new(), keys: Vec::new() };
    let mut whole = walk.here("#".to_owned());
    if let Value::Object(whole) = &mut whole {
        whole.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
        whole.insert("title".to_owned(), "Porteiro, configuration format 1".into());
    }
    whole
}

struct Walk {
    prose: Prose,
    path: Vec<Step>,
    above: Vec<Above>,
    /// The keys on the way, `*` for a name of the operator's.
    keys: Vec<&'static str>,
}

impl Walk {
    /// The schema of what may stand at the path.
    fn here(&mut self, at: String) -> Value {
        if self.path.len() > DEPTH_MAX {
            return json!({});
        }
        match ask(&self.path) {
            Some(Seen::Table(fields)) => self.table(fields, at),
            Some(Seen::Named) => {
                self.keys.push("*");
                let below = self.below(Step::Name, format!("{at}/additionalProperties"));
                self.keys.pop();
                json!({ "type": "object", "additionalProperties": below })
            }
            Some(Seen::List) => {
                let items = self.below(Step::Item, format!("{at}/items"));
                json!({ "type": "array", "items": items })
            }
            Some(Seen::Text(form)) => text(&form),
            Some(Seen::Truth) => json!({ "type": "boolean" }),
            Some(Seen::Number(least, most)) => number(least, most),
            Some(Seen::Any) => self.any(&at),
            Some(Seen::Taken) | None => json!({}),
        }
    }

    fn below(&mut self, step: Step, at: String) -> Value {
        self.path.push(step);
        let schema = self.here(at);
        self.path.pop();
        schema
    }

    fn table(&mut self, fields: &'static [&'static str], at: String) -> Value {
        if let Some(above) = self.above.iter().find(|above| above.fields == fields) {
            return json!({ "$ref": above.at });
        }
        self.above.push(Above { fields, at: at.clone() });
        let mut properties = Map::new();
        for field in fields {
            self.keys.push(field);
            let mut schema = self.below(Step::Field(field), format!("{at}/properties/{field}"));
            let prose = self.prose.of(&self.keys);
            self.keys.pop();
            if let (Some(prose), Value::Object(schema)) = (prose, &mut schema) {
                let form = schema.get("description").and_then(Value::as_str).map(|form| format!("\n({form})"));
                schema.insert("description".to_owned(), (prose + &form.unwrap_or_default()).into());
            }
            properties.insert((*field).to_owned(), schema);
        }
        self.above.pop();
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }

    /// What takes values of several types.
    fn any(&mut self, at: &str) -> Value {
        let mut schemas = Vec::new();
        for alternative in [Alternative::Text, Alternative::Number, Alternative::List, Alternative::Table] {
            self.path.push(Step::As(alternative));
            let place = format!("{at}/anyOf/{}", schemas.len());
            match ask(&self.path) {
                Some(Seen::Taken) if alternative == Alternative::Number => schemas.push(json!({ "type": "integer" })),
                Some(Seen::Taken) => schemas.push(json!({ "type": "string" })),
                Some(Seen::Text(said)) => schemas.push(refused(&said)),
                Some(Seen::Table(fields)) => schemas.push(self.table(fields, place)),
                Some(Seen::List) => {
                    let items = self.below(Step::Item, format!("{place}/items"));
                    schemas.push(json!({ "type": "array", "items": items }));
                }
                _ => {}
            }
            self.path.pop();
        }
        if schemas.len() == 1 { schemas.swap_remove(0) } else { json!({ "anyOf": schemas }) }
    }
}

/// A string of a form; where the form is a list of words, one of them.
fn text(form: &str) -> Value {
    if form == "a string" {
        return json!({ "type": "string" });
    }
    let words: Vec<&str> = form.split('`').skip(1).step_by(2).collect();
    let between: String = form.split('`').step_by(2).collect();
    if !words.is_empty() && between.split([',', ' ']).all(|word| matches!(word, "" | "or" | "and")) {
        return json!({ "type": "string", "enum": words });
    }
    json!({ "type": "string", "description": form })
}

/// What a reader of several types takes that refuses a string in these words: one of those that it calls its choices.
fn refused(said: &str) -> Value {
    let Some((_, choices)) = said.split_once("choices are ") else { return text(said) };
    let words: Vec<&str> = choices.split('`').skip(1).step_by(2).collect();
    json!({ "type": "string", "enum": words })
}

fn number(least: i64, most: Option<i64>) -> Value {
    let mut schema = json!({ "type": "integer" });
    if least != i64::MIN {
        schema["minimum"] = least.into();
    }
    if let Some(most) = most {
        schema["maximum"] = most.into();
    }
    schema
}

#[cfg(test)]
mod tests;
