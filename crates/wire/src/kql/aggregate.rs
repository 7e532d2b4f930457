//! What `summarize` makes of the rows of a group: each thread gathers its own, and what two gathered is merged.

use super::Result;
use super::eval::{Context, Row};
use super::functions::arithmetic;
use super::plan::Node;
use super::value::{Type, Value};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// Most elements of `make_list()` and `make_set()` (Kusto: 1,048,576): ours.
pub(crate) const LIST: usize = 100_000;

/// Which aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Count,
    /// Rows in which the first argument holds.
    CountIf,
    Sum,
    Avg,
    Min,
    Max,
    DistinctCount,
    List,
    Set,
    /// The first row's.
    Any,
    /// The values beside the highest.
    ArgMax,
    ArgMin,
}

/// An aggregate of a `summarize`.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) kind: Kind,
    pub(crate) args: Vec<Node>,
    /// Only rows in which it holds, as in `sumif()`.
    pub(crate) condition: Option<Node>,
    /// Most elements.
    pub(crate) most: usize,
}

/// An aggregate by the name of its function: what, the beginning of its column's name, and what it yields (`None`: its
/// argument's type).
pub(crate) fn find(name: &str) -> Option<(Kind, &'static str, Option<Type>)> {
    Some(match name {
        "count" => (Kind::Count, "count_", Some(Type::Long)),
        "countif" => (Kind::CountIf, "countif_", Some(Type::Long)),
        "sum" | "sumif" => (Kind::Sum, "sum_", None),
        "avg" | "avgif" => (Kind::Avg, "avg_", Some(Type::Real)),
        "min" | "minif" => (Kind::Min, "min_", None),
        "max" | "maxif" => (Kind::Max, "max_", None),
        "dcount" | "dcountif" | "count_distinct" | "count_distinctif" => {
            (Kind::DistinctCount, "dcount_", Some(Type::Long))
        }
        "make_list" | "makelist" | "make_list_if" => (Kind::List, "list_", Some(Type::Dynamic)),
        "make_set" | "makeset" | "make_set_if" => (Kind::Set, "set_", Some(Type::Dynamic)),
        "take_any" | "any" => (Kind::Any, "", None),
        "arg_max" => (Kind::ArgMax, "", None),
        "arg_min" => (Kind::ArgMin, "", None),
        _ => return None,
    })
}

/// What has been gathered of a group.
#[derive(Debug, Clone)]
pub(crate) enum Gathered<'s> {
    Count(i64),
    Sum(Value<'s>),
    Avg(f64, i64),
    Best(Option<Value<'s>>, Vec<Value<'s>>),
    Distinct(HashSet<u64>),
    List(Vec<Value<'s>>),
    Set(Vec<Value<'s>>, HashSet<u64>),
}

impl Gathered<'_> {
    /// Bytes that were counted for what it gathered.
    pub(crate) fn weight(&self) -> usize {
        let values = |each: usize, list: &[Value<'_>]| list.iter().map(|value| each + value.weight()).sum();
        match self {
            Self::Count(_) | Self::Sum(_) | Self::Avg(..) => 0,
            Self::Best(best, beside) => held(best.as_ref(), beside),
            Self::Distinct(seen) => 16 * seen.len(),
            Self::List(list) => values(32, list),
            Self::Set(list, _) => values(48, list),
        }
    }
}

impl Aggregate {
    /// Slots that it fills.
    pub(crate) fn width(&self) -> usize {
        match self.kind {
            Kind::Any | Kind::ArgMax | Kind::ArgMin => self.args.len(),
            _ => 1,
        }
    }

    pub(crate) fn start<'s>(&self) -> Gathered<'s> {
        match self.kind {
            Kind::Count | Kind::CountIf => Gathered::Count(0),
            Kind::Sum => Gathered::Sum(Value::Null),
            Kind::Avg => Gathered::Avg(0.0, 0),
            Kind::Min | Kind::Max | Kind::Any | Kind::ArgMax | Kind::ArgMin => Gathered::Best(None, Vec::new()),
            Kind::DistinctCount => Gathered::Distinct(HashSet::new()),
            Kind::List => Gathered::List(Vec::new()),
            Kind::Set => Gathered::Set(Vec::new(), HashSet::new()),
        }
    }

    /// Adds a row.
    pub(crate) fn add<'s>(&'s self, to: &mut Gathered<'s>, cx: &Context<'s>, row: &Row<'s>) -> Result<()> {
        if let Some(condition) = &self.condition
            && !cx.holds(condition, row)
        {
            return Ok(());
        }
        let value = match self.args.first() {
            Some(node) => cx.eval(node, row),
            None => Value::Null,
        };
        match to {
            Gathered::Count(count) => *count += i64::from(self.kind == Kind::Count || value.as_bool() == Some(true)),
            Gathered::Best(best, beside) => {
                if self.is_better(best.as_ref(), &value) {
                    let with = cx.list(self.args.iter().skip(1), row);
                    cx.charge(held(Some(&value), &with))?;
                    cx.release(held(best.as_ref(), beside));
                    (*best, *beside) = (Some(value), with);
                }
            }
            Gathered::Sum(_) | Gathered::Avg(..) | Gathered::Distinct(_) | Gathered::List(_) | Gathered::Set(..)
                if value.is_null() => {}
            Gathered::Sum(sum) => *sum = added(sum, &value),
            Gathered::Avg(sum, count) => {
                if let Some(number) = value.as_real() {
                    *sum += number;
                    *count += 1;
                }
            }
            Gathered::Distinct(seen) => {
                if seen.insert(cx.hasher.hash_one(&value)) {
                    cx.charge(16)?;
                }
            }
            Gathered::List(list) if list.len() < self.most => {
                cx.charge(32 + value.weight())?;
                list.push(value);
            }
            Gathered::Set(list, seen) if list.len() < self.most => {
                if seen.insert(cx.hasher.hash_one(&value)) {
                    cx.charge(48 + value.weight())?;
                    list.push(value);
                }
            }
            Gathered::List(_) | Gathered::Set(..) => {}
        }
        Ok(())
    }

    fn is_better(&self, best: Option<&Value<'_>>, value: &Value<'_>) -> bool {
        let Some(best) = best else {
            // Any row is better than none, but nothing is neither the least nor the greatest.
            return self.kind == Kind::Any || !value.is_null();
        };
        match self.kind {
            Kind::Min | Kind::ArgMin => !value.is_null() && value.sorting(best) == Ordering::Less,
            Kind::Max | Kind::ArgMax => value.sorting(best) == Ordering::Greater,
            _ => false,
        }
    }

    /// Adds what another thread gathered of later rows.
    pub(crate) fn merge<'s>(&self, to: &mut Gathered<'s>, other: Gathered<'s>, cx: &Context<'s>) {
        match (to, other) {
            (Gathered::Count(count), Gathered::Count(more)) => *count += more,
            (Gathered::Sum(sum), Gathered::Sum(more)) => *sum = added(sum, &more),
            (Gathered::Avg(sum, count), Gathered::Avg(more, further)) => {
                *sum += more;
                *count += further;
            }
            (Gathered::Best(best, beside), Gathered::Best(Some(value), with))
                if self.is_better(best.as_ref(), &value) =>
            {
                cx.release(held(best.as_ref(), beside));
                (*best, *beside) = (Some(value), with);
            }
            (Gathered::Distinct(seen), Gathered::Distinct(more)) => seen.extend(more),
            (Gathered::List(list), Gathered::List(more)) => {
                list.extend(more);
                list.truncate(self.most);
            }
            (Gathered::Set(list, seen), Gathered::Set(more, _)) => {
                list.extend(more.into_iter().filter(|value| seen.insert(cx.hasher.hash_one(value))));
                list.truncate(self.most);
            }
            _ => {}
        }
    }

    /// Appends its slots.
    pub(crate) fn finish<'s>(&self, gathered: Gathered<'s>, slots: &mut Vec<Value<'s>>) {
        match gathered {
            Gathered::Count(count) => slots.push(Value::Long(count)),
            Gathered::Sum(sum) => slots.push(if sum.is_null() { Value::Long(0) } else { sum }),
            Gathered::Avg(_, 0) => slots.push(Value::Null),
            Gathered::Avg(sum, count) => slots.push(Value::Real(sum / count as f64)),
            Gathered::Best(best, beside) => {
                let width = slots.len() + self.width();
                slots.push(best.unwrap_or(Value::Null));
                if self.width() > 1 {
                    slots.extend(beside);
                    slots.resize_with(width, || Value::Null);
                }
            }
            Gathered::Distinct(seen) => slots.push(super::functions::whole(seen.len())),
            Gathered::List(list) | Gathered::Set(list, _) => {
                slots.push(Value::Dynamic(Arc::new(Json::Array(list.iter().map(Value::to_json).collect()))));
            }
        }
    }
}

/// Bytes of the values of a row that is kept.
fn held(best: Option<&Value<'_>>, beside: &[Value<'_>]) -> usize {
    best.into_iter().chain(beside).map(|value| size_of::<Value<'_>>() + value.weight()).sum()
}

/// A sum of numbers or spans; a sum of whole numbers that is too large goes on as one with a fraction.
fn added<'s>(sum: &Value<'s>, value: &Value<'s>) -> Value<'s> {
    match (sum, value) {
        (Value::Null, Value::Long(_) | Value::Real(_) | Value::TimeSpan(_)) => value.clone(),
        (_, Value::Null) | (Value::Null, _) => sum.clone(),
        (Value::Long(a), Value::Long(b)) => {
            a.checked_add(*b).map_or_else(|| Value::Real(*a as f64 + *b as f64), Value::Long)
        }
        _ => match arithmetic("+", sum, value) {
            Value::Null => sum.clone(),
            more => more,
        },
    }
}
