//! What does one damaged place cost?
//!
//! Promises: after a clean stop or an idle mark, a bit is flipped, a page zeroed, copied over another or cut off, in any
//! file. The journal opens; only events whose own bytes were hit may be missing, each of them is counted and named;
//! nothing comes altered, and life goes on.
//!
//! Must not know: the layout of a record beyond where its id and its bytes stand in a segment.

use std::ops::Range;
use std::time::Duration;

use super::amounts;
use super::chance::Chance;
use super::house::House;
use super::lying::Stop;
use super::model::{DESTINATIONS, Fate, Model};
use super::platter::Survival;
use super::program::{self, Deed, Recipe, Shape};
use super::seeded::one_of_each;
use super::world::{Ended, Finding, World};
use crate::clock::Clock;
use crate::journal::{Faults, Options};

/// Places damaged in each calm machine.
const TRIALS: u64 = 14;
const PAGE: usize = 4096;
/// An envelope is smaller than this.
const ENVELOPE_MAX: usize = 512;

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Flip { bit: usize },
    Zero { page: usize },
    Copy { from: usize, to: usize },
    Cut { at: usize },
}

impl Damage {
    fn any(chance: &mut Chance, bytes: &[u8]) -> Self {
        // Most of a file may be empty: half of the places are chosen among those that are not.
        let mut place = chance.index(bytes.len());
        for _ in 0..8 {
            if bytes[place] == 0 {
                place = chance.index(bytes.len());
            }
        }
        let pages = bytes.len().div_ceil(PAGE);
        match chance.below(6) {
            0..=2 => Self::Flip { bit: place * 8 + chance.index(8) },
            3 => Self::Zero { page: place / PAGE },
            4 => Self::Copy { from: chance.index(pages), to: place / PAGE },
            _ => Self::Cut { at: place },
        }
    }

    /// Which bytes it touches.
    fn range(self, len: usize) -> Range<usize> {
        match self {
            Self::Flip { bit } => bit / 8..bit / 8 + 1,
            Self::Zero { page } | Self::Copy { to: page, .. } => page * PAGE..((page + 1) * PAGE).min(len),
            Self::Cut { at } => at..len,
        }
    }

    fn apply(self, bytes: &mut Vec<u8>) {
        let range = self.range(bytes.len());
        match self {
            Self::Flip { bit } => bytes[bit / 8] ^= 1 << (bit % 8),
            Self::Zero { .. } => bytes[range].fill(0),
            Self::Copy { from, .. } => {
                let start = from * PAGE;
                let stop = (start + range.len()).min(bytes.len());
                let place = range.start.min(bytes.len() - (stop - start));
                bytes.copy_within(start..stop, place);
            }
            Self::Cut { at } => bytes.truncate(at),
        }
    }
}

/// A machine that stopped in peace, or was idle long enough to say so.
fn calm(seed: u64, faults: Faults) -> Result<World, Finding> {
    let mut chance = Chance::new(seed);
    let mut world = World::new(seed, Options { faults, ..super::small() });
    assert!(world.open()?, "nothing fails");
    let large = chance.once_in(2);
    let body_max = if large { 20_000 } else { 2000 };
    let recipe = Recipe { deeds: 25, body_max, settles: chance.once_in(2), long_times: false };
    world.run(&program::program(&mut chance, recipe))?;
    world.run(&[Deed::Append(vec![Shape::of(100, 0b111); 3]), Deed::Flush])?;
    if chance.once_in(2) {
        assert_eq!(world.close()?, Ended::Whole);
    } else {
        world.run(&[Deed::Pass(Duration::from_millis(200)), Deed::Flush])?;
    }
    world.restart(Stop::Power(Survival::Nothing));
    world.check()?;
    Ok(world)
}

/// Damages one place of one file of a calm machine and looks at what is left.
fn hurt(world: &World, chance: &mut Chance) -> Result<Damaged, Finding> {
    let names = world.storage.names();
    let mut name = names[chance.index(names.len())].clone();
    if chance.once_in(2) {
        let full = |name: &String| world.storage.bytes(name).is_some_and(|bytes| holds_events(&world.model, &bytes));
        let full: Vec<&String> = names.iter().filter(|name| full(name)).collect();
        if !full.is_empty() {
            name.clone_from(full[chance.index(full.len())]);
        }
    }
    let bytes = world.storage.bytes(&name).expect("it was listed");
    if bytes.is_empty() {
        return Ok(Damaged::default());
    }
    let damage = Damage::any(chance, &bytes);
    let mut after = world.after(Stop::Power(Survival::Nothing));
    after.damaged = true;
    after.model.forgiven.settlings = true;
    after.model.forgiven.dead_bounds = true;
    after.model.doubt_adoptions();
    let hit = hit(&mut after.model, &bytes, damage.range(bytes.len()));
    after.storage.damage(&name, |bytes| damage.apply(bytes));
    look(&after, hit, damage).map_err(|finding| format!("{finding}\n  after {damage:?} of {name}"))
}

/// How much was tried and lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Damaged {
    /// Places in the bytes of an event.
    places: u64,
    /// Events lost.
    lost: u64,
    /// Places that were reported.
    reported: u64,
}

impl Damaged {
    fn add(&mut self, other: Self) {
        self.places += other.places;
        self.lost += other.lost;
        self.reported += other.reported;
    }
}

fn look(world: &World, hit: u64, damage: Damage) -> Result<Damaged, Finding> {
    let copy = world.storage.fork(3);
    let (clock, hand) = Clock::manual(world.clock.now());
    let (mut house, report) = House::open(&copy, &world.options, &clock, &world.plans, [true; DESTINATIONS])
        .map_err(|error| format!("the journal refused to open: {error}"))?;
    let view = house.drain(&hand, &clock)?;
    let mut model = world.model.clone();
    model.judge(&view)?;
    let lost = model.lost(&view);
    if matches!(damage, Damage::Flip { .. }) && lost.len() > 1 {
        return Err(format!("one bit cost {} events: {lost:?}", lost.len()));
    }
    let found = house.journal.health().damage;
    for event in &lost {
        let Fate::Promised { seq } = model.events[*event].fate else { continue };
        let id = model.events[*event].id;
        let named = |damage: &crate::journal::Damage| damage.sequences.contains(&seq) || damage.event_id == Some(id);
        if !report.damage.iter().any(named) && found <= report.damage.len() as u64 {
            let told = &report.damage;
            return Err(format!("event {event} (seq {seq}) is lost in silence; told: {told:?}; {found} found"));
        }
    }
    if found < report.damage.len() as u64 {
        return Err(format!("{} places reported and {found} counted", report.damage.len()));
    }
    drop(house);
    go_on(world)?;
    Ok(Damaged { places: u64::from(hit > 0), lost: lost.len() as u64, reported: u64::from(found > 0) })
}

/// The damaged journal must be good for new events, and those survive the next cut.
fn go_on(world: &World) -> Result<(), Finding> {
    let mut world = world.after(Stop::Kill);
    if !world.open()? {
        return Err("the journal did not open a second time".to_owned());
    }
    let before = world.model.events.len();
    world.run(&[Deed::Append(vec![Shape::of(900, 0b111), Shape::of(5, 0b001)]), Deed::Flush])?;
    for event in before..before + 2 {
        if !matches!(world.model.events[event].fate, Fate::Promised { .. }) {
            return Err("the damaged journal takes nothing new".to_owned());
        }
    }
    world.restart(Stop::Power(Survival::Nothing));
    world.check().map(drop)
}

fn holds_events(model: &Model, bytes: &[u8]) -> bool {
    model.events.iter().any(|known| places(bytes, &known.id).next().is_some())
}

/// Marks the events whose own bytes stand in that range; how many those are.
fn hit(model: &mut Model, bytes: &[u8], range: Range<usize>) -> u64 {
    let mut count = 0;
    for known in &mut model.events {
        let length = ENVELOPE_MAX + known.head.len() + known.body.len();
        let own = places(bytes, &known.id).map(|place| place.saturating_sub(ENVELOPE_MAX)..place + length);
        if own.into_iter().any(|own| own.start < range.end && range.start < own.end) {
            known.damaged = true;
            count += 1;
        }
    }
    count
}

fn places<'a>(bytes: &'a [u8], id: &'a [u8; 16]) -> impl Iterator<Item = usize> + 'a {
    memchr::memmem::find_iter(bytes, id)
}

/// Damages one calm machine in several places, one at a time.
pub(super) fn hurt_often(seed: u64, faults: Faults) -> Result<Damaged, Vec<Finding>> {
    let world = calm(seed, faults).map_err(|finding| vec![format!("calm world {seed}: {finding}")])?;
    let mut all = Damaged::default();
    let mut findings = Vec::new();
    for trial in 0..TRIALS {
        match hurt(&world, &mut Chance::new(seed << 20 | trial)) {
            Ok(damaged) => all.add(damaged),
            Err(finding) => findings.push(format!("world {seed}, trial {trial}: {finding}")),
        }
    }
    if findings.is_empty() { Ok(all) } else { Err(findings) }
}

#[test]
fn a_damaged_place_costs_its_own_events_only() {
    let worlds = (amounts().seeds / 12).max(1);
    let mut all = Damaged::default();
    let mut findings = Vec::new();
    for seed in 0..worlds {
        match hurt_often(seed, Faults::default()) {
            Ok(damaged) => all.add(damaged),
            Err(found) => findings.extend(found),
        }
    }
    println!("{} places damaged: {all:?}", worlds * TRIALS);
    let shown = one_of_each(&findings).join("\n");
    assert!(findings.is_empty(), "{} findings in {worlds} worlds\n{shown}", findings.len());
}
