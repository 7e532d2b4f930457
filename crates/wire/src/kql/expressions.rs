//! Expressions: names are looked up, types follow, and what can be computed before the first row is.

use super::ast::{Expr, ExprKind};
use super::bind::{Binder, Flow};
use super::eval::{NO_BASE, Row};
use super::functions::{self, ARITHMETIC, Eval, Function};
use super::plan::{Listed, Node, PatternUse, Step};
use super::texts;
use super::value::{Type, Value};
use super::{Fault, FaultKind, Result, aggregate};
use ferrohub_model::limits::KQL_PATTERNS;

/// Most groups of a pattern that can be asked for: ours.
const GROUPS: i64 = 100;
/// Most groups that what replaces a match names: ours. Each may be as long as the text.
const GROUPS_USED: usize = 32;

type Bound = (Node, Type);

fn fault(message: impl Into<String>, at: usize, token: &str) -> Fault {
    Fault::new(FaultKind::Meaning, message, at, token)
}

impl Binder<'_> {
    /// An expression with its type. One about which all is known is its value already, so what `let` names and an expression uses
    /// many times is computed once, and is no larger for it.
    pub(crate) fn expr(&mut self, expr: &Expr, flow: &Flow) -> Result<Bound> {
        let (node, kind) = self.bound(expr, flow)?;
        if !node.is_known() {
            return Ok((node, kind));
        }
        let value = self.cx.eval(&node, &Row::new(NO_BASE)).owned();
        self.cx.check()?;
        self.cx.charge(value.weight())?;
        Ok((Node::Literal(value), kind))
    }

    /// Counts a value that the plan is to hold once more.
    fn charge(&self, node: &Node) -> Result<()> {
        if let Node::Literal(value) = node { self.cx.charge(value.weight()) } else { Ok(()) }
    }

    fn bound(&mut self, expr: &Expr, flow: &Flow) -> Result<Bound> {
        let at = expr.at;
        match &expr.kind {
            ExprKind::Literal(value) => Ok((Node::Literal(value.clone()), type_of(value))),
            ExprKind::Name(name) => self.name(flow, name, at),
            ExprKind::Star => Err(fault("'*' stands for all columns and cannot be a value here.", at, "*")),
            ExprKind::Member(inner, name) => self.step(inner, Step::Member(name.clone()), flow, at),
            ExprKind::Index(inner, index) => self.index(inner, index, flow, at),
            ExprKind::All(all) => Ok((Node::All(self.conditions(all, flow)?), Type::Bool)),
            ExprKind::Any(all) => Ok((Node::Any(self.conditions(all, flow)?), Type::Bool)),
            ExprKind::Minus(inner) => {
                let (node, kind) = self.expr(inner, flow)?;
                let zero = if kind == Type::TimeSpan { Value::TimeSpan(0) } else { Value::Long(0) };
                self.arithmetic("-", (Node::Literal(zero.clone()), type_of(&zero)), (node, kind), at)
            }
            ExprKind::Binary("matches regex", text, pattern) => {
                let regex = self.pattern(pattern, flow)?;
                let text = Box::new(self.expr(text, flow)?.0);
                Ok((Node::Pattern { regex: Box::new(regex), what: PatternUse::Matches, text }, Type::Bool))
            }
            ExprKind::Binary(mark, one, two) => {
                let (one, two) = (self.expr(one, flow)?, self.expr(two, flow)?);
                self.charge(&two.0)?;
                match ARITHMETIC.iter().any(|(known, _)| known == mark) {
                    true => self.arithmetic(mark, one, two, at),
                    false => comparison(mark, one, two, at),
                }
            }
            ExprKind::Between { value, low, high, negated } => {
                let (value, low, high) = (self.expr(value, flow)?, self.expr(low, flow)?, self.expr(high, flow)?);
                let (value, low) = compared(">=", value, low, at)?;
                // `between (t .. 1d)`: from t on for a day.
                let high = match (value.1, high.1) {
                    (Type::DateTime, Type::TimeSpan) => high,
                    _ => compared("<=", (Node::Literal(Value::Null), value.1), high, at)?.1,
                };
                let both = self.named_call("..", vec![value.0, low.0, high.0], at)?;
                Ok((if *negated { self.named_call("not", vec![both], at)? } else { both }, Type::Bool))
            }
            ExprKind::In { value, list, ignore_case, negated } => {
                let value = Box::new(self.expr(value, flow)?.0);
                let nodes: Vec<Node> = list.iter().map(|item| Ok(self.expr(item, flow)?.0)).collect::<Result<_>>()?;
                let (ignore_case, negated) = (*ignore_case, *negated);
                nodes.iter().try_for_each(|node| self.charge(node))?;
                let node = match literals(&nodes) {
                    Some(list) => Node::In { value, list: Listed::new(list, ignore_case), negated },
                    None => Node::InNodes { value, list: nodes, ignore_case, negated },
                };
                Ok((node, Type::Bool))
            }
            ExprKind::Call(name, args) => self.call(name, args, flow, at),
        }
    }

    fn conditions(&mut self, all: &[Expr], flow: &Flow) -> Result<Vec<Node>> {
        all.iter().map(|one| self.condition(one, flow)).collect()
    }

    fn step(&mut self, inner: &Expr, step: Step, flow: &Flow, at: usize) -> Result<Bound> {
        let (node, kind) = self.expr(inner, flow)?;
        if kind != Type::Dynamic {
            let message = format!("A value of type {} has no members; parse_json() makes one of text.", kind.name());
            return Err(fault(message, at, ""));
        }
        self.cx.charge(step.weight())?;
        Ok((self.steps_within(flow, node, vec![step])?, Type::Dynamic))
    }

    fn index(&mut self, inner: &Expr, index: &Expr, flow: &Flow, at: usize) -> Result<Bound> {
        match self.expr(index, flow)?.0 {
            Node::Literal(Value::Text(name)) => self.step(inner, Step::Member(name.to_string()), flow, at),
            Node::Literal(Value::Long(number)) => self.step(inner, Step::Element(number), flow, at),
            index => {
                let (node, kind) = self.expr(inner, flow)?;
                match kind {
                    Type::Dynamic => Ok((Node::Element(Box::new(node), Box::new(index)), Type::Dynamic)),
                    kind => Err(fault(format!("A value of type {} has no elements.", kind.name()), at, "[")),
                }
            }
        }
    }

    fn arithmetic(&self, mark: &'static str, one: Bound, two: Bound, at: usize) -> Result<Bound> {
        use Type::{DateTime, Dynamic, Long, Real, TimeSpan};
        let kind = match (mark, one.1, two.1) {
            (_, Long, Long) => Long,
            ("+", DateTime, TimeSpan) | ("+", TimeSpan, DateTime) | ("-", DateTime, TimeSpan) => DateTime,
            ("-", DateTime, DateTime) | ("+" | "-", TimeSpan, TimeSpan) => TimeSpan,
            ("/", TimeSpan, TimeSpan) => Real,
            ("*" | "/", TimeSpan, other) if other.is_number() => TimeSpan,
            ("*", other, TimeSpan) if other.is_number() => TimeSpan,
            (_, one, two) if [one, two].iter().all(|kind| kind.is_number() || *kind == Dynamic) => Real,
            (mark, one, two) => {
                let message =
                    format!("'{mark}' cannot be applied to values of types {} and {}.", one.name(), two.name());
                return Err(fault(message, at, mark));
            }
        };
        let eval = ARITHMETIC.iter().find(|(known, _)| *known == mark).map(|(_, eval)| *eval);
        let Some(eval) = eval else { return Err(fault(format!("'{mark}' is not known."), at, mark)) };
        let function = Function { name: mark, arity: (2, 2), kind: Some(kind), eval: Eval::Quick(eval) };
        Ok((Node::Call(function, vec![one.0, two.0]), kind))
    }

    /// A pattern, which must be known before the first row.
    fn pattern(&mut self, expr: &Expr, flow: &Flow) -> Result<regex::Regex> {
        let text = self.known_text(expr, flow)?;
        self.compiled(expr, &text, texts::compile)
    }

    fn compiled(
        &mut self,
        expr: &Expr,
        text: &str,
        compile: impl FnOnce(&str) -> Option<regex::Regex>,
    ) -> Result<regex::Regex> {
        self.patterns += 1;
        if self.patterns > KQL_PATTERNS {
            let message = format!("A query has at most {KQL_PATTERNS} regular expressions.");
            return Err(Fault::new(FaultKind::Limit, message, expr.at, text));
        }
        self.cx.check()?;
        compile(text)
            .ok_or_else(|| fault("This is no regular expression of RE2's kind, or it is too large.", expr.at, text))
    }

    fn known_text(&mut self, expr: &Expr, flow: &Flow) -> Result<String> {
        match self.expr(expr, flow)?.0 {
            Node::Literal(value) => Ok(value.to_text().to_string()),
            _ => Err(fault("A regular expression is a text in quotes; it cannot differ from row to row.", expr.at, "")),
        }
    }

    fn named_call(&self, name: &str, args: Vec<Node>, at: usize) -> Result<Node> {
        let function = functions::find(name).ok_or_else(|| unknown(name, at))?;
        Ok(Node::Call(function, args))
    }

    fn call(&mut self, name: &str, args: &[Expr], flow: &Flow, at: usize) -> Result<Bound> {
        if let Some(bound) = self.special(name, args, flow, at)? {
            return Ok(bound);
        }
        let function = functions::find(name).filter(|_| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        let Some(function) = function else { return Err(unknown(name, at)) };
        count(name, args, function.arity, at)?;
        let bound: Vec<Bound> = args.iter().map(|arg| self.expr(arg, flow)).collect::<Result<_>>()?;
        let kind = match (function.kind, bound.first()) {
            (Some(kind), _) => kind,
            // A bin of whole numbers by a fraction has one.
            (None, Some((_, Type::Long))) if bound.get(1).is_some_and(|(_, kind)| *kind == Type::Real) => Type::Real,
            (None, Some((_, Type::Dynamic))) => bound.get(1).map_or(Type::Dynamic, |(_, kind)| *kind),
            (None, first) => first.map_or(Type::Dynamic, |(_, kind)| *kind),
        };
        Ok((Node::Call(function, bound.into_iter().map(|(node, _)| node).collect()), kind))
    }

    /// What looks at its arguments only when it must, or needs to know them before the first row.
    fn special(&mut self, name: &str, args: &[Expr], flow: &Flow, at: usize) -> Result<Option<Bound>> {
        let nodes =
            |binder: &mut Self| -> Result<Vec<Bound>> { args.iter().map(|arg| binder.expr(arg, flow)).collect() };
        Ok(Some(match name {
            "now" | "ago" => {
                let (fewest, sign) = if name == "ago" { (1, "-") } else { (0, "+") };
                count(name, args, (fewest, 1), at)?;
                let now = (Node::Literal(Value::DateTime(self.now)), Type::DateTime);
                match args.first() {
                    Some(span) => {
                        let span = self.expr(span, flow)?;
                        self.arithmetic(sign, now, span, at)?
                    }
                    None => now,
                }
            }
            "iff" | "iif" | "case" => {
                let most = if name == "case" { 65 } else { 3 };
                count(name, args, (3, most), at)?;
                if args.len().is_multiple_of(2) {
                    return Err(fault(
                        "case() takes pairs of a condition and a value, then what holds else.",
                        at,
                        name,
                    ));
                }
                let mut cases = Vec::new();
                let mut kinds = Vec::new();
                for pair in args.chunks_exact(2) {
                    let (value, kind) = self.expr(&pair[1], flow)?;
                    cases.push((self.condition(&pair[0], flow)?, value));
                    kinds.push(kind);
                }
                let (other, kind) = self.expr(&args[args.len() - 1], flow)?;
                kinds.push(kind);
                (Node::Case(cases, Box::new(other)), common(&kinds))
            }
            "coalesce" => {
                count(name, args, (1, 64), at)?;
                let all = nodes(self)?;
                let kinds: Vec<Type> = all.iter().map(|(_, kind)| *kind).collect();
                (Node::Coalesce(all.into_iter().map(|(node, _)| node).collect()), common(&kinds))
            }
            "extract" => self.extract(args, flow, at)?,
            "replace_regex" | "replace" => self.replacement(name, args, flow, at)?,
            "trim" | "trim_start" | "trim_end" => {
                count(name, args, (2, 2), at)?;
                let pattern = self.known_text(&args[0], flow)?;
                let ends = (name != "trim_end", name != "trim_start");
                let regex = self.compiled(&args[0], &pattern, |pattern| texts::trimming(pattern, ends))?;
                let text = Box::new(self.expr(&args[1], flow)?.0);
                (Node::Pattern { regex: Box::new(regex), what: PatternUse::Kept, text }, Type::String)
            }
            _ => return Ok(None),
        }))
    }

    fn replacement(&mut self, name: &str, args: &[Expr], flow: &Flow, at: usize) -> Result<Bound> {
        count(name, args, (3, 3), at)?;
        let (text, pattern, with) = match name {
            "replace" => (&args[2], &args[0], &args[1]),
            _ => (&args[0], &args[1], &args[2]),
        };
        let regex = Box::new(self.pattern(pattern, flow)?);
        // Kusto's groups are \1, the crate's are ${1}.
        let made = self.known_text(with, flow)?.replace('$', "$$");
        if made.matches('\\').count() > GROUPS_USED {
            let message = format!("What replaces a match names at most {GROUPS_USED} groups.");
            return Err(Fault::new(FaultKind::Limit, message, with.at, ""));
        }
        let made = (0..10).fold(made, |made, n| made.replace(&format!("\\{n}"), &format!("${{{n}}}")));
        let text = Box::new(self.expr(text, flow)?.0);
        Ok((Node::Pattern { regex, what: PatternUse::Replace(made), text }, Type::String))
    }

    fn extract(&mut self, args: &[Expr], flow: &Flow, at: usize) -> Result<Bound> {
        count("extract", args, (3, 4), at)?;
        let regex = Box::new(self.pattern(&args[0], flow)?);
        let group = match self.expr(&args[1], flow)?.0 {
            Node::Literal(Value::Long(group @ 0..GROUPS)) => usize::try_from(group).unwrap_or(0),
            _ => return Err(fault("The second argument of extract() is the number of a group.", args[1].at, "")),
        };
        let text = Box::new(self.expr(&args[2], flow)?.0);
        let found = Node::Pattern { regex, what: PatternUse::Group(group), text };
        let Some(Expr { kind: ExprKind::Call(word, inner), .. }) = args.get(3) else {
            return Ok((found, Type::String));
        };
        let kind = match (word.as_str(), inner.as_slice()) {
            ("typeof", [Expr { kind: ExprKind::Name(kind), .. }]) => functions::conversion(kind),
            _ => None,
        };
        let cast =
            kind.ok_or_else(|| fault("The fourth argument of extract() is typeof(...) a type.", args[3].at, word))?;
        Ok((Node::Call(cast, vec![found]), cast.kind.unwrap_or(Type::String)))
    }
}

fn count(name: &str, args: &[Expr], (fewest, most): (usize, usize), at: usize) -> Result<()> {
    if (fewest..=most).contains(&args.len()) {
        return Ok(());
    }
    let wanted = if fewest == most { fewest.to_string() } else { format!("{fewest} to {most}") };
    Err(fault(format!("{name}() takes {wanted} arguments; it was given {}.", args.len()), at, name))
}

fn unknown(name: &str, at: usize) -> Fault {
    let message = match aggregate::find(name) {
        Some(_) => format!("'{name}()' is an aggregate; it stands in summarize only."),
        None => format!("The function '{name}()' is not supported."),
    };
    Fault::new(FaultKind::Unsupported, message, at, name)
}

/// The values of a list that is known; arrays in it stand for their elements.
fn literals(nodes: &[Node]) -> Option<Vec<Value<'static>>> {
    let mut all = Vec::new();
    for node in nodes {
        match node {
            Node::Literal(Value::Dynamic(json)) => all.extend(json.as_array()?.iter().map(Value::of_json)),
            Node::Literal(value) => all.push(value.clone()),
            _ => return None,
        }
    }
    Some(all)
}

/// Two values that an operator is to compare: whether they can be, and a text beside a moment read as one.
fn compared(mark: &'static str, one: Bound, two: Bound, at: usize) -> Result<(Bound, Bound)> {
    let orders = matches!(mark, "==" | "!=" | "<" | "<=" | ">" | ">=");
    let fits = |one: Type, two: Type| {
        one == two || one == Type::Dynamic || two == Type::Dynamic || (one.is_number() && two.is_number())
    };
    let (one_kind, two_kind) = (one.1, two.1);
    // A text literal beside a moment is read as one.
    let timely = |(node, kind): Bound, other: Type| match (&node, kind, other) {
        (Node::Literal(value), Type::String, Type::DateTime) => match functions::moment(value) {
            Some(moment) => (Node::Literal(Value::DateTime(moment)), Type::DateTime),
            None => (node, kind),
        },
        _ => (node, kind),
    };
    let (one, two) = (timely(one, two_kind), timely(two, one_kind));
    if orders && !fits(one.1, two.1) {
        let (one, two) = (one.1.name(), two.1.name());
        let message = format!("Values of types {one} and {two} cannot be compared. Try to{one}() or to{two}().");
        return Err(fault(message, at, mark));
    }
    Ok((one, two))
}

fn comparison(mark: &'static str, one: Bound, two: Bound, at: usize) -> Result<Bound> {
    let (one, two) = compared(mark, one, two, at)?;
    let function = functions::find(mark);
    let Some(function) = function else {
        return Err(Fault::new(FaultKind::Unsupported, format!("The operator '{mark}' is not supported."), at, mark));
    };
    if let (Node::Column(base, column), Type::String, Node::Literal(Value::Text(wanted))) = (&one.0, one.1, &two.0)
        && let Some(begins) = match mark.trim_start_matches('!') {
            "==" | "=" | "=~" | "~" => Some(false),
            "startswith" | "startswith_cs" => Some(true),
            _ => None,
        }
    {
        let (base, column) = (*base, *column);
        let ignore_case = mark.ends_with('~') || mark.ends_with("with");
        let wanted = if ignore_case { wanted.to_lowercase() } else { wanted.to_string() };
        let is = match begins {
            true => Node::Begins { base, column, wanted, ignore_case },
            false => Node::Is { base, column, wanted, ignore_case },
        };
        let negated = mark.starts_with('!');
        let not = functions::find("not").filter(|_| negated);
        return Ok((not.map_or(is.clone(), |not| Node::Call(not, vec![is])), Type::Bool));
    }
    Ok((Node::Call(function, vec![one.0, two.0]), Type::Bool))
}

/// The type of a value that is one of several.
fn common(kinds: &[Type]) -> Type {
    let mut all = kinds.iter().copied();
    let Some(first) = all.next() else { return Type::Dynamic };
    all.fold(first, |kind, next| match (kind, next) {
        (kind, next) if kind == next => kind,
        (kind, next) if kind.is_number() && next.is_number() => Type::Real,
        _ => Type::Dynamic,
    })
}

fn type_of(value: &Value<'_>) -> Type {
    match value {
        Value::Null | Value::Dynamic(_) => Type::Dynamic,
        Value::Bool(_) => Type::Bool,
        Value::Long(_) => Type::Long,
        Value::Real(_) => Type::Real,
        Value::Text(_) => Type::String,
        Value::DateTime(_) => Type::DateTime,
        Value::TimeSpan(_) => Type::TimeSpan,
    }
}
