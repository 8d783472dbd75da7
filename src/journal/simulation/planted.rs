//! Would it be noticed?
//!
//! Promises: every fault that is planted, in the journal or in the machine, is found by the same lives that find nothing
//! without it: a simulation that cannot fail proves nothing.
//!
//! Must not know: how the oracle finds it.

use super::damage::hurt_often;
use super::seeded::live;
use crate::journal::Faults;

/// How many lives are lived before a fault counts as missed.
const LIVES: u64 = 400;

fn check(name: &str, faults: Faults, forgets_directories: bool) {
    let found = (0..LIVES).find_map(|seed| {
        let sound = live(seed, Faults::default(), false).is_ok();
        let lived = live(seed, faults, forgets_directories).err().filter(|_| sound);
        // Where spares come zeroed, what lies in the wrong place was put there by damage.
        let hurt = || {
            let found = hurt_often(seed, faults).err()?;
            hurt_often(seed, Faults::default()).is_ok().then(|| found.join("\n"))
        };
        let finding = lived.or_else(|| faults.unbound_crc.then(hurt).flatten())?;
        Some((seed, finding))
    });
    let (seed, finding) = found.unwrap_or_else(|| panic!("{name} is not noticed in {LIVES} lives"));
    println!("{name}: noticed in life {seed}: {finding}");
}

#[test]
fn a_sync_left_out_is_noticed() {
    check("every second sync left out", Faults { skip_sync: 2, ..Faults::default() }, false);
    check("every fifth sync left out", Faults { skip_sync: 5, ..Faults::default() }, false);
}

#[test]
fn a_check_that_is_not_bound_is_noticed() {
    check("an unbound check", Faults { unbound_crc: true, ..Faults::default() }, false);
}

#[test]
fn a_mark_that_is_off_is_noticed() {
    check("a mark one byte off", Faults { mark_off_by: 1, ..Faults::default() }, false);
}

#[test]
fn a_receipt_before_its_sync_is_noticed() {
    check("an early receipt", Faults { early_receipt: true, ..Faults::default() }, false);
}

#[test]
fn an_adoption_that_is_not_written_is_noticed() {
    check("an adoption in memory only", Faults { adopts_in_memory: true, ..Faults::default() }, false);
}

#[test]
fn a_forgotten_sync_of_a_directory_is_noticed() {
    check("forgotten directories", Faults::default(), true);
}
