//! What the watch tells of a head does not depend on how it is cut into pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::listen::watch_holds(data));
