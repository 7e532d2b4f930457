//! `ferrohub az …`: the command line of Azure's `az`, as far as the product's services go.
//!
//! Each line knows only those above it:
//! - `failure`, `output`, `yaml`, `json_text`, `members`, `shell`: texts, formats, exit codes, JSON.
//! - `context`, `arm`, `versions`: who is signed in, and calls to the server.
//! - `grammar`, `args`, `command`, `parser`: the notation of an option, the values given, a row of the table, argparse.
//! - `options`, `update`, `sas`, `data_plane`, `principals`, `adr_paths`, `identities`, `outbound`, `wait`: what several commands do alike.
//! - `commands` has one file per command group, `table` is all of them, `examples` and `azure` (what Azure has) go with it, `help` and `run` use it.

mod adr_paths;
mod args;
mod arm;
mod azure;
mod command;
mod commands;
mod context;
mod data_plane;
mod examples;
mod failure;
mod grammar;
mod help;
mod identities;
mod json_text;
mod members;
mod options;
mod outbound;
mod output;
mod parser;
mod principals;
mod run;
mod sas;
mod shell;
mod table;
mod update;
mod versions;
mod wait;
mod yaml;

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod hub_flow_tests;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod printed_tests;
#[cfg(test)]
mod provisioning_tests;
#[cfg(test)]
mod real_az_tests;
#[cfg(test)]
mod schema_flow_tests;
#[cfg(test)]
mod scripted;

pub use run::run;
