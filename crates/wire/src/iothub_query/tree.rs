//! What a query means, as a tree.

use super::functions::Function;

/// A checked query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Most results of all pages together.
    pub top: Option<u64>,
    /// What is shown of each.
    pub select: Select,
    /// Of what.
    pub source: Source,
    /// Which of them.
    pub condition: Option<Expression>,
    /// By what they are put together; empty for none, or for all together where `select` has aggregates.
    pub groups: Vec<Expression>,
    /// In what order; empty for any that stays the same.
    pub order: Vec<Order>,
}

/// What a query is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `devices`: device twins.
    Devices,
    /// `devices.modules`: module twins.
    Modules,
    /// `devices.jobs`: what jobs did with devices.
    Jobs,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Select {
    /// `*`: whole twins.
    All,
    /// A list, never empty.
    Items(Vec<Item>),
}

/// One entry of the list after `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The name in the result.
    pub name: String,
    /// What it shows.
    pub shows: Projected,
}

/// What an entry of the list shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Projected {
    /// A value of the one document; in a query with groups one of the groups' expressions.
    Value(Expression),
    /// Something about all documents of a group. `COUNT` may have no expression.
    Aggregate(Aggregate, Option<Expression>),
}

/// What can be said about many documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// How many, or in how many the expression is defined.
    Count,
    /// The mean of numbers.
    Average,
    /// The sum of numbers.
    Sum,
    /// The least value.
    Least,
    /// The greatest value.
    Greatest,
}

/// One part of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// By which value.
    pub by: By,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// By what results are put in order.
#[derive(Debug, Clone, PartialEq)]
pub enum By {
    /// A value of the document.
    Value(Expression),
    /// In a query with groups or aggregates: the entry of the list with this index.
    Item(usize),
    /// In a query with groups: the group's expression with this index.
    Group(usize),
}

/// A value to be computed.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A constant.
    Literal(Literal),
    /// A list of values.
    List(Vec<Expression>),
    /// A member of the document; empty for the document itself.
    Path(Vec<Step>),
    /// `NOT`.
    Not(Box<Expression>),
    /// A minus before a value.
    Negative(Box<Expression>),
    /// `AND` of at least two.
    And(Vec<Expression>),
    /// `OR` of at least two.
    Or(Vec<Expression>),
    /// Two values with an operator between them.
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// `IN` and, with `false`, `NIN` or `NOT IN`.
    In(Box<Expression>, Vec<Expression>, bool),
    /// A function of values, with a number of them that it takes.
    Call(Function, Vec<Expression>),
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A member of an object.
    Name(String),
    /// An item of a list, from 0.
    Index(usize),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// `true` and `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, finite.
    Float(f64),
    /// A text.
    Text(String),
}

/// What stands between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`.
    Equal,
    /// `!=` and `<>`.
    Unequal,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    Greater,
    /// `>=`.
    AtLeast,
    /// `+`.
    Plus,
    /// `-`.
    Minus,
    /// `*`.
    Times,
    /// `/`.
    Over,
    /// `%`.
    Modulo,
}

impl Query {
    /// Whether results are made of many documents each.
    pub fn is_grouped(&self) -> bool {
        !self.groups.is_empty() || self.items().iter().any(|item| matches!(item.shows, Projected::Aggregate(..)))
    }

    /// The entries of the list; none of `*`.
    pub fn items(&self) -> &[Item] {
        match &self.select {
            Select::All => &[],
            Select::Items(items) => items,
        }
    }

    /// Every expression that is asked of documents.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let shown = self.items().iter().filter_map(|item| match &item.shows {
            Projected::Value(value) => Some(value),
            Projected::Aggregate(_, value) => value.as_ref(),
        });
        let ordered = self.order.iter().filter_map(|order| match &order.by {
            By::Value(value) => Some(value),
            By::Item(_) | By::Group(_) => None,
        });
        shown.chain(ordered).chain(&self.condition).chain(&self.groups)
    }
}

impl Expression {
    /// Calls `see` with this expression and with all below it.
    pub fn walk<'a>(&'a self, see: &mut dyn FnMut(&'a Expression)) {
        see(self);
        match self {
            Self::Literal(_) | Self::Path(_) => {}
            Self::List(below) | Self::And(below) | Self::Or(below) | Self::Call(_, below) => {
                below.iter().for_each(|one| one.walk(see));
            }
            Self::Not(one) | Self::Negative(one) => one.walk(see),
            Self::Binary(_, left, right) => {
                left.walk(see);
                right.walk(see);
            }
            Self::In(one, list, _) => {
                one.walk(see);
                list.iter().for_each(|one| one.walk(see));
            }
        }
    }
}
