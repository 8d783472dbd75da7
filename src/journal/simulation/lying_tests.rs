//! The storage that lies keeps to its own rules.

use std::io::{ErrorKind, IoSlice};

use super::lying::{Failure, Lying, Plan, Stop};
use super::platter::Survival;
use crate::journal::storage::{Storage, read_full, write_all, write_full};

fn machine() -> Lying {
    let storage = Lying::new(1);
    storage.create_directory("log").expect("nothing fails");
    storage
}

/// The bytes of `log/a` after that stop.
fn after(storage: &Lying, stop: Stop) -> Option<Vec<u8>> {
    storage.reboot(stop).bytes("log/a").map(|bytes| bytes.as_ref().clone())
}

#[test]
fn a_crash_may_have_had_its_effect_and_nothing_follows_it() {
    let storage = machine();
    let file = storage.create("log/a").expect("call 0");
    storage.sync_directory("log").expect("call 1");
    storage.plan(Plan { crash_at: Some(2), ..Plan::default() });
    assert!(write_all(file.as_ref(), b"abc", 0).is_err() && storage.stopped());
    assert!(file.sync_data().is_err() && file.length().is_err() && storage.list("log").is_err());
    assert!(storage.lock().is_err() && storage.remove("log/a").is_err() && storage.create("log/b").is_err());
    assert_eq!(storage.calls(), 3, "what fails after the crash is not counted");
    assert_eq!(after(&storage, Stop::Kill), Some(b"abc".to_vec()));
    assert_eq!(after(&storage, Stop::Power(Survival::Nothing)), Some(Vec::new()));
    assert_eq!(after(&storage, Stop::Power(Survival::Everything)), Some(b"abc".to_vec()));
}

#[test]
fn a_crash_during_a_sync_makes_nothing_durable_for_certain() {
    let storage = machine();
    let file = storage.create("log/a").expect("call 0");
    storage.sync_directory("log").expect("call 1");
    write_all(file.as_ref(), b"abc", 0).expect("call 2");
    storage.plan(Plan { crash_at: Some(3), ..Plan::default() });
    assert!(file.sync_data().is_err());
    assert_eq!(after(&storage, Stop::Power(Survival::Nothing)), Some(Vec::new()));
    assert_eq!(after(&storage, Stop::Kill), Some(b"abc".to_vec()));
}

#[test]
fn short_writes_and_reads_add_up() {
    let storage = machine();
    storage.plan(Plan { short_writes: true, ..Plan::default() });
    let file = storage.create("log/a").expect("nothing fails");
    let (one, two): (Vec<u8>, Vec<u8>) = ((0..200).collect(), (0..=255).rev().collect());
    for round in 0..20 {
        let written = write_full(file.as_ref(), &mut [IoSlice::new(&one), IoSlice::new(&two)], round * 10);
        assert_eq!(written.expect("short is no failure"), 456);
        let mut read = vec![0; 456];
        assert_eq!(read_full(file.as_ref(), &mut read, round * 10).expect("short is no failure"), 456);
        assert_eq!(read, [one.clone(), two.clone()].concat());
    }
    assert!(storage.calls() > 30, "some writes were short");
}

#[test]
fn a_full_disk_refuses_what_grows_only() {
    let storage = machine();
    let file = storage.create("log/a").expect("nothing fails");
    write_all(file.as_ref(), &[1; 1000], 0).expect("there is room");
    storage.plan(Plan { capacity: 1500, ..Plan::default() });
    assert_eq!(storage.free_space().expect("it runs"), 500);
    let refused = write_all(file.as_ref(), &[2; 1000], 600).expect_err("100 too many");
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert!(file.set_length(1501).is_err() && file.set_length(1500).is_ok());
    write_all(file.as_ref(), &[2; 1500], 0).expect("it does not grow");
    storage.remove("log/a").expect("removing needs no room");
    assert_eq!(storage.free_space().expect("it runs"), 1500);
}

#[test]
fn a_planned_failure_happens_once() {
    let storage = machine();
    let file = storage.create("log/a").expect("call 0");
    storage.sync_directory("log").expect("call 1");
    let failures = [(2, Failure::Broken), (4, Failure::Broken), (6, Failure::Full)].into();
    storage.plan(Plan { failures, ..Plan::default() });
    assert!(write_all(file.as_ref(), &[1; 2000], 0).is_err());
    write_all(file.as_ref(), &[1; 2000], 0).expect("call 3");
    assert!(file.sync_data().is_err());
    file.sync_data().expect("the second one says yes");
    assert_eq!(storage.create("log/b").expect_err("call 6").kind(), ErrorKind::StorageFull);
    storage.create("log/b").expect("call 7");
    assert_eq!(after(&storage, Stop::Power(Survival::Nothing)).map(|bytes| bytes.contains(&1)), Some(false));
}

#[test]
fn one_at_a_time_holds_the_lock_and_a_reboot_frees_it() {
    let storage = machine();
    let guard = storage.lock().expect("it is free");
    assert_eq!(storage.lock().expect_err("it is held").kind(), ErrorKind::WouldBlock);
    assert!(storage.reboot(Stop::Kill).lock().is_ok());
    drop(guard);
}

#[test]
fn a_directory_that_is_forgotten_loses_its_names() {
    let storage = machine();
    storage.plan(Plan { forgets_directories: true, ..Plan::default() });
    let file = storage.create("log/a").expect("nothing fails");
    write_all(file.as_ref(), b"abc", 0).expect("nothing fails");
    file.sync_data().expect("nothing fails");
    storage.sync_directory("log").expect("it says yes");
    assert_eq!(after(&storage, Stop::Power(Survival::Nothing)), None);
    assert_eq!(after(&storage, Stop::Kill), Some(b"abc".to_vec()));
}
