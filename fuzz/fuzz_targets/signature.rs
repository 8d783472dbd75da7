//! Candidates of every grammar lie in the text.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::verify::fuzz::fuzz_signature_text(data));
