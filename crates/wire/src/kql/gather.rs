//! What the end of a stage gathers: rows, sorted rows, groups.

use super::Result;
use super::aggregate::{Aggregate, Gathered};
use super::eval::{Context, Row};
use super::plan::{Key, Sink};
use super::value::Value;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

/// What a stage has gathered.
pub(crate) struct State<'s> {
    sink: &'s Sink,
    /// How many rows came, where they stay rows.
    total: u64,
    keep: Option<u64>,
    rows: Vec<Row<'s>>,
    /// Of a sort: the keys of each row.
    keys: Vec<(Vec<Value<'s>>, Row<'s>)>,
    groups: Groups<'s>,
}

#[derive(Default)]
struct Groups<'s> {
    /// By the hash of the key: where groups with it stand.
    index: HashMap<u64, Vec<usize>>,
    all: Vec<Group<'s>>,
}

struct Group<'s> {
    key: Vec<Value<'s>>,
    gathered: Vec<Gathered<'s>>,
    first: Option<Row<'s>>,
}

impl<'s> Groups<'s> {
    /// Where the group with this key stands; it is made where there is none.
    fn of(
        &mut self,
        cx: &Context<'s>,
        key: Vec<Value<'s>>,
        make: impl FnOnce() -> Vec<Gathered<'s>>,
    ) -> Result<(usize, bool)> {
        let mut hasher = cx.hasher.build_hasher();
        key.iter().for_each(|value| value.hash(&mut hasher));
        let places = self.index.entry(hasher.finish()).or_default();
        let same = |place: &usize| self.all[*place].key.iter().zip(&key).all(|(one, two)| one.same_key(two));
        if let Some(place) = places.iter().copied().find(|place| same(place)) {
            return Ok((place, false));
        }
        let group = Group { key, gathered: make(), first: None };
        cx.charge(group.weight())?;
        places.push(self.all.len());
        self.all.push(group);
        Ok((self.all.len() - 1, true))
    }
}

impl Group<'_> {
    /// Bytes that it holds before anything is gathered.
    fn weight(&self) -> usize {
        128 + weight_of(&self.key) + self.gathered.len() * size_of::<Gathered<'_>>()
    }
}

fn weight_of(values: &[Value<'_>]) -> usize {
    values.iter().map(|value| size_of::<Value<'_>>() + value.weight()).sum()
}

impl<'s> State<'s> {
    pub(crate) fn new(sink: &'s Sink, keep: Option<u64>) -> Self {
        Self { sink, total: 0, keep, rows: Vec::new(), keys: Vec::new(), groups: Groups::default() }
    }

    /// Whether no further row can change anything.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.sink, Sink::Take(most) if self.rows.len() as u64 >= *most)
    }

    pub(crate) fn push(&mut self, cx: &Context<'s>, row: &Row<'s>) -> Result<()> {
        match self.sink {
            Sink::Rows | Sink::Take(_) => {
                self.total += 1;
                if self.keep.is_none_or(|keep| (self.rows.len() as u64) < keep) || matches!(self.sink, Sink::Take(_)) {
                    cx.charge(row.weight())?;
                    self.rows.push(row.clone());
                }
            }
            Sink::Union { columns, .. } => {
                self.total += 1;
                if self.keep.is_none_or(|keep| (self.rows.len() as u64) < keep) {
                    let flat = Row::of(cx.list(columns, row));
                    cx.charge(flat.weight())?;
                    self.rows.push(flat);
                }
            }
            Sink::Sort { keys, top } => {
                let values = cx.list(keys.iter().map(|key| &key.node), row);
                cx.charge(row.weight() + weight_of(&values))?;
                self.total += 1;
                self.keys.push((values, row.clone()));
                self.trim(cx, keys, *top);
            }
            Sink::Summarize { keys, aggregates } => {
                let key = cx.list(keys, row);
                let (place, _) = self.groups.of(cx, key, || aggregates.iter().map(Aggregate::start).collect())?;
                for (aggregate, gathered) in aggregates.iter().zip(&mut self.groups.all[place].gathered) {
                    aggregate.add(gathered, cx, row)?;
                }
            }
            Sink::First(keys) => {
                let key = cx.list(keys, row);
                let (place, fresh) = self.groups.of(cx, key, Vec::new)?;
                if fresh {
                    cx.charge(row.weight())?;
                    self.groups.all[place].first = Some(row.clone());
                }
            }
        }
        Ok(())
    }

    /// Lets go, of a sort of which only the first rows are wanted, of all others.
    fn trim(&mut self, cx: &Context<'s>, keys: &[Key], top: Option<u64>) {
        let wanted = top.into_iter().chain(self.keep).min();
        let Some(top) = wanted.and_then(|top| usize::try_from(top).ok()) else { return };
        if self.keys.len() <= top.saturating_mul(2).max(1024) {
            return;
        }
        self.keys.sort_by(|one, two| by_keys(keys, &one.0, &two.0));
        for (values, row) in self.keys.drain(top..) {
            cx.release(row.weight() + weight_of(&values));
        }
    }

    pub(crate) fn merge(&mut self, later: Self, cx: &Context<'s>) -> Result<()> {
        self.total += later.total;
        self.rows.extend(later.rows);
        self.keys.extend(later.keys);
        for group in later.groups.all {
            // It goes into another one, or is that one, which is counted with it.
            cx.release(group.weight());
            let Group { key, gathered, first } = group;
            let (place, fresh) = self.groups.of(cx, key, Vec::new)?;
            let known = &mut self.groups.all[place];
            match self.sink {
                _ if fresh => {
                    cx.charge(gathered.len() * size_of::<Gathered<'_>>())?;
                    (known.gathered, known.first) = (gathered, first);
                }
                Sink::Summarize { aggregates, .. } => {
                    for ((aggregate, known), more) in aggregates.iter().zip(&mut known.gathered).zip(gathered) {
                        aggregate.merge(known, more, cx);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self, cx: &Context<'s>) -> Result<(Vec<Row<'s>>, u64)> {
        match self.sink {
            Sink::Rows | Sink::Union { .. } => {
                self.rows.truncate(self.keep.map_or(usize::MAX, |keep| usize::try_from(keep).unwrap_or(usize::MAX)));
                Ok((self.rows, self.total))
            }
            Sink::Take(most) => {
                self.rows.truncate(usize::try_from(*most).unwrap_or(usize::MAX));
                let count = self.rows.len() as u64;
                Ok((self.rows, count))
            }
            Sink::Sort { keys, top } => {
                self.keys.sort_by(|one, two| by_keys(keys, &one.0, &two.0));
                let most = top.map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX));
                for (number, (values, row)) in self.keys.iter().enumerate() {
                    cx.release(weight_of(values) + if number < most { 0 } else { row.weight() });
                }
                let rows = self.keys.into_iter().take(most).map(|(_, row)| row).collect();
                Ok((rows, self.total.min(top.unwrap_or(u64::MAX))))
            }
            Sink::Summarize { keys, aggregates } => {
                if keys.is_empty() && self.groups.all.is_empty() {
                    // Without keys there is one group, of no rows at all.
                    self.groups.of(cx, Vec::new(), || aggregates.iter().map(Aggregate::start).collect())?;
                }
                let mut rows = Vec::with_capacity(self.groups.all.len());
                for group in self.groups.all {
                    cx.check()?;
                    cx.release(group.weight() + group.gathered.iter().map(Gathered::weight).sum::<usize>());
                    let mut slots = group.key;
                    for (aggregate, gathered) in aggregates.iter().zip(group.gathered) {
                        aggregate.finish(gathered, &mut slots);
                    }
                    let row = Row::of(slots);
                    cx.charge(row.weight())?;
                    rows.push(row);
                }
                let count = rows.len() as u64;
                Ok((rows, count))
            }
            Sink::First(_) => {
                let rows: Vec<_> = self.groups.all.into_iter().filter_map(|group| group.first).collect();
                let count = rows.len() as u64;
                Ok((rows, count))
            }
        }
    }
}

fn by_keys(keys: &[Key], one: &[Value<'_>], two: &[Value<'_>]) -> Ordering {
    for ((key, one), two) in keys.iter().zip(one).zip(two) {
        let order = match (one.is_null(), two.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if key.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if key.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if key.descending => two.sorting(one),
            (false, false) => one.sorting(two),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}
