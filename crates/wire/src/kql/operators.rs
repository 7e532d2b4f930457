//! Operators: what each does to the columns, and which steps it adds.

use super::aggregate::{Aggregate, Kind};
use super::ast::{Expansion, Expr, ExprKind, JoinKind, Named, Operator, OperatorKind, Pattern, Pipe, SortKey};
use super::bind::{Binder, Flow, few, free};
use super::functions;
use super::plan::{Column, Expand, Join, Key, Node, Sink, Transform};
use super::value::{Type, Value};
use super::{Fault, FaultKind, Result};
use ferrohub_model::limits::{KQL_EXPANSIONS, KQL_JOINS};

/// Elements that `mv-expand` makes rows of (Resource Graph: 128 by default, 2000 at most).
const EXPANDED: (u64, u64) = (128, 2000);

/// Expressions with the columns that they make.
pub(super) type Keys = (Vec<Node>, Vec<(String, Type)>);

pub(super) fn fault(message: impl Into<String>, at: usize, token: &str) -> Fault {
    Fault::new(FaultKind::Meaning, message, at, token)
}

/// The name of the column that an expression makes where it is given none.
pub(super) fn name_of(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Member(inner, name) => Some(format!("{}_{name}", name_of(inner)?)),
        ExprKind::Index(inner, index) => match &index.kind {
            ExprKind::Literal(value) => Some(format!("{}_{}", name_of(inner)?, &*value.to_text())),
            _ => None,
        },
        ExprKind::Call(function, args) => {
            let keeps = function.starts_with("to")
                && functions::find(function).is_some()
                && !matches!(function.as_str(), "tolower" | "toupper");
            let keeps = keeps || matches!(function.as_str(), "bin" | "floor" | "parse_json" | "startofday");
            name_of(args.first().filter(|_| keeps)?)
        }
        _ => None,
    }
}

/// Whether a column's name fits `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((tail, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(tail)
}

impl Binder<'_> {
    pub(crate) fn operator(&mut self, flow: &mut Flow, operator: &Operator) -> Result<()> {
        match &operator.kind {
            OperatorKind::Where(expr) => {
                let all = match self.condition(expr, flow)? {
                    Node::All(all) => all,
                    one => vec![one],
                };
                flow.steps.push(Transform::Where(all));
            }
            OperatorKind::Extend(list) => {
                for (name, node, kind) in self.computed(flow, list)? {
                    let name = name.unwrap_or_else(|| free("Column1", &flow.columns));
                    flow.put(Column { name, kind, node });
                }
            }
            OperatorKind::Project(list) => {
                let mut columns: Vec<Column> = Vec::new();
                for (name, node, kind) in self.computed(flow, list)? {
                    let name = name.unwrap_or_else(|| format!("Column{}", columns.len() + 1));
                    columns.push(Column { name: free(&name, &columns), kind, node });
                }
                flow.columns = columns;
            }
            OperatorKind::ProjectAway(patterns) => {
                self.known(flow, patterns)?;
                flow.columns.retain(|column| !patterns.iter().any(|pattern| fits(&pattern.text, &column.name)));
            }
            OperatorKind::ProjectKeep(patterns) => {
                self.known(flow, patterns)?;
                flow.columns.retain(|column| patterns.iter().any(|pattern| fits(&pattern.text, &column.name)));
            }
            OperatorKind::ProjectReorder(patterns) => self.reorder(flow, patterns)?,
            OperatorKind::ProjectRename(list) => self.rename(flow, list)?,
            OperatorKind::Summarize { aggregates, by } => self.summarize(flow, aggregates, by)?,
            OperatorKind::Sort(keys) => {
                let keys = self.sort_keys(flow, keys)?;
                flow.gather(Sink::Sort { keys, top: None });
            }
            OperatorKind::Top(count, keys) => {
                let keys = self.sort_keys(flow, keys)?;
                flow.gather(Sink::Sort { keys, top: Some(*count) });
                flow.pages = false;
            }
            OperatorKind::Take(count) => {
                flow.gather(Sink::Take(*count));
                flow.pages = false;
            }
            OperatorKind::Count => {
                let count = Aggregate { kind: Kind::Count, args: Vec::new(), condition: None, most: 0 };
                flow.gather(Sink::Summarize { keys: Vec::new(), aggregates: vec![count] });
                self.rebased(flow, vec![("Count".into(), Type::Long)]);
            }
            OperatorKind::Distinct(list) => self.distinct(flow, list)?,
            OperatorKind::Join { kind, right, on } => self.join(flow, *kind, right, on, operator.at)?,
            OperatorKind::Union(legs) => self.union(flow, legs)?,
            OperatorKind::Expand { columns, limit } => self.expand(flow, columns, *limit, operator.at)?,
        }
        Ok(())
    }

    /// Expressions with the names they get. What is a column already stays where it is; all else is a slot more.
    fn computed(&mut self, flow: &mut Flow, list: &[Named]) -> Result<Vec<(Option<String>, Node, Type)>> {
        few(list.len())?;
        let mut nodes = Vec::new();
        let mut made = Vec::new();
        for named in list {
            let (node, kind) = self.expr(&named.expr, flow)?;
            let name = named.name.clone().or_else(|| match &named.expr.kind {
                // As the column spells itself.
                ExprKind::Name(name) => flow.find(name).map(|at| flow.columns[at].name.clone()),
                _ => name_of(&named.expr),
            });
            let node = match node {
                Node::Column(..) | Node::Path(..) | Node::Slot(_) | Node::Literal(_) => node,
                node => {
                    nodes.push(node);
                    flow.slot()
                }
            };
            made.push((name, node, kind));
        }
        if !nodes.is_empty() {
            flow.steps.push(Transform::Extend(nodes));
        }
        Ok(made)
    }

    /// Refuses a pattern that fits no column.
    fn known(&self, flow: &Flow, patterns: &[Pattern]) -> Result<()> {
        few(patterns.len())?;
        for pattern in patterns {
            let found = flow.columns.iter().any(|column| fits(&pattern.text, &column.name));
            if !found && !pattern.text.contains('*') {
                self.name(flow, &pattern.text, pattern.at)?;
            }
        }
        Ok(())
    }

    fn reorder(&self, flow: &mut Flow, patterns: &[Pattern]) -> Result<()> {
        self.known(flow, patterns)?;
        let mut rest = std::mem::take(&mut flow.columns);
        for pattern in patterns {
            let (mut found, other): (Vec<_>, Vec<_>) = rest.into_iter().partition(|c| fits(&pattern.text, &c.name));
            if let Some(descending) = pattern.order {
                found.sort_by(|one, two| if descending { two.name.cmp(&one.name) } else { one.name.cmp(&two.name) });
            }
            flow.columns.extend(found);
            rest = other;
        }
        flow.columns.extend(rest);
        Ok(())
    }

    fn rename(&self, flow: &mut Flow, list: &[Named]) -> Result<()> {
        few(list.len())?;
        for named in list {
            let (Some(name), ExprKind::Name(old)) = (&named.name, &named.expr.kind) else {
                return Err(fault("project-rename takes 'new = old' with the name of a column.", named.expr.at, ""));
            };
            self.name(flow, old, named.expr.at)?;
            let free = free(name, &flow.columns);
            if let Some(at) = flow.find(old) {
                flow.columns[at].name = free;
            }
        }
        Ok(())
    }

    fn sort_keys(&mut self, flow: &Flow, keys: &[SortKey]) -> Result<Vec<Key>> {
        few(keys.len())?;
        let key = |key: &SortKey| {
            let (node, kind) = self.expr(&key.expr, flow)?;
            self.not_dynamic(kind, &key.expr, "Rows are not sorted by")?;
            Ok(Key { node, descending: key.descending, nulls_first: key.nulls_first })
        };
        keys.iter().map(key).collect()
    }

    /// Kusto sorts, groups and joins by scalars only.
    fn not_dynamic(&self, kind: Type, expr: &Expr, what: &str) -> Result<()> {
        if kind != Type::Dynamic {
            return Ok(());
        }
        let name = name_of(expr).unwrap_or_default();
        let message =
            format!("{what} a value of type dynamic ('{name}'). Please use an explicit cast, such as tostring().");
        Err(fault(message, expr.at, &name))
    }

    /// The columns after rows were made anew: slots, in order.
    pub(super) fn rebased(&self, flow: &mut Flow, columns: Vec<(String, Type)>) {
        flow.bases = Vec::new();
        flow.slots = columns.len();
        flow.columns = Vec::new();
        flow.pages = false;
        for (slot, (name, kind)) in columns.into_iter().enumerate() {
            let name = free(&name, &flow.columns);
            flow.columns.push(Column { name, kind, node: Node::Slot(slot) });
        }
    }

    pub(super) fn keys(&mut self, flow: &Flow, by: &[Named], what: &str) -> Result<Keys> {
        few(by.len())?;
        let (mut nodes, mut columns) = (Vec::new(), Vec::new());
        for named in by {
            let (node, kind) = self.expr(&named.expr, flow)?;
            self.not_dynamic(kind, &named.expr, what)?;
            nodes.push(node);
            let name = named.name.clone().or_else(|| match &named.expr.kind {
                ExprKind::Name(name) => flow.find(name).map(|at| flow.columns[at].name.clone()),
                _ => name_of(&named.expr),
            });
            columns.push((name.unwrap_or_else(|| format!("Column{}", columns.len() + 1)), kind));
        }
        Ok((nodes, columns))
    }

    fn join(&mut self, flow: &mut Flow, kind: JoinKind, right: &Pipe, on: &[Expr], at: usize) -> Result<()> {
        self.joins += 1;
        if self.joins > KQL_JOINS {
            return Err(Fault::new(FaultKind::Limit, format!("A query has at most {KQL_JOINS} joins."), at, "join"));
        }
        few(on.len())?;
        let mut other = self.flow(right)?;
        let swapped = matches!(kind, JoinKind::RightOuter | JoinKind::RightSemi | JoinKind::RightAnti);
        let (mut left_keys, mut right_keys) = (Vec::new(), Vec::new());
        for expr in on {
            let (one, two) = self.sides(flow, &other, expr)?;
            left_keys.push(one);
            right_keys.push(two);
        }
        if swapped {
            std::mem::swap(flow, &mut other);
            std::mem::swap(&mut left_keys, &mut right_keys);
        }
        if kind == JoinKind::InnerUnique {
            flow.gather(Sink::First(left_keys.clone()));
        }
        let left = flow.width();
        let right_columns = other.columns.clone();
        let bases = other.bases.clone();
        let right = other.ended();
        let width = right.width;
        flow.steps.push(Transform::Join(Box::new(Join { kind, right, left_keys, right_keys, left })));
        flow.pages = false;
        if matches!(kind, JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::RightSemi | JoinKind::RightAnti) {
            return Ok(());
        }
        flow.bases.extend(bases);
        flow.slots += width.slots;
        let mut shifted = right_columns;
        shifted.iter_mut().for_each(|column| column.node.shift(left));
        let (first, second) = match swapped {
            true => (shifted, std::mem::take(&mut flow.columns)),
            false => (std::mem::take(&mut flow.columns), shifted),
        };
        flow.columns = first;
        for mut column in second {
            column.name = free(&column.name, &flow.columns);
            flow.columns.push(column);
        }
        Ok(())
    }

    /// The keys of both sides: `name`, or `$left.a == $right.b`.
    fn sides(&mut self, left: &Flow, right: &Flow, expr: &Expr) -> Result<(Node, Node)> {
        let side = |binder: &Self, expr: &Expr| -> Result<Option<(bool, Node, Type)>> {
            let ExprKind::Member(inner, name) = &expr.kind else { return Ok(None) };
            let ExprKind::Name(word) = &inner.kind else { return Ok(None) };
            let (is_left, flow) = match word.as_str() {
                "$left" => (true, left),
                "$right" => (false, right),
                _ => return Ok(None),
            };
            let (node, kind) = binder.name(flow, name, expr.at)?;
            Ok(Some((is_left, node, kind)))
        };
        let found = match &expr.kind {
            ExprKind::Name(name) => {
                let (one, two) = (self.name(left, name, expr.at)?, self.name(right, name, expr.at)?);
                Some(((one.0, one.1), (two.0, two.1)))
            }
            ExprKind::Binary("==", one, two) => match (side(self, one)?, side(self, two)?) {
                (Some((true, a, a_kind)), Some((false, b, b_kind))) => Some(((a, a_kind), (b, b_kind))),
                (Some((false, b, b_kind)), Some((true, a, a_kind))) => Some(((a, a_kind), (b, b_kind))),
                _ => None,
            },
            _ => None,
        };
        let Some(((one, one_kind), (two, two_kind))) = found else {
            let message = "A join is on names of columns, or on '$left.a == $right.b'.";
            return Err(fault(message, expr.at, ""));
        };
        self.not_dynamic(one_kind, expr, "Rows are not joined by")?;
        self.not_dynamic(two_kind, expr, "Rows are not joined by")?;
        if one_kind != two_kind {
            let message = format!("A join cannot compare values of types {} and {}.", one_kind.name(), two_kind.name());
            return Err(fault(message, expr.at, ""));
        }
        Ok((one, two))
    }

    fn union(&mut self, flow: &mut Flow, legs: &[Pipe]) -> Result<()> {
        if legs.len() > KQL_JOINS {
            return Err(Fault::limit(format!("A union has at most {KQL_JOINS} tables.")));
        }
        let mut others = Vec::new();
        let mut names: Vec<(String, Type)> = flow.columns.iter().map(|c| (c.name.clone(), c.kind)).collect();
        for leg in legs {
            let other = self.flow(leg)?;
            for column in &other.columns {
                match names.iter_mut().find(|(name, _)| *name == column.name) {
                    Some((_, kind)) if *kind != column.kind => *kind = Type::Dynamic,
                    Some(_) => {}
                    None => names.push((column.name.clone(), column.kind)),
                }
            }
            others.push(other);
        }
        let laid_out = |columns: &[Column]| -> Vec<Column> {
            let of = |(name, kind): &(String, Type)| {
                let node = columns.iter().find(|column| column.name == *name).map(|column| column.node.clone());
                Column { name: name.clone(), kind: *kind, node: node.unwrap_or(Node::Literal(Value::Null)) }
            };
            names.iter().map(of).collect()
        };
        let columns = laid_out(&flow.columns).into_iter().map(|column| column.node).collect();
        let others = others
            .into_iter()
            .map(|mut other| {
                other.columns = laid_out(&other.columns);
                other.ended()
            })
            .collect();
        flow.gather(Sink::Union { columns, others });
        self.rebased(flow, names);
        Ok(())
    }

    fn expand(&mut self, flow: &mut Flow, columns: &[Expansion], limit: Option<u64>, at: usize) -> Result<()> {
        self.expansions += 1;
        if self.expansions > KQL_EXPANSIONS {
            let message = format!("A query has at most {KQL_EXPANSIONS} mv-expand.");
            return Err(Fault::new(FaultKind::Limit, message, at, "mv-expand"));
        }
        few(columns.len())?;
        let (mut nodes, mut casts, mut made) = (Vec::new(), Vec::new(), Vec::new());
        for expansion in columns {
            let expr = &expansion.named.expr;
            let (node, kind) = self.expr(expr, flow)?;
            if kind != Type::Dynamic {
                let message = format!("mv-expand takes a value of type dynamic; this is a {}.", kind.name());
                return Err(fault(message, expr.at, ""));
            }
            let cast = match &expansion.to {
                Some(word) => Some(
                    functions::conversion(word)
                        .ok_or_else(|| fault(format!("There is no type '{word}'."), expr.at, word))?,
                ),
                None => None,
            };
            let name = expansion.named.name.clone().or_else(|| name_of(expr));
            nodes.push(node);
            made.push((name, cast.and_then(|cast| cast.kind).unwrap_or(Type::Dynamic)));
            casts.push(cast);
        }
        let limit = limit.unwrap_or(EXPANDED.0).min(EXPANDED.1);
        flow.steps.push(Transform::Expand(Expand { nodes, casts, limit }));
        flow.pages = false;
        for (name, kind) in made {
            let name = name.unwrap_or_else(|| free("Column1", &flow.columns));
            let node = flow.slot();
            flow.put(Column { name, kind, node });
        }
        Ok(())
    }
}
