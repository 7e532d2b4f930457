//! Expressions about a row.

use super::plan::{Node, PatternUse, Step};
use super::source::Part;
use super::texts;
use super::value::{Sought, Value};
use super::{Fault, Limits, Result};
use ferrohub_model::limits::KQL_JOINS;
use serde_json::Value as Json;
use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Bytes of values that expressions make on their way for one row: ours.
const ROW_BYTES: usize = 32 * 1024 * 1024;

/// A row of a table: the part's number above, the row's below.
pub(crate) type Base = u64;
/// The row of a table that an outer join did not find.
pub(crate) const NO_BASE: Base = Base::MAX;

/// A row on its way: the rows of tables on which it stands, and what was computed.
#[derive(Debug, Clone)]
pub(crate) struct Row<'s> {
    pub(crate) bases: [Base; KQL_JOINS + 1],
    slots: Vec<Value<'s>>,
    /// Of the slots.
    weight: usize,
}

impl<'s> Row<'s> {
    pub(crate) fn new(base: Base) -> Self {
        let mut bases = [NO_BASE; KQL_JOINS + 1];
        bases[0] = base;
        Self { bases, slots: Vec::new(), weight: 0 }
    }

    /// A row that stands on none.
    pub(crate) fn of(slots: Vec<Value<'s>>) -> Self {
        let weight = slots.iter().map(Self::weight_of).sum();
        Self { slots, weight, ..Self::new(NO_BASE) }
    }

    fn weight_of(value: &Value<'s>) -> usize {
        size_of::<Value<'_>>() + value.weight()
    }

    pub(crate) fn slots(&self) -> &[Value<'s>] {
        &self.slots
    }

    pub(crate) fn push(&mut self, value: Value<'s>) {
        self.weight += Self::weight_of(&value);
        self.slots.push(value);
    }

    /// Lets it stand on a row only.
    pub(crate) fn restart(&mut self, base: Base) {
        self.bases[0] = base;
        self.slots.clear();
        self.weight = 0;
    }

    /// Fills up with nothing to so many slots.
    pub(crate) fn pad(&mut self, slots: usize) {
        while self.slots.len() < slots {
            self.push(Value::Null);
        }
    }

    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.weight
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
    /// Why no expression is evaluated any further.
    pub(crate) ended: OnceLock<Fault>,
}

impl<'s> Context<'s> {
    pub(crate) fn new(parts: Vec<&'s dyn Part>, limits: Limits<'s>) -> Self {
        Self {
            parts,
            hasher: RandomState::new(),
            stop: limits.stop,
            memory: AtomicUsize::new(0),
            memory_most: limits.memory_bytes,
            threads: limits.threads.max(1),
            ended: OnceLock::new(),
        }
    }

    /// Refuses once whoever runs the query wants it stopped, or an expression went too far: then values are nothing that are
    /// something, so whatever is made of them is not to be shown.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(fault) = self.ended.get() {
            return Err(fault.clone());
        }
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Fault::limit("The query took too long and was stopped. Filter earlier, or ask for less.")),
            false => Ok(()),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && self.ended.get().is_none()
    }

    fn end(&self, message: String) -> Value<'s> {
        self.ended.get_or_init(|| Fault::limit(message));
        Value::Null
    }

    /// Counts memory that the query holds.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        let held = self.memory.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        match held > self.memory_most {
            true => Err(Fault::limit(format!(
                "The query needs more than {} MB for what it gathers and computes. Filter earlier, project fewer columns, or take fewer rows.",
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
        self.value(node, row, &Cell::new(ROW_BYTES))
    }

    /// The values of expressions about one row.
    pub(crate) fn list(&self, nodes: impl IntoIterator<Item = &'s Node>, row: &Row<'s>) -> Vec<Value<'s>> {
        let left = Cell::new(ROW_BYTES);
        nodes.into_iter().map(|node| self.value(node, row, &left)).collect()
    }

    /// Computes what is appended to a row.
    pub(crate) fn extend(&self, nodes: &'s [Node], row: &mut Row<'s>) {
        let left = Cell::new(ROW_BYTES.saturating_sub(row.weight()));
        for node in nodes {
            let value = self.value(node, row, &left);
            row.push(value);
        }
    }

    /// Takes what a value holds from what is left for its row.
    fn counted(&self, value: Value<'s>, left: &Cell<usize>) -> Value<'s> {
        match left.get().checked_sub(value.weight()) {
            Some(rest) => {
                left.set(rest);
                value
            }
            None => self.end(format!(
                "The expressions of the query make more than {} MB for one row. Ask for less of what is large.",
                ROW_BYTES / (1024 * 1024)
            )),
        }
    }

    /// The value of an expression; what it makes on its way is taken from what is `left`.
    fn value(&self, node: &'s Node, row: &Row<'s>, left: &Cell<usize>) -> Value<'s> {
        match node {
            Node::Literal(value) => value.clone(),
            Node::Slot(slot) => row.slots.get(*slot).cloned().unwrap_or(Value::Null),
            Node::Column(base, column) => match self.part(row.bases[*base]) {
                Some((part, number)) => self.counted(part.column(number, *column), left),
                None => Value::Null,
            },
            Node::Path(base, path) => match self.part(row.bases[*base]) {
                Some((part, number)) => self.counted(part.path(number, *path), left),
                None => Value::Null,
            },
            Node::Is { base, column, wanted, ignore_case } => {
                Value::Bool(self.is_text(row.bases[*base], *column, (wanted, *ignore_case)))
            }
            Node::Begins { base, column, wanted, ignore_case } => {
                Value::Bool(self.begins(row.bases[*base], *column, (wanted, *ignore_case)))
            }
            Node::Member(inner, steps) => self.counted(within(&self.value(inner, row, left), steps), left),
            Node::Element(inner, step) => {
                let step = match self.value(step, row, left) {
                    Value::Text(name) => Step::Member(name.to_string()),
                    Value::Long(number) => Step::Element(number),
                    _ => return Value::Null,
                };
                self.counted(within(&self.value(inner, row, left), &[step]), left)
            }
            Node::All(all) => self.joined(all, row, left, false),
            Node::Any(any) => self.joined(any, row, left, true),
            Node::Call(function, args) => {
                if !self.goes_on() {
                    return Value::Null;
                }
                let of = |node| self.value(node, row, left);
                let goes_on = || self.goes_on();
                let made = match args.as_slice() {
                    [one] => function.call(&[of(one)], &goes_on),
                    [one, two] => function.call(&[of(one), of(two)], &goes_on),
                    all => function.call(&all.iter().map(of).collect::<Vec<_>>(), &goes_on),
                };
                self.counted(if made.fits() { made } else { Value::Null }, left)
            }
            Node::Case(cases, other) => {
                let holds = |node| self.value(node, row, left).as_bool() == Some(true);
                let found = cases.iter().find(|(condition, _)| holds(condition));
                self.value(found.map_or(other.as_ref(), |(_, value)| value), row, left)
            }
            Node::Coalesce(all) => {
                let mut values = all.iter().map(|node| self.value(node, row, left));
                values.find(|value| !value.is_null()).unwrap_or(Value::Null)
            }
            Node::Pattern { regex, what, text } => {
                let text = self.value(text, row, left);
                self.counted(self.pattern(regex, what, &text), left)
            }
            Node::In { value, list, negated } => Value::Bool(list.has(&self.value(value, row, left)) != *negated),
            Node::InNodes { value, list, ignore_case, negated } => {
                let value = self.value(value, row, left);
                let sought = Sought::new(&value, *ignore_case);
                let found = list.iter().any(|item| match self.value(item, row, left) {
                    Value::Dynamic(json) => match json.as_array() {
                        Some(items) => items.iter().any(|item| sought.is_json(item)),
                        None => false,
                    },
                    item => sought.is(&item),
                });
                Value::Bool(found != *negated)
            }
        }
    }

    /// Whether a row's text in a column is `wanted`.
    fn is_text(&self, base: Base, column: usize, (wanted, ignore_case): (&str, bool)) -> bool {
        let Some((part, number)) = self.part(base) else { return wanted.is_empty() };
        let known = part.is_text(number, column, wanted, ignore_case);
        known.unwrap_or_else(|| {
            let text = part.column(number, column).to_text();
            if ignore_case { texts::same(&text, wanted) } else { *text == *wanted }
        })
    }

    /// Whether it begins with `wanted`.
    fn begins(&self, base: Base, column: usize, (wanted, ignore_case): (&str, bool)) -> bool {
        let Some((part, number)) = self.part(base) else { return wanted.is_empty() };
        let known = part.begins(column, wanted, ignore_case);
        known.unwrap_or_else(|| {
            let text = part.column(number, column).to_text();
            if ignore_case { texts::starts(&text, wanted) } else { text.starts_with(wanted) }
        })
    }

    /// `and` (`deciding` is false) or `or`; nothing is decided by nothing.
    fn joined(&self, all: &'s [Node], row: &Row<'s>, left: &Cell<usize>, deciding: bool) -> Value<'s> {
        let mut open = false;
        for node in all {
            match self.value(node, row, left).as_bool() {
                Some(found) if found == deciding => return Value::Bool(deciding),
                Some(_) => {}
                None => open = true,
            }
        }
        if open { Value::Null } else { Value::Bool(!deciding) }
    }

    fn pattern(&self, regex: &regex::Regex, what: &PatternUse, value: &Value<'s>) -> Value<'s> {
        if !self.goes_on() {
            return Value::Null;
        }
        let text = value.to_text();
        if text.len() > texts::SEARCHED_BYTES {
            return self.end(format!(
                "A regular expression is looked for in texts of at most {} KB. Take a substring() first.",
                texts::SEARCHED_BYTES / 1024
            ));
        }
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
            PatternUse::Replace(with) => {
                texts::replaced_matches(regex, &text, with, &|| self.goes_on()).map_or(Value::Null, Value::made)
            }
        }
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
