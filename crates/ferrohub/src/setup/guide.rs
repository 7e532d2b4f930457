//! The person who runs the setup: what it is asked and shown. Errors are red and warnings yellow where that can be seen.

use crate::output::{line, print};
use ferrohub_client::environment::Environment;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::terminal::{escaped, escaped_except};
use std::io::{BufRead, Write};

const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";

/// What the person decided about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Run,
    Skip,
}

/// The way to the person.
pub(super) struct Guide {
    unattended: bool,
    colours: bool,
    number: usize,
}

impl Guide {
    /// A guide that asks, or does not.
    pub(super) fn new(environment: &Environment, unattended: bool) -> Self {
        // https://no-color.org
        let colours = environment.stdout_is_terminal && environment.variable("NO_COLOR").is_none();
        Self { unattended, colours, number: 0 }
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// The value of a variable: what is typed, or what is proposed.
    ///
    /// # Errors
    /// `Unavailable` where the input ends.
    pub(super) fn value(&self, environment: &mut Environment, name: &str, what: &str, default: &str) -> Result<String> {
        if self.unattended {
            return Ok(default.to_owned());
        }
        let typed = ask(environment, &format!("{name} ({what}) [{}]: ", escaped(default)))?;
        Ok(if typed.is_empty() { default.to_owned() } else { typed })
    }

    /// Shows a step and asks whether to run it.
    ///
    /// # Errors
    /// `Unavailable` where the input ends.
    pub(super) fn step(&mut self, environment: &mut Environment, title: &str, lines: &[String]) -> Result<Decision> {
        self.number += 1;
        line(&format!("\n{:>2}  {title}", self.number));
        for one in lines {
            line(&format!("      {}", escaped(one)));
        }
        if self.unattended {
            return Ok(Decision::Run);
        }
        loop {
            match ask(environment, "    Enter to run it, s to skip it, Ctrl-C to end: ")?.to_ascii_lowercase().as_str()
            {
                "" => return Ok(Decision::Run),
                "s" => return Ok(Decision::Skip),
                _ => line("    Only Enter and s are understood."),
            }
        }
    }

    /// What became of a step.
    pub(super) fn done(&self, text: &str) {
        line(&format!("    {}", self.coloured(GREEN, &escaped(text))));
    }

    /// Something that does not keep the setup from going on.
    pub(super) fn warning(&self, text: &str) {
        line(&format!("    {}", self.coloured(YELLOW, &format!("WARNING: {}", escaped_except(text, &['\n'])))));
    }

    /// The step that ends the setup.
    pub(super) fn error(&self, text: &str) {
        line(&format!("    {}", self.coloured(RED, &format!("ERROR: {}", escaped_except(text, &['\n', '\t'])))));
    }

    /// One finding of the validation.
    ///
    /// # Errors
    /// Where nobody reads any more.
    pub(super) fn finding(&self, good: bool, text: &str) -> Result<()> {
        let mark = if good { self.coloured(GREEN, "ok   ") } else { self.coloured(RED, "BAD  ") };
        print(&format!("{mark} {}", escaped(text)))
    }
}

fn ask(environment: &mut Environment, question: &str) -> Result<String> {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{question}");
    let _ = out.flush();
    let mut answer = String::new();
    match environment.stdin.read_line(&mut answer) {
        Ok(0) | Err(_) => Err(Error::unavailable("The setup was ended: there is nobody to answer.", 1)),
        Ok(_) => Ok(answer.trim().to_owned()),
    }
}
