//! Joins: the rows of the other side are gathered and put under the hash of their keys, then each row meets its own.

use super::Result;
use super::ast::JoinKind;
use super::eval::{Context, NO_BASE, Row};
use super::plan::{Join, Width};
use super::run::Run;
use super::value::Value;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

/// What the rows of the left side meet.
pub(crate) struct Meeting<'s> {
    join: &'s Join,
    rows: Vec<(Vec<Value<'s>>, Row<'s>)>,
    index: HashMap<u64, Vec<u32>>,
}

impl<'s> Meeting<'s> {
    /// Gathers the right side.
    pub(crate) fn prepare(run: &Run<'s>, join: &'s Join) -> Result<Self> {
        let (rows, _) = run.pipe(&join.right, None)?;
        let mut meeting = Self { join, rows: Vec::with_capacity(rows.len()), index: HashMap::new() };
        for row in rows {
            run.cx.check()?;
            let key = run.cx.list(&join.right_keys, &row);
            // Nothing meets nothing.
            if key.iter().any(Value::is_null) {
                run.cx.release(row.weight());
                continue;
            }
            run.cx.charge(64 + key.iter().map(|value| 24 + value.weight()).sum::<usize>())?;
            let place = u32::try_from(meeting.rows.len()).unwrap_or(u32::MAX);
            meeting.index.entry(hash(&run.cx, &key)).or_default().push(place);
            meeting.rows.push((key, row));
        }
        Ok(meeting)
    }

    /// Gives `then` what becomes of a row of the left side.
    pub(crate) fn meet(
        &self,
        cx: &Context<'s>,
        row: &Row<'s>,
        then: &mut dyn FnMut(Row<'s>) -> Result<()>,
    ) -> Result<()> {
        let key = cx.list(&self.join.left_keys, row);
        let places = if key.iter().any(Value::is_null) { None } else { self.index.get(&hash(cx, &key)) };
        let is_same = |place: &&u32| self.rows[**place as usize].0.iter().zip(&key).all(|(one, two)| one.same_key(two));
        let mut met = places.into_iter().flatten().filter(is_same).peekable();
        let any = met.peek().is_some();
        match self.join.kind {
            JoinKind::LeftSemi | JoinKind::RightSemi if any => then(row.clone()),
            JoinKind::LeftAnti | JoinKind::RightAnti if !any => then(row.clone()),
            JoinKind::LeftSemi | JoinKind::RightSemi | JoinKind::LeftAnti | JoinKind::RightAnti => Ok(()),
            JoinKind::LeftOuter | JoinKind::RightOuter if !any => then(self.alone(row)),
            _ => {
                for place in met {
                    cx.check()?;
                    then(self.together(row, &self.rows[*place as usize].1))?;
                }
                Ok(())
            }
        }
    }

    fn together(&self, left: &Row<'s>, right: &Row<'s>) -> Row<'s> {
        let Width { bases, slots } = self.join.left;
        let mut row = left.clone();
        for (place, base) in row.bases.iter_mut().skip(bases).zip(right.bases) {
            *place = base;
        }
        row.pad(slots);
        right.slots().iter().for_each(|value| row.push(value.clone()));
        row
    }

    fn alone(&self, left: &Row<'s>) -> Row<'s> {
        let mut row = left.clone();
        row.bases.iter_mut().skip(self.join.left.bases).for_each(|base| *base = NO_BASE);
        row.pad(self.join.left.slots + self.join.right.width.slots);
        row
    }
}

fn hash(cx: &Context<'_>, key: &[Value<'_>]) -> u64 {
    let mut hasher = cx.hasher.build_hasher();
    key.iter().for_each(|value| value.hash(&mut hasher));
    hasher.finish()
}
