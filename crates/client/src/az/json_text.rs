//! JSON given on a command line: strict JSON, else a Python literal (single quotes, `True`, `None`).

use super::context::Context;
use super::failure::{Failure, Result};
use crate::profile::read_bounded;
use serde_json::Value;

/// Longest text that may be the name of a file, bytes: ours.
const LONGEST_NAME: usize = 1024;

/// The JSON that is given, or that of the file which is named.
///
/// # Errors
/// A file that cannot be read, a text that is neither JSON nor the name of a file that is there.
pub(crate) fn given_or_file(context: &Context<'_>, given: &str) -> Result<Value> {
    let file = context.environment.path(given);
    if given.len() < LONGEST_NAME && !given.contains('{') && file.is_file() {
        let content = read_bounded(&file)?;
        let content = String::from_utf8_lossy(&content);
        return read(&content).map_err(|error| fault(&content, &error));
    }
    read(given).map_err(|error| match unread_file(given) {
        Some(sentence) => Failure::error(sentence),
        None if may_be_name(given) => {
            Failure::error(format!("'{given}' is no JSON, and there is no such file: {}.", file.display()))
        }
        None => fault(given, &error),
    })
}

/// Parses `text` as `az` does.
///
/// # Errors
/// A sentence with the position of the fault, or on the file that is not there, exit 1.
pub(crate) fn parse(text: &str) -> Result<Value> {
    read(text).map_err(|error| match unread_file(text) {
        Some(sentence) => Failure::error(sentence),
        None if may_be_name(text) => {
            Failure::error(format!("'{text}' is no JSON. For what a file says, give its name behind an @: '@{text}'."))
        }
        None => fault(text, &error),
    })
}

/// What to say of a text that stands for a file (`@name`) which could not be read; `None` for any other.
pub(crate) fn unread_file(text: &str) -> Option<String> {
    let name = text.strip_prefix('@').filter(|name| !name.is_empty())?;
    Some(format!("'{text}' means what the file '{name}' says, and there is no such file that can be read."))
}

/// Whether a text that is no JSON was rather meant as the name of a file.
fn may_be_name(text: &str) -> bool {
    !text.is_empty() && text.len() < LONGEST_NAME && !text.contains(['{', '[', '"', '\'', '\n'])
}

fn read(text: &str) -> std::result::Result<Value, serde_json::Error> {
    let strict = serde_json::from_str(text);
    strict.or_else(|error| serde_json::from_str(&from_python(text)).map_err(|_| error))
}

fn fault(text: &str, error: &serde_json::Error) -> Failure {
    Failure::error(format!(
        "Failed to parse string as JSON:\n{text}\nError detail: {error}\nCheck the quotes: the shell removes double quotes \
         that are not inside single quotes."
    ))
}

/// Turns the literals of Python into those of JSON. What is inside a string stays.
fn from_python(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        flush(&mut word, &mut out);
        match character {
            '\'' | '"' => out.push_str(&string(character, &mut characters)),
            other => out.push(other),
        }
    }
    flush(&mut word, &mut out);
    out
}

fn flush(word: &mut String, out: &mut String) {
    out.push_str(match word.as_str() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    });
    word.clear();
}

fn string(quote: char, characters: &mut std::str::Chars<'_>) -> String {
    let mut content = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => content.push('\n'),
                Some('t') => content.push('\t'),
                Some('r') => content.push('\r'),
                Some(other) => content.push(other),
                None => break,
            },
            end if end == quote => break,
            other => content.push(other),
        }
    }
    Value::String(content).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_and_python_literals() {
        assert_eq!(parse(r#"{"a": [1, true, null]}"#), Ok(json!({"a": [1, true, null]})));
        assert_eq!(
            parse("{'a': 'it\\'s \"x\"', 'b': [True, None, 1.5]}"),
            Ok(json!({"a": "it's \"x\"", "b": [true, null, 1.5]}))
        );
        assert!(parse("{a: 1}").unwrap_err().message.contains("Failed to parse string as JSON"));
        assert!(parse("{'a").is_err());
    }

    #[test]
    fn a_name_where_json_belongs_is_told_as_a_file() {
        assert!(parse("role.json").unwrap_err().message.contains("give its name behind an @: '@role.json'"));
        assert!(parse("@role.json").unwrap_err().message.contains("no such file"));
        assert!(unread_file("@").is_none() && unread_file("x@y").is_none());
    }
}
