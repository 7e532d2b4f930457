//! `cargo xtask test`: the Rust tests, the page, then clients that nobody here wrote.

use crate::foreign;
use crate::portal;
use crate::step::{cargo, run as run_step};

/// Everything; a filter limits both halves by name.
///
/// # Errors
/// The half that failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => {
            run_rust(&[])?;
            portal::test()?;
            portal::run_in_browser(&[])?;
            foreign::run(&[])
        }
        [filter] => {
            run_rust(std::slice::from_ref(filter))?;
            portal::run_in_browser(&["--pass-with-no-tests".into(), "--grep".into(), filter.clone()])?;
            // A filter that names no foreign test is no failure: it may have meant a Rust test.
            foreign::run_filtered(filter)
        }
        _ => Err("test takes one filter at most".to_owned()),
    }
}

/// The Rust tests; arguments go to `cargo test`.
///
/// # Errors
/// The tests that failed, by cargo.
pub(crate) fn run_rust(arguments: &[String]) -> Result<(), String> {
    // The test of PKCS#11 tokens needs SoftHSM2 on the machine, which plain `cargo test` does not ask for.
    foreign::install_programs()?;
    let with_tokens =
        ["test", "--workspace", "--features", "ferrohub-keys-pkcs11/softhsm", "--locked", "--no-fail-fast"];
    run_step("Rust tests", cargo(&with_tokens).args(arguments))
}

/// The foreign clients; arguments go to pytest.
///
/// # Errors
/// The tests that failed, by pytest.
pub(crate) fn run_foreign(arguments: &[String]) -> Result<(), String> {
    foreign::run(arguments)
}
