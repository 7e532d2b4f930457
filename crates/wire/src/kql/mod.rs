//! The subset of the Kusto query language that Resource Graph has: text in, a typed plan out, and the plan run over tables
//! that somebody else holds.
//!
//! | File | What it is |
//! |---|---|
//! | `lexer`, `parser`, `expression` | text to syntax (`ast`), with the place of everything in the text |
//! | `bind`, `operators`, `summarize`, `expressions` | syntax to a [`Plan`]: names become columns and slots, every expression gets its type |
//! | `functions`, `texts`, `times`, `dynamics` | the scalar functions |
//! | `run`, `eval`, `join`, `gather`, `aggregate` | the plan over the parts of a [`Source`], on several threads where it pays |
//!
//! Nothing here reads a clock or waits: `now()` is an argument, and whoever makes or runs a plan stops it by a flag.
//!
//! A query may be hostile. Syntax is bounded by its text; an expression about no row is its value once it is bound, so no name
//! stands for more than one; what an expression makes is bounded for each value and each row (`eval`), what a query gathers by
//! [`Limits`]; and whatever takes more steps than its values have bytes looks at the flag in between.

mod aggregate;
mod ast;
mod bind;
mod dynamics;
mod eval;
mod expression;
mod expressions;
mod functions;
mod gather;
#[cfg(test)]
mod hostile;
mod join;
mod lexer;
mod operators;
mod parser;
mod plan;
mod run;
mod source;
mod summarize;
#[cfg(test)]
mod tests;
mod texts;
mod times;
mod value;

pub use plan::{Column, Plan, SourcePath, Step};
pub use run::{Answer, Limits, Page};
pub use source::{ColumnInfo, Part, Schema, Source, TableInfo};
pub use value::{Text, Type, Value};

use ferrohub_model::limits::KQL_BYTES;
use std::fmt;
use std::sync::atomic::AtomicBool;

/// What kind of fault a query has, by the word that Resource Graph uses for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It is not written as a query is.
    Syntax,
    /// It uses what Resource Graph's language does not have, or ours.
    Unsupported,
    /// It names something that is not there, or uses it in a way that cannot be.
    Meaning,
    /// It would make too much, or was stopped.
    Limit,
}

impl FaultKind {
    /// The code of the detail in Azure's answer.
    pub fn code(self) -> &'static str {
        match self {
            Self::Syntax => "ParserFailure",
            Self::Unsupported => "InvalidQueryLanguage",
            Self::Meaning => "SemanticError",
            Self::Limit => "QueryLimitExceeded",
        }
    }
}

/// Why a query is not answered, and where it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// A sentence for whoever wrote the query.
    pub message: String,
    /// Byte offset in the text; `None` where no place is at fault.
    pub offset: Option<usize>,
    /// The word at fault.
    pub token: String,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>, offset: usize, token: impl Into<String>) -> Self {
        let token: String = token.into().chars().take(100).collect();
        Self { kind, message: message.into(), offset: Some(offset), token }
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Limit, message: message.into(), offset: None, token: String::new() }
    }

    /// Line (from 1) and character in the line (from 1) of the place in `text`.
    pub fn position(&self, text: &str) -> Option<(usize, usize)> {
        let before = text.get(..self.offset?.min(text.len()))?;
        let line = before.matches('\n').count() + 1;
        let last = before.rfind('\n').map_or(0, |at| at + 1);
        Some((line, before[last..].chars().count() + 1))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Result with a query's fault.
pub type Result<T> = std::result::Result<T, Fault>;

/// Makes a plan of the text of a query over the tables of `schema`; `now` is what `now()` and `ago()` count from, in Unix
/// seconds and nanoseconds. What the query says of no row is computed here, so this takes time as a run does: for a thread that
/// may be held, until `stop` is set.
///
/// # Errors
/// What is wrong with it, with the place; a limit that it met.
pub fn plan(text: &str, schema: &Schema, now: (i64, u32), stop: &AtomicBool) -> Result<Plan> {
    if text.len() > KQL_BYTES {
        return Err(Fault::limit(format!("The query has more than {KQL_BYTES} bytes.")));
    }
    let query = parser::parse(text)?;
    bind::bind(&query, schema, times::from_unix(now), stop)
}
