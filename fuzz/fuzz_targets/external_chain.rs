#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrohub_fuzz_targets::run("external_chain", data));
