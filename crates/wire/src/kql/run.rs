//! A plan over the parts of a source: rows flow through the steps of a stage one by one and are gathered at its end. The
//! parts of a large table are shared out to a few threads, each gathers its own, and what they gathered is put together in
//! the order of the rows.

use super::eval::{Context, Row, base};
use super::functions::Function;
use super::gather::State;
use super::join::Meeting;
use super::plan::{Expand, Node, Pipe, Plan, Sink, Stage, Transform};
use super::source::{Part, Source};
use super::value::Value;
use super::{Fault, Result};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

/// Rows below which one thread does it all: ours.
const FEW: usize = 20_000;

/// How far a run may go.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Set by somebody else when it has gone on for too long.
    pub stop: &'a AtomicBool,
    /// Bytes that it may hold.
    pub memory_bytes: usize,
    /// Threads that it may use.
    pub threads: usize,
}

/// Rows around a page's beginning in which the last row of the page before is looked for: ours.
const SHIFTED: usize = 1000;

/// Which rows of the answer are wanted.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Rows before the first one.
    pub skip: u64,
    /// Most rows.
    pub top: usize,
    /// The `id` of the last row before the first one: where rows came or went meanwhile, the page begins behind it all the same.
    pub after: Option<String>,
}

impl Page {
    /// The page of at most `top` rows behind so many.
    pub fn new(skip: u64, top: usize) -> Self {
        Self { skip, top, after: None }
    }
}

/// What a run gives.
#[derive(Debug)]
pub struct Answer {
    /// How many rows there are, on all pages.
    pub total: u64,
    /// Rows before the page's first one.
    pub skipped: u64,
    /// The rows of the page, their values in the order of the plan's columns.
    pub rows: Vec<Vec<Json>>,
}

impl Plan {
    /// Runs it. Blocks: for a thread that may be held. A page of a query with `take` or `limit` begins with the first row whatever it
    /// skips, as Resource Graph has it.
    ///
    /// # Errors
    /// A limit that it met.
    pub fn run(&self, source: &dyn Source, page: Page, limits: Limits<'_>) -> Result<Answer> {
        let mut parts = Vec::new();
        let mut tables = HashMap::new();
        for table in &self.tables {
            let start = parts.len();
            parts.extend(source.parts(*table));
            tables.insert(*table, start..parts.len());
        }
        let run = Run { cx: Context::new(parts, limits), tables };
        let takes = self.pipe.stages.iter().any(|stage| matches!(stage.sink, Sink::Take(_)));
        let page = if takes { Page::new(0, page.top) } else { page };
        let around = if page.after.is_some() { SHIFTED } else { 0 };
        let end = page.skip.saturating_add((page.top + around) as u64);
        let (rows, total) = run.pipe(&self.pipe, Some(end))?;
        let skip = usize::try_from(page.skip).unwrap_or(usize::MAX);
        let skip = self.behind(&run.cx, &rows, skip, page.after.as_deref()).unwrap_or(skip);
        let rows = rows.into_iter().skip(skip).take(page.top);
        let mut shown = Vec::new();
        for row in rows {
            let values = run.cx.list(self.pipe.columns.iter().map(|column| &column.node), &row);
            run.cx.check()?;
            // Columns may share a value; each is written out in the answer.
            run.cx.charge(values.iter().map(shown_weight).sum())?;
            shown.push(values.iter().map(Value::to_json).collect());
        }
        run.cx.check()?;
        Ok(Answer { total, skipped: skip as u64, rows: shown })
    }

    /// How many rows there are up to the one with the id `after`, where it stands near `skip`.
    fn behind<'s>(&'s self, cx: &Context<'s>, rows: &[Row<'s>], skip: usize, after: Option<&str>) -> Option<usize> {
        let (after, id) = after.zip(self.pipe.columns.iter().find(|column| column.name == "id"))?;
        let first = skip.saturating_sub(SHIFTED).min(rows.len());
        let is_last = |row: &Row<'s>| *cx.eval(&id.node, row).to_text() == *after;
        let last = skip.saturating_add(SHIFTED).min(rows.len());
        Some(first + rows[first..last].iter().position(is_last)? + 1)
    }
}

/// Bytes of a value as JSON.
fn shown_weight(value: &Value<'_>) -> usize {
    let text = if let Value::Text(text) = value { text.len() } else { 0 };
    48 + text.max(value.weight())
}

/// A run under way.
pub(crate) struct Run<'s> {
    pub(crate) cx: Context<'s>,
    tables: HashMap<usize, Range<usize>>,
}

/// Where the rows of a stage come from.
enum Input<'s> {
    Parts(Range<usize>),
    Rows(Vec<Row<'s>>),
}

impl<'s> Run<'s> {
    /// The rows of a pipe and how many there are; only the first `keep` of them, where it says so.
    pub(crate) fn pipe(&self, pipe: &'s Pipe, keep: Option<u64>) -> Result<(Vec<Row<'s>>, u64)> {
        let mut input = Input::Parts(self.tables.get(&pipe.table).cloned().unwrap_or(0..0));
        let mut total = 0;
        for (number, stage) in pipe.stages.iter().enumerate() {
            let last = number + 1 == pipe.stages.len();
            let (rows, count) = self.stage(stage, input, keep.filter(|_| last))?;
            total = count;
            input = Input::Rows(rows);
        }
        match input {
            Input::Rows(rows) => Ok((rows, total)),
            Input::Parts(_) => Ok((Vec::new(), 0)),
        }
    }

    fn stage(&self, stage: &'s Stage, input: Input<'s>, keep: Option<u64>) -> Result<(Vec<Row<'s>>, u64)> {
        let mut meetings = Vec::with_capacity(stage.steps.len());
        for step in &stage.steps {
            meetings.push(match step {
                Transform::Join(join) => Some(Meeting::prepare(self, join)?),
                _ => None,
            });
        }
        let flow = Flow { cx: &self.cx, steps: &stage.steps, meetings: &meetings };
        let state = match input {
            Input::Rows(rows) => {
                let mut state = State::new(&stage.sink, keep);
                for mut row in rows {
                    self.cx.check()?;
                    // What becomes of it is counted where it is gathered again.
                    self.cx.release(row.weight());
                    flow.row(0, &mut row, &mut state)?;
                    if state.is_full() {
                        break;
                    }
                }
                state
            }
            Input::Parts(parts) => self.shared(&flow, &stage.sink, keep, parts)?,
        };
        if let Sink::Union { others, .. } = &stage.sink {
            return self.united(state, others, keep);
        }
        state.finish(&self.cx)
    }

    /// Goes through parts, on several threads where there are many rows.
    fn shared(&self, flow: &Flow<'_, 's>, sink: &'s Sink, keep: Option<u64>, parts: Range<usize>) -> Result<State<'s>> {
        let rows: usize = self.cx.parts[parts.clone()].iter().map(|part| part.rows()).sum();
        let threads = if rows < FEW { 1 } else { self.cx.threads };
        if threads == 1 {
            let mut state = State::new(sink, keep);
            flow.parts(parts, &mut state)?;
            return Ok(state);
        }
        let shares = self.shares(parts, rows, threads);
        let gathered: Vec<Result<State<'s>>> = std::thread::scope(|scope| {
            let spawned: Vec<_> = shares
                .into_iter()
                .map(|share| {
                    scope.spawn(move || {
                        let mut state = State::new(sink, keep);
                        flow.parts(share, &mut state)?;
                        Ok(state)
                    })
                })
                .collect();
            let fault = |_| Err(Fault::limit("A thread of the query ended before its time."));
            spawned.into_iter().map(|thread| thread.join().unwrap_or_else(fault)).collect()
        });
        let mut whole = State::new(sink, keep);
        for state in gathered {
            whole.merge(state?, &self.cx)?;
        }
        Ok(whole)
    }

    /// Cuts parts into shares of about as many rows each.
    fn shares(&self, parts: Range<usize>, rows: usize, threads: usize) -> Vec<Range<usize>> {
        let each = rows.div_ceil(threads);
        let (mut shares, mut start, mut count) = (Vec::new(), parts.start, 0);
        for number in parts.clone() {
            count += self.cx.parts[number].rows();
            if count >= each || number + 1 == parts.end {
                shares.push(start..number + 1);
                (start, count) = (number + 1, 0);
            }
        }
        shares
    }

    /// The rows of a union: those of the pipe so far, then those of the others.
    fn united(&self, state: State<'s>, others: &'s [Pipe], keep: Option<u64>) -> Result<(Vec<Row<'s>>, u64)> {
        let (mut rows, mut total) = state.finish(&self.cx)?;
        for other in others {
            let (more, count) = self.pipe(other, keep)?;
            total += count;
            for row in more {
                self.cx.check()?;
                let flat = Row::of(self.cx.list(other.columns.iter().map(|column| &column.node), &row));
                self.cx.release(row.weight());
                self.cx.charge(flat.weight())?;
                rows.push(flat);
            }
        }
        Ok((rows, total))
    }
}

/// The steps of a stage, with what its joins meet.
struct Flow<'f, 's> {
    cx: &'f Context<'s>,
    steps: &'s [Transform],
    meetings: &'f [Option<Meeting<'s>>],
}

impl<'s> Flow<'_, 's> {
    fn parts(&self, parts: Range<usize>, state: &mut State<'s>) -> Result<()> {
        let leading = self.steps.iter().take_while(|step| matches!(step, Transform::Where(_))).count();
        let conditions: Vec<&'s Node> = self.steps[..leading]
            .iter()
            .flat_map(|step| match step {
                Transform::Where(all) => all.as_slice(),
                _ => &[],
            })
            .collect();
        for number in parts {
            self.cx.check()?;
            let part = self.cx.parts[number];
            if part.rows() == 0 {
                continue;
            }
            // What is the same for all rows of the part is asked once.
            let is_constant = |column: usize| part.constant(column).is_some();
            let is_same = |node: &&&Node| node.reads_only(&is_constant) || decides(part, node);
            let (same, each): (Vec<_>, Vec<_>) = conditions.iter().partition(is_same);
            let first = Row::new(base(number, 0));
            if !same.into_iter().all(|node| self.cx.holds(node, &first)) {
                continue;
            }
            let mut row = Row::new(base(number, 0));
            for line in 0..part.rows() {
                row.restart(base(number, line));
                if each.iter().all(|node| self.cx.holds(node, &row)) {
                    self.cx.check()?;
                    self.row(leading, &mut row, state)?;
                    if state.is_full() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends a row through the steps from `from` on.
    fn row(&self, from: usize, row: &mut Row<'s>, state: &mut State<'s>) -> Result<()> {
        for (number, step) in self.steps.iter().enumerate().skip(from) {
            match step {
                Transform::Where(all) => {
                    if !all.iter().all(|node| self.cx.holds(node, row)) {
                        return Ok(());
                    }
                }
                Transform::Extend(nodes) => self.cx.extend(nodes, row),
                Transform::Expand(expand) => return self.expand(expand, number + 1, row, state),
                Transform::Join(_) => {
                    let Some(meeting) = &self.meetings[number] else { return Ok(()) };
                    return meeting.meet(self.cx, row, &mut |mut met| self.row(number + 1, &mut met, state));
                }
            }
        }
        state.push(self.cx, row)
    }

    fn expand(&self, expand: &'s Expand, next: usize, row: &Row<'s>, state: &mut State<'s>) -> Result<()> {
        let most = usize::try_from(expand.limit).unwrap_or(usize::MAX);
        let lists: Vec<Vec<Value<'s>>> =
            self.cx.list(&expand.nodes, row).iter().map(|value| elements(value, most)).collect();
        let held = lists.iter().flatten().map(|value| size_of::<Value<'_>>() + value.weight()).sum();
        self.cx.charge(held)?;
        for number in 0..lists.iter().map(Vec::len).max().unwrap_or(0).min(most) {
            self.cx.check()?;
            let mut one = row.clone();
            for (list, cast) in lists.iter().zip(&expand.casts) {
                let value = list.get(number).cloned().unwrap_or(Value::Null);
                one.push(cast.map_or(value.clone(), |cast: Function| cast.call(&[value], &|| true)));
            }
            self.row(next, &mut one, state)?;
        }
        self.cx.release(held);
        Ok(())
    }
}

/// Whether a condition is the same for all rows of a part, though the column is not.
fn decides(part: &dyn Part, node: &Node) -> bool {
    match node {
        Node::Begins { base: 0, column, wanted, ignore_case } => part.begins(*column, wanted, *ignore_case).is_some(),
        Node::Is { base: 0, column, wanted, ignore_case } => !part.may_have(*column, wanted, *ignore_case),
        _ => false,
    }
}

/// What a value is expanded to: the first elements of an array, bags of one member of a bag, anything else itself.
fn elements<'s>(value: &Value<'s>, most: usize) -> Vec<Value<'s>> {
    let Value::Dynamic(json) = value else { return vec![value.clone()] };
    match json.as_ref() {
        // Of nothing, a row without a value is left.
        Json::Array(items) if items.is_empty() => vec![Value::Null],
        Json::Array(items) => items.iter().take(most).map(Value::of_json).collect(),
        Json::Object(map) if map.is_empty() => vec![Value::Null],
        Json::Object(map) => {
            let bag = |(name, value): (&String, &Json)| Map::from_iter([(name.clone(), value.clone())]);
            map.iter().take(most).map(|member| Value::of_json(&Json::Object(bag(member)))).collect()
        }
        scalar => vec![Value::of_json(scalar)],
    }
}
