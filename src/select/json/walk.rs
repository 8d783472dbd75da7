//! Which values do several pointers find in one walk?
//!
//! All pointers that still match are bits of one word: since all of them matched every token so far, the word and the
//! number of tokens are the whole state, and a container under which no bit is left is skipped without recursion. Hits
//! are kept in the order of the text, each with the index of the one before it on the same track: where a key is
//! repeated, the hits under its earlier occurrence are taken back along that chain, each at most once.
//!
//! Promises: recursion no deeper than the longest pointer; work linear in the text for a given number of pointers.
//!
//! Must not know: what the values are for.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::few::Few;
use super::scan::{Quoted, Scan, is_text};
use super::{Pointer, Token, Unreadable, VALUES_MAX, unescape};

/// A pointer followed in a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::select) struct Track {
    tokens: Arc<[Token]>,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The values that have a text of their own.
    Value,
    /// The range of every value.
    Range,
}

impl Track {
    pub(in crate::select) fn value(pointer: &Pointer) -> Self {
        Self { tokens: Arc::clone(pointer.tokens()), wanted: Wanted::Value }
    }

    pub(in crate::select) fn range(pointer: &Pointer) -> Self {
        Self { tokens: Arc::clone(pointer.tokens()), wanted: Wanted::Range }
    }
}

/// What was hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::select) enum Kind {
    /// A string, without its quotes.
    #[default]
    Plain,
    /// A string with escapes, without its quotes.
    Escaped,
    /// A number or a boolean.
    Bare,
    /// Any value, as a range.
    Range,
}

/// Stands for no hit.
const NONE: u32 = u32::MAX;

/// A value found.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::select) struct Hit {
    pub(in crate::select) start: u32,
    pub(in crate::select) end: u32,
    before: u32,
    pub(in crate::select) track: u8,
    pub(in crate::select) kind: Kind,
    dead: bool,
}

impl Hit {
    /// Whether it is any value, as a range.
    pub(in crate::select) const fn is_range(&self) -> bool {
        matches!(self.kind, Kind::Range)
    }

    /// The value's text; `text` is what was walked.
    pub(in crate::select) fn text<'t>(&self, text: &'t [u8]) -> Cow<'t, str> {
        let inside = text.get(self.start as usize..self.end as usize).unwrap_or_default();
        let inside = str::from_utf8(inside).unwrap_or_default();
        match self.kind {
            Kind::Escaped => unescape(inside),
            Kind::Plain | Kind::Bare | Kind::Range => Cow::Borrowed(inside),
        }
    }
}

/// What a walk found, in the order of the text.
#[derive(Clone, Debug)]
pub(in crate::select) struct Hits(Few<Hit, 12>);

impl Hits {
    pub(in crate::select) fn none() -> Self {
        Self(Few::new())
    }

    /// The hits on one track.
    pub(in crate::select) fn of(&self, track: u8) -> impl Iterator<Item = &Hit> {
        self.from(0).map(|(_, hit)| hit).filter(move |hit| hit.track == track)
    }

    /// The hits from an index on, with their indices.
    pub(in crate::select) fn from(&self, start: usize) -> impl Iterator<Item = (usize, &Hit)> {
        self.between(start..self.0.len())
    }

    /// The hits of these indices.
    pub(in crate::select) fn between(&self, indices: Range<usize>) -> impl Iterator<Item = (usize, &Hit)> {
        let end = indices.end.min(self.0.len());
        (indices.start..end).filter_map(|at| Some((at, self.0.get(at)?))).filter(|(_, hit)| !hit.dead)
    }

    /// The index of the first hit that begins there or behind it.
    pub(in crate::select) fn index(&self, start: u32) -> usize {
        let (mut low, mut high) = (0, self.0.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.0.get(middle).is_some_and(|hit| hit.start < start) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Finds what the tracks, at most 64, point at.
///
/// # Errors
/// [`Unreadable`] if the text is no JSON, nested too deeply, or holds too many values.
pub(in crate::select) fn walk(text: &[u8], tracks: &[Track]) -> Result<Hits, Unreadable> {
    walk_parts(text, tracks, 0)
}

/// The same, where the tracks of these bits point at the elements of a batch: an array on their way is walked as if each
/// of its elements were its only one, because that is what it is in the part of that element; and a key on their way must
/// not be repeated, because what is under the first one would be in every part.
///
/// # Errors
/// [`Unreadable`] as for [`walk`], and for such a key.
pub(in crate::select) fn walk_parts(text: &[u8], tracks: &[Track], parts: u64) -> Result<Hits, Unreadable> {
    if str::from_utf8(text).is_err() || u32::try_from(text.len()).is_err() {
        return Err(Unreadable);
    }
    let all = match tracks.len() {
        0 => 0,
        some => u64::MAX >> 64_usize.saturating_sub(some).min(63),
    };
    let mut walk = Walk { scan: Scan::new(text), tracks, parts, hits: Few::new(), last: [NONE; 64] };
    walk.value(all, 0)?;
    walk.scan.finish()?;
    Ok(Hits(walk.hits))
}

struct Walk<'t, 'p> {
    scan: Scan<'t>,
    tracks: &'p [Track],
    /// Which tracks point at the elements of a batch.
    parts: u64,
    hits: Few<Hit, 12>,
    /// The last live hit of each track.
    last: [u32; 64],
}

impl Walk<'_, '_> {
    /// Takes a value that `active` tracks have reached with all of their first `depth` tokens.
    fn value(&mut self, active: u64, depth: usize) -> Result<(), Unreadable> {
        let ending = self.ending(active, depth);
        let deeper = active & !ending;
        // Every token stands for a container, so `depth` is also how deeply the value is nested.
        let nest = u32::try_from(depth).unwrap_or(u32::MAX);
        let first = self.scan.peek()?;
        let start = self.scan.at();
        let ranges = self.open_ranges(ending, start)?;
        match first {
            b'"' => {
                let quoted = self.scan.string()?;
                self.text(ending, quoted)?;
            }
            b'{' if deeper != 0 => self.object(deeper, depth)?,
            b'[' if deeper != 0 => self.array(deeper, depth)?,
            b'{' | b'[' => self.scan.skip(nest)?,
            first => {
                self.scan.bare(first)?;
                if first != b'n' {
                    self.record(ending, Wanted::Value, Kind::Bare, start, self.scan.at())?;
                }
            }
        }
        self.close_ranges(ranges, ending);
        Ok(())
    }

    /// The tracks of `active` that end with token `depth`.
    fn ending(&self, active: u64, depth: usize) -> u64 {
        bits(active).filter(|at| self.tracks.get(*at).is_some_and(|track| track.tokens.len() == depth)).fold(0, with)
    }

    fn object(&mut self, active: u64, depth: usize) -> Result<(), Unreadable> {
        let since = self.hits.len();
        let mut seen = 0;
        self.scan.step();
        if self.scan.peek()? == b'}' {
            self.scan.step();
            return Ok(());
        }
        loop {
            let quoted = self.scan.key()?;
            let matching = self.keyed(active, depth, quoted);
            if matching & seen != 0 {
                if matching & seen & self.parts != 0 {
                    return Err(Unreadable);
                }
                self.take_back(matching, since);
            }
            seen |= matching;
            self.inside(matching, depth)?;
            let next = self.scan.peek()?;
            self.scan.step();
            match next {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(Unreadable),
            }
        }
    }

    fn array(&mut self, active: u64, depth: usize) -> Result<(), Unreadable> {
        self.scan.step();
        if self.scan.peek()? == b']' {
            self.scan.step();
            return Ok(());
        }
        let mut index = 0_u32;
        let alone = bits(active & self.parts).any(|at| self.token(at, depth) == Some(&Token::Every));
        loop {
            let matching = bits(active).filter(|at| self.token(*at, depth).is_some_and(|token| at_index(token, index)));
            let matching = matching.fold(0, with);
            self.inside(matching, depth)?;
            index = index.saturating_add(u32::from(!alone));
            let next = self.scan.peek()?;
            self.scan.step();
            match next {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(Unreadable),
            }
        }
    }

    /// Takes a value one container further in.
    fn inside(&mut self, matching: u64, depth: usize) -> Result<(), Unreadable> {
        if matching != 0 {
            return self.value(matching, depth + 1);
        }
        self.scan.skip(u32::try_from(depth + 1).unwrap_or(u32::MAX))
    }

    fn token(&self, track: usize, depth: usize) -> Option<&Token> {
        self.tracks.get(track)?.tokens.get(depth)
    }

    /// The tracks whose next token is this key.
    fn keyed(&self, active: u64, depth: usize, quoted: Quoted) -> u64 {
        let raw = self.scan.slice(quoted.start, quoted.end);
        if !quoted.escaped {
            return self.with_key(active, depth, raw);
        }
        // A key with half a surrogate pair is no text, so no token equals it.
        let inside = str::from_utf8(raw).unwrap_or_default();
        if is_text(inside) { self.with_key(active, depth, unescape(inside).as_bytes()) } else { 0 }
    }

    fn with_key(&self, active: u64, depth: usize, wanted: &[u8]) -> u64 {
        let same =
            |at: &usize| matches!(self.token(*at, depth), Some(Token::Key { key, .. }) if key.as_bytes() == wanted);
        bits(active).filter(same).fold(0, with)
    }

    /// Takes back the hits of these tracks from index `since` on.
    fn take_back(&mut self, tracks: u64, since: usize) {
        for track in bits(tracks) {
            let Some(last) = self.last.get_mut(track) else { continue };
            while *last != NONE && *last as usize >= since {
                let Some(hit) = self.hits.get_mut(*last as usize) else { break };
                hit.dead = true;
                *last = hit.before;
            }
        }
    }

    fn text(&mut self, ending: u64, quoted: Quoted) -> Result<(), Unreadable> {
        let kind = if quoted.escaped { Kind::Escaped } else { Kind::Plain };
        if quoted.escaped && ending != 0 {
            let inside = str::from_utf8(self.scan.slice(quoted.start, quoted.end)).unwrap_or_default();
            if !is_text(inside) {
                return Err(Unreadable);
            }
        }
        self.record(ending, Wanted::Value, kind, quoted.start, quoted.end)
    }

    /// Begins the ranges wanted of a value; returns the index of the first.
    fn open_ranges(&mut self, ending: u64, start: usize) -> Result<usize, Unreadable> {
        let first = self.hits.len();
        self.record(ending, Wanted::Range, Kind::Range, start, start)?;
        Ok(first)
    }

    /// Ends them where the value ended.
    fn close_ranges(&mut self, first: usize, ending: u64) {
        let end = u32::try_from(self.scan.at()).unwrap_or(u32::MAX);
        let most = ending.count_ones() as usize;
        for at in first..(first + most).min(self.hits.len()) {
            match self.hits.get_mut(at) {
                Some(hit) if hit.kind == Kind::Range && hit.end == hit.start => hit.end = end,
                _ => return,
            }
        }
    }

    fn record(&mut self, tracks: u64, wanted: Wanted, kind: Kind, start: usize, end: usize) -> Result<(), Unreadable> {
        for track in bits(tracks) {
            if self.tracks.get(track).is_none_or(|known| known.wanted != wanted) {
                continue;
            }
            let at = self.hits.len();
            if at >= VALUES_MAX {
                return Err(Unreadable);
            }
            let (Ok(start), Ok(end), Ok(at)) = (u32::try_from(start), u32::try_from(end), u32::try_from(at)) else {
                return Err(Unreadable);
            };
            let (Ok(name), Some(last)) = (u8::try_from(track), self.last.get_mut(track)) else {
                return Err(Unreadable);
            };
            self.hits.push(Hit { start, end, before: *last, track: name, kind, dead: false });
            *last = at;
        }
        Ok(())
    }
}

fn at_index(token: &Token, index: u32) -> bool {
    match token {
        Token::Every => true,
        Token::Key { index: wanted, .. } => *wanted == Some(index),
    }
}

/// The indices of the bits that are set, lowest first.
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(at)
    })
}

const fn with(set: u64, bit: usize) -> u64 {
    set | (1 << bit)
}
