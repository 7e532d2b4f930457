//! `ferrohub az …`: the command line of Azure's `az`, as far as the product's services go.
//!
//! - `grammar` is the notation of the command table, `table` the table, `parser` argparse.
//! - `commands` has one file per command group.
//! - `output` and `failure` are the formats, texts and exit codes.
//! - `session` and `arm` talk to the server.

mod arm;
mod commands;
mod data_plane;
mod failure;
mod grammar;
mod help;
mod json_text;
mod output;
mod parser;
mod run;
mod sas;
mod session;
mod table;
mod update;
mod yaml;

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod printed_tests;
#[cfg(test)]
mod scripted;

pub use run::run;
