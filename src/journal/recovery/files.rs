//! Which files of the log are there, and what do their headers say of each other?

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::journal::checkpoint::Checkpoint;
use crate::journal::lane::Sparing;
use crate::journal::segment::{Header, Identity, LOG, log_name, parse_name};
use crate::journal::storage::{File, Storage, read_full};

/// The most that is read to find a header.
const HEADER_MAX: usize = 1 << 20;

/// A file of the log.
pub(crate) struct Found {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) header: Option<(Header, u64)>,
}

/// Reads the beginning of every file of the log. `Err` carries a format that is not ours.
pub(crate) struct Files(pub(super) Vec<Found>);

/// What the headers of a store's files say.
pub(crate) enum Headers {
    /// The files.
    Ours(Files),
    /// A file of another format.
    Foreign(u32),
}

pub(crate) fn files(storage: &dyn Storage) -> io::Result<Headers> {
    let mut numbers: Vec<u64> = storage.list(LOG)?.iter().filter_map(|name| parse_name(name, ".seg")).collect();
    numbers.sort_unstable();
    let mut found = Vec::new();
    for number in numbers {
        let file = storage.open(&log_name(number))?;
        let mut piece = vec![0; 16 << 10];
        // What cannot be read of it is no header, and reported where its records are looked for.
        let sparing = Sparing::new(&*file);
        let mut read = read_full(&sparing, &mut piece, 0)?;
        let mut header = Header::decode(&piece[..read]);
        if header.is_none() && read == piece.len() {
            // A long table of names.
            piece.resize(HEADER_MAX, 0);
            read = read_full(&sparing, &mut piece, 0)?;
            header = Header::decode(&piece[..read]);
        }
        if header.is_none()
            && let Some(format) = Header::foreign(&piece[..read])
        {
            return Ok(Headers::Foreign(format));
        }
        found.push(Found { number, file, header });
    }
    Ok(Headers::Ours(Files(found)))
}

impl Files {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who wrote the youngest file that says so.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.0.iter().rev().find_map(|found| found.header.as_ref().map(|(header, _)| header.identity))
    }
}

/// Where each segment ends, by its successor's header or by the checkpoint.
pub(super) fn ends(files: &[Found], checkpoint: &Checkpoint) -> BTreeMap<u64, u64> {
    let mut ends = BTreeMap::new();
    let place = checkpoint.place.segment;
    for sealed in checkpoint.segments.iter().filter(|sealed| sealed.number != place) {
        ends.insert(sealed.number, sealed.end);
    }
    ends.insert(checkpoint.opened_after.segment, checkpoint.opened_after.offset);
    for (header, _) in files.iter().filter_map(|found| found.header.as_ref()) {
        ends.insert(header.before.segment, header.before.offset);
    }
    ends
}

/// A younger segment names a predecessor older than this one: this one was begun and given up.
pub(super) fn is_orphan(found: &Found, files: &[Found]) -> bool {
    let younger = files.iter().filter(|other| other.number > found.number);
    let before = younger.filter_map(|other| other.header.as_ref()).map(|(header, _)| header.before.segment).min();
    before.is_some_and(|before| before < found.number)
}
