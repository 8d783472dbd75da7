//! Which addresses does a list hold?
//!
//! A list is written as ranges in the configuration, named (the lists that are part of the binary stand under
//! `config/addresses`), or read from a file of the operator's: one range or address a line, `#` begins a comment, and the
//! comments `# date: 2026-04-15` and `# source: ..` say how fresh it is and where it comes from.
//!
//! Promises: a list that is built has been read whole and without a slip; what is wrong with a file is told with its own
//! line, and a line that might be a secret, because the wrong file was named, is not shown.
//!
//! Must not know: what a list is used for.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::admission::Ranges;

use super::build::Building;
use super::names;
use super::problem::{Problem, Span, TextFile};
use super::said::{AddressesPart, AddressesSaid, At};
use super::secrets::cause;

/// Largest file of a list that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// Most ranges that one list may hold.
const PREFIXES_MAX: usize = 20_000;
const NO_DATE: &str = "this is no date of a list";
/// After this many in one file, it is the wrong file.
const PROBLEMS_MAX: usize = 5;

/// The lists that are part of the binary, in alphabetical order.
const LISTS: &[(&str, &str)] = &[("gupshup", include_str!("../../config/addresses/gupshup.txt"))];

/// Whether a list of this name is part of the binary.
#[must_use]
pub fn is_list(name: &str) -> bool {
    LISTS.iter().any(|(known, _)| *known == name)
}

/// Addresses, and where they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The addresses.
    pub ranges: Ranges,
    /// How many ranges were said, before those that touch became one.
    pub prefixes: usize,
    /// The lists they come from, beside what stands in the configuration itself.
    pub lists: Vec<AddressList>,
}

/// A list that was read by name or from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList {
    /// Its name, or the file as the configuration names it.
    pub name: Box<str>,
    /// The operator's file; `None` for a list that is part of the binary.
    pub file: Option<PathBuf>,
    /// How many ranges it says.
    pub prefixes: usize,
    /// What it says of its own date, `YYYY-MM-DD`.
    pub date: Option<Box<str>>,
}

/// What a list's text says.
struct Text {
    prefixes: Vec<IpNet>,
    date: Option<Box<str>>,
    slips: Vec<Slip>,
}

/// Something that is wrong with a list's text.
struct Slip {
    span: Span,
    title: &'static str,
    label: String,
    /// It stands in a comment of ours, so it is no secret.
    of_date: bool,
}

/// Whether all addresses of one of the two families are on a list.
pub(crate) fn everybody(ranges: &Ranges) -> bool {
    [IpNet::V4(ipnet::Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())].iter().any(|all| ranges.covers(all))
}

/// Builds a list; what is wrong is a problem, and what is left is built.
pub(crate) fn build(building: &mut Building<'_>, said: &At<AddressesSaid>) -> Addresses {
    let mut prefixes = Vec::new();
    let mut lists = Vec::new();
    match &said.value {
        AddressesSaid::One(part) => add(building, part, &said.span, &mut prefixes, &mut lists),
        AddressesSaid::Several(parts) => {
            for part in parts {
                add(building, &part.value, &part.span, &mut prefixes, &mut lists);
            }
        }
    }
    Addresses { ranges: Ranges::build(&prefixes), prefixes: prefixes.len(), lists }
}

fn add(
    building: &mut Building<'_>,
    part: &AddressesPart,
    span: &Span,
    prefixes: &mut Vec<IpNet>,
    lists: &mut Vec<AddressList>,
) {
    match part {
        AddressesPart::Text(text) => match prefix(text) {
            Ok(prefix) => prefixes.push(prefix),
            Err(Fault::Beyond(near)) => {
                let problem = building.problem(span, "this address has bits beyond its prefix");
                problem.label(format!("did you mean \"{near}\"?"));
            }
            Err(Fault::Other) => named(building, text, span, prefixes, lists),
        },
        AddressesPart::File(Some(file)) => own(building, file, prefixes, lists),
        AddressesPart::File(None) => {
            building.says_nothing(span, "a list needs its place", "write { file = \"PATH\" }");
        }
    }
}

/// A list that is part of the binary.
fn named(
    building: &mut Building<'_>,
    text: &str,
    span: &Span,
    prefixes: &mut Vec<IpNet>,
    lists: &mut Vec<AddressList>,
) {
    if let Some((name, list)) = LISTS.iter().find(|(name, _)| *name == text) {
        let read = read(list);
        let (name, prefixes_said) = ((*name).into(), read.prefixes.len());
        lists.push(AddressList { name, file: None, prefixes: prefixes_said, date: read.date });
        prefixes.extend(read.prefixes);
        return;
    }
    let names = || LISTS.iter().map(|(name, _)| *name);
    let a_name = names::fault(text).is_none() && !text.starts_with(|sign: char| sign.is_ascii_digit());
    if !a_name {
        building
            .problem(span, "this is no address range")
            .label("such as \"10.0.0.0/8\", \"2001:db8::/32\" or a single address");
        return;
    }
    let problem = building.problem(span, format!("there is no list of addresses `{text}`"));
    if let Some(near) = names::nearest(text, names()) {
        problem.label(format!("did you mean `{near}`?"));
    }
    problem.note(format!("the lists that come with Porteiro are {}", names::list(names())));
    problem.help("a list of your own is named by its file, such as { file = \"lists/office.txt\" }");
}

/// A list in a file of the operator's.
fn own(building: &mut Building<'_>, said: &At<String>, prefixes: &mut Vec<IpNet>, lists: &mut Vec<AddressList>) {
    let path = building.outside.path(&said.value);
    if building.outside.lacks(&said.value) {
        // A list that is not here has addresses; these are nobody's (RFC 5737).
        prefixes.push(IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(192, 0, 2, 0), 24)));
        lists.push(AddressList { name: said.value.as_str().into(), file: Some(path), prefixes: 1, date: None });
        return;
    }
    let text = match own_text(&path) {
        Ok(text) => text,
        Err(fault) => {
            building.problem(&said.span, "list of addresses cannot be read").label(fault);
            return;
        }
    };
    let Text { prefixes: found, date, slips } = read(&text);
    if slips.is_empty() && found.is_empty() {
        building.problem(&said.span, "this list holds no address").note("one range or address stands in a line");
        return;
    }
    if slips.is_empty() {
        let name = said.value.as_str().into();
        lists.push(AddressList { name, file: Some(path), prefixes: found.len(), date });
        prefixes.extend(found);
        return;
    }
    let mut shown = TextFile { name: said.value.clone(), text };
    slips.iter().filter(|slip| !slip.of_date).for_each(|slip| hide(&mut shown, &slip.span));
    // A list that is used twice has its slips once.
    let known = building.files.iter().position(|known| *known == shown);
    let file = known.unwrap_or(building.files.len());
    if known.is_none() {
        building.files.push(shown);
    }
    let more = slips.len().saturating_sub(PROBLEMS_MAX);
    building.problems.within(file, |problems| {
        for slip in slips.into_iter().take(PROBLEMS_MAX) {
            let mut problem = Problem::at(slip.span, slip.title);
            problem.label(slip.label);
            problems.add(problem);
        }
    });
    let problem = building.problem(&said.span, format!("list of addresses `{}` cannot be used", said.value));
    if more > 0 {
        problem.note(format!("{more} more of its lines are wrong; is this the right file?"));
    }
}

fn own_text(path: &Path) -> Result<String, String> {
    let mut file = fs::File::open(path).map_err(|error| cause(&error))?;
    let metadata = file.metadata().map_err(|error| cause(&error))?;
    if !metadata.is_file() {
        return Err("this is no file".to_owned());
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o002 != 0 {
        return Err(format!("everybody on this machine can write it (mode {mode:03o})"));
    }
    let mut text = String::new();
    match file.by_ref().take(FILE_MAX + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > FILE_MAX => Err("it is larger than 1MiB".to_owned()),
        Ok(_) => Ok(text),
        Err(error) => Err(cause(&error)),
    }
}

/// Why a text is no range.
enum Fault {
    /// It has bits beyond its prefix; this has not.
    Beyond(IpNet),
    Other,
}

fn prefix(text: &str) -> Result<IpNet, Fault> {
    match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
        Ok(prefix) if prefix.trunc() != prefix => Err(Fault::Beyond(prefix.trunc())),
        Ok(prefix) => Ok(prefix),
        Err(_) => Err(Fault::Other),
    }
}

/// Reads the text of a list.
fn read(text: &str) -> Text {
    let mut read = Text { prefixes: Vec::new(), date: None, slips: Vec::new() };
    let mut seen = BTreeSet::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let (word, comment) = line.split_once('#').unwrap_or((line, ""));
        let mut slip = |part: &str, title, label: &str| {
            let from = start + line.find(part).unwrap_or(0);
            let of_date = title == NO_DATE;
            read.slips.push(Slip { span: from..from + part.len(), title, label: label.to_owned(), of_date });
        };
        if let Some(date) = comment.trim().strip_prefix("date:").map(str::trim) {
            if date.len() == 10 && date.parse::<jiff::civil::Date>().is_ok() && read.date.is_none() {
                read.date = Some(date.into());
            } else {
                slip(date, NO_DATE, "once, such as `# date: 2026-04-15`");
            }
        }
        let word = word.trim();
        match prefix(word) {
            _ if word.is_empty() => {}
            Ok(_) if read.prefixes.len() == PREFIXES_MAX => {
                slip(word, "the list is too long", "it may hold 20000 ranges");
                return read;
            }
            Ok(prefix) if !seen.insert(prefix) => slip(word, "this range stands twice in the list", ""),
            Ok(prefix) => read.prefixes.push(prefix),
            Err(Fault::Beyond(near)) => {
                slip(word, "this address has bits beyond its prefix", &format!("did you mean {near}?"));
            }
            Err(Fault::Other) => {
                let label = "such as 10.0.0.0/8, 2001:db8::/32 or a single address, one a line";
                slip(word, "this is no address range", label);
            }
        }
    }
    read
}

/// Hides the line of a slip, unless the slip looks like an address: then nothing else is likely to stand there.
fn hide(shown: &mut TextFile, slip: &Span) {
    let text = shown.text.get(slip.clone()).unwrap_or_default();
    let signs = text.bytes().all(|byte| byte.is_ascii_hexdigit() || b".:/".contains(&byte));
    if signs && text.len() <= 49 && text.contains(['.', ':']) {
        return;
    }
    let start = shown.text[..slip.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = shown.text[slip.end..].find('\n').map_or(shown.text.len(), |newline| slip.end + newline);
    shown.mask(&(start..end));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_the_folder_are_right_dated_and_part_of_the_binary() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/addresses");
        let mut found: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".txt").to_owned())
            .collect();
        found.sort();
        assert_eq!(found, LISTS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (name, text) in LISTS {
            let read = read(text);
            assert!(read.slips.is_empty() && !read.prefixes.is_empty(), "{name}");
            assert!(read.date.is_some() && text.contains("# source: https://"), "{name} is undated, or nobody's");
            assert!(names::fault(name).is_none() && prefix(name).is_err());
        }
    }

    #[test]
    fn a_list_is_read_line_by_line() {
        let good = read("# date: 2026-04-15\n\n 10.0.0.0/8 # the office\r\n2001:db8::/32\n::ffff:192.0.2.1\n192.0.2.2");
        assert!(good.slips.is_empty());
        assert_eq!((good.prefixes.len(), good.date.as_deref()), (4, Some("2026-04-15")));
        assert!(Ranges::build(&good.prefixes).contains("192.0.2.1".parse().unwrap()));
        for bad in [
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.1 10.0.0.2",
            "10.0.0.1, 10.0.0.2",
            "10.0.0.1-10.0.0.9",
            "10.0.0.1\n10.0.0.1",
            "gupshup",
            "example.com",
            "010.0.0.1",
            "10.0.0",
            "fe80::1%eth0",
            "# date: yesterday",
            "# date: 2026-4-15",
            "# date: 2026-04-15\n# date: 2026-04-16",
        ] {
            assert_eq!(read(bad).slips.len(), 1, "{bad}");
        }
        let full: String = (0..=PREFIXES_MAX).map(|number| format!("::{number:x}\n")).collect();
        assert_eq!(read(&full).slips.len(), 1);
        assert!(read(full.rsplit_once("::").unwrap().0).slips.is_empty());
    }
}
