//! Nothing is proven without a key; what is signed is.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::verify::fuzz::fuzz_forgery(data));
