//! What may stand in the build graph: `deny.toml` says it for the crates of others, [`crate::rooms`] and [`crate::circles`] for our own; and nothing
//! stands there that no crate uses.

use crate::step::{cargo, program, run as run_step, target};
use crate::{circles, rooms};
use std::path::PathBuf;

/// The tools that are installed, with their versions. Only these are used, so that everybody gets the same verdict.
const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.20.2");
const CARGO_MACHETE: (&str, &str) = ("cargo-machete", "0.9.2");

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

/// Checks bans, licences, sources, duplicates, dependencies that nothing names, the arrows between our rooms, and circles of modules.
///
/// # Errors
/// The rule that was broken; the tools print the breaches themselves.
pub(crate) fn check() -> Result<(), String> {
    let deny = installed(CARGO_DENY)?;
    // An exception that is not needed any more is a breach too. The advisory database is not asked: it is a download.
    let strict = ["unnecessary-skip", "unmatched-skip", "license-not-encountered"].map(|lint| ["--deny", lint]);
    let mut command = program(deny);
    command.args(["--locked", "check"]).args(strict.as_flattened()).args(["bans", "licenses", "sources"]);
    run_step("dependency rules", &mut command)?;
    run_step("unused dependencies", program(installed(CARGO_MACHETE)?).args(["crates", "xtask"]))?;
    rooms::check()?;
    circles::check()
}

/// The path of a tool; it is installed below the target folder where it is missing.
fn installed((name, version): (&str, &str)) -> Result<PathBuf, String> {
    let folder = target().join("tools").join(format!("{name}-{version}"));
    let tool = folder.join("bin").join(name);
    if !tool.is_file() {
        let mut install = cargo(&["install", "--locked", "--debug", "--quiet", name, "--version", version]);
        // Its own build folder, which cargo removes again.
        run_step(&format!("install {name}"), install.arg("--root").arg(&folder).env_remove("CARGO_TARGET_DIR"))?;
    }
    Ok(tool)
}
