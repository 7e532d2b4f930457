//! What may stand in the build graph: `deny.toml` says it for the crates of others, [`crate::rooms`] and [`crate::circles`] for our own.

use crate::step::{cargo, program, run as run_step, target};
use crate::{circles, rooms};
use std::path::PathBuf;

/// The cargo-deny that is installed. Only it is used, so that everybody gets the same verdict.
const CARGO_DENY: &str = "0.20.2";

/// The task.
///
/// # Errors
/// As [`check`].
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => check(),
        [first, ..] => Err(format!("dependencies takes no arguments, not '{first}'")),
    }
}

/// Checks bans, licences, sources, duplicates, the arrows between our rooms, and circles of modules.
///
/// # Errors
/// The rule that was broken; cargo-deny prints the breaches themselves.
pub(crate) fn check() -> Result<(), String> {
    let deny = cargo_deny()?;
    // An exception that is not needed any more is a breach too. The advisory database is not asked: it is a download.
    let strict = ["unnecessary-skip", "unmatched-skip", "license-not-encountered"].map(|lint| ["--deny", lint]);
    let mut command = program(deny);
    command.args(["--locked", "check"]).args(strict.as_flattened()).args(["bans", "licenses", "sources"]);
    run_step("dependency rules", &mut command)?;
    rooms::check()?;
    circles::check()
}

/// The tool's path; it is installed below the target folder where it is missing.
fn cargo_deny() -> Result<PathBuf, String> {
    let folder = target().join("tools").join(format!("cargo-deny-{CARGO_DENY}"));
    let tool = folder.join("bin").join("cargo-deny");
    if !tool.is_file() {
        let mut install = cargo(&["install", "--locked", "--debug", "--quiet", "cargo-deny", "--version", CARGO_DENY]);
        // Its own build folder, which cargo removes again.
        run_step("install cargo-deny", install.arg("--root").arg(&folder).env_remove("CARGO_TARGET_DIR"))?;
    }
    Ok(tool)
}
