//! The compiled table against an interpreter that reads the document anew for every condition.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::{Dedup, Selectors, SourceFacts, Wanted};
use crate::select::{Selector, Take};
use crate::verify::Credential;

/// A request in pieces.
#[derive(Clone, Debug)]
struct Asked {
    headers: Vec<(&'static str, String)>,
    query: Vec<(&'static str, String)>,
    /// `None` is no JSON.
    body: Option<Value>,
}

const SOURCE: &str = "shop";
const PATH: &str = "/in/a";

/// What stands at a pointer, as the words of the house have it.
fn pointed<'v>(value: &'v Value, tokens: &[&str], found: &mut Vec<&'v Value>) {
    match tokens.split_first() {
        None => found.push(value),
        Some((&"*", rest)) => value.as_array().into_iter().flatten().for_each(|inner| pointed(inner, rest, found)),
        Some((token, rest)) => {
            let inner = match value {
                Value::Array(list) => token.parse::<usize>().ok().and_then(|at| list.get(at)),
                other => other.get(token),
            };
            inner.into_iter().for_each(|inner| pointed(inner, rest, found));
        }
    }
}

fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let mut found = Vec::new();
    pointed(value, &pointer.split('/').skip(1).collect::<Vec<_>>(), &mut found);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    found.into_iter().filter_map(text).collect()
}

impl Asked {
    /// The values at a place; `None` where they cannot be read.
    fn values(&self, at: &Spot) -> Option<Vec<String>> {
        let of = |list: &[(&str, String)], name: &str| {
            list.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.clone()).collect()
        };
        Some(match at {
            Spot::Path => vec![PATH.to_owned()],
            Spot::Place(Place::Header(name)) => of(&self.headers, name.as_str()),
            Spot::Place(Place::Query(name)) => of(&self.query, name),
            Spot::Place(Place::Json(pointer)) => texts(self.body.as_ref()?, &pointer.to_string()),
            Spot::Place(Place::Path(_) | Place::Form(_) | Place::FormJson(..)) => Vec::new(),
        })
    }

    /// `Err` for several tenants.
    fn tenant(&self) -> Result<Option<String>, ()> {
        let Some(body) = &self.body else { return Ok(None) };
        let mut elements = Vec::new();
        pointed(body, &["entry", "*"], &mut elements);
        let mut keys: Vec<Option<String>> = elements.iter().map(|inner| texts(inner, "/id").pop()).collect();
        keys.sort();
        keys.dedup();
        match keys.as_slice() {
            [] | [None] => Ok(None),
            [Some(one)] => Ok(Some(one.clone())),
            _ => Err(()),
        }
    }

    fn kind(&self) -> Option<Option<String>> {
        // An empty kind is none.
        Some(texts(self.body.as_ref()?, "/kind").into_iter().next().filter(|kind| !kind.is_empty()))
    }

    /// Whether a condition holds; `None` where that depends on what cannot be read.
    fn holds(&self, when: &When) -> Option<bool> {
        let takes = |shape: &Shape, text: &str| match shape {
            Shape::OneOf(set) => set.iter().any(|known| known == text),
            Shape::Prefix(prefix) => text.starts_with(&**prefix),
            Shape::Glob(glob) => {
                let (first, last) = glob.as_str().split_once('*').expect("the test's globs have one star");
                text.len() >= first.len() + last.len() && text.starts_with(first) && text.ends_with(last)
            }
            Shape::Exists => true,
        };
        match when {
            When::All(list) => {
                let inner: Vec<Option<bool>> = list.iter().map(|inner| self.holds(inner)).collect();
                if inner.contains(&Some(false)) { Some(false) } else { (!inner.contains(&None)).then_some(true) }
            }
            When::Any(list) => self.holds(&When::All(list.iter().cloned().map(not).collect())).map(|none| !none),
            When::Not(inner) => self.holds(inner).map(|holds| !holds),
            When::Source(shape) => Some(takes(shape, SOURCE)),
            When::Kind(shape) => Some(self.kind()?.is_some_and(|kind| takes(shape, &kind))),
            When::Tenant(shape) => match self.tenant().expect("a batch was sorted out before") {
                Some(name) => Some(takes(shape, &name)),
                None => self.body.is_some().then_some(false),
            },
            When::Asks(question) => Some(self.values(&question.at)?.iter().any(|text| takes(&question.shape, text))),
        }
    }

    /// The first rule that matches.
    fn resolve(&self, rules: &[Rule]) -> Option<usize> {
        let own = |rule: &&Rule| rule.from.contains(&SourceId(1));
        let divided = rules.iter().filter(own).any(|rule| rule.mixed || rule.when.as_ref().is_some_and(asks_tenant));
        let several = self.tenant().is_err();
        let matching = |rule: &Rule| {
            let open = !(several && rule.when.as_ref().is_some_and(asks_tenant));
            rule.mixed == (several && divided)
                && open
                && rule.when.as_ref().is_none_or(|when| self.holds(when) == Some(true))
        };
        rules.iter().position(|rule| own(&rule) && matching(rule))
    }

    /// The rule that the table finds, as the house reads a request.
    fn resolve_compiled(&self, rules: &[Rule]) -> (Option<usize>, Option<Vec<DestinationId>>) {
        let table = table_of(rules);
        let place = |text: &str| Place::parse(text).expect("a place");
        let wanted = Wanted {
            kind: Some(Selector::one(place("json:/kind"))),
            tenant: Some(Selector::new(vec![place("json:/entry/*/id")], Take::Each)),
            ..Wanted::default()
        };
        let selectors = Selectors::compile(wanted).expect("two places");
        let selectors = selectors.asking(table.questions().clone()).expect("few places");
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("letters"));
        }
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = self.body.as_ref().map_or_else(|| "no json".to_owned(), Value::to_string);
        let request = Request {
            method: &Method::POST,
            path: PATH,
            query: &query.join("&"),
            headers: &headers,
            body: body.as_bytes(),
            captures: &Captures::default(),
            public_url: None,
        };
        let source = SourceFacts { name: SOURCE, rest: "", credential: &Credential::NONE, dedup: Dedup::On };
        let glimpse = Glimpse::read(&source, &selectors, &request).remove(0);
        let resolved = table.resolve(&Facts::glimpsed(&glimpse, by_keys(&glimpse.tenants)));
        let targets = match resolved {
            Resolved::To { targets, .. } => Some(targets.to_vec()),
            Resolved::Discard { .. } | Resolved::Nowhere => None,
        };
        let rule = resolved.rule().and_then(|rule| table.origins().nth(rule));
        (rule, targets)
    }
}

fn asks_tenant(when: &When) -> bool {
    format!("{when:?}").contains("Tenant(")
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("ab"), Just("1"), Just("2"), Just("")].prop_map(str::to_owned)
}

fn a_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        3 => prop::collection::vec(word(), 0..4)
            .prop_map(|texts| Shape::one_of(&texts.iter().map(String::as_str).collect::<Vec<_>>())),
        1 => word().prop_map(|text| Shape::Prefix(text.into())),
        1 => (word(), word())
            .prop_map(|(first, last)| Shape::Glob(Glob::parse(&format!("{first}*{last}")).expect("short"))),
        1 => Just(Shape::Exists),
    ]
}

fn a_place() -> impl Strategy<Value = Spot> {
    let places = [
        "header:x-a",
        "header:x-b",
        "query:a",
        "query:b",
        "json:/kind",
        "json:/n",
        "json:/entry/*/id",
        "json:/entry/0/id",
    ];
    prop_oneof![
        8 => prop::sample::select(places.to_vec()).prop_map(|text| Spot::Place(Place::parse(text).expect("a place"))),
        1 => Just(Spot::Path),
    ]
}

fn a_condition() -> impl Strategy<Value = When> {
    let leaf = prop_oneof![
        1 => a_shape().prop_map(When::Source),
        1 => a_shape().prop_map(When::Tenant),
        2 => a_shape().prop_map(When::Kind),
        4 => (a_place(), a_shape()).prop_map(|(at, shape)| When::Asks(Question { at, shape })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(When::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(When::Any),
            inner.prop_map(not),
        ]
    })
}

fn some_rules() -> impl Strategy<Value = Vec<Rule>> {
    let one = (prop::option::weighted(0.8, a_condition()), prop::bool::weighted(0.2), any::<bool>(), 0..4_u32);
    prop::collection::vec(one, 0..6).prop_map(|rules| {
        let made = rules.into_iter().enumerate().map(|(at, (when, mixed, discard, from))| {
            // A destination of its own for each rule, so that a leak can be named.
            let to = [u32::try_from(at).expect("few rules")];
            let then = if discard && from == 3 { Then::Discard } else { Then::To(targets(&to)) };
            let from = if from == 0 { vec![SourceId(2)] } else { vec![SourceId(2), SourceId(1)] };
            Rule { from, when, mixed, then }
        });
        made.collect()
    })
}

fn a_request() -> impl Strategy<Value = Asked> {
    let element =
        prop::option::weighted(0.8, word()).prop_map(|id| id.map_or_else(|| json!({}), |id| json!({ "id": id })));
    let body = (prop::option::of(word()), prop::option::of(0..3_u8), prop::collection::vec(element, 0..4)).prop_map(
        |(kind, number, entry)| {
            let mut body = json!({ "entry": entry });
            if let Some(kind) = kind {
                body["kind"] = kind.into();
            }
            if let Some(number) = number {
                body["n"] = number.into();
            }
            body
        },
    );
    let pairs = |first: &'static str, second: &'static str| {
        prop::collection::vec((prop::sample::select(vec![first, second]), word()), 0..4)
    };
    (pairs("x-a", "x-b"), pairs("a", "b"), prop::option::weighted(0.9, body)).prop_map(|(headers, query, body)| Asked {
        headers,
        query,
        body,
    })
}

/// A request with elements of two tenants and perhaps others.
fn a_batch() -> impl Strategy<Value = Asked> {
    let two = prop_oneof![Just(("a", "b")), Just(("1", "a")), Just(("2", "1"))];
    (a_request(), two, any::<bool>()).prop_map(|(mut asked, (one, other), nameless)| {
        let body = asked.body.get_or_insert_with(|| json!({ "entry": [] }));
        let elements = body["entry"].as_array_mut().expect("it is made as a list");
        elements.push(json!({ "id": one }));
        elements.push(if nameless { json!({}) } else { json!({ "id": other }) });
        asked
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_finds_what_the_interpreter_finds(rules in some_rules(), asked in a_request()) {
        prop_assert_eq!(asked.resolve_compiled(&rules).0, asked.resolve(&rules));
    }

    #[test]
    fn a_batch_of_several_tenants_never_reaches_what_a_tenant_rule_names(rules in some_rules(), asked in a_batch()) {
        prop_assert!(asked.tenant().is_err());
        let (rule, targets) = asked.resolve_compiled(&rules);
        let divided = rules.iter().any(|rule| {
            rule.from.contains(&SourceId(1)) && (rule.mixed || rule.when.as_ref().is_some_and(asks_tenant))
        });
        if let Some(rule) = rule {
            prop_assert!(!rules[rule].when.as_ref().is_some_and(asks_tenant));
            prop_assert_eq!(rules[rule].mixed, divided);
        }
        // By what is owed, too: each rule has a destination of its own.
        for rule in rules.iter().filter(|rule| rule.when.as_ref().is_some_and(asks_tenant)) {
            if let (Then::To(named), Some(owed)) = (&rule.then, &targets) {
                prop_assert!(!named.iter().any(|id| owed.contains(id)));
            }
        }
    }

    #[test]
    fn what_matches_was_called_possible(rules in some_rules(), asked in a_request()) {
        let sense = SourceSense { name: SOURCE, kinds: true };
        if let (Some(rule), _) = asked.resolve_compiled(&rules) {
            prop_assert!(rules[rule].when.as_ref().is_none_or(|when| when.is_possible(&sense)));
        }
    }
}
