//! What is read of a destination's answer does not depend on how it is cut into pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porteiro::deliver::answer_holds(data));
