//! Which bytes of a batch make a part?
//!
//! A part is one element of the innermost array, in the frame of all arrays around it: everything before and behind them
//! is repeated, their other elements are left out. An element in which the next array is absent, or holds nothing, is a part
//! by itself, so that nothing of a batch is in no part but the white space beside elements.
//!
//! Promises: a part is a legal document of its own, made of byte ranges of the batch in their order; ranges that lie side by
//! side are one.
//!
//! Must not know: what stands in an element.

use std::ops::Range;

use super::json::{Elements, Hits};

/// The byte ranges of a batch that make one part of it.
#[derive(Clone, Debug)]
pub struct Part {
    ranges: [Range<u32>; Self::RANGES_MAX],
    count: usize,
    element: Range<u32>,
}

impl Part {
    /// Most ranges of one part: one on each side of each array's gap, and the element.
    pub const RANGES_MAX: usize = 2 * Elements::ARRAYS_MAX + 1;

    /// The ranges, in their order, none of them empty.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u32>] {
        self.ranges.get(..self.count).unwrap_or_default()
    }

    /// The bytes of the element, without the frame.
    #[must_use]
    pub const fn element(&self) -> &Range<u32> {
        &self.element
    }

    /// The bytes of all ranges together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges().iter().map(|range| u64::from(range.end - range.start)).sum()
    }

    /// The part of the innermost of these elements, each of which stands in its array, and that in the element before.
    fn of(frame: &[Level], length: u32) -> Self {
        let element = frame.last().map_or(0..length, |level| level.element.clone());
        let mut part = Self { ranges: [const { 0..0 }; Self::RANGES_MAX], count: 0, element };
        let mut start = 0;
        for level in frame {
            part.add(start..level.array.start.saturating_add(1));
            start = level.element.start;
        }
        part.add(start..part.element.end);
        for (at, level) in frame.iter().enumerate().rev() {
            let end = at.checked_sub(1).and_then(|outer| frame.get(outer)).map_or(length, |outer| outer.element.end);
            part.add(level.array.end.saturating_sub(1)..end);
        }
        part
    }

    fn add(&mut self, range: Range<u32>) {
        if let Some(last) = self.count.checked_sub(1).and_then(|last| self.ranges.get_mut(last))
            && last.end == range.start
        {
            last.end = range.end;
        } else if let Some(next) = self.ranges.get_mut(self.count) {
            *next = range;
            self.count += 1;
        }
    }
}

/// An array on the way to an element, and the element in it that is walked.
#[derive(Clone, Debug, Default)]
struct Level {
    array: Range<u32>,
    element: Range<u32>,
}

/// The tracks that find the arrays on the way, and their elements.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) arrays: Vec<u8>,
    pub(super) elements: Vec<u8>,
}

impl Frame {
    /// The track of the innermost elements, as a bit.
    pub(super) fn bit(&self) -> u64 {
        self.elements.last().map_or(0, |track| 1 << (track & 63))
    }

    /// The parts of a text of that length, in their order; one more than `most` at most.
    pub(super) fn parts(&self, hits: &Hits, length: usize, most: usize) -> Vec<Part> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let mut levels: [Level; Elements::ARRAYS_MAX] = Default::default();
        // How many levels the element is deep that nothing stands in so far.
        let mut open = 0;
        let mut parts = Vec::new();
        for (_, hit) in hits.from(0).filter(|(_, hit)| hit.is_range()) {
            let range = hit.start..hit.end;
            if let Some(level) = place(&self.elements, hit.track) {
                if open > 0 && level < open {
                    parts.push(Part::of(&levels[..open], length));
                    if parts.len() > most {
                        return parts;
                    }
                }
                levels[level].element = range.clone();
                open = level + 1;
            }
            // An element may itself be the next array.
            if let Some(level) = place(&self.arrays, hit.track) {
                levels[level].array = range;
            }
        }
        if open > 0 {
            parts.push(Part::of(&levels[..open], length));
        }
        parts
    }
}

fn place(tracks: &[u8], track: u8) -> Option<usize> {
    tracks.iter().position(|known| *known == track)
}

/// Which hits are looked at: those that begin in a part, or all.
#[derive(Clone, Debug)]
pub(super) struct Window {
    ranges: [Range<usize>; Part::RANGES_MAX],
    count: usize,
    /// Those of the element itself.
    own: Range<usize>,
}

impl Window {
    /// All hits.
    pub(super) fn whole() -> Self {
        let mut ranges = [const { 0..0 }; Part::RANGES_MAX];
        ranges[0] = 0..usize::MAX;
        Self { ranges, count: 1, own: 0..usize::MAX }
    }

    pub(super) fn of(part: &Part, hits: &Hits) -> Self {
        let index = |range: &Range<u32>| hits.index(range.start)..hits.index(range.end);
        let mut window = Self { ranges: [const { 0..0 }; Part::RANGES_MAX], count: 0, own: index(part.element()) };
        for (slot, range) in window.ranges.iter_mut().zip(part.ranges()) {
            *slot = index(range);
            window.count += 1;
        }
        window
    }

    /// The indices from one on, as ranges.
    pub(super) fn from(&self, start: usize) -> impl Iterator<Item = Range<usize>> {
        let ranges = self.ranges.get(..self.count).unwrap_or_default();
        ranges.iter().map(move |range| range.start.max(start)..range.end)
    }

    /// Whether the hit of this index begins in the element itself.
    pub(super) fn owns(&self, index: usize) -> bool {
        self.own.contains(&index)
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod compare;
#[cfg(test)]
mod tests;
