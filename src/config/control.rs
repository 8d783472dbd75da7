//! Where is a running house told what to do, and when does it look by itself?
//!
//! Promises: the socket can stand where it is to stand, and nobody else can put one of their own there.
//!
//! Must not know: what can be asked there.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::build::Building;
use super::said::Said;
use crate::listen::local;

/// The path of the control socket; `None` where none is wanted.
pub(crate) fn socket(building: &mut Building<'_>, said: Option<&Said<String>>) -> Option<PathBuf> {
    let said = said?;
    let path = building.outside.join(&said.value);
    let fault = fault(&path, building.outside.environment.is_elsewhere());
    if let Some((label, help)) = fault {
        building.problem(&said.span, "the control socket cannot stand here").label(label).help(help);
        return None;
    }
    Some(path)
}

fn fault(path: &Path, elsewhere: bool) -> Option<(String, &'static str)> {
    if path.as_os_str().as_bytes().len() > local::PATH_MAX {
        return Some((format!("a socket's path has at most {} bytes", local::PATH_MAX), "name a shorter one"));
    }
    if elsewhere {
        return None;
    }
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Some(("something else stands here".into(), "name a path where nothing is, such as \"control.sock\""));
    }
    let mode = local::open_to_others(path)?;
    Some((
        format!("others can write to its directory (mode {mode:03o})"),
        "give it a directory of its own that only Porteiro's user can write to, such as \"/run/porteiro\"",
    ))
}
