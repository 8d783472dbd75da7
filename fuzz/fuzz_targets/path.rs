//! A path that climbs finds nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::snapshot::router::holds(&String::from_utf8_lossy(data)));
