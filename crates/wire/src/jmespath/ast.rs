//! The tree of a compiled expression.

use serde_json::Value;

/// One node; it is evaluated against a current value.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// The current value.
    Identity,
    /// Member of an object.
    Field(String),
    /// A constant.
    Literal(Value),
    /// Element of an array; negative counts from the end.
    Index(i64),
    /// Part of an array.
    Slice { start: Option<i64>, stop: Option<i64>, step: Option<i64> },
    /// The second is evaluated against the result of the first: `.`, `|` and `[n]`.
    Then(Box<Node>, Box<Node>),
    /// The second is evaluated against each element of the first; nulls are dropped.
    Projection(Box<Node>, Box<Node>),
    /// The same over the members of an object.
    ValueProjection(Box<Node>, Box<Node>),
    /// The same over the elements for which the condition holds.
    FilterProjection { left: Box<Node>, condition: Box<Node>, right: Box<Node> },
    /// Merges arrays inside an array.
    Flatten(Box<Node>),
    /// `==` and its like.
    Compare { comparator: Comparator, left: Box<Node>, right: Box<Node> },
    /// `||`
    Or(Box<Node>, Box<Node>),
    /// `&&`
    And(Box<Node>, Box<Node>),
    /// `!`
    Not(Box<Node>),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{a: b}`
    Hash(Vec<(String, Node)>),
    /// `name(arguments)`
    Call { name: String, arguments: Vec<Argument> },
}

/// Argument of a function.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    /// Evaluated before the call.
    Value(Node),
    /// `&expression`: evaluated by the function.
    Expression(Node),
}

/// Comparators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
