//! How is a journal opened?
//!
//! Lock, identity, checkpoint, replay, sync of the tail; then a fresh segment under a new epoch, whose synced header states
//! where the log before it ended. Only then is anything given out.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::dead::Graves;
use super::frame::Seal;
use super::inbox::{Inbox, Plan};
use super::index::Index;
use super::lane::{Cell, Owed, SlotBounds, State, is_lost};
use super::recovery::{self, Headers, Recovered};
use super::repeats::Repeats;
use super::replay::{LaneReplay, Replay};
use super::segment::{DEAD, DEDUP, Header, Identity, LOG, Names, STATE, parse_spare, spare_name};
use super::shared::{Known, Parts, Shared};
use super::storage::{Guard, Storage, read_full, write_all};
use super::writer::{Erasing, House, Spare, Taken, Writer, open_segment, prepare, segment_of};
use super::{Damage, DedupEntry, DestinationPlan, Journal, OpenError, Options, Parked, Report, StoreId};
use crate::clock::{Clock, Timestamp};

/// Segments below which a journal cannot turn over.
const SEGMENTS_MIN: u64 = 6;

/// More sequences than can have been given out beyond the queue's bound: carried events, buffered ones given another.
const UNSYNCED: u64 = 4096;

fn at<T>(what: &'static str, result: io::Result<T>) -> Result<T, OpenError> {
    result.map_err(|error| OpenError::Io { what, error })
}

pub(crate) fn open(
    storage: Arc<dyn Storage>,
    options: Options,
    clock: Clock,
    sources: &[&str],
    destinations: &[DestinationPlan],
) -> Result<(Journal, Writer, Report), OpenError> {
    let files_max = check(&options)?;
    let guard = storage.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => OpenError::Io { what: "the lock", error },
    })?;
    let mut report = Report::default();
    let (identity, files) = identity(&*storage, &mut report)?;
    let seal = |number| sealed(identity, number, &options);
    let mut found = at("the log", recovery::recover(&*storage, identity, files, seal, &mut report))?;
    at("the log's directory", storage.sync_directory(LOG))?;
    for source in sources {
        Names::id(&mut found.names.sources, source);
    }
    for plan in destinations {
        Names::id(&mut found.names.destinations, &plan.name);
    }
    // Sequences may have been seen by lanes that never became durable: none of them is given twice.
    if found.epoch > 0 {
        found.next_seq += 2 * u64::from(options.queue_records) + UNSYNCED;
    }
    let epoch = found.epoch + 1;
    report.epoch = epoch;
    let mut repeats = Repeats::new(Arc::clone(&storage), identity.store, &options);
    report.dedup = remembered(&mut repeats, &mut found.replay, clock.now().minus(options.dedup_window));
    let (names, keep) = (found.names.clone(), (options.keep_dead_size, options.keep_dead_age));
    let mut graves = Graves::new(identity, names, epoch, options.segment_size, keep.0, keep.1);
    let letters =
        letters(&mut graves, &*storage, found.names.destinations.len(), found.dead_known, &mut report.damage)?;
    // Whose share a retry took is not known of all of them.
    let bounds = SlotBounds { slots: options.retry_slots, per_share: u32::MAX };
    let lanes = lanes(&mut found, letters, destinations, bounds, &mut report);
    let opening = Opening { storage, guard, options, clock, identity, epoch, files_max };
    opening.finish(found, lanes, graves, repeats, report)
}

/// Whether the bounds can hold; how many files of the log they allow.
fn check(options: &Options) -> Result<u64, OpenError> {
    if !options.segment_size.is_power_of_two() || !(64 << 10..=1 << 30).contains(&options.segment_size) {
        return Err(OpenError::Options("the segment size must be a power of two from 64 KiB to 1 GiB"));
    }
    if options.keep_dead_size < 2 * options.segment_size {
        return Err(OpenError::Options("the space for dead letters must hold two segments"));
    }
    // While the oldest letters make room for a new segment of them, there is one more.
    let dead = options.keep_dead_size.saturating_add(options.segment_size);
    let aside = dead.saturating_add(u64::from(options.dedup_entries) * 100);
    let files_max = options.size.saturating_sub(aside) / options.segment_size;
    if files_max < SEGMENTS_MIN {
        return Err(OpenError::Options("the size must hold six segments beside dead letters and dedup entries"));
    }
    Ok(files_max)
}

fn sealed(identity: Identity, number: u64, options: &Options) -> Seal {
    let seal = Seal::new(identity.store, identity.key, number);
    #[cfg(test)]
    if options.faults.unbound_crc {
        return seal.unbind();
    }
    let _: &Options = options;
    seal
}

/// Who writes here: as FORMAT says, or the segments, or from now on.
fn identity(storage: &dyn Storage, report: &mut Report) -> Result<(Identity, recovery::Files), OpenError> {
    for directory in [LOG, DEAD, STATE, DEDUP] {
        at("a directory", storage.create_directory(directory))?;
    }
    let files = match at("the log", recovery::files(storage))? {
        Headers::Ours(files) => files,
        Headers::Foreign(format) => return Err(OpenError::Version(format)),
    };
    let stated = match storage.open("FORMAT") {
        Ok(file) => {
            let mut bytes = [0; 64];
            let read = match read_full(&*file, &mut bytes, 0) {
                // As damaged: the segments say the same.
                Err(error) if is_lost(&error) => 0,
                read => at("FORMAT", read)?,
            };
            Identity::decode(&bytes[..read]).map_err(OpenError::Version)?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(OpenError::Io { what: "FORMAT", error }),
    };
    if let Some(identity) = stated {
        return Ok((identity, files));
    }
    let identity = match files.identity() {
        Some(identity) => {
            report.notes.push("FORMAT could not be read and was written anew from a segment".to_owned());
            identity
        }
        None if files.is_empty() => {
            let mut drawn = [0; 32];
            at("entropy", storage.entropy(&mut drawn))?;
            let (store, key) = drawn.split_at(16);
            let array = |bytes: &[u8]| super::frame::array_at(bytes, 0);
            Identity { store: StoreId(array(store)), key: array(key) }
        }
        None => return Err(OpenError::Unreadable),
    };
    at("FORMAT", write_format(storage, &identity))?;
    Ok((identity, files))
}

fn write_format(storage: &dyn Storage, identity: &Identity) -> io::Result<()> {
    let file = storage.create("FORMAT.unfinished")?;
    write_all(&*file, &identity.encode(), 0)?;
    file.sync_data()?;
    storage.rename("FORMAT.unfinished", "FORMAT")?;
    storage.sync_directory("")
}

/// Entries of the dedup files and, behind them, those that only the log has.
fn remembered(repeats: &mut Repeats, replay: &mut Replay, since: Timestamp) -> Vec<DedupEntry> {
    let mut entries = repeats.open(since);
    let known: HashSet<u64> = entries.iter().map(|entry| entry.seq).collect();
    for entry in std::mem::take(&mut replay.dedup) {
        if entry.accepted >= since && !known.contains(&entry.seq) {
            repeats.note(&entry);
            entries.push(entry);
        }
    }
    entries
}

/// The letters of one destination.
#[derive(Clone, Debug, Default)]
struct Letters {
    bits: RoaringTreemap,
    /// The lineage of each event, the sequence in its letter, and whether the letter is whole; left out where the log
    /// says which of them count.
    origins: Vec<(u64, u64, bool)>,
}

impl Letters {
    /// Which of them count. A letter does once its death is on record; where that record may be gone, what is not owed any
    /// more, under whatever sequence, must have died.
    fn dead(
        mut self,
        known: bool,
        recorded: &RoaringTreemap,
        owed: &RoaringTreemap,
        carried: &BTreeMap<u64, u64>,
    ) -> RoaringTreemap {
        if known {
            return self.bits & recorded;
        }
        let alive: BTreeSet<u64> =
            carried.iter().filter(|(seq, _)| owed.contains(**seq)).map(|(_, origin)| *origin).collect();
        for (origin, seq, whole) in self.origins {
            // One that is torn was not believed when its event was owed still.
            if !whole || alive.contains(&origin) || owed.contains(seq) {
                self.bits.remove(seq);
            }
        }
        self.bits
    }
}

/// Which letters there are, per destination.
fn letters(
    graves: &mut Graves,
    storage: &dyn Storage,
    lanes: usize,
    known: bool,
    damage: &mut Vec<Damage>,
) -> Result<Vec<Letters>, OpenError> {
    let mut letters = vec![Letters::default(); lanes];
    let found = graves.open(storage, damage, |heard| {
        if let Some(of) = letters.get_mut(heard.destination as usize) {
            of.bits.insert(heard.seq);
            if !known {
                of.origins.push((heard.lineage, heard.seq, heard.whole));
            }
        }
    });
    at("the dead letters", found)?;
    Ok(letters)
}

/// A lane for every destination there ever was.
fn lanes(
    found: &mut Recovered,
    letters: Vec<Letters>,
    destinations: &[DestinationPlan],
    bounds: SlotBounds,
    report: &mut Report,
) -> Box<[Arc<Cell>]> {
    let names = found.names.destinations.clone();
    let mut replays = std::mem::take(&mut found.replay.lanes);
    replays.resize_with(names.len(), LaneReplay::default);
    let mut lanes = Vec::new();
    for (((name, replay), letters), id) in names.iter().zip(replays).zip(letters).zip(0..) {
        let LaneReplay { mut state, slots, unlisted } = replay;
        let mut dead = letters.dead(found.dead_known, &state.dead, &state.owed, &found.replay.origins);
        if !found.dead_known {
            for (first, last) in unlisted {
                dead.remove_range(first..last);
            }
        }
        state.slots.clear();
        let owed_count = state.owed.len();
        let mut owed = Owed::restored(state.owed, state.live);
        for (seq, slot) in slots {
            if owed.contains(seq) {
                owed.hold(seq, slot, bounds);
            }
        }
        for (group, at) in state.groups {
            owed.restore_group(group, at);
        }
        let plan = destinations.iter().find(|plan| *plan.name == **name).cloned();
        if plan.is_none() && owed_count > 0 {
            report.parked.push(Parked { name: name.clone(), destination: id, owed: owed_count });
        }
        lanes.push(Arc::new(Cell::new(id, Arc::from(&**name), plan, State::restored(owed, dead))));
    }
    lanes.into()
}

/// What an opening needs until the end.
struct Opening {
    storage: Arc<dyn Storage>,
    guard: Box<dyn Guard>,
    options: Options,
    clock: Clock,
    identity: Identity,
    epoch: u32,
    files_max: u64,
}

impl Opening {
    fn finish(
        self,
        found: Recovered,
        lanes: Box<[Arc<Cell>]>,
        graves: Graves,
        repeats: Repeats,
        report: Report,
    ) -> Result<(Journal, Writer, Report), OpenError> {
        let now = self.clock.now();
        let mut house = House {
            files_max: self.files_max,
            checkpoint_next: found.checkpoint_next,
            age_due: vec![Timestamp::ZERO; lanes.len()],
            erasing: found.replay.erasing.iter().map(|id| Erasing { event_id: *id, later: 0, stated: true }).collect(),
            dirty: true,
            ..House::default()
        };
        let mut opening = [0; 16];
        at("entropy", self.storage.entropy(&mut opening))?;
        let header = Header {
            identity: self.identity,
            number: found.number + 1,
            epoch: self.epoch,
            opening,
            first_seq: found.next_seq,
            made: now,
            before: found.end,
            oldest: found.index.segments.front().map_or(0, |segment| segment.number),
            segment_size: self.options.segment_size,
            names: found.names.clone(),
            cuts: found.cuts,
        };
        let spare = self.spare(&mut house)?;
        let seal = sealed(self.identity, header.number, &self.options);
        let mut active = at("a fresh segment", open_segment(&*self.storage, spare, &header, seal))?;
        let mut index: Index = found.index;
        index.segments.push_back(segment_of(&active, &header));
        active.last_seq = found.next_seq - 1;
        let start = Header::length(&found.names);
        let plan = Plan { tail: active.end, free: 0, start, size: self.options.segment_size, hope: false };
        let erasing = found.replay.erasing;
        let inbox = Inbox { next_seq: found.next_seq, plan, erasing, ..Inbox::default() };
        let known = Known { names: found.names, lanes };
        let parts = Parts { store: self.identity.store, known, inbox, index, durable: found.next_seq - 1 };
        let shared = Arc::new(Shared::new(self.options, self.clock, parts));
        for _ in &report.damage {
            shared.damaged();
        }
        graves.refresh(&shared);
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            storage: self.storage,
            _guard: self.guard,
            identity: self.identity,
            epoch: self.epoch,
            opening,
            opened_after: found.end,
            active,
            graves,
            repeats,
            house,
            taken: Taken::default(),
        };
        writer.begin_house(now);
        Ok((Journal(shared), writer, report))
    }

    /// Every spare that lies there; one of them, or a new file, for the fresh segment.
    fn spare(&self, house: &mut House) -> Result<Spare, OpenError> {
        let size = self.options.segment_size;
        for name in at("the log", self.storage.list(LOG))? {
            let Some((number, clean)) = parse_spare(&name) else { continue };
            house.spare_next = house.spare_next.max(number);
            let file = clean.then(|| self.storage.open(&spare_name(number)).ok()).flatten();
            match file.filter(|file| file.length().is_ok_and(|length| length == size)) {
                Some(file) => house.spares.push(Spare { name: spare_name(number), file }),
                None if clean => {
                    let unclean = super::segment::unclean_name(number);
                    at("a spare", self.storage.rename(&spare_name(number), &unclean))?;
                    house.unclean.push(number);
                }
                None => house.unclean.push(number),
            }
        }
        house.spares.sort_by(|one, other| one.name.cmp(&other.name));
        house.unclean.sort_unstable();
        if !house.spares.is_empty() {
            return Ok(house.spares.remove(0));
        }
        let (number, file) = match house.unclean.pop() {
            Some(number) => (number, Some(at("a spare", self.storage.open(&super::segment::unclean_name(number)))?)),
            None => {
                house.spare_next += 1;
                (house.spare_next, None)
            }
        };
        prepare(&*self.storage, number, file, size).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::Full,
            _ => OpenError::Io { what: "a fresh segment", error },
        })
    }
}
