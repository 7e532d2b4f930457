//! Log lines on stderr.

use ferrohub_model::error::{Error, Result};
use serde::Deserialize;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging for the whole process. Without a format: text on a terminal, else JSON.
///
/// # Errors
/// `Invalid` where the filter is malformed; `Internal` where logging was started before.
pub(crate) fn start(format: Option<LogFormat>, level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Error::invalid(format!("The log filter '{level}' is not valid: {error}.")))?;
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(terminal).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).finish().try_init(),
    };
    started.map_err(|error| Error::internal(format!("logging: {error}")))
}
