//! Until when does somebody wait for another process?
//!
//! Promises: reading ends in time, however slowly the other side speaks; a timeout is called one.
//!
//! Must not know: what is read, or from where.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// When the wait is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn within(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// What is left of it; it is never nothing.
    pub(super) fn left(self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    /// Reads to the end, or about so many bytes. `wait` sets how long one reading may take.
    pub(super) fn read<R: Read>(
        self,
        from: &mut R,
        most: usize,
        wait: impl Fn(&R, Duration) -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while answer.len() < most {
            wait(from, self.left()?)?;
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(timeout(error)),
            }
        }
        Ok(answer)
    }
}

/// An error, by its right name where it is what a socket's own timeout is called.
pub(super) fn timeout(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}
