//! From syntax to a plan: which columns there are at each operator, and where their values come from.

use super::ast::{self, Expr};
use super::eval::Context;
use super::plan::{Column, Node, Pipe, Plan, Sink, SourcePath, Stage, Step, Transform, Width};
use super::source::Schema;
use super::value::Type;
use super::{Fault, FaultKind, Limits, Result};
use ferrohub_model::limits::{KQL_COLUMNS, KQL_JOINS, KQL_PLAN_BYTES, KQL_STEPS};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

/// Makes a plan of a query; `now` in ticks, until `stop` is set.
pub(crate) fn bind(query: &ast::Query, schema: &Schema, now: i64, stop: &AtomicBool) -> Result<Plan> {
    let mut binder = Binder {
        schema: *schema,
        now,
        cx: Context::new(Vec::new(), Limits { stop, memory_bytes: KQL_PLAN_BYTES, threads: 1 }),
        lets: HashMap::new(),
        paths: Vec::new(),
        steps: 0,
        tables: Vec::new(),
        patterns: 0,
        joins: 0,
        expansions: 0,
    };
    for (name, expr) in &query.lets {
        let (node, kind) = binder.expr(expr, &Flow::default())?;
        binder.lets.insert(name.clone(), (node, kind));
    }
    let flow = binder.flow(&query.pipe)?;
    let pages = flow.pages && flow.columns.iter().any(|column| column.name == "id");
    let pipe = flow.ended();
    Ok(Plan { pipe, paths: binder.paths, tables: binder.tables, pages })
}

/// What is the same for all parts of a query.
pub(crate) struct Binder<'p> {
    schema: Schema,
    pub(crate) now: i64,
    /// Computes what is known before the first row.
    pub(crate) cx: Context<'p>,
    /// Values with names, by `let`: of no row, so each is a literal.
    pub(crate) lets: HashMap<String, (Node, Type)>,
    paths: Vec<SourcePath>,
    /// Of all paths.
    steps: usize,
    tables: Vec<usize>,
    pub(crate) patterns: usize,
    pub(crate) joins: usize,
    pub(crate) expansions: usize,
}

/// A pipe while its operators are bound.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) table: usize,
    pub(crate) columns: Vec<Column>,
    /// The tables whose rows a row stands on.
    pub(crate) bases: Vec<usize>,
    pub(crate) slots: usize,
    pub(crate) stages: Vec<Stage>,
    pub(crate) steps: Vec<Transform>,
    /// Whether each row is a row of the table still.
    pub(crate) pages: bool,
}

impl Flow {
    pub(crate) fn width(&self) -> Width {
        Width { bases: self.bases.len(), slots: self.slots }
    }

    /// Ends a stage.
    pub(crate) fn gather(&mut self, sink: Sink) {
        self.stages.push(Stage { steps: std::mem::take(&mut self.steps), sink });
    }

    pub(crate) fn ended(mut self) -> Pipe {
        if self.stages.is_empty() || !self.steps.is_empty() {
            self.gather(Sink::Rows);
        }
        let width = self.width();
        Pipe { table: self.table, stages: self.stages, columns: self.columns, width }
    }

    /// A slot more, for a value that is computed for each row.
    pub(crate) fn slot(&mut self) -> Node {
        self.slots += 1;
        Node::Slot(self.slots - 1)
    }

    /// The column of this name, in any case where none has it exactly.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column.name == name);
        exact.or_else(|| self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
    }

    /// Replaces the column of this name, or adds it.
    pub(crate) fn put(&mut self, column: Column) {
        match self.find(&column.name) {
            Some(at) => self.columns[at] = column,
            None => self.columns.push(column),
        }
    }

    /// The names there are, for a message.
    pub(crate) fn names(&self) -> String {
        let mut shown: Vec<&str> = self.columns.iter().take(40).map(|column| column.name.as_str()).collect();
        if self.columns.len() > 40 {
            shown.push("…");
        }
        shown.join(", ")
    }
}

/// Refuses a list that is longer than a query may have columns.
pub(crate) fn few(count: usize) -> Result<()> {
    match count > KQL_COLUMNS {
        true => Err(Fault::limit(format!("The query carries more than {KQL_COLUMNS} columns."))),
        false => Ok(()),
    }
}

/// A name that no other of the columns has.
pub(crate) fn free(name: &str, columns: &[Column]) -> String {
    let taken = |name: &str| columns.iter().any(|column| column.name == name);
    if !taken(name) {
        return name.to_owned();
    }
    let mut numbered = (1..).map(|number| format!("{name}{number}"));
    numbered.find(|name| !taken(name)).unwrap_or_default()
}

impl Binder<'_> {
    /// The flow of a pipe, all its operators bound.
    pub(crate) fn flow(&mut self, pipe: &ast::Pipe) -> Result<Flow> {
        let mut flow = self.table(pipe.table.as_ref())?;
        for operator in &pipe.operators {
            self.cx.check()?;
            self.operator(&mut flow, operator)?;
            few(flow.columns.len())?;
            if flow.bases.len() > KQL_JOINS + 1 {
                return Err(Fault::limit(format!("A query has at most {KQL_JOINS} joins.")));
            }
        }
        Ok(flow)
    }

    fn table(&mut self, named: Option<&(String, usize)>) -> Result<Flow> {
        let tables = self.schema.tables;
        let number = match named {
            None => 0,
            Some((name, at)) => {
                let found = tables.iter().position(|table| table.name.eq_ignore_ascii_case(name));
                found.ok_or_else(|| {
                    let known: Vec<_> = tables.iter().map(|table| table.name).collect();
                    let message = format!("There is no table '{name}' here. There are {}.", known.join(", "));
                    Fault::new(FaultKind::Meaning, message, *at, name)
                })?
            }
        };
        if !self.tables.contains(&number) {
            self.tables.push(number);
        }
        let columns = tables[number].columns.iter().enumerate();
        let columns =
            columns.map(|(at, info)| Column { name: info.name.to_owned(), kind: info.kind, node: Node::Column(0, at) });
        Ok(Flow { table: number, columns: columns.collect(), bases: vec![number], pages: true, ..Flow::default() })
    }

    /// The expression for steps within a value.
    pub(crate) fn steps_within(&mut self, flow: &Flow, inner: Node, steps: Vec<Step>) -> Result<Node> {
        Ok(match inner {
            Node::Column(base, column) => Node::Path(base, self.path(flow.bases[base], column, steps)?),
            Node::Path(base, path) => {
                let SourcePath { table, column, steps: mut all } = self.paths[path].clone();
                all.extend(steps);
                Node::Path(base, self.path(table, column, all)?)
            }
            Node::Member(inner, mut all) => {
                all.extend(steps);
                Node::Member(inner, all)
            }
            inner => Node::Member(Box::new(inner), steps),
        })
    }

    fn path(&mut self, table: usize, column: usize, steps: Vec<Step>) -> Result<usize> {
        let path = SourcePath { table, column, steps };
        if let Some(known) = self.paths.iter().position(|known| *known == path) {
            return Ok(known);
        }
        self.cx.charge(path.steps.iter().map(Step::weight).sum())?;
        self.steps += path.steps.len();
        if self.steps > KQL_STEPS {
            return Err(Fault::limit(format!("The query names more than {KQL_STEPS} members within columns.")));
        }
        self.paths.push(path);
        Ok(self.paths.len() - 1)
    }

    /// A column of the flow by its name, or a value that `let` named.
    pub(crate) fn name(&self, flow: &Flow, name: &str, at: usize) -> Result<(Node, Type)> {
        if let Some(found) = flow.find(name) {
            return Ok((flow.columns[found].node.clone(), flow.columns[found].kind));
        }
        if let Some(known) = self.lets.get(name) {
            return Ok(known.clone());
        }
        let message = format!(
            "Failed to resolve column or scalar expression named '{name}'. The columns here are {}.",
            flow.names()
        );
        Err(Fault::new(FaultKind::Meaning, message, at, name))
    }

    /// An expression that must be true or false.
    pub(crate) fn condition(&mut self, expr: &Expr, flow: &Flow) -> Result<Node> {
        let (node, kind) = self.expr(expr, flow)?;
        match kind {
            Type::Bool | Type::Dynamic => Ok(node),
            kind => {
                let message = format!("A condition is true or false; this is a value of type {}.", kind.name());
                Err(Fault::new(FaultKind::Meaning, message, expr.at, ""))
            }
        }
    }
}
