//! What a command line sees of its process: variables, folder, terminal, time and randomness.

use ferrohub_model::clock::Clock;
use ferrohub_model::random::Random;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The process around a command, as a value, so that a test can make one up.
pub struct Environment {
    /// Environment variables (those that are valid UTF-8).
    pub variables: BTreeMap<String, String>,
    /// Folder that relative paths start from.
    pub current_dir: PathBuf,
    /// Standard input.
    pub stdin: Box<dyn BufRead + Send>,
    /// Whether standard input is a terminal: decides whether a confirmation may be asked for.
    pub stdin_is_terminal: bool,
    /// Whether standard output is a terminal: what would act on it is then not printed raw.
    pub stdout_is_terminal: bool,
    /// Source of time.
    pub clock: Arc<dyn Clock>,
    /// Source of randomness for the names of role assignments and definitions.
    pub random: Arc<dyn Random>,
}

impl Environment {
    /// The real process, with the given sources of time and randomness.
    pub fn of_process(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            variables,
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stdin: Box::new(BufReader::new(std::io::stdin())),
            clock,
            random,
        }
    }

    /// The variable `name`, unless it is unset or empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The person's home folder (`HOME`, on Windows `USERPROFILE`), if there is one.
    pub fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").or_else(|| self.variable("USERPROFILE")).map(PathBuf::from)
    }

    /// `path` as this process would open it: `~/` expanded where there is a home, relative paths from the
    /// current folder.
    pub fn path(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => self.current_dir.join(Path::new(path)),
        }
    }
}
