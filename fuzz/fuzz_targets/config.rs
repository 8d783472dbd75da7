//! Any text is a configuration or a report.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::config::fuzz(&String::from_utf8_lossy(data)));
