//! Python's argparse, as far as `az` uses it: abbreviation, list arguments, its error texts.

use super::args::{Args, GENERIC_END, missing};
use super::command::Command;
use super::failure::{Failure, Result};
use super::grammar::{Count, Kind, OptionSpec};
use ferrohub_model::spelling::closest;
use std::collections::HashMap;

/// What the values `true` and `false` of a three-state flag may be called.
const TRUE_WORDS: &[&str] = &["true", "t", "yes", "y", "1"];
const FALSE_WORDS: &[&str] = &["false", "f", "no", "n", "0"];

/// Parses the arguments after the command's words. `defaults` gives configured values for options
/// that were not given, by key.
///
/// # Errors
/// argparse's texts, exit 2.
pub(crate) fn parse(command: &Command, arguments: &[String], defaults: &HashMap<&'static str, String>) -> Result<Args> {
    let specs = command
        .specs()
        .map_err(|line| Failure::error(format!("The table of '{}' is wrong: {line}.", command.words)))?;
    let mut parse =
        Parse { command, specs: &specs, values: HashMap::new(), positionals: Vec::new(), unknown: Vec::new() };
    parse.consume(arguments)?;
    parse.place_positionals()?;
    let Parse { mut values, unknown, .. } = parse;
    if values.contains_key("--help") {
        return Ok(Args { command: command.words, specs, values });
    }
    for spec in &specs {
        if let (false, Some(default)) = (values.contains_key(spec.key()), defaults.get(spec.key())) {
            values.insert(spec.key(), vec![default.clone()]);
        }
    }
    let by_ids = values.contains_key("--ids");
    let absent: Vec<String> = specs
        .iter()
        .filter(|spec| spec.required && !values.contains_key(spec.key()) && !(by_ids && spec.waived_by_ids))
        .map(OptionSpec::title)
        .collect();
    if !absent.is_empty() {
        let by_id = !command.id_parts.is_empty();
        let waived = specs.iter().filter(|spec| spec.required && !values.contains_key(spec.key()));
        // What an id stands for is asked for by `az`'s own check, after the parser's.
        if by_id && waived.clone().all(|spec| spec.waived_by_ids) && unknown.is_empty() {
            let names: Vec<&str> = waived.map(OptionSpec::key).collect();
            return Err(Failure::error(format!("({} | --ids) are required", names.join(" "))));
        }
        let failure = missing(command.words, &absent);
        return Err(match unrecognized(&specs, &unknown) {
            // A required option that was misspelled is missing too.
            Some(text) => Failure { message: format!("{text}\n{}", failure.message), ..failure },
            None => failure,
        });
    }
    if let Some(text) = unrecognized(&specs, &unknown) {
        return Err(Failure::usage(text));
    }
    Ok(Args { command: command.words, specs, values })
}

/// How argparse reads one argument.
enum Reading<'s> {
    /// A value, or a positional.
    Value,
    /// A known option, perhaps with a value in the same argument.
    Option { spec: &'s OptionSpec, attached: Option<String>, short: bool },
    /// Looks like an option, but none of this command.
    Unknown,
}

struct Parse<'s> {
    command: &'s Command,
    specs: &'s [OptionSpec],
    values: HashMap<&'static str, Vec<String>>,
    positionals: Vec<String>,
    unknown: Vec<String>,
}

impl<'s> Parse<'s> {
    fn consume(&mut self, arguments: &[String]) -> Result<()> {
        let mut readings = Vec::with_capacity(arguments.len());
        let mut only_values = false;
        for argument in arguments {
            if only_values || argument == "--" {
                only_values = true;
                readings.push(Reading::Value);
            } else {
                readings.push(self.read(argument)?);
            }
        }
        let mut at = 0;
        while at < arguments.len() {
            match &readings[at] {
                Reading::Value => {
                    if arguments[at] != "--" {
                        self.positionals.push(arguments[at].clone());
                    }
                    at += 1;
                }
                Reading::Unknown => {
                    self.unknown.push(arguments[at].clone());
                    at += 1;
                    // argparse lists the stray values of an unknown option with it.
                    while at < arguments.len() && matches!(readings[at], Reading::Value) {
                        self.unknown.push(arguments[at].clone());
                        at += 1;
                    }
                }
                Reading::Option { spec, attached, short } => {
                    let following = readings[at + 1..].iter().take_while(|next| matches!(next, Reading::Value)).count();
                    let taken = self.take(spec, attached.as_deref(), *short, &arguments[at + 1..at + 1 + following])?;
                    at += 1 + taken;
                }
            }
        }
        Ok(())
    }

    fn read(&self, argument: &str) -> Result<Reading<'s>> {
        if !argument.starts_with('-') || argument == "-" {
            return Ok(Reading::Value);
        }
        let exact = |name: &str| self.specs.iter().find(|spec| spec.aliases.contains(&name));
        if let Some(spec) = exact(argument) {
            return Ok(Reading::Option { spec, attached: None, short: false });
        }
        if let Some((name, value)) = argument.split_once('=')
            && let Some(spec) = exact(name)
        {
            return Ok(Reading::Option { spec, attached: Some(value.to_owned()), short: false });
        }
        if let Some(reading) = self.abbreviated(argument)? {
            return Ok(reading);
        }
        let number = argument[1..].chars().all(|c| c.is_ascii_digit() || c == '.');
        if (number && argument.len() > 1) || argument.contains(' ') {
            return Ok(Reading::Value);
        }
        Ok(Reading::Unknown)
    }

    /// A prefix of a long option, or a short option with its value in the same argument.
    fn abbreviated(&self, argument: &str) -> Result<Option<Reading<'s>>> {
        if argument.starts_with("--") {
            let (prefix, attached) = match argument.split_once('=') {
                Some((prefix, value)) => (prefix, Some(value.to_owned())),
                None => (argument, None),
            };
            let mut matches: Vec<(&'s OptionSpec, &'static str)> = Vec::new();
            for spec in self.specs {
                matches
                    .extend(spec.aliases.iter().filter(|alias| alias.starts_with(prefix)).map(|alias| (spec, *alias)));
            }
            let Some((spec, _)) = matches.first().copied() else {
                return Ok(None);
            };
            if matches.iter().any(|(other, _)| other.key() != spec.key()) {
                let names: Vec<&str> = matches.iter().map(|(_, alias)| *alias).collect();
                return Err(Failure::usage(format!("ambiguous option: {argument} could match {}", names.join(", "))));
            }
            return Ok(Some(Reading::Option { spec, attached, short: false }));
        }
        let mut characters = argument.char_indices().skip(2);
        let Some((split, _)) = characters.next() else {
            return Ok(None);
        };
        let (name, value) = argument.split_at(split);
        let spec = self.specs.iter().find(|spec| spec.aliases.contains(&name));
        Ok(spec.map(|spec| Reading::Option { spec, attached: Some(value.to_owned()), short: true }))
    }

    /// Stores an option's values and says how many of the following arguments it took.
    fn take(
        &mut self,
        spec: &'s OptionSpec,
        attached: Option<&str>,
        short: bool,
        following: &[String],
    ) -> Result<usize> {
        let (values, taken): (Vec<String>, usize) = match (spec.count, attached) {
            (Count::Zero, None) => (Vec::new(), 0),
            (Count::Zero, Some(rest)) if short => {
                // `-yo tsv`: the rest of the argument is more short options.
                self.values.insert(spec.key(), Vec::new());
                return match self.read(&format!("-{rest}"))? {
                    Reading::Option { spec, attached, short } => self.take(spec, attached.as_deref(), short, following),
                    _ => Err(argument_error(spec, &format!("ignored explicit argument '{rest}'"))),
                };
            }
            (Count::Zero, Some(value)) => {
                return Err(argument_error(spec, &format!("ignored explicit argument '{value}'")));
            }
            (_, Some(value)) => (vec![value.to_owned()], 0),
            (Count::One, None) => match following.first() {
                Some(value) => (vec![value.clone()], 1),
                None => return Err(argument_error(spec, "expected one argument")),
            },
            (Count::Optional, None) => match following.first() {
                Some(value) => (vec![value.clone()], 1),
                None if spec.kind == Kind::Switch => (vec!["true".to_owned()], 0),
                None => (Vec::new(), 0),
            },
            (Count::Some, None) if following.is_empty() => {
                return Err(argument_error(spec, "expected at least one argument"));
            }
            (Count::Some | Count::Any, None) => (following.to_vec(), following.len()),
        };
        let values = values.iter().map(|value| self.check(spec, value)).collect::<Result<Vec<_>>>()?;
        // `--set` and its kin may be repeated, and add up; any other option's last repeat wins.
        if matches!(spec.key(), "--set" | "--add" | "--remove") {
            let mut joined = values;
            joined.push(GENERIC_END.to_owned());
            self.values.entry(spec.key()).or_default().extend(joined);
        } else {
            self.values.insert(spec.key(), values);
        }
        Ok(taken)
    }

    fn check(&self, spec: &OptionSpec, value: &str) -> Result<String> {
        match &spec.kind {
            Kind::Text => Ok(value.to_owned()),
            Kind::Integer => match value.trim().parse::<i64>() {
                Ok(number) => Ok(number.to_string()),
                Err(_) => Err(argument_error(spec, &format!("invalid int value: '{value}'"))),
            },
            Kind::Switch => {
                let word = value.to_ascii_lowercase();
                if TRUE_WORDS.contains(&word.as_str()) {
                    Ok("true".to_owned())
                } else if FALSE_WORDS.contains(&word.as_str()) {
                    Ok("false".to_owned())
                } else {
                    Err(self.not_allowed(spec, value, &["true", "false"]))
                }
            }
            Kind::Choice(choices) => match choices.iter().find(|choice| choice.eq_ignore_ascii_case(value)) {
                Some(choice) => Ok((*choice).to_owned()),
                None => Err(self.not_allowed(spec, value, choices)),
            },
        }
    }

    fn not_allowed(&self, spec: &OptionSpec, value: &str, choices: &[&str]) -> Failure {
        Failure::usage(format!(
            "az {}: '{value}' is not a valid value for '{}'. Allowed values: {}.",
            self.command.words,
            spec.title(),
            choices.join(", ")
        ))
    }

    fn place_positionals(&mut self) -> Result<()> {
        let Some(spec) = self.specs.iter().find(|spec| spec.is_positional()) else {
            self.unknown.append(&mut self.positionals);
            return Ok(());
        };
        let most = if matches!(spec.count, Count::One | Count::Optional) { 1 } else { usize::MAX };
        let mut values = std::mem::take(&mut self.positionals);
        if values.len() > most {
            self.unknown.extend(values.split_off(most));
        }
        if !values.is_empty() {
            self.values.insert(spec.key(), values);
        }
        Ok(())
    }
}

/// argparse's text for arguments that the command does not know, each with the option that may be meant; `None` where it knows all.
fn unrecognized(specs: &[OptionSpec], unknown: &[String]) -> Option<String> {
    if unknown.is_empty() {
        return None;
    }
    let mut text = format!("unrecognized arguments: {}", unknown.join(" "));
    for argument in unknown.iter().filter(|argument| argument.starts_with("--")) {
        let name = argument.split('=').next().unwrap_or_default();
        let names = specs.iter().filter(|spec| !spec.hidden).flat_map(|spec| spec.aliases.iter().copied());
        if let Some(meant) = closest(name, names.filter(|alias| alias.starts_with("--"))) {
            text.push_str(&format!("\n'{name}' is no option of this command. Did you mean '{meant}' ?"));
        }
    }
    Some(text)
}

fn argument_error(spec: &OptionSpec, what: &str) -> Failure {
    Failure::usage(format!("argument {}: {what}", spec.title()))
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
