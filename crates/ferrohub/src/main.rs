//! The ferrohub program.
fn main() {}
