//! No stored bytes make the reader of heads panic or lie.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::event::head_holds(data));
