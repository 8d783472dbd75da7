//! Which short programs are stopped at every call?
//!
//! Promises: each asks one question, and is short enough that every call of it and of its recoveries can be tried.
//!
//! Must not know: what is done to them.

use std::time::Duration;

use super::program::{Deed, How, Shape};

/// Every short program with its name.
pub(super) fn all() -> Vec<(&'static str, Vec<Deed>)> {
    vec![
        ("one event", vec![append(100, 0b111), Deed::Flush]),
        ("batches, one of them unsynced", batches()),
        ("settled and marked", settled()),
        ("segments roll and are recycled", recycled()),
        ("closed and opened again", reopened()),
        ("buffered and checkpointed", buffered()),
        ("one poison event is carried forward", carried()),
        ("erased while it is owed, dead and in hand", erased()),
        ("destinations come, go and come back", configured()),
        ("replayed while it is owed, delivered and dead", replayed()),
        ("a backlog is adopted", adopted()),
    ]
}

fn append(body: usize, targets: u8) -> Deed {
    Deed::Append(vec![Shape::of(body, targets)])
}

fn deliver(lane: usize, how: How) -> Deed {
    Deed::Deliver { lane, most: 10, how }
}

/// Long enough for an idle journal to say what it synced.
fn mark() -> Deed {
    Deed::Pass(Duration::from_millis(150))
}

fn batches() -> Vec<Deed> {
    vec![
        Deed::Append(vec![Shape::of(300, 0b111), Shape::of(1200, 0b011), Shape::of(0, 0b100)]),
        Deed::Flush,
        append(513, 0b001),
        append(1, 0b010),
        Deed::Write(1),
        append(2000, 0b111),
        Deed::Flush,
        append(5, 0b111),
    ]
}

fn settled() -> Vec<Deed> {
    vec![
        Deed::Append(vec![Shape::of(64, 0b111), Shape::of(900, 0b011)]),
        Deed::Flush,
        deliver(0, How::Delivered),
        deliver(1, How::Again),
        deliver(2, How::Dead),
        mark(),
        Deed::Flush,
        Deed::Pass(Duration::from_secs(5)),
        deliver(1, How::Delivered),
        Deed::Flush,
    ]
}

fn recycled() -> Vec<Deed> {
    let mut deeds = vec![append(30_000, 0b011), append(31_000, 0b001), append(28_000, 0b001)];
    for size in [29_000, 31_000, 30_500, 31_000] {
        deeds.extend([Deed::Flush, deliver(0, How::Delivered), deliver(1, How::Delivered), mark(), Deed::Flush]);
        deeds.push(Deed::Append(vec![Shape::of(size, 0b001); 6]));
    }
    deeds.push(Deed::Flush);
    deeds
}

fn reopened() -> Vec<Deed> {
    vec![
        append(400, 0b111),
        Deed::Flush,
        deliver(0, How::Delivered),
        Deed::Reopen,
        append(401, 0b111),
        Deed::Flush,
        Deed::Kill,
        append(402, 0b111),
        Deed::Flush,
    ]
}

fn buffered() -> Vec<Deed> {
    vec![
        Deed::Append(vec![Shape { buffered: true, dedup: true, ..Shape::of(200, 0b011) }]),
        Deed::Write(1),
        Deed::Append(vec![Shape { split: true, dedup: true, delay: 500, ..Shape::of(3000, 0b110) }]),
        Deed::Flush,
        Deed::Pass(Duration::from_secs(31)),
        Deed::Flush,
        append(17, 0b001),
        Deed::Flush,
    ]
}

fn erased() -> Vec<Deed> {
    vec![
        Deed::Append(vec![Shape::of(300, 0b111), Shape::of(1500, 0b001), Shape::of(700, 0b100)]),
        Deed::Flush,
        deliver(2, How::Dead),
        Deed::Deliver { lane: 1, most: 1, how: How::Keep },
        Deed::Flush,
        Deed::Erase(0),
        Deed::Flush,
        Deed::SettleKept(How::Dead),
        Deed::Flush,
        Deed::Erase(0),
        append(100, 0b001),
        Deed::Flush,
    ]
}

/// One leaves with a backlog, one comes for the first time behind somebody else's id, one changes when it is shown
/// events; then the first one is back.
fn configured() -> Vec<Deed> {
    vec![
        append(300, 0b0111),
        Deed::Flush,
        append(200, 0b0111),
        Deed::Configure { named: 0b1110, eager: 0b0000, extra: true },
        append(400, 0b1111),
        Deed::Write(1),
        Deed::Configure { named: 0b1110, eager: 0b1000, extra: false },
        append(500, 0b1110),
        deliver(3, How::Again),
        Deed::Flush,
        Deed::Configure { named: 0b1111, eager: 0b0010, extra: true },
        append(100, 0b1111),
        Deed::Drain,
        append(17, 0b1001),
        Deed::Flush,
    ]
}

fn replayed() -> Vec<Deed> {
    let replay = |which, targets, by_id| Deed::Replay { which, targets, by_id };
    vec![
        Deed::Append(vec![Shape { dedup: true, ..Shape::of(300, 0b111) }, Shape::of(1500, 0b100)]),
        Deed::Flush,
        deliver(0, How::Delivered),
        deliver(2, How::Dead),
        Deed::Flush,
        replay(0, 0b011, true),
        Deed::Write(1),
        replay(1, 0b101, false),
        append(100, 0b001),
        Deed::Flush,
        Deed::Revive(2),
        Deed::Revive(2),
        replay(3, 0b001, false),
        Deed::Write(1),
        Deed::Revive(2),
        Deed::Flush,
        deliver(2, How::Dead),
        deliver(0, How::Delivered),
        Deed::Flush,
    ]
}

/// One leaves with a backlog of which another owes some, too; a third one adopts what the second adopted.
fn adopted() -> Vec<Deed> {
    let configure = |named| Deed::Configure { named, eager: 0b0010, extra: false };
    vec![
        Deed::Append(vec![Shape::of(300, 0b0101), Shape { delay: 400, ..Shape::of(900, 0b0001) }]),
        append(200, 0b0010),
        Deed::Flush,
        deliver(1, How::Delivered),
        Deed::Deliver { lane: 0, most: 1, how: How::Again },
        configure(0b0110),
        append(150, 0b0111),
        Deed::Adopt { from: 0, to: 1 },
        append(250, 0b0010),
        Deed::Write(1),
        deliver(1, How::Delivered),
        configure(0b0101),
        Deed::Adopt { from: 1, to: 2 },
        append(17, 0b0101),
        Deed::Flush,
        Deed::Pass(Duration::from_millis(500)),
        deliver(2, How::Delivered),
        Deed::Flush,
    ]
}

/// One event that always fails, and so much that succeeds that its segment is needed again.
fn carried() -> Vec<Deed> {
    let mut deeds = vec![append(200, 0b100), Deed::Flush, deliver(2, How::Again)];
    for round in 0..5 {
        deeds.push(Deed::Append(vec![Shape::of(30_000 - round * 100, 0b001); 7]));
        deeds.extend([Deed::Flush, deliver(0, How::Delivered), mark(), Deed::Flush]);
    }
    deeds.extend([Deed::Pass(Duration::from_secs(4)), deliver(2, How::Delivered), mark(), Deed::Flush]);
    deeds
}
