//! The file system that loses things is itself tested: an oracle that never loses proves nothing.

use super::chance::Chance;
use super::platter::{Platter, SECTOR, Survival};

const PAGE: usize = 8 * SECTOR;

/// A durable file of `len` ones under a durable name.
fn synced(len: usize) -> (Platter, usize) {
    let mut platter = Platter::default();
    let inode = platter.create(0, "log/a").expect("the name is free");
    platter.write(1, inode, 0, &vec![1; len]);
    platter.sync(inode);
    platter.sync_names("log");
    (platter, inode)
}

fn survivor(platter: &Platter, survival: Survival) -> Vec<u8> {
    let after = platter.after_power_cut(survival);
    let inode = after.find("log/a").expect("the name was durable");
    assert!(after.is_settled(), "what survived is on the disk");
    after.bytes(inode).as_ref().clone()
}

fn every_survival() -> Vec<Survival> {
    let seeded = (0..64)
        .flat_map(|seed| [Survival::Torn(seed), Survival::Calls(seed), Survival::Pages(seed), Survival::Sectors(seed)]);
    [Survival::Nothing, Survival::Everything].into_iter().chain(seeded).collect()
}

#[test]
fn what_was_synced_survives_every_cut() {
    let (platter, _) = synced(3000);
    for survival in every_survival() {
        assert_eq!(survivor(&platter, survival), vec![1; 3000], "{survival:?}");
    }
}

#[test]
fn a_sector_rests_on_one_of_its_versions_and_every_subset_happens() {
    let (mut platter, inode) = synced(2 * PAGE);
    platter.write(2, inode, 0, &vec![2; 2 * PAGE]);
    platter.write(3, inode, SECTOR, &vec![3; SECTOR]);
    let mut seen = std::collections::BTreeSet::new();
    for survival in every_survival() {
        let bytes = survivor(&platter, survival);
        for sector in bytes.chunks(SECTOR) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "no sector is torn: {survival:?}");
        }
        assert!([1, 2].contains(&bytes[0]) && [1, 2, 3].contains(&bytes[SECTOR]));
        seen.insert((bytes[0], bytes[SECTOR], bytes[PAGE]));
    }
    assert!(seen.len() >= 8, "too few outcomes: {seen:?}");
    assert!(seen.contains(&(1, 3, 1)), "a later write survives the loss of an earlier one");
}

#[test]
fn an_unsynced_name_is_lost_with_its_synced_bytes() {
    let mut platter = Platter::default();
    let inode = platter.create(0, "log/a").expect("the name is free");
    platter.write(1, inode, 0, &[1; 10]);
    platter.sync(inode);
    assert!(platter.after_power_cut(Survival::Nothing).find("log/a").is_none());
    assert!(platter.after_power_cut(Survival::Everything).find("log/a").is_some());
    platter.sync_names("");
    assert!(platter.after_power_cut(Survival::Nothing).find("log/a").is_none(), "another directory's sync");
    platter.sync_names("log");
    assert!(platter.rename(2, "log/a", "log/b") && !platter.rename(3, "log/a", "log/c"));
    let before = platter.after_power_cut(Survival::Nothing);
    assert!(before.find("log/a").is_some() && before.find("log/b").is_none(), "the rename is undone");
}

#[test]
fn an_unsynced_length_is_lost_or_shows_zeros() {
    let (mut platter, inode) = synced(10);
    platter.write(2, inode, 10, &[2; 2 * SECTOR]);
    let mut lengths = std::collections::BTreeSet::new();
    for survival in every_survival() {
        let bytes = survivor(&platter, survival);
        lengths.insert(bytes.len());
        assert_eq!(bytes[..10], [1; 10], "what was durable stays");
        assert!(bytes[10..].iter().all(|byte| [0, 2].contains(byte)));
    }
    assert_eq!(lengths, [10, 10 + 2 * SECTOR].into());
}

#[test]
fn a_sync_after_a_failed_one_does_not_bring_back_what_that_one_lost() {
    let (mut platter, inode) = synced(4 * SECTOR);
    platter.write(2, inode, 0, &[2; SECTOR]);
    platter.fail_sync(inode);
    platter.write(3, inode, SECTOR, &[3; SECTOR]);
    platter.sync(inode);
    assert_eq!(platter.bytes(inode)[0], 2, "reads show what the disk may not have");
    let bytes = survivor(&platter, Survival::Nothing);
    assert_eq!((bytes[0], bytes[SECTOR]), (1, 3));
    platter.write(4, inode, 1, &[4]);
    platter.sync(inode);
    let bytes = survivor(&platter, Survival::Nothing);
    assert_eq!(bytes[..3], [2, 4, 2], "a page written again is written whole");
}

#[test]
fn a_page_that_a_failed_sync_lost_is_seen_until_the_cache_forgets_it() {
    let (mut platter, inode) = synced(4 * SECTOR);
    platter.write(2, inode, 0, &[2; 2 * SECTOR]);
    platter.fail_sync(inode);
    platter.write(3, inode, SECTOR, &[3; 10]);
    assert_eq!((platter.bytes(inode)[0], platter.bytes(inode)[SECTOR]), (2, 3));
    platter.forget(inode, 0, 4 * SECTOR);
    assert_eq!(platter.bytes(inode)[0], 1, "clean in the eyes of the kernel, and gone");
    assert_eq!(platter.bytes(inode)[SECTOR], 3, "a page written since is dirty and stays");
}

#[test]
fn the_same_seed_leaves_the_same_bytes() {
    let (mut platter, inode) = synced(8 * PAGE);
    let mut chance = Chance::new(7);
    for call in 2..30 {
        let offset = chance.index(7 * PAGE);
        platter.write(call, inode, offset, &vec![u8::try_from(call).expect("small"); chance.index(PAGE)]);
    }
    for survival in every_survival() {
        assert_eq!(survivor(&platter, survival), survivor(&platter, survival), "{survival:?}");
    }
}
