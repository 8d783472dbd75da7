//! What is left of a file system when the power goes?
//!
//! Promises: a file has live bytes (what reads show) and durable bytes (what the last successful sync reached). What
//! lies between is kept sector by sector as a chain of versions, and at a power cut every sector comes to rest on any
//! version between the two, as a page cache written back in any order would leave it. Names become durable only by a
//! sync of their directory. After a failed sync the pages count as clean: a later sync does not write them again,
//! though reads go on showing them.
//!
//! Must not know: what the bytes mean, or who writes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chance::Chance;

/// What a disk writes wholly or not at all.
pub(super) const SECTOR: usize = 512;
const SECTORS_PER_PAGE: usize = 8;

/// What survives a power cut of everything that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survival {
    /// Only what was synced.
    Nothing,
    /// All of it, as if the cut came a second later.
    Everything,
    /// Every call up to one chosen, and of that one only some sectors from its start or its end.
    Torn(u64),
    /// Any subset of the calls.
    Calls(u64),
    /// Any subset of the pages of 4 KiB.
    Pages(u64),
    /// Any version of any sector.
    Sectors(u64),
}

/// One version of one sector, and the call that made it.
#[derive(Clone, Debug)]
struct Version {
    call: u64,
    bytes: [u8; SECTOR],
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// Written since the last sync; by sector, oldest version first.
    dirty: BTreeMap<usize, Vec<Version>>,
    /// Written before a sync that failed: clean in the eyes of the kernel, on the disk or not.
    doubtful: BTreeMap<usize, Vec<Version>>,
    /// Lengths since the last sync that succeeded, with their calls.
    lengths: Vec<(u64, usize)>,
}

#[derive(Clone, Debug)]
enum Naming {
    Create { name: String, inode: usize },
    Rename { from: String, to: String },
    Remove { name: String },
}

/// A file system in memory that keeps what is durable apart from what is seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Platter {
    inodes: Vec<Inode>,
    live: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// Operations on names that no sync has reached, oldest first, with their calls.
    namings: Vec<(u64, Naming)>,
}

impl Platter {
    /// The names that begin with `folder`, and the inode of each.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.live.keys()
    }

    /// The inode behind a name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.live.get(name).copied()
    }

    /// A new empty file, or `None` where the name is taken.
    pub(super) fn create(&mut self, call: u64, name: &str) -> Option<usize> {
        if self.live.contains_key(name) {
            return None;
        }
        let inode = self.inodes.len();
        self.inodes.push(Inode::default());
        self.live.insert(name.to_owned(), inode);
        self.namings.push((call, Naming::Create { name: name.to_owned(), inode }));
        Some(inode)
    }

    /// Gives a file another name, over whatever had it; `false` where there is no such file.
    pub(super) fn rename(&mut self, call: u64, from: &str, to: &str) -> bool {
        let Some(inode) = self.live.remove(from) else { return false };
        self.live.insert(to.to_owned(), inode);
        self.namings.push((call, Naming::Rename { from: from.to_owned(), to: to.to_owned() }));
        true
    }

    /// Takes a name away; `false` where there is no such file.
    pub(super) fn remove(&mut self, call: u64, name: &str) -> bool {
        if self.live.remove(name).is_none() {
            return false;
        }
        self.namings.push((call, Naming::Remove { name: name.to_owned() }));
        true
    }

    /// Makes every name in `folder` durable ("" for the top).
    pub(super) fn sync_names(&mut self, folder: &str) {
        let mut durable = std::mem::take(&mut self.durable);
        self.namings.retain(|(_, naming)| {
            let here = naming.folders().contains(&folder);
            if here {
                naming.apply(&mut durable);
            }
            !here
        });
        self.durable = durable;
    }

    /// The live bytes of a file.
    pub(super) fn bytes(&self, inode: usize) -> &Arc<Vec<u8>> {
        &self.inodes[inode].live
    }

    /// Bytes in all files that have a name.
    pub(super) fn used(&self) -> u64 {
        self.live.values().map(|inode| self.inodes[*inode].live.len() as u64).sum()
    }

    /// Writes, growing the file where needed.
    pub(super) fn write(&mut self, call: u64, inode: usize, offset: usize, bytes: &[u8]) {
        let inode = &mut self.inodes[inode];
        let end = offset + bytes.len();
        let live = Arc::make_mut(&mut inode.live);
        if end > live.len() {
            live.resize(end, 0);
            inode.lengths.push((call, end));
        }
        live[offset..end].copy_from_slice(bytes);
        inode.stain(call, offset, end);
    }

    /// Cuts or extends with zeros.
    pub(super) fn set_len(&mut self, call: u64, inode: usize, len: usize) {
        let inode = &mut self.inodes[inode];
        let before = inode.live.len();
        Arc::make_mut(&mut inode.live).resize(len, 0);
        inode.lengths.push((call, len));
        inode.stain(call, len.min(before), len.max(before));
    }

    /// Makes the bytes of a file durable.
    pub(super) fn sync(&mut self, inode: usize) {
        let inode = &mut self.inodes[inode];
        if inode.doubtful.is_empty() {
            inode.durable = Arc::clone(&inode.live);
            inode.dirty.clear();
        } else {
            let durable = Arc::make_mut(&mut inode.durable);
            durable.resize(inode.live.len(), 0);
            for (sector, versions) in std::mem::take(&mut inode.dirty) {
                inode.doubtful.remove(&sector);
                settle(durable, sector, &versions.last().expect("a dirty sector has a version").bytes);
            }
        }
        inode.lengths.clear();
    }

    /// A sync that failed: nothing more is durable, and nothing will be written again.
    pub(super) fn fail_sync(&mut self, inode: usize) {
        let inode = &mut self.inodes[inode];
        for (sector, versions) in std::mem::take(&mut inode.dirty) {
            inode.doubtful.entry(sector).or_default().extend(versions);
        }
    }

    /// Drops clean pages from the cache: what a failed sync did not keep is seen no more.
    pub(super) fn forget(&mut self, inode: usize, from: usize, to: usize) {
        let Inode { live, durable, dirty, doubtful, .. } = &mut self.inodes[inode];
        let sectors = from / SECTOR..to.div_ceil(SECTOR);
        let clean: Vec<usize> =
            doubtful.range(sectors).map(|(sector, _)| *sector).filter(|sector| !dirty.contains_key(sector)).collect();
        for sector in clean {
            doubtful.remove(&sector);
            let start = (sector * SECTOR).min(live.len());
            let stop = ((sector + 1) * SECTOR).min(live.len());
            let live = &mut Arc::make_mut(live)[start..stop];
            for (place, byte) in live.iter_mut().enumerate() {
                *byte = durable.get(start + place).copied().unwrap_or(0);
            }
        }
    }

    /// Is everything that reads show also durable, names and bytes?
    pub(super) fn is_settled(&self) -> bool {
        let calm = |inode: &Inode| inode.dirty.is_empty() && inode.doubtful.is_empty() && inode.lengths.is_empty();
        self.namings.is_empty() && self.live.values().all(|inode| calm(&self.inodes[*inode]))
    }

    /// Alters the bytes of a file as a failing disk would: live and durable alike, behind everybody's back.
    pub(super) fn damage(&mut self, inode: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let inode = &mut self.inodes[inode];
        change(Arc::make_mut(&mut inode.live));
        inode.durable = Arc::clone(&inode.live);
        inode.dirty.clear();
        inode.doubtful.clear();
        inode.lengths.clear();
    }

    /// The file system after the power came back.
    pub(super) fn after_power_cut(&self, survival: Survival) -> Self {
        let mut choice = Choice::new(survival, self.calls());
        let mut names = self.durable.clone();
        for (call, naming) in &self.namings {
            if choice.naming(*call) {
                naming.apply(&mut names);
            }
        }
        let mut after = Self::default();
        for (name, inode) in names {
            let bytes = Arc::new(self.inodes[inode].after_power_cut(&mut choice));
            after.live.insert(name, after.inodes.len());
            after.inodes.push(Inode { live: Arc::clone(&bytes), durable: bytes, ..Inode::default() });
        }
        after.durable.clone_from(&after.live);
        after
    }

    /// Every call of which something could be lost, once each, oldest first.
    fn calls(&self) -> Vec<u64> {
        let mut calls: Vec<u64> = self.namings.iter().map(|(call, _)| *call).collect();
        for inode in &self.inodes {
            calls.extend(inode.lengths.iter().map(|(call, _)| *call));
            let versions = inode.dirty.values().chain(inode.doubtful.values());
            calls.extend(versions.flatten().map(|version| version.call));
        }
        calls.sort_unstable();
        calls.dedup();
        calls
    }
}

impl Inode {
    /// Notes a new version of every sector between two offsets.
    fn stain(&mut self, call: u64, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            let mut bytes = [0; SECTOR];
            let start = (sector * SECTOR).min(self.live.len());
            let stop = ((sector + 1) * SECTOR).min(self.live.len());
            bytes[..stop - start].copy_from_slice(&self.live[start..stop]);
            self.dirty.entry(sector).or_default().push(Version { call, bytes });
        }
    }

    fn after_power_cut(&self, choice: &mut Choice) -> Vec<u8> {
        let mut bytes = self.durable.as_ref().clone();
        let length = choice.length(bytes.len(), &self.lengths);
        let longest = self.lengths.iter().map(|(_, len)| *len).chain([bytes.len()]).max().unwrap_or(0);
        bytes.resize(longest, 0);
        let mut chains: BTreeMap<usize, Vec<&Version>> = BTreeMap::new();
        for (sector, versions) in self.doubtful.iter().chain(&self.dirty) {
            chains.entry(*sector).or_default().extend(versions);
        }
        for (sector, versions) in chains {
            if let Some(version) = choice.sector(sector, &versions) {
                settle(&mut bytes, sector, &version.bytes);
            }
        }
        bytes.resize(length, 0);
        bytes
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename { from, to } => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }

    fn folders(&self) -> [&str; 2] {
        match self {
            Self::Create { name, .. } | Self::Remove { name } => [folder(name), folder(name)],
            Self::Rename { from, to } => [folder(from), folder(to)],
        }
    }
}

/// The folder a name stands in, "" for the top.
pub(super) fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn settle(bytes: &mut [u8], sector: usize, version: &[u8; SECTOR]) {
    let start = (sector * SECTOR).min(bytes.len());
    let stop = ((sector + 1) * SECTOR).min(bytes.len());
    bytes[start..stop].copy_from_slice(&version[..stop - start]);
}

/// Decides piece by piece what a power cut leaves.
struct Choice {
    survival: Survival,
    chance: Chance,
    /// `Torn`: the call that was cut, how many of its sectors came through, from its start or its end.
    cut: u64,
    sectors: usize,
    from_end: bool,
    /// `Pages`: the page of the last sector asked about, and its fate.
    page: (usize, u64),
    seed: u64,
    /// Operations on names: a prefix of them (the usual journal of a file system) or any subset.
    names_until: u64,
    names_in_order: bool,
}

impl Choice {
    fn new(survival: Survival, calls: Vec<u64>) -> Self {
        let seed = match survival {
            Survival::Nothing | Survival::Everything => 0,
            Survival::Torn(seed) | Survival::Calls(seed) | Survival::Pages(seed) | Survival::Sectors(seed) => seed,
        };
        let mut chance = Chance::new(seed);
        let cut = if calls.is_empty() { 0 } else { calls[chance.index(calls.len())] };
        let names_until = if calls.is_empty() { 0 } else { calls[chance.index(calls.len())] };
        let room = 1 << chance.below(6);
        let sectors = chance.index(room);
        let (from_end, names_in_order) = (chance.once_in(3), !chance.once_in(3));
        Self { survival, chance, cut, sectors, from_end, page: (usize::MAX, 0), seed, names_until, names_in_order }
    }

    fn naming(&mut self, call: u64) -> bool {
        match self.survival {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Torn(_) => call <= self.cut,
            Survival::Calls(_) | Survival::Pages(_) | Survival::Sectors(_) => {
                if self.names_in_order {
                    call <= self.names_until
                } else {
                    self.survives(call)
                }
            }
        }
    }

    fn length(&mut self, durable: usize, lengths: &[(u64, usize)]) -> usize {
        let kept = match self.survival {
            Survival::Nothing => 0,
            Survival::Everything => lengths.len(),
            Survival::Torn(_) => lengths.iter().filter(|(call, _)| *call <= self.cut).count(),
            Survival::Calls(_) => {
                let last = lengths.iter().rposition(|(call, _)| self.survives(*call));
                last.map_or(0, |last| last + 1)
            }
            Survival::Pages(_) | Survival::Sectors(_) => self.chance.index(lengths.len() + 1),
        };
        if kept == 0 { durable } else { lengths[kept - 1].1 }
    }

    fn sector<'a>(&mut self, sector: usize, versions: &[&'a Version]) -> Option<&'a Version> {
        let kept = match self.survival {
            Survival::Nothing => 0,
            Survival::Everything => versions.len(),
            Survival::Torn(_) => {
                let whole = versions.iter().filter(|version| version.call < self.cut).count();
                let torn = versions.get(whole).is_some_and(|version| version.call == self.cut);
                whole + usize::from(torn && self.reached())
            }
            Survival::Calls(_) => {
                let last = versions.iter().rposition(|version| self.survives(version.call));
                last.map_or(0, |last| last + 1)
            }
            Survival::Pages(_) => {
                let page = sector / SECTORS_PER_PAGE;
                if self.page.0 != page {
                    self.page = (page, self.chance.bits());
                }
                let index = self.page.1 % (versions.len() as u64 + 1);
                usize::try_from(index).expect("no more than there are versions")
            }
            Survival::Sectors(_) => self.chance.index(versions.len() + 1),
        };
        kept.checked_sub(1).map(|last| versions[last])
    }

    /// Does this sector of the torn call come through? Counted in the order of the sectors.
    fn reached(&mut self) -> bool {
        let within = self.sectors > 0;
        self.sectors = self.sectors.saturating_sub(1);
        within != self.from_end
    }

    /// `Calls`: the fate of one call, the same wherever it is asked.
    fn survives(&self, call: u64) -> bool {
        Chance::new(self.seed ^ call.wrapping_mul(0x2545_f491_4f6c_dd1d)).once_in(2)
    }
}
