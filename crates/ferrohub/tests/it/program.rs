//! The program as a child process.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside of a test function")]

use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_ferrohub");

/// Longest wait for a process: an unoptimised build on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A home folder of its own, with a data folder in it.
pub(crate) struct Home(TempDir);

/// What a finished process left.
pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn serve_arguments() -> [&'static str; 7] {
        ["serve", "--https-port", "0", "--mqtt-port", "0", "--metrics-port", "0"]
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let output = self.command(arguments).envs(variables.iter().copied()).output().unwrap();
        Output {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a quickstart that must succeed; gives what it printed.
    pub(crate) fn quickstart(&self) -> String {
        let output =
            self.run(&["quickstart", "--once", "--https-port", "0", "--mqtt-port", "0", "--metrics-port", "0"]);
        assert!(output.success, "{}\n{}", output.stdout, output.stderr);
        output.stdout
    }

    /// Runs a command of `ferrohub az` that must succeed; gives its one value.
    pub(crate) fn az(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["az"], arguments, &["-o", "tsv"]].concat());
        assert!(output.success, "{arguments:?}: {}", output.stderr);
        output.stdout.trim().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.at_home(Command::new(PROGRAM), arguments)
    }

    fn at_home(&self, mut command: Command, arguments: &[&str]) -> Command {
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("FERROHUB_DATA_DIR", self.data())
            .stdin(Stdio::null());
        command
    }
}

/// A server that runs; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `ferrohub serve` and waits until it says that it is ready.
    pub(crate) fn serve(home: &Home) -> Self {
        Self::ready(home.command(&Home::serve_arguments()))
    }

    /// The same in a process that may open `files` files.
    pub(crate) fn serve_with_files(home: &Home, files: u32) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\"")).arg(PROGRAM);
        Self::ready(home.at_home(shell, &Home::serve_arguments()))
    }

    /// The same in a process that is told by an error, not by a signal, when a file grows over a limit.
    pub(crate) fn serve_without_size_signal(home: &Home) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg("trap '' XFSZ; exec \"$0\" \"$@\"").arg(PROGRAM);
        Self::ready(home.at_home(shell, &Home::serve_arguments()))
    }

    fn ready(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        match receiver.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(" ready in ") => Self(child),
            other => {
                let _ = child.kill();
                panic!("serve did not become ready: {other:?}\n{}", log.join().unwrap());
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends SIGTERM; `true` if the process then ended with success.
    pub(crate) fn terminate(mut self) -> bool {
        terminate(&mut self.0).is_some_and(|status| status.success())
    }
}

/// Sends SIGTERM and waits for the end, which does not come in time for `None`.
pub(crate) fn terminate(child: &mut Child) -> Option<ExitStatus> {
    let sent = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
    let deadline = SystemClock.monotonic() + PATIENCE;
    while SystemClock.monotonic() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        SystemClock.block(Duration::from_millis(20));
    }
    None
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The numbered progress lines.
pub(crate) fn steps(stdout: &str) -> impl Iterator<Item = &str> {
    stdout.lines().filter(|line| line.contains(" … "))
}

/// The hub's name in a summary.
pub(crate) fn hub_name(stdout: &str) -> String {
    let line = stdout.lines().find(|line| line.starts_with("  Hub  ")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}
