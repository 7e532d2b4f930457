//! Expressions about a row.

use super::plan::{Node, PatternUse, Step};
use super::source::Part;
use super::texts;
use super::value::Value;
use super::{Fault, JOINS, Result};
use serde_json::Value as Json;
use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A row of a table: the part's number above, the row's below.
pub(crate) type Base = u64;
/// The row of a table that an outer join did not find.
pub(crate) const NO_BASE: Base = Base::MAX;

/// A row on its way: the rows of tables on which it stands, and what was computed.
#[derive(Debug, Clone)]
pub(crate) struct Row<'s> {
    pub(crate) bases: [Base; JOINS + 1],
    pub(crate) slots: Vec<Value<'s>>,
}

impl Row<'_> {
    pub(crate) fn new(base: Base) -> Self {
        let mut bases = [NO_BASE; JOINS + 1];
        bases[0] = base;
        Self { bases, slots: Vec::new() }
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.slots.iter().map(|slot| size_of::<Value<'_>>() + slot.weight()).sum::<usize>()
    }
}

pub(crate) fn base(part: usize, row: usize) -> Base {
    (part as u64) << 32 | row as u64 & 0xFFFF_FFFF
}

/// What a run stands on.
pub(crate) struct Context<'s> {
    pub(crate) parts: Vec<&'s dyn Part>,
    pub(crate) hasher: RandomState,
    pub(crate) stop: &'s AtomicBool,
    pub(crate) memory: AtomicUsize,
    pub(crate) memory_most: usize,
    pub(crate) threads: usize,
}

impl<'s> Context<'s> {
    /// Refuses once whoever runs the query wants it stopped.
    pub(crate) fn check(&self) -> Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Fault::limit("The query took too long and was stopped. Filter earlier, or ask for less.")),
            false => Ok(()),
        }
    }

    /// Counts memory that the query holds.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        let held = self.memory.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        match held > self.memory_most {
            true => Err(Fault::limit(format!(
                "The query needs more than {} MB for what it gathers. Filter earlier, project fewer columns, or take fewer rows.",
                self.memory_most / (1024 * 1024)
            ))),
            false => Ok(()),
        }
    }

    pub(crate) fn release(&self, bytes: usize) {
        let _ = self.memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(held.saturating_sub(bytes)));
    }

    fn part(&self, base: Base) -> Option<(&'s dyn Part, usize)> {
        let part = self.parts.get((base >> 32) as usize)?;
        Some((*part, (base & 0xFFFF_FFFF) as usize))
    }

    pub(crate) fn holds(&self, node: &'s Node, row: &Row<'s>) -> bool {
        self.eval(node, row).as_bool() == Some(true)
    }

    /// The value of an expression.
    pub(crate) fn eval(&self, node: &'s Node, row: &Row<'s>) -> Value<'s> {
        match node {
            Node::Literal(value) => value.clone(),
            Node::Slot(slot) => row.slots.get(*slot).cloned().unwrap_or(Value::Null),
            Node::Column(base, column) => match self.part(row.bases[*base]) {
                Some((part, number)) => part.column(number, *column),
                None => Value::Null,
            },
            Node::Path(base, path) => match self.part(row.bases[*base]) {
                Some((part, number)) => part.path(number, *path),
                None => Value::Null,
            },
            Node::Is { base, column, wanted, ignore_case } => {
                let Some((part, number)) = self.part(row.bases[*base]) else { return Value::Bool(wanted.is_empty()) };
                let known = part.is_text(number, *column, wanted, *ignore_case);
                Value::Bool(known.unwrap_or_else(|| {
                    let text = part.column(number, *column).to_text();
                    if *ignore_case { texts::same(&text, wanted) } else { *text == **wanted }
                }))
            }
            Node::Begins { base, column, wanted, ignore_case } => {
                let Some((part, number)) = self.part(row.bases[*base]) else { return Value::Bool(wanted.is_empty()) };
                let known = part.begins(*column, wanted, *ignore_case);
                Value::Bool(known.unwrap_or_else(|| {
                    let text = part.column(number, *column).to_text();
                    if *ignore_case { texts::starts(&text, wanted) } else { text.starts_with(wanted.as_str()) }
                }))
            }
            Node::Member(inner, steps) => within(&self.eval(inner, row), steps),
            Node::Element(inner, step) => {
                let step = match self.eval(step, row) {
                    Value::Text(name) => Step::Member(name.to_string()),
                    Value::Long(number) => Step::Element(number),
                    _ => return Value::Null,
                };
                within(&self.eval(inner, row), &[step])
            }
            Node::All(all) => self.joined(all, row, false),
            Node::Any(any) => self.joined(any, row, true),
            Node::Call(function, args) => match args.as_slice() {
                [one] => (function.eval)(&[self.eval(one, row)]),
                [one, two] => (function.eval)(&[self.eval(one, row), self.eval(two, row)]),
                all => (function.eval)(&all.iter().map(|node| self.eval(node, row)).collect::<Vec<_>>()),
            },
            Node::Case(cases, other) => {
                let found = cases.iter().find(|(condition, _)| self.holds(condition, row));
                self.eval(found.map_or(other.as_ref(), |(_, value)| value), row)
            }
            Node::Coalesce(all) => {
                let mut values = all.iter().map(|node| self.eval(node, row));
                values.find(|value| !value.is_null()).unwrap_or(Value::Null)
            }
            Node::Pattern { regex, what, text } => self.pattern(regex, what, &self.eval(text, row)),
            Node::In { value, list, ignore_case, negated } => {
                let value = self.eval(value, row);
                Value::Bool(list.iter().any(|item| is_in(&value, item, *ignore_case)) != *negated)
            }
            Node::InNodes { value, list, ignore_case, negated } => {
                let value = self.eval(value, row);
                let found = list.iter().any(|item| match self.eval(item, row) {
                    Value::Dynamic(json) => match json.as_array() {
                        Some(items) => items.iter().any(|item| is_in(&value, &Value::of_json(item), *ignore_case)),
                        None => false,
                    },
                    item => is_in(&value, &item, *ignore_case),
                });
                Value::Bool(found != *negated)
            }
        }
    }

    /// `and` (`deciding` is false) or `or`; nothing is decided by nothing.
    fn joined(&self, all: &'s [Node], row: &Row<'s>, deciding: bool) -> Value<'s> {
        let mut open = false;
        for node in all {
            match self.eval(node, row).as_bool() {
                Some(found) if found == deciding => return Value::Bool(deciding),
                Some(_) => {}
                None => open = true,
            }
        }
        if open { Value::Null } else { Value::Bool(!deciding) }
    }

    fn pattern(&self, regex: &regex::Regex, what: &PatternUse, value: &Value<'s>) -> Value<'s> {
        let text = value.to_text();
        match what {
            PatternUse::Matches => Value::Bool(regex.is_match(&text)),
            PatternUse::Kept => {
                let kept = regex.captures(&text).and_then(|found| Some(found.name(texts::KEPT)?.as_str().to_owned()));
                Value::made(kept.unwrap_or_default())
            }
            PatternUse::Group(group) => {
                let found = regex.captures(&text).and_then(|found| Some(found.get(*group)?.as_str().to_owned()));
                Value::made(found.unwrap_or_default())
            }
            PatternUse::Replace(with) => super::functions::made(regex.replace_all(&text, with.as_str()).into_owned()),
        }
    }
}

fn is_in(value: &Value<'_>, item: &Value<'_>, ignore_case: bool) -> bool {
    match (ignore_case, item) {
        (true, Value::Text(item)) => texts::same(&value.to_text(), item),
        _ => value.equals(item) == Some(true),
    }
}

/// The value at steps within a value.
fn within<'s>(value: &Value<'s>, steps: &[Step]) -> Value<'s> {
    let Value::Dynamic(json) = value else { return Value::Null };
    let mut at: &Json = json;
    for step in steps {
        let next = match step {
            Step::Member(name) => at.as_object().and_then(|map| {
                map.get(name).or_else(|| Some(map.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1))
            }),
            Step::Element(number) => at.as_array().and_then(|items| items.get(element(*number, items.len())?)),
        };
        let Some(next) = next else { return Value::Null };
        at = next;
    }
    match at {
        Json::Array(_) | Json::Object(_) => Value::Dynamic(Arc::new(at.clone())),
        scalar => Value::of_json(scalar),
    }
}

/// The index of an element that may be counted from the end.
pub(crate) fn element(number: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if number < 0 { number + length } else { number }).ok()
}
