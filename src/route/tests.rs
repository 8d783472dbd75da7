use bytes::Bytes;

use crate::event::{Body, EventId, Tenants};

use super::*;

fn event() -> Event {
    Event {
        id: EventId::default(),
        key: None,
        digest: [0; 32],
        kind: Arc::default(),
        order: 0,
        time: None,
        tenants: Tenants::default(),
        body: Body::whole(Bytes::new()),
        readable: true,
    }
}

fn rule(from: &[u32], to: &[u32]) -> Rule {
    let from = from.iter().copied().map(SourceId).collect();
    let then = if to.is_empty() { Then::Discard } else { Then::To(to.iter().copied().map(DestinationId).collect()) };
    Rule { from, then }
}

/// Every row: the rules, and whom an event of source 1 is owed to; `None` where it is discarded, `[]` where nowhere.
#[track_caller]
fn check(rules: &[Rule], expected: Option<&[u32]>) {
    let table = Table::build(SourceId(1), rules);
    let resolved = table.resolve(&event());
    let expected: Option<Vec<DestinationId>> = expected.map(|ids| ids.iter().copied().map(DestinationId).collect());
    let got = match resolved {
        Resolved::To(targets) => Some(targets.to_vec()),
        Resolved::Discard => None,
        Resolved::Nowhere => Some(Vec::new()),
    };
    assert_eq!(got, expected, "{rules:?}");
}

#[test]
fn the_first_rule_for_the_source_decides() {
    check(&[rule(&[1], &[7, 8])], Some(&[7, 8]));
    check(&[rule(&[2, 1], &[7]), rule(&[1], &[8])], Some(&[7]));
    check(&[rule(&[2], &[7]), rule(&[1], &[8])], Some(&[8]));
    check(&[rule(&[1], &[7]), rule(&[1], &[])], Some(&[7]));
    check(&[rule(&[1], &[]), rule(&[1], &[7])], None);
    check(&[rule(&[2], &[]), rule(&[1], &[7])], Some(&[7]));
}

#[test]
fn an_event_without_a_rule_is_owed_to_nobody_and_not_discarded() {
    check(&[], Some(&[]));
    check(&[rule(&[], &[7])], Some(&[]));
    check(&[rule(&[2], &[7]), rule(&[3], &[])], Some(&[]));
}

#[test]
fn what_a_rule_gives_is_shared() {
    let targets: Arc<[DestinationId]> = [DestinationId(7)].into();
    let rules = [Rule { from: vec![SourceId(1)], then: Then::To(Arc::clone(&targets)) }];
    let table = Table::build(SourceId(1), &rules);
    let Resolved::To(resolved) = table.resolve(&event()) else { panic!("the rule is for the source") };
    assert!(Arc::ptr_eq(resolved, &targets));
}
