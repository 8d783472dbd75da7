//! Which records are still at hand?
//!
//! Promises: the youngest records that fit the bound, in the order of their sequences; a look-up takes no search unless
//! sequences were voided.
//!
//! Must not know: what is durable, who reads.

use std::collections::VecDeque;

use super::event::Stored;

/// Recent records, shared by all lanes.
#[derive(Debug)]
pub(crate) struct Ring {
    entries: VecDeque<Stored>,
    bytes: u64,
    bytes_max: u64,
}

impl Ring {
    pub(crate) const fn new(bytes_max: u64) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds the youngest record; the oldest make room.
    pub(crate) fn push(&mut self, entry: Stored) {
        self.bytes += entry.weight();
        if self.entries.len() == self.entries.capacity() {
            // Not doubled: the list is to stay within what its entries weigh.
            self.entries.reserve_exact(self.entries.len() / 8 + 16);
        }
        self.entries.push_back(entry);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.weight();
        }
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Stored> {
        self.place(seq).and_then(|place| self.entries.get(place))
    }

    /// Takes out a record that was voided.
    pub(crate) fn remove(&mut self, seq: u64) -> Option<Stored> {
        let entry = self.entries.remove(self.place(seq)?)?;
        self.bytes -= entry.weight();
        Some(entry)
    }

    /// Keeps only these.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Stored) -> bool) {
        self.entries.retain(keep);
        self.bytes = self.entries.iter().map(Stored::weight).sum();
    }

    fn place(&self, seq: u64) -> Option<usize> {
        let distance = usize::try_from(seq.checked_sub(self.entries.front()?.seq)?).ok()?;
        if self.entries.get(distance).is_some_and(|entry| entry.seq == seq) {
            return Some(distance);
        }
        self.entries.binary_search_by_key(&seq, |entry| entry.seq).ok()
    }
}
