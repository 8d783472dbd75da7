//! Has something changed on disk that the configuration stands on?
//!
//! Promises: a change counts once it has been left alone from one look to the next, a second, and counts once; what was
//! read while it changed counts as changed. A look costs a `stat` for each file: with a hundred of them about 0.1 ms of a
//! second.
//!
//! Must not know: what is in a file, or what follows from a change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Stamp};

/// From one look to the next; and how long a file must have been left alone.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// How much is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything, the text of the configuration first.
    Whole,
    /// What the text names, while the text that is in force stays.
    Files,
}

/// Knows the files as they were.
#[derive(Debug)]
pub(super) struct Watcher {
    paths: Arc<[PathBuf]>,
    /// So many of the paths, the first ones, hold text of the configuration.
    texts: usize,
    /// As they were when they were read, or tried, last.
    settled: Vec<Stamp>,
    /// As they were at the last look.
    last: Vec<Stamp>,
}

impl Watcher {
    /// Watches what this configuration stands on, and itself if it wants that.
    pub(super) fn of(config: &Config) -> Self {
        let texts = if config.watch { config.inventory.texts() } else { std::collections::BTreeMap::new() };
        let count = texts.len();
        let (paths, settled): (Vec<PathBuf>, Vec<Stamp>) = texts.into_iter().chain(config.inventory.files()).unzip();
        Self { paths: paths.into(), texts: count, last: settled.clone(), settled }
    }

    /// What to look at.
    pub(super) fn paths(&self) -> Arc<[PathBuf]> {
        Arc::clone(&self.paths)
    }

    /// What is to be read again, now that the files look like this.
    pub(super) fn look(&mut self, now: Vec<Stamp>) -> Option<Scope> {
        let quiet = now == self.last;
        self.last = now;
        if !quiet || self.last == self.settled {
            return None;
        }
        let whole = self.last[..self.texts] != self.settled[..self.texts];
        self.settled.clone_from(&self.last);
        Some(if whole { Scope::Whole } else { Scope::Files })
    }
}

/// The files as they are now; to be called where blocking is allowed.
pub(super) fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    paths.iter().map(|path| Stamp::of(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Two files, the first of which holds text.
    struct Stage {
        room: tempfile::TempDir,
        watcher: Watcher,
    }

    impl Stage {
        fn set(texts: usize) -> Self {
            let room = tempfile::tempdir().unwrap();
            let paths: Arc<[PathBuf]> = ["text", "file"].map(|name| room.path().join(name)).into();
            for path in &*paths {
                fs::write(path, "1").unwrap();
            }
            let settled = stamps(&paths);
            Self { room, watcher: Watcher { paths, texts, last: settled.clone(), settled } }
        }

        fn write(&self, name: &str, text: &str) {
            // Another inode each time, as those who do it well: no clock is so coarse that it would be missed.
            let (new, path) = (self.room.path().join("new"), self.room.path().join(name));
            fs::write(&new, text).unwrap();
            fs::rename(new, path).unwrap();
        }

        fn look(&mut self) -> Option<Scope> {
            let now = stamps(&self.watcher.paths());
            self.watcher.look(now)
        }
    }

    #[test]
    fn what_is_left_alone_for_a_second_counts_once() {
        let mut stage = Stage::set(1);
        assert_eq!((stage.look(), stage.look()), (None, None));
        stage.write("file", "2");
        assert_eq!((stage.look(), stage.look(), stage.look()), (None, Some(Scope::Files), None));
        stage.write("text", "2");
        assert_eq!((stage.look(), stage.look(), stage.look()), (None, Some(Scope::Whole), None));
    }

    #[test]
    fn what_goes_on_changing_does_not_count_yet() {
        let mut stage = Stage::set(1);
        for round in 0..5 {
            stage.write(if round % 2 == 0 { "file" } else { "text" }, "more");
            assert_eq!(stage.look(), None, "round {round}");
        }
        assert_eq!(stage.look(), Some(Scope::Whole), "the text changed among others");
    }

    #[test]
    fn a_file_that_goes_or_loses_its_rights_is_a_change_and_one_that_comes_back_as_it_was_is_another() {
        use std::os::unix::fs::PermissionsExt;
        let mut stage = Stage::set(0);
        let path = stage.room.path().join("file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!((stage.look(), stage.look()), (None, Some(Scope::Files)));
        fs::remove_file(&path).unwrap();
        assert_eq!((stage.look(), stage.look()), (None, Some(Scope::Files)));
        stage.write("file", "1");
        assert_eq!((stage.look(), stage.look()), (None, Some(Scope::Files)));
    }
}
