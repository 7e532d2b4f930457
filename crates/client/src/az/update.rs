//! The generic update: `--set a.b=c list[0].x=y`, `--add path k=v`, `--remove path [index]`.

use super::args::{Args, GENERIC_END};
use super::failure::{Failure, Result, python_repr, python_str};
use super::json_text;
use serde_json::{Map, Value};

/// Applies the generic options to `resource`.
///
/// # Errors
/// A path that does not exist, or a malformed expression; exit 1.
pub(crate) fn apply(args: &Args, resource: &mut Value) -> Result<()> {
    let force = args.flag("--force-string");
    for expressions in groups(args, "--set") {
        for expression in expressions {
            let (path, value) = expression.split_once('=').ok_or_else(|| usage("--set", "<property1>=<value>"))?;
            set(resource, &steps(path)?, literal(value, force))?;
        }
    }
    for expressions in groups(args, "--add") {
        let [path, values @ ..] = expressions else {
            continue;
        };
        add(resource, &steps(path)?, values, force)?;
    }
    for expressions in groups(args, "--remove") {
        match expressions {
            [path] => remove(resource, &steps(path)?)?,
            [path, index] => remove(resource, &steps(&format!("{path}[{index}]"))?)?,
            _ => {
                return Err(usage("--remove", "<list_to_update> <index> or <property_to_remove>"));
            }
        }
    }
    Ok(())
}

/// The same for a resource whose tags are text, whatever a value looks like, as Azure's `az` sends them.
///
/// # Errors
/// As [`apply`].
pub(crate) fn apply_tagged(args: &Args, resource: &mut Value) -> Result<()> {
    apply(args, resource)?;
    for value in resource.get_mut("tags").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if !value.is_null() {
            *value = Value::String(python_str(value));
        }
    }
    Ok(())
}

/// Whether any generic option was given.
pub(crate) fn requested(args: &Args) -> bool {
    ["--set", "--add", "--remove"].into_iter().any(|key| args.given(key))
}

fn groups<'a>(args: &'a Args, key: &'static str) -> Vec<&'a [String]> {
    let all = args.list(key).unwrap_or_default();
    all.split(|value| value == GENERIC_END).filter(|group| !group.is_empty()).collect()
}

fn usage(option: &str, form: &str) -> Failure {
    Failure::error(format!("incorrect usage: {option} {form}"))
}

fn literal(value: &str, force_text: bool) -> Value {
    let parsed = if force_text { None } else { json_text::parse(value).ok() };
    parsed.unwrap_or_else(|| Value::String(value.to_owned()))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// `[name=value]`: the list's element with that property.
    Matching(String, String),
}

/// Splits `a.b[0].c[name=x]`; a dot may be escaped as `\.`.
fn steps(path: &str) -> Result<Vec<Step>> {
    let malformed = || Failure::error(format!("'{path}' is not a property path."));
    let mut steps = Vec::new();
    let mut key = String::new();
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.extend(characters.next()),
            '.' | '[' => {
                if !key.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut key)));
                }
                if character == '[' {
                    let inside: String = characters.by_ref().take_while(|c| *c != ']').collect();
                    steps.push(match inside.split_once('=') {
                        Some((name, value)) => Step::Matching(name.to_owned(), value.to_owned()),
                        None => Step::Index(inside.parse().map_err(|_| malformed())?),
                    });
                }
            }
            other => key.push(other),
        }
    }
    if !key.is_empty() {
        steps.push(Step::Key(key));
    }
    if steps.is_empty() { Err(malformed()) } else { Ok(steps) }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Matching(name, value) => write!(f, "[{name}={value}]"),
        }
    }
}

/// `az`'s text for a step that leads nowhere; `path` is how far it came.
fn not_there(step: &Step, path: &[Step], at: &Value) -> Failure {
    let parent = path.iter().map(Step::to_string).collect::<Vec<_>>().join(".").replace(".[", "[");
    let rest = match at {
        Value::Object(members) => {
            let mut options: Vec<&String> = members.keys().collect();
            options.sort();
            let options = options.into_iter().map(|key| Value::String(key.clone())).collect();
            format!(" Available options: {}", python_repr(&Value::Array(options)))
        }
        Value::Array(_) => {
            format!(" Available options: index into the collection '{parent}' with [<index>] or [<key=value>]")
        }
        _ => format!(" '{parent}' does not support further indexing."),
    };
    Failure::error(format!("Couldn't find '{step}' in '{parent}'.{rest}"))
}

/// Members that Azure's resources have and an answer may leave out: a path may lead through them.
const KNOWN: &[&str] = &[
    "tags",
    "identity",
    "sku",
    "properties",
    "networkRuleSets",
    "encryption",
    "deviceRegistry",
    "userAssignedIdentities",
];

/// The value behind a path, every step of which must lead somewhere; what is null on the way becomes an object where
/// `create`.
fn enter<'v>(root: &'v mut Value, path: &[Step], create: bool) -> Result<&'v mut Value> {
    let mut at = root;
    for (index, step) in path.iter().enumerate() {
        let missing = not_there(step, &path[..index], at);
        let found = match (at, step) {
            (Value::Object(members), Step::Key(key)) => match create && KNOWN.contains(&key.as_str()) {
                true => Some(members.entry(key.clone()).or_insert(Value::Null)),
                false => members.get_mut(key),
            },
            (Value::Array(items), Step::Index(index)) => items.get_mut(*index),
            (Value::Array(items), Step::Matching(name, value)) => {
                items.iter_mut().find(|item| item.get(name).and_then(Value::as_str) == Some(value))
            }
            _ => None,
        };
        at = found.ok_or(missing)?;
        if create && at.is_null() {
            *at = Value::Object(Map::new());
        }
    }
    Ok(at)
}

fn set(root: &mut Value, steps: &[Step], value: Value) -> Result<()> {
    let Some((last, parents)) = steps.split_last() else { return Ok(()) };
    let at = enter(root, parents, true)?;
    let missing = not_there(last, parents, at);
    match (at, last) {
        (Value::Object(members), Step::Key(key)) => {
            members.insert(key.clone(), value);
        }
        (Value::Array(items), Step::Index(index)) if *index < items.len() => items[*index] = value,
        _ => return Err(missing),
    }
    Ok(())
}

fn add(root: &mut Value, steps: &[Step], values: &[String], force: bool) -> Result<()> {
    let Some((last, parents)) = steps.split_last() else { return Ok(()) };
    let at = enter(root, parents, true)?;
    let at = match (at, last) {
        (Value::Object(members), Step::Key(key)) => members.entry(key.clone()).or_insert(Value::Null),
        (at, last) => enter(at, std::slice::from_ref(last), false)?,
    };
    if at.is_null() {
        *at = Value::Array(Vec::new());
    }
    let Value::Array(list) = at else {
        return Err(Failure::error("--add: the property is not a list."));
    };
    let mut object = Map::new();
    for value in values {
        match value.split_once('=') {
            Some((key, text)) if !value.starts_with(['{', '[', '"']) => {
                object.insert(key.to_owned(), literal(text, force));
            }
            _ => list.push(literal(value, force)),
        }
    }
    if !object.is_empty() {
        list.push(Value::Object(object));
    }
    Ok(())
}

fn remove(root: &mut Value, steps: &[Step]) -> Result<()> {
    let Some((last, parents)) = steps.split_last() else {
        return Ok(());
    };
    let at = enter(root, parents, false)?;
    let missing = not_there(last, parents, at);
    match (at, last) {
        (Value::Object(members), Step::Key(key)) if members.contains_key(key) => {
            members.shift_remove(key);
        }
        (Value::Array(items), Step::Index(index)) if *index < items.len() => {
            items.remove(*index);
        }
        _ => return Err(missing),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Vec<Step> {
        steps(text).unwrap()
    }

    #[test]
    fn set_makes_the_last_member_and_no_other() {
        let mut value = json!({"tags": null, "list": [{"name": "a"}]});
        set(&mut value, &path("tags.x"), literal("5", false)).unwrap();
        set(&mut value, &path("properties.deep"), literal("true", true)).unwrap();
        set(&mut value, &path("list[name=a].v"), literal("text", false)).unwrap();
        assert_eq!(
            value,
            json!({"tags": {"x": 5}, "list": [{"name": "a", "v": "text"}], "properties": {"deep": "true"}})
        );
        for (unknown, text) in [
            (
                "list[7].v",
                "Couldn't find '[7]' in 'list'. Available options: index into the collection 'list' with [<index>] or [<key=value>]",
            ),
            ("properties.nope.x", "Couldn't find 'nope' in 'properties'. Available options: ['deep']"),
            ("nope.x", "Couldn't find 'nope' in ''. Available options: ['list', 'properties', 'tags']"),
            ("tags.x.y", "Couldn't find 'y' in 'tags.x'. 'tags.x' does not support further indexing."),
            ("list[0].v.w", "Couldn't find 'w' in 'list[0].v'. 'list[0].v' does not support further indexing."),
        ] {
            let failure = set(&mut value, &path(unknown), Value::Null).unwrap_err();
            assert_eq!((failure.exit, failure.message.as_str()), (1, text));
        }
    }

    #[test]
    fn add_and_remove() {
        let mut value = json!({"list": [1]});
        add(&mut value, &path("list"), &["k=v".into(), "n=2".into()], false).unwrap();
        add(&mut value, &path("fresh"), &["{\"a\":1}".into()], false).unwrap();
        assert_eq!(value, json!({"list": [1, {"k": "v", "n": 2}], "fresh": [{"a": 1}]}));
        remove(&mut value, &path("list[0]")).unwrap();
        remove(&mut value, &path("fresh")).unwrap();
        assert_eq!(value, json!({"list": [{"k": "v", "n": 2}]}));
        assert!(remove(&mut value, &path("nope")).unwrap_err().message.ends_with("Available options: ['list']"));
    }

    #[test]
    fn paths() {
        assert_eq!(path(r"a\.b[0].c"), [Step::Key("a.b".into()), Step::Index(0), Step::Key("c".into())]);
        assert!(steps("").is_err());
        assert!(steps("a[x]").is_err());
    }
}
