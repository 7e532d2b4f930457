//! Running programs and saying so.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// A line on stderr, where cargo's own lines are.
pub(crate) fn say(text: &str) {
    // Nothing useful can be done when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that runs us, in the workspace's folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = program(cargo);
    command.args(arguments);
    command
}

/// A program, started in the workspace's folder.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The time, to say how long something took.
#[expect(clippy::disallowed_methods, reason = "tasks need no crate, the product's clock among them")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Runs `command` with its output shown.
///
/// # Errors
/// A sentence where it cannot be started or does not end with success.
pub(crate) fn run(label: &str, command: &mut Command) -> Result<(), String> {
    say(&format!("== {label}"));
    let begun = now();
    let status =
        command.status().map_err(|error| format!("{label}: cannot start {:?}: {error}", command.get_program()))?;
    if status.success() {
        say(&format!("== {label}: ok, {} s", begun.elapsed().as_secs()));
        return Ok(());
    }
    Err(format!("{label}: {status}"))
}

/// What `command` prints.
///
/// # Errors
/// A sentence with what it wrote to stderr where it does not end with success.
pub(crate) fn output(label: &str, command: &mut Command) -> Result<String, String> {
    let output =
        command.output().map_err(|error| format!("{label}: cannot start {:?}: {error}", command.get_program()))?;
    if !output.status.success() {
        return Err(format!("{label}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
