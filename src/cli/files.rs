//! How many files may be open?
//!
//! Promises: the process asks for as many as the system lets it have, which is often more than it is given at first; what
//! it could need and may not have is said.
//!
//! Must not know: who opens them.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as it can be raised, and warns where that is less than the configuration can need.
pub(super) fn allow(needed: u64) {
    match raised() {
        Ok(most) if most >= needed => {}
        Ok(most) => tracing::warn!(
            open_files_max = most,
            may_be_needed = needed,
            "fewer open files are allowed than the limits of the configuration need: set LimitNOFILE= or lower them"
        ),
        Err(error) => tracing::warn!(%error, may_be_needed = needed, "the limit of open files cannot be raised"),
    }
}

/// How many may be open now, after all that may be had was asked for.
fn raised() -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum.unwrap_or(u64::MAX))
}
