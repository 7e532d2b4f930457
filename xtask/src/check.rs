//! `cargo xtask check`: what a change must pass before anything is run.

use crate::dependencies;
use crate::portal;
use crate::step::{self, cargo};

/// Runs every check; the first that fails ends it.
///
/// # Errors
/// The name of the check that failed.
pub(crate) fn run_all() -> Result<(), String> {
    step::run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    dependencies::check()?;
    portal::check()?;
    step::run(
        "lints",
        &mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            "ferrohub-keys-pkcs11/softhsm",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    step::run(
        "documentation",
        cargo(&["doc", "--no-deps", "--workspace", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// The task.
///
/// # Errors
/// As [`run_all`].
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => run_all(),
        [first, ..] => Err(format!("check takes no arguments, not '{first}'")),
    }
}
