//! From a command line to an exit code.

use super::args::Args;
use super::azure;
use super::command::Command;
use super::context::Context;
use super::failure::{Failure, Result};
use super::help;
use super::options;
use super::output;
use super::output::{Format, Output, Query};
use super::parser;
use super::shell::shell_quoted;
use super::table;
use crate::environment::Environment;
use crate::profile::{self, Settings};
use ferrohub_model::limits::CLIENT_ARGUMENT_FILE_BYTES;
use ferrohub_model::spelling::closest;
use ferrohub_model::terminal::escaped_except;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{Read, Write};

/// Runs one command line (`arguments` come after `az`) and yields its exit code: 0 success, 1
/// error, 2 wrong command line, 3 not found. Results go to `out`, everything else to `err`.
pub async fn run(
    arguments: Vec<String>,
    environment: &mut Environment,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> i32 {
    let printed = execute(arguments, environment, err).await;
    let result = match printed {
        Ok(Some(text)) => out.write_all(text.as_bytes()).and_then(|()| out.flush()).map(|()| 0),
        Ok(None) => Ok(0),
        Err(failure) => {
            // What a service says may hold what a device chose.
            let text = escaped_except(&failure.message, &['\n', '\t']);
            writeln!(err, "ERROR: {text}").map(|()| failure.exit)
        }
    };
    // A closed pipe on stdout or stderr is the reader's choice, and still a failure to tell.
    result.unwrap_or(super::failure::EXIT_ERROR)
}

async fn execute(
    arguments: Vec<String>,
    environment: &mut Environment,
    err: &mut (dyn Write + Send),
) -> Result<Option<String>> {
    let arguments = expand_files(arguments, environment);
    let (command, rest) = match find(&arguments)? {
        Found::Command(command, used) => (command, &arguments[used..]),
        Found::Text(text) => return Ok(Some(text)),
    };
    let settings = profile::load_settings(environment)?;
    let configured = configured_defaults(environment, &settings);
    let args = parser::parse(command, rest, &configured)?;
    if args.flag("--help") {
        return Ok(Some(help::command(command)));
    }
    options::check_ids(&args)?;
    let query = args.text("--query").map(Query::compile).transpose()?;
    let format = format(&args, environment, &settings)?;
    let quiet = args.flag("--only-show-errors") || is_true(setting(environment, &settings, "core", "only_show_errors"));
    let verbose = args.flag("--verbose") || args.flag("--debug");
    let unprompted = is_true(setting(environment, &settings, "core", "disable_confirm_prompt"));
    let mut context = Context::new(environment, settings, err);
    context.configure(quiet, verbose, if args.declares("--subscription") { args.text("--subscription") } else { None });
    if command.confirms && !args.flag("--yes") && !unprompted {
        confirm(&mut context, command, rest)?;
    }
    let output = dispatch(&mut context, command, args).await?;
    let to_terminal = context.environment.stdout_is_terminal;
    output::render(output, format, query.as_ref(), to_terminal)
}

/// Runs the handler: once, or once for each of `--ids`.
async fn dispatch(context: &mut Context<'_>, command: &'static Command, args: Args) -> Result<Output> {
    let ids: Vec<String> =
        if command.id_parts.is_empty() { Vec::new() } else { args.list("--ids").unwrap_or_default().to_vec() };
    if ids.is_empty() {
        return (command.handler)(context, &args).await;
    }
    let mut results = Vec::new();
    for id in ids.iter().flat_map(|ids| ids.split_whitespace()) {
        let mut one = args.clone();
        apply_id(context, command, &mut one, id)?;
        let output = (command.handler)(context, &one).await?;
        results.extend(output.value);
    }
    match results.len() {
        0 => Ok(Output::nothing()),
        1 => Ok(results.remove(0).into()),
        _ => Ok(Value::Array(results).into()),
    }
}

/// Fills the options that a resource id stands for.
fn apply_id(context: &mut Context<'_>, command: &Command, args: &mut Args, id: &str) -> Result<()> {
    let malformed = || Failure::error(format!("invalid resource ID: {id}"));
    let parts: Vec<&str> = id.trim_matches('/').split('/').collect();
    // subscriptions/{s}/resourceGroups/{g}/providers/{namespace}/{type}/{name}[/{type}/{name}…]
    if parts.len() < 8 || !parts[2].eq_ignore_ascii_case("resourceGroups") || !parts.len().is_multiple_of(2) {
        return Err(malformed());
    }
    let names: Vec<&str> = parts[7..].iter().copied().step_by(2).collect();
    if names.len() != command.id_parts.len() {
        return Err(malformed());
    }
    context.choose_subscription(parts[1]);
    args.put("--resource-group", parts[3]);
    for (key, name) in command.id_parts.iter().zip(names) {
        args.put(key, name);
    }
    Ok(())
}

enum Found {
    Command(&'static Command, usize),
    Text(String),
}

/// The command that the words name, and how many arguments they are; or a help text.
fn find(arguments: &[String]) -> Result<Found> {
    let words: Vec<String> =
        arguments.iter().take_while(|word| !word.starts_with('-')).map(|word| word.to_lowercase()).collect();
    if words.is_empty() {
        let version = matches!(arguments.first().map(String::as_str), Some("--version" | "-v"));
        return Ok(Found::Text(if version { table::version_text() } else { help::group(&[]) }));
    }
    if words[0] == "help" {
        return Ok(Found::Text(help::group(&[])));
    }
    for used in (1..=words.len()).rev() {
        let path = words[..used].join(" ");
        if let Some(command) = table::all().find(|command| command.words == path) {
            return Ok(Found::Command(command, used));
        }
    }
    for (index, word) in words.iter().enumerate() {
        let prefix = words[..index].join(" ");
        let choices: Vec<&str> = table::all()
            .filter_map(|command| help::rest_of(command.words, &prefix))
            .filter_map(|rest| rest.split(' ').next())
            .collect();
        if !choices.contains(&word.as_str()) {
            let azures = azure::known(&words);
            return Err(match azures > index {
                true => not_built(&prefix, &words[..azures].join(" ")),
                false => misspelled(&prefix, word, &choices),
            });
        }
    }
    if arguments[words.len()..].iter().any(|argument| argument == "-h" || argument == "--help") {
        return Ok(Found::Text(help::group(&words)));
    }
    Err(Failure::usage(format!(
        "'az {}' is a group of commands; say which of them.\n{}",
        words.join(" "),
        help::group(&words).trim_end()
    )))
}

/// The refusal of a command of Azure's that is not built here.
fn not_built(prefix: &str, path: &str) -> Failure {
    let group = if prefix.is_empty() { String::new() } else { format!("{prefix} ") };
    let instead = match path.starts_with("account management-group") {
        true => " There are no management groups: a role at each subscription does what one there would.",
        false => "",
    };
    Failure::usage(format!(
        "'{path}' is one of Azure's that is not built in Ferrohub's az.{instead} What it has is listed by 'az {group}--help'"
    ))
}

/// `az`'s text for an unknown word, and where to look.
fn misspelled(prefix: &str, word: &str, choices: &[&str]) -> Failure {
    let mut text = format!("'{word}' is misspelled or not recognized by the system.");
    if let Some(choice) = closest(word, choices.iter().copied()) {
        text.push_str(&format!("\nDid you mean '{choice}' ?"));
    }
    let group = if prefix.is_empty() { String::new() } else { format!("{prefix} ") };
    text.push_str(&format!("\nFerrohub's az has no '{group}{word}'; what it has is listed by 'az {group}--help'"));
    Failure::usage(text)
}

/// Replaces `@file` (the whole argument, or what follows its first `=`) by the file's content; a
/// file that cannot be read leaves the text as it is, as `az` does: whoever can make nothing of it says so ([`json_text::unread_file`]).
fn expand_files(arguments: Vec<String>, environment: &mut Environment) -> Vec<String> {
    let expanded = arguments.into_iter().map(|argument| {
        let (head, tail) = match argument.split_once('=') {
            Some((head, tail)) => (format!("{head}="), tail),
            None => (String::new(), argument.as_str()),
        };
        let content =
            tail.strip_prefix('@').filter(|file| !file.is_empty()).and_then(|file| read_argument(file, environment));
        content.map_or_else(|| argument.clone(), |content| format!("{head}{content}"))
    });
    expanded.collect()
}

fn read_argument(file: &str, environment: &mut Environment) -> Option<String> {
    let mut content = String::new();
    if file == "-" {
        let mut limited = Read::take(&mut environment.stdin, CLIENT_ARGUMENT_FILE_BYTES);
        limited.read_to_string(&mut content).ok()?;
    } else {
        let open = std::fs::File::open(environment.path(file)).ok()?;
        open.take(CLIENT_ARGUMENT_FILE_BYTES).read_to_string(&mut content).ok()?;
    }
    Some(content.trim_end_matches(['\n', '\r']).to_owned())
}

/// `AZURE_<SECTION>_<KEY>` of the environment, else the stored setting.
pub(crate) fn setting(environment: &Environment, settings: &Settings, section: &str, key: &str) -> Option<String> {
    let variable = format!("AZURE_{}_{}", section.to_uppercase(), key.to_uppercase());
    let stored = || settings.get(section).and_then(|keys| keys.get(key)).cloned();
    environment.variable(&variable).map(str::to_owned).or_else(stored).filter(|value| !value.is_empty())
}

fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "yes" | "true" | "on"))
}

fn configured_defaults(environment: &Environment, settings: &Settings) -> HashMap<&'static str, String> {
    let pairs = [("--resource-group", "group"), ("--location", "location")];
    pairs
        .into_iter()
        .filter_map(|(option, key)| Some((option, setting(environment, settings, "defaults", key)?)))
        .collect()
}

fn format(args: &Args, environment: &Environment, settings: &Settings) -> Result<Format> {
    let name = args.text("--output").map(str::to_owned).or_else(|| setting(environment, settings, "core", "output"));
    let name = name.unwrap_or_else(|| "json".to_owned());
    Format::of(&name).ok_or_else(|| {
        Failure::usage(format!(
            "'{name}' is not an output format. Set core.output to json, jsonc, yaml, yamlc, table, tsv or none."
        ))
    })
}

/// Asks on a terminal, after what the command takes away; refuses where there is none, as `az` does, and names the way out.
fn confirm(context: &mut Context<'_>, command: &Command, rest: &[String]) -> Result<()> {
    let consequence = if command.consequence.is_empty() { String::new() } else { format!("{}\n", command.consequence) };
    if !context.environment.stdin_is_terminal {
        context.warn("Unable to prompt for confirmation as no tty available. Use --yes.");
        let quoted: Vec<String> = rest.iter().map(|argument| shell_quoted(argument)).collect();
        return Err(Failure::error(format!(
            "Operation cancelled.\n{consequence}Nothing was changed. To go on without the question, repeat the command with --yes:\n    az {} {} --yes",
            command.words,
            quoted.join(" ")
        )));
    }
    for _ in 0..3 {
        let answer = context.ask(&format!("{consequence}Are you sure you want to perform this operation? (y/n): "));
        match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(()),
            "n" | "no" | "" => break,
            _ => {}
        }
    }
    Err(Failure::error("Operation cancelled."))
}
