//! Is there any long life in which something is lost?
//!
//! Promises: a seed is a whole life: its options, its programs, its faults, its crashes. A failing one is printed and
//! runs again alone with `PORTEIRO_SIM_SEED`.
//!
//! Must not know: what a program was meant to show.

use std::time::Duration;

use super::amounts;
use super::chance::Chance;
use super::lying::{Failure, Plan, Stop};
use super::model::DESTINATIONS;
use super::platter::Survival;
use super::program::{self, Recipe};
use super::world::{Ended, Finding, World};
use crate::journal::{Faults, Options};

/// What a seed is about, by its remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// Crashes only.
    Crashes,
    /// Large events, much settled: segments are recycled.
    Recycling,
    /// Syncs fail, writes fail, the disk is full for a call.
    Failures,
    /// Small bounds on age, size and dead letters.
    Bounds,
}

fn flavour(seed: u64) -> Flavour {
    [Flavour::Crashes, Flavour::Recycling, Flavour::Failures, Flavour::Bounds]
        [usize::try_from(seed % 4).expect("small")]
}

pub(super) fn any_stop(chance: &mut Chance) -> Stop {
    let seed = chance.bits();
    match chance.below(8) {
        0 => Stop::Kill,
        1 => Stop::Power(Survival::Everything),
        2..=3 => Stop::Power(Survival::Nothing),
        4 => Stop::Power(Survival::Calls(seed)),
        5 => Stop::Power(Survival::Pages(seed)),
        6 => Stop::Power(Survival::Sectors(seed)),
        _ => Stop::Power(Survival::Torn(seed)),
    }
}

/// One life, with these faults planted.
pub(super) fn live(seed: u64, faults: Faults, forgets_directories: bool) -> Result<u64, Finding> {
    let mut chance = Chance::new(seed);
    let flavour = flavour(seed);
    let mut world = World::new(seed, Options { faults, ..options(flavour, &mut chance) });
    // Where there is no room, what is owed may become a dead letter; where no grave can be dug, it stays owed.
    world.model.forgiven.expiry = flavour != Flavour::Crashes;
    if flavour == Flavour::Bounds {
        world.model.forgiven.expiry = true;
        world.model.forgiven.dead_bounds = true;
        world.plans[0].backlog_age = Duration::from_secs(3600);
        world.plans[1].backlog_size = 200 << 10;
    }
    let traced = amounts().only == Some(seed);
    if traced {
        world.storage.trace();
    }
    let (mut crashes, mut shown) = (0, 0);
    for life in 0..chance.between(3, 6) {
        let plan = Plan { forgets_directories, ..plan(flavour, world.storage.calls(), &mut chance) };
        world.failing = !plan.failures.is_empty() || plan.capacity > 0 || plan.unreadable > 0;
        // A destination may leave the configuration for a life; what it is owed waits for it.
        if life > 0 && chance.once_in(5) {
            world.named[chance.index(DESTINATIONS)] = false;
        }
        world.storage.note(format!("{plan:?}"));
        world.storage.plan(plan);
        let ended = one_life(&mut world, flavour, &mut chance);
        if traced {
            println!("life {life} of seed {seed} ended {ended:?} at {}", world.clock.now());
            world.storage.lines().iter().skip(shown).for_each(|line| println!("  {line}"));
            shown = world.storage.lines().len();
        }
        let ended = ended.map_err(|finding| format!("{finding}\n  life {life}"))?;
        let stop = match ended {
            // A process that gives up leaves the page cache behind, as a rule.
            Ended::GaveUp if !chance.once_in(3) => Stop::Kill,
            Ended::GaveUp | Ended::Stopped | Ended::Whole => any_stop(&mut chance),
        };
        crashes += 1;
        world.restart(stop);
        world.storage.note(format!("{ended:?}, {stop:?}"));
        world.storage.plan(Plan::default());
        world.failing = false;
        world.named = [true; DESTINATIONS];
        let judged = world.check();
        judged.map_err(|finding| format!("{finding}\n  after life {life}, which ended {ended:?}, then {stop:?}"))?;
    }
    Ok(crashes)
}

fn one_life(world: &mut World, flavour: Flavour, chance: &mut Chance) -> Result<Ended, Finding> {
    if !world.open()? {
        return Ok(if world.storage.stopped() { Ended::Stopped } else { Ended::GaveUp });
    }
    let large = flavour == Flavour::Recycling || flavour == Flavour::Bounds;
    let recipe = Recipe {
        deeds: chance.index(if large { 90 } else { 50 }) + 3,
        body_max: if large { 30_000 } else { 3000 },
        settles: large,
        long_times: flavour == Flavour::Bounds,
    };
    let deeds = program::program(chance, recipe);
    let ended = world.run(&deeds)?;
    let ended = if ended == Ended::Whole && !world.failing && chance.once_in(2) { world.drain()? } else { ended };
    if ended == Ended::Whole && chance.once_in(3) { world.close() } else { Ok(ended) }
}

fn options(flavour: Flavour, chance: &mut Chance) -> Options {
    let mut options = super::small();
    options.ring_bytes = [2 << 10, 16 << 10, 256 << 10][chance.index(3)];
    options.read_bytes = [1 << 10, 8 << 10, 64 << 10][chance.index(3)];
    options.retry_slots = [2, 8, 1000][chance.index(3)];
    options.retry_slots_per_tenant = options.retry_slots.min(3);
    if flavour == Flavour::Bounds {
        options.keep_delivered = Duration::from_secs(600);
        options.keep_dead_age = Duration::from_secs(3600);
        options.keep_dead_size = 128 << 10;
    }
    options
}

/// What goes wrong in one life, which begins after so many calls.
fn plan(flavour: Flavour, calls: u64, chance: &mut Chance) -> Plan {
    let mut plan = Plan { short_writes: chance.once_in(3), ..Plan::default() };
    plan.crash_at = match chance.below(8) {
        0..=2 => Some(calls + chance.below(40)),
        3..=6 => Some(calls + chance.below(400)),
        _ => None,
    };
    if flavour == Flavour::Failures {
        for _ in 0..chance.between(0, 4) {
            let failure = if chance.once_in(3) { Failure::Full } else { Failure::Broken };
            plan.failures.insert(calls + chance.below(120), failure);
        }
        if chance.once_in(3) {
            // More often, and what passes would look like what stays: a block is given up after five tries.
            plan.unreadable = chance.between(12, 60);
        }
        if chance.once_in(4) {
            plan.capacity = chance.between(6, 20) << 16;
        }
    }
    plan
}

/// One finding of each kind: those that differ in their numbers only are one kind.
pub(super) fn one_of_each(findings: &[String]) -> Vec<String> {
    let kind = |finding: &String| -> String {
        let sentence = finding.split_once(": ").map_or(finding.as_str(), |(_, sentence)| sentence);
        sentence.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_ascii_digit()).collect()
    };
    let mut kinds = std::collections::BTreeMap::new();
    for finding in findings {
        kinds.entry(kind(finding)).or_insert((0, finding)).0 += 1;
    }
    kinds.into_values().map(|(count, finding)| format!("{count} like {finding}")).collect()
}

#[test]
fn nothing_is_lost_in_any_seeded_life() {
    let amounts = amounts();
    if let Some(seed) = amounts.only {
        println!("seed {seed} is about {:?}", flavour(seed));
        live(seed, Faults::default(), false).unwrap_or_else(|finding| panic!("{finding}\n  of seed {seed}"));
        return;
    }
    let mut crashes = 0;
    let mut findings = Vec::new();
    for seed in 0..amounts.seeds {
        match live(seed, Faults::default(), false) {
            Ok(count) => crashes += count,
            Err(finding) => findings.push(format!("seed {seed} ({:?}): {finding}", flavour(seed))),
        }
    }
    println!("{} lives, {crashes} crashes", amounts.seeds);
    let shown = one_of_each(&findings).join("\n");
    assert!(
        findings.is_empty(),
        "{} of {} seeds; run one with PORTEIRO_SIM_SEED\n{shown}",
        findings.len(),
        amounts.seeds
    );
}
