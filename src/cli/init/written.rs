//! How is something written that must not overwrite anything, and is there whole or not at all?
//!
//! Promises: if one file cannot be written, or the whole is given up, the files and directories made here are gone again.
//!
//! Must not know: what stands in them.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file to be written.
pub(super) struct File {
    /// Relative to the directory; with a slash at its end it is a directory.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Whether it is for its owner alone.
    pub(super) secret: bool,
    /// What it is, in a few words.
    pub(super) about: &'static str,
}

/// What was made, the last first; unmade with its value.
pub(super) struct Written(Vec<PathBuf>);

impl Written {
    /// Writes all of them.
    pub(super) fn all(directory: &Path, files: &[File]) -> Result<Self, String> {
        let there: Vec<&str> = files
            .iter()
            .map(|file| &*file.name)
            .filter(|name| directory.join(name).symlink_metadata().is_ok())
            .collect();
        if !there.is_empty() {
            let (all, shown) = (there.join(", "), directory.display());
            return Err(format!(
                "{all} stands in {shown} already; nothing was written (--dir names another directory)"
            ));
        }
        let mut written = Self(Vec::new());
        for file in files {
            let path = directory.join(&file.name);
            written.one(&path, file).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(written)
    }

    /// What was made stays.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }

    fn one(&mut self, path: &Path, file: &File) -> io::Result<()> {
        if file.name.ends_with('/') {
            return self.directory(path, 0o700);
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.directory(parent, if file.secret { 0o700 } else { 0o755 })?;
        }
        let mode = if file.secret { 0o600 } else { 0o644 };
        let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        self.0.push(path.to_owned());
        opened.write_all(&file.bytes)
    }

    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        match fs::DirBuilder::new().mode(mode).create(path) {
            Ok(()) => self.0.push(path.to_owned()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or(error)?;
                self.directory(parent, 0o755)?;
                fs::DirBuilder::new().mode(mode).create(path)?;
                self.0.push(path.to_owned());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // What somebody else put there since keeps its directory.
            drop(fs::remove_file(path).or_else(|_| fs::remove_dir(path)));
        }
    }
}
