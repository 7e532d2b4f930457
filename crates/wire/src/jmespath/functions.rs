//! The functions. Each has a row in [`SIGNATURES`], where types are checked, and an arm in [`run`].

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::RuntimeError;
use super::ast::{Argument, Node};
use super::eval::{Evaluator, Found};
use super::number;

/// Characters of a value that an error message shows.
const SHOWN_CHARS: usize = 100;

static NULL: Value = Value::Null;

/// What a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    String,
    Array,
    Object,
    Numbers,
    Strings,
    Expression,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
            Self::Numbers => "array-number",
            Self::Strings => "array-string",
            Self::Expression => "expref",
        }
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
            Self::Numbers => value.as_array().is_some_and(|items| items.iter().all(Value::is_number)),
            Self::Strings => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            Self::Expression => false,
        }
    }
}

/// Parameters of a function; an empty list of kinds accepts every value.
struct Signature {
    name: &'static str,
    parameters: &'static [&'static [Kind]],
    /// Whether the last parameter may be repeated.
    variadic: bool,
}

const fn takes(name: &'static str, parameters: &'static [&'static [Kind]]) -> Signature {
    Signature { name, parameters, variadic: false }
}

const fn takes_many(name: &'static str, parameters: &'static [&'static [Kind]]) -> Signature {
    Signature { name, parameters, variadic: true }
}

const ANY: &[Kind] = &[];
const COMPARABLES: &[Kind] = &[Kind::Numbers, Kind::Strings];

static SIGNATURES: [Signature; 26] = [
    takes("abs", &[&[Kind::Number]]),
    takes("avg", &[&[Kind::Numbers]]),
    takes("ceil", &[&[Kind::Number]]),
    takes("contains", &[&[Kind::Array, Kind::String], ANY]),
    takes("ends_with", &[&[Kind::String], &[Kind::String]]),
    takes("floor", &[&[Kind::Number]]),
    takes("join", &[&[Kind::String], &[Kind::Strings]]),
    takes("keys", &[&[Kind::Object]]),
    takes("length", &[&[Kind::String, Kind::Array, Kind::Object]]),
    takes("map", &[&[Kind::Expression], &[Kind::Array]]),
    takes("max", &[COMPARABLES]),
    takes("max_by", &[&[Kind::Array], &[Kind::Expression]]),
    takes_many("merge", &[&[Kind::Object]]),
    takes("min", &[COMPARABLES]),
    takes("min_by", &[&[Kind::Array], &[Kind::Expression]]),
    takes_many("not_null", &[ANY]),
    takes("reverse", &[&[Kind::Array, Kind::String]]),
    takes("sort", &[COMPARABLES]),
    takes("sort_by", &[&[Kind::Array], &[Kind::Expression]]),
    takes("starts_with", &[&[Kind::String], &[Kind::String]]),
    takes("sum", &[&[Kind::Numbers]]),
    takes("to_array", &[ANY]),
    takes("to_number", &[ANY]),
    takes("to_string", &[ANY]),
    takes("type", &[ANY]),
    takes("values", &[&[Kind::Object]]),
];

/// An argument after evaluation.
enum Given<'v> {
    Value(Cow<'v, Value>),
    Expression(&'v Node),
}

/// Calls the function `name`.
pub(super) fn call<'v>(evaluator: &Evaluator, name: &str, arguments: &'v [Argument], value: &'v Value) -> Found<'v> {
    let Some(signature) = SIGNATURES.iter().find(|signature| signature.name == name) else {
        return Err(RuntimeError::UnknownFunction { name: name.to_owned() });
    };
    let mut given = Vec::with_capacity(arguments.len());
    for argument in arguments {
        given.push(match argument {
            Argument::Value(node) => Given::Value(evaluator.eval(node, value)?),
            Argument::Expression(node) => Given::Expression(node),
        });
    }
    check(signature, &given)?;
    run(evaluator, signature.name, &given).map(Cow::Owned)
}

fn check(signature: &Signature, given: &[Given<'_>]) -> Result<(), RuntimeError> {
    let expected = signature.parameters.len();
    if given.len() < expected || (given.len() > expected && !signature.variadic) {
        return Err(RuntimeError::Arity {
            function: signature.name,
            expected,
            at_least: signature.variadic,
            actual: given.len(),
        });
    }
    for (index, argument) in given.iter().enumerate() {
        let kinds = signature.parameters[index.min(expected - 1)];
        let fits = match argument {
            Given::Expression(_) => kinds.contains(&Kind::Expression),
            Given::Value(value) => kinds.is_empty() || kinds.iter().any(|kind| kind.accepts(value)),
        };
        if !fits {
            let expected = kinds.iter().map(|kind| kind.name()).collect();
            return Err(match argument {
                Given::Expression(_) => type_error(signature.name, "&expression".into(), "expref", expected),
                Given::Value(value) => type_error(signature.name, shown(value), type_name(value), expected),
            });
        }
    }
    Ok(())
}

fn run(evaluator: &Evaluator, name: &'static str, given: &[Given<'_>]) -> Result<Value, RuntimeError> {
    let first = value_at(given, 0);
    let second = value_at(given, 1);
    let items = items_of(first);
    match name {
        "abs" => Ok(absolute(first)),
        "avg" if items.is_empty() => Ok(Value::Null),
        "avg" => Ok(number::from_float(float_sum(items) / items.len() as f64)),
        "ceil" => Ok(rounded(first, f64::ceil)),
        "contains" => Ok(Value::Bool(contains(first, second))),
        "ends_with" => Ok(Value::Bool(text_of(first).ends_with(text_of(second)))),
        "floor" => Ok(rounded(first, f64::floor)),
        "join" => join(evaluator, text_of(first), items_of(second)),
        "keys" => keys(evaluator, first),
        "length" => Ok(number::from_integer(length(first) as i128)),
        "map" => map(evaluator, expression_at(given, 0), items_of(second)),
        "max" => extreme(evaluator, items, items, Ordering::Greater),
        "min" => extreme(evaluator, items, items, Ordering::Less),
        "max_by" | "min_by" => {
            let wanted = if name == "max_by" { Ordering::Greater } else { Ordering::Less };
            let keys = sort_keys(evaluator, name, items, expression_at(given, 1))?;
            extreme(evaluator, items, &keys, wanted)
        }
        "merge" => merge(evaluator, given),
        "not_null" => match (0..given.len()).map(|at| value_at(given, at)).find(|value| !value.is_null()) {
            Some(value) => evaluator.copy(value),
            None => Ok(Value::Null),
        },
        "reverse" => reverse(evaluator, first),
        "sort" => sorted(evaluator, items, items),
        "sort_by" => {
            let keys = sort_keys(evaluator, name, items, expression_at(given, 1))?;
            sorted(evaluator, items, &keys)
        }
        "starts_with" => Ok(Value::Bool(text_of(first).starts_with(text_of(second)))),
        "sum" => Ok(sum(items)),
        "to_array" if first.is_array() => evaluator.copy(first),
        "to_array" => Ok(Value::Array(vec![evaluator.copy(first)?])),
        "to_number" => Ok(to_number(first)),
        "to_string" => to_string(evaluator, first),
        "type" => Ok(Value::String(type_name(first).to_owned())),
        "values" => match first.as_object() {
            Some(members) => copies(evaluator, members.values()),
            None => Ok(Value::Null),
        },
        _ => Err(RuntimeError::UnknownFunction { name: name.to_owned() }),
    }
}

fn value_at<'a>(given: &'a [Given<'_>], index: usize) -> &'a Value {
    match given.get(index) {
        Some(Given::Value(value)) => value,
        _ => &NULL,
    }
}

/// The expression at `index`; [`check`] has made sure that it is one.
fn expression_at<'a>(given: &[Given<'a>], index: usize) -> &'a Node {
    match given.get(index) {
        Some(Given::Expression(node)) => node,
        _ => &Node::Identity,
    }
}

fn items_of(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn copies<'a>(evaluator: &Evaluator, values: impl Iterator<Item = &'a Value>) -> Result<Value, RuntimeError> {
    let copies: Result<Vec<Value>, RuntimeError> = values.map(|value| evaluator.copy(value)).collect();
    copies.map(Value::Array)
}

fn absolute(value: &Value) -> Value {
    match value.as_number().map(|found| (number::integer(found), number::float(found))) {
        Some((Some(integer), _)) => number::from_integer(integer.abs()),
        Some((None, float)) => number::from_float(float.abs()),
        None => Value::Null,
    }
}

/// Rounded to an integer; a float too large for one stays what it is.
fn rounded(value: &Value, round: fn(f64) -> f64) -> Value {
    match value.as_f64().map(round) {
        // Within 2^63 the cast keeps the value, because it has no fraction.
        Some(float) if value.is_f64() && float.abs() < 9.2e18 => number::from_integer(float as i128),
        _ => value.clone(),
    }
}

fn float_sum(items: &[Value]) -> f64 {
    items.iter().filter_map(Value::as_f64).sum()
}

fn sum(items: &[Value]) -> Value {
    let integers: Option<Vec<i128>> = items.iter().map(|item| item.as_number().and_then(number::integer)).collect();
    match integers {
        Some(integers) => number::from_integer(integers.iter().sum()),
        None => number::from_float(float_sum(items)),
    }
}

fn contains(subject: &Value, wanted: &Value) -> bool {
    match (subject, wanted) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), wanted) => items.iter().any(|item| number::equal(item, wanted)),
        _ => false,
    }
}

fn join(evaluator: &Evaluator, glue: &str, items: &[Value]) -> Result<Value, RuntimeError> {
    let texts: Vec<&str> = items.iter().map(text_of).collect();
    let size = texts.iter().map(|text| text.len() + glue.len()).sum();
    evaluator.charge(size)?;
    Ok(Value::String(texts.join(glue)))
}

fn keys(evaluator: &Evaluator, value: &Value) -> Result<Value, RuntimeError> {
    let mut keys = Vec::new();
    for key in value.as_object().into_iter().flat_map(Map::keys) {
        evaluator.charge(key.len())?;
        keys.push(Value::String(key.clone()));
    }
    Ok(Value::Array(keys))
}

/// Characters (code points), elements or members.
fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    }
}

/// Unlike a projection, it keeps nulls.
fn map(evaluator: &Evaluator, node: &Node, items: &[Value]) -> Result<Value, RuntimeError> {
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let found = evaluator.eval(node, item)?;
        results.push(evaluator.own(found)?);
    }
    Ok(Value::Array(results))
}

/// The first item whose key is `wanted` (greatest or least) among `keys`; null of none.
fn extreme(evaluator: &Evaluator, items: &[Value], keys: &[Value], wanted: Ordering) -> Result<Value, RuntimeError> {
    let mut best: Option<(&Value, &Value)> = None;
    for (item, key) in items.iter().zip(keys) {
        if best.is_none_or(|(_, top)| number::order(key, top) == Some(wanted)) {
            best = Some((item, key));
        }
    }
    best.map_or(Ok(Value::Null), |(item, _)| evaluator.copy(item))
}

/// Items in the order of their keys; equal ones stay as they were.
fn sorted(evaluator: &Evaluator, items: &[Value], keys: &[Value]) -> Result<Value, RuntimeError> {
    let mut pairs: Vec<(&Value, &Value)> = items.iter().zip(keys).collect();
    pairs.sort_by(|(_, left), (_, right)| number::order(left, right).unwrap_or(Ordering::Equal));
    copies(evaluator, pairs.into_iter().map(|(item, _)| item))
}

/// One key for each item: all numbers or all strings.
fn sort_keys(
    evaluator: &Evaluator,
    function: &'static str,
    items: &[Value],
    node: &Node,
) -> Result<Vec<Value>, RuntimeError> {
    let mut keys: Vec<Value> = Vec::with_capacity(items.len());
    for item in items {
        let found = evaluator.eval(node, item)?;
        let key = evaluator.own(found)?;
        let expected = match keys.first() {
            Some(Value::Number(_)) => vec!["number"],
            Some(_) => vec!["string"],
            None => vec!["number", "string"],
        };
        if !expected.contains(&type_name(&key)) {
            return Err(type_error(function, shown(&key), type_name(&key), expected));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn merge(evaluator: &Evaluator, given: &[Given<'_>]) -> Result<Value, RuntimeError> {
    let mut merged = Map::new();
    for index in 0..given.len() {
        for (key, member) in value_at(given, index).as_object().into_iter().flatten() {
            evaluator.charge(key.len())?;
            merged.insert(key.clone(), evaluator.copy(member)?);
        }
    }
    Ok(Value::Object(merged))
}

fn reverse(evaluator: &Evaluator, value: &Value) -> Result<Value, RuntimeError> {
    match value {
        Value::String(text) => {
            evaluator.charge(text.len())?;
            Ok(Value::String(text.chars().rev().collect()))
        }
        other => copies(evaluator, items_of(other).iter().rev()),
    }
}

fn to_number(value: &Value) -> Value {
    match value {
        Value::Number(_) => value.clone(),
        Value::String(text) => serde_json::from_str::<Number>(text.trim()).map_or(Value::Null, Value::Number),
        _ => Value::Null,
    }
}

/// Strings stay, all else becomes compact JSON.
fn to_string(evaluator: &Evaluator, value: &Value) -> Result<Value, RuntimeError> {
    if value.is_string() {
        return evaluator.copy(value);
    }
    let text = value.to_string();
    evaluator.charge(text.len())?;
    Ok(Value::String(text))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(SHOWN_CHARS).collect()
}

fn type_error(
    function: &'static str,
    value: String,
    actual: &'static str,
    expected: Vec<&'static str>,
) -> RuntimeError {
    RuntimeError::Type { function, value, expected, actual }
}
