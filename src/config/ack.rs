//! When does a provider hear its answer, and whose?
//!
//! Promises: who is to answer in place of the house is a destination that the source's events can reach, and how long a
//! caller waits for it is bounded; where that may not be what was meant, it is named.
//!
//! Must not know: how anybody waits.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::build::Building;
use super::cross::House;
use super::problem::Span;
use super::provider::Facts;
use super::raw;
use super::said::{At, Said, Word};
use super::{names, show_time};
use crate::snapshot::Role;

/// When a source's provider hears its success, and in whose words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// When the event is on disk.
    #[default]
    Durable,
    /// When the event is in the journal's queue; a crash may lose what was not yet synced.
    Buffered,
    /// When the event is on disk and a destination has answered, in that one's words.
    Delivered(Delivered),
}

/// For whose answer a source's callers wait, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The name of the destination.
    pub destination: Box<str>,
    /// How long a caller waits, counted from the head of the request.
    pub deadline: Duration,
    /// The statuses that are passed back beside 2xx.
    pub pass: Vec<u16>,
    /// How many callers may wait, or have an answer that is not sent yet.
    pub callers: u32,
}

/// What is said of it: a word, or a destination.
#[derive(Debug)]
pub(crate) enum AckSaid {
    Durable,
    Buffered,
    Delivered(Option<At<DeliveredSaid>>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct DeliveredSaid {
    destination: Option<Said<String>>,
    deadline: Option<Said<Duration>>,
    pass: Option<At<Vec<At<u16>>>>,
    callers: Option<At<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AckTable {
    delivered: Option<At<DeliveredSaid>>,
}

impl<'de> Deserialize<'de> for AckSaid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AckSaid;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(AckSaid::FORM)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AckSaid, E> {
                AckSaid::read(text).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AckSaid, A::Error> {
                let AckTable { delivered } = AckTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(AckSaid::Delivered(delivered))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// How long a caller may wait.
const DEADLINES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(120);
/// How long a caller waits if nothing is said, and the provider does not say how long it does.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many callers wait if nothing is said.
const CALLERS: u32 = 256;
/// What is passed back besides success: a redirect would need its address, which is the destination's own affair.
const PASSED: RangeInclusive<u16> = 400..=599;

/// Builds what one source says.
pub(crate) fn build(building: &mut Building<'_>, said: Option<&At<AckSaid>>, facts: &Facts) -> Ack {
    let Some(At { value, span }) = said else { return Ack::default() };
    match value {
        AckSaid::Durable => Ack::Durable,
        AckSaid::Buffered => Ack::Buffered,
        AckSaid::Delivered(None) => {
            building.says_nothing(span, "it is not said when the provider hears", FORMS);
            Ack::Durable
        }
        AckSaid::Delivered(Some(delivered)) => Ack::Delivered(self::delivered(building, delivered, facts)),
    }
}

const FORMS: &str = "ack = \"durable\", ack = \"buffered\", or ack = { delivered = { destination = \"NAME\" } }";

fn delivered(building: &mut Building<'_>, At { value, span }: &At<DeliveredSaid>, facts: &Facts) -> Delivered {
    let DeliveredSaid { destination, deadline, pass, callers } = value;
    if destination.is_none() {
        building
            .problem(span, "it is not said whose answer is passed back")
            .help("name the destination: delivered = { destination = \"NAME\" }");
    }
    // What is left of the provider's patience is the way there and back.
    let usual = facts.answer_within.map_or(DEADLINE, |patience| patience * 4 / 5);
    let waits = building.time(deadline.as_ref(), usual.clamp(*DEADLINES.start(), *DEADLINES.end()), DEADLINES);
    if let (Some(said), Some(patience)) = (deadline, facts.answer_within.filter(|patience| waits >= *patience)) {
        building
            .danger(&said.span, format!("{} does not wait that long", facts.title))
            .label(format!("it gives up after {}", show_time(patience)))
            .note("an answer that comes later is heard by nobody, and neither is the late one");
    }
    let mut passed: Vec<u16> = Vec::new();
    for status in pass.iter().flat_map(|pass| &pass.value) {
        if passed.contains(&status.value) {
            building.problem(&status.span, format!("status {} is named twice", status.value));
        }
        // What is out of its range is told, and nothing is built of it.
        let _: u16 = building.number(Some(status), status.value, PASSED);
        passed.push(status.value);
    }
    Delivered {
        destination: destination.as_ref().map_or("", |said| said.value.as_str()).into(),
        deadline: waits,
        pass: passed,
        callers: building.number(callers.as_ref(), CALLERS, 1..=100_000),
    }
}

/// Checks whether those who are to answer are there, and can be reached.
pub(crate) fn check(building: &mut Building<'_>, file: &raw::File, house: &House<'_>) {
    let known: Vec<&str> = file.destination.keys().map(|name| name.get_ref().as_str()).collect();
    for (name, source) in &file.source {
        let Some(At { value: AckSaid::Delivered(Some(delivered)), .. }) = &source.value.ack else { continue };
        let Some(destination) = &delivered.value.destination else { continue };
        if !known.contains(&destination.value.as_str()) {
            building.unknown(destination, "destination", &known);
            continue;
        }
        // The places that routes hold are those of a house in which everything could be built.
        if building.problems.count() == 0 {
            unsent(building, name.get_ref(), destination, house);
            reached(building, name.get_ref(), destination, house);
            settled(building, &delivered.value, destination, house);
        }
    }
}

/// Who only observes cannot answer; a source that only observes itself waits for nobody.
fn unsent(building: &mut Building<'_>, source: &str, destination: &Said<String>, house: &House<'_>) {
    let to = house.destinations.iter().map(|placed| &placed.destination).find(|to| *to.plan.name == *destination.value);
    let is_live = house.sources.iter().any(|known| *known.name == *source && known.role == Role::Live);
    if is_live && to.is_some_and(|to| !to.is_live()) {
        let title =
            format!("destination `{}` only observes, and cannot answer for source `{source}`", destination.value);
        building
            .problem(&destination.span, title)
            .help("name another destination, have the source observe, too, or make this destination live");
    }
}

/// Who is not sent an event cannot answer it.
fn reached(building: &mut Building<'_>, source: &str, destination: &Said<String>, house: &House<'_>) {
    let to = house.destinations.iter().position(|placed| *placed.destination.plan.name == *destination.value);
    let from = house.sources.iter().position(|known| *known.name == *source);
    let (Some(to), Some(from)) = (to, from) else { return };
    let own: Vec<_> = house.routes.iter().filter(|route| route.from.contains(&from)).collect();
    // Behind a route that takes everything there is nothing left.
    let whole = own.iter().position(|route| route.when.is_none() && !route.mixed);
    let own = &own[..whole.map_or(own.len(), |last| last + 1)];
    let leads = |route: &&super::Route| route.to.as_ref().is_some_and(|targets| targets.contains(&to));
    let elsewhere: Vec<&str> = own.iter().filter(|route| !leads(route)).map(|route| &*route.label).collect();
    if elsewhere.len() == own.len() {
        let title = format!("no route leads from source `{source}` to destination `{}`", destination.value);
        building
            .problem(&destination.span, title)
            .note("its answer is to be passed back, and it is never sent an event of this source");
    } else if !elsewhere.is_empty() {
        let title = format!("not every event of source `{source}` goes to destination `{}`", destination.value);
        let labels = names::list(elsewhere);
        building.danger(&destination.span, title).note(format!(
            "where route {labels} decides, the provider hears the usual success once the event is on disk"
        ));
    }
}

/// What is no success of the destination's is tried again, although somebody has heard it.
fn settled(building: &mut Building<'_>, said: &DeliveredSaid, destination: &Said<String>, house: &House<'_>) {
    let found = house.destinations.iter().find(|placed| *placed.destination.plan.name == *destination.value);
    let (Some(found), Some(pass)) = (found, &said.pass) else { return };
    let success = &found.destination.plan.success;
    let open: Vec<String> = pass
        .value
        .iter()
        .filter(|status| !success.contains(status.value))
        .map(|status| status.value.to_string())
        .collect();
    if !open.is_empty() {
        let list = open.join(", ");
        building
            .danger(&pass.span, format!("an answer {list} is passed back, and the event is delivered again"))
            .note(format!("it is no success of destination `{}`, which goes on by its schedule", destination.value))
            .help(format!("if it means that the event has arrived, add it to the destination's `success`: \"{list}\""));
    }
}

impl Word for AckSaid {
    const FORM: &'static str = "`durable`, `buffered`, or { delivered = { destination = \"NAME\" } }";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "durable" => Ok(Self::Durable),
            "buffered" => Ok(Self::Buffered),
            "delivered" => Err(format!("say by whom: {FORMS}")),
            _ => {
                let known = ["durable", "buffered", "delivered"];
                let near = names::nearest(text, known.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                Err(format!("no such choice; {near}The choices are {}", Self::FORM))
            }
        }
    }
}

/// Names what is unsafe about the word itself.
pub(crate) fn loud(building: &mut Building<'_>, name: &str, said: Option<&At<AckSaid>>) {
    let Some(At { value: AckSaid::Buffered, span }) = said else { return };
    let _: &Span = span;
    building
        .danger(span, format!("source `{name}` acknowledges before its events are on disk"))
        .note("a crash may lose what was acknowledged and not yet synced; it is written and delivered like any other");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ack, Delivered};
    use crate::config::tests::stage::Stage;

    #[test]
    fn what_is_not_said_follows_from_the_provider() {
        let text = include_str!("../../tests/config/valid/ack-delivered.toml");
        let config = Stage::set().build("ack-delivered.toml", text).unwrap_or_else(|report| panic!("{report}"));
        let of = |name: &str| config.sources.iter().find(|known| &*known.name == name).unwrap();
        let delivered = |destination: &str, millis, pass: &[u16], callers| {
            let (destination, pass) = (destination.into(), pass.to_vec());
            Ack::Delivered(Delivered { destination, deadline: Duration::from_millis(millis), pass, callers })
        };
        assert_eq!(of("slack").ack, delivered("crm", 3_000, &[404, 422], 1));
        // Slack waits for 3s.
        assert_eq!(of("usual").ack, delivered("crm", 2_400, &[], 256));
        assert_eq!(of("patient").ack, delivered("archive", 120_000, &[599], 100_000));
        let statuses = |name: &str| (of(name).built.answers.success.status, of(name).built.answers.late.status);
        // A late answer is a success unless something else is said.
        assert_eq!([statuses("slack"), statuses("usual"), statuses("patient")], [(200, 200), (200, 202), (201, 201)]);
    }
}
