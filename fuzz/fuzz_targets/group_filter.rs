#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrohub_fuzz_targets::run("group_filter", data));
