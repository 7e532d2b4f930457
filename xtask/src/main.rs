//! Development tasks: `cargo xtask check` (what a change must pass without being run) and
//! `cargo xtask test [FILTER]` (every test, ours and those of clients that nobody here wrote).
//!
//! To add a task, write one file with a `run` function and name it in [`TASKS`].

mod check;
mod circles;
mod dependencies;
mod foreign;
mod module_paths;
mod portal;
mod rooms;
mod step;
mod tests;

use std::process::ExitCode;

/// A task: its name, what it does, and its function, which gets the rest of the command line.
struct Task {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Result<(), String>,
}

const TASKS: [Task; 7] = [
    Task { name: "check", help: "format, lints, dependency rules, documentation", run: check::run },
    Task { name: "dependencies", help: "dependency rules only", run: dependencies::run },
    Task {
        name: "portal",
        help: "the web page: types, unit tests, build; --dev serves it while it is written",
        run: portal::run,
    },
    Task { name: "test", help: "Rust tests, then the foreign clients; FILTER limits both", run: tests::run },
    Task { name: "test-rust", help: "Rust tests only", run: tests::run_rust },
    Task {
        name: "test-portal",
        help: "the page in a browser; arguments go to Playwright",
        run: portal::run_in_browser,
    },
    Task { name: "test-foreign", help: "foreign clients only; arguments go to pytest", run: tests::run_foreign },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        return usage();
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        step::say(&format!("xtask: there is no task '{name}'"));
        return usage();
    };
    let begun = step::now();
    match (task.run)(rest) {
        Ok(()) => {
            step::say(&format!("xtask {name}: all good, {} s", begun.elapsed().as_secs()));
            ExitCode::SUCCESS
        }
        Err(reason) => {
            step::say(&format!("xtask {name}: FAILED, {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    step::say("usage: cargo xtask TASK [ARGUMENTS]");
    for task in &TASKS {
        step::say(&format!("  {:<13} {}", task.name, task.help));
    }
    ExitCode::FAILURE
}
