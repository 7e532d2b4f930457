//! JMESPath, the query language behind `az --query`, over JSON values that keep their order.
//!
//! Follows the published grammar and, where it is silent, the Python implementation that az uses:
//! strings may be ordered with `<`, a backtick literal that is no JSON is taken for a string, a
//! multiselect hash keeps the written order, an unknown function or a wrong type shows only when the
//! expression runs. An expression reference (`&a`) is allowed only as an argument of a function.
//!
//! [`compile`] bounds the depth of the tree, [`Expression::search`] the work, so that no expression
//! can exhaust stack, memory or time.

mod ast;
mod eval;
mod functions;
mod lexer;
mod number;
mod parser;

use serde_json::Value;

use ast::Node;

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    root: Node,
}

/// The text is no JMESPath expression (az: exit code 2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at offset {offset}")]
pub struct ParseError {
    /// What is wrong, without the place.
    pub message: String,
    /// Byte offset in the text at which it was noticed.
    pub offset: usize,
}

/// The expression does not fit the value (az: exit code 1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// No function of that name.
    #[error("Unknown function: {name}()")]
    UnknownFunction {
        /// The name.
        name: String,
    },
    /// Wrong number of arguments.
    #[error(
        "Expected {}{expected} argument{} for function {function}(), received {actual}",
        if *.at_least { "at least " } else { "" },
        if *.expected == 1 { "" } else { "s" }
    )]
    Arity {
        /// The function.
        function: &'static str,
        /// How many it takes.
        expected: usize,
        /// Whether more are welcome.
        at_least: bool,
        /// How many there are.
        actual: usize,
    },
    /// An argument of the wrong type.
    #[error(
        "In function {function}(), invalid type for value: {value}, expected one of: [{}], received: \"{actual}\"",
        .expected.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    )]
    Type {
        /// The function.
        function: &'static str,
        /// The offending value as JSON, cut after 100 characters.
        value: String,
        /// Names of the types that are allowed there.
        expected: Vec<&'static str>,
        /// Name of the type that the value has.
        actual: &'static str,
    },
    /// A slice with step 0.
    #[error("slice step cannot be zero")]
    ZeroStep,
    /// The search would take more than the budget in `ferrohub_model::limits::JMESPATH_BUDGET`.
    #[error("the query takes too much work on this input")]
    TooMuchWork,
}

/// Compiles an expression.
///
/// # Errors
/// [`ParseError`] for text that is no expression, is too long or too deeply nested.
pub fn compile(text: &str) -> Result<Expression, ParseError> {
    parser::parse(text).map(|root| Expression { root })
}

impl Expression {
    /// Evaluates the expression; what does not exist gives null.
    ///
    /// # Errors
    /// [`RuntimeError`] for a misused function, a zero step or too much work.
    pub fn search(&self, value: &Value) -> Result<Value, RuntimeError> {
        eval::search(&self.root, value)
    }
}

#[cfg(test)]
mod function_tests;
#[cfg(test)]
mod tests;
