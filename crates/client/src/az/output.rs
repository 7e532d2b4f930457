//! The output formats, as `az` prints them (knack's rules).

use super::failure::{Failure, Result};
use super::yaml;
use ferrohub_model::terminal::{escaped, escaped_except, escaped_json};
use ferrohub_wire::jmespath;
use serde_json::{Map, Value};

/// What a command yields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output {
    /// The result; `None` and null print nothing.
    pub(crate) value: Option<Value>,
    /// Columns of the table format: title and path of each. Ignored with `--query`.
    pub(crate) columns: Option<Columns>,
    /// The member that holds the rows of the table, where the result is not their list.
    pub(crate) rows: Option<&'static str>,
    /// Text that is printed as it is, whatever the format: answers that are not JSON.
    pub(crate) text: Option<String>,
}

/// Titles and dotted paths of a table's columns.
pub(crate) type Columns = &'static [(&'static str, &'static str)];

impl Output {
    /// Nothing to print.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    /// A result with its own table columns.
    pub(crate) fn with_columns(value: Value, columns: Columns) -> Self {
        Self { value: Some(value), columns: Some(columns), rows: None, text: None }
    }

    /// A result whose member `rows` is a table with these columns.
    pub(crate) fn with_rows(value: Value, rows: &'static str, columns: Columns) -> Self {
        Self { rows: Some(rows), ..Self::with_columns(value, columns) }
    }

    /// Text that is printed as it is.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { value: None, columns: None, rows: None, text: Some(text.into()) }
    }
}

impl From<Value> for Output {
    fn from(value: Value) -> Self {
        Self { value: Some(value), columns: None, rows: None, text: None }
    }
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Indented JSON with sorted keys (also `jsonc`).
    Json,
    /// Block-style YAML with sorted keys (also `yamlc`).
    Yaml,
    /// A table for people.
    Table,
    /// Tab-separated values for scripts.
    Tsv,
    /// Nothing.
    None,
}

impl Format {
    /// The format that `--output` names; `None` for a name there is not.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "json" | "jsonc" => Some(Self::Json),
            "yaml" | "yamlc" => Some(Self::Yaml),
            "table" => Some(Self::Table),
            "tsv" => Some(Self::Tsv),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// A compiled `--query`.
pub(crate) struct Query {
    expression: jmespath::Expression,
    ordered: bool,
}

impl Query {
    /// Compiles the expression.
    ///
    /// # Errors
    /// `az`'s text, exit 2.
    pub(crate) fn compile(text: &str) -> Result<Self> {
        let expression = jmespath::compile(text).map_err(|_| {
            Failure::usage(format!(
                "argument --query: invalid jmespath_type value: {}\n{}",
                super::failure::python_repr(&Value::String(text.to_owned())),
                super::json_text::unread_file(text).unwrap_or_else(|| {
                    "It is a JMESPath expression, such as '[].name' or 'properties.state'.".to_owned()
                })
            ))
        })?;
        // A multiselect hash is an ordered dictionary in Python: tsv and table keep its order,
        // while an object taken from the data is sorted.
        Ok(Self { expression, ordered: has_multiselect_hash(text) })
    }
}

/// Renders a result, for a terminal or for whoever reads on. `None` means that nothing is printed. Text that a terminal would
/// obey is an escape in every format; only values that a script takes (tsv, and answers that are no JSON) are as they are.
///
/// # Errors
/// A query that fails on this value, exit 1.
pub(crate) fn render(
    output: Output,
    format: Format,
    query: Option<&Query>,
    to_terminal: bool,
) -> Result<Option<String>> {
    let raw = |text: String| if to_terminal { escaped_except(&text, &['\n', '\t']) } else { text };
    if let Some(text) = output.text {
        return Ok(Some(raw(text)).filter(|_| format != Format::None));
    }
    let Some(mut value) = output.value else {
        return Ok(None);
    };
    add_resource_groups(&mut value);
    if let Some(query) = query {
        value = query
            .expression
            .search(&value)
            .map_err(|error| Failure::error(format!("Invalid jmespath query supplied for `--query`: {error}")))?;
    }
    if value.is_null() {
        return Ok(None);
    }
    let ordered = query.is_some_and(|query| query.ordered);
    Ok(match format {
        Format::None => None,
        Format::Json => Some(json(&value)),
        Format::Yaml => Some(yaml::document(&sorted(&value))),
        Format::Tsv => Some(raw(tsv(&value, ordered))),
        Format::Table => match (output.columns, query) {
            (Some(columns), None) => {
                let rows = output.rows.and_then(|rows| value.get(rows)).unwrap_or(&value);
                Some(table(&pick(rows, columns), true))
            }
            (None, None) => Some(table(output.rows.and_then(|rows| value.get(rows)).unwrap_or(&value), false)),
            _ => Some(table(&value, query.is_some())),
        },
    })
}

/// Indented JSON, keys sorted at every level, with a final newline.
pub(crate) fn json(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(&sorted(value)).unwrap_or_default();
    text.push('\n');
    // A document means the same with escapes; a terminal does not obey them.
    escaped_json(&text, &['\n'])
}

/// The same value with the keys of every object sorted.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut pairs: Vec<(&String, &Value)> = members.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            Value::Object(pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        other => other.clone(),
    }
}

/// Gives every object whose `id` is a resource id its `resourceGroup`, unless it has one.
fn add_resource_groups(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_resource_groups),
        Value::Object(members) => {
            if let Some(group) = resource_group(members) {
                members.insert("resourceGroup".to_owned(), Value::String(group));
            }
            members.values_mut().for_each(add_resource_groups);
        }
        _ => {}
    }
}

fn resource_group(members: &Map<String, Value>) -> Option<String> {
    if members.keys().any(|key| key.eq_ignore_ascii_case("resourcegroup")) {
        return None;
    }
    let parts: Vec<&str> = members.get("id")?.as_str()?.split('/').collect();
    // az asks for the exact spelling and for a resource below the group.
    (parts.len() > 8 && parts[3] == "resourceGroups").then(|| parts[4].to_owned())
}

/// Whether the expression has a `{` outside quotes and literals.
fn has_multiselect_hash(query: &str) -> bool {
    let mut inside: Option<char> = None;
    let mut escaped = false;
    for character in query.chars() {
        match inside {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(quote) if character == quote => inside = None,
            Some(_) => {}
            None if matches!(character, '"' | '\'' | '`') => inside = Some(character),
            None if character == '{' => return true,
            None => {}
        }
    }
    false
}

fn members(object: &Map<String, Value>, ordered: bool) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<(&String, &Value)> = object.iter().collect();
    if !ordered {
        pairs.sort_by_key(|(key, _)| *key);
    }
    pairs
}

fn tsv(value: &Value, ordered: bool) -> String {
    let rows = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let mut out = String::new();
    for row in rows {
        match row {
            Value::Object(object) => {
                let cells: Vec<String> =
                    members(object, ordered).into_iter().map(|(_, value)| tsv_cell(value)).collect();
                out.push_str(&cells.join("\t"));
            }
            Value::Array(items) => out.push_str(&items.iter().map(tsv_cell).collect::<Vec<_>>().join("\t")),
            Value::Bool(flag) => out.push_str(&flag.to_string()),
            other => out.push_str(&tsv_cell(other)),
        }
        out.push('\n');
    }
    out
}

fn tsv_cell(value: &Value) -> String {
    match value {
        Value::Object(_) => String::new(),
        Value::Array(items) => items.len().to_string(),
        other => python_text(other),
    }
}

/// `str()` of a scalar as Python prints it.
fn python_text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn pick(value: &Value, columns: Columns) -> Value {
    let row = |item: &Value| {
        let cell = |path: &str| path.split('.').try_fold(item, |at, part| at.get(part)).cloned().unwrap_or(Value::Null);
        Value::Object(columns.iter().map(|(title, path)| ((*title).to_owned(), cell(path))).collect())
    };
    match value {
        Value::Array(items) => Value::Array(items.iter().map(row).collect()),
        other => row(other),
    }
}

/// Keys that the table format leaves out.
const SKIPPED_KEYS: &[&str] = &["id", "type", "etag"];

fn table(value: &Value, ordered: bool) -> String {
    let rows = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    let rows: Vec<Vec<(String, String)>> = rows.iter().map(|row| table_row(row, ordered)).collect();
    let mut titles: Vec<&str> = Vec::new();
    for (title, _) in rows.iter().flatten() {
        if !titles.contains(&title.as_str()) {
            titles.push(title);
        }
    }
    if titles.is_empty() {
        return "\n".to_owned();
    }
    // tabulate's "simple" format: a column is at least its title plus two wide.
    let width = |title: &str| {
        let cells = rows.iter().map(|row| cell(row, title).chars().count()).max().unwrap_or_default();
        cells.max(escaped(title).chars().count() + 2)
    };
    let widths: Vec<usize> = titles.iter().map(|title| width(title)).collect();
    let mut out = line(titles.iter().map(|title| escaped(title)), &widths);
    out.push_str(&line(widths.iter().map(|width| "-".repeat(*width)), &widths));
    for row in &rows {
        out.push_str(&line(titles.iter().map(|title| cell(row, title)), &widths));
    }
    out
}

fn table_row(row: &Value, ordered: bool) -> Vec<(String, String)> {
    match row {
        Value::Object(object) => members(object, ordered)
            .into_iter()
            .filter(|(key, value)| {
                !SKIPPED_KEYS.contains(&key.as_str()) && !value.is_null() && !value.is_object() && !value.is_array()
            })
            .map(|(key, value)| (capitalised(key), python_text(value)))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let text = if item.is_object() || item.is_array() {
                    super::failure::python_repr(item)
                } else {
                    blank_null(item)
                };
                (format!("Column{}", index + 1), text)
            })
            .collect(),
        other => vec![("Result".to_owned(), blank_null(other))],
    }
}

/// tabulate leaves the cell of a null empty.
fn blank_null(value: &Value) -> String {
    if value.is_null() { String::new() } else { python_text(value) }
}

fn capitalised(key: &str) -> String {
    let mut characters = key.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// A cell of a table, which is one line.
fn cell(row: &[(String, String)], title: &str) -> String {
    row.iter().find(|(name, _)| name == title).map(|(_, text)| escaped(text)).unwrap_or_default()
}

fn line(cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let padded: Vec<String> = cells.zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
