//! IoT Hub's query language, as `POST /devices/query` takes it: from a text to a checked tree (reference: iot-hub-and-dps.md C.6).
//!
//! ```text
//! SELECT [TOP n] * | expression [AS name], … | COUNT() …   FROM devices | devices.modules | devices.jobs [alias]
//! [WHERE …] [GROUP BY …] [ORDER BY … [ASC|DESC], …]
//! ```
//!
//! Words of the language are read ignoring case, and so are the members that every document has, as Azure's own examples
//! write `LastActivityTime`; names below `tags` and `properties` are what they are. A query is refused with the position of
//! what is wrong, counted in characters from 1. `ORDER BY` is ours: IoT Hub has none.

mod check;
mod functions;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;
mod tree;

pub use functions::Function;
pub use tree::{Aggregate, By, Expression, Item, Literal, Operator, Order, Projected, Query, Select, Source, Step};

use ferrohub_model::device::argument_invalid;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::HUB_QUERY_CHARS;

impl Query {
    /// Parses and checks a query.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) with the position and what is expected there, or the limit that is passed.
    pub fn parse(text: &str) -> Result<Self> {
        let chars = text.chars().count();
        if chars > HUB_QUERY_CHARS {
            return Err(argument_invalid(format!(
                "The query has {chars} characters; at most {HUB_QUERY_CHARS} are allowed."
            )));
        }
        check::checked(parser::parse(text)?)
    }
}

/// The refusal of a query for what stands at `position`, the index of a character from 0.
fn refused(position: usize, why: &str) -> Error {
    argument_invalid(format!("The query is not valid at position {}: {why}.", position + 1))
}
