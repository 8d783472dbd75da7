//! Whatever the batch, its parts are what their definition says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::select::parts_hold(data));
