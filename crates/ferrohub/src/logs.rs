//! Log lines on stderr.

use crate::config::LogFormat;
use ferrohub_model::error::{Error, Result};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

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
