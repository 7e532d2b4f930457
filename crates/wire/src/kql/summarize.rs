//! `summarize` and `distinct`: which aggregates there are, and the columns that they make.

use super::aggregate::{self, Aggregate, Kind, LIST};
use super::ast::{Expr, ExprKind, Named};
use super::bind::{Binder, Flow, few};
use super::operators::{Keys, fault, name_of};
use super::plan::Sink;
use super::value::{Type, Value};
use super::{Fault, FaultKind, Result};

impl Binder<'_> {
    pub(super) fn summarize(&mut self, flow: &mut Flow, aggregates: &[Named], by: &[Named]) -> Result<()> {
        let (keys, mut columns) = self.keys(flow, by, "Rows are not grouped by")?;
        let mut bound = Vec::new();
        for named in aggregates {
            bound.push(self.aggregate(flow, named, &mut columns)?);
            few(columns.len())?;
        }
        flow.gather(Sink::Summarize { keys, aggregates: bound });
        self.rebased(flow, columns);
        Ok(())
    }

    fn aggregate(&mut self, flow: &Flow, named: &Named, columns: &mut Vec<(String, Type)>) -> Result<Aggregate> {
        let at = named.expr.at;
        let ExprKind::Call(function, args) = &named.expr.kind else {
            return Err(fault("summarize takes aggregates, such as count() or max(name).", at, ""));
        };
        let Some((kind, prefix, yields)) = aggregate::find(function) else {
            let message = format!(
                "'{function}()' is no aggregate that is supported. There are count, countif, sum, avg, min, max, dcount, make_list, make_set, take_any, arg_max and arg_min, and those with 'if'."
            );
            return Err(Fault::new(FaultKind::Unsupported, message, at, function));
        };
        let (mut args, mut condition, mut most) = (args.as_slice(), None, LIST);
        if matches!(kind, Kind::List | Kind::Set)
            && args.len() > 1
            && let (Some((last, rest)), false) = (args.split_last(), function.ends_with("_if"))
        {
            most = match &last.kind {
                ExprKind::Literal(Value::Long(count)) => usize::try_from(*count).unwrap_or(0).min(LIST),
                _ => return Err(fault("The second argument is the greatest length of the list.", last.at, "")),
            };
            args = rest;
        }
        if function.ends_with("if") && kind != Kind::CountIf {
            let Some((last, rest)) = args.split_last() else {
                return Err(fault(format!("{function}() takes a condition as its last argument."), at, function));
            };
            condition = Some(self.condition(last, flow)?);
            args = rest;
        }
        // The second argument of dcount() is its accuracy; ours is exact.
        if kind == Kind::DistinctCount && args.len() == 2 {
            args = &args[..1];
        }
        let wanted = match kind {
            Kind::Count => 0..=0,
            Kind::Any => 1..=32,
            Kind::ArgMax | Kind::ArgMin => 1..=32,
            _ => 1..=1,
        };
        if !wanted.contains(&args.len()) {
            return Err(fault(format!("{function}() was given the wrong number of arguments."), at, function));
        }
        let (nodes, named_args) = self.arguments(flow, kind, args)?;
        let wide = matches!(kind, Kind::Any | Kind::ArgMax | Kind::ArgMin);
        if wide {
            for (number, (name, kind)) in named_args.into_iter().enumerate() {
                let given = named.name.clone().filter(|_| number == 0);
                columns.push((given.unwrap_or(name), kind));
            }
        } else {
            let first = named_args.into_iter().next();
            let sum = |kind: Type| if kind == Type::Dynamic { Type::Real } else { kind };
            let kind = yields.unwrap_or_else(|| {
                first
                    .as_ref()
                    .map_or(Type::Long, |(_, kind)| if function.starts_with("sum") { sum(*kind) } else { *kind })
            });
            let name = first.map(|(name, _)| name).unwrap_or_default();
            columns.push((named.name.clone().unwrap_or_else(|| format!("{prefix}{name}")), kind));
        }
        Ok(Aggregate { kind, args: nodes, condition, most })
    }

    /// The arguments of an aggregate; `*` is all columns.
    fn arguments(&mut self, flow: &Flow, kind: Kind, args: &[Expr]) -> Result<Keys> {
        let (mut nodes, mut named_args) = (Vec::new(), Vec::new());
        for arg in args {
            if matches!(arg.kind, ExprKind::Star) && matches!(kind, Kind::Any | Kind::ArgMax | Kind::ArgMin) {
                for column in &flow.columns {
                    nodes.push(column.node.clone());
                    named_args.push((column.name.clone(), column.kind));
                }
                continue;
            }
            let (node, kind) = self.expr(arg, flow)?;
            nodes.push(node);
            named_args.push((name_of(arg).unwrap_or_default(), kind));
        }
        Ok((nodes, named_args))
    }

    pub(super) fn distinct(&mut self, flow: &mut Flow, list: &[Named]) -> Result<()> {
        let (keys, columns) = match list {
            [] => {
                let all = flow.columns.iter().map(|column| (column.node.clone(), (column.name.clone(), column.kind)));
                all.unzip()
            }
            list => self.keys(flow, list, "Rows are not made distinct by")?,
        };
        flow.gather(Sink::Summarize { keys, aggregates: Vec::new() });
        self.rebased(flow, columns);
        Ok(())
    }
}
