//! No damage to its files makes the journal panic, hang or make an event up.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::journal::fuzz::fuzz_directory(data));
