//! The scalar functions and operators: what they take, what they yield, and how.

use super::dynamics::{self, listed, place_of, with_array};
use super::texts;
use super::times;
use super::value::{TEXT_BYTES, Type, Value};
use std::cmp::Ordering;

/// A function over values; nothing in it waits or panics, and it takes no more steps than its values have bytes.
pub(crate) type Quick = for<'a, 's> fn(&'a [Value<'s>]) -> Value<'s>;

/// How a function yields.
#[derive(Clone, Copy)]
pub(crate) enum Eval {
    Quick(Quick),
    /// One that takes more steps, and asks in between whether it is to go on.
    Long(for<'a, 's> fn(&'a [Value<'s>], &dyn Fn() -> bool) -> Value<'s>),
}

/// A function by its name in the language.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// Fewest and most arguments.
    pub(crate) arity: (usize, usize),
    /// What it yields; `None`: the type of its first argument.
    pub(crate) kind: Option<Type>,
    pub(crate) eval: Eval,
}

impl Function {
    /// Its value; nothing once it is not to go on.
    pub(crate) fn call<'s>(&self, values: &[Value<'s>], goes_on: &dyn Fn() -> bool) -> Value<'s> {
        match self.eval {
            Eval::Quick(eval) => eval(values),
            Eval::Long(eval) => eval(values, goes_on),
        }
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn row(name: &'static str, arity: (usize, usize), kind: Type, eval: Quick) -> Function {
    Function { name, arity, kind: Some(kind), eval: Eval::Quick(eval) }
}

const fn same(name: &'static str, arity: (usize, usize), eval: Quick) -> Function {
    Function { name, arity, kind: None, eval: Eval::Quick(eval) }
}

const MANY: usize = 64;

use Type::{Bool, DateTime, Dynamic, Long, Real, String as Str, TimeSpan};

/// Operators and functions. What looks at its arguments only when it must, or needs to know them before, is in `expressions`.
pub(crate) static ALL: &[Function] = &[
    row("==", (2, 2), Bool, |v| flag(v[0].equals(&v[1]))),
    row("!=", (2, 2), Bool, |v| flag(v[0].equals(&v[1]).map(|same| !same))),
    row("<", (2, 2), Bool, |v| ordered(v, Ordering::is_lt)),
    row("<=", (2, 2), Bool, |v| ordered(v, Ordering::is_le)),
    row(">", (2, 2), Bool, |v| ordered(v, Ordering::is_gt)),
    row(">=", (2, 2), Bool, |v| ordered(v, Ordering::is_ge)),
    row("..", (3, 3), Bool, between),
    row("=~", (2, 2), Bool, |v| texts_hold(v, texts::same)),
    row("!~", (2, 2), Bool, |v| texts_fail(v, texts::same)),
    row("contains", (2, 2), Bool, |v| texts_hold(v, texts::contains)),
    row("!contains", (2, 2), Bool, |v| texts_fail(v, texts::contains)),
    row("contains_cs", (2, 2), Bool, |v| texts_hold(v, |a, b| a.contains(b))),
    row("!contains_cs", (2, 2), Bool, |v| texts_fail(v, |a, b| a.contains(b))),
    row("startswith", (2, 2), Bool, |v| texts_hold(v, texts::starts)),
    row("!startswith", (2, 2), Bool, |v| texts_fail(v, texts::starts)),
    row("startswith_cs", (2, 2), Bool, |v| texts_hold(v, |a, b| a.starts_with(b))),
    row("!startswith_cs", (2, 2), Bool, |v| texts_fail(v, |a, b| a.starts_with(b))),
    row("endswith", (2, 2), Bool, |v| texts_hold(v, texts::ends)),
    row("!endswith", (2, 2), Bool, |v| texts_fail(v, texts::ends)),
    row("endswith_cs", (2, 2), Bool, |v| texts_hold(v, |a, b| a.ends_with(b))),
    row("!endswith_cs", (2, 2), Bool, |v| texts_fail(v, |a, b| a.ends_with(b))),
    row("has", (2, 2), Bool, |v| texts_hold(v, texts::HAS)),
    row("!has", (2, 2), Bool, |v| texts_fail(v, texts::HAS)),
    row("has_cs", (2, 2), Bool, |v| texts_hold(v, texts::HAS_CS)),
    row("!has_cs", (2, 2), Bool, |v| texts_fail(v, texts::HAS_CS)),
    row("hasprefix", (2, 2), Bool, |v| texts_hold(v, texts::HAS_PREFIX)),
    row("!hasprefix", (2, 2), Bool, |v| texts_fail(v, texts::HAS_PREFIX)),
    row("hasprefix_cs", (2, 2), Bool, |v| texts_hold(v, texts::HAS_PREFIX_CS)),
    row("!hasprefix_cs", (2, 2), Bool, |v| texts_fail(v, texts::HAS_PREFIX_CS)),
    row("hassuffix", (2, 2), Bool, |v| texts_hold(v, texts::HAS_SUFFIX)),
    row("!hassuffix", (2, 2), Bool, |v| texts_fail(v, texts::HAS_SUFFIX)),
    row("hassuffix_cs", (2, 2), Bool, |v| texts_hold(v, texts::HAS_SUFFIX_CS)),
    row("!hassuffix_cs", (2, 2), Bool, |v| texts_fail(v, texts::HAS_SUFFIX_CS)),
    Function { name: "has_any", arity: (2, 2), kind: Some(Bool), eval: Eval::Long(|v, on| has_words(v, false, on)) },
    Function { name: "has_all", arity: (2, 2), kind: Some(Bool), eval: Eval::Long(|v, on| has_words(v, true, on)) },
    row("not", (1, 1), Bool, |v| flag(v[0].as_bool().map(|holds| !holds))),
    row("isempty", (1, 1), Bool, |v| Value::Bool(v[0].to_text().is_empty())),
    row("isnotempty", (1, 1), Bool, |v| Value::Bool(!v[0].to_text().is_empty())),
    row("notempty", (1, 1), Bool, |v| Value::Bool(!v[0].to_text().is_empty())),
    row("isnull", (1, 1), Bool, |v| Value::Bool(v[0].is_null())),
    row("isnotnull", (1, 1), Bool, |v| Value::Bool(!v[0].is_null())),
    row("notnull", (1, 1), Bool, |v| Value::Bool(!v[0].is_null())),
    row("tostring", (1, 1), Str, |v| Value::Text(v[0].to_text())),
    row("toint", (1, 1), Long, to_long),
    row("tolong", (1, 1), Long, to_long),
    row("todouble", (1, 1), Real, to_real),
    row("toreal", (1, 1), Real, to_real),
    row("todecimal", (1, 1), Real, to_real),
    row("tobool", (1, 1), Bool, to_bool),
    row("toboolean", (1, 1), Bool, to_bool),
    row("todatetime", (1, 1), DateTime, to_datetime),
    row("totimespan", (1, 1), TimeSpan, to_timespan),
    row("toguid", (1, 1), Str, |v| made(v[0].to_text().to_lowercase())),
    row("todynamic", (1, 1), Dynamic, dynamics::parse_json),
    row("parse_json", (1, 1), Dynamic, dynamics::parse_json),
    row("parsejson", (1, 1), Dynamic, dynamics::parse_json),
    row("toobject", (1, 1), Dynamic, dynamics::parse_json),
    row("tolower", (1, 1), Str, |v| made(v[0].to_text().to_lowercase())),
    row("toupper", (1, 1), Str, |v| made(v[0].to_text().to_uppercase())),
    row("strcat", (1, MANY), Str, |v| made_of(v.iter(), "")),
    row("strcat_delim", (2, MANY), Str, |v| made_of(v[1..].iter(), &v[0].to_text())),
    row("strcat_array", (2, 2), Str, dynamics::strcat_array),
    row("split", (2, 3), Dynamic, texts::split),
    row("substring", (2, 3), Str, texts::substring),
    row("strlen", (1, 1), Long, |v| whole(v[0].to_text().chars().count())),
    row("replace_string", (3, 3), Str, |v| made(texts::replaced(&v[0].to_text(), &v[1].to_text(), &v[2].to_text()))),
    row("indexof", (2, 2), Long, |v| texts::index_of(&v[0].to_text(), &v[1].to_text())),
    row("countof", (2, 2), Long, |v| texts::count_of(&v[0].to_text(), &v[1].to_text())),
    row("reverse", (1, 1), Str, |v| made(v[0].to_text().chars().rev().collect::<String>())),
    row("array_length", (1, 1), Long, |v| with_array(&v[0], |items| whole(items.len()))),
    row("array_index_of", (2, 2), Long, |v| {
        with_array(&v[0], |items| place_of(items, &v[1]).map_or(Value::Long(-1), whole))
    }),
    row("array_concat", (1, MANY), Dynamic, dynamics::array_concat),
    row("bag_keys", (1, 1), Dynamic, dynamics::bag_keys),
    row("bag_has_key", (2, 2), Bool, dynamics::bag_has_key),
    row("bag_merge", (1, MANY), Dynamic, dynamics::bag_merge),
    row("pack", (0, MANY), Dynamic, dynamics::bag_pack),
    row("bag_pack", (0, MANY), Dynamic, dynamics::bag_pack),
    row("pack_dictionary", (0, MANY), Dynamic, dynamics::bag_pack),
    row("pack_array", (0, MANY), Dynamic, dynamics::pack_array),
    row("set_has_element", (2, 2), Bool, |v| with_array(&v[0], |items| Value::Bool(place_of(items, &v[1]).is_some()))),
    row("datetime_diff", (3, 3), Long, datetime_diff),
    row("datetime_add", (3, 3), DateTime, datetime_add),
    row("startofday", (1, 2), DateTime, |v| start(v, "day")),
    row("startofweek", (1, 2), DateTime, |v| start(v, "week")),
    row("startofmonth", (1, 2), DateTime, |v| start(v, "month")),
    row("startofyear", (1, 2), DateTime, |v| start(v, "year")),
    row("format_datetime", (2, 2), Str, format_datetime),
    row("getyear", (1, 1), Long, |v| calendar(v, |at| i64::from(at.year()))),
    row("getmonth", (1, 1), Long, |v| calendar(v, |at| i64::from(at.month()))),
    row("monthofyear", (1, 1), Long, |v| calendar(v, |at| i64::from(at.month()))),
    row("dayofmonth", (1, 1), Long, |v| calendar(v, |at| i64::from(at.day()))),
    row("dayofyear", (1, 1), Long, |v| calendar(v, |at| i64::from(at.day_of_year()))),
    row("hourofday", (1, 1), Long, |v| calendar(v, |at| i64::from(at.hour()))),
    row("dayofweek", (1, 1), TimeSpan, |v| match calendar(v, |at| i64::from(at.weekday().to_sunday_zero_offset())) {
        Value::Long(days) => Value::TimeSpan(days * times::DAY),
        other => other,
    }),
    same("bin", (2, 2), bin),
    same("floor", (2, 2), bin),
    same("abs", (1, 1), |v| match &v[0] {
        Value::Long(number) => number.checked_abs().map_or(Value::Null, Value::Long),
        Value::TimeSpan(span) => span.checked_abs().map_or(Value::Null, Value::TimeSpan),
        other => other.as_real().map_or(Value::Null, |number| Value::Real(number.abs())),
    }),
    row("round", (1, 2), Real, |v| {
        let places = v.get(1).map_or(Some(0), Value::as_long).filter(|places| (-15..=15).contains(places));
        match (v[0].as_real(), places) {
            (Some(number), Some(places)) => {
                let factor = 10f64.powi(i32::try_from(places).unwrap_or(0));
                Value::Real((number * factor).round() / factor)
            }
            _ => Value::Null,
        }
    }),
    row("ceiling", (1, 1), Real, |v| v[0].as_real().map_or(Value::Null, |number| Value::Real(number.ceil()))),
    row("gettype", (1, 1), Str, |v| Value::text(kind_of(&v[0]))),
];

/// The function or operator of this name.
pub(crate) fn find(name: &str) -> Option<Function> {
    ALL.iter().find(|function| function.name == name).copied()
}

/// The conversion to a type.
pub(crate) fn conversion(name: &str) -> Option<Function> {
    find(match name {
        "string" => "tostring",
        "long" | "int" => "tolong",
        "real" | "double" | "decimal" => "todouble",
        "bool" | "boolean" => "tobool",
        "datetime" | "date" => "todatetime",
        "timespan" | "time" => "totimespan",
        "dynamic" => "todynamic",
        _ => return None,
    })
}

pub(crate) fn flag<'s>(holds: Option<bool>) -> Value<'s> {
    holds.map_or(Value::Null, Value::Bool)
}

/// A text that was made; nothing where it is too long.
pub(crate) fn made<'s>(text: String) -> Value<'s> {
    if text.len() > TEXT_BYTES { Value::Null } else { Value::made(text) }
}

pub(crate) fn whole<'s>(count: usize) -> Value<'s> {
    Value::Long(i64::try_from(count).unwrap_or(i64::MAX))
}

fn ordered<'s>(v: &[Value<'s>], holds: fn(Ordering) -> bool) -> Value<'s> {
    flag(v[0].order(&v[1]).map(holds))
}

/// Whether the first lies between the others; a span behind a moment counts from that moment.
fn between<'s>(v: &[Value<'s>]) -> Value<'s> {
    let end = match (&v[0], &v[2]) {
        (Value::DateTime(_), Value::TimeSpan(_)) => arithmetic("+", &v[1], &v[2]),
        (_, end) => end.clone(),
    };
    match (v[0].order(&v[1]).map(Ordering::is_ge), v[0].order(&end).map(Ordering::is_le)) {
        (Some(false), _) | (_, Some(false)) => Value::Bool(false),
        (Some(true), Some(true)) => Value::Bool(true),
        _ => Value::Null,
    }
}

fn has_words<'s>(v: &[Value<'s>], every: bool, goes_on: &dyn Fn() -> bool) -> Value<'s> {
    texts::has_words(&v[0].to_text(), &listed(&v[1]), every, goes_on)
}

fn texts_hold<'s>(v: &[Value<'s>], holds: fn(&str, &str) -> bool) -> Value<'s> {
    Value::Bool(holds(&v[0].to_text(), &v[1].to_text()))
}

fn texts_fail<'s>(v: &[Value<'s>], holds: fn(&str, &str) -> bool) -> Value<'s> {
    Value::Bool(!holds(&v[0].to_text(), &v[1].to_text()))
}

pub(super) fn made_of<'a, 's: 'a>(parts: impl Iterator<Item = &'a Value<'s>>, between: &str) -> Value<'s> {
    let mut text = String::new();
    for (number, part) in parts.enumerate() {
        if number > 0 {
            text.push_str(between);
        }
        text.push_str(&part.to_text());
        if text.len() > TEXT_BYTES {
            return Value::Null;
        }
    }
    Value::made(text)
}

fn to_long<'s>(v: &[Value<'s>]) -> Value<'s> {
    match &v[0] {
        Value::Long(number) => Value::Long(*number),
        Value::Bool(holds) => Value::Long(i64::from(*holds)),
        Value::Real(number) if number.abs() < 9.2e18 => Value::Long(number.trunc() as i64),
        Value::DateTime(ticks) | Value::TimeSpan(ticks) => Value::Long(*ticks),
        Value::Text(text) => text.trim().parse().map_or(Value::Null, Value::Long),
        _ => Value::Null,
    }
}

fn to_real<'s>(v: &[Value<'s>]) -> Value<'s> {
    match &v[0] {
        Value::Bool(holds) => Value::Real(f64::from(u8::from(*holds))),
        Value::Text(text) => text.trim().parse().map_or(Value::Null, Value::Real),
        other => other.as_real().map_or(Value::Null, Value::Real),
    }
}

fn to_bool<'s>(v: &[Value<'s>]) -> Value<'s> {
    match &v[0] {
        Value::Bool(holds) => Value::Bool(*holds),
        Value::Long(number) => Value::Bool(*number != 0),
        Value::Text(text) if texts::same(text, "true") || &**text == "1" => Value::Bool(true),
        Value::Text(text) if texts::same(text, "false") || &**text == "0" => Value::Bool(false),
        _ => Value::Null,
    }
}

fn to_datetime<'s>(v: &[Value<'s>]) -> Value<'s> {
    moment(&v[0]).map_or(Value::Null, Value::DateTime)
}

pub(crate) fn moment(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::DateTime(ticks) => Some(*ticks),
        Value::Text(text) => times::parse_datetime(text),
        _ => None,
    }
}

fn to_timespan<'s>(v: &[Value<'s>]) -> Value<'s> {
    match &v[0] {
        Value::TimeSpan(ticks) => Value::TimeSpan(*ticks),
        Value::Text(text) => times::parse_timespan(text).map_or(Value::Null, Value::TimeSpan),
        _ => Value::Null,
    }
}

fn datetime_diff<'s>(v: &[Value<'s>]) -> Value<'s> {
    let ends = moment(&v[1]).zip(moment(&v[2]));
    let difference = ends.and_then(|(one, two)| times::difference(&v[0].to_text(), one, two));
    difference.map_or(Value::Null, Value::Long)
}

fn datetime_add<'s>(v: &[Value<'s>]) -> Value<'s> {
    let parts = v[1].as_long().zip(moment(&v[2]));
    let sum = parts.and_then(|(count, at)| times::added(&v[0].to_text(), count, at));
    sum.map_or(Value::Null, Value::DateTime)
}

fn start<'s>(v: &[Value<'s>], unit: &str) -> Value<'s> {
    let begin = moment(&v[0]).and_then(|at| match v.get(1) {
        Some(offset) => times::added(unit, offset.as_long()?, times::start_of(at, unit)?),
        None => times::start_of(at, unit),
    });
    begin.map_or(Value::Null, Value::DateTime)
}

fn format_datetime<'s>(v: &[Value<'s>]) -> Value<'s> {
    moment(&v[0]).and_then(|at| times::formatted(at, &v[1].to_text())).map_or(Value::Null, made)
}

fn calendar<'s>(v: &[Value<'s>], part: fn(jiff::civil::DateTime) -> i64) -> Value<'s> {
    moment(&v[0]).and_then(times::civil).map_or(Value::Null, |at| Value::Long(part(at)))
}

/// Rounds down to a multiple.
fn bin<'s>(v: &[Value<'s>]) -> Value<'s> {
    let floor = |value: i64, size: i64| (size > 0).then(|| value.div_euclid(size).checked_mul(size)).flatten();
    match (&v[0], &v[1]) {
        (Value::DateTime(at), Value::TimeSpan(size)) => {
            // Counted from year 1, as Kusto does: weeks of seven days begin on Mondays there.
            const YEAR_ONE: i64 = 719_162 * times::DAY;
            let ticks =
                at.checked_add(YEAR_ONE).and_then(|at| floor(at, *size)).and_then(|at| at.checked_sub(YEAR_ONE));
            ticks.map_or(Value::Null, Value::DateTime)
        }
        (Value::TimeSpan(span), Value::TimeSpan(size)) => floor(*span, *size).map_or(Value::Null, Value::TimeSpan),
        (Value::Long(number), Value::Long(size)) => floor(*number, *size).map_or(Value::Null, Value::Long),
        (number, size) => match (number.as_real(), size.as_real()) {
            (Some(number), Some(size)) if size > 0.0 => Value::Real((number / size).floor() * size),
            _ => Value::Null,
        },
    }
}

fn kind_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Long(_) => "long",
        Value::Real(_) => "double",
        Value::Text(_) => "string",
        Value::DateTime(_) => "datetime",
        Value::TimeSpan(_) => "timespan",
        Value::Dynamic(json) if json.is_array() => "array",
        Value::Dynamic(_) => "dictionary",
    }
}

/// Arithmetic, by the operator's mark; nothing where it cannot be.
pub(crate) fn arithmetic<'s>(mark: &str, one: &Value<'s>, two: &Value<'s>) -> Value<'s> {
    let long = |result: Option<i64>| result.map_or(Value::Null, Value::Long);
    let span = |result: Option<i64>| result.map_or(Value::Null, Value::TimeSpan);
    let moment = |result: Option<i64>| result.map_or(Value::Null, Value::DateTime);
    match (mark, one, two) {
        ("+", Value::Long(a), Value::Long(b)) => long(a.checked_add(*b)),
        ("-", Value::Long(a), Value::Long(b)) => long(a.checked_sub(*b)),
        ("*", Value::Long(a), Value::Long(b)) => long(a.checked_mul(*b)),
        ("/", Value::Long(a), Value::Long(b)) => long(a.checked_div(*b)),
        ("%", Value::Long(a), Value::Long(b)) => long(a.checked_rem(*b)),
        ("+", Value::DateTime(a), Value::TimeSpan(b)) | ("+", Value::TimeSpan(b), Value::DateTime(a)) => {
            moment(a.checked_add(*b))
        }
        ("-", Value::DateTime(a), Value::TimeSpan(b)) => moment(a.checked_sub(*b)),
        ("-", Value::DateTime(a), Value::DateTime(b)) => span(a.checked_sub(*b)),
        ("+", Value::TimeSpan(a), Value::TimeSpan(b)) => span(a.checked_add(*b)),
        ("-", Value::TimeSpan(a), Value::TimeSpan(b)) => span(a.checked_sub(*b)),
        ("/", Value::TimeSpan(a), Value::TimeSpan(b)) if *b != 0 => Value::Real(*a as f64 / *b as f64),
        ("*", Value::TimeSpan(a), number) | ("*", number, Value::TimeSpan(a)) => {
            span(number.as_real().and_then(|number| times::span(*a as f64 * number, 1)))
        }
        ("/", Value::TimeSpan(a), number) => {
            span(number.as_real().filter(|n| *n != 0.0).and_then(|number| times::span(*a as f64 / number, 1)))
        }
        (mark, a, b) => match (a.as_real(), b.as_real()) {
            (Some(a), Some(b)) => Value::Real(match mark {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "/" => a / b,
                _ => a % b,
            }),
            _ => Value::Null,
        },
    }
}

/// The functions of arithmetic, so that they stand among the others.
pub(crate) static ARITHMETIC: &[(&str, Quick)] = &[
    ("+", |v| arithmetic("+", &v[0], &v[1])),
    ("-", |v| arithmetic("-", &v[0], &v[1])),
    ("*", |v| arithmetic("*", &v[0], &v[1])),
    ("/", |v| arithmetic("/", &v[0], &v[1])),
    ("%", |v| arithmetic("%", &v[0], &v[1])),
];
