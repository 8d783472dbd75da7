//! The rules of the house, as a test.
//!
//! What a reader may rely on everywhere is checked here, so that a review can speak of other things: imports point up
//! the page of `lib.rs`, a dependency has one room, files and functions stay short, and the map is complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What is wrong where; empty when all is well.
type Complaints = Vec<String>;

/// One source file of the house, its tests left out.
struct Source {
    /// As in `journal/writer.rs`.
    path: String,
    text: String,
    /// Declared under `#[cfg(test)]`, or below such a module.
    is_test: bool,
}

impl Source {
    /// The top-level module it belongs to.
    fn room(&self) -> &str {
        let first = self.path.split('/').next().expect("a path has a first part");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Lines of code outside comments and of what stands before the tests, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let inline_tests = self.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..inline_tests]
            .lines()
            .enumerate()
            .map(|(number, line)| (number + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let base = root().join("src");
    let read = |path: PathBuf| Source {
        path: path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
        is_test: false,
    };
    let mut sources: Vec<Source> = files_below(&base, "rs").into_iter().map(read).collect();
    let modules: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        source.is_test = modules.iter().any(|module| stem == module || stem.starts_with(&format!("{module}/")));
    }
    sources
}

/// The modules that this file declares for tests alone, as in `journal/simulation`.
fn test_modules(source: &Source) -> Vec<String> {
    let parent = if source.path == "lib.rs" { "" } else { source.path.trim_end_matches(".rs") };
    let lines: Vec<&str> = source.text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]").filter_map(|pair| {
        let (_, name) = pair[1].split_once("mod ")?;
        Some(format!("{parent}/{}", name.strip_suffix(';')?).trim_start_matches('/').to_owned())
    });
    declared.collect()
}

/// The modules of `lib.rs`, in its order, which is the law.
fn rooms() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

#[track_caller]
fn check(rule: &str, complaints: Complaints) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

/// The rooms that a line names as `crate::room`.
fn imports(line: &str) -> Vec<&str> {
    line.match_indices("crate::")
        .filter(|(at, _)| !line[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
        .filter_map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
            (end > 0).then_some(&rest[..end])
        })
        .collect()
}

#[test]
fn an_import_points_up_the_page() {
    let rooms = rooms();
    let place = |room: &str| rooms.iter().position(|known| known == room);
    let mut complaints = Complaints::new();
    for source in sources().iter().filter(|source| !["lib", "main"].contains(&source.room()) && !source.is_test) {
        let own = place(source.room()).unwrap_or_else(|| panic!("{} is not in lib.rs", source.path));
        for (number, line) in source.code() {
            for import in imports(line) {
                match place(import) {
                    Some(at) if at <= own => {}
                    Some(_) => {
                        complaints.push(format!("{}:{number} imports {import}, which stands below", source.path));
                    }
                    None => complaints.push(format!("{}:{number} imports {import}, which is no room", source.path)),
                }
            }
        }
    }
    check("a module imports only modules above it in lib.rs", complaints);
}

#[test]
fn doors_within_the_order_stay_closed() {
    let corridors = ["ingress", "listen", "deliver", "admin"];
    let pure = ["select", "admission", "verify", "event", "dedup", "tenant", "retry", "route"];
    let mut complaints = Complaints::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        let room = source.room();
        for (number, line) in source.code() {
            for import in imports(line) {
                let corridor_meets_corridor =
                    corridors.contains(&room) && corridors.contains(&import) && room != import;
                let pure_meets_world = pure.contains(&room) && ["metrics", "drain"].contains(&import);
                let journal_looks_out = room == "journal" && pure.contains(&import);
                if corridor_meets_corridor || pure_meets_world || journal_looks_out {
                    complaints.push(format!("{}:{number} imports {import}", source.path));
                }
            }
            let impure = ["tokio::", "hyper::", "std::fs", "tracing::", "prometheus::", "SystemTime", "Instant::now"];
            if pure.contains(&room) && impure.iter().any(|word| line.contains(word)) {
                complaints.push(format!("{}:{number} is not pure: {}", source.path, line.trim()));
            }
        }
    }
    check("corridors do not meet, pure rooms stay pure, the journal stores opaque bytes", complaints);
}

#[test]
fn a_dependency_has_one_room() {
    let homes: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("annotate_snippets::", &["config/"] as &[&str]),
        ("arc_swap::", &["snapshot", "journal", "listen", "deliver"]),
        ("clap::", &["cli", "main.rs"]),
        ("crc32c::", &["journal"]),
        ("dashmap::", &["tenant"]),
        ("httparse::", &["deliver/answer"]),
        ("hyper::", &["ingress", "listen", "admin", "cli"]),
        ("ipnet::", &["admission", "config"]),
        ("jiff::", &["clock", "verify", "retry", "config"]),
        ("listenfd::", &["listen"]),
        ("matchit::", &["snapshot"]),
        ("md5::", &["verify"]),
        ("mimalloc::", &["main.rs"]),
        ("prometheus::", &["metrics", "admin"]),
        ("rcgen::", &["cli/demo"]),
        // rustls names its own provider after it.
        ("ring::", &["verify", "listen/tls", "deliver"]),
        ("roaring::", &["journal"]),
        ("rustix::", &["journal", "listen", "app/notify", "cli", "config"]),
        ("rustls::", &["listen", "deliver", "config", "cli/demo", "cli/send"]),
        ("serde_json::", &["select", "admin", "cli", "config"]),
        ("siphasher::", &["journal"]),
        ("socket2::", &["listen"]),
        ("toml::", &["config"]),
        ("unicode_normalization::", &["verify"]),
    ]);
    let mut complaints = Complaints::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (number, line) in source.code() {
            for (dependency, allowed) in &homes {
                let named = line.match_indices(dependency).any(|(at, _)| {
                    !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
                });
                if named && !allowed.iter().any(|home| source.path.starts_with(home)) {
                    complaints.push(format!("{}:{number} uses {dependency}", source.path));
                }
            }
        }
    }
    check("one dependency, one room", complaints);
}

#[test]
fn files_are_short_and_say_what_they_answer() {
    let mut complaints = Complaints::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > 500 {
            complaints.push(format!("{} has {lines} lines; 500 are allowed", source.path));
        }
        if source.path.ends_with("mod.rs") {
            complaints.push(format!("{} should be named after its module", source.path));
        }
        if !source.is_test && !source.text.starts_with("//!") {
            complaints.push(format!("{} does not begin with what it answers", source.path));
        }
        for (number, line) in source.text.lines().enumerate() {
            // The marks are put together here, or this file would find itself.
            for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("#[", "allow(")] {
                if line.contains(mark) {
                    complaints.push(format!("{}:{} holds {mark}", source.path, number + 1));
                }
            }
        }
    }
    check("a file has one question, at most 500 lines and no loose ends", complaints);
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let head: String = map.lines().filter(|line| line.starts_with("//!")).collect();
    let missing = rooms().into_iter().filter(|room| !head.contains(&format!("[`{room}`]"))).collect();
    check("the crate documentation links every room", missing);
}

#[test]
fn tests_do_not_sleep_nor_leave_this_machine() {
    let mut complaints = Complaints::new();
    for path in files_below(&root().join("tests"), "rs").into_iter().chain(files_below(&root().join("src"), "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        let whole_file = path.to_str().unwrap().contains("tests");
        let from = if whole_file { 0 } else { text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len()) };
        for mark in [concat!("thread::", "sleep("), concat!("time::", "sleep(")] {
            if text[from..].contains(mark) {
                complaints.push(format!("{} holds {mark}", path.display()));
            }
        }
    }
    check("a test waits on an event, never on the clock", complaints);
}

#[test]
fn every_provider_has_its_facts_and_its_vectors() {
    let mut complaints = Complaints::new();
    let providers = files_below(&root().join("config/providers"), "toml");
    assert!(!providers.is_empty(), "config/providers is empty");
    for path in providers {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        for key in ["docs", "checked", "confidence"] {
            if !text.lines().any(|line| line.starts_with(&format!("{key} = "))) {
                complaints.push(format!("{name}.toml has no {key}"));
            }
        }
        // What proves nothing has nothing to be proven by.
        if name != "dangerous-unsigned" && !root().join(format!("tests/vectors/{name}.json")).exists() {
            complaints.push(format!("tests/vectors/{name}.json is missing"));
        }
    }
    check("a provider is one TOML file and one vectors file", complaints);
}

#[test]
fn every_test_file_is_part_of_the_one_binary() {
    let it = root().join("tests/it");
    let mut complaints = Complaints::new();
    for path in files_below(&it, "rs").into_iter().filter(|path| *path != it.join("main.rs")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let directory = path.parent().unwrap();
        // Who has to name it.
        let above = if directory == it { it.join("main.rs") } else { directory.with_extension("rs") };
        let text = fs::read_to_string(&above).unwrap_or_default();
        let named = |line: &str| matches!(line.rsplit_once("mod "), Some(("" | "pub(crate) " | "pub(super) ", rest)) if rest == format!("{name};"));
        if !text.lines().any(named) {
            complaints.push(format!("{} is not in {}", path.display(), above.display()));
        }
    }
    check("a test that nobody runs is no test", complaints);
}
