use super::*;
use crate::clock::Timestamp;
use crate::event::Tenants;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// One event in ten seconds, so many at once.
fn limits(burst: u32) -> Limits {
    Limits { count: 1, per: Duration::from_secs(10), burst, quota: Quota::default() }
}

fn configured(name: &str, keys: &[(&str, &str)], burst: Option<u32>) -> Configured {
    let keys = keys.iter().map(|(source, key)| (Arc::from(*source), Arc::from(*key))).collect();
    Configured { name: name.into(), keys, limits: burst.map(limits), over: Some(Mode::Refuse) }
}

fn spec() -> Spec {
    let tenants = vec![
        configured("acme", &[("meta", "1"), ("meta", "2"), ("gupshup", "AcmeApp")], Some(2)),
        configured("bolt", &[("meta", "3"), ("gupshup", "1")], Some(1)),
        configured("calm", &[("meta", "4")], None),
    ];
    Spec { tenants, unknown: Some(limits(1)), unknown_max: 3, labels: 2 }
}

const REFUSING: Manner = Manner { mode: Mode::Refuse, beyond: Beyond::Refuse };

fn door(table: &Table, source: &str) -> Door {
    table.door(&source.into(), source != "mute", REFUSING)
}

fn found(keys: &[&str], others: bool) -> Tenants {
    Tenants { keys: keys.iter().map(|key| Box::from(*key)).collect(), others }
}

/// Whom an event concerns, in words.
#[track_caller]
fn check(table: &Table, source: &str, keys: &[&str], others: bool, expected: &[&str]) {
    let door = door(table, source);
    let word = |party: &Party<'_>| match party {
        Party::Known(tenant) => tenant.name().to_owned(),
        Party::Unknown(_) => "?".to_owned(),
        Party::Nobody(_) => "-".to_owned(),
    };
    let parties = door.parties(&found(keys, others));
    let words: Vec<String> = parties.iter().map(word).collect();
    assert_eq!(words, expected, "{keys:?} {others} at {source}");
    assert_eq!((parties.len(), parties.is_empty()), (expected.len(), expected.is_empty()));
}

/// Whether one more event with this key passes.
fn passes(table: &Table, source: &str, key: &str) -> bool {
    let door = door(table, source);
    let tenants = found(if key.is_empty() { &[] } else { std::slice::from_ref(&key) }, false);
    let parties = door.parties(&tenants);
    let party = parties.iter().next().expect("it names somebody");
    door.charge(*party, 1, 0, NOW).verdict == Verdict::Pass
}

#[test]
fn keys_mean_tenants_at_their_source_and_nowhere_else() {
    let table = Table::build(&spec(), None, NOW);
    check(&table, "meta", &["1"], false, &["acme"]);
    check(&table, "meta", &["2"], false, &["acme"]);
    check(&table, "meta", &["1", "2"], false, &["acme"]);
    check(&table, "meta", &["1", "3", "2"], false, &["acme", "bolt"]);
    check(&table, "gupshup", &["1"], false, &["bolt"]);
    check(&table, "gupshup", &["2"], false, &["?"]);
    check(&table, "meta", &["AcmeApp"], false, &["?"]);
    check(&table, "meta", &["acme"], false, &["?"]);
    check(&table, "meta", &["8", "9", "8"], false, &["?", "?"]);
    check(&table, "meta", &["1"], true, &["acme", "-"]);
    check(&table, "meta", &[], true, &["-"]);
    check(&table, "meta", &[], false, &["-"]);
    check(&table, "mute", &[], false, &[]);
    check(&table, "elsewhere", &["1"], false, &["?"]);
    assert!(table.get("acme").is_some_and(|tenant| tenant.name() == "acme") && table.get("Acme").is_none());
}

#[test]
fn numbers_tell_everybody_apart_and_stay() {
    let numbers = || {
        let table = Table::build(&spec(), None, NOW);
        let (meta, gupshup) = (door(&table, "meta"), door(&table, "gupshup"));
        let all = [(&meta, "1"), (&meta, "3"), (&meta, "9"), (&gupshup, "9"), (&gupshup, "acme"), (&meta, "")];
        let number = |(door, key): (&Door, &str)| {
            let tenants = found(if key.is_empty() { &[] } else { std::slice::from_ref(&key) }, false);
            door.parties(&tenants).iter().next().map(Party::number).unwrap()
        };
        all.map(number)
    };
    let mut first = numbers();
    assert_eq!(first, numbers());
    first.sort_unstable();
    assert!(first.windows(2).all(|pair| pair[0] != pair[1]) && first[0] > 0, "{first:?}");
}

#[test]
fn all_keys_of_a_tenant_have_one_bucket() {
    let table = Table::build(&spec(), None, NOW);
    assert!(passes(&table, "meta", "1") && passes(&table, "gupshup", "AcmeApp") && !passes(&table, "meta", "2"));
    assert!(passes(&table, "gupshup", "1") && !passes(&table, "meta", "3"));
    assert!((0..1_000).all(|_| passes(&table, "meta", "4")), "who has no limits has none");
    // Everybody else has a bucket of their own, and so have those without a key.
    assert!(passes(&table, "meta", "x") && passes(&table, "gupshup", "x") && passes(&table, "meta", ""));
    assert!(!passes(&table, "meta", "x") && !passes(&table, "gupshup", "x") && !passes(&table, "meta", ""));
    let free = Table::build(&Spec { unknown: None, ..spec() }, None, NOW);
    assert!((0..1_000).all(|_| passes(&free, "meta", "x") && passes(&free, "meta", "")));
    assert_eq!(free.tidy(NOW), 0);
}

#[test]
fn what_happens_over_the_rate_is_said_by_the_tenant_or_else_by_the_source() {
    let over = |tenant, mode, beyond| Manner { mode, beyond }.over(tenant);
    let (shape, refuse) = (Mode::Shape, Mode::Refuse);
    for beyond in [Beyond::Refuse, Beyond::Release] {
        assert_eq!(over(None, refuse, beyond), Over::Refuse);
        assert_eq!(over(Some(refuse), shape, beyond), Over::Refuse);
        assert_eq!(over(None, shape, beyond), Over::Shape(beyond));
        assert_eq!(over(Some(shape), refuse, beyond), Over::Shape(beyond));
    }
    assert_eq!(Manner::default().over(None), Over::Shape(Beyond::Release));
}

#[test]
fn labels_are_bounded_and_the_rest_is_other() {
    let table = Table::build(&spec(), None, NOW);
    let labels: Vec<&str> = table.labels().collect();
    assert_eq!(labels, ["unknown", "other", "acme", "bolt"]);
    let door = door(&table, "meta");
    for (key, label) in [("1", "acme"), ("3", "bolt"), ("4", "other"), ("x", "unknown"), ("unknown", "unknown")] {
        let tenants = found(&[key], false);
        assert_eq!(labels[door.parties(&tenants).iter().next().unwrap().label()], label);
    }
    let none = Table::build(&Spec::default(), None, NOW);
    assert_eq!(none.labels().collect::<Vec<_>>(), LABELS_OWN);
}

#[test]
fn the_unknown_are_bounded_and_those_who_rest_are_forgotten() {
    let table = Table::build(&spec(), None, NOW);
    let door = door(&table, "meta");
    let charge = |key: &str, now| {
        let tenants = found(&[key], false);
        let party = *door.parties(&tenants).iter().next().unwrap();
        (door.charge(party, 1, 0, now), party.number())
    };
    let passes = |key, now| charge(key, now).0.verdict == Verdict::Pass;
    assert!(["a", "b", "c"].iter().all(|key| passes(key, NOW)));
    assert_eq!(table.tidy(NOW), 3, "who is not at rest is not forgotten");
    // There is no room for a fourth: the newcomers share one bucket.
    assert!(passes("d", NOW) && !passes("e", NOW) && !passes("d", NOW));
    assert!(!passes("a", NOW));
    let shared = charge("f", NOW.plus(Duration::from_secs(9))).0;
    assert!(matches!(shared.verdict, Verdict::Refuse { .. }) && table.tidy(NOW) == 3);
    // They have rested: there is room, and a charge that was given back leaves nothing behind.
    let later = NOW.plus(Duration::from_secs(10));
    let (given, number) = charge("g", later);
    assert_eq!(given.verdict, Verdict::Pass);
    door.give_back(Party::Unknown(number), &given, later);
    assert!(passes("g", later) && !passes("g", later));
    assert_eq!(table.tidy(later), 1);
    assert_eq!(table.tidy(later.plus(Duration::from_secs(10))), 0);
}

#[test]
fn a_charge_to_the_shared_bucket_is_given_back_to_it() {
    let table = Table::build(&Spec { unknown_max: 0, ..spec() }, None, NOW);
    let door = door(&table, "meta");
    let charge = |number| door.charge(Party::Unknown(number), 1, 0, NOW);
    let first = charge(1);
    assert_eq!((first.verdict, table.tidy(NOW)), (Verdict::Pass, 0));
    assert_ne!(charge(2).verdict, Verdict::Pass);
    door.give_back(Party::Unknown(1), &first, NOW);
    assert_eq!(charge(2).verdict, Verdict::Pass);
}

#[test]
fn many_threads_that_know_nobody_stay_within_the_bound_and_every_limit() {
    for round in 0..50 {
        let table = Table::build(&Spec { unknown_max: 8, ..spec() }, None, NOW);
        let door = door(&table, "meta");
        let together = std::sync::Barrier::new(8);
        let passed: usize = std::thread::scope(|scope| {
            let one = |thread: u64| {
                let (door, together) = (&door, &together);
                scope.spawn(move || {
                    together.wait();
                    let pass = |number| door.charge(Party::Unknown(number), 1, 0, NOW).verdict == Verdict::Pass;
                    (1..=10).filter(|number| pass(number + 100 * (thread % 4))).count()
                })
            };
            let threads: Vec<_> = (0..8).map(one).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(table.tidy(NOW), 8, "round {round}");
        assert_eq!(passed, 9, "one event each, and one of all those who share");
    }
}

#[test]
fn buckets_survive_a_new_configuration_by_name() {
    let used = |next: Spec| {
        let first = Table::build(&spec(), None, NOW);
        assert!(passes(&first, "meta", "1") && passes(&first, "meta", "x") && passes(&first, "meta", "3"));
        let next = Table::build(&next, Some(&first), NOW);
        // What is charged to the old table while the new one is not yet in place counts, too.
        (next, first)
    };
    let (same, first) = used(spec());
    assert!(!passes(&same, "meta", "3") && !passes(&same, "meta", "x"));
    assert!(passes(&first, "meta", "2") && !passes(&same, "meta", "1") && !passes(&first, "meta", "1"));
    // Other keys, another order, another way over the rate: the same bucket.
    let mut changed = spec();
    changed.tenants[0] = Configured { over: None, ..configured("acme", &[("meta", "77")], Some(2)) };
    changed.tenants.swap(0, 1);
    let (next, first) = used(changed);
    assert!(passes(&next, "meta", "77") && !passes(&next, "meta", "77") && !passes(&first, "meta", "1"));
    assert!(passes(&next, "meta", "1"), "a key that means nobody any more is a new unknown");
    // Other limits: as many events ahead as before.
    let mut wider = spec();
    wider.tenants[0].limits = Some(limits(4));
    wider.unknown = Some(limits(3));
    let (next, _) = used(wider);
    assert_eq!((0..9).filter(|_| passes(&next, "meta", "1")).count(), 3);
    assert_eq!((0..9).filter(|_| passes(&next, "meta", "x")).count(), 2);
    for (unknown_max, left) in [(0, 0), (1, 1), (2, 1)] {
        let (next, _) = used(Spec { unknown_max, unknown: Some(limits(3)), ..spec() });
        assert_eq!(next.tidy(NOW), left, "room for {unknown_max}");
    }
    let crowd = Table::build(&spec(), None, NOW);
    assert!(["x", "y", "z"].iter().all(|key| passes(&crowd, "meta", key)));
    let next = Table::build(&Spec { unknown_max: 2, ..spec() }, Some(&crowd), NOW);
    assert_eq!(next.tidy(NOW), 2, "no more are taken over than there is room for");
    let mut renamed = spec();
    renamed.tenants[0].name = "acme2".into();
    let (next, _) = used(renamed);
    assert!(passes(&next, "meta", "1") && passes(&next, "meta", "1"), "another name is another tenant");
}
