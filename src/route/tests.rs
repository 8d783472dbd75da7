use crate::select::{Captures, Glob, Place, Plan, Question, Request, Shape, Spot};

use super::*;
use crate::clock::Timestamp;
use crate::event::Tenants;
use crate::tenant;

mod naive;
mod sense;

/// Facts without a request, to be varied.
const QUIET: Facts<'static> = Facts { tenant: Tenant::None, kind: "", marks: &NOTHING, readable: true };
const NOTHING: Marks = Marks::NONE;

fn targets(ids: &[u32]) -> Arc<[DestinationId]> {
    ids.iter().copied().map(DestinationId).collect()
}

fn rule(from: &[u32], to: &[u32]) -> Rule {
    let then = if to.is_empty() { Then::Discard } else { Then::To(targets(to)) };
    Rule::always(from.iter().copied().map(SourceId).collect(), then)
}

fn rule_when(when: When, to: u32) -> Rule {
    Rule { when: Some(when), ..rule(&[1], &[to]) }
}

fn mixed(to: u32) -> Rule {
    Rule { mixed: true, ..rule(&[1], &[to]) }
}

fn kind(text: &str) -> When {
    When::Kind(Shape::equals(text))
}

fn tenant(text: &str) -> When {
    When::Tenant(Shape::equals(text))
}

fn asks(place: &str, shape: Shape) -> When {
    When::Asks(Question { at: Spot::Place(Place::parse(place).expect("the test's own place")), shape })
}

fn header() -> When {
    asks("header:x-a", Shape::Exists)
}

fn pointer() -> When {
    asks("json:/a", Shape::Exists)
}

fn not(inner: When) -> When {
    When::Not(Box::new(inner))
}

fn table_of(rules: &[Rule]) -> Table {
    Table::build(SourceId(1), "shop", rules).expect("few questions")
}

/// Every row: the rules, the facts, and whom the event is owed to; `None` where it is discarded, `[]` where nowhere.
#[track_caller]
fn check(rules: &[Rule], facts: &Facts<'_>, expected: Option<&[u32]>) {
    let table = table_of(rules);
    let expected: Option<Vec<DestinationId>> = expected.map(|ids| ids.iter().copied().map(DestinationId).collect());
    let got = match table.resolve(facts) {
        Resolved::To { targets, .. } => Some(targets.to_vec()),
        Resolved::Discard { .. } => None,
        Resolved::Nowhere => Some(Vec::new()),
    };
    assert_eq!(got, expected, "{rules:?} {facts:?}");
}

/// Whether an event with these facts matches a condition.
#[track_caller]
fn holds(condition: When, facts: &Facts<'_>, expected: bool) {
    check(&[rule_when(condition, 7)], facts, Some(if expected { &[7] } else { &[] }));
}

#[test]
fn the_first_rule_for_the_source_decides() {
    check(&[rule(&[1], &[7, 8])], &QUIET, Some(&[7, 8]));
    check(&[rule(&[2, 1], &[7]), rule(&[1], &[8])], &QUIET, Some(&[7]));
    check(&[rule(&[2], &[7]), rule(&[1], &[8])], &QUIET, Some(&[8]));
    check(&[rule(&[1], &[7]), rule(&[1], &[])], &QUIET, Some(&[7]));
    check(&[rule(&[1], &[]), rule(&[1], &[7])], &QUIET, None);
    check(&[rule(&[2], &[]), rule(&[1], &[7])], &QUIET, Some(&[7]));
    let paid = Facts { kind: "paid", ..QUIET };
    check(&[rule_when(kind("sent"), 7), rule_when(kind("paid"), 8), rule(&[1], &[9])], &paid, Some(&[8]));
    check(&[rule_when(kind("sent"), 7), rule_when(kind("lost"), 8), rule(&[1], &[9])], &paid, Some(&[9]));
}

#[test]
fn an_event_without_a_rule_is_owed_to_nobody_and_not_discarded() {
    check(&[], &QUIET, Some(&[]));
    check(&[rule(&[], &[7])], &QUIET, Some(&[]));
    check(&[rule(&[2], &[7]), rule(&[3], &[])], &QUIET, Some(&[]));
    check(&[rule_when(kind("paid"), 7)], &QUIET, Some(&[]));
    check(&[Rule { when: Some(kind("paid")), ..rule(&[1], &[]) }], &QUIET, Some(&[]));
}

#[test]
fn a_kind_is_asked_by_every_operator() {
    let paid = Facts { kind: "invoice.paid", ..QUIET };
    let glob = |text: &str| Shape::Glob(Glob::parse(text).expect("a short pattern"));
    for (shape, expected) in [
        (Shape::equals("invoice.paid"), true),
        (Shape::one_of(&["x", "invoice.paid"]), true),
        (Shape::Prefix("invoice.".into()), true),
        (glob("*.paid"), true),
        (Shape::Exists, true),
        (Shape::equals("invoice"), false),
        (Shape::equals("Invoice.paid"), false),
        (Shape::equals(""), false),
        (Shape::one_of(&[]), false),
        (Shape::one_of(&["x", "y"]), false),
        (Shape::Prefix("paid".into()), false),
        (glob("*.pai"), false),
    ] {
        holds(When::Kind(shape.clone()), &paid, expected);
        holds(not(When::Kind(shape.clone())), &paid, !expected);
        holds(When::Kind(shape.clone()), &QUIET, false);
        holds(not(When::Kind(shape)), &QUIET, true);
    }
}

#[test]
fn what_a_rule_says_of_the_source_is_settled_when_the_table_is_built() {
    let source = |name: &str| When::Source(Shape::equals(name));
    holds(source("shop"), &QUIET, true);
    holds(source("other"), &QUIET, false);
    holds(not(source("shop")), &QUIET, false);
    holds(When::All(vec![source("shop"), not(source("other"))]), &QUIET, true);
    holds(When::Any(vec![source("other"), kind("paid")]), &QUIET, false);
    let asked = |condition: When| {
        let table = table_of(&[rule_when(condition, 7)]);
        table.questions().selectors().count()
    };
    assert_eq!(asked(When::Any(vec![pointer(), source("shop")])), 0);
    assert_eq!(asked(When::All(vec![pointer(), source("other")])), 0);
    assert_eq!(asked(When::All(vec![pointer(), source("shop")])), 1);
}

#[test]
fn a_tenant_is_asked_only_where_there_is_one() {
    let of = |tenant| Facts { tenant, ..QUIET };
    holds(tenant("acme"), &of(Tenant::One("acme")), true);
    holds(When::Tenant(Shape::Exists), &of(Tenant::One("acme")), true);
    holds(not(tenant("acme")), &of(Tenant::One("other")), true);
    holds(not(tenant("acme")), &of(Tenant::Unknown), true);
    holds(not(tenant("acme")), &of(Tenant::None), true);
    for (condition, facts) in [
        (tenant("acme"), of(Tenant::One("acm"))),
        (tenant("acme"), of(Tenant::Unknown)),
        (tenant("acme"), of(Tenant::None)),
        (tenant(""), of(Tenant::Unknown)),
        (tenant(""), of(Tenant::None)),
        (When::Tenant(Shape::Exists), of(Tenant::Unknown)),
        (When::Tenant(Shape::Exists), of(Tenant::None)),
        (not(tenant("acme")), of(Tenant::One("acme"))),
    ] {
        holds(condition, &facts, false);
    }
}

#[test]
fn a_batch_of_several_tenants_matches_no_rule_that_asks_for_one() {
    let several = Facts { tenant: Tenant::Mixed, kind: "paid", ..QUIET };
    for condition in [
        tenant("acme"),
        not(tenant("acme")),
        not(not(tenant("acme"))),
        When::Tenant(Shape::Exists),
        not(When::Tenant(Shape::Exists)),
        When::Any(vec![kind("paid"), tenant("acme")]),
        When::Any(vec![kind("paid"), not(tenant("acme"))]),
        When::All(vec![kind("paid"), not(tenant("acme"))]),
        When::Any(vec![When::Source(Shape::Exists), tenant("acme")]),
        not(When::All(vec![kind("sent"), tenant("acme")])),
    ] {
        holds(condition.clone(), &several, false);
        let own = Rule { mixed: true, ..rule_when(condition, 7) };
        check(&[own], &several, Some(&[]));
    }
}

#[test]
fn where_tenants_are_told_apart_a_batch_of_several_takes_a_mixed_rule_or_none() {
    let several = Facts { tenant: Tenant::Mixed, kind: "paid", ..QUIET };
    let acme = Facts { tenant: Tenant::One("acme"), ..several };
    let rest = || rule(&[1], &[9]);
    check(&[rule_when(tenant("acme"), 7), rest()], &several, Some(&[]));
    check(&[rule_when(tenant("acme"), 7), rule_when(kind("paid"), 8)], &several, Some(&[]));
    check(&[rule_when(tenant("acme"), 7), mixed(8), rest()], &several, Some(&[8]));
    check(&[mixed(8), rest()], &several, Some(&[8]));
    check(&[Rule { when: Some(kind("sent")), ..mixed(8) }, rest()], &several, Some(&[]));
    check(&[Rule { when: Some(kind("sent")), ..mixed(8) }, mixed(6), rest()], &several, Some(&[6]));
    check(&[Rule { mixed: true, ..rule(&[1], &[]) }, rest()], &several, None);
    check(&[Rule { mixed: true, ..rule(&[2], &[8]) }, rule_when(tenant("acme"), 7), rest()], &several, Some(&[]));
    // Who has one tenant never takes it.
    check(&[mixed(8), rule_when(tenant("acme"), 7)], &acme, Some(&[7]));
    check(&[mixed(8)], &acme, Some(&[]));
    check(&[mixed(8)], &QUIET, Some(&[]));
    // Where nobody asks for a tenant, a batch is an event like any other.
    check(&[rest()], &several, Some(&[9]));
    check(&[rule_when(kind("paid"), 8), rest()], &several, Some(&[8]));
    check(&[Rule { from: vec![SourceId(2)], ..rule_when(tenant("acme"), 7) }, rest()], &several, Some(&[9]));
}

/// What a body that is no JSON answers.
fn unread_body() -> Marks {
    let at = Spot::Place(Place::parse("json:/a").expect("a place"));
    let questions = Questions::compile(&[Question { at, shape: Shape::Exists }]).expect("one question");
    let plan = Plan::compile(&questions.selectors().collect::<Vec<_>>()).expect("one place");
    let request = Request {
        method: &http::Method::POST,
        path: "/",
        query: "",
        headers: &http::HeaderMap::new(),
        body: b"no json",
        captures: &Captures::default(),
        public_url: None,
    };
    questions.answer(0, &plan.read(&request), &request)
}

#[test]
fn what_could_not_be_read_is_neither_there_nor_absent() {
    let marks = unread_body();
    let unread = Facts { readable: false, marks: &marks, ..QUIET };
    let nobody = Facts { tenant: Tenant::Unknown, ..unread };
    for condition in [pointer(), kind("paid"), When::Kind(Shape::Exists)] {
        holds(condition.clone(), &unread, false);
        holds(not(condition.clone()), &unread, false);
        holds(When::All(vec![not(header()), not(condition.clone())]), &unread, false);
        holds(When::Any(vec![header(), not(condition.clone())]), &unread, false);
        holds(When::Any(vec![not(header()), condition.clone()]), &unread, true);
        holds(not(When::All(vec![header(), condition])), &unread, true);
    }
    for facts in [&nobody, &unread] {
        holds(tenant("acme"), facts, false);
        holds(not(tenant("acme")), facts, false);
    }
    holds(not(tenant("acme")), &Facts { tenant: Tenant::One("other"), ..unread }, true);
    holds(not(header()), &nobody, true);
    check(&[rule_when(not(pointer()), 7), rule(&[1], &[9])], &unread, Some(&[9]));
    // A kind that was read is known, whatever else could not be.
    holds(kind("paid"), &Facts { kind: "paid", ..unread }, true);
    holds(not(kind("paid")), &Facts { kind: "sent", ..unread }, true);
}

#[test]
fn a_list_holds_as_it_says() {
    let (yes, no) = (|| kind("paid"), || kind("sent"));
    let paid = Facts { kind: "paid", ..QUIET };
    for (condition, expected) in [
        (When::All(vec![yes(), yes()]), true),
        (When::All(vec![yes(), no()]), false),
        (When::All(vec![no(), no()]), false),
        (When::All(vec![]), true),
        (When::Any(vec![no(), yes()]), true),
        (When::Any(vec![no(), no()]), false),
        (When::Any(vec![]), false),
        (When::All(vec![When::Any(vec![no(), yes()]), not(no())]), true),
        (When::All(vec![When::Any(vec![no(), yes()]), not(yes())]), false),
    ] {
        holds(condition, &paid, expected);
    }
}

#[test]
fn the_rule_that_decided_is_told_by_its_place() {
    let rules = [rule(&[2], &[7]), rule_when(kind("paid"), 8), rule(&[1], &[])];
    let table = table_of(&rules);
    assert_eq!(table.origins().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(table.resolve(&Facts { kind: "paid", ..QUIET }).rule(), Some(0));
    assert_eq!(table.resolve(&QUIET), Resolved::Discard { rule: 1 });
    assert_eq!(table_of(&[]).resolve(&QUIET).rule(), None);
}

#[test]
fn more_questions_than_can_be_answered_are_refused() {
    let rules = |count: usize| -> Vec<Rule> {
        (0..count).map(|at| rule_when(asks("json:/a", Shape::equals(&at.to_string())), 7)).collect()
    };
    assert!(Table::build(SourceId(1), "shop", &rules(Questions::MAX)).is_ok());
    assert!(Table::build(SourceId(1), "shop", &rules(Questions::MAX + 1)).is_err());
    // The same question is asked once, and another source's questions are not asked at all.
    let same: Vec<Rule> = (0..1000).map(|_| rule_when(pointer(), 7)).collect();
    assert!(Table::build(SourceId(1), "shop", &same).is_ok());
    assert!(Table::build(SourceId(2), "other", &rules(Questions::MAX + 1)).is_ok());
}

#[test]
fn what_a_rule_gives_is_shared() {
    let targets = targets(&[7]);
    let table = table_of(&[Rule::always(vec![SourceId(1)], Then::To(Arc::clone(&targets)))]);
    let Resolved::To { targets: resolved, .. } = table.resolve(&QUIET) else { panic!("the rule is for the source") };
    assert!(Arc::ptr_eq(resolved, &targets));
}

/// For tests of what routes do with tenants: each key is the name of a tenant of its own.
fn by_keys(tenants: &Tenants) -> Tenant<'_> {
    match tenants.keys.as_slice() {
        _ if tenants.mixed() => Tenant::Mixed,
        [one, ..] => Tenant::One(one),
        [] if tenants.others => Tenant::Unknown,
        [] => Tenant::None,
    }
}

#[test]
fn keys_make_tenants() {
    let source: Arc<str> = "whatsapp".into();
    let keys = ["1", "2"].map(|key| (Arc::clone(&source), Arc::from(key)));
    let acme = tenant::Configured { name: "acme".into(), keys: keys.to_vec(), limits: None, over: None };
    let spec = tenant::Spec { tenants: vec![acme], ..tenant::Spec::default() };
    let table = tenant::Table::build(&spec, None, Timestamp::ZERO);
    let named = table.door(&source, true, tenant::Manner::default());
    let nameless = table.door(&source, false, tenant::Manner::default());
    let of = |keys: &[&str], others| Tenants { keys: keys.iter().map(|key| Box::from(*key)).collect(), others };
    for (tenants, expected) in [
        (of(&["1"], false), Tenant::One("acme")),
        (of(&["1", "2"], false), Tenant::One("acme")),
        (of(&["3"], false), Tenant::Unknown),
        (of(&["acme"], false), Tenant::Unknown),
        (of(&[], true), Tenant::None),
        (of(&[], false), Tenant::None),
        (of(&["1"], true), Tenant::Mixed),
        (of(&["1", "3"], false), Tenant::Mixed),
        (of(&["3", "4"], false), Tenant::Mixed),
        (of(&["1", "2", "3"], true), Tenant::Mixed),
    ] {
        assert_eq!(Tenant::of(&named.parties(&tenants)), expected, "{tenants:?}");
    }
    assert_eq!(Tenant::of(&nameless.parties(&of(&[], false))), Tenant::None);
}

#[test]
fn a_condition_reads_as_a_sentence() {
    let condition = When::All(vec![
        kind("messages"),
        When::Any(vec![asks("json:/entry/*/id", Shape::one_of(&["2", "1"])), tenant("acme")]),
        not(asks("header:x-test", Shape::Exists)),
        When::Source(Shape::Prefix("wa-".into())),
        When::Asks(Question { at: Spot::Path, shape: Shape::Glob(Glob::parse("/a/*").expect("a short pattern")) }),
    ]);
    assert_eq!(
        condition.to_string(),
        "kind is \"messages\" and (json:/entry/*/id is one of [\"1\", \"2\"] or tenant is \"acme\") and not \
         (header:x-test is there) and source begins with \"wa-\" and path looks like \"/a/*\""
    );
}
