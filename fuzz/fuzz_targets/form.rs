//! Forms and queries are decoded within bounds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::select::form::holds(data));
