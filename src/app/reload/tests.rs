use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::*;
use crate::app::alarm;
use crate::clock::Clock;
use crate::journal::{Memory, Writer};

const TEXT: &str = r#"
format = 1

[listen.here]
address = "127.0.0.1:0"

[journal]
directory = "journal"
size = "64MiB"
segment = "4MiB"

[source.github]
on = ["here"]
path = "/github"
provider = "github"
secrets = [{ file = "secret" }]

[destination.one]
url = "http://127.0.0.1:9/hook"

[[route]]
from = ["github"]
to = ["one"]
"#;

/// Two that come with a reload.
const MORE: &str = r#"
[destination.alpha]
url = "http://127.0.0.1:9/hook"

[destination.beta]
url = "http://127.0.0.1:9/hook"
"#;

/// A house that reloads, without sockets.
fn house(room: &Path) -> (Reloader, Writer) {
    let config = read(room, TEXT);
    let (assembly, writer) = Assembly::over(Arc::new(Memory::new()), &config, &Clock::system()).unwrap();
    let house = deliver::House {
        clock: assembly.clock.clone(),
        network: deliver::Network::new(&[]),
        tenants: deliver::TenantNames::default(),
        drain: Drain::new(),
        grace: Duration::ZERO,
        callers: assembly.callers.clone(),
    };
    let (alarm, _) = alarm::alarm(&Drain::new());
    let mut lanes = Lanes::new(house, alarm);
    assembly.lanes().unwrap().into_iter().for_each(|started| lanes.start(started));
    let notify = Arc::new(Notify::of_process());
    (Reloader::new(Arc::new(config), Arc::new(assembly), Vec::new(), lanes, notify), writer)
}

fn read(room: &Path, text: &str) -> Config {
    for (name, text) in [("porteiro.toml", text), ("secret", "a secret of these tests")] {
        fs::write(room.join(name), text).unwrap();
        fs::set_permissions(room.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    config::load(&room.join("porteiro.toml")).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn running(house: &Reloader) -> Vec<&str> {
    house.lanes.running.keys().map(|name| &**name).collect()
}

#[test]
fn a_text_that_was_refused_stays_refused_until_a_text_is_taken() {
    use Scope::{Files, Whole};
    let steps = [
        (Files, true, true),
        (Files, false, false),
        (Files, true, true),
        (Whole, false, false),
        (Files, true, false),
        (Files, false, false),
        (Files, true, false),
        (Whole, true, true),
        (Files, true, true),
    ];
    let mut standing = Standing::default();
    for (place, (scope, well, expected)) in steps.into_iter().enumerate() {
        assert_eq!(standing.after(scope, well), expected, "step {place}");
    }
}

#[tokio::test]
async fn a_lane_that_cannot_be_had_leaves_all_as_it_was() {
    let room = tempfile::tempdir().unwrap();
    let (mut house, writer) = house(room.path());
    let journal = house.assembly.journal.clone();
    let writer = thread::spawn(move || writer.run());
    let more = TEXT.to_owned() + MORE;
    let next = read(room.path(), &more);
    house.name(&next).await.unwrap();
    let beta = journal.lane(journal.destination("beta").unwrap()).unwrap();
    let refused = house.take_in(next).await.unwrap_err();
    assert_eq!(refused, "the lane of destination beta is taken");
    assert_eq!(running(&house), ["one"], "none is started beside those of the configuration in force");
    assert_eq!((house.generation, house.assembly.snapshot.load().generation), (1, 1));
    drop(beta);
    let taken = house.take_in(read(room.path(), &more)).await.unwrap();
    assert_eq!(taken.generation, 2);
    assert_eq!(running(&house), ["alpha", "beta", "one"]);
    // What the journal could not be told is told again, although nothing changed.
    house.owes_plans = true;
    house.take_in(read(room.path(), &more)).await.unwrap();
    assert!(!house.owes_plans);
    journal.close();
    writer.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_journal_that_takes_no_plan_does_not_hide_that_the_configuration_is_in_force() {
    let room = tempfile::tempdir().unwrap();
    let (mut house, writer) = house(room.path());
    let journal = house.assembly.journal.clone();
    journal.close();
    writer.run().unwrap();
    let observed = TEXT.replace("/hook\"", "/hook\"\nmode = \"observe\"");
    assert_eq!(house.take_in(read(room.path(), &observed)).await.unwrap().generation, 2);
    assert_eq!((house.generation, house.assembly.snapshot.load().generation), (2, 2));
    assert!(!house.config.destinations[0].is_live(), "the next reload is held against what is in force");
    assert!(house.owes_plans);
}
