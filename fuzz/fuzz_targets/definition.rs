//! No text makes the readers of templates and keys panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::verify::fuzz::fuzz_definition(data));
