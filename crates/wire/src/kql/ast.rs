//! A query as it was written: names not looked up yet, every part with its place.

use super::value::Value;

/// An expression.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    /// Byte offset in the text.
    pub(crate) at: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Literal(Value<'static>),
    Name(String),
    /// `a.b`
    Member(Box<Expr>, String),
    /// `a[b]`
    Index(Box<Expr>, Box<Expr>),
    Call(String, Vec<Expr>),
    /// `a == b` and its like, by the operator's text.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `a and b and c`
    All(Vec<Expr>),
    /// `a or b or c`
    Any(Vec<Expr>),
    Minus(Box<Expr>),
    /// `a in (b, c)`: ignoring case, negated.
    In {
        value: Box<Expr>,
        list: Vec<Expr>,
        ignore_case: bool,
        negated: bool,
    },
    Between {
        value: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    /// `*`, as an argument.
    Star,
}

/// An expression that may be given a name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: Option<String>,
    pub(crate) expr: Expr,
}

/// A key of a sort.
#[derive(Debug, Clone)]
pub(crate) struct SortKey {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    /// Where nothing stands; by default first when ascending, last when descending.
    pub(crate) nulls_first: bool,
}

/// How rows of two tables meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    InnerUnique,
    Inner,
    LeftOuter,
    RightOuter,
    LeftSemi,
    RightSemi,
    LeftAnti,
    RightAnti,
}

/// A name of a column, or several by `*`.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    pub(crate) at: usize,
    /// The order in which `project-reorder` puts what a pattern finds.
    pub(crate) order: Option<bool>,
}

/// One column of `mv-expand`.
#[derive(Debug, Clone)]
pub(crate) struct Expansion {
    pub(crate) named: Named,
    /// The type of `to typeof(...)`.
    pub(crate) to: Option<String>,
}

/// An operator.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) kind: OperatorKind,
    pub(crate) at: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum OperatorKind {
    Where(Expr),
    Project(Vec<Named>),
    ProjectAway(Vec<Pattern>),
    ProjectKeep(Vec<Pattern>),
    ProjectRename(Vec<Named>),
    ProjectReorder(Vec<Pattern>),
    Extend(Vec<Named>),
    Summarize {
        aggregates: Vec<Named>,
        by: Vec<Named>,
    },
    Sort(Vec<SortKey>),
    Top(u64, Vec<SortKey>),
    Take(u64),
    Count,
    /// No columns: all of them.
    Distinct(Vec<Named>),
    Join {
        kind: JoinKind,
        right: Pipe,
        on: Vec<Expr>,
    },
    Union(Vec<Pipe>),
    Expand {
        columns: Vec<Expansion>,
        limit: Option<u64>,
    },
}

/// A table and what is done with its rows.
#[derive(Debug, Clone)]
pub(crate) struct Pipe {
    /// The table's name with its place; `None` for the table that is meant where none is named.
    pub(crate) table: Option<(String, usize)>,
    pub(crate) operators: Vec<Operator>,
}

/// A whole query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// `let name = expression;`
    pub(crate) lets: Vec<(String, Expr)>,
    pub(crate) pipe: Pipe,
}
