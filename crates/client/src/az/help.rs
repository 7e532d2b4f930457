//! Help texts, at every level of the command tree.

use super::azure;
use super::command::{Command, GLOBAL};
use super::examples::EXAMPLES;
use super::grammar::OptionSpec;
use super::table::{GROUPS, all};
use std::collections::BTreeMap;

/// Help of a group (`words` empty: of the whole): its subgroups and commands.
pub(crate) fn group(words: &[String]) -> String {
    let prefix = words.join(" ");
    let mut subgroups: BTreeMap<&str, &str> = BTreeMap::new();
    let mut commands: BTreeMap<&str, &str> = BTreeMap::new();
    for command in all() {
        let Some(rest) = rest_of(command.words, &prefix) else {
            continue;
        };
        match rest.split_once(' ') {
            Some((subgroup, _)) => {
                let path = if prefix.is_empty() { subgroup.to_owned() } else { format!("{prefix} {subgroup}") };
                subgroups.insert(subgroup, summary(&path));
            }
            None => {
                commands.insert(rest, command.summary);
            }
        }
    }
    let mut text = format!("\nGroup\n    {} : {}\n", join("az", &prefix), summary(&prefix));
    section(&mut text, "Subgroups", &subgroups);
    section(&mut text, "Commands", &commands);
    let missing = azure::not_built(&prefix);
    if !missing.is_empty() {
        text.push_str(&format!("\nAzure's, not built here:\n    {}\n", missing.join(", ")));
    }
    text.push_str("\nUse 'az <group or command> --help' for more.\n");
    text
}

/// Help of one command: its arguments and the global ones.
pub(crate) fn command(command: &Command) -> String {
    let mut text = format!("\nCommand\n    az {} : {}\n", command.words, command.summary);
    if !command.consequence.is_empty() {
        text.push_str(&format!("        {}\n", command.consequence.replace('\n', "\n        ")));
    }
    let specs = command.specs().unwrap_or_default();
    let is_global =
        |spec: &OptionSpec| GLOBAL.iter().any(|line| line.trim_start_matches('~').starts_with(&spec.title()));
    let (global, own): (Vec<_>, Vec<_>) = specs.iter().filter(|spec| !spec.hidden).partition(|spec| is_global(spec));
    for (title, specs) in [("Arguments", own), ("Global Arguments", global)] {
        if specs.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{title}\n"));
        let widest = specs.iter().map(|spec| heading(spec).len()).max().unwrap_or_default();
        for spec in specs {
            let mut line = spec.help.to_owned();
            if let super::grammar::Kind::Choice(choices) = &spec.kind {
                line.push_str(&format!("  Allowed values: {}.", choices.join(", ")));
            }
            if let Some(default) = spec.default {
                line.push_str(&format!("  Default: {default}."));
            }
            let row = format!("    {:widest$} : {}", heading(spec), line.trim());
            text.push_str(row.trim_end());
            text.push('\n');
        }
    }
    if let Some((_, lines)) = EXAMPLES.iter().find(|(words, _)| *words == command.words) {
        text.push_str("\nExamples\n");
        for line in *lines {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

fn heading(spec: &OptionSpec) -> String {
    let names = spec.aliases.join(" ");
    if spec.required { format!("{names} [Required]") } else { names }
}

/// What follows `prefix` in a command's words, if the command lies under it.
pub(crate) fn rest_of<'w>(words: &'w str, prefix: &str) -> Option<&'w str> {
    if prefix.is_empty() { Some(words) } else { words.strip_prefix(prefix)?.strip_prefix(' ') }
}

fn summary(path: &str) -> &'static str {
    GROUPS.iter().find(|(words, _)| *words == path).map_or("", |(_, summary)| summary)
}

fn join(first: &str, rest: &str) -> String {
    if rest.is_empty() { first.to_owned() } else { format!("{first} {rest}") }
}

fn section(text: &mut String, title: &str, rows: &BTreeMap<&str, &str>) {
    if rows.is_empty() {
        return;
    }
    let widest = rows.keys().map(|name| name.len()).max().unwrap_or_default();
    text.push_str(&format!("\n{title}:\n"));
    for (name, summary) in rows {
        text.push_str(format!("    {name:widest$} : {summary}").trim_end());
        text.push('\n');
    }
}
