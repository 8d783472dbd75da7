//! What does a segment say of itself, and what is it called?
//!
//! Promises: a header is believed whole or not at all; the names of files are formed and parsed here only.
//!
//! Must not know: records.
//!
//! ```text
//!   0  "PORTEIRO"                          88  u64  first sequence it may hold
//!   8  u32  format                         96  u64  made at
//!  12  u32  where records start           104  u64  predecessor, 0 = none
//!  16  u32  bytes that count              112  u64  where the predecessor ends
//!  20  u32  CRC32C of 8..16, 24..        120  u64  the last sequence in it (or before)
//!  24  16   store id                      128  u64  the oldest segment at that time
//!  40  16   key of the tags               136  u64  size of a segment
//!  56  u64  number                        144  u32  names that follow
//!  64  u32  epoch, u32 zero               148  u32  torn stretches that follow the names: u64 segment, u64 place
//!  72  16   id of the opening             152       each name: u8 kind, u8 zero, u16 length, u32 id, text
//! ```

use super::frame::{array_at, u16_at, u32_at, u64_at};
use super::record::StoreId;
use crate::clock::Timestamp;

pub(crate) const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"PORTEIRO";
const FIXED: usize = 152;
/// Headers end at a multiple of this.
const PAGE: usize = 4096;

/// Where the files of the log lie.
pub(crate) const LOG: &str = "log";
/// Where the dead letters lie.
pub(crate) const DEAD: &str = "dead";
/// Where the checkpoints lie.
pub(crate) const STATE: &str = "state";
/// Where the dedup entries lie.
pub(crate) const DEDUP: &str = "dedup";

/// The bit that keeps the segments of the dead-letter space apart from those of the log.
pub(crate) const DEAD_BIT: u64 = 1 << 63;

/// `log/000000000000002a.seg`
pub(crate) fn log_name(number: u64) -> String {
    format!("{LOG}/{number:016x}.seg")
}

/// `dead/000000000000002a.seg`
pub(crate) fn dead_name(number: u64) -> String {
    format!("{DEAD}/{:016x}.seg", number & !DEAD_BIT)
}

/// `log/spare-2a`
pub(crate) fn spare_name(number: u64) -> String {
    format!("{LOG}/spare-{number:x}")
}

/// `log/unclean-2a`: to be zeroed, then a spare.
pub(crate) fn unclean_name(number: u64) -> String {
    format!("{LOG}/unclean-{number:x}")
}

/// The number in `000000000000002a` + suffix.
pub(crate) fn parse_name(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The number in `spare-2a`, and whether it is clean.
pub(crate) fn parse_spare(name: &str) -> Option<(u64, bool)> {
    let (digits, clean) = match name.strip_prefix("spare-") {
        Some(digits) => (digits, true),
        None => (name.strip_prefix("unclean-")?, false),
    };
    Some((u64::from_str_radix(digits, 16).ok()?, clean))
}

/// Who writes, under which key: stands in FORMAT and in every header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) store: StoreId,
    pub(crate) key: [u8; 16],
}

impl Identity {
    /// The file FORMAT: magic, format, CRC, store id, key.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.store.0);
        out.extend_from_slice(&self.key);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&out[8..12]), &out[16..]);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `Err` carries a format that is not ours; `Ok(None)` is damage.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, u32> {
        if bytes.len() < 48 || &bytes[..8] != MAGIC {
            return Ok(None);
        }
        if crc32c::crc32c_append(crc32c::crc32c(&bytes[8..12]), &bytes[16..48]) != u32_at(bytes, 12) {
            return Ok(None);
        }
        // Only a format that was meant is believed: one flipped bit is damage.
        if u32_at(bytes, 8) != FORMAT {
            return Err(u32_at(bytes, 8));
        }
        Ok(Some(Self { store: StoreId(array_at(bytes, 16)), key: array_at(bytes, 32) }))
    }
}

/// The table of names: ids are dense, never reused, and stay when their name leaves the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) sources: Vec<String>,
    pub(crate) destinations: Vec<String>,
}

impl Names {
    /// The id of a name in a table, given to it now if it has none.
    pub(crate) fn id(table: &mut Vec<String>, name: &str) -> u32 {
        let place = table.iter().position(|known| known == name).unwrap_or_else(|| {
            table.push(name.to_owned());
            table.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// This table with what an older or damaged one lacks.
    pub(crate) fn or_longer(self, other: &Self) -> Self {
        let longer =
            |ours: Vec<String>, theirs: &Vec<String>| if theirs.len() > ours.len() { theirs.clone() } else { ours };
        Self {
            sources: longer(self.sources, &other.sources),
            destinations: longer(self.destinations, &other.destinations),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let count = self.sources.len() + self.destinations.len();
        out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for (kind, table) in [(1_u8, &self.sources), (2, &self.destinations)] {
            for (id, name) in table.iter().enumerate() {
                let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
                out.extend_from_slice(&[kind, 0]);
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(&u32::try_from(id).unwrap_or(u32::MAX).to_le_bytes());
                out.extend_from_slice(&name.as_bytes()[..usize::from(length)]);
            }
        }
    }

    /// Reads a table; returns how many bytes it took.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let count = u32_at(bytes.get(..8)?, 0);
        let mut names = Self::default();
        let mut at = 8;
        for _ in 0..count {
            let entry = bytes.get(at..at + 8)?;
            let text = bytes.get(at + 8..at + 8 + usize::from(u16_at(entry, 2)))?;
            let table = if entry[0] == 1 { &mut names.sources } else { &mut names.destinations };
            if u32_at(entry, 4) as usize != table.len() {
                return None;
            }
            table.push(String::from_utf8_lossy(text).into_owned());
            at += 8 + text.len();
        }
        Some((names, at))
    }
}

/// Where one segment ends, as another place states it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// The segment; 0 = there is none.
    pub(crate) segment: u64,
    /// The first byte that does not count any more.
    pub(crate) offset: u64,
    /// The last sequence in it or before it.
    pub(crate) seq: u64,
}

/// What opens every segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) identity: Identity,
    pub(crate) number: u64,
    pub(crate) epoch: u32,
    pub(crate) opening: [u8; 16],
    pub(crate) first_seq: u64,
    pub(crate) made: Timestamp,
    pub(crate) before: End,
    pub(crate) oldest: u64,
    pub(crate) segment_size: u64,
    pub(crate) names: Names,
    /// Where this opening cut torn stretches between whole records: they are no damage.
    pub(crate) cuts: Vec<(u64, u64)>,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; FIXED - 8];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        out[24..40].copy_from_slice(&self.identity.store.0);
        out[40..56].copy_from_slice(&self.identity.key);
        out[56..64].copy_from_slice(&self.number.to_le_bytes());
        out[64..68].copy_from_slice(&self.epoch.to_le_bytes());
        out[72..88].copy_from_slice(&self.opening);
        out[88..96].copy_from_slice(&self.first_seq.to_le_bytes());
        out[96..104].copy_from_slice(&self.made.as_micros().to_le_bytes());
        out[104..112].copy_from_slice(&self.before.segment.to_le_bytes());
        out[112..120].copy_from_slice(&self.before.offset.to_le_bytes());
        out[120..128].copy_from_slice(&self.before.seq.to_le_bytes());
        out[128..136].copy_from_slice(&self.oldest.to_le_bytes());
        out[136..144].copy_from_slice(&self.segment_size.to_le_bytes());
        self.names.encode(&mut out);
        out[148..152].copy_from_slice(&u32::try_from(self.cuts.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (segment, place) in &self.cuts {
            out.extend_from_slice(&segment.to_le_bytes());
            out.extend_from_slice(&place.to_le_bytes());
        }
        let counts = out.len();
        out.resize(counts.next_multiple_of(PAGE), 0);
        let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
        out[12..16].copy_from_slice(&start.to_le_bytes());
        out[16..20].copy_from_slice(&u32::try_from(counts).unwrap_or(u32::MAX).to_le_bytes());
        let crc = checked(&out[..counts]);
        out[20..24].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header from the beginning of a segment; also says where records start.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        if bytes.len() < FIXED || &bytes[..8] != MAGIC || u32_at(bytes, 8) != FORMAT {
            return None;
        }
        let start = u32_at(bytes, 12);
        let counted = bytes.get(..u32_at(bytes, 16) as usize).filter(|counted| counted.len() >= FIXED)?;
        if checked(counted) != u32_at(bytes, 20) {
            return None;
        }
        let (names, taken) = Names::decode(&counted[FIXED - 8..])?;
        let cuts = counted.get(FIXED - 8 + taken..)?.chunks_exact(16).take(u32_at(bytes, 148) as usize);
        let header = Self {
            identity: Identity { store: StoreId(array_at(bytes, 24)), key: array_at(bytes, 40) },
            number: u64_at(bytes, 56),
            epoch: u32_at(bytes, 64),
            opening: array_at(bytes, 72),
            first_seq: u64_at(bytes, 88),
            made: Timestamp::from_micros(u64_at(bytes, 96)),
            before: End { segment: u64_at(bytes, 104), offset: u64_at(bytes, 112), seq: u64_at(bytes, 120) },
            oldest: u64_at(bytes, 128),
            segment_size: u64_at(bytes, 136),
            names,
            cuts: cuts.map(|cut| (u64_at(cut, 0), u64_at(cut, 8))).collect(),
        };
        Some((header, u64::from(start)))
    }

    /// The format of a header that is whole but not of ours. What the first 24 bytes mean is the same in every format.
    pub(crate) fn foreign(bytes: &[u8]) -> Option<u32> {
        if bytes.len() < FIXED || &bytes[..8] != MAGIC || u32_at(bytes, 8) == FORMAT {
            return None;
        }
        let counted = bytes.get(..u32_at(bytes, 16) as usize).filter(|counted| counted.len() > 24)?;
        (checked(counted) == u32_at(bytes, 20)).then(|| u32_at(bytes, 8))
    }

    /// Where records start in a segment with this table of names.
    pub(crate) fn length(names: &Names) -> u64 {
        let text: usize = names.sources.iter().chain(&names.destinations).map(|name| 8 + name.len()).sum();
        ((FIXED + text).next_multiple_of(PAGE)) as u64
    }
}

/// The check of a header: its format, where its records start, and all that counts from byte 24 on.
fn checked(counted: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&counted[8..16]), &counted[24..])
}
