//! How is a short list kept without allocating?
//!
//! Promises: the first `N` items need no allocation.
//!
//! Must not know: what the items are.

/// A list whose first `N` items stand in place.
#[derive(Clone, Debug)]
pub(super) struct Few<T, const N: usize> {
    inline: [T; N],
    len: usize,
    more: Vec<T>,
}

impl<T: Copy + Default, const N: usize> Few<T, N> {
    pub(super) fn new() -> Self {
        Self { inline: [T::default(); N], len: 0, more: Vec::new() }
    }

    pub(super) fn push(&mut self, item: T) {
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = item,
            None => self.more.push(item),
        }
        self.len += 1;
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        match at.checked_sub(N) {
            Some(beyond) => self.more.get(beyond),
            None => self.inline.get(..self.len.min(N))?.get(at),
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        match at.checked_sub(N) {
            Some(beyond) => self.more.get_mut(beyond),
            None => self.inline.get_mut(..self.len.min(N))?.get_mut(at),
        }
    }
}
