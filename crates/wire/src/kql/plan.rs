//! A query as it is run: names are columns and slots by number, every expression has its type.

use super::aggregate::Aggregate;
use super::ast::JoinKind;
use super::functions::Function;
use super::texts;
use super::value::{Sought, Type, Value};
use regex::Regex;

/// A step of a path within a dynamic value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The member of this name; ignoring case where none has it exactly.
    Member(String),
    /// The element with this number, from the end where it is negative.
    Element(i64),
}

impl Step {
    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + if let Self::Member(name) = self { name.len() } else { 0 }
    }
}

/// A path within a column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePath {
    /// Number of the table in the schema.
    pub table: usize,
    /// Number of the column in the table.
    pub column: usize,
    /// The way within its value.
    pub steps: Vec<Step>,
}

/// A column of the answer.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Type,
    pub(crate) node: Node,
}

/// A query that is ready to run.
#[derive(Debug)]
pub struct Plan {
    pub(crate) pipe: Pipe,
    /// Every path within a column that it reads; a [`super::Part`] is asked for them by their number.
    pub paths: Vec<SourcePath>,
    /// The tables that it reads, by number.
    pub tables: Vec<usize>,
    /// Whether its rows are rows of the tables, one each: then `id` says which is which, and pages can follow each other.
    pub pages: bool,
}

impl Plan {
    /// The columns of the answer.
    pub fn columns(&self) -> &[Column] {
        &self.pipe.columns
    }
}

/// A table and the stages that its rows go through.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) table: usize,
    pub(crate) stages: Vec<Stage>,
    pub(crate) columns: Vec<Column>,
    /// How many rows of tables a row of the answer stands on, and how many slots it has.
    pub(crate) width: Width,
}

/// What a row consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Width {
    pub(crate) bases: usize,
    pub(crate) slots: usize,
}

/// What is done row by row, and what then gathers the rows.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) steps: Vec<Transform>,
    pub(crate) sink: Sink,
}

#[derive(Debug)]
pub(crate) enum Transform {
    /// All must hold.
    Where(Vec<Node>),
    /// Each makes one more slot, in order; later ones may read earlier ones.
    Extend(Vec<Node>),
    Expand(Expand),
    Join(Box<Join>),
}

/// `mv-expand`: a row becomes one for each element; each node makes one more slot.
#[derive(Debug)]
pub(crate) struct Expand {
    pub(crate) nodes: Vec<Node>,
    pub(crate) casts: Vec<Option<Function>>,
    pub(crate) limit: u64,
}

/// A join with the rows of another pipe, which are gathered first.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) kind: JoinKind,
    pub(crate) right: Pipe,
    pub(crate) left_keys: Vec<Node>,
    pub(crate) right_keys: Vec<Node>,
    /// Width of the rows on the left.
    pub(crate) left: Width,
}

#[derive(Debug)]
pub(crate) enum Sink {
    /// The rows as they are.
    Rows,
    Take(u64),
    Sort {
        keys: Vec<Key>,
        top: Option<u64>,
    },
    /// One row for each different key: slots of the keys, then of the aggregates.
    Summarize {
        keys: Vec<Node>,
        aggregates: Vec<Aggregate>,
    },
    /// The first row of each different key.
    First(Vec<Node>),
    /// The rows as slots by these nodes, then the columns of the other pipes.
    Union {
        columns: Vec<Node>,
        others: Vec<Pipe>,
    },
}

/// A key of a sort.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) node: Node,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// What a pattern is for.
#[derive(Debug, Clone)]
pub(crate) enum PatternUse {
    /// Whether it matches.
    Matches,
    /// What `trim()` leaves.
    Kept,
    /// The text of a group of its first match.
    Group(usize),
    /// The text with every match replaced.
    Replace(String),
}

/// An expression.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Literal(Value<'static>),
    /// A column of the row of a table: which of its rows, which column.
    Column(usize, usize),
    /// A path within one, by its number in [`Plan::paths`].
    Path(usize, usize),
    Slot(usize),
    /// Steps within a value.
    Member(Box<Node>, Vec<Step>),
    /// A step within a value whose name or number is a value itself.
    Element(Box<Node>, Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Call(Function, Vec<Node>),
    /// Conditions with their values, then what holds else.
    Case(Vec<(Node, Node)>, Box<Node>),
    Coalesce(Vec<Node>),
    /// Whether a row's column is a text, which a part may know without making it: which of its rows, which column.
    Is {
        base: usize,
        column: usize,
        wanted: String,
        ignore_case: bool,
    },
    /// Whether it begins with a text, which a part may know of all its rows.
    Begins {
        base: usize,
        column: usize,
        wanted: String,
        ignore_case: bool,
    },
    Pattern {
        regex: Box<Regex>,
        what: PatternUse,
        text: Box<Node>,
    },
    /// `in` a list that is known.
    In {
        value: Box<Node>,
        list: Listed,
        negated: bool,
    },
    /// The same with values that are not known before.
    InNodes {
        value: Box<Node>,
        list: Vec<Node>,
        ignore_case: bool,
        negated: bool,
    },
}

/// Texts that are compared one by one, without regard to case, sooner than a text is made lower case: ours.
const FEW: usize = 8;

/// The values that `in` knows.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// In order, and in lower case where `ignore_case`.
    texts: Vec<Box<str>>,
    others: Vec<Value<'static>>,
    ignore_case: bool,
}

impl Listed {
    pub(crate) fn new(all: Vec<Value<'static>>, ignore_case: bool) -> Self {
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for value in all {
            match &value {
                Value::Text(text) if ignore_case => texts.push(text.to_lowercase().into()),
                Value::Text(text) => texts.push((&**text).into()),
                _ => others.push(value),
            }
        }
        texts.sort_unstable();
        texts.dedup();
        Self { texts, others, ignore_case }
    }

    /// Whether a value is one of them.
    pub(crate) fn has(&self, value: &Value<'_>) -> bool {
        let is_text = || {
            if self.ignore_case && self.texts.len() <= FEW {
                let text = value.to_text();
                return self.texts.iter().any(|known| texts::same(&text, known));
            }
            let sought = Sought::new(value, self.ignore_case);
            self.texts.binary_search_by(|text| (**text).cmp(sought.text())).is_ok()
        };
        (!self.texts.is_empty() && is_text()) || self.others.iter().any(|item| value.equals(item) == Some(true))
    }
}

impl Node {
    /// Whether everything is known of it before the first row.
    pub(crate) fn is_known(&self) -> bool {
        let known = |node: &Self| matches!(node, Self::Literal(_));
        match self {
            Self::Literal(_)
            | Self::Column(..)
            | Self::Path(..)
            | Self::Slot(_)
            | Self::Is { .. }
            | Self::Begins { .. } => false,
            Self::Member(inner, _) | Self::Pattern { text: inner, .. } | Self::In { value: inner, .. } => known(inner),
            Self::Element(one, two) => known(one) && known(two),
            Self::All(all) | Self::Any(all) | Self::Call(_, all) | Self::Coalesce(all) => all.iter().all(known),
            Self::Case(cases, other) => cases.iter().all(|(one, two)| known(one) && known(two)) && known(other),
            Self::InNodes { value, list, .. } => known(value) && list.iter().all(known),
        }
    }

    /// The same expression about a row that comes behind one of this width in a joined row.
    pub(crate) fn shift(&mut self, by: Width) {
        match self {
            Self::Literal(_) => {}
            Self::Column(base, _) | Self::Path(base, _) | Self::Is { base, .. } | Self::Begins { base, .. } => {
                *base += by.bases;
            }
            Self::Slot(slot) => *slot += by.slots,
            Self::Member(inner, _) | Self::Pattern { text: inner, .. } => inner.shift(by),
            Self::Element(one, two) => {
                one.shift(by);
                two.shift(by);
            }
            Self::All(all) | Self::Any(all) | Self::Call(_, all) | Self::Coalesce(all) => {
                all.iter_mut().for_each(|node| node.shift(by));
            }
            Self::Case(cases, other) => {
                for (condition, value) in cases {
                    condition.shift(by);
                    value.shift(by);
                }
                other.shift(by);
            }
            Self::In { value, .. } => value.shift(by),
            Self::InNodes { value, list, .. } => {
                value.shift(by);
                list.iter_mut().for_each(|node| node.shift(by));
            }
        }
    }

    /// Whether it reads nothing but these columns of a table's row.
    pub(crate) fn reads_only(&self, is_known: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Column(0, column) | Self::Is { base: 0, column, .. } | Self::Begins { base: 0, column, .. } => {
                is_known(*column)
            }
            Self::Column(..) | Self::Is { .. } | Self::Begins { .. } | Self::Path(..) | Self::Slot(_) => false,
            Self::Member(inner, _) | Self::Pattern { text: inner, .. } => inner.reads_only(is_known),
            Self::Element(one, two) => one.reads_only(is_known) && two.reads_only(is_known),
            Self::All(all) | Self::Any(all) | Self::Call(_, all) | Self::Coalesce(all) => {
                all.iter().all(|node| node.reads_only(is_known))
            }
            Self::Case(cases, other) => {
                let known = |(one, two): &(Self, Self)| one.reads_only(is_known) && two.reads_only(is_known);
                cases.iter().all(known) && other.reads_only(is_known)
            }
            Self::In { value, .. } => value.reads_only(is_known),
            Self::InNodes { value, list, .. } => {
                value.reads_only(is_known) && list.iter().all(|node| node.reads_only(is_known))
            }
        }
    }
}
