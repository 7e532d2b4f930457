//! The evaluator. Values are borrowed as long as possible and every copy is charged to a budget.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

use ferrohub_model::limits::JMESPATH_BUDGET;
use serde_json::{Map, Value};

use super::RuntimeError;
use super::ast::{Comparator, Node};
use super::{functions, number};

/// Charge of one step.
const STEP: usize = 16;
/// Charge of one copied value besides its text: about what it takes in memory, in bytes.
const VALUE: usize = 128;

/// Result of a step: borrowed from the input or the expression, or made on the way.
pub(super) type Found<'v> = Result<Cow<'v, Value>, RuntimeError>;

/// Evaluates a whole expression.
pub(super) fn search(root: &Node, value: &Value) -> Result<Value, RuntimeError> {
    let evaluator = Evaluator { budget: Cell::new(JMESPATH_BUDGET) };
    let found = evaluator.eval(root, value)?;
    evaluator.own(found)
}

/// State of one search.
pub(super) struct Evaluator {
    budget: Cell<usize>,
}

impl Evaluator {
    /// Takes `work` off the budget.
    pub(super) fn charge(&self, work: usize) -> Result<(), RuntimeError> {
        let left = self.budget.get().checked_sub(work).ok_or(RuntimeError::TooMuchWork)?;
        self.budget.set(left);
        Ok(())
    }

    /// The value itself, copied if it was borrowed.
    pub(super) fn own(&self, value: Cow<'_, Value>) -> Result<Value, RuntimeError> {
        match value {
            Cow::Owned(value) => Ok(value),
            Cow::Borrowed(value) => self.copy(value),
        }
    }

    /// A copy of a value.
    pub(super) fn copy(&self, value: &Value) -> Result<Value, RuntimeError> {
        self.charge_size(value)?;
        Ok(value.clone())
    }

    fn charge_size(&self, value: &Value) -> Result<(), RuntimeError> {
        self.charge(VALUE)?;
        match value {
            Value::String(text) => self.charge(text.len()),
            Value::Array(items) => items.iter().try_for_each(|item| self.charge_size(item)),
            Value::Object(members) => members.iter().try_for_each(|(key, member)| {
                self.charge(key.len())?;
                self.charge_size(member)
            }),
            _ => Ok(()),
        }
    }

    /// Evaluates `node` against `value`.
    pub(super) fn eval<'v>(&self, node: &'v Node, value: &'v Value) -> Found<'v> {
        self.charge(STEP)?;
        match node {
            Node::Identity => Ok(Cow::Borrowed(value)),
            Node::Field(name) => Ok(borrowed(value.as_object().and_then(|object| object.get(name)))),
            Node::Literal(literal) => Ok(Cow::Borrowed(literal)),
            Node::Index(index) => Ok(borrowed(element(value, *index))),
            Node::Slice { start, stop, step } => self.slice(value, *start, *stop, *step),
            Node::Then(left, right) => self.then(self.eval(left, value)?, right),
            Node::Projection(left, right) => self.projection(left, right, value),
            Node::ValueProjection(left, right) => self.value_projection(left, right, value),
            Node::FilterProjection { left, condition, right } => self.filter(left, condition, right, value),
            Node::Flatten(left) => self.flatten(left, value),
            Node::Compare { comparator, left, right } => self.compare(*comparator, left, right, value),
            Node::Or(left, right) => self.either(left, right, value, false),
            Node::And(left, right) => self.either(left, right, value, true),
            Node::Not(inner) => Ok(owned(Value::Bool(!is_true(&*self.eval(inner, value)?)))),
            Node::List(nodes) => self.list(nodes, value),
            Node::Hash(members) => self.hash(members, value),
            Node::Call { name, arguments } => functions::call(self, name, arguments, value),
        }
    }

    fn then<'v>(&self, left: Cow<'v, Value>, right: &'v Node) -> Found<'v> {
        match left {
            Cow::Borrowed(left) => self.eval(right, left),
            Cow::Owned(left) => {
                let found = self.eval(right, &left)?;
                self.own(found).map(Cow::Owned)
            }
        }
    }

    /// The left side if its truth is not `truth`, else the right side.
    fn either<'v>(&self, left: &'v Node, right: &'v Node, value: &'v Value, truth: bool) -> Found<'v> {
        let found = self.eval(left, value)?;
        if is_true(&found) == truth { self.eval(right, value) } else { Ok(found) }
    }

    /// `right` against each of `items`, without nulls.
    fn project<'i>(
        &self,
        items: impl Iterator<Item = &'i Value>,
        right: &Node,
    ) -> Result<Cow<'static, Value>, RuntimeError> {
        let mut results = Vec::new();
        for item in items {
            let found = self.eval(right, item)?;
            if !found.is_null() {
                results.push(self.own(found)?);
            }
        }
        Ok(Cow::Owned(Value::Array(results)))
    }

    fn projection<'v>(&self, left: &'v Node, right: &'v Node, value: &'v Value) -> Found<'v> {
        match &*self.eval(left, value)? {
            Value::Array(items) => self.project(items.iter(), right),
            _ => Ok(owned(Value::Null)),
        }
    }

    fn value_projection<'v>(&self, left: &'v Node, right: &'v Node, value: &'v Value) -> Found<'v> {
        match &*self.eval(left, value)? {
            Value::Object(members) => self.project(members.values(), right),
            _ => Ok(owned(Value::Null)),
        }
    }

    fn filter<'v>(&self, left: &'v Node, condition: &'v Node, right: &'v Node, value: &'v Value) -> Found<'v> {
        let base = self.eval(left, value)?;
        let Value::Array(items) = &*base else {
            return Ok(owned(Value::Null));
        };
        let mut kept = Vec::new();
        for item in items {
            if is_true(&*self.eval(condition, item)?) {
                kept.push(item);
            }
        }
        self.project(kept.into_iter(), right)
    }

    fn flatten<'v>(&self, left: &'v Node, value: &'v Value) -> Found<'v> {
        let base = self.eval(left, value)?;
        let Value::Array(items) = &*base else {
            return Ok(owned(Value::Null));
        };
        let mut merged = Vec::new();
        for item in items {
            match item {
                Value::Array(inner) => {
                    for item in inner {
                        merged.push(self.copy(item)?);
                    }
                }
                other => merged.push(self.copy(other)?),
            }
        }
        Ok(owned(Value::Array(merged)))
    }

    fn slice<'v>(&self, value: &'v Value, start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Found<'v> {
        let Value::Array(items) = value else {
            return Ok(owned(Value::Null));
        };
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err(RuntimeError::ZeroStep);
        }
        let mut picked = Vec::new();
        for index in slice_indices(items.len(), start, stop, step) {
            if let Some(item) = items.get(index) {
                picked.push(self.copy(item)?);
            }
        }
        Ok(owned(Value::Array(picked)))
    }

    fn compare<'v>(&self, comparator: Comparator, left: &'v Node, right: &'v Node, value: &'v Value) -> Found<'v> {
        let left = self.eval(left, value)?;
        let right = self.eval(right, value)?;
        // Ordering anything but two numbers or two strings gives null.
        let ordered = |wanted: fn(Ordering) -> bool| {
            number::order(&left, &right).map_or(Value::Null, |order| Value::Bool(wanted(order)))
        };
        Ok(owned(match comparator {
            Comparator::Equal => Value::Bool(number::equal(&left, &right)),
            Comparator::NotEqual => Value::Bool(!number::equal(&left, &right)),
            Comparator::Less => ordered(Ordering::is_lt),
            Comparator::LessOrEqual => ordered(Ordering::is_le),
            Comparator::Greater => ordered(Ordering::is_gt),
            Comparator::GreaterOrEqual => ordered(Ordering::is_ge),
        }))
    }

    fn list<'v>(&self, nodes: &'v [Node], value: &'v Value) -> Found<'v> {
        if value.is_null() {
            return Ok(owned(Value::Null));
        }
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            let found = self.eval(node, value)?;
            items.push(self.own(found)?);
        }
        Ok(owned(Value::Array(items)))
    }

    fn hash<'v>(&self, members: &'v [(String, Node)], value: &'v Value) -> Found<'v> {
        if value.is_null() {
            return Ok(owned(Value::Null));
        }
        let mut object = Map::with_capacity(members.len());
        for (name, node) in members {
            self.charge(name.len())?;
            let found = self.eval(node, value)?;
            object.insert(name.clone(), self.own(found)?);
        }
        Ok(owned(Value::Object(object)))
    }
}

/// False are null, false, and empty strings, arrays and objects; 0 is true.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

fn owned(value: Value) -> Cow<'static, Value> {
    Cow::Owned(value)
}

fn borrowed(value: Option<&Value>) -> Cow<'_, Value> {
    value.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
}

fn element(value: &Value, index: i64) -> Option<&Value> {
    let items = value.as_array()?;
    let from_end = usize::try_from(index.unsigned_abs()).ok()?;
    let index = if index < 0 { items.len().checked_sub(from_end)? } else { from_end };
    items.get(index)
}

/// Indices of a slice over `length` elements, by the rules of the standard's slices; `step` is not 0.
fn slice_indices(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let (length, step) = (length as i128, i128::from(step));
    // Going backwards, -1 stands for "before the first element".
    let (least, most) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| {
        let bound = i128::from(bound);
        (if bound < 0 { bound + length } else { bound }).clamp(least, most)
    };
    let (first, end) = if step > 0 { (least, most) } else { (most, least) };
    let (first, end) = (start.map_or(first, clamp), stop.map_or(end, clamp));
    std::iter::successors(Some(first), move |index| Some(index + step))
        .take_while(move |index| if step > 0 { *index < end } else { *index > end })
        .filter_map(|index| usize::try_from(index).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices() {
        let picked = |start, stop, step| slice_indices(4, start, stop, step).collect::<Vec<_>>();
        assert_eq!(picked(None, None, 1), [0, 1, 2, 3]);
        assert_eq!(picked(Some(1), Some(3), 1), [1, 2]);
        assert_eq!(picked(None, None, -1), [3, 2, 1, 0]);
        assert_eq!(picked(Some(-1), Some(-3), -1), [3, 2]);
        assert_eq!(picked(Some(10), None, -2), [3, 1]);
        assert_eq!(picked(Some(i64::MIN), Some(i64::MAX), i64::MAX), [0]);
        assert_eq!(picked(Some(i64::MAX), Some(i64::MIN), i64::MIN), [3]);
        assert_eq!(picked(Some(3), Some(1), 1), Vec::<usize>::new());
        assert_eq!(slice_indices(0, None, None, -1).count(), 0);
    }
}
