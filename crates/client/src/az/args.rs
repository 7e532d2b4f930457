//! The values of one command line, as handlers ask for them.

use super::failure::{Failure, Result};
use super::grammar::OptionSpec;
use std::collections::HashMap;

/// Ends the values of one `--set`, `--add` or `--remove` in the list that repeats add up to.
pub(crate) const GENERIC_END: &str = "\u{0}";

/// Parsed values of one command line.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    pub(super) command: &'static str,
    pub(super) specs: Vec<OptionSpec>,
    pub(super) values: HashMap<&'static str, Vec<String>>,
}

impl Args {
    /// The command's words.
    pub(crate) fn command(&self) -> &'static str {
        self.command
    }

    /// Whether the person gave the option (a default does not count).
    pub(crate) fn given(&self, key: &'static str) -> bool {
        self.values.contains_key(key)
    }

    /// All values of an option that takes several; `None` where it was not given.
    pub(crate) fn list(&self, key: &'static str) -> Option<&[String]> {
        debug_assert!(self.specs.iter().any(|spec| spec.key() == key), "{} has no option {key}", self.command);
        self.values.get(key).map(Vec::as_slice)
    }

    /// The value of an option: the one given, else its default.
    pub(crate) fn text(&self, key: &'static str) -> Option<&str> {
        let given = self.list(key).and_then(|values| values.first()).map(String::as_str);
        given.or_else(|| self.specs.iter().find(|spec| spec.key() == key).and_then(|spec| spec.default))
    }

    /// The value of an option that the command cannot do without.
    ///
    /// # Errors
    /// argparse's text where it is missing.
    pub(crate) fn required(&self, key: &'static str) -> Result<&str> {
        self.text(key).ok_or_else(|| {
            let title =
                self.specs.iter().find(|spec| spec.key() == key).map_or_else(|| key.to_owned(), OptionSpec::title);
            missing(self.command, &[title])
        })
    }

    /// The same, also refusing an empty value.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub(crate) fn filled(&self, key: &'static str) -> Result<&str> {
        let value = self.required(key)?;
        if value.is_empty() { Err(empty(key)) } else { Ok(value) }
    }

    /// Refuses options that were given with an empty value: most often an unset shell variable, whose
    /// absence would change the meaning of the command.
    ///
    /// # Errors
    /// A sentence that names the option.
    pub(crate) fn refuse_empty(&self, keys: &[&'static str]) -> Result<()> {
        match keys.iter().find(|key| self.list(key).unwrap_or_default().iter().any(String::is_empty)) {
            Some(key) => Err(empty(key)),
            None => Ok(()),
        }
    }

    /// Whether a flag was given.
    pub(crate) fn flag(&self, key: &'static str) -> bool {
        self.list(key).is_some()
    }

    /// The value of a three-state flag.
    pub(crate) fn switch(&self, key: &'static str) -> Option<bool> {
        self.text(key).map(|value| value == "true")
    }

    /// The value of an integer option.
    pub(crate) fn integer(&self, key: &'static str) -> Option<i64> {
        self.text(key).and_then(|value| value.parse().ok())
    }

    /// Sets a value as if it had been given: configured defaults and the parts of `--ids`.
    pub(crate) fn put(&mut self, key: &'static str, value: &str) {
        self.values.insert(key, vec![value.to_owned()]);
    }

    /// Whether the command declares the option.
    pub(crate) fn declares(&self, key: &str) -> bool {
        self.specs.iter().any(|spec| spec.key() == key)
    }
}

fn empty(key: &str) -> Failure {
    Failure::error(format!("The value of {key} is empty. If it comes from a shell variable, set that variable first."))
}

/// argparse's text for missing arguments, and where all of them are listed.
pub(crate) fn missing(command: &str, titles: &[String]) -> Failure {
    Failure::usage(format!(
        "the following arguments are required: {}\nWhat it takes is listed by 'az {command} --help'",
        titles.join(", ")
    ))
}
