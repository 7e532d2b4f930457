//! What an expression gives for a document: a value, or nothing where it is undefined, as in Cosmos DB's SQL.
//!
//! Undefined is what a missing member is, and what an operator or a function gives for values that it is not for. `AND` and
//! `OR` are decided without it where they can be; a document is found where the condition is true, and not where it is undefined.
//! Values of different types are neither equal nor unequal; only null may be compared with anything.

use ferrohub_model::limits::HUB_QUERY_ORDER_CHARS;
use ferrohub_wire::iothub_query::{Expression, Function, Literal, Operator, Step};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// A value, or nothing where it is undefined.
pub(super) type Given<'a> = Option<Cow<'a, Value>>;

/// Whether a condition holds for a document.
pub(super) fn holds(condition: &Expression, document: &Value) -> bool {
    truth(value(condition, document).as_deref()) == Some(true)
}

/// The value of an expression.
pub(super) fn value<'a>(expression: &'a Expression, document: &'a Value) -> Given<'a> {
    match expression {
        Expression::Literal(literal) => literal_value(literal).map(Cow::Owned),
        Expression::Path(steps) => member(document, steps).map(Cow::Borrowed),
        Expression::List(items) => {
            let items = items.iter().filter_map(|item| value(item, document)).map(Cow::into_owned);
            Some(Cow::Owned(Value::Array(items.collect())))
        }
        Expression::Not(inner) => bool_value(truth(value(inner, document).as_deref()).map(|is| !is)),
        Expression::Negative(inner) => arithmetic(Operator::Minus, &Value::from(0), value(inner, document)?.as_ref()),
        Expression::And(all) => bool_value(decided(all, document, false)),
        Expression::Or(some) => bool_value(decided(some, document, true)),
        Expression::Binary(operator, left, right) => {
            let (left, right) = (value(left, document)?, value(right, document)?);
            binary(*operator, left.as_ref(), right.as_ref())
        }
        Expression::In(one, list, wanted) => {
            let one = value(one, document)?;
            let among =
                list.iter().filter_map(|item| value(item, document)).any(|item| equal(&one, &item) == Some(true));
            bool_value(Some(among == *wanted))
        }
        Expression::Call(function, arguments) => call(*function, arguments, document),
    }
}

fn literal_value(literal: &Literal) -> Option<Value> {
    Some(match literal {
        Literal::Undefined => return None,
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Integer(value) => Value::from(*value),
        Literal::Float(value) => return number(*value),
        Literal::Text(value) => Value::from(value.as_str()),
    })
}

fn member<'a>(document: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(document, |value, step| match step {
        Step::Name(name) => value.as_object()?.get(name),
        Step::Index(index) => value.as_array()?.get(*index),
    })
}

fn truth(value: Option<&Value>) -> Option<bool> {
    value.and_then(Value::as_bool)
}

fn bool_value<'a>(value: Option<bool>) -> Given<'a> {
    value.map(|value| Cow::Owned(Value::Bool(value)))
}

/// `AND` (decided by a false) or `OR` (by a true) of all; undefined where none decides and one is undefined.
fn decided(all: &[Expression], document: &Value, by: bool) -> Option<bool> {
    let mut known = true;
    for one in all {
        match truth(value(one, document).as_deref()) {
            Some(is) if is == by => return Some(by),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(!by)
}

fn binary<'a>(operator: Operator, left: &Value, right: &Value) -> Given<'a> {
    let ordered = |is: fn(Ordering) -> bool| bool_value(compared(left, right).map(is));
    match operator {
        Operator::Equal => bool_value(equal(left, right)),
        Operator::Unequal => bool_value(equal(left, right).map(|is| !is)),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::AtMost => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::AtLeast => ordered(Ordering::is_ge),
        Operator::Plus | Operator::Minus | Operator::Times | Operator::Over | Operator::Modulo => {
            arithmetic(operator, left, right)
        }
    }
}

/// Whether two values of one type are the same; null is the same as null only, whatever the other is.
fn equal(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Some(left == right),
        (Value::Number(left), Value::Number(right)) => Some(numbers(left, right).is_eq()),
        (Value::Array(left), Value::Array(right)) => {
            let same = left.len() == right.len();
            Some(same && left.iter().zip(right).all(|(left, right)| equal(left, right) == Some(true)))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same =
                |(name, left): (&String, &Value)| right.get(name).is_some_and(|right| equal(left, right) == Some(true));
            Some(left.len() == right.len() && left.iter().all(same))
        }
        (Value::Bool(_), Value::Bool(_)) | (Value::String(_), Value::String(_)) => Some(left == right),
        _ => None,
    }
}

/// How two plain values of one type stand to each other.
fn compared(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => Some(numbers(left, right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn numbers(left: &Number, right: &Number) -> Ordering {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => as_float(left).total_cmp(&as_float(right)),
    }
}

fn as_float(number: &Number) -> f64 {
    // Zero has two signs and one value.
    number.as_f64().unwrap_or(f64::NAN) + 0.0
}

fn arithmetic<'a>(operator: Operator, left: &Value, right: &Value) -> Given<'a> {
    let (Value::Number(left), Value::Number(right)) = (left, right) else { return None };
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        let whole = match operator {
            Operator::Plus => left.checked_add(right),
            Operator::Minus => left.checked_sub(right),
            Operator::Times => left.checked_mul(right),
            Operator::Modulo => left.checked_rem(right),
            _ => None,
        };
        if let Some(whole) = whole {
            return Some(Cow::Owned(Value::from(whole)));
        }
    }
    let (left, right) = (as_float(left), as_float(right));
    number(match operator {
        Operator::Plus => left + right,
        Operator::Minus => left - right,
        Operator::Times => left * right,
        Operator::Over => left / right,
        _ => left % right,
    })
    .map(Cow::Owned)
}

/// The largest whole number up to which every one has a float of its own.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A number as JSON has it, a whole one without a point; nothing for what is no number.
#[expect(clippy::cast_possible_truncation, reason = "whole, and between the numbers that an i64 holds")]
pub(super) fn number(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() <= WHOLE {
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

fn call<'a>(function: Function, arguments: &'a [Expression], document: &'a Value) -> Given<'a> {
    let first = arguments.first().and_then(|argument| value(argument, document));
    if let Some(is) = kind(function, first.as_deref()) {
        return bool_value(Some(is));
    }
    let first = first?;
    let second = || arguments.get(1).and_then(|argument| value(argument, document));
    match function {
        Function::Concat => {
            let mut text = first.as_str()?.to_owned();
            for argument in &arguments[1..] {
                text.push_str(value(argument, document)?.as_str()?);
            }
            Some(Cow::Owned(text.into()))
        }
        Function::ListContains => {
            let (list, wanted) = (first.as_array()?, second()?);
            bool_value(Some(list.iter().any(|item| equal(item, &wanted) == Some(true))))
        }
        Function::ListLength => Some(Cow::Owned(first.as_array()?.len().into())),
        Function::Substring => {
            let third = arguments.get(2).map(|argument| value(argument, document));
            substring(first.as_str()?, second()?.as_ref(), third)
        }
        Function::StartsWith | Function::EndsWith | Function::Contains | Function::IndexOf => {
            of_texts(function, first.as_str()?, second()?.as_str()?)
        }
        Function::Length => Some(Cow::Owned(first.as_str()?.chars().count().into())),
        Function::Upper => Some(Cow::Owned(first.as_str()?.to_uppercase().into())),
        Function::Lower => Some(Cow::Owned(first.as_str()?.to_lowercase().into())),
        Function::AsNumber => match first.as_ref() {
            Value::Number(_) => Some(first),
            Value::String(text) => number(text.trim().parse().ok()?).map(Cow::Owned),
            _ => None,
        },
        Function::Power => number(first.as_f64()?.powf(second()?.as_f64()?)).map(Cow::Owned),
        _ => of_number(function, first.as_f64()?),
    }
}

/// What the functions say that ask for a type; they are never undefined.
fn kind(function: Function, value: Option<&Value>) -> Option<bool> {
    let is = |test: fn(&Value) -> bool| Some(value.is_some_and(test));
    match function {
        Function::IsDefined => Some(value.is_some()),
        Function::IsNull => is(Value::is_null),
        Function::IsBool => is(Value::is_boolean),
        Function::IsNumber => is(Value::is_number),
        Function::IsText => is(Value::is_string),
        Function::IsObject => is(Value::is_object),
        Function::IsList => is(Value::is_array),
        Function::IsPrimitive => is(|value| !value.is_object() && !value.is_array()),
        _ => None,
    }
}

fn of_texts<'a>(function: Function, text: &str, part: &str) -> Given<'a> {
    match function {
        Function::StartsWith => bool_value(Some(text.starts_with(part))),
        Function::EndsWith => bool_value(Some(text.ends_with(part))),
        Function::Contains => bool_value(Some(text.contains(part))),
        _ => {
            let at = text.find(part).map(|byte| text[..byte].chars().count());
            Some(Cow::Owned(at.map_or(Value::from(-1), Value::from)))
        }
    }
}

/// From a character on, counted from 0, to the end or at most so many.
fn substring<'a>(text: &str, start: &Value, length: Option<Given<'_>>) -> Given<'a> {
    let count = |value: &Value| value.as_f64().filter(|number| number.fract() == 0.0);
    let index = |number: f64| usize::try_from(number.clamp(0.0, WHOLE) as i64).unwrap_or(usize::MAX);
    let start = count(start).filter(|start| *start >= 0.0)?;
    let length = match length {
        None => usize::MAX,
        Some(length) => index(count(length?.as_ref())?),
    };
    let part: String = text.chars().skip(index(start)).take(length).collect();
    Some(Cow::Owned(part.into()))
}

fn of_number<'a>(function: Function, value: f64) -> Given<'a> {
    let result = match function {
        Function::Absolute => value.abs(),
        Function::Exp => value.exp(),
        Function::Square => value * value,
        Function::Ceiling => value.ceil(),
        Function::Floor => value.floor(),
        Function::Sign => {
            if value == 0.0 {
                0.0
            } else {
                value.signum()
            }
        }
        Function::SquareRoot => value.sqrt(),
        _ => return None,
    };
    number(result).map(Cow::Owned)
}

/// A value as results are put in order by it: plain ones as they are, long texts cut, what is none of these by its type alone.
pub(super) fn order_key(value: Given<'_>) -> Option<Value> {
    Some(match value?.into_owned() {
        Value::String(text) if text.chars().count() > HUB_QUERY_ORDER_CHARS => {
            text.chars().take(HUB_QUERY_ORDER_CHARS).collect::<String>().into()
        }
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(serde_json::Map::new()),
        plain => plain,
    })
}

/// Bytes of a value, about as many as its JSON has.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 8,
        Value::Array(items) => 8 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 8 + map.iter().map(|(name, value)| name.len() + 8 + size(value)).sum::<usize>(),
    }
}

/// The order of all values, as Cosmos DB has it: undefined, null, booleans, numbers, texts, lists, objects.
pub(super) fn in_order(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(_)) => 2,
        Some(Value::Number(_)) => 3,
        Some(Value::String(_)) => 4,
        Some(Value::Array(_)) => 5,
        Some(Value::Object(_)) => 6,
    };
    let within = || match (left, right) {
        // By what floats can say of both first, so that an order of three is one of each two of them.
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            as_float(left).total_cmp(&as_float(right)).then_with(|| match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left.cmp(&right),
                (left, right) => left.is_none().cmp(&right.is_none()),
            })
        }
        (Some(left), Some(right)) => compared(left, right).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    };
    rank(left).cmp(&rank(right)).then_with(within)
}

#[cfg(test)]
#[path = "eval_tests.rs"]
mod tests;
