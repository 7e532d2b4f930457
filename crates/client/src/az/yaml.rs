//! YAML as PyYAML's `safe_dump(default_flow_style=False, allow_unicode=True)` writes it, without
//! its line folding.

use ferrohub_model::terminal::{acts, escaped_json};
use serde_json::Value;

/// A value as a document; the caller has sorted its keys.
pub(crate) fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => block(value, 0, &mut out),
        Value::Array(items) if !items.is_empty() => block(value, 0, &mut out),
        Value::Object(_) | Value::Array(_) => out.push_str(&format!("{}\n", scalar(value))),
        // PyYAML ends an open scalar document with a marker; a quoted one needs none.
        Value::String(text) => {
            let shown = string(text);
            let open = shown == *text;
            out.push_str(&shown);
            out.push_str(if open { "\n...\n" } else { "\n" });
        }
        other => out.push_str(&format!("{}\n...\n", scalar(other))),
    }
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                out.push_str(&format!("{pad}{}:", string(key)));
                match value {
                    Value::Object(inner) if !inner.is_empty() => {
                        out.push('\n');
                        block(value, indent + 2, out);
                    }
                    // A sequence inside a mapping is not indented further.
                    Value::Array(inner) if !inner.is_empty() => {
                        out.push('\n');
                        block(value, indent, out);
                    }
                    other => out.push_str(&format!(" {}\n", scalar(other))),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let nested = matches!(item, Value::Object(inner) if !inner.is_empty())
                    || matches!(item, Value::Array(inner) if !inner.is_empty());
                if nested {
                    let mut inner = String::new();
                    block(item, indent + 2, &mut inner);
                    out.push_str(&format!("{pad}- {}", inner.trim_start_matches(' ')));
                } else {
                    out.push_str(&format!("{pad}- {}\n", scalar(item)));
                }
            }
        }
        other => out.push_str(&format!("{pad}{}\n", scalar(other))),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// A string plain where that reads back as the same string, else quoted.
fn string(text: &str) -> String {
    if text.chars().any(|c| acts(c) || c == '\u{feff}') {
        return escaped_json(&serde_json::to_string(text).unwrap_or_default(), &[]);
    }
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let special_start = "-?:,[]{}#&*!|>'\"%@`".contains(first);
    let starts_plain =
        !special_start || (matches!(first, '-' | '?' | ':') && text.chars().nth(1).is_some_and(|second| second != ' '));
    starts_plain
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !reads_as_other_type(text)
}

/// Whether YAML 1.1 would read the plain text as a boolean, null, number or timestamp.
fn reads_as_other_type(text: &str) -> bool {
    const WORDS: &[&str] = &["yes", "no", "true", "false", "on", "off", "null", "~", "=", "<<"];
    if WORDS.iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return true;
    }
    let body = text.trim_start_matches(['+', '-']);
    if matches!(body.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return true;
    }
    let digits = body.trim_start_matches('.');
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    let number = body.chars().all(|c| c.is_ascii_digit() || matches!(c, '_' | '.' | ':'))
        || body.parse::<f64>().is_ok()
        || body.strip_prefix("0x").is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit() || c == '_'));
    number || is_timestamp(body)
}

fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 8
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5..].iter().all(|byte| byte.is_ascii_digit() || b"-:.TtZz +".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_as_pyyaml_writes_them() {
        let value = json!({"a": [{"b": 1, "c": []}, "x"], "d": {"e": null}, "f": {}});
        assert_eq!(document(&value), "a:\n- b: 1\n  c: []\n- x\nd:\n  e: null\nf: {}\n");
        assert_eq!(document(&json!([["a", "b"], []])), "- - a\n  - b\n- []\n");
    }

    #[test]
    fn scalars_end_with_a_marker() {
        assert_eq!(document(&json!("value")), "value\n...\n");
        assert_eq!(document(&json!(5)), "5\n...\n");
        assert_eq!(document(&json!("5")), "'5'\n");
        assert_eq!(document(&json!([])), "[]\n");
    }

    #[test]
    fn strings_that_would_read_as_something_else_are_quoted() {
        for text in [
            "true",
            "No",
            "null",
            "12",
            "1.5",
            "2026-11-20",
            "2026-11-20T10:00:00Z",
            "",
            "- a",
            "a: b",
            "a #b",
            "*x",
            "0x1f",
        ] {
            assert_eq!(string(text), format!("'{text}'"));
        }
        for text in ["a-b", "/subscriptions/x", "it's", "a:b", "-x", "1a", "S1", "2026x"] {
            assert_eq!(string(text), text);
        }
        assert_eq!(string("a\nb"), "\"a\\nb\"");
        assert_eq!(string("'q"), "'''q'");
    }
}
