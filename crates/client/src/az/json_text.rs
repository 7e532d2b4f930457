//! JSON given on a command line: strict JSON, else a Python literal (single quotes, `True`, `None`).

use super::failure::{Failure, Result};
use serde_json::Value;

/// Parses `text` as `az` does.
///
/// # Errors
/// A sentence with the position of the fault, exit 1.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let strict = serde_json::from_str(text);
    strict.or_else(|error| serde_json::from_str(&from_python(text)).map_err(|_| error)).map_err(|error| {
        Failure::error(format!(
            "Failed to parse string as JSON:\n{text}\nError detail: {error}\nCheck the quotes: the shell removes double quotes \
             that are not inside single quotes."
        ))
    })
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
}
