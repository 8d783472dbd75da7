//! Is there any one moment at which a crash costs something?
//!
//! Promises: each short program is stopped at every call that changes something, the machine comes back in every way
//! there is, and each of those recoveries is stopped again, at every call of its own for some and at a few for the rest;
//! then life goes on and is stopped once more.
//!
//! Must not know: what a call was for.

use std::time::Duration;

use super::amounts;
use super::chance::Chance;
use super::lying::{Failure, Plan, Stop};
use super::platter::Survival;
use super::program::{Deed, How, Shape};
use super::short;
use super::world::{Ended, Finding, World};
use crate::journal::Options;

/// Everything one program went through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) crashes: u64,
    pub(super) recoveries: u64,
}

/// Every way a machine comes back, those by chance from one seed.
fn stops(seed: u64) -> [Stop; 8] {
    [
        Stop::Kill,
        Stop::Power(Survival::Nothing),
        Stop::Power(Survival::Everything),
        Stop::Power(Survival::Torn(seed)),
        Stop::Power(Survival::Torn(seed ^ 0xffff)),
        Stop::Power(Survival::Calls(seed)),
        Stop::Power(Survival::Pages(seed)),
        Stop::Power(Survival::Sectors(seed)),
    ]
}

/// Stops one program at every call. `depth` is how many recoveries per call are themselves stopped everywhere.
pub(super) fn crash_everywhere(options: &Options, deeds: &[Deed], depth: u64) -> Result<Tally, Finding> {
    let mut tally = Tally::default();
    for call in 0..100_000 {
        let (world, ended) = crashed_at(options, deeds, call).map_err(|finding| format!("{finding}\n  call {call}"))?;
        for (place, stop) in stops(call).into_iter().enumerate() {
            let again = (call + place as u64) % 8 < depth;
            come_back(&world, stop, again, &mut tally)
                .map_err(|finding| format!("{finding}\n  crash at call {call}, then {stop:?}"))?;
        }
        if ended {
            return Ok(tally);
        }
    }
    Err("a short program that never ends".to_owned())
}

/// A world stopped at that call, or at the end of its program (`true`).
fn crashed_at(options: &Options, deeds: &[Deed], call: u64) -> Result<(World, bool), Finding> {
    let mut world = World::new(1, options.clone());
    world.storage.plan(Plan { crash_at: Some(call), ..Plan::default() });
    let ended = if world.open()? {
        let ended = world.run(deeds)?;
        if ended == Ended::Whole && !world.storage.stopped() { world.close()? } else { ended }
    } else {
        Ended::Stopped
    };
    let whole = ended == Ended::Whole && !world.storage.stopped();
    world.storage.stop();
    world.house = None;
    Ok((world, whole))
}

fn come_back(world: &World, stop: Stop, everywhere: bool, tally: &mut Tally) -> Result<(), Finding> {
    let first = world.after(stop);
    let calls = first.check()?;
    tally.crashes += 1;
    tally.recoveries += 1;
    let mut chance = Chance::new(calls);
    for call in 0..calls {
        if !everywhere && !chance.once_in(calls) {
            continue;
        }
        let mut second = first.after(Stop::Kill);
        second.storage.plan(Plan { crash_at: Some(call), ..Plan::default() });
        second.open()?;
        second.house = None;
        let stop = stops(call)[chance.index(8)];
        let third = second.after(stop);
        third.check().map_err(|finding| format!("{finding}\n  crash at call {call} of the recovery, then {stop:?}"))?;
        tally.crashes += 1;
        tally.recoveries += 1;
    }
    go_on(&first, &mut chance, tally)
}

/// The journal must still be good for something: a few more events, one more crash.
fn go_on(world: &World, chance: &mut Chance, tally: &mut Tally) -> Result<(), Finding> {
    let mut world = world.after(Stop::Kill);
    let call = chance.below(60);
    world.storage.plan(Plan { crash_at: Some(call), ..Plan::default() });
    if world.open()? {
        world.run(&[
            Deed::Append(vec![Shape::of(700, 0b111), Shape::of(10, 0b001)]),
            Deed::Flush,
            Deed::Deliver { lane: 0, most: 3, how: How::Delivered },
            Deed::Append(vec![Shape::of(0, 0b101)]),
            Deed::Pass(Duration::from_millis(200)),
            Deed::Flush,
        ])?;
    }
    let stop = stops(call)[chance.index(8)];
    tally.crashes += 1;
    tally.recoveries += 1;
    let after = world.after(stop);
    after.check().map(drop).map_err(|finding| format!("{finding}\n  later, crash at call {call}, then {stop:?}"))
}

/// Lets every call of one program fail once, each in both ways; the process ends when the journal gives up, else it is
/// closed; then the power is cut (`everything`: in each of three ways, else in one of them).
fn fail_everywhere(options: &Options, deeds: &[Deed], everything: bool) -> Result<Tally, Finding> {
    let mut tally = Tally::default();
    for call in 0..100_000 {
        let mut reached = false;
        for failure in [Failure::Broken, Failure::Full] {
            let at = |finding| format!("{finding}\n  {failure:?} at call {call}");
            let mut world = World::new(1, options.clone());
            world.failing = true;
            world.model.forgiven.expiry = true;
            world.storage.plan(Plan { failures: [(call, failure)].into(), ..Plan::default() });
            let mut ended = if world.open().map_err(at)? { world.run(deeds).map_err(at)? } else { Ended::GaveUp };
            if ended == Ended::Whole {
                ended = world.close().map_err(at)?;
            }
            reached |= world.storage.calls() > call;
            let stops = [Stop::Kill, Stop::Power(Survival::Nothing), Stop::Power(Survival::Calls(call))];
            let one = usize::try_from(call % 3).expect("small");
            for stop in if everything { &stops[..] } else { &stops[one..=one] } {
                let stop = *stop;
                let mut after = world.after(stop);
                after.failing = false;
                let told = |finding| at(format!("{finding}\n  ended {ended:?}, then {stop:?}"));
                after.check().map_err(told)?;
                tally.recoveries += 1;
                if stop == Stop::Kill {
                    // What the cache shows may not be on the disk: open, then lose it.
                    after.open().map_err(told)?;
                    after.restart(Stop::Power(Survival::Nothing));
                    after.check().map_err(told)?;
                }
            }
        }
        if !reached {
            return Ok(tally);
        }
    }
    Err("a short program that never ends".to_owned())
}

fn check(name: &str) {
    let (_, deeds) = short::all().into_iter().find(|(known, _)| *known == name).expect("a program of that name");
    match crash_everywhere(&super::small(), &deeds, amounts().depth) {
        Ok(tally) => println!("{name}: {} crashes, {} recoveries judged", tally.crashes, tally.recoveries),
        Err(finding) => panic!("{finding}\n  of program {name:?}, whose calls are\n{}", calls_of(&deeds)),
    }
}

/// What a program calls when nothing stops it, a line each.
fn calls_of(deeds: &[Deed]) -> String {
    let mut world = World::new(1, super::small());
    world.storage.trace();
    let told = world.open().and_then(|_| world.run(deeds)).and_then(|_| world.close());
    format!("{}\n{told:?}", world.storage.lines().join("\n"))
}

#[test]
fn every_call_may_fail_once() {
    for (name, deeds) in short::all() {
        match fail_everywhere(&super::small(), &deeds, amounts().depth > 1) {
            Ok(tally) => println!("{name}: {} recoveries judged after a failure", tally.recoveries),
            Err(finding) => panic!("{finding}\n  of program {name:?}, whose calls are\n{}", calls_of(&deeds)),
        }
    }
}

#[test]
fn one_event_survives_a_crash_at_every_call() {
    check("one event");
}

#[test]
fn batches_survive_a_crash_at_every_call() {
    check("batches, one of them unsynced");
}

#[test]
fn settlings_survive_a_crash_at_every_call() {
    check("settled and marked");
}

#[test]
fn recycling_survives_a_crash_at_every_call() {
    check("segments roll and are recycled");
}

#[test]
fn reopening_survives_a_crash_at_every_call() {
    check("closed and opened again");
}

#[test]
fn buffered_events_and_checkpoints_survive_a_crash_at_every_call() {
    check("buffered and checkpointed");
}

#[test]
fn carrying_forward_survives_a_crash_at_every_call() {
    check("one poison event is carried forward");
}

#[test]
fn changes_of_the_configuration_survive_a_crash_at_every_call() {
    check("destinations come, go and come back");
}

#[test]
fn replaying_survives_a_crash_at_every_call() {
    check("replayed while it is owed, delivered and dead");
}

#[test]
fn adopting_survives_a_crash_at_every_call() {
    check("a backlog is adopted");
}

#[test]
fn erasing_survives_a_crash_at_every_call() {
    check("erased while it is owed, dead and in hand");
}
