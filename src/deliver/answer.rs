//! What does a destination answer?
//!
//! A reader of bytes that anybody may have sent: heads by httparse, framing by RFC 9112, 6.3.
//!
//! Promises: pure, no panic whatever comes; how the bytes are cut into reads makes no difference; a head, the interim
//! heads before it and what stands between the pieces of a body are bounded; where it is doubtful how far an answer goes,
//! no other answer is read after it.
//!
//! Must not know: sockets, requests, what a status means to an event.

use std::fmt;
use std::mem::MaybeUninit;

/// The most bytes of one head.
pub(super) const HEAD_MAX: usize = 16 << 10;
/// The most headers of one head.
const HEADERS_MAX: usize = 64;
/// The most interim answers (1xx) before the one that counts.
const INTERIM_MAX: u8 = 8;
/// The most bytes of chunk extensions, padding and trailers in one answer.
const ASIDE_MAX: u16 = 8 << 10;
/// How every answer begins that can be read here.
const BEGINNING: &[u8] = b"HTTP/1.";

/// One answer, as far as it was read.
#[derive(Debug)]
pub(super) struct Answer {
    place: Place,
    /// The request was a HEAD: whatever the head says, no body follows.
    bare: bool,
    interims: u8,
    /// Where the search for the end of the head goes on.
    searched: usize,
    /// Whether another answer may follow on the same connection.
    reusable: bool,
    /// What is left of [`ASIDE_MAX`].
    aside: u16,
}

/// Where in an answer the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    /// So many bytes of a body of known length are missing.
    Length(u64),
    Chunk(Chunk),
    /// In a body that ends where the connection does.
    UntilClosed,
    End,
}

/// Where in a chunked body the next byte stands (RFC 9112, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// Before the first digit of a size.
    Start,
    Size(u64),
    /// In white space after the digits.
    Padding(u64),
    /// In a chunk extension.
    Aside(u64),
    /// After the CR that ends the line of a size.
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk.
    Line,
    Trailer,
    TrailerLf,
    LastLf,
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Top<'b> {
    /// The beginning of a head.
    Partial,
    /// An interim answer, which says nothing; it takes so many bytes.
    Interim(usize),
    /// The head of the answer.
    Final {
        status: u16,
        /// The value of the first `Retry-After`.
        retry_after: Option<&'b [u8]>,
        /// What the body is.
        labels: Labels<'b>,
        /// How many bytes the head takes.
        taken: usize,
    },
}

/// What an answer says of its body; the first of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels<'b> {
    pub(super) content_type: Option<&'b [u8]>,
    pub(super) content_encoding: Option<&'b [u8]>,
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is not HTTP/1.0 or HTTP/1.1.
    Protocol,
    /// The head cannot be read.
    Head,
    /// The head is longer than is read.
    Large,
    /// `Content-Length` is no length, or is several.
    Length,
    /// One interim answer after the other.
    Interims,
    /// It goes on in a protocol that nobody asked for.
    Switched,
    /// The line of a chunk's size cannot be read, or the chunk does not end where it should.
    Chunk,
    /// Chunk extensions or trailers go on and on.
    Aside,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol => "the answer is not HTTP/1",
            Self::Head => "the head of the answer cannot be read",
            Self::Large => "the head of the answer is too large",
            Self::Length => "the answer has no sound Content-Length",
            Self::Interims => "too many interim answers",
            Self::Switched => "the answer switches to a protocol that nobody asked for",
            Self::Chunk => "a chunk of the answer cannot be read",
            Self::Aside => "chunk extensions or trailers of the answer are too long",
        })
    }
}

impl Answer {
    /// The answer to a request.
    pub(super) const fn new() -> Self {
        Self { place: Place::Head, bare: false, interims: 0, searched: 0, reusable: true, aside: ASIDE_MAX }
    }

    /// The answer to a HEAD request.
    pub(super) const fn bare() -> Self {
        Self { bare: true, ..Self::new() }
    }

    /// Reads the head. `bytes` are all that came and were not taken yet; to be called again with what is left after an
    /// interim answer, and with more when there is only a part.
    pub(super) fn top<'b>(&mut self, bytes: &'b [u8]) -> Result<Top<'b>, Flaw> {
        let seen = bytes.len().min(BEGINNING.len());
        if bytes[..seen] != BEGINNING[..seen] {
            return Err(Flaw::Protocol);
        }
        let within = &bytes[..bytes.len().min(HEAD_MAX)];
        // It is parsed once, when it is whole: not again for every byte that drips in.
        if !within.ends_with(b"\r\n\r\n") && !self.has_end(within) {
            return if within.len() == HEAD_MAX { Err(Flaw::Large) } else { Ok(Top::Partial) };
        }
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut []);
        let parsing =
            httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, within, &mut headers);
        let (Ok(httparse::Status::Complete(taken)), Some(status), Some(minor)) = (parsing, parsed.code, parsed.version)
        else {
            return Err(Flaw::Head);
        };
        self.searched = 0;
        match status {
            101 => return Err(Flaw::Switched),
            100..=199 if self.interims == INTERIM_MAX => return Err(Flaw::Interims),
            100..=199 => {
                self.interims += 1;
                return Ok(Top::Interim(taken));
            }
            0..=99 => return Err(Flaw::Head),
            _ => {}
        }
        let said = Said::of(parsed.headers)?;
        self.frame(&said, status, minor);
        Ok(Top::Final { status, retry_after: said.retry_after, labels: said.labels, taken })
    }

    /// Whether there is an empty line. Goes on where it stopped the last time.
    fn has_end(&mut self, bytes: &[u8]) -> bool {
        while let Some(found) = bytes.get(self.searched..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let after = &bytes[self.searched + found + 1..];
            if after.starts_with(b"\n") || after.starts_with(b"\r\n") {
                return true;
            }
            if after.is_empty() || after == b"\r" {
                self.searched += found;
                return false;
            }
            self.searched += found + 1;
        }
        self.searched = bytes.len();
        false
    }

    /// How far the body goes.
    fn frame(&mut self, said: &Said<'_>, status: u16, minor: u8) {
        self.reusable = !said.close && (minor == 1 || said.keep_alive);
        self.place = match (said.coding, said.length) {
            _ if self.bare || status == 304 => Place::End,
            (coding, length) if status == 204 => {
                // There is no body; but somebody may have meant to send one.
                self.reusable &= coding == Coding::None && length.unwrap_or(0) == 0;
                Place::End
            }
            // A length beside it, as in an attempt to be read in two ways, is ignored; so is all that follows.
            (Coding::Chunked, length) if minor == 1 => {
                self.reusable &= length.is_none();
                Place::Chunk(Chunk::Start)
            }
            (Coding::None, Some(0)) => Place::End,
            (Coding::None, Some(length)) => Place::Length(length),
            (Coding::None, None) | (Coding::Chunked | Coding::Other, _) => {
                self.reusable = false;
                Place::UntilClosed
            }
        };
    }

    /// Reads on in the body: how many of the bytes it takes, and which of them are the body's own. To be called again
    /// with the rest until it takes none.
    pub(super) fn body<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, &'b [u8]), Flaw> {
        match &mut self.place {
            Place::Head | Place::End => Ok((0, &[])),
            Place::UntilClosed => Ok((bytes.len(), bytes)),
            Place::Length(left) => {
                let data = up_to(bytes, left);
                if *left == 0 {
                    self.place = Place::End;
                }
                Ok((data.len(), data))
            }
            Place::Chunk(_) => self.chunked(bytes),
        }
    }

    fn chunked<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, &'b [u8]), Flaw> {
        let mut taken = 0;
        while let Place::Chunk(chunk) = &mut self.place
            && taken < bytes.len()
        {
            if let Chunk::Data(left) = chunk {
                let data = up_to(&bytes[taken..], left);
                if *left == 0 {
                    *chunk = Chunk::DataCr;
                }
                return Ok((taken + data.len(), data));
            }
            let chunk = *chunk;
            let byte = bytes[taken];
            taken += 1;
            self.place = self.step(chunk, byte)?;
        }
        Ok((taken, &[]))
    }

    /// One byte of what stands between the pieces of a chunked body.
    fn step(&mut self, chunk: Chunk, byte: u8) -> Result<Place, Flaw> {
        let next = match (chunk, byte) {
            (Chunk::Start, _) => Chunk::Size(digit(byte).ok_or(Flaw::Chunk)?),
            (Chunk::Size(size) | Chunk::Padding(size) | Chunk::Aside(size), b'\r') => Chunk::SizeLf(size),
            (Chunk::Size(size) | Chunk::Padding(size), b' ' | b'\t') => self.aside(Chunk::Padding(size))?,
            (Chunk::Size(size) | Chunk::Padding(size), b';') => self.aside(Chunk::Aside(size))?,
            (Chunk::Size(size), _) => {
                let digit = digit(byte).ok_or(Flaw::Chunk)?;
                Chunk::Size(size.checked_mul(16).ok_or(Flaw::Chunk)? | digit)
            }
            (Chunk::Aside(_) | Chunk::Trailer, b'\n') => return Err(Flaw::Chunk),
            (Chunk::Aside(size), _) => self.aside(Chunk::Aside(size))?,
            (Chunk::SizeLf(0), b'\n') | (Chunk::TrailerLf, b'\n') => Chunk::Line,
            (Chunk::SizeLf(size), b'\n') => Chunk::Data(size),
            (Chunk::DataCr, b'\r') => Chunk::DataLf,
            (Chunk::DataLf, b'\n') => Chunk::Start,
            (Chunk::Line, b'\r') => Chunk::LastLf,
            (Chunk::Trailer, b'\r') => Chunk::TrailerLf,
            (Chunk::Line, b'\n') => return Err(Flaw::Chunk),
            (Chunk::Line | Chunk::Trailer, _) => self.aside(Chunk::Trailer)?,
            (Chunk::LastLf, b'\n') => return Ok(Place::End),
            (
                Chunk::Padding(_) | Chunk::SizeLf(_) | Chunk::DataCr | Chunk::DataLf | Chunk::TrailerLf | Chunk::LastLf,
                _,
            )
            | (Chunk::Data(_), _) => return Err(Flaw::Chunk),
        };
        Ok(Place::Chunk(next))
    }

    fn aside(&mut self, next: Chunk) -> Result<Chunk, Flaw> {
        self.aside = self.aside.checked_sub(1).ok_or(Flaw::Aside)?;
        Ok(next)
    }

    /// Whether it is for the end of the connection to say that the answer is whole.
    pub(super) fn ends_with_the_connection(&self) -> bool {
        self.place == Place::UntilClosed
    }

    /// Whether the answer was read to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.place == Place::End
    }

    /// Whether another answer may follow on the same connection, once this one is whole.
    pub(super) const fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// How many bytes are missing at least.
    pub(super) const fn missing(&self) -> u64 {
        match self.place {
            Place::Length(left) | Place::Chunk(Chunk::Data(left)) => left,
            Place::Head | Place::Chunk(_) | Place::UntilClosed | Place::End => 0,
        }
    }
}

/// Takes as many bytes as there are and as are left.
fn up_to<'b>(bytes: &'b [u8], left: &mut u64) -> &'b [u8] {
    let data = &bytes[..usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()))];
    *left -= data.len() as u64;
    data
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// What `Transfer-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    None,
    /// Exactly `chunked`.
    Chunked,
    /// Anything else; nobody asked for it.
    Other,
}

/// What the headers of an answer say of its framing, and of later attempts.
struct Said<'b> {
    coding: Coding,
    length: Option<u64>,
    close: bool,
    keep_alive: bool,
    retry_after: Option<&'b [u8]>,
    labels: Labels<'b>,
}

impl<'b> Said<'b> {
    fn of(headers: &[httparse::Header<'b>]) -> Result<Self, Flaw> {
        let mut said = Self {
            coding: Coding::None,
            length: None,
            close: false,
            keep_alive: false,
            retry_after: None,
            labels: Labels::default(),
        };
        let mut sound = true;
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // The lengths of the names tell almost all of them apart.
            match header.name.len() {
                10 if is("connection") => {
                    for token in header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                        said.close |= token.eq_ignore_ascii_case(b"close");
                        said.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                11 if is("retry-after") && said.retry_after.is_none() => said.retry_after = Some(header.value),
                12 if is("content-type") => said.labels.content_type = said.labels.content_type.or(Some(header.value)),
                16 if is("content-encoding") => {
                    said.labels.content_encoding = said.labels.content_encoding.or(Some(header.value));
                }
                14 if is("content-length") => {
                    // The same length several times is one length (RFC 9110, 8.6).
                    for text in header.value.split(|byte| *byte == b',') {
                        let length = decimal(text.trim_ascii());
                        sound &= length.is_some() && said.length.is_none_or(|known| length == Some(known));
                        said.length = said.length.or(length);
                    }
                }
                17 if is("transfer-encoding") => {
                    let only =
                        said.coding == Coding::None && header.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                    said.coding = if only { Coding::Chunked } else { Coding::Other };
                }
                _ => {}
            }
        }
        if said.coding != Coding::None && !sound {
            // It is ignored, but it was there.
            said.length = Some(0);
            return Ok(said);
        }
        if sound { Ok(said) } else { Err(Flaw::Length) }
    }
}

/// Digits and nothing else.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(any(test, fuzzing))]
pub(super) mod compare;
#[cfg(test)]
mod tests;
