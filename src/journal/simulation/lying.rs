//! A storage that keeps only the promises it must.
//!
//! Promises: what the journal's `Storage` and `File` promise and no more. Writes are short, syncs fail, the disk fills,
//! and at a chosen call the machine stops: that call may or may not have had its effect, every later one fails, and
//! [`Lying::reboot`] gives what is left. Calls that change something are counted from 0, so that a crash can be asked for
//! at each of them.
//!
//! Must not know: what the journal writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chance::Chance;
use super::platter::{Platter, Survival, folder};
use crate::journal::storage::{File, Guard, Storage};

/// What goes wrong besides the crash.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The call at which the machine stops.
    pub(super) crash_at: Option<u64>,
    /// Calls that fail, each in its way.
    pub(super) failures: BTreeMap<u64, Failure>,
    /// One write in three takes only a part.
    pub(super) short_writes: bool,
    /// One read in so many fails; 0 for none.
    pub(super) unreadable: u64,
    /// Bytes all files may have together; 0 for no bound.
    pub(super) capacity: u64,
    /// A machine that forgets the syncs of directories: the planted fault of this file.
    pub(super) forgets_directories: bool,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// EIO; a write may have been done in part, a sync loses what it should have kept.
    Broken,
    /// ENOSPC, for calls that could need space; others succeed.
    Full,
}

/// How a machine comes to its next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The process was killed: the page cache lives on, unsynced as it was.
    Kill,
    /// The power was cut.
    Power(Survival),
}

/// The storage; clones share it.
#[derive(Clone)]
pub(super) struct Lying(Arc<Mutex<Machine>>);

struct Machine {
    platter: Platter,
    directories: BTreeSet<String>,
    plan: Plan,
    chance: Chance,
    calls: u64,
    stopped: bool,
    locked: bool,
    trace: Vec<String>,
    traced: bool,
}

impl Lying {
    /// An empty machine.
    pub(super) fn new(seed: u64) -> Self {
        Self::with(Platter::default(), BTreeSet::new(), Chance::new(seed), false)
    }

    fn with(platter: Platter, directories: BTreeSet<String>, chance: Chance, traced: bool) -> Self {
        let plan = Plan::default();
        Self(Arc::new(Mutex::new(Machine {
            platter,
            directories,
            plan,
            chance,
            calls: 0,
            stopped: false,
            locked: false,
            trace: Vec::new(),
            traced,
        })))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, this goes wrong. Calls keep their count.
    pub(super) fn plan(&self, plan: Plan) {
        self.machine().plan = plan;
    }

    /// Keeps a line per call that changes something.
    pub(super) fn trace(&self) {
        self.machine().traced = true;
    }

    /// Keeps a line of somebody else's among those.
    pub(super) fn note(&self, line: String) {
        let mut machine = self.machine();
        if machine.traced {
            machine.trace.push(line);
        }
    }

    /// The lines kept, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.machine().trace.clone()
    }

    /// Calls so far that changed something, or would have.
    pub(super) fn calls(&self) -> u64 {
        self.machine().calls
    }

    /// Did it come to the crash?
    pub(super) fn stopped(&self) -> bool {
        self.machine().stopped
    }

    /// Stops the machine between two calls.
    pub(super) fn stop(&self) {
        self.machine().stopped = true;
    }

    /// The machine at its next start, with nothing going wrong; this one stays stopped as it is.
    pub(super) fn reboot(&self, stop: Stop) -> Self {
        let mut machine = self.machine();
        machine.stopped = true;
        let platter = match stop {
            Stop::Kill => machine.platter.clone(),
            Stop::Power(survival) => machine.platter.after_power_cut(survival),
        };
        let chance = Chance::new(machine.chance.clone().bits() ^ machine.calls);
        Self::with(platter, machine.directories.clone(), chance, machine.traced)
    }

    /// The machine at its next start, in the same plan and the same count of calls.
    pub(super) fn restart(&self, stop: Stop) -> Self {
        let after = self.reboot(stop);
        let mut machine = self.machine();
        let mut next = after.machine();
        next.plan = machine.plan.clone();
        next.calls = machine.calls;
        next.trace = std::mem::take(&mut machine.trace);
        drop(next);
        after
    }

    /// The same machine once more, to look at it or to try something else from here.
    pub(super) fn fork(&self, seed: u64) -> Self {
        let machine = self.machine();
        Self::with(machine.platter.clone(), machine.directories.clone(), Chance::new(seed), machine.traced)
    }

    /// The names of all files.
    pub(super) fn names(&self) -> Vec<String> {
        self.machine().platter.names().cloned().collect()
    }

    /// The bytes of a file as reads show them.
    pub(super) fn bytes(&self, name: &str) -> Option<Arc<Vec<u8>>> {
        let machine = self.machine();
        let inode = machine.platter.find(name)?;
        Some(Arc::clone(machine.platter.bytes(inode)))
    }

    /// All files and their bytes as reads show them.
    pub(super) fn files(&self) -> Vec<(String, Arc<Vec<u8>>)> {
        let machine = self.machine();
        let bytes = |name| machine.platter.find(name).map(|inode| Arc::clone(machine.platter.bytes(inode)));
        machine.platter.names().filter_map(|name| Some((name.clone(), bytes(name)?))).collect()
    }

    /// Alters a file behind everybody's back.
    pub(super) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut machine = self.machine();
        let inode = machine.platter.find(name).expect("only files that are there are damaged");
        machine.platter.damage(inode, change);
    }
}

impl fmt::Debug for Lying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lying").finish_non_exhaustive()
    }
}

/// What becomes of a call.
enum Fate {
    Done,
    /// Have the effect, then say no: the crash.
    Last,
    Fails(Failure),
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

impl Machine {
    /// Counts a call that changes something and decides its fate.
    fn begin(&mut self, line: impl FnOnce() -> String) -> io::Result<Fate> {
        if self.stopped {
            return Err(broken());
        }
        let call = self.calls;
        self.calls += 1;
        if self.traced {
            self.trace.push(format!("{call}: {}", line()));
        }
        if self.plan.crash_at == Some(call) {
            self.stopped = true;
            return Ok(Fate::Last);
        }
        Ok(self.plan.failures.get(&call).map_or(Fate::Done, |failure| Fate::Fails(*failure)))
    }

    fn call(&self) -> u64 {
        self.calls - 1
    }

    fn running(&self) -> io::Result<()> {
        if self.stopped { Err(broken()) } else { Ok(()) }
    }

    fn free(&self) -> u64 {
        let bound = if self.plan.capacity == 0 { 1 << 40 } else { self.plan.capacity };
        bound.saturating_sub(self.platter.used())
    }

    fn write(&mut self, inode: usize, pieces: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut bytes: Vec<u8> = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            bytes.extend_from_slice(piece);
        }
        let fate = self.begin(|| format!("write inode {inode} at {offset} len {}", bytes.len()))?;
        let offset = usize::try_from(offset).expect("simulated files are small");
        if bytes.is_empty() {
            return Ok(0);
        }
        let part = 1 + self.chance.index(bytes.len());
        match fate {
            Fate::Done => {}
            Fate::Last => {
                let call = self.call();
                self.platter.write(call, inode, offset, &bytes);
                return Err(broken());
            }
            Fate::Fails(failure) => {
                let call = self.call();
                self.platter.write(call, inode, offset, &bytes[..part - 1]);
                return Err(if failure == Failure::Full { full() } else { broken() });
            }
        }
        let growth = (offset + bytes.len()).saturating_sub(self.platter.bytes(inode).len());
        if growth as u64 > self.free() {
            return Err(full());
        }
        let taken = if self.plan.short_writes && self.chance.once_in(3) { part } else { bytes.len() };
        let call = self.call();
        self.platter.write(call, inode, offset, &bytes[..taken]);
        Ok(taken)
    }

    fn set_length(&mut self, inode: usize, length: u64) -> io::Result<()> {
        let fate = self.begin(|| format!("set length of inode {inode} to {length}"))?;
        let length = usize::try_from(length).expect("simulated files are small");
        let growth = length.saturating_sub(self.platter.bytes(inode).len());
        match fate {
            Fate::Fails(Failure::Broken) => return Err(broken()),
            Fate::Fails(Failure::Full) if growth > 0 => return Err(full()),
            Fate::Done | Fate::Last | Fate::Fails(Failure::Full) => {}
        }
        if growth as u64 > self.free() {
            return Err(full());
        }
        let call = self.call();
        self.platter.set_len(call, inode, length);
        if matches!(fate, Fate::Last) { Err(broken()) } else { Ok(()) }
    }

    fn sync(&mut self, inode: usize) -> io::Result<()> {
        match self.begin(|| format!("sync inode {inode}"))? {
            Fate::Done => self.platter.sync(inode),
            Fate::Last => return Err(broken()),
            Fate::Fails(failure) => {
                self.platter.fail_sync(inode);
                return Err(if failure == Failure::Full { full() } else { broken() });
            }
        }
        Ok(())
    }

    fn create(&mut self, name: &str) -> io::Result<usize> {
        let fate = self.begin(|| format!("create {name}"))?;
        match fate {
            Fate::Fails(Failure::Broken) => return Err(broken()),
            Fate::Fails(Failure::Full) => return Err(full()),
            Fate::Done | Fate::Last => {}
        }
        if !self.directories.contains(folder(name)) && !folder(name).is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let call = self.call();
        let inode = match self.platter.find(name) {
            Some(inode) => {
                self.platter.set_len(call, inode, 0);
                inode
            }
            None => self.platter.create(call, name).expect("the name is free"),
        };
        if matches!(fate, Fate::Last) { Err(broken()) } else { Ok(inode) }
    }

    /// A change of names; `change` says whether the file was there.
    fn name(
        &mut self,
        line: impl FnOnce() -> String,
        change: impl FnOnce(&mut Platter, u64) -> bool,
    ) -> io::Result<()> {
        let fate = self.begin(line)?;
        if matches!(fate, Fate::Fails(Failure::Broken)) {
            return Err(broken());
        }
        let call = self.call();
        let found = change(&mut self.platter, call);
        match fate {
            Fate::Last => Err(broken()),
            Fate::Done | Fate::Fails(_) if found => Ok(()),
            Fate::Done | Fate::Fails(_) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_directory(&mut self, directory: &str) -> io::Result<()> {
        match self.begin(|| format!("sync directory {directory:?}"))? {
            Fate::Done if self.plan.forgets_directories => {}
            Fate::Done => self.platter.sync_names(directory),
            Fate::Last | Fate::Fails(Failure::Broken) => return Err(broken()),
            Fate::Fails(Failure::Full) => return Err(full()),
        }
        Ok(())
    }
}

impl Storage for Lying {
    fn lock(&self) -> io::Result<Box<dyn Guard>> {
        let mut machine = self.machine();
        machine.running()?;
        if std::mem::replace(&mut machine.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Held(self.clone())))
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        let mut machine = self.machine();
        machine.running()?;
        machine.directories.insert(directory.to_owned());
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let machine = self.machine();
        machine.running()?;
        if !directory.is_empty() && !machine.directories.contains(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let here = machine.platter.names().filter(|name| folder(name) == directory);
        Ok(here.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let machine = self.machine();
        machine.running()?;
        let inode = machine.platter.find(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { storage: self.clone(), inode }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = self.machine().create(name)?;
        Ok(Arc::new(Handle { storage: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.machine().name(|| format!("rename {from} to {to}"), |platter, call| platter.rename(call, from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.machine().name(|| format!("remove {name}"), |platter, call| platter.remove(call, name))
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.machine().sync_directory(directory)
    }

    fn free_space(&self) -> io::Result<u64> {
        let machine = self.machine();
        machine.running()?;
        Ok(machine.free())
    }

    fn entropy(&self, out: &mut [u8]) -> io::Result<()> {
        let mut machine = self.machine();
        machine.running()?;
        for byte in out {
            *byte = machine.chance.bits().to_le_bytes()[0];
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Held(Lying);

impl Guard for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.machine().locked = false;
    }
}

#[derive(Debug)]
struct Handle {
    storage: Lying,
    inode: usize,
}

impl File for Handle {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut machine = self.storage.machine();
        machine.running()?;
        let unreadable = machine.plan.unreadable;
        if unreadable > 0 && machine.chance.once_in(unreadable) {
            return Err(broken());
        }
        let bytes = Arc::clone(machine.platter.bytes(self.inode));
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let mut taken = into.len().min(bytes.len() - start);
        if machine.plan.short_writes && taken > 1 && machine.chance.once_in(4) {
            taken = 1 + machine.chance.index(taken);
        }
        into[..taken].copy_from_slice(&bytes[start..start + taken]);
        Ok(taken)
    }

    fn write_at(&self, pieces: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.storage.machine().write(self.inode, pieces, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.storage.machine().sync(self.inode)
    }

    fn length(&self) -> io::Result<u64> {
        let machine = self.storage.machine();
        machine.running()?;
        Ok(machine.platter.bytes(self.inode).len() as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.storage.machine().set_length(self.inode, length)
    }

    fn forget(&self, offset: u64, length: u64) {
        let bound = |place: u64| usize::try_from(place).unwrap_or(usize::MAX / 2).min(usize::MAX / 2);
        let end = if length == 0 { u64::MAX } else { offset.saturating_add(length) };
        self.storage.machine().platter.forget(self.inode, bound(offset), bound(end));
    }
}
