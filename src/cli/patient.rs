//! What becomes of what nobody reads any more?
//!
//! Promises: once a reader has gone away, whatever is written is taken and forgotten, so that a command ends as it would
//! have; every other failure is told.
//!
//! Must not know: what is written.

use std::io::{self, ErrorKind, Write};

/// Writes for as long as somebody reads.
#[derive(Debug)]
pub(super) struct Patient<W> {
    to: W,
    gone: bool,
}

impl<W> Patient<W> {
    pub(super) const fn new(to: W) -> Self {
        Self { to, gone: false }
    }

    /// What came of it, or `nobody` where nobody reads.
    fn told<T>(&mut self, nobody: T, write: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        if self.gone {
            return Ok(nobody);
        }
        match write(&mut self.to) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(nobody)
            }
            told => told,
        }
    }
}

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.told(bytes.len(), |to| to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.told((), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many writes, then fails so.
    struct Reader(usize, ErrorKind, Vec<u8>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(self.1)?;
            self.2.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            if self.0 == 0 { Err(self.1.into()) } else { Ok(()) }
        }
    }

    fn lines(out: &mut impl Write) -> io::Result<()> {
        for line in ["one", "two", "three"] {
            out.write_all(line.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    #[test]
    fn a_reader_that_goes_away_is_not_noticed_and_every_other_failure_is() {
        for (writes, kind, read, fails) in [
            (9, ErrorKind::BrokenPipe, "onetwothree", false),
            (2, ErrorKind::BrokenPipe, "onetwo", false),
            (0, ErrorKind::BrokenPipe, "", false),
            (1, ErrorKind::StorageFull, "one", true),
            (0, ErrorKind::ConnectionReset, "", true),
        ] {
            let mut out = Patient::new(Reader(writes, kind, Vec::new()));
            assert_eq!(lines(&mut out).is_err(), fails, "{kind:?} after {writes}");
            assert_eq!(out.to.2, read.as_bytes(), "{kind:?} after {writes}");
        }
    }
}
