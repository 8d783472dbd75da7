//! No bytes make the readers of records, headers and checkpoints panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::journal::parse_anything(data));
