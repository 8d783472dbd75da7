//! The walk over borrowed JSON agrees with a document.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::select::json::compare::holds(data));
