//! Which files beside the configuration name tenants?
//!
//! Promises: all files of the directory that end in `.toml`, in the order of their names; hidden ones are left out, as
//! editors make them. A directory that was named must be there.
//!
//! Must not know: what a tenant is.

use std::io::ErrorKind;
use std::path::Path;

use crate::config::build::Building;
use crate::config::problem::TextFile;
use crate::config::raw::TenantsFile;
use crate::config::said::Said;
use crate::config::secrets::cause;
use crate::config::text::{self, Cut, TEXT_MAX};

/// Where tenants stand if nothing is said.
const DIRECTORY: &str = "tenants.d";
/// Most files that are read.
const FILES_MAX: usize = 10_000;

/// Reads the files: the number of each among the files that problems point into, what it says, and what of it could not
/// be read.
pub(super) fn read(building: &mut Building<'_>, said: Option<&Said<String>>) -> Vec<(usize, TenantsFile, Cut)> {
    let directory = said.map_or(DIRECTORY, |said| said.value.as_str());
    let path = building.outside.join(directory);
    let names = match building.outside.asked.directory(&path) {
        Ok(names) => names,
        Err(error) => {
            match said {
                None if error.kind() == ErrorKind::NotFound => {}
                None => {
                    building.problem(&(0..0), format!("`{directory}` cannot be read: {}", cause(&error)));
                }
                Some(said) => {
                    let fault = match error.kind() {
                        ErrorKind::NotFound => "there is no such directory".into(),
                        _ => cause(&error),
                    };
                    building.problem(&said.span, "the tenants' directory cannot be read").label(fault);
                }
            }
            return Vec::new();
        }
    };
    if names.len() > FILES_MAX {
        let span = said.map_or(0..0, |said| said.span.clone());
        building.problem(&span, format!("`{directory}` has more than {FILES_MAX} files"));
        return Vec::new();
    }
    let shown = directory.trim_end_matches('/');
    names.iter().map(|name| one(building, &path.join(name), format!("{shown}/{name}"))).collect()
}

/// Reads one file; what is wrong with its text is noted with it.
fn one(building: &mut Building<'_>, path: &Path, name: String) -> (usize, TenantsFile, Cut) {
    let place = building.files.len();
    let fault = match building.outside.asked.text(path) {
        Ok(text) if text.len() as u64 > TEXT_MAX => "the file is larger than 4MiB; split it".to_owned(),
        Ok(text) => return read_one(building, place, name, &text),
        Err(error) => format!("the file cannot be read: {}", cause(&error)),
    };
    building.files.push(TextFile { name, text: String::new() });
    building.problems.within(place, |problems| {
        problems.at(0..0, fault);
    });
    (place, TenantsFile::default(), Cut::default())
}

fn read_one(building: &mut Building<'_>, place: usize, name: String, text: &str) -> (usize, TenantsFile, Cut) {
    let mut shown = TextFile { name, text: text.to_owned() };
    let reading = building.problems.within(place, |problems| text::read(text, &mut shown, problems));
    building.files.push(shown);
    (place, reading.file, reading.cut)
}
