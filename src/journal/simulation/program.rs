//! What does the world do to a journal?
//!
//! Promises: a program is data: the same seed gives the same program, and a printed one can be run again.
//!
//! Must not know: how a journal carries it out, or what should come of it.

use std::time::Duration;

use super::chance::Chance;
use super::model::DESTINATIONS;

/// One thing done to a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Offers these events in one append.
    Append(Vec<Shape>),
    /// Offers again, with the same id, an event that was void.
    Retry,
    /// Lets the writer work, at most so many rounds.
    Write(u8),
    /// Lets the writer work until it is idle.
    Flush,
    /// Takes up to `most` deliveries from a lane and settles each so.
    Deliver { lane: usize, most: u8, how: How },
    /// Settles what was kept in hand.
    SettleKept(How),
    /// Erases one of the promised events.
    Erase(u16),
    /// Releases all that one destination is owed.
    Drop(usize),
    /// Configures these destinations, a bit for each, some of them to see events early, and perhaps a new one besides.
    Configure { named: u8, eager: u8, extra: bool },
    /// Puts a promised event in once more, for these destinations.
    Replay { which: u16, targets: u8, by_id: bool },
    /// Replays the oldest dead letter of a destination.
    Revive(usize),
    /// One destination adopts what another is owed that is not configured.
    Adopt { from: usize, to: usize },
    /// Takes all that is owed and settles it.
    Drain,
    /// Time passes.
    Pass(Duration),
    /// Closes the journal in peace and opens it again.
    Reopen,
    /// The process is killed between two calls; the page cache lives.
    Kill,
}

/// How a delivery goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Delivered,
    Again,
    Hold,
    Dead,
    Return,
    /// Not settled: kept in hand.
    Keep,
}

/// What an event looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) head: usize,
    pub(super) body: usize,
    /// A bit for each destination.
    pub(super) targets: u8,
    pub(super) buffered: bool,
    /// The body comes in pieces.
    pub(super) split: bool,
    /// Not before so many milliseconds from now.
    pub(super) delay: u16,
    pub(super) dedup: bool,
}

impl Shape {
    /// An event of that size for these destinations.
    pub(super) const fn of(body: usize, targets: u8) -> Self {
        Self { head: 40, body, targets, buffered: false, split: false, delay: 0, dedup: false }
    }
}

/// What a generated program is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) deeds: usize,
    /// The largest body.
    pub(super) body_max: u64,
    /// Whether most events are settled, so that segments come free and are recycled.
    pub(super) settles: bool,
    /// Whether time may pass in hours.
    pub(super) long_times: bool,
}

/// A program of this recipe.
pub(super) fn program(chance: &mut Chance, recipe: Recipe) -> Vec<Deed> {
    let mut deeds = Vec::with_capacity(recipe.deeds);
    while deeds.len() < recipe.deeds {
        deeds.push(deed(chance, recipe));
    }
    deeds
}

fn deed(chance: &mut Chance, recipe: Recipe) -> Deed {
    match chance.below(25) {
        0..=6 => {
            let count = if chance.once_in(3) { chance.between(2, 5) } else { 1 };
            Deed::Append((0..count).map(|_| shape(chance, recipe)).collect())
        }
        7..=8 => Deed::Write(u8::try_from(chance.between(1, 3)).expect("small")),
        9..=11 => Deed::Flush,
        12..=15 => Deed::Deliver {
            lane: chance.index(DESTINATIONS),
            most: u8::try_from(chance.between(1, if recipe.settles { 40 } else { 6 })).expect("small"),
            how: how(chance, recipe.settles),
        },
        16 => Deed::SettleKept(how(chance, recipe.settles)),
        17 => Deed::Pass(time(chance, recipe)),
        18 if chance.once_in(3) => Deed::Erase(u16::try_from(chance.below(1000)).expect("small")),
        18 => Deed::Retry,
        19 => Deed::Configure {
            named: u8::try_from(chance.below(1 << DESTINATIONS)).expect("a few bits")
                | if chance.once_in(2) { 0b1000 } else { 0 },
            eager: u8::try_from(chance.below(1 << DESTINATIONS)).expect("a few bits"),
            extra: chance.once_in(2),
        },
        20..=21 => Deed::Replay {
            which: u16::try_from(chance.below(1000)).expect("small"),
            targets: u8::try_from(chance.below(1 << DESTINATIONS)).expect("a few bits"),
            by_id: chance.once_in(2),
        },
        22 => Deed::Revive(chance.index(DESTINATIONS)),
        23 => Deed::Adopt { from: chance.index(DESTINATIONS), to: chance.index(DESTINATIONS) },
        _ => match chance.below(4) {
            0 => Deed::Reopen,
            1 => Deed::Kill,
            2 if chance.once_in(4) => Deed::Drop(chance.index(DESTINATIONS)),
            _ => Deed::Pass(Duration::from_millis(150)),
        },
    }
}

fn how(chance: &mut Chance, settles: bool) -> How {
    match chance.below(if settles { 16 } else { 8 }) {
        0 => How::Again,
        1 => How::Hold,
        2 => How::Dead,
        3 => How::Return,
        4 => How::Keep,
        _ => How::Delivered,
    }
}

fn time(chance: &mut Chance, recipe: Recipe) -> Duration {
    match chance.below(if recipe.long_times { 5 } else { 4 }) {
        0 => Duration::from_millis(chance.below(50)),
        1 => Duration::from_millis(chance.below(2000)),
        2 => Duration::from_secs(chance.below(40)),
        3 => Duration::from_millis(101),
        _ => Duration::from_secs(chance.below(4 * 3600)),
    }
}

fn shape(chance: &mut Chance, recipe: Recipe) -> Shape {
    let body = match chance.below(8) {
        0 => 0,
        1 => chance.below(16),
        2 => chance.between(400, 600),
        3 => chance.below(recipe.body_max / 8),
        4 => chance.below(recipe.body_max),
        _ => chance.below(1500),
    };
    let targets = u8::try_from(chance.below(1 << DESTINATIONS)).expect("a few bits");
    Shape {
        head: chance.index(200),
        body: usize::try_from(body.min(recipe.body_max)).expect("small"),
        // An event that nobody is owed is rare.
        targets: if targets == 0 && !chance.once_in(4) { 0b1111 } else { targets },
        buffered: chance.once_in(6),
        split: chance.once_in(4),
        delay: if chance.once_in(6) { u16::try_from(chance.below(3000)).expect("small") } else { 0 },
        dedup: chance.once_in(3),
    }
}
