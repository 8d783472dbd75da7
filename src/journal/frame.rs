//! What does a record look like on disk?
//!
//! Promises: [`Seal::open`] takes any bytes without a panic and believes nothing that was not written by this store for
//! exactly this segment and place; an unknown optional field is skipped, not refused.
//!
//! Must not know: files, sequences' meaning, who reads.
//!
//! All numbers are little-endian; a record starts at a multiple of 8 and its length is one.
//!
//! ```text
//!  0  u32  magic
//!  4  u32  CRC32C of store id, segment number, place in the segment, and bytes 16.. of the envelope
//!  8  u64  SipHash-2-4 under the store's key of segment number, place, CRC, length and sequence
//! 16  u32  length of the whole record, padding included
//! 20  u16  length of the envelope (these 56 bytes, what the type fixes, optional fields)
//! 22  u8   type
//! 23  u8   version of the type
//! 24  u64  sequence (of the event; 0 where there is none)
//! 32  u32  durable mark: every byte of this segment below it was synced when this was written
//! 36  u32  epoch
//! 40  u32  length of the head         48  u32  CRC32C of the head
//! 44  u32  length of the body         52  u32  CRC32C of the body
//! 56       what the type fixes, then optional fields: u8 field, u8 zero, u16 length, bytes
//! ..       head, body, zeros up to a multiple of 8
//! ```
//!
//! An event (and a dead letter) fixes: event id 16, request id 16, origin sequence u64, accepted u64, order key u64, body
//! digest 32, source u32, part u16, flags u16 (bytes 56 to 152). Its optional fields are listed at [`field`]. Head and body
//! that were erased in place are overwritten with a keyed pattern and fail their checks: [`Content`] tells that from damage.

use siphasher::sip::SipHasher24;

use super::record::StoreId;

/// Bytes every envelope begins with.
pub(crate) const FIXED: usize = 56;
/// Where records may start.
pub(crate) const ALIGN: usize = 8;
const MAGIC: u32 = 0xB16F_0E17;
const VERSION: u8 = 1;

/// Optional fields of an envelope. A number is never given to another meaning.
pub(crate) mod field {
    /// Entries of 16 bytes: destination u32, attempts made u32, not before u64.
    pub(crate) const TARGETS: u8 = 1;
    /// One u64 for each tenant; one = that tenant, more = mixed.
    pub(crate) const TENANTS: u8 = 2;
    /// Text.
    pub(crate) const KIND: u8 = 3;
    /// 16 bytes.
    pub(crate) const DEDUP_KEY: u8 = 4;
    /// The sequence this event had before it was carried forward; settled there by this record. In a death: the sequence
    /// in the letter, where that is another.
    pub(crate) const CARRIED_FROM: u8 = 5;
    /// u32 destination, then entries of 12 bytes: first sequence u64, count u32. In [`super::Kind::Unlisted`], too.
    pub(crate) const DELIVERED: u8 = 6;
    /// A failed attempt: destination u32, attempts made u32, again at u64, status u16.
    pub(crate) const ATTEMPT: u8 = 7;
    /// A death: destination u32, attempts made u32, at u64, status u16, reason u16, length of the answer within the body u32.
    pub(crate) const DEATH: u8 = 8;
    /// An event's id, 16 bytes.
    pub(crate) const EVENT_ID: u8 = 9;
    /// A destination, u32.
    pub(crate) const DESTINATION: u8 = 10;
    /// Nothing: head and body were left out for want of space.
    pub(crate) const STRIPPED: u8 = 11;
    /// Of an event that was put in once more: the sequence it was replayed under first u64, when u64. Its dedup key claims
    /// nothing.
    pub(crate) const REPLAYED: u8 = 12;
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event, owed to its targets.
    Event,
    /// Deliveries that succeeded.
    Delivered,
    /// An attempt that failed.
    Attempt,
    /// An event became a dead letter, or left the world by age or space.
    Dead,
    /// Only the durable mark.
    Mark,
    /// Head, body and answers of an event are being erased.
    Erase,
    /// Everything owed to a destination is released.
    Drop,
    /// In the dead-letter space: the letter itself.
    Letter,
    /// Dead letters that are none any more: replayed, or dropped.
    Unlisted,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Event => 1,
            Self::Delivered => 2,
            Self::Attempt => 3,
            Self::Dead => 4,
            Self::Mark => 5,
            Self::Erase => 6,
            Self::Drop => 7,
            Self::Letter => 8,
            Self::Unlisted => 9,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Event,
            2 => Self::Delivered,
            3 => Self::Attempt,
            4 => Self::Dead,
            5 => Self::Mark,
            6 => Self::Erase,
            7 => Self::Drop,
            8 => Self::Letter,
            9 => Self::Unlisted,
            _ => return None,
        })
    }
}

/// Why some bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Fewer bytes than the record says it has.
    Short {
        /// How many it takes.
        needs: usize,
    },
    /// Not what a record of this store at this place begins with.
    NotOne,
}

/// Binds records to one store, one segment and one place in it.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    segment: u64,
    bound: u32,
    hasher: SipHasher24,
    unbound: bool,
}

impl Seal {
    pub(crate) fn new(store: StoreId, key: [u8; 16], segment: u64) -> Self {
        let bound = crc32c::crc32c_append(crc32c::crc32c(&store.0), &segment.to_le_bytes());
        Self { segment, bound, hasher: SipHasher24::new_with_key(&key), unbound: false }
    }

    /// A planted fault: records of one segment are believed in another.
    #[cfg(test)]
    pub(crate) const fn unbind(mut self) -> Self {
        self.unbound = true;
        self.segment = 0;
        self.bound = 0;
        self
    }

    fn checks(&self, envelope: &[u8], place: u64) -> (u32, u64) {
        let place = if self.unbound { 0 } else { place };
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(self.bound, &place.to_le_bytes()), &envelope[16..]);
        let mut tagged = [0; 36];
        tagged[..8].copy_from_slice(&self.segment.to_le_bytes());
        tagged[8..16].copy_from_slice(&place.to_le_bytes());
        tagged[16..20].copy_from_slice(&crc.to_le_bytes());
        tagged[20..24].copy_from_slice(&envelope[16..20]);
        tagged[24..32].copy_from_slice(&envelope[24..32]);
        (crc, self.hasher.hash(&tagged))
    }

    /// What erased bytes of the record at this place are overwritten with, again and again: neither a lost page nor a body
    /// that a stranger chose looks like it.
    pub(crate) fn erasure(&self, place: u64) -> [u8; 8] {
        let mut told = *b"erased at........";
        told[9..].copy_from_slice(&place.to_le_bytes());
        (self.hasher.hash(&told) ^ self.segment).to_le_bytes()
    }

    /// Completes an envelope for its place.
    pub(crate) fn close(&self, envelope: &mut [u8], place: u64, mark: u32, epoch: u32) {
        envelope[32..36].copy_from_slice(&mark.to_le_bytes());
        envelope[36..40].copy_from_slice(&epoch.to_le_bytes());
        let (crc, tag) = self.checks(envelope, place);
        envelope[4..8].copy_from_slice(&crc.to_le_bytes());
        envelope[8..16].copy_from_slice(&tag.to_le_bytes());
    }

    /// Reads the envelope of the record that starts with these bytes, if there is one; head and body need not be there.
    ///
    /// # Errors
    /// [`Bad`].
    pub(crate) fn open<'a>(&self, bytes: &'a [u8], place: u64) -> Result<Envelope<'a>, Bad> {
        if bytes.len() < FIXED {
            return Err(Bad::Short { needs: FIXED });
        }
        if u32_at(bytes, 0) != MAGIC {
            return Err(Bad::NotOne);
        }
        let length = u32_at(bytes, 16) as usize;
        let envelope = usize::from(u16_at(bytes, 20));
        let contents = u64::from(u32_at(bytes, 40)) + u64::from(u32_at(bytes, 44));
        let least = envelope as u64 + contents;
        if envelope < FIXED
            || !length.is_multiple_of(ALIGN)
            || least > length as u64
            || least + (ALIGN as u64) <= length as u64
        {
            return Err(Bad::NotOne);
        }
        let Some(bytes) = bytes.get(..envelope) else { return Err(Bad::Short { needs: envelope }) };
        let (crc, tag) = self.checks(bytes, place);
        if crc != u32_at(bytes, 4) || tag != u64_at(bytes, 8) {
            return Err(Bad::NotOne);
        }
        Ok(Envelope(bytes))
    }
}

/// An envelope that passed its checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a>(&'a [u8]);

impl<'a> Envelope<'a> {
    /// `None`: a type of a later version, to be skipped.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::of(self.0[22])
    }

    /// Bytes of the whole record.
    pub(crate) fn length(&self) -> usize {
        u32_at(self.0, 16) as usize
    }

    pub(crate) fn seq(&self) -> u64 {
        u64_at(self.0, 24)
    }

    pub(crate) fn mark(&self) -> u64 {
        u64::from(u32_at(self.0, 32))
    }

    pub(crate) fn epoch(&self) -> u32 {
        u32_at(self.0, 36)
    }

    /// Where the head lies in the record.
    pub(crate) fn head(&self) -> std::ops::Range<usize> {
        self.0.len()..self.0.len() + u32_at(self.0, 40) as usize
    }

    /// Where the body lies in the record.
    pub(crate) fn body(&self) -> std::ops::Range<usize> {
        let start = self.head().end;
        start..start + u32_at(self.0, 44) as usize
    }

    /// Whether head and body are what was written. `record` is the whole record, which stands at `place`.
    pub(crate) fn content(&self, record: &[u8], seal: &Seal, place: u64) -> Content {
        let (head, body) = (&record[self.head()], &record[self.body()]);
        let good = |bytes: &[u8], place| crc32c::crc32c(bytes) == u32_at(self.0, place);
        if good(head, 48) && good(body, 52) {
            return Content::Whole;
        }
        let pattern = seal.erasure(place);
        let erased = record[self.0.len()..self.body().end].chunks(8).all(|step| *step == pattern[..step.len()]);
        if erased { Content::Erased } else { Content::Damaged }
    }

    /// The bytes after the first 56.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.0[FIXED..]
    }

    /// The optional field of this number that comes first after `fixed` bytes of the type's own.
    pub(crate) fn field(&self, number: u8, fixed: usize) -> Option<&'a [u8]> {
        self.fields(fixed).find(|(found, _)| *found == number).map(|(_, bytes)| bytes)
    }

    /// All optional fields after `fixed` bytes of the type's own.
    pub(crate) fn fields(&self, fixed: usize) -> Fields<'a> {
        Fields(self.rest().get(fixed..).unwrap_or_default())
    }
}

/// Goes through optional fields; stops at the first that is not whole.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.len() < 4 || self.0[0] == 0 {
            return None;
        }
        let number = self.0[0];
        let length = usize::from(u16_at(self.0, 2));
        let bytes = self.0.get(4..4 + length)?;
        self.0 = &self.0[4 + length..];
        Some((number, bytes))
    }
}

/// What became of a record's head and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// As written.
    Whole,
    /// Overwritten on purpose.
    Erased,
    /// Neither.
    Damaged,
}

/// Builds one envelope at the end of a buffer.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, kind: Kind, seq: u64) -> Self {
        let start = out.len();
        out.resize(start + FIXED, 0);
        let envelope = &mut out[start..];
        envelope[..4].copy_from_slice(&MAGIC.to_le_bytes());
        envelope[22] = kind.number();
        envelope[23] = VERSION;
        envelope[24..32].copy_from_slice(&seq.to_le_bytes());
        Self { out, start }
    }

    /// Bytes that the type fixes.
    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// An optional field of one piece.
    pub(crate) fn field(&mut self, number: u8, bytes: &[u8]) -> &mut Self {
        self.field_of(number, [bytes])
    }

    /// An optional field; one longer than a field can be is cut there, which the callers' own bounds prevent.
    pub(crate) fn field_of<P: AsRef<[u8]>>(&mut self, number: u8, pieces: impl IntoIterator<Item = P>) -> &mut Self {
        let start = self.out.len();
        self.out.extend_from_slice(&[number, 0, 0, 0]);
        for piece in pieces {
            self.out.extend_from_slice(piece.as_ref());
        }
        let length = u16::try_from(self.out.len() - start - 4).unwrap_or(u16::MAX);
        self.out.truncate(start + 4 + usize::from(length));
        self.out[start + 2..start + 4].copy_from_slice(&length.to_le_bytes());
        self
    }

    /// States what follows the envelope. Returns the length of the whole record and of its padding; `None` if the
    /// envelope or the record is longer than a record can be, and then nothing was added to the buffer.
    pub(crate) fn finish(self, head: (usize, u32), body: (usize, u32)) -> Option<Lengths> {
        let envelope = self.out.len() - self.start;
        let bare = envelope + head.0 + body.0;
        let length = bare.next_multiple_of(ALIGN);
        let stated = (u16::try_from(envelope), u32::try_from(length), u32::try_from(head.0), u32::try_from(body.0));
        let (Ok(envelope_16), Ok(length_32), Ok(head_32), Ok(body_32)) = stated else {
            self.out.truncate(self.start);
            return None;
        };
        let bytes = &mut self.out[self.start..];
        bytes[16..20].copy_from_slice(&length_32.to_le_bytes());
        bytes[20..22].copy_from_slice(&envelope_16.to_le_bytes());
        bytes[40..44].copy_from_slice(&head_32.to_le_bytes());
        bytes[44..48].copy_from_slice(&body_32.to_le_bytes());
        bytes[48..52].copy_from_slice(&head.1.to_le_bytes());
        bytes[52..56].copy_from_slice(&body.1.to_le_bytes());
        Some(Lengths { record: length_32, envelope: envelope_16, padding: length - bare })
    }
}

/// How long a finished record is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) record: u32,
    pub(crate) envelope: u16,
    pub(crate) padding: usize,
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// `N` bytes from `at` on; the caller has checked that they are there.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
